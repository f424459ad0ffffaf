//! The parts of the vendor's answers that are read. A field that is null counts as absent.

use jiff::Timestamp;
use serde::Deserialize;

use crate::answer::{Id, moment, or_default};

/// What is read of builds. The addresses of their sources and logs are signed.
pub(super) const OF_BUILDS: &[&str] = &["id", "status", "created_at", "source_blob", "version", "release", "slug"];

/// What is read of releases.
pub(super) const OF_RELEASES: &[&str] =
    &["id", "version", "status", "current", "created_at", "description", "slug", "artifacts"];

/// What is read of dynos. Their command lines can hold secrets.
pub(super) const OF_DYNOS: &[&str] = &["name", "type", "state", "release", "version"];

/// An application.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct App {
    pub(super) id: Id,
    pub(super) name: Id,
    pub(super) web_url: Option<String>,
}

/// A build.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Build {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created_at: Option<Timestamp>,
    source_blob: Option<Source>,
    pub(super) release: Option<OneId>,
    slug: Option<OneId>,
}

#[derive(Debug, Clone, Deserialize)]
struct Source {
    version: Option<String>,
}

/// A thing that is named by its id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct OneId {
    pub(super) id: Id,
}

impl Build {
    /// The commit that it is built from.
    pub(super) fn commit(&self) -> Option<&str> {
        self.source_blob.as_ref()?.version.as_deref()
    }

    /// Tells whether a release runs what it made.
    pub(super) fn made(&self, release: &Release) -> bool {
        let by_release = self.release.as_ref().is_some_and(|it| it.id == release.id);
        by_release || self.slug.is_some() && self.slug == release.slug
    }
}

/// A release: what was built, together with its configuration.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Release {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) version: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) current: bool,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) description: String,
    pub(super) slug: Option<OneId>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) artifacts: Vec<OneId>,
}

impl Release {
    /// Tells whether both run the same code: a change of the configuration is a release, too.
    pub(super) fn runs_the_code_of(&self, other: &Self) -> bool {
        let same_image = !self.artifacts.is_empty() && self.artifacts == other.artifacts;
        self.id == other.id || (self.slug.is_some() && self.slug == other.slug) || same_image
    }
}

/// What was built, as far as it tells its commit.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Code {
    pub(super) commit: Option<String>,
}

/// A running process.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Dyno {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) state: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) release: OfRelease,
}

/// The release that a process runs.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct OfRelease {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) version: i64,
}

/// Where a log is, on another host.
#[derive(Deserialize)]
pub(super) struct Output {
    pub(super) output_stream_url: Option<String>,
}

/// Where the application's own log is, on another host.
#[derive(Deserialize)]
pub(super) struct LogSession {
    pub(super) logplex_url: String,
}

/// How many calls are left.
#[derive(Debug, Deserialize)]
pub(super) struct RateLimit {
    pub(super) remaining: i64,
}
