//! The monitor's program. Started by the hook and by the commands, never by a person; it says so when one tries.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use afterpush_core::fault::with_causes;
use afterpush_monitor::{detach, doctor, reconcile, row, run, secrets::PushEnvironment, sys};
use afterpush_store::RunDirectory;

const USAGE: &str = "afterpush-monitor is started by the afterpush hook and by the afterpush command.\n\
    usage: afterpush-monitor run <run directory> [--nonce <word> [--reconcile]]\n       \
    afterpush-monitor reconcile <git directory>\n       \
    afterpush-monitor doctor\n       \
    afterpush-monitor demo-row <database> <commit> <status> [<error>]\n       \
    afterpush-monitor --version";

const EXIT_USAGE: u8 = 64;
const EXIT_UNREADABLE: u8 = 65;
const EXIT_INTERNAL: u8 = 70;

fn main() -> ExitCode {
    // First of all, while no descriptor above 2 is ours: git's pipes must not live as long as we do.
    sys::close_inherited();
    detach::protect();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let text: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    let text: Vec<&str> = text.iter().map(AsRef::as_ref).collect();
    match text.as_slice() {
        ["run", _] => follow(PathBuf::from(&arguments[1]), "", false),
        ["run", _, "--nonce", nonce] => follow(PathBuf::from(&arguments[1]), nonce, false),
        ["run", _, "--nonce", nonce, "--reconcile"] => follow(PathBuf::from(&arguments[1]), nonce, true),
        ["reconcile", _] => reconcile_only(&PathBuf::from(&arguments[1])),
        ["doctor"] => examine(),
        ["demo-row", database, commit, status] => write_row(database, commit, status, None),
        ["demo-row", database, commit, status, error] => write_row(database, commit, status, Some(error)),
        ["--version"] => {
            say(&mut io::stdout(), concat!("afterpush-monitor ", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        _ => {
            say(&mut io::stderr(), USAGE);
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn handed_over() -> PushEnvironment {
    let stdin = io::stdin();
    let handed_over =
        if stdin.is_terminal() { Ok(PushEnvironment::empty()) } else { PushEnvironment::read(stdin.lock()) };
    let handed_over = handed_over.unwrap_or_else(|_| PushEnvironment::empty());
    handed_over.adopt_proxies();
    handed_over
}

fn reconcile_only(git_dir: &Path) -> ExitCode {
    let push = handed_over();
    if detach::detach().is_err() {
        return ExitCode::from(EXIT_INTERNAL);
    }
    if reconcile::reconcile(git_dir, &push).is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNREADABLE) }
}

fn follow(directory: PathBuf, nonce: &str, reconciles: bool) -> ExitCode {
    let push = handed_over();
    if detach::detach().is_err() {
        return ExitCode::from(EXIT_INTERNAL);
    }
    if reconciles {
        reconcile::begin(&RunDirectory::at(&directory), &push);
    }
    match in_runtime(run::follow(&directory, nonce, &push)) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) => ExitCode::from(EXIT_UNREADABLE),
        None => ExitCode::from(EXIT_INTERNAL),
    }
}

fn examine() -> ExitCode {
    match in_runtime(doctor::examine(&PushEnvironment::own())) {
        Some(document) => {
            say(&mut io::stdout(), &document.to_string());
            ExitCode::SUCCESS
        }
        None => ExitCode::from(EXIT_INTERNAL),
    }
}

fn write_row(database: &str, commit: &str, status: &str, error: Option<&str>) -> ExitCode {
    match in_runtime(row::write(database, commit, status, error)) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            say(&mut io::stderr(), &format!("error: {}", with_causes(&error)));
            ExitCode::from(EXIT_INTERNAL)
        }
        None => ExitCode::from(EXIT_INTERNAL),
    }
}

/// One thread does everything; TLS uses ring.
fn in_runtime<T>(work: impl Future<Output = T>) -> Option<T> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build().ok()?;
    Some(runtime.block_on(work))
}

/// Writes a line; a reader that has gone is no trouble of ours.
fn say(to: &mut impl Write, line: &str) {
    let _ = writeln!(to, "{line}");
}
