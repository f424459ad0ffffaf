//! Railway: follows the deployment of one commit of one service in one environment.
//!
//! Calls for one observation:
//!
//! | when | calls |
//! |---|---|
//! | the first | the token; the project, or 1 page for each 50 projects; then 1 to 5 pages of deployments |
//! | later | 1 page of deployments, with what serves |
//! | it failed or was skipped | as above, and once its steps |
//!
//! Source: the vendor's GraphQL schema.

mod answer;
mod standing;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{Deployment as Observed, ProviderObservation, Serving},
    text::one_line,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use self::answer::{
    Answer, Deployment, Instance, OfDeployments, OfEvents, OfLog, OfProject, OfProjects, OfToken, Project, Token,
};
use crate::{
    Credential, Secret, Setup, SetupError,
    answer::Id,
    api::Api,
    choice::Choice,
    conversation::{Conversation, Converse, Line},
    pushed::Pushed,
    registry::Entry,
    remote::Repository,
    response::{self, Asked},
    settings::{Settings, wrong_address},
};

/// The vendor's own address.
const API: &str = "https://backboard.railway.com/graphql/v2";

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "railway",
    api_url: API,
    build: |setup| Ok(Box::new(Conversation::new(Railway::new(setup)?))),
    needs_token: true,
    credential_names: &["RAILWAY_TOKEN", "RAILWAY_API_TOKEN"],
    login_files: &["~/.railway/config.json"],
    token_from_login_file: |text, _| token(text),
};

const CHOICE: Choice =
    Choice { things: "services", key: "provider.service (and provider.project and provider.environment)" };

/// More pages of projects than these are not read: 250 projects.
const MOST_PROJECT_PAGES: u32 = 5;

/// Pages of deployments at the first look, for a commit that was pushed a while ago.
const FIRST_PAGES: u32 = 5;

/// Lines of the log.
const LOG_LINES: u32 = 200;

/// The longest reason that is told, in characters.
const LONGEST_REASON: usize = 300;

/// Follows one commit.
#[derive(Clone)]
struct Railway {
    /// With the token as an account's or a workspace's.
    account: Api,
    /// With the token as a project's.
    project: Api,
    told: Told,
    repository: Option<Repository>,
    branch: Option<String>,
    pushed: Pushed,
    access: Option<Access>,
    place: Option<Place>,
    /// Pages of deployments that the next look goes through.
    pages: u32,
    /// The deployment that was observed last.
    followed: Option<Deployment>,
    reason: Option<(Id, String)>,
}

/// What the configuration tells, each by name or id.
#[derive(Clone)]
struct Told {
    project: Option<String>,
    environment: Option<String>,
    service: Option<String>,
}

/// What the token is, which only asking tells.
#[derive(Clone)]
enum Access {
    Account,
    Project(Token),
}

/// What is deployed to.
#[derive(Debug, Clone)]
struct Place {
    project: Id,
    environment: Id,
    service: Id,
    name: String,
}

impl Railway {
    /// Reads the settings `project`, `environment` and `service` (each a name or an id), all optional.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("railway", &setup.settings, &["project", "environment", "service"])?;
        let api = |credential| Api::new(setup.api_url.as_deref().unwrap_or(API), credential).ok_or_else(wrong_address);
        let as_project = |token: Secret| Credential::Header("project-access-token", token);
        Ok(Self {
            account: api(setup.bearer())?,
            project: api(setup.token.clone().map(as_project))?,
            told: Told {
                project: settings.text("project")?,
                environment: settings.text("environment")?,
                service: settings.text("service")?,
            },
            repository: Repository::parse(&setup.remote_url),
            branch: setup.ref_name.branch().map(str::to_owned),
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            access: None,
            place: None,
            pages: FIRST_PAGES,
            followed: None,
            reason: None,
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        line: &Line,
        (query, variables): (&str, Value),
        fields: &'static [&'static str],
        what: &str,
    ) -> Result<T, Fault> {
        let api = if matches!(self.access, Some(Access::Account)) { &self.account } else { &self.project };
        let request = api.post(&[], &json!({"query": query, "variables": variables})).reading(fields);
        let answer: Answer<T> = response::json(&line.ask(request).await, asked(what))?;
        match (answer.data, answer.errors.first()) {
            (Some(data), None) => Ok(data),
            (_, Some(error)) => Err(refusal(&error.message, what)),
            (None, None) => Err(Fault::new(
                FaultKind::Malformed,
                format!("Railway's answer about {what} does not have the shape that it should have"),
            )),
        }
    }

