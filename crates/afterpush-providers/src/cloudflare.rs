//! Cloudflare Pages: follows the deployment of one commit of one project.
//!
//! Calls for one observation:
//!
//! | when | calls |
//! |---|---|
//! | the first | the accounts, unless one is named; the project, or 1 page for each 10 projects; 1 to 5 pages of deployments |
//! | while it is under way, or has failed | 1 page of deployments |
//! | it was deployed, canceled or skipped, or is not there yet | as above, and the project |
//!
//! Source: the vendor's OpenAPI document; its command line for the paging of lists and the size of a log.

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
use serde::de::{DeserializeOwned, IgnoredAny};

use self::answer::{Account, Deployment, Envelope, Log, Project, Refusal};
use crate::{
    HttpRequest, HttpResponse, Setup, SetupError,
    answer::Id,
    api::Api,
    choice::Choice,
    conversation::{Conversation, Converse, Line},
    pushed::Pushed,
    registry::Entry,
    remote::Repository,
    response::{self, Asked},
    settings::{Settings, wrong, wrong_address},
};

/// The vendor's own address.
const API: &str = "https://api.cloudflare.com/client/v4";

/// What the registry knows of it. The login of the vendor's command line is a session of one hour that only it renews: its
/// token would nearly always be refused.
pub(crate) const ENTRY: Entry = Entry {
    kind: "cloudflare",
    api_url: API,
    build: |setup| Ok(Box::new(Conversation::new(Cloudflare::new(setup)?))),
    needs_token: true,
    credential_names: &["CLOUDFLARE_API_TOKEN", "CF_API_TOKEN"],
    login_files: &[],
    token_from_login_file: |_, _| None,
};

const CHOICE: Choice = Choice { things: "projects", key: "provider.project" };

/// Accounts in which a project is looked for.
const MOST_ACCOUNTS: usize = 10;

/// Projects on one page, as the vendor's command line asks for them, and the most pages that are read of an account.
const PROJECTS_PER_PAGE: usize = 10;
const MOST_PROJECT_PAGES: u32 = 20;

/// Deployments on one page: more are refused.
const DEPLOYMENTS_PER_PAGE: usize = 25;

/// The size of a log that is asked for, as the vendor's command line does; the API's description does not tell the default.
const LOG_SIZE: &str = "10000000";
const LARGEST_LOG: usize = 32 * 1024 * 1024;

/// Pages of deployments at the first look, for a commit that was pushed a while ago.
const FIRST_PAGES: u32 = 5;

/// Follows one commit.
#[derive(Clone)]
struct Cloudflare {
    api: Api,
    account: Option<Id>,
    /// The project's name, as the configuration tells it.
    told: Option<String>,
    repository: Option<Repository>,
    branch: Option<String>,
    pushed: Pushed,
    known: Option<Known>,
    looked: bool,
    /// The deployment that was observed last.
    followed: Option<Id>,
}

/// The project, and the account that it was found in.
#[derive(Clone)]
struct Known {
    account: Id,
    project: Project,
}

