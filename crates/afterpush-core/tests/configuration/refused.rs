//! Values that are refused: of another type, out of range, missing.

use super::{refused, target, trusted};

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
