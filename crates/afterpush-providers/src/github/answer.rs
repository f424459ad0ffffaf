//! The answers of GitHub, as far as they are read.

use afterpush_core::observation::DeploymentState;
use jiff::Timestamp;
use serde::Deserialize;

use crate::answer::or_default;

/// The fields of deployments that are read.
pub(super) const DEPLOYMENT_FIELDS: &[&str] =
    &["id", "sha", "ref", "environment", "production_environment", "transient_environment", "created_at"];

/// The fields of the statuses of a deployment that are read.
pub(super) const STATUS_FIELDS: &[&str] =
    &["id", "state", "description", "environment_url", "log_url", "target_url", "created_at"];

/// The fields of workflow runs that are read.
pub(super) const RUN_FIELDS: &[&str] = &[
    "workflow_runs",
    "id",
    "name",
    "path",
    "event",
    "head_sha",
    "head_branch",
    "status",
    "conclusion",
    "run_attempt",
    "run_started_at",
    "created_at",
    "html_url",
];

/// The fields of jobs that are read.
pub(super) const JOB_FIELDS: &[&str] = &["jobs", "id", "name", "status", "conclusion", "steps"];

/// The fields of check runs that are read.
pub(super) const CHECK_FIELDS: &[&str] = &[
    "total_count",
    "check_runs",
    "id",
    "name",
    "head_sha",
    "status",
    "conclusion",
    "html_url",
    "started_at",
    "output",
    "title",
    "app",
    "slug",
];

/// The fields of the combined status that are read.
pub(super) const COMMIT_STATUS_FIELDS: &[&str] =
    &["total_count", "sha", "statuses", "id", "context", "state", "description", "target_url", "created_at"];

/// An answer of which nothing is needed but that it is an object.
#[derive(Deserialize)]
pub(super) struct Anything {}

#[derive(Deserialize)]
pub(super) struct OneRepository {
    pub(super) full_name: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: u64,
    pub(super) sha: String,
    #[serde(rename = "ref", default, deserialize_with = "or_default")]
    pub(super) ref_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) environment: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) production_environment: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) transient_environment: bool,
    pub(super) created_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    pub(super) state: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) description: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) environment_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) log_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) target_url: String,
    pub(super) created_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(super) struct Runs {
    pub(super) workflow_runs: Vec<Run>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Run {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) path: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) event: String,
    pub(super) head_sha: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) head_branch: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conclusion: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) run_attempt: u64,
    pub(super) run_started_at: Option<Timestamp>,
    pub(super) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) html_url: String,
}

#[derive(Deserialize)]
pub(super) struct Jobs {
    pub(super) jobs: Vec<Job>,
}

#[derive(Deserialize)]
pub(super) struct Job {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conclusion: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) steps: Vec<Step>,
}

#[derive(Deserialize)]
pub(super) struct Step {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conclusion: String,
}

#[derive(Deserialize)]
pub(super) struct CheckRuns {
    pub(super) total_count: usize,
    pub(super) check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
pub(super) struct CheckRun {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    pub(super) head_sha: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conclusion: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) html_url: String,
    pub(super) started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) output: Output,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) app: App,
}

#[derive(Default, Deserialize)]
pub(super) struct Output {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) title: String,
}

#[derive(Default, Deserialize)]
pub(super) struct App {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) slug: String,
}

#[derive(Deserialize)]
pub(super) struct CommitStatuses {
    pub(super) total_count: usize,
    pub(super) sha: String,
    pub(super) statuses: Vec<CommitStatus>,
}

#[derive(Deserialize)]
pub(super) struct CommitStatus {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) context: String,
    pub(super) state: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) description: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) target_url: String,
    pub(super) created_at: Option<Timestamp>,
}

/// The state of a workflow run or a check run: its status, and once that is "completed" its conclusion.
pub(super) fn state_of_run(status: &str, conclusion: &str) -> DeploymentState {
    match (status, conclusion) {
        ("queued" | "requested" | "pending", _) => DeploymentState::Queued,
        ("waiting", _) | ("completed", "action_required") => DeploymentState::Blocked,
        ("in_progress", _) => DeploymentState::Building,
        ("completed", "success") => DeploymentState::Live,
        ("completed", "neutral" | "skipped") => DeploymentState::Skipped,
        ("completed", "failure" | "timed_out" | "startup_failure") => DeploymentState::Failed,
        ("completed", "cancelled") => DeploymentState::Canceled,
        ("completed", "stale") => DeploymentState::Superseded,
        _ => DeploymentState::Unknown,
    }
}

/// The state of a commit status.
pub(super) fn state_of_commit_status(word: &str) -> DeploymentState {
    match word {
        "pending" => DeploymentState::Building,
        "success" => DeploymentState::Live,
        "error" | "failure" => DeploymentState::Failed,
        _ => DeploymentState::Unknown,
    }
}

/// The state of a deployment by its statuses, the newest first. GitHub sets `inactive` on an older deployment once a newer
/// one of its environment succeeds; Vercel sets it at once for a project that the push does not touch.
pub(super) fn state_of_deployment(statuses: &[Status]) -> DeploymentState {
    let Some(newest) = statuses.first() else {
        return DeploymentState::Queued;
    };
    match newest.state.as_str() {
        "queued" | "pending" => DeploymentState::Queued,
        "waiting" => DeploymentState::Blocked,
        "in_progress" => DeploymentState::Deploying,
        "success" => DeploymentState::Live,
        "failure" | "error" => DeploymentState::Failed,
        "inactive" if statuses.iter().any(|it| it.state == "success") => DeploymentState::Replaced,
        "inactive" if newest.description.to_ascii_lowercase().starts_with("skipped") => DeploymentState::Skipped,
        "inactive" => DeploymentState::Superseded,
        _ => DeploymentState::Unknown,
    }
}
