//! The store between real processes.
//!
//! Apart from the other tests because these start processes: a child has copies of all descriptors of this process for the
//! moment between fork and exec, so that a lock that another test just freed would now and then still be held.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../store/fixture.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod fixture;
mod identity;
mod locks;
mod modes;
mod start;
mod waiting;
