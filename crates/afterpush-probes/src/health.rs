//! The health probe: asks the deployed application over HTTP, as any visitor could, and reads which commit it says it runs.
//!
//! It carries no credential and no cookie, opens a connection of its own for each question, and goes nowhere that the
//! configuration does not allow (see the module `address`). No answer is a fault; an answer that is not the expected one is unhealthy.

mod address;
mod assertion;
mod trouble;

use std::{sync::Arc, sync::OnceLock, time::Duration};

use afterpush_core::{
    config::{HealthAddress, HealthConfig},
    fault::{Fault, FaultKind},
    id::CommitId,
    observation::HealthObservation,
};
use reqwest::{Client, Response, header, redirect};
use tokio::time::timeout;
use url::Url;

use address::{Guard, Permission, Route};
use assertion::Assertion;

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How much of a body is read.
const MOST_BODY: usize = 1 << 20;

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 5;

/// Asks one application whether it is healthy, and which commit it runs.
#[derive(Debug)]
pub struct HealthProbe {
    config: HealthConfig,
    assertion: Result<Option<Assertion>, Fault>,
    commit: CommitId,
    permission: Permission,
    /// By way of the proxy that the environment names, and without one.
    clients: [OnceLock<Client>; 2],
}

impl HealthProbe {
    /// Sets up the probe for the pushed commit. `loopback_allowed` lets a deployment's own address be on this machine, which
    /// only the user's configuration can say.
    #[must_use]
    pub fn new(config: HealthConfig, commit: CommitId, loopback_allowed: bool) -> Self {
        let permission = Permission::of(&config.address, loopback_allowed);
        let assertion = config.commit.as_ref().map(Assertion::new).transpose();
        Self { config, assertion, commit, permission, clients: [const { OnceLock::new() }; 2] }
    }

    /// Asks once. `site_url` is where the provider says that the application answers; a configured path counts from there.
    ///
    /// # Errors
    /// [`FaultKind::Transient`] when no whole answer came. [`FaultKind::Malformed`] when the address, a redirect or the
    /// configuration leads to where the probe must not go, and when a body that has to be read whole is too large.
    pub async fn ask(&self, site_url: Option<&str>) -> Result<HealthObservation, Fault> {
        let assertion = self.assertion.as_ref().map_err(Clone::clone)?.as_ref();
        let start = self.address(site_url)?;
        let place = trouble::place(&start);
        timeout(self.config.timeout, self.follow(start, assertion)).await.unwrap_or_else(|_| {
            let limit = self.config.timeout.as_secs_f64();
            Err(Fault::new(FaultKind::Transient, format!("no whole answer from {place} within {limit} s")))
        })
    }

    fn address(&self, site_url: Option<&str>) -> Result<Url, Fault> {
        let unreadable = |what: &str| Fault::new(FaultKind::Malformed, format!("{what} is not a web address"));
        match &self.config.address {
            HealthAddress::Url { url, .. } => Url::parse(url).map_err(|_| unreadable("health.url")),
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

    /// Follows redirects by hand, because each hop's address is checked before it is asked.
    async fn follow(&self, start: Url, assertion: Option<&Assertion>) -> Result<HealthObservation, Fault> {
        let mut url = start;
        for _ in 0..=MOST_REDIRECTS {
            let route = self.permission.check(&url)?;
            // reqwest would turn user-info into an Authorization header.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            let response = self
                .client(route)?
                .get(url.clone())
                .header(header::CACHE_CONTROL, "no-cache")
                .send()
                .await
                .map_err(|error| trouble::fault(error, &url))?;
            match self.next_hop(&response, &url)? {
                Some(next) => url = next,
                None => return self.read(response, &url, assertion).await,
            }
        }
        Ok(unhealthy(format!("redirected more than {MOST_REDIRECTS} times")))
    }

    fn next_hop(&self, response: &Response, url: &Url) -> Result<Option<Url>, Fault> {
        let status = response.status().as_u16();
        if !matches!(status, 301 | 302 | 303 | 307 | 308) || self.config.status.contains(&status) {
            return Ok(None);
        }
        let Some(location) = response.headers().get(header::LOCATION) else { return Ok(None) };
        let next = location.to_str().ok().and_then(|location| url.join(location).ok());
        let unreadable =
            || Fault::new(FaultKind::Malformed, format!("{} redirects to no web address", trouble::place(url)));
        next.map(Some).ok_or_else(unreadable)
    }

    async fn read(
        &self,
        mut response: Response,
        url: &Url,
        assertion: Option<&Assertion>,
    ) -> Result<HealthObservation, Fault> {
        let status = response.status().as_u16();
        if !self.config.status.contains(&status) {
            return Ok(unhealthy(format!("answered {status}")));
        }
        let mut body = Vec::new();
        let mut is_cut = false;
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble::fault(error, url))? {
            let room = MOST_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                is_cut = true;
                break;
            }
        }
        let Some(assertion) = assertion else {
            return Ok(HealthObservation { healthy: true, commit: None, summary: status.to_string() });
        };
        let found = assertion.find(response.headers(), &body, is_cut, &self.commit)?;
        let (commit, said) = match found {
            Ok(commit) => {
                let shown = format!("commit {}", commit.id.get(..7).unwrap_or(&commit.id));
                (Some(commit), shown)
            }
            Err(said) => (None, said),
        };
        Ok(HealthObservation { healthy: true, commit, summary: format!("{status}, {said}") })
    }

    /// Nothing is kept between two questions but what it costs to make a client, mostly the root certificates.
    fn client(&self, route: Route) -> Result<&Client, Fault> {
        let place = &self.clients[route as usize];
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("afterpush/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_LIMIT)
            .dns_resolver(Arc::new(Guard::new(self.permission.clone())));
        if matches!(route, Route::Direct) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| {
            let error = error.without_url();
            Fault::new(FaultKind::Transient, format!("the HTTP client cannot be set up: {error}"))
        })?;
        Ok(place.get_or_init(|| client))
    }
}

fn unhealthy(summary: String) -> HealthObservation {
    HealthObservation { healthy: false, commit: None, summary }
}
