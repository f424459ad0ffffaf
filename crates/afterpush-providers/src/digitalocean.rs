//! DigitalOcean App Platform: follows the deployment of one commit of one app. Builds requests and reads responses only.
//!
//! Calls for one observation, in the order of a run:
//!
//! | when | calls |
//! |---|---|
//! | the first, app told by its id | the app; unless that shows a deployment of the commit, 1 to 5 pages of deployments |
//! | the first, app told otherwise | 1 page for each 200 apps of the account; then as above |
//! | no deployment of the commit yet | 1: the app and the list of deployments by turns |
//! | the deployment is under way, or serves | 1: the app |
//! | it has ended and does not serve | the first time 2 (the app, the list; a third for the deployment itself when a whole page of later ones is before it), then 1: the app |
//!
//! Nearly all calls are the same for every commit of the app, so that all its monitors can share one answer.
//!
//! Source: the vendor's OpenAPI document, `/v2/apps`.

mod answer;
mod locate;
mod log;
mod login;
mod matching;
mod observation;
mod progress;
mod request;

#[cfg(test)]
mod tests;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{DeploymentState, ProviderObservation},
};
use serde::de::DeserializeOwned;

use self::{
    answer::{App, Apps, Deployment, Deployments, Id, OneApp, OneDeployment, PhaseWord},
    locate::Told,
    log::{Next, Walk},
    matching::Wanted,
    request::Api,
};
use crate::{
    HttpRequest, HttpResponse, Provider, Question, Reply, Setup, SetupError, Turn,
    pushed::Pushed,
    registry::Entry,
    response::{self, Asked},
    settings::{Settings, wrong_address},
};

/// The vendor's own address.
const API: &str = "https://api.digitalocean.com";

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "digitalocean",
    api_url: API,
    build: |setup| Ok(Box::new(DigitalOcean::new(setup)?)),
    needs_token: true,
    credential_names: &["DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN"],
    login_files: &["doctl/config.yaml"],
    token_from_login_file: |text, _| login::token(text),
};

/// More pages of apps than these are not read: 2,000 apps.
const MOST_APP_PAGES: u32 = 10;

/// Pages of deployments at the first look, for a commit that was pushed a while ago.
const FIRST_DEPLOYMENT_PAGES: u32 = 5;

/// Follows one commit.
struct DigitalOcean {
    api: Api,
    told: Told,
    wanted: Wanted,
    app: Option<Known>,
    /// The deployment of the commit that is followed.
    following: Option<Following>,
    /// How often the app was looked at while there was no deployment of the commit.
    looks: u32,
    pending: Pending,
}

/// The app, once it was found.
struct Known {
    id: Id,
    site_url: Option<String>,
}

/// The deployment that is followed.
struct Following {
    last: Deployment,
    /// The list was read since it ended: for a later deployment of the same commit, and for a rollback.
    looked_around: bool,
}

/// What the response that is waited for will answer.
enum Pending {
    Nothing,
    /// A page of apps, and those that fit so far.
    Apps {
        page: u32,
        found: Vec<App>,
    },
    /// The app, while there is no deployment of the commit; then this many pages of deployments.
    App {
        list_pages: u32,
    },
    /// A page of deployments, while there is none of the commit.
    List {
        page: u32,
        last_page: u32,
        app: Option<Box<App>>,
    },
    /// The app, while a deployment is followed.
    Followed,
    /// The deployments: the app does not point at the one that is followed.
    FollowedInList {
        app: Box<App>,
    },
    /// The one that is followed: the list does not begin with it.
    FollowedAlone {
        app: Box<App>,
        list: Vec<Deployment>,
    },
    /// The app, when the list has shown a deployment that has ended.
    EndApp {
        ours: Box<Deployment>,
        list: Vec<Deployment>,
    },
    /// The deployments, when the app has shown one that has ended and does not serve.
    EndList {
        ours: Box<Deployment>,
        app: Box<App>,
    },
    Log(Walk),
    Credentials,
}

