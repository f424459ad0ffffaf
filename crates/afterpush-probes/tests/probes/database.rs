//! What the deployments table says, in files that SQLite itself has made.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use afterpush_core::{
    config::{DatabaseAddress, DatabaseColumns, DatabaseConfig, DatabaseWords},
    fault::{Fault, FaultKind},
    id::CommitId,
    observation::{DatabaseObservation, DeploymentRow, RowState},
    run::Relation,
};
use afterpush_probes::{
    DatabaseProbe,
    database::{Address, Place},
};
use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};

const OURS: &str = "1234567890abcdef1234567890abcdef12345678";
const OTHER: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";
const SNAKE: &str = "CREATE TABLE deployments (commit_sha TEXT, status TEXT, error_message TEXT, created_at TEXT)";
const CAMEL: &str =
    r#"CREATE TABLE deployments ("commitSha" TEXT, status TEXT, "errorMessage" TEXT, "createdAt" INTEGER)"#;

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

struct Database {
    _dir: tempfile::TempDir,
    path: PathBuf,
    connection: SqliteConnection,
}

impl Database {
    async fn with(statements: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret-name.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut database =
            Self { _dir: dir, path, connection: SqliteConnection::connect_with(&options).await.unwrap() };
        for statement in statements {
            database.run(statement).await;
        }
        database
    }

    async fn run(&mut self, statement: &str) {
        self.connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))).await.unwrap();
    }

    async fn ask(&self, config: DatabaseConfig) -> Result<DatabaseObservation, Fault> {
        ask(&self.path, config).await
    }

    async fn row(&self, config: DatabaseConfig) -> DeploymentRow {
        match self.ask(config).await.unwrap() {
            DatabaseObservation::Row(row) => row,
            DatabaseObservation::NoRow => panic!("there is a row"),
        }
    }
}

async fn ask(path: &Path, config: DatabaseConfig) -> Result<DatabaseObservation, Fault> {
    let address = Address::parse(&format!("sqlite://{}", path.display()), Place::of_variable("DATABASE_URL")).unwrap();
    let probe = DatabaseProbe::new(config, address, CommitId::parse(OURS).unwrap());
    assert!(!format!("{probe:?}").contains("secret-name"), "the address is a secret");
    let answer = probe.ask().await;
    assert!(!format!("{answer:?}").contains("secret-name"), "the address is a secret: {answer:?}");
    answer
}

#[tokio::test]
async fn the_words_of_a_row_are_understood_in_both_naming_styles() {
    for table in [SNAKE, CAMEL] {
        for (word, state) in [
            ("pending", RowState::InProgress),
            ("building", RowState::InProgress),
            ("Deploying", RowState::InProgress),
            ("success", RowState::Success),
            (" SUCCESS ", RowState::Success),
            ("failed", RowState::Failed),
            ("successful-ish", RowState::InProgress),
            ("", RowState::InProgress),
        ] {
            let insert = format!("INSERT INTO deployments VALUES ('{OURS}', '{word}', 'boom', 1)");
            let row = Database::with(&[table, &insert]).await.row(config()).await;
            assert_eq!((row.state, row.raw.as_str()), (state, word.trim()), "{table} {word:?}");
            assert_eq!((row.commit.relation, row.commit.id.as_str()), (Relation::Same, OURS));
            assert_eq!(row.error.as_deref(), Some("boom"));
        }
    }
}

#[tokio::test]
async fn t11_the_newest_row_of_the_commit_counts_and_not_the_newest_of_the_table() {
    let database = Database::with(&[
        SNAKE,
        &format!("INSERT INTO deployments VALUES ('{OURS}', 'success', NULL, '2026-01-01 10:00:02')"),
        &format!("INSERT INTO deployments VALUES ('{OURS}', 'failed', 'old', '2026-01-01 10:00:01')"),
        &format!("INSERT INTO deployments VALUES ('{OTHER}', 'failed', 'of another', '2026-01-01 11:00:00')"),
    ])
    .await;
    assert_eq!(database.row(config()).await.state, RowState::Success);

    let only_others =
        Database::with(&[SNAKE, &format!("INSERT INTO deployments VALUES ('{OTHER}', 'success', '', 1)")]).await;
    assert_eq!(only_others.ask(config()).await.unwrap(), DatabaseObservation::NoRow);
}

#[tokio::test]
async fn without_a_time_the_last_row_written_counts() {
    let table = "CREATE TABLE deployments (commit_sha TEXT, status TEXT)";
    let insert = format!("INSERT INTO deployments VALUES ('{OURS}', 'failed'), ('{OURS}', 'success')");
    let row = Database::with(&[table, &insert]).await.row(config()).await;
    assert_eq!((row.state, row.error), (RowState::Success, None));
    // Of two rows of the same second the later one counts as well.
    let insert = format!("INSERT INTO deployments VALUES ('{OURS}', 'failed', '', 7), ('{OURS}', 'success', '', 7)");
    assert_eq!(Database::with(&[SNAKE, &insert]).await.row(config()).await.state, RowState::Success);
}

