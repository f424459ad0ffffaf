//! One health check: where to ask, what is a sound answer, and how many of them it takes.
//!
//! Invariant: a whole address comes out of a repository's file only when it is trusted, and then over https only.

use std::time::Duration;

use serde_json::Value;

use super::{Author, ConfigError, Entry, HealthConfig, Reading, commit, values};
use crate::config::{CommitAssertion, HealthAddress, HealthMethod, error::Place};

const KEYS: [&str; 18] = [
    "name",
    "path",
    "url",
    "tcp",
    "grpc",
    "service",
    "method",
    "status",
    "contains",
    "excludes",
    "equals",
    "depends",
    "max_latency",
    "commit",
    "passes",
    "failures",
    "flakes",
    "timeout",
];

/// A health check, as far as one file says.
#[derive(Debug, Clone)]
pub(super) struct CheckLayer {
    place: Place,
    pub(super) name: String,
    address: Option<HealthAddress>,
    /// The sentence about an address that is not trusted, for when no other address takes its place.
    withheld: Option<String>,
    service: Option<String>,
    method: Option<HealthMethod>,
    status: Option<Vec<u16>>,
    contains: Option<Vec<String>>,
    excludes: Option<Vec<String>>,
    equals: Option<Vec<(String, Value)>>,
    depends: Option<Vec<String>>,
    max_latency: Option<Duration>,
    commit: Option<CommitAssertion>,
    passes: Option<u32>,
    failures: Option<u32>,
    flakes: Option<u32>,
    timeout: Option<Duration>,
}

impl CheckLayer {
    fn empty(place: Place) -> Self {
        Self {
            place,
            name: "health".to_owned(),
            address: None,
            withheld: None,
            service: None,
            method: None,
            status: None,
            contains: None,
            excludes: None,
            equals: None,
            depends: None,
            max_latency: None,
            commit: None,
            passes: None,
            failures: None,
            flakes: None,
            timeout: None,
        }
    }

    pub(super) fn read(entry: &Entry<'_>, target: &str, reading: &Reading<'_>) -> Result<Self, ConfigError> {
        let mut layer = Self::empty(entry.place());
        let section = entry.section("[target.health]")?;
        for entry in section.entries() {
            match entry.key {
                "path" | "url" | "tcp" | "grpc" if layer.address.is_some() || layer.withheld.is_some() => {
                    return Err(section.error("has several of path, url, tcp and grpc", "one of them"));
                }
                "name" => layer.name = values::name(&entry)?,
                "path" => layer.address = Some(values::path(&entry)?),
                "url" | "tcp" | "grpc" => {
                    let address = values::address(&entry, reading.author)?;
                    if reading.author == Author::UntrustedRepository {
                        layer.withheld = Some(reading.untrusted(target, &format!("health.{}", entry.key)));
                    } else {
                        layer.address = Some(address);
                    }
                }
                "service" => layer.service = Some(values::service(&entry)?),
                "method" => layer.method = Some(values::method(&entry)?),
                "status" => layer.status = Some(values::status_codes(&entry)?),
                "contains" => layer.contains = Some(values::texts(&entry)?),
                "excludes" => layer.excludes = Some(values::texts(&entry)?),
                "equals" => layer.equals = Some(values::equals(&entry)?),
                "depends" => layer.depends = Some(values::pointers(&entry)?),
                "max_latency" => layer.max_latency = Some(values::timeout(&entry)?),
                "commit" => layer.commit = Some(commit::assertion(&entry)?),
                "passes" => layer.passes = Some(entry.whole_number(1..=20)?),
                "failures" => layer.failures = Some(entry.whole_number(1..=100)?),
                "flakes" => layer.flakes = Some(entry.whole_number(0..=20)?),
                "timeout" => layer.timeout = Some(values::timeout(&entry)?),
                _ => return Err(section.unknown_key(&entry, &KEYS)),
            }
        }
        Ok(layer)
    }

