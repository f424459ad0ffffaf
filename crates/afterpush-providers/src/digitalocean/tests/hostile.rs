//! Whatever an answer holds: never a panic, never a verdict that it does not carry, never a secret kept.

use proptest::prelude::*;

use super::*;

/// The vendor's keys and words, so that arbitrary documents get beyond the first level.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "app",
        "apps",
        "deployment",
        "deployments",
        "id",
        "phase",
        "progress",
        "steps",
        "status",
        "ERROR",
        "RUNNING",
        "ACTIVE",
        "SUPERSEDED",
        "reason",
        "code",
        "message",
        "services",
        "name",
        "source_commit_hash",
        "cause",
        "cause_details",
        "git_push",
        "commit_sha",
        "active_deployment",
        "pending_deployment",
        "pinned_deployment",
        "created_at",
        "meta",
        "total",
        "links",
        "pages",
        "next",
        "historic_urls",
        "live_url",
        "spec",
        "github",
        "repo",
        "branch",
        "success_steps",
        "total_steps",
        "https://x.test/?page=2",
        "\u{1b}[31m",
        APP,
        OURS,
        COMMIT,
        "2026-01-02T03:04:05Z",
        "",
    ])
    .prop_map(str::to_owned)
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A sound answer with some of its values replaced.
fn damaged() -> impl Strategy<Value = Value> {
    let sound = prop::sample::select(vec![
        app_with("active_deployment", deployment(OURS, COMMIT, "ACTIVE")),
        list(&[deployment(OURS, COMMIT, "ERROR"), deployment(OTHER, COMMIT, "BUILDING")]),
        one(deployment(OURS, COMMIT, "SUPERSEDED")),
        one(deployment(OURS, COMMIT, "ERROR")),
        json!({"historic_urls": ["https://logs.test/x"]}),
    ]);
    (sound, prop::collection::vec((any::<prop::sample::Index>(), document()), 0..3)).prop_map(|(mut value, changes)| {
        for (at, change) in changes {
            let mut count = 0;
            visit(&mut value, &mut |_| count += 1);
            let at = at.index(count);
            let mut here = 0;
            visit(&mut value, &mut |it| {
                if here == at {
                    *it = change.clone();
                }
                here += 1;
            });
        }
        value
    })
}

fn visit(value: &mut Value, f: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|it| visit(it, f)),
        Value::Object(fields) => fields.values_mut().for_each(|it| visit(it, f)),
        _ => {}
    }
    f(value);
}

fn response() -> impl Strategy<Value = HttpResponse> {
    let status = prop_oneof![8 => Just(200), 1 => prop::sample::select(vec![204, 302, 400, 401, 404, 429, 500])];
    let body = prop_oneof![
        2 => document().prop_map(|it| it.to_string().into_bytes()),
        4 => damaged().prop_map(|it| it.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    (status, body).prop_map(|(status, body)| answer(status, body))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_sequence_of_answers_panics_or_goes_on_without_end(
        responses in prop::collection::vec(response(), 1..60),
        settings in prop::sample::select(vec!["", "app = 'web-app'", "app = '11111111-1111-4111-8111-111111111111'"]),
        questions in prop::collection::vec(prop::sample::select(vec![Question::Observe, Question::FailureLog, Question::Credentials]), 1..8),
    ) {
        let mut provider = provider(settings);
        let mut responses = responses.iter().cycle();
        for question in questions {
            let mut turn = provider.start(question);
            let mut calls = 0;
            while let Turn::Ask(request) = turn {
                calls += 1;
                prop_assert!(calls <= 24, "a question must come to an end");
                let to_vendor = request.url.starts_with("https://api.digitalocean.com/v2/apps");
                prop_assert_eq!(request.credential.is_some(), to_vendor, "{}", request.url);
                turn = provider.next(responses.next().unwrap());
            }
            let shown = format!("{turn:?}");
// Debug writes the escape character out.
            let cleaned = !shown.contains("u{1b}") || matches!(turn, Turn::Reply(Reply::Log(_)));
            prop_assert!(cleaned, "{}", shown);
            prop_assert!(!shown.contains(SECRET));
        }
    }
}

#[test]
fn nulls_count_as_absent() {
    let mut it = deployment(OURS, COMMIT, "BUILDING");
    for key in ["workers", "jobs", "spec", "progress", "cause_details", "created_at", "cloned_from"] {
        it[key] = Value::Null;
    }
    let mut body = app_with("pending_deployment", it);
    for key in ["active_deployment", "pinned_deployment", "spec", "live_url", "default_ingress"] {
        body["app"][key] = Value::Null;
    }
    let seen = observe(&mut by_id(), &[(APP_PATH, beyond(body))]);
    assert_eq!(seen.serving, None);
    assert_eq!(seen.deployment.unwrap().site_url, None);
}

#[test]
fn nesting_without_end_is_malformed() {
    let depth = 5_000;
    let tree = format!("{}{}", "{\"steps\":[".repeat(depth), "]}".repeat(depth));
    let body = format!(
        "{{\"app\":{{\"id\":\"{APP}\",\"active_deployment\":{{\"id\":\"{OTHER}\",\"progress\":{{\"steps\":[{tree}]}}}}}}}}"
    );
    fault(&mut following(), &[(APP_PATH, answer(200, body))]);
}

#[test]
fn ids_that_could_change_a_path_are_malformed() {
    for id in ["../../v2/account", "a/b", "a?b", "..", "", "a b", "%2e%2e"] {
        let it = deployment(id, COMMIT, "BUILDING");
        let script = [(APP_PATH, ok(app_with("pending_deployment", it)))];
        fault(&mut by_id(), &script);
    }
}

#[test]
fn the_values_of_the_apps_environment_are_never_held() {
    let spec = json!({"name": "web-app", "envs": [{"key": "DB", "value": "PLAIN"}],
        "services": [{"name": "web", "envs": [{"key": "DB", "value": "PLAIN"}]}]});
    let it = with(deployment(OURS, COMMIT, "ERROR"), "spec", spec.clone());
    let body = with(with(bare_app(), "spec", spec), "pending_deployment", it);
    let app: super::super::answer::App = serde_json::from_value(body).unwrap();
    let held = format!("{app:?}");
    assert!(held.contains("web-app") && !held.contains("PLAIN"), "{held}");
}
