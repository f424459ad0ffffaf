//! How a deployment ends: live, overtaken, canceled. The app's own pointer has the last word.

use afterpush_core::{fault::FaultKind, observation::DeploymentState as State, run::Relation};

use super::*;

fn ended(phase: &str, steps: (u32, u32)) -> Value {
    let progress = json!({"success_steps": steps.0, "total_steps": steps.1});
    with(deployment(OURS, COMMIT, phase), "progress", progress)
}

/// A deployment of another commit that came after ours.
fn later() -> Value {
    with(deployment(OTHER, OLD_COMMIT, "ACTIVE"), "created_at", json!("2026-02-01T00:00:00Z"))
}

#[test]
fn active_is_live_when_the_app_points_at_it_at_one_call() {
    let active = ended("ACTIVE", (6, 6));
    let seen = observe(&mut following(), &[(APP_PATH, ok(app_with("active_deployment", active)))]);
    let it = seen.deployment.unwrap();
    assert_eq!((it.state, it.raw.as_str()), (State::Live, "ACTIVE"));
    assert_eq!(it.progress.as_deref(), Some("6 of 6 steps"));
    let serving = seen.serving.unwrap();
    assert_eq!(serving.deployment_id, OURS);
    assert_eq!(serving.commit.unwrap().relation, Relation::Same);
    assert_eq!(serving.site_url.as_deref(), Some("https://web-app.example.test"));
}

#[test]
fn active_is_not_live_before_the_app_points_at_it() {
    let mut provider = following();
    let active = ended("ACTIVE", (6, 6));
    let seen =
        ours(&mut provider, &[(APP_PATH, ok(app_before())), (LIST_PATH, ok(list(std::slice::from_ref(&active))))]);
    assert_eq!(seen.state, State::Deploying);
    assert!(seen.progress.unwrap().contains("waiting for the app"));
    // Nor when the app points at nothing.
    let seen = ours(
        &mut provider,
        &[(APP_PATH, ok(json!({"app": bare_app()}))), (LIST_PATH, ok(list(std::slice::from_ref(&active))))],
    );
    assert_eq!(seen.state, State::Deploying);
    let seen = ours(&mut provider, &[(APP_PATH, ok(app_with("active_deployment", active)))]);
    assert_eq!(seen.state, State::Live);
}

#[test]
fn that_the_app_cannot_be_asked_is_no_reason_to_call_it_live() {
    let fault = fault(&mut following(), &[(APP_PATH, refused(500, "server_error"))]);
    assert_eq!(fault.kind, FaultKind::Transient);
}

#[test]
fn active_while_a_later_one_serves_is_replaced() {
    let seen = ours(
        &mut following(),
        &[
            (APP_PATH, ok(app_with("active_deployment", later()))),
            (LIST_PATH, ok(list(&[later(), ended("ACTIVE", (6, 6))]))),
        ],
    );
    assert_eq!(seen.state, State::Replaced);
    assert!(seen.reason.unwrap().contains(OTHER));
}

#[test]
fn t11_superseded_means_replaced_after_all_steps_and_overtaken_before() {
    for (steps, state) in [((6, 6), State::Replaced), ((2, 6), State::Superseded), ((0, 0), State::Superseded)] {
        let mut provider = following();
        let seen = observe(
            &mut provider,
            &[
                (APP_PATH, ok(app_with("active_deployment", later()))),
                (LIST_PATH, ok(list(&[later(), ended("SUPERSEDED", steps)]))),
            ],
        );
        assert_eq!(seen.deployment.unwrap().state, state);
        let commit = seen.serving.unwrap().commit.unwrap();
        assert_eq!((commit.id.as_str(), commit.relation), (OLD_COMMIT, Relation::Other));
        // From now on only what serves is of interest.
        let seen = observe(&mut provider, &[(APP_PATH, ok(app_with("active_deployment", later())))]);
        assert_eq!(seen.deployment.unwrap().state, state);
        assert!(seen.serving.is_some());
    }
}

