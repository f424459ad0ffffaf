//! From configuration and credentials to what can be asked: the plan for the machine, and the things that answer it.

use std::{path::Path, rc::Rc, time::Duration};

use afterpush_core::{
    config::{Config, HealthAddress, ProviderConfig, Target},
    fault::{Fault, with_causes},
    file::{PushSource, Request},
    id::CommitId,
    machine::{Answer, CheckPlan, Pace, StagePlan, TargetPlan},
    run::StageKind,
};
use afterpush_git::Git;
use afterpush_probes::HealthChecks;
use afterpush_providers::{Carrier, Provider, Question, Reply, Setup, registry};
use afterpush_store::Environment;
use thiserror::Error;
use tokio::sync::Mutex;

use crate::{
    changes::Changes,
    cluster::Cluster,
    credentials::{self, CredentialsError, Found},
    database::Database,
    database_address,
    program::Programs,
    secrets::PushEnvironment,
    sharing::Sharing,
    surroundings::{Answering, Ask},
    transport::Transport,
};

/// Tells why a run cannot begin.
#[derive(Debug, Error)]
pub enum SourcesError {
    /// The provider's table is wrong.
    #[error("target {target:?}")]
    Provider {
        /// The target.
        target: String,
        /// What is wrong.
        source: afterpush_providers::SetupError,
    },
    /// The variables that its program is given cannot be looked up.
    #[error("target {target:?}")]
    Credentials {
        /// The target.
        target: String,
        /// Why.
        source: CredentialsError,
    },
    /// The provider's address cannot be used.
    #[error("target {target:?}: {fault}")]
    Address {
        /// The target.
        target: String,
        /// What is wrong.
        fault: Fault,
    },
}

/// What the targets of a run are asked through.
pub struct Sources(Vec<TargetSources>);

struct TargetSources {
    provider: Option<Rc<ProviderSource>>,
    database: Option<Rc<Database>>,
    health: Option<Rc<HealthChecks>>,
}

/// A provider with what carries its requests.
pub struct ProviderSource {
    line: Line,
    provider: Mutex<Box<dyn Provider>>,
}

/// What a provider is asked with, beside the token that it was set up with.
pub enum With<'a> {
    /// Nothing.
    Nothing,
    /// The files of the kubeconfig that there are.
    Kubeconfig(Vec<&'a Path>),
    /// These variables, for its program.
    Variables(Vec<String>),
}

enum Line {
    Web(Box<Transport>),
    Cluster(Box<Cluster>),
    Program(Programs),
}

impl ProviderSource {
    /// Sets a provider up for the given target facts.
    ///
    /// # Errors
    /// [`SourcesError`] when the configuration names something that cannot be.
    pub fn new(
        target: &str,
        kind: &str,
        setup: Setup,
        push: &PushEnvironment,
        environment: &Environment,
        sharing: Option<Sharing>,
    ) -> Result<Self, SourcesError> {
        let (api, further) = match setup.api_url.clone() {
            Some(users) => (users, &[][..]),
            None => (registry::api_url(kind).to_owned(), registry::further_addresses(kind)),
        };
        let provider = registry::build(kind, setup)
            .map_err(|source| SourcesError::Provider { target: target.to_owned(), source })?;
        let address = |fault| SourcesError::Address { target: target.to_owned(), fault };
        let web = |api: &str, further: &[&str]| {
            let transport = Transport::new(api).map_err(address)?.and(further);
            Ok(Line::Web(Box::new(match sharing {
                Some(sharing) => transport.sharing(sharing),
                None => transport,
            })))
        };
        let line = match provider.carrier() {
            Carrier::Api => web(&api, further)?,
            Carrier::Web(api) => web(&api, &[])?,
            Carrier::Cluster { context } => Line::Cluster(Box::new(Cluster::new(context, push, environment))),
            Carrier::Program { variables } => Line::Program(
                Programs::new(&variables, push, environment)
                    .map_err(|source| SourcesError::Credentials { target: target.to_owned(), source })?,
            ),
        };
        Ok(Self { line, provider: Mutex::new(provider) })
    }

    /// Tells whether the provider is on this machine, so that the deployments that it tells of may be, too.
    #[must_use]
    pub fn is_on_loopback(&self) -> bool {
        matches!(&self.line, Line::Web(transport) if transport.is_on_loopback())
    }

