//! Argo CD: follows the sync of one commit of one application. Builds requests and reads responses only.
//!
//! Calls: one for each look; the first look without `app` is the list of applications; one for the log of each failing part,
//! three at most.
//!
//! Source: the project's own `assets/swagger.json`, ApplicationService and SessionService.

mod answer;
mod judge;
mod login;
#[cfg(test)]
mod tests;

use afterpush_core::{
    fault::{Fault, FaultKind},
    id::RefName,
    observation::ProviderObservation,
    text::one_line,
};

use self::answer::{Application, Applications, FIELDS, LogLine, Part, Session};
use crate::{
    Setup, SetupError,
    api::Api,
    conversation::{Conversation, Converse, Line},
    pushed::Pushed,
    registry::Entry,
    remote::Repository,
    response::{self, Asked},
    settings::{Settings, wrong, wrong_address},
};

pub(crate) use self::login::server;

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "argocd",
    api_url: "",
    build: |setup| Ok(Box::new(Conversation::new(ArgoCd::new(setup)?))),
    needs_token: true,
    credential_names: &["ARGOCD_AUTH_TOKEN"],
    login_files: &["argocd/config"],
    token_from_login_file: |text, _| login::token(text),
};

const SCOPE: &str = "applications, get";

/// Installations hold thousands of applications, each with all its parts.
const LARGEST_LIST: usize = 64 * 1024 * 1024;

/// The logs of no more parts than these are asked for.
const MOST_LOGS: usize = 3;

/// Follows one commit.
#[derive(Debug, Clone)]
struct ArgoCd {
    api: Api,
    /// The server's address, for the page of the application.
    address: String,
    app: Option<String>,
    namespace: Option<String>,
    project: Option<String>,
    repository: Option<Repository>,
    ref_name: RefName,
    pushed: Pushed,
    /// How many looks in a row found the application degraded by our sync.
    degraded: u32,
    failing: Vec<Part>,
    explained: Vec<String>,
}

impl ArgoCd {
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("argocd", &setup.settings, &["app", "namespace", "project"])?;
        let address = setup.api_url.clone().ok_or_else(|| {
            wrong(
                "api_url",
                "is needed by argocd: log in with the argocd command, or set [provider.argocd] api_url = \"https://...\" in your \
                 own configuration file",
            )
        })?;
        Ok(Self {
            api: Api::new(&address, setup.bearer()).ok_or_else(wrong_address)?,
            address,
            app: settings.text("app")?,
            namespace: settings.text("namespace")?,
            project: settings.text("project")?,
            repository: Repository::parse(&setup.remote_url),
            ref_name: setup.ref_name,
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            degraded: 0,
            failing: Vec::new(),
            explained: Vec::new(),
        })
    }

    /// What tells applications of one name apart.
    fn place(&self) -> Vec<(&'static str, &str)> {
        let pairs = [("appNamespace", &self.namespace), ("project", &self.project)];
        pairs.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect()
    }

    async fn application(&mut self, line: &Line) -> Result<Application, Fault> {
        let Some(name) = &self.app else { return self.find(line).await };
        let what = format!("the application {name:?}");
        let asked = Asked { vendor: "Argo CD", what: &what, scope: SCOPE };
        let request = self.api.get(&["api", "v1", "applications", name], &self.place()).reading(FIELDS);
        let response = line.ask(request).await;
        response::json(&response, asked).map_err(|mut fault| {
            if response.status == 403 {
                fault.message.push_str("; Argo CD answers the same when there is no such application");
            }
            fault
        })
    }

    /// The one application that is made of the remote and branch of the push.
    async fn find(&mut self, line: &Line) -> Result<Application, Fault> {
        let asked = Asked { vendor: "Argo CD", what: "the applications", scope: SCOPE };
        // The server's own filter by repository compares addresses letter by letter, and looks at the first source only.
        let mut query = self.place();
        query.iter_mut().filter(|(key, _)| *key == "project").for_each(|(key, _)| *key = "projects");
        let request = self.api.get(&["api", "v1", "applications"], &query).reading(FIELDS).at_most(LARGEST_LIST);
        let list: Applications = response::json(&line.ask(request).await, asked)?;
        let fits = |app: &Application| app.is_made_of(self.repository.as_ref(), &self.ref_name);
        let (found, others): (Vec<_>, Vec<_>) = list.items.into_iter().partition(fits);
        let names = |apps: &[Application]| {
            let names: Vec<String> = apps.iter().take(10).map(|app| one_line(&app.metadata.name, 60)).collect();
            names.join(", ")
        };
        let told = match found.len() {
            1 => {
                let app = found.into_iter().next().unwrap_or_default();
                self.app = Some(app.metadata.name.clone());
                self.namespace = app.metadata.namespace.clone().or(self.namespace.take());
                return Ok(app);
            }
            0 if others.is_empty() => "the token sees no application".to_owned(),
            0 => format!("no application is made of this remote and branch; there are {}", names(&others)),
            _ => format!("several applications are made of this remote and branch: {}", names(&found)),
        };
        Err(Fault::new(FaultKind::NotFound, format!("{told}; set app in target.provider")))
    }

    /// The log of a part's pods, as the server gives it.
    async fn log_of(&self, line: &Line, app: &str, part: &Part) -> Result<String, Fault> {
        let mut query = vec![
            ("kind", part.kind.as_str()),
            ("group", part.group.as_str()),
            ("resourceName", part.name.as_str()),
            ("namespace", part.namespace.as_str()),
            ("tailLines", "200"),
            ("follow", "false"),
        ];
        query.extend(self.place());
        let request = self.api.get(&["api", "v1", "applications", app, "logs"], &query).for_log();
        let response = line.ask(request).await;
        let asked = Asked { vendor: "Argo CD", what: "the log", scope: "logs, get" };
        match response.status {
            200..=299 => Ok(LogLine::all_of(&response.body)),
            _ => Err(response::fault(&response, asked)),
        }
    }
}

impl Converse for ArgoCd {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let app = self.application(line).await?;
        let verdict = judge::judge(&app, self);
        self.degraded = if verdict.is_degraded { self.degraded.saturating_add(1) } else { 0 };
        self.failing = app.failing();
        self.explained = app.reasons();
        Ok(verdict.observation)
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let app = self.app.as_deref().unwrap_or_default();
        let mut log: Vec<String> = Vec::new();
        let mut trouble = None;
        for part in self.failing.iter().filter(|part| part.has_pods()).take(MOST_LOGS) {
            match self.log_of(line, app, part).await {
                Ok(text) if text.is_empty() => {}
                Ok(text) => log.push(format!("{}:\n{text}", part.title())),
                Err(fault) => trouble = Some(fault),
            }
        }
        // Without a log, what the parts say of themselves is what there is.
        match (log.is_empty(), self.explained.is_empty(), trouble) {
            (false, ..) => Ok(log.join("\n")),
            (true, false, _) => Ok(self.explained.join("\n")),
            (true, true, Some(fault)) => Err(fault),
            (true, true, None) => Err(Fault::new(FaultKind::NotFound, "Argo CD tells no log of this sync")),
        }
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        let asked = Asked { vendor: "Argo CD", what: "the session", scope: SCOPE };
        let response = line.ask(self.api.get(&["api", "v1", "session", "userinfo"], &[])).await;
        let session: Session = response::json(&response, asked)?;
        match session.logged_in {
            true => Ok(format!("logged in as {}", one_line(&session.username, 60))),
            false => Err(Fault::new(FaultKind::Unauthorized, "Argo CD does not accept the token: not logged in")),
        }
    }
}
