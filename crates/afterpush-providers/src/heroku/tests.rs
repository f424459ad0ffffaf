//! The provider against bodies in the shape of the vendor's schema.

#![allow(clippy::unwrap_used)]

mod outcomes;

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
    play::{self, COMMIT, OLD_COMMIT, Vendor, answer, ok, with},
};

const SECRET: &str = "HRKU-not-to-be-seen";
const CANARY: &str = "plain-value-of-a-variable";

const APP_ID: &str = "11111111-1111-4111-8111-111111111111";
const BUILD: &str = "aaaaaaaa-0000-4000-8000-000000000000";
const OLD_BUILD: &str = "bbbbbbbb-0000-4000-8000-000000000000";

const VENDOR: Vendor =
    Vendor { api: "https://api.heroku.com", credential: || Some(Credential::Bearer(Secret::new(SECRET))) };

const APP: &str = "/apps/storefront";
const BUILDS: &str = "/apps/11111111-1111-4111-8111-111111111111/builds";
const RELEASES: &str = "/apps/11111111-1111-4111-8111-111111111111/releases";
const DYNOS: &str = "/apps/11111111-1111-4111-8111-111111111111/dynos";

fn setup(settings: &str) -> Setup {
    play::setup(settings, "https://git.heroku.com/storefront.git", Some(SECRET))
}

fn provider(setup: Setup) -> Box<dyn Provider> {
    (ENTRY.build)(setup).unwrap()
}

fn new() -> Box<dyn Provider> {
    provider(setup(""))
}

/// One that has looked once already.
fn following() -> Box<dyn Provider> {
    let mut provider = new();
    VENDOR.observe(provider.as_mut(), &[(APP, ok(app())), (BUILDS, ok(json!([build("pending")])))]);
    provider
}

fn app() -> Value {
    json!({
        "id": APP_ID, "name": "storefront", "web_url": "https://storefront-0123.herokuapp.com/", "maintenance": false,
        "git_url": "https://git.heroku.com/storefront.git", "buildpack_provided_description": CANARY,
    })
}

/// The id of what stands for a number: the release of that version, or the slug that it was made with.
fn id(kind: char, number: u32) -> String {
    format!("{kind}{number:07}-0000-4000-8000-000000000000")
}

fn any_build(build: &str, commit: Value, status: &str, created: &str, release: Option<u32>) -> Value {
    json!({
        "id": build, "app": {"id": APP_ID}, "status": status, "created_at": created, "updated_at": created,
        "output_stream_url": "https://build-output.heroku.test/streams/1?signature=secret",
        "source_blob": {"url": "https://s3.test/x", "version": commit, "version_description": CANARY, "checksum": null},
        "user": {"id": id('e', 1), "email": "a@b.test"}, "slug": release.map(|it| json!({"id": id('d', it)})),
        "release": release.map(|it| json!({"id": id('c', it)})),
    })
}

fn build(status: &str) -> Value {
    let release = (status == "succeeded").then_some(7);
    any_build(BUILD, json!(COMMIT), status, "2026-01-02T03:04:05Z", release)
}

fn old_build() -> Value {
    any_build(OLD_BUILD, json!(OLD_COMMIT), "succeeded", "2026-01-01T00:00:00Z", Some(6))
}

/// A release of the slug that was made for the release of another version.
fn release_of(version: u32, slug: u32, status: &str, current: bool) -> Value {
    json!({
        "id": id('c', version), "version": version, "status": status, "current": current, "app": {"name": "storefront", "id": APP_ID},
        "created_at": format!("2026-01-02T{:02}:{version:02}:00Z", if version < 7 { 2 } else { 3 }), "updated_at": "2026-01-02T03:30:00Z",
        "description": "Set KEY config vars", "slug": {"id": id('d', slug)}, "artifacts": [], "eligible_for_rollback": true,
        "output_stream_url": null, "user": {"id": id('e', 1), "email": "a@b.test"}, "addon_plan_names": [CANARY],
    })
}

fn release(version: u32, status: &str, current: bool) -> Value {
    release_of(version, version, status, current)
}

fn dyno(name: &str, state: &str, version: u32) -> Value {
    json!({
        "id": id('f', version), "name": name, "type": name.split('.').next(), "state": state, "command": CANARY,
        "size": "eco", "release": {"id": id('c', version), "version": version}, "app": {"name": "storefront", "id": APP_ID},
    })
}

fn observe(provider: &mut Box<dyn Provider>, script: &[(&str, HttpResponse)]) -> ProviderObservation {
    VENDOR.observe(provider.as_mut(), script)
}

/// What is seen once the build has succeeded, or there is none.
fn seen(releases: &[Value], dynos: Option<&[Value]>) -> ProviderObservation {
    let mut script = vec![(BUILDS, ok(json!([build("succeeded"), old_build()]))), (RELEASES, ok(json!(releases)))];
    script.extend(dynos.map(|dynos| (DYNOS, ok(json!(dynos)))));
    observe(&mut following(), &script)
}

