//! Deployments of a repository: which one is the commit's, and how it stands.

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{Deployment as Observed, DeploymentState, ProviderObservation, Serving},
    text::one_line,
};
use url::Url;

use super::{
    GitHub, Learned,
    answer::{DEPLOYMENT_FIELDS, Deployment, STATUS_FIELDS, Status, state_of_deployment},
    parts::has_ended,
    read,
};
use crate::{answer::is_web_address, conversation::Line};

const SCOPE: &str = "Deployments: read (classic: repo_deployment)";

/// Deployments on one page.
const PAGE: usize = 30;

/// Of the deployments that came later, this many are asked whether they serve.
const MOST_LATER: usize = 3;

/// What a list of deployments says about the commit.
enum Chosen<'a> {
    /// Nothing is deployed from this branch, as far as the list goes.
    NoDeployments,
    /// There may be one of the commit yet. The newest of the environment, which may contain the commit.
    NotYet(&'a Deployment),
    Ours {
        ours: &'a Deployment,
        is_newest: bool,
    },
}

impl GitHub {
    /// How the commit's deployment stands; `None` when no environment is named, and nothing is deployed from the branch.
    pub(super) async fn deployment(
        &mut self,
        line: &Line,
        environment: Option<&str>,
    ) -> Result<Option<ProviderObservation>, Fault> {
        if let Some(known) = self.following.clone() {
            return self.follow(line, known, true).await.map(Some);
        }
        let list = self.list(line, environment, self.pages()).await?;
        let serving = match self.choose(&list, environment)? {
            Chosen::NoDeployments => return Ok(None),
            Chosen::Ours { ours, is_newest } => {
                let observation = self.follow(line, ours.clone(), is_newest).await?;
                if observation.deployment.is_some() {
                    return Ok(Some(observation));
                }
                observation.serving
            }
            Chosen::NotYet(newest) => self.serving(line, std::slice::from_ref(newest)).await?,
        };
        Ok(Some(ProviderObservation { serving, ..ProviderObservation::default() }))
    }

    async fn list(&self, line: &Line, environment: Option<&str>, pages: u32) -> Result<Vec<Deployment>, Fault> {
        let mut list: Vec<Deployment> = Vec::new();
        for page in 1..=pages {
            let (size, page) = (PAGE.to_string(), page.to_string());
            let mut query = vec![("per_page", size.as_str()), ("page", page.as_str())];
            query.extend(environment.map(|name| ("environment", name)));
            let response = line.ask(self.get(&["deployments"], &query)?.reading(DEPLOYMENT_FIELDS)).await;
            let mut found: Vec<Deployment> = read(&response, &format!("the deployments of {}", self.named()), SCOPE)?;
            let is_last = found.len() < PAGE || found.iter().any(|it| self.is_ours(&it.sha));
            found.retain(|it| environment.is_none_or(|name| it.environment.eq_ignore_ascii_case(name)));
            list.append(&mut found);
            if is_last {
                break;
            }
        }
        Ok(list)
    }

