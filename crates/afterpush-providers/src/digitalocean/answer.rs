//! The fields of DigitalOcean's answers that are used; no other is ever held, because a spec carries the values of the
//! app's environment variables in clear text.
//!
//! Source: the `/v2/apps` paths of the vendor's OpenAPI document, and its Go client godo for `cause_details` and
//! `previous_deployment_id`. A null counts as absent everywhere: the vendor's encoder omits what is zero.

use afterpush_core::text::one_line;
use jiff::Timestamp;
use serde::Deserialize;

pub(super) use crate::answer::Id;
use crate::answer::{is_web_address, or_default};

/// `GET /v2/apps`
#[derive(Debug, Deserialize)]
pub(super) struct Apps {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) apps: Vec<App>,
    #[serde(default, deserialize_with = "or_default")]
    links: Links,
    pub(super) meta: Meta,
}

/// `GET /v2/apps/{id}`
#[derive(Debug, Deserialize)]
pub(super) struct OneApp {
    pub(super) app: App,
}

/// `GET /v2/apps/{id}/deployments`
#[derive(Debug, Deserialize)]
pub(super) struct Deployments {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) deployments: Vec<Deployment>,
    #[serde(default, deserialize_with = "or_default")]
    links: Links,
    #[expect(dead_code, reason = "every list has it: without it this is some other answer")]
    meta: Meta,
}

/// `GET /v2/apps/{id}/deployments/{id}`
#[derive(Debug, Deserialize)]
pub(super) struct OneDeployment {
    pub(super) deployment: Deployment,
}

/// `GET /v2/apps/{id}/deployments/{id}/logs`: where the archived logs are. The addresses are signed, so they are secrets.
#[derive(Deserialize)]
pub(super) struct Logs {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) historic_urls: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Meta {
    pub(super) total: i64,
}

#[derive(Debug, Default, Deserialize)]
struct Links {
    #[serde(default, deserialize_with = "or_default")]
    pages: Pages,
}

#[derive(Debug, Default, Deserialize)]
struct Pages {
    next: Option<String>,
}

impl Links {
    /// The number of the page after `page`. Only the number is taken from the answer's link: requests go to addresses
    /// that we build ourselves.
    fn next_after(&self, page: u32) -> Option<u32> {
        let next = url::Url::parse(self.pages.next.as_deref()?).ok()?;
        let (_, number) = next.query_pairs().find(|(name, _)| name == "page")?;
        number.parse().ok().filter(|next| *next > page)
    }
}

impl Apps {
    /// The number of the page after `page`, when there is one.
    pub(super) fn next_after(&self, page: u32) -> Option<u32> {
        self.links.next_after(page)
    }
}

impl Deployments {
    /// The number of the page after `page`, when there is one.
    pub(super) fn next_after(&self, page: u32) -> Option<u32> {
        self.links.next_after(page)
    }
}

/// An app, and the deployments that it points at.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct App {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: Spec,
    #[serde(rename = "active_deployment")]
    pub(super) active: Option<Deployment>,
    #[serde(rename = "in_progress_deployment")]
    pub(super) in_progress: Option<Deployment>,
    #[serde(rename = "pending_deployment")]
    pub(super) pending: Option<Deployment>,
    #[serde(rename = "pinned_deployment")]
    pub(super) pinned: Option<Pinned>,
    live_url: Option<String>,
    default_ingress: Option<String>,
}

impl App {
    /// The address at which the app answers.
    pub(super) fn site_url(&self) -> Option<String> {
        let addresses = [&self.live_url, &self.default_ingress];
        addresses.into_iter().flatten().find(|url| is_web_address(url)).cloned()
    }
}

/// The deployment to which a manual rollback has pinned an app. Its id is all that counts, and may be all there is.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pinned {
    pub(super) id: Option<Id>,
}

/// What an app is made from.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Spec {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    services: Vec<Source>,
    #[serde(default, deserialize_with = "or_default")]
    workers: Vec<Source>,
    #[serde(default, deserialize_with = "or_default")]
    jobs: Vec<Source>,
    #[serde(default, deserialize_with = "or_default")]
    static_sites: Vec<Source>,
    #[serde(default, deserialize_with = "or_default")]
    functions: Vec<Source>,
}

