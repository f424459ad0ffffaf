//! The pre-push hook: reads what git is about to push, puts it on record, starts the monitors, and is gone in milliseconds.
//!
//! Invariant: a push is never stopped, hung or slowed by it. It ends with exit code 0 whatever happens, never panics
//! outwards, starts no git, asks no network, waits for nobody, and says at most one line about a push. (A second line, once,
//! when the branch's last push failed unseen.)
//!
//! Strict mode adds a second entry, for git's reference-transaction hook, under the same rules but one: it asks git for the
//! remotes' configuration.

#![forbid(unsafe_code)]

mod hook;
mod input;
mod push;
mod say;
mod strict;
mod watchdog;

pub use hook::run;
