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

const SECRET: &str = "vercel_token_not_to_be_seen";
const CANARY: &str = "plain-value-of-a-variable";
const PUSHED_AT: i64 = 1_767_323_045_000;

const VENDOR: Vendor =
    Vendor { api: "https://api.vercel.com", credential: || Some(Credential::Bearer(Secret::new(SECRET))) };

const BY_NAME: &str = "/v9/projects/web";
const BY_ID: &str = "/v9/projects/prj_web";
const LIST: &str = "/v6/deployments?projectId=prj_web&limit=20&branch=main";
const DETAIL: &str = "/v13/deployments/dpl_ours";

fn setup(settings: &str) -> Setup {
    play::setup(settings, "git@github.com:acme/web-app.git", Some(SECRET))
}

fn provider(setup: Setup) -> Box<dyn Provider> {
    (ENTRY.build)(setup).unwrap()
}

fn by_name() -> Box<dyn Provider> {
    provider(setup("project = 'web'"))
}

/// One that has looked once already, while production served the previous commit.
fn following() -> Box<dyn Provider> {
    let mut provider = by_name();
    VENDOR.observe(provider.as_mut(), &[(BY_NAME, ok(project(old_production()))), (LIST, ok(list(&[building()])))]);
    provider
}

fn production(id: &str, commit: &str, created: i64) -> Value {
    json!({
        "id": id, "createdAt": created, "createdIn": "sfo1", "deploymentHostname": "web-x", "name": "web", "plan": "hobby",
        "private": true, "type": "LAMBDAS", "url": "web-x.vercel.app", "userId": "u", "readyState": "READY",
        "creator": {"email": "a@b.test", "uid": "u", "username": "acme"},
        "alias": ["web-git-main-acme.vercel.app", "web.vercel.app", "www.acme.test"],
        "meta": {"githubCommitSha": commit},
    })
}

fn old_production() -> Value {
    production("dpl_old", OLD_COMMIT, PUSHED_AT - 3_600_000)
}

fn project_named(name: &str, production: Value) -> Value {
    let resources = json!({"functionDefaultRegions": ["iad1"]});
    json!({
        "id": format!("prj_{name}"), "name": name, "accountId": "team_x", "directoryListing": false, "nodeVersion": "22.x",
        "resourceConfig": resources, "defaultResourceConfig": resources,
        "env": [{"key": "K", "value": CANARY, "type": "plain"}],
        "link": {
            "type": "github", "org": "Acme", "repo": "Web-App", "productionBranch": "main", "gitCredentialId": "c",
            "deployHooks": [],
        },
        "targets": {"production": production},
    })
}

fn project(production: Value) -> Value {
    project_named("web", production)
}

fn deployment(uid: &str, commit: &str, state: &str, created: i64) -> Value {
    json!({
        "uid": uid, "name": "web", "projectId": "prj_web", "url": format!("{}.vercel.app", uid.replace('_', "-")),
        "created": created, "createdAt": created, "source": "git", "state": state, "readyState": state,
        "type": "LAMBDAS", "creator": {"uid": "u", "username": "acme"}, "target": "production",
        "meta": {"githubCommitSha": commit, "githubCommitRef": "main", "note": CANARY},
        "inspectorUrl": format!("https://vercel.com/acme/web/{uid}"),
    })
}

fn ours(state: &str) -> Value {
    deployment("dpl_ours", COMMIT, state, PUSHED_AT)
}

fn building() -> Value {
    ours("BUILDING")
}

/// Ours, whose domains point at it.
fn served() -> Value {
    with(with(ours("READY"), "aliasAssigned", json!(PUSHED_AT + 9)), "readySubstate", json!("PROMOTED"))
}

fn preview(mut deployment: Value) -> Value {
    deployment["target"] = Value::Null;
    deployment["meta"]["githubCommitRef"] = json!("topic");
    deployment
}

fn list(deployments: &[Value]) -> Value {
    page(deployments, Value::Null)
}

fn page(deployments: &[Value], next: Value) -> Value {
    json!({"deployments": deployments, "pagination": {"count": deployments.len(), "next": next, "prev": null}})
}

fn observe(provider: &mut Box<dyn Provider>, script: &[(&str, HttpResponse)]) -> ProviderObservation {
    VENDOR.observe(provider.as_mut(), script)
}