impl Cloudflare {
    /// Reads the settings `account` (id) and `project` (name), both optional.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("cloudflare", &setup.settings, &["account", "project"])?;
        let account = match settings.text("account")? {
            Some(text) => Some(Id::try_from(text).map_err(|_| wrong("account", "must be an account's id"))?),
            None => None,
        };
        Ok(Self {
            api: Api::new(setup.api_url.as_deref().unwrap_or(API), setup.bearer()).ok_or_else(wrong_address)?,
            account,
            told: settings.text("project")?,
            repository: Repository::parse(&setup.remote_url),
            branch: setup.ref_name.branch().map(str::to_owned),
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            known: None,
            looked: false,
            followed: None,
        })
    }

    /// Finds the project by its name, else by the repository that it is built from, in the account that is named, else in all.
    async fn find(&self, line: &Line) -> Result<Known, Fault> {
        if self.told.is_none() && self.repository.is_none() {
            return Err(CHOICE.cannot_be_told());
        }
        let accounts = match &self.account {
            Some(account) => vec![account.clone()],
            None => self.accounts(line).await?.into_iter().take(MOST_ACCOUNTS).map(|it| it.id).collect(),
        };
        let mut found = Vec::new();
        for account in accounts {
            let projects = match &self.told {
                Some(name) => self.read_project(line, &account, name).await?.into_iter().collect(),
                None => self.connected(line, &account).await?,
            };
            found.extend(projects.into_iter().map(|project| Known { account: account.clone(), project }));
        }
        match &self.told {
            Some(name) if found.is_empty() => Err(gone(name)),
            Some(name) if found.len() > 1 => {
                let text = format!("several accounts have a project {name:?}; set provider.account to an account's id");
                Err(Fault::new(FaultKind::NotFound, text))
            }
            _ => CHOICE.only(found, |it| &it.project.name),
        }
    }

    async fn accounts(&self, line: &Line) -> Result<Vec<Account>, Fault> {
        let request = self.api.get(&["accounts"], &[("per_page", "50")]).reading(answer::OF_ACCOUNTS);
        read(&line.ask(request).await, asked("the list of accounts"))
    }

    /// The projects of an account that are built from the repository.
    async fn connected(&self, line: &Line, account: &Id) -> Result<Vec<Project>, Fault> {
        let mut found = Vec::new();
        for page in 1..=MOST_PROJECT_PAGES {
            let projects: Vec<Project> =
                read(&line.ask(self.projects(account, page)).await, asked("the account's Pages projects"))?;
            let is_last = projects.len() < PROJECTS_PER_PAGE;
            found.extend(projects.into_iter().filter(|it| it.repository() == self.repository));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// A project by its name; none when the account has none of this name.
    async fn read_project(&self, line: &Line, account: &Id, name: &str) -> Result<Option<Project>, Fault> {
        let request = self.pages(account, &[name], &[]).reading(answer::OF_PROJECTS);
        let response = line.ask(request).await;
        if response.status == 404 {
            return Ok(None);
        }
        read(&response, asked("the project")).map(Some)
    }

    /// The deployments of production, or of previews, newest first, up to the page that holds the commit's.
    async fn list(&self, line: &Line, known: &Known) -> Result<Vec<Deployment>, Fault> {
        let mut list: Vec<Deployment> = Vec::new();
        let is_production = |branch: &str| known.project.production_branch.as_deref() == Some(branch);
        let env = self.branch.as_deref().map(|it| if is_production(it) { "production" } else { "preview" });
        for page in 1..=if self.looked { 1 } else { FIRST_PAGES } {
            let (page, per_page) = (page.to_string(), DEPLOYMENTS_PER_PAGE.to_string());
            let mut query = vec![("page", page.as_str()), ("per_page", per_page.as_str())];
            query.extend(env.map(|env| ("env", env)));
            let request = self.pages(&known.account, &[&known.project.name, "deployments"], &query);
            let request = request.reading(answer::OF_DEPLOYMENTS);
            let deployments: Vec<Deployment> = read(&line.ask(request).await, asked("the project's deployments"))?;
            let is_last = deployments.len() < DEPLOYMENTS_PER_PAGE;
            list.extend(deployments);
            if is_last || self.ours(&list).is_some() {
                break;
            }
        }
        Ok(list)
    }

    /// A page of the account's projects.
    fn projects(&self, account: &Id, page: u32) -> HttpRequest {
        let query = [("page", &*page.to_string()), ("per_page", &*PROJECTS_PER_PAGE.to_string())];
        self.pages(account, &[], &query).reading(answer::OF_PROJECTS)
    }

    /// A question below the account's Pages projects.
    fn pages(&self, account: &Id, below: &[&str], query: &[(&str, &str)]) -> HttpRequest {
        let path = ["accounts", account.as_str(), "pages", "projects"];
        self.api.get(&path.iter().chain(below).copied().collect::<Vec<_>>(), query)
    }

    /// The deployment of the commit and branch that was created last, except those that an earlier push of it had brought to
    /// an end.
    fn ours<'a>(&self, list: &'a [Deployment]) -> Option<&'a Deployment> {
        let is_ours = |it: &&Deployment| {
            let on_branch =
                self.branch.is_none() || it.branch().is_none_or(|branch| Some(branch) == self.branch.as_deref());
            on_branch && it.commit().is_some_and(|commit| self.pushed.is_in_full(commit))
        };
        let is_earlier = |it: &Deployment| standing::has_ended(it) && self.pushed.is_before(it.created_on);
        list.iter().filter(is_ours).filter(|it| !is_earlier(it)).min_by_key(|it| Reverse(it.created_on))
    }

    fn observation(&self, known: &Known, list: &[Deployment]) -> ProviderObservation {
        let project = &known.project;
        let ours = self.ours(list);
        let branch = self.branch.as_deref().or(ours.and_then(Deployment::branch));
        let is_production = match ours {
            Some(ours) => ours.is_production(),
            None => branch.is_some() && branch == project.production_branch.as_deref(),
        };
        let beside = |it: &&Deployment| branch.is_some() && it.branch() == branch && !it.is_production();
        let serves = if is_production {
            project.canonical_deployment.as_ref()
        } else {
            list.iter().filter(beside).filter(|it| standing::is_deployed(it)).max_by_key(|it| it.created_on)
        };
        let deployment = ours.and_then(|ours| {
            let standing = standing::of(ours, serves);
            // An earlier push's, which has been replaced since: this push has none yet.
            if standing.state == DeploymentState::Replaced && self.pushed.is_before(ours.created_on) {
                return None;
            }
            let id = ours.id.as_str();
            Some(Observed {
                id: id.to_owned(),
                state: standing.state,
                raw: one_line(&ours.raw(), 60),
                commit: self.pushed.seen(ours.commit()?),
                url: project.name_in_path().map(|name| {
                    format!("https://dash.cloudflare.com/{}/pages/view/{name}/{id}", known.account.as_str())
                }),
                site_url: if is_production { project.site_url() } else { ours.site_url() },
                progress: standing.progress,
                reason: standing.reason,
            })
        });
        let never = project.never_deploys(is_production).filter(|_| ours.is_none() && branch.is_some());
        ProviderObservation {
            deployment,
            serving: serves.map(|it| Serving {
                deployment_id: it.id.as_str().to_owned(),
                commit: it.commit().map(|commit| self.pushed.seen(commit)),
                site_url: if is_production { project.site_url() } else { it.site_url() },
                is_later: ours.is_some_and(|ours| it.id != ours.id && it.created_on > ours.created_on),
            }),
            will_not_deploy: never.map(str::to_owned),
        }
    }
}

