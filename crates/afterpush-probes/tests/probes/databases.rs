//! What real PostgreSQL and MariaDB servers say, and what their trouble is called. SQLite has its own file, `database.rs`.

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
async fn who_may_not_come_in_or_not_read_is_told_what_to_do() {
    for server in shared("who_may_not_come_in_or_not_read_is_told_what_to_do") {
        let mut fresh = Fresh::snake(server).await;
        let wrong = address(&server.address(&fresh.name, "canary", &fresh.name, ""));
        trouble(ask(wrong).await, FaultKind::Unauthorized, "refuses the user name or the password");
        let other = address(&server.address(&fresh.name, PASSWORD, "secretname_other", ""));
        let kind = if fresh.is_postgres { FaultKind::Transient } else { FaultKind::Unauthorized };
        trouble(ask(other).await, kind, "the database named by DATABASE_URL");
        let user = if fresh.is_postgres { fresh.name.clone() } else { format!("{}@localhost", fresh.name) };
        fresh.run(&format!("REVOKE SELECT ON deployments FROM {user}")).await;
        trouble(fresh.ask().await, FaultKind::Unauthorized, "see the GRANT statements of the database guide");
    }
}

#[tokio::test]
async fn tls_is_used_verified_and_asked_for_as_the_address_says() {
    for server in shared("tls_is_used_verified_and_asked_for_as_the_address_says") {
        let fresh = Fresh::snake(server).await;
        let authority = server.authority().display().to_string();
        let verified = format!("?sslmode=verify-full&sslrootcert={authority}");
        for (more, security) in [
            ("?sslmode=require", Security::Encrypted),
            (verified.as_str(), Security::Verified),
            ("?sslmode=disable", Security::Local),
        ] {
            let mut connection = Connection::open(&fresh.address(more)).await.unwrap();
            assert_eq!(connection.security(), security, "{more}");
            let sql = match connection.dialect() {
                Dialect::Postgres => "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                _ => {
                    "SELECT variable_value <> '' FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'"
                }
            };
            let is_encrypted = connection.rows(sql, &[]).await.unwrap()[0][0].clone().unwrap();
            assert_eq!(
                ["t", "1"].contains(&is_encrypted.as_str()),
                security != Security::Local,
                "{more} {is_encrypted}"
            );
            connection.close().await;
        }
        let unknown = "its issuer is unknown; name the authority's file";
        trouble(ask(fresh.address("?sslmode=verify-full")).await, FaultKind::Malformed, unknown);
        let by_number = server.address(&fresh.name, PASSWORD, &fresh.name, &verified).replace("localhost", "127.0.0.1");
        trouble(ask(address(&by_number)).await, FaultKind::Malformed, "it is for another host");
    }
}

#[tokio::test]
async fn a_server_that_wants_tls_and_one_that_has_none_are_told_apart() {
    let test = "a_server_that_wants_tls_and_one_that_has_none_are_told_apart";
    for server in shared(test) {
        let mut fresh = Fresh::new(server).await;
        if fresh.is_postgres {
            fresh.run(&format!("CREATE USER tlsonly PASSWORD '{PASSWORD}'")).await;
        } else {
            fresh.run(&format!("CREATE USER tlsonly@localhost IDENTIFIED BY '{PASSWORD}' REQUIRE SSL")).await;
            fresh.run(&format!("GRANT SELECT ON {}.* TO tlsonly@localhost", fresh.name)).await;
        }
        let by = |more: &str| address(&server.address("tlsonly", PASSWORD, &fresh.name, more));
        let said =
            if fresh.is_postgres { "refuses this user without TLS" } else { "refuses the user name or the password" };
        trouble(ask(by("?sslmode=disable")).await, FaultKind::Unauthorized, said);
        trouble(ask(by("?sslmode=require")).await, FaultKind::Transient, "no such table");
    }
    let plain = [DatabaseServer::postgres(Offer::Plain), DatabaseServer::mariadb(Offer::Plain)];
    for server in there(test, [&plain[0], &plain[1]]) {
        let is_postgres = server.is_postgres();
        let (admin, database) = if is_postgres { ("postgres", "postgres") } else { ("root", "mysql") };
        let by = |more: &str| address(&server.address(admin, PASSWORD, database, more));
        trouble(ask(by("?sslmode=require")).await, FaultKind::Malformed, "does not offer TLS; change its TLS mode");
        trouble(ask(by("")).await, FaultKind::Unauthorized, "refuses the user name or the password");
    }
}

