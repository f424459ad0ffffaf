//! The provider against bodies in the shape of the vendor's GraphQL schema.

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
    Credential, HttpRequest, HttpResponse, Provider, Question, Reply, Secret, Setup, SetupError, Turn, damage,
    play::{self, COMMIT, OLD_COMMIT, Vendor, answer, ok, with},
};

const SECRET: &str = "railway-not-to-be-seen";
const CANARY: &str = "plain-value-of-a-variable";
const PROJECT: &str = "11111111-1111-4111-8111-111111111111";

/// With the token as a project's.
const VENDOR: Vendor = Vendor {
    api: "https://backboard.railway.com/graphql/v2",
    credential: || Some(Credential::Header("project-access-token", Secret::new(SECRET))),
};

/// Every call has the same address.
const CALL: &str = "POST ";

fn setup(settings: &str) -> Setup {
    play::setup(settings, "git@github.com:acme/web-app.git", Some(SECRET))
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
    let answers = [ok(token()), ok(one(project(&[service("web")]))), ok(list(&[ours("QUEUED")], &[]))];
    VENDOR.observe(provider.as_mut(), &answers.map(|it| (CALL, it)));
    provider
}

fn edges(nodes: &[Value]) -> Value {
    json!({"edges": nodes.iter().map(|it| json!({"node": it})).collect::<Value>()})
}

fn page(nodes: &[Value], next: Option<&str>) -> Value {
    let mut page = edges(nodes);
    page["pageInfo"] = json!({"hasNextPage": next.is_some(), "endCursor": next});
    page
}

fn token() -> Value {
    json!({"data": {"projectToken": {
        "project": {"id": PROJECT, "name": "shop"}, "environment": {"id": "env-prod", "name": "production"},
    }}})
}

fn service(name: &str) -> Value {
    let trigger = |environment: &str, branch: &str| json!({"repository": "Acme/Web-App", "branch": branch, "environmentId": environment});
    let triggers = edges(&[trigger("env-prod", "main"), trigger("env-test", "staging")]);
    json!({"id": format!("srv-{name}"), "name": name, "repoTriggers": triggers})
}

fn project(services: &[Value]) -> Value {
    let environments =
        edges(&[json!({"id": "env-prod", "name": "production"}), json!({"id": "env-test", "name": "test"})]);
    json!({"id": PROJECT, "name": "shop", "environments": environments, "services": edges(services)})
}

fn one(project: Value) -> Value {
    json!({"data": {"project": project}})
}

fn projects(projects: &[Value], next: Option<&str>) -> Value {
    json!({"data": {"projects": page(projects, next)}})
}

fn deployment(id: &str, commit: &str, status: &str, created: &str) -> Value {
    let meta = json!({"commitHash": commit, "commitMessage": CANARY, "branch": "main"});
    json!({"id": id, "status": status, "createdAt": created, "deploymentStopped": false, "meta": meta})
}

fn ours(status: &str) -> Value {
    deployment("dep-ours", COMMIT, status, "2026-01-02T03:04:05.123Z")
}

fn old(status: &str) -> Value {
    deployment("dep-old", OLD_COMMIT, status, "2026-01-01T00:00:00Z")
}

fn later(status: &str) -> Value {
    deployment("dep-later", OLD_COMMIT, status, "2026-01-02T03:05:00Z")
}

fn of_page(deployments: Value, active: &[Value]) -> Value {
    json!({"data": {"deployments": deployments, "serviceInstance": {
        "cronSchedule": null, "activeDeployments": active,
        "domains": {"customDomains": [{"domain": "shop.test"}], "serviceDomains": [{"domain": "web.up.railway.test"}]},
    }}})
}

fn list(deployments: &[Value], active: &[Value]) -> Value {
    of_page(page(deployments, None), active)
}

fn refused(message: &str) -> Value {
    json!({"errors": [{"message": message, "path": ["x"]}], "data": null})
}

fn observe(provider: &mut Box<dyn Provider>, answers: &[HttpResponse]) -> ProviderObservation {
    let script: Vec<_> = answers.iter().map(|it| (CALL, it.clone())).collect();
    VENDOR.observe(provider.as_mut(), &script)
}

fn listed(deployments: &[Value], active: &[Value]) -> ProviderObservation {
    observe(&mut following(), &[ok(list(deployments, active))])
}

/// Plays answers whatever is asked, and gives the requests.
fn asked(provider: &mut dyn Provider, question: Question, answers: &[Value]) -> (Vec<HttpRequest>, Turn) {
    let mut requests = Vec::new();
    let mut turn = provider.start(question);
    for body in answers {
        let Turn::Ask(request) = turn else { panic!("{turn:?}") };
        requests.push(request);
        turn = provider.next(&ok(body));
    }
    (requests, turn)
}

fn variables(request: &HttpRequest) -> Value {
    let body: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
    body["variables"].clone()
}

