//! A rollout from look to look: pods, logs, other commits, trouble.

use afterpush_core::run::Relation;
use proptest::prelude::*;

use super::*;
use crate::{Question, Reply, Turn};

const OURS: &str = "main-0123456";

#[test]
fn a_rollout_that_is_over_is_live_and_nothing_secret_is_shown() {
    let seen = observed(&deployment(OURS));
    let ours = seen.deployment.clone().unwrap();
    assert_eq!((ours.state, ours.raw.as_str()), (DeploymentState::Live, "rolled out"));
    assert_eq!((ours.id.as_str(), ours.commit.relation), ("default/deployment/web", Relation::Same));
    assert!(!format!("{seen:?}").contains("canary"));
}

#[test]
fn each_kind_in_its_namespace_is_asked_for_at_its_place() {
    for (workload, path) in [
        ("deployment/web", "deployments/web"),
        ("deploy/web", "deployments/web"),
        ("StatefulSet/db", "statefulsets/db"),
        ("ds/agent", "daemonsets/agent"),
    ] {
        let mut provider = provider(&format!("workload = '{workload}'\nnamespace = 'prod'\ncontext = 'c'"));
        let path = format!("/apis/apps/v1/namespaces/prod/{path}");
        assert_eq!(VENDOR.observe(&mut provider, &[(&path, answer(404, "{}"))]), ProviderObservation::default());
        assert_eq!(crate::Provider::carrier(&provider), Carrier::Cluster { context: Some("c".to_owned()) });
    }
    for (settings, told) in [
        ("namespace = 'prod'", "\"workload\" is needed"),
        ("workload = 'job/web'", "deployment/NAME"),
        ("workload = 'deployment/'", "deployment/NAME"),
        ("workload = 'deployment/a/b'", "deployment/NAME"),
        ("workload = 'web'\ncluster = 'x'", "not known to kubernetes"),
    ] {
        let error = Kubernetes::new(setup(settings)).unwrap_err().to_string();
        assert!(error.contains(told), "{settings}: {error}");
    }
}

#[test]
fn another_commit_is_what_serves_and_a_later_one_has_overtaken_ours() {
    let other = deployment("main-fedcba9");
    let seen = observed(&other);
    assert_eq!(seen.deployment, None);
    let serving = seen.serving.unwrap();
    assert_eq!((serving.commit.unwrap().id.as_str(), serving.is_later), ("fedcba9", false));
    assert_eq!(observed(&rolling("main-fedcba9")), ProviderObservation::default());
    assert_eq!(observed(&deployment("20260101")).serving.unwrap().commit, None, "a date is no commit");

    let mut provider = web();
    VENDOR.observe(&mut provider, &[(WEB, ok(rolling(OURS))), (PODS, list(&[]))]);
    let seen = VENDOR.observe(&mut provider, &[(WEB, ok(rolling("main-fedcba9")))]);
    assert_eq!((seen.deployment.unwrap().state, seen.serving), (DeploymentState::Superseded, None));
    let seen = VENDOR.observe(&mut provider, &[(WEB, ok(other))]);
    assert_eq!(seen.deployment.unwrap().state, DeploymentState::Superseded);
    assert!(seen.serving.unwrap().is_later);
}

