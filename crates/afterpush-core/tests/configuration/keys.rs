//! Every key reaches its place, and what is not a key is named.

use std::time::Duration;

use afterpush_core::{
    config::{
        CommitAssertion, Config, DatabaseAddress, DatabaseColumns, DatabaseConfig, DatabaseWords, HealthAddress,
        HealthConfig, HealthMethod, MigrationsConfig, ProviderConfig, RefPattern, Target, combine,
    },
    id::RefName,
    policy::Policy,
};

use super::{FULL, only_target, refused, repository, target, trusted, untrusted, user, users};

#[test]
fn a_push_is_for_the_targets_whose_refs_fit() {
    let of = |name: &str, ref_name: &str| format!("[[target]]\nname = \"{name}\"\nref = \"refs/heads/{ref_name}\"\n");
    let config = users(&[of("web", "main"), of("preview", "*"), of("docs", "docs")].concat()).unwrap();
    let names = |ref_name: &str| {
        let ref_name = RefName::parse(ref_name).unwrap();
        config.targets_of(&ref_name).map(|target| target.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("refs/heads/main"), ["web", "preview"]);
    assert_eq!(names("refs/heads/docs"), ["preview", "docs"]);
    assert_eq!(names("refs/tags/main"), [""; 0]);
}

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
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let windows = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    assert_eq!(trusted(&windows).unwrap(), trusted(FULL).unwrap());
    assert_eq!(trusted("\r\n\r\n[[target]]\r\nnam = 1\r\n").unwrap_err().line, 3);
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
fn a_message_shows_a_key_as_it_would_be_written_and_not_without_end() {
    for (key, shown) in [
        ("a_b-1", "a_b-1"),
        ("\"a b\"", "\"a b\""),
        ("\"\"", "\"\""),
        (&"x".repeat(60), &"x".repeat(60)),
        (&"x".repeat(61), &format!("\"{}…\"", "x".repeat(59))),
    ] {
        let text = target(&format!("provider = {{ kind = \"digitalocean\", {key} = \"\\u0000\" }}"));
        refused(&text, 3, &[&format!("target.provider.{shown} is ")]);
    }
    for (length, shown) in [(60, "x".repeat(60)), (61, format!("{}…", "x".repeat(59)))] {
        refused(&format!("[policy]\n{} = 1", "x".repeat(length)), 2, &[&format!("unknown key \"{shown}\" in")]);
    }
}

#[test]
fn a_near_key_is_offered_and_a_far_one_is_not() {
    for (key, offer) in [("re", "ref"), ("brnach", "branch"), ("hlt", "")] {
        let error = trusted(&target(&format!("{key} = 1"))).unwrap_err().to_string();
        let expected = if offer.is_empty() { String::new() } else { format!(" (did you mean {offer:?}?)") };
        assert!(error.ends_with(&format!("accept_unversioned_health{expected}")), "{error}");
    }
}
