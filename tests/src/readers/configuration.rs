//! A repository's and a user's configuration: `%%` on a line of its own stands between the two.

use std::time::Duration;

use afterpush_core::config::{Config, ConfigError, HealthAddress, Reaction, Source, combine};

use super::must_be_clean;

const SEPARATOR: &str = "\n%%\n";

pub(super) fn read(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (repository, user) = text.split_once(SEPARATOR).unwrap_or((&text, ""));
    let (repository, user) = (Source { name: "repository", text: repository }, Source { name: "user", text: user });
    for trusted in [true, false] {
        for user in [Some(user), None] {
            check(&combine(Some(repository), trusted, user));
        }
    }
    check(&combine(None, false, Some(user)));
    if let Ok(config) = combine(Some(repository), false, None) {
        must_hold_no_privilege(&config);
    }
}

fn check(combined: &Result<Config, ConfigError>) {
    match combined {
        Err(error) => {
            must_be_clean("an error", &error.to_string());
            assert!(error.line > 0 && !error.problem.is_empty(), "{error:?}");
        }
        Ok(config) => {
            config.left_out.iter().for_each(|sentence| must_be_clean("a sentence", sentence));
            config.targets.iter().for_each(|target| must_be_clean("a name", &target.name));
        }
    }
}

/// A stranger's file names no address, no database, no program, and refuses no push.
fn must_hold_no_privilege(config: &Config) {
    assert!(config.providers.is_empty(), "{config:?}");
    for target in &config.targets {
        assert!(target.database.is_none(), "{target:?}");
        let elsewhere = target.health.iter().find(|check| !matches!(check.address, HealthAddress::Path(_)));
        assert!(elsewhere.is_none(), "{elsewhere:?}");
        let settings = target.provider.iter().flat_map(|provider| &provider.settings);
        for (key, value) in settings {
            assert!(
                !["command", "env", "url", "token", "headers", "api_url"].contains(&key.as_str()),
                "{key} = {value}"
            );
            assert!(!value.to_string().contains("://"), "{key} = {value}");
        }
    }
    let before = &config.before_push;
    assert!(![before.behind, before.branch_name, before.previous].contains(&Reaction::Refuse), "{before:?}");
    let policy = &config.policy;
    for wait in [policy.first_interval, policy.slow_interval, policy.registration_deadline, policy.deadline] {
        assert!((Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60)).contains(&wait), "{policy:?}");
    }
}
