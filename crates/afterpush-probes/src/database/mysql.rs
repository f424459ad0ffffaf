//! MySQL and MariaDB: a session that is read-only, in one read-only transaction.

use afterpush_core::fault::{Fault, FaultKind};
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection as _, Executor, Row, SqlSafeStr, Statement, TypeInfo, ValueRef,
    mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlRow, MySqlSslMode},
};

use super::{
    address::{Encryption, Host, Security, Server},
    connection::{Connection, Dialect, Gathered, LOCK_LIMIT, STATEMENT_LIMIT, Table, slow, transient},
    trouble,
    wire::Wire,
};

const PORT: u16 = 3306;

pub(super) struct MysqlSession {
    connection: MySqlConnection,
    wire: Option<Wire>,
    pub(super) security: Security,
    server: Server,
}

impl MysqlSession {
    pub(super) async fn open(server: &Server) -> Result<Self, Fault> {
        let port = server.port.unwrap_or(PORT);
        let wire = Wire::to(server, port).await.map_err(|error| fault(&error.into(), server))?;
        let mut options = MySqlConnectOptions::new()
            .port(port)
            .username(server.user.as_deref().unwrap_or("root"))
            // Each would change what a question means to this server.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .ssl_mode(match server.encryption {
                Encryption::Off => MySqlSslMode::Disabled,
                Encryption::Preferred => MySqlSslMode::Preferred,
                Encryption::Required => MySqlSslMode::Required,
                Encryption::VerifyAuthority => MySqlSslMode::VerifyCa,
                Encryption::VerifyHost => MySqlSslMode::VerifyIdentity,
            })
            .disable_statement_logging();
        options = match &server.host {
            Host::Name(name) => options.host(name),
            Host::Socket(path) => options.socket(path),
        };
        if let Some(wire) = &wire {
            options = options.socket(wire.file());
        }
        if let Some(password) = &server.password {
            options = options.password(password);
        }
        if let Some(database) = &server.database {
            options = options.database(database);
        }
        if let Some(path) = &server.root_certificate {
            options = options.ssl_ca(path);
        }
        if let (Some(certificate), Some(key)) = (&server.client_certificate, &server.client_key) {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        let mut connection = options.connect().await.map_err(|error| fault(&error, server))?;
        // The two servers name the time limit differently; each takes only its own comment:
        // https://mariadb.com/kb/en/comment-syntax/ (MariaDB skips /*!50700 up to /*!99999).
        let lock = LOCK_LIMIT.as_secs();
        let setting_up = format!(
            "SET SESSION TRANSACTION READ ONLY; \
             SET SESSION lock_wait_timeout = {lock} /*!50708 , SESSION max_execution_time = {} */ \
             /*M!100101 , SESSION max_statement_time = {} */; START TRANSACTION READ ONLY",
            STATEMENT_LIMIT.as_millis(),
            STATEMENT_LIMIT.as_secs()
        );
        connection.execute(sqlx::raw_sql(AssertSqlSafe(setting_up))).await.map_err(|error| fault(&error, server))?;
        Ok(Self { connection, wire, security: server.security(), server: server.clone() })
    }

    pub(super) async fn rows(&mut self, sql: &str, binds: &[&str], answer: &mut Gathered) -> Result<(), Fault> {
        // Statements are kept until the goodbye: a message that closes one, with the next question behind it, waits for the
        // server's delayed acknowledgement, which costs 40 ms.
        let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
        for bind in binds {
            query = query.bind(*bind);
        }
        let mut rows = query.fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(|error| fault(&error, &self.server))? {
            let cells: Result<_, sqlx::Error> = (0..row.len()).map(|index| cell(&row, index)).collect();
            answer.add(cells.map_err(|error| fault(&error, &self.server))?)?;
        }
        Ok(())
    }

    pub(super) async fn names(&mut self, sql: &str) -> Result<Vec<String>, Fault> {
        let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
        let statement = (&mut self.connection).prepare(sql).await.map_err(|error| fault(&error, &self.server))?;
        Ok(statement.columns().iter().map(|column| column.name().to_owned()).collect())
    }

    pub(super) async fn close(self) {
        let _ = self.connection.close().await;
        if let Some(wire) = self.wire {
            wire.close().await;
        }
    }
}

pub(super) async fn columns(connection: &mut Connection, table: &Table) -> Result<Option<Vec<String>>, Fault> {
    let sql = "SELECT column_name FROM information_schema.columns \
               WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ? ORDER BY ordinal_position";
    let schema = table.schema.as_deref().unwrap_or_default();
    let rows = connection.rows(sql, &[schema, &table.name]).await?;
    if rows.is_empty() {
        // What may not be read is not listed either. Asking for it tells the two apart.
        let probe = format!("SELECT 1 FROM {} LIMIT 0", table.quoted(Dialect::Mysql));
        return match connection.rows(&probe, &[]).await {
            Err(fault) if fault.kind != FaultKind::NotFound => Err(fault),
            _ => Ok(None),
        };
    }
    Ok(Some(rows.into_iter().flatten().flatten().collect()))
}

