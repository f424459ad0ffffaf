//! Where a rollout stands, by the rules of `kubectl rollout status`. Pure.
//!
//! Where kubectl gives up with an error, because it cannot tell when the pods will change, a person is waited for.

use afterpush_core::{observation::DeploymentState, text::one_line};
use jiff::Timestamp;

use super::answer::{Condition, Object};

/// The kinds of workload that roll out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl Kind {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "deployment" | "deployments" | "deploy" => Self::Deployment,
            "statefulset" | "statefulsets" | "sts" => Self::StatefulSet,
            "daemonset" | "daemonsets" | "ds" => Self::DaemonSet,
            _ => return None,
        })
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
        }
    }

    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }

    pub(super) fn scope(self) -> &'static str {
        match self {
            Self::Deployment => "get deployments.apps",
            Self::StatefulSet => "get statefulsets.apps",
            Self::DaemonSet => "get daemonsets.apps",
        }
    }
}

/// Where a rollout stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rollout {
    pub(super) state: DeploymentState,
    /// For people.
    pub(super) word: &'static str,
    pub(super) progress: Option<String>,
    pub(super) reason: Option<String>,
}

pub(super) fn judge(kind: Kind, object: &Object) -> Rollout {
    if object.status.observed_generation < object.metadata.generation
        || (kind == Kind::StatefulSet && object.status.observed_generation == 0)
    {
        let progress = Some("the change is not observed yet".to_owned());
        return Rollout { state: DeploymentState::Queued, word: "waiting", progress, reason: None };
    }
    match kind {
        Kind::Deployment => deployment(object),
        Kind::StatefulSet => stateful_set(object),
        Kind::DaemonSet => daemon_set(object),
    }
}

/// When a Deployment was found to have exceeded its progress deadline.
pub(super) fn failed_at(object: &Object) -> Option<Timestamp> {
    deadline_exceeded(object).and_then(|condition| condition.last_update_time)
}

fn deadline_exceeded(object: &Object) -> Option<&Condition> {
    let is_it = |it: &&Condition| it.kind == "Progressing" && it.reason == "ProgressDeadlineExceeded";
    object.status.conditions.iter().find(is_it)
}

fn deployment(object: &Object) -> Rollout {
    let status = &object.status;
    if let Some(condition) = deadline_exceeded(object) {
        let reason = Some(one_line(&condition.message, 300)).filter(|text| !text.is_empty());
        return Rollout { state: DeploymentState::Failed, word: "ProgressDeadlineExceeded", progress: None, reason };
    }
    let waiting = match object.spec.replicas {
        Some(wanted) if status.updated_replicas < wanted => {
            Some(format!("{} of {wanted} replicas updated", status.updated_replicas))
        }
        _ if status.replicas > status.updated_replicas => {
            Some(format!("{} old replicas are ending", status.replicas - status.updated_replicas))
        }
        _ if status.available_replicas < status.updated_replicas => {
            Some(format!("{} of {} updated replicas available", status.available_replicas, status.updated_replicas))
        }
        _ => None,
    };
    match waiting {
        Some(_) if object.spec.paused => held("paused", "the rollout is paused: it waits for somebody to resume it"),
        Some(progress) => rolling(progress),
        None => rolled_out(status.updated_replicas),
    }
}

fn stateful_set(object: &Object) -> Rollout {
    let status = &object.status;
    let replicas = object.spec.replicas.unwrap_or(status.replicas);
    let is_ready = status.ready_replicas >= replicas;
    if is_on_delete(object) {
        return on_delete(status.updated_replicas >= replicas && is_ready, status.updated_replicas, replicas);
    }
    if !is_ready {
        return rolling(format!("{} of {replicas} pods ready", status.ready_replicas));
    }
    if let Some(rolling_update) = &object.spec.update.rolling {
        let partition = rolling_update.partition.unwrap_or(0);
        if status.updated_replicas < replicas - partition {
            return rolling(format!("{} of {} pods updated", status.updated_replicas, replicas - partition));
        }
        // kubectl calls this complete, although no pod is made of the new template.
        if status.updated_replicas == 0 && replicas > 0 {
            return held("partitioned", "the partition keeps all pods as they were");
        }
        return rolled_out(status.updated_replicas);
    }
    if status.update_revision != status.current_revision {
        return rolling(format!("{} of {replicas} pods updated", status.updated_replicas));
    }
    rolled_out(replicas)
}

fn daemon_set(object: &Object) -> Rollout {
    let status = &object.status;
    let wanted = status.desired_number_scheduled;
    let is_done = status.updated_number_scheduled >= wanted && status.number_available >= wanted;
    if is_on_delete(object) {
        return on_delete(is_done, status.updated_number_scheduled, wanted);
    }
    if status.updated_number_scheduled < wanted {
        return rolling(format!("{} of {wanted} pods updated", status.updated_number_scheduled));
    }
    if !is_done {
        return rolling(format!("{} of {wanted} updated pods available", status.number_available));
    }
    rolled_out(wanted)
}

fn is_on_delete(object: &Object) -> bool {
    object.spec.update.kind == "OnDelete"
}

fn on_delete(is_done: bool, updated: i64, wanted: i64) -> Rollout {
    if is_done {
        return rolled_out(updated);
    }
    let progress = Some(format!("{updated} of {wanted} pods updated"));
    Rollout {
        progress,
        ..held("OnDelete", "the update strategy is OnDelete: each pod waits for somebody to delete it")
    }
}

fn rolling(progress: String) -> Rollout {
    Rollout { state: DeploymentState::Deploying, word: "rolling out", progress: Some(progress), reason: None }
}

fn held(word: &'static str, reason: &str) -> Rollout {
    Rollout { state: DeploymentState::Blocked, word, progress: None, reason: Some(reason.to_owned()) }
}

fn rolled_out(pods: i64) -> Rollout {
    let progress = Some(format!("{pods} pods"));
    Rollout { state: DeploymentState::Live, word: "rolled out", progress, reason: None }
}
