#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

fn files(paths: &[&str]) -> Vec<SourceFile> {
    paths.iter().map(|path| file(path, "")).collect()
}

fn row(cells: &[&str]) -> Row {
    cells.iter().map(|cell| (*cell != "NULL").then(|| (*cell).to_owned())).collect()
}

fn rows(list: &[&[&str]]) -> Vec<Row> {
    list.iter().map(|cells| row(cells)).collect()
}

fn failed(standing: &Standing) -> Vec<(&str, Option<&str>)> {
    standing.failed.iter().map(|it| (it.name.as_str(), it.error.as_deref())).collect()
}

/// Two migrations of each tool that are told by names alone, with what its table holds of the first, and of a third.
fn by_names() -> Vec<(Tool, &'static str, [&'static str; 2], Row, Row)> {
    let time = "2026-01-02";
    vec![
        (
            Tool::Prisma,
            "prisma/migrations",
            ["20260101000000_init/migration.sql", "20260102000000_more/migration.sql"],
            row(&["20260101000000_init", time, "NULL", "NULL"]),
            row(&["20260103000000_later", time, "NULL", "NULL"]),
        ),
        (
            Tool::Knex,
            "migrations",
            ["20260101000000_init.ts", "20260102000000_more.ts"],
            row(&["20260101000000_init.js"]),
            row(&["20260103000000_later.js"]),
        ),
        (
            Tool::Sequelize,
            "migrations",
            ["20260101000000-init.js", "20260102000000-more.js"],
            row(&["20260101000000-init.js"]),
            row(&["20260103000000-later.js"]),
        ),
        (
            Tool::Typeorm,
            "src/migrations",
            ["1700000000000-Init.ts", "1700000000001-More.ts"],
            row(&["1700000000000", "Init1700000000000"]),
            row(&["1700000000002", "Later1700000000002"]),
        ),
        (Tool::Rails, "db/migrate", ["001_init.rb", "20260102000000_more.rb"], row(&["1"]), row(&["20260103000000"])),
        (Tool::Goose, "migrations", ["00001_init.sql", "00002_more.go"], row(&["2", "1", "1"]), row(&["3", "3", "t"])),
        (
            Tool::Dbmate,
            "db/migrations",
            ["20260101000000_init.sql", "20260102000000_more.sql"],
            row(&["20260101000000"]),
            row(&["20260103000000"]),
        ),
        (
            Tool::Sqlx,
            "migrations",
            ["20260101000000_init.sql", "20260102000000_more.up.sql"],
            row(&["20260101000000", "1"]),
            row(&["20260103000000", "true"]),
        ),
        (
            Tool::Diesel,
            "migrations",
            ["2026-01-01-000000_init/up.sql", "2026-01-02-000000_more/up.sql"],
            row(&["20260101000000"]),
            row(&["20260103000000"]),
        ),
        (
            Tool::Laravel,
            "database/migrations",
            ["2026_01_01_000000_init.php", "2026_01_02_000000_more.php"],
            row(&["2026_01_01_000000_init"]),
            row(&["2026_01_03_000000_later"]),
        ),
        (
            Tool::Ecto,
            "priv/repo/migrations",
            ["20260101000000_init.exs", "20260102000000_more.exs"],
            row(&["20260101000000"]),
            row(&["20260103000000"]),
        ),
        (
            Tool::Flyway,
            "db/migration",
            ["V1__init.sql", "V1_1__more.sql"],
            row(&["1", "1", "init", "SQL", "V1__init.sql", "1"]),
            row(&["2", "9", "later", "SQL", "V9__later.sql", "t"]),
        ),
    ]
}

