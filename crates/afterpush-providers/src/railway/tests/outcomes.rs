//! What each word becomes, with its reason and its log.

use super::*;

fn it(seen: ProviderObservation) -> Observed {
    seen.deployment.unwrap()
}

fn events(events: &[(&str, Value)]) -> HttpResponse {
    let nodes: Vec<_> = events.iter().map(|(step, payload)| json!({"step": step, "payload": payload})).collect();
    ok(json!({"data": {"deploymentEvents": edges(&nodes)}}))
}

#[test]
fn every_word_becomes_a_state() {
    for (word, state) in [
        ("QUEUED", State::Queued),
        ("WAITING", State::Queued),
        ("NEEDS_APPROVAL", State::Blocked),
        ("INITIALIZING", State::Building),
        ("BUILDING", State::Building),
        ("DEPLOYING", State::Deploying),
        ("SUCCESS", State::Deploying),
        ("REMOVED", State::Canceled),
        ("REMOVING", State::Canceled),
        ("HATCH\u{1b}[31mING", State::Unknown),
    ] {
        let it = it(listed(&[ours(word), old("SUCCESS")], &[old("SUCCESS")]));
        assert_eq!(it.state, state, "{word}");
        assert_eq!(it.raw, word.replace("\u{1b}[31m", ""));
    }
    for (word, state) in [("FAILED", State::Failed), ("CRASHED", State::Failed), ("SKIPPED", State::Skipped)] {
        let answers = [ok(list(&[ours(word)], &[])), events(&[])];
        let it = it(observe(&mut following(), &answers));
        assert_eq!(it.state, state, "{word}");
        assert!(it.reason.is_some());
    }
}

#[test]
fn live_is_what_serves() {
    for word in ["SUCCESS", "SLEEPING"] {
        let seen = listed(&[ours(word), old("REMOVED")], &[old("SUCCESS"), ours(word)]);
        let serving = seen.serving.clone().unwrap();
        assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("dep-ours", false));
        assert_eq!(it(seen).state, State::Live);
    }
    assert_eq!(it(listed(&[ours("SLEEPING")], &[])).state, State::Live);
    assert_eq!(it(listed(&[ours("SUCCESS")], &[])).state, State::Deploying);
    let mut schedule = list(&[ours("SUCCESS")], &[]);
    schedule["data"]["serviceInstance"]["cronSchedule"] = json!("0 * * * *");
    assert_eq!(it(observe(&mut following(), &[ok(schedule)])).state, State::Live);
    let stopped = with(ours("SUCCESS"), "deploymentStopped", json!(true));
    assert_eq!(it(listed(std::slice::from_ref(&stopped), std::slice::from_ref(&stopped))).state, State::Canceled);
}

#[test]
fn what_a_later_one_replaced_says_so() {
    let seen = listed(&[later("SUCCESS"), ours("SUCCESS")], &[later("SUCCESS")]);
    assert!(seen.serving.as_ref().unwrap().is_later);
    let replaced = it(seen);
    assert_eq!(
        (replaced.state, replaced.reason.as_deref()),
        (State::Replaced, Some("deployment dep-later serves instead"))
    );
    for word in ["REMOVED", "REMOVING"] {
        let removed = it(listed(&[later("BUILDING"), ours(word)], &[old("SUCCESS")]));
        let reason = "it was removed, and deployment dep-later came after it";
        assert_eq!((removed.state, removed.reason.as_deref()), (State::Superseded, Some(reason)));
    }
}

#[test]
fn a_failure_is_told_with_the_reason_of_its_last_step_once() {
    let mut provider = following();
    let failed = ok(list(&[ours("FAILED")], &[]));
    let steps = events(&[
        ("SNAPSHOT_CODE", Value::Null),
        ("BUILD_IMAGE", json!({"error": null, "reason": null})),
        ("HEALTHCHECK", json!({"error": "1/1 replicas \u{1b}[31mnever became healthy", "reason": null})),
    ]);
    let reason = Some("healthcheck: 1/1 replicas never became healthy");
    assert_eq!(it(observe(&mut provider, &[failed.clone(), steps])).reason.as_deref(), reason);
    assert_eq!(it(observe(&mut provider, std::slice::from_ref(&failed))).reason.as_deref(), reason);
    // Trouble with the steps does not hide the failure.
    let untold = it(observe(&mut following(), &[failed, answer(500, "")]));
    assert_eq!((untold.state, untold.reason.as_deref()), (State::Failed, Some("the deployment failed")));
}

#[test]
fn how_an_earlier_push_of_the_commit_ended_is_not_this_pushs_end() {
    let pushed_at = Some("2026-01-03T00:00:00Z".parse().unwrap());
    for (word, is_seen) in [("FAILED", false), ("SKIPPED", false), ("REMOVED", false), ("SUCCESS", true)] {
        let mut provider = provider(Setup { pushed_at, ..setup("") });
        let answers = [ok(token()), ok(one(project(&[service("web")]))), ok(list(&[ours(word)], &[ours(word)]))];
        assert_eq!(observe(&mut provider, &answers).deployment.is_some(), is_seen, "{word}");
    }
}

#[test]
fn the_log_is_the_builds_and_then_the_deployments() {
    let log = |lines: &[&str]| {
        let lines: Value = lines.iter().map(|it| json!({"message": it})).collect();
        json!({"data": {"log": lines}})
    };
    let failed = |word: &str| {
        let mut provider = following();
        observe(&mut provider, &[ok(list(&[ours(word)], &[])), events(&[])]);
        provider
    };
    let (requests, turn) =
        asked(failed("FAILED").as_mut(), Question::FailureLog, &[log(&["npm ci", "built"]), log(&["no port"])]);
    assert_eq!(turn, Turn::Reply(Reply::Log("npm ci\nbuilt\nno port".to_owned())));
    assert_eq!(variables(&requests[0]), json!({"id": "dep-ours", "limit": 200}));
    let (_, turn) = asked(failed("CRASHED").as_mut(), Question::FailureLog, &[log(&["panic"])]);
    assert_eq!(turn, Turn::Reply(Reply::Log("panic".to_owned())));
    let (_, turn) = asked(failed("FAILED").as_mut(), Question::FailureLog, &[log(&["built"]), refused("x")]);
    assert_eq!(turn, Turn::Reply(Reply::Log("built".to_owned())));
    let (_, turn) = asked(failed("FAILED").as_mut(), Question::FailureLog, &[log(&[]), log(&[])]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.kind == FaultKind::Transient), "{turn:?}");
    let (_, turn) = asked(new().as_mut(), Question::FailureLog, &[]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.kind == FaultKind::NotFound), "{turn:?}");
}
