//! The health checks: they ask the deployed application over HTTP, TCP or gRPC, as any visitor could, and read which commit
//! it says it runs.
//!
//! They carry no credential and no cookie, open a connection of their own for each question, and go nowhere that the
//! configuration does not allow (see the module `address`). No answer is a fault; an answer that is not the expected one is unhealthy.

mod address;
mod assertion;
mod connection;
mod expectation;
mod grpc;
mod http;
mod sub_checks;
mod tls;
mod trouble;

use std::sync::Arc;

use afterpush_core::{
    config::{HealthAddress, HealthConfig},
    fault::{Fault, FaultKind},
    id::CommitId,
    observation::{CheckObservation, HealthObservation},
    run::SubCheck,
};
use futures_util::future::join_all;
use tokio::time::timeout;
use url::Url;

pub use trouble::insecure_because;

use address::Permission;
use assertion::Assertion;
use http::HttpClient;
use tls::Tls;

/// The health checks of one target.
#[derive(Debug)]
pub struct HealthChecks(Vec<HealthProbe>);

impl HealthChecks {
    /// Sets up the checks for the pushed commit. `loopback_allowed` lets a deployment's own address be on this machine, which
    /// only the user's configuration can say.
    #[must_use]
    pub fn new(configs: &[HealthConfig], commit: &CommitId, loopback_allowed: bool) -> Self {
        let tls = Arc::new(Tls::default());
        let probe = |config: &HealthConfig| {
            HealthProbe::with_tls(config.clone(), commit.clone(), loopback_allowed, Arc::clone(&tls))
        };
        Self(configs.iter().map(probe).collect())
    }

    /// Asks every check once, side by side.
    pub async fn ask(&self, site_url: Option<&str>) -> HealthObservation {
        HealthObservation { checks: join_all(self.0.iter().map(|probe| probe.ask(site_url))).await }
    }
}

/// Asks one application whether it is healthy, and which commit it runs.
#[derive(Debug)]
pub struct HealthProbe {
    config: HealthConfig,
    assertion: Result<Option<Assertion>, Fault>,
    commit: CommitId,
    permission: Permission,
    tls: Arc<Tls>,
    http: HttpClient,
}

impl HealthProbe {
    /// Sets up one check, as [`HealthChecks::new`] does for several.
    #[must_use]
    pub fn new(config: HealthConfig, commit: CommitId, loopback_allowed: bool) -> Self {
        Self::with_tls(config, commit, loopback_allowed, Arc::new(Tls::default()))
    }

    fn with_tls(config: HealthConfig, commit: CommitId, loopback_allowed: bool, tls: Arc<Tls>) -> Self {
        let permission = Permission::of(&config.address, loopback_allowed);
        let assertion = config.commit.as_ref().map(Assertion::new).transpose();
        Self { config, assertion, commit, permission, tls, http: HttpClient::default() }
    }

    /// Asks once. `site_url` is where the provider says that the application answers; a configured path counts from there.
    ///
    /// # Errors
    /// [`FaultKind::Transient`] when no whole answer came. [`FaultKind::Malformed`] when the address, a redirect or the
    /// configuration leads to where the probe must not go, and when a body that has to be read whole is too large.
    pub async fn ask(&self, site_url: Option<&str>) -> Result<CheckObservation, Fault> {
        let assertion = self.assertion.as_ref().map_err(Clone::clone)?.as_ref();
        let start = self.address(site_url)?;
        let place = trouble::place(&start);
        let asking = async {
            match &self.config.address {
                HealthAddress::Path(_) | HealthAddress::Url { .. } => self.ask_http(start, assertion).await,
                HealthAddress::Tcp { .. } => self.ask_tcp(&start).await,
                HealthAddress::Grpc { service, .. } => self.ask_grpc(&start, service, assertion).await,
            }
        };
        timeout(self.config.timeout, asking).await.unwrap_or_else(|_| {
            let limit = self.config.timeout.as_secs_f64();
            Err(Fault::new(FaultKind::Transient, format!("no whole answer from {place} within {limit} s")))
        })
    }

    fn address(&self, site_url: Option<&str>) -> Result<Url, Fault> {
        let unreadable = |what: &str| Fault::new(FaultKind::Malformed, format!("{what} is not a web address"));
        match &self.config.address {
            HealthAddress::Url { url, .. } => Url::parse(url).map_err(|_| unreadable("health.url")),
            HealthAddress::Grpc { url, .. } => Url::parse(url).map_err(|_| unreadable("health.grpc")),
            HealthAddress::Tcp { place, .. } => {
                address::address_of_place(place).ok_or_else(|| unreadable("health.tcp"))
            }
            HealthAddress::Path(path) => {
                let Some(site) = site_url else {
                    let message = "the address of the application is not known yet";
                    return Err(Fault::new(FaultKind::Transient, message));
                };
                let site = Url::parse(site).map_err(|_| unreadable("the address of the deployment"))?;
                let whole = site.join(path).map_err(|_| unreadable("health.path"))?;
                // "//other.example/x" would be a path by its looks only.
                if whole.origin() == site.origin() { Ok(whole) } else { Err(unreadable("health.path")) }
            }
        }
    }
}

fn unhealthy(summary: String, sub_checks: Vec<SubCheck>) -> CheckObservation {
    CheckObservation { healthy: false, commit: None, summary, sub_checks, warning: None }
}
