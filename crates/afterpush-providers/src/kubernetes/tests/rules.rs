//! kubectl's rules, kind by kind, as a table.

use super::*;

fn judged(kind: Kind, spec: Value, status: Value) -> (DeploymentState, String) {
    let object = json!({"metadata": {"name": "web", "generation": 4}, "spec": spec, "status": status});
    let rollout = rollout::judge(kind, &serde_json::from_value(object).unwrap());
    (rollout.state, rollout.progress.or(rollout.reason).unwrap_or_default())
}

use DeploymentState::{Blocked, Deploying, Failed, Live, Queued};

#[test]
fn a_deployment_is_judged_as_kubectl_does() {
    let status = |observed: i64, replicas: i64, updated: i64, available: i64| json!({"observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available});
    let exceeded = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]);
    let with = |mut status: Value, conditions: &Value| {
        status["conditions"] = conditions.clone();
        status
    };
    for (spec, status, state, told) in [
        (json!({"replicas": 3}), status(3, 3, 3, 3), Queued, "not observed"),
        (json!({"replicas": 3}), with(status(3, 3, 3, 3), &exceeded), Queued, "not observed"),
        (json!({"replicas": 3}), with(status(4, 3, 3, 3), &exceeded), Failed, "timed out"),
        (json!({"replicas": 3}), status(4, 3, 2, 3), Deploying, "2 of 3 replicas updated"),
        (json!({"replicas": 3}), status(4, 4, 3, 3), Deploying, "1 old replicas are ending"),
        (json!({"replicas": 3}), status(4, 3, 3, 2), Deploying, "2 of 3 updated replicas available"),
        (json!({"replicas": 3}), status(4, 3, 3, 3), Live, "3 pods"),
        (json!({"replicas": 3}), status(5, 3, 3, 3), Live, "3 pods"),
        // Without a wish for replicas only those that there are count, and what is missing is zero.
        (json!({}), status(4, 3, 2, 2), Deploying, "1 old replicas are ending"),
        (json!({"replicas": 0}), json!({"observedGeneration": 4}), Live, "0 pods"),
        (json!({"replicas": 1}), json!({"observedGeneration": 4}), Deploying, "0 of 1"),
        (json!({"replicas": 3}), json!(null), Queued, "not observed"),
        (json!({"replicas": 3, "paused": true}), status(4, 3, 1, 1), Blocked, "paused"),
        (json!({"replicas": 3, "paused": true}), status(4, 3, 3, 3), Live, "3 pods"),
    ] {
        let (seen, text) = judged(Kind::Deployment, spec.clone(), status.clone());
        assert!(seen == state && text.contains(told), "{spec} {status}: {seen:?} {text}");
    }
}

#[test]
fn a_stateful_set_is_judged_as_kubectl_does() {
    let spec =
        |kind: &str, rolling: Value| json!({"replicas": 3, "updateStrategy": {"type": kind, "rollingUpdate": rolling}});
    let partition = |partition: i64| spec("RollingUpdate", json!({"partition": partition}));
    let status = |observed: i64, ready: i64, updated: i64, revision: &str| {
        json!({"observedGeneration": observed, "replicas": 3, "readyReplicas": ready, "updatedReplicas": updated,
               "currentRevision": "a", "updateRevision": revision})
    };
    for (spec, status, state, told) in [
        (partition(0), status(0, 3, 3, "a"), Queued, "not observed"),
        (partition(0), status(3, 3, 3, "a"), Queued, "not observed"),
        (partition(0), status(4, 2, 3, "a"), Deploying, "2 of 3 pods ready"),
        (partition(0), status(4, 3, 2, "b"), Deploying, "2 of 3 pods updated"),
        (partition(0), status(4, 3, 3, "b"), Live, "3 pods"),
        (partition(2), status(4, 3, 0, "b"), Deploying, "0 of 1 pods updated"),
        (partition(2), status(4, 3, 1, "b"), Live, "1 pods"),
        (partition(3), status(4, 3, 0, "b"), Blocked, "partition"),
        (spec("RollingUpdate", json!(null)), status(4, 3, 1, "b"), Deploying, "1 of 3 pods updated"),
        (spec("RollingUpdate", json!(null)), status(4, 3, 3, "a"), Live, "3 pods"),
        (spec("OnDelete", json!(null)), status(4, 3, 1, "b"), Blocked, "1 of 3 pods updated"),
        (spec("OnDelete", json!(null)), status(4, 3, 3, "b"), Live, "3 pods"),
    ] {
        let (seen, text) = judged(Kind::StatefulSet, spec.clone(), status.clone());
        assert!(seen == state && text.contains(told), "{spec} {status}: {seen:?} {text}");
    }
}

