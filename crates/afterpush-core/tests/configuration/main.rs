//! What users and strangers write into the configuration files, and what becomes of it.

#![allow(clippy::unwrap_used)]

use afterpush_core::config::{Config, ConfigError, DatabaseAddress, Source, Target, combine};

mod before_push;
mod both_files;
mod database;
mod health;
mod hostile;
mod keys;
mod limits;
mod page;
mod push;
mod refused;
mod trust;

const REPOSITORY: &str = ".afterpush.toml";
const USER: &str = "/home/ada/.config/afterpush/config.toml";

fn repository(text: &str) -> Option<Source<'_>> {
    Some(Source { name: REPOSITORY, text })
}

fn user(text: &str) -> Option<Source<'_>> {
    Some(Source { name: USER, text })
}

fn trusted(text: &str) -> Result<Config, ConfigError> {
    combine(repository(text), true, None)
}

fn untrusted(text: &str) -> Result<Config, ConfigError> {
    combine(repository(text), false, None)
}

fn users(text: &str) -> Result<Config, ConfigError> {
    combine(None, false, user(text))
}

/// A file with one target that has these lines.
fn target(lines: &str) -> String {
    format!("[[target]]\nname = \"web\"\n{lines}\n")
}

fn only_target(config: Config) -> Target {
    assert_eq!(config.targets.len(), 1);
    config.targets.into_iter().next().unwrap()
}

fn variable(name: &str) -> DatabaseAddress {
    DatabaseAddress::Url { variable: name.to_owned() }
}

/// Every key once.
const FULL: &str = r#"
[[target]]
name = "web"
branch = "main"
paths = ["apps/web/**", "*.lock"]
provider = { kind = "digitalocean", app = "storefront", nested = { a = [1, 2.5, true], on = 2026-01-01 } }
accept_unversioned_health = true

[target.database]
url_env = "DATABASE_URL"
deployments = "ops.deploys"
columns = { commit = "sha", status = "state", error = "message", created_at = "made" }
words = { in_progress = ["running"], success = ["Done"], failed = ["broken", "lost"] }

[target.health]
url = "https://example.com/health?full=1"
status = [204, 200, 204]
commit = "/build/commit"
passes = 2
failures = 7
timeout = "1s500ms"

[policy]
first_interval = "2s"
slow_interval = "1m"
growth = 2
jitter = 0.5
registration_deadline = "10m"
deadline = "1h30m"
confirmation_deadline = "30s"
"#;

/// Asserts that the text of a trusted file is refused in this line, with these pieces of text in the message.
#[track_caller]
fn refused(text: &str, line: usize, pieces: &[&str]) {
    let error = trusted(text).map(|config| panic!("accepted:\n{text}\n{config:?}")).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.line, line, "{message}\n{text}");
    for piece in pieces {
        assert!(message.contains(piece), "{message} lacks {piece}\n{text}");
    }
    let same = users(text).unwrap_err();
    assert_eq!((same.line, same.file.as_str()), (line, USER), "{same}");
}