#[test]
fn each_tool_tells_applied_from_pending_and_from_unknown_migrations() {
    for (tool, path, names, first, third) in by_names() {
        let paths = names.map(|name| format!("{path}/{name}"));
        let paths: Vec<&str> = paths
            .iter()
            .map(String::as_str)
            .chain((tool == Tool::Prisma).then_some("prisma/migrations/migration_lock.toml"))
            .collect();
        let set = read(tool, path, &files(&paths)).unwrap();
        assert_eq!(set.migrations.len(), 2, "{tool:?}: {set:?}");
        assert!(set.migrations.iter().all(|it| paths.contains(&it.path.as_str())), "{tool:?}: {set:?}");
        let none = compare(&set, &[]);
        assert_eq!((none.applied, none.pending.len()), (0, 2), "{tool:?}: {none:?}");
        let standing = compare(&set, &[first, third]);
        assert_eq!(standing.applied, 1, "{tool:?}: {standing:?}");
        assert_eq!(standing.pending, [set.migrations[1].name.clone()], "{tool:?}");
        assert_eq!(standing.unknown.len(), 1, "{tool:?}: {standing:?}");
        assert_eq!((standing.failed.len(), standing.undecided), (0, None), "{tool:?}");
        assert_eq!(
            detect(paths.iter().copied().chain(["Cargo.toml", "diesel.toml"]), |_| Some(mark(tool).to_owned())),
            [Found { tool, path: path.to_owned() }],
            "{tool:?}"
        );
    }
}

fn mark(tool: Tool) -> &'static str {
    match tool {
        Tool::Goose => "-- +goose Up\n",
        Tool::Dbmate => "-- migrate:up\n",
        _ => "create table t (id int);\n",
    }
}

#[test]
fn a_failed_prisma_migration_is_told_with_its_log_until_it_is_rolled_back_and_applied() {
    let set = read(Tool::Prisma, "m", &files(&["m/1_a/migration.sql", "m/migration_lock.toml"])).unwrap();
    let broken = row(&["1_a", "NULL", "NULL", "column \"x\" does not exist"]);
    let standing = compare(&set, std::slice::from_ref(&broken));
    assert_eq!(failed(&standing), [("1_a", Some("column \"x\" does not exist"))]);
    assert!(standing.pending.is_empty());
    let rolled_back = row(&["1_a", "NULL", "2026-01-01", "column"]);
    assert_eq!(compare(&set, std::slice::from_ref(&rolled_back)).pending, ["1_a"]);
    let done = row(&["1_a", "2026-01-01", "NULL", "NULL"]);
    assert_eq!(compare(&set, &[rolled_back, done]).applied, 1);
    let under_way = row(&["1_a", "NULL", "NULL", "NULL"]);
    let standing = compare(&set, &[under_way]);
    assert_eq!((standing.pending.len(), standing.failed.len()), (1, 0));
}

#[test]
fn drizzle_is_told_by_its_journal() {
    let journal = r#"{"version":"7","dialect":"sqlite","entries":[{"idx":0,"when":1700000000001,"tag":"0000_a"},{"idx":1,"when":1700000000002,"tag":"0001_b"}]}"#;
    let set = read(Tool::Drizzle, "drizzle", &[file("drizzle/meta/_journal.json", journal)]).unwrap();
    assert_eq!(set.migrations[1].path, "drizzle/0001_b.sql");
    assert_eq!(compare(&set, &rows(&[&["1700000000001"]])).pending, ["0001_b"]);
    assert!(read(Tool::Drizzle, "drizzle", &[]).unwrap_err().contains("_journal.json"));
    for damaged in ["", "[]", "{\"entries\":[{}]}", "{\"entries\":7}"] {
        assert!(read(Tool::Drizzle, "", &[file("meta/_journal.json", damaged)]).is_err(), "{damaged}");
    }
    assert_eq!(
        detect(["web/drizzle/meta/_journal.json"], |_| None),
        [Found { tool: Tool::Drizzle, path: "web/drizzle".into() }]
    );
}

const DJANGO: &str =
    "class Migration(migrations.Migration):\n    dependencies = [\n        ('shop', '0001_initial'),  # ')'\n    ]\n";

