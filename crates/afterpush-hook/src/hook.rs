//! The hook from beginning to end: what is asked in which order, and what is said when it goes wrong.

use std::{env, ffi::OsString, panic};

use afterpush_core::config::ConfigError;
use afterpush_store::{
    ConfigFiles, ConfigFilesError, Environment, Repository, RepositoryError, StateRoot, StoreError, find_pusher,
};
use nix::sys::signal::{SigSet, Signal};
use thiserror::Error;

use crate::{
    input::{self, Remote},
    push::{self, Push},
    say, watchdog,
};

/// Tells why a push goes unwatched; never more than a line on standard error.
#[derive(Debug, Error)]
pub(crate) enum HookError {
    #[error("this directory has vanished")]
    Directory(#[source] std::io::Error),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error("the repository belongs to another user; push as that user, or from a clone of your own")]
    Foreign,
    #[error("it has more refs than are read; push fewer at once, or run `afterpush resume` afterwards")]
    TooManyRefs,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    ConfigFiles(#[from] ConfigFilesError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there are no random numbers for its name")]
    Random(#[source] std::io::Error),
    #[error("cannot find afterpush-monitor beside this program")]
    Monitor(#[source] std::io::Error),
}

/// Runs the hook: `pre-push <pid> [remote] [url]`. Returns whatever happened; the exit code is 0.
pub fn run(arguments: impl Iterator<Item = OsString>) {
    // A limit on file sizes then ends in an error of the write, which is reported, and not in our death. The monitor
    // inherits this.
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGXFSZ);
    let _ = blocked.thread_block();
    // Silence: a panic's own message is for programmers.
    panic::set_hook(Box::new(|_| {}));
    let arguments: Vec<OsString> = arguments.collect();
    match panic::catch_unwind(move || watch(arguments)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => say::not_watching(&say::reasons(&error)),
        Err(_) => say::not_watching("an internal error; please report it"),
    }
}

fn watch(arguments: Vec<OsString>) -> Result<(), HookError> {
    let mut arguments = arguments.into_iter();
    if arguments.next().is_none_or(|word| word != "pre-push") {
        say::line("afterpush-hook is run by git's pre-push hook; `afterpush install` sets that up");
        return Ok(());
    }
    let environment = Environment::read();
    if environment.wants_no_monitor() {
        return Ok(());
    }
    watchdog::start();
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse().ok()).unwrap_or(0);
    let remote = Remote::read(arguments.next(), arguments.next());

    let directory = env::current_dir().map_err(HookError::Directory)?;
    let repository = Repository::locate(&directory, &environment)?;
    if !repository.is_owned_by_user().unwrap_or(false) {
        // Only where something would be watched: elsewhere it is nobody's business.
        let is_configured = repository.config_path().is_some_and(|path| path.exists());
        return if is_configured { Err(HookError::Foreign) } else { Ok(()) };
    }
    // Judged fast, by the files of the work tree and of the user. The monitor judges again, by the pushed commit's file; for
    // the targets' names and refs it does not matter whether the user trusts it.
    let config = ConfigFiles::of_work_tree(&environment, Some(&repository))?.combine()?;
    if config.targets.is_empty() {
        return Ok(());
    }
    let updates = input::updates(|update| config.targets_of(&update.ref_name).next().is_some());
    if updates.wanted.is_empty() && updates.is_cut {
        return Err(HookError::TooManyRefs);
    }
    let updates = updates.wanted;
    let pusher = find_pusher(parent);
    if pusher.as_ref().is_some_and(|pusher| !pusher.exit_proves) {
        // A dry run.
        return Ok(());
    }
    let monitor = push::monitor_program().map_err(HookError::Monitor)?;
    if updates.is_empty() {
        push::reconcile(&monitor, &repository);
        return Ok(());
    }
    let store = StateRoot::for_writing(&environment, &repository)?.repository(&repository);
    push::watch(&Push { monitor, store, repository, remote, config, updates, pusher })
}
