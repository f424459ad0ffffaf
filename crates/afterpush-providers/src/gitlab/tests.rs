//! The provider against bodies in the shape of the vendor's reference.

#![allow(clippy::unwrap_used)]

use afterpush_core::{
    fault::FaultKind,
    observation::{Deployment as Observed, DeploymentState as D, ProviderObservation},
    run::Relation,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::GitLab;
use crate::{
    Credential, HttpResponse, Provider, Question, Reply, Secret, Setup, SetupError, Turn,
    conversation::Conversation,
    damage,
    play::{self, COMMIT, OLD_COMMIT, Vendor, answer, ok},
};

const SECRET: &str = "glpat-not_to_be_seen";
const BEFORE: &str = "2026-01-01T11:00:00.000Z";
const AFTER: &str = "2026-01-01T12:00:10.000Z";
const LATER: &str = "2026-01-01T12:05:00.000Z";

const VENDOR: Vendor = Vendor {
    api: "https://gitlab.com/api/v4/projects/acme%2Fshop%2Fweb",
    credential: || Some(Credential::Bearer(Secret::new(SECRET))),
};

const PIPELINES: &str = "/pipelines?ref=main&order_by=id&sort=desc&per_page=20&page=1";
const DEPLOYMENTS: &str = "/deployments?environment=production&order_by=id&sort=desc&per_page=20&page=1";
const FAILED_JOBS: &str = "/pipelines/7/jobs?scope%5B%5D=failed&per_page=100";
const BRIDGES: &str = "/pipelines/7/bridges?per_page=100";
const PRODUCTION: &str = "environment = 'production'";

fn setup(settings: &str) -> Setup {
    Setup {
        pushed_at: Some("2026-01-01T12:00:00Z".parse().unwrap()),
        ..play::setup(settings, "git@gitlab.com:acme/shop/web.git", Some(SECRET))
    }
}

fn provider(settings: &str) -> Conversation<GitLab> {
    Conversation::new(GitLab::new(setup(settings)).unwrap())
}

fn observe(provider: &mut Conversation<GitLab>, script: &[(&str, HttpResponse)]) -> ProviderObservation {
    let observation = VENDOR.observe(provider, script);
    assert!(!format!("{observation:?}").contains(SECRET), "{observation:?}");
    observation
}

fn seen(settings: &str, script: &[(&str, HttpResponse)]) -> Observed {
    observe(&mut provider(settings), script).deployment.unwrap()
}

fn list(entries: &[Value]) -> HttpResponse {
    ok(json!(entries))
}

fn with(mut value: Value, changes: Value) -> Value {
    let (Value::Object(fields), Value::Object(changes)) = (&mut value, changes) else { panic!("not objects") };
    fields.extend(changes);
    value
}

fn pipeline(id: u64, sha: &str, status: &str) -> Value {
    let at = if id < 5 { BEFORE } else { AFTER };
    json!({
        "id": id, "iid": id, "project_id": 21, "name": null, "before_sha": SECRET, "sha": sha, "ref": "main", "status": status,
        "source": "push", "created_at": at, "updated_at": at,
        "web_url": format!("https://gitlab.com/acme/shop/web/-/pipelines/{id}"),
    })
}

fn job(id: u64, allow_failure: bool) -> Value {
    json!({
        "id": id, "name": "deploy", "stage": "release", "status": "failed", "failure_reason": "script_failure",
        "allow_failure": allow_failure, "ref": "main", "tag": false, "created_at": AFTER, "commit": {"id": COMMIT, "title": SECRET},
    })
}

fn deployment(id: u64, sha: &str, status: &str) -> Value {
    let at = if id < 5 { BEFORE } else { AFTER };
    json!({
        "id": id, "iid": id, "ref": "main", "sha": sha, "status": status, "created_at": at, "updated_at": at,
        "environment": {"id": 9, "name": "production", "external_url": "https://web.acme.test"},
        "deployable": {
            "id": 70, "name": "deploy", "stage": "release", "status": status, "commit": {"id": sha},
            "pipeline": {"id": 7, "sha": sha, "status": "running", "web_url": "https://gitlab.com/acme/shop/web/-/pipelines/7"},
        },
    })
}

#[test]
fn each_word_of_a_pipeline_is_its_state() {
    for (word, state) in [
        ("created", D::Queued),
        ("waiting_for_resource", D::Queued),
        ("preparing", D::Queued),
        ("pending", D::Queued),
        ("scheduled", D::Queued),
        ("running", D::Building),
        ("canceling", D::Building),
        ("manual", D::Blocked),
        ("success", D::Live),
        ("canceled", D::Canceled),
        ("skipped", D::Skipped),
        ("new_word", D::Unknown),
    ] {
        let body = answer(200, json!([pipeline(8, OLD_COMMIT, "success"), pipeline(7, COMMIT, word)]).to_string());
        let ours = seen("", &[(PIPELINES, body)]);
        assert_eq!((ours.state, ours.raw.as_str(), ours.id.as_str()), (state, word, "7"));
        assert_eq!(ours.commit.relation, Relation::Same);
        assert_eq!(ours.url.as_deref(), Some("https://gitlab.com/acme/shop/web/-/pipelines/7"));
        assert_eq!(ours.reason.is_some(), matches!(state, D::Blocked | D::Skipped));
    }
}

#[test]
fn a_failed_pipeline_is_explained_by_the_first_job_that_was_not_allowed_to_fail() {
    let mut provider = provider("");
    let failed = || (PIPELINES, list(&[pipeline(7, COMMIT, "failed")]));
    let script = [failed(), (FAILED_JOBS, list(&[job(73, false), job(72, false), job(71, true)]))];
    let ours = observe(&mut provider, &script).deployment.unwrap();
    assert_eq!(
        (ours.state, ours.reason.as_deref()),
        (D::Failed, Some("job deploy of the stage release failed: script_failure"))
    );
    let log = [("/jobs/72/trace", answer(200, "section_start:1:x\r\u{1b}[0Ktext"))];
    let turn = VENDOR.play(&mut provider, Question::FailureLog, &log);
    assert!(matches!(turn, Turn::Reply(Reply::Log(text)) if text.ends_with("text")));
    let elsewhere = "https://objects.test/72?signature=s";
    let moved = HttpResponse { headers: vec![("location".to_owned(), elsewhere.to_owned())], ..answer(302, "") };
    let turn =
        VENDOR.play(&mut provider, Question::FailureLog, &[("/jobs/72/trace", moved), (elsewhere, answer(200, "far"))]);
    assert_eq!(turn, Turn::Reply(Reply::Log("far".to_owned())));
    let gone = VENDOR.play(&mut provider, Question::FailureLog, &[("/jobs/72/trace", answer(404, ""))]);
    assert!(matches!(gone, Turn::Fault(fault) if fault.kind == FaultKind::NotFound));
}

#[test]
fn the_job_of_a_pipeline_that_was_started_by_the_pipeline_is_found() {
    let bridge = with(
        job(75, false),
        json!({"name": "child", "downstream_pipeline": {"id": 88, "project_id": 22, "status": "failed"}}),
    );
    let mut provider = provider("");
    let api = Vendor { api: "https://gitlab.com/api/v4/projects", ..VENDOR };
    let ours = |path: &str| format!("/acme%2Fshop%2Fweb{path}");
    let script = [
        (ours(PIPELINES), list(&[pipeline(7, COMMIT, "failed")])),
        (ours(FAILED_JOBS), list(&[job(71, true)])),
        (ours(BRIDGES), list(&[bridge])),
        ("/22/pipelines/88/jobs?scope%5B%5D=failed&per_page=100".to_owned(), list(&[job(90, false)])),
    ];
    let script: Vec<(&str, HttpResponse)> = script.iter().map(|(path, it)| (path.as_str(), it.clone())).collect();
    let seen = api.observe(&mut provider, &script).deployment.unwrap();
    assert_eq!(seen.reason.as_deref(), Some("child: job deploy of the stage release failed: script_failure"));
    let turn = api.play(&mut provider, Question::FailureLog, &[("/22/jobs/90/trace", answer(200, "text"))]);
    assert_eq!(turn, Turn::Reply(Reply::Log("text".to_owned())));
}

#[test]
fn a_pipeline_without_jobs_tells_what_is_wrong_with_its_description() {
    let mut provider = provider("");
    let errors =
        with(pipeline(7, COMMIT, "failed"), json!({"yaml_errors": "jobs config should contain\n a visible job"}));
    let script = [
        (PIPELINES, list(&[pipeline(7, COMMIT, "failed")])),
        (FAILED_JOBS, list(&[])),
        (BRIDGES, list(&[])),
        ("/pipelines/7", ok(errors)),
    ];
    let told = ".gitlab-ci.yml: jobs config should contain a visible job";
    assert_eq!(observe(&mut provider, &script).deployment.unwrap().reason.as_deref(), Some(told));
    assert_eq!(VENDOR.play(&mut provider, Question::FailureLog, &[]), Turn::Reply(Reply::Log(told.to_owned())));
}

#[test]
fn a_failure_is_said_even_when_its_jobs_cannot_be_read_and_its_log_is_tried_again() {
    let mut provider = provider("");
    let script = [(PIPELINES, list(&[pipeline(7, COMMIT, "failed")])), (FAILED_JOBS, answer(500, ""))];
    let ours = observe(&mut provider, &script).deployment.unwrap();
    assert_eq!((ours.state, ours.reason), (D::Failed, None));
    let log = [(FAILED_JOBS, list(&[job(72, false)])), ("/jobs/72/trace", answer(200, "text"))];
    assert_eq!(VENDOR.play(&mut provider, Question::FailureLog, &log), Turn::Reply(Reply::Log("text".to_owned())));
}

#[test]
fn only_a_pipeline_of_the_commit_the_branch_and_this_push_counts() {
    let similar = format!("{}f", &COMMIT[..39]);
    let list = list(&[
        with(pipeline(12, COMMIT, "success"), json!({"source": "schedule"})),
        with(pipeline(11, COMMIT, "success"), json!({"source": "merge_request_event"})),
        with(pipeline(10, COMMIT, "success"), json!({"ref": "other"})),
        pipeline(9, &similar, "success"),
        pipeline(4, COMMIT, "success"),
    ]);
    assert_eq!(observe(&mut provider(""), &[(PIPELINES, list)]), ProviderObservation::default());
}

#[test]
fn the_commit_is_found_on_the_second_page_at_every_look() {
    let mut provider = provider("");
    let page: Vec<Value> =
        (0..20).map(|id| with(pipeline(130 - id, OLD_COMMIT, "success"), json!({"created_at": LATER}))).collect();
    for word in ["running", "success"] {
        let second = PIPELINES.replace("&page=1", "&page=2");
        let script = [(PIPELINES, list(&page)), (second.as_str(), list(&[pipeline(7, COMMIT, word)]))];
        assert_eq!(observe(&mut provider, &script).deployment.unwrap().raw, word);
    }
    let old: Vec<Value> = (0..20).map(|_| pipeline(3, OLD_COMMIT, "success")).collect();
    assert_eq!(observe(&mut provider, &[(PIPELINES, list(&old))]), ProviderObservation::default());
}

#[test]
fn each_word_of_a_deployment_is_its_state() {
    for (word, state) in [
        ("running", D::Deploying),
        ("success", D::Live),
        ("canceled", D::Canceled),
        ("blocked", D::Blocked),
        ("new_word", D::Unknown),
    ] {
        let ours = seen(PRODUCTION, &[(DEPLOYMENTS, answer(200, json!([deployment(8, COMMIT, word)]).to_string()))]);
        assert_eq!((ours.state, ours.raw.as_str(), ours.commit.relation), (state, word, Relation::Same));
        assert_eq!(ours.site_url.as_deref(), Some("https://web.acme.test"));
        assert_eq!(ours.url.as_deref(), Some("https://gitlab.com/acme/shop/web/-/pipelines/7"));
    }
    for (word, state) in [("created", D::Queued), ("skipped", D::Skipped)] {
        let script =
            [(DEPLOYMENTS, list(&[deployment(8, COMMIT, word)])), (PIPELINES, list(&[pipeline(7, COMMIT, "running")]))];
        assert_eq!(seen(PRODUCTION, &script).state, state);
    }
    let script = [(DEPLOYMENTS, list(&[deployment(8, COMMIT, "failed")])), ("/jobs/70", ok(job(70, false)))];
    let mut provider = provider(PRODUCTION);
    let ours = observe(&mut provider, &script).deployment.unwrap();
    assert_eq!(
        (ours.state, ours.reason.as_deref()),
        (D::Failed, Some("job deploy of the stage release failed: script_failure"))
    );
    let log = [("/jobs/70/trace", answer(200, "text"))];
    assert_eq!(VENDOR.play(&mut provider, Question::FailureLog, &log), Turn::Reply(Reply::Log("text".to_owned())));
}

#[test]
fn a_later_deployment_of_another_commit_replaces_ours() {
    let observation = observe(
        &mut provider(PRODUCTION),
        &[(DEPLOYMENTS, list(&[deployment(9, OLD_COMMIT, "success"), deployment(8, COMMIT, "success")]))],
    );
    assert_eq!(observation.deployment.unwrap().state, D::Replaced);
    let serving = observation.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("9", true));
    // One that does not serve replaces nothing; one that was made without a job has no page.
    let bare = with(deployment(8, COMMIT, "success"), json!({"deployable": null}));
    let observation =
        observe(&mut provider(PRODUCTION), &[(DEPLOYMENTS, list(&[deployment(9, OLD_COMMIT, "failed"), bare]))]);
    let ours = observation.deployment.unwrap();
    assert_eq!((ours.state, ours.url), (D::Live, None));
    assert!(!observation.serving.unwrap().is_later);
}

