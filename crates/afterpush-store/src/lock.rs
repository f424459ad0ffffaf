//! The run lock: `flock` on a file that is never deleted while its run exists. Whoever holds it is the run's one monitor.
//!
//! Invariant: at most one process holds it, and the system frees it when that process ends in whatever way. The descriptor
//! is close-on-exec, because a child that inherited it would keep the lock.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use fs2::FileExt;
use nix::fcntl::OFlag;

use crate::{error::StoreError, run_directory::RunDirectory};

/// How long to try again while only observers are in the way. Each holds its shared lock for microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// The held lock of one run. Dropping it, or the end of the process, frees it.
#[derive(Debug)]
pub struct RunLock {
    held: Held,
    run: RunDirectory,
}

impl RunLock {
    pub(crate) fn new(held: Held, run: RunDirectory) -> Self {
        Self { held, run }
    }

    /// The run whose lock this is.
    #[must_use]
    pub fn directory(&self) -> &RunDirectory {
        &self.run
    }

    /// Takes it apart for whoever holds the lock on in another shape.
    pub(crate) fn into_parts(self) -> (Held, RunDirectory) {
        (self.held, self.run)
    }
}

/// An open file with a lock on it.
#[derive(Debug)]
pub(crate) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing alone would free it only when no child that is just being started has a copy of the descriptor.
        let _ = FileExt::unlock(&self.0);
    }
}

/// Takes the exclusive lock on the file at `path`, making the file when there is none. `None`: somebody holds it.
///
/// An observer's shared lock is told from a holder's exclusive one by trying a shared lock too: that one fails only beside
/// an exclusive lock. So a look at the lock can never turn a starting monitor away.
pub(crate) fn try_exclusive(path: &Path) -> Result<Option<Held>, StoreError> {
    try_lock(path, true)
}

/// As [`try_exclusive`], but an error of the kind `NotFound` when there is no file.
pub(crate) fn try_exclusive_existing(path: &Path) -> Result<Option<Held>, StoreError> {
    try_lock(path, false)
}

fn try_lock(path: &Path, create: bool) -> Result<Option<Held>, StoreError> {
    let started = Instant::now();
    let mut pause = Duration::from_micros(50 + u64::from(std::process::id() % 100));
    while started.elapsed() < PATIENCE {
        let file = open(path, create)?;
        match FileExt::try_lock_exclusive(&file) {
            // The directory may have been moved aside between opening and locking: a lock on a file that nobody else can
            // find is worth nothing.
            Ok(()) => {
                let held = Held(file);
                if is_at(&held.0, path) {
                    return Ok(Some(held));
                }
                continue;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(StoreError::io(path, "lock")(error)),
        }
        if is_held_exclusively(file, path)? {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
    Ok(None)
}

/// Tells whether somebody holds the exclusive lock on the file at `path`.
pub(crate) fn is_held(path: &Path) -> Result<bool, StoreError> {
    match open(path, false) {
        Ok(file) => is_held_exclusively(file, path),
        Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the exclusive lock on an open file or directory, waiting for at most `limit`: for a few reads and writes that must
/// not interleave. `path` is only for the error.
pub(crate) fn wait_exclusive(file: File, path: &Path, limit: Duration) -> Result<Held, StoreError> {
    let started = Instant::now();
    loop {
        match FileExt::try_lock_exclusive(&file) {
            Ok(()) => return Ok(Held(file)),
            Err(error) if error.kind() == ErrorKind::WouldBlock && started.elapsed() < limit => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(StoreError::io(path, "lock")(error)),
        }
    }
}

/// Opened for reading and writing: NFS turns `flock` into a range lock that needs both.
fn open(path: &Path, create: bool) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(create)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
        .map_err(StoreError::io(path, "open"))
}

fn is_held_exclusively(file: File, path: &Path) -> Result<bool, StoreError> {
    match FileExt::try_lock_shared(&file) {
        Ok(()) => {
            drop(Held(file));
            Ok(false)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(StoreError::io(path, "look at the lock of")(error)),
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}
