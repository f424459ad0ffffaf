//! `install --schedule` and `uninstall --schedule`: has the system run `resume --all` and `cleanup --all` from time to time.
//!
//! Invariant: nothing is scheduled without being asked for, in one place only (a systemd user timer, else the crontab), and
//! a step that fails leaves what was there before. Must not touch what somebody else has written.

mod crontab;
mod systemd;

use std::{
    ffi::OsStr,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output as Answer, Stdio},
};

use crate::{
    context::{Context, beside},
    error::{CommandError, ErrorKind},
    output::Output,
};

/// What is to be run, and with which settings of the user's.
#[derive(Debug)]
struct Job {
    program: PathBuf,
    /// The variables that say where state and configuration are: the scheduler does not know the user's shell.
    variables: Vec<(&'static str, PathBuf)>,
}

impl Job {
    fn new(context: &Context) -> Result<Self, CommandError> {
        let environment = &context.environment;
        let named = [("AFTERPUSH_STATE_DIR", &environment.state_dir), ("AFTERPUSH_CONFIG", &environment.config)];
        let mut variables = Vec::new();
        for (name, path) in named {
            if let Some(path) = path {
                variables.push((name, context.directory().join(path)));
            }
        }
        let job = Self { program: beside("afterpush")?, variables };
        for path in job.variables.iter().map(|(_, path)| path).chain([&job.program]) {
            text(path)?;
        }
        Ok(job)
    }
}

/// What is known of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scheduled {
    /// There is none.
    No,
    /// There is one as this program would write it; the text says of which kind.
    Yes(&'static str),
    /// There is one that does not work or is for another program.
    Other(String),
}

/// Schedules; where a schedule stands already, there.
pub(crate) fn install(context: &Context, output: &mut Output) -> Result<u8, CommandError> {
    let job = Job::new(context)?;
    let timer = systemd::Timer::of_user(context)?;
    let in_crontab = crontab::is_present()?;
    if timer.is_present() && !systemd::manager_answers() {
        let message =
            format!("the timer in {} cannot be renewed: systemd's user manager does not answer", timer.place());
        return Err(CommandError::new(ErrorKind::Refused, message)
            .hint("log in as this user and try again, or remove it: `afterpush uninstall --schedule`"));
    }
    let text = if in_crontab || !systemd::manager_answers() { crontab::install(&job)? } else { timer.install(&job)? };
    output.print(&text)?;
    Ok(0)
}

/// Takes the schedule away, wherever it stands.
pub(crate) fn uninstall(context: &Context, output: &mut Output) -> Result<u8, CommandError> {
    let timer = systemd::Timer::of_user(context)?;
    let mut done = String::new();
    if timer.is_present() {
        done.push_str(&timer.uninstall()?);
    }
    if crontab::is_present()? {
        done.push_str(&crontab::uninstall()?);
    }
    output.print(if done.is_empty() { "no schedule to remove\n" } else { &done })?;
    Ok(0)
}

/// Looks for a schedule; changes nothing.
pub(crate) fn look(context: &Context) -> Result<Scheduled, CommandError> {
    let job = Job::new(context)?;
    match systemd::Timer::of_user(context)?.look(&job)? {
        Scheduled::No => crontab::look(&job),
        found => Ok(found),
    }
}

/// A path as text that fits in one line.
fn text(path: &Path) -> Result<&str, CommandError> {
    path.to_str().filter(|text| !text.contains(char::is_control)).ok_or_else(|| {
        let message = format!("the path {} cannot be written into a schedule", path.display());
        CommandError::new(ErrorKind::Refused, message).hint("give it a name in UTF-8 without control characters")
    })
}

/// Runs one of the system's programs to its end. `None`: there is no such program.
fn ask(program: &str, arguments: &[&str], input: Option<&[u8]>) -> Result<Option<Answer>, CommandError> {
    let cannot = |error: io::Error| CommandError::because(ErrorKind::Refused, &format!("cannot run {program}"), &error);
    let mut command = Command::new(program);
    // What it says is compared and passed on: in English.
    command.args(arguments).env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    if let (Some(mut stream), Some(input)) = (child.stdin.take(), input) {
        // A program that does not read to the end says why by its exit.
        let _ = stream.write_all(input);
    }
    child.wait_with_output().map(Some).map_err(cannot)
}

/// The error of a program that was run and refused.
fn refused(program: &str, arguments: &[&str], answer: Option<&Answer>) -> CommandError {
    let line = [&[program], arguments].concat().join(" ");
    let why = match answer {
        None => "there is no such program".to_owned(),
        Some(answer) => {
            let said = String::from_utf8_lossy(&answer.stderr).trim().replace('\n', "; ");
            if said.is_empty() { answer.status.to_string() } else { said }
        }
    };
    CommandError::new(ErrorKind::Refused, format!("`{line}` failed: {why}"))
}

fn io_error(what: &str, path: impl AsRef<OsStr>, error: &io::Error) -> CommandError {
    CommandError::because(ErrorKind::Refused, &format!("{what} {}", path.as_ref().to_string_lossy()), error)
}
