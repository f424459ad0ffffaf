//! The hook from beginning to end: what is asked in which order, and what is said when it goes wrong.

use std::{
    env,
    ffi::{OsStr, OsString},
    panic,
};

use afterpush_core::{
    config::{BeforePush, Config, ConfigError},
    file::PushSource,
    push::RefUpdate,
};
use afterpush_store::{
    ConfigFiles, ConfigFilesError, Environment, Repository, RepositoryError, StateRoot, StoreError, find_pusher,
    process,
};
use nix::sys::signal::{SigSet, Signal};
use thiserror::Error;

use crate::{
    courtesy::{self, Facts, Remark},
    input::{self, Remote},
    push::{self, Push},
    say, strict, watchdog,
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

/// The exit code that means "the user's own configuration refuses this push", and that nothing else gives: not a shell that
/// cannot run the program (126, 127), not a signal (above 128), not a panic (101). The shim knows it.
pub const REFUSAL: u8 = 10;

/// Whether the push may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Go,
    Refused,
}

/// Runs the hook: `pre-push <pid> [remote] [url]`, or `reference-transaction <pid> <new id> <ref>`. Gives the exit code: [`REFUSAL`], or 0 whatever else happened.
#[must_use]
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    process::close_to_others();
    // A limit on file sizes then ends in an error of the write, which is reported, and not in our death. The monitor
    // inherits this.
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGXFSZ);
    let _ = blocked.thread_block();
    // Silence: a panic's own message is for programmers.
    panic::set_hook(Box::new(|_| {}));
    let arguments: Vec<OsString> = arguments.collect();
    match panic::catch_unwind(move || watch(arguments)) {
        Ok(Ok(Verdict::Refused)) => return REFUSAL,
        Ok(Ok(Verdict::Go)) => {}
        Ok(Err(error)) => say::not_watching(&say::reasons(&error)),
        Err(_) => say::not_watching("an internal error; please report it"),
    }
    0
}

fn watch(arguments: Vec<OsString>) -> Result<Verdict, HookError> {
    let mut arguments = arguments.into_iter();
    match arguments.next().as_deref().and_then(OsStr::to_str) {
        Some("pre-push") => {}
        Some("reference-transaction") => return strict::watch(arguments).map(|()| Verdict::Go),
        _ => {
            say::line("afterpush-hook is run by git's pre-push hook; `afterpush install` sets that up");
            return Ok(Verdict::Go);
        }
    }
    let environment = Environment::read();
    if environment.wants_no_monitor() && !environment.skip {
        return Ok(Verdict::Go);
    }
    watchdog::start();
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse().ok()).unwrap_or(0);
    let remote = Remote::read(arguments.next(), arguments.next());
    if environment.skip {
        // Whatever goes wrong here: somebody who asks for nothing is told nothing.
        let _ = leave_out(&environment, &remote, parent);
        return Ok(Verdict::Go);
    }

    let Some((repository, config)) = look_around(&environment)? else { return Ok(Verdict::Go) };
    let rules = &config.before_push;
    if config.targets.is_empty() && *rules == BeforePush::default() {
        return Ok(Verdict::Go);
    }
    let pusher = find_pusher(parent);
    if pusher.as_ref().is_some_and(|pusher| !pusher.exit_proves) {
        // A dry run. Its refs are not even read: git takes no offence at a hook that leaves them.
        return Ok(Verdict::Go);
    }
    let has_target = |update: &RefUpdate| config.targets_of(&update.ref_name).next().is_some();
    let updates = input::updates(|update| has_target(update) || courtesy::concerns(rules, update));
    let (is_cut, all) = (updates.is_cut, updates.wanted);
    let stores: Vec<_> = StateRoot::candidates(&environment, Some(&repository))
        .iter()
        .map(|root| root.repository(&repository))
        .collect();
    let facts = Facts { repository: &repository, remote: &remote, stores: &stores };
    if !is_passed(&courtesy::remarks(rules, &all, &facts)) {
        return Ok(Verdict::Refused);
    }
    let updates: Vec<_> = all.into_iter().filter(has_target).collect();
    if updates.is_empty() && is_cut {
        return Err(HookError::TooManyRefs);
    }
    if config.targets.is_empty() {
        return Ok(Verdict::Go);
    }
    let monitor = push::monitor_program().map_err(HookError::Monitor)?;
    if updates.is_empty() {
        push::reconcile(&monitor, &repository);
        return Ok(Verdict::Go);
    }
    let store = StateRoot::for_writing(&environment, &repository)?.repository(&repository);
    push::watch(&Push { monitor, store, repository, remote, config, updates, pusher, source: PushSource::Hook })?;
    Ok(Verdict::Go)
}

/// Notes that this push is not to be watched: the next push, `status` and `resume` would take it for one that no hook saw.
fn leave_out(environment: &Environment, remote: &Remote, parent: i32) -> Result<(), HookError> {
    let Some((repository, config)) = look_around(environment)? else { return Ok(()) };
    if config.targets.is_empty() || find_pusher(parent).is_some_and(|pusher| !pusher.exit_proves) {
        return Ok(());
    }
    let updates = input::updates(|update| config.targets_of(&update.ref_name).next().is_some());
    let store = StateRoot::for_writing(environment, &repository)?.repository(&repository);
    push::note_as_left_out(&store, &repository, remote, &updates.wanted)
}

/// The repository and its configuration; nothing in somebody else's that is not configured.
pub(crate) fn look_around(environment: &Environment) -> Result<Option<(Repository, Config)>, HookError> {
    let directory = env::current_dir().map_err(HookError::Directory)?;
    let repository = Repository::locate(&directory, environment)?;
    if !repository.is_owned_by_user().unwrap_or(false) {
        // Only where something would be watched: elsewhere it is nobody's business.
        let is_configured = repository.config_path().is_some_and(|path| path.exists());
        return if is_configured { Err(HookError::Foreign) } else { Ok(None) };
    }
    // Judged fast, by the files of the work tree and of the user. The monitor judges again, by the pushed commit's file; for
    // the targets' names and refs it does not matter whether the user trusts it.
    let config = ConfigFiles::of_work_tree(environment, Some(&repository))?.combine()?;
    Ok(Some((repository, config)))
}

/// Says every remark; `false` when one refuses the push.
fn is_passed(remarks: &[Remark]) -> bool {
    for remark in remarks {
        match remark.refused_by {
            None => say::line(&remark.text),
            Some(key) => say::line(&format!(
                "push refused: {} ([before_push] {key} of your configuration; AFTERPUSH_SKIP=1 pushes all the same)",
                remark.text
            )),
        }
    }
    remarks.iter().all(|remark| remark.refused_by.is_none())
}
