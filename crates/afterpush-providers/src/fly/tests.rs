//! The provider against bodies in the shape of the vendor's answers. The description of the Machines API knows fewer states than
//! the machines have; answers with the others stand outside it.

#![allow(clippy::unwrap_used)]

use afterpush_core::{
    fault::FaultKind,
    observation::{Deployment as Observed, DeploymentState as State, ProviderObservation},
    run::Relation,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::ENTRY;
use crate::{
    Credential, HttpResponse, Provider, Question, Reply, Secret, Setup, SetupError, Turn, damage,
    play::{self, COMMIT, OLD_COMMIT, Vendor, answer, ok},
};

const SECRET: &str = "fo1_not_to_be_seen";
const CANARY: &str = "plain-value-of-a-variable";

const VENDOR: Vendor =
    Vendor { api: "https://api.machines.dev/v1", credential: || Some(Credential::Bearer(Secret::new(SECRET))) };

const MACHINES: &str = "/apps/storefront/machines";
const RELEASES: &str = "own POST https://api.fly.io/graphql";
const PERHAPS_RELEASES: &str = "perhaps own POST https://api.fly.io/graphql";

fn setup(settings: &str) -> Setup {
    play::setup(settings, "git@github.com:acme/web-app.git", Some(SECRET))
}

fn provider(setup: Setup) -> Box<dyn Provider> {
    (ENTRY.build)(setup).unwrap()
}

fn new() -> Box<dyn Provider> {
    provider_at(None)
}

fn provider_at(pushed_at: Option<jiff::Timestamp>) -> Box<dyn Provider> {
    provider(Setup { pushed_at, ..setup("app = 'storefront'") })
}

fn with(mut value: Value, pointer: &str, field: Value) -> Value {
    *value.pointer_mut(pointer).unwrap() = field;
    value
}

fn machine(id: &str, commit: &str, release: u32, state: &str) -> Value {
    json!({
        "id": id, "name": "aged-wind", "state": state, "region": "ord", "instance_id": "01X",
        "created_at": "2025-01-01T00:00:00Z", "updated_at": "2026-01-02T03:04:05Z",
        "image_ref": {"registry": "registry.fly.io", "repository": "storefront", "tag": "deployment-01ABC", "digest": "sha256:x",
            "labels": {"GH_SHA": commit, "GH_REPO": "acme/web-app"}},
        "config": {
            "image": "registry.fly.io/storefront:deployment-01ABC", "env": {"KEY": CANARY},
            "metadata": {"fly_process_group": "app", "fly_release_version": release.to_string()},
            "services": [{"protocol": "tcp", "internal_port": 8080, "autostop": "off"}],
        },
        "checks": [{"name": "http", "status": "passing", "output": "200 OK", "updated_at": "2026-01-02T03:04:05Z"}],
        "events": [{"type": "start", "status": "started", "source": "flyd", "timestamp": 1}],
    })
}

fn ours(state: &str) -> Value {
    machine("m1", COMMIT, 7, state)
}

fn old() -> Value {
    machine("m2", OLD_COMMIT, 6, "started")
}

fn exited(machine: Value, exit: Value) -> Value {
    let event = json!([{"type": "exit", "status": "stopped", "source": "flyd", "timestamp": 2, "request": {"exit_event": exit}}]);
    with(machine, "/events", event)
}

/// A release of which nothing but its word and its image is of interest.
fn release(version: i64, status: &str, image: &str) -> Value {
    json!({"version": version, "status": status, "description": "Deploy image", "imageRef": image,
        "createdAt": "2026-01-02T03:04:00Z"})
}

fn releases(nodes: &[Value]) -> HttpResponse {
    ok(json!({"data": {"app": {"releasesUnprocessed": {"nodes": nodes}}}}))
}

fn observe(provider: &mut Box<dyn Provider>, machines: &[Value]) -> ProviderObservation {
    let machines = answer(200, json!(machines).to_string());
    VENDOR.observe(provider.as_mut(), &[(MACHINES, machines), (PERHAPS_RELEASES, releases(&[]))])
}

/// What a look says when the releases are asked for.
fn with_releases(provider: &mut Box<dyn Provider>, machines: &[Value], releases: HttpResponse) -> Option<Observed> {
    let machines = answer(200, json!(machines).to_string());
    VENDOR.observe(provider.as_mut(), &[(MACHINES, machines), (RELEASES, releases)]).deployment
}

fn seen(machines: &[Value]) -> Observed {
    observe(&mut new(), machines).deployment.unwrap()
}

#[test]
fn live_is_when_all_machines_run_the_commit() {
    let body = ok(json!([ours("started"), machine("m3", COMMIT, 7, "started")]));
    let seen_all = VENDOR.observe(new().as_mut(), &[(MACHINES, body)]);
    let it = seen_all.deployment.unwrap();
    assert_eq!((it.id.as_str(), it.state, it.raw.as_str()), ("v7", State::Live, "started"));
    assert_eq!(it.commit.relation, Relation::Same);
    assert_eq!(it.url.as_deref(), Some("https://fly.io/apps/storefront/monitoring"));
    assert_eq!(it.site_url.as_deref(), Some("https://storefront.fly.dev"));
    let serving = seen_all.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("v7", false));

    let it = seen(&[ours("started"), old()]);
    assert_eq!(
        (it.state, it.progress.as_deref()),
        (State::Deploying, Some("1 of 2 machines run it, others an earlier release"))
    );
    let it = seen(&[ours("started"), machine("m3", OLD_COMMIT, 8, "started")]);
    assert_eq!(
        (it.state, it.progress.as_deref()),
        (State::Deploying, Some("1 of 2 machines run it, others a later release"))
    );
    // What does not run the app, or was made by hand, decides nothing.
    let command = with(old(), "/config/metadata/fly_process_group", json!("fly_app_release_command"));
    let by_hand = with(old(), "/config/metadata", json!({}));
    let gone = with(old(), "/state", json!("destroyed"));
    assert_eq!(seen(&[ours("started"), command, by_hand, gone]).state, State::Live);
}

