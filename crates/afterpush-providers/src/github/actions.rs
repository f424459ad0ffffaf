//! Workflow runs of a commit: how they stand together, and which job and step failed.

use afterpush_core::{
    fault::Fault,
    observation::{DeploymentState, ProviderObservation, Serving},
    text::one_line,
};

use super::{
    GitHub, Learned,
    answer::{JOB_FIELDS, Job, Jobs, RUN_FIELDS, Run, Runs, state_of_run},
    parts::{self, Part, has_ended},
    read,
};
use crate::conversation::Line;

pub(super) const SCOPE: &str = "Actions: read (classic: repo)";

/// Runs on one page. One run is some 15 kB.
const PAGE: usize = 30;

/// Pages that are read at most, to come to the runs of the commit past those of later pushes.
const MOST_PAGES: u32 = 5;

impl GitHub {
    /// How the runs stand: the newest one of the workflow that is named, or the newest one of each workflow that the push started.
    pub(super) async fn observe_runs(
        &mut self,
        line: &Line,
        workflow: Option<&str>,
    ) -> Result<ProviderObservation, Fault> {
        let runs = self.runs(line, workflow).await?;
        let mut seen: Vec<&str> = Vec::new();
        let mut ours: Vec<Part> = Vec::new();
        for run in runs.iter().filter(|run| self.is_ours(&run.head_sha)) {
            let is_first = !seen.contains(&run.path.as_str());
            seen.push(&run.path);
            let part = part(run);
            if is_first && !(has_ended(part.state) && self.pushed.is_before(part.started_at)) {
                ours.push(part);
            }
        }
        if workflow.is_some() {
            ours.truncate(1);
        }
        self.runs_seen = !ours.is_empty();
        let mut observation = self.conclude(line, &ours, "workflow run").await;
        // A run that a person named is all there is; of others, more may appear a moment after the first.
        if workflow.is_some() {
            let overtaken = observation
                .deployment
                .as_ref()
                .is_none_or(|it| matches!(it.state, DeploymentState::Canceled | DeploymentState::Superseded));
            observation.serving = if overtaken { self.later_run(&runs, &ours) } else { None };
        } else {
            self.look_twice(&mut observation, &ours);
        }
        Ok(observation)
    }

    /// What the parts come to, with the reason when they failed.
    pub(super) async fn conclude(&mut self, line: &Line, parts: &[Part], noun: &str) -> ProviderObservation {
        let mut deployment = parts::deployment(&self.pushed, parts, noun);
        if let (Some(deployment), Some(part)) = (&mut deployment, parts::deciding(parts)) {
            deployment.reason = match part.state {
                DeploymentState::Failed => self.learn_from_part(line, part).await,
                DeploymentState::Blocked => Some(format!("{} waits for a person's approval", one_line(&part.name, 80))),
                _ => part.reason.clone(),
            };
        }
        ProviderObservation { deployment, ..ProviderObservation::default() }
    }

    /// Says that all is well only when the look before saw the same parts all well.
    pub(super) fn look_twice(&mut self, observation: &mut ProviderObservation, parts: &[Part]) {
        let Some(deployment) = &mut observation.deployment else { return };
        if deployment.state != DeploymentState::Live {
            self.well.clear();
        } else if !self.still_well(parts) {
            deployment.state = DeploymentState::Deploying;
        }
    }

    /// The runs of the branch, the newest first, as far back as the push.
    async fn runs(&self, line: &Line, workflow: Option<&str>) -> Result<Vec<Run>, Fault> {
        let file = workflow.map(|it| it.trim_start_matches(".github/workflows/")).filter(|it| is_file(it));
        let what = match workflow {
            Some(workflow) => format!("the workflow {:?} of {}", one_line(workflow, 80), self.named()),
            None => format!("the workflow runs of {}", self.named()),
        };
        let mut runs: Vec<Run> = Vec::new();
        for page in 1..=MOST_PAGES {
            let (size, page) = (PAGE.to_string(), page.to_string());
            let mut query = vec![("branch", self.branch.as_str()), ("per_page", &size), ("page", &page)];
            if workflow.is_none() {
                query.push(("event", "push"));
            }
            let request = match file {
                Some(file) => self.get(&["actions", "workflows", file, "runs"], &query),
                None => self.get(&["actions", "runs"], &query),
            };
            let response = line.ask(request?.reading(RUN_FIELDS)).await;
            let found: Runs = read(&response, &what, SCOPE)?;
            let is_last = found.workflow_runs.len() < PAGE;
            runs.extend(found.workflow_runs);
            if is_last || self.far_enough(&runs) {
                break;
            }
        }
        runs.retain(|run| {
            let wanted = match (workflow, file) {
                (None, _) => run.event == "push",
                (Some(_), Some(_)) => true,
                (Some(name), None) => run.name == name,
            };
            // That of a pull request builds another commit than the one it names.
            wanted && run.head_branch == self.branch && !run.event.starts_with("pull_request")
        });
        Ok(runs)
    }

