//! What the user's monitors share: answers of the same application, and the vendor's budget of calls.
//!
//! Sharing is a courtesy: where the shared directory cannot be used, a monitor asks for itself. An answer is shared only in the
//! reduced form that the provider's own list of fields allows, and only with who has the same credential.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use afterpush_core::{
    fault::{Fault, FaultKind},
    machine::Pace,
};
use afterpush_providers::{
    Credential, HttpRequest, HttpResponse, Method, budget, is_rate_limited, rate_limit_wait, reduce,
};
use afterpush_store::{
    AnswerKey, AnswerLock, Answers, Environment, KeptAnswer, StateRoot, StoreError, Turn, random_name,
};
use tokio::time::sleep;
use url::Url;

use crate::transport::Transport;

/// How long a call waits for its turn within one question.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a monitor looks whether the one that asks has its answer.
const LOOK: Duration = Duration::from_millis(25);
/// How long nobody calls after a refusal that does not say for how long.
const UNTOLD_WAIT: Duration = Duration::from_secs(5);
/// The headers of answers that are read: by providers, for the wait that is asked for, and the tag that tells whether an answer
/// has changed.
const READ_HEADERS: [&str; 4] = ["etag", "next-range", "retry-after", "date"];
/// The share of its own interval below which even the monitor that asked last does not ask again: just below the least that
/// the jitter makes of an interval.
const OWN: f64 = 0.75;

/// What a monitor shares with the others of its user.
#[derive(Debug, Clone)]
pub struct Sharing {
    answers: Answers,
    me: String,
}

impl Sharing {
    /// The user's shared answers, where there is a place for them.
    #[must_use]
    pub fn of_user(environment: &Environment) -> Option<Self> {
        let root = StateRoot::candidates(environment, None).into_iter().next()?;
        Some(Self { answers: root.answers().ok()??, me: random_name().ok()? })
    }

    /// Gives the response to a request: another monitor's, when it is younger than `fresh_for`, else one of our own. `pace` learns
    /// how old it is.
    pub(crate) async fn ask(
        &self,
        transport: &Transport,
        request: HttpRequest,
        fresh_for: Duration,
        pace: &mut Pace,
    ) -> Result<HttpResponse, Fault> {
        if !request.fields.are_told() {
            return self.call(transport, request, pace).await;
        }
        let key = self.key_of(&request);
        let began = Instant::now();
        if let Some(kept) = self.answers.read(&key)
            && let ControlFlow::Break(outcome) = self.serve(kept, fresh_for, Duration::ZERO, pace)
        {
            return outcome;
        }
        loop {
            match self.answers.lock(&key) {
                Ok(Some(lock)) => {
                    // What came while somebody else had the lock is read once, when it is ours.
                    let before = match self.answers.read(&key) {
                        None => None,
                        Some(kept) => match self.serve(kept, fresh_for, began.elapsed(), pace) {
                            ControlFlow::Break(outcome) => return outcome,
                            ControlFlow::Continue(too_old) => Some(too_old),
                        },
                    };
                    return self.ask_for_all(transport, request, &lock, before, pace).await;
                }
                Ok(None) => sleep(LOOK).await,
                Err(_) => return self.call(transport, request, pace).await,
            }
        }
    }

    /// Ends with what is kept, where it serves; else gives it back. That the vendor is down, or silent, serves as long as an
    /// answer would; a refusal only those who were waiting for it, because it may be about what has changed since.
    fn serve(
        &self,
        (kept, age): (KeptAnswer, Duration),
        fresh_for: Duration,
        waited: Duration,
        pace: &mut Pace,
    ) -> ControlFlow<Result<HttpResponse, Fault>, KeptAnswer> {
        let is_ours = kept.by == self.me;
        let serves_for = match kept.status {
            Some(200..300) if is_ours => fresh_for.mul_f64(OWN),
            Some(200..300) => fresh_for,
            _ if is_ours => Duration::ZERO,
            None | Some(500..600) => fresh_for.max(waited),
            Some(_) => waited,
        };
        if age >= serves_for {
            return ControlFlow::Continue(kept);
        }
        pace.age = pace.age.max(age);
        ControlFlow::Break(match kept.status {
            Some(_) => Ok(response_of(kept)),
            None => Err(Fault::new(FaultKind::Transient, kept.body)),
        })
    }

