//! `afterpush status` and `deploy-status`: one verdict, from the files that the monitors write.
//!
//! Invariant: exit 0 is only ever given for a stored outcome that says live; a run that nobody watches any more is never
//! "in progress" but lost, and its monitor is started again.

use std::{thread, time::Instant};

use afterpush_core::{id::CommitId, text::clean_log};
use serde_json::Value;

use crate::{
    args::StatusArgs,
    configuration,
    context::{Context, now},
    document,
    error::{CommandError, ErrorKind},
    follow::{Following, LOOK},
    logs,
    output::{Output, talk},
    render::{Restart, View, headline},
    resume,
    run::Run,
    selection::{Selection, nearest_watched, select},
};

/// How much of a failure's log is shown.
const LOG_LINES: usize = 20;
/// The longest line of it.
const LOG_WIDTH: usize = 500;

/// Prints the verdict.
pub(crate) fn status(context: &Context, args: &StatusArgs, output: &mut Output) -> Result<u8, CommandError> {
    let runs = match select(context, args.commit.as_deref())? {
        Selection::Watched(runs) => runs,
        Selection::Unwatched { asked, commit } => {
            // A push that no hook saw (--no-verify, jj, a graphical client) left its mark in a reflog.
            match resume::adopt_commit(context, commit.as_ref()) {
                Ok(Some(run)) => vec![run],
                adopted => {
                    if let Err(error) = adopted {
                        talk(&format!("afterpush: pushes that no hook saw cannot be looked for: {}\n", error.message));
                    }
                    return not_found(context, &asked, commit.as_ref(), args, output);
                }
            }
        }
    };
    let mut following = Following::begin(context, runs);
    if let Some(limit) = args.wait {
        let started = Instant::now();
        while !following.is_over() && started.elapsed() < limit {
            thread::sleep(LOOK.min(limit.saturating_sub(started.elapsed())));
            following.look()?;
        }
    }
    let verdict = Told { runs: &following.runs, restart: following.restart.as_ref() };
    if args.json {
        output.print_json(&verdict.document()?)?;
    } else if !args.quiet {
        output.print(&verdict.text())?;
    }
    if !args.quiet {
        verdict.note_as_shown();
    }
    Ok(verdict.exit_code())
}

/// A verdict as it is told.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// The commit's runs, the one that gives the verdict first.
    pub(crate) runs: &'a [Run],
    /// What became of those that were lost.
    pub(crate) restart: Option<&'a Restart>,
}

impl Told<'_> {
    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match (self.runs.first(), self.restart) {
            (Some(run), Some(Restart::Failed(_))) if run.is_lost() => 1,
            (Some(run), _) => run.exit_code(),
            (None, _) => ErrorKind::NotFound.code(),
        }
    }

    /// The text, with the log of a failure.
    pub(crate) fn text(&self) -> String {
        self.view(|view| view.text()).unwrap_or_default()
    }

    /// The JSON document.
    pub(crate) fn document(&self) -> Result<Value, CommandError> {
        self.view(|view| document::watched(view, self.exit_code())).unwrap_or(Ok(Value::Null))
    }

    /// Notes that the person knows how the run ended, so that the hook need not say it. A sandbox that may only read the
    /// state is no reason to fail.
    pub(crate) fn note_as_shown(&self) {
        for run in self.runs.iter().filter(|run| run.is_finished()) {
            let _ = run.directory.mark_shown();
        }
    }

    fn view<T>(&self, show: impl FnOnce(&View<'_>) -> T) -> Option<T> {
        let (run, others) = self.runs.split_first()?;
        let log = (run.is_finished() && run.exit_code() != 0).then(|| failure_log(run)).flatten();
        let restart = self.restart.filter(|_| run.is_lost());
        Some(show(&View { run, others, restart, log: log.as_ref(), now: now() }))
    }
}

/// The last lines of the provider's log or, without one, of the monitor's own.
fn failure_log(run: &Run) -> Option<(String, Vec<String>)> {
    let theirs = run.directory.provider_log().ok().flatten().map(|text| clean_log(&text, LOG_LINES, LOG_WIDTH));
    if let Some(lines) = theirs.filter(|lines| !lines.is_empty()) {
        return Some(("the provider's log".to_owned(), lines));
    }
    let ours = logs::tail(&run.directory.monitor_log_path(), LOG_LINES).ok()?;
    (!ours.is_empty()).then(|| ("the monitor's log".to_owned(), ours))
}

fn not_found(
    context: &Context,
    asked: &str,
    commit: Option<&CommitId>,
    args: &StatusArgs,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let code = ErrorKind::NotFound.code();
    // A configuration that nobody can read is why nothing is watched.
    let configuration = match context.repository_if_any() {
        Some(_) => Some(configuration::load(context)?),
        None => None,
    };
    if args.quiet {
        return Ok(code);
    }
    let nearest = nearest_watched(context, commit)?;
    if args.json {
        output.print_json(&document::unwatched(asked, commit, &nearest, code)?)?;
        return Ok(code);
    }
    let mut text = match commit {
        Some(commit) => format!("not found: {} is not watched\n", commit.short()),
        None => format!("not found: {asked} names no commit here and no watched run\n"),
    };
    for (distance, run) in &nearest {
        let place = match distance {
            0 => "HEAD itself".to_owned(),
            1 => "1 commit before".to_owned(),
            _ => format!("{distance} commits before"),
        };
        text.push_str(&format!("  nearest, {place}: {}\n", headline(run, None, now())));
    }
    let next = match configuration {
        None => "run it inside the repository that was pushed",
        Some(config) if config.targets.is_empty() => "nothing is configured here: `afterpush init` begins",
        Some(_) if commit.is_none() => "push it first",
        Some(_) => "push it, or start with `afterpush watch` when it is pushed already",
    };
    text.push_str(&format!("  {next}\n"));
    output.print(&text)?;
    Ok(code)
}
