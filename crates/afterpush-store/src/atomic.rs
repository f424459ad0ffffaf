//! Every write and read of a file of the store: the one place that knows about temporary files, modes and fsync.
//!
//! Invariant: a reader of [`replace`]d or [`create`]d files sees the old text or the new one, never a part. Nothing here
//! follows a symbolic link in the last component of a path.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;

use crate::{disk, error::StoreError, random_name};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// The user: 0600.
    User,
    /// Everybody: 0644, whatever the umask is.
    Everybody,
}

/// What a write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The death of this process, not of the machine: after a power loss the file can hold its old text, and on file
    /// systems without ext4's `auto_da_alloc` it can be empty. Right for what is rewritten in seconds.
    Process,
    /// Also a power loss, once the call has returned: the text is synced before the rename, the directory after it. Without
    /// the second sync the old text could come back.
    Machine,
}

/// Puts `bytes` at `path`, in place of what is there.
pub(crate) fn replace(path: &Path, bytes: &[u8], access: Access, durability: Durability) -> Result<(), StoreError> {
    let temporary = Temporary::write(path, bytes, access, durability)?;
    disk::rename(&temporary.path, path).map_err(StoreError::io(path, "replace"))?;
    temporary.has_moved();
    if durability == Durability::Machine { sync_directory_of(path) } else { Ok(()) }
}

/// Puts `bytes` at `path` if nothing is there, durably; tells whether it did. Of many racing calls one gets `true`.
pub(crate) fn create(path: &Path, bytes: &[u8], access: Access) -> Result<bool, StoreError> {
    let temporary = Temporary::write(path, bytes, access, Durability::Machine)?;
    match disk::link(&temporary.path, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        // A file system without hard links (FAT, some shared folders): two racing calls can then both get `true`, and the
        // later text stays. Both are whole, and the monitors arbitrate by their lock.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            if exists(path) {
                return Ok(false);
            }
            disk::rename(&temporary.path, path).map_err(StoreError::io(path, "create"))?;
            temporary.has_moved();
            return sync_directory_of(path).map(|()| true);
        }
        Err(error) => return Err(StoreError::io(path, "create")(error)),
    }
    drop(temporary);
    sync_directory_of(path).map(|()| true)
}

/// Gives a file another name in the same directory, durably. `false` when there is no such file.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<bool, StoreError> {
    match disk::rename(from, to) {
        Ok(()) => sync_directory_of(to).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io(from, "rename")(error)),
    }
}

/// Appends one line by one write. Not synced.
///
/// A line that a crash cut short is closed first: only that one is lost to readers, not also the next. The caller makes
/// sure that there is one writer at a time.
pub(crate) fn append_line(path: &Path, line: &str) -> Result<(), StoreError> {
    let mut file = open_for_append(path)?;
    append_to(&mut file, path, line).map_err(StoreError::io(path, "write to"))
}

/// Appends one line as long as the file stays within `limit` bytes; the line that does not fit is cut, and `notice` is the last line.
pub(crate) fn append_line_within(path: &Path, line: &str, limit: u64, notice: &str) -> Result<(), StoreError> {
    let mut file = open_for_append(path)?;
    let size = file.metadata().map_err(StoreError::io(path, "look at"))?.len();
    let room = limit.saturating_sub(size);
    if room == 0 {
        return Ok(());
    }
    let outcome = match usize::try_from(room) {
        Ok(room) if line.len() >= room => {
            let cut = &line[..line.floor_char_boundary(room)];
            // Filled up to the limit, so that every later call finds no room: the notice stands there once.
            append_to(&mut file, path, &format!("{cut}{}\n{notice}", " ".repeat(room - cut.len())))
        }
        _ => append_to(&mut file, path, line),
    };
    outcome.map_err(StoreError::io(path, "write to"))
}

