//! What a configuration means, once it was read: targets with their stages, the policy, and what was left out.

use std::{collections::BTreeMap, time::Duration};

use super::{before_push::BeforePush, migrations::MigrationsConfig, query::DatabaseQuery, waiting::MONITORS};
use crate::{
    id::RefName,
    integration::{PushRules, path_fits},
    policy::Policy,
};

/// The kinds of hosting providers that `provider.kind` may name. The provider registry is tested to hold exactly these.
pub const PROVIDER_KINDS: [&str; 14] = [
    "argocd",
    "cloudflare",
    "command",
    "digitalocean",
    "fly",
    "github",
    "gitlab",
    "heroku",
    "http",
    "kubernetes",
    "netlify",
    "railway",
    "render",
    "vercel",
];

/// A whole configuration: the repository's file and the user's, combined.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What pushes deploy to, in the order of the files.
    pub targets: Vec<Target>,
    /// The waiting rules.
    pub policy: Policy,
    /// What `afterpush push` does when the remote has moved.
    pub push: PushRules,
    /// How many monitors the user has at once; only the user's file says so.
    pub monitors: u32,
    /// The courtesies before a push.
    pub before_push: BeforePush,
    /// Settings for each provider kind; only the user's file has them.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// What the repository's file asked for and did not get, because it is not trusted or out of bounds; one sentence each.
    pub left_out: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            policy: Policy::default(),
            push: PushRules::default(),
            monitors: MONITORS,
            before_push: BeforePush::default(),
            providers: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }
}

impl Config {
    /// The targets that a push of `ref_name` deploys to.
    pub fn targets_of<'a>(&'a self, ref_name: &'a RefName) -> impl Iterator<Item = &'a Target> {
        self.targets.iter().filter(move |target| target.refs.matches(ref_name))
    }
}

/// What a push of certain refs deploys to: one app, site or component.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its name, for people.
    pub name: String,
    /// The refs whose pushes deploy to it.
    pub refs: RefPattern,
    /// Patterns of the paths that its application is made from. Empty: every push of its refs is for it.
    pub paths: Vec<String>,
    /// The hosting provider.
    pub provider: Option<ProviderConfig>,
    /// The database check.
    pub database: Option<DatabaseConfig>,
    /// Which migrations of the commit the database has to have.
    pub migrations: MigrationsConfig,
    /// The health checks, in the order of the files; none when it is not configured.
    pub health: Vec<HealthConfig>,
    /// Take a passing health check for "live" although nothing named the commit.
    pub accept_unversioned_health: bool,
}

impl Target {
    /// Tells whether a push that changes these paths is for the target.
    pub fn is_touched_by<'a>(&self, mut changed: impl Iterator<Item = &'a str>) -> bool {
        self.paths.is_empty() || changed.any(|path| self.paths.iter().any(|pattern| path_fits(pattern, path)))
    }
}

/// Which refs a target is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefPattern(String);

impl RefPattern {
    /// A pattern over full ref names, in which `*` stands for any text, slashes included, as in `refs/heads/*`.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a push of this ref is for the target.
    #[must_use]
    pub fn matches(&self, ref_name: &RefName) -> bool {
        self.matches_text(ref_name.as_str())
    }

    /// Tells whether a name of any kind fits the pattern.
    #[must_use]
    pub fn matches_text(&self, name: &str) -> bool {
        let mut rest = name;
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(after) = rest.strip_prefix(first) else {
            return false;
        };
        rest = after;
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

/// The hosting provider of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderConfig {
    /// One of [`PROVIDER_KINDS`].
    pub kind: String,
    /// The rest of the provider's table, for the provider itself to read.
    pub settings: toml::Table,
}

/// User-level settings of one provider kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderSettings {
    /// The address of the API instead of the vendor's: https, or http on loopback.
    pub api_url: Option<String>,
}

/// The database check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Where its address stands.
    pub address: DatabaseAddress,
    /// Whether the deployments table, or the query, is asked: not where only migrations are named.
    pub records: bool,
    /// The deployments table.
    pub deployments: String,
    /// What is asked instead of the deployments table.
    pub query: Option<DatabaseQuery>,
    /// Its columns, where they do not have one of the default names.
    pub columns: DatabaseColumns,
    /// Its status words, where they are not the default ones.
    pub words: DatabaseWords,
}

/// Where a database's address stands: in the environment of the push or in the credentials file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseAddress {
    /// In one variable, such as `DATABASE_URL`.
    Url {
        /// The variable.
        variable: String,
    },
    /// In parts, such as `DB_HOST` and `DB_PORT`.
    Parts {
        /// What the variables' names begin with, such as `DB_`.
        prefix: String,
        /// What kind of server it is.
        kind: DatabaseKind,
    },
}

/// A kind of database server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

