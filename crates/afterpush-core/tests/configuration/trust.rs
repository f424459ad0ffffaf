//! What a repository's file may say before it is trusted, what only the user's file may say, and what is left out.

use std::time::Duration;

use afterpush_core::config::{Config, HealthAddress, Reaction, Source, combine};

use super::{FULL, only_target, refused, target, trusted, untrusted, users};

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
fn the_sentences_about_what_is_left_out_do_not_flood_a_status() {
    let keys: String = (0..1_000).map(|i| format!("u{i}_url = 1\n")).collect();
    let config = untrusted(&target(&format!("[target.provider]\nkind = \"digitalocean\"\n{keys}"))).unwrap();
    assert_eq!(config.left_out.len(), 51);
    assert_eq!(config.left_out[50], "950 more keys are not used for the same reasons");
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
