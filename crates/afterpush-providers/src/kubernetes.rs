//! Kubernetes: follows the rollout of one commit of one Deployment, StatefulSet or DaemonSet, by the rules of
//! `kubectl rollout status`. Builds requests and reads responses only; the kubeconfig is the carrier's affair.
//!
//! Calls: one for a look at what has ended or is not there; one more, for the pods, while a rollout goes on; one or two for
//! the log.
//!
//! Source: the project's OpenAPI documents of apps/v1 and v1, and kubectl's `rollout_status.go`.

mod answer;
mod naming;
mod pods;
mod rollout;
#[cfg(test)]
mod tests;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{Deployment, DeploymentState, ProviderObservation, Serving},
};

use self::{
    answer::{Events, Object, Pods},
    naming::Naming,
    pods::Trouble,
    rollout::{Kind, Rollout},
};
use crate::{
    Carrier, HttpResponse, Setup, SetupError,
    api::Api,
    conversation::{Conversation, Converse, Line},
    pushed::Pushed,
    registry::Entry,
    response::{self, Asked},
    settings::{Settings, wrong, wrong_address},
};

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "kubernetes",
    api_url: "",
    build: |setup| Ok(Box::new(Conversation::new(Kubernetes::new(setup)?))),
    needs_token: false,
    credential_names: &[],
    login_files: &[],
    token_from_login_file: |_, _| None,
};

/// Stands for the cluster's address, which the kubeconfig knows.
const ANYWHERE: &str = "https://kubernetes.invalid";

/// A registry that hiccups, or a secret that comes a moment later, must not fail a rollout.
const LOOKS_UNTIL_FAILED: u32 = 3;

/// Follows one commit.
#[derive(Debug, Clone)]
struct Kubernetes {
    api: Api,
    context: Option<String>,
    namespace: String,
    kind: Kind,
    name: String,
    naming: Naming,
    pushed: Pushed,
    /// The workload named the commit at an earlier look.
    was_ours: bool,
    /// At how many looks in a row a pod was in trouble.
    troubled: u32,
    trouble: Option<Trouble>,
}

impl Kubernetes {
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let known = ["workload", "namespace", "context", "container", "annotation", "label"];
        let settings = Settings::new("kubernetes", &setup.settings, &known)?;
        let workload = settings.needed("workload")?;
        let (kind, name) = workload.split_once('/').unwrap_or(("deployment", &workload));
        let kind = Kind::parse(kind).filter(|_| !name.is_empty() && !name.contains('/')).ok_or_else(|| {
            wrong("workload", "must be a name, or deployment/NAME, statefulset/NAME or daemonset/NAME")
        })?;
        Ok(Self {
            api: Api::new(ANYWHERE, None).ok_or_else(wrong_address)?,
            context: settings.text("context")?,
            namespace: settings.text("namespace")?.unwrap_or_else(|| "default".to_owned()),
            kind,
            name: name.to_owned(),
            naming: Naming {
                annotation: settings.text("annotation")?,
                label: settings.text("label")?,
                container: settings.text("container")?,
            },
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            was_ours: false,
            troubled: 0,
            trouble: None,
        })
    }

    fn title(&self) -> String {
        format!("{}/{}", self.kind.word(), self.name)
    }

    async fn workload(&self, line: &Line) -> HttpResponse {
        let path = ["apis", "apps", "v1", "namespaces", &self.namespace, self.kind.plural(), &self.name];
        line.ask(self.api.get(&path, &[])).await
    }

    fn read(&self, response: &HttpResponse) -> Result<Object, Fault> {
        let what = format!("{} in the namespace {}", self.title(), self.namespace);
        response::json(response, Asked { vendor: "Kubernetes", what: &what, scope: self.kind.scope() })
    }

    /// The pods that the workload selects. None when they cannot be had: the rollout is judged without them then.
    async fn pods(&self, line: &Line, object: &Object) -> Option<Pods> {
        let selector = object.spec.selector.text();
        if selector.is_empty() {
            return None;
        }
        let path = ["api", "v1", "namespaces", &self.namespace, "pods"];
        let response = line.ask(self.api.get(&path, &[("labelSelector", &selector), ("limit", "200")])).await;
        response::json(&response, Asked { vendor: "Kubernetes", what: "the pods", scope: "list pods" }).ok()
    }

    fn deployment(&self, name: &str, rollout: Rollout) -> Deployment {
        Deployment {
            id: format!("{}/{}", self.namespace, self.title()),
            state: rollout.state,
            raw: rollout.word.to_owned(),
            commit: self.pushed.seen(name),
            url: None,
            site_url: None,
            progress: rollout.progress,
            reason: rollout.reason,
        }
    }

    /// The commit is not what the workload's pods are made of.
    fn other(&self, object: &Object, rollout: &Rollout) -> ProviderObservation {
        let is_later = self.was_ours;
        let serving = (rollout.state == DeploymentState::Live).then(|| Serving {
            deployment_id: format!("{}/{}", self.namespace, self.title()),
            commit: self
                .naming
                .of(object)
                .into_iter()
                .find(|name| naming::is_distinct(name))
                .map(|name| self.pushed.seen(&name)),
            site_url: None,
            is_later,
        });
        let overtaken =
            Rollout { state: DeploymentState::Superseded, word: "another commit", progress: None, reason: None };
        let deployment = self.was_ours.then(|| self.deployment(self.pushed.commit.as_str(), overtaken));
        ProviderObservation { deployment, serving, will_not_deploy: None }
    }

    /// Lets the pods say what the workload does not say yet.
    async fn look_at_pods(&mut self, line: &Line, object: &Object, rollout: &mut Rollout) {
        let Some(pods) = self.pods(line, object).await else { return };
        let ours = pods.items.iter().filter(|pod| pod.is_made_by(object) && self.names_ours(pod, object));
        let ours: Vec<_> = ours.collect();
        let trouble = pods::worst(&ours);
        self.troubled = if trouble.as_ref().is_some_and(|it| it.is_fatal) { self.troubled + 1 } else { 0 };
        if let Some(trouble) = &trouble {
            let is_certain = trouble.is_certain || self.troubled >= LOOKS_UNTIL_FAILED;
            if rollout.state == DeploymentState::Deploying && trouble.is_fatal && is_certain {
                rollout.state = DeploymentState::Failed;
                rollout.word = trouble.word;
            }
            let text = match (&rollout.reason, &rollout.progress) {
                (Some(known), _) if rollout.state == DeploymentState::Failed => format!("{known}; {}", trouble.text),
                (None, _) if rollout.state == DeploymentState::Failed => trouble.text.clone(),
                (_, Some(known)) => format!("{known}; {}", trouble.text),
                _ => trouble.text.clone(),
            };
            match rollout.state {
                DeploymentState::Failed => rollout.reason = Some(text),
                _ => rollout.progress = Some(text),
            }
        }
        self.trouble = trouble;
    }

    /// A pod of an earlier template may have the same images.
    fn names_ours(&self, pod: &Object, object: &Object) -> bool {
        let by_template = self.naming.of_template(object).iter().any(|name| self.pushed.is(name));
        !by_template || self.naming.of_pod(pod).iter().any(|name| self.pushed.is(name))
    }
}