impl Converse for Cloudflare {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let (mut known, is_new) = match &self.known {
            Some(known) => (known.clone(), false),
            None => (self.find(line).await?, true),
        };
        self.known = Some(known.clone());
        let list = match self.list(line, &known).await {
            Err(fault) if fault.kind == FaultKind::NotFound => {
                // It may have been made anew.
                self.known = None;
                return Err(fault);
            }
            list => list?,
        };
        self.looked = true;
        let ours = self.ours(&list).cloned();
        let asks_project = ours.as_ref().is_none_or(|it| {
            it.is_production() && (standing::is_deployed(it) || (standing::has_ended(it) && !standing::is_failure(it)))
        });
        if asks_project && !is_new {
            let name = known.project.name.clone();
            known.project = self.read_project(line, &known.account, &name).await?.ok_or_else(|| gone(&name))?;
            self.known = Some(known.clone());
        }
        let observation = self.observation(&known, &list);
        self.followed = ours.filter(|_| observation.deployment.is_some()).map(|it| it.id);
        Ok(observation)
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let (Some(known), Some(id)) = (&self.known, &self.followed) else {
            return Err(Fault::new(
                FaultKind::NotFound,
                "there is no deployment of the commit whose log could be read",
            ));
        };
        let path = [known.project.name.as_str(), "deployments", id.as_str(), "history", "logs"];
        let request = self.pages(&known.account, &path, &[("size", LOG_SIZE)]).at_most(LARGEST_LOG);
        let log: Log = read(&line.ask(request).await, asked("the deployment's log"))?;
        let lines: Vec<&str> = log.lines().collect();
        if lines.is_empty() {
            return Err(Fault::new(FaultKind::Transient, "Cloudflare has no log of the deployment yet"));
        }
        Ok(lines.join("\n"))
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        let (count, thing) = match &self.account {
            Some(account) => {
                let response = line.ask(self.projects(account, 1)).await;
                let (projects, total) = counted::<Vec<IgnoredAny>>(&response, asked("the account's Pages projects"))?;
                (total.unwrap_or(projects.len()), "Pages project")
            }
            None => (self.accounts(line).await?.len(), "account"),
        };
        Ok(format!("sees {count} {thing}{}", if count == 1 { "" } else { "s" }))
    }
}

/// The result in an answer.
fn read<T: DeserializeOwned>(response: &HttpResponse, asked: Asked<'_>) -> Result<T, Fault> {
    Ok(counted(response, asked)?.0)
}

/// The result in an answer, and how many there are on all pages.
fn counted<T: DeserializeOwned>(response: &HttpResponse, asked: Asked<'_>) -> Result<(T, Option<usize>), Fault> {
    if response.status == 400
        && serde_json::from_slice::<Refusal>(&response.body).is_ok_and(|it| it.is_about_the_token())
    {
        return Err(response::fault(&HttpResponse { status: 401, ..response.clone() }, asked));
    }
    let envelope: Envelope<T> = response::json(response, asked)?;
    match envelope.result.filter(|_| envelope.success) {
        Some(result) => Ok((result, envelope.result_info.total_count)),
        None => {
            let text = format!("Cloudflare's answer about {} holds no result", asked.what);
            Err(Fault::new(FaultKind::Malformed, text))
        }
    }
}

fn asked(what: &str) -> Asked<'_> {
    Asked { vendor: "Cloudflare", what, scope: "Account, Cloudflare Pages, Read" }
}

fn gone(name: &str) -> Fault {
    let text = format!(
        "Cloudflare shows this token no Pages project {name:?} (404); set {} and provider.account, or use a token of its account",
        CHOICE.key
    );
    Fault::new(FaultKind::NotFound, text)
}