/// A cell as text. Values of a prepared statement come in the binary form of the protocol:
/// <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>.
fn cell(row: &MySqlRow, index: usize) -> Result<Option<String>, sqlx::Error> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(None);
    }
    let kind = raw.type_info().name().to_owned();
    let bytes: &[u8] = row.try_get_unchecked(index)?;
    let text = match kind.as_str() {
        "FLOAT" => row.try_get_unchecked::<f32, _>(index)?.to_string(),
        "DOUBLE" => row.try_get_unchecked::<f64, _>(index)?.to_string(),
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => {
            row.try_get_unchecked::<i64, _>(index)?.to_string()
        }
        "YEAR" | "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED"
        | "BIGINT UNSIGNED" | "BIT" => row.try_get_unchecked::<u64, _>(index)?.to_string(),
        "DATE" => moment(bytes, false),
        "DATETIME" | "TIMESTAMP" => moment(bytes, true),
        "TIME" => span(bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    Ok(Some(text))
}

/// Length, year (two bytes, low one first), month, day, and, where they are not zero, hour, minute, second, microseconds.
fn moment(bytes: &[u8], has_time: bool) -> String {
    let date = format!("{:04}-{:02}-{:02}", number(bytes, 1, 2), number(bytes, 3, 1), number(bytes, 4, 1));
    if has_time { format!("{date} {:02}:{}", number(bytes, 5, 1), minutes(bytes, 6)) } else { date }
}

/// Length, sign, days (four bytes), hour, minute, second, microseconds.
fn span(bytes: &[u8]) -> String {
    let sign = if number(bytes, 1, 1) == 1 { "-" } else { "" };
    format!("{sign}{:02}:{}", 24 * number(bytes, 2, 4) + number(bytes, 6, 1), minutes(bytes, 7))
}

/// Minute, second and microseconds, these only where they are not zero.
fn minutes(bytes: &[u8], at: usize) -> String {
    let text = format!("{:02}:{:02}", number(bytes, at, 1), number(bytes, at + 1, 1));
    match number(bytes, at + 2, 4) {
        0 => text,
        micros => format!("{text}.{micros:06}"),
    }
}

/// A number of so many bytes, the lowest first; what was not sent is zero.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let byte = |index: usize| u64::from(bytes.get(at + index).copied().unwrap_or_default());
    (0..length).rev().fold(0, |sum, index| 256 * sum + byte(index))
}

/// The numbers are of <https://mariadb.com/kb/en/mariadb-error-code-reference/>, those from 3000 on MySQL's.
fn fault(error: &sqlx::Error, server: &Server) -> Fault {
    let place = &server.place;
    let Some(database) = error.as_database_error() else {
        return trouble::without_answer(error, server);
    };
    let number = database.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number);
    match number {
        1045 | 1698 => trouble::refused_user(place),
        1044 | 1142 | 1143 | 1227 => Fault::new(
            FaultKind::Unauthorized,
            format!(
                "the user of {place} may not read what was asked for; see the GRANT statements of the database guide"
            ),
        ),
        1129 | 1130 => Fault::new(
            FaultKind::Unauthorized,
            format!("the server of {place} refuses connections from this machine; see the database guide"),
        ),
        // ER_SECURE_TRANSPORT_REQUIRED
        3159 => Fault::new(
            FaultKind::Unauthorized,
            format!("{place} refuses connections without TLS; put ssl-mode=REQUIRED into the address"),
        ),
        1046 => Fault::new(FaultKind::Malformed, format!("{place}: its address names no database")),
        1049 => transient(format!("{place} does not exist on its server")),
        1146 => Fault::new(
            FaultKind::NotFound,
            format!("no such table in {place}: {}", trouble::words(database.message(), server)),
        ),
        1054 => transient(format!("no such column in {place}: {}", trouble::words(database.message(), server))),
        1040 | 1203 | 1226 => trouble::full(place),
        1205 | 1213 => trouble::locked(place),
        1317 | 1969 | 3024 => slow(place),
        1053 | 1077 | 1079 => transient(format!("the server of {place} is shutting down")),
        1792 => {
            Fault::new(FaultKind::Malformed, format!("{place} was asked to change something; only reading is allowed"))
        }
        _ => trouble::answered(database.message(), server),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_their_binary_form() {
        assert_eq!(moment(&[4, 0xea, 7, 11, 21], false), "2026-11-21");
        assert_eq!(moment(&[4, 0xea, 7, 11, 21], true), "2026-11-21 00:00:00");
        let full = [11, 0xea, 7, 11, 21, 13, 5, 9, 0x20, 0xa1, 7, 0];
        assert_eq!(moment(&full, true), "2026-11-21 13:05:09.500000");
        assert_eq!(span(&[8, 1, 1, 0, 0, 0, 2, 3, 4]), "-26:03:04");
        assert_eq!(span(&[0]), "00:00:00");
    }
}
