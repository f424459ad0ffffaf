//! Vercel: follows the deployment of one commit of one project.
//!
//! Calls for one observation:
//!
//! | when | calls |
//! |---|---|
//! | the first | the project, or 1 page for each 100 projects; then 1 to 5 pages of deployments |
//! | while it is under way | 1 page of deployments |
//! | production is ready, canceled or not there yet | as above, and the project |
//! | it failed, was canceled or is blocked | as above, and once the deployment |
//!
//! Source: the vendor's OpenAPI document.

mod answer;
mod standing;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{Deployment as Observed, DeploymentState, ProviderObservation, Serving},
    text::one_line,
};
use serde::Deserialize;

use self::answer::{Deployment, Deployments, Detail, Event, OneUser, Project, Projects};
use crate::{
    HttpRequest, Secret, Setup, SetupError,
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
const API: &str = "https://api.vercel.com";

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "vercel",
    api_url: API,
    build: |setup| Ok(Box::new(Conversation::new(Vercel::new(setup)?))),
    needs_token: true,
    credential_names: &["VERCEL_TOKEN"],
    login_files: &["~/.local/share/com.vercel.cli/auth.json", "~/Library/Application Support/com.vercel.cli/auth.json"],
    token_from_login_file: |text, _| token(text),
};

const CHOICE: Choice = Choice { things: "projects", key: "provider.project (and provider.team, when a team owns it)" };

/// More pages of projects than these are not read: 1,000 projects.
const MOST_PROJECT_PAGES: u32 = 10;

/// The largest page of projects: each carries its last deployments and its encrypted variables.
const LARGEST_PROJECTS: usize = 32 * 1024 * 1024;

/// Pages of deployments at the first look, for a commit that was pushed a while ago.
const FIRST_PAGES: u32 = 5;

/// Deployments on one page.
const PER_PAGE: &str = "20";

/// Lines of the build's log.
const LOG_LINES: &str = "200";

/// Follows one commit.
#[derive(Clone)]
struct Vercel {
    api: Api,
    /// The team that owns the project: `teamId` or `slug`, and its value.
    team: Option<(&'static str, String)>,
    /// The project's name or id, as the configuration tells it.
    told: Option<String>,
    repository: Option<Repository>,
    branch: Option<String>,
    pushed: Pushed,
    project: Option<Project>,
    looked: bool,
    /// The deployment that was observed last.
    followed: Option<Id>,
    detail: Option<Detail>,
}

impl Vercel {
    /// Reads the settings `project` (name or id) and `team` (id or slug), both optional.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("vercel", &setup.settings, &["project", "team"])?;
        let team = settings.text("team")?.map(|team| (if team.starts_with("team_") { "teamId" } else { "slug" }, team));
        Ok(Self {
            api: Api::new(setup.api_url.as_deref().unwrap_or(API), setup.bearer()).ok_or_else(wrong_address)?,
            team,
            told: settings.text("project")?,
            repository: Repository::parse(&setup.remote_url),
            branch: setup.ref_name.branch().map(str::to_owned),
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            project: None,
            looked: false,
            followed: None,
            detail: None,
        })
    }

    fn get(&self, path: &[&str], query: &[(&str, &str)]) -> HttpRequest {
        let team = self.team.iter().map(|(name, value)| (*name, value.as_str()));
        self.api.get(path, &query.iter().copied().chain(team).collect::<Vec<_>>())
    }

    /// Finds the project by its setting, else by the repository that it is built from.
    async fn find(&self, line: &Line) -> Result<Project, Fault> {
        if let Some(told) = &self.told {
            return self.read_project(line, told).await;
        }
        let Some(repository) = &self.repository else { return Err(CHOICE.cannot_be_told()) };
        let mut found = Vec::new();
        let mut from = None::<String>;
        for _ in 0..MOST_PROJECT_PAGES {
            let mut query = vec![("limit", "100")];
            query.extend(from.as_deref().map(|from| ("from", from)));
            let request = self.get(&["v10", "projects"], &query).at_most(LARGEST_PROJECTS).reading(answer::OF_PROJECTS);
            let page: Projects = response::json(&line.ask(request).await, asked("the list of projects"))?;
            let next = page.pagination.next();
            found.extend(page.projects.into_iter().filter(|it| it.repository().as_ref() == Some(repository)));
            if next.is_none() || next == from {
                break;
            }
            from = next;
        }
        CHOICE.only(found, |project| &project.name)
    }

