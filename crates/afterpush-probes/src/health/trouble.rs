//! Turns a failed request into a fault: what failed, at which host, why; never the whole address, which may hold secrets.

use std::{error::Error as StdError, io};

use afterpush_core::{
    fault::{Fault, FaultKind},
    text,
};
use url::Url;

use super::address::{LookupFailed, Refused};

/// The host and port of an address.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or("nowhere");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
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
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return transient(format!("no secure connection to {place}: {tls}"));
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
