//! Builds the requests to a vendor's API: below its own address, with its credential, answered in JSON.

use url::Url;

use crate::{BodyLimit, Credential, Fields, HttpRequest, Method};

/// The largest JSON answer that is read, unless a request says otherwise.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// Of a log, this much of the end is kept.
const KEEP_OF_LOG: usize = 512 * 1024;

/// Where an API is, and the credential for it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    base: Url,
    credential: Option<Credential>,
}

impl Api {
    /// The API at an address of the web, below whatever path that has. `None` when it is no such address.
    pub(crate) fn new(address: &str, credential: Option<Credential>) -> Option<Self> {
        let mut base = Url::parse(address).ok()?;
        base.set_query(None);
        base.set_fragment(None);
        let sound = matches!(base.scheme(), "https" | "http") && base.has_host();
        sound.then_some(Self { base, credential })
    }

    /// A question for JSON. Each segment of the path is escaped as a whole.
    pub(crate) fn get(&self, path: &[&str], query: &[(&str, &str)]) -> HttpRequest {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        HttpRequest {
            method: Method::Get,
            url: url.into(),
            headers: vec![("accept", "application/json".to_owned())],
            credential: self.credential.clone(),
            body: None,
            limit: BodyLimit::AtMost(LARGEST_ANSWER),
            fields: Fields::Untold,
        }
    }

    /// A question that is put as a JSON document, as GraphQL does.
    pub(crate) fn post(&self, path: &[&str], body: &serde_json::Value) -> HttpRequest {
        HttpRequest { method: Method::Post, body: Some(body.to_string().into_bytes()), ..self.get(path, &[]) }
    }
}

/// The host of an address, with the port where it is not the usual one, as the logins of the vendors' command lines name it.
pub(crate) fn host_of(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// A log at an address that an answer gave, on whatever host: without the credential, and only its end.
pub(crate) fn log_elsewhere(url: &Url) -> HttpRequest {
    HttpRequest {
        method: Method::Get,
        url: url.to_string(),
        headers: Vec::new(),
        credential: None,
        body: None,
        limit: BodyLimit::KeepLast(KEEP_OF_LOG),
        fields: Fields::Untold,
    }
}

impl HttpRequest {
    /// Names the fields of the JSON answer that are read; see [`HttpRequest::fields`]. None at all: it is not shared.
    #[must_use]
    pub(crate) fn reading(self, fields: &'static [&'static str]) -> Self {
        let fields = if fields.is_empty() { Fields::Untold } else { Fields::Read(fields) };
        Self { fields, ..self }
    }

    /// Allows a body of this many bytes.
    #[must_use]
    pub(crate) fn at_most(self, bytes: usize) -> Self {
        Self { limit: BodyLimit::AtMost(bytes), ..self }
    }

    /// Asks for a log, of which the end is kept.
    #[must_use]
    pub(crate) fn for_log(self) -> Self {
        Self { limit: BodyLimit::KeepLast(KEEP_OF_LOG), headers: Vec::new(), ..self }
    }
}
