//! Facts of one git repository: commits, refs, reflogs, remotes, ancestry; read, never written.
//!
//! [`Git`] reads by libgit2, which costs well under a millisecond, and asks the `git` program where libgit2 cannot read the
//! repository (reftable, SHA-256, extensions that it does not know). Invariant: nothing here changes a repository,
//! touches the network or overrides git's ownership check; the one command that goes to the network is only built here
//! ([`ls_remote_command`]), and run by whoever owns the time limit.

#![forbid(unsafe_code)]

mod error;
mod layout;
mod library;
mod login;
mod migrations;
mod program;
mod reflog;
mod remote;
mod repository;
mod tree;

pub use error::GitError;
pub use migrations::MigrationsError;
pub use remote::{ls_remote_command, read_ls_remote};
pub use repository::Git;
pub use tree::TreeFile;
