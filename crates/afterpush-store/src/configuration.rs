//! The configuration files as they lie on the disk: the repository's, the user's, and whether the user trusts the first.
//!
//! Invariant: the repository's file is a stranger's work, so it is read without following a link and within a limit; the user's
//! file may be a link into a collection of dotfiles. Reading only; what the texts mean is decided in `afterpush-core`.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use afterpush_core::config::{Config, ConfigError, Source, combine};
use thiserror::Error;

use crate::{Environment, Repository, StateRoot, StoreError, read_bounded, user_config_path};

/// The repository's configuration file.
pub const CONFIG_FILE: &str = ".afterpush.toml";
/// The largest configuration file, in bytes.
pub const LARGEST_CONFIG: usize = 256 << 10;

/// Tells why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigFilesError {
    /// The repository's file cannot be read.
    #[error(transparent)]
    Repository(#[from] StoreError),
    /// The user's file cannot be read.
    #[error("cannot read {}", .path.display())]
    User {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file is not text.
    #[error("{file} is not valid UTF-8")]
    NotText {
        /// The file.
        file: String,
    },
    /// What stands in it is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// One file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its name, as errors tell it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The two files, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFiles {
    /// The repository's file.
    pub repository: Option<ConfigFile>,
    /// Whether the user trusts exactly this content of it.
    pub is_trusted: bool,
    /// The user's file.
    pub user: Option<ConfigFile>,
}

impl ConfigFiles {
    /// Reads the work tree's file and the user's.
    ///
    /// # Errors
    /// [`ConfigFilesError`] when one is there and cannot be read.
    pub fn of_work_tree(environment: &Environment, repository: Option<&Repository>) -> Result<Self, ConfigFilesError> {
        let bytes = match repository.and_then(Repository::config_path) {
            Some(path) => read_bounded(&path, LARGEST_CONFIG as u64)?,
            None => None,
        };
        Self::with(environment, repository, CONFIG_FILE.to_owned(), bytes)
    }

    /// Takes the repository's file as `bytes`, such as they stand in a commit, and reads the user's.
    ///
    /// # Errors
    /// [`ConfigFilesError`] when one cannot be read.
    pub fn with(
        environment: &Environment,
        repository: Option<&Repository>,
        name: String,
        bytes: Option<Vec<u8>>,
    ) -> Result<Self, ConfigFilesError> {
        let own = bytes.map(|bytes| to_file(name, bytes)).transpose()?;
        let user = match user_config_path(environment) {
            Some(path) => read_user(&path)?,
            None => None,
        };
        let is_trusted = match (&own, repository) {
            (Some(file), Some(repository)) => is_trusted(environment, repository, &file.text)?,
            _ => false,
        };
        Ok(Self { repository: own, is_trusted, user })
    }

    /// Combines them into one configuration.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and what was expected.
    pub fn combine(&self) -> Result<Config, ConfigError> {
        self.combine_as(self.is_trusted)
    }

    /// Combines them as if the user trusted the repository's file, or not.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and what was expected.
    pub fn combine_as(&self, trusted: bool) -> Result<Config, ConfigError> {
        fn source(file: &ConfigFile) -> Source<'_> {
            Source { name: &file.name, text: &file.text }
        }
        combine(self.repository.as_ref().map(source), trusted, self.user.as_ref().map(source))
    }
}

/// How many monitors the user wants at once. A file that cannot be used says nothing about it: whoever needs more of it reports
/// what is wrong.
#[must_use]
pub fn most_monitors(environment: &Environment) -> u32 {
    let files = ConfigFiles::with(environment, None, String::new(), None);
    files.ok().and_then(|files| files.combine().ok()).unwrap_or_default().monitors
}

/// Tells whether the user's own state holds trust in this content; a state directory inside the repository does not count.
fn is_trusted(environment: &Environment, repository: &Repository, text: &str) -> Result<bool, StoreError> {
    for root in StateRoot::candidates(environment, None) {
        if root.trust().is_trusted(repository, text)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_user(path: &Path) -> Result<Option<ConfigFile>, ConfigFilesError> {
    match fs::read(path) {
        Ok(bytes) => to_file(path.display().to_string(), bytes).map(Some),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(ConfigFilesError::User { path: path.to_owned(), source }),
    }
}

fn to_file(name: String, bytes: Vec<u8>) -> Result<ConfigFile, ConfigFilesError> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(ConfigFile { name, text }),
        Err(_) => Err(ConfigFilesError::NotText { file: name }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    fn repository(path: &Path) -> Repository {
        Repository { common_dir: path.join(".git"), git_dir: path.join(".git"), work_tree: Some(path.to_owned()) }
    }

    #[test]
    fn a_link_is_followed_for_the_user_and_refused_in_a_repository() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("real"), "[policy]\n").unwrap();
        let user = place.path().join("config.toml");
        symlink("real", &user).unwrap();
        let environment = Environment { config: Some(user), ..Environment::default() };
        let repository = repository(place.path());
        let read = || ConfigFiles::of_work_tree(&environment, Some(&repository));
        let files = read().unwrap();
        assert_eq!(files.user.unwrap().text, "[policy]\n");
        assert_eq!((files.repository, files.is_trusted), (None, false));
        symlink("real", place.path().join(CONFIG_FILE)).unwrap();
        assert!(matches!(read(), Err(ConfigFilesError::Repository(StoreError::NotOurs { .. }))));
    }

    #[test]
    fn trust_is_in_the_content_and_makes_the_privileged_keys_count() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("state");
        let environment = Environment { state_dir: Some(state), ..Environment::default() };
        let repository = repository(place.path());
        let text = "[[target]]\nname = \"web\"\ndatabase = { url_env = \"DATABASE_URL\" }\n";
        let read = |text: &str| {
            let bytes = Some(text.as_bytes().to_vec());
            ConfigFiles::with(&environment, Some(&repository), "the commit".to_owned(), bytes).unwrap()
        };
        assert_eq!(read(text).combine().unwrap().targets[0].database, None);
        let root = StateRoot::for_writing(&environment, &repository).unwrap();
        root.trust().allow(&repository, text).unwrap();
        assert!(read(text).combine().unwrap().targets[0].database.is_some());
        assert!(!read(&format!("{text}\n")).is_trusted);
    }

    #[test]
    fn what_is_no_text_and_what_is_wrong_is_named() {
        let environment = Environment::default();
        let with = |bytes: &[u8]| ConfigFiles::with(&environment, None, "it".to_owned(), Some(bytes.to_vec()));
        assert!(with(b"\xff").unwrap_err().to_string().contains("it is not valid UTF-8"));
        let error = with(b"[[target]]\nname = \"web\"\nnam = 1\n").unwrap().combine().unwrap_err();
        assert_eq!((error.file.as_str(), error.line), ("it", 3));
    }
}
