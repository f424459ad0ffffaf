#![allow(clippy::unwrap_used)]

use afterpush_core::{
    observation::{Deployment, DeploymentState},
    run::Relation,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    Credential, HttpResponse, Question, Reply, Secret, Turn,
    play::{self, COMMIT, OLD_COMMIT, Vendor, answer, ok},
};

const VENDOR: Vendor =
    Vendor { api: "https://cd.test", credential: || Some(Credential::Bearer(Secret::new("canary-token"))) };

const APP: &str = "/api/v1/applications/web";
const LIST: &str = "/api/v1/applications";

fn setup(settings: &str) -> Setup {
    Setup {
        api_url: Some("https://cd.test".to_owned()),
        pushed_at: Some("2026-01-01T12:00:00Z".parse().unwrap()),
        ..play::setup(settings, "git@github.com:acme/deploy.git", Some("canary-token"))
    }
}

fn provider(settings: &str) -> Conversation<ArgoCd> {
    Conversation::new(ArgoCd::new(setup(settings)).unwrap())
}

fn named() -> Conversation<ArgoCd> {
    provider("app = 'web'")
}

/// An application whose last sync was of `synced`, compared with `compared`.
fn app(synced: &str, phase: &str, compared: &str, status: &str, health: &str) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {
                "repoURL": "https://github.com/acme/deploy",
                "targetRevision": "main",
                "helm": {"parameters": [{"name": "password", "value": "canary-value"}]},
            },
            "syncPolicy": {"automated": {}},
        },
        "status": {
            "sync": {"status": status, "revision": compared},
            "health": {"status": health},
            "operationState": {
                "phase": phase,
                "message": "what it says",
                "startedAt": "2026-01-01T12:00:05Z",
                "syncResult": {"revision": synced, "resources": []},
            },
            "history": [],
            "summary": {"externalURLs": ["https://web.test"]},
        },
    })
}

fn observed(app: &Value) -> ProviderObservation {
    VENDOR.observe(&mut named(), &[(APP, ok(app))])
}

/// With nulls where the description has none.
fn observed_with_nulls(app: &Value) -> ProviderObservation {
    VENDOR.observe(&mut named(), &[(APP, answer(200, app.to_string()))])
}

fn ours(app: &Value) -> Deployment {
    observed(app).deployment.unwrap()
}

#[test]
fn every_word_of_sync_health_and_operation_has_its_meaning() {
    use DeploymentState::{Blocked, Deploying, Failed, Live, Queued, Unknown};
    for (phase, status, health, state, raw) in [
        ("Running", "OutOfSync", "Healthy", Deploying, "Running"),
        ("Running", "Synced", "Healthy", Deploying, "Running"),
        ("Terminating", "OutOfSync", "Healthy", Deploying, "Terminating"),
        ("Failed", "OutOfSync", "Healthy", Failed, "Failed"),
        ("Failed", "Synced", "Healthy", Failed, "Failed"),
        ("Error", "OutOfSync", "Healthy", Failed, "Error"),
        ("Thinking", "Synced", "Healthy", Unknown, "Thinking"),
        ("Succeeded", "Synced", "Healthy", Live, "Healthy"),
        ("Succeeded", "Synced", "Progressing", Deploying, "Progressing"),
        ("Succeeded", "Synced", "Missing", Deploying, "Missing"),
        ("Succeeded", "Synced", "Degraded", Deploying, "Degraded"),
        ("Succeeded", "Synced", "Suspended", Blocked, "Suspended"),
        ("Succeeded", "Synced", "Unknown", Unknown, "Unknown"),
        ("Succeeded", "Synced", "Glowing", Unknown, "Glowing"),
        ("Succeeded", "OutOfSync", "Healthy", Deploying, "OutOfSync"),
        ("Succeeded", "Unknown", "Healthy", Unknown, "Unknown"),
        ("Succeeded", "Odd", "Healthy", Unknown, "Odd"),
    ] {
        let seen = ours(&app(COMMIT, phase, COMMIT, status, health));
        assert_eq!((seen.state, seen.raw.as_str()), (state, raw), "{phase} {status} {health}");
    }
    // Known, and not synced yet.
    assert_eq!(ours(&app(OLD_COMMIT, "Succeeded", COMMIT, "OutOfSync", "Healthy")).state, Queued);
    let mut manual = app(OLD_COMMIT, "Succeeded", COMMIT, "OutOfSync", "Healthy");
    for policy in [json!({}), json!(null), json!({"automated": null}), json!({"automated": {"enabled": false}})] {
        manual["spec"]["syncPolicy"] = policy;
        let seen = observed_with_nulls(&manual).deployment.unwrap();
        assert_eq!(seen.state, Blocked);
        assert!(seen.reason.unwrap().contains("automated sync is off"));
    }
    let mut asked = app(OLD_COMMIT, "Succeeded", OLD_COMMIT, "Synced", "Healthy");
    asked["operation"] = json!({"sync": {"revision": COMMIT}});
    assert_eq!(ours(&asked).state, Queued);
}

