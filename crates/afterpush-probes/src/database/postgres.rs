//! PostgreSQL, and what speaks its protocol.
//!
//! Everything is read in one read-only transaction with its own time limits. Limits and read-only mode of the session would
//! also do, but a pooler in front of the server (PgBouncer, Supabase, Neon) refuses them at the start or gives the session to
//! another client afterwards; and unlike a session's mode, a transaction's cannot be taken back by what is asked in it.

use afterpush_core::fault::{Fault, FaultKind};
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection as _, Executor, Row, SqlSafeStr, Statement,
    postgres::{PgConnectOptions, PgConnection, PgSslMode},
};

use super::{
    address::{Encryption, Host, Security, Server},
    connection::{Connection, Dialect, Gathered, LOCK_LIMIT, STATEMENT_LIMIT, Table, TextRow, slow, transient},
    trouble,
    wire::Wire,
};

const PORT: u16 = 5432;

pub(super) struct PostgresSession {
    connection: PgConnection,
    wire: Option<Wire>,
    /// A fault ends the transaction; the next question begins another.
    is_in_transaction: bool,
    pub(super) security: Security,
    server: Server,
}

impl PostgresSession {
    pub(super) async fn open(server: &Server) -> Result<Self, Fault> {
        let port = server.port.unwrap_or(PORT);
        let wire = Wire::to(server, port).await.map_err(|error| fault(&error.into(), server))?;
        let mut options = PgConnectOptions::new_without_pgpass()
            .port(port)
            .username(server.user.as_deref().unwrap_or("postgres"))
            .application_name("afterpush")
            // What `names` prepares; it is taken out again there.
            .statement_cache_capacity(1)
            // Not every pooler takes it.
            .extra_float_digits(None)
            .ssl_mode(match server.encryption {
                Encryption::Off => PgSslMode::Disable,
                Encryption::Preferred => PgSslMode::Prefer,
                Encryption::Required => PgSslMode::Require,
                Encryption::VerifyAuthority => PgSslMode::VerifyCa,
                Encryption::VerifyHost => PgSslMode::VerifyFull,
            })
            .disable_statement_logging();
        options = match &server.host {
            Host::Name(name) => options.host(name),
            Host::Socket(directory) => options.socket(directory),
        };
        if let Some(wire) = &wire {
            options = options.socket(wire.directory());
        }
        if let Some(password) = &server.password {
            options = options.password(password);
        }
        if let Some(database) = server.database.as_deref().or(server.user.as_deref()) {
            options = options.database(database);
        }
        if let Some(path) = &server.root_certificate {
            options = options.ssl_root_cert(path);
        }
        if let (Some(certificate), Some(key)) = (&server.client_certificate, &server.client_key) {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        let connection = options.connect().await.map_err(|error| fault(&error, server))?;
        let security = server.security();
        let mut session = Self { connection, wire, is_in_transaction: false, security, server: server.clone() };
        session.begin().await?;
        Ok(session)
    }

    async fn begin(&mut self) -> Result<(), Fault> {
        if self.is_in_transaction {
            return Ok(());
        }
        // The first time there is nothing to roll back, which the server only notes.
        let begin = format!(
            "ROLLBACK; BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
            STATEMENT_LIMIT.as_millis(),
            LOCK_LIMIT.as_millis()
        );
        self.connection
            .execute(sqlx::raw_sql(AssertSqlSafe(begin)))
            .await
            .map_err(|error| fault(&error, &self.server))?;
        self.is_in_transaction = true;
        Ok(())
    }

    pub(super) async fn rows(&mut self, sql: &str, binds: &[&str], answer: &mut Gathered) -> Result<(), Fault> {
        self.begin().await?;
        // As a whole row in text: every type has its own text, and what is no SELECT cannot stand there.
        let sql = format!("SELECT afterpush_row::text FROM (\n{sql}\n) AS afterpush_row");
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for bind in binds {
            query = query.bind(*bind);
        }
        self.is_in_transaction = false;
        let mut rows = query.fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(|error| fault(&error, &self.server))? {
            let text: String = row.try_get(0).map_err(|error| fault(&error, &self.server))?;
            answer.add(cells(&text))?;
        }
        self.is_in_transaction = true;
        Ok(())
    }

    pub(super) async fn names(&mut self, sql: &str) -> Result<Vec<String>, Fault> {
        self.begin().await?;
        self.is_in_transaction = false;
        let sql = AssertSqlSafe(format!("SELECT * FROM (\n{sql}\n) AS afterpush_row")).into_sql_str();
        let statement = (&mut self.connection).prepare(sql).await.map_err(|error| fault(&error, &self.server))?;
        let names = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        // Behind a pooler a named statement would stay for the next client of the server's session.
        self.connection.clear_cached_statements().await.map_err(|error| fault(&error, &self.server))?;
        self.is_in_transaction = true;
        Ok(names)
    }

    pub(super) async fn close(self) {
        let _ = self.connection.close().await;
        if let Some(wire) = self.wire {
            wire.close().await;
        }
    }
}

/// Also of a table that may not be read: then the question for its rows tells.
pub(super) async fn columns(connection: &mut Connection, table: &Table) -> Result<Option<Vec<String>>, Fault> {
    let sql = "SELECT attname FROM pg_catalog.pg_attribute \
               WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    let rows = connection.rows(sql, &[&table.quoted(Dialect::Postgres)]).await?;
    Ok(Some(rows.into_iter().flatten().flatten().collect()))
}

/// The fields of a row as PostgreSQL writes it, see "Composite Type Input and Output Syntax" of its manual: `(1,"a ""b""",)`.
fn cells(row: &str) -> TextRow {
    let inside = row.strip_prefix('(').and_then(|row| row.strip_suffix(')')).unwrap_or(row);
    let mut cells = Vec::new();
    // Nothing at all is NULL; an empty text is a pair of quotes.
    let mut cell: Option<String> = None;
    let mut is_quoted = false;
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.get_or_insert_default().push('"');
            }
            '"' => {
                is_quoted = !is_quoted;
                cell.get_or_insert_default();
            }
            '\\' => cell.get_or_insert_default().extend(chars.next()),
            ',' if !is_quoted => cells.push(cell.take()),
            other => cell.get_or_insert_default().push(other),
        }
    }
    cells.push(cell);
    cells
}

