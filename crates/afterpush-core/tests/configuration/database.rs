//! The database of a target, and its migrations.

use afterpush_core::{
    config::{DatabaseAddress, DatabaseKind, MigrationsConfig, combine},
    migrations::Tool,
};

use super::{only_target, refused, repository, target, trusted, user, variable};

#[test]
fn an_address_may_stand_in_parts_and_a_query_may_take_the_place_of_the_table() {
    let database =
        |keys: &str| only_target(trusted(&target(&format!("database = {{ {keys} }}"))).unwrap()).database.unwrap();
    let parts = |prefix: &str, kind| DatabaseAddress::Parts { prefix: prefix.to_owned(), kind };
    assert_eq!(database("env = \"DB_\", kind = \"mysql\"").address, parts("DB_", DatabaseKind::Mysql));
    assert_eq!(database("env = \"PG\"").address, parts("PG", DatabaseKind::Postgres));
    assert_eq!(database("env = \"DB_\", kind = \"postgres\"").address, parts("DB_", DatabaseKind::Postgres));
    let query = database("url_env = \"D\", query = \"SELECT a FROM b WHERE c = $commit\"").query.unwrap();
    assert_eq!(query.sql(|number| format!("${number}")), "SELECT a FROM b WHERE c = $1");
    for (keys, expected) in [
        ("env = \"DB_\"", "target.database has env without kind"),
        ("url_env = \"D\", env = \"PG\"", "target.database has both url_env and env"),
        ("url_env = \"D\", kind = \"mysql\"", "target.database has kind without env"),
        ("env = \"D B\", kind = \"mysql\"", "target.database.env"),
        ("env = \"DB_\", kind = \"oracle\"", "target.database.kind"),
        ("url_env = \"D\", query = \"DELETE FROM b\"", "target.database.query"),
        (
            "url_env = \"D\", deployments = \"d\", query = \"SELECT a FROM b WHERE c = $commit\"",
            "target.database has both query and deployments",
        ),
    ] {
        refused(&target(&format!("database = {{ {keys} }}")), 3, &[expected]);
    }
    // The user's way to the database takes the place of the repository's as a whole.
    let theirs = target("database = { env = \"DB_\", kind = \"mysql\" }");
    let mine = target("database = { url_env = \"MINE\" }");
    let config = combine(repository(&theirs), true, user(&mine)).unwrap();
    assert_eq!(config.targets[0].database.as_ref().unwrap().address, variable("MINE"));
}

#[test]
fn names_in_the_database_are_plain_identifiers() {
    for table in ["a;drop", "a b", "a.b.c", ".a", "a.", "1a", "\\\"a\\\"", "a-b", &"x".repeat(64)] {
        refused(
            &target(&format!("database = {{ url_env = \"D\", deployments = \"{table}\" }}")),
            3,
            &["database.deployments"],
        );
    }
    for column in ["a.b", "a b", "1", "ä", "a'", ""] {
        refused(
            &target(&format!("database = {{ url_env = \"D\", columns = {{ status = \"{column}\" }} }}")),
            3,
            &["columns.status"],
        );
    }
    for variable in ["postgres://user:pass@host/db", "A B", "1A", "A-B", ""] {
        refused(&target(&format!("database = {{ url_env = \"{variable}\" }}")), 3, &["target.database.url_env"]);
    }
    for words in ["[]", "[\"\"]", "[\" x\"]", "[5]", "[\"a\\nb\"]"] {
        refused(
            &target(&format!("database = {{ url_env = \"D\", words = {{ success = {words} }} }}")),
            3,
            &["words.success"],
        );
    }
    // A word that means two things decides nothing; letter case does not tell words apart.
    refused(
        &target("database = { url_env = \"D\", words = { success = [\"Failed\"] } }"),
        3,
        &["target.database.words has \"Failed\" in two lists"],
    );
}

#[test]
fn migrations_name_a_tool_and_a_path_below_the_tree() {
    let read = |value: &str| {
        let text = target(&format!("database = {{ url_env = \"DB\", migrations = {value} }}"));
        trusted(&text).map(|config| {
            let target = only_target(config);
            (target.database.unwrap().records, target.migrations)
        })
    };
    let wanted = |tool, path: Option<&str>| MigrationsConfig::Wanted { tool, path: path.map(str::to_owned) };
    let prisma = "{ tool = \"prisma\", path = \"prisma/migrations/\" }";
    assert_eq!(read(prisma).unwrap(), (false, wanted(Some(Tool::Prisma), Some("prisma/migrations"))));
    assert_eq!(read("{ tool = \"golang-migrate\" }").unwrap(), (false, wanted(Some(Tool::GolangMigrate), None)));
    assert_eq!(read("true").unwrap(), (false, wanted(None, None)));
    assert_eq!(read("false").unwrap(), (true, MigrationsConfig::Off));
    for wrong in [
        "{ tool = \"prism\" }",
        "{ path = \"../x\" }",
        "{ path = \"/x\" }",
        "{ path = \"\" }",
        "{ path = \"a//b\" }",
        "{ path = \"a/.git/b\" }",
        "{ table = \"x\" }",
        "1",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    let text = target("database = { url_env = \"DB\", deployments = \"d\", migrations = true }");
    assert!(only_target(trusted(&text).unwrap()).database.unwrap().records);
}

#[test]
fn migrations_need_no_trust_and_no_address_beside_them() {
    let named = target("database = { migrations = { tool = \"knex\", path = \"db\" } }");
    let wanted = MigrationsConfig::Wanted { tool: Some(Tool::Knex), path: Some("db".into()) };
    let config = combine(repository(&named), false, None).unwrap();
    assert_eq!(config.left_out, [""; 0]);
    let alone = only_target(config);
    assert_eq!((alone.database, alone.migrations), (None, wanted.clone()));
    let users = target("database = { url_env = \"DB\" }");
    let both = only_target(combine(repository(&named), false, user(&users)).unwrap());
    let address = DatabaseAddress::Url { variable: "DB".into() };
    assert_eq!((both.database.unwrap().address, both.migrations), (address, wanted.clone()));
    let more = target("database = { url_env = \"DB\", migrations = { tool = \"knex\", path = \"db\" } }");
    let config = combine(repository(&more), false, None).unwrap();
    assert_eq!(config.left_out.len(), 1);
    let safe = only_target(config);
    assert_eq!((safe.database, safe.migrations), (None, wanted));
}