impl DigitalOcean {
    /// Reads the settings `app` (name or id) and `component`, both optional.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("digitalocean", &setup.settings, &["app", "component"])?;
        let (app, component) = (settings.text("app")?, settings.text("component")?);
        let api = Api::new(setup.api_url.as_deref().unwrap_or(API), setup.bearer()).ok_or_else(wrong_address)?;
        Ok(Self {
            api,
            told: Told::new(app, component.clone(), &setup.remote_url, &setup.ref_name),
            wanted: Wanted { pushed: Pushed { commit: setup.commit, at: setup.pushed_at }, component },
            app: None,
            following: None,
            looks: 0,
            pending: Pending::Nothing,
        })
    }

    fn observe(&mut self) -> Turn {
        let Some(app) = &self.app else {
            return self.find_app();
        };
        let id = app.id.clone();
        match &self.following {
            Some(_) => self.ask_app(&id, Pending::Followed),
            None => {
                self.looks = self.looks.wrapping_add(1);
                // The first look left off with the list.
                if self.looks % 2 == 1 {
                    self.ask_app(&id, Pending::App { list_pages: 0 })
                } else {
                    self.ask_list(&id, 1, 1, None)
                }
            }
        }
    }

    fn find_app(&mut self) -> Turn {
        if let Told::Id(id) = &self.told
            && let Ok(id) = Id::try_from(id.clone())
        {
            let list_pages = FIRST_DEPLOYMENT_PAGES;
            return self.ask_app(&id, Pending::App { list_pages });
        }
        match self.told.cannot_match() {
            Some(fault) => Turn::Fault(fault),
            None => self.ask_apps(1, Vec::new()),
        }
    }

    fn take_apps(&mut self, response: &HttpResponse, page: u32, mut found: Vec<App>) -> Turn {
        let apps: Apps = match read(response, "the account's apps") {
            Ok(apps) => apps,
            Err(fault) => return Turn::Fault(fault),
        };
        let next = apps.next_after(page).filter(|it| *it <= MOST_APP_PAGES);
        found.extend(apps.apps.into_iter().filter(|app| self.told.is(app)));
        let settled = !found.is_empty() && self.told.first_settles();
        match next.filter(|_| !settled) {
            Some(next) => self.ask_apps(next, found),
            None => match self.told.one_of(found) {
                Ok(app) => self.look_at_app(app, FIRST_DEPLOYMENT_PAGES),
                Err(fault) => Turn::Fault(fault),
            },
        }
    }

    fn take_app(&mut self, response: &HttpResponse, list_pages: u32) -> Turn {
        match self.read_app(response) {
            Ok(app) => self.look_at_app(app, list_pages),
            Err(fault) => Turn::Fault(fault),
        }
    }

    /// Looks for a deployment of the commit among those that the app points at, then in the list.
    fn look_at_app(&mut self, app: App, list_pages: u32) -> Turn {
        self.remember(&app);
        if let Some(ours) = self.wanted.newest(pointed_at(&app)).cloned() {
            return self.conclude(ours, Some(app), None);
        }
        // That nothing will come is said only after the list has nothing either.
        let list_pages = list_pages.max(u32::from(app.pinned.is_some()));
        if list_pages > 0 {
            let id = app.id.clone();
            return self.ask_list(&id, 1, list_pages, Some(Box::new(app)));
        }
        self.absent(Some(&app))
    }

    fn take_list(&mut self, response: &HttpResponse, page: u32, last_page: u32, app: Option<Box<App>>) -> Turn {
        let list: Deployments = match self.read_of_app(response, "the app's deployments") {
            Ok(list) => list,
            Err(fault) => return Turn::Fault(fault),
        };
        if let Some(ours) = self.wanted.newest(&list.deployments).cloned() {
            return self.conclude(ours, app.map(|app| *app), Some(list.deployments));
        }
        let next = list.next_after(page).filter(|next| *next <= last_page);
        match (next, self.app.as_ref().map(|it| it.id.clone())) {
            (Some(next), Some(id)) => self.ask_list(&id, next, last_page, app),
            _ => self.absent(app.as_deref()),
        }
    }

    /// The app while a deployment is followed: it usually points at it.
    fn take_followed(&mut self, response: &HttpResponse) -> Turn {
        let Some(last) = self.following.as_ref().map(|it| it.last.clone()) else {
            return nothing_asked();
        };
        let app = match self.read_app(response) {
            Ok(app) => app,
            // That the app cannot be asked does not hold a failure back that was seen before.
            Err(_) if last.phase == PhaseWord::Error && self.app.is_some() => return self.present(&last, None, None),
            Err(fault) => return Turn::Fault(fault),
        };
        self.remember(&app);
        let ours = pointed_at(&app).find(|it| it.id == last.id).cloned();
        if let Some(ours) = ours {
            return self.take_ours(ours, Some(app), None);
        }
        let known = self.following.as_ref().is_some_and(|it| it.looked_around);
        if known && is_over(&last.phase) {
            return self.conclude(last, Some(app), None);
        }
        let id = app.id.clone();
        self.ask(self.api.deployments(&id, 1), Pending::FollowedInList { app: Box::new(app) })
    }

    fn take_followed_in_list(&mut self, response: &HttpResponse, app: App) -> Turn {
        let Some(id) = self.following.as_ref().map(|it| it.last.id.clone()) else {
            return nothing_asked();
        };
        let list: Deployments = match self.read_of_app(response, "the app's deployments") {
            Ok(list) => list,
            Err(fault) => return Turn::Fault(fault),
        };
        match list.deployments.iter().find(|it| it.id == id).cloned() {
            Some(ours) => self.take_ours(ours, Some(app), Some(list.deployments)),
            None => {
                let request = self.api.deployment(&app.id, &id);
                self.ask(request, Pending::FollowedAlone { app: Box::new(app), list: list.deployments })
            }
        }
    }

    fn take_followed_alone(&mut self, response: &HttpResponse, app: App, list: Vec<Deployment>) -> Turn {
        let Some(id) = self.following.as_ref().map(|it| it.last.id.clone()) else {
            return nothing_asked();
        };
        if response.status == 404 {
            // It is gone: look for the commit anew.
            self.following = None;
            return self.absent(Some(&app));
        }
        match read::<OneDeployment>(response, "the deployment") {
            Ok(one) if one.deployment.id == id => self.take_ours(one.deployment, Some(app), Some(list)),
            Ok(_) => Turn::Fault(Fault::new(
                FaultKind::Malformed,
                "DigitalOcean's answer is about another deployment than the one asked for",
            )),
            Err(fault) => Turn::Fault(fault),
        }
    }

    /// What was followed, as it is now.
    fn take_ours(&mut self, ours: Deployment, app: Option<App>, list: Option<Vec<Deployment>>) -> Turn {
        if self.wanted.named_by(&ours).is_none() {
            self.following = None;
            return self.absent(app.as_ref());
        }
        self.conclude(ours, app, list)
    }

    /// Says how the commit's deployment stands, after asking for what is missing to know.
    fn conclude(&mut self, ours: Deployment, app: Option<App>, list: Option<Vec<Deployment>>) -> Turn {
        // A later deployment of the same commit, such as a manual one, takes the place of the one that was followed.
        let seen = app.iter().flat_map(pointed_at).chain(list.iter().flatten());
        let ours = match self.wanted.newest(seen) {
            Some(newest) if newest.created_at() > ours.created_at() => newest.clone(),
            _ => ours,
        };
        let before = self.following.take().filter(|it| it.last.id == ours.id);
        let ended = ours.phase.has_ended();
        let looked_around = ended && (list.is_some() || before.is_some_and(|it| it.looked_around));
        let complete = !ended || matching::state(&ours, app.as_ref()) == DeploymentState::Live;
        self.following = Some(Following { last: ours.clone(), looked_around });
        let Some(id) = self.app.as_ref().map(|app| app.id.clone()) else {
            return nothing_asked();
        };
        match app {
            None if !complete => {
                let (ours, list) = (Box::new(ours), list.unwrap_or_default());
                self.ask_app(&id, Pending::EndApp { ours, list })
            }
            Some(app) if !complete && !looked_around => {
                let (ours, app) = (Box::new(ours), Box::new(app));
                self.ask(self.api.deployments(&id, 1), Pending::EndList { ours, app })
            }
            app => self.present(&ours, app.as_ref(), list.as_deref()),
        }
    }

    fn take_end_app(&mut self, response: &HttpResponse, ours: Deployment, list: Vec<Deployment>) -> Turn {
        match self.read_app(response) {
            Ok(app) => {
                self.remember(&app);
                self.conclude(ours, Some(app), Some(list))
            }
            Err(_) if ours.phase == PhaseWord::Error && self.app.is_some() => self.present(&ours, None, Some(&list)),
            Err(fault) => Turn::Fault(fault),
        }
    }

    fn take_end_list(&mut self, response: &HttpResponse, ours: Deployment, app: App) -> Turn {
        match self.read_of_app::<Deployments>(response, "the app's deployments") {
            Ok(list) => self.conclude(ours, Some(app), Some(list.deployments)),
            Err(_) if ours.phase == PhaseWord::Error && self.app.is_some() => self.present(&ours, Some(&app), None),
            Err(fault) => Turn::Fault(fault),
        }
    }

    fn present(&self, ours: &Deployment, app: Option<&App>, list: Option<&[Deployment]>) -> Turn {
        let known = self.app.as_ref();
        match known.and_then(|known| observation::of(&self.wanted, known, ours, app, list)) {
            Some(observation) => reply(observation),
            None => nothing_asked(),
        }
    }

    fn absent(&self, app: Option<&App>) -> Turn {
        reply(observation::of_none(&self.wanted, app))
    }

    fn remember(&mut self, app: &App) {
        self.app = Some(Known { id: app.id.clone(), site_url: app.site_url() });
    }

    fn read_app(&mut self, response: &HttpResponse) -> Result<App, Fault> {
        let one: OneApp = self.read_of_app(response, "the app")?;
        Ok(one.app)
    }

    /// Reads an answer that is not there when the app is not. An app that was found by its name or its source is then
    /// looked for anew: it may have been made anew.
    fn read_of_app<T: DeserializeOwned>(&mut self, response: &HttpResponse, what: &str) -> Result<T, Fault> {
        if response.status != 404 {
            return read(response, what);
        }
        self.app = None;
        self.following = None;
        Err(self.told.none())
    }

    fn ask_apps(&mut self, page: u32, found: Vec<App>) -> Turn {
        self.ask(self.api.apps(page), Pending::Apps { page, found })
    }

    fn ask_app(&mut self, id: &Id, pending: Pending) -> Turn {
        self.ask(self.api.app(id), pending)
    }

    fn ask_list(&mut self, id: &Id, page: u32, last_page: u32, app: Option<Box<App>>) -> Turn {
        self.ask(self.api.deployments(id, page), Pending::List { page, last_page, app })
    }

    fn begin_log(&mut self) -> Turn {
        let Some(following) = &self.following else {
            return Turn::Fault(Fault::new(
                FaultKind::NotFound,
                "there is no deployment of the commit whose log could be read",
            ));
        };
        let mut walk = Walk::new(progress::failed_in_build(&following.last));
        let next = walk.begin();
        self.walk_on(walk, next)
    }

    fn walk_on(&mut self, walk: Walk, next: Next) -> Turn {
        let request = match (next, &self.app, &self.following) {
            (Next::Read(request), ..) => request,
            (Next::Links(kind), Some(app), Some(following)) => self.api.logs(&app.id, &following.last.id, kind),
            (Next::Links(_), ..) => return nothing_asked(),
            (Next::End(result), ..) => return result.map_or_else(Turn::Fault, |text| Turn::Reply(Reply::Log(text))),
        };
        self.ask(request, Pending::Log(walk))
    }

    fn ask(&mut self, request: HttpRequest, pending: Pending) -> Turn {
        self.pending = pending;
        Turn::Ask(request)
    }
}

