//! What every server's trouble is called, and what to do about it. No message names a host, a user or a password.

use std::io;

use afterpush_core::{
    fault::{Fault, FaultKind},
    redact, text,
};
use rustls::CertificateError;

use super::{
    address::{Host, Place, Server},
    connection::transient,
};

pub(super) fn refused_user(place: &Place) -> Fault {
    let problem = format!("{place} refuses the user name or the password; check the address");
    Fault::new(FaultKind::Unauthorized, problem)
}

pub(super) fn full(place: &Place) -> Fault {
    transient(format!("{place} has too many connections; it is asked again"))
}

pub(super) fn locked(place: &Place) -> Fault {
    transient(format!("{place} is locked by a writer"))
}

/// An error that has no plain words of ours: the server's own.
pub(super) fn answered(message: &str, server: &Server) -> Fault {
    transient(format!("{} answered: {}", server.place, words(message, server)))
}

/// The server's own words, without what its address holds.
pub(super) fn words(message: &str, server: &Server) -> String {
    text::one_line(&redact::scrub(message, &server.secrets()), 200)
}

/// The server was not reached, or went away.
pub(super) fn without_answer(error: &sqlx::Error, server: &Server) -> Fault {
    let place = &server.place;
    let malformed = |problem: String| Fault::new(FaultKind::Malformed, problem);
    if let sqlx::Error::Io(io) = error
        && let Some(rustls::Error::InvalidCertificate(why)) = io.get_ref().and_then(|inner| inner.downcast_ref())
    {
        return malformed(format!("the TLS certificate of the server of {place} is not trusted: {}", certificate(why)));
    }
    match error {
        sqlx::Error::Io(error) => transient(match (error.kind(), &server.host) {
            (io::ErrorKind::ConnectionRefused, _) => {
                format!("no server answers at the address of {place}: the connection was refused")
            }
            (io::ErrorKind::NotFound, Host::Socket(_)) => format!("there is no socket at the address of {place}"),
            (io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe, _) => {
                format!("the server of {place} ended the connection")
            }
            (kind, _) if error.to_string().contains("lookup address") => {
                format!("the host name of {place} is not known to the name server ({kind})")
            }
            (kind, _) => format!("the server of {place} could not be reached: {kind}"),
        }),
        sqlx::Error::Tls(_) if error.to_string().contains("does not support TLS") => {
            let default = if server.is_encryption_chosen {
                "change its TLS mode, or the server"
            } else {
                "TLS is required where an address is not local; set it up on the server, or say otherwise in the address"
            };
            malformed(format!("the server of {place} does not offer TLS; {default}"))
        }
        sqlx::Error::Tls(_) => transient(format!("the TLS handshake with the server of {place} failed")),
        sqlx::Error::Configuration(_) => malformed(format!("the address of {place} cannot be used as it is")),
        sqlx::Error::Protocol(_) => transient(format!("the server of {place} answered in an unknown way")),
        _ => transient(format!("{place} could not be asked")),
    }
}

/// Why a certificate is refused, in words that name nothing.
fn certificate(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::UnknownIssuer => "its issuer is unknown; name the authority's file as sslrootcert or ssl-ca",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "it is for another host",
        _ => "it was not accepted",
    }
}