#[test]
fn the_commits_build_is_found_on_a_later_page_which_a_range_asks_for() {
    let mut provider = new();
    let ask = |turn: Turn| match turn {
        Turn::Ask(request) => request,
        turn => panic!("{turn:?}"),
    };
    let range = |turn: Turn| {
        let request = ask(turn);
        let header = |name| request.headers.iter().find(|(it, _)| *it == name).map(|(_, value)| value.clone());
        assert_eq!(header("accept").unwrap(), "application/vnd.heroku+json; version=3");
        assert!(request.fields.are_told(), "{}", request.url);
        header("range")
    };
    assert_eq!(range(provider.start(Question::Observe)), None);
    let first = "started_at ..; order=desc,max=20".to_owned();
    assert_eq!(range(provider.next(&ok(app()))), Some(first.clone()));
    let page =
        ok(json!([old_build(), any_build(OLD_BUILD, json!(COMMIT[..12]), "failed", "2026-01-03T00:00:00Z", None)]));
    let next = "]2026-01-01 ..; order=desc,max=20".to_owned();
    let page = HttpResponse { status: 206, headers: vec![("next-range".to_owned(), next.clone())], ..page };
    assert_eq!(range(provider.next(&page)), Some(next.clone()));
    let Turn::Reply(Reply::Observation(seen)) = provider.next(&ok(json!([build("pending")]))) else { panic!() };
    assert_eq!(seen.deployment.unwrap().id, BUILD);
    // It is there, and so both pages are read again.
    assert_eq!(range(provider.start(Question::Observe)), Some(first));
    assert_eq!(range(provider.next(&page)), Some(next));
}

#[test]
fn a_commit_without_a_build_is_told_with_what_serves() {
    let mut provider = new();
    let first =
        [(APP, ok(app())), (BUILDS, ok(json!([old_build()]))), (RELEASES, ok(json!([release(6, "succeeded", true)])))];
    for script in [&first[..], &first[1..]] {
        let seen = observe(&mut provider, script);
        assert_eq!(seen.deployment, None);
        let serving = seen.serving.unwrap();
        assert_eq!((serving.deployment_id, serving.is_later), (id('c', 6), false));
        assert_eq!(serving.commit.unwrap().id, OLD_COMMIT);
        assert_eq!(serving.site_url.as_deref(), Some("https://storefront-0123.herokuapp.com/"));
    }
}

#[test]
fn the_app_is_told_by_the_remote_or_the_setting() {
    let told = |setup: Setup| match provider(setup).start(Question::Observe) {
        Turn::Ask(request) => request.url,
        Turn::Fault(fault) => fault.message,
        turn @ (Turn::Reply(_) | Turn::Run(_)) => panic!("{turn:?}"),
    };
    let remote = |remote: &str, settings: &str| told(Setup { remote_url: remote.to_owned(), ..setup(settings) });
    for address in
        ["https://git.heroku.com/storefront.git", "git@heroku.com:storefront.git", "ssh://git@heroku.com/storefront"]
    {
        assert_eq!(remote(address, ""), "https://api.heroku.com/apps/storefront", "{address}");
    }
    let github = "git@github.com:acme/storefront.git";
    assert_eq!(remote(github, "app = 'a/../b'"), "https://api.heroku.com/apps/a%2F..%2Fb");
    assert!(remote(github, "").contains("set provider.app"));
    let fault = VENDOR.fault(new().as_mut(), &[(APP, answer(404, r#"{"id":"not_found"}"#))]);
    assert!(fault.kind == FaultKind::NotFound && fault.message.contains(r#"no app "storefront""#), "{fault}");
}

#[test]
fn an_app_that_has_gone_is_looked_for_anew() {
    let mut provider = following();
    assert_eq!(VENDOR.fault(provider.as_mut(), &[(BUILDS, answer(404, "{}"))]).kind, FaultKind::NotFound);
    let script = [(APP, ok(app())), (BUILDS, ok(json!([build("pending")])))];
    assert!(observe(&mut provider, &script).deployment.is_some());
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (settings, key) in [("service = 'web'", "service"), ("app = 5", "app")] {
        let Err(SetupError::Key { key: told, .. }) = (ENTRY.build)(setup(settings)) else { panic!("{settings}") };
        assert_eq!(told, key);
    }
    assert!((ENTRY.build)(Setup { api_url: Some("ftp://x".to_owned()), ..setup("") }).is_err());
}

#[test]
fn credentials_are_tried_by_the_call_that_costs_nothing() {
    let told = |response: HttpResponse| {
        VENDOR.play(new().as_mut(), Question::Credentials, &[("/account/rate-limits", response)])
    };
    assert_eq!(told(ok(json!({"remaining": 2399}))), Turn::Reply(Reply::Credentials("2399 calls are left".to_owned())));
    let turn = told(answer(401, r#"{"id":"unauthorized","message":"no-echo"}"#));
    let Turn::Fault(fault) = turn else { panic!("{turn:?}") };
    assert!(fault.kind == FaultKind::Unauthorized && fault.message.contains("read-protected"), "{fault}");
}

#[test]
fn trouble_is_told_by_its_kind() {
    let named = || provider(setup("app = 'storefront'"));
    let not_found = |before: &[Value]| damage::every_trouble_is_told(named, before, "read-protected");
    not_found(&[app()]);
    not_found(&[app(), json!([build("succeeded")])]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damaged_answers_do_no_harm(answers in prop::collection::vec(damage::answers(vec![
        app(),
        json!([build("succeeded"), old_build()]),
        json!([build("failed")]),
        json!([release(7, "succeeded", true), release(6, "succeeded", false)]),
        json!([release(8, "succeeded", true), release(7, "failed", false)]),
        json!([dyno("web.1", "up", 7)]),
        json!([dyno("web.1", "crashed", 7)]),
    ]), 1..16)) {
        let mut provider = new();
        let mut left = answers.iter();
        while left.len() > 0 {
            let turn = damage::answered(provider.as_mut(), Question::Observe, left.by_ref().take(4));
            damage::holds_no_lie(&turn, CANARY);
        }
        damage::answered(provider.as_mut(), Question::FailureLog, answers.iter().take(2));
    }
}
