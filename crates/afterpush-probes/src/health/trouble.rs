//! Turns a failed request into a fault: what failed, at which host, why; never the whole address, which may hold secrets.

use std::{error::Error as StdError, io};

use afterpush_core::{
    fault::{Fault, FaultKind},
    text,
};
use rustls::CertificateError;
use url::Url;

use super::{
    address::{LookupError, LookupFailed, Refused},
    tls,
};

/// The host and port of an address.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or("nowhere");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// What a failed look-up means.
pub(super) fn look_up(error: &LookupError) -> Fault {
    match error.downcast_ref::<LookupFailed>() {
        Some(failed) => Fault::new(FaultKind::Transient, format!("{failed}: {}", failed.source)),
        None => Fault::new(FaultKind::Malformed, error.to_string()),
    }
}

/// Finds the cause in the chain of errors.
pub(super) fn fault(error: reqwest::Error, url: &Url) -> Fault {
    let error = error.without_url();
    let place = place(url);
    let transient = |message: String| Fault::new(FaultKind::Transient, text::one_line(&message, 300));
    let mut innermost = String::new();
    let mut next: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(cause) = next {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return Fault::new(FaultKind::Malformed, refused.to_string());
        }
        if let Some(failed) = cause.downcast_ref::<LookupFailed>() {
            return transient(format!("{failed}: {}", failed.source));
        }
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return insecure(error, &place);
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::ConnectionRefused => return transient(format!("connection refused by {place}")),
                io::ErrorKind::ConnectionReset => return transient(format!("connection reset by {place}")),
                _ => {}
            }
            // An io error that wraps another one hides it from `source`.
            if let Some(inner) = io.get_ref() {
                innermost = inner.to_string();
                next = Some(inner);
                continue;
            }
        }
        innermost = cause.to_string();
        next = cause.source();
    }
    if error.is_timeout() {
        return transient(format!("{place} does not answer in time"));
    }
    if error.is_body() || error.is_decode() {
        return transient(format!("the answer of {place} broke off: {innermost}"));
    }
    transient(format!("no answer from {place}: {innermost}"))
}

/// Says what is wrong with a certificate in words that tell what to do about it.
pub(super) fn insecure(error: &rustls::Error, place: &str) -> Fault {
    let message = format!("no secure connection to {place}: {}", tls_problem(error));
    Fault::new(FaultKind::Transient, text::one_line(&message, 300))
}

/// Says why there is no secure connection, when that is what an error, or a cause of it, is about.
#[must_use]
pub fn insecure_because(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return Some(tls_problem(error));
        }
        // An io error that wraps another one hides it from `source`.
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map_or_else(|| cause.source(), |inner| Some(inner));
    }
    None
}

fn tls_problem(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(problem) = error else { return error.to_string() };
    let why = match problem {
        CertificateError::Expired => "has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => format!("expired on {}", tls::day(*not_after)),
        CertificateError::NotValidYet => "is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid before {}", tls::day(*not_before))
        }
        CertificateError::NotValidForName => "is for another host".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            // `DnsName("example.com")`
            let names: Vec<&str> =
                presented.iter().take(3).map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
            format!("is for another host: {}", names.join(", "))
        }
        CertificateError::UnknownIssuer => "is from an authority that this machine does not know".to_owned(),
        CertificateError::Revoked => "is revoked".to_owned(),
        other => format!("cannot be used: {other}"),
    };
    format!("its certificate {why}")
}

/// What an error of the connection itself means.
pub(super) fn connection(error: &io::Error, place: &str) -> Fault {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("connection refused by {place}"),
        io::ErrorKind::ConnectionReset => format!("connection reset by {place}"),
        _ => format!("no connection to {place}: {error}"),
    };
    Fault::new(FaultKind::Transient, text::one_line(&why, 300))
}
