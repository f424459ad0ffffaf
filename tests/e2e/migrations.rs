//! Migrations of the pushed commit, the live database, and the check before the push.

use std::{fs, path::Path};

use afterpush_testkit::{
    migration_tools::MigrationTool,
    sandbox::{Project, Said, skipped},
};
use serde_json::Value;

use crate::scene::{SHORT, Scene, TARGET};

const TOKEN: &str = "canary-token-7c1f";

/// A scene whose user has a database, with these keys beside its address, and the database's path.
fn scene(policy: &str, more: &str) -> (Scene, String) {
    let scene = Scene::without_token("https://storefront.example.invalid", &format!("{SHORT}{policy}"));
    let file = scene.sandbox.path().join("home/.config/afterpush/config.toml");
    let database = format!("\n[[target]]\nname = \"web\"\ndatabase = {{ url_env = \"DATABASE_URL\"{more} }}\n");
    fs::write(&file, fs::read_to_string(&file).unwrap() + &database).unwrap();
    let path = scene.sandbox.path().join("app.db").to_str().unwrap().to_owned();
    (scene, path)
}

/// Runs statements on a SQLite file by Python's own library, which is a client apart from ours.
fn sql(scene: &Scene, path: &str, script: &str) {
    let program =
        "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1],timeout=30)\nc.executescript(sys.argv[2])\nc.close()\n";
    let said = Said::of(scene.sandbox.command("python3", scene.sandbox.path()).args(["-c", program, path, script]));
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn write(project: &Project<'_>, path: &str, text: &str) {
    let path = project.work.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn push(project: &Project<'_>, database: &str) -> String {
    let mut command = project.push_command(&["-u", "origin", "main"]);
    command.env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN).env("DATABASE_URL", format!("sqlite://{database}"));
    let said = Said::of(&mut command);
    assert_eq!(said.code, Some(0), "{said:?}");
    project.head()
}

fn stage(report: &Value) -> &Value {
    &report["targets"][0]["stages"][1]
}

const INIT: &str = "prisma/migrations/20260101000000_init/migration.sql";
const MORE: &str = "prisma/migrations/20260102000000_more/migration.sql";
/// Prisma's own table on SQLite, with the first migration applied.
const LEDGER: &str = "CREATE TABLE _prisma_migrations (id TEXT PRIMARY KEY NOT NULL, checksum TEXT NOT NULL, finished_at DATETIME, \
    migration_name TEXT NOT NULL, logs TEXT, rolled_back_at DATETIME, started_at DATETIME NOT NULL DEFAULT current_timestamp, \
    applied_steps_count INTEGER UNSIGNED NOT NULL DEFAULT 0); \
    INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('a', 'x', 1767225600000, '20260101000000_init');";
const APPLY: &str = "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) \
    VALUES ('b', 'x', 1767225600000, '20260102000000_more');";

/// A project with two migrations in its commit.
fn project(scene: &Scene) -> Project<'_> {
    let project = scene.sandbox.project(TARGET);
    write(&project, "prisma/migrations/migration_lock.toml", "provider = \"sqlite\"\n");
    write(&project, INIT, "create table a (id int);\n");
    write(&project, MORE, "create table b (id int);\n");
    project.commit("migrations");
    project
}

#[test]
fn an_active_deployment_whose_database_lacks_a_migration_fails_and_names_it() {
    let (scene, database) =
        scene("deadline = \"4s\"\n", ", migrations = { tool = \"prisma\", path = \"prisma/migrations\" }");
    sql(&scene, &database, LEDGER);
    let project = project(&scene);
    let commit = push(&project, &database);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let status =
        project.status(&commit, "the pending migration", |status| stage(status)["migrations"]["pending_count"] == 1);
    assert_eq!(stage(&status)["verdict"], "pending");
    assert_eq!(project.deploy_status(&[]).code, Some(2));
    let result = project.result(&commit);
    assert_eq!(result["outcome"], "database_failed", "{result:#}");
    assert!(result["reason"].as_str().unwrap().contains("20260102000000_more"), "{result:#}");
    assert_eq!(stage(&result)["migrations"]["pending"][0], "20260102000000_more");
    assert_eq!(
        (&stage(&result)["migrations"]["applied"], &stage(&result)["migrations"]["tool"]),
        (&1.into(), &"prisma".into())
    );
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.contains("pending migration 20260102000000_more"), "{said:?}");
    assert!(!result.to_string().contains("app.db"), "the address stands in the result");
}

#[test]
fn a_migration_that_is_applied_within_the_deadline_ends_live() {
    let (scene, database) = scene("deadline = \"50s\"\n", ", migrations = true");
    sql(&scene, &database, LEDGER);
    let project = project(&scene);
    let commit = push(&project, &database);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    project.status(&commit, "the pending migration", |status| stage(status)["migrations"]["pending_count"] == 1);
    sql(&scene, &database, APPLY);
    let result = project.result(&commit);
    assert_eq!(result["outcome"], "live", "{result:#}");
    assert_eq!((&stage(&result)["verdict"], &stage(&result)["migrations"]["applied"]), (&"passed".into(), &2.into()));
    assert!(stage(&result)["commit"].is_null(), "migrations name no commit: {result:#}");
    assert_eq!(project.deploy_status(&[]).code, Some(0));
}