#[test]
fn djangos_apps_are_told_apart_and_squashed_migrations_stand_for_others() {
    let squashed = "class Migration(m):\n    replaces = [(\"shop\", \"0001_initial\"), (\"shop\", \"0002_price\")]\n";
    let tree = [
        file("shop/apps.py", ""),
        file("shop/migrations/__init__.py", ""),
        file("shop/migrations/0001_initial.py", "class Migration(m): pass"),
        file("shop/migrations/0002_price.py", DJANGO),
        file("shop/migrations/0001_squashed_0002.py", squashed),
        file("people/apps.py", "class C(AppConfig):\n    label = 'humans'\n"),
        file("people/migrations/0001_initial.py", "class Migration(m): pass"),
        file("people/migrations/helper.py", "x = 1"),
    ];
    let set = read(Tool::Django, "", &tree).unwrap();
    assert_eq!(set.migrations.len(), 4, "{set:?}");
    assert!(set.migrations.iter().all(|it| tree.iter().any(|file| file.path == it.path)), "{set:?}");
    let parents: Vec<_> = set.migrations.iter().flat_map(|it| &it.parents).collect();
    assert_eq!(parents, ["shop.0001_initial"]);
    let applied =
        [["shop", "0001_initial"], ["humans", "0001_initial"], ["auth", "0001_initial"], ["shop", "0009_later"]];
    let standing = compare(&set, &applied.map(|cells| row(&cells)));
    assert_eq!(standing.pending, ["shop.0001_squashed_0002"], "the replaced ones are no lack of their own");
    assert_eq!(standing.unknown, ["shop.0009_later"], "other packages' apps say nothing");
    let by_parts =
        compare(&set, &rows(&[&["shop", "0001_initial"], &["shop", "0002_price"], &["humans", "0001_initial"]]));
    assert_eq!((by_parts.applied, by_parts.pending.len()), (4, 0));
    let by_whole = compare(&set, &rows(&[&["shop", "0001_squashed_0002"], &["humans", "0001_initial"]]));
    assert_eq!((by_whole.applied, by_whole.pending.len(), by_whole.unknown.len()), (4, 0, 0));
    assert_eq!(
        detect(["site/manage.py", "site/shop/migrations/__init__.py"], |_| None),
        [Found { tool: Tool::Django, path: "site".into() }]
    );
}

fn revision(id: &str, before: &str) -> SourceFile {
    let text =
        format!("\"\"\"x\n\nRevises: y\n\"\"\"\nrevision: str = '{id}'\ndown_revision: Union[str, None] = {before}\n");
    file(&format!("alembic/versions/{id}_x.py"), &text)
}

#[test]
fn alembics_heads_stand_for_everything_that_they_continue_from() {
    let tree = [
        revision("a", "None"),
        revision("b", "'a'"),
        revision("c", "'a'"),
        revision("d", "('b', \"c\")"),
        revision("e", "'d'"),
    ];
    let set = read(Tool::Alembic, "alembic/versions", &tree).unwrap();
    let at = |heads: &[&str]| compare(&set, &heads.iter().map(|head| row(&[head])).collect::<Vec<_>>());
    assert_eq!(at(&["b"]).pending, ["c_x.py", "d_x.py", "e_x.py"]);
    assert_eq!(at(&["b", "c"]).pending, ["d_x.py", "e_x.py"]);
    assert_eq!((at(&["e"]).applied, at(&["e"]).pending.len()), (5, 0));
    let strange = at(&["zzz"]);
    assert!(strange.undecided.as_deref().unwrap().contains("zzz") && strange.pending.is_empty(), "{strange:?}");
    assert_eq!(strange.unknown, ["zzz"]);
    let ahead_beside = at(&["e", "zzz"]);
    assert_eq!((ahead_beside.undecided, ahead_beside.unknown), (None, vec!["zzz".to_owned()]));
    // A circle ends.
    let circle = read(Tool::Alembic, "", &[revision("a", "'b'"), revision("b", "'a'")]).unwrap();
    assert_eq!(compare(&circle, &rows(&[&["a"]])).applied, 2);
}

