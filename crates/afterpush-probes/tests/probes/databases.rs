//! What real PostgreSQL and MariaDB servers say, and what their trouble is called. SQLite has its own file, `database.rs`.

mod access;
mod trouble;

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use afterpush_core::{
    config::{DatabaseAddress, DatabaseColumns, DatabaseConfig, DatabaseWords, Source, combine},
    fault::{Fault, FaultKind},
    id::CommitId,
    observation::{DatabaseObservation, RowState},
    run::Relation,
};
use afterpush_probes::{
    DatabaseProbe,
    database::{Address, Connection, Dialect, Place, Security, Table},
};
use afterpush_testkit::{
    databases::{DatabaseServer, Offer, shared, there},
    sandbox::skipped,
};
use sqlx::{AssertSqlSafe, Executor, MySqlConnection, PgConnection};

const OURS: &str = "1234567890abcdef1234567890abcdef12345678";
const PASSWORD: &str = "pw-canary";

/// The superuser, over the socket.
pub(crate) enum Admin {
    Postgres(PgConnection),
    Mariadb(MySqlConnection),
}

impl Admin {
    async fn new(server: &DatabaseServer, database: &str) -> Self {
        use sqlx::Connection;
        let address = server.admin_address(database);
        if address.starts_with("postgres") {
            Self::Postgres(PgConnection::connect(&address).await.unwrap())
        } else {
            Self::Mariadb(MySqlConnection::connect(&address).await.unwrap())
        }
    }

    async fn run(&mut self, sql: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Postgres(connection) => drop(connection.execute(statement).await.unwrap()),
            Self::Mariadb(connection) => drop(connection.execute(statement).await.unwrap()),
        }
    }
}

/// A database of a test's own, and a user who may read its table `deployments` and nothing else.
pub(crate) struct Fresh {
    pub(crate) server: &'static DatabaseServer,
    pub(crate) is_postgres: bool,
    pub(crate) name: String,
    admin: Admin,
}

impl Fresh {
    pub(crate) async fn new(server: &'static DatabaseServer) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("secretname{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let is_postgres = server.is_postgres();
        let mut first = Admin::new(server, if is_postgres { "postgres" } else { "mysql" }).await;
        first.run(&format!("CREATE DATABASE {name}")).await;
        if is_postgres {
            first.run(&format!("CREATE USER {name} PASSWORD '{PASSWORD}'")).await;
        } else {
            first.run(&format!("CREATE USER {name}@localhost IDENTIFIED BY '{PASSWORD}'")).await;
        }
        let admin = Admin::new(server, &name).await;
        Self { server, is_postgres, name, admin }
    }

    /// With the table and the right to read it.
    async fn with_table(server: &'static DatabaseServer, columns: &str) -> Self {
        let mut fresh = Self::new(server).await;
        fresh.run(&format!("CREATE TABLE deployments ({})", fresh.own(columns))).await;
        fresh.grant().await;
        fresh
    }

    async fn snake(server: &'static DatabaseServer) -> Self {
        let columns = "id serial, commit_sha varchar(64), status text, error_message text, created_at timestamp NULL";
        Self::with_table(server, columns).await
    }

    async fn grant(&mut self) {
        let user = if self.is_postgres { self.name.clone() } else { format!("{}@localhost", self.name) };
        self.run(&format!("GRANT SELECT ON deployments TO {user}")).await;
    }

    /// In the quotes of this server.
    fn own(&self, sql: &str) -> String {
        if self.is_postgres { sql.to_owned() } else { sql.replace('"', "`") }
    }

    pub(crate) async fn run(&mut self, sql: &str) {
        self.admin.run(sql).await;
    }

    async fn insert(&mut self, commit: &str, status: &str, error: &str, second: u32) {
        let time = format!("2026-01-01 10:00:{second:02}");
        self.run(&format!(
            "INSERT INTO deployments (commit_sha, status, error_message, created_at) \
             VALUES ('{commit}', '{status}', '{error}', '{time}')"
        ))
        .await;
    }

