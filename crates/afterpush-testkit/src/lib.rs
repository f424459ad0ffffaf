//! Test support: a hermetic place for git and the programs, simulators of hosting providers, real programs from their packages.

#![forbid(unsafe_code)]

pub mod databases;
pub mod digitalocean;
pub mod health;
pub mod managers;
pub mod migration_tools;
pub mod prism;
pub mod sandbox;
