//! Every stage and status, and what it becomes beside what production serves.

use super::*;

#[test]
fn every_stage_and_status_has_its_meaning() {
    for (stage, status, state) in [
        ("queued", "idle", State::Queued),
        ("queued", "active", State::Queued),
        ("queued", "success", State::Building),
        ("initialize", "idle", State::Building),
        ("initialize", "active", State::Building),
        ("initialize", "success", State::Building),
        ("clone_repo", "idle", State::Building),
        ("clone_repo", "active", State::Building),
        ("clone_repo", "success", State::Building),
        ("build", "idle", State::Building),
        ("build", "active", State::Building),
        ("build", "success", State::Deploying),
        ("deploy", "idle", State::Deploying),
        ("deploy", "active", State::Deploying),
        ("queued", "failure", State::Failed),
        ("initialize", "failure", State::Failed),
        ("clone_repo", "failure", State::Failed),
        ("build", "failure", State::Failed),
        ("deploy", "failure", State::Failed),
        ("build", "pondering\u{1b}[2J", State::Unknown),
        ("ponder", "success", State::Unknown),
        ("", "", State::Unknown),
    ] {
        let it = listed(&[ours(stage, status)]);
        assert_eq!(it.state, state, "{stage} {status}");
        assert!(format!("{stage}: {status}").starts_with(it.raw.trim_end()), "{it:?}");
    }
    for (stage, status, state) in [("build", "canceled", State::Canceled), ("build", "skipped", State::Skipped)] {
        assert_eq!(seen(&[ours(stage, status)], old()).state, state, "{status}");
    }
    let no_stage = with(ours("", ""), "latest_stage", Value::Null);
    assert_eq!(listed(&[no_stage]).state, State::Unknown);
}

#[test]
fn live_is_said_only_when_production_points_at_it() {
    let deployed = || ours("deploy", "success");
    let it = seen(&[deployed()], deployed());
    assert_eq!((it.state, it.site_url.as_deref()), (State::Live, Some("https://web.pages.dev")));
    let it = seen(&[deployed()], old());
    assert_eq!((it.state, it.progress.as_deref()), (State::Deploying, Some("waiting for production to point at it")));
    let it = seen(&[deployed()], later());
    assert_eq!((it.state, it.reason.as_deref()), (State::Replaced, Some("deployment d-later serves instead")));
    let script = [(LIST, ok(list(&[deployed()]))), (PROJECT, answer(200, project(Value::Null).to_string()))];
    assert_eq!(observe(&mut following(), &script).deployment.unwrap().state, State::Deploying);

    let script = [(LIST, ok(list(&[later(), deployed()]))), (PROJECT, ok(project(later())))];
    let serving = observe(&mut following(), &script).serving.unwrap();
    assert!(serving.is_later && serving.commit.unwrap().relation == Relation::Other);
}

#[test]
fn a_failure_is_said_with_its_stage_and_its_log() {
    let mut provider = following();
    let it = observe(&mut provider, &[(LIST, ok(list(&[ours("build", "failure")])))]).deployment.unwrap();
    assert_eq!((it.state, it.reason.as_deref()), (State::Failed, Some("the stage \"build\" failed")));

    let path = "/accounts/acc1/pages/projects/web/deployments/d-ours/history/logs?size=10000000";
    let log = |data: Value| envelope(json!({"total": 2, "includes_container_logs": true, "data": data}));
    let lines = json!([{"ts": BEFORE, "line": "one"}, null, {"ts": AFTER, "line": "two"}]);
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[(path, ok(log(lines)))]);
    assert_eq!(turn, Turn::Reply(Reply::Log("one\ntwo".to_owned())));
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[(path, ok(log(json!([]))))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::Transient));
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[(path, answer(403, ""))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::Unauthorized));
    let turn = VENDOR.play(by_name().as_mut(), Question::FailureLog, &[]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::NotFound));
}