    /// What it is asked with.
    pub async fn with(&self) -> With<'_> {
        match &self.line {
            Line::Web(_) => With::Nothing,
            Line::Cluster(cluster) => With::Kubeconfig(cluster.files().collect()),
            Line::Program(_) => match self.provider.lock().await.carrier() {
                Carrier::Program { variables } => With::Variables(variables),
                _ => With::Nothing,
            },
        }
    }

    /// Asks the provider, to the reply or the provider's or the transport's fault. What another monitor knows serves when it is
    /// younger than `fresh_for`.
    pub async fn ask(&self, question: Question, fresh_for: Duration) -> (Result<Reply, Fault>, Pace) {
        let mut provider = self.provider.lock().await;
        let mut pace = Pace::default();
        let reply = match &self.line {
            Line::Web(transport) => transport.converse_at(&mut **provider, question, fresh_for, &mut pace).await,
            Line::Cluster(cluster) => cluster.converse(&mut **provider, question).await,
            Line::Program(programs) => programs.converse(&mut **provider, question).await,
        };
        (reply, pace)
    }
}

/// What is at hand to set the sources up.
pub struct Kit<'a> {
    /// The combined configuration.
    pub config: &'a Config,
    /// The pushed ref update.
    pub request: &'a Request,
    /// The pushed commit: of an annotated tag, the commit that it stands for.
    pub commit: &'a CommitId,
    /// The repository; `None` where it cannot be read.
    pub git: Option<&'a Git>,
    /// The environment of the push.
    pub push: &'a PushEnvironment,
    /// Whether the run has waited for a place: then `push` is the environment of whoever started it in the end.
    pub has_waited: bool,
    /// The environment that tells where the user's files are.
    pub environment: &'a Environment,
    /// What is shared with the user's other monitors.
    pub sharing: Option<Sharing>,
    /// What the push changes.
    pub changes: Changes,
}

impl Sources {
    /// Nothing that could be asked.
    #[must_use]
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Sets up everything that the targets of the pushed ref can be asked through.
    ///
    /// # Errors
    /// [`SourcesError`] when the configuration names something that cannot be.
    pub fn set_up(kit: &Kit<'_>) -> Result<(Self, Vec<TargetPlan>), SourcesError> {
        let mut sources = Vec::new();
        let mut plans = Vec::new();
        for target in kit.config.targets_of(&kit.request.ref_name) {
            let (source, plan) = set_up_target(kit, target)?;
            sources.push(source);
            plans.push(plan);
        }
        Ok((Self(sources), plans))
    }
}

impl Ask for Sources {
    fn ask(
        &self,
        target: usize,
        stage: StageKind,
        site_url: Option<String>,
        fresh_for: Duration,
    ) -> Option<Answering<(Result<Answer, Fault>, Pace)>> {
        let sources = self.0.get(target)?;
        let (provider, database, health) = match stage {
            StageKind::Provider => (Some(sources.provider.clone()?), None, None),
            StageKind::Database => (None, Some(sources.database.clone()?), None),
            StageKind::Health => (None, None, Some(sources.health.clone()?)),
        };
        Some(Box::pin(async move {
            if let Some(provider) = provider {
                let (reply, pace) = provider.ask(Question::Observe, fresh_for).await;
                let answer = reply.and_then(|reply| match reply {
                    Reply::Observation(observation) => Ok(Answer::Provider(observation)),
                    Reply::Log(_) | Reply::Credentials(_) => Err(mixed_up()),
                });
                return (answer, pace);
            }
            let answer = match (database, health) {
                (Some(database), _) => database.ask().await.map(Answer::Database),
                (None, Some(health)) => Ok(Answer::Health(health.ask(site_url.as_deref()).await)),
                (None, None) => Err(mixed_up()),
            };
            (answer, Pace::default())
        }))
    }

    fn failure_log(&self, target: usize) -> Option<Answering<Result<String, Fault>>> {
        let provider = self.0.get(target)?.provider.clone()?;
        Some(Box::pin(async move {
            match provider.ask(Question::FailureLog, Duration::ZERO).await.0? {
                Reply::Log(log) => Ok(log),
                Reply::Observation(_) | Reply::Credentials(_) => Err(mixed_up()),
            }
        }))
    }
}