    /// Puts the user's layer over this one, key by key; the ways to say an address are one thing.
    pub(super) fn overlaid_by(self, upper: Self) -> Self {
        Self {
            place: upper.place,
            name: self.name,
            address: upper.address.or(self.address),
            withheld: upper.withheld.or(self.withheld),
            service: upper.service.or(self.service),
            method: upper.method.or(self.method),
            status: upper.status.or(self.status),
            contains: upper.contains.or(self.contains),
            excludes: upper.excludes.or(self.excludes),
            equals: upper.equals.or(self.equals),
            depends: upper.depends.or(self.depends),
            max_latency: upper.max_latency.or(self.max_latency),
            commit: upper.commit.or(self.commit),
            passes: upper.passes.or(self.passes),
            failures: upper.failures.or(self.failures),
            flakes: upper.flakes.or(self.flakes),
            timeout: upper.timeout.or(self.timeout),
        }
    }

    /// The check; none, with a sentence why, when its only address is not trusted.
    pub(super) fn finish(mut self, left_out: &mut Vec<String>) -> Result<Option<HealthConfig>, ConfigError> {
        let address = match (self.address.take(), self.withheld.take()) {
            (Some(address), _) => self.with_service(address)?,
            (None, Some(sentence)) => {
                left_out.push(sentence);
                return Ok(None);
            }
            (None, None) => {
                let expected = "path = \"/health\", or url = \"https://...\", or tcp or grpc";
                return Err(self.place.error("target.health has neither path nor url", expected));
            }
        };
        self.check_kind(&address)?;
        let default = HealthConfig::of(address);
        Ok(Some(HealthConfig {
            name: self.name,
            method: self.method.unwrap_or(default.method),
            status: self.status.unwrap_or(default.status),
            contains: self.contains.unwrap_or(default.contains),
            excludes: self.excludes.unwrap_or(default.excludes),
            equals: self.equals.unwrap_or(default.equals),
            depends: self.depends.unwrap_or(default.depends),
            max_latency: self.max_latency.or(default.max_latency),
            commit: self.commit.or(default.commit),
            passes: self.passes.unwrap_or(default.passes),
            failures: self.failures.unwrap_or(default.failures),
            flakes: self.flakes.unwrap_or(default.flakes),
            timeout: self.timeout.unwrap_or(default.timeout),
            address: default.address,
        }))
    }

    fn with_service(&self, address: HealthAddress) -> Result<HealthAddress, ConfigError> {
        match (address, &self.service) {
            (HealthAddress::Grpc { url, user_named, .. }, Some(service)) => {
                Ok(HealthAddress::Grpc { url, service: service.clone(), user_named })
            }
            (_, Some(_)) => Err(self.place.error("target.health has a service without grpc", "grpc = \"https://...\"")),
            (address, None) => Ok(address),
        }
    }

    /// Refuses keys that the kind of check has no use for: what is not looked at must not seem to be.
    fn check_kind(&self, address: &HealthAddress) -> Result<(), ConfigError> {
        let is_http = matches!(address, HealthAddress::Path(_) | HealthAddress::Url { .. });
        let needs_body = [
            ("contains", self.contains.is_some()),
            ("excludes", self.excludes.is_some()),
            ("equals", self.equals.is_some()),
            ("depends", self.depends.is_some()),
        ];
        let http_only = [("method", self.method.is_some()), ("status", self.status.is_some())];
        let header_commit = matches!(self.commit, None | Some(CommitAssertion::Header { .. }));
        let useless = |keys: &[(&'static str, bool)]| keys.iter().find(|(_, is_set)| *is_set).map(|(key, _)| *key);
        let refuse = |key: &str, kind: &str| {
            let problem = format!("target.health has {key}, which means nothing to {kind}");
            Err(self.place.error(problem, "the keys of its kind only"))
        };
        if is_http {
            let is_head = self.method == Some(HealthMethod::Head);
            return match useless(&needs_body) {
                Some(key) if is_head => refuse(key, "a HEAD request, whose answer has no body"),
                _ if is_head && !header_commit => refuse("commit in the body", "a HEAD request"),
                _ => Ok(()),
            };
        }
        let is_tcp = matches!(address, HealthAddress::Tcp { .. });
        let kind = if is_tcp { "a TCP check" } else { "a gRPC check" };
        match useless(&needs_body).or_else(|| useless(&http_only)) {
            Some(key) => refuse(key, kind),
            None if is_tcp && self.commit.is_some() => refuse("commit", kind),
            None if !header_commit => refuse("commit outside of a header", kind),
            None => Ok(()),
        }
    }
}
