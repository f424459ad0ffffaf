//! The pre-push hook: reads what git is about to push, puts it on record, starts the monitors, and is gone in milliseconds.
//!
//! Invariant: a push is never hung or slowed by it, and stopped only when the user's own `[before_push]` says so. It ends with
//! exit code 0 whatever else happens, never panics outwards, asks no network, waits for nobody (for one `git rev-list` of at
//! most 200 ms, where only that tells whether a branch is behind), and says at most one line about a push, and one for each
//! courtesy that has something to say.
//!
//! Strict mode adds a second entry, for git's reference-transaction hook, under the same rules but one: it asks git for the
//! remotes' configuration.

#![forbid(unsafe_code)]

mod courtesy;
mod hook;
mod input;
mod push;
mod say;
mod strict;
mod watchdog;

pub use hook::{REFUSAL, run};
