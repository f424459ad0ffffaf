//! Test support: a hermetic place for git and the programs, simulators of hosting providers, a server that means
//! harm, real programs from their packages.

#![forbid(unsafe_code)]

pub mod canary;
pub mod certificates;
pub mod databases;
pub mod digitalocean;
pub mod git_server;
pub mod health;
pub mod hostile;
pub mod line;
mod listener;
pub mod managers;
pub mod migration_tools;
pub mod nginx;
pub mod previews;
pub mod prism;
pub mod sandbox;
pub mod settings;