#[test]
fn every_state_of_a_machine_becomes_a_state() {
    for (word, state) in [
        ("created", State::Deploying),
        ("starting", State::Deploying),
        ("stopping", State::Deploying),
        ("stopped", State::Deploying),
        ("suspending", State::Deploying),
        ("suspended", State::Deploying),
        ("restarting", State::Deploying),
        ("updating", State::Deploying),
        ("replacing", State::Deploying),
        ("started", State::Live),
        ("failed", State::Failed),
        ("launch_failed", State::Failed),
        ("dream\u{1b}[31ming", State::Unknown),
    ] {
        let it = seen(&[ours(word)]);
        assert_eq!((it.state, it.raw), (state, word.replace("\u{1b}[31m", "")), "{word}");
    }
    for word in ["destroyed", "destroying", "replaced", "migrated"] {
        assert_eq!(observe(&mut new(), &[ours(word)]).deployment, None, "{word}");
    }
}

#[test]
fn a_machine_may_rest_where_it_is_allowed_to() {
    let autostop = |value: Value| with(ours("stopped"), "/config/services/0/autostop", value);
    assert_eq!(seen(&[autostop(json!("stop"))]).state, State::Live);
    assert_eq!(seen(&[autostop(json!(true))]).state, State::Live);
    for value in [json!("off"), json!(false), Value::Null] {
        assert_eq!(seen(&[autostop(value)]).state, State::Deploying);
    }
    let mut standby = ours("stopped");
    standby["config"]["standbys"] = json!(["m1"]);
    assert_eq!(seen(&[ours("started"), standby]).state, State::Live);
}

#[test]
fn a_check_that_does_not_pass_is_not_live() {
    for word in ["critical", "warning", ""] {
        let it = seen(&[with(ours("started"), "/checks/0/status", json!(word))]);
        assert_eq!(it.state, State::Deploying, "{word}");
        assert!(it.progress.unwrap().starts_with("the check http of the machine m1 is"));
    }
    assert_eq!(seen(&[with(ours("started"), "/checks", Value::Null)]).state, State::Live);
}

