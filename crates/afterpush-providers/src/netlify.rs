//! Netlify: follows the deploy of one commit of one site.
//!
//! Calls for one observation:
//!
//! | when | calls |
//! |---|---|
//! | the first | the site, or 1 page for each 100 sites; then 1 to 5 pages of deploys |
//! | while it is under way, or has failed | 1 page of deploys |
//! | it is ready, was canceled or is not there yet | as above, and the site |
//!
//! Source: the vendor's OpenAPI document; its command line for the log of a deploy.

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

use self::answer::{Deploy, LogLine, Site, User};
use crate::{
    Setup, SetupError,
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
const API: &str = "https://api.netlify.com/api/v1";

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "netlify",
    api_url: API,
    build: |setup| Ok(Box::new(Conversation::new(Netlify::new(setup)?))),
    needs_token: true,
    credential_names: &["NETLIFY_AUTH_TOKEN"],
    login_files: &["netlify/config.json", "~/Library/Preferences/netlify/config.json"],
    token_from_login_file: |text, _| answer::token(text),
};

const CHOICE: Choice = Choice { things: "sites", key: "provider.site" };

/// Sites on one page, and the most pages that are read: 1,000 sites.
const SITES_PER_PAGE: usize = 100;
const MOST_SITE_PAGES: u32 = 10;

/// The largest page of sites: each carries its published deploy.
const LARGEST_SITES: usize = 32 * 1024 * 1024;

/// Deploys on one page.
const DEPLOYS_PER_PAGE: usize = 20;

/// Pages of deploys at the first look, for a commit that was pushed a while ago.
const FIRST_PAGES: u32 = 5;

/// The log comes whole, and there is no way to ask for its end.
const LARGEST_LOG: usize = 32 * 1024 * 1024;

/// Follows one commit.
#[derive(Clone)]
struct Netlify {
    api: Api,
    /// The site's id or domain, as the configuration tells it.
    told: Option<String>,
    repository: Option<Repository>,
    branch: Option<String>,
    pushed: Pushed,
    site: Option<Site>,
    looked: bool,
    /// The deploy that was observed last.
    followed: Option<Id>,
}

