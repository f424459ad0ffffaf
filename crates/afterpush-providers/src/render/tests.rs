//! The provider against bodies in the shape of the vendor's OpenAPI document. The document's list of events allows none of
//! the events that it describes (several of its alternatives fit every object), so those stand outside it.

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

const SECRET: &str = "rnd_not_to_be_seen";
const CANARY: &str = "plain-value-of-a-variable";

const VENDOR: Vendor =
    Vendor { api: "https://api.render.com/v1", credential: || Some(Credential::Bearer(Secret::new(SECRET))) };

const SERVICE: &str = "/services/srv-web";
const SERVICES: &str = "/services?limit=100&includePreviews=false";
const LIST: &str = "/services/srv-web/deploys?limit=20";
const IGNORED: &str = "/services/srv-web/events?type=commit_ignored&limit=20";
const EVENTS: &str = "/services/srv-web/events?startTime=2026-01-02T03%3A04%3A05Z&limit=100";

fn setup(settings: &str) -> Setup {
    play::setup(settings, "git@github.com:acme/web-app.git", Some(SECRET))
}

fn provider(setup: Setup) -> Box<dyn Provider> {
    (ENTRY.build)(setup).unwrap()
}

fn by_id() -> Box<dyn Provider> {
    provider(setup("service = 'srv-web'"))
}

/// One that has looked once already.
fn following() -> Box<dyn Provider> {
    let mut provider = by_id();
    VENDOR.observe(provider.as_mut(), &[(SERVICE, ok(service("web"))), (LIST, ok(list(&[ours("created")])))]);
    provider
}

fn service(name: &str) -> Value {
    json!({
        "id": format!("srv-{name}"), "name": name, "ownerId": "tea-acme", "type": "static_site", "slug": name, "rootDir": "",
        "createdAt": "2025-01-01T00:00:00Z", "updatedAt": "2025-01-01T00:00:00Z", "suspended": "not_suspended",
        "suspenders": [], "autoDeploy": "yes", "notifyOnFail": "default", "branch": "main",
        "repo": "https://github.com/Acme/Web-App", "dashboardUrl": format!("https://dashboard.render.com/static/srv-{name}"),
        "serviceDetails": {
            "buildCommand": CANARY, "publishPath": "dist", "url": format!("https://{name}.onrender.test"), "buildPlan": "starter",
        },
    })
}

fn services(services: &[Value]) -> Value {
    services.iter().enumerate().map(|(at, it)| json!({"service": it, "cursor": format!("c{at}")})).collect()
}

fn deploy(id: &str, commit: &str, status: &str, created: &str) -> Value {
    json!({
        "id": id, "status": status, "trigger": "new_commit", "createdAt": created, "updatedAt": created,
        "commit": {"id": commit, "message": CANARY, "createdAt": created},
    })
}

fn ours(status: &str) -> Value {
    deploy("dep-ours", COMMIT, status, "2026-01-02T03:04:05Z")
}

fn old(status: &str) -> Value {
    deploy("dep-old", OLD_COMMIT, status, "2026-01-01T00:00:00Z")
}

fn later(status: &str) -> Value {
    deploy("dep-later", OLD_COMMIT, status, "2026-01-02T03:05:00Z")
}

fn list(deploys: &[Value]) -> Value {
    deploys.iter().enumerate().map(|(at, it)| json!({"deploy": it, "cursor": format!("c{at}")})).collect()
}

/// A full page, which has another behind it.
fn full() -> Value {
    list(&vec![old("deactivated"); 20])
}

fn events(events: &[(&str, Value)]) -> HttpResponse {
    let wrap = |(at, (kind, details)): (usize, &(&str, Value))| {
        json!({"cursor": "c", "event": {
            "id": format!("evt-{at:020}"), "timestamp": "2026-01-02T03:04:30Z", "serviceId": "srv-web", "type": kind,
            "details": details,
        }})
    };
    answer(200, events.iter().enumerate().map(wrap).collect::<Value>().to_string())
}

fn observe(provider: &mut Box<dyn Provider>, script: &[(&str, HttpResponse)]) -> ProviderObservation {
    VENDOR.observe(provider.as_mut(), script)
}

