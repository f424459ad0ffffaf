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
        match take(open(path, create)?, path)? {
            Taken::Held(held) => return Ok(Some(held)),
            Taken::Busy => return Ok(None),
            Taken::Moved => {}
            Taken::Observed => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(5));
            }
        }
    }
    Ok(None)
}

/// What came of one attempt at an open lock file.
#[derive(Debug)]
enum Taken {
    /// It is ours.
    Held(Held),
    /// Somebody holds it.
    Busy,
    /// Nobody holds it; somebody was just looking.
    Observed,
    /// The file is no longer the one at its path: a lock that nobody else can find is worth nothing.
    Moved,
}

fn take(file: File, path: &Path) -> Result<Taken, StoreError> {
    match FileExt::try_lock_exclusive(&file) {
        Ok(()) => {
            let held = Held(file);
            Ok(if is_at(&held.0, path) { Taken::Held(held) } else { Taken::Moved })
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Ok(if is_held_exclusively(file, path)? { Taken::Busy } else { Taken::Observed })
        }
        Err(error) => Err(StoreError::io(path, "lock")(error)),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn t7_an_attempt_tells_a_holder_from_an_observer_and_a_moved_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let fresh = || open(&path, true).unwrap();
        let Taken::Held(held) = take(fresh(), &path).unwrap() else { panic!("it is free") };
        assert!(matches!(take(fresh(), &path).unwrap(), Taken::Busy));
        assert!(is_held(&path).unwrap());
        // A child that is just being started has a copy of every descriptor; the lock is free all the same.
        let copy = held.0.try_clone().unwrap();
        drop(held);
        assert!(!is_held(&path).unwrap());
        drop(copy);

        let observer = fresh();
        FileExt::try_lock_shared(&observer).unwrap();
        assert!(matches!(take(fresh(), &path).unwrap(), Taken::Observed));
        assert!(!is_held(&path).unwrap(), "observers do not see each other");
        drop(Held(observer));

        // Opened before the move, locked after it.
        let opened = fresh();
        fs::rename(&path, directory.path().join("aside")).unwrap();
        assert!(matches!(take(opened, &path).unwrap(), Taken::Moved));
        fs::write(&path, "").unwrap();
        let of_the_old_one = open(&directory.path().join("aside"), false).unwrap();
        assert!(matches!(take(of_the_old_one, &path).unwrap(), Taken::Moved), "another file is at the path now");
    }
}
