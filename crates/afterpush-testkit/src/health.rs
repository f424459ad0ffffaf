//! An application with a health address, over real HTTP: answers which commit it is, as the test tells it to.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::listener::Listener;

/// The application.
pub struct App {
    shared: Arc<Mutex<Shared>>,
    listener: Listener,
}

#[derive(Default)]
struct Shared {
    /// Answered by turns.
    commits: Vec<String>,
    parts: String,
    status: u16,
    headers: Vec<String>,
    asked: usize,
}

impl App {
    /// Starts it; it is healthy and names no commit.
    #[must_use]
    pub fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared { status: 200, ..Shared::default() }));
        let served = Arc::clone(&shared);
        let listener = Listener::start(move |stream| drop(answer(stream, &served)));
        Self { shared, listener }
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// From now on it is healthy and this commit.
    pub fn serve(&self, commit: &str) {
        self.serve_by_turns(&[commit]);
    }

    /// From now on it is healthy and these commits by turns, as behind a load balancer while a new version rolls out.
    pub fn serve_by_turns(&self, commits: &[&str]) {
        let mut shared = lock(&self.shared);
        shared.commits = commits.iter().map(|commit| (*commit).to_owned()).collect();
        shared.status = 200;
    }

    /// From now on its answer reports these parts, a JSON value, under `checks`.
    pub fn report(&self, parts: &str) {
        parts.clone_into(&mut lock(&self.shared).parts);
    }

    /// From now on it answers with this status code.
    pub fn answer(&self, status: u16) {
        lock(&self.shared).status = status;
    }

    /// The names of all headers that it was ever sent, in lower case.
    #[must_use]
    pub fn headers_seen(&self) -> Vec<String> {
        lock(&self.shared).headers.clone()
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        lock(&self.shared).asked
    }
}

fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut names = Vec::new();
    for line in BufReader::new(stream.try_clone()?).lines().skip(1) {
        let line = line?;
        let Some((name, _)) = line.split_once(':') else { break };
        names.push(name.to_ascii_lowercase());
    }
    let (status, body) = {
        let mut shared = lock(shared);
        shared.headers.extend(names);
        shared.asked += 1;
        let turn = shared.asked % shared.commits.len().max(1);
        let commit = shared.commits.get(turn).map_or("", String::as_str);
        let parts = if shared.parts.is_empty() { String::new() } else { format!(",\"checks\":{}", shared.parts) };
        (shared.status, format!("{{\"status\":\"ok\",\"commit\":\"{commit}\"{parts}}}"))
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
