//! Argo CD.

use afterpush_core::observation::DeploymentState as State;
use serde_json::{Value, json};

use crate::walk::{COMMIT, Walk};

const LIST: &str = "/api/v1/applications";
const ONE: &str = "/api/v1/applications/{name}";
const LOGS: &str = "/api/v1/applications/{name}/logs";

fn application(phase: &str, health: &str) -> Value {
    let source = json!({"repoURL": "https://github.com/acme/web.git", "targetRevision": "main", "path": "."});
    let parts = json!([{"kind": "Deployment", "group": "apps", "version": "v1", "name": "web", "namespace": "web", "status": "Synced",
        "health": {"status": health, "message": "it crashes"}}]);
    json!({
        "metadata": {"name": "web", "namespace": "argocd"},
        "spec": {"project": "default", "source": source},
        "status": {
            "sync": {"status": "Synced", "revision": COMMIT},
            "health": {"status": health},
            "operationState": {"phase": phase, "startedAt": "2026-01-02T03:04:05Z", "finishedAt": "2026-01-02T03:04:06Z",
                "operation": {"sync": {"revision": COMMIT}}, "syncResult": {"revision": COMMIT, "source": source}},
            "resources": parts,
        },
    })
}

#[tokio::test]
async fn a_sync_is_followed_and_its_failure_is_explained() {
    let Some(walk) = Walk::of("argocd", "argocd/swagger-applications.json", "").await else { return };
    let mut following = walk.follow("");
    walk.says(vec![(LIST, vec![("", json!({"items": [application("Running", "Progressing")]}))])]);
    assert_eq!(following.state().await, State::Deploying);
    walk.says(vec![(ONE, vec![("", application("Succeeded", "Healthy"))])]);
    assert_eq!(following.state().await, State::Live);

    let mut failing = walk.follow("app = 'web'");
    let line = json!({"result": {"content": "the last line", "podName": "web-1"}});
    walk.says(vec![(ONE, vec![("", application("Failed", "Degraded"))]), (LOGS, vec![("", line)])]);
    assert_eq!(failing.state().await, State::Failed);
    assert!(failing.log().await.contains("the last line"));
    walk.end(failing, &[LIST, ONE, LOGS]).await;
}