impl Netlify {
    /// Reads the setting `site` (name, domain or id), which is optional.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("netlify", &setup.settings, &["site"])?;
        // The API takes a domain in the place of an id.
        let is_id = |it: &str| it.contains('.') || (it.len() == 36 && it.matches('-').count() == 4);
        let told = settings.text("site")?.map(|it| if is_id(&it) { it } else { format!("{it}.netlify.app") });
        Ok(Self {
            api: Api::new(setup.api_url.as_deref().unwrap_or(API), setup.bearer()).ok_or_else(wrong_address)?,
            told,
            repository: Repository::parse(&setup.remote_url),
            branch: setup.ref_name.branch().map(str::to_owned),
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            site: None,
            looked: false,
            followed: None,
        })
    }

    /// Finds the site by its setting, else by the repository that it is built from.
    async fn find(&self, line: &Line) -> Result<Site, Fault> {
        if let Some(told) = &self.told {
            return self.read_site(line, told).await;
        }
        let Some(repository) = &self.repository else { return Err(CHOICE.cannot_be_told()) };
        let mut found = Vec::new();
        for page in 1..=MOST_SITE_PAGES {
            let query = [("filter", "all"), ("page", &page.to_string()), ("per_page", &SITES_PER_PAGE.to_string())];
            let request = self.api.get(&["sites"], &query).at_most(LARGEST_SITES).reading(answer::OF_SITES);
            let sites: Vec<Site> = response::json(&line.ask(request).await, asked("the list of sites"))?;
            let is_last = sites.len() < SITES_PER_PAGE;
            found.extend(sites.into_iter().filter(|it| it.repository().as_ref() == Some(repository)));
            if is_last {
                break;
            }
        }
        CHOICE.only(found, |site| &site.name)
    }

    async fn read_site(&self, line: &Line, site: &str) -> Result<Site, Fault> {
        let request = self.api.get(&["sites", site], &[]).reading(answer::OF_SITES);
        let response = line.ask(request).await;
        if response.status == 404 {
            // The same answer as to a token that may not see it.
            let text = format!(
                "Netlify shows this token no site {site:?} (404); set {}, or use a token of its team",
                CHOICE.key
            );
            return Err(Fault::new(FaultKind::NotFound, text));
        }
        response::json(&response, asked("the site"))
    }

    /// The deploys of the branch, newest first, up to the page that holds the commit's.
    async fn list(&self, line: &Line, site: &Site) -> Result<Vec<Deploy>, Fault> {
        let mut list: Vec<Deploy> = Vec::new();
        for page in 1..=if self.looked { 1 } else { FIRST_PAGES } {
            let (page, per_page) = (page.to_string(), DEPLOYS_PER_PAGE.to_string());
            let mut query = vec![("page", page.as_str()), ("per_page", per_page.as_str())];
            query.extend(self.branch.as_deref().map(|branch| ("branch", branch)));
            let path = ["sites", site.id.as_str(), "deploys"];
            let request = self.api.get(&path, &query).reading(answer::OF_DEPLOYS);
            let deploys: Vec<Deploy> = response::json(&line.ask(request).await, asked("the site's deploys"))?;
            let is_last = deploys.len() < DEPLOYS_PER_PAGE;
            list.extend(deploys);
            if is_last || self.ours(&list).is_some() {
                break;
            }
        }
        Ok(list)
    }

    /// The deploy of the commit: production's alone when production's branch was pushed, else the branch's before a pull
    /// request's preview; then the one created last. Those that an earlier push of the same commit had brought to an end do
    /// not count.
    fn ours<'a>(&self, list: &'a [Deploy]) -> Option<&'a Deploy> {
        let production = self.site.as_ref().and_then(Site::production_branch);
        let only_production = self.branch.is_some() && self.branch.as_deref() == production;
        let is_earlier = |it: &Deploy| standing::has_ended(it) && self.pushed.is_before(it.created_at);
        let is_ours = |it: &&Deploy| {
            let is_meant = it.is_production() || !only_production;
            is_meant && it.commit().is_some_and(|commit| self.pushed.is_in_full(commit))
        };
        list.iter().filter(is_ours).filter(|it| !is_earlier(it)).min_by_key(|it| (it.rank(), Reverse(it.created_at)))
    }

    fn observation(&self, site: &Site, list: &[Deploy]) -> ProviderObservation {
        let ours = self.ours(list);
        let is_production = match ours {
            Some(ours) => ours.is_production(),
            None => self.branch.is_some() && self.branch.as_deref() == site.production_branch(),
        };
        let beside = |it: &&Deploy| match ours {
            Some(ours) => it.context == ours.context && it.branch == ours.branch && it.review_id == ours.review_id,
            None => it.context.as_deref() == Some("branch-deploy") && self.branch.is_some() && it.branch == self.branch,
        };
        let is_after = |it: &Deploy| ours.is_some_and(|ours| it.id != ours.id && it.created_at > ours.created_at);
        let serves = if is_production {
            site.published.as_ref()
        } else {
            list.iter().filter(beside).filter(|it| it.word() == "ready").max_by_key(|it| it.created_at)
        };
        let overtaken_by = list.iter().filter(beside).find(|it| is_after(it));
        let deployment = ours.and_then(|ours| {
            let standing = standing::of(ours, serves, overtaken_by);
            // An earlier push's, which has been replaced since: this push has none yet.
            if standing.state == DeploymentState::Replaced && self.pushed.is_before(ours.created_at) {
                return None;
            }
            Some(Observed {
                id: ours.id.as_str().to_owned(),
                state: standing.state,
                raw: one_line(ours.word(), 40),
                commit: self.pushed.seen(ours.commit()?),
                url: Some(format!(
                    "https://app.netlify.com/sites/{}/deploys/{}",
                    site.name_in_path(),
                    ours.id.as_str()
                )),
                site_url: if is_production { site.site_url() } else { ours.site_url() },
                progress: standing.progress,
                reason: standing.reason,
            })
        });
        let stopped = ours.is_none() && site.builds_are_stopped();
        ProviderObservation {
            deployment,
            serving: serves.map(|it| Serving {
                deployment_id: it.id.as_str().to_owned(),
                commit: it.commit().map(|commit| self.pushed.seen(commit)),
                site_url: if is_production { site.site_url() } else { it.site_url() },
                is_later: is_after(it),
            }),
            will_not_deploy: stopped.then(|| "builds are stopped in the site's settings".to_owned()),
        }
    }
}

impl Converse for Netlify {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let (mut site, is_new) = match &self.site {
            Some(site) => (site.clone(), false),
            None => (self.find(line).await?, true),
        };
        self.site = Some(site.clone());
        let list = match self.list(line, &site).await {
            Err(fault) if fault.kind == FaultKind::NotFound => {
                // It may have been made anew.
                self.site = None;
                return Err(fault);
            }
            list => list?,
        };
        self.looked = true;
        let ours = self.ours(&list).cloned();
        let asks_site = ours.as_ref().is_none_or(|it| {
            it.is_production() && (it.word() == "ready" || (standing::has_ended(it) && !standing::is_failure(it)))
        });
        if asks_site && !is_new {
            site = self.read_site(line, site.id.as_str()).await?;
            self.site = Some(site.clone());
        }
        let observation = self.observation(&site, &list);
        self.followed = ours.filter(|_| observation.deployment.is_some()).map(|it| it.id);
        Ok(observation)
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let Some(id) = &self.followed else {
            return Err(Fault::new(FaultKind::NotFound, "there is no deploy of the commit whose log could be read"));
        };
        let request = self.api.get(&["deploys", id.as_str(), "log"], &[]).at_most(LARGEST_LOG);
        let lines: Vec<Option<LogLine>> = response::json(&line.ask(request).await, asked("the deploy's log"))?;
        let lines: Vec<&str> = lines.iter().flatten().filter_map(LogLine::text).collect();
        if lines.is_empty() {
            return Err(Fault::new(FaultKind::Transient, "Netlify has no log of the deploy yet"));
        }
        Ok(lines.join("\n"))
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        let user: User = response::json(&line.ask(self.api.get(&["user"], &[])).await, asked("the account"))?;
        Ok(match user.site_count {
            1 => "sees 1 site".to_owned(),
            count => format!("sees {count} sites"),
        })
    }
}

fn asked(what: &str) -> Asked<'_> {
    Asked { vendor: "Netlify", what, scope: "of the site's team (with SAML, the token must be allowed to reach it)" }
}