    async fn read_project(&self, line: &Line, project: &str) -> Result<Project, Fault> {
        let request = self.get(&["v9", "projects", project], &[]).reading(answer::OF_PROJECTS);
        let response = line.ask(request).await;
        if response.status == 404 {
            return Err(Fault::new(
                FaultKind::NotFound,
                format!("Vercel shows this token no project {project:?} (404); set {}", CHOICE.key),
            ));
        }
        response::json(&response, asked("the project"))
    }

    /// The deployments of the branch, newest first, up to the page that holds the commit's.
    async fn list(&self, line: &Line, project: &Project) -> Result<Vec<Deployment>, Fault> {
        let mut list: Vec<Deployment> = Vec::new();
        let mut until = None::<String>;
        for _ in 0..if self.looked { 1 } else { FIRST_PAGES } {
            let mut query = vec![("projectId", project.id.as_str()), ("limit", PER_PAGE)];
            query.extend(self.branch.as_deref().map(|branch| ("branch", branch)));
            query.extend(until.as_deref().map(|until| ("until", until)));
            let request = self.get(&["v6", "deployments"], &query).reading(answer::OF_DEPLOYMENTS);
            let page: Deployments = response::json(&line.ask(request).await, asked("the project's deployments"))?;
            let next = page.pagination.next();
            list.extend(page.deployments);
            if self.ours(&list).is_some() || next.is_none() || next == until {
                break;
            }
            until = next;
        }
        Ok(list)
    }

    /// The deployment of the commit that was created last, except those that an earlier push of it had brought to an end. A push
    /// of the production branch means production alone, and one of any other branch means all else: people make previews
    /// of one and promote the other by hand.
    fn ours<'a>(&self, list: &'a [Deployment]) -> Option<&'a Deployment> {
        let production = self.project.as_ref().and_then(Project::production_branch);
        let meant = self.branch.as_deref().zip(production).map(|(pushed, production)| pushed == production);
        let is_meant = |it: &&Deployment| meant.is_none_or(|production| it.is_production() == production);
        let is_earlier = |it: &Deployment| standing::has_ended(it.word()) && self.pushed.is_before(it.created());
        let is_ours = |it: &&Deployment| it.meta.is_of(&self.pushed) && !is_earlier(it);
        list.iter().filter(is_meant).filter(is_ours).min_by_key(|it| Reverse(it.created()))
    }

    /// Why a deployment ended, where the list does not tell.
    async fn read_detail(&mut self, line: &Line, ours: &Deployment) -> Result<(), Fault> {
        let word = ours.word();
        let tells_nothing = ours.error_message.is_none() && word != "DELETED" && standing::has_ended(word);
        let wanted = matches!(word, "CANCELED" | "BLOCKED") || tells_nothing;
        if !wanted || self.detail.as_ref().is_some_and(|it| it.id == ours.uid) {
            return Ok(());
        }
        let request = self.get(&["v13", "deployments", ours.uid.as_str()], &[]).reading(answer::OF_DETAIL);
        match response::json::<Detail>(&line.ask(request).await, asked("the deployment")) {
            Ok(detail) if detail.id == ours.uid => self.detail = Some(detail),
            // Whether it was skipped or canceled cannot be told without it; everything else can.
            Err(fault) if word == "CANCELED" => return Err(fault),
            _ => {}
        }
        Ok(())
    }

    fn observation(&self, project: &Project, list: &[Deployment]) -> ProviderObservation {
        let ours = self.ours(list);
        let branch = self.branch.as_deref().or(ours.and_then(|it| it.meta.branch()));
        let is_production = match ours {
            Some(ours) => ours.is_production(),
            None => branch.is_some() && branch == project.production_branch(),
        };
        let beside = |it: &&Deployment| match ours {
            Some(ours) => it.target == ours.target && it.meta.branch() == ours.meta.branch(),
            None => !it.is_production() && branch.is_some() && it.meta.branch() == branch,
        };
        let after = |it: &&Deployment| ours.is_none_or(|ours| it.uid != ours.uid && it.is_after(ours.created()));
        let served = list.iter().filter(beside).filter(|it| it.word() == "READY" && it.has_domains());
        let preview = served.max_by_key(|it| it.created()).filter(|_| !is_production);
        let next = list.iter().filter(beside).filter(after).max_by_key(|it| it.created());
        let next = preview.filter(after).or(next);
        let serves_next = preview.is_some_and(|it| next.is_some_and(|next| next.uid == it.uid));

        let serving = match project.production().filter(|_| is_production) {
            Some(it) => Some(Serving {
                deployment_id: it.id.as_str().to_owned(),
                commit: it.meta.commit().map(|commit| self.pushed.seen(commit)),
                site_url: it.site_url(),
                is_later: ours.is_some_and(|ours| it.id != ours.uid && it.created() > ours.created()),
            }),
            None => preview.map(|it| Serving {
                deployment_id: it.uid.as_str().to_owned(),
                commit: it.meta.commit().map(|commit| self.pushed.seen(commit)),
                site_url: it.site_url(),
                is_later: ours.is_some() && after(&it),
            }),
        };
        let deployment = ours.and_then(|ours| {
            let detail = self.detail.as_ref().filter(|it| it.id == ours.uid);
            let standing = standing::of(ours, detail, project, next, serves_next);
            // An earlier push's, which has been replaced since: this push has none yet.
            if standing.state == DeploymentState::Replaced && self.pushed.is_before(ours.created()) {
                return None;
            }
            let site = serving.as_ref().filter(|it| it.deployment_id == ours.uid.as_str());
            Some(Observed {
                id: ours.uid.as_str().to_owned(),
                state: standing.state,
                raw: one_line(ours.word(), 40),
                commit: self.pushed.seen(ours.meta.commit()?),
                url: ours.inspector_url.clone().filter(|url| crate::answer::is_web_address(url)),
                site_url: site.and_then(|it| it.site_url.clone()).or_else(|| ours.site_url()),
                progress: standing.progress,
                reason: standing.reason,
            })
        });
        ProviderObservation { deployment, serving, will_not_deploy: None }
    }
}