#[test]
fn a_pod_that_stays_in_trouble_fails_the_rollout_before_its_deadline() {
    use DeploymentState::{Deploying, Failed};
    for (reason, restarts, states) in [
        ("ImagePullBackOff", 0, [Deploying, Deploying, Failed]),
        ("InvalidImageName", 0, [Deploying, Deploying, Failed]),
        ("ErrImageNeverPull", 0, [Deploying, Deploying, Failed]),
        ("CreateContainerConfigError", 0, [Deploying, Deploying, Failed]),
        ("CreateContainerError", 0, [Deploying, Deploying, Failed]),
        ("RunContainerError", 0, [Deploying, Deploying, Failed]),
        ("CrashLoopBackOff", 1, [Deploying, Deploying, Failed]),
        ("CrashLoopBackOff", 3, [Failed, Failed, Failed]),
        ("ErrImagePull", 0, [Deploying, Deploying, Deploying]),
        ("ContainerCreating", 0, [Deploying, Deploying, Deploying]),
        ("SomethingNew", 0, [Deploying, Deploying, Deploying]),
    ] {
        let mut provider = web();
        let pods = [pod("web-2-a", OURS, waiting(reason, restarts))];
        let seen = states.map(|_| {
            let script = [(WEB, ok(rolling(OURS))), (PODS, list(&pods))];
            VENDOR.observe(&mut provider, &script).deployment.unwrap()
        });
        assert_eq!(seen.clone().map(|it| it.state), states, "{reason} {restarts}");
        if seen[2].state == Failed {
            assert_eq!(seen[2].raw, reason);
            let told = seen[2].reason.clone().unwrap();
            assert!(told.starts_with("container web of pod web-2-a: ") && !told.contains('\u{1b}'), "{told}");
        }
    }
}

#[test]
fn one_flaky_look_at_a_pod_fails_nothing() {
    let mut provider = web();
    let troubled = list(&[pod("web-2-a", OURS, waiting("ImagePullBackOff", 0))]);
    for pods in [&troubled, &troubled, &list(&[]), &troubled, &answer(403, ""), &troubled] {
        let script = [(WEB, ok(rolling(OURS))), (PODS, pods.clone())];
        let seen = VENDOR.observe(&mut provider, &script).deployment.unwrap();
        assert_eq!(seen.state, DeploymentState::Deploying);
        assert!(seen.progress.unwrap().starts_with("1 of 3 replicas updated"));
    }
}

#[test]
fn only_the_rollouts_own_pods_count() {
    let mut leaving = pod("web-2-b", OURS, waiting("CrashLoopBackOff", 9));
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T12:00:00Z");
    let others = [pod("web-1-a", "main-fedcba9", waiting("CrashLoopBackOff", 9)), leaving];
    let script = [(WEB, ok(rolling(OURS))), (PODS, list(&others))];
    let seen = VENDOR.observe(&mut web(), &script).deployment.unwrap();
    assert_eq!((seen.state, seen.progress.as_deref()), (DeploymentState::Deploying, Some("1 of 3 replicas updated")));
}

#[test]
fn a_pod_of_the_same_image_and_of_another_commit_does_not_count() {
    let mut web = rolling("latest");
    web["spec"]["template"]["metadata"]["annotations"] = json!({"git": COMMIT});
    let look = |commit: &str| {
        let mut crashing = pod("web-2-a", "latest", waiting("CrashLoopBackOff", 9));
        crashing["metadata"]["annotations"] = json!({"git": commit});
        let mut provider = provider("workload = 'web'\nannotation = 'git'");
        VENDOR.observe(&mut provider, &[(WEB, ok(&web)), (PODS, list(&[crashing]))]).deployment.unwrap().state
    };
    assert_eq!((look(OLD_COMMIT), look(COMMIT)), (DeploymentState::Deploying, DeploymentState::Failed));
}

#[test]
fn what_is_no_failure_is_told_as_progress() {
    let no_place = json!({"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"},
    ]});
    let unready = json!({"containerStatuses": [
        {"name": "web", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T12:00:00Z"}}},
    ]});
    let recovered = json!({"containerStatuses": [
        {"name": "web", "image": "i", "imageID": "", "ready": true, "restartCount": 5, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}},
    ]});
    for (status, told) in [
        (no_place, "1 of 3 replicas updated; pod web-2-a has no place yet: 0/3 nodes are available"),
        (unready, "1 of 3 replicas updated; container web of pod web-2-a: runs and is not ready"),
        (recovered, "1 of 3 replicas updated"),
    ] {
        let mut provider = web();
        for _ in 0..4 {
            let script = [(WEB, ok(rolling(OURS))), (PODS, list(&[pod("web-2-a", OURS, status.clone())]))];
            let seen = VENDOR.observe(&mut provider, &script).deployment.unwrap();
            assert_eq!((seen.state, seen.progress.as_deref()), (DeploymentState::Deploying, Some(told)));
        }
    }
}