#[test]
fn flyways_history_is_read_to_its_end() {
    let tree = files(&[
        "db/V1__a.sql",
        "db/V1.02__b.sql",
        "db/V2_0__c.sql",
        "db/R__view_of_all.sql",
        "db/U1__a.sql",
        "db/readme.sql",
    ]);
    let set = read(Tool::Flyway, "db", &tree).unwrap();
    assert_eq!(set.migrations.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["1", "1.2", "2", "R view of all"]);
    let history = rows(&[
        &["10", "2", "c", "SQL", "V2_0__c.sql", "0"],
        &["1", "1", "a", "SQL", "V1__a.sql", "1"],
        &["2", "1.2", "b", "SQL", "V1.02__b.sql", "0"],
        &["3", "1.2", "b", "SQL", "V1.02__b.sql", "1"],
        &["4", "NULL", "view of all", "SQL", "R__view_of_all.sql", "1"],
    ]);
    let standing = compare(&set, &history);
    assert_eq!((standing.applied, failed(&standing)), (3, vec![("V2_0__c.sql", None)]));
    let undone = rows(&[&["1", "1", "a", "SQL", "V1__a.sql", "1"], &["2", "1", "a", "UNDO_SQL", "U1__a.sql", "1"]]);
    assert_eq!(compare(&set, &undone).applied, 0);
    let baseline = rows(&[&["1", "1.2", "<< baseline >>", "BASELINE", "<< baseline >>", "1"]]);
    assert_eq!(compare(&set, &baseline).pending, ["V2_0__c.sql", "R__view_of_all.sql"]);
    let between = rows(&[&["1", "1.5", "<< baseline >>", "BASELINE", "<< baseline >>", "1"]]);
    let standing = compare(&set, &between);
    assert_eq!((standing.applied, standing.unknown), (2, Vec::new()), "a baseline is no migration");
}

#[test]
fn liquibases_change_sets_are_found_in_all_four_formats() {
    let tree = [
        file(
            "db/changelog/a.sql",
            "-- liquibase formatted sql\n\n--changeset ann:1 runOnChange:true\ncreate table t(i int);\n--rollback drop table t;\n-- changeset bob:2 context:test\n",
        ),
        file(
            "db/changelog/b.xml",
            "<databaseChangeLog xmlns=\"http://x\"><changeSet id=\"1\" author=\"ann\"/><include file=\"a.sql\"/></databaseChangeLog>",
        ),
        file("db/changelog/c.yaml", "databaseChangeLog:\n- changeSet:\n    id: 3\n    author: ann\n    changes: []\n"),
        file("db/changelog/d.json", "{\"databaseChangeLog\":[{\"changeSet\":{\"id\":\"4\",\"author\":\"bob\"}}]}"),
        file("db/changelog/data.sql", "insert into t values (1);"),
    ];
    let set = read(Tool::Liquibase, "db/changelog", &tree).unwrap();
    let names: Vec<&str> = set.migrations.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ann:1 in db/changelog/a.sql",
            "bob:2 in db/changelog/a.sql",
            "ann:1 in db/changelog/b.xml",
            "ann:3 in db/changelog/c.yaml",
            "bob:4 in db/changelog/d.json"
        ]
    );
    let standing = compare(
        &set,
        &rows(&[
            &["1", "ann", "classpath:changelog/a.sql", "EXECUTED"],
            &["3", "ann", "changelog/c.yaml", "RERAN"],
            &["9", "ann", "changelog/c.yaml", "EXECUTED"],
            &["4", "bob", "src/main/resources/db/changelog/d.json", "FAILED"],
        ]),
    );
    assert_eq!(standing.applied, 2);
    assert_eq!(standing.pending, ["ann:1 in db/changelog/b.xml"], "the one with a context is no lack");
    assert_eq!((failed(&standing).len(), standing.unknown), (1, vec!["ann:9 in changelog/c.yaml".to_owned()]));
    let elsewhere = compare(&set, &rows(&[&["1", "ann", "log/a.sql", "EXECUTED"]]));
    assert_eq!((elsewhere.applied, elsewhere.unknown.len()), (0, 1), "whole names of directories are compared");
    assert!(read(Tool::Liquibase, "", &[file("a.xml", "<databaseChangeLog>")]).is_err());
}

