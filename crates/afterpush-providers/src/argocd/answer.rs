//! What is read of Argo CD's answers. Manifests, parameters and environment values are not.

use afterpush_core::{id::RefName, text::one_line};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{answer::or_default, remote::Repository};

/// The fields that are read, whatever their depth.
pub(super) const FIELDS: &[&str] = &[
    "items",
    "metadata",
    "name",
    "namespace",
    "spec",
    "source",
    "sources",
    "repoURL",
    "targetRevision",
    "syncPolicy",
    "automated",
    "enabled",
    "operation",
    "sync",
    "revision",
    "revisions",
    "status",
    "health",
    "message",
    "operationState",
    "phase",
    "startedAt",
    "syncResult",
    "resources",
    "group",
    "kind",
    "hookPhase",
    "hookType",
    "history",
    "deployedAt",
    "conditions",
    "type",
    "summary",
    "externalURLs",
];

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Applications {
    #[serde(deserialize_with = "or_default")]
    pub(super) items: Vec<Application>,
}

#[derive(Debug, Clone, Deserialize, Default)]
pub(super) struct Application {
    pub(super) metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: Status,
    /// A sync that was asked for and has not begun.
    #[serde(default)]
    pub(super) operation: Option<Operation>,
}

#[derive(Debug, Clone, Deserialize, Default)]
pub(super) struct Metadata {
    pub(super) name: String,
    #[serde(default)]
    pub(super) namespace: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Spec {
    source: Option<Source>,
    #[serde(deserialize_with = "or_default")]
    sources: Vec<Source>,
    #[serde(rename = "syncPolicy", deserialize_with = "or_default")]
    sync_policy: SyncPolicy,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct Source {
    #[serde(rename = "repoURL", deserialize_with = "or_default")]
    repo_url: String,
    #[serde(rename = "targetRevision", deserialize_with = "or_default")]
    target_revision: String,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct SyncPolicy {
    automated: Option<Automated>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct Automated {
    enabled: Option<bool>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Status {
    #[serde(deserialize_with = "or_default")]
    pub(super) sync: Sync,
    #[serde(deserialize_with = "or_default")]
    pub(super) health: Health,
    #[serde(rename = "operationState")]
    pub(super) operation: Option<OperationState>,
    #[serde(deserialize_with = "or_default")]
    pub(super) history: Vec<Deployed>,
    #[serde(deserialize_with = "or_default")]
    resources: Vec<Resource>,
    #[serde(deserialize_with = "or_default")]
    conditions: Vec<Condition>,
    #[serde(deserialize_with = "or_default")]
    summary: Summary,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Sync {
    #[serde(deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(flatten)]
    pub(super) revisions: Revisions,
}

/// The revision of an application with one source, or those of one with several.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Revisions {
    #[serde(deserialize_with = "or_default")]
    revision: String,
    #[serde(deserialize_with = "or_default")]
    revisions: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Health {
    #[serde(deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct OperationState {
    #[serde(deserialize_with = "or_default")]
    pub(super) phase: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(rename = "startedAt")]
    pub(super) started_at: Option<Timestamp>,
    #[serde(rename = "syncResult")]
    result: Option<SyncResult>,
    operation: Option<Operation>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct SyncResult {
    #[serde(flatten)]
    revisions: Revisions,
    #[serde(deserialize_with = "or_default")]
    resources: Vec<Synced>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Operation {
    sync: Option<Revisions>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Deployed {
    #[serde(flatten)]
    pub(super) revisions: Revisions,
    #[serde(rename = "deployedAt")]
    pub(super) deployed_at: Option<Timestamp>,
}

/// A part of the application, as the last sync left it.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct Synced {
    #[serde(flatten)]
    part: Part,
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(rename = "hookPhase", deserialize_with = "or_default")]
    hook_phase: String,
    #[serde(rename = "hookType", deserialize_with = "or_default")]
    hook_type: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

/// A part of the application, as it is now.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct Resource {
    #[serde(flatten)]
    part: Part,
    #[serde(deserialize_with = "or_default")]
    health: Health,
}

/// Which part.
#[derive(Debug, Clone, Deserialize, Default, PartialEq, Eq)]
#[serde(default)]
pub(super) struct Part {
    #[serde(deserialize_with = "or_default")]
    pub(super) group: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) namespace: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type", deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    message: String,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct Summary {
    #[serde(rename = "externalURLs", deserialize_with = "or_default")]
    external_urls: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(super) struct Session {
    #[serde(rename = "loggedIn", deserialize_with = "or_default")]
    pub(super) logged_in: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) username: String,
}

/// A line of the log stream.
#[derive(Deserialize)]
pub(super) struct LogLine {
    result: LogEntry,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LogEntry {
    #[serde(deserialize_with = "or_default")]
    content: String,
}

impl LogLine {
    /// The text of a stream of JSON documents, one on each line; what is no such document is left out.
    pub(super) fn all_of(body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let lines = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line));
        let entries = lines.filter_map(|line| serde_json::from_str::<Self>(line).ok());
        let contents: Vec<String> = entries.map(|line| line.result.content).filter(|line| !line.is_empty()).collect();
        contents.join("\n")
    }
}

impl Revisions {
    /// All that are told.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let one = std::iter::once(&self.revision).chain(&self.revisions);
        one.map(String::as_str).filter(|revision| !revision.is_empty())
    }
}

impl OperationState {
    /// What it syncs: by its result, and before there is one, by what was asked for.
    pub(super) fn revisions(&self) -> Revisions {
        let result = self.result.as_ref().map(|result| result.revisions.clone());
        let asked = || self.operation.as_ref().and_then(|operation| operation.sync.clone());
        result.filter(|revisions| revisions.all().next().is_some()).or_else(asked).unwrap_or_default()
    }
}

impl Operation {
    pub(super) fn revisions(&self) -> Revisions {
        self.sync.clone().unwrap_or_default()
    }
}

impl Part {
    pub(super) fn title(&self) -> String {
        one_line(&format!("{}/{}", self.kind, self.name), 120)
    }

    pub(super) fn has_pods(&self) -> bool {
        ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Pod", "Rollout"].contains(&self.kind.as_str())
    }
}

impl Application {
    /// Whether one of its sources is this repository at this branch.
    pub(super) fn is_made_of(&self, repository: Option<&Repository>, ref_name: &RefName) -> bool {
        let sources = self.spec.sources.iter().chain(&self.spec.source);
        repository.is_some_and(|repository| {
            sources.into_iter().any(|source| {
                let at = source.target_revision.as_str();
                let is_at = at.is_empty() || at == "HEAD" || at == ref_name.as_str() || at == ref_name.short();
                is_at && Repository::parse(&source.repo_url).as_ref() == Some(repository)
            })
        })
    }

    /// Whether it syncs by itself.
    pub(super) fn is_automated(&self) -> bool {
        self.spec.sync_policy.automated.as_ref().is_some_and(|automated| automated.enabled != Some(false))
    }

    /// The address where it answers.
    pub(super) fn site_url(&self) -> Option<String> {
        self.status.summary.external_urls.iter().find(|url| crate::answer::is_web_address(url)).cloned()
    }

    /// The parts that the last sync could not bring about, and those that are degraded.
    pub(super) fn failing(&self) -> Vec<Part> {
        let synced = self.synced().filter(|it| it.has_failed()).map(|it| &it.part);
        let degraded = self.degraded().map(|it| &it.part);
        let mut parts: Vec<Part> = Vec::new();
        for part in synced.chain(degraded) {
            if !parts.contains(part) {
                parts.push(part.clone());
            }
        }
        parts
    }

    /// What the failing parts say of themselves.
    pub(super) fn reasons(&self) -> Vec<String> {
        let told = |part: &Part, message: &str| one_line(&format!("{}: {message}", part.title()), 300);
        let synced = self.synced().filter(|it| it.has_failed() && !it.message.is_empty());
        let degraded = self.degraded().filter(|it| !it.health.message.is_empty());
        synced
            .map(|it| told(&it.part, &it.message))
            .chain(degraded.map(|it| told(&it.part, &it.health.message)))
            .take(5)
            .collect()
    }

    /// What Argo CD says is wrong with the application itself, such as manifests that cannot be made.
    pub(super) fn error(&self) -> Option<String> {
        let error = self.status.conditions.iter().find(|condition| condition.kind.ends_with("Error"))?;
        Some(one_line(&format!("{}: {}", error.kind, error.message), 300))
    }

    fn synced(&self) -> impl Iterator<Item = &Synced> {
        self.status.operation.iter().filter_map(|it| it.result.as_ref()).flat_map(|result| &result.resources)
    }

    fn degraded(&self) -> impl Iterator<Item = &Resource> {
        self.status.resources.iter().filter(|it| it.health.status == "Degraded")
    }
}

impl Synced {
    /// Of a hook the status tells how it was applied, and its phase how it ended.
    fn has_failed(&self) -> bool {
        let hook = !self.hook_type.is_empty() || self.status.is_empty();
        self.status == "SyncFailed" || (hook && matches!(self.hook_phase.as_str(), "Failed" | "Error"))
    }
}
