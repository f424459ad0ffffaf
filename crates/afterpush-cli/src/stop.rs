//! `afterpush stop`: asks a monitor to end, then signals it, and never any other process.
//!
//! Invariant: a signal goes through a pidfd that was opened before every field of the monitor's identity was checked, so that
//! a process id that was given away again can never be hit. Without a held lock there is nobody to signal.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use afterpush_core::{
    fault::with_causes,
    file::{Document, HistoryLine, MonitorInfo, MonitorPid, OutcomeFields, Report, Request},
    run::{Outcome, OutcomeWord, Phase},
};
use afterpush_store::{RepositoryStore, RunDirectory, process};
use jiff::Timestamp;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{
    args::StopArgs,
    context::{Context, now},
    error::{CommandError, ErrorKind},
    output::{Output, talk},
    run::Run,
    selection::select_watched,
};

/// How long a monitor may take to end after it was asked, after SIGTERM, and after SIGKILL.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(25);

/// Stops the monitors of a commit, or of the whole repository.
pub(crate) fn stop(context: &Context, args: &StopArgs, output: &mut Output) -> Result<u8, CommandError> {
    let runs = if args.all { all_runs(context)? } else { select_watched(context, args.commit.as_deref())? };
    let mut active: Vec<&Run> = runs.iter().filter(|run| !run.is_finished()).collect();
    // Those that wait come first: a monitor that ends would give its place to one of them.
    active.sort_by_key(|run| !run.is_queued());
    if active.is_empty() {
        if args.all {
            talk("no active monitors\n");
            return Ok(0);
        }
        let ended = runs.first().and_then(|run| Some((run.title(), run.outcome()?)));
        let message = match ended {
            Some((title, outcome)) => format!("nothing to stop: {title} has ended: {outcome}"),
            None => "nothing to stop".to_owned(),
        };
        return Err(CommandError::new(ErrorKind::NotFound, message));
    }
    let mut code = 0;
    for run in active {
        match stop_one(run, args.force) {
            Ok(text) => output.print(&format!("{text}: {}\n", run.title()))?,
            Err(error) => {
                talk(&error.render());
                code = code.max(error.kind.code());
            }
        }
    }
    Ok(code)
}

fn all_runs(context: &Context) -> Result<Vec<Run>, CommandError> {
    let mut runs = Vec::new();
    for store in context.stores()? {
        for directory in store.runs()? {
            runs.extend(Run::load(&directory, now())?);
        }
    }
    Ok(runs)
}

/// Ends one run; gives what happened.
fn stop_one(run: &Run, force: bool) -> Result<&'static str, CommandError> {
    let directory = &run.directory;
    if run.is_queued() {
        end_unwatched(directory, "a person stopped it while it waited for a place among the monitors", now())?;
        return Ok("ended, it waited for a place");
    }
    if !run.is_lost() {
        directory.request_stop()?;
        if let Some(text) = ended_within(directory, "stopped", false)? {
            return Ok(text);
        }
        if !directory.is_locked()? {
            end_unwatched(directory, "a person stopped it before its monitor showed itself", now())?;
            return Ok("ended, its monitor never showed itself");
        }
        let mut signals = vec![(Signal::TERM, "stopped by SIGTERM")];
        if force {
            signals.push((Signal::KILL, "killed"));
        }
        for (signal, text) in signals {
            send(directory, signal).map_err(|why| {
                let message = format!("the monitor of {} does not answer, and was not signalled: {why}", run.title());
                CommandError::new(ErrorKind::Refused, message)
            })?;
            if let Some(text) = ended_within(directory, text, true)? {
                return Ok(text);
            }
        }
        let message = format!("the monitor of {} goes on, although it was asked and signalled to end", run.title());
        let error = CommandError::new(ErrorKind::Refused, message);
        return Err(if force { error } else { error.hint("`afterpush stop --force` kills it") });
    }
    end_unwatched(directory, "a person stopped it, when its monitor was gone already", now())?;
    Ok("ended, its monitor was gone already")
}

/// Waits for the run's end. A monitor that went without a result (killed) leaves it to us to write one.
fn ended_within(
    directory: &RunDirectory,
    text: &'static str,
    was_signalled: bool,
) -> Result<Option<&'static str>, CommandError> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match Run::load(directory, now())? {
            None => return Ok(Some("gone")),
            Some(run) if run.is_finished() && !directory.is_locked()? => {
                let was_stopped = run.outcome() == Some(OutcomeWord::Stopped);
                return Ok(Some(if was_stopped { text } else { "ended by itself in the meantime" }));
            }
            // A monitor that was killed seconds after the push looks as if it had yet to start.
            Some(run) if run.is_lost() || (was_signalled && !directory.is_locked()?) => {
                end_unwatched(directory, "a person stopped it, and its monitor ended without a result", now())?;
                return Ok(Some(text));
            }
            Some(_) => thread::sleep(LOOK),
        }
    }
    Ok(None)
}