#[test]
fn golang_migrates_one_row_stands_for_all_before_it() {
    let set = read(
        Tool::GolangMigrate,
        "m",
        &files(&["m/000001_a.up.sql", "m/000001_a.down.sql", "m/000002_b.up.sql", "m/000010_c.up.sql"]),
    )
    .unwrap();
    assert_eq!(compare(&set, &rows(&[&["2", "0"]])).pending, ["000010_c.up.sql"]);
    let dirty = compare(&set, &rows(&[&["2", "t"]]));
    assert_eq!((dirty.applied, failed(&dirty)[0].0), (1, "000002_b.up.sql"));
    assert_eq!(dirty.pending, ["000010_c.up.sql"]);
    assert_eq!(compare(&set, &rows(&[&["11", "f"]])).unknown, ["11"]);
}

#[test]
fn what_a_tool_marks_before_it_runs_is_pending_while_it_may_be_at_work() {
    let set = read(Tool::GolangMigrate, "m", &files(&["m/1_a.up.sql", "m/2_b.up.sql", "m/3_c.up.sql"])).unwrap();
    let at_work = compare_at_work(&set, &rows(&[&["2", "t"]]));
    assert_eq!((at_work.applied, at_work.failed.len()), (1, 0));
    assert_eq!(at_work.pending, ["2_b.up.sql (begun and not ended)", "3_c.up.sql"]);
    let ahead = compare_at_work(&set, &rows(&[&["4", "t"]]));
    assert_eq!((ahead.applied, ahead.pending.len(), ahead.unknown), (3, 0, vec!["4 (begun and not ended)".to_owned()]));

    let set = read(Tool::Sqlx, "migrations", &files(&["migrations/1_a.sql", "migrations/2_b.sql"])).unwrap();
    let half = rows(&[&["1", "1"], &["2", "0"]]);
    assert_eq!(compare_at_work(&set, &half).pending, ["2_b.sql (begun and not ended)"]);
    assert_eq!(failed(&compare(&set, &half)), [("2_b.sql", None)]);

    // A log is written once a migration has failed.
    let set = read(Tool::Prisma, "p", &files(&["p/1_a/migration.sql"])).unwrap();
    let broken = compare_at_work(&set, &rows(&[&["1_a", "", "", "boom"]]));
    assert_eq!((failed(&broken), broken.pending.len()), (vec![("1_a", Some("boom"))], 0));
}

#[test]
fn what_sqlx_left_half_done_has_failed_and_what_goose_took_back_is_pending() {
    let set = read(Tool::Sqlx, "m", &files(&["m/1_a.up.sql", "m/1_a.down.sql"])).unwrap();
    assert_eq!(failed(&compare(&set, &rows(&[&["1", "0"]]))), [("1_a.up.sql", None)]);
    let set = read(Tool::Goose, "m", &files(&["m/00001_a.sql"])).unwrap();
    let history = rows(&[&["1", "0", "1"], &["10", "1", "f"], &["9", "1", "t"]]);
    assert_eq!(compare(&set, &history).pending, ["00001_a.sql"]);
}

#[test]
fn typeorms_class_decides_over_the_name_of_its_file() {
    let tree = [
        file("m/1700000000009-A.ts", "export class InitThing1700000000001 implements MigrationInterface {}"),
        file("m/index.ts", ""),
    ];
    let set = read(Tool::Typeorm, "m", &tree).unwrap();
    assert_eq!(set.migrations[0].id, "1700000000001");
    assert_eq!(set.migrations.len(), 1);
}

