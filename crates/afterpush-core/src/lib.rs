//! The pure heart of afterpush: everything that decides, and nothing that acts.
//!
//! Invariant: no clock, no file, no environment, no process, no socket and no randomness in this crate. Time arrives as
//! an argument, jitter arrives with an event, texts arrive as strings. That is why hours of a deployment are tested in
//! milliseconds, and why hook, monitor and command line agree on every word without sharing memory.

#![forbid(unsafe_code)]

pub mod checklist;
pub mod config;
pub mod duration;
pub mod fault;
pub mod file;
pub mod id;
pub mod integration;
pub mod machine;
pub mod migrations;
pub mod observation;
pub mod policy;
pub mod porcelain;
pub mod push;
pub mod redact;
pub mod refspec;
pub mod retention;
pub mod run;
pub mod text;
