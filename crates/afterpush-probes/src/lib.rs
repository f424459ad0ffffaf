//! The two probes that prove a deployment from outside the hosting provider: a row of the deployments table, and the
//! health checks over HTTP, TCP and gRPC.
//!
//! Each `ask` makes exactly one observation or one fault. Probes decide nothing: how many passes or failures count, and
//! when to ask again, is the state machine's business. Invariant: no address of a database, no credential and no query of
//! a URL is ever part of a message.

#![forbid(unsafe_code)]

pub mod database;
pub mod health;

pub use database::{DatabaseProbe, MigrationsProbe};
pub use health::{HealthChecks, HealthProbe};
