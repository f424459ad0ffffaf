//! strace as a tool of tests: a program is killed at one of its system calls, or has one fail.

use std::{ffi::OsStr, fs, path::Path, process::Command};

use afterpush_testkit::sandbox::{Said, Sandbox, skipped};

pub(crate) const STRACE: &str = "/usr/bin/strace";

/// What changes a file or a directory, or starts a process that does. Killed before each of them, a program leaves every state
/// that there is between two changes; killed before its exit, the last one.
pub(crate) const CHANGES: [&str; 21] = [
    "clone3",
    "clone",
    "vfork",
    "write",
    "pwrite64",
    "copy_file_range",
    "sendfile",
    "ftruncate",
    "fsync",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "fchmod",
    "rmdir",
    "exit_group",
];

/// One place at which a program can be killed: before the call of this name and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    call: String,
    number: usize,
}

impl Point {
    /// What strace is to inject.
    pub(crate) fn kill(&self) -> String {
        format!("{}:signal=KILL:when={}", self.call, self.number)
    }

    /// What strace is to inject for this call to fail; with `lasts`, this one and all after it.
    pub(crate) fn fail(&self, error: &str, lasts: bool) -> String {
        format!("{}:error={error}:when={}{}", self.call, self.number, if lasts { "+" } else { "" })
    }

    /// Tells whether it is of this call.
    pub(crate) fn is_of(&self, call: &str) -> bool {
        self.call == call
    }

    /// Tells whether it is the program's end.
    pub(crate) fn is_the_end(&self) -> bool {
        self.is_of("exit_group")
    }
}

/// Tells whether programs can be traced here, and says loudly when they cannot.
pub(crate) fn is_usable(test: &str) -> bool {
    let traced = Command::new(STRACE).args(["-qq", "-o", "/dev/null", "--", "true"]).output();
    let is_usable = traced.is_ok_and(|traced| traced.status.success());
    if !is_usable {
        skipped(test, "strace is not installed, or cannot trace here");
    }
    is_usable
}

/// A program of ours under strace, with these injections. Its children are not traced.
pub(crate) fn injecting(sandbox: &Sandbox, directory: &Path, injections: &[String], program: &str) -> Command {
    let mut command = sandbox.command(STRACE, directory);
    command.args(["-qq", "-o", "/dev/null"]);
    command.args(injections.iter().map(|injection| format!("--inject=?{injection}")));
    command.arg("--").arg(sandbox.program(program));
    command
}

/// Runs a program to its end, and gives every point of it at which it can be killed.
pub(crate) fn points(
    sandbox: &Sandbox,
    directory: &Path,
    program: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    input: Option<fs::File>,
) -> Vec<Point> {
    let trace = sandbox.path().join("trace");
    let calls: Vec<String> = CHANGES.iter().map(|call| format!("?{call}")).collect();
    let mut command = sandbox.command(STRACE, directory);
    command.args(["-qq", "-o"]).arg(&trace).args(["-e", &format!("trace={}", calls.join(",")), "--"]);
    command.arg(sandbox.program(program)).args(arguments);
    if let Some(input) = input {
        command.stdin(input);
    }
    let said = Said::of(&mut command);
    assert!(said.code.is_some(), "{said:?}");
    let mut points: Vec<Point> = Vec::new();
    for line in fs::read_to_string(&trace).unwrap().lines() {
        let Some((call, _)) = line.split_once('(') else { continue };
        if CHANGES.contains(&call) {
            let number = points.iter().filter(|point| point.call == call).count() + 1;
            points.push(Point { call: call.to_owned(), number });
        }
    }
    points
}

/// Whether every kill point is tried, or a sample.
pub(crate) const ALL: &str = "AFTERPUSH_ALL_KILLS";

/// All points when [`ALL`] is set, else `most` of them, spread over the whole.
pub(crate) fn sample(points: Vec<Point>, most: usize) -> Vec<Point> {
    let count = points.len();
    if std::env::var_os(ALL).is_some() || count <= most {
        return points;
    }
    // Halfway into each of `most` parts, and the last.
    let chosen: Vec<usize> = (0..most).map(|part| (part * count + count / 2) / most).chain([count - 1]).collect();
    points.into_iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, point)| point).collect()
}
