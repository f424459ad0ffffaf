//! The user's file over the repository's.

use std::time::Duration;

use afterpush_core::config::{CommitAssertion, HealthAddress, ProviderConfig, RefPattern, combine};

use super::{only_target, repository, target, user, variable};

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
fn what_is_asked_of_the_database_is_replaced_as_a_whole_or_not_at_all() {
    let of = |theirs: &str, mine: &str| {
        let theirs = target(&format!("database = {{ url_env = \"D\", {theirs} }}"));
        let mine = target(&format!("database = {{ {mine} }}"));
        only_target(combine(repository(&theirs), true, user(&mine)).unwrap()).database.unwrap()
    };
    let query = "query = \"SELECT a FROM b WHERE c = $commit\"";
    assert_eq!(of("deployments = \"theirs\"", "words = { failed = [\"bad\"] }").deployments, "theirs");
    assert!(of(query, "words = { failed = [\"bad\"] }").query.is_some());
    let mine = of(query, "deployments = \"mine\"");
    assert_eq!((mine.query, mine.deployments.as_str()), (None, "mine"));
    assert!(of("deployments = \"theirs\"", query).query.is_some());
}
