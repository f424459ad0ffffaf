//! A host whose deployments go on side by side, as previews do: one list of all of them, over real HTTP. Not any vendor's: asked
//! through the kind `http`.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::listener::Listener;

/// The host.
pub struct Previews {
    shared: Arc<Mutex<Shared>>,
    listener: Listener,
}

#[derive(Default)]
struct Shared {
    /// Newest first.
    deployments: Vec<Deployment>,
    asked: usize,
}

struct Deployment {
    commit: String,
    made: Instant,
    /// Its states, each so long after it was made.
    timeline: Vec<(Duration, &'static str)>,
}

impl Previews {
    /// Starts it without any deployment.
    #[must_use]
    pub fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let served = Arc::clone(&shared);
        let listener = Listener::start(move |stream| drop(answer(stream, &served)));
        Self { shared, listener }
    }

    /// Where its list is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/deployments", self.listener.url())
    }

    /// Makes a deployment of a commit, which is `queued`, and goes through these states, each so long after now.
    pub fn deploy(&self, commit: &str, timeline: &[(Duration, &'static str)]) {
        let it = Deployment { commit: commit.to_owned(), made: Instant::now(), timeline: timeline.to_vec() };
        lock(&self.shared).deployments.insert(0, it);
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        lock(&self.shared).asked
    }
}

fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    for line in BufReader::new(stream.try_clone()?).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let body = {
        let mut shared = lock(shared);
        shared.asked += 1;
        json!({"deployments": shared.deployments.iter().map(Deployment::told).collect::<Vec<_>>()}).to_string()
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

impl Deployment {
    fn told(&self) -> Value {
        let age = self.made.elapsed();
        let state = self.timeline.iter().rev().find(|(after, _)| *after <= age).map_or("queued", |(_, state)| *state);
        json!({"commit": self.commit, "state": state})
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
