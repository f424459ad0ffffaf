//! The fields of Cloudflare's answers that are read. Projects and deployments carry variables: no other field is ever held.
//!
//! Source: the vendor's OpenAPI document, where no field is required, and the newer fields of its generated client.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::{
    answer::{Id, is_web_address, or_default},
    remote::Repository,
};

/// The fields that are read of the list of accounts.
pub(super) const OF_ACCOUNTS: &[&str] = &["success", "result", "id", "errors", "code"];

/// The fields that are read of the answers about projects.
pub(super) const OF_PROJECTS: &[&str] = &[
    "success",
    "result",
    "errors",
    "code",
    "result_info",
    "total_count",
    "name",
    "subdomain",
    "production_branch",
    "source",
    "type",
    "config",
    "owner",
    "repo_name",
    "production_deployments_enabled",
    "preview_deployment_setting",
    "canonical_deployment",
    "id",
    "environment",
    "created_on",
    "deployment_trigger",
    "metadata",
    "branch",
    "commit_hash",
    "commit_dirty",
    "latest_stage",
    "status",
];

/// The fields that are read of the answers about deployments.
pub(super) const OF_DEPLOYMENTS: &[&str] = &[
    "success",
    "result",
    "errors",
    "code",
    "id",
    "environment",
    "created_on",
    "deployment_trigger",
    "metadata",
    "branch",
    "commit_hash",
    "commit_dirty",
    "latest_stage",
    "name",
    "status",
    "is_skipped",
    "skip_reason",
    "url",
];

/// What every answer comes in.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) success: bool,
    pub(super) result: Option<T>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) result_info: ResultInfo,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ResultInfo {
    pub(super) total_count: Option<usize>,
}

/// The reasons of a refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    errors: Vec<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    code: i64,
}

impl Refusal {
    /// Tells whether the token is not even in the form of one, which the vendor calls a bad request.
    pub(super) fn is_about_the_token(&self) -> bool {
        self.errors.iter().any(|it| it.code == 6003)
    }
}

/// An account.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) id: Id,
}

/// A project.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Project {
    pub(super) name: String,
    subdomain: Option<String>,
    pub(super) production_branch: Option<String>,
    source: Option<Source>,
    /// What production serves.
    pub(super) canonical_deployment: Option<Deployment>,
}

#[derive(Debug, Clone, Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: Option<String>,
    config: Option<SourceConfig>,
}

#[derive(Debug, Clone, Deserialize)]
struct SourceConfig {
    owner: Option<String>,
    repo_name: Option<String>,
    production_deployments_enabled: Option<bool>,
    preview_deployment_setting: Option<String>,
}

impl Project {
    /// The repository that it is built from.
    pub(super) fn repository(&self) -> Option<Repository> {
        let source = self.source.as_ref()?;
        let host = match source.kind.as_deref()? {
            "github" => "github.com",
            "gitlab" => "gitlab.com",
            _ => return None,
        };
        let config = source.config.as_ref()?;
        Repository::new(host, &format!("{}/{}", config.owner.as_deref()?, config.repo_name.as_deref()?))
    }

    /// Why pushes of its production branch, or of the others, are never deployed.
    pub(super) fn never_deploys(&self, production: bool) -> Option<&'static str> {
        let config = self.source.as_ref()?.config.as_ref()?;
        if production {
            let off = config.production_deployments_enabled == Some(false);
            off.then_some("deployments of the production branch are switched off in the project's settings")
        } else {
            let off = config.preview_deployment_setting.as_deref() == Some("none");
            off.then_some("deployments of branches other than production's are switched off in the project's settings")
        }
    }

    /// The address at which production answers, whatever domains people put before it.
    pub(super) fn site_url(&self) -> Option<String> {
        let url = format!("https://{}", self.subdomain.as_deref()?);
        is_web_address(&url).then_some(url)
    }

    /// Its name as the vendor's own pages have it in their addresses.
    pub(super) fn name_in_path(&self) -> Option<&str> {
        let is_plain = self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        is_plain.then_some(&self.name)
    }
}

/// A deployment.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: Id,
    environment: Option<String>,
    #[serde(default, deserialize_with = "time")]
    pub(super) created_on: Option<Timestamp>,
    deployment_trigger: Option<Trigger>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) latest_stage: Stage,
    pub(super) is_skipped: Option<bool>,
    pub(super) skip_reason: Option<String>,
    url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Trigger {
    metadata: Option<Metadata>,
}

#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    branch: Option<String>,
    commit_hash: Option<String>,
    commit_dirty: Option<bool>,
}

/// The stage that a deployment has come to.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Stage {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
}

impl Deployment {
    fn metadata(&self) -> Option<&Metadata> {
        self.deployment_trigger.as_ref()?.metadata.as_ref()
    }

    /// The commit that was built; none for a work tree that held more than its commit.
    pub(super) fn commit(&self) -> Option<&str> {
        let metadata = self.metadata().filter(|it| it.commit_dirty != Some(true))?;
        metadata.commit_hash.as_deref().filter(|it| !it.is_empty())
    }

    /// The branch that it was built from.
    pub(super) fn branch(&self) -> Option<&str> {
        self.metadata()?.branch.as_deref()
    }

    pub(super) fn is_production(&self) -> bool {
        self.environment.as_deref() == Some("production")
    }

    /// Its stage and how that stands, in the vendor's words.
    pub(super) fn raw(&self) -> String {
        let Stage { name, status } = &self.latest_stage;
        match (self.is_skipped, self.skip_reason.as_deref()) {
            (Some(true), Some(reason)) => format!("skipped: {reason}"),
            (Some(true), None) => "skipped".to_owned(),
            _ => format!("{name}: {status}"),
        }
    }

    /// Its own address.
    pub(super) fn site_url(&self) -> Option<String> {
        self.url.clone().filter(|url| is_web_address(url))
    }
}

/// `GET .../history/logs`
#[derive(Debug, Deserialize)]
pub(super) struct Log {
    #[serde(default, deserialize_with = "or_default")]
    data: Vec<Option<LogLine>>,
}

#[derive(Debug, Deserialize)]
struct LogLine {
    line: Option<String>,
}

impl Log {
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.data.iter().flatten().filter_map(|it| it.line.as_deref())
    }
}

/// Reads a point in time; one that is none counts as absent.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}
