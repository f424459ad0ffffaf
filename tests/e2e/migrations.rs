//! Migrations of the pushed commit, the live database, and the check before the push.

use std::{fs, path::Path};

use afterpush_testkit::{
    databases::Live,
    migration_tools::MigrationTool,
    sandbox::{Project, Said},
};

use crate::{
    databases::{push, scene, stage},
    scene::{Scene, TARGET},
};

fn write(project: &Project<'_>, path: &str, text: &str) {
    let path = project.work.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const INIT: &str = "prisma/migrations/20260101000000_init/migration.sql";
const MORE: &str = "prisma/migrations/20260102000000_more/migration.sql";
/// Prisma's own table, with the first migration applied.
const LEDGER: &str = "CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, \
    finished_at TIMESTAMP NULL, migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMP NULL, \
    started_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, applied_steps_count INTEGER NOT NULL DEFAULT 0); \
    INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('a', 'x', '2026-01-01', '20260101000000_init');";
const APPLY: &str = "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) \
    VALUES ('b', 'x', '2026-01-02', '20260102000000_more');";

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
    for database in Live::each("an_active_deployment_whose_database_lacks_a_migration_fails_and_names_it") {
        lacks_a_migration(&database);
    }
}

fn lacks_a_migration(database: &Live) {
    let scene = scene("deadline = \"4s\"\n", ", migrations = { tool = \"prisma\", path = \"prisma/migrations\" }");
    database.sql(LEDGER);
    let project = project(&scene);
    let commit = push(&project, database);
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
    for part in ["app.db", "canary", "127.0.0.1"] {
        assert!(!result.to_string().contains(part), "the address stands in the result: {result:#}");
    }
}

#[test]
fn a_migration_that_is_applied_within_the_deadline_ends_live() {
    for database in Live::each("a_migration_that_is_applied_within_the_deadline_ends_live") {
        let scene = scene("deadline = \"50s\"\n", ", migrations = true");
        database.sql(LEDGER);
        let project = project(&scene);
        let commit = push(&project, &database);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        project.status(&commit, "the pending migration", |status| stage(status)["migrations"]["pending_count"] == 1);
        database.sql(APPLY);
        let result = project.result(&commit);
        assert_eq!(result["outcome"], "live", "{result:#}");
        assert_eq!(
            (&stage(&result)["verdict"], &stage(&result)["migrations"]["applied"]),
            (&"passed".into(), &2.into())
        );
        assert!(stage(&result)["commit"].is_null(), "migrations name no commit: {result:#}");
        assert_eq!(project.deploy_status(&[]).code, Some(0));
    }
}

#[test]
fn a_failed_migration_ends_the_run_at_once_with_its_error() {
    for database in Live::each("a_failed_migration_ends_the_run_at_once_with_its_error") {
        let scene = scene("", ", migrations = true");
        let failed = "INSERT INTO _prisma_migrations (id, checksum, migration_name, logs) \
            VALUES ('b', 'x', '20260102000000_more', 'near \"creat\": syntax error');";
        database.sql(&format!("{LEDGER}{failed}"));
        let project = project(&scene);
        let commit = push(&project, &database);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        let result = project.result(&commit);
        assert_eq!(result["outcome"], "database_failed", "{result:#}");
        assert_eq!(result["reason"], "migration 20260102000000_more failed: near \"creat\": syntax error");
        let said = project.deploy_status(&[]);
        assert!(said.stdout.contains("failed migration  20260102000000_more: near"), "{said:?}");
    }
}

#[test]
fn applied_migrations_without_any_other_proof_are_unverified() {
    let (scene, database) = (scene("", ", migrations = true"), Live::sqlite());
    database.sql(&format!("{LEDGER}{APPLY}"));
    let project = project(&scene);
    let said = Said::of(project.push_command(&["origin", "main"]).env("DATABASE_URL", database.address()));
    assert_eq!(said.code, Some(0), "{said:?}");
    let result = project.result(&project.head());
    assert_eq!(result["outcome"], "unverified", "{result:#}");
    assert_eq!(stage(&result)["verdict"], "passed");
}

