//! The questions in the vendor's GraphQL, and the parts of its answers that are read. A field that is null counts as absent.

use jiff::Timestamp;
use serde::Deserialize;

use crate::answer::{Id, moment, or_default};

/// Which project and environment a project's token is bound to.
pub(super) const TOKEN: &str = "query { projectToken { project { id name } environment { id name } } }";

/// One project with all that can be deployed to.
pub(super) const PROJECT: &str = "query($id: String!) { project(id: $id) { id name \
    environments(first: 100) { edges { node { id name } } } \
    services(first: 100) { edges { node { id name \
    repoTriggers(first: 20) { edges { node { repository branch environmentId } } } } } } } }";

/// All projects with all that can be deployed to.
pub(super) const PROJECTS: &str = "query($after: String) { projects(first: 50, after: $after) { \
    pageInfo { hasNextPage endCursor } edges { node { id name \
    environments(first: 20) { edges { node { id name } } } \
    services(first: 50) { edges { node { id name \
    repoTriggers(first: 5) { edges { node { repository branch environmentId } } } } } } } } } }";

/// The newest deployments of a service in an environment, and which of them serve.
pub(super) const DEPLOYMENTS: &str = "query($project: String!, $environment: String!, $service: String!, $after: String) { \
    deployments(first: 20, after: $after, input: \
    {projectId: $project, environmentId: $environment, serviceId: $service}) { \
    pageInfo { hasNextPage endCursor } edges { node { id status createdAt deploymentStopped meta } } } \
    serviceInstance(environmentId: $environment, serviceId: $service) { cronSchedule \
    activeDeployments { id status createdAt deploymentStopped meta } \
    domains { customDomains { domain } serviceDomains { domain } } } }";

/// The steps of a deployment.
pub(super) const EVENTS: &str = "query($id: String!) { deploymentEvents(id: $id, first: 50) { \
    edges { node { step payload { error reason } } } } }";

/// The log of the build.
pub(super) const BUILD_LOG: &str =
    "query($id: String!, $limit: Int) { log: buildLogs(deploymentId: $id, limit: $limit) { message } }";

/// The log of what was deployed.
pub(super) const DEPLOY_LOG: &str =
    "query($id: String!, $limit: Int) { log: deploymentLogs(deploymentId: $id, limit: $limit) { message } }";

/// What is read of projects, and of the token's own.
pub(super) const OF_PROJECTS: &[&str] = &[
    "data",
    "errors",
    "message",
    "projectToken",
    "project",
    "projects",
    "environment",
    "environments",
    "services",
    "pageInfo",
    "hasNextPage",
    "endCursor",
    "edges",
    "node",
    "id",
    "name",
    "repoTriggers",
    "repository",
    "branch",
    "environmentId",
];

/// What is read of deployments; their `meta` holds much more.
pub(super) const OF_DEPLOYMENTS: &[&str] = &[
    "data",
    "errors",
    "message",
    "deployments",
    "pageInfo",
    "hasNextPage",
    "endCursor",
    "edges",
    "node",
    "id",
    "status",
    "createdAt",
    "deploymentStopped",
    "meta",
    "commitHash",
    "serviceInstance",
    "cronSchedule",
    "activeDeployments",
    "domains",
    "customDomains",
    "serviceDomains",
    "domain",
];

/// An answer, or why there is none.
#[derive(Deserialize)]
pub(super) struct Answer<T> {
    pub(super) data: Option<T>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) errors: Vec<GraphError>,
}

/// Why there is no answer.
#[derive(Deserialize)]
pub(super) struct GraphError {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
}

/// A list, in the wrapping of GraphQL.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    edges: Vec<Edge<T>>,
    #[serde(default, deserialize_with = "or_default")]
    page_info: PageInfo,
}

#[derive(Debug, Clone, Deserialize)]
struct Edge<T> {
    node: T,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    #[serde(default, deserialize_with = "or_default")]
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl<T> List<T> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.edges.iter().map(|it| &it.node)
    }

    pub(super) fn into_items(self) -> impl Iterator<Item = T> {
        self.edges.into_iter().map(|it| it.node)
    }

    /// Where the next page begins.
    pub(super) fn next(&self) -> Option<String> {
        self.page_info.end_cursor.clone().filter(|_| self.page_info.has_next_page)
    }
}

/// To [`TOKEN`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfToken {
    pub(super) project_token: Token,
}

/// A project's token.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Token {
    pub(super) project: Named,
    pub(super) environment: Named,
}

/// A thing with an id and a name.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Named {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
}

impl Named {
    /// Tells whether a setting means it.
    pub(super) fn is(&self, told: &str) -> bool {
        self.id.as_str() == told || self.name == told
    }
}

/// To [`PROJECT`].
#[derive(Deserialize)]
pub(super) struct OfProject {
    pub(super) project: Project,
}

/// To [`PROJECTS`].
#[derive(Deserialize)]
pub(super) struct OfProjects {
    pub(super) projects: List<Project>,
}

/// A project.
#[derive(Deserialize)]
pub(super) struct Project {
    #[serde(flatten)]
    pub(super) named: Named,
    pub(super) environments: List<Named>,
    pub(super) services: List<Service>,
}

/// A service, which is deployed to each environment on its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    #[serde(flatten)]
    pub(super) named: Named,
    pub(super) repo_triggers: List<Trigger>,
}

/// What makes a service deploy.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trigger {
    pub(super) repository: String,
    pub(super) branch: String,
    pub(super) environment_id: Id,
}

/// To [`DEPLOYMENTS`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfDeployments {
    pub(super) deployments: List<Deployment>,
    pub(super) service_instance: Instance,
}

/// One deployment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deployment {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) deployment_stopped: bool,
    meta: Option<Meta>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    commit_hash: Option<String>,
}

impl Deployment {
    /// The commit that it deploys; an upload has none.
    pub(super) fn commit(&self) -> Option<&str> {
        self.meta.as_ref()?.commit_hash.as_deref()
    }
}

/// A service in an environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    pub(super) cron_schedule: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) active_deployments: Vec<Deployment>,
    #[serde(default, deserialize_with = "or_default")]
    domains: Domains,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Domains {
    custom_domains: Vec<Domain>,
    service_domains: Vec<Domain>,
}

#[derive(Debug, Clone, Deserialize)]
struct Domain {
    domain: String,
}

impl Instance {
    /// The address at which it answers: one of its own, else the platform's.
    pub(super) fn site_url(&self) -> Option<String> {
        let domain = self.domains.custom_domains.first().or(self.domains.service_domains.first())?;
        Some(format!("https://{}", domain.domain)).filter(|url| crate::answer::is_web_address(url))
    }
}

/// To [`EVENTS`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfEvents {
    pub(super) deployment_events: List<Event>,
}

/// A step of a deployment.
#[derive(Deserialize)]
pub(super) struct Event {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) step: String,
    pub(super) payload: Option<Payload>,
}

/// How a step went.
#[derive(Deserialize)]
pub(super) struct Payload {
    pub(super) error: Option<String>,
    pub(super) reason: Option<String>,
}

/// To [`BUILD_LOG`] and [`DEPLOY_LOG`].
#[derive(Deserialize)]
pub(super) struct OfLog {
    pub(super) log: Vec<LogLine>,
}

/// A line of a log.
#[derive(Deserialize)]
pub(super) struct LogLine {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
}