#[test]
fn before_the_environment_is_reached_the_pipeline_tells() {
    for (word, state) in [
        ("running", Some(D::Building)),
        ("manual", Some(D::Blocked)),
        ("canceled", Some(D::Canceled)),
        ("success", None),
    ] {
        let script = [
            (DEPLOYMENTS, list(&[deployment(4, OLD_COMMIT, "success")])),
            (PIPELINES, list(&[pipeline(7, COMMIT, word)])),
        ];
        let observation = observe(&mut provider(PRODUCTION), &script);
        assert_eq!(observation.deployment.map(|it| it.state), state, "{word}");
        assert_eq!(observation.serving, None);
    }
    for deployments in [vec![], vec![deployment(8, COMMIT, "skipped")], vec![deployment(8, COMMIT, "created")]] {
        let script = [
            (DEPLOYMENTS, list(&deployments)),
            (PIPELINES, list(&[pipeline(7, COMMIT, "failed")])),
            (FAILED_JOBS, list(&[job(72, false)])),
        ];
        assert_eq!(seen(PRODUCTION, &script).state, D::Failed);
    }
}

#[test]
fn how_an_earlier_push_of_the_commit_ended_is_no_verdict() {
    let old = |list_of: &[Value]| {
        let script = [(DEPLOYMENTS, list(list_of)), (PIPELINES, list(&[]))];
        observe(&mut provider(PRODUCTION), &script)
    };
    assert_eq!(old(&[deployment(4, COMMIT, "failed")]), ProviderObservation::default());
    // It still is what serves.
    let live = old(&[deployment(4, COMMIT, "success")]);
    assert_eq!((live.deployment, live.serving.unwrap().commit.unwrap().relation), (None, Relation::Same));
    let moved = old(&[deployment(9, OLD_COMMIT, "success"), deployment(4, COMMIT, "success")]);
    assert_eq!((moved.deployment, moved.serving.unwrap().commit.unwrap().relation), (None, Relation::Other));
}