#[tokio::test]
async fn nothing_can_be_changed_through_the_connection() {
    for server in shared("nothing_can_be_changed_through_the_connection") {
        let mut fresh = Fresh::snake(server).await;
        fresh.insert(OURS, "failed", "", 1).await;
        let body = "INSERT INTO deployments (status) VALUES ('written')";
        let function = if fresh.is_postgres {
            format!("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ {body} RETURNING 1 $$")
        } else {
            format!("CREATE FUNCTION f() RETURNS int BEGIN {body}; RETURN 1; END")
        };
        fresh.run(&function).await;
        // As the superuser, who may do everything.
        let mut connection = fresh.connection().await;
        for sql in [
            body,
            "UPDATE deployments SET status = 'written'",
            "DELETE FROM deployments",
            "DROP TABLE deployments",
            "CREATE TABLE written (x int)",
            "SELECT f()",
            "COMMIT",
            "SELECT 1; DELETE FROM deployments",
            "SELECT 1) AS x; COMMIT; DELETE FROM deployments --",
        ] {
            let answer = connection.rows(sql, &[]).await;
            if fresh.is_postgres || sql != "COMMIT" {
                assert!(answer.is_err(), "{sql}: {answer:?}");
            }
        }
        // In spite of all that, the same connection still reads, and nothing has changed.
        let rows = connection.rows("SELECT status FROM deployments", &[]).await.unwrap();
        assert_eq!(rows, [[Some("failed".to_owned())]]);
        let table = Table { schema: None, name: "written".to_owned() };
        let made = connection.columns(&table).await;
        assert!(!matches!(made, Ok(Some(_))), "{made:?}");
        let fault = connection.rows("SELECT f()", &[]).await.unwrap_err();
        assert!(fault.message.contains("only reading is allowed"), "{fault:?}");
        connection.close().await;
    }
}

#[tokio::test]
async fn a_lock_on_the_table_is_waited_for_a_second_and_told() {
    for server in shared("a_lock_on_the_table_is_waited_for_a_second_and_told") {
        let mut fresh = Fresh::snake(server).await;
        fresh.insert(OURS, "success", "", 1).await;
        let (lock, unlock) = if fresh.is_postgres {
            ("BEGIN; LOCK TABLE deployments IN ACCESS EXCLUSIVE MODE", "COMMIT")
        } else {
            ("LOCK TABLES deployments WRITE", "UNLOCK TABLES")
        };
        fresh.run(lock).await;
        trouble(fresh.ask().await, FaultKind::Transient, "is locked by a writer");
        fresh.run(unlock).await;
        assert_eq!(row(fresh.ask().await).0, RowState::Success);
    }
}

#[tokio::test]
async fn a_question_without_an_end_is_ended_by_the_server() {
    for server in shared("a_question_without_an_end_is_ended_by_the_server") {
        let mut fresh = Fresh::new(server).await;
        fresh.run("CREATE TABLE many (n int)").await;
        let values: Vec<String> = (0..400).map(|n| format!("({n})")).collect();
        fresh.run(&format!("INSERT INTO many VALUES {}", values.join(","))).await;
        let mut connection = fresh.connection().await;
        let start = Instant::now();
        let endless = "SELECT count(*) FROM many a, many b, many c, many d WHERE a.n + b.n * c.n - d.n = -1";
        let fault = connection.rows(endless, &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient);
        assert_eq!(fault.message, "a question to the database named by DATABASE_URL took more than 2 s");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        connection.close().await;
        // The server does not go on with it.
        let running = if fresh.is_postgres {
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%many d WHERE%' AND pid <> pg_backend_pid()"
        } else {
            "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%many d WHERE%' AND id <> connection_id()"
        };
        let mut connection = fresh.connection().await;
        assert_eq!(connection.rows(running, &[]).await.unwrap(), [[Some("0".to_owned())]]);
        connection.close().await;
    }
}

