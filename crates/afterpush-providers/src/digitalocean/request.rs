//! The requests that are made: each one question, with the token, answered in JSON.

use url::Url;

use super::{answer::Id, log::Kind};
use crate::{BodyLimit, Credential, HttpRequest, Method, Secret};

/// Apps on one page: the most that the API gives, because the app is looked for once.
const APPS_PER_PAGE: u32 = 200;

/// Deployments on one page: the API's own default.
const DEPLOYMENTS_PER_PAGE: u32 = 20;

/// Lines of a log, of each kind and component.
const LOG_LINES: u32 = 200;

/// The largest answer about one app or twenty deployments. Each carries the app's whole specification.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// The largest page of apps: 200 specifications, each up to four times.
const LARGEST_APPS: usize = 32 * 1024 * 1024;

/// Where the API is, and the token for it.
pub(super) struct Api {
    base: Url,
    token: Secret,
}

impl Api {
    /// The API at an address of the web, below whatever path that has.
    pub(super) fn new(address: &str, token: Secret) -> Option<Self> {
        let mut base = Url::parse(address).ok()?;
        base.set_query(None);
        base.set_fragment(None);
        let sound = matches!(base.scheme(), "https" | "http") && base.has_host();
        sound.then_some(Self { base, token })
    }

    /// A page of the account's apps.
    pub(super) fn apps(&self, page: u32) -> HttpRequest {
        let query = [("page", page.to_string()), ("per_page", APPS_PER_PAGE.to_string())];
        self.get(&["apps"], &query, LARGEST_APPS)
    }

    /// The shortest list of apps, for how many there are.
    pub(super) fn count(&self) -> HttpRequest {
        self.get(&["apps"], &[("per_page", "1".to_owned())], LARGEST_ANSWER)
    }

    /// The app.
    pub(super) fn app(&self, id: &Id) -> HttpRequest {
        self.get(&["apps", id.as_str()], &[], LARGEST_ANSWER)
    }

    /// A page of the app's deployments, newest first.
    pub(super) fn deployments(&self, app: &Id, page: u32) -> HttpRequest {
        let query = [("page", page.to_string()), ("per_page", DEPLOYMENTS_PER_PAGE.to_string())];
        self.get(&["apps", app.as_str(), "deployments"], &query, LARGEST_ANSWER)
    }

    /// One deployment.
    pub(super) fn deployment(&self, app: &Id, id: &Id) -> HttpRequest {
        self.get(&["apps", app.as_str(), "deployments", id.as_str()], &[], LARGEST_ANSWER)
    }

    /// Where a deployment's log of a kind is, all components together.
    pub(super) fn logs(&self, app: &Id, deployment: &Id, kind: Kind) -> HttpRequest {
        let path = ["apps", app.as_str(), "deployments", deployment.as_str(), "logs"];
        // `tail_lines` is not in the OpenAPI document; the vendor's own client sends it.
        let query =
            [("type", kind.word().to_owned()), ("follow", "false".to_owned()), ("tail_lines", LOG_LINES.to_string())];
        self.get(&path, &query, LARGEST_ANSWER)
    }

    fn get(&self, path: &[&str], query: &[(&str, String)], limit: usize) -> HttpRequest {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v2").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        HttpRequest {
            method: Method::Get,
            url: url.into(),
            headers: vec![("accept", "application/json".to_owned())],
            credential: Some(Credential::Bearer(self.token.clone())),
            body: None,
            limit: BodyLimit::AtMost(limit),
        }
    }
}