#[tokio::test]
async fn t9_a_stored_prefix_names_the_commit_from_seven_digits_on() {
    for (stored, found) in [
        (OURS[..7].to_owned(), true),
        (OURS[..12].to_uppercase(), true),
        (format!(" {OURS} "), true),
        (OURS[..6].to_owned(), false),
        (String::new(), false),
        ("1234568".to_owned(), false),
        (format!("{OURS}0"), false),
        ("1234567%".to_owned(), false),
        ("_______".to_owned(), false),
    ] {
        let insert = format!("INSERT INTO deployments VALUES ('{stored}', 'success', '', 1)");
        let answer = Database::with(&[SNAKE, &insert]).await.ask(config()).await.unwrap();
        assert_eq!(matches!(answer, DatabaseObservation::Row(_)), found, "{stored:?}");
    }
}

#[tokio::test]
async fn names_and_words_of_the_configuration_go_before_the_default_ones() {
    let database = Database::with(&[
        r#"CREATE TABLE "order" ("select" TEXT, "from" TEXT, "group by" TEXT, at INTEGER, commit_sha TEXT, status TEXT)"#,
        &format!(r#"INSERT INTO "order" VALUES ('{OURS}', 'Shipped', 'why', 1, '{OTHER}', 'failed')"#),
        &format!(r#"INSERT INTO "order" VALUES ('{OURS}', 'sunk', 'why', 0, '{OTHER}', 'failed')"#),
    ])
    .await;
    let mut config = config();
    config.deployments = "main.order".to_owned();
    config.columns = DatabaseColumns {
        commit: Some("SELECT".to_owned()),
        status: Some("from".to_owned()),
        error: Some("group by".to_owned()),
        created_at: Some("at".to_owned()),
    };
    config.words.success = vec!["shipped".to_owned()];
    let row = database.row(config.clone()).await;
    assert_eq!((row.state, row.raw.as_str(), row.error.as_deref()), (RowState::Success, "Shipped", Some("why")));

    config.columns.error = Some("absent".to_owned());
    let fault = database.ask(config).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient);
    assert_eq!(fault.message, "no such column: absent in table main.order of the database named by DATABASE_URL");
}

#[tokio::test]
async fn what_a_stranger_wrote_is_cleaned_and_cut() {
    let text = format!("\u{1b}[31mred\u{7}\nsecond \u{202e}line{}", "x".repeat(100_000));
    let insert = format!("INSERT INTO deployments VALUES ('{OURS}', '\u{1b}]0;title\u{7}odd', '{text}', 1)");
    let row = Database::with(&[SNAKE, &insert]).await.row(config()).await;
    let error = row.error.unwrap();
    assert!(error.chars().count() <= 500, "{}", error.len());
    assert!(
        !error.chars().chain(row.raw.chars()).any(|c| c.is_control() || c == '\u{202e}'),
        "{error:?} {:?}",
        row.raw
    );
    assert!(error.contains("red") && error.contains("second"), "{error}");
    assert_eq!(row.state, RowState::InProgress);
}

#[tokio::test]
async fn columns_of_other_types_are_read_as_text() {
    let table = "CREATE TABLE deployments (commit_sha BLOB, status INTEGER, error_message REAL, created_at)";
    let insert = format!("INSERT INTO deployments VALUES (CAST('{OURS}' AS BLOB), 3, 1.5, NULL)");
    let row = Database::with(&[table, &insert]).await.row(config()).await;
    assert_eq!((row.raw.as_str(), row.error.as_deref()), ("3", Some("1.5")));
    let insert = format!("INSERT INTO deployments VALUES ('{OURS}', 'failed', CAST(x'41FF42' AS TEXT), 1)");
    let row = Database::with(&[SNAKE, &insert]).await.row(config()).await;
    assert_eq!((row.state, row.error.as_deref()), (RowState::Failed, Some("A\u{fffd}B")));
    let insert = format!("INSERT INTO deployments VALUES ('{OURS}', NULL, NULL, NULL)");
    let row = Database::with(&[SNAKE, &insert]).await.row(config()).await;
    assert_eq!((row.state, row.raw.as_str(), row.error), (RowState::InProgress, "", None));
}

#[tokio::test]
async fn what_is_missing_is_told_and_may_still_come() {
    let empty = Database::with(&["CREATE TABLE other (x)"]).await;
    let fault = empty.ask(config()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient);
    assert_eq!(fault.message, "no such table: deployments in the database named by DATABASE_URL");

    let fault = ask(&empty.path.with_file_name("secret-name-2.db"), config()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient);
    assert_eq!(fault.message, "the file of the database named by DATABASE_URL does not exist");
    assert!(!empty.path.with_file_name("secret-name-2.db").exists(), "the probe must not make it");

    for (table, missing) in [
        ("CREATE TABLE deployments (status TEXT)", "commitSha or commit_sha"),
        ("CREATE TABLE deployments (commit_sha TEXT)", "status"),
        (
            "CREATE TABLE deployments (commit_sha TEXT PRIMARY KEY, status TEXT) WITHOUT ROWID",
            "createdAt or created_at",
        ),
    ] {
        let fault = Database::with(&[table]).await.ask(config()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient, "{fault}");
        assert!(fault.message.starts_with(&format!("no such column: {missing} in table deployments")), "{fault}");
    }
}

#[tokio::test]
async fn views_and_tables_without_row_numbers_are_read_by_their_time() {
    let insert = format!("INSERT INTO d VALUES ('{OURS}', 'success', 'a', 2), ('{OURS}', 'failed', 'b', 1)");
    let view =
        Database::with(&[&SNAKE.replace("deployments", "d"), &insert, "CREATE VIEW deployments AS SELECT * FROM d"])
            .await;
    assert_eq!(view.row(config()).await.state, RowState::Success);
    let table =
        "CREATE TABLE deployments (id TEXT PRIMARY KEY, commit_sha TEXT, status TEXT, created_at) WITHOUT ROWID";
    let insert = format!("INSERT INTO deployments VALUES ('a', '{OURS}', 'success', 2), ('b', '{OURS}', 'failed', 1)");
    assert_eq!(Database::with(&[table, &insert]).await.row(config()).await.state, RowState::Success);
}

#[tokio::test]
async fn a_locked_database_is_trouble_and_not_an_answer() {
    let insert = format!("INSERT INTO deployments VALUES ('{OURS}', 'success', '', 1)");
    let mut database = Database::with(&[SNAKE, &insert, "BEGIN EXCLUSIVE"]).await;
    let start = Instant::now();
    let fault = database.ask(config()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient);
    assert_eq!(fault.message, "the database named by DATABASE_URL is locked by a writer");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    database.run("COMMIT").await;
    assert_eq!(database.row(config()).await.state, RowState::Success);
}

#[tokio::test]
async fn the_write_ahead_log_of_a_running_writer_is_read() {
    let insert = format!("INSERT INTO deployments VALUES ('{OURS}', 'success', '', 1)");
    let mut database = Database::with(&["PRAGMA journal_mode = WAL", SNAKE]).await;
    assert_eq!(database.ask(config()).await.unwrap(), DatabaseObservation::NoRow);
    database.run(&insert).await;
    assert_eq!(database.row(config()).await.state, RowState::Success);
    // A probe that is done holds nothing: a writer gets its exclusive lock at once.
    database.run("BEGIN EXCLUSIVE; DELETE FROM deployments; COMMIT").await;
    assert_eq!(database.ask(config()).await.unwrap(), DatabaseObservation::NoRow);
}

#[tokio::test]
async fn a_statement_without_an_end_is_ended() {
    let database = Database::with(&[
        "CREATE VIEW deployments AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) \
         SELECT 'none' || n AS commit_sha, 'success' AS status, n AS created_at FROM r",
    ])
    .await;
    let start = Instant::now();
    let fault = database.ask(config()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient);
    assert_eq!(fault.message, "a question to the database named by DATABASE_URL took more than 2 s");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret-name.db");
    std::fs::write(&path, "x".repeat(4096)).unwrap();
    let fault = ask(&path, config()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Malformed);
    assert_eq!(fault.message, "the database named by DATABASE_URL is not a SQLite database, or is encrypted");
    let fault = ask(dir.path(), config()).await.unwrap_err();
    assert_eq!((fault.kind, fault.message.contains("is not a regular file")), (FaultKind::Malformed, true), "{fault}");
}

/// Root may read everything, so the question is asked by a process of another user: this very test, in a child.
#[tokio::test]
async fn a_database_that_may_not_be_read_is_unauthorized() {
    const CHILD: &str = "AFTERPUSH_TEST_UNREADABLE";
    if let Some(path) = std::env::var_os(CHILD) {
        let fault = ask(Path::new(&path), config()).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unauthorized, "{fault}");
        assert!(fault.message.starts_with("this user may not read the file of the database"), "{fault}");
        return;
    }
    let database = Database::with(&[SNAKE]).await;
    let chmod =
        |mode: &str, path: &Path| assert!(Command::new("chmod").arg(mode).arg(path).status().unwrap().success());
    chmod("0755", database.path.parent().unwrap());
    chmod("0600", &database.path);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "database::a_database_that_may_not_be_read_is_unauthorized"]).env(CHILD, &database.path);
    match child.uid(12_345).current_dir("/").output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => {
            let why = format!("no process of another user can be started here: {error}");
            afterpush_testkit::sandbox::skipped("a_database_that_may_not_be_read_is_unauthorized", &why);
        }
    }
}
