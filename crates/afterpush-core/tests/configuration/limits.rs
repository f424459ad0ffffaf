//! How much of each thing a file may have: the most is taken, one more is refused with its number.

use super::{refused, target, trusted};

/// Asserts that so many items are the most that is taken.
#[track_caller]
fn most(count: usize, line: usize, problem: &str, text_of: impl Fn(usize) -> String) {
    let longest = text_of(count);
    assert!(trusted(&longest).is_ok(), "{:?}", trusted(&longest));
    refused(&text_of(count + 1), line, &[problem]);
}

/// `["x0", "x1"]`
fn list(count: usize) -> String {
    let items: Vec<String> = (0..count).map(|it| format!("\"x{it}\"")).collect();
    format!("[{}]", items.join(", "))
}

#[test]
fn lists_have_a_longest_length() {
    most(50, 2, "before_push.branch_names has 51 names", |count| {
        format!("[before_push]\nbranch_names = {}", list(count))
    });
    most(100, 3, "target.paths has 101 patterns", |count| target(&format!("paths = {}", list(count))));
    most(100, 1, "push.conflict has 101 tables", |count| {
        "[[push.conflict]]\npaths = \"a\"\nresolve = \"ours\"\n".repeat(count)
    });
    most(50, 3, "target.database.words.success has 51 words", |count| {
        target(&format!("database = {{ url_env = \"D\", words = {{ success = {} }} }}", list(count)))
    });
    most(20, 3, "target.health has 21 checks", |count| {
        let checks: Vec<String> = (0..count).map(|it| format!("{{ name = \"c{it}\", path = \"/\" }}")).collect();
        target(&format!("health = [{}]", checks.join(", ")))
    });
    most(20, 3, "target.health.contains is an array of 21", |count| {
        target(&format!("health = {{ path = \"/\", contains = {} }}", list(count)))
    });
    most(20, 3, "target.health.equals is a table", |count| {
        let pairs: Vec<String> = (0..count).map(|it| format!("\"/{it}\" = {it}")).collect();
        target(&format!("health = {{ path = \"/\", equals = {{ {} }} }}", pairs.join(", ")))
    });
}

#[test]
fn texts_have_a_longest_length() {
    let x = |count: usize| "x".repeat(count);
    most(2000, 3, "target.provider.app is a text of 2001 characters", |count| {
        target(&format!("provider = {{ kind = \"digitalocean\", app = \"{}\" }}", x(count)))
    });
    most(256, 3, "target.database.url_env is \"xxx", |count| {
        target(&format!("database = {{ url_env = \"{}\" }}", x(count)))
    });
    most(64, 3, "target.database.env is \"xxx", |count| {
        target(&format!("database = {{ kind = \"postgres\", env = \"{}\" }}", x(count)))
    });
    most(63, 3, "target.database.columns.error is \"xxx", |count| {
        target(&format!("database = {{ url_env = \"D\", columns = {{ error = \"{}\" }} }}", x(count)))
    });
    most(64, 3, "target.database.words.failed is \"xxx", |count| {
        target(&format!("database = {{ url_env = \"D\", words = {{ failed = [\"{}\"] }} }}", x(count)))
    });
    let health = |key: &str, text: String| target(&format!("health = {{ path = \"/\", {key} = \"{text}\" }}"));
    most(64, 3, "target.health.name is \"xxx", |count| health("name", x(count)));
    most(256, 3, "target.health.commit.meta is \"xxx", |count| {
        target(&format!("health = {{ path = \"/\", commit = {{ meta = \"{}\" }} }}", x(count)))
    });
    most(256, 3, "target.health.commit.header is \"xxx", |count| {
        target(&format!("health = {{ path = \"/\", commit = {{ header = \"{}\" }} }}", x(count)))
    });
    most(1000, 3, "target.health.commit.regex is \"xxx", |count| {
        target(&format!("health = {{ path = \"/\", commit = {{ regex = \"{}\" }} }}", x(count)))
    });
    most(200, 3, "target.health.service is \"xxx", |count| {
        target(&format!("health = {{ grpc = \"https://a.example\", service = \"{}\" }}", x(count)))
    });
    most(253, 3, "target.health.url is \"https", |count| {
        target(&format!("health = {{ url = \"https://{}/\" }}", x(count)))
    });
}

#[test]
fn numbers_have_a_largest_value() {
    let health = |key: &str, value: String| target(&format!("health = {{ path = \"/\", {key} = {value} }}"));
    most(20, 3, "target.health.passes is 21", |count| health("passes", count.to_string()));
    most(100, 3, "target.health.failures is 101", |count| health("failures", count.to_string()));
    most(20, 3, "target.health.flakes is 21", |count| health("flakes", count.to_string()));
    most(599, 3, "target.health.status is 600", |count| health("status", count.to_string()));
    most(20_000, 3, "target.health.timeout is \"20001ms\"", |count| health("timeout", format!("\"{count}ms\"")));
    most(20, 2, "push.attempts is 21", |count| format!("[push]\nattempts = {count}"));
    most(10_000, 2, "policy.monitors is 10001", |count| format!("[policy]\nmonitors = {count}"));
    most(36_500, 2, "policy.deadline is \"36501d\"; expected at most \"36500d\"", |count| {
        format!("[policy]\ndeadline = \"{count}d\"")
    });
}