#[test]
fn live_needs_the_commit_in_what_the_application_is_synced_to() {
    // A commit that changes nothing in the manifests is synced without an operation of its own.
    assert_eq!(ours(&app(OLD_COMMIT, "Succeeded", COMMIT, "Synced", "Healthy")).state, DeploymentState::Live);
    for prefix in ["012345", "", "main", "1.2.3"] {
        assert_eq!(observed(&app(OLD_COMMIT, "Succeeded", prefix, "Synced", "Healthy")).deployment, None, "{prefix}");
    }
    // Not while another sync is asked for or under way.
    let mut asked = app(COMMIT, "Succeeded", COMMIT, "Synced", "Healthy");
    asked["operation"] = json!({"sync": {"revision": OLD_COMMIT}});
    assert_eq!(ours(&asked).state, DeploymentState::Deploying);
    assert_eq!(observed(&app(OLD_COMMIT, "Running", COMMIT, "Synced", "Healthy")).deployment, None);
    assert_eq!(observed(&app(OLD_COMMIT, "Running", COMMIT, "Synced", "Healthy")).serving, None);
}

#[test]
fn the_commit_may_be_one_of_several_sources() {
    let mut several = app("", "Succeeded", "", "Synced", "Healthy");
    several["status"]["sync"] = json!({"status": "Synced", "revisions": ["1.2.3", COMMIT]});
    several["status"]["operationState"]["syncResult"] = json!({"revision": "", "revisions": ["1.2.3", COMMIT]});
    assert_eq!(ours(&several).state, DeploymentState::Live);
    several["status"]["sync"]["revisions"] = json!(["1.2.3", OLD_COMMIT]);
    assert_eq!(ours(&several).state, DeploymentState::Replaced);
    assert_eq!(observed(&several).serving.unwrap().commit.unwrap().id, OLD_COMMIT);
}

#[test]
fn what_another_commit_replaced_is_not_live() {
    let mut later = app(OLD_COMMIT, "Succeeded", OLD_COMMIT, "Synced", "Healthy");
    assert_eq!(observed(&later).deployment, None);
    let serving = observed(&later).serving.unwrap();
    assert_eq!((serving.is_later, serving.commit.unwrap().relation), (false, Relation::Other));
    later["status"]["history"] = json!([{"id": 1, "revision": COMMIT, "deployedAt": "2026-01-01T12:00:30Z"}]);
    let seen = observed(&later);
    assert_eq!(seen.deployment.unwrap().state, DeploymentState::Replaced);
    assert!(seen.serving.unwrap().is_later);
    later["status"]["history"] = json!([{"id": 1, "revision": COMMIT, "deployedAt": "2025-12-01T12:00:30Z"}]);
    assert_eq!(observed(&later).deployment, None, "deployed by an earlier push");
}

