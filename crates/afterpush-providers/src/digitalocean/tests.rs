//! The provider against bodies in the shape of the vendor's OpenAPI document. Every test names the calls that it expects,
//! so that a call more or less is a failure, too.

#![allow(clippy::unwrap_used)]

mod ending;
mod failing;
mod finding;
mod following;
mod hostile;
mod vendor;

use afterpush_core::{
    fault::Fault,
    id::RefName,
    observation::{Deployment as Observed, ProviderObservation},
};
use serde_json::{Value, json};

use super::DigitalOcean;
use crate::{
    Credential, HttpResponse, Provider, Question, Reply, Secret, Setup, SetupError, Turn,
    play::{self, COMMIT, OLD_COMMIT, Vendor, answer, beyond, ok, with},
};

const APP: &str = "11111111-1111-4111-8111-111111111111";
const OURS: &str = "aaaaaaaa-0000-4000-8000-000000000000";
const OTHER: &str = "bbbbbbbb-0000-4000-8000-000000000000";
const SECRET: &str = "dop_v1_not_to_be_seen";

const VENDOR: Vendor =
    Vendor { api: "https://api.digitalocean.com", credential: || Some(Credential::Bearer(Secret::new(SECRET))) };

/// The path of the app, of its deployments' first page, and of the deployment that is ours.
const APP_PATH: &str = "/v2/apps/11111111-1111-4111-8111-111111111111";
const LIST_PATH: &str = "/v2/apps/11111111-1111-4111-8111-111111111111/deployments?page=1&per_page=20";
const OURS_PATH: &str =
    "/v2/apps/11111111-1111-4111-8111-111111111111/deployments/aaaaaaaa-0000-4000-8000-000000000000";

fn setup(settings: &str) -> Setup {
    play::setup(settings, "git@github.com:acme/web-app.git", Some(SECRET))
}

fn provider(settings: &str) -> DigitalOcean {
    DigitalOcean::new(setup(settings)).unwrap()
}

/// A provider that knows its app by id.
fn by_id() -> DigitalOcean {
    provider(&format!("app = {APP:?}"))
}

/// One that follows our deployment already.
fn following() -> DigitalOcean {
    let mut provider = by_id();
    let begun = app_with("pending_deployment", deployment(OURS, COMMIT, "PENDING_BUILD"));
    observe(&mut provider, &[(APP_PATH, ok(begun))]);
    provider
}

fn refused(status: u16, id: &str) -> HttpResponse {
    answer(status, json!({"id": id, "message": "of no matter"}).to_string())
}

fn deployment(id: &str, commit: &str, phase: &str) -> Value {
    json!({
        "id": id,
        "spec": {"name": "web-app", "services": [{"name": "web", "envs": [{"key": "K", "value": "PLAIN"}]}]},
        "services": [{"name": "web", "source_commit_hash": commit}],
        "phase": phase,
        "created_at": if id == OURS { "2026-01-02T03:04:05Z" } else { "2026-01-01T00:00:00Z" },
        "cause": format!("commit {} pushed to github.com/acme/web-app/tree/main", &commit[..7]),
        "progress": {"success_steps": 1, "running_steps": 1, "total_steps": 6},
    })
}

fn bare_app() -> Value {
    json!({
        "id": APP,
        "spec": {
            "name": "web-app",
            "services": [{"name": "web", "github": {"repo": "acme/web-app", "branch": "main", "deploy_on_push": true}}],
        },
        "live_url": "https://web-app.example.test",
        "default_ingress": "https://web-app-abcde.example.test",
    })
}

/// `GET /v2/apps/{id}` of an app that points at a deployment.
fn app_with(pointer: &str, deployment: Value) -> Value {
    json!({"app": with(bare_app(), pointer, deployment)})
}

/// The app while the previous commit serves.
fn app_before() -> Value {
    app_with("active_deployment", deployment(OTHER, OLD_COMMIT, "ACTIVE"))
}

fn list(deployments: &[Value]) -> Value {
    json!({"deployments": deployments, "links": {"pages": {}}, "meta": {"total": deployments.len()}})
}

fn one(deployment: Value) -> Value {
    json!({"deployment": deployment})
}

fn play(provider: &mut DigitalOcean, question: Question, script: &[(&str, HttpResponse)]) -> Turn {
    VENDOR.play(provider, question, script)
}

fn observe(provider: &mut DigitalOcean, script: &[(&str, HttpResponse)]) -> ProviderObservation {
    VENDOR.observe(provider, script)
}

/// Observes once, and gives the deployment.
fn ours(provider: &mut DigitalOcean, script: &[(&str, HttpResponse)]) -> Observed {
    observe(provider, script).deployment.unwrap()
}

fn fault(provider: &mut DigitalOcean, script: &[(&str, HttpResponse)]) -> Fault {
    VENDOR.fault(provider, script)
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (settings, key) in [
        ("apps = 'web'", "apps"),
        ("app = 5", "app"),
        ("app = ' '", "app"),
        ("component = []", "component"),
        ("branch = 'main'", "branch"),
    ] {
        let error = DigitalOcean::new(setup(settings)).err().unwrap();
        let SetupError::Key { key: told, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(told, key);
    }
    for api_url in ["", "api.host", "ftp://host", "data:text"] {
        let setup = Setup { api_url: Some(api_url.to_owned()), ..setup("") };
        assert!(DigitalOcean::new(setup).is_err(), "{api_url}");
    }
}

#[test]
fn another_api_address_keeps_its_path() {
    let mut provider = DigitalOcean::new(Setup {
        api_url: Some("http://127.0.0.1:81/proxy/?x=1#y".to_owned()),
        ..setup(&format!("app = {APP:?}"))
    })
    .unwrap();
    let Turn::Ask(request) = provider.start(Question::Observe) else {
        panic!("no request");
    };
    assert_eq!(request.url, format!("http://127.0.0.1:81/proxy/v2/apps/{APP}"));
}

#[test]
fn credentials_are_tried_by_counting_apps() {
    for (total, text) in [(0, "sees 0 apps"), (1, "sees 1 app"), (3, "sees 3 apps")] {
        let body = json!({"apps": [], "links": {}, "meta": {"total": total}});
        let turn = play(&mut by_id(), Question::Credentials, &[("/v2/apps?per_page=1", ok(body))]);
        assert_eq!(turn, Turn::Reply(Reply::Credentials(text.to_owned())));
    }
    let refusal = refused(401, "unauthorized");
    let turn = play(&mut by_id(), Question::Credentials, &[("/v2/apps?per_page=1", refusal)]);
    let Turn::Fault(fault) = turn else {
        panic!("{turn:?}");
    };
    assert!(fault.message.contains("app:read"), "{fault}");
    assert!(!fault.message.contains(SECRET));
}

#[test]
fn a_response_that_nothing_asked_for_is_a_fault() {
    let turn = by_id().next(&ok(json!({})));
    assert!(matches!(turn, Turn::Fault(_)), "{turn:?}");
}
