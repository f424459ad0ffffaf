//! The background monitor: follows one push from its request to its result.
//!
//! It is one loop ([`driver::drive`]) that turns every timer, answer and signal into an event for the pure machine of
//! `afterpush-core`, and carries out what that decides. Everything here acts; nothing here decides.

pub mod changes;
pub mod clock;
pub mod cluster;
pub mod credentials;
mod database;
pub mod database_address;
pub mod detach;
pub mod doctor;
pub mod driver;
mod echo;
pub mod life;
pub mod program;
pub mod pusher;
pub mod reconcile;
pub mod recorder;
mod relations;
mod remote;
pub mod row;
pub mod run;
pub mod secrets;
pub mod sharing;
pub mod sources;
mod successor;
pub mod surroundings;
pub mod sys;
pub mod transport;
mod world;
