//! The probes against real SQLite files and real sockets.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod database;
mod databases;
mod front;
mod health;
mod health_kinds;
mod health_nginx;
mod health_tls;
mod migrations;
mod server;
