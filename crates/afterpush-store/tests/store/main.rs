//! The store as its users see it: files, locks and processes, on a real file system.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cleanup;
mod files;
mod fixture;
mod frozen;
mod liveness;
mod places;
mod trust;