    /// Finds out whether the token is a project's, which goes into another header.
    async fn access(&mut self, line: &Line) -> Result<Access, Fault> {
        if let Some(access) = &self.access {
            return Ok(access.clone());
        }
        let access = match self.ask::<OfToken>(line, (answer::TOKEN, json!({})), answer::OF_PROJECTS, "the token").await
        {
            Ok(answer) => Access::Project(answer.project_token),
            Err(fault) if matches!(fault.kind, FaultKind::Unauthorized | FaultKind::NotFound) => Access::Account,
            Err(fault) => return Err(fault),
        };
        self.access = Some(access.clone());
        Ok(access)
    }

    async fn find(&mut self, line: &Line) -> Result<Place, Fault> {
        let access = self.access(line).await?;
        let id = match &access {
            Access::Project(token) => Some(token.project.id.as_str().to_owned()),
            // A name would be refused; names are looked for in the list.
            Access::Account => self.told.project.clone().filter(|told| is_uuid(told)),
        };
        if let Some(id) = id {
            let asked = (answer::PROJECT, json!({"id": id}));
            let answer: OfProject = self.ask(line, asked, answer::OF_PROJECTS, "the project").await?;
            return CHOICE.only(self.places(&access, &answer.project), |it| &it.name);
        }
        if self.told.service.is_none() && (self.repository.is_none() || self.branch.is_none()) {
            return Err(CHOICE.cannot_be_told());
        }
        let mut found = Vec::new();
        let mut after = None::<String>;
        for _ in 0..MOST_PROJECT_PAGES {
            let asked = (answer::PROJECTS, from(json!({}), after.as_deref()));
            let page: OfProjects = self.ask(line, asked, answer::OF_PROJECTS, "the list of projects").await?;
            let is_told = |it: &&Project| self.told.project.as_ref().is_none_or(|told| it.named.is(told));
            found.extend(page.projects.iter().filter(is_told).flat_map(|it| self.places(&access, it)));
            let next = page.projects.next();
            if next.is_none() || next == after {
                break;
            }
            after = next;
        }
        CHOICE.only(found, |it| &it.name)
    }

    /// What the push deploys to in a project: what the configuration names, else what is built from the repository and branch.
    fn places(&self, access: &Access, project: &Project) -> Vec<Place> {
        let mut found = Vec::new();
        for service in project.services.iter() {
            if self.told.service.as_ref().is_some_and(|told| !service.named.is(told)) {
                continue;
            }
            for environment in project.environments.iter() {
                let is_bound = match access {
                    Access::Project(token) => token.environment.id == environment.id,
                    Access::Account => true,
                };
                let is_told = self.told.environment.as_ref().map(|told| environment.is(told));
                let is_built = service.repo_triggers.iter().any(|it| {
                    let repository = Repository::new("github.com", &it.repository);
                    it.environment_id == environment.id
                        && repository.is_some()
                        && repository == self.repository
                        && Some(&it.branch) == self.branch.as_ref()
                });
                // The two names together need no trigger, nor does a project's token with a service.
                let is_named =
                    self.told.service.is_some() && (is_told == Some(true) || matches!(access, Access::Project(_)));
                if is_bound && is_told != Some(false) && (is_built || is_named) {
                    found.push(Place {
                        project: project.named.id.clone(),
                        environment: environment.id.clone(),
                        service: service.named.id.clone(),
                        name: format!("{} / {} / {}", project.named.name, environment.name, service.named.name),
                    });
                }
            }
        }
        found
    }

