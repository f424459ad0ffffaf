//! Test support: a hermetic place for git and the programs, simulators of hosting providers, a server that means
//! harm, the real hook managers.

#![forbid(unsafe_code)]

pub mod canary;
pub mod databases;
pub mod digitalocean;
pub mod health;
pub mod hostile;
pub mod managers;
pub mod migration_tools;
pub mod sandbox;
pub mod settings;