#[test]
fn an_exit_that_nobody_asked_for_is_a_failure_with_an_account() {
    let exit =
        |code: i64, oom: bool, asked: bool| json!({"exit_code": code, "oom_killed": oom, "requested_stop": asked});
    for (exit, state, reason) in [
        (exit(3, false, false), State::Failed, Some("the machine m1 exited with status 3")),
        (exit(137, true, false), State::Failed, Some("the machine m1 ran out of memory")),
        (exit(143, false, true), State::Deploying, None),
        (exit(0, false, false), State::Deploying, None),
    ] {
        let it = seen(&[exited(ours("stopped"), exit), old()]);
        assert_eq!((it.state, it.reason.as_deref()), (state, reason));
    }
    let mut provider = new();
    let checked =
        with(ours("stopped"), "/checks/0", json!({"name": "http", "status": "critical", "output": "refused"}));
    observe(&mut provider, &[exited(checked, exit(3, false, false))]);
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[]);
    let account = "machine m1: stopped\n  check http: critical\nrefused\nthe machine m1 exited with status 3";
    assert_eq!(turn, Turn::Reply(Reply::Log(account.to_owned())));
    let turn = VENDOR.play(new().as_mut(), Question::FailureLog, &[]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.kind == FaultKind::NotFound), "{turn:?}");
}

#[test]
fn the_commit_is_named_in_full_by_a_label_or_shortly_by_the_tag() {
    let labelled = |labels: Value, tag: &str| {
        with(with(ours("started"), "/image_ref/labels", labels), "/image_ref/tag", json!(tag))
    };
    let is_ours = |machine: Value| observe(&mut new(), &[machine]).deployment.is_some();
    assert!(is_ours(labelled(json!({"org.opencontainers.image.revision": COMMIT}), "x")));
    assert!(is_ours(labelled(Value::Null, COMMIT)));
    assert!(is_ours(labelled(json!({}), &format!("main-{}", &COMMIT[..7]))));
    assert!(!is_ours(labelled(json!({}), &COMMIT[..6])));
    assert!(!is_ours(labelled(json!({"GH_SHA": &COMMIT[..12]}), "x")));
    // The label counts more than the tag.
    assert!(!is_ours(labelled(json!({"GH_SHA": OLD_COMMIT}), COMMIT)));
}

#[test]
fn a_commit_without_machines_is_told_with_what_serves() {
    let none = observe(&mut new(), &[old()]);
    assert_eq!(none.deployment, None);
    let serving = none.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("v6", false));
    assert_eq!(serving.commit.unwrap().id, OLD_COMMIT);
    assert_eq!(observe(&mut new(), &[]), ProviderObservation::default());
}

#[test]
fn what_a_later_release_replaced_says_so() {
    for (before, state) in
        [(vec![ours("started")], State::Replaced), (vec![ours("starting"), old()], State::Superseded)]
    {
        let mut provider = new();
        observe(&mut provider, &before);
        let after = observe(&mut provider, &[machine("m1", OLD_COMMIT, 8, "started")]);
        assert!(after.serving.unwrap().is_later);
        let it = after.deployment.unwrap();
        assert_eq!((it.id.as_str(), it.state, it.reason.as_deref()), ("v7", state, Some("release v8 runs instead")));
        // While only the one before is there, nothing is known.
        assert_eq!(observe(&mut provider, &[old()]).deployment, None);
    }
}

#[test]
fn how_an_earlier_push_of_the_commit_failed_is_not_this_pushs_end() {
    let pushed_at = Some("2026-01-03T00:00:00Z".parse().unwrap());
    for (state, is_seen) in [("failed", false), ("started", true)] {
        let mut provider = provider_at(pushed_at);
        assert_eq!(observe(&mut provider, &[ours(state)]).deployment.is_some(), is_seen, "{state}");
    }
}

