//! What is read of Kubernetes' answers. Environment variables, volumes and commands of containers are not.

use std::collections::BTreeMap;

use afterpush_core::text::one_line;
use jiff::Timestamp;
use serde::Deserialize;

use crate::answer::or_default;

/// A workload or a pod.
#[derive(Deserialize)]
pub(super) struct Object {
    pub(super) metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Metadata {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) generation: i64,
    #[serde(rename = "deletionTimestamp")]
    pub(super) deleted_at: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
}

/// Of a workload and of a pod.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Spec {
    pub(super) replicas: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub(super) paused: bool,
    #[serde(rename = "updateStrategy", deserialize_with = "or_default")]
    pub(super) update: Update,
    #[serde(deserialize_with = "or_default")]
    pub(super) selector: Selector,
    #[serde(deserialize_with = "or_default")]
    pub(super) template: Template,
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<Container>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Update {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(rename = "rollingUpdate")]
    pub(super) rolling: Option<Rolling>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Rolling {
    pub(super) partition: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Template {
    #[serde(deserialize_with = "or_default")]
    pub(super) metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: PodSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PodSpec {
    #[serde(deserialize_with = "or_default")]
    pub(super) containers: Vec<Container>,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Container {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) image: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Selector {
    #[serde(rename = "matchLabels", deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(rename = "matchExpressions", deserialize_with = "or_default")]
    expressions: Vec<Expression>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Expression {
    #[serde(deserialize_with = "or_default")]
    key: String,
    #[serde(deserialize_with = "or_default")]
    operator: String,
    #[serde(deserialize_with = "or_default")]
    values: Vec<String>,
}

impl Selector {
    /// The selector as the query of a list takes it.
    pub(super) fn text(&self) -> String {
        let labels = self.labels.iter().map(|(key, value)| format!("{key}={value}"));
        let expressions = self.expressions.iter().map(|it| match it.operator.as_str() {
            "In" => format!("{} in ({})", it.key, it.values.join(",")),
            "NotIn" => format!("{} notin ({})", it.key, it.values.join(",")),
            "DoesNotExist" => format!("!{}", it.key),
            _ => it.key.clone(),
        });
        labels.chain(expressions).collect::<Vec<_>>().join(",")
    }
}

/// Of a Deployment, a StatefulSet, a DaemonSet and a pod. A number that is missing is zero, as in kubectl.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    #[serde(deserialize_with = "or_default")]
    pub(super) observed_generation: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) replicas: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) updated_replicas: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) available_replicas: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) ready_replicas: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) current_revision: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) update_revision: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) desired_number_scheduled: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) updated_number_scheduled: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) number_available: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    pub(super) init_container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    pub(super) container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) reason: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
    pub(super) last_update_time: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) ready: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) restart_count: u32,
    #[serde(deserialize_with = "or_default")]
    pub(super) state: ContainerState,
    #[serde(deserialize_with = "or_default")]
    pub(super) last_state: ContainerState,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ContainerState {
    pub(super) waiting: Option<Waiting>,
    pub(super) terminated: Option<Terminated>,
    pub(super) running: Option<Running>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Waiting {
    #[serde(deserialize_with = "or_default")]
    pub(super) reason: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Terminated {
    #[serde(deserialize_with = "or_default")]
    pub(super) exit_code: i64,
    #[serde(deserialize_with = "or_default")]
    pub(super) reason: String,
}

/// That it runs is all that counts.
#[derive(Deserialize)]
pub(super) struct Running {}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Pods {
    #[serde(deserialize_with = "or_default")]
    pub(super) items: Vec<Object>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Events {
    #[serde(deserialize_with = "or_default")]
    items: Vec<Event>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    #[serde(rename = "type", deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    reason: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

impl Events {
    /// One line for each.
    pub(super) fn text(&self) -> String {
        let lines = self.items.iter().map(|it| one_line(&format!("{} {}: {}", it.kind, it.reason, it.message), 500));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Object {
    /// Whether this is a pod of the workload's present template, and not about to go.
    pub(super) fn is_made_by(&self, workload: &Self) -> bool {
        let wanted = &workload.spec.template.spec.containers;
        // More containers may have been injected.
        self.metadata.deleted_at.is_none() && wanted.iter().all(|container| self.spec.containers.contains(container))
    }
}
