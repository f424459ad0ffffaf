//! Where a provider's token comes from: the environment of the push, the user's credentials file, the vendor CLI's own login.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use afterpush_core::config::ProviderConfig;
use afterpush_providers::{Secret, registry};
use afterpush_store::{Environment, credentials_path};
use thiserror::Error;

use crate::secrets::PushEnvironment;

const MAX_BYTES: u64 = 256 * 1024;

/// Tells why a credentials file cannot be used.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("could not read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read it.
    #[error("{path} is not used because others can read it (mode {mode:o}); run: chmod 600 {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not TOML of the expected form. The source is not shown: it could quote a token.
    #[error("{path} line {line} is not of the form [<provider>] token = \"...\"")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// A token, or another secret, and where it was found.
#[derive(Debug)]
pub struct Found {
    /// The token.
    pub token: Secret,
    /// The API that the vendor's own login is for, where the vendor has none of its own.
    pub api_url: Option<String>,
    /// Where, for people: `the environment variable X` or a path.
    pub place: String,
}

/// Looks for the token of a provider. A login for another API than the one that the user names is not used.
///
/// # Errors
/// [`CredentialsError`] when a file that is there cannot be used; a missing file is no error.
pub fn find(
    provider: &ProviderConfig,
    api_url: Option<&str>,
    push: &PushEnvironment,
    environment: &Environment,
) -> Result<Option<Found>, CredentialsError> {
    if let Some(name) = registry::token_variable(&provider.kind, &provider.settings) {
        return find_variable(name, push, environment);
    }
    let kind = provider.kind.as_str();
    let names = registry::credential_names(kind);
    for name in names {
        if let Some(found) = in_environment(name, push) {
            return Ok(Some(found));
        }
    }
    for file in credentials_files(environment)? {
        if let Some(token) = file.token_of(kind, names)? {
            return Ok(Some(Found { token, api_url: None, place: file.path.display().to_string() }));
        }
    }
    for path in login_files(kind, environment) {
        // The vendor's own file is the vendor's affair: its mode is not judged, and trouble with it is not ours.
        if let Ok(Some(text)) = read_private(&path, false)
            && let Some(token) = registry::token_from_login_file(kind, &text, api_url)
        {
            let server = registry::api_url_from_login_file(kind, &text);
            if server.is_none() || api_url.is_none() || server.as_deref() == api_url {
                return Ok(Some(Found { token, api_url: server, place: path.display().to_string() }));
            }
        }
    }
    Ok(None)
}

/// Looks for the value of a variable that the configuration names, such as `DATABASE_URL`.
///
/// # Errors
/// As for [`find`].
pub fn find_variable(
    name: &str,
    push: &PushEnvironment,
    environment: &Environment,
) -> Result<Option<Found>, CredentialsError> {
    if let Some(found) = in_environment(name, push) {
        return Ok(Some(found));
    }
    let found = |file: &CredentialsFile| {
        Some(Found { token: file.variable(name)?, api_url: None, place: file.path.display().to_string() })
    };
    Ok(credentials_files(environment)?.iter().find_map(found))
}

fn in_environment(name: &str, push: &PushEnvironment) -> Option<Found> {
    Some(Found { token: push.get(name)?, api_url: None, place: format!("the environment variable {name}") })
}

/// The user's credentials: tokens as `[<provider>] token = "..."`, and variables as `NAME = "..."` at the top.
struct CredentialsFile {
    path: PathBuf,
    text: String,
    table: toml::Table,
}

impl CredentialsFile {
    fn token_of(&self, kind: &str, names: &[&str]) -> Result<Option<Secret>, CredentialsError> {
        let Some(section) = self.table.get(kind) else {
            return Ok(names.iter().find_map(|name| self.variable(name)));
        };
        let token = section.get("token").and_then(toml::Value::as_str).filter(|token| !token.trim().is_empty());
        token.map(|token| Some(Secret::new(token))).ok_or_else(|| {
            let heading = format!("[{kind}]");
            let line = 1 + self.text.lines().position(|line| line.trim() == heading).unwrap_or(0);
            CredentialsError::Malformed { path: self.path.clone(), line }
        })
    }

    fn variable(&self, name: &str) -> Option<Secret> {
        self.table.get(name)?.as_str().filter(|value| !value.trim().is_empty()).map(Secret::new)
    }
}

/// Beside the user's configuration file, and, when that was moved by `AFTERPUSH_CONFIG`, at the usual place as well.
fn credentials_files(environment: &Environment) -> Result<Vec<CredentialsFile>, CredentialsError> {
    let usual = environment.config_home.as_ref().map(|home| home.join("afterpush/credentials.toml"));
    let mut paths: Vec<PathBuf> = credentials_path(environment).into_iter().chain(usual).collect();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        let Some(text) = read_private(&path, true)? else { continue };
        let table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            CredentialsError::Malformed { path: path.clone(), line: 1 + before.matches('\n').count() }
        })?;
        files.push(CredentialsFile { path, text, table });
    }
    Ok(files)
}

/// Whether the provider can be asked nothing without a token.
#[must_use]
pub fn needs_token(provider: &ProviderConfig) -> bool {
    registry::needs_token(&provider.kind) || registry::token_variable(&provider.kind, &provider.settings).is_some()
}

/// What a person can do when no token was found.
#[must_use]
pub fn advice(provider: &ProviderConfig) -> String {
    if let Some(name) = registry::token_variable(&provider.kind, &provider.settings) {
        return format!("no credentials: set {name}, or put {name} = \"...\" into the credentials file");
    }
    let kind = provider.kind.as_str();
    let names = registry::credential_names(kind).join(" or ");
    format!("no credentials: set {names}, or put a token under [{kind}] into the credentials file")
}

