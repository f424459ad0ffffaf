//! A simulated DigitalOcean App Platform over real HTTP, after the vendor's OpenAPI document and not after our client: what
//! the vendor would refuse, it refuses.
//!
//! The API and the archive of logs are two listeners on two ports, as the vendor's are two hosts. Every request is recorded.

mod answer;
mod fate;
mod platform;
mod server;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

pub use self::fate::Fate;
use self::platform::Platform;

/// The value of an environment variable that stands in every specification in clear text, as the vendor's do.
pub const PLAIN_SECRET: &str = "PLAIN_SECRET_of_the_specification";

/// The simulator; it ends when it is dropped.
pub struct Simulator {
    api: SocketAddr,
    shared: Shared,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A deployment at the simulator.
pub struct Deployment {
    shared: Shared,
    id: String,
}

/// What happens to one request to the API instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429 with this `retry-after` in seconds.
    RateLimited {
        /// The seconds.
        retry_after: u64,
    },
    /// This status with the vendor's error body.
    Status(u16),
    /// 200 with a web page.
    Html,
    /// 200 with the first half of the answer.
    Truncated,
    /// 200 without a body.
    Empty,
    /// The answer, in which every value of the first two levels is null.
    Nulls,
    /// 200 with 48 MiB of white space.
    Huge,
    /// The connection breaks in the middle of the answer.
    Broken,
    /// The answer, so much later.
    Slow(Duration),
    /// The answer, one byte a second.
    Trickle,
}

/// A request that was made.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it came.
    pub at: Instant,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// Its query, without the question mark.
    pub query: String,
    /// Whether an `Authorization` header came with it.
    pub authorised: bool,
    /// All its headers, a line each.
    pub headers: String,
    /// Whether it was refused for its [rate](Simulator::limit).
    pub refused: bool,
}

impl Simulator {
    /// Starts it with an empty account. Every token is good that is not [refused](Self::refuse).
    #[must_use]
    pub fn start() -> Self {
        let listen = || std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (api, archive) = (listen(), listen());
        let address = |listener: &std::net::TcpListener| listener.local_addr().expect("its address");
        let shared = Shared::new(format!("http://{}", address(&archive)));
        let api_address = address(&api);
        let (end, ended) = oneshot::channel();
        let served = shared.clone();
        let thread = std::thread::spawn(move || server::serve(api, archive, served, ended));
        Self { api: api_address, shared, end: Some(end), thread: Some(thread) }
    }

    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.api
    }

    /// The API's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Adds an app with one service, "web", built from a GitHub repository's branch. Gives its id.
    #[must_use = "the id is how the app is told"]
    pub fn add_app(&self, name: &str, repo: &str, branch: &str, live_url: &str) -> String {
        self.shared.lock().add_app(name, repo, branch, live_url)
    }

    /// Changes the address at which an app is said to answer.
    pub fn set_live_url(&self, app: &str, url: &str) {
        url.clone_into(&mut self.shared.lock().app_mut(app).live_url);
    }

    /// The newest deployment of a commit. When there is none it is made, as after a push, and is `PENDING_BUILD`.
    ///
    /// # Panics
    /// When there is none and the app is pinned: the platform would not make one.
    pub fn deploy(&self, app: &str, commit: &str) -> Deployment {
        let mut platform = self.shared.lock();
        let known = platform.newest_of(app, commit);
        let id = known.unwrap_or_else(|| platform.push(app, commit));
        self.handle(id)
    }

    /// Another deployment of a commit, as after "force rebuild and deploy".
    pub fn redeploy(&self, app: &str, commit: &str) -> Deployment {
        let id = self.shared.lock().redeploy(app, commit);
        self.handle(id)
    }

    /// A later deployment overtakes the commit's: `SUPERSEDED`, with the steps that were done by then.
    pub fn supersede(&self, app: &str, commit: &str) {
        let mut platform = self.shared.lock();
        let id = platform.newest_of(app, commit).expect("a deployment of the commit");
        platform.deployment_mut(&id).stop("SUPERSEDED");
    }

    /// Somebody rolls the app back by hand and pins it: the deployment that served before, or an old one, serves and stays.
    pub fn pin(&self, app: &str) {
        self.shared.lock().pin(app);
    }

    /// From the moment of its push the deployment of this commit goes through these phases, each so long after it was made.
    pub fn timeline(&self, commit: &str, phases: &[(Duration, &str)]) {
        let phases = phases.iter().map(|(after, phase)| (*after, (*phase).to_owned()));
        self.shared.lock().timelines.insert(commit.to_owned(), phases.collect());
    }

    /// The next requests to the API meet these, one each.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().faults.extend(faults);
    }

    /// From now on so many requests to the API are answered within any second, whoever makes them; more are refused.
    pub fn limit(&self, per_second: usize) {
        self.shared.lock().limit = Some(per_second);
    }

    /// From now on this token is answered with 401.
    pub fn refuse(&self, token: &str) {
        self.shared.lock().refused.push(token.to_owned());
    }

    /// From now on this token is answered with 403, as one without the scope.
    pub fn forbid(&self, token: &str) {
        self.shared.lock().forbidden.push(token.to_owned());
    }

    /// The requests to the API, in the order of their coming.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// The requests to the archive of logs.
    #[must_use]
    pub fn log_downloads(&self) -> Vec<Request> {
        self.shared.lock().downloads.clone()
    }

    fn handle(&self, id: String) -> Deployment {
        Deployment { shared: self.shared.clone(), id }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Deployment {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its phase now.
    #[must_use]
    pub fn phase(&self) -> String {
        let mut platform = self.shared.lock();
        platform.advance();
        platform.deployment_mut(&self.id).phase.clone()
    }

    /// Moves it to a phase, with the steps that belong to it. `ACTIVE` makes it what the app serves, and supersedes what
    /// was served until then. A word that the vendor does not have is taken as it is.
    pub fn set_phase(&self, phase: &str) {
        self.shared.lock().set_phase(&self.id, phase);
    }

    /// Its build fails, with this build log.
    pub fn fail_build(&self, log: &str) {
        let mut platform = self.shared.lock();
        platform.deployment_mut(&self.id).fail_build(log);
    }

    /// It is built and rolled out, and does not pass the platform's health check, with this log of the roll-out.
    pub fn fail_health_check(&self, log: &str) {
        let mut platform = self.shared.lock();
        platform.deployment_mut(&self.id).fail_health_check(log);
    }

    /// Adds what a crashed instance wrote.
    pub fn crash_log(&self, log: &str) {
        let mut platform = self.shared.lock();
        let it = platform.deployment_mut(&self.id);
        it.logs.insert("RUN_RESTARTED", log.to_owned());
    }

    /// The platform undoes its failure: a new deployment without a commit, cloned from the one that served, serves.
    pub fn auto_rollback(&self) -> Self {
        let id = self.shared.lock().auto_rollback(&self.id);
        Self { shared: self.shared.clone(), id }
    }

    /// Somebody cancels it.
    pub fn cancel(&self) {
        self.shared.lock().deployment_mut(&self.id).stop("CANCELED");
    }
}

/// The platform, shared by the test and the two listeners.
#[derive(Clone)]
struct Shared(Arc<Mutex<Platform>>);

impl Shared {
    fn new(archive: String) -> Self {
        Self(Arc::new(Mutex::new(Platform::new(archive))))
    }

    fn lock(&self) -> MutexGuard<'_, Platform> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
