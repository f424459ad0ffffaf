//! Check runs and commit statuses of a commit, taken together: two systems of the vendor's for the same purpose.

use afterpush_core::{
    fault::Fault,
    observation::{DeploymentState, ProviderObservation},
    text::one_line,
};

use super::{
    FIRST_PAGES, GitHub,
    answer::{
        CHECK_FIELDS, COMMIT_STATUS_FIELDS, CheckRun, CheckRuns, CommitStatus, CommitStatuses, state_of_commit_status,
        state_of_run,
    },
    parts::{Part, has_ended},
    read,
};
use crate::conversation::Line;

const CHECKS_SCOPE: &str = "Checks: read (classic: repo)";
const STATUS_SCOPE: &str = "Commit statuses: read (classic: repo:status)";

/// Checks on one page.
const PAGE: &str = "100";

impl GitHub {
    /// How all checks of the commit stand together. None at all is no success.
    pub(super) async fn observe_checks(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let Some((mut parts, all_runs)) = self.check_runs(line).await? else {
            return Ok(ProviderObservation::default());
        };
        let (statuses, all_statuses) = self.commit_statuses(line).await?;
        parts.extend(statuses);
        parts.retain(|part| {
            self.is_ours(&part.sha) && !(has_ended(part.state) && self.pushed.is_before(part.started_at))
        });
        let mut observation = self.conclude(line, &parts, "check").await;
        self.look_twice(&mut observation, &parts);
        if let Some(deployment) = &mut observation.deployment
            && deployment.state == DeploymentState::Live
            && !(all_runs && all_statuses)
        {
            deployment.state = DeploymentState::Building;
            deployment.progress = Some("the commit has more checks than can be read".to_owned());
        }
        Ok(observation)
    }

    /// The check runs, and whether these are all; `None` when the commit is not known yet.
    async fn check_runs(&self, line: &Line) -> Result<Option<(Vec<Part>, bool)>, Fault> {
        let mut parts = Vec::new();
        for page in 1..=FIRST_PAGES {
            let path = ["commits", self.pushed.commit.as_str(), "check-runs"];
            let query = [("filter", "latest"), ("per_page", PAGE), ("page", &page.to_string())];
            let response = line.ask(self.get(&path, &query)?.reading(CHECK_FIELDS)).await;
            // "No commit found for SHA".
            if response.status == 422 {
                return Ok(None);
            }
            let found: CheckRuns = read(&response, &format!("the checks of {}", self.named()), CHECKS_SCOPE)?;
            let is_empty = found.check_runs.is_empty();
            parts.extend(found.check_runs.iter().map(of_check_run));
            if is_empty || parts.len() >= found.total_count {
                return Ok(Some((parts, true)));
            }
        }
        Ok(Some((parts, false)))
    }

    async fn commit_statuses(&self, line: &Line) -> Result<(Vec<Part>, bool), Fault> {
        let mut parts = Vec::new();
        for page in 1..=FIRST_PAGES {
            let path = ["commits", self.pushed.commit.as_str(), "status"];
            let query = [("per_page", PAGE), ("page", &page.to_string())];
            let response = line.ask(self.get(&path, &query)?.reading(COMMIT_STATUS_FIELDS)).await;
            let found: CommitStatuses =
                read(&response, &format!("the commit statuses of {}", self.named()), STATUS_SCOPE)?;
            let is_empty = found.statuses.is_empty();
            parts.extend(found.statuses.iter().map(|status| of_commit_status(status, &found.sha)));
            if is_empty || parts.len() >= found.total_count {
                return Ok((parts, true));
            }
        }
        Ok((parts, false))
    }
}

fn of_check_run(run: &CheckRun) -> Part {
    let word = if run.status == "completed" { &run.conclusion } else { &run.status };
    let title = one_line(&run.output.title, 300);
    Part {
        id: run.id,
        attempt: 0,
        name: run.name.clone(),
        sha: run.head_sha.clone(),
        word: word.clone(),
        state: state_of_run(&run.status, &run.conclusion),
        url: run.html_url.clone(),
        started_at: run.started_at,
        reason: (!title.is_empty()).then_some(title),
        run: None,
        // A job of Actions has the same id as its check run.
        job: (run.app.slug == "github-actions").then_some(run.id),
    }
}

fn of_commit_status(status: &CommitStatus, sha: &str) -> Part {
    let said = one_line(&status.description, 300);
    Part {
        id: status.id,
        attempt: 0,
        name: status.context.clone(),
        sha: sha.to_owned(),
        word: status.state.clone(),
        state: state_of_commit_status(&status.state),
        url: status.target_url.clone(),
        started_at: status.created_at,
        reason: (!said.is_empty()).then_some(said),
        run: None,
        job: None,
    }
}
