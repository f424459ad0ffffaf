//! What users and strangers write into the configuration files, and what becomes of it.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use afterpush_core::{
    config::{
        CommitAssertion, Config, ConfigError, DatabaseAddress, DatabaseColumns, DatabaseConfig, DatabaseKind,
        DatabaseWords, HealthAddress, HealthConfig, HealthMethod, MigrationsConfig, ProviderConfig, Reaction,
        RefPattern, Source, Target, combine,
    },
    id::RefName,
    migrations::Tool,
    policy::Policy,
};
use proptest::prelude::*;

const REPOSITORY: &str = ".afterpush.toml";
const USER: &str = "/home/ada/.config/afterpush/config.toml";

fn repository(text: &str) -> Option<Source<'_>> {
    Some(Source { name: REPOSITORY, text })
}

fn user(text: &str) -> Option<Source<'_>> {
    Some(Source { name: USER, text })
}

fn trusted(text: &str) -> Result<Config, ConfigError> {
    combine(repository(text), true, None)
}

fn untrusted(text: &str) -> Result<Config, ConfigError> {
    combine(repository(text), false, None)
}

fn users(text: &str) -> Result<Config, ConfigError> {
    combine(None, false, user(text))
}

/// A file with one target that has these lines.
fn target(lines: &str) -> String {
    format!("[[target]]\nname = \"web\"\n{lines}\n")
}

fn only_target(config: Config) -> Target {
    assert_eq!(config.targets.len(), 1);
    config.targets.into_iter().next().unwrap()
}

fn health(lines: &str) -> HealthConfig {
    only_target(trusted(&target(&format!("health = {{ path = \"/\", {lines} }}"))).unwrap()).health.remove(0)
}

fn variable(name: &str) -> DatabaseAddress {
    DatabaseAddress::Url { variable: name.to_owned() }
}

/// Every key once.
const FULL: &str = r#"
[[target]]
name = "web"
branch = "main"
paths = ["apps/web/**", "*.lock"]
provider = { kind = "digitalocean", app = "storefront", nested = { a = [1, 2.5, true], on = 2026-01-01 } }
accept_unversioned_health = true

[target.database]
url_env = "DATABASE_URL"
deployments = "ops.deploys"
columns = { commit = "sha", status = "state", error = "message", created_at = "made" }
words = { in_progress = ["running"], success = ["Done"], failed = ["broken", "lost"] }

[target.health]
url = "https://example.com/health?full=1"
status = [204, 200, 204]
commit = "/build/commit"
passes = 2
failures = 7
timeout = "1s500ms"

[policy]
first_interval = "2s"
slow_interval = "1m"
growth = 2
jitter = 0.5
registration_deadline = "10m"
deadline = "1h30m"
confirmation_deadline = "30s"
"#;

#[test]
fn every_key_reaches_its_place() {
    let config = trusted(FULL).unwrap();
    let settings: toml::Table =
        "app = \"storefront\"\nnested = { a = [1, 2.5, true], on = 2026-01-01 }".parse().unwrap();
    let word_list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let expected = Target {
        name: "web".into(),
        refs: RefPattern::new("refs/heads/main"),
        paths: vec!["apps/web/**".into(), "*.lock".into()],
        provider: Some(ProviderConfig { kind: "digitalocean".into(), settings }),
        database: Some(DatabaseConfig {
            address: DatabaseAddress::Url { variable: "DATABASE_URL".into() },
            query: None,
            records: true,
            deployments: "ops.deploys".into(),
            columns: DatabaseColumns {
                commit: Some("sha".into()),
                status: Some("state".into()),
                error: Some("message".into()),
                created_at: Some("made".into()),
            },
            words: DatabaseWords {
                in_progress: word_list(&["running"]),
                success: word_list(&["Done"]),
                failed: word_list(&["broken", "lost"]),
            },
        }),
        migrations: MigrationsConfig::IfFound,
        health: vec![HealthConfig {
            status: vec![200, 204],
            commit: Some(CommitAssertion::Pointer("/build/commit".into())),
            passes: 2,
            failures: 7,
            timeout: Duration::from_millis(1_500),
            ..HealthConfig::of(HealthAddress::Url {
                url: "https://example.com/health?full=1".into(),
                user_named: false,
            })
        }],
        accept_unversioned_health: true,
    };
    assert_eq!(config.targets, [expected]);
    assert_eq!(
        config.policy,
        Policy {
            first_interval: Duration::from_secs(2),
            slow_interval: Duration::from_secs(60),
            growth: 2.0,
            jitter: 0.5,
            registration_deadline: Duration::from_secs(600),
            deadline: Duration::from_secs(5_400),
            confirmation_deadline: Duration::from_secs(30),
            ..Policy::default()
        }
    );
    assert!(config.left_out.is_empty() && config.providers.is_empty());
}