#[test]
fn canceled_is_canceled() {
    let seen =
        ours(&mut following(), &[(APP_PATH, ok(app_before())), (LIST_PATH, ok(list(&[ended("CANCELED", (2, 6))])))]);
    assert_eq!((seen.state, seen.raw.as_str()), (State::Canceled, "CANCELED"));
}

#[test]
fn another_deployment_of_the_same_commit_takes_over() {
    let again = |phase: &str| {
        with(
            with(deployment(OTHER, COMMIT, phase), "cause", json!("manual")),
            "created_at",
            json!("2026-01-02T04:00:00Z"),
        )
    };
    // Seen in the list at the end of ours.
    let mut provider = following();
    let seen = ours(
        &mut provider,
        &[(APP_PATH, ok(app_before())), (LIST_PATH, ok(list(&[again("BUILDING"), ended("CANCELED", (2, 6))])))],
    );
    assert_eq!((seen.id.as_str(), seen.state), (OTHER, State::Building));
    let seen = ours(&mut provider, &[(APP_PATH, ok(app_with("active_deployment", again("ACTIVE"))))]);
    assert_eq!((seen.id.as_str(), seen.state), (OTHER, State::Live));

    // Seen at the app long after ours ended.
    let mut provider = following();
    let overtaken = ended("SUPERSEDED", (2, 6));
    ours(&mut provider, &[(APP_PATH, ok(app_before())), (LIST_PATH, ok(list(&[overtaken])))]);
    let live = app_with("active_deployment", again("ACTIVE"));
    let seen = ours(&mut provider, &[(APP_PATH, ok(live))]);
    assert_eq!((seen.id.as_str(), seen.state), (OTHER, State::Live));
}

#[test]
fn a_rollback_to_ours_makes_ours_live_again() {
    let mut back = later();
    back["services"] = json!([{"name": "web"}]);
    back["cause"] = json!("manual rollback");
    back["cloned_from"] = json!(OURS);
    let seen = ours(
        &mut following(),
        &[(APP_PATH, ok(app_with("active_deployment", back))), (LIST_PATH, ok(list(&[ended("SUPERSEDED", (6, 6))])))],
    );
    assert_eq!((seen.id.as_str(), seen.state), (OURS, State::Live));
    assert!(seen.reason.unwrap().contains(OTHER));
}

#[test]
fn a_site_address_with_credentials_or_without_a_host_is_not_handed_on() {
    for (live, ingress, expected) in [
        ("https://user:pass@host.test", "https://in.test", Some("https://in.test")),
        ("https://user@host.test", "https://in.test", Some("https://in.test")),
        ("javascript:alert(1)", "file:///etc", None),
        ("", "https://in.test", Some("https://in.test")),
    ] {
        let mut body = app_with("pending_deployment", ended("BUILDING", (1, 6)));
        body["app"]["live_url"] = json!(live);
        body["app"]["default_ingress"] = json!(ingress);
        let seen = ours(&mut by_id(), &[(APP_PATH, ok(body))]);
        assert_eq!(seen.site_url.as_deref(), expected);
    }
}

#[test]
fn what_serves_is_told_to_be_later_than_ours_only_when_it_is() {
    let superseded = ended("SUPERSEDED", (2, 6));
    for (serving, is_later) in [
        (later(), true),
        (with(later(), "created_at", json!("2026-01-01T00:00:00Z")), false),
        (with(later(), "created_at", Value::Null), false),
    ] {
        let seen = observe(
            &mut following(),
            &[
                (APP_PATH, beyond(app_with("active_deployment", serving))),
                (LIST_PATH, ok(list(std::slice::from_ref(&superseded)))),
            ],
        );
        assert_eq!(seen.serving.unwrap().is_later, is_later);
    }
    let nothing_of_ours =
        observe(&mut by_id(), &[(APP_PATH, ok(app_with("active_deployment", later()))), (LIST_PATH, ok(list(&[])))]);
    assert!(!nothing_of_ours.serving.unwrap().is_later, "there is nothing to compare it with");
}
