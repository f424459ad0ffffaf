//! One push with something to watch: put on record, told, and handed to monitors, in this order.

use std::{
    env, io,
    panic::resume_unwind,
    path::{Path, PathBuf},
    thread,
};

use afterpush_core::{
    config::{Config, Reaction},
    file::{HistoryLine, PushSource, Pusher, Request},
    push::RefUpdate,
    run::Outcome,
};
use afterpush_store::{
    Recorded, Repository, RepositoryStore, RunDirectory, StoreError, Work, process, random_name, start_monitor,
};
use jiff::Timestamp;
use nix::unistd::setsid;

use crate::{hook::HookError, input::Remote, say};

/// How many refs of one push are watched: each has a process of its own.
const MOST_REFS: usize = 32;
/// Of a thread that writes one small file.
const STACK: usize = 256 << 10;

/// A push, with everything that is known about it.
pub(crate) struct Push {
    /// The program to start.
    pub(crate) monitor: PathBuf,
    pub(crate) store: RepositoryStore,
    pub(crate) repository: Repository,
    pub(crate) remote: Remote,
    pub(crate) config: Config,
    /// The updates that have a target; at least one.
    pub(crate) updates: Vec<RefUpdate>,
    pub(crate) pusher: Option<Pusher>,
    pub(crate) source: PushSource,
}

