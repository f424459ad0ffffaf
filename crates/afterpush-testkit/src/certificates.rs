//! An authority of a test's own, and the certificate of one server.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Certificates and keys as PEM.
pub struct Certificates {
    /// The authority's certificate.
    pub authority: String,
    /// The server's certificate.
    pub server: String,
    /// The server's key.
    pub server_key: String,
}

impl Certificates {
    /// Makes them for a server of this name or address.
    ///
    /// # Errors
    /// Why they cannot be made.
    pub fn new(host: &str) -> Result<Self, String> {
        Self::make(host).map_err(|error| format!("no certificate: {error}"))
    }

    fn make(host: &str) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, format!("test authority of {host}"));
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
