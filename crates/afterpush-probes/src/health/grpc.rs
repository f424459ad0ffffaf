//! The check by gRPC's own health service, `grpc.health.v1.Health/Check`, on a connection of its own.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::CheckObservation,
    text,
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tonic::{
    Code, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint, Uri},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tower::service_fn;
use url::Url;

use super::{HealthProbe, assertion::Assertion, expectation, trouble, unhealthy};

/// The answer is a number; nothing larger is read.
const MOST_ANSWER: usize = 4096;

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl HealthProbe {
    pub(super) async fn ask_grpc(
        &self,
        url: &Url,
        service: &str,
        assertion: Option<&Assertion>,
    ) -> Result<CheckObservation, Fault> {
        let began = Instant::now();
        let place = trouble::place(url);
        let stream = self.connect(url).await?;
        let stream: Box<dyn Stream> = match url.scheme() {
            "https" => Box::new(self.secure(stream, url, &place).await?),
            _ => Box::new(stream),
        };
        let channel = channel(stream, url).await.map_err(|error| {
            let message = format!("{place} does not speak HTTP/2: {error}");
            Fault::new(FaultKind::Transient, text::one_line(&message, 300))
        })?;
        let request = HealthCheckRequest { service: service.to_owned() };
        let asked = HealthClient::new(channel).max_decoding_message_size(MOST_ANSWER).check(request).await;
        let response = match asked {
            Ok(response) => response,
            Err(status) => return refusal(&status, service, &place),
        };
        let status = ServingStatus::try_from(response.get_ref().status).unwrap_or(ServingStatus::Unknown);
        if status != ServingStatus::Serving {
            return Ok(unhealthy(format!("says {}", status.as_str_name()), Vec::new()));
        }
        if let Some(slow) = expectation::too_slow(&self.config, began.elapsed()) {
            return Ok(unhealthy(format!("SERVING{slow}"), Vec::new()));
        }
        let (commit, said) = self.commit_of(response.metadata(), assertion)?;
        let warning = url.host_str().and_then(|host| self.tls.warning(host));
        let summary = format!("SERVING{said}");
        Ok(CheckObservation { healthy: true, commit, summary, sub_checks: Vec::new(), warning })
    }

    fn commit_of(
        &self,
        metadata: &MetadataMap,
        assertion: Option<&Assertion>,
    ) -> Result<(Option<afterpush_core::run::SeenCommit>, String), Fault> {
        let Some(assertion) = assertion else { return Ok((None, String::new())) };
        let headers = metadata.clone().into_headers();
        Ok(expectation::said(assertion.find(&headers, &[], false, &self.commit)?))
    }

    async fn secure(&self, stream: TcpStream, url: &Url, place: &str) -> Result<impl Stream + use<>, Fault> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| {
            Fault::new(FaultKind::Malformed, format!("{place} has no name that a certificate could have"))
        })?;
        let connector = TlsConnector::from(Arc::new(self.tls.for_grpc()?));
        connector.connect(name, stream).await.map_err(|error| {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            tls.map_or_else(|| trouble::connection(&error, place), |tls| trouble::insecure(tls, place))
        })
    }
}

/// Speaks gRPC over a connection that was made, and judged, before.
async fn channel(stream: Box<dyn Stream>, url: &Url) -> Result<Channel, Box<dyn std::error::Error + Send + Sync>> {
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let origin: Uri = format!("{}://{authority}", url.scheme()).parse()?;
    // The encryption is below: to the endpoint the address is one without.
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))?
        .origin(origin)
        .user_agent(concat!("afterpush/", env!("CARGO_PKG_VERSION")))?;
    let stream = Mutex::new(Some(stream));
    let connector = service_fn(move |_: Uri| {
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { stream.map(TokioIo::new).ok_or_else(|| io::Error::other("the connection is used up")) }
    });
    Ok(endpoint.connect_with_connector(connector).await?)
}

/// An answer other than a state: of the server, or of what stands before it.
fn refusal(status: &Status, service: &str, place: &str) -> Result<CheckObservation, Fault> {
    let shown = match service {
        "" => "the server as a whole".to_owned(),
        name => format!("the service {name}"),
    };
    match status.code() {
        Code::NotFound => Ok(unhealthy(format!("does not know {shown}"), Vec::new())),
        Code::Unimplemented => Ok(unhealthy("has no health service (grpc.health.v1)".to_owned(), Vec::new())),
        Code::Unauthenticated | Code::PermissionDenied => {
            Ok(unhealthy("answers only to who is known to it".to_owned(), Vec::new()))
        }
        code => {
            let message = format!("no health answer from {place}: {code:?}, {}", status.message());
            Err(Fault::new(FaultKind::Transient, text::one_line(&message, 300)))
        }
    }
}
