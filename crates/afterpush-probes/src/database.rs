//! The database probe: what the deployments table says about one commit. It reads, with time limits, and never writes.

use std::{fmt, path::PathBuf, time::Duration};

use afterpush_core::{
    config::DatabaseConfig,
    fault::{Fault, FaultKind},
    id::CommitId,
    observation::{DatabaseObservation, DeploymentRow, RowState},
    run::SeenCommit,
    text,
};
use tokio::time::timeout;
use url::Url;

use crate::sqlite;

/// How long one whole check may take, from opening the database to closing it.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// How much of a text of the database is kept.
const MOST_CHARS: usize = 500;

/// Databases that an address can name and that this version cannot ask. Only these words are repeated in a message: the
/// beginning of an address without a scheme could be a user's name.
const OTHER_SCHEMES: [&str; 12] = [
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mssql",
    "sqlserver",
    "mongodb",
    "mongodb+srv",
    "cockroachdb",
    "libsql",
    "redis",
    "rediss",
];

/// Asks the deployments table of one database about one commit.
pub struct DatabaseProbe {
    config: DatabaseConfig,
    address: Result<PathBuf, Fault>,
    commit: CommitId,
}

impl DatabaseProbe {
    /// Sets up the probe. `url` is the value of the environment variable that the configuration names; it is a secret and
    /// is kept out of every message.
    #[must_use]
    pub fn new(config: DatabaseConfig, url: String, commit: CommitId) -> Self {
        let address = sqlite_path(&url, &config.url_env);
        Self { config, address, commit }
    }

    /// Looks for the newest row of the commit: one connection, opened for reading only and closed again.
    ///
    /// # Errors
    /// [`FaultKind::Transient`] while the database, the table or a column is missing or locked: a deployment may be about
    /// to make it. [`FaultKind::Unauthorized`] when it may not be read. [`FaultKind::Malformed`] for an address of another
    /// kind of database and for a file that is no database.
    pub async fn ask(&self) -> Result<DatabaseObservation, Fault> {
        let path = self.address.as_ref().map_err(Clone::clone)?;
        let late = || transient(format!("{} took more than {} s", self.place(), CHECK_LIMIT.as_secs()));
        let row =
            timeout(CHECK_LIMIT, sqlite::newest_row(path, &self.config, &self.commit)).await.map_err(|_| late())??;
        Ok(match row {
            None => DatabaseObservation::NoRow,
            Some(row) => DatabaseObservation::Row(self.read(&row)),
        })
    }

    fn read(&self, row: &StoredRow) -> DeploymentRow {
        let word = row.status.as_deref().unwrap_or_default().trim();
        let is_one_of = |words: &[String]| words.iter().any(|known| known.trim().eq_ignore_ascii_case(word));
        let state = if is_one_of(&self.config.words.success) {
            RowState::Success
        } else if is_one_of(&self.config.words.failed) {
            RowState::Failed
        } else {
            // Also a word that nobody told us: it goes on, and is shown as it is.
            RowState::InProgress
        };
        let error = row.error.as_deref().map(|error| text::one_line(error.trim(), MOST_CHARS));
        DeploymentRow {
            state,
            raw: text::one_line(word, MOST_CHARS),
            commit: SeenCommit::compare(&row.commit, &self.commit),
            error: error.filter(|error| !error.is_empty()),
        }
    }

    fn place(&self) -> String {
        place(&self.config)
    }
}

/// Without the address.
impl fmt::Debug for DatabaseProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseProbe")
            .field("config", &self.config)
            .field("commit", &self.commit)
            .finish_non_exhaustive()
    }
}

/// One row as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRow {
    pub(crate) commit: String,
    pub(crate) status: Option<String>,
    pub(crate) error: Option<String>,
}

/// How messages name the database.
pub(crate) fn place(config: &DatabaseConfig) -> String {
    format!("the database named by {}", config.url_env)
}

pub(crate) fn transient(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Transient, message)
}

/// Reads `sqlite:/path`, `sqlite:///path`, `file:/path` and `file:///path`. What follows a question mark is not used: the
/// file is opened for reading, whatever the address wishes.
fn sqlite_path(address: &str, variable: &str) -> Result<PathBuf, Fault> {
    let malformed = |problem: String| Fault::new(FaultKind::Malformed, problem);
    let address = address.trim();
    let (scheme, rest) = address.split_once(':').unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "sqlite" | "sqlite3" | "file") {
        return Err(malformed(match OTHER_SCHEMES.iter().find(|known| **known == scheme) {
            Some(known) => {
                format!(
                    "{known}:// is not supported by this version; {variable} has to name a SQLite file, as in sqlite:///path"
                )
            }
            None => format!("{variable} has to name a SQLite file by its absolute path, as in sqlite:///path"),
        }));
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = match rest.strip_prefix("//") {
        Some(after) => after.strip_prefix("localhost").filter(|after| after.starts_with('/')).unwrap_or(after),
        None => rest,
    };
    if !path.starts_with('/') {
        return Err(malformed(format!(
            "{variable} names a relative path or a database in memory; an absolute path is needed, as in sqlite:///path"
        )));
    }
    Url::parse(&format!("file://{path}"))
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| malformed(format!("the path in {variable} cannot be read")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_addresses_are_read_in_every_spelling() {
        for (address, path) in [
            ("sqlite:/srv/app.db", "/srv/app.db"),
            ("sqlite:///srv/app.db", "/srv/app.db"),
            ("SQLite:///srv/app.db?mode=rwc&cache=shared", "/srv/app.db"),
            ("file:/srv/app.db", "/srv/app.db"),
            ("file:///srv/app%20one.db", "/srv/app one.db"),
            ("file://localhost/srv/app.db", "/srv/app.db"),
            (" sqlite3:/srv/app.db\n", "/srv/app.db"),
        ] {
            assert_eq!(sqlite_path(address, "DATABASE_URL").unwrap(), PathBuf::from(path), "{address}");
        }
    }

    #[test]
    fn other_addresses_are_refused_without_being_repeated() {
        for (address, expected) in [
            ("postgres://me:pw@host/db", "postgres:// is not supported by this version"),
            ("mysql://me:pw@host/db", "mysql:// is not supported by this version"),
            ("me:pw@host/db", "DATABASE_URL has to name a SQLite file"),
            ("/me/pw", "DATABASE_URL has to name a SQLite file"),
            ("", "DATABASE_URL has to name a SQLite file"),
            ("sqlite::memory:", "relative path or a database in memory"),
            ("sqlite://me.pw", "relative path or a database in memory"),
            ("file:./me.pw", "relative path or a database in memory"),
        ] {
            let fault = sqlite_path(address, "DATABASE_URL").unwrap_err();
            assert_eq!(fault.kind, FaultKind::Malformed, "{address}");
            assert!(fault.message.contains(expected), "{address}: {fault}");
            assert!(!fault.message.contains("pw") && !fault.message.contains("me:"), "{fault}");
        }
    }
}