#[test]
fn a_release_that_ended_ends_a_rollout_that_goes_on() {
    let sick = || with(ours("started"), "/checks/0/status", json!("critical"));
    for (word, state, told) in [
        ("failed", State::Failed, Some("release v7 failed: the check http of the machine m1 is critical")),
        (
            "interrupted",
            State::Canceled,
            Some("release v7 was interrupted: the check http of the machine m1 is critical"),
        ),
        ("pending", State::Deploying, None),
        ("running", State::Deploying, None),
        ("complete", State::Deploying, None),
        ("fai\u{1b}led", State::Deploying, None),
    ] {
        let mut provider = new();
        let list = [release(8, "failed", "x"), release(7, word, "x"), release(6, "failed", "x")];
        let it = with_releases(&mut provider, &[sick()], releases(&list)).unwrap();
        assert_eq!((it.state, it.reason.as_deref()), (state, told), "{word}");
        let log = VENDOR.play(provider.as_mut(), Question::FailureLog, &[]);
        assert_eq!(matches!(log, Turn::Reply(Reply::Log(_))), told.is_some(), "{word}");
    }
    // What is well is not asked about, nor what failed by itself.
    for machine in [ours("started"), ours("failed")] {
        VENDOR.observe(new().as_mut(), &[(MACHINES, answer(200, json!([machine]).to_string()))]);
    }
}

#[test]
fn a_release_without_machines_is_told_by_its_images_tag_or_its_command() {
    let image = |tag: &str| format!("registry.fly.io:443/storefront:{tag}@sha256:x");
    let by_tag = |status: &str| releases(&[release(7, status, &image(COMMIT)), release(6, "complete", &image("old"))]);
    for (word, state) in [
        ("pending", Some(State::Queued)),
        ("running", Some(State::Deploying)),
        ("failed", Some(State::Failed)),
        ("interrupted", Some(State::Canceled)),
        ("complete", None),
        ("dreaming", None),
    ] {
        let it = with_releases(&mut new(), &[old()], by_tag(word));
        assert_eq!(it.as_ref().map(|it| it.state), state, "{word}");
        assert!(it.is_none_or(|it| it.id == "v7" && it.commit.relation == Relation::Same));
    }
    assert_eq!(with_releases(&mut new(), &[], releases(&[release(7, "failed", &image("deployment-01ABC"))])), None);

    let command = with(ours("stopped"), "/config/metadata/fly_process_group", json!("fly_app_release_command"));
    let exited = exited(command.clone(), json!({"exit_code": 2, "oom_killed": false, "requested_stop": false}));
    let list = |word: &str| releases(&[release(7, word, &image("deployment-01ABC"))]);
    let mut provider = new();
    let it = with_releases(&mut provider, &[old(), exited], list("failed")).unwrap();
    assert_eq!(it.reason.as_deref(), Some("release v7 failed: its release command exited with status 2"));
    assert!(matches!(VENDOR.play(provider.as_mut(), Question::FailureLog, &[]), Turn::Reply(Reply::Log(_))));
    let it = with_releases(&mut new(), &[command], list("running")).unwrap();
    assert_eq!((it.state, it.progress.as_deref()), (State::Deploying, Some("its release command runs")));

    let pushed_at = Some("2026-01-03T00:00:00Z".parse().unwrap());
    let mut later = provider_at(pushed_at);
    assert_eq!(with_releases(&mut later, &[old()], by_tag("failed")), None, "an earlier push's");
}

