//! A host whose deployments go on side by side, as previews do: one list of all of them, over real HTTP. Not any vendor's: asked
//! through the kind `http`.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// The host.
pub struct Previews {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Newest first.
    deployments: Vec<Deployment>,
    asked: usize,
    ended: bool,
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
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&served).ended {
                    break;
                }
                let _ = answer(stream, &served);
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Where its list is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/deployments", self.address)
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

impl Drop for Previews {
    fn drop(&mut self) {
        lock(&self.shared).ended = true;
        // Wakes the listener, which then sees the end.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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
