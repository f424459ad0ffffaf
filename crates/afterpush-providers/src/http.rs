//! `http`: any host that tells its deployments as JSON. The configuration says where to ask, where in the answer the commit and
//! the state stand, and which words of the state mean what.
//!
//! Invariant: nothing is said about a deployment unless the answer itself names the pushed commit; that the address asked
//! for names it is no proof.
//!
//! Calls: one for each look, one or two for the log.

mod reading;
mod template;
#[cfg(test)]
mod tests;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::ProviderObservation,
};
use serde_json::Value;
use url::Url;

use self::reading::Reading;
use crate::{
    Carrier, Credential, HttpRequest, Setup, SetupError,
    answer::is_web_address,
    api::log_elsewhere,
    conversation::{Conversation, Converse, Line},
    pushed::Pushed,
    registry::Entry,
    response::{self, Asked, fault},
    settings::{Settings, wrong},
};

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "http",
    api_url: "",
    build: |setup| Ok(Box::new(Conversation::new(Http::new(setup)?))),
    needs_token: false,
    credential_names: &[],
    login_files: &[],
    token_from_login_file: |_, _| None,
};

/// The key that names the variable with the token.
pub(crate) const TOKEN_KEY: &str = "token_env";

const KEYS: [&str; 13] = [
    "url", TOKEN_KEY, "items", "commit", "state", "words", "id", "page", "site", "reason", "progress", "created", "log",
];

const ASKED: Asked<'_> = Asked { vendor: "the service", what: "the deployments", scope: "to read deployments" };

/// Follows one commit.
#[derive(Debug, Clone)]
struct Http {
    url: Url,
    credential: Option<Credential>,
    /// The address names the commit, so that an unknown address means "not yet".
    asks_for_commit: bool,
    pushed: Pushed,
    reading: Reading,
    /// What the answer gave as the log of the deployment that was observed last: an address, or the text itself.
    log: Option<String>,
}

impl Http {
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("http", &setup.settings, &KEYS)?;
        settings.text(TOKEN_KEY)?;
        let template = settings.text("url")?.ok_or_else(|| {
            wrong("url", "is needed by http, and counts only in your own configuration file or after `afterpush trust`")
        })?;
        let url = template::fill(&template, &setup).map_err(|problem| wrong("url", &problem))?;
        Ok(Self {
            url,
            credential: setup.bearer(),
            asks_for_commit: template.contains("{commit}") || template.contains("{short}"),
            reading: Reading::new(&settings)?,
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            log: None,
        })
    }

    /// The question for JSON at an address of the service, which gets the credential.
    fn get(&self, url: &Url) -> HttpRequest {
        HttpRequest {
            headers: vec![("accept", "application/json".to_owned())],
            credential: self.credential.clone(),
            ..log_elsewhere(url)
        }
        .at_most(LARGEST_ANSWER)
    }

    /// The whole answer; `None` when the service does not know the address of this commit yet.
    async fn ask(&self, line: &Line) -> Result<Option<Value>, Fault> {
        let request = HttpRequest { fields: self.reading.fields(), ..self.get(&self.url) };
        let response = line.ask(request).await;
        if self.asks_for_commit && matches!(response.status, 404 | 410) {
            return Ok(None);
        }
        response::json(&response, ASKED).map(Some)
    }
}

/// The largest answer that is read.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

impl Converse for Http {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let Some(answer) = self.ask(line).await? else { return Ok(ProviderObservation::default()) };
        let (observation, log) = self.reading.observe(&answer, &self.pushed)?;
        self.log = log;
        Ok(observation)
    }

    async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
        let log = self.log.as_deref().ok_or_else(|| Fault::new(FaultKind::NotFound, "the answer gives no log"))?;
        let address = match log.trim() {
            path if path.starts_with('/') && !path.contains(char::is_whitespace) => self.url.join(path).ok(),
            text if is_web_address(text) && !text.contains(char::is_whitespace) => Url::parse(text).ok(),
            _ => None,
        };
        let Some(address) = address else { return Ok(log.to_owned()) };
        let request = match address.origin() == self.url.origin() {
            true => self.get(&address).for_log(),
            false => log_elsewhere(&address),
        };
        let mut response = line.ask(request).await;
        if let (300..=399, Some(location)) = (response.status, response.header("location")) {
            let moved = address.join(location).map_err(|_| fault(&response, LOG))?;
            response = line.ask(log_elsewhere(&moved)).await;
        }
        match response.status {
            200..=299 => Ok(String::from_utf8_lossy(&response.body).into_owned()),
            _ => Err(fault(&response, LOG)),
        }
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        Ok(match self.ask(line).await? {
            Some(answer) => format!("answers with {} deployments", self.reading.items(&answer)?.len()),
            None => "answers".to_owned(),
        })
    }

    fn carrier(&self) -> Carrier {
        Carrier::Web(self.url.origin().ascii_serialization())
    }
}

const LOG: Asked<'_> = Asked { what: "the log", ..ASKED };
