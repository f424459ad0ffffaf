//! What lies between a client and a server: an encrypted line that a test can have fail in each way that networks fail, and a proxy
//! that counts what goes through it.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, split},
    net::TcpStream,
    sync::{oneshot, watch},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::certificates::Certificates;

/// What becomes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weather {
    /// It goes through.
    Clear,
    /// It is accepted, and nothing is ever said: half-open before the first word.
    Silent,
    /// It is encrypted, the question is taken, and nothing is ever answered.
    Unanswered,
    /// So many bytes of the answer come, and then nothing more.
    StallsAfter(usize),
    /// So many bytes of the answer come, and the connection is closed.
    BreaksAfter(usize),
    /// This comes instead of the answer, as from a captive portal.
    Portal(String),
    /// The certificate is another host's.
    Stranger,
}

/// A listener with TLS before a server without it.
pub struct Line {
    address: SocketAddr,
    /// The authority's certificate, as PEM.
    pub authority: String,
    weather: watch::Sender<Weather>,
    connections: Arc<Mutex<usize>>,
    _server: Server,
}

impl Line {
    /// Listens on an address such as `127.0.0.1:0`, with a certificate for `host`, and passes everything on to `to`.
    ///
    /// # Panics
    /// When the machine cannot listen there, or makes no certificate.
    #[must_use]
    pub fn start(on: &str, host: &str, to: SocketAddr) -> Self {
        let own = Certificates::new(host).expect("a certificate");
        let strangers = Certificates::new("portal.example.invalid").expect("a certificate");
        let authority = format!("{}{}", own.authority, strangers.authority);
        let (own, strangers) = (acceptor(&own), acceptor(&strangers));
        let (weather, seen) = watch::channel(Weather::Clear);
        let connections = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&connections);
        let (address, server) = Server::start(on, move |stream| {
            *lock(&counted) += 1;
            let (own, strangers, mut seen) = (own.clone(), strangers.clone(), seen.clone());
            async move {
                let weather = seen.borrow_and_update().clone();
                let acceptor = if weather == Weather::Stranger { strangers } else { own };
                // With the weather changes the network, and no connection outlives that.
                tokio::select! {
                    () = carry(stream, weather, acceptor, to) => {}
                    _ = seen.changed() => {}
                }
            }
        });
        Self { address, authority, weather, connections, _server: server }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on. Connections that are open break off.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> usize {
        *lock(&self.connections)
    }
}

async fn carry(mut stream: TcpStream, weather: Weather, acceptor: TlsAcceptor, to: SocketAddr) {
    if weather == Weather::Silent {
        let _ = stream.read_to_end(&mut Vec::new()).await;
        return;
    }
    // A client that does not like the certificate leaves.
    let Ok(mut client) = acceptor.accept(stream).await else { return };
    match weather {
        Weather::Clear | Weather::Stranger | Weather::Silent => {
            let Ok(mut server) = TcpStream::connect(to).await else { return };
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
        Weather::Unanswered => {
            let _ = client.read_to_end(&mut Vec::new()).await;
        }
        Weather::Portal(answer) => {
            if read_head(&mut client).await.is_some() {
                let _ = client.write_all(answer.as_bytes()).await;
                let _ = client.shutdown().await;
            }
        }
        Weather::StallsAfter(bytes) | Weather::BreaksAfter(bytes) => {
            let Ok(server) = TcpStream::connect(to).await else { return };
            let (from_client, mut to_client) = split(client);
            let (from_server, to_server) = server.into_split();
            let asking = tokio::spawn(pass_on(from_client, to_server));
            let _ = copy(&mut from_server.take(bytes as u64), &mut to_client).await;
            let _ = to_client.flush().await;
            if matches!(weather, Weather::StallsAfter(_)) {
                // Until the client gives up.
                let _ = asking.await;
            } else {
                asking.abort();
            }
        }
    }
}

async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let _ = copy(&mut from, &mut to).await;
}

/// The lines of a request before its body.
async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.ok()?);
        if head.len() > 64 * 1024 {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

fn acceptor(certificates: &Certificates) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(certificates.server.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(certificates.server_key.as_bytes()).expect("a key of our own making");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(chain.expect("certificates of our own making"), key)
        .expect("the certificate's own key");
    TlsAcceptor::from(Arc::new(config))
}

/// A proxy that knows CONNECT alone, as for https.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _server: Server,
}

/// What a proxy was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `host:port`.
    pub place: String,
    /// The whole request.
    pub head: String,
}

impl Proxy {
    /// Starts it. Whatever host it is asked for, it connects to `to`; with `credentials` (`user:password` in Base64) it refuses
    /// everybody who does not have them.
    ///
    /// # Panics
    /// When the machine cannot listen on loopback.
    #[must_use]
    pub fn start(to: SocketAddr, credentials: Option<&str>) -> Self {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (noted, credentials) = (Arc::clone(&asked), credentials.map(|it| format!("basic {it}")));
        let (address, server) = Server::start("127.0.0.1:0", move |mut stream| {
            let (noted, credentials) = (Arc::clone(&noted), credentials.clone());
            async move {
                let Some(head) = read_head(&mut stream).await else { return };
                let place = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
                let place = place.unwrap_or_default().to_owned();
                let is_known = credentials.is_none_or(|it| {
                    let header = head.lines().find(|line| line.to_lowercase().starts_with("proxy-authorization:"));
                    header.is_some_and(|line| {
                        let (_, value) = line.split_once(':').unwrap_or_default();
                        let value = value.trim();
                        value.len() == it.len() && value[..6].eq_ignore_ascii_case(&it[..6]) && value[6..] == it[6..]
                    })
                });
                let is_tunnel = !place.is_empty();
                lock(&noted).push(Asked { place, head });
                if !is_known {
                    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                                   proxy-authenticate: Basic realm=\"test\"\r\ncontent-length: 0\r\n\r\n";
                    let _ = stream.write_all(refusal.as_bytes()).await;
                    return;
                }
                if !is_tunnel {
                    let _ = stream.write_all(b"HTTP/1.1 405 Only CONNECT\r\ncontent-length: 0\r\n\r\n").await;
                    return;
                }
                let Ok(mut server) = TcpStream::connect(to).await else { return };
                if stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.is_ok() {
                    let _ = copy_bidirectional(&mut stream, &mut server).await;
                }
            }
        });
        Self { address, asked, _server: server }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked for so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }
}

/// A listener in a thread of its own; it ends, with all its connections, when it is dropped.
struct Server {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start<F: Future<Output = ()> + Send + 'static>(
        on: &str,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> (SocketAddr, Self) {
        let listener = TcpListener::bind(on).unwrap_or_else(|error| panic!("cannot listen on {on}: {error}"));
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket in the runtime");
                let accepting = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(serve(stream));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = ended => {}
                }
            });
        });
        (address, Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
