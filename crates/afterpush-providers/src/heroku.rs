//! Heroku: follows one commit of one application through its build, its release and its dynos.
//!
//! Calls for one observation:
//!
//! | when | calls |
//! |---|---|
//! | the first | the application; then 1 to 5 pages of builds |
//! | no build of the commit | 1 page of builds and 1 of releases; once for each release that may be of it, its code |
//! | while it is built | 1 page of builds |
//! | it is built | as above, and 1 page of releases |
//! | its release is the current one | as above, and the dynos |
//!
//! Source: the vendor's JSON hyper-schema, version 3.

mod answer;
mod dynos;
mod login;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{Deployment as Observed, DeploymentState, ProviderObservation, Serving},
    text::one_line,
};
use serde_json::json;

use self::{
    answer::{App, Build, Code, Dyno, LogSession, Output, RateLimit, Release},
    dynos::Dynos,
};
use crate::{
    HttpRequest, Setup, SetupError,
    answer::Id,
    api::{Api, log_elsewhere},
    choice::Choice,
    conversation::{Conversation, Converse, Line},
    pushed::Pushed,
    registry::Entry,
    remote::Repository,
    response::{self, Asked},
    settings::{Settings, wrong_address},
};

/// The vendor's own address.
const API: &str = "https://api.heroku.com";

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "heroku",
    api_url: API,
    build: |setup| Ok(Box::new(Conversation::new(Heroku::new(setup)?))),
    needs_token: true,
    credential_names: &["HEROKU_API_KEY"],
    login_files: &["~/.netrc"],
    token_from_login_file: |text, _| login::token(text),
};

const CHOICE: Choice = Choice { things: "apps", key: "provider.app" };

/// The form of the answers.
const VERSION: &str = "application/vnd.heroku+json; version=3";

/// Newest first, 20 on a page. The names are the ones that the vendor's schema lists for the order.
const NEWEST_BUILDS: &str = "started_at ..; order=desc,max=20";
const NEWEST_RELEASES: &str = "version ..; order=desc,max=20";

/// Pages of builds at the first look, for a commit that was pushed a while ago.
const FIRST_PAGES: u32 = 5;

/// Follows one commit.
#[derive(Clone)]
struct Heroku {
    api: Api,
    /// The app's name or id, by the configuration or by the remote.
    told: Option<String>,
    pushed: Pushed,
    app: Option<App>,
    /// Pages of builds that the next look goes through.
    pages: u32,
    /// The commits of releases that no build tells.
    known: Vec<(Id, Option<String>)>,
    /// The process that was found crashed at the last look.
    crashed: Option<String>,
    failed: Option<Step>,
}

/// The step that failed.
#[derive(Debug, Clone)]
enum Step {
    Build(Id),
    Release(Id),
    /// The process of this name.
    Dyno(String),
}

/// What belongs to the commit.
struct Ours<'a> {
    build: Option<&'a Build>,
    release: Option<&'a Release>,
    commit: String,
}

