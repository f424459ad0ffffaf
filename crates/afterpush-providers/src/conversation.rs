//! Lets a provider be written as straight-line code: it asks, awaits the response, and goes on. Nothing runs in the
//! background and nothing is waited for here; each response is put in from outside and moves the code on to its next request.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::ProviderObservation,
};

use crate::{Carrier, HttpRequest, HttpResponse, Provider, Question, Reply, Turn};

/// A provider as three conversations. What it has found out is kept from one to the next; of a conversation that is given up,
/// nothing is kept.
pub(crate) trait Converse: Clone + Send + Sync + 'static {
    /// Answers [`Question::Observe`].
    fn observe(&mut self, line: &Line) -> impl Future<Output = Result<ProviderObservation, Fault>> + Send;
    /// Answers [`Question::FailureLog`].
    fn failure_log(&mut self, line: &Line) -> impl Future<Output = Result<String, Fault>> + Send;
    /// Answers [`Question::Credentials`].
    fn credentials(&mut self, line: &Line) -> impl Future<Output = Result<String, Fault>> + Send;
    /// What carries the requests.
    fn carrier(&self) -> Carrier {
        Carrier::Api
    }
}

/// The line to the other side: one request at a time.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<Mutex<Exchange>>);

#[derive(Default)]
struct Exchange {
    request: Option<HttpRequest>,
    response: Option<HttpResponse>,
}

impl Line {
    /// Sends a request and awaits the response, whatever its status code.
    pub(crate) async fn ask(&self, request: HttpRequest) -> HttpResponse {
        self.with(|exchange| exchange.request = Some(request));
        poll_fn(|_| match self.with(|exchange| exchange.response.take()) {
            Some(response) => Poll::Ready(response),
            None => Poll::Pending,
        })
        .await
    }

    fn with<T>(&self, change: impl FnOnce(&mut Exchange) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Running<C> = Pin<Box<dyn Future<Output = (C, Result<Reply, Fault>)> + Send>>;

/// Makes a [`Provider`] of conversations.
pub(crate) struct Conversation<C> {
    provider: C,
    running: Option<Running<C>>,
    line: Line,
}

impl<C: Converse> Conversation<C> {
    /// Nothing was asked yet.
    pub(crate) fn new(provider: C) -> Self {
        Self { provider, running: None, line: Line::default() }
    }

    fn go_on(&mut self) -> Turn {
        let Some(running) = &mut self.running else {
            return nothing_asked();
        };
        match running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready((provider, result)) => {
                self.provider = provider;
                self.running = None;
                result.map_or_else(Turn::Fault, Turn::Reply)
            }
            Poll::Pending => match self.line.with(|exchange| exchange.request.take()) {
                Some(request) => Turn::Ask(request),
                None => nothing_asked(),
            },
        }
    }
}

impl<C: Converse> Provider for Conversation<C> {
    fn start(&mut self, question: Question) -> Turn {
        let mut provider = self.provider.clone();
        self.line = Line::default();
        let line = self.line.clone();
        self.running = Some(Box::pin(async move {
            let result = match question {
                Question::Observe => provider.observe(&line).await.map(Reply::Observation),
                Question::FailureLog => provider.failure_log(&line).await.map(Reply::Log),
                Question::Credentials => provider.credentials(&line).await.map(Reply::Credentials),
            };
            (provider, result)
        }));
        self.go_on()
    }

    fn next(&mut self, response: &HttpResponse) -> Turn {
        self.line.with(|exchange| exchange.response = Some(response.clone()));
        self.go_on()
    }

    fn carrier(&self) -> Carrier {
        self.provider.carrier()
    }
}

/// The answer to a response that nobody waits for.
pub(crate) fn nothing_asked() -> Turn {
    Turn::Fault(Fault::new(FaultKind::Malformed, "a response came although nothing was asked"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::api::Api;

    /// Asks for two pages, and counts the observations that were finished.
    #[derive(Clone)]
    struct TwoPages {
        api: Api,
        finished: u32,
    }

    impl Converse for TwoPages {
        async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
            self.finished += 1;
            for page in ["1", "2"] {
                line.ask(self.api.get(&["list"], &[("page", page)])).await;
            }
            Ok(ProviderObservation::default())
        }
        async fn failure_log(&mut self, line: &Line) -> Result<String, Fault> {
            let response = line.ask(self.api.get(&["log"], &[])).await;
            Ok(String::from_utf8_lossy(&response.body).into_owned())
        }
        async fn credentials(&mut self, _: &Line) -> Result<String, Fault> {
            Ok(format!("{} finished", self.finished))
        }
    }

    fn conversation() -> Conversation<TwoPages> {
        let api = Api::new("https://api.test", None).unwrap();
        Conversation::new(TwoPages { api, finished: 0 })
    }

    fn response(body: &str) -> HttpResponse {
        HttpResponse { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    fn url(turn: &Turn) -> &str {
        let Turn::Ask(request) = turn else { panic!("{turn:?}") };
        &request.url
    }

    #[test]
    fn each_response_leads_to_the_next_request_and_then_to_the_reply() {
        let mut conversation = conversation();
        assert_eq!(url(&conversation.start(Question::Observe)), "https://api.test/list?page=1");
        assert_eq!(url(&conversation.next(&response(""))), "https://api.test/list?page=2");
        assert!(matches!(conversation.next(&response("")), Turn::Reply(Reply::Observation(_))));
        assert!(matches!(conversation.next(&response("")), Turn::Fault(_)));
        conversation.start(Question::FailureLog);
        assert_eq!(conversation.next(&response("text")), Turn::Reply(Reply::Log("text".to_owned())));
    }

    #[test]
    fn what_was_given_up_is_forgotten() {
        let mut conversation = conversation();
        conversation.start(Question::Observe);
        let told = |turn| matches!(turn, Turn::Reply(Reply::Credentials(text)) if text == "0 finished");
        assert!(told(conversation.start(Question::Credentials)));
        assert_eq!(url(&conversation.start(Question::Observe)), "https://api.test/list?page=1");
    }
}