impl Converse for Vercel {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let (mut project, is_new) = match &self.project {
            Some(project) => (project.clone(), false),
            None => (self.find(line).await?, true),
        };
        self.project = Some(project.clone());
        let list = match self.list(line, &project).await {
            Err(fault) if fault.kind == FaultKind::NotFound => {
                // It may have been made anew.
                self.project = None;
                return Err(fault);
            }
            list => list?,
        };
        self.looked = true;
        let ours = self.ours(&list).cloned();
        if let Some(ours) = &ours {
            self.read_detail(line, ours).await?;
        }
        let asks_production = match &ours {
            Some(ours) => ours.is_production() && matches!(ours.word(), "READY" | "CANCELED" | "DELETED"),
            None => self.branch.as_deref().is_some_and(|branch| project.production_branch() == Some(branch)),
        };
        if asks_production && !is_new {
            project = self.read_project(line, project.id.as_str()).await?;
            self.project = Some(project.clone());
        }
        let observation = self.observation(&project, &list);
        self.followed = ours.filter(|_| observation.deployment.is_some()).map(|it| it.uid);
        Ok(observation)
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let Some(id) = &self.followed else {
            return Err(Fault::new(
                FaultKind::NotFound,
                "there is no deployment of the commit whose log could be read",
            ));
        };
        let query = [("builds", "1"), ("direction", "backward"), ("follow", "0"), ("limit", LOG_LINES)];
        let request = self.get(&["v3", "deployments", id.as_str(), "events"], &query);
        let events: Vec<Option<Event>> = response::json(&line.ask(request).await, asked("the build's log"))?;
        let mut events: Vec<Event> = events.into_iter().flatten().collect();
        if events.first().map(Event::created) > events.last().map(Event::created) {
            events.reverse();
        }
        let lines: Vec<&str> = events.iter().filter_map(Event::text).collect();
        if lines.is_empty() {
            return Err(Fault::new(FaultKind::Transient, "Vercel has no log of the build yet"));
        }
        Ok(lines.join("\n"))
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        let request = self.get(&["v2", "user"], &[]);
        let one: OneUser = response::json(&line.ask(request).await, asked("the account"))?;
        Ok(format!("account {}", one_line(&one.user.username, 60)))
    }
}

fn asked(what: &str) -> Asked<'_> {
    Asked {
        vendor: "Vercel",
        what,
        scope: "of the account or team that owns the project (set provider.team for a team's)",
    }
}

/// The token in the vendor's `auth.json`. One that has a partner to renew it lives for hours only, and is left to the vendor's
/// own command line.
fn token(text: &str) -> Option<Secret> {
    #[derive(Deserialize)]
    struct Login {
        token: String,
        #[serde(rename = "refreshToken")]
        renewed_by: Option<serde::de::IgnoredAny>,
    }
    let login: Login = serde_json::from_str(text).ok()?;
    login.renewed_by.is_none().then(|| Secret::new(&login.token))
}
