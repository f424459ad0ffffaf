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

const SECRET: &str = "nfp_not_to_be_seen";
const CANARY: &str = "plain-value-of-a-variable";
const SITE: &str = "11111111-1111-4111-8111-111111111111";
const BEFORE: &str = "2026-01-02T02:00:00.000Z";
const PUSHED: &str = "2026-01-02T03:04:05.000Z";
const AFTER: &str = "2026-01-02T03:05:00.000Z";

const VENDOR: Vendor =
    Vendor { api: "https://api.netlify.com/api/v1", credential: || Some(Credential::Bearer(Secret::new(SECRET))) };

const BY_NAME: &str = "/sites/web.netlify.app";
const BY_ID: &str = "/sites/11111111-1111-4111-8111-111111111111";
const LIST: &str = "/sites/11111111-1111-4111-8111-111111111111/deploys?page=1&per_page=20&branch=main";

fn setup(settings: &str) -> Setup {
    play::setup(settings, "git@github.com:acme/web-app.git", Some(SECRET))
}

fn provider(setup: Setup) -> Box<dyn Provider> {
    (ENTRY.build)(setup).unwrap()
}

fn by_name() -> Box<dyn Provider> {
    provider(setup("site = 'web'"))
}

/// One that has looked once already, while the previous commit was published.
fn following() -> Box<dyn Provider> {
    let mut provider = by_name();
    observe(&mut provider, &[(BY_NAME, ok(site(old()))), (LIST, ok(json!([ours("building")])))]);
    provider
}

fn deploy(id: &str, commit: &str, state: &str, created: &str) -> Value {
    json!({
        "id": id, "site_id": SITE, "state": state, "name": "web", "branch": "main", "commit_ref": commit,
        "context": "production", "created_at": created, "skew_protection_token": CANARY,
        "deploy_ssl_url": format!("https://{id}--web.netlify.app"),
    })
}

fn ours(state: &str) -> Value {
    deploy("5a", COMMIT, state, PUSHED)
}

fn old() -> Value {
    with(deploy("4a", OLD_COMMIT, "ready", BEFORE), "published_at", json!(BEFORE))
}

fn published() -> Value {
    with(ours("ready"), "published_at", json!(AFTER))
}

fn later() -> Value {
    deploy("6a", OLD_COMMIT, "ready", AFTER)
}

fn error(message: &str) -> Value {
    with(ours("error"), "error_message", json!(message))
}

fn site(published: Value) -> Value {
    json!({
        "id": SITE, "name": "web", "ssl_url": "https://www.acme.test", "url": "http://www.acme.test", "password": CANARY,
        "published_deploy": published,
        "build_settings": {
            "provider": "github", "repo_path": "acme/web-app", "repo_branch": "main", "env": {"K": CANARY},
            "repo_url": "https://github.com/Acme/Web-App", "stop_builds": false,
        },
    })
}

fn observe(provider: &mut Box<dyn Provider>, script: &[(&str, HttpResponse)]) -> ProviderObservation {
    VENDOR.observe(provider.as_mut(), script)
}

/// The deploy that is seen when a list is the answer, and the site where it is asked for.
fn seen(deploys: &[Value], published: Value) -> Observed {
    let script = [(LIST, ok(json!(deploys))), (BY_ID, ok(site(published)))];
    observe(&mut following(), &script).deployment.unwrap()
}

/// The same where only the list is asked for.
fn listed(deploys: &[Value]) -> Observed {
    observe(&mut following(), &[(LIST, ok(json!(deploys)))]).deployment.unwrap()
}

#[test]
fn the_commits_deploy_is_found_by_its_full_id_on_a_later_page() {
    let mut first = vec![deploy("9a", OLD_COMMIT, "ready", AFTER); 18];
    first.push(deploy("9b", &COMMIT[..12], "ready", AFTER));
    first.push(with(deploy("9c", "", "ready", AFTER), "title", json!(COMMIT)));
    let second = LIST.replace("page=1&", "page=2&");
    let script =
        [(BY_NAME, ok(site(old()))), (LIST, ok(json!(first))), (second.as_str(), ok(json!([ours("building")])))];
    let it = observe(&mut by_name(), &script).deployment.unwrap();
    assert_eq!((it.id.as_str(), it.state, it.raw.as_str()), ("5a", State::Building, "building"));
    assert_eq!(it.commit.relation, Relation::Same);
    assert_eq!(it.url.as_deref(), Some("https://app.netlify.com/sites/web/deploys/5a"));
}

#[test]
fn the_first_look_goes_through_five_pages_and_no_more() {
    let full = json!(vec![later(); 20]);
    let pages: Vec<String> = (1..=5).map(|at| LIST.replace("page=1&", &format!("page={at}&"))).collect();
    let mut script = vec![(BY_NAME, ok(site(old())))];
    script.extend(pages.iter().map(|path| (path.as_str(), ok(&full))));
    let mut provider = by_name();
    assert_eq!(observe(&mut provider, &script).deployment, None);
    let script = [(LIST, ok(&full)), (BY_ID, ok(site(old())))];
    assert_eq!(observe(&mut provider, &script).deployment, None);
}

