//! Cloudflare Pages.

use afterpush_core::observation::DeploymentState as State;
use serde_json::json;

use crate::walk::{COMMIT, Walk};

const ACCOUNTS: &str = "/accounts";
const PROJECTS: &str = "/accounts/{account_id}/pages/projects";
const PROJECT: &str = "/accounts/{account_id}/pages/projects/{project_name}";
const LIST: &str = "/accounts/{account_id}/pages/projects/{project_name}/deployments";
const LOGS: &str = "/accounts/{account_id}/pages/projects/{project_name}/deployments/{deployment_id}/history/logs";

#[tokio::test]
async fn a_deployment_is_followed_and_its_failure_is_explained() {
    let Some(walk) = Walk::of("cloudflare", "cloudflare/openapi-pages-workers.json", "").await else { return };
    // The description is older than the tokens of today, and knows a person's key alone.
    walk.relay
        .seen()
        .added
        .extend([("x-auth-email", "somebody@example.com"), ("x-auth-key", "144c9defac04969c7bfad8efaa8ea194")]);
    let source = || json!({"type": "github", "config": {"owner": "acme", "repo_name": "web"}});
    let accounts =
        || (ACCOUNTS, vec![("/result", json!([{"id": "023e105f4ecef8ad9ca31a8372d0c353", "name": "acme"}]))]);
    let ours = |stage: &str, status: &str| {
        let metadata = json!({"branch": "main", "commit_hash": COMMIT});
        (
            LIST,
            vec![
                ("/result/0/deployment_trigger", json!({"type": "push", "metadata": metadata})),
                ("/result/0/environment", json!("production")),
                ("/result/0/is_skipped", json!(false)),
                // The example's own id is longer than the description lets an id be.
                ("/result/0/id", json!("f64788e9fccd4d4aa28acb84f88f6123")),
                ("/result/0/latest_stage", json!({"name": stage, "status": status})),
            ],
        )
    };
    let project = || vec![("/result/name", json!("web")), ("/result/production_branch", json!("main"))];
    let in_list = vec![
        ("/result/0/source", source()),
        ("/result/0/name", json!("web")),
        ("/result/0/production_branch", json!("main")),
    ];

    let mut following = walk.follow("");
    walk.says(vec![accounts(), (PROJECTS, in_list), ours("build", "active")]);
    let deployment = following.deployment().await;
    assert_eq!(deployment.state, State::Building);
    let points = vec![("/result/canonical_deployment/id", json!(deployment.id))];
    walk.says(vec![ours("deploy", "success"), (PROJECT, [project(), points].concat())]);
    assert_eq!(following.state().await, State::Live);

    let mut failing = walk.follow("account = '023e105f4ecef8ad9ca31a8372d0c353'\nproject = 'web'");
    walk.says(vec![ours("build", "failure"), (PROJECT, project())]);
    let failed = failing.deployment().await;
    assert_eq!(failed.state, State::Failed);
    assert!(failed.reason.unwrap().contains("build"));
    assert!(failing.log().await.contains("Cloning repository..."));
    walk.end(failing, &[ACCOUNTS, PROJECTS, PROJECT, LIST, LOGS]).await;
}
