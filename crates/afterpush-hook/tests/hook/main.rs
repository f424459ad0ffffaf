//! The installed hook under real git: real repositories, real pushes, a stand-in for the monitor that notes how it was started.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod callers;
mod fixture;
mod input;
mod pushes;
mod shim;
mod silence;
mod watchdog;