impl Provider for DigitalOcean {
    fn start(&mut self, question: Question) -> Turn {
        self.pending = Pending::Nothing;
        match question {
            Question::Observe => self.observe(),
            Question::FailureLog => self.begin_log(),
            Question::Credentials => self.ask(self.api.count(), Pending::Credentials),
        }
    }

    fn next(&mut self, response: &HttpResponse) -> Turn {
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Nothing => nothing_asked(),
            Pending::Apps { page, found } => self.take_apps(response, page, found),
            Pending::App { list_pages } => self.take_app(response, list_pages),
            Pending::List { page, last_page, app } => self.take_list(response, page, last_page, app),
            Pending::Followed => self.take_followed(response),
            Pending::FollowedInList { app } => self.take_followed_in_list(response, *app),
            Pending::FollowedAlone { app, list } => self.take_followed_alone(response, *app, list),
            Pending::EndApp { ours, list } => self.take_end_app(response, *ours, list),
            Pending::EndList { ours, app } => self.take_end_list(response, *ours, *app),
            Pending::Log(mut walk) => {
                let next = walk.take(response);
                self.walk_on(walk, next)
            }
            Pending::Credentials => match read::<Apps>(response, "the account's apps") {
                Ok(apps) => Turn::Reply(Reply::Credentials(match apps.meta.total {
                    1 => "sees 1 app".to_owned(),
                    total => format!("sees {total} apps"),
                })),
                Err(fault) => Turn::Fault(fault),
            },
        }
    }
}

/// The deployments that an app points at.
fn pointed_at(app: &App) -> impl Iterator<Item = &Deployment> {
    [&app.pending, &app.in_progress, &app.active].into_iter().flatten()
}

/// Tells whether the platform is done with a deployment for good: only the app's pointer can make it live again.
fn is_over(phase: &PhaseWord) -> bool {
    matches!(phase, PhaseWord::Superseded | PhaseWord::Canceled | PhaseWord::Error)
}

fn read<T: DeserializeOwned>(response: &HttpResponse, what: &str) -> Result<T, Fault> {
    response::json(response, asked(what))
}

/// What a request to this vendor is about.
fn asked(what: &str) -> Asked<'_> {
    Asked { vendor: "DigitalOcean", what, scope: "app:read" }
}

fn reply(observation: ProviderObservation) -> Turn {
    Turn::Reply(Reply::Observation(observation))
}

/// The answer to a response that no request was made for.
fn nothing_asked() -> Turn {
    Turn::Fault(Fault::new(FaultKind::Malformed, "a response came that nothing was asked for"))
}
