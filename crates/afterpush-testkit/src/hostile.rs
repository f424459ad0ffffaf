//! A server that means harm: it answers each request with what misleads or exhausts a client, and keeps what it was sent.
//!
//! Plain sockets, because no library for servers would send most of this.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};

use crate::listener::Listener;

/// As long as the longest body claims to be.
const TEN_GIB: u64 = 10 << 30;
/// What a request may be long; those of afterpush are a few hundred bytes.
const LONGEST_REQUEST: usize = 64 * 1024;
/// Stands in a body for the credential of the request.
pub const CREDENTIAL: &str = "{credential}";

/// A way to do harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Harm {
    /// Each kind of redirect by turns, to this address.
    Redirect(String),
    /// A body of 10 GiB of white space, as fast as it is taken.
    Endless,
    /// A body that comes a byte at a time, with this pause before each.
    Trickle(Duration),
    /// Headers of 1 MiB.
    Headers,
    /// A compressed body of 10 MiB that unpacks to 10 GiB.
    Bomb,
    /// This status with this body, in which [`CREDENTIAL`] stands for what the request presented.
    Answer(u16, String),
}

/// The server. It ends when it is dropped.
pub struct Server {
    shared: Arc<Mutex<Shared>>,
    listener: Listener,
}

struct Shared {
    harm: Harm,
    heard: Vec<u8>,
    asked: usize,
    sent: u64,
    ended: bool,
}

impl Server {
    /// Starts one that does this harm to whoever asks.
    #[must_use]
    pub fn start(harm: Harm) -> Self {
        let shared = Shared { harm, heard: Vec::new(), asked: 0, sent: 0, ended: false };
        let shared = Arc::new(Mutex::new(shared));
        let served = Arc::clone(&shared);
        let listener = Listener::start(move |stream| {
            let served = Arc::clone(&served);
            // Ends when the client hangs up, which is the one good answer to harm.
            thread::spawn(move || serve(stream, &served));
        });
        Self { shared, listener }
    }

    /// One that answers with an empty JSON object, for watching that nobody comes.
    #[must_use]
    pub fn bystander() -> Self {
        Self::start(Harm::Answer(200, "{}".to_owned()))
    }

    /// From now on it does this harm.
    pub fn change(&self, harm: Harm) {
        lock(&self.shared).harm = harm;
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        self.listener.url()
    }

    /// Everything that it was ever sent.
    #[must_use]
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared).heard).into_owned()
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        lock(&self.shared).asked
    }

    /// How many bytes of its answers it got rid of; what lies in the buffers of sockets counts.
    #[must_use]
    pub fn sent(&self) -> u64 {
        lock(&self.shared).sent
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Those who are being harmed are let go.
        lock(&self.shared).ended = true;
    }
}

/// Takes requests until somebody gives up.
fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) {
    while let Some(request) = read_request(&mut stream) {
        let (harm, turn) = {
            let mut shared = lock(shared);
            shared.heard.extend_from_slice(request.as_bytes());
            shared.asked += 1;
            (shared.harm.clone(), shared.asked)
        };
        if (Victim { stream: &mut stream, shared }).suffer(&harm, turn, &request).is_err() {
            break;
        }
    }
}

/// The head of a request, and what came with it; nothing where the client has gone.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while !bytes.windows(4).any(|it| it == b"\r\n\r\n") && bytes.len() < LONGEST_REQUEST {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the request presents: the last word of its first header that can hold a credential.
fn credential(request: &str) -> &str {
    let headers = request.lines().skip(1).filter_map(|line| line.split_once(':'));
    let found =
        headers.filter(|(name, _)| ["authorization", "project-access-token"].contains(&name.to_lowercase().as_str()));
    found.filter_map(|(_, value)| value.split_whitespace().last()).next().unwrap_or_default()
}

/// The other end of a connection.
struct Victim<'a> {
    stream: &'a mut TcpStream,
    shared: &'a Mutex<Shared>,
}

impl Victim<'_> {
    fn suffer(&mut self, harm: &Harm, turn: usize, request: &str) -> io::Result<()> {
        match harm {
            Harm::Redirect(to) => {
                let status = [301, 302, 303, 307, 308][turn % 5];
                self.send(format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").as_bytes())
            }
            Harm::Endless => {
                self.head(&format!("content-length: {TEN_GIB}\r\n"))?;
                self.repeat(&[b' '; 64 * 1024], TEN_GIB)
            }
            Harm::Trickle(pause) => {
                self.head(&format!("content-length: {TEN_GIB}\r\n"))?;
                loop {
                    thread::sleep(*pause);
                    self.send(b" ")?;
                }
            }
            Harm::Headers => {
                self.send(b"HTTP/1.1 200 OK\r\n")?;
                let value = "h".repeat(16 * 1024);
                for number in 0..64 {
                    self.send(format!("x-{number}: {value}\r\n").as_bytes())?;
                }
                self.send(b"content-length: 2\r\n\r\n{}")
            }
            Harm::Bomb => {
                let (member, count) = (gzip_of_zeros(10 << 20), 1024);
                self.head(&format!("content-encoding: gzip\r\ncontent-length: {}\r\n", member.len() * count))?;
                self.repeat(&member, (member.len() * count) as u64)
            }
            Harm::Answer(status, body) => {
                let body = body.replace(CREDENTIAL, credential(request));
                let length = body.len();
                self.send(format!("HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes())
            }
        }
    }

    fn head(&mut self, headers: &str) -> io::Result<()> {
        self.send(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n").as_bytes())
    }

    fn repeat(&mut self, piece: &[u8], total: u64) -> io::Result<()> {
        (0..total / piece.len() as u64).try_for_each(|_| self.send(piece))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if lock(self.shared).ended {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.stream.write_all(bytes)?;
        lock(self.shared).sent += bytes.len() as u64;
        Ok(())
    }
}

/// One member of a gzip file; any number of them behind one another is a file, too.
fn gzip_of_zeros(length: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = [0; 64 * 1024];
    for _ in 0..length / zeros.len() {
        encoder.write_all(&zeros).expect("a vector takes everything");
    }
    encoder.finish().expect("a vector takes everything")
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
