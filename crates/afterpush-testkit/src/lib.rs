//! Test support: a hermetic place for git and the programs, simulators of hosting providers, the real hook managers.

#![forbid(unsafe_code)]

pub mod certificates;
pub mod databases;
pub mod digitalocean;
pub mod git_server;
pub mod health;
pub mod line;
pub mod managers;
pub mod migration_tools;
pub mod sandbox;
