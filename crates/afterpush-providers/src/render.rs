//! Render: follows the deploy of one commit of one service.
//!
//! Calls for one observation:
//!
//! | when | calls |
//! |---|---|
//! | the first | the service, or 1 page for each 100 services; then 1 to 5 pages of deploys |
//! | no deploy of the commit yet | 1 page of deploys, and the commits that were ignored |
//! | while it is under way, or live | 1 page of deploys |
//! | it failed or was canceled | as above, and until its end was told the events since it began |
//!
//! Source: the vendor's OpenAPI document.

mod answer;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{Deployment as Observed, DeploymentState, ProviderObservation, Serving},
    text::one_line,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use self::answer::{Deploy, Event, Logs, OfDeploy, OfOwner, OfService, Service};
use crate::{
    Secret, Setup, SetupError,
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
const API: &str = "https://api.render.com/v1";

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "render",
    api_url: API,
    build: |setup| Ok(Box::new(Conversation::new(Render::new(setup)?))),
    needs_token: true,
    credential_names: &["RENDER_API_KEY"],
    login_files: &["~/.render/cli.yaml"],
    token_from_login_file: |text, _| token(text),
};

const CHOICE: Choice = Choice { things: "services", key: "provider.service" };

/// More pages of services than these are not read: 1,000 services.
const MOST_SERVICE_PAGES: u32 = 10;

/// Pages of deploys at the first look, for a commit that was pushed a while ago.
const FIRST_PAGES: u32 = 5;

/// Deploys on one page.
const PER_PAGE: usize = 20;

/// Pages of the log, of 100 lines each.
const LOG_PAGES: u32 = 2;

/// The log's last lines may be stamped a little after the deploy's end.
const LOG_MARGIN: SignedDuration = SignedDuration::from_secs(30);

/// Follows one commit.
#[derive(Clone)]
struct Render {
    api: Api,
    /// The service's name or id, as the configuration tells it.
    told: Option<String>,
    repository: Option<Repository>,
    branch: Option<String>,
    pushed: Pushed,
    service: Option<Service>,
    /// Pages of deploys that the next look goes through.
    pages: u32,
    /// The deploy that was observed last.
    followed: Option<Deploy>,
    end: Option<End>,
}

/// How a deploy ended, by the service's events.
#[derive(Debug, Clone)]
struct End {
    deploy: Id,
    successor: Option<String>,
    failure: Option<String>,
}

