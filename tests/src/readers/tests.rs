//! The corpus, replayed: whatever fuzzing once found stays found. And answers that no fuzzer needs to think of.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use afterpush_core::{config::PROVIDER_KINDS, observation::DeploymentState};
use afterpush_providers::{HttpResponse, Reply};
use proptest::prelude::*;

use super::{READERS, provider};

fn fuzz(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(place)
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn no_input_of_the_corpus_breaks_a_promise() {
    for (name, reader) in READERS {
        for input in names(&fuzz("corpus").join(name)) {
            let path = fuzz("corpus").join(name).join(&input);
            let data = fs::read(&path).unwrap();
            let held = std::panic::catch_unwind(|| reader(&data));
            assert!(held.is_ok(), "the reader {name} breaks its promise for {}", path.display());
        }
    }
}

#[test]
fn each_reader_is_fuzzed_and_has_a_corpus_and_each_kind_of_provider_is_read() {
    let readers: BTreeSet<String> = READERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let targets = names(&fuzz("targets")).iter().map(|file| file.trim_end_matches(".rs").to_owned()).collect();
    assert_eq!(readers, targets, "tests/fuzz/targets");
    assert_eq!(readers, names(&fuzz("corpus")), "tests/fuzz/corpus");
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    for name in &readers {
        assert!(names(&fuzz("corpus").join(name)).len() >= 2, "{name} has no corpus to speak of");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"targets/{name}.rs\"\n")), "Cargo.toml: {name}");
        let target = fs::read_to_string(fuzz("targets").join(format!("{name}.rs"))).unwrap();
        assert!(target.contains(&format!("read(\"{name}\", data)")), "{target}");
    }
    let kinds: Vec<&str> = READERS.iter().filter_map(|(name, _)| name.strip_prefix("provider_")).collect();
    assert_eq!(kinds, PROVIDER_KINDS);
}

#[test]
fn the_corpus_of_each_provider_leads_to_a_live_deployment_and_to_a_fault() {
    for kind in PROVIDER_KINDS {
        let directory = fuzz("corpus").join(format!("provider_{kind}"));
        let inputs = names(&directory).into_iter().map(|input| fs::read(directory.join(input)).unwrap());
        let endings: Vec<_> = inputs.flat_map(|data| provider::converse(kind, &provider::answers(&data))).collect();
        let is_live = |reply: &Reply| match reply {
            Reply::Observation(seen) => seen.deployment.as_ref().is_some_and(|it| it.state == DeploymentState::Live),
            _ => false,
        };
        assert!(endings.iter().flatten().any(is_live), "{kind}: {endings:?}");
        assert!(endings.iter().any(Result::is_err), "{kind}: {endings:?}");
    }
}

/// JSON that looks like an answer: the words and keys that vendors use, in any order and depth.
fn body() -> impl Strategy<Value = String> {
    let words =
        ["live", "ready", "READY", "success", "SUCCESS", "ACTIVE", "failed", "shop", "main", "", provider::COMMIT];
    let times_and_traps = ["2026-01-01T00:00:00Z", r"\u001b[2J", r"\u202e"];
    let word = prop::sample::select([&words[..], &times_and_traps[..]].concat()).prop_map(|word| format!("\"{word}\""));
    let key = prop::sample::select(vec![
        "id",
        "state",
        "status",
        "commit",
        "sha",
        "data",
        "result",
        "apps",
        "app",
        "deployments",
        "deploy",
        "phase",
        "success",
        "name",
        "edges",
        "node",
        "meta",
        "service",
        "links",
        "pages",
        "next",
        "items",
    ]);
    let other = prop::sample::select(vec!["null", "true", "-1", "1e99"]).prop_map(str::to_owned);
    prop_oneof![3 => word, 1 => other].prop_recursive(4, 40, 5, move |inner| {
        let pair = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]
    #[test]
    fn no_answer_makes_a_provider_panic_ask_for_ever_or_believe(answers in prop::collection::vec(response(), 1..6)) {
        for kind in PROVIDER_KINDS {
            provider::converse(kind, &answers);
        }
    }
}