#[test]
fn what_is_not_set_has_its_default() {
    assert_eq!(combine(None, false, None).unwrap(), Config::default());
    assert_eq!(combine(repository(""), true, user("# nothing\n")).unwrap(), Config::default());

    let text =
        target("provider = { kind = \"digitalocean\" }\ndatabase = { url_env = \"DB\" }\nhealth = { path = \"/up\" }");
    let target = only_target(trusted(&text).unwrap());
    assert_eq!(target.refs, RefPattern::new("refs/heads/*"));
    assert!(!target.accept_unversioned_health);
    assert_eq!(
        target.database.unwrap(),
        DatabaseConfig {
            address: DatabaseAddress::Url { variable: "DB".into() },
            query: None,
            records: true,
            deployments: "deployments".into(),
            columns: DatabaseColumns::default(),
            words: DatabaseWords::default(),
        }
    );
    assert_eq!(
        target.health,
        [HealthConfig {
            name: "health".into(),
            address: HealthAddress::Path("/up".into()),
            method: HealthMethod::Get,
            status: vec![200],
            contains: vec![],
            excludes: vec![],
            equals: vec![],
            depends: vec![],
            max_latency: None,
            commit: None,
            passes: 3,
            failures: 5,
            flakes: 0,
            timeout: Duration::from_secs(10),
        }]
    );
}

#[test]
fn several_health_checks_have_a_name_each() {
    let text = target(
        "[[target.health]]\npath = \"/\"\n[[target.health]]\nname = \"mail\"\ntcp = \"mail.example.com:25\"\n\
         [[target.health]]\nname = \"api\"\ngrpc = \"https://api.example.com\"\nservice = \"shop.Cart\"\ncommit = \"x-commit\"",
    );
    let checks = only_target(trusted(&text).unwrap()).health;
    assert_eq!(checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), ["health", "mail", "api"]);
    assert_eq!(checks[1].address, HealthAddress::Tcp { place: "mail.example.com:25".into(), user_named: false });
    let url = "https://api.example.com".to_owned();
    assert_eq!(checks[2].address, HealthAddress::Grpc { url, service: "shop.Cart".into(), user_named: false });
    let same = only_target(trusted(&target("health = [{ path = \"/\" }]")).unwrap()).health;
    assert_eq!(same, [HealthConfig::of(HealthAddress::Path("/".into()))]);

    let two = "[[target.health]]\npath = \"/\"\n";
    refused(&target(&two.repeat(2)), 5, &["target.health has two checks of the name \"health\""]);
    refused(&target("health = []"), 3, &["target.health has 0 checks", "up to 20"]);
    refused(&target(&format!("health = [{}]", "{ path = \"/\" },".repeat(21))), 3, &["has 21 checks"]);
}

#[test]
fn what_a_health_answer_has_to_be_is_read() {
    let check = health(
        "method = \"HEAD\", status = [\"2xx\", 302], max_latency = \"800ms\", flakes = 2, commit = \"x-commit\"",
    );
    assert_eq!((check.method, check.flakes), (HealthMethod::Head, 2));
    assert_eq!((check.status.len(), check.status[99], check.status[100]), (101, 299, 302));
    assert_eq!(check.max_latency, Some(Duration::from_millis(800)));
    let check = health(
        "contains = \"ok\", excludes = [\"a\", \"b\"], depends = \"/db\", equals = { \"/n\" = 3, \"/t\" = \"x\", \"/b\" = true }",
    );
    assert_eq!(
        (check.contains, check.excludes.len(), check.depends),
        (vec!["ok".to_owned()], 2, vec!["/db".to_owned()])
    );
    let value = |text: &str| check.equals.iter().find(|(pointer, _)| pointer == text).unwrap().1.to_string();
    assert_eq!((value("/n").as_str(), value("/t").as_str(), value("/b").as_str()), ("3", "\"x\"", "true"));
}

#[test]
fn a_key_that_its_kind_of_check_does_not_look_at_is_refused() {
    for (lines, key) in [
        ("tcp = \"a.example:1\", status = 200", "status"),
        ("tcp = \"a.example:1\", commit = \"x-commit\"", "commit"),
        ("tcp = \"a.example:1\", contains = \"x\"", "contains"),
        ("grpc = \"https://a.example\", method = \"GET\"", "method"),
        ("grpc = \"https://a.example\", commit = \"/commit\"", "commit outside of a header"),
        ("path = \"/\", method = \"HEAD\", depends = \"/db\"", "depends"),
        ("path = \"/\", method = \"HEAD\", commit = \"/commit\"", "commit in the body"),
    ] {
        refused(&target(&format!("health = {{ {lines} }}")), 3, &["target.health has", key, "which means nothing to"]);
    }
    refused(&target("health = { path = \"/\", service = \"x\" }"), 3, &["a service without grpc"]);
    for lines in [
        "tcp = \"a.example\"",
        "tcp = \"a.example:0\"",
        "tcp = \"a.example:1/x\"",
        "tcp = \"u@a.example:1\"",
        "grpc = \"https://a.example/x\"",
        "path = \"/\", method = \"POST\"",
        "path = \"/\", status = \"1xx\"",
        "path = \"/\", equals = { a = 1 }",
        "path = \"/\", equals = { \"/a\" = 1.5 }",
        "path = \"/\", depends = \"db\"",
        "path = \"/\", contains = []",
    ] {
        refused(&target(&format!("health = {{ {lines} }}")), 3, &["target.health."]);
    }
    let plain = trusted(&target("health = { grpc = \"http://a.example\" }")).unwrap_err();
    assert!(plain.expected.contains("http:// only in your own configuration file"), "{plain}");
}