impl Spec {
    /// Every component that is built from source.
    pub(super) fn components(&self) -> impl Iterator<Item = &Source> {
        [&self.services, &self.workers, &self.jobs, &self.static_sites, &self.functions].into_iter().flatten()
    }
}

/// Where a component's source comes from.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Source {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    pub(super) github: Option<Hosted>,
    pub(super) gitlab: Option<Hosted>,
    pub(super) bitbucket: Option<Hosted>,
    pub(super) git: Option<Git>,
}

/// A repository at one of the hosts that the platform is connected to.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Hosted {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) repo: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) branch: String,
}

/// A repository anywhere.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Git {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) repo_clone_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) branch: String,
}

/// A deployment.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) phase: PhaseWord,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) cause: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) cause_details: CauseDetails,
    pub(super) cloned_from: Option<String>,
    pub(super) previous_deployment_id: Option<String>,
    created_at: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) progress: Progress,
    #[serde(default, deserialize_with = "or_default")]
    services: Vec<Built>,
    #[serde(default, deserialize_with = "or_default")]
    workers: Vec<Built>,
    #[serde(default, deserialize_with = "or_default")]
    jobs: Vec<Built>,
    #[serde(default, deserialize_with = "or_default")]
    static_sites: Vec<Built>,
    #[serde(default, deserialize_with = "or_default")]
    functions: Vec<Built>,
}

impl Deployment {
    /// What was built for each component.
    pub(super) fn components(&self) -> impl Iterator<Item = &Built> {
        [&self.services, &self.workers, &self.jobs, &self.static_sites, &self.functions].into_iter().flatten()
    }

    /// When it was created; unset and unreadable times come before all others.
    pub(super) fn created_at(&self) -> Timestamp {
        let text = self.created_at.as_deref().unwrap_or_default();
        text.parse().unwrap_or(Timestamp::MIN)
    }

    /// Tells whether all of its steps succeeded: then it was live, whatever became of it since.
    pub(super) fn was_completed(&self) -> bool {
        let Progress { success_steps, total_steps, .. } = self.progress;
        total_steps > 0 && success_steps == total_steps
    }
}

/// Why there is a deployment.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct CauseDetails {
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub(super) kind: String,
    pub(super) git_push: Option<GitPush>,
}

/// The push that caused a deployment.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct GitPush {
    pub(super) commit_sha: Option<String>,
}

/// One component of a deployment; one that is made from an image has no commit.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Built {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    pub(super) source_commit_hash: Option<String>,
}

/// How far a deployment is.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Progress {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) success_steps: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) total_steps: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) steps: Vec<Step>,
}

/// A node of the tree of steps. Its depth is bounded by the JSON reader's own limit of 128 levels.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Step {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) component_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message_base: String,
    pub(super) reason: Option<Reason>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) steps: Vec<Self>,
}

/// Why a step is as it is; successful steps may have one, too.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reason {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) code: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
}

/// The word for where a deployment stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum PhaseWord {
    /// Also what an absent word means: it is the schema's default.
    #[default]
    Unknown,
    PendingBuild,
    Building,
    PendingDeploy,
    Deploying,
    Active,
    Superseded,
    Error,
    Canceled,
    /// A word that came after this was written.
    #[serde(untagged)]
    Other(String),
}

impl PhaseWord {
    /// The vendor's word, cleaned.
    pub(super) fn raw(&self) -> String {
        let word = match self {
            Self::Unknown => "UNKNOWN",
            Self::PendingBuild => "PENDING_BUILD",
            Self::Building => "BUILDING",
            Self::PendingDeploy => "PENDING_DEPLOY",
            Self::Deploying => "DEPLOYING",
            Self::Active => "ACTIVE",
            Self::Superseded => "SUPERSEDED",
            Self::Error => "ERROR",
            Self::Canceled => "CANCELED",
            Self::Other(word) => return one_line(word, 40),
        };
        word.to_owned()
    }

    /// Tells whether the platform does nothing more for the deployment.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Active | Self::Superseded | Self::Error | Self::Canceled)
    }
}