impl Render {
    /// Reads the setting `service` (name or id), which is optional.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("render", &setup.settings, &["service"])?;
        Ok(Self {
            api: Api::new(setup.api_url.as_deref().unwrap_or(API), setup.bearer()).ok_or_else(wrong_address)?,
            told: settings.text("service")?,
            repository: Repository::parse(&setup.remote_url),
            branch: setup.ref_name.branch().map(str::to_owned),
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            service: None,
            pages: FIRST_PAGES,
            followed: None,
            end: None,
        })
    }

    /// Finds the service by its setting, else by the repository and branch that it is built from.
    async fn find(&self, line: &Line) -> Result<Service, Fault> {
        match &self.told {
            Some(told) if told.starts_with("srv-") || told.starts_with("crn-") => {
                let request = self.api.get(&["services", told], &[]).reading(answer::OF_SERVICES);
                let response = line.ask(request).await;
                if response.status == 404 {
                    return Err(self.unknown(told));
                }
                response::json(&response, asked("the service"))
            }
            Some(told) => {
                let mut found = self.services(line, Some(told), |it| it.name == *told).await?;
                if found.is_empty() {
                    return Err(self.unknown(told));
                }
                if found.len() > 1 {
                    found.retain(|it| self.builds_the_branch(it));
                }
                CHOICE.only(found, |it| it.id.as_str())
            }
            None if self.repository.is_none() || self.branch.is_none() => Err(CHOICE.cannot_be_told()),
            None => CHOICE.only(self.services(line, None, |it| self.builds_the_branch(it)).await?, |it| &it.name),
        }
    }

    fn unknown(&self, told: &str) -> Fault {
        let text = format!("Render shows this token no service {:?} (404); set {}", one_line(told, 64), CHOICE.key);
        Fault::new(FaultKind::NotFound, text)
    }

    fn builds_the_branch(&self, service: &Service) -> bool {
        let repository = service.repo.as_deref().and_then(Repository::parse);
        repository.is_some() && repository == self.repository && service.branch == self.branch
    }

    async fn services(
        &self,
        line: &Line,
        name: Option<&str>,
        fits: impl Fn(&Service) -> bool,
    ) -> Result<Vec<Service>, Fault> {
        let mut found = Vec::new();
        let mut cursor = None::<String>;
        for _ in 0..MOST_SERVICE_PAGES {
            let mut query = vec![("limit", "100"), ("includePreviews", "false")];
            query.extend(name.map(|name| ("name", name)));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let request = self.api.get(&["services"], &query).reading(answer::OF_SERVICES);
            let page: Vec<OfService> = response::json(&line.ask(request).await, asked("the list of services"))?;
            let next = page.last().filter(|_| page.len() >= 100).and_then(|it| it.cursor.clone());
            found.extend(page.into_iter().map(|it| it.service).filter(|it| fits(it)));
            if next.is_none() || next == cursor {
                break;
            }
            cursor = next;
        }
        Ok(found)
    }

    /// The service's deploys, newest first, up to the page that holds the commit's, and how many pages that took.
    async fn list(&self, line: &Line, service: &Service) -> Result<(Vec<Deploy>, u32), Fault> {
        let mut list = Vec::new();
        let mut cursor = None::<String>;
        let mut pages = 0;
        loop {
            let limit = PER_PAGE.to_string();
            let mut query = vec![("limit", limit.as_str())];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let request = self.api.get(&["services", service.id.as_str(), "deploys"], &query);
            let response = line.ask(request.reading(answer::OF_DEPLOYS)).await;
            let page: Vec<OfDeploy> = response::json(&response, asked("the service's deploys"))?;
            let next = page.last().filter(|_| page.len() >= PER_PAGE).and_then(|it| it.cursor.clone());
            list.extend(page.into_iter().map(|it| it.deploy));
            pages += 1;
            if pages >= self.pages || self.ours(&list).is_some() || next.is_none() || next == cursor {
                return Ok((list, pages));
            }
            cursor = next;
        }
    }

    /// The deploy of the commit that was created last, except those that an earlier push of it had brought to an end.
    fn ours<'a>(&self, list: &'a [Deploy]) -> Option<&'a Deploy> {
        let is_earlier = |it: &Deploy| {
            let ended = matches!(
                state(&it.status),
                DeploymentState::Failed | DeploymentState::Canceled | DeploymentState::Replaced
            );
            ended && self.pushed.is_before(it.created_at)
        };
        list.iter()
            .filter(|it| it.commit().is_some_and(|commit| self.pushed.is_in_full(commit)) && !is_earlier(it))
            .min_by_key(|it| Reverse(it.created_at))
    }

    /// The event that the platform chose not to deploy the commit.
    async fn ignored(&self, line: &Line, service: &Service) -> Result<Option<Event>, Fault> {
        let query = [("type", "commit_ignored"), ("limit", "20")];
        let events = self.events(line, service, &query).await?;
        let ours = |it: &Event| {
            let commit = it.details.id.as_deref();
            it.kind == "commit_ignored"
                && commit.is_some_and(|commit| self.pushed.is_in_full(commit))
                && !self.pushed.is_before(it.timestamp)
        };
        Ok(events.into_iter().find(ours))
    }

    async fn events(&self, line: &Line, service: &Service, query: &[(&str, &str)]) -> Result<Vec<Event>, Fault> {
        let request = self.api.get(&["services", service.id.as_str(), "events"], query).reading(answer::OF_EVENTS);
        let list: Vec<Value> = response::json(&line.ask(request).await, asked("the service's events"))?;
        Ok(answer::events(list))
    }

    /// How the deploy ended. What the events do not tell is not known; that it ended is known without them.
    async fn read_end(&mut self, line: &Line, service: &Service, ours: &Deploy) {
        let (Some(since), false) = (ours.created_at, self.end.as_ref().is_some_and(|it| it.deploy == ours.id)) else {
            return;
        };
        let since = since.to_string();
        let query = [("startTime", since.as_str()), ("limit", "100")];
        let Ok(events) = self.events(line, service, &query).await else { return };
        let of_ours = |it: &&Event| it.details.deploy_id.as_deref() == Some(ours.id.as_str());
        let of_deploy: Vec<&Event> = events.iter().filter(of_ours).collect();
        let Some(ended) = of_deploy.iter().find(|it| it.kind == "deploy_ended") else { return };
        let build = ended.details.reason.build_failed.as_ref().map(|it| it.id.as_str());
        let of_build = events.iter().filter(|it| build.is_some() && it.details.build_id.as_deref() == build);
        let failure = of_build.chain(of_deploy.iter().copied()).find_map(|it| it.details.failure());
        let pull = || events.iter().find(|it| it.kind == "image_pull_failed")?.details.failure();
        self.end =
            Some(End { deploy: ours.id.clone(), successor: ended.details.successor(), failure: failure.or_else(pull) });
    }

    fn observation(
        &self,
        service: &Service,
        list: &[Deploy],
        ignored: Option<&Event>,
        is_new: bool,
    ) -> ProviderObservation {
        let ours = self.ours(list);
        let is_later = |it: &Deploy| ours.is_some_and(|ours| it.id != ours.id && it.created_at > ours.created_at);
        let live = list.iter().filter(|it| it.status == "live").max_by_key(|it| it.created_at);
        let site_url = service.site_url();
        let serving = live.map(|it| Serving {
            deployment_id: it.id.as_str().to_owned(),
            commit: it.commit().map(|commit| self.pushed.seen(commit)),
            site_url: site_url.clone(),
            is_later: is_later(it),
        });
        let dashboard = service.dashboard_url.as_deref().filter(|url| crate::answer::is_web_address(url));
        let deployment = match (ours, ignored) {
            (Some(ours), _) => {
                let (state, reason) = self.standing(ours, live.filter(|it| is_later(it)), list.iter().any(is_later));
                ours.commit().map(|commit| Observed {
                    id: ours.id.as_str().to_owned(),
                    state,
                    raw: one_line(&ours.status, 40),
                    commit: self.pushed.seen(commit),
                    url: dashboard.map(|url| format!("{}/deploys/{}", url.trim_end_matches('/'), ours.id.as_str())),
                    site_url,
                    progress: progress(&ours.status).map(str::to_owned),
                    reason,
                })
            }
            (None, Some(event)) => event.details.id.as_deref().map(|commit| Observed {
                id: event.id.as_str().to_owned(),
                state: DeploymentState::Skipped,
                raw: event.kind.clone(),
                commit: self.pushed.seen(commit),
                url: dashboard.map(|url| format!("{}/events", url.trim_end_matches('/'))),
                site_url,
                progress: None,
                reason: Some(
                    "Render ignored the commit, by the service's build filters or a word in its message".to_owned(),
                ),
            }),
            (None, None) => None,
        };
        let suspended = deployment.is_none() && is_new && service.suspended.as_deref() == Some("suspended");
        ProviderObservation {
            deployment,
            serving,
            will_not_deploy: suspended.then(|| "the service is suspended; resume it to deploy".to_owned()),
        }
    }

    /// Where the deploy stands: its own word, what serves since, and how it ended.
    fn standing(
        &self,
        ours: &Deploy,
        live_later: Option<&Deploy>,
        any_later: bool,
    ) -> (DeploymentState, Option<String>) {
        let end = self.end.as_ref().filter(|it| it.deploy == ours.id);
        let serves = live_later.map(|it| format!("deploy {} serves instead", it.id.as_str()));
        match state(&ours.status) {
            // There is one live deploy; an answer that names two was written while they changed places.
            DeploymentState::Live | DeploymentState::Replaced if live_later.is_some() => {
                (DeploymentState::Replaced, serves)
            }
            DeploymentState::Failed => (DeploymentState::Failed, end.and_then(|it| it.failure.clone())),
            DeploymentState::Canceled => match end.and_then(|it| it.successor.as_ref()) {
                Some(successor) => {
                    (DeploymentState::Superseded, Some(format!("it was canceled in favour of {successor}")))
                }
                None if end.is_none() && any_later => {
                    (DeploymentState::Superseded, Some("it was canceled, and a later deploy came".to_owned()))
                }
                None => (DeploymentState::Canceled, None),
            },
            state => (state, None),
        }
    }
}