#[test]
fn the_users_check_is_put_over_the_one_of_its_name() {
    let theirs = target(
        "[[target.health]]\nname = \"site\"\npath = \"/\"\ncommit = \"/c\"\n[[target.health]]\nname = \"mail\"\ntcp = \"mail.example:25\"",
    );
    let mine = target(
        "[[target.health]]\nname = \"site\"\npasses = 7\n[[target.health]]\nname = \"mine\"\nurl = \"http://10.0.0.1/\"",
    );
    let config = combine(repository(&theirs), false, user(&mine)).unwrap();
    let shown: Vec<_> = config.targets[0].health.iter().map(|check| (check.name.as_str(), check.passes)).collect();
    assert_eq!(shown, [("site", 7), ("mine", 3)]);
    assert!(config.targets[0].health[0].commit.is_some());
    assert_eq!(config.left_out.len(), 1);
    assert!(config.left_out[0].contains("health.tcp in"), "{:?}", config.left_out);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let windows = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    assert_eq!(trusted(&windows).unwrap(), trusted(FULL).unwrap());
    assert_eq!(trusted("\r\n\r\n[[target]]\r\nnam = 1\r\n").unwrap_err().line, 3);
}

#[test]
fn the_commit_is_a_pointer_a_header_or_a_regular_expression_by_its_form() {
    let header = |name: &str, regex: Option<&str>| CommitAssertion::Header {
        name: name.into(),
        regex: regex.map(str::to_owned),
    };
    for (text, expected) in [
        ("\"/commit\"", CommitAssertion::Pointer("/commit".into())),
        ("\"/a~1b/~0c\"", CommitAssertion::Pointer("/a~1b/~0c".into())),
        ("\"X-Commit\"", header("x-commit", None)),
        ("'commit: ([0-9a-f]+)'", CommitAssertion::Regex("commit: ([0-9a-f]+)".into())),
        ("{ pointer = \"/x\" }", CommitAssertion::Pointer("/x".into())),
        ("{ header = \"etag\" }", header("etag", None)),
        ("{ header = \"X-Vercel-Id\", regex = '-([0-9a-f]+)$' }", header("x-vercel-id", Some("-([0-9a-f]+)$"))),
        ("{ meta = \"commit\" }", CommitAssertion::Meta("commit".into())),
        ("{ regex = '/v.*' }", CommitAssertion::Regex("/v.*".into())),
    ] {
        assert_eq!(health(&format!("commit = {text}")).commit, Some(expected), "{text}");
    }
}

#[test]
fn refs_are_a_branch_or_a_pattern() {
    let matches = |lines: &str, name: &str| {
        only_target(untrusted(&target(lines)).unwrap()).refs.matches(&RefName::parse(name).unwrap())
    };
    assert!(matches("branch = \"feature/x\"", "refs/heads/feature/x"));
    assert!(!matches("branch = \"main\"", "refs/heads/feature/main"));
    assert!(matches("ref = \"refs/tags/v*\"", "refs/tags/v1"));
    assert!(matches("", "refs/heads/anything"));
    assert!(!matches("", "refs/tags/v1"));
}

#[test]
fn an_error_reads_as_file_line_problem_and_what_was_expected() {
    let error = untrusted("[[target]]\nname = \"web\"\n\n[policy]\ndeadlin = \"5m\"\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        ".afterpush.toml:5: unknown key \"deadlin\" in [policy]; expected one of first_interval, slow_interval, growth, jitter, \
         registration_deadline, deadline, confirmation_deadline, monitors (did you mean \"deadline\"?)"
    );
    let error = users("[[target]]\nname = \"web\"\nhelth = { path = \"/\" }\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/home/ada/.config/afterpush/config.toml:3: unknown key \"helth\" in [[target]]; expected one of name, branch, ref, paths, \
         provider, database, health, accept_unversioned_health (did you mean \"health\"?)"
    );
    let error = untrusted("\n\nx = [1,\n").unwrap_err();
    assert!(error.to_string().starts_with(".afterpush.toml:"), "{error}");
    assert!(error.line >= 3);
}

/// Asserts that the text of a trusted file is refused in this line, with these pieces of text in the message.
#[track_caller]
fn refused(text: &str, line: usize, pieces: &[&str]) {
    let error = trusted(text).map(|config| panic!("accepted:\n{text}\n{config:?}")).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.line, line, "{message}\n{text}");
    for piece in pieces {
        assert!(message.contains(piece), "{message} lacks {piece}\n{text}");
    }
    let same = users(text).unwrap_err();
    assert_eq!((same.line, same.file.as_str()), (line, USER), "{same}");
}

#[test]
fn keys_that_do_not_exist_are_refused_everywhere() {
    refused("[[targets]]\nname = \"x\"", 1, &["unknown key \"targets\" in the file", "did you mean \"target\"?"]);
    refused(&target("repository = \"github.com/acme/web\""), 3, &["unknown key \"repository\" in [[target]]"]);
    refused(&target("[target.health]\npath = \"/\"\nheaders = { a = \"b\" }"), 5, &["\"headers\" in [target.health]"]);
    refused(&target("[target.database]\nurl_env = \"D\"\nurl = \"x\""), 5, &["\"url\" in [target.database]"]);
    refused(&target("[target.database]\ncolumns.sha = \"x\""), 4, &["\"sha\" in [target.database.columns]"]);
    refused(&target("[target.database.words]\ndone = [\"x\"]"), 4, &["\"done\" in [target.database.words]"]);
    refused(
        &target("health.commit = { xpath = \"x\" }"),
        3,
        &["\"xpath\" in [target.health.commit]", "pointer, header, meta, regex"],
    );
    refused("[policy]\n\"dead\\u001bline\" = 1", 2, &["\"dead\\u{1b}line\""]);
}

