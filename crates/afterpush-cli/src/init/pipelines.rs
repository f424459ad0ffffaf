//! Reads what deploys by a pipeline or into a cluster: GitHub's workflows, GitLab's pipeline, Kubernetes and Argo CD manifests.

use serde_json::Value;

use super::{
    gather::File,
    hosts::{document, patterns, text, texts},
    proposal::{Found, Proposal, is_branch},
};

/// Words in a workflow's file name that say that it deploys.
const DEPLOYS: [&str; 4] = ["deploy", "release", "publish", "pages"];

pub(super) fn read(files: &[File], remotes: &[(String, String)], found: &mut Found) {
    for file in files {
        let is_yaml = file.path.ends_with(".yml") || file.path.ends_with(".yaml");
        if let Some(name) = file.path.strip_prefix(".github/workflows/") {
            if is_yaml && !name.contains('/') {
                workflow(file, name, remotes, found);
            }
        } else if [".gitlab-ci.yml", ".gitlab-ci.yaml"].contains(&file.path.as_str()) {
            gitlab(file, remotes, found);
        } else if is_yaml && file.text.contains("apiVersion:") && file.text.contains("kind:") {
            manifests(file, found);
        }
    }
}

fn workflow(file: &File, name: &str, remotes: &[(String, String)], found: &mut Found) {
    let Some(workflow) = document(file, found) else { return };
    // YAML 1.1 reads the bare word "on" as a boolean.
    let Some(on) = workflow.get("on").or_else(|| workflow.get("true")) else { return };
    let by_push = on.as_str() == Some("push")
        || on.get("push").is_some()
        || on.as_array().is_some_and(|events| events.iter().any(|event| event.as_str() == Some("push")));
    if !by_push {
        return;
    }
    // One for tags alone is not started by a push of a branch.
    if on.pointer("/push/tags").is_some() && on.pointer("/push/branches").is_none() {
        return;
    }
    let branch = texts(on, "/push/branches").into_iter().find(|branch| is_branch(branch));
    let paths = patterns(texts(on, "/push/paths"));
    let mut missing = Vec::new();
    if !remotes.iter().any(|(_, url)| url.contains("github.com")) {
        missing.push("the repository at GitHub, as no remote is there: repository = \"owner/name\"".to_owned());
    }
    let proposal = |name: String, setting| Proposal {
        kind: "github",
        name,
        settings: vec![setting],
        branch: branch.clone(),
        paths: paths.clone(),
        found: file.path.clone(),
        missing: missing.clone(),
        ..Proposal::default()
    };
    let environments = environments(workflow.get("jobs"));
    if environments.is_empty() {
        if DEPLOYS.iter().any(|word| name.to_ascii_lowercase().contains(word)) {
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            found.proposals.push(proposal(stem.to_owned(), ("workflow", name.to_owned())));
        }
        return;
    }
    for environment in environments {
        found.proposals.push(proposal(environment.clone(), ("environment", environment)));
    }
}

fn gitlab(file: &File, remotes: &[(String, String)], found: &mut Found) {
    let Some(pipeline) = document(file, found) else { return };
    let mut missing = Vec::new();
    if !remotes.iter().any(|(_, url)| url.contains("gitlab")) {
        missing.push("the project at GitLab, as no remote is there: project = \"group/name\"".to_owned());
    }
    let proposal = |name: String, settings| Proposal {
        kind: "gitlab",
        name,
        settings,
        found: file.path.clone(),
        missing: missing.clone(),
        ..Proposal::default()
    };
    let environments = environments(Some(&pipeline));
    if environments.is_empty() {
        // The pipeline as a whole.
        found.proposals.push(proposal("pipeline".to_owned(), Vec::new()));
    }
    for environment in environments {
        found.proposals.push(proposal(environment.clone(), vec![("environment", environment)]));
    }
}

/// The environments that jobs deploy to, as far as their names are fixed; not the ones that are only stopped, nor reviews.
fn environments(jobs: Option<&Value>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for job in jobs.and_then(Value::as_object).into_iter().flat_map(serde_json::Map::values) {
        let Some(environment) = job.get("environment") else { continue };
        let stops = text(environment, "/action").is_some_and(|action| action != "start");
        let name = text(environment, "").or_else(|| text(environment, "/name"));
        if let Some(name) = name.filter(|name| !stops && !name.contains('$') && !names.contains(name)) {
            names.push(name);
        }
    }
    names
}

/// Of manifests with templates in them nothing is known.
fn manifests(file: &File, found: &mut Found) {
    if file.text.contains("{{") {
        return;
    }
    let documents: Vec<Value> = match serde_saphyr::from_multiple(&file.text) {
        Ok(documents) => documents,
        Err(_) => return found.note(&file.path, "cannot be read as YAML"),
    };
    for object in documents {
        let (Some(kind), Some(name)) = (text(&object, "/kind"), text(&object, "/metadata/name")) else { continue };
        let version = text(&object, "/apiVersion").unwrap_or_default();
        match kind.as_str() {
            "Deployment" | "StatefulSet" | "DaemonSet" if version.starts_with("apps/") => {
                workload(file, &object, &kind, &name, found)
            }
            "Application" if version.starts_with("argoproj.io/") => {
                let namespace = text(&object, "/metadata/namespace").filter(|namespace| namespace != "argocd");
                let settings =
                    [("app", name.clone())].into_iter().chain(namespace.map(|it| ("namespace", it))).collect();
                let missing = vec!["the server, unless you log in with the argocd command: [provider.argocd] api_url in your own configuration file".to_owned()];
                found.proposals.push(Proposal {
                    kind: "argocd",
                    name,
                    settings,
                    found: file.path.clone(),
                    missing,
                    ..Proposal::default()
                });
            }
            _ => {}
        }
    }
}

fn workload(file: &File, object: &Value, kind: &str, name: &str, found: &mut Found) {
    let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array).into_iter().flatten();
    // An image without an owner is one of Docker's own: a database or a proxy, which never runs a commit of this repository.
    let is_ours =
        |container: &Value| container.get("image").and_then(Value::as_str).is_some_and(|image| image.contains('/'));
    if !containers.clone().any(is_ours) {
        return found.note(&file.path, &format!("{name} runs no image of its own, so no commit of this repository"));
    }
    let workload = format!("{}/{name}", kind.to_ascii_lowercase());
    let namespace = text(object, "/metadata/namespace").map(|namespace| ("namespace", namespace));
    let settings = [("workload", workload)].into_iter().chain(namespace).collect();
    let missing = vec!["the pods have to name the commit: by the image's tag, a label or an annotation".to_owned()];
    found.proposals.push(Proposal {
        kind: "kubernetes",
        name: name.to_owned(),
        settings,
        found: file.path.clone(),
        missing,
        ..Proposal::default()
    });
}