impl Heroku {
    /// Reads the setting `app` (name or id); a push to Heroku itself tells it as well.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("heroku", &setup.settings, &["app"])?;
        Ok(Self {
            api: Api::new(setup.api_url.as_deref().unwrap_or(API), setup.bearer()).ok_or_else(wrong_address)?,
            told: settings.text("app")?.or_else(|| app_of_remote(&setup.remote_url)),
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            app: None,
            pages: FIRST_PAGES,
            known: Vec::new(),
            crashed: None,
            failed: None,
        })
    }

    fn get(&self, path: &[&str]) -> HttpRequest {
        versioned(self.api.get(path, &[]))
    }

    async fn find(&self, line: &Line) -> Result<App, Fault> {
        let Some(told) = &self.told else {
            let text = format!("the remote is not Heroku's own and does not tell the app; set {}", CHOICE.key);
            return Err(Fault::new(FaultKind::NotFound, text));
        };
        let response = line.ask(self.get(&["apps", told]).reading(&["id", "name", "web_url"])).await;
        if response.status == 404 {
            let told = one_line(told, 64);
            let text = format!("Heroku shows this token no app {told:?} (404); set {}", CHOICE.key);
            return Err(Fault::new(FaultKind::NotFound, text));
        }
        response::json(&response, asked("the app"))
    }

    /// The app's builds, newest first, up to the page that holds the commit's, and how many pages that took.
    async fn builds(&self, line: &Line, app: &App) -> Result<(Vec<Build>, u32), Fault> {
        let mut list = Vec::new();
        let mut range = NEWEST_BUILDS.to_owned();
        let mut pages = 0;
        loop {
            let mut request = self.get(&["apps", app.id.as_str(), "builds"]).reading(answer::OF_BUILDS);
            request.headers.push(("range", range.clone()));
            let response = line.ask(request).await;
            let page: Vec<Build> = response::json(&response, asked("the app's builds"))?;
            list.extend(page);
            pages += 1;
            let next = response.header("next-range").filter(|next| *next != range);
            match next.filter(|_| pages < self.pages && self.our_build(&list).is_none()) {
                Some(next) => range = next.to_owned(),
                None => return Ok((list, pages)),
            }
        }
    }

    async fn releases(&self, line: &Line, app: &App) -> Result<Vec<Release>, Fault> {
        let mut request = self.get(&["apps", app.id.as_str(), "releases"]).reading(answer::OF_RELEASES);
        request.headers.push(("range", NEWEST_RELEASES.to_owned()));
        response::json(&line.ask(request).await, asked("the app's releases"))
    }

    /// The build of the commit that was created last, except those that an earlier push of it had failed with.
    fn our_build<'a>(&self, builds: &'a [Build]) -> Option<&'a Build> {
        let is_earlier = |it: &Build| it.status == "failed" && self.pushed.is_before(it.created_at);
        let ours = |it: &&Build| it.commit().is_some_and(|commit| self.pushed.is_in_full(commit)) && !is_earlier(it);
        builds.iter().filter(ours).min_by_key(|it| Reverse(it.created_at))
    }

    /// Reads the commits of the releases whose description may mean ours, as a promotion through a pipeline does, which has no
    /// build in this app.
    async fn read_commits(&mut self, line: &Line, app: &App, releases: &[Release]) -> Result<(), Fault> {
        for release in releases {
            let words = release.description.split(|c: char| !c.is_ascii_alphanumeric());
            let may_be_ours = words.into_iter().any(|word| self.pushed.is(word));
            if !may_be_ours || self.known.iter().any(|(id, _)| *id == release.id) {
                continue;
            }
            let commit = match (&release.slug, release.artifacts.first()) {
                (Some(slug), _) => {
                    let request = self.get(&["apps", app.id.as_str(), "slugs", slug.id.as_str()]).reading(&["commit"]);
                    response::json::<Code>(&line.ask(request).await, asked("the release's slug"))?.commit
                }
                (None, Some(image)) => {
                    let path = ["apps", app.id.as_str(), "oci-images", image.id.as_str()];
                    let response = line.ask(self.get(&path).reading(&["commit"])).await;
                    let images: Vec<Code> = response::json(&response, asked("the release's image"))?;
                    images.into_iter().find_map(|it| it.commit)
                }
                (None, None) => None,
            };
            self.known.push((release.id.clone(), commit));
        }
        Ok(())
    }

    /// The commit that a release runs, where it is known.
    fn commit_of<'a>(&'a self, release: &Release, builds: &'a [Build]) -> Option<&'a str> {
        let by_build = builds.iter().find(|it| it.made(release)).and_then(Build::commit);
        by_build.or_else(|| self.known.iter().find(|(id, _)| *id == release.id)?.1.as_deref())
    }

    fn ours<'a>(&self, builds: &'a [Build], releases: &'a [Release]) -> Option<Ours<'a>> {
        if let Some(build) = self.our_build(builds) {
            let release = releases.iter().filter(|it| build.made(it)).min_by_key(|it| it.version);
            return Some(Ours { build: Some(build), release, commit: build.commit()?.to_owned() });
        }
        let is_earlier = |it: &Release| it.status == "failed" && self.pushed.is_before(it.created_at);
        let ours = |it: &&Release| {
            self.commit_of(it, builds).is_some_and(|commit| self.pushed.is_in_full(commit)) && !is_earlier(it)
        };
        let release = releases.iter().filter(ours).max_by_key(|it| it.version)?;
        Some(Ours { build: None, release: Some(release), commit: self.pushed.commit.as_str().to_owned() })
    }

    /// Where the commit stands, before its dynos are asked for.
    fn standing(&mut self, ours: &Ours<'_>, current: Option<&Release>) -> Standing {
        let standing = |state, raw: &str| Standing { state, raw: raw.to_owned(), progress: None, reason: None };
        if let Some(build) = ours.build {
            match build.status.as_str() {
                "pending" => return standing(DeploymentState::Building, "build pending"),
                "failed" => {
                    self.failed = Some(Step::Build(build.id.clone()));
                    let failed = standing(DeploymentState::Failed, "build failed");
                    return failed.because("the build failed");
                }
                "succeeded" => {}
                word => return standing(DeploymentState::Unknown, &format!("build {}", one_line(word, 40))),
            }
        }
        let Some(release) = ours.release else {
            return standing(DeploymentState::Deploying, "build succeeded").at("waiting for its release");
        };
        let raw = format!("release {}", one_line(&release.status, 40));
        let current = current.filter(|it| it.version >= release.version);
        if current.is_some_and(|current| current.runs_the_code_of(release)) {
            return standing(DeploymentState::Live, &raw);
        }
        let instead = current.map(|it| format!("release v{} serves instead", it.version));
        match (release.status.as_str(), instead) {
            ("pending", _) => standing(DeploymentState::Deploying, &raw).at("the release phase is running"),
            ("failed", _) => {
                self.failed = Some(Step::Release(release.id.clone()));
                standing(DeploymentState::Failed, &raw)
                    .because("the release phase failed, and the app stays at the release before")
            }
            ("succeeded", Some(instead)) => standing(DeploymentState::Replaced, &raw).because(instead),
            ("succeeded", None) => {
                standing(DeploymentState::Deploying, &raw).at("waiting to become the current release")
            }
            ("expired", Some(instead)) => standing(DeploymentState::Superseded, &raw).because(instead),
            ("expired", None) => standing(DeploymentState::Failed, &raw).because("the release expired"),
            _ => standing(DeploymentState::Unknown, &raw),
        }
    }

    /// What the dynos say about a release that is the current one.
    fn look_at_dynos(&mut self, standing: Standing, dynos: &[Dyno], version: i64) -> Standing {
        let before = self.crashed.take();
        match dynos::of(dynos, version) {
            Dynos::Up { crashed } => match crashed {
                Some(name) => standing.because(format!("the dyno {name} has crashed")),
                None => standing,
            },
            Dynos::Moving(progress) => Standing { state: DeploymentState::Deploying, ..standing }.at(progress),
            Dynos::Crashed(name) => {
                self.crashed = Some(name.clone());
                let crashed = Standing { raw: "dyno crashed".to_owned(), ..standing };
                // The platform starts a crashed process again at once: only one that stays down is a failure.
                if before.is_none() {
                    let text = format!("the dyno {name} has crashed once");
                    return Standing { state: DeploymentState::Deploying, ..crashed }.at(text);
                }
                self.failed = Some(Step::Dyno(name.clone()));
                let reason = format!("the dyno {name} crashes");
                Standing { state: DeploymentState::Failed, ..crashed }.because(reason)
            }
        }
    }
}

