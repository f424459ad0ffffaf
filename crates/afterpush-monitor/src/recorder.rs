//! The one writer of a run's files. When the disk refuses, the run goes on in memory and the next write tries again.

use std::time::Duration;

use afterpush_core::{
    fault::with_causes,
    file::{Document, HistoryLine, MonitorInfo, MonitorPid, Report, Request},
    machine::State,
    policy::Policy,
    text::clean_line,
};
use afterpush_store::{RepositoryStore, RunDirectory, RunWriter, StoreError};
use jiff::Timestamp;
use serde_json::json;

/// The longest line about a question or an answer.
const LONGEST_DETAIL: usize = 1000;
/// Between two tries to write a result.
const RETRY: Duration = Duration::from_secs(5);

/// Writes what the state shows.
pub struct Recorder {
    writer: RunWriter,
    request: Request,
    monitor: MonitorPid,
    policy: Policy,
    left_out: Vec<String>,
    seq: u64,
    shown: Vec<String>,
    finished_at: Option<Timestamp>,
    disk_trouble: Option<DiskTrouble>,
    detail: Detail,
}

/// What the disk refused last.
struct DiskTrouble {
    text: String,
    /// Whether it stands in the log, which may lie on the same disk.
    is_told: bool,
}

/// How much stands in monitor.log: the variable `AFTERPUSH_LOG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// `off`: nothing.
    Off,
    /// What has changed.
    #[default]
    Changes,
    /// `debug`: also each question, answer and timer.
    Everything,
}

impl Detail {
    /// Reads the variable's value; what is not known is the default.
    #[must_use]
    pub fn read(value: Option<&str>) -> Self {
        match value {
            Some("off") => Self::Off,
            Some("debug") => Self::Everything,
            _ => Self::Changes,
        }
    }
}

impl Recorder {
    /// Begins to write for a monitor; its identity is written first.
    #[must_use]
    pub fn begin(writer: RunWriter, request: Request, monitor: MonitorPid) -> Self {
        // A restarted monitor goes on counting where the lost one stopped, so that readers never see seq go back.
        let seq = writer.directory().status().ok().flatten().map_or(0, |status| status.seq);
        let mut recorder = Self {
            writer,
            request,
            monitor,
            policy: Policy::default(),
            left_out: Vec::new(),
            seq,
            shown: Vec::new(),
            finished_at: None,
            disk_trouble: None,
            detail: Detail::read(std::env::var("AFTERPUSH_LOG").ok().as_deref()),
        };
        let done = recorder.writer.write_monitor(&recorder.monitor);
        recorder.heed(done);
        recorder
    }

    /// The policy by which times are shown, and what was left out of the configuration.
    pub fn configure(&mut self, policy: Policy, left_out: Vec<String>) {
        for sentence in &left_out {
            self.log(sentence);
        }
        self.policy = policy;
        self.left_out = left_out;
    }

    /// The run's directory.
    #[must_use]
    pub fn directory(&self) -> &RunDirectory {
        self.writer.directory()
    }