#[test]
fn an_earlier_pushs_failure_is_not_this_ones_and_a_terminated_sync_is_canceled() {
    let mut failed = app(COMMIT, "Failed", COMMIT, "OutOfSync", "Healthy");
    failed["status"]["operationState"]["startedAt"] = json!("2026-01-01T11:00:00Z");
    assert_eq!(observed(&failed).deployment, None);
    failed["status"]["operationState"]["startedAt"] = json!(null);
    failed["status"]["operationState"]["message"] = json!("Operation terminated");
    assert_eq!(observed_with_nulls(&failed).deployment.unwrap().state, DeploymentState::Canceled);
}

#[test]
fn a_degraded_application_has_failed_when_it_stays_so() {
    let mut degraded = app(COMMIT, "Succeeded", COMMIT, "Synced", "Degraded");
    degraded["status"]["resources"] = json!([
        {"kind": "Service", "name": "web", "health": {"status": "Healthy"}},
        {"group": "apps", "kind": "Deployment", "namespace": "prod", "name": "web",
         "health": {"status": "Degraded", "message": "exceeded its \u{1b}[31mprogress deadline"}},
    ]);
    let mut provider = named();
    let mut look = |app: &Value| VENDOR.observe(&mut provider, &[(APP, ok(app))]).deployment.unwrap();
    assert_eq!(look(&degraded).state, DeploymentState::Deploying);
    assert_eq!(look(&degraded).state, DeploymentState::Deploying);
    let progressing = app(COMMIT, "Succeeded", COMMIT, "Synced", "Progressing");
    assert_eq!(look(&progressing).state, DeploymentState::Deploying);
    let states: Vec<_> = (0..3).map(|_| look(&degraded).state).collect();
    assert_eq!(states, [DeploymentState::Deploying, DeploymentState::Deploying, DeploymentState::Failed]);
    assert_eq!(look(&degraded).reason.as_deref(), Some("Deployment/web: exceeded its progress deadline"));
    let path =
        format!("{APP}/logs?kind=Deployment&group=apps&resourceName=web&namespace=prod&tailLines=200&follow=false");
    let stream = "{\"result\":{\"content\":\"boom\",\"podName\":\"p\"}}\nnoise\n{\"result\":{\"content\":\"bang\",\"last\":true}}\n";
    let log = VENDOR.play(&mut provider, Question::FailureLog, &[(&path, answer(200, stream))]);
    assert_eq!(log, Turn::Reply(Reply::Log("Deployment/web:\nboom\nbang".to_owned())));
    let log = VENDOR.play(&mut provider, Question::FailureLog, &[(&path, answer(403, ""))]);
    assert_eq!(log, Turn::Reply(Reply::Log("Deployment/web: exceeded its progress deadline".to_owned())));
}

#[test]
fn a_failed_sync_tells_its_hooks_and_parts() {
    let mut failed = app(COMMIT, "Failed", COMMIT, "OutOfSync", "Healthy");
    failed["status"]["operationState"]["message"] = json!("one or more synchronization tasks completed unsuccessfully");
    failed["status"]["operationState"]["syncResult"]["resources"] = json!([
        {"kind": "Service", "name": "web", "status": "Synced", "message": "unchanged"},
        {"kind": "Ingress", "name": "web", "status": "SyncFailed", "message": "host is taken"},
        {"group": "batch", "kind": "Job", "namespace": "prod", "name": "migrate", "status": "Synced", "hookType": "PreSync",
         "hookPhase": "Failed", "message": "BackoffLimitExceeded"},
    ]);
    let mut provider = named();
    let seen = VENDOR.observe(&mut provider, &[(APP, ok(&failed))]).deployment.unwrap();
    assert_eq!(
        seen.reason.as_deref(),
        Some(
            "one or more synchronization tasks completed unsuccessfully; Ingress/web: host is taken; \
             Job/migrate: BackoffLimitExceeded"
        )
    );
    // Only what has pods has a log.
    let path =
        format!("{APP}/logs?kind=Job&group=batch&resourceName=migrate&namespace=prod&tailLines=200&follow=false");
    let log = VENDOR.play(
        &mut provider,
        Question::FailureLog,
        &[(&path, answer(200, "data: {\"result\":{\"content\":\"no table\"}}"))],
    );
    assert_eq!(log, Turn::Reply(Reply::Log("Job/migrate:\nno table".to_owned())));
}