#[test]
fn tools_that_share_names_are_told_apart_by_what_lies_around_them() {
    let of = |paths: &[&str], text: &str| {
        let found = detect(paths.iter().copied(), |_| Some(text.to_owned()));
        found.iter().map(|it| format!("{} {}", it.tool.word(), it.path)).collect::<Vec<_>>()
    };
    assert_eq!(of(&["go.mod", "db/migrations/1_a.up.sql"], ""), ["golang-migrate db/migrations"]);
    assert_eq!(of(&["Cargo.toml", "migrations/1_a.up.sql"], ""), ["sqlx migrations"]);
    assert_eq!(of(&["migrations/1_a.sql"], "select 1"), [""; 0]);
    assert_eq!(of(&["alembic/script.py.mako", "alembic/versions/a.py"], ""), ["alembic alembic/versions"]);
    assert_eq!(
        of(&["src/main/resources/db/changelog/changelog-master.xml"], ""),
        ["liquibase src/main/resources/db/changelog"]
    );
    for (path, found) in [
        ("db/changelog/2026/changelog-a.xml", "liquibase db/changelog"),
        ("db/liquibase/2026/changelog.yaml", "liquibase db/liquibase"),
    ] {
        assert_eq!(of(&[path], ""), [found]);
    }
    assert_eq!(
        of(&["prisma/migrations/migration_lock.toml", "api/db/migrate/1_a.rb"], ""),
        ["prisma prisma/migrations", "rails api/db/migrate"]
    );
    for foreign in [
        "db/migrate/helper.rb",
        "db/other/1_a.rb",
        "database/migrations/helper.php",
        "app/migrations/2026_01_01_000000_a.php",
        "priv/repo/migrations/.formatter.exs",
        "priv/repo/migrations/helper.exs",
        "src/migrations/helper.ts",
        "src/migrations/2026-a.ts",
        "other/20260101000000_a.js",
        "V1__a.txt",
        "Values.sql",
        "docs/changelog.xml",
        "db/changelog/readme.md",
        "shop/migrations/__init__.py",
        "migrations/a_1.sql",
        "sql/1_a.up.sql",
        "node_modules/x/migrations/20260101000000_a.js",
        "tests/db/migrate/1_a.rb",
        ".cache/migrations/20260101000000-a.js",
    ] {
        assert_eq!(of(&[foreign], ""), [""; 0], "{foreign}");
    }
}

#[test]
fn the_text_of_a_file_is_needed_only_where_it_holds_what_a_migration_is_called() {
    for (tool, needed, not_needed) in [
        (Tool::Alembic, &["alembic/versions/a.py"][..], &["alembic/README", "a.sql"][..]),
        (
            Tool::Django,
            &["shop/migrations/0001_a.py", "apps.py", "shop/apps.py"],
            &["shop/models.py", "shop/myapps.py", "shop/migrations/a.sql"],
        ),
        (Tool::Drizzle, &["drizzle/meta/_journal.json"], &["drizzle/0000_a.sql", "drizzle/meta/0000_snapshot.json"]),
        (Tool::Typeorm, &["m/1-A.ts", "m/1-A.js"], &["m/1-A.sql"]),
        (
            Tool::Liquibase,
            &["db/changelog/a.sql", "db/changelog/b.yml"],
            &["db/changelog/readme.md", "db/changelog/LICENSE"],
        ),
        (Tool::Prisma, &[], &["m/1_a/migration.sql"]),
        (Tool::Rails, &[], &["db/migrate/1_a.rb"]),
    ] {
        for path in needed {
            assert!(tool.reads(path), "{tool:?} {path}");
        }
        for path in not_needed {
            assert!(!tool.reads(path), "{tool:?} {path}");
        }
    }
}

