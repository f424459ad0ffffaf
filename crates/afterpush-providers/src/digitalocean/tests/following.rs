//! A deployment under way: its words, its progress, and trouble that is not a verdict.

use std::time::Duration;

use afterpush_core::{fault::FaultKind, observation::DeploymentState as State};

use super::*;

fn step(phase: &str) -> [(&'static str, HttpResponse); 1] {
    [(APP_PATH, beyond(app_with("in_progress_deployment", deployment(OURS, COMMIT, phase))))]
}

#[test]
fn each_word_under_way_has_its_state_and_costs_one_call() {
    let mut provider = following();
    for (word, state) in [
        ("UNKNOWN", State::Queued),
        ("PENDING_BUILD", State::Queued),
        ("BUILDING", State::Building),
        ("PENDING_DEPLOY", State::Deploying),
        ("DEPLOYING", State::Deploying),
        ("SIMMERING", State::Unknown),
        ("active", State::Unknown),
    ] {
        let seen = ours(&mut provider, &step(word));
        assert_eq!((seen.state, seen.raw.as_str()), (state, word));
        assert_eq!(seen.site_url.as_deref(), Some("https://web-app.example.test"));
    }
    let absent = with(deployment(OURS, COMMIT, ""), "phase", Value::Null);
    let seen = ours(&mut provider, &[(APP_PATH, beyond(app_with("in_progress_deployment", absent)))]);
    assert_eq!((seen.state, seen.raw.as_str()), (State::Queued, "UNKNOWN"));
}

#[test]
fn an_unknown_word_is_shown_cleaned() {
    let seen = ours(&mut following(), &step("NEW\u{1b}[2J\u{202e}\nWORD"));
    assert_eq!(seen.raw, "NEW WORD");
}

#[test]
fn progress_counts_steps_and_names_the_running_one() {
    let tree = json!([
        {"name": "build", "status": "SUCCESS", "steps": [
            {"name": "web", "status": "SUCCESS", "component_name": "web", "message_base": "Building service"}]},
        {"name": "deploy", "status": "RUNNING", "steps": [
            {"name": "components", "status": "RUNNING", "steps": [
                {"name": "web", "status": "RUNNING", "component_name": "web", "steps": [
                    {"name": "deploy", "status": "SUCCESS", "message_base": "Deploying service"},
                    {"name": "wait", "status": "RUNNING", "message_base": "Waiting for service\u{7}"}]}]}]},
    ]);
    for (progress, expected) in [
        (
            json!({"success_steps": 4, "running_steps": 1, "total_steps": 6, "steps": tree}),
            Some("4 of 6 steps: Waiting for service web"),
        ),
        (json!({"steps": tree}), Some("Waiting for service web")),
        (json!({"pending_steps": 6, "total_steps": 6}), Some("0 of 6 steps")),
        (json!({}), None),
        (Value::Null, None),
    ] {
        let it = with(deployment(OURS, COMMIT, "DEPLOYING"), "progress", progress);
        let seen = ours(&mut following(), &[(APP_PATH, beyond(app_with("in_progress_deployment", it)))]);
        assert_eq!(seen.progress.as_deref(), expected);
    }
}

#[test]
fn trouble_is_a_fault_and_the_deployment_is_still_followed_afterwards() {
    let mut provider = following();
    for (response, kind) in [
        (refused(401, "unauthorized"), FaultKind::Unauthorized),
        (refused(403, "forbidden"), FaultKind::Unauthorized),
        (refused(429, "too_many_requests"), FaultKind::RateLimited),
        (refused(500, "server_error"), FaultKind::Transient),
        (answer(502, "<html>bad gateway</html>"), FaultKind::Transient),
        (answer(200, "<!DOCTYPE html><title>hello"), FaultKind::Malformed),
        (answer(200, "{\"deployment\":{\"id\":\"aaaa"), FaultKind::Malformed),
        (answer(200, ""), FaultKind::Malformed),
        (beyond(json!({"deployment": null})), FaultKind::Malformed),
        (beyond(json!({"deployment": {"phase": "ACTIVE"}})), FaultKind::Malformed),
        (ok(one(deployment(OTHER, COMMIT, "ACTIVE"))), FaultKind::Malformed),
    ] {
        let script = [(APP_PATH, ok(app_before())), (LIST_PATH, ok(list(&[]))), (OURS_PATH, response)];
        assert_eq!(fault(&mut provider, &script).kind, kind);
        observe(&mut provider, &step("BUILDING"));
    }
}

#[test]
fn the_wish_to_wait_is_handed_on() {
    let mut limited = refused(429, "too_many_requests");
    limited.headers = vec![("retry-after".to_owned(), "37".to_owned())];
    let fault = fault(&mut following(), &[(APP_PATH, limited)]);
    assert_eq!(fault.retry_after, Some(Duration::from_secs(37)));
}

#[test]
fn a_deployment_that_is_gone_is_looked_for_anew() {
    let mut provider = following();
    let gone = refused(404, "not_found");
    let script = [(APP_PATH, ok(app_before())), (LIST_PATH, ok(list(&[]))), (OURS_PATH, gone)];
    let seen = observe(&mut provider, &script);
    assert_eq!(seen.deployment, None);
    observe(&mut provider, &[(APP_PATH, ok(app_before()))]);
    let again = ok(list(&[deployment(OURS, COMMIT, "BUILDING")]));
    assert!(observe(&mut provider, &[(LIST_PATH, again)]).deployment.is_some());
}

#[test]
fn a_deployment_that_turns_out_to_be_of_another_commit_is_let_go() {
    let mut provider = following();
    let seen = observe(
        &mut provider,
        &[(APP_PATH, ok(app_with("active_deployment", deployment(OURS, OLD_COMMIT, "ACTIVE"))))],
    );
    assert_eq!(seen.deployment, None);
    observe(&mut provider, &[(APP_PATH, ok(app_before()))]);
}

#[test]
fn a_question_that_was_broken_off_is_forgotten() {
    let mut provider = following();
    assert!(matches!(provider.start(Question::Observe), Turn::Ask(_)));
    let seen = ours(&mut provider, &step("BUILDING"));
    assert_eq!(seen.state, State::Building);
}

#[test]
fn one_that_many_later_ones_push_off_the_page_is_asked_for_alone() {
    let queued = deployment(OURS, COMMIT, "PENDING_BUILD");
    let others: Vec<Value> = (0..20)
        .map(|at| deployment(&format!("cccccccc-0000-4000-8000-0000000000{at:02}"), OLD_COMMIT, "PENDING_BUILD"))
        .collect();
    let script = [(APP_PATH, ok(app_before())), (LIST_PATH, ok(list(&others))), (OURS_PATH, ok(one(queued)))];
    assert_eq!(ours(&mut following(), &script).state, State::Queued);
}

#[test]
fn that_the_app_answers_trouble_is_trouble_and_no_verdict() {
    for (response, kind) in [
        (refused(401, "unauthorized"), FaultKind::Unauthorized),
        (refused(500, "server_error"), FaultKind::Transient),
        (answer(200, "<html>"), FaultKind::Malformed),
        (beyond(json!({"app": null})), FaultKind::Malformed),
    ] {
        let mut provider = following();
        assert_eq!(fault(&mut provider, &[(APP_PATH, response)]).kind, kind);
        observe(&mut provider, &step("BUILDING"));
    }
}