#[test]
fn a_commit_without_a_deploy_is_told_with_what_serves() {
    let script = [(LIST, ok(json!([old()]))), (BY_ID, ok(site(old())))];
    let seen = observe(&mut following(), &script);
    assert_eq!((seen.deployment, seen.will_not_deploy), (None, None));
    let serving = seen.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("4a", false));
    assert_eq!(serving.commit.unwrap().id, OLD_COMMIT);
    assert_eq!(serving.site_url.as_deref(), Some("https://www.acme.test"));

    let mut stopped = site(old());
    stopped["build_settings"]["stop_builds"] = json!(true);
    let seen = observe(&mut following(), &[(LIST, ok(json!([]))), (BY_ID, ok(&stopped))]);
    assert!(seen.will_not_deploy.unwrap().contains("builds are stopped"));
    let seen = observe(&mut by_name(), &[(BY_NAME, ok(stopped)), (LIST, ok(json!([ours("building")])))]);
    assert_eq!(seen.will_not_deploy, None);
}

#[test]
fn the_site_is_found_by_the_repository() {
    let first = "/sites?filter=all&page=1&per_page=100";
    let second = "/sites?filter=all&page=2&per_page=100";
    let mut other = with(site(old()), "name", json!("docs"));
    other["build_settings"]["repo_url"] = json!("https://github.com/acme/docs");
    let mut by_path = site(old());
    by_path["build_settings"]["repo_url"] = json!("");
    let script = [
        (first, ok(json!(vec![other; 100]))),
        (second, ok(json!([{"id": "x"}, by_path]))),
        (LIST, ok(json!([ours("building")]))),
    ];
    assert!(observe(&mut provider(setup("")), &script).deployment.is_some());

    let fault = |sites: Value| VENDOR.fault(provider(setup("")).as_mut(), &[(first, ok(sites))]);
    let several = fault(json!([site(old()), with(site(old()), "name", json!("api"))]));
    assert_eq!(several.kind, FaultKind::NotFound);
    assert!(several.message.contains(r#""web", "api"; set provider.site"#), "{several}");
    let none = fault(json!([]));
    assert!(none.kind == FaultKind::NotFound && none.message.contains("set provider.site"), "{none}");
    let local = Setup { remote_url: "/srv/git/web".to_owned(), ..setup("") };
    assert!(VENDOR.fault(provider(local).as_mut(), &[]).message.contains("does not tell"));
}

#[test]
fn a_site_is_named_by_its_id_its_domain_or_its_name() {
    for (told, path) in [(SITE, BY_ID), ("www.acme.test", "/sites/www.acme.test"), ("web", BY_NAME)] {
        let script = [(path, ok(site(old()))), (LIST, ok(json!([ours("building")])))];
        assert!(observe(&mut provider(setup(&format!("site = '{told}'"))), &script).deployment.is_some());
    }
    for (settings, key) in [("app = 'web'", "app"), ("site = 5", "site"), ("site = ' '", "site")] {
        let Err(SetupError::Key { key: told, .. }) = (ENTRY.build)(setup(settings)) else { panic!("{settings}") };
        assert_eq!(told, key);
    }
    assert!((ENTRY.build)(Setup { api_url: Some("ftp://x".to_owned()), ..setup("") }).is_err());
}

#[test]
fn a_site_that_has_gone_is_looked_for_anew() {
    let mut provider = following();
    assert_eq!(VENDOR.fault(provider.as_mut(), &[(LIST, answer(404, "{}"))]).kind, FaultKind::NotFound);
    let fault = VENDOR.fault(provider.as_mut(), &[(BY_NAME, answer(404, "{}"))]);
    assert!(fault.message.contains(r#"no site "web.netlify.app""#) && fault.message.contains("token"), "{fault}");
}

#[test]
fn credentials_are_tried_by_counting_sites() {
    for (count, text) in [(0, "sees 0 sites"), (1, "sees 1 site"), (3, "sees 3 sites")] {
        let script = [("/user", ok(json!({"id": "u", "email": "a@b.test", "site_count": count})))];
        let turn = VENDOR.play(by_name().as_mut(), Question::Credentials, &script);
        assert_eq!(turn, Turn::Reply(Reply::Credentials(text.to_owned())));
    }
    let turn = VENDOR.play(by_name().as_mut(), Question::Credentials, &[("/user", answer(401, "{}"))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::Unauthorized));
}

#[test]
fn the_login_of_the_user_in_use_is_read() {
    let token =
        |text: &str| crate::registry::token_from_login_file("netlify", text, None).map(|it| it.expose().to_owned());
    let file = |user: &str| json!({"userId": user, "users": {"a": {"auth": {"token": "mine"}}, "b": {}}}).to_string();
    let whole =
        json!({"userId": "a", "users": {"a": {"id": "a", "auth": {"token": "mine", "github": {}}}}}).to_string();
    assert_eq!(token(&whole).as_deref(), Some("mine"));
    for text in ["", "{}", &file("b"), &file("c"), r#"{"userId": "a", "users": {"a": {"auth": {"token": ""}}}}"#] {
        assert_eq!(token(text), None, "{text}");
    }
}

#[test]
fn trouble_is_told_by_its_kind() {
    damage::every_trouble_is_told(by_name, &[], "the site's team");
    damage::every_trouble_is_told(by_name, &[site(old())], "the site's team");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damaged_answers_do_no_harm(answers in prop::collection::vec(damage::answers(vec![
        site(published()),
        site(old()),
        json!([published(), old()]),
        json!([error("It broke")]),
        json!([error("Canceled build")]),
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