/// The deployment that is seen when a list is the answer.
fn listed(deploys: &[Value]) -> Observed {
    observe(&mut following(), &[(LIST, ok(list(deploys)))]).deployment.unwrap()
}

#[test]
fn the_commits_deploy_is_found_by_its_full_id_on_a_later_page_and_there_again() {
    let short = deploy("dep-short", &COMMIT[..12], "live", "2026-01-03T00:00:00Z");
    let second = format!("{LIST}&cursor=c19");
    let pages = [
        (LIST, ok(full())),
        (second.as_str(), ok(list(&[short, json!({"id": "dep-image"}), ours("update_in_progress")]))),
    ];
    let mut provider = by_id();
    let mut script = vec![(SERVICE, ok(service("web")))];
    script.extend(pages.clone());
    for script in [script.as_slice(), &pages] {
        let it = observe(&mut provider, script).deployment.unwrap();
        assert_eq!((it.id.as_str(), it.state, it.raw.as_str()), ("dep-ours", State::Deploying, "update_in_progress"));
        assert_eq!(it.commit.relation, Relation::Same);
        assert_eq!(it.url.as_deref(), Some("https://dashboard.render.com/static/srv-web/deploys/dep-ours"));
        assert_eq!(it.site_url.as_deref(), Some("https://web.onrender.test"));
    }
}

#[test]
fn a_commit_without_a_deploy_is_told_with_what_serves() {
    let pages: Vec<String> = (1..5).map(|_| format!("{LIST}&cursor=c19")).collect();
    let mut script = vec![(SERVICE, ok(service("web"))), (LIST, ok(full()))];
    let mut other = full();
    for (at, page) in pages.iter().enumerate() {
        // Every page ends at another place, as the last of five leads nowhere.
        other[19]["cursor"] = json!(format!("d{at}"));
        script.push((page, ok(&other)));
    }
    let addresses: Vec<String> =
        (0..4).map(|at| if at == 0 { pages[0].clone() } else { format!("{LIST}&cursor=d{}", at - 1) }).collect();
    for (entry, address) in script.iter_mut().skip(2).zip(&addresses) {
        entry.0 = address;
    }
    script.push((IGNORED, events(&[])));
    let mut provider = by_id();
    assert_eq!(observe(&mut provider, &script).deployment, None);
    let script = [(LIST, ok(list(&[old("live")]))), (IGNORED, events(&[]))];
    let seen = observe(&mut provider, &script);
    assert_eq!((seen.deployment, seen.will_not_deploy), (None, None));
    let serving = seen.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("dep-old", false));
    assert_eq!(serving.commit.unwrap().id, OLD_COMMIT);
}