#[test]
fn every_trouble_is_told() {
    let pipeline = || Box::new(provider("")) as Box<dyn Provider>;
    damage::every_trouble_is_told(pipeline, &[], "read_api");
    let environment = || Box::new(provider(PRODUCTION)) as Box<dyn Provider>;
    damage::every_trouble_is_told(environment, &[], "read_api");
    damage::every_trouble_is_told(environment, &[json!([])], "read_api");
}

#[test]
fn the_project_is_the_remotes_or_the_settings() {
    for remote in ["https://github.com/acme/web", "/srv/git/web.git", "git@gitlab.com:web"] {
        let setup = Setup { remote_url: remote.to_owned(), ..setup("") };
        let fault = VENDOR.fault(&mut Conversation::new(GitLab::new(setup.clone()).unwrap()), &[]);
        assert_eq!(fault.kind, FaultKind::NotFound);
        assert!(fault.message.contains("set provider.project"), "{fault}");
        let named = Setup { settings: "project = '/acme/shop/web'".parse().unwrap(), ..setup };
        let turn = Conversation::new(GitLab::new(named).unwrap()).start(Question::Observe);
        assert!(matches!(turn, Turn::Ask(it) if it.url == format!("{}{PIPELINES}", VENDOR.api)));
    }
    let own = Setup {
        api_url: Some("https://gitlab.acme.test/api/v4".to_owned()),
        remote_url: "git@gitlab.acme.test:acme/web.git".to_owned(),
        ..setup("")
    };
    let turn = Conversation::new(GitLab::new(own).unwrap()).start(Question::Observe);
    let url = format!("https://gitlab.acme.test/api/v4/projects/acme%2Fweb{PIPELINES}");
    assert!(matches!(turn, Turn::Ask(it) if it.url == url));
}

