//! SQLite: a file, opened for reading only, never created, each statement within its time limit.

use std::{io, time::Instant};

use afterpush_core::{
    fault::{Fault, FaultKind},
    text,
};
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection as _, Executor, Row, SqlSafeStr, Statement, ValueRef,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};

use super::{
    address::File,
    connection::{Connection, Gathered, LOCK_LIMIT, STATEMENT_LIMIT, Table, slow, transient},
    trouble,
};

/// The statement limit is looked at after so many steps of SQLite's machine: many times in a millisecond.
const STEPS: i32 = 1_000;

pub(super) struct SqliteSession {
    connection: SqliteConnection,
    file: File,
}

impl SqliteSession {
    pub(super) async fn open(file: &File) -> Result<Self, Fault> {
        file.look()?;
        let connection = SqliteConnectOptions::new()
            .filename(&file.path)
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
        Ok(Self { connection, file: file.clone() })
    }

    pub(super) async fn rows(&mut self, sql: &str, binds: &[&str], answer: &mut Gathered) -> Result<(), Fault> {
        self.limit_next_statement().await?;
        let mut query = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false);
        for bind in binds {
            query = query.bind(*bind);
        }
        let mut rows = query.fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(|error| self.file.fault(&error))? {
            // As bytes, whatever the type: SQLite turns numbers into text, and keeps as text also what is no UTF-8.
            let cell = |index: usize| -> Result<Option<String>, sqlx::Error> {
                if row.try_get_raw(index)?.is_null() {
                    return Ok(None);
                }
                let bytes: Vec<u8> = row.try_get_unchecked(index)?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            };
            let cells: Result<_, _> = (0..row.len()).map(cell).collect();
            answer.add(cells.map_err(|error| self.file.fault(&error))?)?;
        }
        Ok(())
    }

    pub(super) async fn names(&mut self, sql: &str) -> Result<Vec<String>, Fault> {
        let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
        let statement = (&mut self.connection).prepare(sql).await.map_err(|error| self.file.fault(&error))?;
        Ok(statement.columns().iter().map(|column| column.name().to_owned()).collect())
    }

    /// SQLite itself ends a statement that runs too long; merely not waiting for it would leave it running.
    async fn limit_next_statement(&mut self) -> Result<(), Fault> {
        let until = Instant::now() + STATEMENT_LIMIT;
        let mut handle = self.connection.lock_handle().await.map_err(|error| self.file.fault(&error))?;
        handle.set_progress_handler(STEPS, move || Instant::now() < until);
        Ok(())
    }

    pub(super) async fn close(self) {
        let _ = self.connection.close().await;
    }
}

pub(super) async fn columns(connection: &mut Connection, table: &Table) -> Result<Option<Vec<String>>, Fault> {
    let sql = "SELECT name FROM pragma_table_xinfo(?1, ?2) WHERE hidden <> 1";
    let rows = connection.rows(sql, &[&table.name, table.schema.as_deref().unwrap_or("main")]).await?;
    Ok(Some(rows.into_iter().flatten().flatten().collect()))
}

/// Tells whether the rows of a table are numbered: a view's and those of a table WITHOUT ROWID are not.
pub(super) async fn has_rowid(connection: &mut Connection, table: &Table) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM pragma_table_list(?1) WHERE schema = ?2 COLLATE NOCASE AND type = 'table' AND NOT wr";
    let rows = connection.rows(sql, &[&table.name, table.schema.as_deref().unwrap_or("main")]).await?;
    Ok(!rows.is_empty())
}

impl File {
    /// Tells what SQLite would only call "unable to open". The file is not opened for that: closing it would drop the
    /// locks that another connection of this process has on it.
    fn look(&self) -> Result<(), Fault> {
        let place = &self.place;
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
            format!("this user may not read the file of {}, or its directory", self.place),
        )
    }

    /// The result codes are SQLite's, see <https://www.sqlite.org/rescode.html>; the extended ones carry a primary one in
    /// their lowest byte.
    fn fault(&self, error: &sqlx::Error) -> Fault {
        let place = &self.place;
        let Some(database) = error.as_database_error() else {
            return transient(format!("{place} could not be asked"));
        };
        let code: u32 = database.code().and_then(|code| code.parse().ok()).unwrap_or_default();
        let malformed = |problem: &str| Fault::new(FaultKind::Malformed, format!("{place} {problem}"));
        match code & 0xff {
            // PERM, CANTOPEN, AUTH; a file that is missing was told before.
            3 | 14 | 23 => self.forbidden(),
            // BUSY, LOCKED
            5 | 6 => trouble::locked(place),
            // READONLY: a write-ahead log or a hot journal that only a writer can take in.
            8 => transient(format!("{place} waits for a writer to take in its journal")),
            9 => slow(place),
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
