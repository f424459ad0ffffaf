//! Each way a push can end: its exit code, its files, its text; with the simulated DigitalOcean API and real HTTP health.

use std::{fs, time::Duration};

use afterpush_testkit::{
    digitalocean::Fault,
    health::App,
    sandbox::{Project, Said},
};
use serde_json::Value;

use crate::scene::{SHORT, Scene, TARGET};

const TOKEN: &str = "canary-token-7c1f";

impl Scene {
    fn new() -> Self {
        Self::with_policy("")
    }

    fn with_policy(more: &str) -> Self {
        Self::with_live_url("https://storefront.example.invalid", more)
    }

    pub(crate) fn with_live_url(live_url: &str, policy: &str) -> Self {
        Self::without_token(live_url, &format!("{SHORT}{policy}"))
    }

    fn project(&self) -> Project<'_> {
        self.sandbox.project(TARGET)
    }

    /// Pushes as people do, with the token in the environment.
    pub(crate) fn push(&self, project: &Project<'_>) -> String {
        let said = Said::of(project.push_command(&["origin", "main"]).env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN));
        assert_eq!(said.code, Some(0), "{said:?}");
        let commit = project.head();
        let line = format!("afterpush: watching {} -> web; `deploy-status` tells", &commit[..7]);
        assert!(said.stderr.contains(&line), "{said:?}");
        commit
    }
}

pub(crate) fn ended(project: &Project<'_>, commit: &str, outcome: &str, code: i32) -> (Value, Said) {
    let result = project.result(commit);
    assert_eq!(result["outcome"], outcome, "{result:#}");
    assert_eq!((&result["phase"], &result["commit"]), (&"finished".into(), &commit.into()));
    assert_eq!(result["schema"]["name"], "afterpush.result");
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(code), "{said:?}");
    let json = project.deploy_status(&["--json"]);
    assert_eq!(json.code, Some(code));
    assert_eq!(json.json()["outcome"], outcome);
    assert_eq!(json.json()["schema"]["name"], "afterpush.status");
    assert_eq!(project.deploy_status(&["--quiet"]).stdout, "");
    (result, said)
}

#[test]
fn t1_t4_a_push_starts_a_monitor_that_follows_the_commit_until_it_is_live() {
    let scene = Scene::new();
    let project = scene.project();
    let commit = scene.push(&project);
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(2), "{said:?}");
    let deployment = scene.simulator.deploy(&scene.app, &commit);
    for phase in ["PENDING_BUILD", "BUILDING", "PENDING_DEPLOY", "DEPLOYING"] {
        deployment.set_phase(phase);
        project.status(&commit, phase, |status| status["targets"][0]["stages"][0]["deployment"]["raw"] == phase);
        assert_eq!(project.deploy_status(&[]).code, Some(2));
    }
    deployment.set_phase("ACTIVE");
    let (result, said) = ended(&project, &commit, "live", 0);
    let stage = &result["targets"][0]["stages"][0];
    assert_eq!((&stage["verdict"], &stage["deployment"]["commit"]), (&"passed".into(), &commit.as_str().into()));
    assert!(stage["deployment"]["url"].as_str().unwrap().starts_with("https://cloud.digitalocean.com/apps/"));
    assert!(said.stdout.starts_with("live"), "{said:?}");
    assert!(said.stdout.contains(&commit[..7]), "{said:?}");
}

#[test]
fn a_build_error_is_told_with_its_reason_its_address_and_its_log() {
    let scene = Scene::new();
    let project = scene.project();
    let commit = scene.push(&project);
    let log: String = (0..40).map(|line| format!("web 2026-01-02T03:04:05Z line {line}\n")).collect();
    let log = format!("{log}web 2026-01-02T03:04:06Z \u{1b}[31merror: cannot find module\u{1b}[0m\u{202e}\n");
    scene.simulator.deploy(&scene.app, &commit).fail_build(&log);
    let (result, said) = ended(&project, &commit, "deploy_failed", 1);
    assert!(result["reason"].as_str().unwrap().contains("BuildJobExitNonZero"), "{result:#}");
    for text in [
        "deploy_failed",
        "BuildJobExitNonZero",
        "https://cloud.digitalocean.com/apps/",
        "error: cannot find module",
        "line 39",
    ] {
        assert!(said.stdout.contains(text), "{text}: {said:?}");
    }
    assert!(!said.stdout.contains("line 19\n"), "only the last 20 lines: {said:?}");
    assert!(!said.stdout.contains('\u{1b}') && !said.stdout.contains('\u{202e}'), "{said:?}");
    let log = fs::read_to_string(project.runs(&commit)[0].join("provider.log")).unwrap();
    assert!(log.contains("line 0\n") && log.contains("error: cannot find module\n"), "{log}");
    assert!(
        scene.simulator.log_downloads().iter().all(|download| !download.authorised),
        "the token went to the log's host"
    );
    assert!(!scene.simulator.log_downloads().is_empty());
}

