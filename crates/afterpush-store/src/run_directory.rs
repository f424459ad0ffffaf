//! One run on disk: who may say what about it, and whether anybody watches it.
//!
//! Invariant: this side never writes what the monitor writes (see `writer`), and never removes or replaces what it cannot read.

use std::{
    ffi::OsStr,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use afterpush_core::{
    file::{self, MonitorPid, Report, Request, SchemaName},
    text::plain_json,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::{
    atomic::{self, Access, Durability},
    error::StoreError,
    lock::{self, RunLock},
};

/// How long after a push its monitor may take to show itself.
const START: Duration = Duration::from_secs(10);
/// No document of ours comes near this.
const LONGEST_DOCUMENT: u64 = 1 << 20;
/// The provider's log is a few lines; more than this is not ours.
const LONGEST_LOG: u64 = 4 << 20;
/// How often a request is written anew because cleanup moved its directory away in the same moment.
const TRIES: usize = 5;

pub(crate) const REQUEST: &str = "request.json";
pub(crate) const AGAIN: &str = "again.json";
/// What the name of an earlier push's result begins with.
pub(crate) const EARLIER_RESULT: &str = "result-";
pub(crate) const STATUS: &str = "status.json";
pub(crate) const RESULT: &str = "result.json";
pub(crate) const MONITOR: &str = "monitor.pid";
pub(crate) const LOCK: &str = "monitor.lock";
pub(crate) const STOP: &str = "stop";
const SHOWN: &str = "shown";

/// The directory of one run. Naming one does not create it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunDirectory {
    path: PathBuf,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is the first for this commit, remote and ref.
    New,
    /// The same `git push` process has asked before, for another address of the same remote: nothing was written.
    SamePush,
    /// The commit was pushed to the ref before: this is a new attempt, which the next monitor takes up.
    Again,
}

/// Whether anybody watches a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// A monitor holds the lock.
    Running,
    /// There is a result.
    Finished,
    /// The push was seconds ago, and its monitor has not shown itself yet.
    Starting,
    /// There is a request, and nobody watches it.
    Lost,
    /// There is no such run.
    Absent,
}

impl RunDirectory {
    /// The run directory at `path`, which may or may not exist.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The request.
    ///
    /// # Errors
    /// [`StoreError`] when it is there and cannot be used.
    pub fn request(&self) -> Result<Option<Request>, StoreError> {
        self.document(REQUEST, SchemaName::Request)
    }

    /// The request of a later push of the same commit to the same ref, which no monitor has taken up yet.
    ///
    /// # Errors
    /// [`StoreError`] when it is there and cannot be used.
    pub fn again(&self) -> Result<Option<Request>, StoreError> {
        self.document(AGAIN, SchemaName::Request)
    }

    /// The newest status.
    ///
    /// # Errors
    /// [`StoreError`] when it is there and cannot be used.
    pub fn status(&self) -> Result<Option<Report>, StoreError> {
        self.unless_emptied(STATUS, || self.document(STATUS, SchemaName::Status))
    }

    /// The result. With [`RunDirectory::again`] beside it, it is the result of an earlier attempt.
    ///
    /// # Errors
    /// [`StoreError`] when it is there and cannot be used.
    pub fn result(&self) -> Result<Option<Report>, StoreError> {
        self.document(RESULT, SchemaName::Result)
    }

    /// How earlier pushes of the same commit to the same ref have ended, as far as it can be read.
    #[must_use]
    pub fn earlier_results(&self) -> Vec<Report> {
        let names =
            names_in(&self.path).unwrap_or_default().into_iter().filter(|name| name.starts_with(EARLIER_RESULT));
        names.filter_map(|name| self.document(&name, SchemaName::Result).ok().flatten()).collect()
    }

    /// Which process the monitor is. Not a proof that it lives: that is [`RunDirectory::is_locked`].
    ///
    /// # Errors
    /// [`StoreError`] when it is there and cannot be used.
    pub fn monitor(&self) -> Result<Option<MonitorPid>, StoreError> {
        self.unless_emptied(MONITOR, || read_json(&self.path.join(MONITOR)))
    }

