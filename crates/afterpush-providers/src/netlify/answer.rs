//! The fields of Netlify's answers that are read. Sites carry passwords, hooks and variables: no other field is ever held.
//!
//! Source: the vendor's OpenAPI document, where no field is required; `log` and `config.json` as its command line has them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::{
    Secret,
    answer::{Id, is_web_address, or_default},
    remote::Repository,
};

/// The fields that are read of the answers about sites.
pub(super) const OF_SITES: &[&str] = &[
    "id",
    "name",
    "ssl_url",
    "url",
    "build_settings",
    "provider",
    "repo_path",
    "repo_url",
    "repo_branch",
    "stop_builds",
    "published_deploy",
    "state",
    "branch",
    "commit_ref",
    "context",
    "created_at",
    "published_at",
    "locked",
];

/// The fields that are read of the answers about deploys.
pub(super) const OF_DEPLOYS: &[&str] = &[
    "id",
    "state",
    "branch",
    "commit_ref",
    "context",
    "created_at",
    "published_at",
    "error_message",
    "skipped",
    "deploy_ssl_url",
    "review_id",
];

/// A site.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Site {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    ssl_url: Option<String>,
    url: Option<String>,
    build_settings: Option<BuildSettings>,
    /// What its visitors see.
    #[serde(rename = "published_deploy")]
    pub(super) published: Option<Deploy>,
}

#[derive(Debug, Clone, Deserialize)]
struct BuildSettings {
    provider: Option<String>,
    repo_path: Option<String>,
    repo_url: Option<String>,
    repo_branch: Option<String>,
    stop_builds: Option<bool>,
}

impl Site {
    /// The repository that it is built from.
    pub(super) fn repository(&self) -> Option<Repository> {
        let settings = self.build_settings.as_ref()?;
        let by_url = settings.repo_url.as_deref().and_then(Repository::parse);
        by_url.or_else(|| {
            let host = match settings.provider.as_deref()? {
                "github" => "github.com",
                "gitlab" => "gitlab.com",
                "bitbucket" => "bitbucket.org",
                _ => return None,
            };
            Repository::new(host, settings.repo_path.as_deref()?)
        })
    }

    /// The branch whose deploys go to production.
    pub(super) fn production_branch(&self) -> Option<&str> {
        self.build_settings.as_ref()?.repo_branch.as_deref()
    }

    /// Tells whether pushes are not built at all.
    pub(super) fn builds_are_stopped(&self) -> bool {
        self.build_settings.as_ref().is_some_and(|it| it.stop_builds == Some(true))
    }

    /// The address at which production answers.
    pub(super) fn site_url(&self) -> Option<String> {
        [&self.ssl_url, &self.url].into_iter().flatten().find(|url| is_web_address(url)).cloned()
    }

    /// Its name as the vendor's own pages have it in their addresses; its id where the name is none.
    pub(super) fn name_in_path(&self) -> &str {
        let is_plain = !self.name.is_empty() && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if is_plain { &self.name } else { self.id.as_str() }
    }
}

/// A deploy.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Deploy {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    state: String,
    pub(super) branch: Option<String>,
    commit_ref: Option<String>,
    pub(super) context: Option<String>,
    #[serde(default, deserialize_with = "time")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    pub(super) published_at: Option<Timestamp>,
    pub(super) error_message: Option<String>,
    pub(super) skipped: Option<bool>,
    pub(super) locked: Option<bool>,
    /// The number of the pull request.
    pub(super) review_id: Option<i64>,
    deploy_ssl_url: Option<String>,
}

impl Deploy {
    /// Its word, as the vendor writes it.
    pub(super) fn word(&self) -> &str {
        &self.state
    }

    /// The commit that was built; none of a deploy that somebody uploaded.
    pub(super) fn commit(&self) -> Option<&str> {
        self.commit_ref.as_deref().filter(|it| !it.is_empty())
    }

    pub(super) fn is_production(&self) -> bool {
        self.context.as_deref() == Some("production")
    }

    /// Which of several deploys of one push is meant: the lowest.
    pub(super) fn rank(&self) -> u8 {
        match self.context.as_deref() {
            Some("production") => 0,
            Some("deploy-preview") => 2,
            _ => 1,
        }
    }

    /// Its own address.
    pub(super) fn site_url(&self) -> Option<String> {
        self.deploy_ssl_url.clone().filter(|url| is_web_address(url))
    }
}

/// `GET /user`
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) site_count: i64,
}

/// A line of a deploy's log.
#[derive(Debug, Deserialize)]
pub(super) struct LogLine {
    log: Option<String>,
    message: Option<String>,
}

impl LogLine {
    pub(super) fn text(&self) -> Option<&str> {
        self.log.as_deref().or(self.message.as_deref())
    }
}

/// The token of the user who is logged in, in the `config.json` of the vendor's command line.
pub(super) fn token(text: &str) -> Option<Secret> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        user_id: String,
        users: BTreeMap<String, User>,
    }
    #[derive(Deserialize)]
    struct User {
        auth: Auth,
    }
    #[derive(Deserialize)]
    struct Auth {
        token: String,
    }
    let config: Config = serde_json::from_str(text).ok()?;
    config.users.get(&config.user_id).map(|user| Secret::new(&user.auth.token))
}

/// Reads a point in time; one that is none counts as absent.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}
