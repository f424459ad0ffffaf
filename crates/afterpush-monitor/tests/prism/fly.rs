//! Fly.io: its machines. The description is not the vendor's own, which could not be had.

use afterpush_core::observation::DeploymentState as State;
use serde_json::json;

use crate::walk::{COMMIT, Walk};

const MACHINES: &str = "/v1/apps/{app_name}/machines";

#[tokio::test]
async fn the_machines_of_a_commit_are_followed_and_a_failure_is_explained() {
    let Some(walk) = Walk::of("fly", "fly/openapi-machines-thirdparty.json", "/v1").await else { return };
    // The releases are of another API, whose description is of another form.
    walk.relay.seen().beyond = vec![("/graphql", json!({"data": {"app": {"releasesUnprocessed": {"nodes": []}}}}))];
    let ours = |state: &str| {
        (
            MACHINES,
            vec![
                ("/0/state", json!(state)),
                ("/0/image_ref", json!({"labels": {"GH_SHA": COMMIT}})),
                ("/0/config/metadata", json!({"fly_process_group": "app", "fly_release_version": "7"})),
                ("/0/checks", json!([{"name": "http", "status": "passing"}])),
                ("/0/events", json!([])),
            ],
        )
    };
    let mut following = walk.follow("app = 'web'");
    walk.says(vec![ours("starting")]);
    assert_eq!(following.state().await, State::Deploying);
    walk.says(vec![ours("started")]);
    assert_eq!(following.state().await, State::Live);
    walk.says(vec![ours("failed")]);
    assert_eq!(following.state().await, State::Failed);
    assert!(following.log().await.contains("failed"));
    walk.end(following, &[MACHINES]).await;
}
