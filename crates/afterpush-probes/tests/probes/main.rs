//! The probes against real SQLite files and real sockets.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod database;
mod databases;
mod health;
mod server;
