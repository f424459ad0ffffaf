//! One vendor's description in Prism, and providers that are asked about the pushed commit there.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use afterpush_core::{
    fault::{Fault, FaultKind},
    id::{CommitId, RefName},
    observation::{Deployment, DeploymentState, ProviderObservation},
};
use afterpush_monitor::transport::{Limits, Transport};
use afterpush_providers::{Provider, Question, Reply, Secret, Setup, registry};
use afterpush_testkit::{
    prism::Prism,
    sandbox::{PATIENCE, skipped},
};
use serde_json::Value;

use crate::relay::{Relay, Says};

/// The pushed commit.
pub(crate) const COMMIT: &str = "c0ffee0123456789abcdef0123456789abcdef01";
/// What was pushed to.
pub(crate) const REMOTE: &str = "git@github.com:acme/web.git";

/// What each refusal means, whatever the vendor's words for it.
const REFUSALS: [(&str, FaultKind); 5] = [
    ("401", FaultKind::Unauthorized),
    ("403", FaultKind::Unauthorized),
    ("404", FaultKind::NotFound),
    ("429", FaultKind::RateLimited),
    ("500", FaultKind::Transient),
];

/// A vendor's description.
#[derive(Clone)]
pub(crate) struct Description(Value);

impl Description {
    /// The path of the description that a request's path is of: the one with the fewest parameters.
    pub(crate) fn path_of(&self, path: &str) -> Option<String> {
        let asked: Vec<&str> = path.split('/').collect();
        let parameters = |path: &String| path.split('/').filter(|it| it.starts_with('{')).count();
        let fits = |path: &&String| {
            let described: Vec<&str> = path.split('/').collect();
            described.len() == asked.len()
                && described
                    .iter()
                    .zip(&asked)
                    .all(|(described, asked)| described.starts_with('{') || described == asked)
        };
        self.0["paths"].as_object().unwrap().keys().filter(fits).min_by_key(|it| parameters(it)).cloned()
    }

    /// Whether it has an answer of this status to a GET.
    fn answers(&self, path: &str, status: &str) -> bool {
        !self.0["paths"][path]["get"]["responses"][status].is_null()
    }
}

/// A vendor's walk.
pub(crate) struct Walk {
    kind: &'static str,
    description: Description,
    pub(crate) relay: Arc<Relay>,
    api_url: String,
    _prism: Prism,
}

impl Walk {
    /// Serves a description; `base` is the part of the vendor's address that the description's paths begin with. `None`, told
    /// loudly, where that cannot be.
    pub(crate) async fn of(kind: &'static str, file: &str, base: &str) -> Option<Self> {
        let started = folder().and_then(|folder| {
            let file = folder.join(file);
            let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let description = serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))?;
            Ok((Prism::start(Path::new(env!("CARGO_TARGET_TMPDIR")), &file)?, Description(description)))
        });
        let (prism, description) = match started {
            Ok(started) => started,
            Err(why) => {
                skipped(&format!("the whole flow of {kind} against Prism"), &why);
                return None;
            }
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let relay = Relay::start(prism.url(), description.clone()).await;
        let api_url = format!("{}{base}", relay.url);
        Some(Self { kind, description, relay, api_url, _prism: prism })
    }

    /// A provider with these settings that was not asked anything yet.
    pub(crate) fn follow(&self, settings: &str) -> Following {
        self.follow_at(REMOTE, settings)
    }

    /// The same for a push to another remote.
    pub(crate) fn follow_at(&self, remote: &str, settings: &str) -> Following {
        let setup = Setup {
            settings: settings.parse().unwrap(),
            api_url: Some(self.api_url.clone()),
            commit: CommitId::parse(COMMIT).unwrap(),
            ref_name: RefName::parse("refs/heads/main").unwrap(),
            remote_url: remote.to_owned(),
            pushed_at: None,
            token: Some(Secret::new("token-of-the-test")),
        };
        let provider = registry::build(self.kind, setup).unwrap();
        // Prism is slow on a busy machine, and its patience is not what is tested.
        let limits = Limits { connect: PATIENCE, read: PATIENCE, total: PATIENCE, question: PATIENCE };
        Following {
            relay: Arc::clone(&self.relay),
            provider,
            transport: Transport::with_limits(&self.api_url, limits).unwrap(),
        }
    }

    /// From now on these stand in the answers, and no others.
    pub(crate) fn says(&self, says: Says) {
        self.relay.seen().says = says;
    }

    /// Lets the vendor refuse what `doctor` asks, in each way that the description has, and ends the walk: Prism found nothing
    /// wrong, and exactly these paths of the description were asked for.
    pub(crate) async fn end(self, mut following: Following, paths: &[&str]) {
        let asked = std::mem::take(&mut self.relay.seen().asked);
        assert_eq!(
            asked,
            paths.iter().map(|&it| it.to_owned()).collect::<BTreeSet<_>>(),
            "the paths that are asked for"
        );
        following.credentials().await;
        let last = std::mem::take(&mut self.relay.seen().asked);
        for (status, kind) in REFUSALS {
            if last.iter().all(|path| self.description.answers(path, status)) {
                self.relay.seen().added.push((
                    "prefer",
                    match status {
                        "401" => "code=401",
                        "403" => "code=403",
                        "404" => "code=404",
                        "429" => "code=429",
                        _ => "code=500",
                    },
                ));
                let fault = following.ask(Question::Credentials).await.unwrap_err();
                assert_eq!(fault.kind, kind, "{status}: {fault}");
            }
        }
        assert_eq!(self.relay.seen().complaints, Vec::<String>::new());
    }
}

/// A provider on its way.
pub(crate) struct Following {
    relay: Arc<Relay>,
    provider: Box<dyn Provider>,
    transport: Transport,
}

impl Following {
    async fn ask(&mut self, question: Question) -> Result<Reply, Fault> {
        let reply = self.transport.converse(&mut *self.provider, question, Duration::ZERO).await;
        reply.map(|(reply, _)| reply)
    }

    /// One look.
    pub(crate) async fn look(&mut self) -> ProviderObservation {
        match self.ask(Question::Observe).await {
            Ok(Reply::Observation(observation)) => observation,
            other => panic!("no observation: {other:?}; {:#?}", self.relay.seen().complaints),
        }
    }

    /// The commit's deployment at one look.
    pub(crate) async fn deployment(&mut self) -> Deployment {
        let observation = self.look().await;
        observation.deployment.clone().unwrap_or_else(|| panic!("no deployment: {observation:?}"))
    }

    /// Where the commit's deployment stands at one look.
    pub(crate) async fn state(&mut self) -> DeploymentState {
        self.deployment().await.state
    }

    /// The log of the failure.
    pub(crate) async fn log(&mut self) -> String {
        match self.ask(Question::FailureLog).await {
            Ok(Reply::Log(log)) => log,
            other => panic!("no log: {other:?}; {:#?}", self.relay.seen().complaints),
        }
    }

    /// What `doctor` is told.
    pub(crate) async fn credentials(&mut self) -> String {
        match self.ask(Question::Credentials).await {
            Ok(Reply::Credentials(text)) => text,
            other => panic!("no reply: {other:?}; {:#?}", self.relay.seen().complaints),
        }
    }
}

fn folder() -> Result<PathBuf, String> {
    let folder = env::var_os("AFTERPUSH_PROVIDER_SPECS").map(PathBuf::from);
    folder.ok_or_else(|| "AFTERPUSH_PROVIDER_SPECS does not name a folder with the vendors' descriptions".to_owned())
}
