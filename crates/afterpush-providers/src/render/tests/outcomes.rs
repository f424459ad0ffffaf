//! What each ending becomes, with its reason and its log.

use super::*;

#[test]
fn every_word_becomes_a_state() {
    for (word, state) in [
        ("created", State::Queued),
        ("queued", State::Queued),
        ("build_in_progress", State::Building),
        ("pre_deploy_in_progress", State::Deploying),
        ("update_in_progress", State::Deploying),
        ("live", State::Live),
        ("deactivated", State::Replaced),
    ] {
        let it = listed(&[ours(word), old("live")]);
        assert_eq!((it.state, it.raw.as_str()), (state, word));
    }
    for (word, state) in [
        ("build_failed", State::Failed),
        ("pre_deploy_failed", State::Failed),
        ("update_failed", State::Failed),
        ("canceled", State::Canceled),
    ] {
        let script = [(LIST, ok(list(&[ours(word)]))), (EVENTS, events(&[]))];
        let it = observe(&mut following(), &script).deployment.unwrap();
        assert_eq!((it.state, it.raw.as_str()), (state, word));
    }
    let unknown = list(&[ours("hibern\u{1b}[31mating")]);
    let it = observe(&mut following(), &[(LIST, answer(200, unknown.to_string()))]).deployment.unwrap();
    assert_eq!((it.state, it.raw.as_str()), (State::Unknown, "hibernating"));
}

#[test]
fn a_deploy_that_a_later_one_replaced_says_so() {
    let seen = observe(&mut following(), &[(LIST, ok(list(&[later("live"), ours("deactivated")])))]);
    let it = seen.deployment.unwrap();
    assert_eq!((it.state, it.reason.as_deref()), (State::Replaced, Some("deploy dep-later serves instead")));
    assert!(seen.serving.unwrap().is_later);
    assert_eq!(listed(&[later("live"), ours("live")]).state, State::Replaced);
    assert_eq!(listed(&[later("build_in_progress"), ours("live")]).state, State::Live);
}

#[test]
fn superseded_is_told_from_canceled() {
    let ended = |reason: Value| {
        events(&[(
            "deploy_ended",
            json!({"deployId": "dep-ours", "deployStatus": "canceled", "status": 3, "reason": reason}),
        )])
    };
    let seen = |deploys: &[Value], events: HttpResponse| {
        let script = [(LIST, ok(list(deploys))), (EVENTS, events)];
        let it = observe(&mut following(), &script).deployment.unwrap();
        (it.state, it.reason)
    };
    let text = |text: &str| Some(text.to_owned());
    let by_deploy = ended(json!({"newDeploy": {"id": "dep-later"}}));
    assert_eq!(
        seen(&[ours("canceled")], by_deploy),
        (State::Superseded, text("it was canceled in favour of deploy dep-later"))
    );
    assert_eq!(seen(&[later("live"), ours("canceled")], ended(json!({}))), (State::Canceled, None));
    // Where the events tell nothing, what came later does.
    let untold = answer(500, "");
    assert_eq!(seen(&[later("created"), ours("canceled")], untold.clone()).0, State::Superseded);
    assert_eq!(seen(&[old("live"), ours("canceled")], untold), (State::Canceled, None));
}

#[test]
fn a_failure_is_told_with_its_reason_once() {
    let failed = |kind: &str, failure: Value| {
        (
            kind.to_owned(),
            json!({"deployId": "dep-ours", "deployStatus": "failed", "status": 3, "reason": {"failure": failure}}),
        )
    };
    for (failure, reason) in [
        (json!({"evicted": false, "unhealthy": "no \u{1b}[31mport"}), "it is unhealthy: no port"),
        (json!({"evicted": false, "nonZeroExit": 3}), "it exited with status 3"),
        (json!({"evicted": false, "earlyExit": true}), "it exited early"),
        (json!({"evicted": false, "oomKilled": {"memoryLimit": "512Mi"}}), "it ran out of memory (limit 512Mi)"),
        (json!({"evicted": false, "timedOutSeconds": 900}), "it timed out after 900 s"),
        (json!({"evicted": false, "timedOutSeconds": 9, "timedOutReason": "port scan"}), "it timed out: port scan"),
        (json!({"evicted": true}), "it was evicted"),
    ] {
        let (kind, details) = failed("deploy_ended", failure);
        let mut provider = following();
        let list = ok(list(&[ours("update_failed")]));
        let script = [(LIST, list.clone()), (EVENTS, events(&[("server_failed", json!({})), (&kind, details)]))];
        assert_eq!(observe(&mut provider, &script).deployment.unwrap().reason.as_deref(), Some(reason));
        assert_eq!(observe(&mut provider, &[(LIST, list)]).deployment.unwrap().reason.as_deref(), Some(reason));
    }
    let build = [
        ("build_ended", json!({"buildId": "bld-other", "reason": {"failure": {"evicted": true}}})),
        ("build_ended", json!({"buildId": "bld-ours", "reason": {"failure": {"evicted": false, "nonZeroExit": 1}}})),
        ("deploy_ended", json!({"deployId": "dep-ours", "reason": {"buildFailed": {"id": "bld-ours"}}})),
    ];
    let script = [(LIST, ok(list(&[ours("build_failed")]))), (EVENTS, events(&build))];
    let it = observe(&mut following(), &script).deployment.unwrap();
    assert_eq!(it.reason.as_deref(), Some("it exited with status 1"));
}

