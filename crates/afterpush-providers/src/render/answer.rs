//! The parts of the vendor's answers that are read. A field that is null counts as absent.

use afterpush_core::text::one_line;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::answer::{Id, moment, or_default};

/// The longest text of an answer that is told, in characters.
const LONGEST_TEXT: usize = 200;

/// What is read of services.
pub(super) const OF_SERVICES: &[&str] = &[
    "service",
    "cursor",
    "id",
    "name",
    "repo",
    "branch",
    "ownerId",
    "suspended",
    "dashboardUrl",
    "serviceDetails",
    "url",
];

/// What is read of deploys.
pub(super) const OF_DEPLOYS: &[&str] =
    &["deploy", "cursor", "id", "commit", "status", "createdAt", "startedAt", "finishedAt"];

/// What is read of events.
pub(super) const OF_EVENTS: &[&str] = &[
    "event",
    "type",
    "timestamp",
    "details",
    "id",
    "deployId",
    "buildId",
    "message",
    "reason",
    "buildFailed",
    "newBuild",
    "newDeploy",
    "failure",
    "evicted",
    "nonZeroExit",
    "earlyExit",
    "oomKilled",
    "memoryLimit",
    "timedOutSeconds",
    "timedOutReason",
    "unhealthy",
];

/// A service, which is what deploys.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    pub(super) repo: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) owner_id: Id,
    pub(super) suspended: Option<String>,
    pub(super) dashboard_url: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    service_details: Details,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Details {
    url: Option<String>,
}

impl Service {
    /// The address at which it answers.
    pub(super) fn site_url(&self) -> Option<String> {
        self.service_details.url.clone().filter(|url| crate::answer::is_web_address(url))
    }
}

/// An entry of a list, in its wrapping.
#[derive(Debug, Deserialize)]
pub(super) struct OfService {
    pub(super) service: Service,
    pub(super) cursor: Option<String>,
}

/// An entry of a list, in its wrapping.
#[derive(Debug, Deserialize)]
pub(super) struct OfDeploy {
    pub(super) deploy: Deploy,
    pub(super) cursor: Option<String>,
}

/// One deployment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deploy {
    pub(super) id: Id,
    commit: Option<Commit>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Deserialize)]
struct Commit {
    id: Option<String>,
}

impl Deploy {
    /// The commit that it deploys; one of an image has none.
    pub(super) fn commit(&self) -> Option<&str> {
        self.commit.as_ref()?.id.as_deref()
    }
}

/// Something that happened to the service.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Event {
    pub(super) id: Id,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "moment")]
    pub(super) timestamp: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) details: EventDetails,
}

/// The details of the events that are of interest, all in one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EventDetails {
    pub(super) id: Option<String>,
    pub(super) deploy_id: Option<String>,
    pub(super) build_id: Option<String>,
    message: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) reason: Reason,
}

/// Why something ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Reason {
    pub(super) build_failed: Option<OneId>,
    new_build: Option<OneId>,
    new_deploy: Option<OneId>,
    failure: Option<Failure>,
}

/// A thing that is named by its id.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct OneId {
    pub(super) id: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Failure {
    evicted: Option<bool>,
    non_zero_exit: Option<i64>,
    early_exit: Option<bool>,
    oom_killed: Option<OutOfMemory>,
    timed_out_seconds: Option<i64>,
    timed_out_reason: Option<String>,
    unhealthy: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutOfMemory {
    memory_limit: Option<String>,
}

impl EventDetails {
    /// What came instead, when that is why it ended.
    pub(super) fn successor(&self) -> Option<String> {
        let reason = &self.reason;
        let named = |word: &str, it: &Option<OneId>| it.as_ref().map(|it| format!("{word} {}", one_line(&it.id, 64)));
        named("deploy", &reason.new_deploy).or_else(|| named("build", &reason.new_build))
    }

    /// The failure in words.
    pub(super) fn failure(&self) -> Option<String> {
        let told = |text: &str| Some(one_line(text, LONGEST_TEXT)).filter(|it| !it.is_empty());
        let Some(failure) = &self.reason.failure else { return told(self.message.as_deref()?) };
        if let Some(memory) = &failure.oom_killed {
            let limit = memory.memory_limit.as_deref().and_then(told).unwrap_or_else(|| "unknown".to_owned());
            return Some(format!("it ran out of memory (limit {limit})"));
        }
        if let Some(text) = failure.unhealthy.as_deref().and_then(told) {
            return Some(format!("it is unhealthy: {text}"));
        }
        if let Some(text) = failure.timed_out_reason.as_deref().and_then(told) {
            return Some(format!("it timed out: {text}"));
        }
        match failure {
            Failure { timed_out_seconds: Some(seconds), .. } => Some(format!("it timed out after {seconds} s")),
            Failure { non_zero_exit: Some(status), .. } => Some(format!("it exited with status {status}")),
            Failure { early_exit: Some(true), .. } => Some("it exited early".to_owned()),
            Failure { evicted: Some(true), .. } => Some("it was evicted".to_owned()),
            _ => None,
        }
    }
}

/// The entries of a list of events that can be read; there are kinds with other shapes among them.
pub(super) fn events(list: Vec<Value>) -> Vec<Event> {
    #[derive(Deserialize)]
    struct OfEvent {
        event: Event,
    }
    each::<OfEvent>(list).map(|it| it.event).collect()
}

fn each<T: DeserializeOwned>(list: Vec<Value>) -> impl Iterator<Item = T> {
    list.into_iter().filter_map(|value| serde_json::from_value(value).ok())
}

/// A page of log lines.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Logs {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) has_more: bool,
    pub(super) next_start_time: Option<String>,
    pub(super) next_end_time: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) logs: Vec<LogLine>,
}

/// A line of a log.
#[derive(Debug, Deserialize)]
pub(super) struct LogLine {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(default, deserialize_with = "moment")]
    pub(super) timestamp: Option<Timestamp>,
}

/// A workspace, in its wrapping.
#[derive(Debug, Deserialize)]
pub(super) struct OfOwner {
    pub(super) owner: Owner,
}

/// A workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Owner {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
}
