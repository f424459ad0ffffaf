//! The simulated DigitalOcean: that it is as the vendor says, and that the provider's code gets along with it over HTTP.

#![allow(clippy::unwrap_used)]

mod client;
mod provider;
mod schema;
mod vendor;

/// A commit.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Another.
const LATER: &str = "fedcba9876543210fedcba9876543210fedcba98";