#[test]
fn wrong_types_are_refused_with_what_was_expected() {
    refused("target = 5", 1, &["target is 5", "[[target]]"]);
    refused("[target]\nname = \"x\"", 1, &["target is a table", "[[target]]"]);
    refused("target = [\n1]", 2, &["target is 1", "a table, [[target]]"]);
    refused("policy = []", 1, &["policy is an array", "a table, [policy]"]);
    refused("[[target]]\nname = 5", 2, &["target.name is 5", "a name of 1 to 64"]);
    refused(&target("branch = true"), 3, &["target.branch is a boolean", "name of one branch"]);
    refused(
        &target("provider = \"digitalocean\""),
        3,
        &["target.provider is \"digitalocean\"", "a table, [target.provider]"],
    );
    refused(&target("accept_unversioned_health = \"yes\""), 3, &["is \"yes\"", "true or false"]);
    refused(
        &target("health = { path = \"/\", passes = \"3\" }"),
        3,
        &["target.health.passes is \"3\"", "from 1 to 20"],
    );
    refused("[policy]\ndeadline = 30", 2, &["policy.deadline is 30", "a duration above zero such as"]);
    refused("[policy]\ngrowth = 2026-01-01", 2, &["policy.growth is a datetime", "a number from 1.0 to 10.0"]);
    refused(
        &target("database = { url_env = \"D\", words = { failed = \"x\" } }"),
        3,
        &["words.failed is \"x\"", "an array"],
    );
}

#[test]
fn values_out_of_range_are_refused() {
    for (key, values) in [
        ("passes", &["0", "21", "-1", "1.5", "99999999999999999999", "0x100"][..]),
        ("failures", &["0", "101"]),
        ("status", &["199", "600", "0", "[]", "[200, 99]", "\"200\"", "[\"200\"]", "2000000", "65736"]),
        ("timeout", &["\"21s\"", "\"0s\"", "\"20s1ms\"", "10", "\"10\"", "\"-1s\"", "\"99999999999999999999d\""]),
        (
            "commit",
            &[
                "\"\"",
                "{}",
                "{ pointer = \"x\" }",
                "{ pointer = \"/~2\" }",
                "{ header = \"a b\" }",
                "{ regex = \"\" }",
                "5",
                "{ header = \"a\", pointer = \"/b\" }",
                "{ meta = \"<a>\" }",
                "\"/a~\"",
            ],
        ),
        (
            "path",
            &[
                "\"health\"",
                "\"//evil.example/\"",
                "\"/a/../b\"",
                "\"/@evil.example\"",
                "\"/\\\\evil\"",
                "\"/a b\"",
                "\"\"",
            ],
        ),
        ("url", &["\"ftp://x/\"", "\"https://a@b/\"", "\"https://x/#y\"", "\"x.example/health\"", "\"https://[x]/\""]),
    ] {
        for value in values {
            refused(
                &target(&format!("[target.health]\n{key} = {value}")),
                4,
                &[&format!("target.health.{}", key)[..7]],
            );
        }
    }
    for (key, values) in [
        ("growth", &["0.99", "10.1", "nan", "inf", "-2", "\"2\""][..]),
        ("jitter", &["-0.1", "1.01", "nan"]),
        ("deadline", &["\"\"", "\"0s\"", "\"5\"", "\"5 m\"", "\"1s1m\"", "\"99999d\""]),
    ] {
        for value in values {
            refused(&format!("[policy]\n{key} = {value}"), 2, &[&format!("policy.{key} is"), "; expected"]);
        }
    }
}

#[test]
fn names_are_plain() {
    for name in ["", "-x", ".x", "_x", "a b", "a/b", "ä", &"x".repeat(65), "a\\n", "a\\u202e"] {
        refused(&format!("[[target]]\nname = \"{name}\""), 2, &["target.name"]);
    }
    assert!(trusted(&format!("[[target]]\nname = \"{}\"", "x".repeat(64))).is_ok());
    assert!(trusted("[[target]]\nname = \"Web-1.eu_west\"").is_ok());
    refused("[[target]]\nname = \"a\"\n\n[[target]]\nbranch = \"b\"\n", 4, &["[[target]] has no name"]);
    refused("[[target]]\nname = \"a\"\n\n[[target]]\nname = \"a\"\n", 4, &["a second target has the name \"a\""]);
}

#[test]
fn refs_that_are_not_refs_are_refused() {
    for branch in ["refs/heads/main", "a b", "a..b", "*", ".x", "a//b", ""] {
        refused(&target(&format!("branch = \"{branch}\"")), 3, &["target.branch"]);
    }
    for pattern in ["main", "heads/*", "*", "refs/heads/../x", "refs/heads/a b"] {
        refused(&target(&format!("ref = \"{pattern}\"")), 3, &["target.ref"]);
    }
    refused(
        &target("branch = \"main\"\nref = \"refs/heads/*\""),
        1,
        &["[[target]] has both branch and ref; expected one of them"],
    );
}