#[test]
fn manifests_that_cannot_be_made_are_told() {
    let mut broken = app(OLD_COMMIT, "Succeeded", COMMIT, "Unknown", "Healthy");
    broken["status"]["conditions"] = json!([{"type": "ComparisonError", "message": "helm template: exit 1"}]);
    let seen = ours(&broken);
    assert_eq!(seen.state, DeploymentState::Unknown);
    assert_eq!(seen.progress.as_deref(), Some("ComparisonError: helm template: exit 1"));
}

#[test]
fn the_page_the_site_and_the_place_of_an_application() {
    let mut provider = provider("app = 'web'\nnamespace = 'team a'\nproject = 'p'");
    let path = "/api/v1/applications/web?appNamespace=team+a&project=p";
    let body = app(COMMIT, "Succeeded", COMMIT, "Synced", "Healthy");
    let seen = VENDOR.observe(&mut provider, &[(path, ok(body))]).deployment.unwrap();
    assert_eq!(seen.url.as_deref(), Some("https://cd.test/applications/argocd/web"));
    assert_eq!(seen.site_url.as_deref(), Some("https://web.test"));
    assert!(!format!("{seen:?}").contains("canary"));
}

#[test]
fn the_application_is_found_by_the_remote_and_the_branch() {
    let made_of = |name: &str, repo: &str, at: &str| {
        let mut app = app(COMMIT, "Running", COMMIT, "OutOfSync", "Healthy");
        app["metadata"]["name"] = json!(name);
        app["spec"]["source"] = json!({"repoURL": repo, "targetRevision": at});
        app
    };
    let ours = "git@github.com:acme/deploy.git";
    let list = |items: Vec<Value>| ok(json!({"items": items, "metadata": {}}));
    let others = vec![made_of("api", "https://github.com/acme/other", "main"), made_of("old", ours, "release")];
    for at in ["main", "HEAD", "", "refs/heads/main"] {
        let mut provider = provider("");
        let mut items = others.clone();
        items.push(made_of("web", ours, at));
        VENDOR.observe(&mut provider, &[(LIST, list(items))]);
        // From then on the application itself is asked for.
        let body = app(COMMIT, "Succeeded", COMMIT, "Synced", "Healthy");
        VENDOR.observe(&mut provider, &[("/api/v1/applications/web?appNamespace=argocd", ok(body))]);
    }
    let several = vec![made_of("web", ours, "main"), made_of("web-eu", ours, "HEAD")];
    for (items, told) in [
        (others, "no application is made of this remote and branch; there are api, old; set app"),
        (several, "several applications are made of this remote and branch: web, web-eu; set app"),
        (vec![], "the token sees no application"),
    ] {
        let fault = VENDOR.fault(&mut provider(""), &[(LIST, list(items))]);
        assert!(fault.kind == FaultKind::NotFound && fault.message.contains(told), "{fault}");
    }
    let fault = VENDOR.fault(&mut provider(""), &[(LIST, answer(200, "{\"items\": null}"))]);
    assert_eq!(fault.kind, FaultKind::NotFound);
}