    /// Finds the deployment of the commit: in the environment that is named, or in the one that the branch deploys to.
    fn choose<'a>(&self, list: &'a [Deployment], named: Option<&str>) -> Result<Chosen<'a>, Fault> {
        let of_branch = |it: &&Deployment| it.ref_name == self.branch && !it.transient_environment;
        let ours = |it: &&Deployment| self.is_ours(&it.sha) && !self.pushed.is_before(it.created_at);
        let environment = match named {
            Some(name) => Some(name),
            None => match only_environment(list.iter().filter(of_branch))? {
                Some(name) => Some(name),
                None => only_environment(list.iter().filter(ours))?,
            },
        };
        let Some(environment) = environment else { return Ok(Chosen::NoDeployments) };
        let mut of_environment = list.iter().filter(|it| it.environment.eq_ignore_ascii_case(environment));
        let Some(newest) = of_environment.clone().next() else { return Ok(Chosen::NoDeployments) };
        Ok(match of_environment.find(|it| self.is_ours(&it.sha)) {
            Some(ours) => Chosen::Ours { ours, is_newest: ours.id == newest.id },
            None => Chosen::NotYet(newest),
        })
    }

    /// Says how a deployment of the commit stands. `is_newest`: no other one of its environment came after it.
    async fn follow(&mut self, line: &Line, ours: Deployment, is_newest: bool) -> Result<ProviderObservation, Fault> {
        let followed_before = self.following.take().is_some();
        let Some(statuses) = self.statuses(line, ours.id).await? else {
            return Ok(ProviderObservation::default());
        };
        let state = state_of_deployment(&statuses);
        let newest = statuses.first();
        if !followed_before && has_ended(state) && self.pushed.is_before(newest.and_then(|it| it.created_at)) {
            // An earlier push's. It may still be what serves, and then this push changes nothing.
            let serving = (state == DeploymentState::Live && is_newest).then(|| self.as_serving(&ours, false));
            return Ok(ProviderObservation { serving, ..ProviderObservation::default() });
        }
        let reason = match state {
            DeploymentState::Failed => self.learn_from_status(line, &ours, newest).await,
            _ => newest.map(|it| one_line(&it.description, 300)).filter(|text| !text.is_empty()),
        };
        let serving = match state {
            DeploymentState::Replaced | DeploymentState::Superseded => {
                let mut later = self.list(line, Some(&ours.environment), 1).await?;
                later.retain(|it| it.created_at > ours.created_at);
                if let Some(again) = later.iter().find(|it| self.is_ours(&it.sha)) {
                    // The commit was deployed once more: that one is followed from the next look on.
                    self.following = Some(again.clone());
                    return Ok(ProviderObservation::default());
                }
                self.serving(line, &later).await?
            }
            _ => None,
        };
        let address = |pick: fn(&Status) -> &String| newest.map(pick).filter(|it| is_web_address(it)).cloned();
        let deployment = Observed {
            id: ours.id.to_string(),
            state,
            raw: newest.map_or_else(|| "created".to_owned(), |it| one_line(&it.state, 40)),
            commit: self.pushed.seen(&ours.sha),
            url: address(|it| &it.log_url).or_else(|| address(|it| &it.target_url)),
            site_url: address(|it| &it.environment_url),
            progress: Some(format!("environment {}", one_line(&ours.environment, 80))),
            reason,
        };
        self.following = Some(ours);
        Ok(ProviderObservation { deployment: Some(deployment), serving, will_not_deploy: None })
    }

    /// The statuses of a deployment, the newest first; `None` when it is gone.
    async fn statuses(&self, line: &Line, id: u64) -> Result<Option<Vec<Status>>, Fault> {
        let path = ["deployments", &id.to_string(), "statuses"];
        let response = line.ask(self.get(&path, &[("per_page", "30")])?.reading(STATUS_FIELDS)).await;
        if response.status == 404 {
            return Ok(None);
        }
        read(&response, "the deployment's statuses", SCOPE).map(Some)
    }

    /// The newest of other deployments that serves, of those that could have been made for this push or after it.
    async fn serving(&self, line: &Line, others: &[Deployment]) -> Result<Option<Serving>, Fault> {
        let young = others.iter().filter(|it| !self.pushed.is_before(it.created_at) && !self.is_ours(&it.sha));
        for other in young.take(MOST_LATER) {
            let statuses = self.statuses(line, other.id).await?.unwrap_or_default();
            if state_of_deployment(&statuses) == DeploymentState::Live {
                return Ok(Some(self.as_serving(other, true)));
            }
        }
        Ok(None)
    }

    fn as_serving(&self, it: &Deployment, is_later: bool) -> Serving {
        let commit = Some(self.pushed.seen(&it.sha));
        Serving { deployment_id: it.id.to_string(), commit, site_url: None, is_later }
    }

    /// Why a deployment failed: by the job of Actions that made it, else in the words of whoever made it.
    async fn learn_from_status(&mut self, line: &Line, ours: &Deployment, newest: Option<&Status>) -> Option<String> {
        let status = newest?;
        let said = one_line(&status.description, 300);
        let said = (!said.is_empty()).then_some(said);
        let links = [&status.log_url, &status.target_url];
        let made_by = links.into_iter().find_map(|link| self.run_and_job(link));
        let (run, job) = made_by.map_or((None, None), |(run, job)| (Some(run), job));
        let known = match (run, job) {
            (_, Some(job)) => self.one_job(line, job).await.ok().map(|told| (job, told)),
            (Some(run), None) => self.failing_job(line, run).await.ok().flatten(),
            _ => None,
        };
        let reason = known.as_ref().map(|(_, told)| told.clone()).or_else(|| said.clone());
        let elsewhere = links.into_iter().find(|link| made_by.is_none() && is_web_address(link));
        let kept = match (&reason, elsewhere) {
            (reason, Some(link)) => {
                let told = reason.as_deref().unwrap_or("the deployment failed");
                Some(format!("{told}\nits log is at {}", one_line(link, 300)))
            }
            (reason, None) => reason.clone(),
        };
        self.learned = Some(Learned { about: (ours.id, 0), reason: kept, run, job: job.or(known.map(|it| it.0)) });
        reason
    }

    /// The run, and where it is told the job, that an address of a page of this repository is about.
    fn run_and_job(&self, link: &str) -> Option<(u64, Option<u64>)> {
        let [owner, name] = self.repository.as_ref().ok()?;
        let url = Url::parse(link).ok()?;
        let segments: Vec<&str> = url.path_segments()?.collect();
        let [its_owner, its_name, "actions", "runs", run, rest @ ..] = segments.as_slice() else { return None };
        if !its_owner.eq_ignore_ascii_case(owner) || !its_name.eq_ignore_ascii_case(name) {
            return None;
        }
        let job = match rest {
            ["job", job, ..] => job.parse().ok(),
            _ => None,
        };
        Some((run.parse().ok()?, job))
    }
}

/// The one environment that deployments are of; those for production come before all others.
fn only_environment<'a>(found: impl Iterator<Item = &'a Deployment> + Clone) -> Result<Option<&'a str>, Fault> {
    let names = |found: &mut dyn Iterator<Item = &'a Deployment>| {
        let mut names: Vec<&str> = found.map(|it| it.environment.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let mut known = names(&mut found.clone().filter(|it| it.production_environment));
    if known.is_empty() {
        known = names(&mut found.clone());
    }
    if known.len() > 1 {
        let listed: Vec<String> = known.iter().take(8).map(|name| format!("{:?}", one_line(name, 64))).collect();
        let text = format!(
            "the branch is deployed to {} environments: {}; set provider.environment to one of them",
            known.len(),
            listed.join(", ")
        );
        return Err(Fault::new(FaultKind::NotFound, text));
    }
    Ok(known.pop())
}