    /// The service's deployments up to the page that holds the commit's, what serves, and how many pages that took.
    async fn list(&self, line: &Line, place: &Place) -> Result<(Vec<Deployment>, Instance, u32), Fault> {
        let mut list = Vec::new();
        let mut after = None::<String>;
        let mut pages = 0;
        loop {
            let place = json!({
                "project": place.project.as_str(),
                "environment": place.environment.as_str(),
                "service": place.service.as_str(),
            });
            let asked = (answer::DEPLOYMENTS, from(place, after.as_deref()));
            let page: OfDeployments =
                self.ask(line, asked, answer::OF_DEPLOYMENTS, "the service's deployments").await?;
            let next = page.deployments.next();
            list.extend(page.deployments.into_items());
            pages += 1;
            if pages >= self.pages || self.ours(&list).is_some() || next.is_none() || next == after {
                return Ok((list, page.service_instance, pages));
            }
            after = next;
        }
    }

    /// The deployment of the commit that was created last, except those that an earlier push of it had brought to an end.
    fn ours<'a>(&self, list: &'a [Deployment]) -> Option<&'a Deployment> {
        let is_earlier = |it: &Deployment| standing::has_ended(&it.status) && self.pushed.is_before(it.created_at);
        let ours = |it: &&Deployment| it.commit().is_some_and(|commit| self.pushed.is_in_full(commit));
        list.iter().filter(ours).filter(|it| !is_earlier(it)).min_by_key(|it| Reverse(it.created_at))
    }

    /// Why it ended, by its steps. That it ended is known without them.
    async fn read_reason(&mut self, line: &Line, ours: &Deployment) {
        let is_known = self.reason.as_ref().is_some_and(|(id, _)| *id == ours.id);
        if is_known || !matches!(ours.status.as_str(), "FAILED" | "CRASHED" | "SKIPPED") {
            return;
        }
        let asked = (answer::EVENTS, json!({"id": ours.id.as_str()}));
        let Ok(answer) = self.ask::<OfEvents>(line, asked, &[], "the deployment's steps").await else { return };
        let reason = answer.deployment_events.into_items().filter_map(|it| {
            let payload = it.payload?;
            let text = one_line(&payload.error.or(payload.reason)?, LONGEST_REASON);
            let step = one_line(&it.step, 40).to_ascii_lowercase().replace('_', " ");
            (!text.is_empty()).then(|| format!("{step}: {text}"))
        });
        self.reason = reason.last().map(|reason| (ours.id.clone(), reason));
    }

    fn observation(&self, place: &Place, list: &[Deployment], instance: &Instance) -> ProviderObservation {
        let ours = self.ours(list);
        let is_later = |it: &Deployment| ours.is_some_and(|ours| it.id != ours.id && it.created_at > ours.created_at);
        let active = &instance.active_deployments;
        let serves = active.iter().max_by_key(|it| (ours.is_some_and(|ours| ours.id == it.id), it.created_at));
        let site_url = instance.site_url();
        let reason = ours.and_then(|ours| self.reason.as_ref().filter(|(id, _)| *id == ours.id));
        let deployment = ours.and_then(|ours| {
            let next = active.iter().chain(list).filter(|it| is_later(it)).max_by_key(|it| it.created_at);
            let standing = standing::of(ours, instance, next, reason.map(|(_, text)| text.as_str()));
            let (project, service) = (place.project.as_str(), place.service.as_str());
            let (environment, id) = (place.environment.as_str(), ours.id.as_str());
            Some(Observed {
                id: id.to_owned(),
                state: standing.state,
                raw: one_line(&ours.status, 40),
                commit: self.pushed.seen(ours.commit()?),
                url: Some(format!(
                    "https://railway.com/project/{project}/service/{service}?environmentId={environment}&id={id}"
                )),
                site_url: site_url.clone(),
                progress: standing.progress,
                reason: standing.reason,
            })
        });
        let serving = serves.map(|it| Serving {
            deployment_id: it.id.as_str().to_owned(),
            commit: it.commit().map(|commit| self.pushed.seen(commit)),
            site_url,
            is_later: is_later(it),
        });
        ProviderObservation { deployment, serving, will_not_deploy: None }
    }
}