    /// Asks, and keeps what comes of it for the others. `before` is what was kept, and is too old.
    async fn ask_for_all(
        &self,
        transport: &Transport,
        mut request: HttpRequest,
        lock: &AnswerLock,
        before: Option<KeptAnswer>,
        pace: &mut Pace,
    ) -> Result<HttpResponse, Fault> {
        let before = before.filter(|kept| kept.status.is_some_and(|status| (200..300).contains(&status)));
        let etag = before.as_ref().and_then(|kept| kept.headers.iter().find(|(name, _)| name == "etag"));
        let fields = request.fields.clone();
        if let Some((_, etag)) = etag {
            request.headers.push(("if-none-match", etag.clone()));
        }
        let mut kept = KeptAnswer { status: None, headers: Vec::new(), body: String::new(), by: self.me.clone() };
        let outcome = match self.call(transport, request, pace).await {
            Ok(HttpResponse { status: 304, .. }) if let Some(before) = before => {
                kept = KeptAnswer { by: self.me.clone(), ..before };
                Ok(response_of(kept.clone()))
            }
            Ok(response) => {
                let is_answer = (200..300).contains(&response.status);
                let reduced = reduce(&response.body, &fields);
                if is_answer && reduced.is_none() {
                    // It is no JSON: not for others, who need not ask for it either.
                    kept.body = format!("{} answers another monitor with what is not JSON", transport.host());
                    let _ = self.answers.keep(lock, kept);
                    return Ok(response);
                }
                kept.status = Some(response.status);
                kept.headers.extend(
                    READ_HEADERS
                        .iter()
                        .filter_map(|name| Some(((*name).to_owned(), response.header(name)?.to_owned()))),
                );
                if let Some(wait) = rate_limit_wait(&response).filter(|_| response.header("retry-after").is_none()) {
                    kept.headers.push(("retry-after".to_owned(), wait.as_secs().to_string()));
                }
                kept.body = String::from_utf8_lossy(&reduced.clone().unwrap_or_default()).into_owned();
                Ok(HttpResponse { body: reduced.unwrap_or_default(), ..response })
            }
            Err(fault) => {
                kept.body.clone_from(&fault.message);
                Err(fault)
            }
        };
        // When it cannot be kept, the others ask for themselves.
        let _ = self.answers.keep(lock, kept);
        outcome
    }

    /// Makes one call when its turn has come, and heeds what the response says about the vendor's budget.
    async fn call(&self, transport: &Transport, request: HttpRequest, pace: &mut Pace) -> Result<HttpResponse, Fault> {
        let budget_key = self.budget_of(&request);
        let began = Instant::now();
        loop {
            match self.answers.take_turn(&budget_key, PATIENCE.saturating_sub(began.elapsed())) {
                Ok(Turn::In(wait)) => {
                    sleep(wait).await;
                    // The vendor may have refused another one's call meanwhile.
                    if wait.is_zero() || !self.answers.is_held_back(&budget_key) {
                        break;
                    }
                }
                Ok(Turn::Busy) => a_moment().await,
                Ok(Turn::TooFar(wait)) => {
                    let text = format!("{}'s budget of calls is spent for now", transport.host());
                    return Err(Fault { retry_after: Some(wait), ..Fault::new(FaultKind::RateLimited, text) });
                }
                Err(_) => break,
            }
        }
        let response = transport.send(request).await?;
        if is_rate_limited(&response) {
            let wait = rate_limit_wait(&response).unwrap_or(UNTOLD_WAIT);
            tell(|| self.answers.hold_back(&budget_key, wait)).await;
        } else if let Some(left) = budget(&response) {
            // Without a limit to compare with, the last hundred calls count as few.
            let limit = left.limit.unwrap_or(400);
            if left.remaining.saturating_mul(4) < limit
                && let Some(over) = left.over
            {
                tell(|| self.answers.spread(&budget_key, left.remaining, over)).await;
            }
            if left.remaining.saturating_mul(10) < limit {
                pace.warning = Some(format!("only {} of {}'s calls are left", left.remaining, transport.host()));
            }
        }
        Ok(response)
    }

