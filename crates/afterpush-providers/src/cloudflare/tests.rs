//! The provider against bodies in the shape of the vendor's OpenAPI document.

#![allow(clippy::unwrap_used)]

mod outcomes;

use afterpush_core::{
    fault::FaultKind,
    id::RefName,
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

const SECRET: &str = "cloudflare_token_not_to_be_seen";
const CANARY: &str = "plain-value-of-a-variable";
const BEFORE: &str = "2026-01-02T02:00:00.000000Z";
const PUSHED: &str = "2026-01-02T03:04:05.000000Z";
const AFTER: &str = "2026-01-02T03:05:00.000000Z";

const VENDOR: Vendor = Vendor {
    api: "https://api.cloudflare.com/client/v4",
    credential: || Some(Credential::Bearer(Secret::new(SECRET))),
};

const ACCOUNTS: &str = "/accounts?per_page=50";
const PROJECTS: &str = "/accounts/acc1/pages/projects?page=1&per_page=10";
const PROJECT: &str = "/accounts/acc1/pages/projects/web";
const LIST: &str = "/accounts/acc1/pages/projects/web/deployments?page=1&per_page=25&env=production";

fn setup(settings: &str) -> Setup {
    play::setup(settings, "git@github.com:acme/web-app.git", Some(SECRET))
}

fn provider(setup: Setup) -> Box<dyn Provider> {
    (ENTRY.build)(setup).unwrap()
}

fn by_name() -> Box<dyn Provider> {
    provider(setup("account = 'acc1'\nproject = 'web'"))
}

/// One that has looked once already, while production served the previous commit.
fn following() -> Box<dyn Provider> {
    let mut provider = by_name();
    let script = [(PROJECT, ok(project(old()))), (LIST, ok(list(&[ours("build", "active")])))];
    observe(&mut provider, &script);
    provider
}

fn envelope(result: Value) -> Value {
    json!({"success": true, "errors": [], "messages": [], "result": result})
}

fn deployment(id: &str, commit: &str, stage: &str, status: &str, created: &str) -> Value {
    json!({
        "id": id, "short_id": id, "project_name": "web", "environment": "production", "created_on": created,
        "url": format!("https://{id}.web.pages.dev"), "aliases": null, "is_skipped": false,
        "env_vars": {"K": {"value": CANARY}},
        "latest_stage": {"name": stage, "status": status, "started_on": created, "ended_on": null},
        "deployment_trigger": {
            "type": "push", "metadata": {"branch": "main", "commit_hash": commit, "commit_message": CANARY},
        },
    })
}

fn ours(stage: &str, status: &str) -> Value {
    deployment("d-ours", COMMIT, stage, status, PUSHED)
}

fn old() -> Value {
    deployment("d-old", OLD_COMMIT, "deploy", "success", BEFORE)
}

fn later() -> Value {
    deployment("d-later", OLD_COMMIT, "deploy", "success", AFTER)
}

fn bare_project(name: &str, canonical: Value) -> Value {
    json!({
        "id": "p1", "name": name, "subdomain": format!("{name}.pages.dev"), "production_branch": "main",
        "domains": ["www.acme.test"], "canonical_deployment": canonical,
        "deployment_configs": {"production": {"env_vars": {"K": {"value": CANARY}}}},
        "source": {"type": "github", "config": {
            "owner": "Acme", "repo_name": "Web-App", "production_branch": "main", "production_deployments_enabled": true,
            "preview_deployment_setting": "all",
        }},
    })
}

fn project(canonical: Value) -> Value {
    envelope(bare_project("web", canonical))
}

fn list(deployments: &[Value]) -> Value {
    envelope(json!(deployments))
}

fn observe(provider: &mut Box<dyn Provider>, script: &[(&str, HttpResponse)]) -> ProviderObservation {
    VENDOR.observe(provider.as_mut(), script)
}

/// The deployment that is seen when a list is the answer, and the project where it is asked for.
fn seen(deployments: &[Value], canonical: Value) -> Observed {
    let script = [(LIST, answer(200, list(deployments).to_string())), (PROJECT, ok(project(canonical)))];
    observe(&mut following(), &script).deployment.unwrap()
}

/// The same where only the list is asked for.
fn listed(deployments: &[Value]) -> Observed {
    let script = [(LIST, answer(200, list(deployments).to_string()))];
    observe(&mut following(), &script).deployment.unwrap()
}

#[test]
fn the_commits_deployment_is_found_by_its_full_id_and_branch_on_a_later_page() {
    let mut first = vec![later(); 22];
    first.push(deployment("d-short", &COMMIT[..12], "deploy", "success", AFTER));
    let mut dirty = deployment("d-dirty", COMMIT, "deploy", "success", AFTER);
    dirty["deployment_trigger"]["metadata"]["commit_dirty"] = json!(true);
    let mut elsewhere = deployment("d-elsewhere", COMMIT, "deploy", "success", AFTER);
    elsewhere["deployment_trigger"]["metadata"]["branch"] = json!("topic");
    first.extend([dirty, elsewhere]);
    let second = LIST.replace("page=1&", "page=2&");
    let script = [
        (PROJECT, ok(project(old()))),
        (LIST, ok(list(&first))),
        (second.as_str(), ok(list(&[ours("build", "active")]))),
    ];
    let it = observe(&mut by_name(), &script).deployment.unwrap();
    assert_eq!((it.id.as_str(), it.state, it.raw.as_str()), ("d-ours", State::Building, "build: active"));
    assert_eq!(it.commit.relation, Relation::Same);
    assert_eq!(it.url.as_deref(), Some("https://dash.cloudflare.com/acc1/pages/view/web/d-ours"));
}

#[test]
fn the_first_look_goes_through_five_pages_and_no_more() {
    let full = list(&vec![later(); 25]);
    let pages: Vec<String> = (1..=5).map(|at| LIST.replace("page=1&", &format!("page={at}&"))).collect();
    let mut script = vec![(PROJECT, ok(project(old())))];
    script.extend(pages.iter().map(|path| (path.as_str(), ok(&full))));
    let mut provider = by_name();
    assert_eq!(observe(&mut provider, &script).deployment, None);
    assert_eq!(observe(&mut provider, &[(LIST, ok(&full)), (PROJECT, ok(project(old())))]).deployment, None);
}

#[test]
fn a_commit_without_a_deployment_is_told_with_what_serves() {
    let seen = observe(&mut following(), &[(LIST, ok(list(&[old()]))), (PROJECT, ok(project(old())))]);
    assert_eq!((seen.deployment, seen.will_not_deploy), (None, None));
    let serving = seen.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("d-old", false));
    assert_eq!(serving.commit.unwrap().id, OLD_COMMIT);
    assert_eq!(serving.site_url.as_deref(), Some("https://web.pages.dev"));

    let mut off = project(old());
    off["result"]["source"]["config"]["production_deployments_enabled"] = json!(false);
    let look = |deployments: &[Value]| {
        observe(&mut by_name(), &[(PROJECT, ok(&off)), (LIST, ok(list(deployments)))]).will_not_deploy
    };
    assert!(look(&[]).unwrap().contains("switched off"));
    assert_eq!(look(&[ours("build", "active")]), None);
}