#[test]
fn what_must_be_there_is_asked_for() {
    refused(
        &target("provider = { app = \"x\" }"),
        3,
        &["target.provider has no kind", "kind = one of", "\"digitalocean\""],
    );
    refused(
        &target("provider = { kind = \"digitalocaen\" }"),
        3,
        &["target.provider.kind is \"digitalocaen\"", "\"digitalocean\""],
    );
    refused(&target("database = { deployments = \"d\" }"), 3, &["target.database has no url_env"]);
    refused(&target("health = { passes = 1 }"), 3, &["target.health has neither path nor url"]);
    refused(
        &target("health = { path = \"/\", url = \"https://x/\" }"),
        3,
        &["has several of path, url, tcp and grpc; expected one of them"],
    );
}

#[test]
fn an_address_may_stand_in_parts_and_a_query_may_take_the_place_of_the_table() {
    let database =
        |keys: &str| only_target(trusted(&target(&format!("database = {{ {keys} }}"))).unwrap()).database.unwrap();
    let parts = |prefix: &str, kind| DatabaseAddress::Parts { prefix: prefix.to_owned(), kind };
    assert_eq!(database("env = \"DB_\", kind = \"mysql\"").address, parts("DB_", DatabaseKind::Mysql));
    assert_eq!(database("env = \"PG\"").address, parts("PG", DatabaseKind::Postgres));
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
fn characters_that_a_reader_does_not_see_are_refused_also_in_the_providers_own_keys() {
    for text in ["a\\u001b[31m", "a\\u202eb", "a\\u200bb", "a\\u0000", "a\\nb"] {
        refused(
            &target(&format!("provider = {{ kind = \"digitalocean\", app = \"{text}\" }}")),
            3,
            &["control or invisible"],
        );
        refused(
            &target(&format!("provider = {{ kind = \"digitalocean\", a = [{{ b = \"{text}\" }}] }}")),
            3,
            &["control or invisible"],
        );
        refused(
            &target(&format!("provider = {{ kind = \"digitalocean\", a.\"{text}\" = 1 }}")),
            3,
            &["control or invisible"],
        );
        refused(
            &target(&format!("provider = {{ kind = \"digitalocean\", \"{text}\" = 1 }}")),
            3,
            &["control or invisible"],
        );
    }
}

#[test]
fn a_message_never_carries_what_could_act_on_a_terminal() {
    for text in [
        "\"\u{9b}31m\" = 1",
        "[policy]\n\"\\u001b\\u202e\" = 1",
        "[[target]]\nname = \"\\u001b[31m\"",
        "x = \"\u{1b}",
        "\u{1b}",
    ] {
        let message = untrusted(text).unwrap_err().to_string();
        assert!(!message.contains(|c: char| c.is_control() || c == '\u{202e}'), "{message:?}");
    }
    let long = format!("[policy]\n{} = 1", "x".repeat(100_000));
    assert!(untrusted(&long).unwrap_err().to_string().len() < 400);
}

#[test]
fn hostile_files_neither_overflow_the_stack_nor_take_long() {
    // On a small stack, as a test's thread or a hook may have it.
    let work = || {
        for unit in ["[", "{a=", "[[", "a.", "a=[", "a={b=", "'''", "[a.", "\"\"\""] {
            for text in [
                unit.repeat(100_000),
                format!("x = {}", unit.repeat(80_000)),
                format!("[[target]]\nprovider = {}", unit.repeat(80_000)),
            ] {
                let text: String = text.chars().take(256 * 1024).collect();
                assert!(untrusted(&text).is_err(), "{unit}");
            }
        }
        let deep = format!("provider = {{ kind = \"digitalocean\", a = {}{} }}", "[".repeat(60), "]".repeat(60));
        assert!(untrusted(&target(&deep)).is_ok());
    };
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn files_and_lists_have_a_largest_size() {
    let comment = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
    assert!(untrusted(&comment(256 * 1024)).is_ok());
    refused(&comment(256 * 1024 + 1), 1, &["the file has 262145 bytes; expected at most 262144"]);
    let targets = |count: usize| (0..count).map(|i| format!("[[target]]\nname = \"t{i}\"\n")).collect::<String>();
    assert_eq!(untrusted(&targets(100)).unwrap().targets.len(), 100);
    refused(&targets(101), 1, &["target has 101 tables; expected at most 100"]);
}

#[test]
fn a_repository_that_is_not_trusted_gets_its_safe_keys_only() {
    let config = untrusted(FULL).unwrap();
    let target = &config.targets[0];
    assert_eq!((&target.database, target.health.len()), (&None, 0));
    assert_eq!(target.provider.as_ref().unwrap().kind, "digitalocean");
    assert!(target.accept_unversioned_health);
    assert_eq!(
        config.left_out,
        [
            "target \"web\": database in .afterpush.toml is not used because this repository is not trusted; run afterpush trust",
            "target \"web\": health.url in .afterpush.toml is not used because this repository is not trusted; run afterpush trust",
        ]
    );
    let path = untrusted(&self::target("health = { path = \"/up\", commit = \"/c\" }")).unwrap();
    assert!(path.left_out.is_empty());
    assert_eq!(only_target(path).health[0].address, HealthAddress::Path("/up".into()));
}

#[test]
fn privileged_keys_are_checked_also_where_they_are_not_used() {
    for lines in [
        "database = { url_env = 5 }",
        "database = { nonsense = 1 }",
        "health = { url = \"http://x/\" }",
        "health = { url = 1 }",
    ] {
        assert!(untrusted(&target(lines)).is_err(), "{lines}");
    }
}

#[test]
fn an_untrusted_provider_table_names_no_address_no_header_and_no_command() {
    let text = target(
        r#"[target.provider]
kind = "digitalocean"
app = "storefront"
base_url = "x"
apiUrl = "x"
http-proxy = "x"
headers = { a = "b" }
build_command = "rm"
token_env = "AWS_SECRET"
site = "https://evil.example"
deep = { list = [{ where = "http://evil.example" }] }
deeper = { a = { host = "x" } }
region = "fra""#,
    );
    let config = untrusted(&text).unwrap();
    let kept: Vec<&str> = config.targets[0].provider.as_ref().unwrap().settings.keys().map(String::as_str).collect();
    assert_eq!(kept, ["app", "region"]);
    assert_eq!(config.left_out.len(), 9);
    assert_eq!(
        config.left_out[0],
        "target \"web\": provider.base_url in .afterpush.toml is not used because this repository is not trusted; run afterpush trust"
    );
    assert_eq!(trusted(&text).unwrap().targets[0].provider.as_ref().unwrap().settings.len(), 11);
}

#[test]
fn where_an_open_end_asks_and_what_it_runs_counts_after_trust_only() {
    let provider = |settings: &str| target(&format!("[target.provider]\n{settings}"));
    let http =
        "kind = \"http\"\nurl = \"https://ci.test\"\ntoken_env = \"T\"\ncommit = \"/a\"\nwords = { live = [\"b\"] }";
    let command = "kind = \"command\"\ncommand = [\"a\"]\nenv = [\"T\"]\ntimeout = \"5s\"";
    for (settings, safe, all) in [(http, 2, 4), (command, 1, 3)] {
        let keys = |config: Config| only_target(config).provider.unwrap().settings.len();
        assert_eq!(keys(untrusted(&provider(settings)).unwrap()), safe, "{settings}");
        assert_eq!(keys(trusted(&provider(settings)).unwrap()), all, "{settings}");
    }
    let open = provider("kind = \"http\"\nurl = \"HTTP://127.0.0.1:8000/{commit}\"");
    assert!(trusted(&open).unwrap_err().to_string().contains("https://"));
    assert!(users(&open).is_ok());
}

#[test]
fn only_the_users_file_sets_the_providers_address() {
    let settings = "[provider.digitalocean]\napi_url = \"https://do.example/\"\n";
    assert_eq!(users(settings).unwrap().providers["digitalocean"].api_url.as_deref(), Some("https://do.example"));

    let error = trusted(settings).unwrap_err();
    assert!(error.to_string().contains("only your own configuration file may set this"), "{error}");
    let config = untrusted(settings).unwrap();
    assert!(config.providers.is_empty());
    assert_eq!(
        config.left_out,
        ["[provider] in .afterpush.toml is not used: only your own configuration file may set it"]
    );

    let inside = target("provider = { kind = \"digitalocean\", api_url = \"https://do.example\" }");
    refused(&inside, 3, &["target.provider.api_url is not a key of a target", "[provider.digitalocean]"]);
    let config = untrusted(&inside).unwrap();
    assert!(config.targets[0].provider.as_ref().unwrap().settings.is_empty());
    assert_eq!(config.left_out.len(), 1);
}

#[test]
fn the_providers_address_is_encrypted_or_on_this_machine() {
    let read = |url: &str| users(&format!("[provider.digitalocean]\napi_url = \"{url}\"\n"));
    for url in [
        "http://127.0.0.1:8080",
        "http://127.9.9.9",
        "http://[::1]:1/base",
        "http://localhost:80",
        "https://10.0.0.1/v2",
    ] {
        assert_eq!(read(url).unwrap().providers["digitalocean"].api_url.as_deref(), Some(url));
    }
    for url in [
        "http://do.example",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "https://u:p@x",
        "https://x/?q",
        "https://x/#f",
        "x",
        "",
        "http://127.0.0.1:8080@evil.example/",
        "http://128.0.0.1",
    ] {
        let error = read(url).unwrap_err();
        assert_eq!(error.line, 2, "{error}");
    }
    let error = users("[provider.digitalocaen]\napi_url = \"https://x\"").unwrap_err();
    assert!(error.to_string().contains("unknown key \"digitalocaen\" in [provider]"), "{error}");
    let error = users("[provider.digitalocean]\ntoken = \"x\"").unwrap_err();
    assert!(
        error.to_string().contains("unknown key \"token\" in [provider.digitalocean]; expected api_url"),
        "{error}"
    );
}

#[test]
fn a_health_address_over_http_is_for_the_user_only() {
    let text = target("health = { url = \"http://192.168.1.5:3000/health\" }");
    assert_eq!(
        only_target(users(&text).unwrap()).health[0].address,
        HealthAddress::Url { url: "http://192.168.1.5:3000/health".into(), user_named: true }
    );
    let error = trusted(&text).unwrap_err();
    assert!(error.to_string().contains("http:// only in your own configuration file"), "{error}");
}

#[test]
fn the_policy_of_a_repository_is_kept_within_bounds_and_says_so() {
    let text = "[policy]\nfirst_interval = \"200ms\"\ndeadline = \"48h\"\nslow_interval = \"1s\"\nregistration_deadline = \"24h\"\n";
    for config in [trusted(text).unwrap(), untrusted(text).unwrap()] {
        assert_eq!(config.policy.first_interval, Duration::from_secs(1));
        assert_eq!(config.policy.deadline, Duration::from_secs(86_400));
        assert_eq!(
            config.left_out,
            [
                "[policy] first_interval = \"200ms\" in .afterpush.toml is too short for a repository's file; 1s is used",
                "[policy] deadline = \"48h\" in .afterpush.toml is too long for a repository's file; 24h is used",
            ]
        );
    }
    let config = users(text).unwrap();
    assert_eq!(config.policy.first_interval, Duration::from_millis(200));
    assert_eq!(config.policy.deadline, Duration::from_secs(2 * 86_400));
    assert!(config.left_out.is_empty());
}

#[test]
fn the_user_wins_key_by_key() {
    let theirs = r#"
[[target]]
name = "web"
branch = "main"
provider = { kind = "digitalocean", app = "storefront", deep = { a = 1, b = 2 } }
database = { url_env = "DATABASE_URL", columns = { commit = "sha", status = "state" }, words = { success = ["done"] } }
health = { path = "/health", commit = "/commit", passes = 2 }
[[target]]
name = "docs"
[policy]
deadline = "10m"
growth = 2.0
"#;
    let mine = r#"
[[target]]
name = "extra"
[[target]]
name = "web"
ref = "refs/heads/*"
accept_unversioned_health = true
provider = { app = "mine", deep = { b = 3 } }
database = { deployments = "deploys", columns = { status = "stand" }, words = { failed = ["bad"] } }
health = { url = "http://localhost:3000/", passes = 5 }
[policy]
deadline = "20m"
"#;
    let config = combine(repository(theirs), true, user(mine)).unwrap();
    assert_eq!(config.targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>(), ["web", "docs", "extra"]);
    let web = &config.targets[0];
    assert_eq!(web.refs, RefPattern::new("refs/heads/*"));
    assert!(web.accept_unversioned_health);
    let expected: toml::Table = "app = \"mine\"\ndeep = { a = 1, b = 3 }".parse().unwrap();
    assert_eq!(web.provider, Some(ProviderConfig { kind: "digitalocean".into(), settings: expected }));
    let database = web.database.as_ref().unwrap();
    assert_eq!((&database.address, database.deployments.as_str()), (&variable("DATABASE_URL"), "deploys"));
    assert_eq!((database.columns.commit.as_deref(), database.columns.status.as_deref()), (Some("sha"), Some("stand")));
    assert_eq!(
        (&database.words.success[..], &database.words.failed[..]),
        (&["done".to_owned()][..], &["bad".to_owned()][..])
    );
    let health = &web.health[0];
    assert_eq!(health.address, HealthAddress::Url { url: "http://localhost:3000/".into(), user_named: true });
    assert_eq!((health.passes, &health.commit), (5, &Some(CommitAssertion::Pointer("/commit".into()))));
    assert_eq!((config.policy.deadline, config.policy.growth), (Duration::from_secs(1_200), 2.0));
}

#[test]
fn what_the_user_names_takes_the_place_of_what_is_not_trusted() {
    let theirs = target(
        "health = { url = \"https://theirs.example/\", commit = \"/commit\" }\ndatabase = { url_env = \"AWS_SECRET\" }",
    );
    let mine = target("health = { url = \"https://mine.example/\" }\ndatabase = { url_env = \"DB\" }");
    let config = combine(repository(&theirs), false, user(&mine)).unwrap();
    let web = &config.targets[0];
    assert_eq!(web.database.as_ref().unwrap().address, variable("DB"));
    let health = &web.health[0];
    assert_eq!(health.address, HealthAddress::Url { url: "https://mine.example/".into(), user_named: true });
    assert_eq!(health.commit, Some(CommitAssertion::Pointer("/commit".into())));
    // The user's address makes theirs irrelevant; of the database table other keys are missed.
    assert_eq!(config.left_out.len(), 1, "{:?}", config.left_out);
    assert!(config.left_out[0].contains(": database in"));
}

#[test]
fn the_sentences_about_what_is_left_out_do_not_flood_a_status() {
    let keys: String = (0..1_000).map(|i| format!("u{i}_url = 1\n")).collect();
    let config = untrusted(&target(&format!("[target.provider]\nkind = \"digitalocean\"\n{keys}"))).unwrap();
    assert_eq!(config.left_out.len(), 51);
    assert_eq!(config.left_out[50], "950 more keys are not used for the same reasons");
}

/// Files near the real ones: the full one with lines taken out, doubled, exchanged, and with values of other keys.
fn nearly_right() -> impl Strategy<Value = String> {
    let values = prop_oneof![
        Just("5".to_owned()),
        Just("\"5s\"".to_owned()),
        Just("true".to_owned()),
        Just("[200]".to_owned()),
        Just("\"https://evil.example/\"".to_owned()),
        Just("\"/path\"".to_owned()),
        Just("{ kind = \"digitalocean\", api_url = \"http://127.0.0.1\" }".to_owned()),
        Just("{ url = \"https://evil.example/\" }".to_owned()),
        Just("{ url_env = \"HOME\" }".to_owned()),
        Just("[provider.digitalocean]\napi_url = \"https://evil.example\"\n#".to_owned()),
        Just("1 \n[[target]]\nname = \"b\"\nhealth = { url = \"https://evil.example/\" }\n#".to_owned()),
        "\\PC{0,12}",
    ];
    let edits = proptest::collection::vec((0usize..40, 0usize..4, 0usize..40, values), 0..6);
    edits.prop_map(|edits| {
        let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
        for (at, what, other, value) in edits {
            let (at, other) = (at % lines.len(), other % lines.len());
            match what {
                0 => lines[at].clear(),
                1 => lines.insert(at, lines[other].clone()),
                2 => lines.swap(at, other),
                _ => {
                    let key = lines[at].split('=').next().unwrap_or_default().to_owned();
                    lines[at] = format!("{key}= {value}");
                }
            }
        }
        lines.join("\n")
    })
}

fn has_privilege(config: &Config) -> bool {
    !config.providers.is_empty()
        || config.targets.iter().any(|target| {
            target.database.is_some()
                || target.health.iter().any(|health| !matches!(health.address, HealthAddress::Path(_)))
                || target.provider.as_ref().is_some_and(|provider| provider.settings.to_string().contains("://"))
        })
}

#[test]
fn the_property_below_looks_at_something() {
    assert!(has_privilege(&trusted(FULL).unwrap()));
    assert!(has_privilege(&users("[provider.digitalocean]\napi_url = \"https://x\"").unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(noise in "\\PC{0,80}", near in nearly_right(), other in nearly_right(), toml in "[\\[\\]{}a-c.=\"'\n#1 ]{0,60}") {
        for text in [&noise, &near, &toml] {
            for trusted in [false, true] {
                let _ = combine(repository(text), trusted, user(&other));
                let _ = combine(repository(text), trusted, None);
            }
            let _ = combine(None, false, user(text));
        }
    }

    #[test]
    fn an_error_names_a_line_of_the_file(text in nearly_right()) {
        if let Err(error) = untrusted(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count() + 1, "{error}");
            prop_assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn an_untrusted_file_never_has_a_privilege(text in nearly_right()) {
        if let Ok(config) = untrusted(&text) {
            prop_assert!(!has_privilege(&config), "{config:?}");
        }
    }
}

#[test]
fn only_the_users_file_refuses_a_push_or_says_how_many_monitors_there_are() {
    let text =
        "[policy]\nmonitors = 2\n[before_push]\nbehind = \"refuse\"\nbranch_name = \"refuse\"\nprevious = \"off\"\n";
    let source = Some(Source { name: "it", text });
    for trusted in [false, true] {
        let config = combine(source, trusted, None).unwrap();
        let rules = config.before_push;
        assert_eq!((rules.behind, rules.branch_name, rules.previous), (Reaction::Warn, Reaction::Warn, Reaction::Off));
        assert_eq!((config.monitors, config.left_out.len()), (32, 3), "{:?}", config.left_out);
    }
    let config = combine(None, false, source).unwrap();
    assert_eq!((config.before_push.behind, config.monitors, config.left_out.len()), (Reaction::Refuse, 2, 0));
    // The user's word stands over the repository's, key by key.
    let own = Some(Source { name: "own", text: "[before_push]\nbehind = \"off\"\n" });
    let rules = combine(source, false, own).unwrap().before_push;
    assert_eq!((rules.behind, rules.branch_name, rules.previous), (Reaction::Off, Reaction::Warn, Reaction::Off));
}

#[test]
fn paths_are_safe_and_the_users_replace_the_repositorys() {
    let text = |paths: &str| format!("[[target]]\nname = \"web\"\npaths = {paths}\n");
    let (theirs, mine) = (text("[\"apps/web/**\", \"/package.json\", \"*.lock\"]"), text("[\"site/**\"]"));
    let target = only_target(combine(repository(&theirs), false, None).unwrap());
    for (changed, expected) in [
        (&["apps/web/src/page.ts"][..], true),
        (&["README.md", "deep/yarn.lock"], true),
        (&["package.json"], true),
        (&["apps/api/package.json", "apps/web"], false),
        (&[], false),
    ] {
        assert_eq!(target.is_touched_by(changed.iter().copied()), expected, "{changed:?}");
    }
    let target = only_target(combine(repository(&theirs), false, user(&mine)).unwrap());
    assert!(target.is_touched_by(["site/a"].into_iter()) && !target.is_touched_by(["apps/web/a"].into_iter()));
    let everything = only_target(combine(repository("[[target]]\nname = \"web\"\n"), false, None).unwrap());
    assert!(everything.is_touched_by([].into_iter()));
    for wrong in ["[]", "\"apps/**\"", "[\"!apps/**\"]", "[\"apps/\"]", "[1]", "[\"\"]"] {
        let wrong = text(wrong);
        let error = combine(repository(&wrong), false, None).unwrap_err().to_string();
        assert!(error.contains(":3: ") && error.contains("paths"), "{wrong}: {error}");
    }
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
