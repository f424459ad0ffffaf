//! The page for users, `docs/configuration.md`, is true: its examples work, and it names every key with its default.

use afterpush_core::{
    config::{ConfigError, DatabaseWords, PROVIDER_KINDS, Source, combine},
    integration::PushRules,
    policy::Policy,
};

const HEALTH_PAGE: &str = include_str!("../../../../docs/health.md");
const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// The examples of the page: its blocks of TOML, each with the name of its file in the first line.
fn examples() -> Vec<&'static str> {
    examples_of(PAGE)
}

fn examples_of(page: &'static str) -> Vec<&'static str> {
    let after_fences = page.split("\n```toml\n").skip(1);
    after_fences.map(|after| after.split("\n```").next().unwrap()).collect()
}

/// The keys that a message lists for a table in which there is an unknown one.
fn keys_of(table: &str) -> Vec<String> {
    let text = format!("{table}\nno_such_key = 1\n");
    let ConfigError { problem, expected, .. } =
        combine(None, false, Some(Source { name: "x", text: &text })).unwrap_err();
    assert!(problem.contains("unknown key"), "{problem}");
    expected.trim_start_matches("one of ").split(", ").map(str::to_owned).collect()
}

#[test]
fn every_example_is_a_valid_file() {
    let (examples, of_health) = (examples(), examples_of(HEALTH_PAGE));
    assert_eq!((examples.len(), of_health.len()), (3, 2));
    for text in [examples, of_health].concat() {
        let source = |name| Some(Source { name, text });
        let name = text.lines().next().unwrap();
        let config = match name {
            "# .afterpush.toml" => {
                combine(source(name), false, None).unwrap();
                combine(source(name), true, None)
            }
            "# ~/.config/afterpush/config.toml" => combine(None, false, source(name)),
            other => panic!("whose file is {other:?}?"),
        }
        .unwrap();
        assert!(config.left_out.is_empty() && !config.targets.is_empty());
    }
}

#[test]
fn every_key_stands_on_the_page_and_in_an_example() {
    let target = "[[target]]\nname = \"web\"";
    let tables = [
        "[policy]".to_owned(),
        "[push]".to_owned(),
        "[[push.conflict]]\npaths = \"a\"\nresolve = \"ours\"".to_owned(),
        "[before_push]".to_owned(),
        "[provider.digitalocean]".to_owned(),
        target.to_owned(),
        format!("{target}\n[target.database]"),
        format!("{target}\n[target.database.columns]"),
        format!("{target}\n[target.database.words]"),
        format!("{target}\n[target.health]\npath = \"/\""),
    ];
    let examples = examples().join("\n");
    for table in tables {
        let keys = keys_of(&table);
        assert!(!keys.is_empty());
        for key in keys {
            assert!(PAGE.contains(&format!("\n| `{key}` |")), "{key} of {table} has no row");
            assert!(
                [format!("{key} = "), format!(".{key}]\n"), format!(".{key}]]\n")]
                    .iter()
                    .any(|it| examples.contains(it)),
                "{key} is in no example"
            );
        }
    }
    for kind in PROVIDER_KINDS {
        assert!(PAGE.contains(&format!("`\"{kind}\"`")) && PAGE.contains(&format!("`{kind}`")), "{kind}");
    }
}

#[test]
fn the_defaults_on_the_page_are_those_of_the_program() {
    let policy = Policy::default();
    let push = PushRules::default();
    let table = "[[target]]\nname = \"a\"\ndatabase = { url_env = \"A\" }\nhealth = { path = \"/\" }";
    let config = combine(None, false, Some(Source { name: "x", text: table })).unwrap();
    let target = &config.targets[0];
    let health = &target.health[0];
    let database = target.database.as_ref().unwrap();
    let words = DatabaseWords::default();
    let minutes = |duration: std::time::Duration| format!("\"{}m\"", duration.as_secs() / 60);
    for (key, default) in [
        ("first_interval", format!("{:?}", format!("{:?}", policy.first_interval))),
        ("slow_interval", format!("{:?}", format!("{:?}", policy.slow_interval))),
        ("attempts", push.attempts.to_string()),
        ("first_wait", format!("{:?}", format!("{:?}", push.first_wait))),
        ("growth", policy.growth.to_string()),
        ("jitter", policy.jitter.to_string()),
        ("registration_deadline", minutes(policy.registration_deadline)),
        ("deadline", minutes(policy.deadline)),
        ("confirmation_deadline", minutes(policy.confirmation_deadline)),
        ("monitors", config.monitors.to_string()),
        ("status", health.status[0].to_string()),
        ("passes", health.passes.to_string()),
        ("flakes", health.flakes.to_string()),
        ("method", "\"GET\"".to_owned()),
        ("failures", health.failures.to_string()),
        ("timeout", format!("{:?}", format!("{:?}", health.timeout))),
        ("deployments", format!("{:?}", database.deployments)),
        ("ref", format!("{:?}", target.refs.as_str())),
        ("accept_unversioned_health", target.accept_unversioned_health.to_string()),
        ("in_progress", format!("{:?}", words.in_progress)),
        ("success", format!("{:?}", words.success)),
        ("failed", format!("{:?}", words.failed)),
    ] {
        let found = PAGE
            .lines()
            .any(|line| line.starts_with(&format!("| `{key}` |")) && line.contains(&format!("| `{default}` |")));
        assert!(found, "{key} with the default {default} has no row");
    }
}
