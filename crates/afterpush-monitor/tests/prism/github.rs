//! GitHub: deployments, workflow runs and checks.

use afterpush_core::observation::DeploymentState as State;
use serde_json::{Value, json};

use crate::{
    relay::LOG,
    walk::{COMMIT, Walk},
};

const DEPLOYMENTS: &str = "/repos/{owner}/{repo}/deployments";
const STATUSES: &str = "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses";
const RUNS: &str = "/repos/{owner}/{repo}/actions/runs";
const RUNS_OF_WORKFLOW: &str = "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs";
const JOBS: &str = "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs";
const JOB: &str = "/repos/{owner}/{repo}/actions/jobs/{job_id}";
const JOB_LOG: &str = "/repos/{owner}/{repo}/actions/jobs/{job_id}/logs";
const CHECKS: &str = "/repos/{owner}/{repo}/commits/{ref}/check-runs";
const STATUS: &str = "/repos/{owner}/{repo}/commits/{ref}/status";
const REPOSITORY: &str = "/repos/{owner}/{repo}";

#[tokio::test]
async fn deployments_runs_and_checks_are_followed_and_a_failure_is_explained() {
    let Some(walk) = Walk::of("github", "github/openapi-deploy.json", "").await else { return };
    let deployment = || (DEPLOYMENTS, vec![("/0/sha", json!(COMMIT)), ("/0/ref", json!("main"))]);
    let mut following = walk.follow("");
    walk.says(vec![deployment(), (STATUSES, vec![("/0/state", json!("in_progress"))])]);
    assert_eq!(following.state().await, State::Deploying);
    walk.says(vec![deployment()]);
    assert_eq!(following.state().await, State::Live);

    let mut failing = walk.follow("environment = 'production'");
    let page = json!("https://github.com/acme/web/actions/runs/5/job/7");
    let job = |at: &'static str| (at, json!("failure"));
    walk.says(vec![
        deployment(),
        (STATUSES, vec![("/0/state", json!("failure")), ("/0/log_url", page)]),
        (JOB, vec![job("/conclusion"), job("/steps/0/conclusion")]),
    ]);
    let deployment = failing.deployment().await;
    assert_eq!(deployment.state, State::Failed);
    assert!(deployment.reason.unwrap().contains("failed at the step"));
    assert_eq!(failing.log().await, LOG);

    let run = |conclusion: &str| -> Vec<(&'static str, Value)> {
        vec![
            ("/workflow_runs/0/head_sha", json!(COMMIT)),
            ("/workflow_runs/0/head_branch", json!("main")),
            ("/workflow_runs/0/status", json!("completed")),
            ("/workflow_runs/0/conclusion", json!(conclusion)),
        ]
    };
    let mut runs = walk.follow("follow = 'actions'");
    walk.says(vec![(RUNS, run("success"))]);
    assert_eq!(runs.state().await, State::Deploying, "another run may still begin");
    assert_eq!(runs.state().await, State::Live);
    let mut failing = walk.follow("workflow = 'deploy.yml'");
    walk.says(vec![(RUNS_OF_WORKFLOW, run("failure")), (JOBS, vec![job("/jobs/0/conclusion")])]);
    assert_eq!(failing.state().await, State::Failed);
    assert_eq!(failing.log().await, LOG);

    let mut checks = walk.follow("follow = 'checks'");
    let check = vec![("/check_runs/0/head_sha", json!(COMMIT)), ("/check_runs/0/conclusion", json!("success"))];
    walk.says(vec![(CHECKS, check), (STATUS, vec![("/sha", json!(COMMIT))])]);
    assert_eq!(checks.state().await, State::Deploying);
    assert_eq!(checks.state().await, State::Live);

    let told = walk.follow_at("git@git.acme.test:elsewhere", "").credentials().await;
    assert!(told.contains("works") || told.starts_with("sees"), "{told}");
    assert!(failing.credentials().await.starts_with("sees"));
    let paths =
        [DEPLOYMENTS, STATUSES, RUNS, RUNS_OF_WORKFLOW, JOBS, JOB, JOB_LOG, CHECKS, STATUS, REPOSITORY, "/rate_limit"];
    walk.end(failing, &paths).await;
}
