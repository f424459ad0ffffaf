//! Runs the `git` program: what a person may watch or end with Ctrl-C, and what must not be ended in the middle.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Seek, Write},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use afterpush_core::text::clean_log;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::Stop;
use crate::{
    context::Context,
    error::{CommandError, ErrorKind},
    interruption::Interruption,
};

/// How long a program may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);
/// What of the user's own configuration would change things behind our back: other branches moved along, changes put away
/// twice, our resolutions remembered as the user's, the work trees of submodules reset.
const PLAIN: [&str; 12] = [
    "-c",
    "rebase.autoStash=false",
    "-c",
    "merge.autoStash=false",
    "-c",
    "rebase.updateRefs=false",
    "-c",
    "rebase.autoSquash=false",
    "-c",
    "rerere.enabled=false",
    "-c",
    "submodule.recurse=false",
];
/// What begins the lines in the reflogs that our steps make.
pub(super) const REFLOG_ACTION: &str = "afterpush push";
/// How much of what a program said is told.
const LINES: usize = 15;
const WIDTH: usize = 300;

/// The `git` program in the place where the command was given.
pub(super) struct Program<'a> {
    interruption: &'a Interruption,
    /// Where the person stands.
    directory: &'a Path,
    /// Where paths count from.
    root: PathBuf,
    /// The git directory to name, where the environment names one too.
    git_dir: Option<PathBuf>,
}

/// How a program ended that said nothing to the person.
pub(super) struct Ended {
    /// Whether it succeeded.
    pub(super) is_success: bool,
    /// What it said, cleaned.
    pub(super) said: String,
}

impl<'a> Program<'a> {
    pub(super) fn new(context: &'a Context, interruption: &'a Interruption) -> Result<Self, CommandError> {
        let repository = context.repository()?;
        let root = repository.work_tree.clone().unwrap_or_else(|| context.directory().to_owned());
        let git_dir = context.environment.git_dir.is_some().then(|| repository.git_dir.clone());
        Ok(Self { interruption, directory: context.directory(), root, git_dir })
    }

    /// The root of the work tree.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// git as the person would run it where they stand.
    pub(super) fn here(&self) -> Command {
        let mut command = Command::new("git");
        command.current_dir(self.directory);
        command
    }