#[test]
fn what_was_skipped_is_told_with_its_reason() {
    for (reason, state, text) in [
        (json!("path_config"), State::Skipped, "path_config"),
        (json!("commit_message"), State::Skipped, "commit_message"),
        (json!("something\u{1b}[2J new"), State::Skipped, "something new"),
        (json!("superseded_queued_build"), State::Superseded, "a later push"),
        (Value::Null, State::Skipped, ""),
    ] {
        let skipped = with(with(ours("queued", "idle"), "is_skipped", json!(true)), "skip_reason", reason);
        let it = seen(&[skipped], old());
        assert_eq!(it.state, state, "{it:?}");
        assert!(it.reason.unwrap_or_default().contains(text) && it.raw.starts_with("skipped"));
    }
}

#[test]
fn what_had_ended_long_before_the_push_is_an_earlier_ones() {
    let late = || {
        let pushed_at = Some("2026-01-02T04:00:00Z".parse().unwrap());
        let mut provider = provider(Setup { pushed_at, ..setup("account = 'acc1'\nproject = 'web'") });
        observe(&mut provider, &[(PROJECT, ok(project(old()))), (LIST, ok(list(&[])))]);
        provider
    };
    for (deployment, canonical) in [(ours("build", "failure"), old()), (ours("deploy", "success"), later())] {
        let script = [(LIST, ok(list(&[deployment]))), (PROJECT, ok(project(canonical)))];
        assert_eq!(observe(&mut late(), &script).deployment, None);
    }
    let live = ours("deploy", "success");
    let script = [(LIST, ok(list(std::slice::from_ref(&live)))), (PROJECT, ok(project(live.clone())))];
    assert_eq!(observe(&mut late(), &script).deployment.unwrap().state, State::Live);
    // A newer one of the same commit, as after a retry, takes its place.
    let again = deployment("d-again", COMMIT, "build", "active", AFTER);
    assert_eq!(listed(&[ours("build", "failure"), again]).id, "d-again");
}

#[test]
fn a_preview_is_live_at_its_own_address_until_a_later_one_is() {
    let topic =
        Setup { ref_name: RefName::parse("refs/heads/topic").unwrap(), ..setup("account = 'acc1'\nproject = 'web'") };
    let path = LIST.replace("production", "preview");
    let preview = |deployment: Value| {
        let mut it = with(deployment, "environment", json!("preview"));
        it["deployment_trigger"]["metadata"]["branch"] = json!("topic");
        it
    };
    let look = |deployments: &[Value]| {
        let script = [(PROJECT, ok(project(old()))), (path.as_str(), ok(list(deployments)))];
        observe(&mut provider(topic.clone()), &script)
    };
    let deployed = preview(ours("deploy", "success"));
    let live = look(std::slice::from_ref(&deployed));
    let it = live.deployment.unwrap();
    assert_eq!((it.state, it.site_url.as_deref()), (State::Live, Some("https://d-ours.web.pages.dev")));
    assert_eq!(live.serving.unwrap().deployment_id, "d-ours");
    let building = preview(deployment("d-later", OLD_COMMIT, "build", "active", AFTER));
    assert_eq!(look(&[building, deployed.clone()]).deployment.unwrap().state, State::Live);
    let replaced = look(&[preview(later()), deployed.clone()]);
    assert_eq!(replaced.deployment.unwrap().state, State::Replaced);
    assert!(replaced.serving.unwrap().is_later);
    // Another branch's preview takes nobody's place.
    let mut other = preview(later());
    other["deployment_trigger"]["metadata"]["branch"] = json!("another");
    assert_eq!(look(&[other, deployed]).deployment.unwrap().state, State::Live);

    let mut off = project(old());
    off["result"]["source"]["config"]["preview_deployment_setting"] = json!("none");
    let script = [(PROJECT, ok(off)), (path.as_str(), ok(list(&[])))];
    assert!(
        observe(&mut provider(topic.clone()), &script).will_not_deploy.unwrap().contains("other than production's")
    );
}