#[test]
fn the_machines_are_known_without_the_releases() {
    for response in [
        answer(401, "{}"),
        answer(429, ""),
        answer(500, ""),
        answer(200, "["),
        answer(200, r#"{"errors": [{"message": "unauthorized"}]}"#),
        answer(200, r#"{"data": {"app": null}}"#),
        answer(200, r#"{"data": {"app": {"releasesUnprocessed": {"nodes": [null]}}}}"#),
    ] {
        assert_eq!(with_releases(&mut new(), &[ours("starting")], response.clone()).unwrap().state, State::Deploying);
        assert_eq!(with_releases(&mut new(), &[old()], response), None);
    }
}

#[test]
fn an_address_of_the_users_is_asked_for_the_releases_too() {
    let api_url = Some("https://fly.test/v1".to_owned());
    let mut provider = provider(Setup { api_url, ..setup("app = 'storefront'") });
    let Turn::Ask(request) = provider.start(Question::Observe) else { panic!() };
    assert_eq!(request.url, "https://fly.test/v1/apps/storefront/machines");
    let Turn::Ask(request) = provider.next(&answer(200, "[]")) else { panic!() };
    assert_eq!(request.url, "https://fly.test/v1/graphql");
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (settings, key) in [("service = 'web'", "service"), ("app = 5", "app"), ("", "app")] {
        let Err(SetupError::Key { key: told, .. }) = (ENTRY.build)(setup(settings)) else { panic!("{settings}") };
        assert_eq!(told, key);
    }
    assert!((ENTRY.build)(Setup { api_url: Some("ftp://x".to_owned()), ..setup("app = 'x'") }).is_err());
}

#[test]
fn each_kind_of_token_has_its_scheme() {
    let presented = |token: &str| {
        let mut provider = provider(Setup { token: Some(Secret::new(token)), ..setup("app = 'a/b'") });
        let Turn::Ask(request) = provider.start(Question::Observe) else { panic!() };
        assert_eq!(request.url, "https://api.machines.dev/v1/apps/a%2Fb/machines");
        request.credential.unwrap()
    };
    let new = Credential::Header("authorization", Secret::new("FlyV1 fm2_abc,fm2_def"));
    assert_eq!(presented("fm2_abc,fm2_def"), new);
    assert_eq!(presented("FlyV1 fm2_abc,fm2_def"), new);
    assert_eq!(presented("fo1_abc"), Credential::Bearer(Secret::new("fo1_abc")));
}

#[test]
fn credentials_are_tried_by_asking_for_the_app() {
    let app = json!({"id": "x", "name": "storefront", "status": "deployed", "organization": {"name": "acme", "slug": "acme"}});
    let turn = VENDOR.play(new().as_mut(), Question::Credentials, &[("/apps/storefront", ok(app))]);
    assert_eq!(turn, Turn::Reply(Reply::Credentials(r#"sees the app "storefront""#.to_owned())));
    let turn = VENDOR.play(new().as_mut(), Question::Credentials, &[("/apps/storefront", answer(401, "{}"))]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.message.contains("fly tokens create readonly")), "{turn:?}");
    let token = |text: &str| crate::registry::token_from_login_file("fly", text, None).map(|it| it.expose().to_owned());
    assert_eq!(token("access_token: mine\nlast_login: 2026-01-01T00:00:00Z\n").as_deref(), Some("mine"));
    for text in ["", "access_token: \"\"", "access_token: [1]", "\t{{"] {
        assert_eq!(token(text), None, "{text}");
    }
}

#[test]
fn trouble_is_told_by_its_kind() {
    damage::every_trouble_is_told(new, &[], "of the app or its organization");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damaged_answers_do_no_harm(answers in prop::collection::vec(damage::answers(vec![
        json!([ours("started"), old()]),
        json!([ours("started")]),
        json!([machine("m1", OLD_COMMIT, 8, "started")]),
        json!([exited(ours("stopped"), json!({"exit_code": 1, "oom_killed": true, "requested_stop": false}))]),
        json!({"data": {"app": {"releasesUnprocessed": {"nodes": [release(7, "failed", "registry.fly.io/storefront:x")]}}}}),
    ]), 1..8)) {
        let mut provider = new();
        for response in &answers {
            let turn = damage::answered(provider.as_mut(), Question::Observe, [response, response]);
            damage::holds_no_lie(&turn, CANARY);
        }
        damage::answered(provider.as_mut(), Question::FailureLog, []);
    }
}