#[tokio::test]
async fn a_limit_of_connections_is_told() {
    for server in shared("a_limit_of_connections_is_told") {
        let mut fresh = Fresh::snake(server).await;
        let limit = if fresh.is_postgres {
            format!("ALTER USER {} CONNECTION LIMIT 1", fresh.name)
        } else {
            format!("ALTER USER {}@localhost WITH MAX_USER_CONNECTIONS 1", fresh.name)
        };
        fresh.run(&limit).await;
        let first = Connection::open(&fresh.address("")).await.unwrap();
        trouble(fresh.ask().await, FaultKind::Transient, "has too many connections; it is asked again");
        first.close().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_dies_in_the_middle_is_trouble() {
    let test = "a_server_that_is_not_there_or_dies_in_the_middle_is_trouble";
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for scheme in ["postgres", "mysql"] {
        let nobody = address(&format!("{scheme}://u:canary@localhost:{closed}/secretname"));
        trouble(ask(nobody).await, FaultKind::Transient, "the connection was refused");
        let nowhere = address(&format!("{scheme}://u:canary@secretname.invalid/x"));
        trouble(ask(nowhere).await, FaultKind::Transient, "the host name of the database named by DATABASE_URL");
        let no_socket = address(&format!("{scheme}://u:canary@localhost/x?host=/nowhere/secretname"));
        trouble(ask(no_socket).await, FaultKind::Transient, "there is no socket at the address");
    }
    for server in [DatabaseServer::postgres(Offer::Plain), DatabaseServer::mariadb(Offer::Plain)] {
        let server = match server {
            Ok(server) => server,
            Err(why) => {
                skipped(test, &why);
                continue;
            }
        };
        let is_postgres = server.is_postgres();
        let at = address(&server.admin_address(if is_postgres { "postgres" } else { "mysql" }));
        let mut connection = Connection::open(&at).await.unwrap();
        let sleep = if is_postgres { "SELECT pg_sleep(20)" } else { "SELECT sleep(20)" };
        let death = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(server);
        });
        let fault = connection.rows(sleep, &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient);
        let expected = ["ended the connection", "is starting or shutting down"];
        assert!(expected.iter().any(|words| fault.message.contains(words)), "{fault:?}");
        let fault = connection.rows("SELECT 1", &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient, "{fault:?}");
        connection.close().await;
        death.await.unwrap();
        let fault = Connection::open(&at).await.err().unwrap();
        assert!(fault.message.contains("socket") || fault.message.contains("refused"), "{fault:?}");
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

/// The statements of the guide, for PostgreSQL and for the others.
fn grants_of_the_guide() -> Vec<String> {
    const GUIDE: &str = include_str!("../../../../docs/database.md");
    let blocks = GUIDE.split("```sql").skip(1).map(|after| after.split("```").next().unwrap().to_owned());
    blocks.collect()
}

#[tokio::test]
async fn the_grants_of_the_guide_are_enough_and_allow_nothing_else() {
    let grants = grants_of_the_guide();
    assert_eq!(grants.len(), 2);
    for server in shared("the_grants_of_the_guide_are_enough_and_allow_nothing_else") {
        let mut fresh = Fresh::new(server).await;
        let columns = "id serial PRIMARY KEY, commit_sha varchar(64) NOT NULL, status varchar(32) NOT NULL, \
                       error_message text, created_at timestamp DEFAULT CURRENT_TIMESTAMP";
        fresh.run(&format!("CREATE TABLE deployments ({columns}); CREATE TABLE other (x int)")).await;
        let user = format!("{}_reader", fresh.name);
        let grants = if fresh.is_postgres { &grants[0] } else { &grants[1] };
        let statements = grants.replace(" app", &format!(" {}", fresh.name)).replace("afterpush", &user);
        assert!(statements.contains(&fresh.name), "{statements}");
        fresh.run(&statements).await;
        fresh.run(&format!("INSERT INTO deployments (commit_sha, status) VALUES ('{OURS}', 'success')")).await;
        let reader = address(&server.address(&user, "choose-one", &fresh.name, ""));
        assert_eq!(row(ask(reader.clone()).await).0, RowState::Success);
        let mut connection = Connection::open(&reader).await.unwrap();
        let fault = connection.rows("SELECT * FROM other", &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unauthorized, "{fault:?}");
        connection.close().await;
    }
}