#[test]
fn a_failed_health_check_of_the_platform_and_its_automatic_rollback_are_told() {
    let scene = Scene::new();
    let project = scene.project();
    let commit = scene.push(&project);
    let deployment = scene.simulator.deploy(&scene.app, &commit);
    deployment.fail_health_check("web 2026-01-02T03:04:05Z connection refused on port 8080\n");
    deployment.auto_rollback();
    let (result, said) = ended(&project, &commit, "deploy_failed", 1);
    let reason = result["reason"].as_str().unwrap();
    assert!(reason.contains("DeployContainerHealthChecksFailed") && reason.contains("rolled back"), "{reason}");
    assert!(said.stdout.contains("connection refused on port 8080"), "{said:?}");
}

#[test]
fn a_canceled_deployment_is_not_called_failed() {
    let scene = Scene::new();
    let project = scene.project();
    let commit = scene.push(&project);
    scene.simulator.deploy(&scene.app, &commit).cancel();
    ended(&project, &commit, "canceled", 1);
}

#[test]
fn t11_a_superseded_deployment_ends_and_a_live_descendant_counts() {
    let scene = Scene::new();
    let project = scene.project();
    let first = scene.push(&project);
    scene.simulator.deploy(&scene.app, &first).set_phase("BUILDING");
    project.status(&first, "deploying", |status| status["phase"] == "deploying");
    let second = project.commit("second");
    scene.push(&project);
    scene.simulator.supersede(&scene.app, &first);
    scene.simulator.deploy(&scene.app, &second).set_phase("ACTIVE");
    let result = project.result(&first);
    assert_eq!(
        (&result["outcome"], &result["outcome_by"]),
        (&"live_contained".into(), &second.as_str().into()),
        "{result:#}"
    );
    assert_eq!(project.deploy_status(&[&first]).code, Some(0));
    ended(&project, &second, "live", 0);
}

#[test]
fn a_branch_that_is_moved_back_is_not_live_by_what_the_push_takes_away() {
    let scene = Scene::with_token(SHORT);
    let project = scene.project();
    let push = |commit: &str| {
        assert_eq!(project.push(&["--quiet", "--force", "origin", &format!("{commit}:refs/heads/main")]).code, Some(0));
    };
    let go_live = |commit: &str| {
        scene.simulator.deploy(&scene.app, commit).set_phase("ACTIVE");
        assert_eq!(project.deploy_status(&[commit, "--wait", "60s"]).code, Some(0));
        project.result(commit)
    };
    let first = project.commit("good");
    push(&first);
    go_live(&first);
    let second = project.commit("bad");
    push(&second);
    go_live(&second);
    // The second one is live and contains the first one; that is what the person wants to get rid of.
    push(&first);
    project.status(&first, "an answer", |status| {
        eprintln!("{status}");
        status["phase"] == "awaiting_deployment" && status["targets"][0]["stages"][0]["summary"] != "not asked yet"
    });
    assert_eq!(project.deploy_status(&[&first]).code, Some(2));
    assert_eq!(go_live(&first)["outcome"], "live");
}

#[test]
fn t11_a_deployment_that_a_strangers_push_replaced_is_superseded_at_once() {
    let scene = Scene::new();
    let project = scene.project();
    let commit = scene.push(&project);
    scene.simulator.deploy(&scene.app, &commit).set_phase("BUILDING");
    project.status(&commit, "deploying", |status| status["phase"] == "deploying");
    scene.simulator.supersede(&scene.app, &commit);
    let theirs = "d".repeat(40);
    scene.simulator.deploy(&scene.app, &theirs).set_phase("ACTIVE");
    let (result, _) = ended(&project, &commit, "superseded", 1);
    assert_eq!(result["outcome_by"], theirs, "{result:#}");
}

