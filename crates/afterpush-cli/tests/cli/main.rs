//! The commands from outside: the real binary, real git, stored runs as the monitor would have left them.
#![allow(clippy::unwrap_used)]

mod cleanup;
mod hooks;
mod place;
mod status;
mod stop;
mod strangers;
mod usage;