/// The deployment that is seen when a list is the answer, and the project where it is asked for.
fn seen(deployments: &[Value], production: Value) -> Observed {
    let script = [(LIST, ok(list(deployments))), (BY_ID, ok(project(production)))];
    observe(&mut following(), &script).deployment.unwrap()
}

/// The same where only the list is asked for.
fn listed(deployments: &[Value]) -> Observed {
    observe(&mut following(), &[(LIST, answer(200, list(deployments).to_string()))]).deployment.unwrap()
}

#[test]
fn the_commits_deployment_is_found_by_its_full_id_on_a_later_page() {
    let other = deployment("dpl_other", OLD_COMMIT, "READY", PUSHED_AT + 1);
    let short = deployment("dpl_short", &COMMIT[..12], "READY", PUSHED_AT + 2);
    let mut dirty = deployment("dpl_dirty", COMMIT, "READY", PUSHED_AT + 3);
    dirty["meta"]["gitDirty"] = json!("1");
    let second = format!("{LIST}&until=1767323045001");
    let script = [
        (BY_NAME, ok(project(old_production()))),
        (LIST, ok(page(&[dirty, short, other], json!(1_767_323_045_001_i64)))),
        (second.as_str(), ok(list(&[building()]))),
    ];
    let it = observe(&mut by_name(), &script).deployment.unwrap();
    assert_eq!((it.id.as_str(), it.state, it.raw.as_str()), ("dpl_ours", State::Building, "BUILDING"));
    assert_eq!(it.commit.relation, Relation::Same);
    assert_eq!(it.url.as_deref(), Some("https://vercel.com/acme/web/dpl_ours"));
}

#[test]
fn a_commit_without_a_deployment_is_told_with_what_serves() {
    let other = page(&[deployment("dpl_other", OLD_COMMIT, "READY", 1)], json!(1));
    let script = [(LIST, ok(&other)), (BY_ID, ok(project(old_production())))];
    let seen = observe(&mut following(), &script);
    assert_eq!(seen.deployment, None);
    let serving = seen.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("dpl_old", false));
    assert_eq!(serving.commit.unwrap().id, OLD_COMMIT);
    assert_eq!(serving.site_url.as_deref(), Some("https://www.acme.test"));
}

#[test]
fn the_first_look_goes_through_five_pages_and_no_more() {
    let pages: Vec<String> = (1..5).map(|at| format!("{LIST}&until={at}")).collect();
    let mut script = vec![(BY_NAME, ok(project(old_production()))), (LIST, ok(page(&[], json!(1))))];
    script.extend(pages.iter().zip(2..).map(|(path, next)| (path.as_str(), ok(page(&[], json!(next))))));
    assert_eq!(observe(&mut by_name(), &script).deployment, None);
}

