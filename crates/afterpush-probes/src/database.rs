//! The database probe: what the deployments table says about one commit. It reads, with time limits, and never writes.

mod address;
mod connection;
mod deployments;
mod libpq;
mod migrations;
mod mysql;
mod postgres;
mod sqlite;
mod trouble;
mod wire;

use std::{fmt, time::Duration};

use afterpush_core::{
    config::DatabaseConfig,
    fault::Fault,
    id::CommitId,
    observation::{DatabaseObservation, DeploymentRow, RowState},
    run::SeenCommit,
    text,
};
use tokio::time::timeout;

use self::connection::transient;
pub use self::{
    address::{Address, Parts, Place, Security, Server},
    connection::{Connection, Dialect, Table, TextRow},
    libpq::{password_of, service},
    migrations::MigrationsProbe,
};

/// How long one whole check may take, from opening the database to closing it.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// How much of a text of the database is kept.
const MOST_CHARS: usize = 500;

/// Asks the deployments table of one database about one commit.
pub struct DatabaseProbe {
    config: DatabaseConfig,
    address: Address,
    commit: CommitId,
}

impl DatabaseProbe {
    /// Sets up the probe.
    #[must_use]
    pub fn new(config: DatabaseConfig, address: Address, commit: CommitId) -> Self {
        Self { config, address, commit }
    }

    /// Looks for the newest row of the commit: one connection, opened for reading only and closed again.
    ///
    /// # Errors
    /// [`FaultKind::Transient`](afterpush_core::fault::FaultKind::Transient) while the database, the table or a column is missing or locked: a deployment may be about
    /// to make it. `Unauthorized` when it may not be read. `Malformed` for an address that
    /// cannot be used and for a file that is no database.
    pub async fn ask(&self) -> Result<DatabaseObservation, Fault> {
        let late = || transient(format!("{} took more than {} s", self.address.place(), CHECK_LIMIT.as_secs()));
        let row = timeout(CHECK_LIMIT, self.newest_row()).await.map_err(|_| late())??;
        Ok(match row {
            None => DatabaseObservation::NoRow,
            Some(row) => DatabaseObservation::Row(self.read(&row)),
        })
    }

    async fn newest_row(&self) -> Result<Option<StoredRow>, Fault> {
        let mut connection = Connection::open(&self.address).await?;
        let row = deployments::newest_row(&mut connection, &self.config, &self.commit).await;
        connection.close().await;
        row
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
struct StoredRow {
    commit: String,
    status: Option<String>,
    error: Option<String>,
}