#[test]
fn trouble_is_told_by_its_kind_and_never_quotes_the_body() {
    for (response, kind) in [
        (answer(401, "canary"), FaultKind::Unauthorized),
        (answer(403, "canary"), FaultKind::Unauthorized),
        (answer(404, "canary"), FaultKind::NotFound),
        (answer(429, "canary"), FaultKind::RateLimited),
        (answer(500, "canary"), FaultKind::Transient),
        (answer(200, "<html>canary"), FaultKind::Malformed),
        (answer(200, "{\"metadata\": {\"name\": \"canary"), FaultKind::Malformed),
        (answer(200, "{\"metadata\": null}"), FaultKind::Malformed),
        (answer(200, "{\"canary\": 1}"), FaultKind::Malformed),
    ] {
        let status = response.status;
        let fault = VENDOR.fault(&mut named(), &[(APP, response)]);
        assert_eq!(fault.kind, kind, "{status}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault}");
        assert_eq!(fault.message.contains("no such application"), status == 403, "{fault}");
    }
    let limited = HttpResponse { headers: vec![("retry-after".to_owned(), "17".to_owned())], ..answer(429, "") };
    let fault = VENDOR.fault(&mut named(), &[(APP, limited)]);
    assert_eq!(fault.retry_after, Some(std::time::Duration::from_secs(17)));
    let bare = json!({"metadata": {"name": "web"}, "spec": null, "status": null, "operation": null});
    assert_eq!(observed_with_nulls(&bare), ProviderObservation::default());
}

#[test]
fn the_credentials_are_proved_by_the_session() {
    let path = "/api/v1/session/userinfo";
    let ask = |body: Value| VENDOR.play(&mut named(), Question::Credentials, &[(path, ok(body))]);
    let reply = ask(json!({"loggedIn": true, "username": "ci", "iss": "argocd"}));
    assert_eq!(reply, Turn::Reply(Reply::Credentials("logged in as ci".to_owned())));
    assert!(matches!(ask(json!({})), Turn::Fault(fault) if fault.kind == FaultKind::Unauthorized));
}

#[test]
fn without_a_server_it_says_what_to_do() {
    let error = ArgoCd::new(Setup { api_url: None, ..setup("") }).unwrap_err().to_string();
    assert!(error.contains("argocd command") && error.contains("[provider.argocd]"), "{error}");
    assert!(ArgoCd::new(setup("application = 'web'")).unwrap_err().to_string().contains("app, namespace and project"));
}

#[test]
fn the_login_of_the_argocd_command_is_the_context_in_use() {
    let text = "contexts:\n- name: a\n  server: a.test\n  user: a\n- name: b\n  server: b.test:8443\n  user: ub\n\
        current-context: b\nservers:\n- server: a.test\n- server: b.test:8443\n  grpc-web-root-path: /argo/\n\
        users:\n- name: a\n  auth-token: ta\n- name: ub\n  auth-token: tb\n  refresh-token: r\n";
    assert_eq!((ENTRY.token_from_login_file)(text, None).unwrap().expose(), "tb");
    assert_eq!(server(text).as_deref(), Some("https://b.test:8443/argo"));
    for (text, url) in [
        (
            "contexts:\n- {name: l, server: 'localhost:8080', user: l}\ncurrent-context: l\nservers:\n- {server: 'localhost:8080', plain-text: true}\n",
            Some("http://localhost:8080"),
        ),
        ("current-context: x\n", None),
        ("- a", None),
    ] {
        assert_eq!(server(text).as_deref(), url);
        assert!((ENTRY.token_from_login_file)(text, None).is_none());
    }
}

proptest! {
    #[test]
    fn a_damaged_answer_is_never_a_panic_and_never_live(at: usize, byte: u8) {
        let mut body = app(OLD_COMMIT, "Succeeded", OLD_COMMIT, "Synced", "Healthy").to_string().into_bytes();
        let at = at % body.len();
        body[at] = byte;
        if let Turn::Reply(Reply::Observation(seen)) = VENDOR.play(&mut named(), Question::Observe, &[(APP, answer(200, body))]) {
            prop_assert_eq!(seen.deployment, None);
        }
    }
}