#[test]
fn the_commits_deployment_is_found_by_its_full_id_on_a_later_page() {
    let short = deployment("dep-short", &COMMIT[..12], "SUCCESS", "2026-01-03T00:00:00Z");
    let first = of_page(page(&[short, old("SUCCESS")], Some("c1")), &[old("SUCCESS")]);
    let second = list(&[ours("BUILDING")], &[old("SUCCESS")]);
    let mut provider = new();
    let (requests, turn) = asked(
        provider.as_mut(),
        Question::Observe,
        &[token(), one(project(&[service("web")])), first.clone(), second.clone()],
    );
    let place = json!({"project": PROJECT, "environment": "env-prod", "service": "srv-web"});
    assert_eq!(variables(&requests[2]), place);
    assert_eq!(variables(&requests[3])["after"], "c1");
    let Turn::Reply(Reply::Observation(seen)) = turn else { panic!("{turn:?}") };
    let it = seen.deployment.unwrap();
    assert_eq!((it.id.as_str(), it.state, it.raw.as_str()), ("dep-ours", State::Building, "BUILDING"));
    assert_eq!(it.commit.relation, Relation::Same);
    let url = format!("https://railway.com/project/{PROJECT}/service/srv-web?environmentId=env-prod&id=dep-ours");
    assert_eq!((it.url, it.site_url.as_deref()), (Some(url), Some("https://shop.test")));
    // It is there, and so both pages are read again.
    assert!(observe(&mut provider, &[ok(first), ok(second)]).deployment.is_some());
}

#[test]
fn a_commit_without_a_deployment_is_told_with_what_serves() {
    let upload = json!({"id": "dep-up", "status": "SUCCESS", "createdAt": "2026-01-01T00:00:00Z", "deploymentStopped": false, "meta": null});
    let mut provider = new();
    let pages = ["a", "b", "c", "d", "e"]
        .map(|next| ok(of_page(page(std::slice::from_ref(&upload), Some(next)), &[old("SUCCESS")])));
    let mut answers = vec![ok(token()), ok(one(project(&[service("web")])))];
    answers.extend(pages.clone());
    for answers in [&answers[..], &pages[..1]] {
        let seen = observe(&mut provider, answers);
        assert_eq!(seen.deployment, None);
        let serving = seen.serving.unwrap();
        assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("dep-old", false));
        assert_eq!(serving.commit.unwrap().id, OLD_COMMIT);
    }
}

#[test]
fn an_accounts_token_goes_into_the_usual_header() {
    for message in ["Project Token not found", "Not Authorized"] {
        let answers = [refused(message), projects(&[project(&[service("web")])], None), list(&[ours("QUEUED")], &[])];
        let (requests, turn) = asked(new().as_mut(), Question::Observe, &answers);
        assert!(matches!(turn, Turn::Reply(Reply::Observation(seen)) if seen.deployment.is_some()));
        let secret = || Secret::new(SECRET);
        let credentials: Vec<_> = requests.into_iter().map(|it| it.credential.unwrap()).collect();
        let bearer = || Credential::Bearer(secret());
        assert_eq!(credentials, [Credential::Header("project-access-token", secret()), bearer(), bearer()]);
    }
}

#[test]
fn the_service_is_found_by_the_repository_and_the_settings() {
    let found = |settings: &str, answers: &[Value]| {
        let (requests, turn) = asked(provider(setup(settings)).as_mut(), Question::Observe, answers);
        match turn {
            Turn::Ask(request) => Ok((requests.len(), variables(&request))),
            Turn::Fault(fault) => Err((fault.kind, fault.message)),
            turn @ (Turn::Reply(_) | Turn::Run(_)) => panic!("{turn:?}"),
        }
    };
    let place =
        |environment: &str, service: &str| json!({"project": PROJECT, "environment": environment, "service": service});
    let account = || refused("Project Token not found");
    let both = || project(&[service("web"), service("api")]);
    let other = json!({"id": "p2", "name": "other", "environments": edges(&[]), "services": edges(&[])});
    let web = Ok((3, place("env-prod", "srv-web")));
    let pages =
        [account(), projects(std::slice::from_ref(&other), Some("c1")), projects(&[project(&[service("web")])], None)];
    assert_eq!(found("", &pages), web);
    assert_eq!(
        found("service = 'web'\nenvironment = 'test'", &[token(), one(both())]).unwrap_err().0,
        FaultKind::NotFound
    );
    assert_eq!(found("service = 'srv-web'", &[token(), one(both())]), Ok((2, place("env-prod", "srv-web"))));
    let in_test = "service = 'api'\nenvironment = 'test'\nproject = 'shop'";
    assert_eq!(found(in_test, &[account(), projects(&[other, both()], None)]), Ok((2, place("env-test", "srv-api"))));
    let by_id = format!("project = '{PROJECT}'");
    assert_eq!(found(&by_id, &[account(), one(project(&[service("web")]))]), Ok((2, place("env-prod", "srv-web"))));
    let (kind, several) = found("", &[token(), one(both())]).unwrap_err();
    assert_eq!(kind, FaultKind::NotFound);
    assert!(
        several.contains(r#""shop / production / web", "shop / production / api"; set provider.service"#),
        "{several}"
    );
    assert_eq!(found("project = 'gone'", &[account(), projects(&[both()], None)]).unwrap_err().0, FaultKind::NotFound);

    let local = Setup { remote_url: "/srv/git/web".to_owned(), ..setup("") };
    let (_, turn) = asked(provider(local).as_mut(), Question::Observe, &[account()]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.message.contains("does not tell which")), "{turn:?}");
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (settings, key) in [("app = 'web'", "app"), ("service = 5", "service"), ("environment = ''", "environment")] {
        let Err(SetupError::Key { key: told, .. }) = (ENTRY.build)(setup(settings)) else { panic!("{settings}") };
        assert_eq!(told, key);
    }
    assert!((ENTRY.build)(Setup { api_url: Some("ftp://x".to_owned()), ..setup("") }).is_err());
}