    /// Everything that the answer depends on.
    fn key_of(&self, request: &HttpRequest) -> AnswerKey {
        let method = match request.method {
            Method::Get => "get",
            Method::Post => "post",
        };
        let headers = format!("{:?}", request.headers);
        let fields: Vec<&str> = request.fields.names().collect();
        let fields = format!("{fields:?}");
        self.answers.key(&[
            method.as_bytes(),
            request.url.as_bytes(),
            headers.as_bytes(),
            // What is kept has these alone: of one address, the tables of two targets may read different ones.
            fields.as_bytes(),
            request.body.as_deref().unwrap_or_default(),
            secret_of(request),
            env!("CARGO_PKG_VERSION").as_bytes(),
        ])
    }

    /// Whose budget a call is on: the credential's at this host.
    fn budget_of(&self, request: &HttpRequest) -> AnswerKey {
        let origin = Url::parse(&request.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        self.answers.key(&[b"budget", origin.as_bytes(), secret_of(request)])
    }
}

/// Tells the others, when they are done with taking their turns. Where the place cannot be written to, nobody is told.
async fn tell(mut change: impl FnMut() -> Result<bool, StoreError>) {
    while let Ok(false) = change() {
        a_moment().await;
    }
}

async fn a_moment() {
    sleep(Duration::from_millis(fastrand::u64(1..10))).await;
}

fn response_of(kept: KeptAnswer) -> HttpResponse {
    HttpResponse { status: kept.status.unwrap_or(0), headers: kept.headers, body: kept.body.into_bytes() }
}

fn secret_of(request: &HttpRequest) -> &[u8] {
    match &request.credential {
        Some(Credential::Bearer(secret) | Credential::Header(_, secret)) => secret.expose().as_bytes(),
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use afterpush_providers::{BodyLimit, Fields, Secret};

    use super::*;

    fn sharing(state: &tempfile::TempDir) -> Sharing {
        let environment = Environment { state_dir: Some(state.path().to_owned()), ..Environment::default() };
        Sharing::of_user(&environment).unwrap()
    }

    fn request() -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            url: "https://api.test/app".to_owned(),
            headers: vec![("accept", "application/json".to_owned())],
            credential: Some(Credential::Bearer(Secret::new("token"))),
            body: None,
            limit: BodyLimit::AtMost(1000),
            fields: Fields::Read(&["app", "id"]),
        }
    }

    #[test]
    fn whatever_decides_an_answer_makes_another_question() {
        let state = tempfile::tempdir().unwrap();
        let sharing = sharing(&state);
        let others = [
            HttpRequest { method: Method::Post, ..request() },
            HttpRequest { url: "https://api.test/app?page=2".to_owned(), ..request() },
            HttpRequest { headers: vec![("range", "id ..".to_owned())], ..request() },
            HttpRequest { credential: Some(Credential::Bearer(Secret::new("another"))), ..request() },
            HttpRequest { credential: None, ..request() },
            HttpRequest { body: Some(b"{}".to_vec()), ..request() },
            HttpRequest { fields: Fields::Read(&["app"]), ..request() },
        ];
        let own = sharing.key_of(&request());
        assert!(others.iter().all(|other| sharing.key_of(other) != own));
        // Where the names come from makes no difference.
        let fields = Fields::Configured(["app".to_owned(), "id".to_owned()].into());
        assert_eq!(sharing.key_of(&HttpRequest { fields, ..request() }), own);
    }

    #[test]
    fn a_budget_is_the_credentials_at_its_host() {
        let state = tempfile::tempdir().unwrap();
        let sharing = sharing(&state);
        let own = sharing.budget_of(&request());
        let credential = Some(Credential::Bearer(Secret::new("another")));
        assert_ne!(sharing.budget_of(&HttpRequest { credential, ..request() }), own);
        assert_ne!(sharing.budget_of(&HttpRequest { url: "https://logs.test/app".to_owned(), ..request() }), own);
        assert_eq!(sharing.budget_of(&HttpRequest { url: "https://api.test/other".to_owned(), ..request() }), own);
    }
}
