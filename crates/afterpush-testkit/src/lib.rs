//! Test support: a hermetic place for git and the programs, simulators of hosting providers, the real hook managers.

#![forbid(unsafe_code)]

pub mod databases;
pub mod digitalocean;
pub mod health;
pub mod managers;
pub mod migration_tools;
pub mod nginx;
pub mod sandbox;