/// Reads a regular file of at most `limit` bytes. `None` when there is none.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    // O_NONBLOCK so that a planted named pipe does not hang the reader; it means nothing for a regular file.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err(StoreError::not_ours(path, "it is a symbolic link"));
        }
        Err(error) => return Err(StoreError::io(path, "read")(error)),
    };
    let found = file.metadata().map_err(StoreError::io(path, "look at"))?;
    if !found.is_file() {
        return Err(StoreError::not_ours(path, "it is not a regular file"));
    }
    // Room for all of it and one more byte: the text comes by one read, and its end by another.
    let mut bytes = Vec::with_capacity(usize::try_from(found.len().min(limit)).unwrap_or(0) + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(StoreError::io(path, "read"))?;
    if bytes.len() as u64 > limit {
        return Err(StoreError::not_ours(path, format!("it is larger than {limit} bytes")));
    }
    Ok(Some(bytes))
}

/// Makes sure that `path` is a directory and no symbolic link. Its parent must exist.
///
/// A new one gets 0755 whatever the umask is: the status in it is for everybody.
pub(crate) fn ensure_directory(path: &Path) -> Result<(), StoreError> {
    match disk::create_directory(path) {
        Ok(()) => {
            let mode = fs::symlink_metadata(path).map_err(StoreError::io(path, "look at"))?.permissions().mode();
            if mode & 0o777 != 0o755 {
                fs::set_permissions(path, Permissions::from_mode(0o755))
                    .map_err(StoreError::io(path, "open to readers"))?;
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(StoreError::not_ours(path, "it is not a directory; remove it")),
            Err(error) => Err(StoreError::io(path, "look at")(error)),
        },
        Err(error) => Err(StoreError::io(path, "create")(error)),
    }
}

/// Creates an empty file, or leaves what is there.
pub(crate) fn touch(path: &Path) -> Result<(), StoreError> {
    match disk::create(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::io(path, "create")(error)),
    }
}

/// Removes a file; that there is none is fine.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    match disk::remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(path, "remove")(error)),
        _ => Ok(()),
    }
}

/// Tells whether there is anything at `path`, a dangling symbolic link included.
pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Makes the entries of a directory survive a power loss.
fn sync_directory(path: &Path) -> Result<(), StoreError> {
    disk::sync_directory(path).map_err(StoreError::io(path, "sync"))
}

/// Opens a directory, for a sync or a lock.
pub(crate) fn open_directory(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(StoreError::io(path, "open"))
}

fn sync_directory_of(path: &Path) -> Result<(), StoreError> {
    path.parent().map_or(Ok(()), sync_directory)
}

/// Opens a file that lines are appended to, making it when there is none.
pub(crate) fn open_for_append(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
        .map_err(StoreError::io(path, "open"))
}

fn append_to(file: &mut File, path: &Path, line: &str) -> io::Result<()> {
    let mut text = String::with_capacity(line.len() + 2);
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text.push_str(line);
    text.push('\n');
    disk::append(file, path, &text)
}

/// A temporary file beside its later place, removed when it did not get there.
struct Temporary {
    path: PathBuf,
    moved: bool,
}

impl Temporary {
    fn write(target: &Path, bytes: &[u8], access: Access, durability: Durability) -> Result<Self, StoreError> {
        let name = target.file_name().and_then(|name| name.to_str()).unwrap_or("file");
        let random = random_name().map_err(StoreError::io(target, "name a temporary file for"))?;
        let path = target.with_file_name(format!(".{name}.{random}.tmp"));
        let mut file = disk::create(&path).map_err(StoreError::io(&path, "create"))?;
        let temporary = Self { path, moved: false };
        let action = StoreError::io(&temporary.path, "write");
        // A failed sync is final for this file: the kernel may have dropped the pages, so a second try could lie.
        let written = disk::write(&mut file, &temporary.path, bytes).and_then(|()| {
            if access == Access::Everybody {
                // Widened before anybody can find it by name: a monitor's umask of 077 must not hide the status.
                file.set_permissions(Permissions::from_mode(0o644))?;
            }
            if durability == Durability::Machine { disk::sync(&file, &temporary.path) } else { Ok(()) }
        });
        written.map_err(action)?;
        Ok(temporary)
    }

    fn has_moved(mut self) {
        self.moved = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.moved {
            // Best effort: a stray temporary file is invisible to readers and goes with its run.
            let _ = disk::remove(&self.path);
        }
    }
}