    /// Whether all runs of the commit must be among these.
    fn far_enough(&self, runs: &[Run]) -> bool {
        let Some(last) = runs.last() else { return true };
        if self.pushed.at.is_some() {
            return self.pushed.is_before(last.created_at);
        }
        let past_ours = runs.iter().any(|run| self.is_ours(&run.head_sha)) && !self.is_ours(&last.head_sha);
        past_ours || (self.looked && !self.runs_seen)
    }

    /// The newest run of the workflow that succeeded after the commit's, or after the push.
    fn later_run(&self, runs: &[Run], ours: &[Part]) -> Option<Serving> {
        let since = ours.first().and_then(|part| part.started_at).or(self.pushed.at)?;
        let later = runs.iter().find(|run| {
            run.created_at.is_some_and(|at| at > since)
                && !self.is_ours(&run.head_sha)
                && part(run).state == DeploymentState::Live
        })?;
        Some(Serving {
            deployment_id: later.id.to_string(),
            commit: Some(self.pushed.seen(&later.head_sha)),
            site_url: None,
            is_later: true,
        })
    }

    async fn learn_from_part(&mut self, line: &Line, part: &Part) -> Option<String> {
        let about = (part.id, part.attempt);
        if let Some(learned) = self.learned.as_ref().filter(|it| it.about == about) {
            return learned.reason.clone();
        }
        let known = match (part.job, part.run) {
            (Some(job), _) => self.one_job(line, job).await.ok().map(|told| (job, told)),
            (None, Some(run)) => self.failing_job(line, run).await.ok().flatten(),
            (None, None) => None,
        };
        let name = one_line(&part.name, 80);
        let reason = match (&known, &part.reason) {
            (Some((_, told)), _) => format!("{name}: {told}"),
            (None, Some(said)) => format!("{name}: {said}"),
            (None, None) => format!("{name}: {}", one_line(&part.word, 40)),
        };
        let job = part.job.or(known.map(|it| it.0));
        self.learned = Some(Learned { about, reason: Some(reason.clone()), run: part.run, job });
        Some(reason)
    }

    /// The job of a run that failed, and what of it.
    pub(super) async fn failing_job(&self, line: &Line, run: u64) -> Result<Option<(u64, String)>, Fault> {
        let path = ["actions", "runs", &run.to_string(), "jobs"];
        let request = self.get(&path, &[("filter", "latest"), ("per_page", "100")])?;
        let response = line.ask(request.reading(JOB_FIELDS)).await;
        let jobs: Jobs = read(&response, "the run's jobs", SCOPE)?;
        let failing = jobs.jobs.iter().find(|job| is_failure(&job.conclusion));
        let failing = failing.or_else(|| jobs.jobs.iter().find(|job| job.conclusion == "cancelled"));
        Ok(failing.map(|job| (job.id, told(job))))
    }

    /// What failed of a job.
    pub(super) async fn one_job(&self, line: &Line, job: u64) -> Result<String, Fault> {
        let response = line.ask(self.get(&["actions", "jobs", &job.to_string()], &[])?.reading(JOB_FIELDS)).await;
        let job: Job = read(&response, "the job", SCOPE)?;
        Ok(told(&job))
    }
}

fn part(run: &Run) -> Part {
    let word = if run.status == "completed" { &run.conclusion } else { &run.status };
    Part {
        id: run.id,
        attempt: run.run_attempt,
        name: if run.name.is_empty() { run.path.clone() } else { run.name.clone() },
        sha: run.head_sha.clone(),
        word: word.clone(),
        state: state_of_run(&run.status, &run.conclusion),
        url: run.html_url.clone(),
        started_at: run.run_started_at.or(run.created_at),
        reason: None,
        run: Some(run.id),
        job: None,
    }
}

fn told(job: &Job) -> String {
    let name = one_line(&job.name, 80);
    match job.steps.iter().find(|step| is_failure(&step.conclusion)) {
        Some(step) => format!("job {name} failed at the step {:?}", one_line(&step.name, 120)),
        None => format!("job {name} ended as {}", one_line(&job.conclusion, 40)),
    }
}

fn is_failure(conclusion: &str) -> bool {
    matches!(conclusion, "failure" | "timed_out" | "startup_failure")
}

fn is_file(workflow: &str) -> bool {
    !workflow.contains('/') && [".yml", ".yaml"].iter().any(|end| workflow.ends_with(end))
}