#[test]
fn a_forced_push_supersedes_the_commit_that_it_removes() {
    let scene = Scene::new();
    let project = scene.project();
    let first = scene.push(&project);
    project.git(&["commit", "--quiet", "--amend", "--allow-empty", "-m", "other history"]);
    let other = project.head();
    let said = Said::of(project.push_command(&["--force", "origin", "main"]).env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN));
    assert_eq!(said.code, Some(0), "{said:?}");
    let result = project.result(&first);
    assert_eq!(
        (&result["outcome"], &result["outcome_by"]),
        (&"superseded".into(), &other.as_str().into()),
        "{result:#}"
    );
    scene.simulator.deploy(&scene.app, &other).set_phase("ACTIVE");
    ended(&project, &other, "live", 0);
}

#[test]
fn a_deployment_that_never_appears_is_no_deployment() {
    let scene = Scene::with_policy("registration_deadline = \"1500ms\"");
    let project = scene.project();
    let commit = scene.push(&project);
    let (result, said) = ended(&project, &commit, "no_deployment", 1);
    assert!(result["reason"].as_str().unwrap().contains("1500 ms"), "{result:#}");
    assert!(said.stdout.contains("no_deployment"), "{said:?}");
}

#[test]
fn a_pinned_app_says_that_it_is_pinned() {
    let scene = Scene::new();
    scene.simulator.pin(&scene.app);
    let project = scene.project();
    let commit = scene.push(&project);
    let (result, _) = ended(&project, &commit, "no_deployment", 1);
    assert!(result["reason"].as_str().unwrap().contains("pinned"), "{result:#}");
}

#[test]
fn a_refused_token_is_unauthorized_at_once_and_names_the_scope() {
    let scene = Scene::new();
    let project = scene.project();
    let said = Said::of(project.push_command(&["origin", "main"]).env("DIGITALOCEAN_ACCESS_TOKEN", "wrong"));
    assert_eq!(said.code, Some(0));
    scene.simulator.refuse("wrong");
    let (result, _) = ended(&project, &project.head(), "unauthorized", 1);
    assert!(result["reason"].as_str().unwrap().contains("app:read"), "{result:#}");
}

#[test]
fn without_a_token_the_run_is_unverified_and_says_what_to_set() {
    let scene = Scene::new();
    let project = scene.project();
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let (_, said) = ended(&project, &project.head(), "unverified", 1);
    assert!(said.stdout.contains("DIGITALOCEAN_ACCESS_TOKEN"), "{said:?}");
    assert!(!said.stdout.contains("waited for a place"), "{said:?}");
    assert!(scene.simulator.requests().is_empty());
}

#[test]
fn trouble_of_the_provider_is_survived_and_never_a_verdict() {
    for faults in [
        vec![Fault::RateLimited { retry_after: 1 }],
        vec![Fault::Status(500); 5],
        vec![Fault::Html, Fault::Truncated, Fault::Status(503), Fault::Empty],
        vec![Fault::Huge, Fault::Nulls],
        vec![Fault::Broken; 2],
    ] {
        let scene = Scene::new();
        let project = scene.project();
        let count = faults.len();
        scene.simulator.faults(faults.clone());
        let commit = scene.push(&project);
        let status = project
            .status(&commit, "trouble in the status", |status| !status["targets"][0]["stages"][0]["trouble"].is_null());
        assert!(status["outcome"].is_null(), "{status:#}");
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        ended(&project, &commit, "live", 0);
        assert!(scene.simulator.requests().len() > count, "{faults:?}");
    }
}

#[test]
fn retry_after_is_honoured() {
    let scene = Scene::new();
    let project = scene.project();
    scene.simulator.faults(vec![Fault::RateLimited { retry_after: 2 }]);
    let commit = scene.push(&project);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    ended(&project, &commit, "live", 0);
    let times: Vec<_> = scene.simulator.requests().iter().map(|request| request.at).collect();
    assert!(times[1] - times[0] >= Duration::from_secs(2), "{times:?}");
}

#[test]
fn a_provider_that_only_makes_trouble_ends_as_a_timeout_that_names_it() {
    let scene = Scene::with_policy("deadline = \"2s\"");
    let project = scene.project();
    scene.simulator.faults(vec![Fault::Status(500); 1000]);
    let commit = scene.push(&project);
    let (result, _) = ended(&project, &commit, "timed_out", 1);
    assert_eq!(result["outcome_phase"], "awaiting_deployment");
    assert!(result["reason"].as_str().unwrap().contains("500"), "{result:#}");
}

