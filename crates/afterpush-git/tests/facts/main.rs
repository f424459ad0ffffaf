//! Facts of real repositories that real git has made: ordinary, bare, linked, packed, reftable and SHA-256.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod pushes;
mod reading;
mod remotes;
mod sandbox;
mod trees;
