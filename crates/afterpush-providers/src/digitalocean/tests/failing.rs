//! A deployment that failed: at once, with its reason, the platform's rollback, and its log.

use afterpush_core::{fault::FaultKind, observation::DeploymentState as State};

use super::*;

fn step(name: &str, status: &str, steps: Value) -> Value {
    json!({"name": name, "status": status, "steps": steps})
}

fn failed(build: Value, deploy: Value) -> Value {
    let steps = json!([build, deploy]);
    let progress = json!({"success_steps": 1, "error_steps": 1, "total_steps": 6, "steps": steps});
    with(deployment(OURS, COMMIT, "ERROR"), "progress", progress)
}

fn failed_build() -> Value {
    let web = json!({
        "name": "web", "status": "ERROR", "component_name": "web", "message_base": "Building service",
        "reason": {"code": "BuildJobExitNonZero", "message": "Your build job failed\u{1b}[31m because\nit did."},
    });
    let components = step("components", "ERROR", json!([web]));
    let build = step("build", "ERROR", json!([components]));
    failed(build, step("deploy", "PENDING", json!([])))
}

fn failed_health_check() -> Value {
    let leaf = |name: &str, status: &str, code: &str| json!({"name": name, "status": status, "reason": {"code": code, "message": "Text."}});
    let mut web = step(
        "web",
        "ERROR",
        json!(
            [leaf("deploy", "SUCCESS", "PreBuiltImage"), leaf("wait", "ERROR", "DeployContainerHealthChecksFailed"),]
        ),
    );
    web["component_name"] = json!("web");
    let components = step("components", "ERROR", json!([web]));
    let deploy = step("deploy", "ERROR", json!([components]));
    failed(step("build", "SUCCESS", json!([])), deploy)
}

fn rollback(phase: &str) -> Value {
    let mut it = deployment(OTHER, OLD_COMMIT, phase);
    it["services"] = json!([{"name": "web"}]);
    it["cause"] = json!(format!("automated rollback after failed deployment of \"{OURS}\""));
    it["cause_details"] = json!({"internal": true, "type": "AUTO_ROLLBACK"});
    it["created_at"] = json!("2026-01-02T03:10:00Z");
    it
}