/// Names of columns; `None` means that the probe looks for the default names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatabaseColumns {
    /// Default `commitSha` or `commit_sha`.
    pub commit: Option<String>,
    /// Default `status`.
    pub status: Option<String>,
    /// Default `errorMessage` or `error_message`.
    pub error: Option<String>,
    /// Default `createdAt` or `created_at`.
    pub created_at: Option<String>,
}

/// Status words, compared without regard to letter case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseWords {
    /// Words of a deployment that goes on. Default `pending`, `building`, `deploying`. Unknown words count as these too.
    pub in_progress: Vec<String>,
    /// Words of a deployment that succeeded. Default `success`.
    pub success: Vec<String>,
    /// Words of a deployment that failed. Default `failed`.
    pub failed: Vec<String>,
}

impl Default for DatabaseWords {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Self {
            in_progress: words(&["pending", "building", "deploying"]),
            success: words(&["success"]),
            failed: words(&["failed"]),
        }
    }
}

/// One health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// Its name among the target's checks. Default `health`.
    pub name: String,
    /// Where to ask, and by which protocol.
    pub address: HealthAddress,
    /// How to ask over HTTP. Default GET.
    pub method: HealthMethod,
    /// The status codes that count as healthy. Default 200.
    pub status: Vec<u16>,
    /// Texts that the body has to hold, every one.
    pub contains: Vec<String>,
    /// Texts that the body must not hold.
    pub excludes: Vec<String>,
    /// JSON pointers into the body, and the values that have to stand there.
    pub equals: Vec<(String, serde_json::Value)>,
    /// JSON pointers to the parts that the body reports, each of which has to be well.
    pub depends: Vec<String>,
    /// An answer that takes longer is unhealthy.
    pub max_latency: Option<Duration>,
    /// Where the answer names its commit; without it a health answer proves nothing about the commit.
    pub commit: Option<CommitAssertion>,
    /// How many passes in a row are needed. Default 3.
    pub passes: u32,
    /// How many unhealthy answers in a row mean that the application is broken. Default 5.
    pub failures: u32,
    /// How many unhealthy or missing answers a row of passes outlasts. Default 0.
    pub flakes: u32,
    /// The time limit of one answer. Default 10 s, at most 20 s.
    pub timeout: Duration,
}

impl HealthConfig {
    /// A check of this address, with every other key at its default.
    #[must_use]
    pub fn of(address: HealthAddress) -> Self {
        Self {
            name: "health".to_owned(),
            address,
            method: HealthMethod::Get,
            status: vec![200],
            contains: Vec::new(),
            excludes: Vec::new(),
            equals: Vec::new(),
            depends: Vec::new(),
            max_latency: None,
            commit: None,
            passes: 3,
            failures: 5,
            flakes: 0,
            timeout: Duration::from_secs(10),
        }
    }
}

/// The methods of HTTP by which a check may ask: those that change nothing, because a check is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthMethod {
    /// GET
    Get,
    /// HEAD: status and headers only.
    Head,
}

/// Where a health check asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthAddress {
    /// Over HTTP, a path on the address that the provider's deployment has.
    Path(String),
    /// Over HTTP, a whole address.
    Url {
        /// The address: https, or http where `user_named` is true.
        url: String,
        /// Whether the user's own file names it. Only then may it be http, on loopback or in a private network.
        user_named: bool,
    },
    /// Whether a TCP connection can be made.
    Tcp {
        /// `host:port`
        place: String,
        /// As of a whole address.
        user_named: bool,
    },
    /// The gRPC health service, `grpc.health.v1`.
    Grpc {
        /// The server's address without a path: https, or http where `user_named` is true.
        url: String,
        /// The service to ask for; empty for the server as a whole.
        service: String,
        /// As of a whole address.
        user_named: bool,
    },
}

/// Where a health answer names its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitAssertion {
    /// A JSON pointer into the body, such as `/commit`.
    Pointer(String),
    /// A response header, such as `x-commit`.
    Header {
        /// Its name, in lower case.
        name: String,
        /// Where the commit stands in a longer value: the first group, or the whole match, of this regular expression.
        regex: Option<String>,
    },
    /// The content of an HTML meta tag of this name, such as `commit`.
    Meta(String),
    /// A regular expression over the body; its first group, or the whole match, is the commit.
    Regex(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ref_patterns_match_whole_names() {
        let name = |text| RefName::parse(text).unwrap();
        for (pattern, text, expected) in [
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/main2", false),
            ("refs/heads/*", "refs/heads/a/b", true),
            ("refs/heads/*", "refs/tags/v1", false),
            ("refs/heads/release-*-eu", "refs/heads/release-1-eu", true),
            ("refs/heads/release-*-eu", "refs/heads/release-1-us", false),
            ("*", "refs/tags/v1", true),
            ("refs/heads/*a*a", "refs/heads/a", false),
        ] {
            assert_eq!(RefPattern::new(pattern).matches(&name(text)), expected, "{pattern} {text}");
        }
    }
}