fn exceeded(at: &str) -> Value {
    let mut web = rolling(OURS);
    web["status"]["conditions"] = json!([{
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "lastUpdateTime": at,
        "message": "ReplicaSet \"web-2\" has timed out progressing.",
    }]);
    web
}

#[test]
fn an_exceeded_deadline_is_a_failure_with_what_the_pods_say() {
    let unready = json!({"containerStatuses": [{"name": "web", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": {"running": {}}}]});
    let mut provider = web();
    let script = [(WEB, ok(exceeded("2026-01-01T12:10:00Z"))), (PODS, list(&[pod("web-2-a", OURS, unready)]))];
    let seen = VENDOR.observe(&mut provider, &script).deployment.unwrap();
    assert_eq!((seen.state, seen.raw.as_str()), (DeploymentState::Failed, "ProgressDeadlineExceeded"));
    let reason = "ReplicaSet \"web-2\" has timed out progressing.; container web of pod web-2-a: runs and is not ready";
    assert_eq!(seen.reason.as_deref(), Some(reason));
    let path = "/api/v1/namespaces/default/pods/web-2-a/log?container=web&previous=false&tailLines=200";
    let log = VENDOR.play(&mut provider, Question::FailureLog, &[(path, answer(200, "not ready"))]);
    assert_eq!(log, Turn::Reply(Reply::Log("not ready".to_owned())));
    assert_eq!(observed(&exceeded("2026-01-01T11:00:00Z")).deployment, None, "an earlier push's");
}

#[test]
fn the_log_is_that_of_the_container_that_crashed_and_events_explain_one_that_never_ran() {
    let path = |previous: bool| {
        format!("/api/v1/namespaces/default/pods/web-2-a/log?container=web&previous={previous}&tailLines=200")
    };
    let (previous, present) = (path(true), path(false));
    let events = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dweb-2-a&limit=50";
    let told = ok(json!({"metadata": {}, "items": [
        {"type": "Warning", "reason": "Failed", "message": "Failed to pull image\n\"web\"", "metadata": {}, "involvedObject": {}},
    ]}));
    let log_of = |status: Value, script: &[(&str, HttpResponse)]| {
        let mut provider = web();
        VENDOR.observe(&mut provider, &[(WEB, ok(rolling(OURS))), (PODS, list(&[pod("web-2-a", OURS, status)]))]);
        VENDOR.play(&mut provider, Question::FailureLog, script)
    };
    let text = |text: &str| Turn::Reply(Reply::Log(text.to_owned()));
    let crashed = || waiting("CrashLoopBackOff", 3);
    assert_eq!(log_of(crashed(), &[(&previous, answer(200, "boom"))]), text("boom"));
    let gone = (previous.as_str(), answer(400, "{}"));
    assert_eq!(log_of(crashed(), &[gone.clone(), (&present, answer(200, "bang"))]), text("bang"));
    let explained = text("Warning Failed: Failed to pull image \"web\"");
    let silent = (present.as_str(), answer(200, " \n"));
    assert_eq!(log_of(crashed(), &[gone.clone(), silent, (events, told.clone())]), explained);
    assert_eq!(log_of(waiting("ImagePullBackOff", 0), &[(events, told)]), explained);
    let forbidden = (present.as_str(), answer(403, "{}"));
    let turn = log_of(crashed(), &[gone, forbidden, (events, answer(403, "{}"))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.message.contains("get pods/log")));
    let turn = VENDOR.play(&mut web(), Question::FailureLog, &[]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::NotFound));
}

#[test]
fn the_selector_is_asked_for_as_it_stands() {
    let mut web_object = rolling(OURS);
    web_object["spec"]["selector"] = json!({"matchLabels": {"a": "1", "b": "2"}, "matchExpressions": [
        {"key": "c", "operator": "In", "values": ["3", "4"]},
        {"key": "d", "operator": "NotIn", "values": ["5"]},
        {"key": "e", "operator": "Exists"},
        {"key": "f", "operator": "DoesNotExist"},
    ]});
    let path = "/api/v1/namespaces/default/pods?labelSelector=a%3D1%2Cb%3D2%2Cc+in+%283%2C4%29%2Cd+notin+%285%29%2Ce%2C%21f&limit=200";
    VENDOR.observe(&mut web(), &[(WEB, ok(web_object)), (path, list(&[]))]);
}

#[test]
fn trouble_is_told_by_its_kind_and_never_quotes_the_body() {
    for (response, kind) in [
        (answer(401, "canary"), FaultKind::Unauthorized),
        (answer(403, "canary"), FaultKind::Unauthorized),
        (answer(429, "canary"), FaultKind::RateLimited),
        (answer(500, "canary"), FaultKind::Transient),
        (answer(200, "<html>canary"), FaultKind::Malformed),
        (answer(200, "{\"metadata\": {\"name\": \"canary"), FaultKind::Malformed),
        (answer(200, "{\"metadata\": null, \"canary\": 1}"), FaultKind::Malformed),
    ] {
        let status = response.status;
        let fault = VENDOR.fault(&mut web(), &[(WEB, response)]);
        assert_eq!(fault.kind, kind, "{status}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault}");
        assert_eq!(fault.message.contains("get deployments.apps"), matches!(status, 401 | 403), "{fault}");
    }
    let limited = HttpResponse { headers: vec![("retry-after".to_owned(), "1".to_owned())], ..answer(429, "") };
    assert_eq!(VENDOR.fault(&mut web(), &[(WEB, limited)]).retry_after, Some(std::time::Duration::from_secs(1)));
    let bare = json!({"metadata": {"name": "web"}, "spec": null, "status": null});
    assert_eq!(VENDOR.observe(&mut web(), &[(WEB, answer(200, bare.to_string()))]).deployment, None);
}

#[test]
fn the_credentials_are_proved_by_the_workload_itself() {
    let reply = VENDOR.play(&mut web(), Question::Credentials, &[(WEB, ok(deployment(OURS)))]);
    assert_eq!(reply, Turn::Reply(Reply::Credentials("sees deployment/web in the namespace default".to_owned())));
    let turn = VENDOR.play(&mut web(), Question::Credentials, &[(WEB, answer(404, "{}"))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::NotFound));
}

#[test]
fn what_is_under_way_asks_for_the_pods_and_what_is_over_does_not() {
    assert_eq!(in_progress(&rolling(OURS)).state, DeploymentState::Deploying);
    let mut unobserved = deployment(OURS);
    unobserved["metadata"]["generation"] = json!(5);
    assert_eq!(observed(&unobserved).deployment.unwrap().state, DeploymentState::Queued);
    let mut paused = rolling(OURS);
    paused["spec"]["paused"] = json!(true);
    assert_eq!(observed(&paused).deployment.unwrap().state, DeploymentState::Blocked);
}

proptest! {
    #[test]
    fn a_damaged_answer_is_never_a_panic_and_never_live(at: usize, byte: u8) {
        let mut body = deployment("main-fedcba9").to_string().into_bytes();
        let at = at % body.len();
        body[at] = byte;
        if let Turn::Reply(Reply::Observation(seen)) = VENDOR.play(&mut web(), Question::Observe, &[(WEB, answer(200, body))]) {
            prop_assert_eq!(seen.deployment, None);
        }
    }
}