impl Converse for Railway {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let place = match &self.place {
            Some(place) => place.clone(),
            None => self.find(line).await?,
        };
        self.place = Some(place.clone());
        let (list, instance, pages) = match self.list(line, &place).await {
            Err(fault) if fault.kind == FaultKind::NotFound => {
                // It may have been made anew.
                self.place = None;
                return Err(fault);
            }
            answer => answer?,
        };
        let ours = self.ours(&list).cloned();
        self.pages = if ours.is_some() { pages } else { 1 };
        if let Some(ours) = &ours {
            self.read_reason(line, ours).await;
        }
        let observation = self.observation(&place, &list, &instance);
        self.followed = ours;
        Ok(observation)
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let Some(ours) = &self.followed else {
            return Err(Fault::new(
                FaultKind::NotFound,
                "there is no deployment of the commit whose log could be read",
            ));
        };
        // What crashed was built; of what failed, only its log tells how far it came.
        let queries: &[&str] =
            if ours.status == "CRASHED" { &[answer::DEPLOY_LOG] } else { &[answer::BUILD_LOG, answer::DEPLOY_LOG] };
        let mut lines = Vec::new();
        let mut trouble = None;
        for query in queries {
            let asked = (*query, json!({"id": ours.id.as_str(), "limit": LOG_LINES}));
            match self.ask::<OfLog>(line, asked, &[], "the deployment's log").await {
                Ok(answer) => lines.extend(answer.log.into_iter().map(|it| it.message)),
                Err(fault) => trouble = Some(fault),
            }
        }
        if lines.is_empty() {
            let none = || Fault::new(FaultKind::Transient, "Railway has no log of the deployment yet");
            return Err(trouble.unwrap_or_else(none));
        }
        Ok(lines.join("\n"))
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        match self.access(line).await? {
            Access::Project(token) => {
                let (project, environment) = (one_line(&token.project.name, 60), one_line(&token.environment.name, 60));
                Ok(format!("sees the environment {environment:?} of the project {project:?}"))
            }
            Access::Account => {
                let asked = (answer::PROJECTS, json!({}));
                let answer: OfProjects = self.ask(line, asked, &[], "the list of projects").await?;
                let more = if answer.projects.next().is_some() { "more than " } else { "" };
                Ok(match answer.projects.iter().count() {
                    1 if more.is_empty() => "sees 1 project".to_owned(),
                    count => format!("sees {more}{count} projects"),
                })
            }
        }
    }
}

/// The variables of a list's page: a null would not be the same as none.
fn from(mut variables: Value, after: Option<&str>) -> Value {
    if let Some(after) = after {
        variables["after"] = after.into();
    }
    variables
}

/// What an error in an answer means. Its text is never quoted.
fn refusal(message: &str, what: &str) -> Fault {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let (kind, text) = if says(&["not authorized", "unauthorized", "token not found", "invalid token", "two factor"]) {
        let text = format!("Railway does not let the token read {what}; it needs to be {SCOPE}");
        (FaultKind::Unauthorized, text)
    } else if says(&["rate limit", "too many requests"]) {
        (FaultKind::RateLimited, "Railway limits the rate of calls".to_owned())
    } else if says(&["not found"]) {
        (FaultKind::NotFound, format!("Railway does not know {what}"))
    } else {
        (FaultKind::Transient, format!("Railway could not answer about {what}"))
    };
    Fault::new(kind, text)
}

const SCOPE: &str = "a token of the project's environment, or of an account or workspace that has the project";

fn asked(what: &str) -> Asked<'_> {
    Asked { vendor: "Railway", what, scope: SCOPE }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// The token in the vendor's `config.json`. One that its command line renews by itself is left to it.
fn token(text: &str) -> Option<Secret> {
    #[derive(Deserialize)]
    struct Config {
        user: User,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct User {
        token: Option<String>,
        refresh_token: Option<serde::de::IgnoredAny>,
    }
    let config: Config = serde_json::from_str(text).ok()?;
    let renewed = config.user.refresh_token.is_some();
    config.user.token.filter(|_| !renewed).map(|token| Secret::new(&token))
}