    /// What was pushed.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Takes another push of the same commit in, when the hook has left one; gives its request.
    pub fn adopt_again(&mut self) -> Option<Request> {
        match self.writer.adopt_again() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => self.log(&with_causes(&error)),
        }
        // The request in the file is the run's, also where the disk refused what comes after it was put there.
        let request = self.writer.directory().request().ok().flatten()?;
        if request.id == self.request.id {
            return None;
        }
        self.log("the same commit was pushed to the same ref again");
        self.request = request.clone();
        Some(request)
    }

    /// Removes the request to stop, once it was heeded.
    pub fn clear_stop(&mut self) {
        let done = self.writer.clear_stop();
        self.heed(done);
    }

    /// The id of the boot that this monitor runs in.
    pub(crate) fn boot_id(&self) -> &str {
        &self.monitor.process.boot_id
    }

    /// One line for the monitor's log. The text must hold no secret.
    pub fn log(&mut self, line: &str) {
        if self.detail != Detail::Off {
            let done = self.writer.log(line);
            self.heed(done);
        }
    }

    /// One line for the monitor's log when everything is wanted there. The text must hold no secret.
    pub fn log_detail(&mut self, line: impl FnOnce() -> String) {
        if self.detail == Detail::Everything {
            self.log(&clean_line(&line(), LONGEST_DETAIL));
        }
    }

    /// Stores the cleaned log of a failed deployment.
    pub fn provider_log(&mut self, lines: &[String]) {
        let done = self.writer.write_provider_log(lines);
        self.heed(done);
    }

    /// Rewrites status.json, and notes in log and events what has changed.
    pub fn record(&mut self, state: &State, elapsed: Duration, now: Timestamp) {
        let report = self.report(state, elapsed, now, Document::Status);
        self.note_changes(&report);
        let done = self.writer.write_status(&report);
        self.heed(done);
    }

    /// Writes the last status, then the result, trying until it is on the disk, then the history line. The result was announced
    /// to nobody before, and is lost to nobody after.
    pub async fn finish(&mut self, state: &State, elapsed: Duration, now: Timestamp, store: &RepositoryStore) {
        self.finished_at = Some(now);
        self.record(state, elapsed, now);
        let result = self.report(state, elapsed, now, Document::Result);
        let line = HistoryLine {
            request_id: self.request.id.clone(),
            commit: self.request.commit.clone(),
            ref_name: self.request.ref_name.clone(),
            remote: self.request.remote.clone(),
            outcome: state.outcome().into(),
            reason: state.reason().map(str::to_owned),
            pushed_at: self.request.pushed_at,
            finished_at: now,
        };
        while let Err(error) = self.writer.write_result(&result) {
            self.heed(Err(error));
            if !self.writer.directory().path().exists() {
                // The run was removed under us: there is nobody left to tell, and nothing is made anew.
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
        let done = store.append_history(&line);
        self.heed(done);
    }

    /// Gives the run's files up: monitor.pid goes, and the lock.
    pub fn release(self) -> RunDirectory {
        self.writer.release()
    }

    /// A disk that refuses is told once, in the log as soon as that can be written, and never stops the run.
    fn heed(&mut self, done: Result<(), StoreError>) {
        let tell = |writer: &RunWriter, text: &str| writer.log(&format!("{text}; going on in memory")).is_ok();
        match (done, &self.disk_trouble) {
            (Err(error), None) => {
                let text = with_causes(&error);
                let is_told = tell(&self.writer, &text);
                self.disk_trouble = Some(DiskTrouble { text, is_told });
            }
            (Ok(()), Some(trouble)) => {
                if !trouble.is_told {
                    tell(&self.writer, &trouble.text);
                }
                self.disk_trouble = None;
            }
            (Err(_), Some(_)) | (Ok(()), None) => {}
        }
    }

    fn report(&mut self, state: &State, elapsed: Duration, now: Timestamp, document: Document) -> Report {
        self.seq += 1;
        let time_of = |at: Duration| shift(now, at, elapsed);
        Report {
            schema: document.schema(),
            request_id: self.request.id.clone(),
            commit: self.request.commit.clone(),
            ref_name: self.request.ref_name.clone(),
            remote: self.request.remote.clone(),
            phase: state.phase(),
            outcome: state.outcome().into(),
            reason: state.waits_for(),
            push_proof: state.push_proof().map(|proof| proof.to_string()),
            targets: state.target_reports(time_of),
            left_out: self.left_out.clone(),
            monitor: MonitorInfo {
                pid: self.monitor.process.pid,
                host: self.monitor.host.clone(),
                started_at: self.monitor.started_at,
            },
            seq: self.seq,
            pushed_at: self.request.pushed_at,
            updated_at: now,
            next_poll_at: state.next_due(&self.policy).map(time_of),
            deadline_at: time_of(state.deadline()),
            finished_at: self.finished_at,
        }
    }

    fn note_changes(&mut self, report: &Report) {
        let mut shown = vec![format!("phase {}", report.phase)];
        shown.extend(report.push_proof.iter().map(|proof| format!("the push landed: {proof}")));
        for target in &report.targets {
            for stage in &target.stages {
                let trouble = stage.trouble.as_ref().map(|trouble| format!(" ({}: {})", trouble.kind, trouble.message));
                let trouble = trouble.unwrap_or_default();
                shown.push(format!("{} {}: {} - {}{trouble}", target.name, stage.stage, stage.verdict, stage.summary));
            }
            if let Some(word) = target.outcome.outcome {
                shown.push(format!("{}: {word} - {}", target.name, target.reason.as_deref().unwrap_or("")));
            }
        }
        if let Some(word) = report.outcome.outcome {
            shown.push(format!("finished: {word} - {}", report.reason.as_deref().unwrap_or("")));
        }
        let fresh: Vec<String> = shown.iter().filter(|line| !self.shown.contains(line)).cloned().collect();
        self.shown = shown;
        for line in fresh {
            self.log(&line);
            let event = json!({"at": report.updated_at.to_string(), "seq": report.seq, "event": line});
            let done = self.writer.append_event(&event);
            self.heed(done);
        }
    }
}

/// The wall clock's time of a moment of the run, by how far it is from now: a clock that was set in between does no harm.
fn shift(now: Timestamp, at: Duration, elapsed: Duration) -> Timestamp {
    let moved = if at >= elapsed { now.checked_add(at - elapsed) } else { now.checked_sub(elapsed - at) };
    moved.unwrap_or(now)
}
