//! Reads one row of a SQLite file: opened for reading only, never created, each statement within its time limit.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use afterpush_core::{
    config::DatabaseConfig,
    fault::{Fault, FaultKind},
    id::{CommitId, MIN_PREFIX},
    text,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};

use crate::database::{StoredRow, place, transient};

/// How long one statement may run.
const STATEMENT_LIMIT: Duration = Duration::from_secs(2);

/// How long to wait for a writer that holds the lock.
const LOCK_LIMIT: Duration = Duration::from_secs(1);

/// The statement limit is looked at after so many steps of SQLite's machine: many times in a millisecond.
const STEPS: i32 = 1_000;

/// The newest row of `commit`; never simply the newest row of the table.
pub(crate) async fn newest_row(
    path: &Path,
    config: &DatabaseConfig,
    commit: &CommitId,
) -> Result<Option<StoredRow>, Fault> {
    let file = File { path, config };
    file.look()?;
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(LOCK_LIMIT)
        .statement_cache_capacity(0)
        // A view of a hostile database must not call functions with effects.
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
        .connect()
        .await
        .map_err(|error| file.fault(&error))?;
    let row = read(&mut connection, config, commit, &file).await;
    // A connection that was only read from has nothing to lose at its end.
    let _ = connection.close().await;
    row
}

async fn read(
    connection: &mut SqliteConnection,
    config: &DatabaseConfig,
    commit: &CommitId,
    file: &File<'_>,
) -> Result<Option<StoredRow>, Fault> {
    let table = Table::find(connection, config, file).await?;
    limit_next_statement(connection, file).await?;
    let row = sqlx::query(AssertSqlSafe(table.query()))
        .bind(commit.as_str())
        .fetch_optional(connection)
        .await
        .map_err(|error| file.fault(&error))?;
    let Some(row) = row else { return Ok(None) };
    // As bytes: SQLite keeps whatever a program wrote as text, also what is no UTF-8.
    let text = |index: usize| match row.try_get::<Option<Vec<u8>>, _>(index) {
        Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) => Err(file.fault(&error)),
    };
    Ok(Some(StoredRow { commit: text(0)?.unwrap_or_default(), status: text(1)?, error: text(2)? }))
}

/// SQLite itself ends a statement that runs too long; merely not waiting for it would leave it running.
async fn limit_next_statement(connection: &mut SqliteConnection, file: &File<'_>) -> Result<(), Fault> {
    let until = Instant::now() + STATEMENT_LIMIT;
    let mut handle = connection.lock_handle().await.map_err(|error| file.fault(&error))?;
    handle.set_progress_handler(STEPS, move || Instant::now() < until);
    Ok(())
}

/// The deployments table, as it was found.
struct Table {
    name: String,
    commit: String,
    status: String,
    error: Option<String>,
    /// By what the newest row is found, the strongest first.
    order: Vec<String>,
}