/// Where the commit stands, and what is told about it.
struct Standing {
    state: DeploymentState,
    raw: String,
    progress: Option<String>,
    reason: Option<String>,
}

impl Standing {
    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    fn at(self, progress: impl Into<String>) -> Self {
        Self { progress: Some(progress.into()), ..self }
    }
}

impl Converse for Heroku {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let app = match &self.app {
            Some(app) => app.clone(),
            None => self.find(line).await?,
        };
        self.app = Some(app.clone());
        let (builds, pages) = match self.builds(line, &app).await {
            Err(fault) if fault.kind == FaultKind::NotFound => {
                // It may have been made anew.
                self.app = None;
                return Err(fault);
            }
            answer => answer?,
        };
        let our_build = self.our_build(&builds);
        self.pages = if our_build.is_some() { pages } else { 1 };
        let is_building = our_build.is_some_and(|it| it.status == "pending");
        let mut releases = if is_building { Vec::new() } else { self.releases(line, &app).await? };
        if let Some(made) = our_build.and_then(|it| it.release.as_ref())
            && !is_building
            && !releases.iter().any(|it| it.id == made.id)
        {
            let request = self.get(&["apps", app.id.as_str(), "releases", made.id.as_str()]);
            let request = request.reading(answer::OF_RELEASES);
            releases.push(response::json(&line.ask(request).await, asked("the build's release"))?);
        }
        if our_build.is_none() {
            self.read_commits(line, &app, &releases).await?;
        }
        let current = releases.iter().find(|it| it.current);
        let ours = self.ours(&builds, &releases);
        let mut standing = ours.as_ref().map(|ours| self.standing(ours, current));
        if let (Some(Standing { state: DeploymentState::Live, .. }), Some(current)) = (&standing, current) {
            let request = self.get(&["apps", app.id.as_str(), "dynos"]).reading(answer::OF_DYNOS);
            let dynos: Vec<Dyno> = response::json(&line.ask(request).await, asked("the app's dynos"))?;
            standing = standing.map(|it| self.look_at_dynos(it, &dynos, current.version));
        }
        let site_url = app.web_url.clone().filter(|url| crate::answer::is_web_address(url));
        let page = format!("https://dashboard.heroku.com/apps/{}/activity", app.name.as_str());
        let serving = current.map(|it| Serving {
            deployment_id: it.id.as_str().to_owned(),
            commit: self.commit_of(it, &builds).map(|commit| self.pushed.seen(commit)),
            site_url: site_url.clone(),
            is_later: ours.as_ref().is_some_and(|ours| match (ours.release, ours.build) {
                (Some(release), _) => it.version > release.version && !it.runs_the_code_of(release),
                (None, Some(build)) => it.created_at > build.created_at,
                (None, None) => false,
            }),
        });
        let deployment = ours.zip(standing).and_then(|(ours, standing)| {
            let id = ours.build.map(|it| &it.id).or(ours.release.map(|it| &it.id))?;
            Some(Observed {
                id: id.as_str().to_owned(),
                state: standing.state,
                raw: standing.raw,
                commit: self.pushed.seen(&ours.commit),
                url: Some(match ours.build {
                    Some(build) => format!("{page}/builds/{}", build.id.as_str()),
                    None => page,
                }),
                site_url,
                progress: standing.progress,
                reason: standing.reason,
            })
        });
        Ok(ProviderObservation { deployment, serving, will_not_deploy: None })
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let (Some(app), Some(step)) = (&self.app, &self.failed) else {
            return Err(Fault::new(FaultKind::NotFound, "no step of the commit has failed whose log could be read"));
        };
        let app = ["apps", app.id.as_str()];
        let output = |kind, id: &Id| self.get(&[app[0], app[1], kind, id.as_str()]);
        let (request, what) = match step {
            Step::Build(id) => (output("builds", id), "the build's log"),
            Step::Release(id) => (output("releases", id), "the release phase's log"),
            Step::Dyno(name) => {
                let body = json!({"dyno_name": name, "lines": 200, "tail": false});
                (versioned(self.api.post(&[app[0], app[1], "log-sessions"], &body)), "the app's log")
            }
        };
        let response = line.ask(request).await;
        let url = match step {
            Step::Dyno(_) => Some(response::json::<LogSession>(&response, asked(what))?.logplex_url),
            _ => response::json::<Output>(&response, asked(what))?.output_stream_url,
        };
        let Some(url) = url.filter(|url| crate::answer::is_web_address(url)).and_then(|url| url::Url::parse(&url).ok())
        else {
            return Err(Fault::new(FaultKind::NotFound, format!("Heroku does not tell where {what} is")));
        };
        // The address is signed: neither it nor the answer may stand in a fault.
        let response = line.ask(log_elsewhere(&url)).await;
        if !(200..300).contains(&response.status) {
            let text = format!("{what} cannot be read ({})", response.status);
            return Err(Fault::new(FaultKind::Transient, text));
        }
        Ok(String::from_utf8_lossy(&response.body).into_owned())
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        let response = line.ask(self.get(&["account", "rate-limits"])).await;
        let limit: RateLimit = response::json(&response, asked("the rate limit"))?;
        Ok(format!("{} calls are left", limit.remaining))
    }
}

fn versioned(request: HttpRequest) -> HttpRequest {
    HttpRequest { headers: vec![("accept", VERSION.to_owned())], ..request }
}

fn asked(what: &str) -> Asked<'_> {
    Asked { vendor: "Heroku", what, scope: "read-protected, of an account with access to the app" }
}

/// The app that a push to Heroku itself goes to.
fn app_of_remote(remote_url: &str) -> Option<String> {
    let remote = Repository::parse(remote_url)?;
    let is_herokus = matches!(remote.host(), "git.heroku.com" | "heroku.com");
    (is_herokus && !remote.path().contains('/')).then(|| remote.path().to_owned())
}