impl Converse for Kubernetes {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let response = self.workload(line).await;
        // The first deployment of all creates it.
        if response.status == 404 {
            return Ok(ProviderObservation::default());
        }
        let object = self.read(&response)?;
        let mut rollout = rollout::judge(self.kind, &object);
        let Some(name) = self.naming.of(&object).into_iter().find(|name| self.pushed.is(name)) else {
            return Ok(self.other(&object, &rollout));
        };
        let has_failed = rollout.state == DeploymentState::Failed;
        if has_failed && self.pushed.is_before(rollout::failed_at(&object)) {
            return Ok(ProviderObservation::default());
        }
        self.was_ours = true;
        if has_failed || rollout.state == DeploymentState::Deploying {
            self.look_at_pods(line, &object, &mut rollout).await;
        }
        let deployment = Some(self.deployment(&name, rollout));
        Ok(ProviderObservation { deployment, serving: None, will_not_deploy: None })
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let Some(trouble) = &self.trouble else {
            return Err(Fault::new(FaultKind::NotFound, "no pod of the rollout tells why it fails"));
        };
        let asked = Asked { vendor: "Kubernetes", what: "the log of the pod", scope: "get pods/log" };
        let pod = ["api", "v1", "namespaces", &self.namespace, "pods", &trouble.pod, "log"];
        // Of a container that has crashed, the one before tells why; it may be gone already.
        let previous: &[&str] = if trouble.has_crashed { &["true", "false"] } else { &["false"] };
        let mut fault = None;
        for previous in previous.iter().filter(|_| trouble.has_run) {
            let query = [("container", trouble.container.as_str()), ("previous", previous), ("tailLines", "200")];
            let response = line.ask(self.api.get(&pod, &query).for_log()).await;
            match response.status {
                200..=299 if !response.body.trim_ascii().is_empty() => {
                    return Ok(String::from_utf8_lossy(&response.body).into_owned());
                }
                200..=299 => {}
                _ => fault = Some(response::fault(&response, asked)),
            }
        }
        // What has written nothing is explained by what happened to its pod.
        let selector = format!("involvedObject.name={}", trouble.pod);
        let events = ["api", "v1", "namespaces", &self.namespace, "events"];
        let request = self.api.get(&events, &[("fieldSelector", &selector), ("limit", "50")]);
        let asked = Asked { vendor: "Kubernetes", what: "the events of the pod", scope: "list events" };
        let events: Events = response::json(&line.ask(request).await, asked).map_err(|other| fault.unwrap_or(other))?;
        Ok(events.text())
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        self.read(&self.workload(line).await)?;
        Ok(format!("sees {} in the namespace {}", self.title(), self.namespace))
    }

    fn carrier(&self) -> Carrier {
        Carrier::Cluster { context: self.context.clone() }
    }
}