fn login_files(kind: &str, environment: &Environment) -> Vec<PathBuf> {
    let place = |path: &&str| match path.strip_prefix("~/") {
        Some(below_home) => Some(environment.home.as_ref()?.join(below_home)),
        None => Some(environment.config_home.as_ref()?.join(path)),
    };
    registry::login_files(kind).iter().filter_map(place).collect()
}

/// Reads a regular file, not through a symbolic link; `None` when there is none.
pub(crate) fn read_private(path: &Path, must_be_private: bool) -> Result<Option<String>, CredentialsError> {
    let failed = |source| CredentialsError::Read { path: path.to_owned(), source };
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file: File = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let mode = metadata.mode() & 0o777;
    if must_be_private && (mode & 0o077 != 0 || metadata.uid() != nix::unistd::geteuid().as_raw()) {
        return Err(CredentialsError::Open { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn environment(home: &Path) -> Environment {
        Environment { config: Some(home.join("config.toml")), home: Some(home.to_owned()), ..Environment::default() }
    }

    fn digitalocean() -> ProviderConfig {
        ProviderConfig { kind: "digitalocean".to_owned(), settings: toml::Table::new() }
    }

    fn push(text: &str) -> PushEnvironment {
        PushEnvironment::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn t12_the_environment_comes_first_then_the_credentials_file() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("credentials.toml");
        let look = |text: &str| find(&digitalocean(), None, &push(text), &environment(home.path()));
        assert!(look("{}").unwrap().is_none());
        fs::write(&file, "[digitalocean]\ntoken = \"from-file\"\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(look("{}").unwrap().unwrap().token.expose(), "from-file");
        let found = look(r#"{"DIGITALOCEAN_ACCESS_TOKEN":"from-env"}"#).unwrap().unwrap();
        assert_eq!(found.token.expose(), "from-env");
        assert!(found.place.contains("DIGITALOCEAN_ACCESS_TOKEN"));

        fs::write(&file, "DIGITALOCEAN_TOKEN = \"by-name\"\nDATABASE_URL = \"sqlite:x\"\n").unwrap();
        assert_eq!(look("{}").unwrap().unwrap().token.expose(), "by-name");
        let variable = |text: &str| find_variable("DATABASE_URL", &push(text), &environment(home.path())).unwrap();
        assert_eq!(variable("{}").unwrap().token.expose(), "sqlite:x");
        assert_eq!(variable(r#"{"DATABASE_URL":"sqlite:y"}"#).unwrap().token.expose(), "sqlite:y");
    }

    #[test]
    fn a_token_that_the_providers_own_table_names_is_found_under_that_name_alone() {
        let home = tempfile::tempdir().unwrap();
        let settings = "token_env = 'CI_TOKEN'".parse().unwrap();
        let provider = ProviderConfig { kind: "http".to_owned(), settings };
        let look = |text: &str| find(&provider, None, &push(text), &environment(home.path())).unwrap();
        assert!(look(r#"{"TOKEN":"other"}"#).is_none());
        assert!(needs_token(&provider) && advice(&provider).contains("set CI_TOKEN,"));
        assert_eq!(look(r#"{"CI_TOKEN":"mine"}"#).unwrap().token.expose(), "mine");
        assert!(!needs_token(&ProviderConfig { kind: "http".to_owned(), settings: toml::Table::new() }));
    }

    #[test]
    fn a_login_is_used_for_its_own_server_alone() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment { config_home: Some(home.path().to_owned()), ..environment(home.path()) };
        fs::create_dir(home.path().join("argocd")).unwrap();
        let login = "contexts: [{name: a, server: cd.test, user: u}]\ncurrent-context: a\nservers: [{server: cd.test}]\n\
            users: [{name: u, auth-token: canary}]\n";
        fs::write(home.path().join("argocd/config"), login).unwrap();
        let provider = ProviderConfig { kind: "argocd".to_owned(), settings: toml::Table::new() };
        let look = |api_url| find(&provider, api_url, &push("{}"), &environment).unwrap();
        assert_eq!(look(None).unwrap().api_url.as_deref(), Some("https://cd.test"));
        assert_eq!(look(Some("https://cd.test")).unwrap().token.expose(), "canary");
        assert!(look(Some("https://other.test")).is_none());
    }

    #[test]
    fn a_credentials_file_that_others_can_read_is_refused_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("credentials.toml");
        fs::write(&file, "[digitalocean]\ntoken = \"canary\"\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = find(&digitalocean(), None, &push("{}"), &environment(home.path())).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && !error.contains("canary"), "{error}");
    }

    #[test]
    fn a_malformed_credentials_file_is_named_by_its_line_and_never_quoted() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("credentials.toml");
        for (text, line) in [("[digitalocean]\ntoken = canary", 2), ("\n[digitalocean]\ntokn = \"canary\"", 2)] {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let error = find(&digitalocean(), None, &push("{}"), &environment(home.path())).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(&format!("line {line}")) && !shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn a_vendors_login_is_below_the_configuration_or_the_home_directory() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment { config_home: Some(home.path().join("conf")), ..environment(home.path()) };
        let files = |kind: &str| login_files(kind, &environment);
        assert!(files("digitalocean").contains(&home.path().join("conf/doctl/config.yaml")));
        assert!(files("vercel").contains(&home.path().join(".local/share/com.vercel.cli/auth.json")));
        assert!(login_files("vercel", &Environment::default()).is_empty());
    }
}
