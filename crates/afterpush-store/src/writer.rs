//! Everything that a monitor writes into its run directory, possible only while it holds the run's lock.
//!
//! Invariant: one writer a file. A directory that was removed is not made again: the monitor of a removed run writes nowhere.

use afterpush_core::{
    file::{MonitorPid, Report},
    text::{clean_line, plain_json},
};
use jiff::Timestamp;

use crate::{
    atomic::{self, Access, Durability},
    error::StoreError,
    lock::{Held, RunLock},
    run_directory::{AGAIN, EARLIER_RESULT, MONITOR, REQUEST, RESULT, RunDirectory, STATUS, STOP, to_json},
    slug,
};

/// The size at which monitor.log ends.
const LONGEST_MONITOR_LOG: u64 = 256 << 10;

/// The writing side of one run; holds the run's lock.
#[derive(Debug)]
pub struct RunWriter {
    run: RunDirectory,
    /// Never read: its end frees the lock.
    _lock: Held,
}

impl RunLock {
    /// Makes the holder of the lock the run's writer.
    #[must_use]
    pub fn into_writer(self) -> RunWriter {
        let (lock, run) = self.into_parts();
        RunWriter { run, _lock: lock }
    }
}

impl RunWriter {
    /// The run's directory.
    #[must_use]
    pub fn directory(&self) -> &RunDirectory {
        &self.run
    }

    /// Takes up a later push of the same commit as a new attempt: its request becomes the run's, and what the attempt before
    /// left behind (result, a request to stop, the note that it was shown) no longer counts. `false` when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when a file cannot be renamed, or one that has to be read cannot be.
    pub fn adopt_again(&self) -> Result<bool, StoreError> {
        let again = self.run.path().join(AGAIN);
        if !atomic::exists(&again) {
            return Ok(false);
        }
        // The old result goes first: were we killed in between, again.json still says that the run is not finished.
        if let Some(result) = self.run.result()? {
            let kept = format!("{EARLIER_RESULT}{}.json", slug::of(&result.request_id));
            atomic::rename(&self.run.path().join(RESULT), &self.run.path().join(kept))?;
        }
        self.run.forget_shown()?;
        self.clear_stop()?;
        atomic::rename(&again, &self.run.path().join(REQUEST))
    }

    /// Says which process the monitor is.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn write_monitor(&self, pid: &MonitorPid) -> Result<(), StoreError> {
        let path = self.run.path().join(MONITOR);
        atomic::replace(&path, &to_json(pid, &path)?, Access::User, Durability::Process)
    }

    /// Replaces status.json, for everybody to read. A power loss may take it back.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written; what was there is still whole.
    pub fn write_status(&self, report: &Report) -> Result<(), StoreError> {
        let path = self.run.path().join(STATUS);
        atomic::replace(&path, &to_json(report, &path)?, Access::Everybody, Durability::Process)
    }

    /// Writes result.json, durably, for everybody to read. From here on the run is finished.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn write_result(&self, report: &Report) -> Result<(), StoreError> {
        let path = self.run.path().join(RESULT);
        atomic::replace(&path, &to_json(report, &path)?, Access::Everybody, Durability::Machine)
    }

    /// Appends one line to events.jsonl.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn append_event(&self, line: &serde_json::Value) -> Result<(), StoreError> {
        atomic::append_line(&self.run.events_path(), &plain_json(&line.to_string()))
    }

    /// Appends one line with the time to monitor.log, until the log is full. Line ends within `line` become spaces.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn log(&self, line: &str) -> Result<(), StoreError> {
        let line = format!("{:.3} {}", Timestamp::now(), clean_line(&line.replace(['\n', '\r'], " "), usize::MAX));
        let notice = "The log is full; nothing more is written to it.";
        atomic::append_line_within(&self.run.monitor_log_path(), &line, LONGEST_MONITOR_LOG, notice)
    }

    /// Replaces provider.log by these lines, which were cleaned before.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn write_provider_log(&self, lines: &[String]) -> Result<(), StoreError> {
        let mut text = lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        atomic::replace(&self.run.provider_log_path(), text.as_bytes(), Access::User, Durability::Process)
    }

    /// Removes the request to stop.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be removed.
    pub fn clear_stop(&self) -> Result<(), StoreError> {
        atomic::remove(&self.run.path().join(STOP))
    }

    /// Lets go of the run: removes monitor.pid, then frees the lock.
    #[must_use]
    pub fn release(self) -> RunDirectory {
        // A monitor.pid that stays is harmless: it is only believed after every field was checked against a living process.
        let _ = atomic::remove(&self.run.path().join(MONITOR));
        self.run
    }
}
