//! GitHub: follows a deployment, the workflow runs, or the checks of one commit of one repository. Builds requests and reads
//! responses only.
//!
//! What is followed is what the settings name. When they name nothing, what there is decides, in this order: deployments,
//! workflow runs, checks and commit statuses.
//!
//! Source: the vendor's OpenAPI document.

mod actions;
mod answer;
mod checks;
mod deployments;
mod log;
mod login;
mod parts;
#[cfg(test)]
mod tests;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::ProviderObservation,
};
use serde::de::DeserializeOwned;

use self::parts::Part;
use crate::{
    HttpRequest, HttpResponse, Setup, SetupError,
    api::Api,
    conversation::{Conversation, Converse, Line},
    pushed::Pushed,
    registry::Entry,
    remote::Repository,
    response::{self, Asked},
    settings::{Settings, wrong, wrong_address},
};

/// The vendor's own address.
const API: &str = "https://api.github.com";

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "github",
    api_url: API,
    build: |setup| Ok(Box::new(Conversation::new(GitHub::new(setup)?))),
    needs_token: true,
    credential_names: &["GH_TOKEN", "GITHUB_TOKEN"],
    login_files: &["gh/hosts.yml"],
    token_from_login_file: login::token,
};

/// Pages of a list at the first look, for a commit that was pushed a while ago.
const FIRST_PAGES: u32 = 5;

/// Follows one commit.
#[derive(Clone)]
struct GitHub {
    api: Api,
    /// Owner and name, or why they are not known.
    repository: Result<[String; 2], String>,
    /// The branch's or tag's short name.
    branch: String,
    pushed: Pushed,
    follow: Follow,
    looked: bool,
    /// The deployment that is followed.
    following: Option<answer::Deployment>,
    /// Runs of the commit were seen, and are looked for on more than the first page from then on.
    runs_seen: bool,
    /// The parts that the look before found all well: a part more may still appear right after the first ones.
    well: Vec<u64>,
    /// What was learned about an end that needs words.
    learned: Option<Learned>,
}

/// What is followed.
#[derive(Debug, Clone, PartialEq)]
enum Follow {
    /// Whatever there is.
    Found,
    Deployments {
        environment: Option<String>,
    },
    Actions {
        workflow: Option<String>,
    },
    Checks,
}

/// What was learned about the end of a deployment, a run or a check, so that it is asked once.
#[derive(Debug, Clone)]
struct Learned {
    /// Of which one, and in which attempt.
    about: (u64, u64),
    reason: Option<String>,
    /// The run that failed, and the job of it whose log tells more.
    run: Option<u64>,
    job: Option<u64>,
}

impl GitHub {
    /// Reads the settings `repository`, `environment`, `workflow` and `follow`, all optional.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("github", &setup.settings, &["repository", "environment", "workflow", "follow"])?;
        let follow = follow(&settings)?;
        let repository = match settings.text("repository")? {
            Some(text) => Ok(two_names(&text)
                .ok_or_else(|| wrong("repository", "must be the owner and the name, such as \"acme/web\""))?),
            None => of_remote(&setup.remote_url, setup.api_url.is_some()),
        };
        let api = Api::new(setup.api_url.as_deref().unwrap_or(API), setup.bearer()).ok_or_else(wrong_address)?;
        Ok(Self {
            api,
            repository,
            branch: setup.ref_name.short().to_owned(),
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            follow,
            looked: false,
            following: None,
            runs_seen: false,
            well: Vec::new(),
            learned: None,
        })
    }

    /// A request below the repository.
    fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<HttpRequest, Fault> {
        let [owner, name] = self.repository.as_ref().map_err(|why| Fault::new(FaultKind::NotFound, why.clone()))?;
        let path: Vec<&str> = ["repos", owner, name].iter().chain(path).copied().collect();
        Ok(versioned(self.api.get(&path, query)))
    }

    fn pages(&self) -> u32 {
        if self.looked { 1 } else { FIRST_PAGES }
    }

    /// What there is: deployments, else workflow runs, else checks.
    async fn observe_whatever_there_is(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        if let Some(observation) = self.deployment(line, None).await? {
            return Ok(observation);
        }
        let observation = self.observe_runs(line, None).await?;
        if observation.deployment.is_some() {
            return Ok(observation);
        }
        self.observe_checks(line).await
    }

    /// Tells whether a commit's full id is the pushed one's.
    fn is_ours(&self, sha: &str) -> bool {
        sha.eq_ignore_ascii_case(self.pushed.commit.as_str())
    }

    /// Whether the parts are the same ones that the look before found all well.
    fn still_well(&mut self, parts: &[Part]) -> bool {
        let mut ids: Vec<u64> = parts.iter().map(|part| part.id).collect();
        ids.sort_unstable();
        let still = !ids.is_empty() && self.well == ids;
        self.well = ids;
        still
    }
}

