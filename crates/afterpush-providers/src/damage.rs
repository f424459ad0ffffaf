//! What every provider must withstand, for the providers' tests: trouble of every kind, and answers that are damaged.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use afterpush_core::{
    fault::FaultKind,
    observation::{DeploymentState, ProviderObservation},
    run::Relation,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::{
    Fields, HttpResponse, Provider, Question, Reply, Turn,
    play::{answer, ok},
    reduce,
};

/// Plays the sound answers `before`, then each kind of trouble instead of the next one; a refusal must name `scope`.
pub(crate) fn every_trouble_is_told(make: impl Fn() -> Box<dyn Provider>, before: &[Value], scope: &str) {
    let before: Vec<HttpResponse> = before.iter().map(ok).collect();
    let limited = HttpResponse { headers: vec![("retry-after".to_owned(), "17".to_owned())], ..answer(429, "") };
    for (response, kind, text) in [
        (answer(401, r#"{"message":"no-echo"}"#), FaultKind::Unauthorized, scope),
        (answer(403, r#"{"message":"no-echo"}"#), FaultKind::Unauthorized, scope),
        (answer(404, r#"{"message":"no-echo"}"#), FaultKind::NotFound, "404"),
        (limited, FaultKind::RateLimited, "429"),
        (answer(500, "no-echo"), FaultKind::Transient, "500"),
        (answer(200, "<html>no-echo</html>"), FaultKind::Malformed, "a web page"),
        (answer(200, "["), FaultKind::Malformed, "cut short"),
        (answer(200, "null"), FaultKind::Malformed, "the shape"),
        (answer(200, r#""no-echo""#), FaultKind::Malformed, "the shape"),
    ] {
        let mut provider = make();
        let turn = answered(provider.as_mut(), Question::Observe, before.iter().chain([&response]));
        let Turn::Fault(fault) = turn else { panic!("{response:?} led to {turn:?}") };
        assert_eq!(fault.kind, kind, "{response:?} {fault}");
        assert!(fault.message.contains(text) && !fault.message.contains("no-echo"), "{fault}");
        let wait = (kind == FaultKind::RateLimited).then_some(Duration::from_secs(17));
        assert_eq!(fault.retry_after, wait, "{fault}");
    }
}

/// Asks a question and gives the answers one after the other, as long as there are requests for them.
pub(crate) fn answered<'a>(
    provider: &mut dyn Provider,
    question: Question,
    answers: impl IntoIterator<Item = &'a HttpResponse>,
) -> Turn {
    let mut turn = provider.start(question);
    for response in answers {
        let Turn::Ask(request) = &turn else { break };
        let body = match &request.fields {
            Fields::Untold => response.body.clone(),
            fields => reduce(&response.body, fields).unwrap_or_else(|| response.body.clone()),
        };
        turn = provider.next(&HttpResponse { body, ..response.clone() });
    }
    turn
}

/// Says nothing that the answers did not carry: live needs the commit, and the secret `canary` is nowhere.
pub(crate) fn holds_no_lie(turn: &Turn, canary: &str) {
    assert!(!format!("{turn:?}").contains(canary), "{turn:?}");
    let Turn::Reply(Reply::Observation(ProviderObservation { deployment: Some(it), .. })) = turn else { return };
    assert!(it.state != DeploymentState::Live || it.commit.relation == Relation::Same, "{it:?}");
    let told = [Some(&it.raw), it.reason.as_ref(), it.progress.as_ref()];
    assert!(told.into_iter().flatten().all(|text| !text.contains(char::is_control)), "{it:?}");
}

/// One of the sound answers, with some of its values replaced, cut short, or not JSON at all.
pub(crate) fn answers(sound: Vec<Value>) -> impl Strategy<Value = HttpResponse> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["", "\u{1b}[31m", "https://u:p@x.test", "../..", "0123456"]).prop_map(Value::from),
        Just(serde_json::json!([])),
        Just(serde_json::json!({})),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), leaf), 0..3);
    let body = (prop::sample::select(sound), changes, any::<prop::sample::Index>(), 0..10u8).prop_map(
        |(mut value, changes, cut, chance)| {
            for (at, change) in changes {
                let mut left = at.index(count(&value));
                replace(&mut value, &mut left, &change);
            }
            let mut body = value.to_string().into_bytes();
            if chance == 0 {
                body.truncate(cut.index(body.len()));
            }
            body
        },
    );
    let status = prop_oneof![12 => Just(200), 1 => prop::sample::select(vec![204, 302, 400, 401, 404, 429, 500])];
    (status, body).prop_map(|(status, body)| answer(status, body))
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

fn count(value: &Value) -> usize {
    1 + children(value).into_iter().map(count).sum::<usize>()
}

/// Replaces the value at a place, counted in the order of reading.
fn replace(value: &mut Value, left: &mut usize, change: &Value) -> bool {
    if *left == 0 {
        *value = change.clone();
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|it| replace(it, left, change)),
        Value::Object(fields) => fields.values_mut().any(|it| replace(it, left, change)),
        _ => false,
    }
}
