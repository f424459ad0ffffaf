//! Plays the other side in the providers' tests: a script names every call that is expected, with its response, so that a call
//! more or less is a failure, too.

#![allow(clippy::unwrap_used)]

use std::borrow::Borrow;

use afterpush_core::{
    fault::Fault,
    id::{CommitId, RefName},
    observation::ProviderObservation,
};
use serde_json::Value;

use crate::{
    Credential, Fields, HttpRequest, HttpResponse, Method, Provider, Question, Reply, Secret, Setup, Turn, contract,
    reduce,
};

/// The commit that was pushed.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Another one: the one before it, where that matters.
pub(crate) const OLD_COMMIT: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// The vendor's side.
pub(crate) struct Vendor {
    /// The address of the API, without a slash at its end.
    pub(crate) api: &'static str,
    /// What every call to it must present.
    pub(crate) credential: fn() -> Option<Credential>,
}

impl Vendor {
    /// Plays a question through. A call is written `/path?query` for the API, `https://...` for another host, which must get no
    /// credential unless the vendor's `own` stands before it, and `POST /path` when it is no question by GET. What begins with
    /// `perhaps` may also not be asked for.
    pub(crate) fn play(
        &self,
        provider: &mut dyn Provider,
        question: Question,
        script: &[(&str, HttpResponse)],
    ) -> Turn {
        let mut turn = provider.start(question);
        for (expected, response) in script {
            let (expected, perhaps) = expected.strip_prefix("perhaps ").map_or((*expected, false), |it| (it, true));
            if perhaps && !matches!(turn, Turn::Ask(_)) {
                break;
            }
            let Turn::Ask(request) = &turn else {
                panic!("expected {expected}, got {turn:?}");
            };
            self.check(request, expected);
            contract::check(request, is_sound(response).then_some(response));
            // As the transport does: a provider that reads a field which it does not name would miss it.
            let body = match &request.fields {
                Fields::Untold => response.body.clone(),
                fields => reduce(&response.body, fields).unwrap_or_else(|| response.body.clone()),
            };
            let headers = response.headers.iter().filter(|(name, _)| name != SOUND).cloned().collect();
            turn = provider.next(&HttpResponse { body, headers, ..*response });
        }
        assert!(!matches!(turn, Turn::Ask(_)), "one call too many: {turn:?}");
        turn
    }

    fn check(&self, request: &HttpRequest, expected: &str) {
        let (expected, is_own) = expected.strip_prefix("own ").map_or((expected, false), |it| (it, true));
        let (wanted, address) = match expected.strip_prefix("POST ") {
            Some(address) => (Method::Post, address),
            None => (Method::Get, expected),
        };
        assert_eq!(request.method, wanted, "{expected}");
        if address.starts_with("https://") {
            assert_eq!(request.url, address);
            let credential = if is_own { (self.credential)() } else { None };
            assert_eq!(request.credential, credential, "{expected}");
        } else {
            assert_eq!(request.url, format!("{}{address}", self.api));
            assert_eq!(request.credential, (self.credential)(), "{expected}");
        }
    }

    /// Asks where the deployment is, and gives the observation.
    pub(crate) fn observe(&self, provider: &mut dyn Provider, script: &[(&str, HttpResponse)]) -> ProviderObservation {
        match self.play(provider, Question::Observe, script) {
            Turn::Reply(Reply::Observation(observation)) => observation,
            turn => panic!("no observation: {turn:?}"),
        }
    }

    /// Asks where the deployment is, and gives the fault.
    pub(crate) fn fault(&self, provider: &mut dyn Provider, script: &[(&str, HttpResponse)]) -> Fault {
        match self.play(provider, Question::Observe, script) {
            Turn::Fault(fault) => fault,
            turn => panic!("no fault: {turn:?}"),
        }
    }
}

/// Marks a response that has the shape of the vendor's description, and is held against it.
const SOUND: &str = "test-is-sound";

fn is_sound(response: &HttpResponse) -> bool {
    response.header(SOUND).is_some()
}

/// A response of the vendor's, in the shape of its description.
pub(crate) fn ok(body: impl Borrow<Value>) -> HttpResponse {
    let headers = vec![(SOUND.to_owned(), String::new())];
    HttpResponse { headers, ..answer(200, body.borrow().to_string()) }
}

/// A response that goes beyond the vendor's description: a null where there should be none, a word that came later.
pub(crate) fn beyond(body: impl Borrow<Value>) -> HttpResponse {
    answer(200, body.borrow().to_string())
}

/// A response with any body.
pub(crate) fn answer(status: u16, body: impl Into<Vec<u8>>) -> HttpResponse {
    HttpResponse { status, headers: Vec::new(), body: body.into() }
}

/// A push of [`COMMIT`] to the branch `main` of a remote, by somebody who has this token.
pub(crate) fn setup(settings: &str, remote_url: &str, token: Option<&'static str>) -> Setup {
    Setup {
        settings: settings.parse().unwrap(),
        api_url: None,
        commit: CommitId::parse(COMMIT).unwrap(),
        ref_name: RefName::parse("refs/heads/main").unwrap(),
        remote_url: remote_url.to_owned(),
        pushed_at: None,
        token: token.map(Secret::new),
    }
}

/// The same body with another value of one field.
pub(crate) fn with(mut value: Value, key: &str, field: Value) -> Value {
    value[key] = field;
    value
}
