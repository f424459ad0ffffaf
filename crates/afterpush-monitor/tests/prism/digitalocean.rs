//! DigitalOcean.

use afterpush_core::observation::DeploymentState as State;
use serde_json::{Value, json};

use crate::{
    relay::LOG,
    walk::{COMMIT, Walk},
};

const APPS: &str = "/v2/apps";
const APP: &str = "/v2/apps/{id}";
const LIST: &str = "/v2/apps/{app_id}/deployments";
const ONE: &str = "/v2/apps/{app_id}/deployments/{deployment_id}";
const LOGS: &str = "/v2/apps/{app_id}/deployments/{deployment_id}/logs";

#[tokio::test]
async fn a_deployment_is_followed_and_its_failure_is_explained() {
    let Some(walk) = Walk::of("digitalocean", "digitalocean/openapi-apps.json", "").await else { return };
    let ours = |phase: &str| {
        vec![("/deployments/0/services/0/source_commit_hash", json!(COMMIT)), ("/deployments/0/phase", json!(phase))]
    };
    let source = json!({"repo_clone_url": "https://github.com/acme/web.git", "branch": "main"});
    let found = (APPS, vec![("/apps/0/spec/services/0/git", source)]);

    let mut following = walk.follow("");
    walk.says(vec![found, (LIST, ours("BUILDING"))]);
    assert_eq!(following.state().await, State::Building);
    // Behind a whole page of later ones.
    walk.says(vec![
        (LIST, vec![("/deployments/0/id", json!("a-later-one"))]),
        (
            ONE,
            vec![
                ("/deployment/services/0/source_commit_hash", json!(COMMIT)),
                ("/deployment/phase", json!("DEPLOYING")),
            ],
        ),
    ]);
    assert_eq!(following.state().await, State::Deploying);
    let id = following.deployment().await.id;
    let active = json!({"id": id, "phase": "ACTIVE", "services": [{"name": "web", "source_commit_hash": COMMIT}]});
    walk.says(vec![(APP, vec![("/app/active_deployment", active)])]);
    assert_eq!(following.state().await, State::Live);

    let mut failing = walk.follow("app = 'C2A93513-8d9b-4223-9d61-5e7272c81cf5'");
    let step =
        json!([{"name": "build", "status": "ERROR", "reason": {"code": "BuildJobExitNonZero", "message": "exit 2"}}]);
    let failed: Vec<(_, Value)> = [ours("ERROR"), vec![("/deployments/0/progress/steps", step)]].concat();
    walk.says(vec![(LIST, failed), (LOGS, vec![("/historic_urls", json!([walk.relay.elsewhere()]))])]);
    let deployment = failing.deployment().await;
    assert_eq!(deployment.state, State::Failed);
    assert!(deployment.reason.unwrap().contains("BuildJobExitNonZero"));
    assert_eq!(failing.log().await, LOG);
    walk.end(failing, &[APPS, APP, LIST, ONE, LOGS]).await;
}