/// Signals the monitor, and nobody else; otherwise says why not.
fn send(directory: &RunDirectory, signal: Signal) -> Result<(), String> {
    let monitor = directory.monitor().map_err(|error| with_causes(&error))?.ok_or("its process is not recorded")?;
    let own = process::current().map_err(|error| format!("this process's own identity is not known: {error}"))?;
    if own.boot_id != monitor.process.boot_id || own.pid_namespace != monitor.process.pid_namespace {
        return Err("it runs on another boot or in another container".to_owned());
    }
    let pid = Pid::from_raw(monitor.process.pid).ok_or("its process id is not one")?;
    let handle =
        pidfd_open(pid, PidfdFlags::empty()).map_err(|error| format!("its process cannot be opened: {error}"))?;
    // Only now: whatever the checks say is said of the process that the handle stands for, or of one that came after it,
    // which the handle cannot reach.
    let found = process::identify(monitor.process.pid).map_err(|error| format!("its process is gone: {error}"))?;
    if found != monitor.process || !carries_mark(directory, &monitor) {
        return Err("another process has its process id now".to_owned());
    }
    if !directory.is_locked().map_err(|error| with_causes(&error))? {
        return Err("its lock is free".to_owned());
    }
    pidfd_send_signal(&handle, signal).map_err(|error| format!("the system refused: {error}"))
}

/// Tells whether the process's arguments name this run, and hold the word that the monitor recorded.
fn carries_mark(directory: &RunDirectory, monitor: &MonitorPid) -> bool {
    let Ok(arguments) = fs::read(format!("/proc/{}/cmdline", monitor.process.pid)) else { return false };
    let has = |word: &[u8]| arguments.split(|byte| *byte == 0).any(|argument| argument == word);
    has(directory.path().as_os_str().as_encoded_bytes()) && !monitor.nonce.is_empty() && has(monitor.nonce.as_bytes())
}

/// Writes the result of a run that has no monitor to write it.
pub(crate) fn end_unwatched(directory: &RunDirectory, reason: &str, now: Timestamp) -> Result<(), CommandError> {
    let Some(lock) = directory.try_lock()? else {
        let message = "a monitor has just been started for it";
        return Err(CommandError::new(ErrorKind::Refused, message).hint("run `afterpush stop` again"));
    };
    let writer = lock.into_writer();
    writer.adopt_again()?;
    if let (Some(request), None) = (directory.request()?, directory.result()?) {
        let last = directory.status()?.filter(|report| report.request_id == request.id);
        let report = stopped(&request, last, reason, now);
        writer.write_result(&report)?;
        RepositoryStore::of_run(directory).append_history(&history(&request, &report))?;
    }
    writer.clear_stop()?;
    drop(writer.release());
    Ok(())
}

fn stopped(request: &Request, last: Option<Report>, reason: &str, now: Timestamp) -> Report {
    let outcome = OutcomeFields::from(Some(&Outcome::Stopped));
    let mut report = last.unwrap_or_else(|| Report {
        schema: Document::Result.schema(),
        request_id: request.id.clone(),
        commit: request.commit.clone(),
        ref_name: request.ref_name.clone(),
        remote: request.remote.clone(),
        phase: Phase::Finished,
        outcome: outcome.clone(),
        reason: None,
        push_proof: None,
        targets: Vec::new(),
        left_out: Vec::new(),
        monitor: MonitorInfo { pid: 0, host: String::new(), started_at: request.pushed_at },
        seq: 0,
        pushed_at: request.pushed_at,
        updated_at: now,
        next_poll_at: None,
        deadline_at: now,
        finished_at: None,
    });
    for target in report.targets.iter_mut().filter(|target| target.outcome.outcome.is_none()) {
        target.phase = Phase::Finished;
        target.outcome = outcome.clone();
    }
    report.schema = Document::Result.schema();
    report.phase = Phase::Finished;
    report.outcome = outcome;
    report.reason = Some(reason.to_owned());
    report.seq += 1;
    report.updated_at = now;
    report.next_poll_at = None;
    report.finished_at = Some(now);
    report
}

fn history(request: &Request, report: &Report) -> HistoryLine {
    HistoryLine {
        request_id: request.id.clone(),
        commit: request.commit.clone(),
        ref_name: request.ref_name.clone(),
        remote: request.remote.clone(),
        outcome: report.outcome.clone(),
        reason: report.reason.clone(),
        pushed_at: request.pushed_at,
        finished_at: report.updated_at,
    }
}