/// What is asked at the poll that sees a failure.
fn script(listed: &[Value]) -> [(&'static str, HttpResponse); 2] {
    [(APP_PATH, ok(app_before())), (LIST_PATH, ok(list(listed)))]
}

#[test]
fn t2_a_failure_is_said_at_the_poll_that_sees_it_with_its_reason() {
    let seen = observe(&mut following(), &script(&[failed_build()]));
    assert_eq!(seen.serving.unwrap().deployment_id, OTHER);
    let it = seen.deployment.unwrap();
    assert_eq!((it.state, it.raw.as_str()), (State::Failed, "ERROR"));
    assert_eq!(it.reason.unwrap(), "BuildJobExitNonZero: Your build job failed because it did. (component web)");
}

#[test]
fn only_failed_steps_tell_reasons() {
    let it = failed_health_check();
    let seen = ours(&mut following(), &script(&[it]));
    assert_eq!(seen.reason.unwrap(), "DeployContainerHealthChecksFailed: Text. (component web)");
}

#[test]
fn what_several_steps_say_alike_is_told_once_and_three_reasons_are_enough() {
    let leaf = |code: &str| json!({"status": "ERROR", "reason": {"code": code}});
    let steps = json!([leaf("A"), leaf("A"), leaf("B"), leaf("C"), leaf("D")]);
    let it = failed(step("build", "ERROR", steps), step("deploy", "PENDING", json!([])));
    let seen = ours(&mut following(), &script(&[it]));
    assert_eq!(seen.reason.unwrap(), "A; B; C");
}

#[test]
fn a_failed_step_without_a_reason_is_named() {
    let web = json!({"status": "ERROR", "component_name": "web", "message_base": "Building service"});
    for (steps, expected) in [
        (json!([web]), Some("the step \"Building service web\" failed")),
        (json!([]), Some("the step \"build\" failed")),
    ] {
        let it = failed(step("build", "ERROR", steps), Value::Null);
        // A null among the steps is not in the schema: without it.
        let mut it = it;
        it["progress"]["steps"].as_array_mut().unwrap().pop();
        let seen = ours(&mut following(), &script(&[it]));
        assert_eq!(seen.reason.as_deref(), expected);
    }
    let mut it = failed_build();
    it["progress"] = Value::Null;
    let seen = ours(&mut following(), &[(APP_PATH, ok(app_before())), (LIST_PATH, beyond(list(&[it])))]);
    assert_eq!((seen.state, seen.reason), (State::Failed, None));
}

#[test]
fn an_automatic_rollback_is_told_and_ours_stays_failed() {
    for phase in ["PENDING_DEPLOY", "ACTIVE"] {
        let listed = [rollback(phase), failed_health_check()];
        let seen = ours(&mut following(), &script(&listed));
        assert_eq!((seen.id.as_str(), seen.state), (OURS, State::Failed));
        let reason = seen.reason.unwrap();
        assert!(reason.contains("DeployContainerHealthChecksFailed"), "{reason}");
        let told = format!("rolled back automatically (deployment {OTHER})");
        assert!(reason.contains(&told), "{reason}");
    }
    // A rollback of another deployment is not ours.
    let mut other = rollback("ACTIVE");
    other["cause"] = json!("automated rollback after failed deployment of \"x\"");
    let seen = ours(&mut following(), &script(&[other, failed_build()]));
    assert!(!seen.reason.unwrap().contains("rolled back"));
}

#[test]
fn t2_trouble_with_the_questions_beside_it_does_not_hold_a_failure_back() {
    for trouble in [refused(500, "server_error"), answer(200, "<html>")] {
        // The app points at it while the platform rolls back; the list is of no help.
        let app = (APP_PATH, ok(app_with("in_progress_deployment", failed_build())));
        assert_eq!(ours(&mut following(), &[app.clone(), (LIST_PATH, trouble.clone())]).state, State::Failed);
        // Seen before: the next time the app is of no help either.
        let mut provider = following();
        ours(&mut provider, &[app, (LIST_PATH, trouble.clone())]);
        assert_eq!(ours(&mut provider, &[(APP_PATH, trouble)]).state, State::Failed);
    }
}

#[test]
fn a_failure_that_is_found_in_the_list_is_said_as_well() {
    let seen = ours(
        &mut by_id(),
        &[(APP_PATH, ok(app_before())), (LIST_PATH, ok(list(&[rollback("ACTIVE"), failed_build()])))],
    );
    assert_eq!(seen.state, State::Failed);
    assert!(seen.reason.unwrap().contains("rolled back"));
}

fn after(failure: Value) -> DigitalOcean {
    let mut provider = following();
    ours(&mut provider, &script(&[failure]));
    provider
}

fn log_path(kind: &str) -> String {
    format!("{OURS_PATH}/logs?type={kind}&follow=false&tail_lines=200")
}

fn links(urls: &[&str]) -> HttpResponse {
    ok(json!({"historic_urls": urls}))
}

fn read_log(provider: &mut DigitalOcean, script: &[(&str, HttpResponse)]) -> Turn {
    play(provider, Question::FailureLog, script)
}

fn text(turn: Turn) -> String {
    match turn {
        Turn::Reply(Reply::Log(text)) => text,
        turn => panic!("no log: {turn:?}"),
    }
}

#[test]
fn the_log_of_a_failed_build_is_read_from_its_archives_without_the_token() {
    // `play` checks that requests to other hosts carry no credential.
    let (first, second) = ("https://logs.test/a?sig=1", "https://logs.test/b?sig=2");
    let script = [
        (log_path("BUILD"), links(&[first, second])),
        (first.to_owned(), answer(200, "web 2026 one")),
        (second.to_owned(), answer(200, b"web 2026 t\xffo\n".to_vec())),
    ];
    let script: Vec<_> = script.iter().map(|(path, it)| (path.as_str(), it.clone())).collect();
    let log = text(read_log(&mut after(failed_build()), &script));
    assert_eq!(log, "web 2026 one\nweb 2026 t\u{fffd}o\n");
}

#[test]
fn the_log_of_a_failed_roll_out_ends_with_the_deploy_log() {
    let (deploy, restarted) = ("https://logs.test/deploy", "https://logs.test/restarted");
    let script = [
        (log_path("DEPLOY"), links(&[deploy])),
        (deploy.to_owned(), answer(200, "health check failed\n")),
        (log_path("RUN_RESTARTED"), links(&[restarted])),
        (restarted.to_owned(), answer(200, "panic\n")),
        (log_path("RUN"), refused(400, "bad_request")),
    ];
    let script: Vec<_> = script.iter().map(|(path, it)| (path.as_str(), it.clone())).collect();
    let log = text(read_log(&mut after(failed_health_check()), &script));
    assert_eq!(log, "panic\nhealth check failed\n");
}

#[test]
fn archives_are_only_asked_for_at_safe_addresses_and_at_most_eight_times() {
    let bad = [
        "http://logs.test/plain",
        "ftp://logs.test/x",
        "https://user:pass@logs.test/x",
        "https://user@logs.test/x",
        "file:///etc/passwd",
        "not an address",
    ];
    let turn = read_log(&mut after(failed_build()), &[(&log_path("BUILD"), links(&bad))]);
    assert!(matches!(turn, Turn::Fault(_)), "{turn:?}");

    let many: Vec<String> = (0..20).map(|at| format!("https://logs.test/{at}")).collect();
    let urls: Vec<&str> = many.iter().map(String::as_str).collect();
    let path = log_path("BUILD");
    let mut script = vec![(path.as_str(), links(&urls))];
    script.extend(urls.iter().take(8).map(|url| (*url, answer(200, "line\n"))));
    let log = text(read_log(&mut after(failed_build()), &script));
    assert_eq!(log.lines().count(), 8);
}

#[test]
fn the_end_of_a_huge_log_is_kept() {
    let url = "https://logs.test/huge";
    let huge = format!("{}\nthe end\n", "é".repeat(400 * 1024));
    let path = log_path("BUILD");
    let script = [(path.as_str(), links(&[url])), (url, answer(200, huge))];
    let log = text(read_log(&mut after(failed_build()), &script));
    assert!(log.len() <= 512 * 1024);
    assert!(log.ends_with("the end\n"));
}

#[test]
fn a_part_that_cannot_be_read_does_not_lose_the_others() {
    let (gone, there) = ("https://logs.test/secret-gone", "https://logs.test/there");
    let path = log_path("BUILD");
    let script = [
        (path.as_str(), links(&[gone, there])),
        (gone, answer(403, "<Error>AccessDenied</Error>")),
        (there, answer(200, "line\n")),
    ];
    assert_eq!(text(read_log(&mut after(failed_build()), &script)), "line\n");
    let Turn::Fault(fault) = read_log(
        &mut after(failed_build()),
        &[(path.as_str(), links(&[gone])), (gone, answer(403, "<Error>AccessDenied</Error>"))],
    ) else {
        panic!("no fault");
    };
    // The token was not sent, so it is not to blame; and the signed address is not told.
    assert_eq!(fault.kind, FaultKind::Transient);
    assert!(!fault.message.contains("secret"), "{fault}");
}

#[test]
fn no_log_yet_is_trouble_that_may_pass() {
    let path = log_path("BUILD");
    for (response, kind) in [
        (ok(json!({"live_url": "https://live.test/?token=x"})), FaultKind::Transient),
        (refused(400, "bad_request"), FaultKind::Transient),
        (refused(429, "too_many_requests"), FaultKind::RateLimited),
        (refused(403, "forbidden"), FaultKind::Unauthorized),
        (answer(200, "<html>"), FaultKind::Malformed),
    ] {
        let turn = read_log(&mut after(failed_build()), &[(&path, response)]);
        let Turn::Fault(fault) = turn else {
            panic!("{turn:?}");
        };
        assert_eq!(fault.kind, kind);
    }
    let turn = read_log(&mut by_id(), &[]);
    assert!(matches!(turn, Turn::Fault(_)), "{turn:?}");
}
