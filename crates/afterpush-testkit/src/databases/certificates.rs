//! An authority of one server's own, and the server's certificate.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Certificates and keys as PEM.
pub(super) struct Certificates {
    pub(super) authority: String,
    pub(super) server: String,
    pub(super) server_key: String,
}

impl Certificates {
    pub(super) fn new(host: &str) -> Result<Self, String> {
        Self::make(host).map_err(|error| format!("no certificate: {error}"))
    }

    fn make(host: &str) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "test authority");
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let mut server = CertificateParams::new(vec![host.to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, host);
        let server_key = KeyPair::generate()?;
        let server = server.signed_by(&server_key, &Issuer::new(authority, authority_key))?;
        Ok(Self {
            authority: authority_certificate.pem(),
            server: server.pem(),
            server_key: server_key.serialize_pem(),
        })
    }
}
