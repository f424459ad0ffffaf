//! The fields of Vercel's answers that are read. Projects and deployments carry environment variables: no other field is ever held.
//!
//! Source: the vendor's OpenAPI document, `/v6/deployments`, `/v13/deployments`, `/v9/projects`, `/v10/projects`,
//! `/v3/deployments/{id}/events`. A list calls the id of a deployment `uid`, everything else `id`.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    answer::{Id, or_default},
    pushed::Pushed,
    remote::Repository,
};

/// The fields that are read of the answers about projects.
pub(super) const OF_PROJECTS: &[&str] = &[
    "projects",
    "pagination",
    "next",
    "id",
    "name",
    "link",
    "type",
    "host",
    "org",
    "repo",
    "projectUrl",
    "owner",
    "slug",
    "productionBranch",
    "autoAssignCustomDomains",
    "targets",
    "production",
    "alias",
    "createdAt",
    "meta",
    "githubCommitSha",
    "gitlabCommitSha",
    "bitbucketCommitSha",
    "gitDirty",
];

/// The fields that are read of the answers about deployments.
pub(super) const OF_DEPLOYMENTS: &[&str] = &[
    "deployments",
    "pagination",
    "next",
    "uid",
    "url",
    "created",
    "state",
    "readyState",
    "readySubstate",
    "target",
    "meta",
    "githubCommitSha",
    "gitlabCommitSha",
    "bitbucketCommitSha",
    "githubCommitRef",
    "gitlabCommitRef",
    "bitbucketCommitRef",
    "gitDirty",
    "aliasAssigned",
    "aliasError",
    "message",
    "checks",
    "deployment-alias",
    "checksState",
    "errorMessage",
    "inspectorUrl",
    "ready",
];

/// The fields that are read of the answer about one deployment.
pub(super) const OF_DETAIL: &[&str] =
    &["id", "errorMessage", "errorStep", "errorLink", "readyStateReason", "buildSkipped"];

/// `GET /v10/projects`
#[derive(Debug, Deserialize)]
pub(super) struct Projects {
    pub(super) projects: Vec<Project>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) pagination: Pagination,
}

/// `GET /v6/deployments`
#[derive(Debug, Deserialize)]
pub(super) struct Deployments {
    pub(super) deployments: Vec<Deployment>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) pagination: Pagination,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Pagination {
    next: Option<Cursor>,
}

/// Where the next page begins: a time, or a token.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Cursor {
    Number(i64),
    Text(String),
}

impl Pagination {
    /// What is to be sent back for the next page, when there is one.
    pub(super) fn next(&self) -> Option<String> {
        match self.next.as_ref()? {
            Cursor::Number(number) => Some(number.to_string()),
            Cursor::Text(text) => Some(text.clone()),
        }
    }
}

/// A project.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Project {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    link: Option<Link>,
    #[serde(rename = "autoAssignCustomDomains")]
    assigns_domains: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    targets: Targets,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Targets {
    production: Option<Production>,
}

/// The repository that a project is connected to. Which fields there are depends on the host.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Link {
    #[serde(deserialize_with = "or_default", rename = "type")]
    kind: String,
    host: Option<String>,
    org: Option<String>,
    repo: Option<String>,
    project_url: Option<String>,
    owner: Option<String>,
    slug: Option<String>,
    production_branch: Option<String>,
}

impl Project {
    /// The repository that it is built from.
    pub(super) fn repository(&self) -> Option<Repository> {
        let link = self.link.as_ref()?;
        let below = |host: &str, owner: &Option<String>, name: &Option<String>| {
            Repository::new(host, &format!("{}/{}", owner.as_deref()?, name.as_deref()?))
        };
        match link.kind.as_str() {
            "github" | "github-limited" => below("github.com", &link.org, &link.repo),
            "github-custom-host" => below(link.host.as_deref()?, &link.org, &link.repo),
            "gitlab" => Repository::parse(link.project_url.as_deref()?),
            "bitbucket" => below("bitbucket.org", &link.owner, &link.slug),
            _ => None,
        }
    }

    /// The branch whose deployments go to production.
    pub(super) fn production_branch(&self) -> Option<&str> {
        self.link.as_ref()?.production_branch.as_deref()
    }

    /// The deployment that production points at.
    pub(super) fn production(&self) -> Option<&Production> {
        self.targets.production.as_ref()
    }

    /// Tells whether each new production deployment waits for a person to promote it.
    pub(super) fn waits_for_promotion(&self) -> bool {
        self.assigns_domains == Some(false)
    }
}

/// The deployment that production points at.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Production {
    pub(super) id: Id,
    #[serde(rename = "createdAt")]
    created: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) meta: Meta,
    #[serde(default, deserialize_with = "or_default")]
    alias: Vec<String>,
}

impl Production {
    /// The address at which it answers: the project's own domain before the vendor's, the shortest of those.
    pub(super) fn site_url(&self) -> Option<String> {
        let best = self.alias.iter().min_by_key(|name| (name.ends_with(".vercel.app"), name.len()))?;
        web_address(best)
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        time(self.created)
    }
}

