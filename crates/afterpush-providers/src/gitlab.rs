//! GitLab: follows the pipeline of one commit, or its deployment to one environment. Builds requests and reads responses only.
//!
//! Source: the vendor's reference of its REST API, version 4.

mod answer;
mod failure;
mod login;
#[cfg(test)]
mod tests;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{Deployment as Observed, DeploymentState, ProviderObservation, Serving},
    text::one_line,
};
use serde::de::DeserializeOwned;

use self::{
    answer::{DEPLOYMENT_FIELDS, Deployment, PIPELINE_FIELDS, Pipeline, state_of_deployment, state_of_pipeline},
    failure::Failure,
};
use crate::{
    HttpRequest, HttpResponse, Setup, SetupError,
    answer::is_web_address,
    api::Api,
    conversation::{Conversation, Converse, Line},
    pushed::Pushed,
    registry::Entry,
    remote::Repository,
    response::{self, Asked},
    settings::{Settings, wrong_address},
};

/// The vendor's own address.
const API: &str = "https://gitlab.com/api/v4";

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "gitlab",
    api_url: API,
    build: |setup| Ok(Box::new(Conversation::new(GitLab::new(setup)?))),
    needs_token: true,
    credential_names: &["GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "OAUTH_TOKEN"],
    login_files: &["glab-cli/config.yml"],
    token_from_login_file: login::token,
};

/// The scope of a token that may read pipelines, jobs and deployments.
const SCOPE: &str = "read_api";

/// Entries of a list on one page.
const PAGE: usize = 20;

/// Pages that are read at most, to come to the commit past those of later pushes.
const MOST_PAGES: u32 = 5;

/// Follows one commit.
#[derive(Clone)]
struct GitLab {
    api: Api,
    /// The path or the id of the project, or why it is not known.
    project: Result<String, String>,
    environment: Option<String>,
    /// The branch's or tag's short name.
    branch: String,
    pushed: Pushed,
    /// The commit was seen, and is looked for on more than the first page from then on.
    seen: bool,
    looked: bool,
    failure: Option<Failure>,
}

