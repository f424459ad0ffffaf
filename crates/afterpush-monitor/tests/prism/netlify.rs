//! Netlify. The log is not in its description; only its own command line tells of it.

use afterpush_core::observation::DeploymentState as State;
use serde_json::json;

use crate::walk::{COMMIT, Walk};

const SITES: &str = "/sites";
const SITE: &str = "/sites/{site_id}";
const LIST: &str = "/sites/{site_id}/deploys";

#[tokio::test]
async fn a_deploy_is_followed_and_its_failure_is_explained() {
    // Prism leaves out the part of the address that this older kind of description names by itself.
    let Some(walk) = Walk::of("netlify", "netlify/swagger-deploys.json", "").await else { return };
    walk.relay.seen().beyond = vec![("/log", json!([{"ts": "1", "log": "the last line", "section": "building"}]))];
    let built = || json!({"repo_url": "https://github.com/acme/web", "repo_branch": "main"});
    let ours = |state: &str| {
        vec![
            ("/0/state", json!(state)),
            ("/0/commit_ref", json!(COMMIT)),
            ("/0/branch", json!("main")),
            ("/0/context", json!("production")),
            ("/0/skipped", json!(null)),
            ("/0/error_message", json!("Build script returned non-zero exit code: 2")),
        ]
    };
    let mut following = walk.follow("");
    walk.says(vec![(SITES, vec![("/0/build_settings", built())]), (LIST, ours("building"))]);
    let deploy = following.deployment().await;
    assert_eq!(deploy.state, State::Building);
    let published = vec![("/build_settings", built()), ("/published_deploy/id", json!(deploy.id))];
    walk.says(vec![(SITE, published), (LIST, ours("ready"))]);
    assert_eq!(following.state().await, State::Live);

    let mut failing = walk.follow("site = 'web'");
    walk.says(vec![(SITE, vec![("/build_settings", built())]), (LIST, ours("error"))]);
    let failed = failing.deployment().await;
    assert_eq!(failed.state, State::Failed);
    assert!(failed.reason.unwrap().contains("exit code: 2"));
    assert_eq!(failing.log().await, "the last line");
    walk.end(failing, &[SITES, SITE, LIST]).await;
}