/// A deployment in the list.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deployment {
    pub(super) uid: Id,
    url: Option<String>,
    created: Option<i64>,
    state: Option<String>,
    ready_state: Option<String>,
    pub(super) ready_substate: Option<String>,
    pub(super) target: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) meta: Meta,
    alias_assigned: Option<Assigned>,
    pub(super) alias_error: Option<AliasError>,
    #[serde(default, deserialize_with = "or_default")]
    checks: Checks,
    pub(super) checks_state: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) inspector_url: Option<String>,
    ready: Option<i64>,
}

/// When the domains were given to it, or whether they were.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Assigned {
    At(i64),
    Whether(bool),
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct AliasError {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Checks {
    #[serde(rename = "deployment-alias")]
    alias: Option<Check>,
}

#[derive(Debug, Clone, Deserialize)]
struct Check {
    state: Option<String>,
}

impl Deployment {
    /// Its word, as the vendor writes it.
    pub(super) fn word(&self) -> &str {
        self.ready_state.as_deref().or(self.state.as_deref()).unwrap_or_default()
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        time(self.created)
    }

    /// Tells whether it was created after another point in time.
    pub(super) fn is_after(&self, other: Option<Timestamp>) -> bool {
        self.created().zip(other).is_some_and(|(mine, other)| mine > other)
    }

    pub(super) fn is_production(&self) -> bool {
        self.target.as_deref() == Some("production")
    }

    /// Tells whether its domains point at it.
    pub(super) fn has_domains(&self) -> bool {
        match self.alias_assigned {
            Some(Assigned::At(time)) => time != 0,
            Some(Assigned::Whether(it)) => it,
            None => false,
        }
    }

    /// Tells whether the vendor's checks keep its domains away from it.
    pub(super) fn checks_failed(&self) -> bool {
        self.checks.alias.as_ref().is_some_and(|check| check.state.as_deref() == Some("failed"))
    }

    /// Tells whether it was ever built to its end.
    pub(super) fn was_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// Its own address, which no later deployment takes.
    pub(super) fn site_url(&self) -> Option<String> {
        web_address(self.url.as_deref()?)
    }
}

/// What the git host told of the commit. Everything else that people put beside it is not read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    github_commit_sha: Option<String>,
    gitlab_commit_sha: Option<String>,
    bitbucket_commit_sha: Option<String>,
    github_commit_ref: Option<String>,
    gitlab_commit_ref: Option<String>,
    bitbucket_commit_ref: Option<String>,
    git_dirty: Option<String>,
}

impl Meta {
    /// The commit that was built; none for a work tree that held more than its commit.
    pub(super) fn commit(&self) -> Option<&str> {
        let is_clean = self.git_dirty.as_deref().is_none_or(|it| matches!(it, "0" | "false" | ""));
        let names = [&self.github_commit_sha, &self.gitlab_commit_sha, &self.bitbucket_commit_sha];
        names.into_iter().flatten().next().map(String::as_str).filter(|_| is_clean)
    }

    /// The branch that it was built from.
    pub(super) fn branch(&self) -> Option<&str> {
        let names = [&self.github_commit_ref, &self.gitlab_commit_ref, &self.bitbucket_commit_ref];
        names.into_iter().flatten().next().map(String::as_str)
    }

    /// Tells whether the pushed commit was built.
    pub(super) fn is_of(&self, pushed: &Pushed) -> bool {
        self.commit().is_some_and(|commit| pushed.is_in_full(commit))
    }
}

/// `GET /v13/deployments/{id}`: why it ended as it did.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail {
    pub(super) id: Id,
    pub(super) error_message: Option<String>,
    pub(super) error_step: Option<String>,
    pub(super) error_link: Option<String>,
    pub(super) ready_state_reason: Option<String>,
    pub(super) build_skipped: Option<bool>,
}

/// `GET /v2/user`
#[derive(Debug, Deserialize)]
pub(super) struct OneUser {
    pub(super) user: User,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) username: String,
}

/// A line of `GET /v3/deployments/{id}/events`, in either of its two shapes.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Event {
    created: Option<i64>,
    text: Option<String>,
    payload: Option<Payload>,
}

#[derive(Debug, Deserialize)]
struct Payload {
    text: Option<String>,
}

impl Event {
    pub(super) fn created(&self) -> Option<i64> {
        self.created
    }

    pub(super) fn text(&self) -> Option<&str> {
        let nested = self.payload.as_ref().and_then(|it| it.text.as_deref());
        self.text.as_deref().or(nested)
    }
}

fn time(milliseconds: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(milliseconds?).ok()
}

/// The address of a host name as the vendor gives it.
fn web_address(host: &str) -> Option<String> {
    let url = format!("https://{host}");
    crate::answer::is_web_address(&url).then_some(url)
}