/// Records each update, tells the person, starts the monitors.
pub(crate) fn watch(push: &Push) -> Result<(), HookError> {
    note_repository(push);
    let tells_failure = push.config.before_push.previous != Reaction::Off;
    let failure = tells_failure.then(|| push.updates.iter().find_map(|update| unseen_failure(push, update))).flatten();

    let mut recorded = Vec::new();
    let mut trouble = None;
    let updates = &push.updates[..push.updates.len().min(MOST_REFS)];
    for (update, outcome) in updates.iter().zip(record_all(push, updates)) {
        match outcome {
            Ok(run) => recorded.push((update, run)),
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    if let (true, Some(error)) = (recorded.is_empty(), trouble) {
        return Err(error);
    }
    // git calls the hook once for each address of a remote: the second time there is nothing new to tell.
    if recorded.iter().any(|(_, (_, recorded))| *recorded != Recorded::SamePush) {
        let watched: Vec<_> = recorded.iter().map(|(update, _)| *update).collect();
        say::line(&told(push, &watched));
    }
    if let Some((run, line)) = failure {
        say::line(&line);
        // Not noted is told again at the next push: better than never.
        let _ = run.mark_shown();
    }

    // From here on this process has no terminal, and so have the monitors from birth: its hang-up does not reach them.
    // It fails for the leader of a process group, which under the shim we are not.
    let _ = setsid();
    let environment: Vec<_> = env::vars_os().collect();
    for (at, (_, (run, _))) in recorded.iter().enumerate() {
        // One of them also starts what is missing in the repository: what a killed monitor or a push without hooks left.
        let work = if at == 0 { Work::FollowAndReconcile(run) } else { Work::Follow(run) };
        if let Err(error) = start_monitor(&push.monitor, work, &environment) {
            say::not_watching(&format!("{}; `afterpush resume` tries again", say::reasons(&error)));
            break;
        }
    }
    Ok(())
}

/// Has the monitors started that are missing in the repository, although this push itself has nothing to watch. Silent: the
/// push is none of its business, and `afterpush resume` meets the same trouble and says it.
pub(crate) fn reconcile(monitor: &Path, repository: &Repository) {
    let _ = setsid();
    let environment: Vec<_> = env::vars_os().collect();
    let _ = start_monitor(monitor, Work::Reconcile(&repository.git_dir), &environment);
}

/// Puts updates that nobody is to watch into the history.
pub(crate) fn note_as_left_out(
    store: &RepositoryStore,
    repository: &Repository,
    remote: &Remote,
    updates: &[RefUpdate],
) -> Result<(), HookError> {
    if updates.is_empty() {
        return Ok(());
    }
    store.record_repository(repository, &[])?;
    for update in updates {
        let now = Timestamp::now();
        store.append_history(&HistoryLine {
            request_id: random_name().map_err(HookError::Random)?,
            commit: update.commit.clone(),
            ref_name: update.ref_name.clone(),
            remote: remote.name.clone(),
            outcome: Some(&Outcome::Skipped).into(),
            reason: Some("AFTERPUSH_SKIP was set".to_owned()),
            pushed_at: now,
            finished_at: now,
        })?;
    }
    Ok(())
}

/// The monitor beside this very program: never through `PATH`, which a repository's tools may have changed.
pub(crate) fn monitor_program() -> io::Result<PathBuf> {
    let program = env::current_exe()?.canonicalize()?.with_file_name("afterpush-monitor");
    if is_file(&program) { Ok(program) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file())
}

/// For `list --all`, which finds repositories by this note. Without it the run is watched all the same.
fn note_repository(push: &Push) {
    let remote = push.remote.is_named.then(|| (push.remote.name.clone(), push.remote.url.clone()));
    let _ = push.store.record_repository(&push.repository, remote.as_slice());
}

/// Records all at once: each waits for the disk twice, and a file system syncs together what comes together.
fn record_all(push: &Push, updates: &[RefUpdate]) -> Vec<Result<(RunDirectory, Recorded), HookError>> {
    let Some((first, further)) = updates.split_first() else { return Vec::new() };
    thread::scope(|scope| {
        let begin = |update| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || record(push, update));
        let threads: Vec<_> = further.iter().map(|update| (update, begin(update))).collect();
        let mut outcomes = vec![record(push, first)];
        outcomes.extend(threads.into_iter().map(|(update, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // A limit on processes: then one after the other.
            Err(_) => record(push, update),
        }));
        outcomes
    })
}

fn record(push: &Push, update: &RefUpdate) -> Result<(RunDirectory, Recorded), HookError> {
    let request = Request {
        schema: Request::schema(),
        id: random_name().map_err(HookError::Random)?,
        commit: update.commit.clone(),
        ref_name: update.ref_name.clone(),
        remote: push.remote.name.clone(),
        remote_url: push.remote.url.clone(),
        previous: update.previous.clone(),
        pushed_at: Timestamp::now(),
        boot_time: process::boot_time().ok(),
        source: push.source,
        pusher: push.pusher.clone(),
        repository: push.repository.facts(),
    };
    let run = push.store.run(&request.commit, &request.remote, &request.ref_name);
    let recorded = run.write_request(&request)?;
    Ok((run, recorded))
}

/// The one line: what is watched, and how to ask for it.
fn told(push: &Push, watched: &[&RefUpdate]) -> String {
    let all = push.updates.len();
    let what = match watched {
        [update] if all == 1 => {
            let targets: Vec<_> =
                push.config.targets_of(&update.ref_name).map(|target| say::clean(&target.name)).collect();
            format!("{} -> {}", update.commit.short(), targets.join(", "))
        }
        some if some.len() == all => format!("{all} refs"),
        some => format!("{} of {all} refs", some.len()),
    };
    format!("watching {what}; `deploy-status` tells")
}

/// How the last landed push of this ref failed, when nobody was told yet. Best effort: what cannot be read is `status`'s
/// business, and must not keep this push from being watched.
fn unseen_failure(push: &Push, update: &RefUpdate) -> Option<(RunDirectory, String)> {
    let look = || -> Result<Option<(RunDirectory, String)>, StoreError> {
        let Some(head) = push.store.head(&push.remote.name, &update.ref_name)? else { return Ok(None) };
        let run = push.store.run(&head.commit, &push.remote.name, &update.ref_name);
        if run.is_shown() || run.again()?.is_some() {
            return Ok(None);
        }
        let Some(result) = run.result()? else { return Ok(None) };
        let Some(outcome) = result.outcome.outcome.filter(|outcome| !outcome.is_live()) else { return Ok(None) };
        let reason = result.reason.map(|reason| format!(": {}", say::clean(&reason))).unwrap_or_default();
        let (name, commit) = (say::clean(update.ref_name.short()), head.commit.short());
        Ok(Some((run, format!("the last push of {name} ({commit}) ended {outcome}{reason}"))))
    };
    look().ok().flatten()
}
