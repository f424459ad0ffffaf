//! The calls that change the file system: each is announced here first, so that a test can refuse it, or end its caller there.
//!
//! Invariant: without a watcher nothing differs from the bare call, and a release build has no watcher. Nothing here decides
//! what is written; that is `atomic`'s.

use std::{
    cell::RefCell,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    rc::Rc,
};

/// A call that is about to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// A new file appears at the path.
    Create,
    /// The file at the path gets text.
    Write,
    /// A line is appended to the file at the path.
    Append,
    /// The text of the file at the path becomes durable.
    Sync,
    /// What is at the path gets this name instead.
    Rename(&'a Path),
    /// What is at the path gets this name as well.
    Link(&'a Path),
    /// The names in the directory at the path become durable.
    SyncDirectory,
    /// The file at the path goes.
    Remove,
    /// A directory appears at the path.
    CreateDirectory,
    /// The directory at the path goes, with everything in it.
    RemoveDirectory,
}

/// Hears of every change that the thread is about to make; an error refuses it.
pub type Watcher = Rc<dyn Fn(Change<'_>, &Path) -> io::Result<()>>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// Has the changes of this thread announced to `watcher`, or to nobody any more. For tests: without effect in a release build.
pub fn watch(watcher: Option<Watcher>) {
    WATCHER.with(|slot| *slot.borrow_mut() = watcher);
}

fn announce(change: Change<'_>, path: &Path) -> io::Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    // Taken out of the cell, so that the watcher may itself use the store.
    let watcher = WATCHER.with(|slot| slot.borrow().clone());
    watcher.map_or(Ok(()), |watcher| watcher(change, path))
}

pub(crate) fn create(path: &Path) -> io::Result<File> {
    announce(Change::Create, path)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(crate) fn write(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Err(refusal) = announce(Change::Write, path) {
        // A disk that is full takes what still fits.
        file.write_all(&bytes[..bytes.len() / 2])?;
        return Err(refusal);
    }
    file.write_all(bytes)
}

pub(crate) fn append(file: &mut File, path: &Path, text: &str) -> io::Result<()> {
    announce(Change::Append, path)?;
    file.write_all(text.as_bytes())
}

pub(crate) fn sync(file: &File, path: &Path) -> io::Result<()> {
    announce(Change::Sync, path)?;
    file.sync_all()
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    announce(Change::Rename(to), from)?;
    fs::rename(from, to)
}

pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    announce(Change::Link(to), from)?;
    fs::hard_link(from, to)
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    announce(Change::SyncDirectory, path)?;
    File::open(path)?.sync_all()
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    announce(Change::Remove, path)?;
    fs::remove_file(path)
}

pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    announce(Change::CreateDirectory, path)?;
    DirBuilder::new().mode(0o755).create(path)
}

pub(crate) fn remove_directory(path: &Path) -> io::Result<()> {
    announce(Change::RemoveDirectory, path)?;
    fs::remove_dir_all(path)
}