#[test]
fn credentials_are_tried_as_both_kinds() {
    let told = |answers: &[Value]| asked(new().as_mut(), Question::Credentials, answers).1;
    let text = |text: &str| Turn::Reply(Reply::Credentials(text.to_owned()));
    assert_eq!(told(&[token()]), text(r#"sees the environment "production" of the project "shop""#));
    let account = || refused("Project Token not found");
    assert_eq!(told(&[account(), projects(&[project(&[])], None)]), text("sees 1 project"));
    assert_eq!(told(&[account(), projects(&[project(&[])], Some("c"))]), text("sees more than 1 projects"));
    let turn = told(&[account(), refused("Not Authorized")]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.kind == FaultKind::Unauthorized), "{turn:?}");
}

#[test]
fn the_text_of_an_error_tells_its_kind_and_is_not_quoted() {
    for (message, kind) in [
        ("Not Authorized no-echo", FaultKind::Unauthorized),
        ("Two Factor Authentication Required", FaultKind::Unauthorized),
        ("Service not found no-echo", FaultKind::NotFound),
        ("Rate limit exceeded", FaultKind::RateLimited),
        ("Problem processing request no-echo", FaultKind::Transient),
    ] {
        let fault = VENDOR.fault(following().as_mut(), &[(CALL, ok(refused(message)))]);
        assert!(fault.kind == kind && !fault.message.contains("no-echo"), "{message} {fault}");
    }
    let empty = answer(200, json!({"data": null}).to_string());
    assert_eq!(VENDOR.fault(following().as_mut(), &[(CALL, empty)]).kind, FaultKind::Malformed);
    // A service that has gone is looked for anew; what the token is, is known.
    let mut provider = following();
    VENDOR.fault(provider.as_mut(), &[(CALL, ok(refused("ServiceInstance not found")))]);
    let answers = [ok(one(project(&[service("web")]))), ok(list(&[ours("QUEUED")], &[]))];
    assert!(observe(&mut provider, &answers).deployment.is_some());
}

#[test]
fn trouble_is_told_by_its_kind() {
    damage::every_trouble_is_told(new, &[token()], "a token of the project's environment");
    let before = [token(), one(project(&[service("web")]))];
    damage::every_trouble_is_told(new, &before, "a token of the project's environment");
}

#[test]
fn a_login_that_is_renewed_by_its_owner_is_left_to_it() {
    let token =
        |text: &str| crate::registry::token_from_login_file("railway", text, None).map(|it| it.expose().to_owned());
    assert_eq!(token(r#"{"projects": {}, "user": {"token": "mine"}}"#).as_deref(), Some("mine"));
    for text in ["", "{}", r#"{"user": {"token": null}}"#, r#"{"user": {"token": "x", "refreshToken": "y"}}"#] {
        assert_eq!(token(text), None, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damaged_answers_do_no_harm(answers in prop::collection::vec(damage::answers(vec![
        token(),
        one(project(&[service("web")])),
        list(&[ours("SUCCESS")], &[ours("SUCCESS")]),
        list(&[later("SUCCESS"), ours("REMOVED")], &[later("SUCCESS")]),
        list(&[ours("FAILED")], &[]),
        json!({"data": {"deploymentEvents": {"edges": [{"node": {"step": "BUILD_IMAGE", "payload": {"error": "x"}}}]}}}),
    ]), 1..16)) {
        let mut provider = following();
        let mut left = answers.iter();
        while left.len() > 0 {
            let turn = damage::answered(provider.as_mut(), Question::Observe, left.by_ref().take(4));
            damage::holds_no_lie(&turn, CANARY);
        }
        damage::answered(provider.as_mut(), Question::FailureLog, answers.iter().take(2));
    }
}
