//! The parts of the vendor's answers that are read. A field that is null counts as absent.

use jiff::Timestamp;
use serde::Deserialize;

use crate::answer::{Id, moment, or_default};

/// What is read of machines; their configuration holds plain variables.
pub(super) const OF_MACHINES: &[&str] = &[
    "id",
    "state",
    "updated_at",
    "image_ref",
    "tag",
    "labels",
    "GH_SHA",
    "org.opencontainers.image.revision",
    "config",
    "metadata",
    "fly_process_group",
    "fly_release_version",
    "services",
    "autostop",
    "standbys",
    "checks",
    "name",
    "status",
    "output",
    "events",
    "type",
    "request",
    "exit_event",
    "exit_code",
    "oom_killed",
    "requested_stop",
];

/// The newest releases of an app, in the vendor's GraphQL.
pub(super) const RELEASES: &str = "query($app: String!) { app(name: $app) { \
    releasesUnprocessed(first: 10) { nodes { version status description imageRef createdAt } } } }";

/// What is read of releases.
pub(super) const OF_RELEASES: &[&str] =
    &["data", "app", "releasesUnprocessed", "nodes", "version", "status", "description", "imageRef", "createdAt"];

/// A machine, which runs one image.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Machine {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) state: String,
    #[serde(default, deserialize_with = "moment")]
    pub(super) updated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    image_ref: Image,
    #[serde(default, deserialize_with = "or_default")]
    config: Config,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) checks: Vec<Check>,
    #[serde(default, deserialize_with = "or_default")]
    events: Vec<Event>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Image {
    tag: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    labels: Labels,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Labels {
    #[serde(rename = "GH_SHA")]
    github: Option<String>,
    #[serde(rename = "org.opencontainers.image.revision")]
    revision: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Config {
    #[serde(default, deserialize_with = "or_default")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    services: Vec<Service>,
    #[serde(default, deserialize_with = "or_default")]
    standbys: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Metadata {
    fly_process_group: Option<String>,
    fly_release_version: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Service {
    /// A word, or true or false in older configurations.
    autostop: Option<serde_json::Value>,
}

/// A health check of a machine.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Check {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) output: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: Option<String>,
    request: Option<EventRequest>,
}

#[derive(Debug, Clone, Deserialize)]
struct EventRequest {
    exit_event: Option<Exit>,
}

/// How the process of a machine ended.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Exit {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) exit_code: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) oom_killed: bool,
    #[serde(default, deserialize_with = "or_default")]
    requested_stop: bool,
}

impl Machine {
    /// The commit that its image is built from, by the image's labels.
    pub(super) fn commit(&self) -> Option<&str> {
        let labels = &self.image_ref.labels;
        labels.github.as_deref().or(labels.revision.as_deref())
    }

    /// The image's tag, which a person may have chosen to be the commit.
    pub(super) fn tag(&self) -> Option<&str> {
        self.image_ref.tag.as_deref()
    }

    /// The release that it belongs to. One that was not made by a release has none.
    pub(super) fn release(&self) -> Option<i64> {
        self.config.metadata.fly_release_version.as_deref()?.trim().parse().ok()
    }

    /// Tells whether it runs the command that comes before a release's own machines.
    pub(super) fn runs_the_release_command(&self) -> bool {
        self.config.metadata.fly_process_group.as_deref() == Some("fly_app_release_command")
    }

    /// Tells whether it runs the app, and not a command beside it.
    pub(super) fn runs_the_app(&self) -> bool {
        let beside = |it: &str| it.starts_with("fly_app_");
        let gone = matches!(self.state.as_str(), "destroyed" | "destroying" | "replaced" | "migrated");
        !gone && !self.config.metadata.fly_process_group.as_deref().is_some_and(beside)
    }

    /// Tells whether it answers to the web.
    pub(super) fn serves(&self) -> bool {
        !self.config.services.is_empty()
    }

    /// Tells whether it may rest: it is woken by requests, or stands by for another.
    pub(super) fn may_rest(&self) -> bool {
        let rests = |it: &Service| match &it.autostop {
            Some(serde_json::Value::Bool(stops)) => *stops,
            Some(serde_json::Value::String(word)) => word != "off",
            _ => false,
        };
        !self.config.standbys.is_empty() || self.config.services.iter().any(rests)
    }

    /// How its process ended last, when nobody had asked for it. Events come newest first.
    pub(super) fn crash(&self) -> Option<&Exit> {
        let event = self.events.iter().find(|it| matches!(it.kind.as_deref(), Some("exit" | "start")))?;
        let exit = event.request.as_ref()?.exit_event.as_ref()?;
        (!exit.requested_stop && (exit.exit_code != 0 || exit.oom_killed)).then_some(exit)
    }
}

/// An application.
#[derive(Debug, Deserialize)]
pub(super) struct App {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
}

/// The answer about releases.
#[derive(Debug, Deserialize)]
pub(super) struct Releases {
    data: Option<ReleasesOfApp>,
}

#[derive(Debug, Deserialize)]
struct ReleasesOfApp {
    app: Option<WithReleases>,
}

#[derive(Debug, Deserialize)]
struct WithReleases {
    #[serde(rename = "releasesUnprocessed", default, deserialize_with = "or_default")]
    releases: Nodes,
}

#[derive(Debug, Default, Deserialize)]
struct Nodes {
    #[serde(default, deserialize_with = "or_default")]
    nodes: Vec<Option<Release>>,
}

impl Releases {
    /// Those that it holds.
    pub(super) fn all(self) -> Vec<Release> {
        let nodes = self.data.and_then(|data| data.app).map(|app| app.releases.nodes);
        nodes.into_iter().flatten().flatten().collect()
    }
}

/// One deployment of an app, by whoever deploys.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Release {
    pub(super) version: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) description: String,
    image_ref: Option<String>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created_at: Option<Timestamp>,
}

impl Release {
    /// The tag of its image.
    pub(super) fn tag(&self) -> Option<&str> {
        let image = self.image_ref.as_deref()?.split('@').next()?;
        image.rsplit('/').next()?.split_once(':').map(|(_, tag)| tag)
    }
}
