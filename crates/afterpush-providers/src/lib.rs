//! Hosting providers, one file each: they build requests and read responses, and never touch a socket, a file, a clock or
//! the environment.
//!
//! A [`Provider`] answers a [`Question`] in turns: it asks for a request to be sent, is given the response, and goes on
//! until it has a reply or a fault. The transport owns sockets, time limits, size caps and Retry-After.

#![forbid(unsafe_code)]

mod answer;
mod api;
mod argocd;
mod choice;
mod cloudflare;
mod command;
#[cfg(test)]
mod contract;
mod conversation;
#[cfg(test)]
mod damage;
mod digitalocean;
mod fly;
mod github;
mod gitlab;
mod heroku;
mod http;
mod kubernetes;
mod netlify;
#[cfg(test)]
mod play;
mod pushed;
mod railway;
mod reduce;
pub mod registry;
mod remote;
mod render;
mod response;
mod settings;
mod standing;
mod vercel;

use std::{fmt, sync::Arc, time::Duration};

use afterpush_core::{
    fault::Fault,
    id::{CommitId, RefName},
    observation::ProviderObservation,
};
use jiff::Timestamp;
use thiserror::Error;

pub use self::{
    reduce::reduce,
    response::{Budget, budget, is_rate_limited, rate_limit_wait},
};

/// Follows the deployment of one commit at one provider. Remembers between questions what it has found (the app, the deployment).
pub trait Provider: Send {
    /// Begins a question; one that was not finished is forgotten.
    fn start(&mut self, question: Question) -> Turn;
    /// Goes on with the response to the request that was asked for last. Called for every status code.
    fn next(&mut self, response: &HttpResponse) -> Turn;
    /// Goes on with how the program ended that was asked for last.
    fn ended(&mut self, _: &ProgramEnd) -> Turn {
        conversation::nothing_asked()
    }
    /// What carries its requests.
    fn carrier(&self) -> Carrier {
        Carrier::Api
    }
}

/// What carries a provider's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// The web, to the API at the vendor's address or at the one of the user's configuration.
    Api,
    /// The web, to the API at this address.
    Web(String),
    /// The connection that the user's kubeconfig describes. The scheme, host and port of a request's address mean nothing then.
    Cluster {
        /// The context of the kubeconfig; the current one without it.
        context: Option<String>,
    },
    /// Nothing: it sends none, and only runs a program.
    Program {
        /// The variables of the push, or of the user's credentials file, that the program is given.
        variables: Vec<String>,
    },
}

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Where is the deployment of the commit?
    Observe,
    /// The log of the failing step of the deployment that was observed last.
    FailureLog,
    /// Do the credentials work? By the cheapest call there is.
    Credentials,
}

/// The provider's move.
#[derive(Debug, PartialEq)]
pub enum Turn {
    /// Send this, and give me the response.
    Ask(HttpRequest),
    /// Run this, and tell me how it [`ended`](Provider::ended).
    Run(ProgramRequest),
    /// The reply to the question.
    Reply(Reply),
    /// No reply this time.
    Fault(Fault),
}

/// The reply to a question.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one reply at a time, and nearly all are observations")]
pub enum Reply {
    /// To [`Question::Observe`].
    Observation(ProviderObservation),
    /// To [`Question::FailureLog`]: raw text of a stranger; whoever stores or shows it cleans it.
    Log(String),
    /// To [`Question::Credentials`]: what they are good for, such as "sees 3 apps".
    Credentials(String),
}

/// A request to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpRequest {
    /// GET or POST.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Headers without credentials.
    pub headers: Vec<(&'static str, String)>,
    /// Sent only to the provider's own API host; the transport refuses anything else.
    pub credential: Option<Credential>,
    /// A JSON body.
    pub body: Option<Vec<u8>>,
    /// When the body is longer than this: keep the end of it (logs), or treat it as malformed (answers).
    pub limit: BodyLimit,
    /// The fields of a JSON answer that are read.
    pub fields: Fields,
}

/// The fields of a JSON answer that are read, whatever their depth: the transport drops all others before it keeps the answer
/// or shares it with the other monitors of the same application.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fields {
    /// Not told: the answer is handed on whole, and not shared.
    #[default]
    Untold,
    /// Those that the provider's code reads.
    Read(&'static [&'static str]),
    /// Those that the user's configuration points at.
    Configured(Arc<[String]>),
}

impl Fields {
    /// Tells whether an answer is reduced to them, and shared.
    #[must_use]
    pub fn are_told(&self) -> bool {
        *self != Self::Untold
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (read, configured) = match self {
            Self::Untold => (&[][..], &[][..]),
            Self::Read(names) => (*names, &[][..]),
            Self::Configured(names) => (&[][..], &**names),
        };
        read.iter().copied().chain(configured.iter().map(String::as_str))
    }
}

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Get,
    Post,
}

/// What becomes of a long body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLimit {
    /// Longer than this many bytes is a fault.
    AtMost(usize),
    /// Only the last so many bytes are kept.
    KeepLast(usize),
}

/// How a credential is presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer ...`
    Bearer(Secret),
    /// A header of the vendor's own, by its lower-case name.
    Header(&'static str, Secret),
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into custody, without the white space around it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Hands the text out, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A response, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Headers with lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body, within the request's limit.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The value of the first header with this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(it, _)| it == name)?;
        Some(value)
    }
}

/// A program to be run: without a shell, with nothing on its standard input, and ended as a whole at its time limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramRequest {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What is added to its environment.
    pub environment: Vec<(&'static str, String)>,
    /// How long it may take.
    pub time_limit: Duration,
    /// More bytes than these on its standard output are a fault.
    pub most_output: usize,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramEnd {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output, whole.
    pub output: Vec<u8>,
    /// The last line that it wrote to its standard error.
    pub complaint: String,
}

/// Everything a provider needs to know to follow one commit.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The provider's own table of the configuration, without `kind`.
    pub settings: toml::Table,
    /// The API's address from the user's configuration, instead of the vendor's.
    pub api_url: Option<String>,
    /// The pushed commit.
    pub commit: CommitId,
    /// The ref on the remote.
    pub ref_name: RefName,
    /// The remote's URL without credentials.
    pub remote_url: String,
    /// When the push was seen, where the hook saw it: what had ended long before is an earlier push's.
    pub pushed_at: Option<Timestamp>,
    /// The token. There is always one, except for the kinds that can do without.
    pub token: Option<Secret>,
}

impl Setup {
    /// The token as most vendors want it.
    pub(crate) fn bearer(&self) -> Option<Credential> {
        self.token.clone().map(Credential::Bearer)
    }
}

/// Tells why a provider cannot be set up from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SetupError {
    /// No provider has this name.
    #[error("provider kind {0:?} is not known")]
    UnknownKind(String),
    /// A key of its table is wrong.
    #[error("provider key {key:?} {problem}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it, and what was expected.
        problem: String,
    },
}
