//! The migrations probe: what one database has of the migrations of one commit. It reads the tool's own table and nothing else.

use std::fmt;

use afterpush_core::{
    fault::Fault,
    migrations::{Failure, MigrationSet, Standing, compare, compare_at_work},
    observation::MigrationsObservation,
    text,
};
use tokio::time::timeout;

use super::{
    CHECK_LIMIT, MOST_CHARS,
    address::Address,
    connection::{Connection, Dialect, Table, TextRow, transient},
};

/// Asks one database for the applied migrations of one tool.
pub struct MigrationsProbe {
    set: MigrationSet,
    is_wanted: bool,
    address: Address,
}

impl MigrationsProbe {
    /// Sets up the probe. With `is_wanted` a database without the tool's table lacks all of the migrations; otherwise it has
    /// nothing to do with them.
    #[must_use]
    pub fn new(set: MigrationSet, is_wanted: bool, address: Address) -> Self {
        Self { set, is_wanted, address }
    }

    /// Compares the tool's table with the commit's migrations: one connection, opened for reading only and closed again. `None`
    /// when the database does not have the table of a tool that nobody named.
    ///
    /// # Errors
    /// As [`super::DatabaseProbe::ask`].
    pub async fn ask(&self) -> Result<Option<MigrationsObservation>, Fault> {
        let late = || transient(format!("{} took more than {} s", self.address.place(), CHECK_LIMIT.as_secs()));
        let standing = timeout(CHECK_LIMIT, self.standing()).await.map_err(|_| late())??;
        let (tool, path) = (Some(self.set.tool), self.set.path.clone());
        Ok(standing.map(|standing| MigrationsObservation { tool, path, standing: cleaned(standing) }))
    }

    async fn standing(&self) -> Result<Option<Standing>, Fault> {
        let mut connection = Connection::open(&self.address).await?;
        let standing = self.standing_by(&mut connection).await;
        connection.close().await;
        standing
    }

    async fn standing_by(&self, connection: &mut Connection) -> Result<Option<Standing>, Fault> {
        let Some(rows) = self.applied(connection).await? else {
            return Ok(self.is_wanted.then(|| compare(&self.set, &[])));
        };
        let standing = compare(&self.set, &rows);
        if standing.failed.is_empty() || !self.set.tool.marks_what_it_has_begun() {
            return Ok(Some(standing));
        }
        if may_be_at_work(connection).await? {
            return Ok(Some(compare_at_work(&self.set, &rows)));
        }
        // It may have ended between the two questions.
        Ok(self.applied(connection).await?.map(|rows| compare(&self.set, &rows)))
    }

    async fn applied(&self, connection: &mut Connection) -> Result<Option<Vec<TextRow>>, Fault> {
        let ledger = self.set.tool.ledger();
        let dialect = connection.dialect();
        for name in ledger.tables {
            let table = Table::parse(name);
            // Only PostgreSQL has schemas inside of a database.
            if table.schema.is_some() && dialect != Dialect::Postgres {
                continue;
            }
            let Some(columns) = connection.columns(&table).await? else { continue };
            let known = |wanted: &str| columns.iter().find(|name| name.eq_ignore_ascii_case(wanted));
            let mut selected = Vec::new();
            for wanted in ledger.columns {
                match known(wanted) {
                    Some(column) => selected.push(format!("d.{}", dialect.quoted(column))),
                    // Several tools use one name for their tables.
                    None if !self.is_wanted => return Ok(None),
                    None => {
                        let tool = self.set.tool.word();
                        let place = connection.place();
                        return Err(transient(format!(
                            "no such column: {wanted} in table {name} of {place}; is it {tool}'s?"
                        )));
                    }
                }
            }
            let sql = format!("SELECT {} FROM {} AS d", selected.join(", "), table.quoted(dialect));
            return connection.rows(&sql, &[]).await.map(Some);
        }
        Ok(None)
    }
}

/// Whether a tool may be applying migrations right now. On PostgreSQL those that mark what they have begun hold an advisory lock
/// of the database meanwhile, which everybody may see. Elsewhere nothing tells.
async fn may_be_at_work(connection: &mut Connection) -> Result<bool, Fault> {
    if connection.dialect() != Dialect::Postgres {
        return Ok(true);
    }
    let sql = "SELECT 1 FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database \
               WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database() LIMIT 1";
    Ok(!connection.rows(sql, &[]).await?.is_empty())
}

/// Without the address.
impl fmt::Debug for MigrationsProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigrationsProbe")
            .field("set", &self.set)
            .field("is_wanted", &self.is_wanted)
            .finish_non_exhaustive()
    }
}

/// Names of files and texts of the database, fit to be shown.
fn cleaned(standing: Standing) -> Standing {
    let line = |text: String| text::one_line(text.trim(), MOST_CHARS);
    let lines = |list: Vec<String>| list.into_iter().map(line).collect();
    let failure = |it: Failure| Failure { name: line(it.name), error: it.error.map(line) };
    Standing {
        applied: standing.applied,
        pending: lines(standing.pending),
        failed: standing.failed.into_iter().map(failure).collect(),
        unknown: lines(standing.unknown),
        undecided: standing.undecided.map(line),
    }
}