#[test]
fn a_daemon_set_is_judged_as_kubectl_does() {
    let status = |observed: i64, updated: i64, available: i64| {
        json!({"observedGeneration": observed, "desiredNumberScheduled": 3, "updatedNumberScheduled": updated,
               "numberAvailable": available, "currentNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 3})
    };
    for (strategy, status, state, told) in [
        ("RollingUpdate", status(3, 3, 3), Queued, "not observed"),
        ("RollingUpdate", status(4, 2, 3), Deploying, "2 of 3 pods updated"),
        ("RollingUpdate", status(4, 3, 2), Deploying, "2 of 3 updated pods available"),
        ("RollingUpdate", status(4, 3, 3), Live, "3 pods"),
        ("OnDelete", status(4, 2, 3), Blocked, "2 of 3 pods updated"),
        ("OnDelete", status(4, 3, 3), Live, "3 pods"),
    ] {
        let (seen, text) = judged(Kind::DaemonSet, json!({"updateStrategy": {"type": strategy}}), status.clone());
        assert!(seen == state && text.contains(told), "{strategy} {status}: {seen:?} {text}");
    }
}

#[test]
fn the_commit_is_found_in_tags_annotations_and_labels_and_nowhere_else() {
    let image = |image: &str| {
        let mut web = deployment("x");
        web["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        observed(&web).deployment.is_some()
    };
    for (text, found) in [
        (format!("acme/web:{COMMIT}"), true),
        ("web:0123456".to_owned(), true),
        ("registry:5000/web:main-0123456".to_owned(), true),
        ("web:v1.2-3-g0123456789".to_owned(), true),
        ("web:sha-0123456".to_owned(), true),
        ("web:sha0123456".to_owned(), true),
        ("web:0123456@sha256:aaaa".to_owned(), true),
        ("web:012345".to_owned(), false),
        ("web:01234567f".to_owned(), false),
        ("web:x0123456".to_owned(), false),
        ("web".to_owned(), false),
        ("0123456:5000/web".to_owned(), false),
        ("0123456/web:latest".to_owned(), false),
        (format!("web@sha256:{COMMIT}"), false),
    ] {
        assert_eq!(image(&text), found, "{text}");
    }
    let seen = |settings: &str, change: fn(&mut Value)| {
        let mut web = deployment("latest");
        change(&mut web);
        let mut provider = provider(&format!("workload = 'web'\n{settings}"));
        VENDOR.observe(&mut provider, &[(WEB, ok(web))]).deployment.is_some()
    };
    let annotated = |web: &mut Value| web["spec"]["template"]["metadata"]["annotations"] = json!({"git": COMMIT});
    let labelled = |web: &mut Value| web["spec"]["template"]["metadata"]["labels"]["git"] = json!("0123456");
    let workload = |web: &mut Value| web["metadata"]["labels"] = json!({"git": COMMIT});
    let known = |web: &mut Value| {
        web["spec"]["template"]["metadata"]["annotations"] = json!({"org.opencontainers.image.revision": COMMIT});
    };
    let tagged = |web: &mut Value| web["spec"]["template"]["spec"]["containers"][0]["image"] = json!("web:0123456");
    // What the pods' template says of another commit is not overruled by the workload.
    let overruled = |web: &mut Value| {
        web["metadata"]["labels"] = json!({"git": COMMIT});
        web["spec"]["template"]["metadata"]["labels"]["git"] = json!(OLD_COMMIT);
    };
    assert!(seen("annotation = 'git'", annotated) && !seen("", annotated) && !seen("annotation = 'it'", annotated));
    assert!(seen("label = 'git'", labelled) && !seen("annotation = 'git'", labelled));
    assert!(seen("label = 'git'", workload) && !seen("label = 'git'", overruled));
    assert!(seen("", known) && !seen("container = 'web'", known) && !seen("label = 'git'", known));
    assert!(seen("", tagged) && seen("container = 'web'", tagged) && !seen("container = 'proxy'", tagged));
    assert!(!seen("annotation = 'git'", tagged));
}
