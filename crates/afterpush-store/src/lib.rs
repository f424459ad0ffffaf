//! The run store on disk: where runs live, who holds one, and how their files are written and read.
//!
//! Invariant: a file that others read is replaced whole or not at all, a lock file is never deleted while its run exists,
//! and a file that cannot be read is reported, never replaced. Synchronous; no network, and no git beyond reading its
//! pointer files.

#![forbid(unsafe_code)]

mod answers;
mod atomic;
mod cleanup;
mod configuration;
pub mod disk;
mod environment;
mod error;
mod lock;
mod places;
pub mod process;
mod repository;
mod repository_store;
mod root;
mod run_directory;
mod slug;
mod start;
mod trust;
mod turns;
mod unseen;
mod writer;

pub use answers::{AnswerKey, AnswerLock, Answers, KeptAnswer};
pub use cleanup::{Cleanup, clean_up};
pub use configuration::{CONFIG_FILE, ConfigFile, ConfigFiles, ConfigFilesError, LARGEST_CONFIG, most_monitors};
pub use environment::{Environment, credentials_path, user_config_path};
pub use error::StoreError;
pub use lock::RunLock;
pub use places::{Admission, Place, Places};
pub use process::{find_pusher, pusher_at};
pub use repository::{Repository, RepositoryError};
pub use repository_store::{HeadMark, RepositoryStore};
pub use root::StateRoot;
pub use run_directory::{Liveness, Recorded, RunDirectory};
pub use start::{StartError, Work, is_proxy, is_visible, start_monitor};
pub use trust::TrustStore;
pub use turns::Turn;
pub use unseen::{Adoption, UnseenError, lost_runs};
pub use writer::RunWriter;

use std::{io, path::Path};

/// Reads a small file that somebody else wrote: a regular file, not a link, of at most `limit` bytes; `None` when absent.
///
/// For configuration in a work tree, which a stranger may have planted: it never follows a symbolic link, waits for a
/// named pipe or swallows a huge file.
///
/// # Errors
/// [`StoreError`] with the path, when it is there and cannot be used.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    atomic::read(path, limit)
}

/// A random name of 32 hexadecimal digits, for requests and nonces.
///
/// # Errors
/// When the system has no random numbers.
pub fn random_name() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(slug::hex(&bytes))
}