#[test]
fn t5_a_healthy_old_version_is_not_taken_for_the_new_one() {
    let app = App::start();
    let scene = Scene::with_live_url(&app.url(), "deadline = \"4s\"");
    let config = TARGET.to_owned() + "health = { path = \"/health\", commit = \"/commit\", passes = 2 }\n";
    let project = scene.sandbox.project(&config);
    app.serve(&"f".repeat(40));
    let commit = scene.push(&project);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let status = project.status(&commit, "the old commit in the status", |status| {
        status["targets"][0]["stages"][2]["summary"].as_str().is_some_and(|text| text.contains("still serving fffffff"))
    });
    assert_eq!(status["phase"], "verifying");
    let (result, _) = ended(&project, &commit, "timed_out", 1);
    assert_eq!(result["outcome_phase"], "verifying");

    let next = project.commit("next");
    scene.push(&project);
    scene.simulator.deploy(&scene.app, &next).set_phase("ACTIVE");
    app.serve(&next);
    ended(&project, &next, "live", 0);
    assert!(
        app.headers_seen().iter().all(|name| name != "authorization" && name != "cookie"),
        "{:?}",
        app.headers_seen()
    );
}

#[test]
fn an_unhealthy_application_fails_after_failures_in_a_row() {
    let app = App::start();
    let scene = Scene::with_live_url(&app.url(), "");
    let config = TARGET.to_owned() + "health = { path = \"/health\", commit = \"/commit\", failures = 3 }\n";
    let project = scene.sandbox.project(&config);
    app.answer(503);
    let commit = scene.push(&project);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let (result, _) = ended(&project, &commit, "health_failed", 1);
    assert!(result["reason"].as_str().unwrap().contains("503"), "{result:#}");
}

#[test]
fn the_quick_check_ends_the_run_at_once_when_health_already_proves_the_commit() {
    let app = App::start();
    let scene = Scene::with_live_url(&app.url(), "first_interval = \"20s\"\nslow_interval = \"20s\"");
    // The same address in the user's own file, so that it is known before the provider has told one.
    let project = scene.project();
    let own = format!(
        "\n[[target]]\nname = \"web\"\nhealth = {{ url = \"{}/health\", commit = \"/commit\", passes = 1 }}\n",
        app.url()
    );
    let file = scene.sandbox.path().join("home/.config/afterpush/config.toml");
    let text =
        fs::read_to_string(&file).unwrap().replace("first_interval = \"100ms\"\nslow_interval = \"300ms\"\n", "");
    fs::write(&file, text + &own).unwrap();
    app.serve(&project.head());
    let commit = scene.push(&project);
    let (result, _) = ended(&project, &commit, "live", 0);
    assert!(result["reason"].as_str().unwrap().contains("health"), "{result:#}");
}

#[test]
fn a_repository_that_is_not_trusted_gets_the_safe_part_only() {
    let scene = Scene::new();
    let config = TARGET.to_owned()
        + "database = { url_env = \"DATABASE_URL\" }\nhealth = { url = \"https://evil.example.invalid/\" }\n";
    let project = scene.sandbox.project(&config);
    let commit = scene.push(&project);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let (result, said) = ended(&project, &commit, "live", 0);
    assert_eq!(result["left_out"].as_array().unwrap().len(), 2, "{result:#}");
    assert!(said.stdout.contains("afterpush trust"), "{said:?}");
}

#[test]
fn the_log_holds_as_much_as_is_asked_for_and_never_the_token() {
    for (wish, has_changes, has_detail) in [("", true, false), ("off", false, false), ("debug", true, true)] {
        let scene = Scene::new();
        let project = scene.project();
        let mut push = project.push_command(&["origin", "main"]);
        let said = Said::of(push.env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN).env("AFTERPUSH_LOG", wish));
        assert_eq!(said.code, Some(0), "{said:?}");
        let commit = project.head();
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        ended(&project, &commit, "live", 0);
        let log = fs::read_to_string(project.runs(&commit)[0].join("monitor.log")).unwrap_or_default();
        assert_eq!(log.contains("finished: live"), has_changes, "{wish}: {log}");
        assert_eq!(log.contains("debug: Ask { target: 0, stage: Provider }"), has_detail, "{wish}: {log}");
        assert!(!log.contains(TOKEN), "{wish}: {log}");
    }
}
