//! Which providers there are, and where each finds its credentials. Pure: it names files and variables, and reads none.

use crate::{
    Provider, Secret, Setup, SetupError, argocd, cloudflare, command, digitalocean, fly, github, gitlab, heroku, http,
    kubernetes, netlify, railway, render, vercel,
};

/// One kind of provider. Each stands in the file of its kind.
pub(crate) struct Entry {
    /// Its word in the configuration.
    pub(crate) kind: &'static str,
    /// The vendor's own API address.
    pub(crate) api_url: &'static str,
    /// Makes one.
    pub(crate) build: fn(Setup) -> Result<Box<dyn Provider>, SetupError>,
    /// Whether nothing can be asked without a token.
    pub(crate) needs_token: bool,
    /// The variables that hold the token, as the vendor's own command line names them; the first that has a value counts.
    pub(crate) credential_names: &'static [&'static str],
    /// The vendor's own login files, below the user's configuration directory, or with `~/` below the home directory.
    pub(crate) login_files: &'static [&'static str],
    /// The token in such a file's text, for the vendor's own API or for the one at this address.
    pub(crate) token_from_login_file: fn(&str, Option<&str>) -> Option<Secret>,
}

const ENTRIES: [&Entry; 14] = [
    &argocd::ENTRY,
    &cloudflare::ENTRY,
    &command::ENTRY,
    &digitalocean::ENTRY,
    &fly::ENTRY,
    &github::ENTRY,
    &gitlab::ENTRY,
    &heroku::ENTRY,
    &http::ENTRY,
    &kubernetes::ENTRY,
    &netlify::ENTRY,
    &railway::ENTRY,
    &render::ENTRY,
    &vercel::ENTRY,
];

fn entry(kind: &str) -> Option<&'static Entry> {
    ENTRIES.into_iter().find(|entry| entry.kind == kind)
}

/// Makes the provider of a kind.
///
/// # Errors
/// [`SetupError::UnknownKind`], or [`SetupError::Key`] for the first setting that is wrong.
pub fn build(kind: &str, setup: Setup) -> Result<Box<dyn Provider>, SetupError> {
    match entry(kind) {
        Some(entry) => (entry.build)(setup),
        None => Err(SetupError::UnknownKind(kind.to_owned())),
    }
}

/// The vendor's own API address, which counts unless the user's configuration names another. Empty for an unknown kind.
#[must_use]
pub fn api_url(kind: &str) -> &'static str {
    entry(kind).map_or("", |entry| entry.api_url)
}

/// Further addresses of the vendor's own that its token is for. They do not count when the user's configuration names one.
#[must_use]
pub fn further_addresses(kind: &str) -> &'static [&'static str] {
    if kind == fly::ENTRY.kind { &[fly::OF_RELEASES] } else { &[] }
}

/// Whether the provider can be asked nothing without a token.
#[must_use]
pub fn needs_token(kind: &str) -> bool {
    entry(kind).is_some_and(|entry| entry.needs_token)
}

/// Whether each deployment has an id of its own. Where the workload's, the application's or the commit's name stands for it, two
/// deployments of one commit have the same.
#[must_use]
pub fn tells_deployments_apart(kind: &str, settings: &toml::Table) -> bool {
    match kind {
        "argocd" | "command" | "fly" | "kubernetes" => false,
        "http" => settings.contains_key("id"),
        _ => entry(kind).is_some(),
    }
}

/// The names under which the provider's token may be found, in the environment and in the user's credentials file; the
/// first that has a value counts. Empty for an unknown kind.
#[must_use]
pub fn credential_names(kind: &str) -> &'static [&'static str] {
    entry(kind).map_or(&[], |entry| entry.credential_names)
}

/// The variable with the token that a provider's own table names; only kinds that stand for hosts of all sorts have such a key.
#[must_use]
pub fn token_variable<'a>(kind: &str, settings: &'a toml::Table) -> Option<&'a str> {
    if kind == http::ENTRY.kind { settings.get(http::TOKEN_KEY)?.as_str() } else { None }
}

/// Where the vendor's own command line keeps its login: paths below the user's configuration directory, or with `~/` below
/// the home directory, in the order of looking. Empty for an unknown kind.
#[must_use]
pub fn login_files(kind: &str) -> &'static [&'static str] {
    entry(kind).map_or(&[], |entry| entry.login_files)
}

/// The token of the login in use, from the text of one of the [`login_files`]. Where such a file holds logins to several hosts, it
/// is the one to the host of `api_url`, or to the vendor's own.
#[must_use]
pub fn token_from_login_file(kind: &str, text: &str, api_url: Option<&str>) -> Option<Secret> {
    (entry(kind)?.token_from_login_file)(text, api_url).filter(|token| !token.expose().is_empty())
}