#[test]
fn a_commit_that_was_ignored_is_skipped() {
    let ignored = |commit: &str| events(&[("commit_ignored", json!({"id": commit, "url": "https://github.com/x"}))]);
    let seen = |commit: &str| {
        let mut provider = provider(Setup {
            pushed_at: Some("2026-01-02T03:04:00Z".parse().unwrap()),
            ..setup("service = 'srv-web'")
        });
        let script = [(SERVICE, ok(service("web"))), (LIST, ok(list(&[old("live")]))), (IGNORED, ignored(commit))];
        observe(&mut provider, &script).deployment
    };
    assert_eq!(seen(OLD_COMMIT), None);
    let it = seen(COMMIT).unwrap();
    assert_eq!((it.state, it.raw.as_str()), (State::Skipped, "commit_ignored"));
    assert_eq!(it.commit.relation, Relation::Same);
    assert!(it.reason.unwrap().contains("build filters"));
}

#[test]
fn a_suspended_service_does_not_deploy() {
    let suspended = with(service("web"), "suspended", json!("suspended"));
    let script = [(SERVICE, ok(suspended)), (LIST, ok(list(&[]))), (IGNORED, events(&[]))];
    assert!(observe(&mut by_id(), &script).will_not_deploy.unwrap().contains("suspended"));
}

#[test]
fn how_an_earlier_push_of_the_commit_ended_is_not_this_pushs_end() {
    let pushed_at = Some("2026-01-03T00:00:00Z".parse().unwrap());
    for (word, is_seen) in [("build_failed", false), ("canceled", false), ("deactivated", false), ("live", true)] {
        let mut provider = provider(Setup { pushed_at, ..setup("service = 'srv-web'") });
        let mut script = vec![(SERVICE, ok(service("web"))), (LIST, ok(list(&[ours(word)])))];
        if !is_seen {
            script.push((IGNORED, events(&[])));
        }
        assert_eq!(observe(&mut provider, &script).deployment.is_some(), is_seen, "{word}");
    }
}

#[test]
fn the_log_is_the_end_of_the_failed_step() {
    let logs = |messages: &[(&str, &str)], has_more: bool| {
        let lines: Value = messages
            .iter()
            .map(|(at, text)| json!({"id": at, "message": text, "timestamp": format!("2026-01-02T03:{at}Z"), "labels": []}))
            .collect();
        ok(json!({
            "hasMore": has_more, "nextStartTime": "2026-01-02T03:04:06Z", "nextEndTime": "2026-01-02T03:04:30Z", "logs": lines,
        }))
    };
    let times = |word: &str| {
        let begun = with(ours(word), "startedAt", json!("2026-01-02T03:04:06Z"));
        with(begun, "finishedAt", json!("2026-01-02T03:05:00Z"))
    };
    let from =
        "/logs?ownerId=tea-acme&resource=srv-web&direction=backward&limit=100&startTime=2026-01-02T03%3A04%3A06Z";
    for (word, kinds) in [("build_failed", "type=build"), ("update_failed", "type=build&type=app")] {
        let mut provider = following();
        observe(&mut provider, &[(LIST, ok(list(&[times(word)]))), (EVENTS, events(&[]))]);
        let first = format!("{from}&endTime=2026-01-02T03%3A05%3A30Z&{kinds}");
        let second = format!("{from}&endTime=2026-01-02T03%3A04%3A30Z&{kinds}");
        let script = [
            (first.as_str(), logs(&[("05:00", "npm error"), ("04:40", "npm run build")], true)),
            (second.as_str(), logs(&[("04:10", "cloning")], true)),
        ];
        let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &script);
        assert_eq!(turn, Turn::Reply(Reply::Log("cloning\nnpm run build\nnpm error".to_owned())));
        let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[(&first, logs(&[], false))]);
        assert!(matches!(&turn, Turn::Fault(fault) if fault.kind == FaultKind::Transient), "{turn:?}");
    }
    let turn = VENDOR.play(by_id().as_mut(), Question::FailureLog, &[]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.kind == FaultKind::NotFound), "{turn:?}");
}
