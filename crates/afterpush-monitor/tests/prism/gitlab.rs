//! GitLab: pipelines and environments. The vendor publishes no description that could be had: this one is written after its reference.

use afterpush_core::observation::DeploymentState as State;
use serde_json::json;

use crate::walk::{COMMIT, Walk};

const PIPELINES: &str = "/api/v4/projects/{id}/pipelines";
const PIPELINE: &str = "/api/v4/projects/{id}/pipelines/{pipeline_id}";
const JOBS: &str = "/api/v4/projects/{id}/pipelines/{pipeline_id}/jobs";
const BRIDGES: &str = "/api/v4/projects/{id}/pipelines/{pipeline_id}/bridges";
const JOB: &str = "/api/v4/projects/{id}/jobs/{job_id}";
const TRACE: &str = "/api/v4/projects/{id}/jobs/{job_id}/trace";
const DEPLOYMENTS: &str = "/api/v4/projects/{id}/deployments";

#[tokio::test]
async fn pipelines_and_environments_are_followed_and_a_failure_is_explained() {
    let Some(walk) = Walk::of("gitlab", "gitlab/openapi-handmade.json", "/api/v4").await else { return };
    let pipeline = |status: &str| (PIPELINES, vec![("/0/sha", json!(COMMIT)), ("/0/status", json!(status))]);
    let mut following = walk.follow("");
    walk.says(vec![pipeline("running")]);
    assert_eq!(following.state().await, State::Building);
    walk.says(vec![pipeline("success")]);
    assert_eq!(following.state().await, State::Live);

    let mut failing = walk.follow("project = 'acme/web'");
    walk.says(vec![pipeline("failed")]);
    let failed = failing.deployment().await;
    assert_eq!(failed.state, State::Failed);
    assert!(failed.reason.unwrap().contains("script_failure"));
    assert!(!failing.log().await.is_empty());
    // Without a job, its description is to blame.
    let mut broken = walk.follow("project = 'acme/web'");
    let none = vec![("", json!([]))];
    let why = (PIPELINE, vec![("/yaml_errors", json!("no jobs are defined"))]);
    walk.says(vec![pipeline("failed"), (JOBS, none.clone()), (BRIDGES, none), why]);
    assert!(broken.deployment().await.reason.unwrap().contains("no jobs are defined"));

    let mut environment = walk.follow("project = 'acme/web'\nenvironment = 'production'");
    let ours = |status: &str| (DEPLOYMENTS, vec![("/0/sha", json!(COMMIT)), ("/0/status", json!(status))]);
    walk.says(vec![ours("success")]);
    assert_eq!(environment.state().await, State::Live);
    walk.says(vec![ours("failed")]);
    assert!(environment.deployment().await.reason.unwrap().contains("script_failure"));
    walk.end(failing, &[PIPELINES, PIPELINE, JOBS, BRIDGES, JOB, TRACE, DEPLOYMENTS]).await;
}