/// The API's address that such a file names for its login, where the vendor has none of its own: its token is for that server.
#[must_use]
pub fn api_url_from_login_file(kind: &str, text: &str) -> Option<String> {
    if kind == argocd::ENTRY.kind { argocd::server(text) } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use afterpush_core::{
        config::PROVIDER_KINDS,
        id::{CommitId, RefName},
    };

    use super::*;

    #[test]
    fn answers_of_any_host_are_told_apart_where_the_configuration_says_by_what() {
        let settings = "id = '/deploy/id'".parse().unwrap();
        assert!(tells_deployments_apart("http", &settings));
        assert!(!tells_deployments_apart("nowhere", &settings));
    }

    /// The kinds without a vendor's address.
    const SELF_HOSTED: [&str; 4] = ["argocd", "command", "http", "kubernetes"];

    #[test]
    fn every_kind_of_the_configuration_is_built_and_has_its_source_and_its_page() {
        assert_eq!(ENTRIES.map(|entry| entry.kind), PROVIDER_KINDS);
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        for kind in PROVIDER_KINDS {
            let has_ids = !["argocd", "command", "fly", "http", "kubernetes"].contains(&kind);
            assert_eq!(tells_deployments_apart(kind, &toml::Table::new()), has_ids, "{kind}");
            assert!(!needs_token(kind) || !credential_names(kind).is_empty(), "{kind}");
            assert!(api_url(kind).starts_with("https://") || SELF_HOSTED.contains(&kind), "{kind}");
            assert!(further_addresses(kind).iter().all(|it| it.starts_with("https://")), "{kind}");
            for path in [here.join(format!("src/{kind}.rs")), here.join(format!("../../docs/providers/{kind}.md"))] {
                assert!(path.is_file(), "{} is missing", path.display());
            }
        }
    }

    /// The text of a file of the project.
    fn project_file(path: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn every_kind_has_tests_a_row_in_the_table_and_a_page_with_its_parts() {
        let table = project_file("docs/providers/README.md");
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| [`")).collect();
        let kinds: Vec<_> = rows.iter().filter_map(|row| row.split('`').nth(1)).collect();
        assert_eq!(kinds, PROVIDER_KINDS, "the rows of docs/providers/README.md");
        for (row, entry) in rows.iter().zip(ENTRIES) {
            let kind = entry.kind;
            assert!(row.contains(&format!("({kind}.md)")) && row.matches(" | ").count() == 6, "{row}");
            let empty = row.split('|').skip(1).take(7).any(|cell| cell.trim().is_empty());
            assert!(!empty, "a cell of {kind}'s row is empty");
            if let Some(first) = entry.credential_names.first() {
                assert!(row.contains(&format!("`{first}`")), "{kind}'s row does not name {first}");
            }
            let page = project_file(&format!("docs/providers/{kind}.md"));
            for part in ["\n## Set-up\n", "\n1. ", "\n2. ", "\n3. ", "\n## What is matched\n", "\n## Known limits\n"] {
                assert!(page.contains(part), "docs/providers/{kind}.md has no {part:?}");
            }
            for name in entry.credential_names {
                assert!(page.contains(&format!("`{name}`")), "docs/providers/{kind}.md does not name {name}");
            }
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/{kind}/tests.rs"));
            let has_tests = source.is_file()
                || project_file(&format!("crates/afterpush-providers/src/{kind}.rs"))
                    .contains("#[cfg(test)]\nmod tests {");
            assert!(has_tests, "{kind} has no tests");
        }
    }

    #[test]
    fn the_guide_to_add_one_names_files_and_parts_that_there_are() {
        let guide = project_file("docs/contributing/add-a-provider.md");
        let source = project_file("crates/afterpush-providers/src/registry.rs");
        // Each file that it names, with one of the providers in the place of the example.
        let mut files = 0;
        for path in guide
            .split('`')
            .filter(|it| it.contains('/') && !it.contains(' ') && !it.ends_with('/') && it.contains('.'))
        {
            if path.starts_with("crates/") || path.starts_with("docs/") || path.starts_with("tests/") {
                project_file(&path.replace("acme", "render"));
                files += 1;
            }
        }
        assert!(files >= 7, "{files} files are named");
        for part in ["render.rs", "response.rs", "play.rs", "damage.rs", "contract.rs"] {
            assert!(guide.contains(part));
            project_file(&format!("crates/afterpush-providers/src/{part}"));
        }
        for (name, place) in [
            ("`ENTRIES`", source.contains("const ENTRIES:")),
            ("`PROVIDER_KINDS`", source.contains("config::PROVIDER_KINDS")),
            (
                "pub(crate) const ENTRY: Entry",
                project_file("crates/afterpush-providers/src/render.rs").contains("pub(crate) const ENTRY: Entry"),
            ),
            (
                "impl Converse for",
                project_file("crates/afterpush-providers/src/render.rs").contains("impl Converse for"),
            ),
            ("`needs_token`", source.contains("needs_token: bool")),
        ] {
            assert!(guide.contains(name) && place, "{name}");
        }
    }

    #[test]
    fn an_unknown_kind_is_told_and_has_nothing() {
        let setup = Setup {
            settings: toml::Table::new(),
            api_url: None,
            commit: CommitId::parse(&"a".repeat(40)).unwrap(),
            ref_name: RefName::parse("refs/heads/main").unwrap(),
            remote_url: "https://host/repo".to_owned(),
            pushed_at: None,
            token: Some(Secret::new("token")),
        };
        let error = build("nowhere", setup).err().unwrap();
        assert_eq!(error, SetupError::UnknownKind("nowhere".to_owned()));
        assert!(credential_names("nowhere").is_empty());
        assert!(login_files("nowhere").is_empty());
        assert!(api_url("nowhere").is_empty());
        assert!(token_from_login_file("nowhere", "access-token: token", None).is_none());
    }
}