#[test]
fn the_project_is_found_by_the_repository() {
    let projects = |names: &[&str], next: Value| {
        let projects: Vec<Value> = names.iter().map(|name| project_named(name, old_production())).collect();
        let count = names.len();
        let pagination = match next {
            Value::Null => json!({"count": count, "next": null}),
            next => json!({"count": count, "next": next, "prev": null}),
        };
        json!({"projects": projects, "pagination": pagination})
    };
    let mut other = projects(&["docs"], json!(99));
    other["projects"][0]["link"]["repo"] = json!("docs");
    let first = "/v10/projects?limit=100";
    let second = "/v10/projects?limit=100&from=99";
    let found = [(first, ok(&other)), (second, ok(projects(&["web"], Value::Null))), (LIST, ok(list(&[building()])))];
    assert!(observe(&mut provider(setup("")), &found).deployment.is_some());

    let fault = |page: Value| VENDOR.fault(provider(setup("")).as_mut(), &[(first, ok(page))]);
    let several = fault(projects(&["web", "api"], Value::Null));
    assert_eq!(several.kind, FaultKind::NotFound);
    assert!(several.message.contains(r#""web", "api"; set provider.project"#), "{several}");
    let none = fault(projects(&[], Value::Null));
    assert!(none.kind == FaultKind::NotFound && none.message.contains("provider.team"), "{none}");

    let local = Setup { remote_url: "/srv/git/web".to_owned(), ..setup("") };
    let fault = VENDOR.fault(provider(local).as_mut(), &[]);
    assert!(fault.message.contains("the remote's address does not tell"), "{fault}");
}

#[test]
fn every_host_of_a_repository_is_known() {
    for (remote, link) in [
        (
            "git@ghe.acme.test:acme/web",
            json!({"type": "github-custom-host", "host": "ghe.acme.test", "org": "acme", "repo": "web"}),
        ),
        ("https://github.com/acme/web", json!({"type": "github-limited", "org": "acme", "repo": "web"})),
        ("https://gitlab.com/acme/sub/web", json!({"type": "gitlab", "projectUrl": "https://gitlab.com/acme/sub/web"})),
        ("git@bitbucket.org:acme/web", json!({"type": "bitbucket", "owner": "acme", "slug": "web"})),
    ] {
        let body = json!({"projects": [with(project(old_production()), "link", link)], "pagination": {"next": null}});
        let mut provider = provider(Setup { remote_url: remote.to_owned(), ..setup("") });
        let script = [("/v10/projects?limit=100", answer(200, body.to_string())), (LIST, ok(list(&[building()])))];
        assert!(observe(&mut provider, &script).deployment.is_some(), "{remote}");
    }
}

#[test]
fn a_team_goes_with_every_call() {
    for (team, query) in [("team_x", "teamId=team_x"), ("acme", "slug=acme")] {
        let mut provider = provider(setup(&format!("project = 'web'\nteam = '{team}'")));
        let (one, many) = (format!("{BY_NAME}?{query}"), format!("{LIST}&{query}"));
        let script = [(one.as_str(), ok(project(old_production()))), (many.as_str(), ok(list(&[building()])))];
        assert!(observe(&mut provider, &script).deployment.is_some());
    }
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (settings, key) in [("app = 'web'", "app"), ("project = 5", "project"), ("team = ' '", "team")] {
        let Err(SetupError::Key { key: told, .. }) = (ENTRY.build)(setup(settings)) else { panic!("{settings}") };
        assert_eq!(told, key);
    }
    assert!((ENTRY.build)(Setup { api_url: Some("ftp://x".to_owned()), ..setup("") }).is_err());
}

#[test]
fn a_project_that_has_gone_is_looked_for_anew() {
    let mut provider = following();
    let fault = VENDOR.fault(provider.as_mut(), &[(LIST, answer(404, "{}"))]);
    assert_eq!(fault.kind, FaultKind::NotFound);
    let fault = VENDOR.fault(provider.as_mut(), &[(BY_NAME, answer(404, "{}"))]);
    assert!(fault.message.contains(r#"no project "web""#) && fault.message.contains("provider.team"), "{fault}");
}

#[test]
fn credentials_are_tried_by_asking_for_the_account() {
    let user = json!({"user": {
        "limited": true, "id": "u", "email": "a@b.test", "name": null, "username": "acme", "avatar": null, "defaultTeamId": null,
    }});
    let mut provider = by_name();
    let turn = VENDOR.play(provider.as_mut(), Question::Credentials, &[("/v2/user", ok(user))]);
    assert_eq!(turn, Turn::Reply(Reply::Credentials("account acme".to_owned())));
    let turn = VENDOR.play(provider.as_mut(), Question::Credentials, &[("/v2/user", answer(403, "{}"))]);
    let Turn::Fault(fault) = turn else { panic!("{turn:?}") };
    assert!(fault.kind == FaultKind::Unauthorized && fault.message.contains("provider.team"), "{fault}");
}

#[test]
fn a_login_that_lives_for_hours_is_left_to_its_owner() {
    let token =
        |text: &str| crate::registry::token_from_login_file("vercel", text, None).map(|it| it.expose().to_owned());
    assert_eq!(token(r#"{"// Note": "x", "token": "mine"}"#).as_deref(), Some("mine"));
    for text in
        ["", "{}", r#"{"token": ""}"#, r#"{"token": 5}"#, r#"{"token": "mine", "refreshToken": "x", "expiresAt": 1}"#]
    {
        assert_eq!(token(text), None, "{text}");
    }
}

#[test]
fn trouble_is_told_by_its_kind() {
    damage::every_trouble_is_told(by_name, &[], "the account or team");
    damage::every_trouble_is_told(by_name, &[project(old_production())], "the account or team");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damaged_answers_do_no_harm(answers in prop::collection::vec(damage::answers(vec![
        project(production("dpl_ours", COMMIT, PUSHED_AT)),
        project(old_production()),
        list(&[served(), deployment("dpl_old", OLD_COMMIT, "READY", 1)]),
        list(&[ours("ERROR")]),
        list(&[ours("CANCELED")]),
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
