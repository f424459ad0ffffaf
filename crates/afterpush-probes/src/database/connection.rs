//! One connection to one database, for reading only: whatever is asked through it, nothing can be changed.
//!
//! Invariant: no message holds an address, a name of a host or user, or a password.

use std::time::Duration;

use afterpush_core::fault::{Fault, FaultKind};
use tokio::time::timeout;

use super::{
    address::{Address, Place, Security},
    mysql::MysqlSession,
    postgres::PostgresSession,
    sqlite::SqliteSession,
};

/// How long one statement may run; the server ends it where it can.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_secs(2);

/// How long to wait for a writer that holds a lock.
pub(super) const LOCK_LIMIT: Duration = Duration::from_secs(1);

/// How much longer than the server's own limit an answer may take: it has to travel.
const TRAVEL: Duration = Duration::from_millis(500);

/// How long connecting may take: name, handshake and login.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// How long a goodbye may take.
const CLOSE_LIMIT: Duration = Duration::from_millis(200);

/// The most rows of one answer.
const MOST_ROWS: usize = 20_000;

/// The most bytes of one answer.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The language of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// The placeholder of the bound text with this number, from 1. MySQL's have no number: they stand in their order.
    #[must_use]
    pub fn placeholder(self, number: usize) -> String {
        match self {
            Self::Postgres => format!("${number}"),
            Self::Mysql => "?".to_owned(),
            Self::Sqlite => format!("?{number}"),
        }
    }

    /// A name as this language quotes it.
    #[must_use]
    pub fn quoted(self, name: &str) -> String {
        match self {
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
            Self::Postgres | Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

/// A table, with the schema that it stands in where that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// PostgreSQL's schema, MySQL's or SQLite's database; `None` is the connection's own.
    pub schema: Option<String>,
    /// The table's name.
    pub name: String,
}

impl Table {
    /// Reads `table` or `schema.table`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once('.') {
            Some((schema, name)) => Self { schema: Some(schema.to_owned()), name: name.to_owned() },
            None => Self { schema: None, name: text.to_owned() },
        }
    }

    /// The table as a statement names it.
    #[must_use]
    pub fn quoted(&self, dialect: Dialect) -> String {
        let name = dialect.quoted(&self.name);
        match &self.schema {
            Some(schema) => format!("{}.{name}", dialect.quoted(schema)),
            None => name,
        }
    }
}

/// A row: every cell as text, NULL as `None`.
pub type TextRow = Vec<Option<String>>;

/// One open connection.
pub struct Connection {
    session: Session,
    place: Place,
}

enum Session {
    Postgres(PostgresSession),
    Mysql(MysqlSession),
    Sqlite(SqliteSession),
}

impl Connection {
    /// Connects, and makes the session read-only with time limits.
    ///
    /// # Errors
    /// [`FaultKind::Unauthorized`] when the database refuses the user, [`FaultKind::Malformed`] when the address cannot
    /// be used or what is there is no database, [`FaultKind::Transient`] for everything that may pass.
    pub async fn open(address: &Address) -> Result<Self, Fault> {
        let place = address.place().clone();
        let late = || transient(format!("{place} did not answer within {} s", CONNECT_LIMIT.as_secs()));
        let open = async {
            Ok(match address {
                Address::File(file) => Session::Sqlite(SqliteSession::open(file).await?),
                Address::Server(server) if server.dialect == Dialect::Mysql => {
                    Session::Mysql(MysqlSession::open(server).await?)
                }
                Address::Server(server) => Session::Postgres(PostgresSession::open(server).await?),
            })
        };
        let session = timeout(CONNECT_LIMIT, open).await.map_err(|_| late())??;
        Ok(Self { session, place })
    }

