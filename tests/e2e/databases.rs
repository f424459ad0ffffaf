//! The deployments table of a live database, SQLite and real servers: what the provider calls active it has to confirm.

use std::fs;

use afterpush_testkit::{
    databases::Live,
    sandbox::{Project, Said},
};
use serde_json::Value;

use crate::{
    outcomes::ended,
    scene::{SHORT, Scene, TARGET},
};

const TOKEN: &str = "canary-token-7c1f";

/// A scene whose user has a database, with these keys beside its address.
pub(crate) fn scene(policy: &str, more: &str) -> Scene {
    let scene = Scene::without_token("https://storefront.example.invalid", &format!("{SHORT}{policy}"));
    let file = scene.sandbox.path().join("home/.config/afterpush/config.toml");
    let database = format!("\n[[target]]\nname = \"web\"\ndatabase = {{ url_env = \"DATABASE_URL\"{more} }}\n");
    fs::write(&file, fs::read_to_string(&file).unwrap() + &database).unwrap();
    scene
}

/// Pushes with the address of this database in the environment, and gives the commit.
pub(crate) fn push(project: &Project<'_>, database: &Live) -> String {
    let mut command = project.push_command(&["-u", "origin", "main"]);
    command.env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN).env("DATABASE_URL", database.address());
    let said = Said::of(&mut command);
    assert_eq!(said.code, Some(0), "{said:?}");
    project.head()
}

/// The database's stage.
pub(crate) fn stage(report: &Value) -> &Value {
    &report["targets"][0]["stages"][1]
}

/// Makes the table of the guide.
fn with_table(database: Live) -> Live {
    database.sql(
        "CREATE TABLE deployments (commit_sha varchar(64) NOT NULL, status varchar(32) NOT NULL, error_message text, \
         created_at timestamp NULL DEFAULT CURRENT_TIMESTAMP)",
    );
    database
}

fn row(database: &Live, commit: &str, status: &str, error: &str) {
    database.sql(&format!(
        "INSERT INTO deployments (commit_sha, status, error_message) VALUES ('{commit}', '{status}', '{error}')"
    ));
}

#[test]
fn what_the_provider_calls_active_the_database_has_to_confirm() {
    for database in Live::each("what_the_provider_calls_active_the_database_has_to_confirm").into_iter().map(with_table)
    {
        let scene = scene("", "");
        let project = scene.sandbox.project(TARGET);
        row(&database, &"e".repeat(40), "success", "");
        let commit = push(&project, &database);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        project.status(&commit, "no row yet", |status| {
            stage(status)["summary"].as_str().is_some_and(|text| text.contains("no row"))
        });
        row(&database, &commit, "failed", "migration 42 is missing");
        let (result, said) = ended(&project, &commit, "database_failed", 1);
        assert_eq!(result["reason"], "migration 42 is missing");
        assert!(said.stdout.starts_with("failed: database_failed"), "{said:?}");
        let text = result.to_string();
        for part in ["app.db", "sqlite:", "canary", "127.0.0.1"] {
            assert!(!text.contains(part), "the address stands in the result: {text}");
        }

        let next = project.commit("next");
        row(&database, &next[..7], "success", "");
        scene.simulator.deploy(&scene.app, &next).set_phase("ACTIVE");
        push(&project, &database);
        ended(&project, &next, "live", 0);
    }
}

#[test]
fn the_quick_check_ends_the_run_at_once_when_the_database_already_proves_the_commit() {
    const TEST: &str = "the_quick_check_ends_the_run_at_once_when_the_database_already_proves_the_commit";
    for database in Live::each(TEST).into_iter().map(with_table) {
        let scene = scene("", "");
        let project = scene.sandbox.project(TARGET);
        row(&database, &project.head(), "success", "");
        let commit = push(&project, &database);
        let (result, _) = ended(&project, &commit, "live", 0);
        assert!(result["reason"].as_str().unwrap().contains("database"), "{result:#}");
    }
}

#[test]
fn doctor_tells_whether_a_database_can_be_read_and_how_the_way_is_protected() {
    let scene = scene("", "");
    scene.sandbox.credentials("[digitalocean]\ntoken = \"from-the-file\"\n");
    let project = scene.sandbox.project(TARGET);
    let doctor = |address: Option<&str>| {
        let mut command = scene.sandbox.command(scene.sandbox.program("afterpush"), &project.work);
        let said = Said::of(command.arg("doctor").envs(address.map(|address| ("DATABASE_URL", address))));
        for part in ["canary", "127.0.0.1", "app.db"] {
            assert!(!said.stdout.contains(part), "a part of the address is told: {}", said.stdout);
        }
        let line = said.stdout.lines().find(|line| line.contains("database of web: ")).unwrap_or_default().to_owned();
        let (mark, message) = line.split_once("database of web: ").unwrap();
        (mark.trim().to_owned(), message.to_owned(), said.code)
    };
    let problem = |message: &str| ("problem".to_owned(), message.to_owned(), Some(1));
    assert_eq!(doctor(None), problem("no address: set DATABASE_URL for the push"));
    for database in Live::each("doctor_tells_whether_a_database_can_be_read_and_how_the_way_is_protected") {
        let address = database.address();
        // A table that is not there yet is told as well, and so is the file of a SQLite database.
        let (mark, message, code) = doctor(Some(&address));
        assert_eq!((mark.as_str(), code), ("problem", Some(1)), "{message}");
        let database = with_table(database);
        let ok = |how: &str| {
            let message = format!("the database named by DATABASE_URL can be read: {how}");
            ("ok".to_owned(), message, Some(0))
        };
        assert_eq!(doctor(Some(&address)), ok("local"));
        let Live::Server(server, _) = &database else { continue };
        assert_eq!(doctor(Some(&format!("{address}?sslmode=require"))), ok("TLS, certificate not verified"));
        let verified = address.replace("127.0.0.1", "localhost");
        let verified = format!("{verified}?sslmode=verify-full&sslrootcert={}", server.authority().display());
        assert_eq!(doctor(Some(&verified)), ok("TLS, certificate verified"));
        let wrong = address.replace("pw-canary", "other-canary");
        let message = "the database named by DATABASE_URL refuses the user name or the password; check the address";
        assert_eq!(doctor(Some(&wrong)), problem(message));
    }
}
