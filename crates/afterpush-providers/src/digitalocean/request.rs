//! The requests that are made: each one question, with the token, answered in JSON.

use super::{answer::Id, log::Kind};
use crate::{Credential, HttpRequest};

/// Apps on one page: the most that the API gives, because the app is looked for once.
const APPS_PER_PAGE: u32 = 200;

/// Deployments on one page: the API's own default.
const DEPLOYMENTS_PER_PAGE: u32 = 20;

/// Lines of a log, of each kind and component.
const LOG_LINES: u32 = 200;

/// The largest page of apps: 200 specifications, each up to four times.
const LARGEST_APPS: usize = 32 * 1024 * 1024;

/// The fields that are read of the answers about apps and deployments.
const FIELDS: &[&str] = &[
    "app",
    "apps",
    "deployments",
    "deployment",
    "id",
    "spec",
    "name",
    "services",
    "workers",
    "jobs",
    "static_sites",
    "functions",
    "active_deployment",
    "in_progress_deployment",
    "pending_deployment",
    "pinned_deployment",
    "live_url",
    "default_ingress",
    "github",
    "gitlab",
    "bitbucket",
    "git",
    "repo",
    "branch",
    "repo_clone_url",
    "phase",
    "cause",
    "cause_details",
    "type",
    "git_push",
    "commit_sha",
    "cloned_from",
    "previous_deployment_id",
    "created_at",
    "progress",
    "success_steps",
    "total_steps",
    "steps",
    "status",
    "component_name",
    "message_base",
    "reason",
    "code",
    "message",
    "source_commit_hash",
    "links",
    "pages",
    "next",
    "meta",
    "total",
];

/// The requests to the API.
pub(super) struct Api(crate::api::Api);

impl Api {
    /// The API at an address of the web, below whatever path that has.
    pub(super) fn new(address: &str, credential: Option<Credential>) -> Option<Self> {
        crate::api::Api::new(address, credential).map(Self)
    }

    /// A page of the account's apps.
    pub(super) fn apps(&self, page: u32) -> HttpRequest {
        let query = [("page", page.to_string()), ("per_page", APPS_PER_PAGE.to_string())];
        self.get(&[], &query).at_most(LARGEST_APPS).reading(FIELDS)
    }

    /// The shortest list of apps, for how many there are.
    pub(super) fn count(&self) -> HttpRequest {
        self.get(&[], &[("per_page", "1".to_owned())])
    }

    /// The app.
    pub(super) fn app(&self, id: &Id) -> HttpRequest {
        self.get(&[id.as_str()], &[]).reading(FIELDS)
    }

    /// A page of the app's deployments, newest first.
    pub(super) fn deployments(&self, app: &Id, page: u32) -> HttpRequest {
        let query = [("page", page.to_string()), ("per_page", DEPLOYMENTS_PER_PAGE.to_string())];
        self.get(&[app.as_str(), "deployments"], &query).reading(FIELDS)
    }

    /// One deployment.
    pub(super) fn deployment(&self, app: &Id, id: &Id) -> HttpRequest {
        self.get(&[app.as_str(), "deployments", id.as_str()], &[]).reading(FIELDS)
    }

    /// Where a deployment's log of a kind is, all components together.
    pub(super) fn logs(&self, app: &Id, deployment: &Id, kind: Kind) -> HttpRequest {
        let path = [app.as_str(), "deployments", deployment.as_str(), "logs"];
        // `tail_lines` is not in the OpenAPI document; the vendor's own client sends it.
        let query =
            [("type", kind.word().to_owned()), ("follow", "false".to_owned()), ("tail_lines", LOG_LINES.to_string())];
        self.get(&path, &query)
    }

    fn get(&self, path: &[&str], query: &[(&str, String)]) -> HttpRequest {
        let path: Vec<&str> = ["v2", "apps"].iter().chain(path).copied().collect();
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.0.get(&path, &query)
    }
}
