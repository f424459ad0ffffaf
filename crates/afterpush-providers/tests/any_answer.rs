//! Whatever a host answers, a provider does not panic, does not ask without end, and calls nothing live unless an answer named
//! the commit.
#![allow(clippy::unwrap_used)]

use afterpush_core::{
    config::PROVIDER_KINDS,
    id::{CommitId, RefName},
    observation::DeploymentState,
};
use afterpush_providers::{HttpResponse, ProgramEnd, Question, Reply, Secret, Setup, Turn, registry};
use proptest::prelude::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// More requests than these for one question would be without end.
const MOST_REQUESTS: usize = 2000;

fn settings(kind: &str) -> toml::Table {
    let id = "11111111-2222-4333-8444-555555555555";
    let text = match kind {
        "argocd" | "digitalocean" | "heroku" | "fly" => "app = \"shop\"".to_owned(),
        "cloudflare" => format!("account = \"{}\"\nproject = \"shop\"", "a".repeat(32)),
        "command" => "command = [\"true\"]".to_owned(),
        "github" => "repository = \"me/shop\"".to_owned(),
        "gitlab" => "project = \"me/shop\"".to_owned(),
        "http" => {
            "url = \"https://host/state\"\nstate = \"/state\"\ncommit = \"/commit\"\nwords = { live = [\"live\"] }"
                .to_owned()
        }
        "kubernetes" => "workload = \"deployment/shop\"".to_owned(),
        "netlify" => "site = \"shop\"".to_owned(),
        "railway" => format!("project = \"{id}\"\nenvironment = \"{id}\"\nservice = \"{id}\""),
        "render" => "service = \"srv-cabcdefghijklmnopqrs\"".to_owned(),
        "vercel" => "project = \"shop\"".to_owned(),
        _ => unreachable!("{kind} has no settings here"),
    };
    text.parse().unwrap()
}

/// JSON that looks like an answer: the words and keys that vendors use, in any order and depth.
fn body() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("live"),
        Just("ready"),
        Just("READY"),
        Just("success"),
        Just("SUCCESS"),
        Just("ACTIVE"),
        Just("failed"),
        Just("shop"),
        Just("main"),
        Just("2026-01-01T00:00:00Z"),
        Just("\u{1b}[2J"),
        Just(""),
        Just(COMMIT),
    ];
    let key = prop_oneof![
        Just("id"),
        Just("state"),
        Just("status"),
        Just("commit"),
        Just("sha"),
        Just("data"),
        Just("result"),
        Just("apps"),
        Just("app"),
        Just("deployments"),
        Just("deploy"),
        Just("phase"),
        Just("success"),
        Just("name"),
        Just("edges"),
        Just("node"),
        Just("meta"),
        Just("service"),
        Just("links"),
        Just("pages"),
        Just("next"),
        Just("items"),
    ];
    let leaf = prop_oneof![
        word.prop_map(|it| format!("{it:?}").replace("\\u{1b}", "\\u001b")),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1".to_owned()),
        Just("1e99".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let pair = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("{key:?}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(pair, 0..6).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
        ]
    })
}

fn response() -> impl Strategy<Value = HttpResponse> {
    let status = prop_oneof![6 => Just(200), 1 => Just(404), 1 => Just(429), 1 => any::<u16>()];
    let body = prop_oneof![8 => body().prop_map(String::into_bytes), 1 => any::<Vec<u8>>()];
    (status, body).prop_map(|(status, body)| HttpResponse { status, headers: Vec::new(), body })
}

/// Asks both questions, with the answers over and over.
fn drive(kind: &str, answers: &[HttpResponse]) {
    let setup = Setup {
        settings: settings(kind),
        api_url: (kind == "argocd").then(|| "https://host".to_owned()),
        commit: CommitId::parse(COMMIT).unwrap(),
        ref_name: RefName::parse("refs/heads/main").unwrap(),
        remote_url: "https://github.com/me/shop".to_owned(),
        pushed_at: None,
        token: Some(Secret::new("token")),
    };
    let mut provider = registry::build(kind, setup).unwrap_or_else(|error| panic!("{kind}: {error}"));
    let named = answers.iter().any(|it| String::from_utf8_lossy(&it.body).contains(COMMIT));
    let mut answers = answers.iter().cycle();
    for question in [Question::Observe, Question::FailureLog, Question::Credentials] {
        let mut turn = provider.start(question);
        for asked in 0.. {
            assert!(asked < MOST_REQUESTS, "{kind}: {question:?} has no end");
            let answer = answers.next().unwrap();
            turn = match turn {
                Turn::Ask(_) => provider.next(answer),
                Turn::Run(_) => {
                    let end = ProgramEnd { code: Some(0), output: answer.body.clone(), complaint: String::new() };
                    provider.ended(&end)
                }
                Turn::Reply(Reply::Observation(seen)) => {
                    let ours = seen.deployment.is_some_and(|it| {
                        it.state == DeploymentState::Live && format!("{:?}", it.commit).contains(COMMIT)
                    });
                    assert!(named || !ours, "{kind}: live without an answer that names the commit");
                    break;
                }
                Turn::Reply(_) | Turn::Fault(_) => break,
            };
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn no_answer_makes_a_provider_panic_ask_for_ever_or_believe(answers in prop::collection::vec(response(), 1..6)) {
        for kind in PROVIDER_KINDS {
            drive(kind, &answers);
        }
    }
}