/// The vendor's word in ours, as far as the word alone tells.
fn state(word: &str) -> DeploymentState {
    match word {
        "created" | "queued" => DeploymentState::Queued,
        "build_in_progress" => DeploymentState::Building,
        "pre_deploy_in_progress" | "update_in_progress" => DeploymentState::Deploying,
        "live" => DeploymentState::Live,
        "deactivated" => DeploymentState::Replaced,
        "build_failed" | "pre_deploy_failed" | "update_failed" => DeploymentState::Failed,
        "canceled" => DeploymentState::Canceled,
        _ => DeploymentState::Unknown,
    }
}

fn progress(word: &str) -> Option<&'static str> {
    match word {
        "build_in_progress" => Some("the build is running"),
        "pre_deploy_in_progress" => Some("the pre-deploy command is running"),
        "update_in_progress" => Some("the new instances are starting"),
        _ => None,
    }
}

impl Converse for Render {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let (service, is_new) = match &self.service {
            Some(service) => (service.clone(), false),
            None => (self.find(line).await?, true),
        };
        self.service = Some(service.clone());
        let (list, pages) = match self.list(line, &service).await {
            Err(fault) if fault.kind == FaultKind::NotFound => {
                // It may have been made anew.
                self.service = None;
                return Err(fault);
            }
            answer => answer?,
        };
        let ours = self.ours(&list).cloned();
        self.pages = if ours.is_some() { pages } else { 1 };
        let ignored = match &ours {
            None => self.ignored(line, &service).await?,
            Some(ours) => {
                if matches!(state(&ours.status), DeploymentState::Failed | DeploymentState::Canceled) {
                    self.read_end(line, &service, ours).await;
                }
                None
            }
        };
        let observation = self.observation(&service, &list, ignored.as_ref(), is_new);
        self.followed = ours;
        Ok(observation)
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let (Some(service), Some(deploy)) = (&self.service, &self.followed) else {
            return Err(Fault::new(FaultKind::NotFound, "there is no deploy of the commit whose log could be read"));
        };
        let Some(start) = deploy.started_at.or(deploy.created_at) else {
            return Err(Fault::new(
                FaultKind::NotFound,
                "Render does not tell when the deploy began, so its log cannot be told from others",
            ));
        };
        // The log is the service's; only the time tells which lines are the deploy's.
        let mut start = start.to_string();
        let end = deploy.finished_at.and_then(|it| it.checked_add(LOG_MARGIN).ok());
        let mut end = end.map(|it| it.to_string());
        let kinds: &[&str] = if deploy.status == "build_failed" { &["build"] } else { &["build", "app"] };
        let mut lines: Vec<(Option<Timestamp>, String)> = Vec::new();
        for _ in 0..LOG_PAGES {
            let mut query = vec![
                ("ownerId", service.owner_id.as_str()),
                ("resource", service.id.as_str()),
                ("direction", "backward"),
                ("limit", "100"),
                ("startTime", start.as_str()),
            ];
            query.extend(end.as_deref().map(|end| ("endTime", end)));
            query.extend(kinds.iter().map(|kind| ("type", *kind)));
            let answer = response::json(&line.ask(self.api.get(&["logs"], &query)).await, asked("the deploy's log"));
            let page: Logs = match answer {
                Err(_) if !lines.is_empty() => break,
                answer => answer?,
            };
            lines.extend(page.logs.into_iter().map(|it| (it.timestamp, it.message)));
            match (page.has_more, page.next_start_time, page.next_end_time) {
                (true, Some(next_start), Some(next_end)) => (start, end) = (next_start, Some(next_end)),
                _ => break,
            }
        }
        if lines.is_empty() {
            return Err(Fault::new(FaultKind::Transient, "Render has no log of the deploy yet"));
        }
        lines.sort_by_key(|(at, _)| *at);
        Ok(lines.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n"))
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        let request = self.api.get(&["owners"], &[("limit", "20")]);
        let owners: Vec<OfOwner> = response::json(&line.ask(request).await, asked("the workspaces"))?;
        Ok(match owners.as_slice() {
            [one] => format!("sees the workspace {:?}", one_line(&one.owner.name, 60)),
            many => format!("sees {} workspaces", many.len()),
        })
    }
}

fn asked(what: &str) -> Asked<'_> {
    Asked { vendor: "Render", what, scope: "of an API key of a member of the service's workspace" }
}

/// The key in the vendor's `cli.yaml`. One that its command line renews by itself is left to it.
fn token(text: &str) -> Option<Secret> {
    #[derive(Deserialize)]
    struct Config {
        api: Login,
    }
    #[derive(Deserialize)]
    struct Login {
        key: String,
        #[serde(rename = "refreshtoken")]
        renewed_by: Option<String>,
    }
    let config: Config = serde_saphyr::from_str(text).ok()?;
    let renewed = config.api.renewed_by.is_some_and(|it| !it.is_empty());
    (!renewed).then(|| Secret::new(&config.api.key))
}