impl Converse for GitHub {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let observation = match self.follow.clone() {
            Follow::Found => self.observe_whatever_there_is(line).await,
            Follow::Deployments { environment } => {
                Ok(self.deployment(line, environment.as_deref()).await?.unwrap_or_default())
            }
            Follow::Actions { workflow } => self.observe_runs(line, workflow.as_deref()).await,
            Follow::Checks => self.observe_checks(line).await,
        }?;
        self.looked = true;
        Ok(observation)
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let Some(learned) = self.learned.clone() else {
            return Err(Fault::new(FaultKind::NotFound, "nothing of the commit failed whose log could be read"));
        };
        let job = match (learned.job, learned.run) {
            (None, Some(run)) => self.failing_job(line, run).await?.map(|(job, _)| job),
            (job, _) => job,
        };
        match (job, learned.reason) {
            (Some(job), _) => self.job_log(line, job).await,
            (None, Some(reason)) => Ok(reason),
            (None, None) => {
                Err(Fault::new(FaultKind::NotFound, "GitHub keeps no log of what failed; its page tells more"))
            }
        }
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        let what = self.named();
        if self.repository.is_err() {
            let response = line.ask(versioned(self.api.get(&["rate_limit"], &[]))).await;
            let _: answer::Anything = read(&response, "the budget of calls", "none")?;
            return Ok("the token works; which repository it is about is not known here".to_owned());
        }
        let response = line.ask(self.get(&[], &[])?.reading(&["full_name"])).await;
        let repository: answer::OneRepository = read(&response, &what, "Metadata: read (classic: repo)")?;
        Ok(format!("sees {}", afterpush_core::text::one_line(&repository.full_name, 100)))
    }
}

impl GitHub {
    /// The repository, for texts.
    fn named(&self) -> String {
        match &self.repository {
            Ok([owner, name]) => format!("the repository {owner}/{name}"),
            Err(_) => "the repository".to_owned(),
        }
    }
}

/// The vendor recommends a form of its own, which its own description does not know.
fn versioned(mut request: HttpRequest) -> HttpRequest {
    let accept = "application/vnd.github+json, application/json".to_owned();
    request.headers = vec![("accept", accept), ("x-github-api-version", "2022-11-28".to_owned())];
    request
}

fn follow(settings: &Settings<'_>) -> Result<Follow, SetupError> {
    let (environment, workflow) = (settings.text("environment")?, settings.text("workflow")?);
    match (settings.text("follow")?.as_deref(), environment, workflow) {
        (_, Some(_), Some(_)) => Err(wrong("workflow", "cannot be set together with environment")),
        (None | Some("deployments"), environment @ Some(_), None) | (Some("deployments"), environment, None) => {
            Ok(Follow::Deployments { environment })
        }
        (None | Some("actions"), None, workflow @ Some(_)) | (Some("actions"), None, workflow) => {
            Ok(Follow::Actions { workflow })
        }
        (Some("checks"), None, None) => Ok(Follow::Checks),
        (None, None, None) => Ok(Follow::Found),
        (Some("deployments" | "actions" | "checks"), ..) => {
            Err(wrong("follow", "does not fit the other keys: environment is of deployments, workflow of actions"))
        }
        (Some(_), ..) => Err(wrong("follow", "must be \"deployments\", \"actions\" or \"checks\"")),
    }
}

/// Owner and name of a repository, fit for a path.
fn two_names(text: &str) -> Option<[String; 2]> {
    let (owner, name) = text.split_once('/')?;
    let plain = |part: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (1..=100).contains(&part.len()) && part.bytes().all(known) && part != "." && part != ".."
    };
    (plain(owner) && plain(name)).then(|| [owner.to_owned(), name.to_owned()])
}

/// The repository that was pushed to. Of another host's remote nothing is asked: a repository of the same name at GitHub may
/// be another one. Behind an address of the user's own, that is the user's affair.
fn of_remote(remote: &str, own_address: bool) -> Result<[String; 2], String> {
    Repository::parse(remote)
        .filter(|it| own_address || it.host() == "github.com")
        .and_then(|it| two_names(it.path()))
        .ok_or_else(|| {
            "the remote's address does not name a repository of GitHub; set provider.repository to \"owner/name\""
                .to_owned()
        })
}

/// Reads an answer; `what` is what was asked for, `scope` the permission that it takes.
fn read<T: DeserializeOwned>(response: &HttpResponse, what: &str, scope: &'static str) -> Result<T, Fault> {
    let asked = Asked { vendor: "GitHub", what, scope };
    match response.status {
        301 | 307 | 308 => {
            let text = format!("GitHub says that {what} has moved ({}): set provider.repository", response.status);
            Err(Fault::new(FaultKind::NotFound, text))
        }
        404 => {
            let text = format!("GitHub does not know {what}, or the token may not see it (404); it needs {scope}");
            Err(Fault::new(FaultKind::NotFound, text))
        }
        _ => response::json(response, asked),
    }
}
