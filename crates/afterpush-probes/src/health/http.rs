//! The check over HTTP: one request, redirects followed by hand, and the answer as far as it is looked at.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use afterpush_core::{
    config::HealthMethod,
    fault::{Fault, FaultKind},
    observation::CheckObservation,
};
use reqwest::{Client, Method, Response, header, redirect};
use url::Url;

use super::{
    HealthProbe,
    address::{Guard, Route},
    assertion::Assertion,
    expectation::{self, Reply},
    trouble, unhealthy,
};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How much of a body is read.
const MOST_BODY: usize = 1 << 20;

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 5;

/// By way of the proxy that the environment names, and without one. Nothing is kept between two questions but what it costs
/// to make a client, mostly the root certificates.
#[derive(Debug, Default)]
pub(super) struct HttpClient([OnceLock<Client>; 2]);

impl HealthProbe {
    /// Follows redirects by hand, because each hop's address is checked before it is asked.
    pub(super) async fn ask_http(&self, start: Url, assertion: Option<&Assertion>) -> Result<CheckObservation, Fault> {
        let began = Instant::now();
        let mut url = start;
        for _ in 0..=MOST_REDIRECTS {
            let route = self.permission.check(&url)?;
            // reqwest would turn user-info into an Authorization header.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            let response = self
                .client(route)?
                .request(self.method(), url.clone())
                .header(header::CACHE_CONTROL, "no-cache")
                .send()
                .await
                .map_err(|error| trouble::fault(error, &url))?;
            match self.next_hop(&response, &url)? {
                Some(next) => url = next,
                None => return self.read(response, &url, assertion, began).await,
            }
        }
        Ok(unhealthy(format!("redirected more than {MOST_REDIRECTS} times"), Vec::new()))
    }

    fn method(&self) -> Method {
        match self.config.method {
            HealthMethod::Get => Method::GET,
            HealthMethod::Head => Method::HEAD,
        }
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
        began: Instant,
    ) -> Result<CheckObservation, Fault> {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut body = Vec::new();
        let mut is_cut = false;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                // The status has said enough already; the body could only have told which part is broken.
                Err(_) if !self.config.status.contains(&status) => break,
                Err(error) => return Err(trouble::fault(error, url)),
            };
            let room = MOST_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                is_cut = true;
                break;
            }
        }
        let reply = Reply { status, headers: &headers, body: &body, is_cut, took: began.elapsed() };
        let mut seen = expectation::judge(&self.config, &reply, assertion, &self.commit)?;
        seen.warning = url.host_str().and_then(|host| self.tls.warning(host));
        Ok(seen)
    }

    fn client(&self, route: Route) -> Result<&Client, Fault> {
        let place = &self.http.0[route as usize];
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("afterpush/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_LIMIT)
            .tls_backend_preconfigured(self.tls.for_http()?)
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