    fn address(&self, more: &str) -> Address {
        address(&self.server.address(&self.name, PASSWORD, &self.name, more))
    }

    async fn ask(&self) -> Result<DatabaseObservation, Fault> {
        ask(self.address("")).await
    }

    /// What a superuser's connection of ours may do.
    async fn connection(&self) -> Connection {
        Connection::open(&address(&self.server.admin_address(&self.name))).await.unwrap()
    }
}

fn config() -> DatabaseConfig {
    DatabaseConfig {
        address: DatabaseAddress::Url { variable: "DATABASE_URL".to_owned() },
        records: true,
        deployments: "deployments".to_owned(),
        query: None,
        columns: DatabaseColumns::default(),
        words: DatabaseWords::default(),
    }
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text, Place::of_variable("DATABASE_URL")).unwrap()
}

async fn ask(address: Address) -> Result<DatabaseObservation, Fault> {
    ask_by(address, config()).await
}

async fn ask_by(address: Address, config: DatabaseConfig) -> Result<DatabaseObservation, Fault> {
    let start = Instant::now();
    let answer = DatabaseProbe::new(config, address, CommitId::parse(OURS).unwrap()).ask().await;
    assert!(start.elapsed() < Duration::from_secs(6), "{:?} {answer:?}", start.elapsed());
    let shown = format!("{answer:?}");
    assert!(!shown.contains("canary") && !shown.contains("secretname") && !shown.contains("localhost"), "{shown}");
    answer
}

fn row(answer: Result<DatabaseObservation, Fault>) -> (RowState, String, Option<String>) {
    match answer.unwrap() {
        DatabaseObservation::Row(row) => {
            assert_eq!(row.commit.relation, Relation::Same);
            (row.state, row.raw, row.error)
        }
        DatabaseObservation::NoRow => panic!("there is a row"),
    }
}

fn trouble(answer: Result<DatabaseObservation, Fault>, kind: FaultKind, expected: &str) {
    let fault = answer.unwrap_err();
    assert!(fault.kind == kind && fault.message.contains(expected), "{fault:?}, expected {kind}: {expected}");
}

#[tokio::test]
async fn every_verdict_of_a_row_in_both_naming_styles() {
    for server in shared("every_verdict_of_a_row_in_both_naming_styles") {
        let mut snake = Fresh::snake(server).await;
        assert_eq!(snake.ask().await.unwrap(), DatabaseObservation::NoRow);
        snake.insert(&OURS.replace('1', "2"), "success", "", 59).await;
        snake.insert(&OURS[..6], "success", "", 58).await;
        assert_eq!(snake.ask().await.unwrap(), DatabaseObservation::NoRow, "rows of others");
        snake.insert(&OURS[..7].to_uppercase(), "Building", "", 1).await;
        assert_eq!(row(snake.ask().await), (RowState::InProgress, "Building".to_owned(), None));
        snake.insert(OURS, "failed", "no space\nleft \u{1b}[31m", 2).await;
        let (state, _, error) = row(snake.ask().await);
        assert_eq!((state, error.as_deref()), (RowState::Failed, Some("no space left")));
        // A row without a time is not the newest one, and of two of the same second the later one counts.
        snake.run(&format!("INSERT INTO deployments (commit_sha, status) VALUES ('{OURS}', 'failed')")).await;
        snake.insert(OURS, "failed", "", 3).await;
        snake.insert(OURS, " SUCCESS ", "", 3).await;
        assert_eq!(row(snake.ask().await), (RowState::Success, "SUCCESS".to_owned(), None));

        let columns = "\"commitSha\" char(40), status text, \"errorMessage\" text, \"createdAt\" timestamp NULL";
        let mut camel = Fresh::with_table(server, columns).await;
        let insert = format!("INSERT INTO deployments VALUES ('{OURS}', 'failed', 'boom', '2026-01-01')");
        camel.run(&insert).await;
        assert_eq!(row(camel.ask().await), (RowState::Failed, "failed".to_owned(), Some("boom".to_owned())));
    }
}

