//! Test support: a hermetic place for git and the programs, and simulators of hosting providers.

#![forbid(unsafe_code)]

pub mod digitalocean;
pub mod health;
pub mod sandbox;
