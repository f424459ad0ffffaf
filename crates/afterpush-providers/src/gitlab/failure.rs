//! Why a pipeline or a deployment failed: the job, and its log.

use afterpush_core::{
    fault::{Fault, FaultKind},
    text::one_line,
};
use url::Url;

use super::{
    GitLab, SCOPE,
    answer::{Deployment, JOB_FIELDS, Job, PIPELINE_FIELDS, Pipeline},
    read,
};
use crate::{
    api::log_elsewhere,
    conversation::Line,
    response::{self, Asked},
};

/// What failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    reason: Option<String>,
    /// The project and the id of the job that failed.
    job: Option<(String, u64)>,
    /// The pipeline, for another try to find its job.
    pipeline: Option<u64>,
}

impl GitLab {
    /// Finds out why a pipeline failed. That it failed is said even when this cannot be found out.
    pub(super) async fn learn_from_pipeline(&mut self, line: &Line, pipeline: u64) -> Option<String> {
        let (reason, job) = match self.failing_job(line, pipeline).await {
            Ok(Some((reason, job))) => (Some(reason), Some(job)),
            Ok(None) => (self.yaml_errors(line, pipeline).await.ok().flatten(), None),
            Err(_) => (None, None),
        };
        self.failure = Some(Failure { reason: reason.clone(), job, pipeline: Some(pipeline) });
        reason
    }

    /// Finds out why the job of a deployment failed.
    pub(super) async fn learn_from_deployment(&mut self, line: &Line, ours: &Deployment) -> Option<String> {
        let project = self.project().ok()?.to_owned();
        let job = ours.deployable.as_ref().map(|it| it.id);
        let reason = match job {
            Some(job) => {
                let request = self.get(&project, &["jobs", &job.to_string()], &[]).reading(JOB_FIELDS);
                let response = line.ask(request).await;
                read::<Job>(&response, "the job that deploys").ok().map(|job| told(&job))
            }
            None => None,
        };
        self.failure = Some(Failure { reason: reason.clone(), job: job.map(|job| (project, job)), pipeline: None });
        reason
    }

    /// The first job of a pipeline that failed and was not allowed to, or that of a pipeline that it started.
    async fn failing_job(&self, line: &Line, pipeline: u64) -> Result<Option<(String, (String, u64))>, Fault> {
        let project = self.project()?.to_owned();
        if let Some(found) = self.failed_of(line, &project, pipeline).await? {
            return Ok(Some(found));
        }
        let path = ["pipelines", &pipeline.to_string(), "bridges"];
        let response = line.ask(self.get(&project, &path, &[("per_page", "100")]).reading(JOB_FIELDS)).await;
        let bridges: Vec<Job> = read(&response, "the pipelines that the pipeline started")?;
        let Some(bridge) = bridges.into_iter().find(is_failure) else { return Ok(None) };
        let Some(below) = &bridge.downstream_pipeline else {
            return Ok(Some((told(&bridge), (project, bridge.id))));
        };
        let its_project = below.project_id.map_or(project, |id| id.to_string());
        let found = self.failed_of(line, &its_project, below.id).await?;
        Ok(found.map(|(reason, job)| (format!("{}: {reason}", one_line(&bridge.name, 80)), job)))
    }

    async fn failed_of(
        &self,
        line: &Line,
        project: &str,
        pipeline: u64,
    ) -> Result<Option<(String, (String, u64))>, Fault> {
        let path = ["pipelines", &pipeline.to_string(), "jobs"];
        let query = [("scope[]", "failed"), ("per_page", "100")];
        let response = line.ask(self.get(project, &path, &query).reading(JOB_FIELDS)).await;
        let jobs: Vec<Job> = read(&response, "the pipeline's jobs")?;
        // The newest come first; what failed first is the cause.
        let job = jobs.iter().filter(|job| is_failure(job)).min_by_key(|job| job.id);
        Ok(job.map(|job| (told(job), (project.to_owned(), job.id))))
    }

    /// What is wrong with the description of a pipeline that has no jobs.
    async fn yaml_errors(&self, line: &Line, pipeline: u64) -> Result<Option<String>, Fault> {
        let request = self.get(self.project()?, &["pipelines", &pipeline.to_string()], &[]).reading(PIPELINE_FIELDS);
        let response = line.ask(request).await;
        let pipeline: Pipeline = read(&response, "the pipeline")?;
        let text = one_line(&pipeline.yaml_errors, 300);
        Ok((!text.is_empty()).then(|| format!(".gitlab-ci.yml: {text}")))
    }

    /// The log of the job that failed; where there is none, what is known instead.
    pub(super) async fn trace(&self, line: &Line, failure: Failure) -> Result<String, Fault> {
        let job = match (failure.job, failure.pipeline) {
            (None, Some(pipeline)) if failure.reason.is_none() => {
                self.failing_job(line, pipeline).await?.map(|(_, job)| job)
            }
            (job, _) => job,
        };
        let Some((project, job)) = job else {
            let none = || Fault::new(FaultKind::NotFound, "GitLab keeps no log of what failed; its page tells more");
            return failure.reason.ok_or_else(none);
        };
        let request = self.get(&project, &["jobs", &job.to_string(), "trace"], &[]).for_log();
        let mut response = line.ask(request).await;
        if matches!(response.status, 302 | 307) {
            let Some(address) = response.header("location").and_then(|address| Url::parse(address).ok()) else {
                return Err(Fault::new(FaultKind::Malformed, "GitLab does not say where the job's log is"));
            };
            response = line.ask(log_elsewhere(&address)).await;
        }
        if response.status != 200 {
            let asked = Asked { vendor: "GitLab", what: "the log of the failed job", scope: SCOPE };
            return Err(response::fault(&response, asked));
        }
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }
}

fn is_failure(job: &Job) -> bool {
    job.status == "failed" && !job.allow_failure
}

fn told(job: &Job) -> String {
    let (name, stage) = (one_line(&job.name, 80), one_line(&job.stage, 80));
    let why = match one_line(&job.failure_reason, 80) {
        none if none.is_empty() => one_line(&job.status, 40),
        why => why,
    };
    format!("job {name} of the stage {stage} failed: {why}")
}