#[test]
fn migrations_that_nobody_named_count_only_where_the_database_has_their_table() {
    for database in Live::each("migrations_that_nobody_named_count_only_where_the_database_has_their_table") {
        let scene = scene("deadline = \"4s\"\n", "");
        let project = project(&scene);
        let row = |commit: &str| {
            format!(
                "CREATE TABLE IF NOT EXISTS deployments (commit_sha varchar(64), status text, created_at timestamp NULL); \
                 INSERT INTO deployments VALUES ('{commit}', 'success', '2026-01-01');"
            )
        };
        database.sql(&row(&project.head()));
        let commit = push(&project, &database);
        let result = project.result(&commit);
        assert_eq!(result["outcome"], "live", "{result:#}");
        assert!(stage(&result)["migrations"].is_null());

        let commit = project.commit("next");
        database.sql(&(row(&commit) + LEDGER));
        push(&project, &database);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        let result = project.result(&commit);
        assert_eq!(result["outcome"], "database_failed", "the row says success, a migration is missing: {result:#}");
        assert!(result["reason"].as_str().unwrap().contains("20260102000000_more"), "{result:#}");
    }
}

#[test]
fn the_check_before_the_push_finds_what_a_tool_would_stumble_over() {
    let (scene, database) = (scene("", ""), Live::sqlite());
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
    const TEST: &str = "what_real_tools_have_made_and_applied_is_understood";
    for tool in MigrationTool::all(Path::new(env!("CARGO_TARGET_TMPDIR")), TEST) {
        for database in Live::each(TEST).iter().filter(|database| tool.works_on(database)) {
            is_understood(&tool, database);
        }
    }
}

fn is_understood(tool: &MigrationTool, database: &Live) {
    let what = format!("{} on {}", tool.word, database.kind());
    let scene = scene("deadline = \"50s\"\n", &format!(", migrations = {{ tool = \"{}\" }}", tool.word));
    let project = scene.sandbox.project(TARGET);
    let at = tool.at(&scene.sandbox, &project.work, database);
    at.set_up();
    at.make("one", 1);
    at.apply();
    project.commit("the first migration");
    at.make("two", 2);
    let commit = project.commit("migrations");
    push(&project, database);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let status = project.status(&commit, &format!("{what}: an answer of the database"), |status| {
        !stage(status)["migrations"].is_null() || !status["outcome"].is_null()
    });
    let seen = &stage(&status)["migrations"];
    assert_eq!((&seen["applied"], &seen["pending_count"]), (&1.into(), &1.into()), "{what}: {status:#}");
    assert!(seen["pending"][0].as_str().unwrap().contains("two"), "{what}: {seen}");
    assert_eq!((&seen["unknown_count"], &seen["failed"]), (&0.into(), &serde_json::json!([])), "{what}: {seen}");
    at.apply();
    let result = project.result(&commit);
    assert_eq!(result["outcome"], "live", "{what}: {result:#}");
    assert_eq!(stage(&result)["migrations"]["applied"], 2, "{what}: {result:#}");
    assert_eq!(project.afterpush(&["check", "migrations"]).code, Some(0), "{what}");

    // A commit without the second one: the schema is ahead of it.
    scene.sandbox.git(&project.work, &["revert", "--no-edit", "HEAD"]);
    let commit = push(&project, database);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let result = project.result(&commit);
    let seen = &stage(&result)["migrations"];
    assert_eq!(result["outcome"], "live", "{what}: {result:#}");
    if tool.word == "alembic" {
        // What the unknown revision continues from, only a file could tell.
        assert!(seen["undecided"].as_str().unwrap().contains("revision"), "{what}: {result:#}");
    } else {
        assert_eq!((&seen["applied"], &seen["unknown_count"]), (&1.into(), &1.into()), "{what}: {result:#}");
    }
}

#[test]
fn a_migration_that_fails_in_the_middle_is_named() {
    const TEST: &str = "a_migration_that_fails_in_the_middle_is_named";
    let tools = MigrationTool::all(Path::new(env!("CARGO_TARGET_TMPDIR")), TEST);
    let sqlx = tools.iter().find(|tool| tool.word == "sqlx").unwrap();
    // Only here nothing takes back what a failed migration has done.
    for database in Live::each(TEST).iter().filter(|database| database.kind() == "mysql") {
        let scene = scene("deadline = \"4s\"\n", ", migrations = { tool = \"sqlx\" }");
        let project = scene.sandbox.project(TARGET);
        let at = sqlx.at(&scene.sandbox, &project.work, database);
        at.set_up();
        at.make("one", 1);
        write(&project, "migrations/0002_two.sql", "CREATE TABLE t_two (x int);\nCREATE TABLE t_two (x int);\n");
        let commit = project.commit("migrations");
        at.apply_in_vain();
        push(&project, database);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        let result = project.result(&commit);
        assert_eq!(result["outcome"], "database_failed", "{result:#}");
        let named = "lacks 1 migration (0002_two.sql (begun and not ended))";
        assert!(result["reason"].as_str().unwrap().contains(named), "{result:#}");
        assert_eq!(project.deploy_status(&[]).code, Some(1));
    }
}
