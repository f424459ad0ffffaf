//! The environment of the push, handed over in memory: tokens never stand in this process's own environment or arguments.

use std::{collections::HashMap, ffi::OsString, io::Read};

use afterpush_providers::Secret;
use afterpush_store::is_proxy;
use thiserror::Error;

use crate::sys;

/// No environment is larger: the kernel's own limit for arguments and environment is 2 MiB by default.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Tells why the environment of the push could not be read.
#[derive(Debug, Error)]
pub enum HandoverError {
    /// Standard input could not be read.
    #[error("could not read the environment of the push from standard input")]
    Read(#[source] std::io::Error),
    /// It is not a JSON object of strings. The source is not shown: it could quote a value.
    #[error("the environment of the push on standard input is not a JSON object of strings")]
    Malformed,
}

/// The environment of the push. Dropped as soon as the few values that the configuration names were taken from it; only what
/// connects to a Kubernetes cluster keeps a copy, for the credential plugin of the user's kubeconfig.
pub struct PushEnvironment(HashMap<String, String>);

impl PushEnvironment {
    /// Reads what `start_monitor` hands over on standard input. Nothing at all is an empty environment.
    ///
    /// # Errors
    /// [`HandoverError`]; the monitor goes on with an empty one and says so in its log.
    pub fn read(input: impl Read) -> Result<Self, HandoverError> {
        let mut text = Vec::new();
        input.take(MAX_BYTES).read_to_end(&mut text).map_err(HandoverError::Read)?;
        if text.is_empty() {
            return Ok(Self::empty());
        }
        serde_json::from_slice(&text).map(Self).map_err(|_| HandoverError::Malformed)
    }

    /// One without any variable.
    #[must_use]
    pub fn empty() -> Self {
        Self(HashMap::new())
    }

    /// Puts the proxies that want a password where the clients look for them: in this process's own variables, which nobody
    /// else can read. Those that want none stand there from the start. Before any thread begins.
    pub fn adopt_proxies(&self) {
        for (name, value) in self.iter().filter(|(name, _)| is_proxy(name)) {
            sys::adopt_variable(name, value);
        }
    }

    /// The variables of this process itself: for commands that run in the foreground.
    #[must_use]
    pub fn own() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// All of it, to hand on to another monitor of the same repository.
    #[must_use]
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        self.0.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// The value of a variable, unless it is empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Secret> {
        self.0.get(name).filter(|value| !value.trim().is_empty()).map(|value| Secret::new(value))
    }

    /// All variables.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_was_handed_over_is_there_and_empty_values_are_not() {
        let environment = PushEnvironment::read(&br#"{"TOKEN":" secret\n","EMPTY":" "}"#[..]).unwrap();
        assert_eq!(environment.get("TOKEN").unwrap().expose(), "secret");
        assert!(environment.get("EMPTY").is_none());
        assert!(environment.get("OTHER").is_none());
        assert!(PushEnvironment::read(&b""[..]).unwrap().get("TOKEN").is_none());
    }

    #[test]
    fn an_error_never_quotes_the_environment() {
        let error = PushEnvironment::read(&br#"{"TOKEN":"secret-value", 5}"#[..]).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("secret-value"));
    }
}