impl GitLab {
    /// Reads the settings `project` (path or id) and `environment`, both optional.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("gitlab", &setup.settings, &["project", "environment"])?;
        let project = match settings.text("project")? {
            Some(project) => Ok(project.trim_matches('/').to_owned()),
            None => of_remote(&setup.remote_url, setup.api_url.is_some()),
        };
        Ok(Self {
            project,
            environment: settings.text("environment")?,
            api: Api::new(setup.api_url.as_deref().unwrap_or(API), setup.bearer()).ok_or_else(wrong_address)?,
            branch: setup.ref_name.short().to_owned(),
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            seen: false,
            looked: false,
            failure: None,
        })
    }

    /// A request below a project.
    fn get(&self, project: &str, path: &[&str], query: &[(&str, &str)]) -> HttpRequest {
        let path: Vec<&str> = ["projects", project].iter().chain(path).copied().collect();
        self.api.get(&path, query)
    }

    fn project(&self) -> Result<&str, Fault> {
        self.project.as_deref().map_err(|why| Fault::new(FaultKind::NotFound, why))
    }

    fn is_ours(&self, sha: &str) -> bool {
        sha.eq_ignore_ascii_case(self.pushed.commit.as_str())
    }

    /// The pipelines of the branch, or the deployments to the environment: the newest first, as far back as the push.
    async fn list<T: DeserializeOwned + answer::Entry>(
        &self,
        line: &Line,
        what: &str,
        query: &[(&str, &str)],
        fields: &'static [&'static str],
    ) -> Result<Vec<T>, Fault> {
        let project = self.project()?;
        let named = format!("the {what} of the project {}", one_line(project, 100));
        let mut list: Vec<T> = Vec::new();
        for page in 1..=MOST_PAGES {
            let (size, page) = (PAGE.to_string(), page.to_string());
            let mut query = query.to_vec();
            query.extend([("order_by", "id"), ("sort", "desc"), ("per_page", &size), ("page", &page)]);
            let response = line.ask(self.get(project, &[what], &query).reading(fields)).await;
            let found: Vec<T> = read(&response, &named)?;
            let is_last = found.len() < PAGE;
            list.extend(found);
            let far_enough = list.last().is_none_or(|last| match self.pushed.at {
                Some(_) => self.pushed.is_before(last.created_at()),
                None => list.iter().any(|it| self.is_ours(it.sha())) || (self.looked && !self.seen),
            });
            if is_last || far_enough {
                break;
            }
        }
        Ok(list)
    }

    /// The newest pipeline of the commit on the branch that stands for a push.
    async fn pipeline(&mut self, line: &Line) -> Result<Option<Observed>, Fault> {
        let branch = self.branch.clone();
        let list: Vec<Pipeline> = self.list(line, "pipelines", &[("ref", &branch)], PIPELINE_FIELDS).await?;
        let newest = list.into_iter().find(|it| self.is_ours(&it.sha) && it.ref_name == branch && it.is_of_push());
        let ended_before =
            |it: &Pipeline| state_of_pipeline(&it.status).1 && self.pushed.is_before(it.updated_at.or(it.created_at));
        let Some(ours) = newest.filter(|it| !ended_before(it)) else { return Ok(None) };
        let (state, _) = state_of_pipeline(&ours.status);
        let reason = match state {
            DeploymentState::Failed => self.learn_from_pipeline(line, ours.id).await,
            DeploymentState::Blocked => Some("the pipeline waits for a manual job".to_owned()),
            DeploymentState::Skipped => Some("the pipeline was skipped".to_owned()),
            _ => None,
        };
        Ok(Some(Observed {
            id: ours.id.to_string(),
            state,
            raw: one_line(&ours.status, 40),
            commit: self.pushed.seen(&ours.sha),
            url: is_web_address(&ours.web_url).then_some(ours.web_url),
            site_url: None,
            progress: Some(format!("pipeline {}", ours.id)),
            reason,
        }))
    }

    async fn observe_environment(&mut self, line: &Line, environment: &str) -> Result<ProviderObservation, Fault> {
        let list: Vec<Deployment> =
            self.list(line, "deployments", &[("environment", environment)], DEPLOYMENT_FIELDS).await?;
        let list: Vec<Deployment> = list.into_iter().filter(|it| it.environment.name == environment).collect();
        let serving = list.iter().find(|it| it.status == "success");
        let ours = list.iter().find(|it| self.is_ours(&it.sha));
        let as_serving = |it: &Deployment, is_later| Serving {
            deployment_id: it.id.to_string(),
            commit: Some(self.pushed.seen(&it.sha)),
            site_url: it.site_url(),
            is_later,
        };
        let since = ours.map(|it| it.id);
        let mut observation = ProviderObservation {
            serving: serving
                .map(|it| as_serving(it, since.is_none_or(|since| it.id > since) && !self.is_ours(&it.sha))),
            ..ProviderObservation::default()
        };
        // What served before the push cannot contain the commit, unless it is the commit.
        if since.is_none() && serving.is_some_and(|it| self.pushed.is_before(it.created_at)) {
            observation.serving = None;
        }
        let ours = ours.filter(|it| {
            !(state_of_deployment(&it.status).1 && self.pushed.is_before(it.updated_at.or(it.created_at)))
        });
        let mut state = ours.map(|it| state_of_deployment(&it.status).0);
        if state == Some(DeploymentState::Live) && serving.is_some_and(|it| Some(it.id) != since) {
            state = Some(DeploymentState::Replaced);
        }
        // A pipeline may end before its job that deploys has begun.
        if matches!(state, None | Some(DeploymentState::Queued | DeploymentState::Skipped)) {
            let pipeline = self.pipeline(line).await?;
            let tells = |it: &Observed| match it.state {
                DeploymentState::Live => false,
                DeploymentState::Failed | DeploymentState::Canceled | DeploymentState::Blocked => true,
                _ => state.is_none(),
            };
            if let Some(pipeline) = pipeline.filter(tells) {
                observation.deployment = Some(pipeline);
                return Ok(observation);
            }
        }
        if let Some((ours, state)) = ours.zip(state) {
            let reason = match state {
                DeploymentState::Failed => self.learn_from_deployment(line, ours).await,
                DeploymentState::Blocked => Some(format!("{} waits for an approval", one_line(environment, 80))),
                _ => None,
            };
            observation.deployment = Some(Observed {
                id: ours.id.to_string(),
                state,
                raw: one_line(&ours.status, 40),
                commit: self.pushed.seen(&ours.sha),
                url: ours.page(),
                site_url: ours.site_url(),
                progress: Some(format!("environment {}", one_line(environment, 80))),
                reason,
            });
        }
        Ok(observation)
    }
}

impl Converse for GitLab {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let observation = match self.environment.clone() {
            Some(environment) => self.observe_environment(line, &environment).await?,
            None => ProviderObservation { deployment: self.pipeline(line).await?, ..ProviderObservation::default() },
        };
        self.looked = true;
        self.seen = observation.deployment.is_some();
        Ok(observation)
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        match self.failure.clone() {
            Some(failure) => self.trace(line, failure).await,
            None => Err(Fault::new(FaultKind::NotFound, "nothing of the commit failed whose log could be read")),
        }
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        let project = self.project()?;
        let named = one_line(project, 100);
        let request = self.get(project, &["pipelines"], &[("per_page", "1")]).reading(PIPELINE_FIELDS);
        let response = line.ask(request).await;
        let _: Vec<Pipeline> = read(&response, &format!("the pipelines of the project {named}"))?;
        Ok(format!("sees the pipelines of {named}"))
    }
}

/// The project that was pushed to. Of another host's remote nothing is asked: a project of the same path at the vendor's may be
/// another one. Behind an address of the user's own, that is the user's affair.
fn of_remote(remote: &str, own_address: bool) -> Result<String, String> {
    Repository::parse(remote)
        .filter(|it| (own_address || it.host() == "gitlab.com") && it.path().contains('/'))
        .map(|it| it.path().to_owned())
        .ok_or_else(|| {
            "the remote's address does not name a project of GitLab; set provider.project to its path, such as \
             \"group/name\""
                .to_owned()
        })
}

/// Reads an answer; `what` is what was asked for.
fn read<T: DeserializeOwned>(response: &HttpResponse, what: &str) -> Result<T, Fault> {
    if response.status == 404 {
        let text =
            format!("GitLab does not know {what}, or the token may not see it (404); it needs the scope {SCOPE}");
        return Err(Fault::new(FaultKind::NotFound, text));
    }
    response::json(response, Asked { vendor: "GitLab", what, scope: SCOPE })
}
