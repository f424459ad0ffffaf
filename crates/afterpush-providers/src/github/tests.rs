//! The provider against bodies in the shape of the vendor's OpenAPI document.

#![allow(clippy::unwrap_used)]

mod vendor;

use afterpush_core::{
    fault::FaultKind,
    observation::{Deployment as Observed, DeploymentState as D, ProviderObservation},
    run::Relation,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{GitHub, login};
use crate::{
    Credential, HttpResponse, Provider, Question, Reply, Secret, Setup, SetupError, Turn,
    conversation::Conversation,
    damage,
    play::{self, COMMIT, OLD_COMMIT, Vendor, answer, ok},
};
use vendor::{
    AFTER, BEFORE, LATER, SECRET, check, checks, deployment, job, jobs, repository, run, runs, status, statuses, with,
};

const VENDOR: Vendor = Vendor {
    api: "https://api.github.com/repos/acme/web",
    credential: || Some(Credential::Bearer(Secret::new(SECRET))),
};

const LIST: &str = "/deployments?per_page=30&page=1";
const PRODUCTION: &str = "/deployments?per_page=30&page=1&environment=production";
const STATUSES: &str = "/deployments/1/statuses?per_page=30";
const RUNS: &str = "/actions/runs?branch=main&per_page=30&page=1&event=push";
const DEPLOY_RUNS: &str = "/actions/workflows/deploy.yml/runs?branch=main&per_page=30&page=1";
const JOBS: &str = "/actions/runs/7/jobs?filter=latest&per_page=100";
const CHECKS: &str = "/commits/0123456789abcdef0123456789abcdef01234567/check-runs?filter=latest&per_page=100&page=1";
const COMMIT_STATUSES: &str = "/commits/0123456789abcdef0123456789abcdef01234567/status?per_page=100&page=1";

fn setup(settings: &str) -> Setup {
    Setup {
        pushed_at: Some("2026-01-01T12:00:00Z".parse().unwrap()),
        ..play::setup(settings, "git@github.com:Acme/web.git", Some(SECRET))
    }
}

fn provider(settings: &str) -> Conversation<GitHub> {
    Conversation::new(GitHub::new(setup(settings)).unwrap())
}

fn observe(provider: &mut Conversation<GitHub>, script: &[(&str, HttpResponse)]) -> ProviderObservation {
    let observation = VENDOR.observe(provider, script);
    assert!(!format!("{observation:?}").contains(SECRET), "{observation:?}");
    observation
}

fn seen(settings: &str, script: &[(&str, HttpResponse)]) -> Observed {
    let observation = observe(&mut provider(settings), script);
    observation.deployment.unwrap_or_else(|| panic!("no deployment in {script:?}"))
}

fn list(deployments: &[Value]) -> HttpResponse {
    ok(json!(deployments))
}

const ENVIRONMENT: &str = "environment = 'Production'";

#[test]
fn each_state_of_a_deployment_is_its_state() {
    let said = |word: &str, description: &str| with(status(word), json!({"description": description}));
    for (history, state) in [
        (vec![], D::Queued),
        (vec![said("queued", "")], D::Queued),
        (vec![said("pending", "")], D::Queued),
        (vec![said("in_progress", "")], D::Deploying),
        (vec![said("success", "")], D::Live),
        (vec![said("success", ""), said("in_progress", "")], D::Live),
        (vec![said("inactive", ""), said("success", "")], D::Replaced),
        (vec![said("inactive", "Skipped - Not affected")], D::Skipped),
        (vec![said("inactive", "")], D::Superseded),
        (vec![said("waiting", "")], D::Blocked),
        (vec![said("new_word", "")], D::Unknown),
    ] {
        let body = answer(200, json!(history).to_string());
        let mut script = vec![
            (
                "/deployments?per_page=30&page=1&environment=Production",
                list(&[deployment(1, COMMIT, "production", AFTER)]),
            ),
            (STATUSES, body),
        ];
        if matches!(state, D::Replaced | D::Superseded) {
            script.push((PRODUCTION, list(&[])));
        }
        let ours = seen(ENVIRONMENT, &script);
        assert_eq!(ours.state, state, "{history:?}");
        let newest = history.first().map_or("created", |it| it["state"].as_str().unwrap());
        assert_eq!((ours.raw.as_str(), ours.commit.relation), (newest, Relation::Same));
        if !history.is_empty() {
            assert_eq!(ours.site_url.as_deref(), Some("https://web.acme.test"));
            assert_eq!(ours.url.as_deref(), Some("https://github.com/acme/web/actions/runs/7/job/70"));
        }
    }
}

#[test]
fn a_failed_deployment_is_explained_by_the_job_that_made_it() {
    for word in ["failure", "error"] {
        let mut provider = provider("");
        let observation = observe(
            &mut provider,
            &[
                (LIST, list(&[deployment(1, COMMIT, "production", AFTER)])),
                (STATUSES, ok(json!([status(word)]))),
                ("/actions/jobs/70", ok(job(70, "failure"))),
            ],
        );
        let ours = observation.deployment.unwrap();
        assert_eq!(ours.state, D::Failed);
        assert_eq!(ours.reason.as_deref(), Some(r#"job deploy failed at the step "Roll out""#));
        let elsewhere = "https://logs.test/70?signature=s";
        let found = HttpResponse { headers: vec![("location".to_owned(), elsewhere.to_owned())], ..answer(302, "") };
        let log = "2026-01-01T12:00:01.0000000Z building\n2026-01-01T12:00:02.0000000Z ##[error]no";
        let script = [("/actions/jobs/70/logs", found), (elsewhere, answer(200, log))];
        let turn = VENDOR.play(&mut provider, Question::FailureLog, &script);
        assert_eq!(turn, Turn::Reply(Reply::Log("building\n##[error]no".to_owned())));
        let gone = VENDOR.play(&mut provider, Question::FailureLog, &[("/actions/jobs/70/logs", answer(410, ""))]);
        assert!(matches!(gone, Turn::Fault(fault) if fault.kind == FaultKind::NotFound));
    }
}

#[test]
fn a_failure_that_another_service_reports_is_told_in_its_words() {
    let elsewhere = json!({"description": "Build \u{1b}[31mfailed", "log_url": "https://ci.test/9", "target_url": "https://ci.test/8"});
    let mut provider = provider("");
    let script = [
        (LIST, list(&[deployment(1, COMMIT, "production", AFTER)])),
        (STATUSES, ok(json!([with(status("failure"), elsewhere)]))),
    ];
    let ours = observe(&mut provider, &script).deployment.unwrap();
    assert_eq!((ours.state, ours.reason.as_deref()), (D::Failed, Some("Build failed")));
    let turn = VENDOR.play(&mut provider, Question::FailureLog, &[]);
    assert_eq!(turn, Turn::Reply(Reply::Log("Build failed\nits log is at https://ci.test/9".to_owned())));
}

#[test]
fn the_commit_is_found_on_the_second_page_and_followed_by_one_call() {
    let page: Vec<Value> = (0..30).map(|id| deployment(100 + id, OLD_COMMIT, "production", LATER)).collect();
    let mut provider = provider("environment = 'production'");
    let first = [
        (PRODUCTION, list(&page)),
        ("/deployments?per_page=30&page=2&environment=production", list(&[deployment(1, COMMIT, "production", AFTER)])),
        (STATUSES, ok(json!([status("in_progress")]))),
    ];
    assert_eq!(observe(&mut provider, &first).deployment.unwrap().state, D::Deploying);
    let next = observe(&mut provider, &[(STATUSES, ok(json!([status("success")])))]);
    assert_eq!(next.deployment.unwrap().state, D::Live);
    // Gone: it is looked for anew.
    assert_eq!(observe(&mut provider, &[(STATUSES, answer(404, ""))]), ProviderObservation::default());
    observe(&mut provider, &[(PRODUCTION, list(&[]))]);
}

#[test]
fn a_commit_that_is_not_deployed_is_absent_and_what_serves_is_told() {
    let mut provider = provider("environment = 'production'");
    let old = [(PRODUCTION, list(&[deployment(2, OLD_COMMIT, "production", BEFORE)]))];
    assert_eq!(observe(&mut provider, &old), ProviderObservation::default());
    // A commit that begins like ours is another one.
    let similar = format!("{}{}", &COMMIT[..39], "f");
    let newer = [
        (PRODUCTION, list(&[deployment(2, &similar, "production", LATER)])),
        ("/deployments/2/statuses?per_page=30", ok(json!([status("success")]))),
    ];
    let observation = observe(&mut provider, &newer);
    assert_eq!(observation.deployment, None);
    let serving = observation.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("2", true));
    assert_eq!(serving.commit.unwrap().relation, Relation::Other);
}

#[test]
fn a_replaced_deployment_names_its_successor_and_a_repeated_one_is_followed() {
    let inactive = ok(json!([status("inactive"), status("success")]));
    let begin = [
        (LIST, list(&[deployment(1, COMMIT, "production", AFTER)])),
        (STATUSES, inactive.clone()),
        (
            PRODUCTION,
            list(&[deployment(2, OLD_COMMIT, "production", LATER), deployment(1, COMMIT, "production", AFTER)]),
        ),
        ("/deployments/2/statuses?per_page=30", ok(json!([status("success")]))),
    ];
    let observation = observe(&mut provider(""), &begin);
    assert_eq!(observation.deployment.unwrap().state, D::Replaced);
    assert_eq!(observation.serving.unwrap().deployment_id, "2");
    let mut provider = provider("");
    let again = [
        (LIST, list(&[deployment(1, COMMIT, "production", AFTER)])),
        (STATUSES, inactive),
        (PRODUCTION, list(&[deployment(3, COMMIT, "production", LATER)])),
    ];
    assert_eq!(observe(&mut provider, &again), ProviderObservation::default());
    let next = [("/deployments/3/statuses?per_page=30", ok(json!([status("success")])))];
    assert_eq!(observe(&mut provider, &next).deployment.unwrap().id, "3");
}

#[test]
fn how_an_earlier_push_of_the_commit_ended_is_no_verdict() {
    let before = |word: &str| ok(json!([with(status(word), json!({"created_at": BEFORE}))]));
    let deployed = || (LIST, list(&[deployment(1, COMMIT, "production", BEFORE)]));
    let failed = observe(&mut provider(""), &[deployed(), (STATUSES, before("failure"))]);
    assert_eq!(failed, ProviderObservation::default());
    let live = observe(&mut provider(""), &[deployed(), (STATUSES, before("success"))]);
    assert_eq!(live.deployment, None);
    assert_eq!(live.serving.unwrap().commit.unwrap().relation, Relation::Same);
    // A later one of another commit may have taken its place.
    let after = deployment(2, OLD_COMMIT, "production", AFTER);
    let moved = [(LIST, list(&[after, deployment(1, COMMIT, "production", BEFORE)])), (STATUSES, before("success"))];
    assert_eq!(observe(&mut provider(""), &moved), ProviderObservation::default());
}

#[test]
fn the_environment_is_the_one_the_branch_deploys_to_and_production_before_others() {
    let staging = || deployment(9, COMMIT, "staging", AFTER);
    let production = |sha| deployment(1, sha, "production", AFTER);
    // Production comes after staging: that staging is done is no success.
    let script = [(LIST, list(&[staging(), with(production(OLD_COMMIT), json!({"created_at": BEFORE}))]))];
    assert_eq!(observe(&mut provider(""), &script), ProviderObservation::default());
    let script = [(LIST, list(&[staging(), production(COMMIT)])), (STATUSES, ok(json!([status("success")])))];
    assert_eq!(seen("", &script).id, "1");
    let two = |name| with(deployment(1, COMMIT, name, AFTER), json!({"production_environment": true}));
    let script = [(LIST, list(&[two("Production – web"), two("Production – docs")]))];
    let fault = VENDOR.fault(&mut provider(""), &script);
    assert_eq!(fault.kind, FaultKind::NotFound);
    assert!(fault.message.contains(r#""Production – docs", "Production – web"; set provider.environment"#), "{fault}");
    // Another branch's previews are not ours.
    let preview = with(deployment(5, OLD_COMMIT, "Preview", AFTER), json!({"ref": "other"}));
    let script = [(LIST, list(&[preview])), (RUNS, ok(runs(&[run(7, COMMIT, "in_progress", AFTER)])))];
    assert_eq!(seen("", &script).id, "7");
}

#[test]
fn each_word_of_a_run_is_its_state() {
    for (word, state) in [
        ("queued", D::Queued),
        ("requested", D::Queued),
        ("pending", D::Queued),
        ("waiting", D::Blocked),
        ("in_progress", D::Building),
        ("success", D::Live),
        ("neutral", D::Skipped),
        ("skipped", D::Skipped),
        ("cancelled", D::Canceled),
        ("stale", D::Superseded),
        ("action_required", D::Blocked),
        ("new_word", D::Unknown),
        ("another_word", D::Unknown),
    ] {
        let script = [(DEPLOY_RUNS, ok(runs(&[run(7, COMMIT, word, AFTER)])))];
        let ours = seen("workflow = 'deploy.yml'", &script);
        assert_eq!((ours.state, ours.raw.as_str()), (state, word));
        assert_eq!(ours.url.as_deref(), Some("https://github.com/acme/web/actions/runs/7"));
        assert_eq!(ours.reason.is_some(), state == D::Blocked);
    }
    for word in ["failure", "timed_out", "startup_failure"] {
        let script = [
            (DEPLOY_RUNS, ok(runs(&[run(7, COMMIT, word, AFTER)]))),
            (JOBS, ok(jobs(&[job(70, "success"), job(71, "failure")]))),
        ];
        let ours = seen("workflow = 'deploy.yml'", &script);
        assert_eq!(ours.state, D::Failed);
        assert_eq!(ours.reason.as_deref(), Some(r#"Deploy: job deploy failed at the step "Roll out""#));
    }
}

#[test]
fn a_failure_is_said_even_when_its_jobs_cannot_be_read_and_its_log_is_tried_again() {
    let mut provider = provider("workflow = 'Deploy'");
    let named = "/actions/runs?branch=main&per_page=30&page=1";
    let script = [(named, ok(runs(&[run(7, COMMIT, "failure", AFTER)]))), (JOBS, answer(500, ""))];
    let ours = observe(&mut provider, &script).deployment.unwrap();
    assert_eq!((ours.state, ours.reason.as_deref()), (D::Failed, Some("Deploy: failure")));
    let log = [(JOBS, ok(jobs(&[job(71, "failure")]))), ("/actions/jobs/71/logs", answer(200, "text"))];
    assert_eq!(VENDOR.play(&mut provider, Question::FailureLog, &log), Turn::Reply(Reply::Log("text".to_owned())));
    let none = [(JOBS, ok(jobs(&[])))];
    let turn = VENDOR.play(&mut provider, Question::FailureLog, &none);
    assert_eq!(turn, Turn::Reply(Reply::Log("Deploy: failure".to_owned())));
}

#[test]
fn of_a_named_workflow_the_newest_run_of_the_commit_counts() {
    let pull_request = with(run(9, COMMIT, "success", LATER), json!({"event": "pull_request"}));
    let branch = with(run(8, COMMIT, "success", LATER), json!({"head_branch": "other"}));
    let list = [pull_request, branch, run(6, COMMIT, "in_progress", AFTER), run(5, COMMIT, "success", AFTER)];
    let ours = seen("workflow = '.github/workflows/deploy.yml'", &[(DEPLOY_RUNS, ok(runs(&list)))]);
    assert_eq!((ours.id.as_str(), ours.state), ("6", D::Building));
    // An earlier push's end is none of this one's; nor is another workflow of another name.
    let old = run(5, COMMIT, "success", BEFORE);
    let script = [(DEPLOY_RUNS, ok(runs(&[old])))];
    assert_eq!(observe(&mut provider("workflow = 'deploy.yml'"), &script), ProviderObservation::default());
    let named = "/actions/runs?branch=main&per_page=30&page=1";
    let script = [(named, ok(runs(&[run(5, COMMIT, "success", AFTER)])))];
    assert_eq!(observe(&mut provider("workflow = 'Release'"), &script), ProviderObservation::default());
}

#[test]
fn the_run_is_found_on_the_second_page_and_a_canceled_one_names_what_serves() {
    let page: Vec<Value> = (0..30).map(|id| run(100 + id, OLD_COMMIT, "success", LATER)).collect();
    let second = "/actions/workflows/deploy.yml/runs?branch=main&per_page=30&page=2";
    let mut provider = provider("workflow = 'deploy.yml'");
    for _ in 0..2 {
        let script = [(DEPLOY_RUNS, ok(runs(&page))), (second, ok(runs(&[run(7, COMMIT, "cancelled", AFTER)])))];
        let observation = observe(&mut provider, &script);
        assert_eq!(observation.deployment.unwrap().state, D::Canceled);
        let serving = observation.serving.unwrap();
        assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("100", true));
    }
}

#[test]
fn all_workflows_of_the_push_must_be_well_and_that_twice() {
    let lint = |word| with(run(8, COMMIT, word, AFTER), json!({"path": ".github/workflows/lint.yml", "name": "Lint"}));
    let look = |list: &[Value]| [(RUNS, ok(runs(list)))];
    let mut provider = provider("follow = 'actions'");
    let alone = [run(7, COMMIT, "success", AFTER)];
    let both = [lint("success"), run(7, COMMIT, "success", AFTER)];
    for (script, state) in [
        (look(&alone), D::Deploying),
        (look(&both), D::Deploying),
        (look(&[lint("in_progress"), run(7, COMMIT, "success", AFTER)]), D::Building),
        (look(&both), D::Deploying),
        (look(&both), D::Live),
        (look(&[lint("skipped"), run(7, COMMIT, "success", AFTER)]), D::Live),
        (look(&[lint("skipped"), run(7, COMMIT, "skipped", AFTER)]), D::Skipped),
        (look(&[lint("waiting"), run(7, COMMIT, "in_progress", AFTER)]), D::Blocked),
        (look(&[lint("cancelled"), run(7, COMMIT, "in_progress", AFTER)]), D::Canceled),
    ] {
        let ours = observe(&mut provider, &script).deployment.unwrap();
        assert_eq!(ours.state, state, "{script:?}");
    }
    assert_eq!(observe(&mut provider, &look(&[])), ProviderObservation::default());
}

#[test]
fn when_nothing_is_named_what_there_is_decides() {
    let nothing = || [(LIST, list(&[])), (RUNS, ok(runs(&[])))];
    let mut provider = provider("");
    let checks_too = |checks: Value, words: &[&str]| {
        let [list, runs] = nothing();
        [list, runs, (CHECKS, ok(checks)), (COMMIT_STATUSES, ok(statuses(words)))]
    };
    // No check at all is no success, although the combined state has a word for it.
    assert_eq!(observe(&mut provider, &checks_too(checks(&[]), &[])), ProviderObservation::default());
    let [list, runs] = nothing();
    let unknown = [list, runs, (CHECKS, answer(422, r#"{"message": "No commit found for SHA"}"#))];
    assert_eq!(observe(&mut provider, &unknown), ProviderObservation::default());
    for (parts, words, state) in [
        (vec![check(1, "success")], vec!["pending"], D::Building),
        (vec![check(1, "in_progress")], vec!["success"], D::Building),
        (vec![check(1, "queued")], vec![], D::Queued),
        (vec![check(1, "waiting")], vec![], D::Blocked),
        (vec![check(1, "success")], vec!["success"], D::Deploying),
        (vec![check(1, "success")], vec!["success"], D::Live),
        (vec![check(1, "neutral")], vec!["success"], D::Live),
        (vec![check(1, "cancelled")], vec!["success"], D::Canceled),
        (vec![check(1, "success")], vec!["new_word"], D::Unknown),
        (vec![check(1, "success")], vec!["failure"], D::Failed),
        (vec![check(1, "success")], vec!["error"], D::Failed),
        (vec![check(1, "failure")], vec!["success"], D::Failed),
        (vec![check(1, "timed_out")], vec![], D::Failed),
    ] {
        let ours = observe(&mut provider, &checks_too(checks(&parts), &words)).deployment.unwrap();
        assert_eq!(ours.state, state, "{parts:?} {words:?}");
        if state == D::Failed {
            let told = ours.reason.unwrap();
            assert!(["ci/other: said", "build: 3 errors"].contains(&told.as_str()), "{told}");
        }
    }
}

#[test]
fn checks_that_were_not_all_read_are_no_success() {
    let many = |count: usize| with(checks(&[check(1, "success")]), json!({"total_count": count}));
    let pages = |count| -> Vec<(String, HttpResponse)> {
        (1..=5).map(|page| (CHECKS.replace("&page=1", &format!("&page={page}")), ok(many(count)))).collect()
    };
    let mut provider = provider("follow = 'checks'");
    for _ in 0..3 {
        let mut script = pages(600);
        script.push((COMMIT_STATUSES.to_owned(), ok(statuses(&[]))));
        let script: Vec<(&str, HttpResponse)> = script.iter().map(|(path, it)| (path.as_str(), it.clone())).collect();
        let ours = observe(&mut provider, &script).deployment.unwrap();
        assert_ne!(ours.state, D::Live);
    }
}

#[test]
fn a_check_of_actions_leads_to_its_job() {
    let app = json!({"slug": "github-actions", "id": 1, "node_id": "n", "owner": repository()["owner"], "name": "a",
        "description": null, "external_url": "https://a.test", "html_url": "https://a.test", "created_at": AFTER,
        "updated_at": AFTER, "permissions": {}, "events": []});
    let mut provider = provider("follow = 'checks'");
    let script = [
        (CHECKS, ok(checks(&[with(check(70, "failure"), json!({"app": app}))]))),
        (COMMIT_STATUSES, ok(statuses(&[]))),
        ("/actions/jobs/70", ok(job(70, "failure"))),
    ];
    let ours = observe(&mut provider, &script).deployment.unwrap();
    assert_eq!(ours.reason.as_deref(), Some(r#"build: job deploy failed at the step "Roll out""#));
    let log = [("/actions/jobs/70/logs", answer(200, "text"))];
    assert_eq!(VENDOR.play(&mut provider, Question::FailureLog, &log), Turn::Reply(Reply::Log("text".to_owned())));
}

#[test]
fn every_trouble_is_told() {
    let workflow = || Box::new(provider("workflow = 'deploy.yml'")) as Box<dyn Provider>;
    damage::every_trouble_is_told(workflow, &[], "Actions: read");
    let deployments = || Box::new(provider(ENVIRONMENT)) as Box<dyn Provider>;
    damage::every_trouble_is_told(deployments, &[], "Deployments: read");
    let checks = || Box::new(provider("follow = 'checks'")) as Box<dyn Provider>;
    damage::every_trouble_is_told(checks, &[], "Checks: read");
    damage::every_trouble_is_told(checks, &[vendor::checks(&[])], "Commit statuses: read");
    for header in [("retry-after", "60"), ("x-ratelimit-remaining", "0")] {
        let spent = HttpResponse { headers: vec![(header.0.to_owned(), header.1.to_owned())], ..answer(403, "{}") };
        let fault = VENDOR
            .fault(&mut provider(ENVIRONMENT), &[(PRODUCTION.replace("production", "Production").as_str(), spent)]);
        assert_eq!(fault.kind, FaultKind::RateLimited, "{fault}");
    }
    let fault = VENDOR.fault(&mut provider(""), &[(LIST, answer(301, "{}"))]);
    assert_eq!(fault.kind, FaultKind::NotFound);
    assert!(fault.message.contains("the repository acme/web has moved (301): set provider.repository"), "{fault}");
}

#[test]
fn the_credentials_are_proven_by_the_repository() {
    let mut it = provider("");
    let turn = VENDOR.play(&mut it, Question::Credentials, &[("", ok(repository()))]);
    assert_eq!(turn, Turn::Reply(Reply::Credentials("sees acme/web".to_owned())));
    let turn = VENDOR.play(&mut it, Question::Credentials, &[("", answer(404, "{}"))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.message.contains("or the token may not see it (404)")));
    let local = Setup { remote_url: "/srv/git/web.git".to_owned(), ..setup("") };
    let mut it = Conversation::new(GitHub::new(local).unwrap());
    let api = Vendor { api: "https://api.github.com", ..VENDOR };
    let turn = api.play(&mut it, Question::Credentials, &[("/rate_limit", answer(200, r#"{"resources": {}}"#))]);
    assert!(matches!(turn, Turn::Reply(Reply::Credentials(_))), "{turn:?}");
}

#[test]
fn the_repository_is_the_remotes_or_the_settings() {
    for remote in ["https://gitlab.com/acme/web", "/srv/git/web.git", "git@github.com:web", "git@github.com:a/b/c"] {
        let setup = Setup { remote_url: remote.to_owned(), ..setup("") };
        let fault = VENDOR.fault(&mut Conversation::new(GitHub::new(setup.clone()).unwrap()), &[]);
        assert_eq!(fault.kind, FaultKind::NotFound);
        assert!(fault.message.contains("set provider.repository"), "{fault}");
        let named = Setup { settings: "repository = 'acme/web'".parse().unwrap(), ..setup };
        let mut named = Conversation::new(GitHub::new(named).unwrap());
        assert!(matches!(named.start(Question::Observe), Turn::Ask(it) if it.url == format!("{}{LIST}", VENDOR.api)));
    }
    let own = Setup {
        api_url: Some("https://ghe.acme.test/api/v3".to_owned()),
        remote_url: "git@ghe.acme.test:acme/web.git".to_owned(),
        ..setup("")
    };
    let turn = Conversation::new(GitHub::new(own).unwrap()).start(Question::Observe);
    let url = format!("https://ghe.acme.test/api/v3/repos/acme/web{LIST}");
    assert!(matches!(turn, Turn::Ask(it) if it.url == url));
}

#[test]
fn wrong_settings_are_named() {
    for (settings, key) in [
        ("repository = 'web'", "repository"),
        ("repository = 'acme/..'", "repository"),
        ("repository = 'acme/web/x'", "repository"),
        ("environment = 5", "environment"),
        ("environment = 'a'\nworkflow = 'b'", "workflow"),
        ("environment = 'a'\nfollow = 'actions'", "follow"),
        ("workflow = 'a'\nfollow = 'checks'", "follow"),
        ("follow = 'runs'", "follow"),
        ("app = 'x'", "app"),
    ] {
        let Err(SetupError::Key { key: named, .. }) = GitHub::new(setup(settings)) else { panic!("{settings}") };
        assert_eq!(named, key);
    }
    assert!(GitHub::new(Setup { api_url: Some("here".to_owned()), ..setup("") }).is_err());
    assert!(login::token("github.com: {oauth_token: x}", None).is_some());
}

fn sound() -> Vec<Value> {
    vec![
        json!([deployment(1, COMMIT, "production", AFTER), deployment(2, OLD_COMMIT, "production", BEFORE)]),
        json!([status("success"), status("failure")]),
        runs(&[run(7, COMMIT, "success", AFTER), run(8, OLD_COMMIT, "failure", AFTER)]),
        jobs(&[job(70, "failure")]),
        checks(&[check(1, "success")]),
        statuses(&["success", "failure"]),
    ]
}

proptest! {
    #[test]
    fn damaged_answers_make_no_lie_and_no_panic(
        settings in prop::sample::select(vec!["", "environment = 'production'", "workflow = 'Deploy'", "follow = 'checks'"]),
        answers in prop::collection::vec(damage::answers(sound()), 0..12),
    ) {
        let mut provider = provider(settings);
        for question in [Question::Observe, Question::Observe, Question::FailureLog, Question::Credentials] {
            damage::holds_no_lie(&damage::answered(&mut provider, question, &answers), SECRET);
        }
    }
}