    /// Reads what is written without a sync: a power loss can leave it without its text, empty or as zeros. That says as much
    /// as no file does, and must not keep the run from being resumed.
    fn unless_emptied<T>(
        &self,
        name: &str,
        read: impl FnOnce() -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let text = atomic::read(&self.path.join(name), LONGEST_DOCUMENT)?;
        if text.is_some_and(|text| text.iter().all(|byte| *byte == 0)) { Ok(None) } else { read() }
    }

    /// Records a request durably, making the directory where needed. A monitor is to be started in any case.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be written, or when the request that is there cannot be read.
    pub fn write_request(&self, request: &Request) -> Result<Recorded, StoreError> {
        for _ in 0..TRIES {
            match self.try_write_request(request) {
                Ok(Some(recorded)) => return Ok(recorded),
                // Cleanup moved the directory away between two of our steps.
                Ok(None) => {}
                Err(error) if error.io_kind() == Some(ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::not_ours(&self.path, "it disappears while it is written to"))
    }

    fn try_write_request(&self, request: &Request) -> Result<Option<Recorded>, StoreError> {
        self.ensure()?;
        let text = to_json(request, &self.path)?;
        let first = self.path.join(REQUEST);
        if atomic::create(&first, &text, Access::User)? {
            return Ok(atomic::exists(&first).then_some(Recorded::New));
        }
        let is_same = |known: &Option<Request>| {
            let pusher = |request: &Request| request.pusher.as_ref().map(|pusher| pusher.process.clone());
            pusher(request).is_some() && known.as_ref().and_then(pusher) == pusher(request)
        };
        if is_same(&self.request()?) || is_same(&self.again()?) {
            return Ok(Some(Recorded::SamePush));
        }
        atomic::replace(&self.path.join(AGAIN), &text, Access::User, Durability::Machine)?;
        // A monitor may have taken it up by now; but when the first request is gone too, cleanup has moved the directory away.
        Ok(atomic::exists(&first).then_some(Recorded::Again))
    }

    /// Makes the directory and the two above it, which hold nothing but runs.
    ///
    /// Their names are not synced one by one. ext4, XFS and btrfs keep the order of such changes: the sync of the run's
    /// directory, which follows, brings the names above it along. POSIX does not promise that; two more syncs for each push
    /// would be the price.
    fn ensure(&self) -> Result<(), StoreError> {
        if !atomic::exists(&self.path) {
            let above: Vec<_> = self.path.ancestors().skip(1).take(2).collect();
            for directory in above.into_iter().rev() {
                atomic::ensure_directory(directory)?;
            }
        }
        atomic::ensure_directory(&self.path)
    }

    /// Takes the run's lock without waiting. `None`: a monitor (or cleanup) holds it.
    ///
    /// # Errors
    /// [`StoreError`] when there is no such directory, or the lock cannot be used.
    pub fn try_lock(&self) -> Result<Option<RunLock>, StoreError> {
        Ok(lock::try_exclusive(&self.path.join(LOCK))?.map(|held| RunLock::new(held, self.clone())))
    }

    /// Tells whether a monitor holds the run's lock. Never in the way of a monitor that is just starting.
    ///
    /// # Errors
    /// [`StoreError`] when the lock file cannot be opened.
    pub fn is_locked(&self) -> Result<bool, StoreError> {
        lock::is_held(&self.path.join(LOCK))
    }

    /// Tells whether there is a result, and no later push that waits for its monitor. Much cheaper than
    /// [`RunDirectory::liveness`], for whoever looks at every stored run.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        // In this order: a monitor that takes a later push up removes the result first.
        !atomic::exists(&self.path.join(AGAIN)) && atomic::exists(&self.path.join(RESULT))
    }

    /// Tells whether anybody watches the run.
    ///
    /// # Errors
    /// [`StoreError`] when the lock or a file that decides cannot be read.
    pub fn liveness(&self, now: Timestamp) -> Result<Liveness, StoreError> {
        // The lock first: a monitor writes its result before it lets go, so a free lock means that the result is visible.
        if self.is_locked()? {
            return Ok(Liveness::Running);
        }
        let again = self.again()?;
        if again.is_none() && atomic::exists(&self.path.join(RESULT)) {
            return Ok(Liveness::Finished);
        }
        let newest = match again {
            Some(again) => again,
            None => match self.request()? {
                Some(request) => request,
                None => return Ok(Liveness::Absent),
            },
        };
        // Either way from now: after the clock was set back a request must not be "starting" for hours.
        let is_young = now.duration_since(newest.pushed_at).unsigned_abs() < START;
        let was_watched = self.status()?.is_some_and(|status| status.request_id == newest.id);
        if is_young && !was_watched {
            return Ok(Liveness::Starting);
        }
        // A monitor may have begun, or even ended, since the first look.
        if self.is_locked()? {
            return Ok(Liveness::Running);
        }
        Ok(if self.is_finished() { Liveness::Finished } else { Liveness::Lost })
    }

    /// Asks the monitor to stop. It looks within a second.
    ///
    /// # Errors
    /// [`StoreError`] when the request to stop cannot be written.
    pub fn request_stop(&self) -> Result<(), StoreError> {
        atomic::touch(&self.path.join(STOP))
    }

    /// Tells whether somebody asked the monitor to stop.
    #[must_use]
    pub fn stop_requested(&self) -> bool {
        atomic::exists(&self.path.join(STOP))
    }

    /// Notes that the person has been told how this run ended.
    ///
    /// # Errors
    /// [`StoreError`] when the note cannot be written.
    pub fn mark_shown(&self) -> Result<(), StoreError> {
        atomic::touch(&self.path.join(SHOWN))
    }

    /// Tells whether the person has been told how this run ended.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        atomic::exists(&self.path.join(SHOWN))
    }