#[tokio::test]
async fn names_and_words_of_the_configuration_are_used_whatever_their_types() {
    for server in shared("names_and_words_of_the_configuration_are_used_whatever_their_types") {
        let mut fresh = Fresh::new(server).await;
        let sql =
            fresh.own("CREATE TABLE \"Order\" (\"select\" text, \"from\" int, \"group by\" decimal(5,2), at bigint)");
        fresh.run(&sql).await;
        let sql = fresh.own(&format!("INSERT INTO \"Order\" VALUES ('{OURS}', 7, 1.50, 1)"));
        fresh.run(&sql).await;
        let user = if fresh.is_postgres { fresh.name.clone() } else { format!("{}@localhost", fresh.name) };
        let sql = fresh.own(&format!("GRANT SELECT ON \"Order\" TO {user}"));
        fresh.run(&sql).await;
        let mut config = config();
        let schema = if fresh.is_postgres { "public" } else { &fresh.name };
        config.deployments = format!("{schema}.Order");
        config.columns = DatabaseColumns {
            commit: Some("select".to_owned()),
            status: Some("from".to_owned()),
            error: Some("group by".to_owned()),
            created_at: Some("at".to_owned()),
        };
        config.words.success = vec!["7".to_owned()];
        let answer = ask_by(fresh.address(""), config).await;
        assert_eq!(row(answer), (RowState::Success, "7".to_owned(), Some("1.50".to_owned())));
    }
}

#[tokio::test]
async fn what_is_missing_is_told_and_may_still_come() {
    for server in shared("what_is_missing_is_told_and_may_still_come") {
        let mut fresh = Fresh::new(server).await;
        if fresh.is_postgres {
            trouble(fresh.ask().await, FaultKind::Transient, "no such table: deployments in the database named by");
        } else {
            // Without any right in a database MariaDB does not let anybody in.
            trouble(fresh.ask().await, FaultKind::Unauthorized, "may not read what was asked for; see the GRANT");
            let sql = format!("GRANT SELECT ON {}.* TO {}@localhost", fresh.name, fresh.name);
            fresh.run(&sql).await;
            trouble(fresh.ask().await, FaultKind::Transient, "no such table");
        }
        fresh.run("CREATE TABLE deployments (commit_sha varchar(40), status text)").await;
        fresh.grant().await;
        trouble(
            fresh.ask().await,
            FaultKind::Transient,
            "no such column: createdAt or created_at in table deployments",
        );
        fresh.run("ALTER TABLE deployments ADD COLUMN created_at timestamp NULL").await;
        assert_eq!(fresh.ask().await.unwrap(), DatabaseObservation::NoRow);
    }
}

