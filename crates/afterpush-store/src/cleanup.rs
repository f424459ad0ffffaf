//! Removes finished runs that are older than a limit.
//!
//! Invariant: a run is removed only by who holds its lock, and only when it has a result and no newer attempt. It is
//! renamed aside first, so that readers see it whole or not at all, and an interrupted cleanup is finished by the next.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use afterpush_core::retention::is_expired;
use jiff::Timestamp;

use crate::{
    RepositoryStore, RunDirectory, atomic, disk,
    error::StoreError,
    lock,
    repository_store::REMOVING,
    run_directory::{AGAIN, LOCK, names_in},
};

/// How often the removal of one directory is repeated. What it then leaves is invisible, and the next cleanup's to remove.
const TRIES: usize = 5;

/// What a cleanup did, or in a dry run would do.
#[derive(Debug, Default)]
pub struct Cleanup {
    /// The removed runs.
    pub removed: Vec<RunDirectory>,
    /// The bytes of their files.
    pub bytes: u64,
    /// How many runs are younger than the limit.
    pub recent: usize,
    /// How many runs are not finished: a monitor holds the lock, or they are lost and wait to be resumed.
    pub unfinished: usize,
    /// Runs that were kept because a push came in just then. Its monitor may have found the directory moved: start one.
    pub wanted: Vec<RunDirectory>,
    /// Runs that were left alone because a file could not be read or removed.
    pub problems: Vec<StoreError>,
}

/// Removes the finished runs of one repository that ended longer than `older_than` before `now`.
///
/// # Errors
/// [`StoreError`] when the runs cannot be listed. Trouble with single runs is in [`Cleanup::problems`].
pub fn clean_up(
    store: &RepositoryStore,
    now: Timestamp,
    older_than: Duration,
    dry_run: bool,
) -> Result<Cleanup, StoreError> {
    let mut cleanup = Cleanup::default();
    for commit in store.commits_named("")? {
        let directory = store.runs_path().join(commit.as_str());
        if !dry_run {
            finish_interrupted(&directory, &mut cleanup)?;
        }
        for run in store.runs_of(&commit)? {
            match clean_run(&run, now, older_than, dry_run, &mut cleanup) {
                // Another cleanup was quicker.
                Err(problem) if problem.io_kind() == Some(ErrorKind::NotFound) => {}
                Err(problem) => cleanup.problems.push(problem),
                Ok(()) => {}
            }
        }
        if !dry_run {
            // Fails, as it should, while there is anything in it.
            let _ = fs::remove_dir(&directory);
        }
    }
    Ok(cleanup)
}

fn clean_run(
    run: &RunDirectory,
    now: Timestamp,
    older_than: Duration,
    dry_run: bool,
    cleanup: &mut Cleanup,
) -> Result<(), StoreError> {
    // Looked at without the lock first, so that most runs are not even touched.
    if !is_removable(run, now, older_than, cleanup)? {
        return Ok(());
    }
    if dry_run {
        match run.is_locked()? {
            true => cleanup.unfinished += 1,
            false => {
                cleanup.bytes += size(run.path());
                cleanup.removed.push(run.clone());
            }
        }
        return Ok(());
    }
    let Some(lock) = run.try_lock()? else {
        cleanup.unfinished += 1;
        return Ok(());
    };
    if !is_removable(run, now, older_than, cleanup)? {
        return Ok(());
    }
    let aside = aside_of(run.path());
    disk::rename(run.path(), &aside).map_err(StoreError::io(run.path(), "move aside"))?;
    let bytes = size(&aside);
    if remove_or_restore(&aside, run.path())? {
        cleanup.bytes += bytes;
        cleanup.removed.push(run.clone());
    } else {
        cleanup.wanted.push(run.clone());
    }
    drop(lock);
    Ok(())
}

fn is_removable(
    run: &RunDirectory,
    now: Timestamp,
    older_than: Duration,
    cleanup: &mut Cleanup,
) -> Result<bool, StoreError> {
    if run.again()?.is_some() {
        cleanup.unfinished += 1;
        return Ok(false);
    }
    let Some(result) = run.result()? else {
        cleanup.unfinished += 1;
        return Ok(false);
    };
    let is_old = is_expired(result.finished_at.unwrap_or(result.updated_at), now, older_than);
    if !is_old {
        cleanup.recent += 1;
    }
    Ok(is_old)
}

/// Ends what an interrupted cleanup began.
fn finish_interrupted(commit: &Path, cleanup: &mut Cleanup) -> Result<(), StoreError> {
    for name in names_in(commit)? {
        let Some(original) = name.strip_prefix(REMOVING) else {
            continue;
        };
        let (aside, original) = (commit.join(&name), commit.join(original));
        // Another cleanup that is still at work holds the lock. Where even the lock file is gone, nothing is left to decide;
        // making it anew would only be in the way of whoever removes the directory.
        let ended = match lock::try_exclusive_existing(&aside.join(LOCK)) {
            Ok(None) => continue,
            Ok(Some(_held)) => remove_or_restore(&aside, &original),
            Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => remove_or_restore(&aside, &original),
            Err(error) => Err(error),
        };
        match ended {
            Ok(true) => {}
            Ok(false) => cleanup.wanted.push(RunDirectory::at(&original)),
            Err(error) => cleanup.problems.push(error),
        }
    }
    Ok(())
}

/// Removes a run that was moved aside, or moves it back when a push came in before it was moved; tells whether it is gone.
///
/// Hooks write by path and look again afterwards: one that comes after the move makes the directory anew. So a push is
/// either in our hands by now, and moved back, or not concerned.
fn remove_or_restore(aside: &Path, original: &Path) -> Result<bool, StoreError> {
    if atomic::exists(&aside.join(AGAIN)) {
        match disk::rename(aside, original) {
            Ok(()) => return Ok(false),
            // A hook was quicker to make the directory anew: its request counts.
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {}
            Err(error) => return Err(StoreError::io(aside, "move back")(error)),
        }
    }
    // A system call that had found the directory before the move can still make a file in it; its caller looks again, sees
    // the directory gone and begins anew. Only the removal has to be repeated.
    for _ in 0..TRIES {
        match disk::remove_directory(aside) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::io(aside, "remove")(error)),
            _ => break,
        }
    }
    Ok(true)
}

/// The bytes of the files in a run's directory, which has no directories inside.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn aside_of(run: &Path) -> PathBuf {
    let name = run.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    run.with_file_name(format!("{REMOVING}{name}"))
}