/// The codes are of "PostgreSQL Error Codes", appendix A of its manual.
fn fault(error: &sqlx::Error, server: &Server) -> Fault {
    let place = &server.place;
    let Some(database) = error.as_database_error() else {
        return trouble::without_answer(error, server);
    };
    let unauthorized = |problem: String| Fault::new(FaultKind::Unauthorized, problem);
    match database.code().as_deref().unwrap_or_default() {
        // pg_hba.conf has no line for this user without encryption, or with it.
        "28000" if database.message().contains("no encryption") => {
            unauthorized(format!("{place} refuses this user without TLS; put sslmode=require into the address"))
        }
        "28000" | "28P01" => trouble::refused_user(place),
        "42501" => unauthorized(format!(
            "the user of {place} may not do this: {}; see the GRANT statements of the database guide",
            trouble::words(database.message(), server)
        )),
        "3D000" => transient(format!("{place} does not exist on its server")),
        "42P01" | "3F000" => Fault::new(
            FaultKind::NotFound,
            format!("no such table in {place}: {}", trouble::words(database.message(), server)),
        ),
        "42703" => transient(format!("no such column in {place}: {}", trouble::words(database.message(), server))),
        "53300" => trouble::full(place),
        "57014" => slow(place),
        "55P03" | "40P01" => trouble::locked(place),
        "57P01" | "57P02" | "57P03" => transient(format!("the server of {place} is starting or shutting down")),
        "25006" => {
            Fault::new(FaultKind::Malformed, format!("{place} was asked to change something; only reading is allowed"))
        }
        _ => trouble::answered(database.message(), server),
    }
}