fn mixed_up() -> Fault {
    Fault::new(afterpush_core::fault::FaultKind::Malformed, "the provider replied to another question")
}

fn set_up_target(kit: &Kit<'_>, target: &Target) -> Result<(TargetSources, TargetPlan), SourcesError> {
    if let Some(reason) = kit.changes.reason_to_skip(target) {
        let nothing = TargetSources { provider: None, database: None, health: None };
        return Ok((nothing, TargetPlan::skipped(&target.name, &reason)));
    }
    let unavailable = |why: &str| StagePlan::Unavailable(why.to_owned());
    let (provider, provider_plan) = match &target.provider {
        None => (None, unavailable("not configured")),
        Some(provider) => match find_credentials(kit, provider) {
            Err(error) => (None, StagePlan::Unavailable(with_causes(&error))),
            Ok(None) if credentials::needs_token(provider) => (None, missing(kit, credentials::advice(provider))),
            Ok(found) => {
                let (token, login_url) = found.map(|found| (found.token, found.api_url)).unzip();
                let setup = Setup {
                    settings: provider.settings.clone(),
                    api_url: api_url(kit.config, &provider.kind).or(login_url.flatten()),
                    commit: kit.commit.clone(),
                    ref_name: kit.request.ref_name.clone(),
                    remote_url: kit.request.remote_url.clone(),
                    pushed_at: (kit.request.source == PushSource::Hook).then_some(kit.request.pushed_at),
                    token,
                };
                let (push, environment) = (kit.push, kit.environment);
                let source =
                    ProviderSource::new(&target.name, &provider.kind, setup, push, environment, kit.sharing.clone())?;
                (Some(Rc::new(source)), StagePlan::Ask)
            }
        },
    };
    let (database, database_plan) = match &target.database {
        None => (None, unavailable("not configured")),
        Some(database) => match database_address::find(&database.address, kit.push, kit.environment) {
            Err(why) => (None, missing(kit, why)),
            Ok(address) => {
                let source = Database::set_up(database, address, &target.migrations, kit.commit, kit.git);
                (Some(Rc::new(source)), StagePlan::Ask)
            }
        },
    };
    let loopback_provider = provider.as_ref().is_some_and(|provider| provider.is_on_loopback());
    let needs_site = target.health.iter().any(|check| matches!(check.address, HealthAddress::Path(_)));
    let (health, health_plan) = if target.health.is_empty() {
        (None, unavailable("not configured"))
    } else if needs_site && provider.is_none() {
        (None, unavailable("its path is on the deployment's address, which no provider tells"))
    } else {
        let checks = HealthChecks::new(&target.health, kit.commit, loopback_provider);
        (Some(Rc::new(checks)), StagePlan::Ask)
    };
    let plan = TargetPlan {
        name: target.name.clone(),
        skipped: None,
        provider: provider_plan,
        database: database_plan,
        health: health_plan,
        tells_deployments_apart: target
            .provider
            .as_ref()
            .is_some_and(|provider| registry::tells_deployments_apart(&provider.kind, &provider.settings)),
        health_needs_site: needs_site,
        health_checks: target.health.iter().map(CheckPlan::of).collect(),
        accept_unversioned_health: target.accept_unversioned_health,
    };
    Ok((TargetSources { provider, database, health }, plan))
}

/// A stage without its secret. The environment of a push is kept in no file, so it does not wait for a place with its run.
fn missing(kit: &Kit<'_>, advice: String) -> StagePlan {
    let lost = "; the push waited for a place among the monitors, and variables set for it alone are not kept: \
                use the credentials file";
    StagePlan::Unavailable(if kit.has_waited { advice + lost } else { advice })
}

fn find_credentials(kit: &Kit<'_>, provider: &ProviderConfig) -> Result<Option<Found>, CredentialsError> {
    let api_url = api_url(kit.config, &provider.kind);
    credentials::find(provider, api_url.as_deref(), kit.push, kit.environment)
}

/// The API's address from the user's configuration.
#[must_use]
pub fn api_url(config: &Config, kind: &str) -> Option<String> {
    config.providers.get(kind).and_then(|settings| settings.api_url.clone())
}
