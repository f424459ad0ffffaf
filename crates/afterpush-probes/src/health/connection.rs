//! The check over TCP: whether a connection can be made. It is closed at once, and nothing is sent.

use std::{io, time::Duration};

use afterpush_core::{fault::Fault, observation::CheckObservation};
use tokio::{net::TcpStream, time::timeout};
use url::Url;

use super::{HealthProbe, trouble, unhealthy};

/// How long one of a host's addresses may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

impl HealthProbe {
    pub(super) async fn ask_tcp(&self, url: &Url) -> Result<CheckObservation, Fault> {
        let began = tokio::time::Instant::now();
        drop(self.connect(url).await?);
        let took = began.elapsed();
        Ok(match self.config.max_latency.filter(|limit| took > *limit) {
            Some(limit) => {
                unhealthy(format!("open after {} ms, over {} ms", took.as_millis(), limit.as_millis()), Vec::new())
            }
            None => {
                let (summary, sub_checks) = ("open".to_owned(), Vec::new());
                CheckObservation { healthy: true, commit: None, summary, sub_checks, warning: None }
            }
        })
    }

    /// Connects to the URL's host and port, by the addresses that the configuration allows, one after the other.
    pub(super) async fn connect(&self, url: &Url) -> Result<TcpStream, Fault> {
        self.permission.check(url)?;
        let addresses = self.permission.addresses(url).await.map_err(|error| trouble::look_up(&error))?;
        let port = url.port_or_known_default().unwrap_or_default();
        let mut last = io::Error::other("its name leads to no address");
        for mut address in addresses {
            address.set_port(port);
            match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(trouble::connection(&last, &trouble::place(url)))
    }
}
