//! The provider against objects in the shape of the API's own description.

#![allow(clippy::unwrap_used)]

mod following;
mod rules;

use serde_json::{Value, json};

use super::*;
use crate::play::{self, COMMIT, OLD_COMMIT, Vendor, answer, ok};

const VENDOR: Vendor = Vendor { api: "https://kubernetes.invalid", credential: || None };

const WEB: &str = "/apis/apps/v1/namespaces/default/deployments/web";
const PODS: &str = "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb&limit=200";

fn setup(settings: &str) -> Setup {
    Setup {
        pushed_at: Some("2026-01-01T12:00:00Z".parse().unwrap()),
        ..play::setup(settings, "https://host/acme/web", None)
    }
}

fn provider(settings: &str) -> Conversation<Kubernetes> {
    Conversation::new(Kubernetes::new(setup(settings)).unwrap())
}

fn web() -> Conversation<Kubernetes> {
    provider("workload = 'web'")
}

/// A Deployment with this tag, whose rollout is over.
fn deployment(tag: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "generation": 4, "annotations": {"secret": "canary-note"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{
                    "name": "web",
                    "image": format!("registry.test:5000/acme/web:{tag}"),
                    "env": [{"name": "KEY", "value": "canary-value"}],
                }]},
            },
        },
        "status": {
            "observedGeneration": 4, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, "readyReplicas": 3,
            "conditions": [{
                "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
                "message": "ReplicaSet \"web-1\" has successfully progressed.",
            }],
        },
    })
}

/// The same, with one of three replicas updated.
fn rolling(tag: &str) -> Value {
    let mut deployment = deployment(tag);
    deployment["status"]["updatedReplicas"] = json!(1);
    deployment
}

fn pod(name: &str, tag: &str, status: Value) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [
            {"name": "web", "image": format!("registry.test:5000/acme/web:{tag}")},
            {"name": "injected-sidecar", "image": "sidecar:1"},
        ]},
        "status": status,
    })
}

fn waiting(reason: &str, restarts: u32) -> Value {
    let last = if restarts > 0 { json!({"terminated": {"exitCode": 1, "reason": "Error"}}) } else { json!({}) };
    json!({"containerStatuses": [{
        "name": "web", "image": "i", "imageID": "", "ready": false, "restartCount": restarts, "lastState": last,
        "state": {"waiting": {"reason": reason, "message": "back-off, said the \u{1b}[31mkubelet"}},
    }]})
}

fn list(pods: &[Value]) -> HttpResponse {
    ok(json!({"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": pods}))
}

fn observed(object: &Value) -> ProviderObservation {
    VENDOR.observe(&mut web(), &[(WEB, ok(object))])
}

fn in_progress(object: &Value) -> Deployment {
    VENDOR.observe(&mut web(), &[(WEB, ok(object)), (PODS, list(&[]))]).deployment.unwrap()
}