#[test]
fn the_service_is_found_by_repository_and_branch() {
    let staging = with(service("staging"), "branch", json!("staging"));
    let other = with(service("docs"), "repo", json!("https://github.com/acme/docs"));
    let first = services(&vec![other; 100]);
    let second = format!("{SERVICES}&cursor=c99");
    let script = [
        (SERVICES, ok(first)),
        (second.as_str(), ok(services(&[staging, service("web")]))),
        (LIST, ok(list(&[ours("created")]))),
    ];
    assert!(observe(&mut provider(setup("")), &script).deployment.is_some());

    let fault = |page: Value| VENDOR.fault(provider(setup("")).as_mut(), &[(SERVICES, ok(page))]);
    let several = fault(services(&[service("web"), service("api")]));
    assert_eq!(several.kind, FaultKind::NotFound);
    assert!(several.message.contains(r#""web", "api"; set provider.service"#), "{several}");
    assert_eq!(fault(services(&[])).kind, FaultKind::NotFound);
    let local = Setup { remote_url: "/srv/git/web".to_owned(), ..setup("") };
    assert!(VENDOR.fault(provider(local).as_mut(), &[]).message.contains("the remote's address does not tell"));
}

#[test]
fn the_service_is_found_by_its_name() {
    let named = format!("{SERVICES}&name=web");
    let by_name = || provider(setup("service = 'web'"));
    let found = [(named.as_str(), ok(services(&[service("web")]))), (LIST, ok(list(&[ours("created")])))];
    assert!(observe(&mut by_name(), &found).deployment.is_some());
    let fault = VENDOR.fault(by_name().as_mut(), &[(&named, ok(services(&[service("web-2")])))]);
    assert!(fault.kind == FaultKind::NotFound && fault.message.contains(r#"no service "web""#), "{fault}");
    let two = [service("web"), with(with(service("web"), "id", json!("srv-other")), "branch", json!("staging"))];
    let found = [(named.as_str(), ok(services(&two))), (LIST, ok(list(&[ours("created")])))];
    assert!(observe(&mut by_name(), &found).deployment.is_some());
}

#[test]
fn a_service_that_has_gone_is_looked_for_anew() {
    let mut provider = following();
    assert_eq!(VENDOR.fault(provider.as_mut(), &[(LIST, answer(404, "{}"))]).kind, FaultKind::NotFound);
    let fault = VENDOR.fault(provider.as_mut(), &[(SERVICE, answer(404, "{}"))]);
    assert!(fault.message.contains(r#"no service "srv-web""#), "{fault}");
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (settings, key) in [("app = 'web'", "app"), ("service = 5", "service")] {
        let Err(SetupError::Key { key: told, .. }) = (ENTRY.build)(setup(settings)) else { panic!("{settings}") };
        assert_eq!(told, key);
    }
    assert!((ENTRY.build)(Setup { api_url: Some("ftp://x".to_owned()), ..setup("") }).is_err());
}

#[test]
fn credentials_are_tried_by_asking_for_the_workspaces() {
    let owner = |name: &str| json!({"cursor": "c", "owner": {"id": "tea-x", "name": name, "email": "a@b.test", "type": "team"}});
    let told =
        |owners: Value| VENDOR.play(by_id().as_mut(), Question::Credentials, &[("/owners?limit=20", ok(owners))]);
    let text = |text: &str| Turn::Reply(Reply::Credentials(text.to_owned()));
    assert_eq!(told(json!([owner("acme")])), text(r#"sees the workspace "acme""#));
    assert_eq!(told(json!([owner("acme"), owner("other")])), text("sees 2 workspaces"));
    let turn = VENDOR.play(by_id().as_mut(), Question::Credentials, &[("/owners?limit=20", answer(401, "{}"))]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.message.contains("API key of a member")), "{turn:?}");
}

#[test]
fn a_login_that_is_renewed_by_its_owner_is_left_to_it() {
    let token =
        |text: &str| crate::registry::token_from_login_file("render", text, None).map(|it| it.expose().to_owned());
    assert_eq!(token("version: 1\nworkspace: tea-x\napi:\n    key: mine\n    host: \"\"\n").as_deref(), Some("mine"));
    for text in ["", "api: {}", "api:\n  key: \"\"", "api:\n  key: mine\n  refreshtoken: x", "\t{{"] {
        assert_eq!(token(text), None, "{text}");
    }
}

#[test]
fn trouble_is_told_by_its_kind() {
    damage::every_trouble_is_told(|| provider(setup("")), &[], "a member of the service's workspace");
    damage::every_trouble_is_told(
        || provider(setup("")),
        &[services(&[service("web")])],
        "a member of the service's workspace",
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damaged_answers_do_no_harm(answers in prop::collection::vec(damage::answers(vec![
        service("web"),
        list(&[ours("live"), old("deactivated")]),
        list(&[later("live"), ours("canceled")]),
        list(&[ours("build_failed")]),
        json!([{"event": {"id": "evt-1", "type": "deploy_ended", "details": {"deployId": "dep-ours", "reason": {"failure": {
            "evicted": false, "unhealthy": "x", "oomKilled": {"memoryLimit": "512Mi"},
        }}}}}]),
    ]), 1..12)) {
        let mut provider = by_id();
        let mut left = answers.iter();
        while left.len() > 0 {
            let turn = damage::answered(provider.as_mut(), Question::Observe, left.by_ref().take(3));
            damage::holds_no_lie(&turn, CANARY);
        }
        damage::answered(provider.as_mut(), Question::FailureLog, answers.iter().take(2));
    }
}