#[test]
fn the_credentials_are_proven_by_the_project() {
    let turn = VENDOR.play(&mut provider(""), Question::Credentials, &[("/pipelines?per_page=1", list(&[]))]);
    assert_eq!(turn, Turn::Reply(Reply::Credentials("sees the pipelines of acme/shop/web".to_owned())));
    let turn = VENDOR.play(&mut provider(""), Question::Credentials, &[("/pipelines?per_page=1", answer(404, "{}"))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.message.contains("or the token may not see it (404)")));
}

#[test]
fn wrong_settings_are_named() {
    for (settings, key) in [("project = 5", "project"), ("environment = ''", "environment"), ("app = 'x'", "app")] {
        let Err(SetupError::Key { key: named, .. }) = GitLab::new(setup(settings)) else { panic!("{settings}") };
        assert_eq!(named, key);
    }
    assert!(GitLab::new(Setup { api_url: Some("here".to_owned()), ..setup("") }).is_err());
}

proptest! {
    #[test]
    fn damaged_answers_make_no_lie_and_no_panic(
        settings in prop::sample::select(vec!["", PRODUCTION]),
        answers in prop::collection::vec(damage::answers(vec![
            json!([pipeline(7, COMMIT, "success"), pipeline(8, OLD_COMMIT, "failed")]),
            json!([deployment(8, COMMIT, "success"), deployment(9, COMMIT, "failed")]),
            json!([job(72, false)]),
        ]), 0..8),
    ) {
        let mut provider = provider(settings);
        for question in [Question::Observe, Question::Observe, Question::FailureLog, Question::Credentials] {
            damage::holds_no_lie(&damage::answered(&mut provider, question, &answers), SECRET);
        }
    }
}
