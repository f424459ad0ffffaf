//! The health checks of a target.

use std::time::Duration;

use afterpush_core::config::{CommitAssertion, HealthAddress, HealthConfig, HealthMethod, combine};

use super::{only_target, refused, repository, target, trusted, user, users};

fn health(lines: &str) -> HealthConfig {
    only_target(trusted(&target(&format!("health = {{ path = \"/\", {lines} }}"))).unwrap()).health.remove(0)
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
    for (class, first) in [("2xx", 200), ("3xx", 300), ("4xx", 400), ("5xx", 500)] {
        let codes: Vec<u16> = (first..first + 100).collect();
        assert_eq!(health(&format!("status = \"{class}\"")).status, codes);
    }
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
        "path = \"/\", name = \"-x\"",
        "path = \"/\", name = \"a b\"",
        "path = \"/\", name = \"ä\"",
        "path = \"/\", equals = {}",
        "path = \"/\", equals = { \"/a\" = 1, b = 2 }",
        "tcp = \"a.example\"",
        "tcp = \"a.example:0\"",
        "tcp = \"a.example:1/x\"",
        "tcp = \"u@a.example:1\"",
        "grpc = \"https://a.example/x\"",
        "grpc = \"https://a.example\", service = \"a b\"",
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
fn a_health_address_over_http_is_for_the_user_only() {
    let text = target("health = { url = \"http://192.168.1.5:3000/health\" }");
    assert_eq!(
        only_target(users(&text).unwrap()).health[0].address,
        HealthAddress::Url { url: "http://192.168.1.5:3000/health".into(), user_named: true }
    );
    let error = trusted(&text).unwrap_err();
    assert!(error.to_string().contains("http:// only in your own configuration file"), "{error}");
}
