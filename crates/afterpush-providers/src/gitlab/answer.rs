//! The answers of GitLab, as far as they are read.

use afterpush_core::observation::DeploymentState;
use jiff::Timestamp;
use serde::Deserialize;

use crate::answer::{is_web_address, or_default};

/// The fields of pipelines that are read.
pub(super) const PIPELINE_FIELDS: &[&str] =
    &["id", "sha", "ref", "status", "source", "created_at", "updated_at", "web_url", "yaml_errors"];

/// The fields of deployments that are read.
pub(super) const DEPLOYMENT_FIELDS: &[&str] = &[
    "id",
    "sha",
    "status",
    "created_at",
    "updated_at",
    "environment",
    "name",
    "external_url",
    "deployable",
    "pipeline",
    "web_url",
];

/// The fields of jobs, and of jobs that stand for another pipeline, that are read.
pub(super) const JOB_FIELDS: &[&str] =
    &["id", "name", "stage", "status", "failure_reason", "allow_failure", "downstream_pipeline", "project_id"];

/// An entry of a list.
pub(super) trait Entry {
    /// The commit that it names.
    fn sha(&self) -> &str;
    /// When it was made.
    fn created_at(&self) -> Option<Timestamp>;
}

#[derive(Debug, Deserialize)]
pub(super) struct Pipeline {
    pub(super) id: u64,
    pub(super) sha: String,
    #[serde(rename = "ref", default, deserialize_with = "or_default")]
    pub(super) ref_name: String,
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) source: String,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) web_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) yaml_errors: String,
}

impl Pipeline {
    /// Tells whether it is one that deploys what was pushed: not one of a schedule, of a merge request, or a part of another.
    pub(super) fn is_of_push(&self) -> bool {
        !matches!(
            self.source.as_str(),
            "schedule"
                | "merge_request_event"
                | "external_pull_request_event"
                | "parent_pipeline"
                | "ondemand_dast_scan"
                | "ondemand_dast_validation"
                | "security_orchestration_policy"
        )
    }
}

impl Entry for Pipeline {
    fn sha(&self) -> &str {
        &self.sha
    }
    fn created_at(&self) -> Option<Timestamp> {
        self.created_at
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) status: String,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
    pub(super) environment: Environment,
    pub(super) deployable: Option<Deployable>,
}

impl Deployment {
    /// The address at which the application answers.
    pub(super) fn site_url(&self) -> Option<String> {
        Some(&self.environment.external_url).filter(|it| is_web_address(it)).cloned()
    }

    /// The page of the pipeline that made it.
    pub(super) fn page(&self) -> Option<String> {
        let pipeline = self.deployable.as_ref()?.pipeline.as_ref()?;
        is_web_address(&pipeline.web_url).then(|| pipeline.web_url.clone())
    }
}

impl Entry for Deployment {
    fn sha(&self) -> &str {
        &self.sha
    }
    fn created_at(&self) -> Option<Timestamp> {
        self.created_at
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Environment {
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) external_url: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Deployable {
    pub(super) id: u64,
    pub(super) pipeline: Option<PipelineLink>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PipelineLink {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) web_url: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Job {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) stage: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) failure_reason: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) allow_failure: bool,
    pub(super) downstream_pipeline: Option<Downstream>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Downstream {
    pub(super) id: u64,
    pub(super) project_id: Option<u64>,
}

/// The state of a pipeline, and whether it has ended.
pub(super) fn state_of_pipeline(word: &str) -> (DeploymentState, bool) {
    match word {
        "created" | "waiting_for_resource" | "preparing" | "pending" | "scheduled" => (DeploymentState::Queued, false),
        "running" | "canceling" => (DeploymentState::Building, false),
        "manual" => (DeploymentState::Blocked, false),
        "success" => (DeploymentState::Live, true),
        "failed" => (DeploymentState::Failed, true),
        "canceled" => (DeploymentState::Canceled, true),
        "skipped" => (DeploymentState::Skipped, true),
        _ => (DeploymentState::Unknown, false),
    }
}

/// The state of a deployment, and whether it has ended.
pub(super) fn state_of_deployment(word: &str) -> (DeploymentState, bool) {
    match word {
        "created" => (DeploymentState::Queued, false),
        "running" => (DeploymentState::Deploying, false),
        "blocked" => (DeploymentState::Blocked, false),
        "success" => (DeploymentState::Live, true),
        "failed" => (DeploymentState::Failed, true),
        "canceled" => (DeploymentState::Canceled, true),
        "skipped" => (DeploymentState::Skipped, true),
        _ => (DeploymentState::Unknown, false),
    }
}
