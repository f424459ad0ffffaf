//! The commands `afterpush` and `deploy-status`: they read the files that the monitors write, and start, stop and remove runs.
//!
//! Invariant: nothing here talks to a network or a provider, and nothing below [`run`] exits or prints errors. Standard output
//! is data, standard error is talk, and the exit code is the verdict.

#![forbid(unsafe_code)]

mod age;
mod args;
mod check_migrations;
mod cleanup;
mod config_hook;
mod configuration;
mod context;
mod demo;
mod doctor;
mod document;
mod error;
mod follow;
mod generated;
mod hook_file;
mod hooks_directory;
mod husky;
mod init;
mod install;
mod interruption;
mod list;
mod logs;
mod output;
mod path;
mod push;
mod render;
mod resume;
mod run;
mod schedule;
mod selection;
mod shim;
mod status;
mod stop;
mod strict_cost;
mod trust;
mod watch;

use std::{panic, process::ExitCode};

use afterpush_store::RunDirectory;
use args::{Afterpush, CheckCommand, Command, DeployStatus};
use clap::Parser;
use context::Context;
use error::{CommandError, ErrorKind};
use jiff::Timestamp;
use output::Output;
use run::Run;

/// Under which of its two names the program was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `afterpush COMMAND`
    Afterpush,
    /// `deploy-status`, which is `afterpush status`
    DeployStatus,
}

/// What `deploy-status` says by the files of one stored run: the word of its JSON, and the exit code. `None` when nothing is
/// stored there.
///
/// # Errors
/// Why the files cannot be used, in words for people.
pub fn verdict(run: &RunDirectory, now: Timestamp) -> Result<Option<(&'static str, u8)>, String> {
    let run = Run::load(run, now).map_err(|error| error.message)?;
    Ok(run.map(|run| (run.word(), run.exit_code())))
}

/// Ends a run that nobody watches, as `afterpush stop` does.
///
/// # Errors
/// Why it cannot be ended, in words for people.
pub fn stop_unwatched(run: &RunDirectory, now: Timestamp) -> Result<(), String> {
    stop::end_unwatched(run, "a person stopped it, when its monitor was gone already", now)
        .map_err(|error| error.message)
}

/// Runs the program with this process's arguments and gives its exit code. A panic is an internal error with a short text.
#[must_use]
pub fn run(program: Program) -> ExitCode {
    afterpush_store::process::close_to_others();
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        let error = CommandError::new(ErrorKind::Internal, format!("afterpush came upon a defect of its own{place}"))
            .hint("please report it with the command that you ran");
        output::talk(&error.render());
    }));
    let code = panic::catch_unwind(|| answer(program)).unwrap_or_else(|_| ErrorKind::Internal.code());
    ExitCode::from(code)
}

fn answer(program: Program) -> u8 {
    let command = match program {
        Program::Afterpush => Afterpush::try_parse().map(|line| line.command),
        Program::DeployStatus => DeployStatus::try_parse().map(|line| Command::Status(line.status)),
    };
    let command = match command {
        Ok(command) => command,
        Err(error) => {
            // Asking for help or the version is no mistake. A reader of it that went away is none either.
            let is_mistake = error.use_stderr();
            let _ = error.print();
            return if is_mistake { ErrorKind::Usage.code() } else { 0 };
        }
    };
    match carry_out(command) {
        Ok(code) => code,
        Err(error) => {
            output::talk(&error.render());
            error.kind.code()
        }
    }
}

fn carry_out(command: Command) -> Result<u8, CommandError> {
    let mut output = Output::default();
    let output = &mut output;
    // These need no place to stand in.
    match command {
        Command::Completions { shell } => return generated::completions(shell, output),
        Command::Man => return generated::man(output),
        Command::DemoServer(args) => return demo::server::serve(&args),
        _ => {}
    }
    let context = &Context::read()?;
    match command {
        Command::Init(args) => init::init(context, &args, output),
        Command::Install(args) if args.schedule => schedule::install(context, output),
        Command::Install(args) => install::install(context, &args, output),
        Command::Uninstall(args) if args.schedule => schedule::uninstall(context, output),
        Command::Uninstall(args) => install::uninstall(context, &args, output),
        Command::Status(args) => status::status(context, &args, output),
        Command::Watch(args) => watch::watch(context, &args, output),
        Command::List(args) => list::list(context, &args, output),
        Command::Stop(args) => stop::stop(context, &args, output),
        Command::Check(CheckCommand::Migrations(args)) => check_migrations::check(context, &args, output),
        Command::Cleanup(args) => cleanup::cleanup(context, &args, output),
        Command::Logs(args) => logs::logs(context, &args, output),
        Command::Path(args) => path::path(context, &args, output),
        Command::Push(args) => push::push(context, &args, output),
        Command::Resume(args) => resume::resume(context, &args, output),
        Command::Trust => trust::trust(context, output),
        Command::Untrust => trust::untrust(context, output),
        Command::Doctor(args) => doctor::doctor(context, &args, output),
        Command::Demo(args) => demo::demo(context, &args, output),
        Command::Completions { .. } | Command::Man | Command::DemoServer(_) => Ok(0),
    }
}
