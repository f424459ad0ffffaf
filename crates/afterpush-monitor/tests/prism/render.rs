//! Render.

use afterpush_core::observation::DeploymentState as State;
use serde_json::json;

use crate::walk::{COMMIT, Walk};

const SERVICES: &str = "/services";
const SERVICE: &str = "/services/{serviceId}";
const LIST: &str = "/services/{serviceId}/deploys";
const EVENTS: &str = "/services/{serviceId}/events";
const LOGS: &str = "/logs";

#[tokio::test]
async fn a_deploy_is_followed_and_its_failure_is_explained() {
    let Some(walk) = Walk::of("render", "render/openapi-deploys.json", "").await else { return };
    let built = |at: [&'static str; 2]| vec![(at[0], json!("https://github.com/acme/web")), (at[1], json!("main"))];
    let found = || (SERVICES, built(["/0/service/repo", "/0/service/branch"]));
    let ours = |status: &str| (LIST, vec![("/0/deploy/commit/id", json!(COMMIT)), ("/0/deploy/status", json!(status))]);
    let event = |kind: &str, details| {
        let event = json!({"id": "evt-1", "timestamp": "2026-01-02T03:04:05Z", "type": kind, "details": details});
        (EVENTS, vec![("", json!([{"event": event, "cursor": "1"}]))])
    };

    let mut following = walk.follow("");
    walk.says(vec![found(), event("commit_ignored", json!({"id": COMMIT, "url": ""}))]);
    assert_eq!(following.state().await, State::Skipped);
    walk.says(vec![ours("build_in_progress")]);
    assert_eq!(following.state().await, State::Building);
    walk.says(vec![ours("live")]);
    let live = following.deployment().await;
    assert_eq!(live.state, State::Live);

    let mut failing = walk.follow("service = 'srv-1'");
    let ended = json!({"deployId": live.id, "deployStatus": "failed", "reason": {"failure": {"nonZeroExit": 2}}});
    let log = (LOGS, vec![("/logs/0/message", json!("the last line")), ("/hasMore", json!(false))]);
    walk.says(vec![ours("update_failed"), event("deploy_ended", ended), log]);
    let failed = failing.deployment().await;
    assert_eq!((failed.state, failed.reason.as_deref()), (State::Failed, Some("it exited with status 2")));
    assert_eq!(failing.log().await, "the last line");
    walk.end(failing, &[SERVICES, SERVICE, LIST, EVENTS, LOGS]).await;
}
