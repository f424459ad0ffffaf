//! TLS of the health checks: the system's authorities decide (`SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set), and a
//! certificate that expires soon is noticed by asking them again for a later day.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use afterpush_core::fault::{Fault, FaultKind};
use jiff::{Timestamp, tz::Offset};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;

/// A certificate that expires within this time is worth a warning.
const SOON: Duration = Duration::from_secs(14 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// What all checks of a target share: reading the authorities costs more than a check.
#[derive(Debug, Default)]
pub(super) struct Tls {
    config: OnceLock<ClientConfig>,
    expiries: Arc<Expiries>,
}

/// The end of each host's certificate, where it is near.
type Expiries = Mutex<BTreeMap<String, UnixTime>>;

impl Tls {
    /// For HTTP/1.1.
    pub(super) fn for_http(&self) -> Result<ClientConfig, Fault> {
        self.config().cloned()
    }

    /// For gRPC, which is HTTP/2 by its specification.
    pub(super) fn for_grpc(&self) -> Result<ClientConfig, Fault> {
        let mut config = self.config()?.clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// What to say of the certificate that the host showed last.
    pub(super) fn warning(&self, host: &str) -> Option<String> {
        let not_after = *self.expiries.lock().unwrap_or_else(PoisonError::into_inner).get(&normal(host))?;
        let left = not_after.as_secs().saturating_sub(UnixTime::now().as_secs()) / DAY;
        let days = if left == 1 { "day" } else { "days" };
        Some(format!("its certificate expires in {left} {days}, on {}", day(not_after)))
    }

    fn config(&self) -> Result<&ClientConfig, Fault> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = self.build().map_err(|error| {
            Fault::new(FaultKind::Transient, format!("the certificates of this machine cannot be used: {error}"))
        })?;
        Ok(self.config.get_or_init(|| config))
    }

    fn build(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authorities = Verifier::new(Arc::clone(&provider))?;
        let watch = Watch { authorities, expiries: Arc::clone(&self.expiries) };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(watch))
            .with_no_client_auth();
        // Each question is a connection of its own, whose server shows its certificate.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// A day in UTC, such as `2026-05-01`.
pub(super) fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    Offset::UTC.to_datetime(time).date().to_string()
}

fn normal(host: &str) -> String {
    host.trim_matches(['[', ']']).to_ascii_lowercase()
}

/// Leaves the judgement to the system's authorities, and takes down what they will say of the certificate in a while.
#[derive(Debug)]
struct Watch {
    authorities: Verifier,
    expiries: Arc<Expiries>,
}

impl ServerCertVerifier for Watch {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify =
            |at| self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at);
        let verified = verify(now)?;
        let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
        let mut expiries = self.expiries.lock().unwrap_or_else(PoisonError::into_inner);
        let host = normal(&server_name.to_str());
        match verify(soon) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                expiries.insert(host, not_after)
            }
            _ => expiries.remove(&host),
        };
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
