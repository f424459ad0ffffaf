//! A provider that is slow costs a poll, not the monitor: each limit of the transport ends what it is for.
#![allow(clippy::unwrap_used)]

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use afterpush_core::fault::{Fault, FaultKind};
use afterpush_monitor::transport::{Limits, Transport};
use afterpush_providers::{BodyLimit, Fields, HttpRequest, HttpResponse, Method, Provider, Question, Reply, Turn};

/// None of these ends anything.
const FAR: Duration = Duration::from_secs(60);
/// The one that is to end it.
const NEAR: Duration = Duration::from_millis(200);
const WHOLE: Limits = Limits { connect: FAR, read: FAR, total: FAR, question: FAR };

/// Asks for the same page again and again, `pages` times; its reply is the last body.
struct Pages {
    url: String,
    left: usize,
}

impl Pages {
    fn ask(&self) -> Turn {
        Turn::Ask(HttpRequest {
            method: Method::Get,
            url: self.url.clone(),
            headers: Vec::new(),
            credential: None,
            body: None,
            limit: BodyLimit::AtMost(1000),
            fields: Fields::Untold,
        })
    }
}

impl Provider for Pages {
    fn start(&mut self, _: Question) -> Turn {
        self.ask()
    }

    fn next(&mut self, response: &HttpResponse) -> Turn {
        self.left -= 1;
        if self.left > 0 {
            self.ask()
        } else {
            Turn::Reply(Reply::Log(String::from_utf8(response.body.clone()).unwrap()))
        }
    }
}

/// A server that takes `pause` before each byte of its body of ten, and before the first one `before`.
fn server(before: Duration, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Ends with the test's process; a client that has gone ends only its own connection.
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|count| count > 0) {
                    thread::sleep(before);
                    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
                    let mut sent = stream.write_all(head);
                    for byte in b"0123456789" {
                        thread::sleep(pause);
                        sent = sent.and_then(|()| stream.write_all(&[*byte]));
                    }
                    if sent.is_err() {
                        break;
                    }
                }
            });
        }
    });
    url
}

/// The answer, and how long it took.
async fn converse(url: &str, limits: Limits, pages: usize) -> (Result<Reply, Fault>, Duration) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let transport = Transport::with_limits(url, limits).unwrap();
    let began = Instant::now();
    let mut provider = Pages { url: url.to_owned(), left: pages };
    (
        transport.converse(&mut provider, Question::Observe, Duration::ZERO).await.map(|(reply, _)| reply),
        began.elapsed(),
    )
}

/// Shows that the wait ended when it should, with a fault that is tried again.
fn ended_by_limit(what: &str, answer: &(Result<Reply, Fault>, Duration)) {
    let (answer, took) = answer;
    let fault = answer.as_ref().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient, "{what}: {fault}");
    assert!((NEAR..FAR / 2).contains(took), "{what}: {took:?}");
}

#[tokio::test]
async fn a_slow_answer_within_the_limits_is_an_answer() {
    let url = server(Duration::ZERO, Duration::from_millis(30));
    // Longer than the pauses, shorter than all of them together: bytes that come keep the wait alive.
    let limits = Limits { read: NEAR, ..WHOLE };
    let (answer, took) = converse(&url, limits, 1).await;
    assert_eq!(answer.unwrap(), Reply::Log("0123456789".to_owned()));
    assert!(took > NEAR, "{took:?}: the pauses together are longer than the limit of one");
}

#[tokio::test]
async fn silence_ends_by_the_limit_of_reading() {
    let limits = Limits { read: NEAR, ..WHOLE };
    let answer = converse(&server(FAR, Duration::ZERO), limits, 1).await;
    ended_by_limit("before the answer", &answer);
    assert!(answer.0.unwrap_err().message.contains("no answer within the time limit"));
    ended_by_limit("within the answer", &converse(&server(Duration::ZERO, FAR), limits, 1).await);
}

#[tokio::test]
async fn one_byte_at_a_time_ends_by_the_limit_of_the_request() {
    let url = server(Duration::ZERO, NEAR / 4);
    ended_by_limit("bytes", &converse(&url, Limits { total: NEAR, ..WHOLE }, 1).await);
}

#[tokio::test]
async fn page_after_page_ends_by_the_limit_of_the_question() {
    let url = server(NEAR / 4, Duration::ZERO);
    let answer = converse(&url, Limits { question: NEAR, ..WHOLE }, 30).await;
    ended_by_limit("pages", &answer);
    let text = answer.0.unwrap_err().message;
    assert!(text.contains("no whole answer from 127.0.0.1 within 0.2 s"), "{text}");
}
