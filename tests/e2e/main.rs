//! The main job with real parts: real git, the real programs, real processes and signals, a simulated provider that follows
//! its vendor's specification. One binary, so that it links once.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod bad_input;
mod config_hooks;
mod courtesies;
mod demo;
mod gits;
mod hanging;
mod health;
mod hook_places;
mod house;
mod installer_kills;
mod managers;
mod migrations;
mod monitors;
mod next_push;
mod open_ends;
mod outcomes;
mod places;
mod push_command;
mod push_conflicts;
mod push_place;
mod pushes;
mod reconciliation;
mod reference;
mod refs;
mod scene;
mod schedule;
mod strict;