#[tokio::test]
async fn cells_of_every_type_are_text_and_an_answer_has_bounds() {
    for server in shared("cells_of_every_type_are_text_and_an_answer_has_bounds") {
        let fresh = Fresh::new(server).await;
        let mut connection = fresh.connection().await;
        let (sql, expected): (_, &[_]) = if fresh.is_postgres {
            (
                "SELECT 1, true, 1.50::numeric, 0.5::float8, NULL::text, '', 'a,(\"b\\)', '{1,2}'::int[], \
                 '{\"k\": [1]}'::jsonb, '2026-11-21 13:05:09.5'::timestamp, $1 || '!'",
                &[
                    "1",
                    "t",
                    "1.50",
                    "0.5",
                    "NULL",
                    "",
                    "a,(\"b\\)",
                    "{1,2}",
                    "{\"k\": [1]}",
                    "2026-11-21 13:05:09.5",
                    "bound!",
                ],
            )
        } else {
            (
                "SELECT 1, -7, 18446744073709551615, 1.50, 0.5e0, NULL, '', 'ü', CAST('2026-11-21' AS DATE), \
                 CAST('2026-11-21 13:05:09.5' AS DATETIME(3)), CAST('-26:03:04' AS TIME), concat(?, '!')",
                &[
                    "1",
                    "-7",
                    "18446744073709551615",
                    "1.50",
                    "0.5",
                    "NULL",
                    "",
                    "ü",
                    "2026-11-21",
                    "2026-11-21 13:05:09.500000",
                    "-26:03:04",
                    "bound!",
                ],
            )
        };
        let rows = connection.rows(sql, &["bound"]).await.unwrap();
        let cells: Vec<String> = rows[0].iter().map(|cell| cell.clone().unwrap_or("NULL".to_owned())).collect();
        assert_eq!(cells, expected);
        let many = if fresh.is_postgres {
            "SELECT generate_series(1, 20001)"
        } else {
            "SELECT seq FROM mysql.help_topic a, mysql.help_topic b, (SELECT 1 AS seq) c LIMIT 20001"
        };
        let fault = connection.rows(many, &[]).await.unwrap_err();
        assert!(fault.kind == FaultKind::Malformed && fault.message.contains("more than 20000 rows"), "{fault:?}");
        let names = connection
            .names(
                "SELECT 1 AS status, 'x' AS \"commit\""
                    .replace('"', if fresh.is_postgres { "\"" } else { "`" })
                    .as_str(),
            )
            .await;
        assert_eq!(names.unwrap(), ["status", "commit"]);
        if fresh.is_postgres {
            let left =
                connection.rows("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''", &[]).await.unwrap();
            assert_eq!(left, [[Some("0".to_owned())]], "a pooler would hand it to the next client");
        }
        connection.close().await;
    }
}

/// The configuration is read as a user writes it.
fn with_query(query: &str) -> DatabaseConfig {
    let text = format!("[[target]]\nname = \"web\"\ndatabase = {{ url_env = \"DATABASE_URL\", query = {query:?} }}");
    let mut read = combine(None, false, Some(Source { name: "config.toml", text: &text })).unwrap();
    read.targets.remove(0).database.unwrap()
}

#[tokio::test]
async fn a_query_of_the_users_own_takes_the_place_of_the_table() {
    for server in shared("a_query_of_the_users_own_takes_the_place_of_the_table") {
        let mut fresh = Fresh::snake(server).await;
        fresh.insert(OURS, "success", "", 1).await;
        let own = "SELECT error_message AS error, Status, commit_sha AS \"commit\" FROM deployments \
                   WHERE commit_sha = $commit OR commit_sha = $commit ORDER BY id DESC LIMIT 1";
        let config = with_query(&fresh.own(own));
        let answer = ask_by(fresh.address(""), config.clone()).await;
        assert_eq!(row(answer), (RowState::Success, "success".to_owned(), None));
        fresh.insert(OURS, "failed", "boom", 2).await;
        assert_eq!(row(ask_by(fresh.address(""), config.clone()).await).2.as_deref(), Some("boom"));
        fresh.run("DELETE FROM deployments").await;
        assert_eq!(ask_by(fresh.address(""), config).await.unwrap(), DatabaseObservation::NoRow);

        // A query that does not look for the commit finds another's row, which says nothing about ours.
        fresh.insert(&OURS.replace('1', "2"), "failed", "of another", 3).await;
        let loose = "SELECT status, commit_sha AS \"commit\" FROM deployments WHERE $commit <> '' LIMIT 1";
        let loose = with_query(&fresh.own(loose));
        assert_eq!(ask_by(fresh.address(""), loose).await.unwrap(), DatabaseObservation::NoRow);
        let nameless = with_query("SELECT status FROM deployments WHERE commit_sha = $commit");
        let answer = ask_by(fresh.address(""), nameless).await;
        trouble(answer, FaultKind::Malformed, "has no column commit; it needs status and commit");
        let wrong = with_query("SELECT status FROM absent WHERE commit_sha = $commit");
        let fault = ask_by(fresh.address(""), wrong).await.unwrap_err();
        assert!(["no such table", "may not read"].iter().any(|words| fault.message.contains(words)), "{fault:?}");
    }
}
