//! Vercel.

use afterpush_core::observation::DeploymentState as State;
use serde_json::json;

use crate::walk::{COMMIT, Walk};

const PROJECTS: &str = "/v10/projects";
const PROJECT: &str = "/v9/projects/{idOrName}";
const LIST: &str = "/v6/deployments";
const ONE: &str = "/v13/deployments/{idOrUrl}";
const EVENTS: &str = "/v3/deployments/{idOrUrl}/events";

#[tokio::test]
async fn a_deployment_is_followed_and_its_failure_is_explained() {
    let Some(walk) = Walk::of("vercel", "vercel/openapi-deployments.json", "").await else { return };
    let link = || json!({"type": "github", "org": "acme", "repo": "web", "productionBranch": "main"});
    let found = (PROJECTS, vec![("/projects/0/link", link()), ("/pagination/next", json!(null))]);
    let ours = |word: &str, substate: &str| {
        let meta = json!({"githubCommitSha": COMMIT, "githubCommitRef": "main"});
        vec![
            ("/deployments/0/meta", meta),
            ("/deployments/0/readyState", json!(word)),
            ("/deployments/0/readySubstate", json!(substate)),
            ("/deployments/0/aliasAssigned", json!(true)),
            ("/deployments/0/aliasError", json!(null)),
            ("/deployments/0/errorMessage", json!(null)),
        ]
    };
    let mut following = walk.follow("");
    walk.says(vec![found, (LIST, ours("BUILDING", "STAGED"))]);
    let deployment = following.deployment().await;
    assert_eq!(deployment.state, State::Building);
    let production =
        json!({"id": deployment.id, "createdAt": 1_609_492_210_000_u64, "alias": ["web.example.com"], "meta": {}});
    let points = vec![("/link", link()), ("/targets", json!({"production": production}))];
    walk.says(vec![(LIST, ours("READY", "PROMOTED")), (PROJECT, points)]);
    let live = following.deployment().await;
    assert_eq!((live.state, live.site_url.as_deref()), (State::Live, Some("https://web.example.com")));

    let mut failing = walk.follow("project = 'web'");
    let why = vec![("/id", json!(live.id)), ("/errorMessage", json!("Command exited with 1"))];
    let log = vec![("/0/payload/text", json!("the last line"))];
    walk.says(vec![(PROJECT, vec![("/link", link())]), (LIST, ours("ERROR", "STAGED")), (ONE, why), (EVENTS, log)]);
    let failed = failing.deployment().await;
    assert_eq!(failed.state, State::Failed);
    assert!(failed.reason.unwrap().contains("Command exited with 1"));
    assert_eq!(failing.log().await, "the last line");
    walk.end(failing, &[PROJECTS, PROJECT, LIST, ONE, EVENTS]).await;
}