    /// git at the root of the work tree, asking nobody for a text.
    fn at_root(&self) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.root).args(PLAIN);
        command.env("GIT_REFLOG_ACTION", REFLOG_ACTION);
        command.env("GIT_EDITOR", "true").env("GIT_SEQUENCE_EDITOR", "true").env("GIT_MERGE_AUTOEDIT", "no");
        if let Some(git_dir) = &self.git_dir {
            command.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", &self.root);
        }
        command
    }

    /// Runs a step that a signal ends, with what it prints shown to the person, except its standard output.
    pub(super) fn show(&self, command: &mut Command) -> Result<(ExitStatus, String), Stop> {
        let mut output = temporary()?;
        command.stdout(copy(&output)?);
        let status = self.wait(command)?;
        Ok((status, text_of(&mut output)?))
    }

    /// Waits so long, or until a signal has come.
    pub(super) fn pause(&self, time: Duration) -> Result<(), Stop> {
        if self.interruption.came_within(time)? {
            return Err(Stop::Interrupted(self.interruption.take().unwrap_or_default()));
        }
        Ok(())
    }

    /// Runs a step that a signal ends; what it says is kept back.
    pub(super) fn step(&self, arguments: &[&str]) -> Result<Ended, Stop> {
        self.step_of(self.at_root().args(arguments))
    }

    /// Runs the user's own shell command at the root of the work tree, in a process group of its own.
    pub(super) fn shell(&self, line: &str) -> Result<Ended, Stop> {
        self.step_of(
            Command::new("sh").args(["-c", line]).current_dir(&self.root).stdin(Stdio::null()).process_group(0),
        )
    }

    fn step_of(&self, command: &mut Command) -> Result<Ended, Stop> {
        let mut output = temporary()?;
        command.stdout(copy(&output)?).stderr(copy(&output)?);
        let status = self.wait(command)?;
        let said = clean_log(&text_of(&mut output)?, LINES, WIDTH).join("\n");
        Ok(Ended { is_success: status.success(), said })
    }

    /// Waits for the end, or ends the program when a signal has come.
    fn wait(&self, command: &mut Command) -> Result<ExitStatus, Stop> {
        if let Some(signal) = self.interruption.take() {
            return Err(Stop::Interrupted(signal));
        }
        let mut child = command.spawn().map_err(|error| cannot_run(command, &error))?;
        match self.ended_by_signal(&child) {
            Ok(None) => {
                let status = child.wait().map_err(|error| cannot_run(command, &error))?;
                // Ctrl-C on a terminal comes to both at once.
                match self.interruption.take().filter(|_| !status.success()) {
                    Some(signal) => Err(Stop::Interrupted(signal)),
                    None => Ok(status),
                }
            }
            ended => {
                // Nothing of ours may be at work in the repository when it is put back.
                let _ = child.kill();
                let _ = child.wait();
                Err(match ended {
                    Err(error) => error.into(),
                    Ok(signal) => Stop::Interrupted(signal.unwrap_or_default()),
                })
            }
        }
    }

    fn ended_by_signal(&self, child: &Child) -> Result<Option<i32>, CommandError> {
        let impossible = |error: rustix::io::Errno| {
            CommandError::because(ErrorKind::Internal, "the started program cannot be waited for", &error)
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has a process id");
        // Ours until it is waited for, so the number cannot be another's.
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(impossible)?;
        if !self.interruption.came_before_end(std::os::fd::AsFd::as_fd(&pidfd))? {
            return Ok(None);
        }
        let signal = self.interruption.take();
        let _ = rustix::process::kill_process_group(pid, Signal::TERM);
        let _ = pidfd_send_signal(&pidfd, Signal::TERM);
        let asked = Instant::now();
        let mut wanted = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&pidfd), nix::poll::PollFlags::POLLIN)];
        while asked.elapsed() < PATIENCE {
            let rest = PATIENCE.saturating_sub(asked.elapsed());
            let rest = nix::poll::PollTimeout::try_from(rest).unwrap_or(nix::poll::PollTimeout::ZERO);
            if matches!(nix::poll::poll(&mut wanted, rest), Ok(count) if count > 0) {
                break;
            }
        }
        Ok(signal)
    }

    /// Runs a short step that no Ctrl-C may end in the middle.
    fn whole(&self, arguments: &[&OsStr], input: Option<&[u8]>) -> Result<Output, CommandError> {
        let mut command = self.at_root();
        command.args(arguments).env("LC_ALL", "C").process_group(0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: io::Error| cannot_run(&self.at_root(), &error);
        let Some(input) = input else { return command.stdin(Stdio::null()).output().map_err(failed) };
        let mut file = tempfile::tempfile().map_err(failed)?;
        file.write_all(input).and_then(|()| file.rewind()).map_err(failed)?;
        command.stdin(file).output().map_err(failed)
    }

    /// The standard output of a short step that must succeed, as bytes.
    pub(super) fn bytes<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Vec<u8>, CommandError> {
        self.bytes_with(arguments, None)
    }

    /// The same with something on its standard input.
    pub(super) fn bytes_with<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        input: Option<&[u8]>,
    ) -> Result<Vec<u8>, CommandError> {
        let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        let output = self.whole(&arguments, input)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = clean_log(&String::from_utf8_lossy(&output.stderr), LINES, WIDTH).join("\n");
        let name = arguments.iter().find(|it| !it.as_bytes().starts_with(b"-")).map(|it| it.to_string_lossy());
        Err(CommandError::new(ErrorKind::Refused, format!("git {} failed: {said}", name.unwrap_or_default())))
    }

    /// The first line of a short step that must succeed.
    pub(super) fn line<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String, CommandError> {
        let bytes = self.bytes(arguments)?;
        Ok(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned())
    }

    /// The first line of a short step; `None` when it does not succeed.
    pub(super) fn line_if_any(&self, arguments: &[&str]) -> Option<String> {
        self.line(arguments).ok().filter(|line| !line.is_empty())
    }

    /// Tells whether a short step succeeds.
    pub(super) fn is_true(&self, arguments: &[&str]) -> bool {
        self.bytes(arguments).is_ok()
    }

    /// The paths that a step lists with `-z`.
    pub(super) fn paths(&self, arguments: &[&str]) -> Result<Vec<PathBuf>, CommandError> {
        let bytes = self.bytes(arguments)?;
        let names = bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
    }
}

fn cannot_run(command: &Command, error: &io::Error) -> CommandError {
    let what = format!("cannot run {}", command.get_program().to_string_lossy());
    CommandError::because(ErrorKind::Internal, &what, error)
}

fn temporary() -> Result<File, CommandError> {
    tempfile::tempfile().map_err(|error| CommandError::because(ErrorKind::Internal, "no temporary file", &error))
}

fn copy(file: &File) -> Result<File, CommandError> {
    file.try_clone().map_err(|error| CommandError::because(ErrorKind::Internal, "no temporary file", &error))
}

fn text_of(file: &mut File) -> Result<String, CommandError> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(|error| CommandError::because(ErrorKind::Internal, "the temporary file cannot be read", &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