    pub(crate) fn forget_shown(&self) -> Result<(), StoreError> {
        atomic::remove(&self.path.join(SHOWN))
    }

    /// The last lines of the provider's log, when a failure left some.
    ///
    /// # Errors
    /// [`StoreError`] when it is there and cannot be read.
    pub fn provider_log(&self) -> Result<Option<String>, StoreError> {
        let bytes = atomic::read(&self.provider_log_path(), LONGEST_LOG)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Where the monitor's own log is.
    #[must_use]
    pub fn monitor_log_path(&self) -> PathBuf {
        self.path.join("monitor.log")
    }

    /// Where the last lines of the provider's log are.
    #[must_use]
    pub fn provider_log_path(&self) -> PathBuf {
        self.path.join("provider.log")
    }

    /// Where the monitor's events are, one JSON document a line.
    #[must_use]
    pub fn events_path(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    fn document<T: DeserializeOwned>(&self, name: &str, schema: SchemaName) -> Result<Option<T>, StoreError> {
        let path = self.path.join(name);
        let Some(text) = atomic::read(&path, LONGEST_DOCUMENT)? else {
            return Ok(None);
        };
        file::read(&text, schema).map(Some).map_err(|source| StoreError::Unreadable { path, source })
    }
}

/// Reads a small JSON file that has no version of its own.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let Some(text) = atomic::read(path, LONGEST_DOCUMENT)? else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&text);
    value.map(Some).map_err(|source| StoreError::Malformed { path: path.to_owned(), source })
}

/// Writes JSON for people too: indented, with a line end. `path` is only for the error.
pub(crate) fn to_json(value: &impl serde::Serialize, path: &Path) -> Result<Vec<u8>, StoreError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|source| StoreError::Malformed { path: path.to_owned(), source })?;
    Ok((plain_json(&text) + "\n").into_bytes())
}

/// The names in a directory that are valid UTF-8, sorted; none when there is no such directory.
pub(crate) fn names_in(path: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io(path, "list")(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(StoreError::io(path, "list"))?.file_name();
        names.extend(OsStr::to_str(&name).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}
