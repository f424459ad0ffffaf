//! The bodies of the simulated API, in the shape of the vendor's OpenAPI document. What is zero or unset is left out, as the
//! vendor's encoder does.

use serde_json::{Map, Value, json};

use super::{
    PLAIN_SECRET,
    platform::{App, Deployment, STEPS},
};

/// An app with the deployments that it points at.
pub(super) fn app(app: &App) -> Value {
    let find = |id: &Option<String>| {
        let id = id.as_ref()?;
        let found = app.deployments.iter().find(|it| it.id == *id)?;
        Some(deployment(app, found))
    };
    let newest = |phases: &[&str]| {
        let mut deployments = app.deployments.iter();
        let found = deployments.find(|it| phases.contains(&it.phase.as_str()))?;
        Some(deployment(app, found))
    };
    let latest = app.deployments.first().map(|it| it.created_at.to_string());
    object([
        ("id", Some(json!(app.id))),
        ("owner_uuid", Some(json!("ff36cbc6fd350fe12577f5123133bb5ba01a2419"))),
        ("spec", Some(spec(app))),
        ("active_deployment", find(&app.active)),
        ("in_progress_deployment", newest(&["BUILDING", "PENDING_DEPLOY", "DEPLOYING"])),
        ("pending_deployment", newest(&["UNKNOWN", "PENDING_BUILD"])),
        ("pinned_deployment", find(&app.pinned)),
        ("created_at", Some(json!(app.created_at.to_string()))),
        ("updated_at", Some(json!(app.created_at.to_string()))),
        ("last_deployment_created_at", latest.map(Value::from)),
        ("default_ingress", Some(json!(format!("https://{}-abcde.ondigitalocean.app", app.name)))),
        ("live_url", (!app.live_url.is_empty()).then(|| json!(app.live_url))),
        ("tier_slug", Some(json!("basic"))),
    ])
}

fn spec(app: &App) -> Value {
    let secret = json!({
        "key": "DATABASE_PASSWORD",
        "value": PLAIN_SECRET,
        "scope": "RUN_AND_BUILD_TIME",
        "type": "GENERAL",
    });
    json!({
        "name": app.name,
        "region": "fra",
        "envs": [secret],
        "services": [{
            "name": "web",
            "github": {"repo": app.repo, "branch": app.branch, "deploy_on_push": true},
            "envs": [secret],
            "http_port": 8080,
            "instance_count": 1,
            "instance_size_slug": "apps-s-1vcpu-0.5gb",
        }],
    })
}

/// A deployment of an app.
pub(super) fn deployment(app: &App, it: &Deployment) -> Value {
    let mut service = json!({"name": "web"});
    if let Some(commit) = &it.commit {
        service["source_commit_hash"] = json!(commit);
    }
    let mut details = json!({"type": it.kind});
    match (it.kind, &it.commit) {
        ("DEPLOY_ON_PUSH", Some(commit)) => {
            details["git_push"] = json!({
                "github": {"repo": app.repo, "branch": app.branch, "deploy_on_push": true},
                "username": "dev",
                "commit_author": "Dev",
                "commit_sha": commit,
                "commit_message": "change",
            });
        }
        ("AUTO_ROLLBACK", _) => details["internal"] = json!(true),
        _ => {}
    }
    let created_at = it.created_at.to_string();
    object([
        ("id", Some(json!(it.id))),
        ("spec", Some(spec(app))),
        ("services", Some(json!([service]))),
        ("phase", Some(json!(it.phase))),
        ("phase_last_updated_at", Some(json!(created_at))),
        ("created_at", Some(json!(created_at))),
        ("updated_at", Some(json!(created_at))),
        ("cause", Some(json!(it.cause))),
        ("cause_details", Some(details)),
        ("cloned_from", it.cloned_from.as_ref().map(|id| json!(id))),
        ("previous_deployment_id", it.previous.as_ref().map(|id| json!(id))),
        ("progress", Some(progress(it))),
        ("tier_slug", Some(json!("basic"))),
    ])
}

fn progress(it: &Deployment) -> Value {
    let status = |at: usize| match (at.cmp(&it.done), it.at_work) {
        (std::cmp::Ordering::Less, _) => "SUCCESS",
        (std::cmp::Ordering::Equal, Some(word)) => word,
        _ => "PENDING",
    };
    let count = |word: &str| (0..STEPS).filter(|at| status(*at) == word).count();
    let leaf = |at: usize, name: &str, message: Option<&str>| {
        let mut step = json!({"name": name, "status": status(at)});
        if let Some(message) = message {
            step["message_base"] = json!(message);
            step["component_name"] = json!("web");
        }
        if status(at) == "ERROR"
            && let Some((code, message)) = it.reason
        {
            step["reason"] = json!({"code": code, "message": message});
        }
        step
    };
    let mut built = leaf(1, "web", Some("Building service"));
    if status(1) == "SUCCESS" {
        // A reason also stands on steps that succeeded.
        built["reason"] = json!({"code": "PreBuiltImage", "message": "Using a prebuilt image."});
    }
    let build = vec![leaf(0, "initialize", None), node("components", vec![built])];
    let mut web =
        node("web", vec![leaf(3, "deploy", Some("Deploying service")), leaf(4, "wait", Some("Waiting for service"))]);
    web["component_name"] = json!("web");
    let deploy = vec![leaf(2, "initialize", None), node("components", vec![web]), leaf(5, "finalize", None)];
    let counter = |word: &str| Some(count(word)).filter(|count| *count > 0).map(Value::from);
    object([
        ("pending_steps", counter("PENDING")),
        ("running_steps", counter("RUNNING")),
        ("success_steps", counter("SUCCESS")),
        ("error_steps", counter("ERROR")),
        ("total_steps", Some(json!(STEPS))),
        ("steps", Some(json!([node("build", build), node("deploy", deploy)]))),
    ])
}

/// An inner step: its status follows from those below it.
fn node(name: &str, steps: Vec<Value>) -> Value {
    let any = |word: &str| steps.iter().any(|step| step["status"] == word);
    let status = if any("ERROR") {
        "ERROR"
    } else if any("RUNNING") {
        "RUNNING"
    } else if any("PENDING") {
        "PENDING"
    } else {
        "SUCCESS"
    };
    json!({"name": name, "status": status, "steps": steps})
}

/// An object of the fields that are set.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let set = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(set.collect::<Map<_, _>>())
}

/// The health of an app.
pub(super) fn health(app: &App) -> Value {
    let state = if app.active.is_some() { "HEALTHY" } else { "UNKNOWN" };
    json!({"app_health": {"components": [{
        "name": "web",
        "state": state,
        "cpu_usage_percent": 1.5,
        "memory_usage_percent": 20.5,
        "replicas_desired": 1,
        "replicas_ready": usize::from(app.active.is_some()),
    }]}})
}

/// An error.
pub(super) fn error(id: &str, message: &str) -> Value {
    json!({"id": id, "message": message})
}