    /// The language to ask in.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.session {
            Session::Postgres(_) => Dialect::Postgres,
            Session::Mysql(_) => Dialect::Mysql,
            Session::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// How messages name the database.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How the way to the database is protected.
    #[must_use]
    pub fn security(&self) -> Security {
        match &self.session {
            Session::Postgres(session) => session.security,
            Session::Mysql(session) => session.security,
            Session::Sqlite(_) => Security::Local,
        }
    }

    /// The rows of one SELECT, with `binds` for its placeholders in their order. After a fault the connection can be asked
    /// again, unless it is the connection that broke.
    ///
    /// # Errors
    /// As [`Connection::open`]; also [`FaultKind::NotFound`] when a server has no such table, and
    /// [`FaultKind::Malformed`] for an answer of more than 20,000 rows or 4 MiB.
    pub async fn rows(&mut self, sql: &str, binds: &[&str]) -> Result<Vec<TextRow>, Fault> {
        let limit = STATEMENT_LIMIT + TRAVEL;
        let mut answer = Gathered::new(self.place.clone());
        let asked = async {
            match &mut self.session {
                Session::Postgres(session) => session.rows(sql, binds, &mut answer).await,
                Session::Mysql(session) => session.rows(sql, binds, &mut answer).await,
                Session::Sqlite(session) => session.rows(sql, binds, &mut answer).await,
            }
        };
        let place = &self.place;
        timeout(limit, asked).await.map_err(|_| slow(place))??;
        Ok(answer.rows)
    }

    /// The names of the columns that one SELECT answers with.
    ///
    /// # Errors
    /// As [`Connection::rows`].
    pub async fn names(&mut self, sql: &str) -> Result<Vec<String>, Fault> {
        let asked = async {
            match &mut self.session {
                Session::Postgres(session) => session.names(sql).await,
                Session::Mysql(session) => session.names(sql).await,
                Session::Sqlite(session) => session.names(sql).await,
            }
        };
        let place = &self.place;
        timeout(STATEMENT_LIMIT + TRAVEL, asked).await.map_err(|_| slow(place))?
    }

    /// The columns of a table; `None` when there is no such table.
    ///
    /// # Errors
    /// As [`Connection::rows`]; [`FaultKind::Unauthorized`] when the table may not be read.
    pub async fn columns(&mut self, table: &Table) -> Result<Option<Vec<String>>, Fault> {
        let asked = match self.dialect() {
            Dialect::Postgres => super::postgres::columns(self, table).await,
            Dialect::Mysql => super::mysql::columns(self, table).await,
            Dialect::Sqlite => super::sqlite::columns(self, table).await,
        };
        Ok(asked?.filter(|columns| !columns.is_empty()))
    }

    /// Says goodbye. A connection that was only read from has nothing to lose at its end, so trouble with that is not told.
    pub async fn close(self) {
        let goodbye = async {
            match self.session {
                Session::Postgres(session) => session.close().await,
                Session::Mysql(session) => session.close().await,
                Session::Sqlite(session) => session.close().await,
            }
        };
        let _ = timeout(CLOSE_LIMIT, goodbye).await;
    }
}

/// The rows of an answer, as many as are taken.
pub(super) struct Gathered {
    rows: Vec<TextRow>,
    bytes: usize,
    place: Place,
}

impl Gathered {
    fn new(place: Place) -> Self {
        Self { rows: Vec::new(), bytes: 0, place }
    }

    pub(super) fn add(&mut self, row: TextRow) -> Result<(), Fault> {
        self.bytes += row.iter().flatten().map(String::len).sum::<usize>();
        if self.rows.len() == MOST_ROWS || self.bytes > MOST_BYTES {
            let problem = format!("{} answered with more than {MOST_ROWS} rows or {MOST_BYTES} bytes", self.place);
            return Err(Fault::new(FaultKind::Malformed, problem));
        }
        self.rows.push(row);
        Ok(())
    }
}

pub(super) fn transient(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Transient, message)
}

pub(super) fn slow(place: &Place) -> Fault {
    transient(format!("a question to {place} took more than {} s", STATEMENT_LIMIT.as_secs()))
}