#[test]
fn a_failed_migration_ends_the_run_at_once_with_its_error() {
    let (scene, database) = scene("", ", migrations = true");
    let failed = "INSERT INTO _prisma_migrations (id, checksum, migration_name, logs) \
        VALUES ('b', 'x', '20260102000000_more', 'near \"creat\": syntax error');";
    sql(&scene, &database, &format!("{LEDGER}{failed}"));
    let project = project(&scene);
    let commit = push(&project, &database);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let result = project.result(&commit);
    assert_eq!(result["outcome"], "database_failed", "{result:#}");
    assert_eq!(result["reason"], "migration 20260102000000_more failed: near \"creat\": syntax error");
    let said = project.deploy_status(&[]);
    assert!(said.stdout.contains("failed migration  20260102000000_more: near"), "{said:?}");
}

#[test]
fn applied_migrations_without_any_other_proof_are_unverified() {
    let (scene, database) = scene("", ", migrations = true");
    sql(&scene, &database, &format!("{LEDGER}{APPLY}"));
    let project = project(&scene);
    let said = Said::of(project.push_command(&["origin", "main"]).env("DATABASE_URL", format!("sqlite://{database}")));
    assert_eq!(said.code, Some(0), "{said:?}");
    let result = project.result(&project.head());
    assert_eq!(result["outcome"], "unverified", "{result:#}");
    assert_eq!(stage(&result)["verdict"], "passed");
}

#[test]
fn migrations_that_nobody_named_count_only_where_the_database_has_their_table() {
    let (scene, database) = scene("deadline = \"4s\"\n", "");
    let project = project(&scene);
    let row = |commit: &str| {
        format!(
            "CREATE TABLE IF NOT EXISTS deployments (commit_sha TEXT, status TEXT, created_at TEXT); \
             INSERT INTO deployments VALUES ('{commit}', 'success', '2026-01-01');"
        )
    };
    sql(&scene, &database, &row(&project.head()));
    let commit = push(&project, &database);
    let result = project.result(&commit);
    assert_eq!(result["outcome"], "live", "{result:#}");
    assert!(stage(&result)["migrations"].is_null());

    let commit = project.commit("next");
    sql(&scene, &database, &(row(&commit) + LEDGER));
    push(&project, &database);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let result = project.result(&commit);
    assert_eq!(result["outcome"], "database_failed", "the row says success, a migration is missing: {result:#}");
    assert!(result["reason"].as_str().unwrap().contains("20260102000000_more"), "{result:#}");
}

#[test]
fn the_check_before_the_push_finds_what_a_tool_would_stumble_over() {
    let (scene, database) = scene("", "");
    let project = project(&scene);
    let check = |arguments: &[&str]| project.afterpush(&[&["check", "migrations"], arguments].concat());
    let said = check(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.starts_with("ok: 2 prisma in prisma/migrations"), "{said:?}");
    assert!(said.stderr.contains("no upstream"), "{said:?}");
    push(&project, &database);

    write(&project, INIT, "create table a (id int, name text);\n");
    write(&project, "prisma/migrations/20251231000000_late/migration.sql", "create table c (id int);\n");
    project.commit("trouble");
    let said = check(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(lines[0].contains(INIT) && lines[0].contains("changed"), "{said:?}");
    assert!(lines[1].contains("20251231000000_late") && lines[1].contains("before 20260102000000_more"), "{said:?}");
    assert_eq!(lines.len(), 2, "{said:?}");
    let json = check(&["--json"]);
    assert_eq!(json.code, Some(1));
    let document = json.json();
    let kinds: Vec<&str> =
        document["findings"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["edited", "out_of_order"], "{document:#}");
    assert_eq!(document["schema"]["name"], "afterpush.check_migrations");
    assert_eq!(check(&["HEAD~1"]).code, Some(0), "the pushed commit itself");
    assert_eq!(check(&["--upstream", "HEAD"]).code, Some(0));
    assert_eq!(check(&["nonsense"]).code, Some(64));
}

#[test]
fn what_real_tools_have_made_and_applied_is_understood() {
    let tools = match MigrationTool::all(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(tools) => tools,
        Err(why) => return skipped("migrations: real tools", &why),
    };
    for tool in tools {
        let what = tool.word;
        let (scene, database) = scene("deadline = \"50s\"\n", &format!(", migrations = {{ tool = \"{what}\" }}"));
        let (sandbox, path) = (&scene.sandbox, Path::new(&database));
        let project = sandbox.project(TARGET);
        tool.set_up(sandbox, &project.work, path);
        tool.make(sandbox, &project.work, path, "one", 1);
        tool.apply(sandbox, &project.work, path);
        tool.make(sandbox, &project.work, path, "two", 2);
        let commit = project.commit("migrations");
        push(&project, &database);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        let status = project.status(&commit, &format!("{what}: an answer of the database"), |status| {
            !stage(status)["migrations"].is_null() || !status["outcome"].is_null()
        });
        let seen = &stage(&status)["migrations"];
        assert_eq!((&seen["applied"], &seen["pending_count"]), (&1.into(), &1.into()), "{what}: {status:#}");
        assert!(seen["pending"][0].as_str().unwrap().contains("two"), "{what}: {seen}");
        assert_eq!((&seen["unknown_count"], &seen["failed"]), (&0.into(), &serde_json::json!([])), "{what}: {seen}");
        tool.apply(sandbox, &project.work, path);
        let result = project.result(&commit);
        assert_eq!(result["outcome"], "live", "{what}: {result:#}");
        assert_eq!(stage(&result)["migrations"]["applied"], 2, "{what}: {result:#}");
        assert_eq!(project.afterpush(&["check", "migrations"]).code, Some(0), "{what}");
    }
}