fn upstream(tool: Tool, paths: &[&str], edited: &[&str]) -> Upstream {
    let set = read(tool, "m", &files(paths)).unwrap();
    Upstream { set, edited: edited.iter().map(|path| (*path).to_owned()).collect() }
}

#[test]
fn what_a_tool_would_stumble_over_is_found_before_the_push() {
    let kinds = |set: &MigrationSet, upstream: Option<&Upstream>| {
        review(set, upstream).into_iter().map(|it| (it.kind.word(), it.path)).collect::<Vec<_>>()
    };
    let set = read(Tool::Sqlx, "m", &files(&["m/1_a.sql", "m/2_b.sql", "m/2_c.sql", "m/9_d.sql"])).unwrap();
    assert_eq!(kinds(&set, None), [("duplicate", "m/2_c.sql".to_owned())]);
    let theirs = upstream(Tool::Sqlx, &["m/1_a.sql", "m/5_x.sql"], &["m/1_a.sql", "m/5_x.sql", "README"]);
    assert_eq!(
        kinds(&set, Some(&theirs))[1..],
        [
            ("edited", "m/1_a.sql".to_owned()),
            ("out_of_order", "m/2_b.sql".to_owned()),
            ("out_of_order", "m/2_c.sql".to_owned())
        ]
    );
    let same = upstream(Tool::Sqlx, &["m/1_a.sql"], &[]);
    let good = read(Tool::Sqlx, "m", &files(&["m/1_a.sql", "m/2_b.sql"])).unwrap();
    assert_eq!(kinds(&good, Some(&same)), []);
    let flyway = read(Tool::Flyway, "m", &files(&["m/R__v.sql"])).unwrap();
    assert_eq!(
        kinds(&flyway, Some(&upstream(Tool::Flyway, &["m/R__v.sql"], &["m/R__v.sql"]))),
        [],
        "made to be edited"
    );
    let tree = [revision("a", "None"), revision("b", "'a'"), revision("c", "'a'")];
    let set = read(Tool::Alembic, "", &tree).unwrap();
    assert_eq!(kinds(&set, None), [("several_heads", "alembic/versions/c_x.py".to_owned())]);
}

proptest! {
    /// No files, no rows: nothing is ever counted twice or lost, and nothing that was not said to be applied is.
    #[test]
    fn every_migration_is_applied_pending_or_failed(
        tool in proptest::sample::select(Tool::ALL.to_vec()),
        names in proptest::collection::vec("[a-zA-Z0-9_./-]{1,24}|[0-9]{1,14}_[a-z]{1,4}(\\.up)?\\.(sql|js|rb|exs|php|go)|V[0-9._]{1,5}__x\\.sql|[0-9]{1,3}_x/(up|migration)\\.sql", 0..8),
        text in "(?s).{0,200}|revision = '[a-c]'\ndown_revision = '[a-c]'\n|class Migration",
        cells in proptest::collection::vec(proptest::collection::vec(proptest::option::of("[a-z0-9_]{0,6}|[0-9]{1,3}"), 0..7), 0..6),
    ) {
        let tree: Vec<SourceFile> = names.iter().map(|name| file(name, &text)).collect();
        let _ = detect(names.iter().map(String::as_str), |_| Some(text.clone()));
        if let Ok(set) = read(tool, "", &tree) {
            let standing = compare(&set, &cells);
            let ids: std::collections::BTreeSet<_> = set.migrations.iter().map(|it| &it.id).collect();
            prop_assert!(standing.applied + standing.pending.len() <= ids.len());
            let nothing = compare(&set, &[]);
            prop_assert_eq!(nothing.applied, 0);
            prop_assert!(nothing.failed.is_empty() && nothing.unknown.is_empty());
            let theirs = Upstream { set: set.clone(), edited: std::collections::BTreeSet::new() };
            prop_assert!(review(&set, Some(&theirs)).iter().all(|it| matches!(it.kind, FindingKind::Duplicate | FindingKind::SeveralHeads)));
        }
    }
}