#[test]
fn the_project_is_found_by_the_repository_in_every_account() {
    let accounts = envelope(json!([{"id": "acc0", "name": "a"}, {"id": "acc1", "name": "b"}]));
    let none = "/accounts/acc0/pages/projects?page=1&per_page=10";
    let second = "/accounts/acc1/pages/projects?page=2&per_page=10";
    let mut other = bare_project("docs", old());
    other["source"]["config"]["repo_name"] = json!("docs");
    let script = [
        (ACCOUNTS, ok(&accounts)),
        (none, ok(envelope(json!([])))),
        (PROJECTS, ok(envelope(json!(vec![other; 10])))),
        (second, ok(envelope(json!([bare_project("web", old())])))),
        (LIST, ok(list(&[ours("build", "active")]))),
    ];
    assert!(observe(&mut provider(setup("")), &script).deployment.is_some());

    let fault = |projects: Value| {
        VENDOR.fault(provider(setup("account = 'acc1'")).as_mut(), &[(PROJECTS, ok(envelope(projects)))])
    };
    let several = fault(json!([bare_project("web", old()), bare_project("api", old())]));
    assert_eq!(several.kind, FaultKind::NotFound);
    assert!(several.message.contains(r#""web", "api"; set provider.project"#), "{several}");
    let none = fault(json!([]));
    assert!(none.kind == FaultKind::NotFound && none.message.contains("set provider.project"), "{none}");
    let local = Setup { remote_url: "/srv/git/web".to_owned(), ..setup("") };
    assert!(VENDOR.fault(provider(local).as_mut(), &[]).message.contains("does not tell"));
}

#[test]
fn a_projects_name_is_looked_for_in_every_account() {
    let accounts = envelope(json!([{"id": "acc0", "name": "a"}, {"id": "acc1", "name": "b"}]));
    let none = "/accounts/acc0/pages/projects/web";
    let by_name_only = || provider(setup("project = 'web'"));
    let script = [
        (ACCOUNTS, ok(&accounts)),
        (none, answer(404, "{}")),
        (PROJECT, ok(project(old()))),
        (LIST, ok(list(&[ours("build", "active")]))),
    ];
    assert!(observe(&mut by_name_only(), &script).deployment.is_some());
    let script = [(ACCOUNTS, ok(&accounts)), (none, ok(project(old()))), (PROJECT, ok(project(old())))];
    assert!(VENDOR.fault(by_name_only().as_mut(), &script).message.contains("set provider.account"));
    let script = [(ACCOUNTS, ok(&accounts)), (none, answer(404, "{}")), (PROJECT, answer(404, "{}"))];
    let fault = VENDOR.fault(by_name_only().as_mut(), &script);
    assert!(fault.kind == FaultKind::NotFound && fault.message.contains("provider.account"), "{fault}");
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (settings, key) in [("app = 'web'", "app"), ("project = 5", "project"), ("account = 'a/b'", "account")] {
        let Err(SetupError::Key { key: told, .. }) = (ENTRY.build)(setup(settings)) else { panic!("{settings}") };
        assert_eq!(told, key);
    }
    assert!((ENTRY.build)(Setup { api_url: Some("ftp://x".to_owned()), ..setup("") }).is_err());
}

#[test]
fn a_project_that_has_gone_is_looked_for_anew() {
    let mut provider = following();
    assert_eq!(VENDOR.fault(provider.as_mut(), &[(LIST, answer(404, "{}"))]).kind, FaultKind::NotFound);
    let fault = VENDOR.fault(provider.as_mut(), &[(PROJECT, answer(404, "{}"))]);
    assert!(fault.message.contains(r#"no Pages project "web""#), "{fault}");
}

#[test]
fn credentials_are_tried_by_counting() {
    let ask = |settings: &str, path: &str, response: HttpResponse| {
        VENDOR.play(provider(setup(settings)).as_mut(), Question::Credentials, &[(path, response)])
    };
    let said = |text: &str| Turn::Reply(Reply::Credentials(text.to_owned()));
    let accounts = envelope(json!([{"id": "acc1", "name": "a"}]));
    assert_eq!(ask("", ACCOUNTS, ok(accounts)), said("sees 1 account"));
    let projects = with(envelope(json!([])), "result_info", json!({"count": 0, "total_count": 30}));
    assert_eq!(ask("account = 'acc1'", PROJECTS, ok(projects)), said("sees 30 Pages projects"));
    for response in [
        answer(401, "{}"),
        answer(403, "{}"),
        answer(400, r#"{"success":false,"errors":[{"code":6003,"message":"Invalid request headers"}]}"#),
    ] {
        let Turn::Fault(fault) = ask("", ACCOUNTS, response) else { panic!() };
        assert!(fault.kind == FaultKind::Unauthorized && fault.message.contains("Cloudflare Pages, Read"), "{fault}");
    }
    let Turn::Fault(fault) = ask("", ACCOUNTS, answer(400, r#"{"errors":[{"code":7003}]}"#)) else { panic!() };
    assert_eq!(fault.kind, FaultKind::Malformed);
}

#[test]
fn an_answer_that_is_no_success_is_none() {
    for body in [r#"{"success": false, "errors": [], "result": []}"#, r#"{"success": true, "result": null}"#] {
        let fault = VENDOR.fault(following().as_mut(), &[(LIST, answer(200, body))]);
        assert!(fault.kind == FaultKind::Malformed && fault.message.contains("no result"), "{fault}");
    }
}

#[test]
fn trouble_is_told_by_its_kind() {
    damage::every_trouble_is_told(by_name, &[], "Cloudflare Pages, Read");
    damage::every_trouble_is_told(by_name, &[project(old())], "Cloudflare Pages, Read");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damaged_answers_do_no_harm(answers in prop::collection::vec(damage::answers(vec![
        project(ours("deploy", "success")),
        project(old()),
        list(&[ours("deploy", "success"), old()]),
        list(&[ours("build", "failure")]),
        list(&[with(ours("queued", "idle"), "is_skipped", json!(true))]),
    ]), 1..12)) {
        let mut provider = by_name();
        let mut left = answers.iter();
        while left.len() > 0 {
            let turn = damage::answered(provider.as_mut(), Question::Observe, left.by_ref().take(4));
            damage::holds_no_lie(&turn, CANARY);
        }
        damage::answered(provider.as_mut(), Question::FailureLog, answers.iter().take(1));
    }
}
