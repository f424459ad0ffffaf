//! `[push]` as users and strangers write it, and what becomes of it.

use std::time::Duration;

use afterpush_core::{
    config::{Config, ConfigError, Source, combine},
    integration::{ConflictRule, Integration, PushRules, Resolution},
};

fn read(repository: &str, is_trusted: bool, user: &str) -> Result<Config, ConfigError> {
    let repository = Source { name: ".afterpush.toml", text: repository };
    combine(Some(repository), is_trusted, Some(Source { name: "config.toml", text: user }))
}

fn rule(paths: &str, resolve: Resolution, run: Option<&str>) -> ConflictRule {
    ConflictRule { paths: paths.to_owned(), resolve, run: run.map(str::to_owned) }
}

const FILE: &str = r#"
[push]
integrate = "merge"
attempts = 5
first_wait = "3s"

[[push.conflict]]
paths = "CHANGELOG.md"
resolve = "union"

[[push.conflict]]
paths = "package-lock.json"
resolve = "theirs"
run = "npm install"

[[push.conflict]]
paths = "docs/**/tasks.md"
resolve = "longest-checklist"

[[push.conflict]]
paths = "/mine"
resolve = "ours"
"#;

#[test]
fn every_key_reaches_its_place() {
    let npm = rule("package-lock.json", Resolution::Theirs, Some("npm install"));
    let config = read(FILE, true, "").unwrap();
    let expected = PushRules {
        integrate: Some(Integration::Merge),
        attempts: 5,
        first_wait: Duration::from_secs(3),
        conflicts: vec![
            rule("CHANGELOG.md", Resolution::Union, None),
            npm.clone(),
            rule("docs/**/tasks.md", Resolution::LongestChecklist, None),
            rule("/mine", Resolution::Ours, None),
        ],
    };
    assert_eq!((config.push, config.left_out.is_empty()), (expected, true));
    assert_eq!(read("", false, "").unwrap().push, PushRules::default());
    assert_eq!(read("", false, FILE).unwrap().push.conflicts[1], npm, "in the user's own file it needs no trust");
}

#[test]
fn a_command_of_a_repository_that_is_not_trusted_takes_its_rule_with_it() {
    let config = read(FILE, false, "").unwrap();
    assert_eq!(config.push.conflicts.len(), 3);
    assert!(config.push.conflicts.iter().all(|rule| rule.run.is_none()));
    assert_eq!(config.push.rule_for("package-lock.json"), None, "half of the rule would leave a stale file");
    let [sentence] = config.left_out.as_slice() else { panic!("{:?}", config.left_out) };
    assert!(sentence.contains("\"package-lock.json\" in .afterpush.toml is not used"), "{sentence}");
    assert!(sentence.contains("run afterpush trust"), "{sentence}");
}

#[test]
fn the_user_wins_key_by_key_and_rule_by_rule() {
    let user = "[push]\nattempts = 0\nfirst_wait = \"20ms\"\n[[push.conflict]]\npaths = \"*.md\"\nresolve = \"ours\"\n";
    let push = read(FILE, true, user).unwrap().push;
    assert_eq!((push.integrate, push.attempts), (Some(Integration::Merge), 0));
    assert_eq!(push.first_wait, Duration::from_millis(20));
    assert_eq!(push.rule_for("CHANGELOG.md").unwrap().resolve, Resolution::Ours);
    assert_eq!(push.rule_for("mine").unwrap().resolve, Resolution::Ours);
    assert_eq!(push.conflicts.len(), 5);
}

#[test]
fn a_repository_cannot_make_the_waits_too_short() {
    let config = read("[push]\nfirst_wait = \"5ms\"\n", true, "").unwrap();
    assert_eq!(config.push.first_wait, Duration::from_secs(1));
    assert!(config.left_out[0].starts_with("[push] first_wait = \"5ms\""), "{:?}", config.left_out);
}

#[test]
fn what_is_wrong_is_refused_with_its_line() {
    let rule = "[[push.conflict]]\npaths = \"a\"\nresolve = \"union\"\n";
    for (text, line, pieces) in [
        ("[push]\nintegrate = \"pull\"\n".to_owned(), 2, ["\"pull\"", "\"rebase\" or \"merge\""]),
        ("[push]\nattempts = 21\n".to_owned(), 2, ["21", "0 to 20"]),
        ("[push]\nattempt = 1\n".to_owned(), 2, ["unknown key \"attempt\"", "did you mean \"attempts\""]),
        ("[push]\nfirst_wait = \"0s\"\n".to_owned(), 2, ["\"0s\"", "above zero"]),
        ("[push.conflict]\npaths = \"a\"\n".to_owned(), 1, ["push.conflict", "[[push.conflict]]"]),
        ("[[push.conflict]]\nresolve = \"union\"\n".to_owned(), 1, ["has no paths", "CHANGELOG.md"]),
        ("[[push.conflict]]\npaths = \"a\"\n".to_owned(), 1, ["has no resolve", "longest-checklist"]),
        (rule.replace("union", "both"), 3, ["\"both\"", "\"union\", \"ours\", \"theirs\""]),
        (rule.replace("\"a\"", "\"!a\""), 2, ["\"!a\"", "a pattern"]),
        (rule.replace("\"a\"", "\"{a,b}\""), 2, ["{a,b}", "a pattern"]),
        (rule.replace("\"a\"", "\"dir/\""), 2, ["dir/", "a pattern"]),
        (format!("{rule}run = 1\n"), 4, ["run is 1", "a shell command"]),
        (format!("{rule}when = 1\n"), 4, ["unknown key \"when\"", "paths, resolve, run"]),
        (rule.repeat(101), 1, ["101 tables", "at most 100"]),
    ] {
        // Trusted or not: trust must not make a file wrong.
        for is_trusted in [true, false] {
            let error = read(&text, is_trusted, "").unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(pieces.iter().all(|piece| error.to_string().contains(piece)), "{text}: {error}");
        }
    }
}