impl Table {
    async fn find(connection: &mut SqliteConnection, config: &DatabaseConfig, file: &File<'_>) -> Result<Self, Fault> {
        let (schema, name) = match config.deployments.split_once('.') {
            Some((schema, name)) => (schema, name),
            None => ("main", config.deployments.as_str()),
        };
        limit_next_statement(connection, file).await?;
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_xinfo(?1, ?2) WHERE hidden <> 1")
            .bind(name)
            .bind(schema)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| file.fault(&error))?;
        if columns.is_empty() {
            return Err(transient(format!("no such table: {} in {}", config.deployments, place(config))));
        }
        // A view and a table WITHOUT ROWID do not number their rows.
        limit_next_statement(connection, file).await?;
        let has_rowid: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM pragma_table_list(?1) WHERE schema = ?2 COLLATE NOCASE AND type = 'table' AND NOT wr)",
        )
        .bind(name)
        .bind(schema)
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| file.fault(&error))?;

        let column = |chosen: Option<&String>, defaults: &[&str]| {
            let known = |wanted: &str| columns.iter().find(|name| name.eq_ignore_ascii_case(wanted)).cloned();
            match chosen {
                Some(name) => known(name).ok_or_else(|| name.clone()),
                None => defaults.iter().find_map(|name| known(name)).ok_or_else(|| defaults.join(" or ")),
            }
        };
        let missing = |names: String| {
            transient(format!("no such column: {names} in table {} of {}", config.deployments, place(config)))
        };
        // A column that the configuration names has to be there; a default one may be left out where that does no harm.
        let optional = |chosen: Option<&String>, defaults: &[&str]| match column(chosen, defaults) {
            Ok(name) => Ok(Some(name)),
            Err(names) if chosen.is_some() => Err(missing(names)),
            Err(_) => Ok(None),
        };
        let names = &config.columns;
        let created_at = optional(names.created_at.as_ref(), &["createdAt", "created_at"])?;
        let order: Vec<String> =
            created_at.iter().map(|name| qualified(name)).chain(has_rowid.then(|| "d.rowid".to_owned())).collect();
        if order.is_empty() {
            return Err(missing("createdAt or created_at".to_owned()));
        }
        Ok(Self {
            name: format!("{}.{}", quoted(schema), quoted(name)),
            commit: column(names.commit.as_ref(), &["commitSha", "commit_sha"]).map_err(missing)?,
            status: column(names.status.as_ref(), &["status"]).map_err(missing)?,
            error: optional(names.error.as_ref(), &["errorMessage", "error_message"])?,
            order,
        })
    }

    /// Rows whose commit is ours in full, or an abbreviation of it of at least seven digits.
    fn query(&self) -> String {
        let commit = format!("trim(CAST({} AS TEXT))", qualified(&self.commit));
        let status = qualified(&self.status);
        let error = self.error.as_ref().map_or_else(|| "NULL".to_owned(), |name| qualified(name));
        let order: Vec<String> = self.order.iter().map(|term| format!("{term} DESC")).collect();
        format!(
            "SELECT {commit}, substr(CAST({status} AS TEXT), 1, 1000), substr(CAST({error} AS TEXT), 1, 4000) \
             FROM {} AS d \
             WHERE length({commit}) >= {MIN_PREFIX} AND lower({commit}) = substr(?1, 1, length({commit})) \
             ORDER BY {} LIMIT 1",
            self.name,
            order.join(", ")
        )
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// With the table's name before it: SQLite takes a quoted name that it does not know for a text.
fn qualified(column: &str) -> String {
    format!("d.{}", quoted(column))
}

/// The file, for messages that do not name it.
struct File<'a> {
    path: &'a Path,
    config: &'a DatabaseConfig,
}

impl File<'_> {
    /// Tells what SQLite would only call "unable to open". The file is not opened for that: closing it would drop the
    /// locks that another connection of this process has on it.
    fn look(&self) -> Result<(), Fault> {
        let place = place(self.config);
        match self.path.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(()),
            Ok(_) => Err(Fault::new(FaultKind::Malformed, format!("{place} is not a regular file"))),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    transient(format!("the file of {place} does not exist"))
                }
                io::ErrorKind::PermissionDenied => self.forbidden(),
                kind => transient(format!("the file of {place} cannot be looked at: {kind}")),
            }),
        }
    }

    fn forbidden(&self) -> Fault {
        Fault::new(
            FaultKind::Unauthorized,
            format!("this user may not read the file of {}, or its directory", place(self.config)),
        )
    }

    /// The result codes are SQLite's, see <https://www.sqlite.org/rescode.html>; the extended ones carry a primary one in
    /// their lowest byte.
    fn fault(&self, error: &sqlx::Error) -> Fault {
        let place = place(self.config);
        let Some(database) = error.as_database_error() else {
            return transient(format!("{place} could not be asked"));
        };
        let code: u32 = database.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        let malformed = |problem: &str| Fault::new(FaultKind::Malformed, format!("{place} {problem}"));
        match code & 0xff {
            // PERM, CANTOPEN, AUTH; a file that is missing was told before.
            3 | 14 | 23 => self.forbidden(),
            // BUSY, LOCKED
            5 | 6 => transient(format!("{place} is locked by a writer")),
            // READONLY: a write-ahead log or a hot journal that only a writer can take in.
            8 => transient(format!("{place} waits for a writer to take in its journal")),
            9 => transient(format!("a question to {place} took more than {} s", STATEMENT_LIMIT.as_secs())),
            10 => transient(format!("{place} has an input or output error")),
            11 => malformed("is damaged"),
            26 => malformed("is not a SQLite database, or is encrypted"),
            _ => {
                let said = database.message().replace(&*self.path.to_string_lossy(), "(path)");
                transient(format!("{place} answered: {}", text::one_line(&said, 200)))
            }
        }
    }
}
