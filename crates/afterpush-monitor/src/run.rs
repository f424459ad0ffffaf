//! One run from the lock to the result.

use std::path::Path;

use afterpush_core::{
    config::Config,
    fault::with_causes,
    file::{MonitorPid, Request},
    id::CommitId,
    machine::{EventKind, Plan, State, TargetPlan},
    policy::Policy,
};
use afterpush_git::Git;
use afterpush_store::{
    Admission, CONFIG_FILE, ConfigFiles, ConfigFilesError, Environment, LARGEST_CONFIG, Places, Repository,
    RepositoryStore, RunDirectory, StoreError, Work, most_monitors, process,
};
use jiff::Timestamp;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    changes::Changes,
    driver::{Pending, drive},
    reconcile::Starter,
    recorder::Recorder,
    secrets::PushEnvironment,
    sharing::Sharing,
    sources::{Kit, Sources, SourcesError},
    world::{World, watch_pusher},
};

/// Tells why a run could not be followed at all.
#[derive(Debug, Error)]
pub enum RunError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This process could not be identified.
    #[error("could not read this process's own identity")]
    Identity(#[source] std::io::Error),
    /// The directory is not one of a run.
    #[error("{0} is not the directory of a run: it holds no request.json")]
    NotARun(std::path::PathBuf),
}

/// Tells why the configuration of a push cannot be used.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It is wrong, or cannot be read.
    #[error(transparent)]
    Files(#[from] ConfigFilesError),
    /// It cannot be read from the commit.
    #[error("could not read {CONFIG_FILE} of the pushed commit")]
    Commit(#[source] afterpush_git::GitError),
    /// The repository has been moved or removed since.
    #[error("the repository is no longer at {0}; if it was moved, run `afterpush resume` where it is now")]
    Gone(std::path::PathBuf),
    /// Something in it cannot be set up.
    #[error(transparent)]
    Sources(#[from] SourcesError),
}

/// Follows the run in `directory` to its end, and the next push of the same commit to the same ref, if the hook leaves one
/// meanwhile. Leaves silently when another monitor has the run, or when it is finished.
///
/// # Errors
/// [`RunError`] when the run's files cannot be used at all.
pub async fn follow(directory: &Path, nonce: &str, push: &PushEnvironment) -> Result<(), RunError> {
    let directory = RunDirectory::at(directory);
    let places = Places::of_run(&directory, most_monitors(&Environment::read()));
    let mut place = None;
    loop {
        let Some(lock) = directory.try_lock()? else { break };
        let writer = lock.into_writer();
        let again = writer.adopt_again()?;
        if !again && directory.result()?.is_some() {
            break;
        }
        let request = directory.request()?.ok_or_else(|| RunError::NotARun(directory.path().to_owned()))?;
        // Before anything that takes time: a push that fails at once must still be there to be waited for.
        let pusher = request.pusher.clone().map(watch_pusher);
        let has_waited = places.is_waiting(&request);
        if place.is_none() {
            match places.take(&directory, &request) {
                Ok(Admission::Place(taken)) => place = Some(taken),
                Ok(Admission::Waiting(owed)) => {
                    drop(writer.release());
                    start_waiting(&owed, &directory, push);
                    return Ok(());
                }
                // The limit is a courtesy to the machine: a disk that refuses must not leave the push unwatched.
                Err(error) => drop(writer.log(&format!("{}; going on without a place", with_causes(&error)))),
            }
        }
        let monitor = MonitorPid {
            process: process::current().map_err(RunError::Identity)?,
            nonce: nonce.to_owned(),
            host: host_name(),
            started_at: Timestamp::now(),
        };
        let recorder = Recorder::begin(writer, request, monitor);
        follow_once(recorder, pusher, push, has_waited).await;
        // A push that came after the last look is not lost: its own monitor found the lock taken and left.
        if directory.again()?.is_none() {
            break;
        }
    }
    // The place first, then the look: a run that found it taken was noted before.
    if place.take().is_some()
        && let Ok(next) = places.next()
    {
        start_waiting(&next, &directory, push);
    }
    Ok(())
}

/// Gives a monitor to each of these runs. One of another repository does not get the environment of this push: its secrets
/// are none of that one's. What cannot be started stays noted as waiting.
fn start_waiting(runs: &[RunDirectory], own: &RunDirectory, push: &PushEnvironment) {
    let store = RepositoryStore::of_run(own);
    for run in runs {
        let bare = PushEnvironment::empty();
        let environment = if RepositoryStore::of_run(run) == store { push } else { &bare };
        if let Ok(starter) = Starter::new(environment) {
            let _ = starter.start(Work::Follow(run));
        }
    }
}

async fn follow_once(mut recorder: Recorder, pusher: Option<Pending>, push: &PushEnvironment, has_waited: bool) {
    let request = recorder.request().clone();
    recorder.clear_stop();
    recorder.log(&format!("watching {} on {} of {}", request.commit, request.ref_name, request.remote));
    let store = RepositoryStore::of_run(recorder.directory());
    let git = Git::open(Path::new(&request.repository.git_dir));
    if let Err(error) = &git {
        recorder.log(&with_causes(error));
    }
    let git = git.ok();
    // Of an annotated tag git pushes the tag object; what is deployed is the commit that it stands for.
    let commit = git.as_ref().and_then(|git| git.peel(&request.commit)).unwrap_or_else(|| request.commit.clone());
    let environment = Environment::read();
    let prepared = prepare(&request, &commit, git.as_ref(), &environment, push, has_waited);
    let mut pending: Vec<Pending> = signals();
    let (sources, plan, policy, git) = match prepared {
        Ok(prepared) => {
            recorder.configure(prepared.config.policy.clone(), prepared.config.left_out.clone());
            pending.extend(pusher);
            (prepared.sources, prepared.plan, prepared.config.policy, git)
        }
        Err(error) => {
            // The machine ends the run, so that this ending is recorded like any other. Nothing that could prove the push is
            // looked at: with nothing to ask, a proof would end the run as well, and before the reason.
            let reason = with_causes(&error);
            let (sources, plan, policy) = nothing_to_ask();
            pending.push(Box::pin(async move { EventKind::Broken { reason } }));
            (sources, plan, policy, None)
        }
    };
    let state = State::new(plan, &policy);
    let mut world = World::new(recorder, store, sources, git, commit);
    let state = drive(state, &policy, &mut world, pending).await;
    let World { recorder, store, clock, .. } = world;
    // What was under way has been dropped with the loop, so nobody else holds the recorder.
    if let Some(recorder) = std::rc::Rc::into_inner(recorder) {
        let mut recorder = recorder.into_inner();
        recorder.finish(&state, clock.elapsed(), &store).await;
        recorder.release();
    }
}

struct Prepared {
    config: Config,
    sources: Sources,
    plan: Plan,
}

fn prepare(
    request: &Request,
    commit: &CommitId,
    git: Option<&Git>,
    environment: &Environment,
    push: &PushEnvironment,
    has_waited: bool,
) -> Result<Prepared, ReadError> {
    let config = read_config(request, commit, git, environment)?;
    let changes = Changes::of_push(request, commit, git, &config);
    let (sources, targets) = Sources::set_up(&Kit {
        config: &config,
        request,
        commit,
        git,
        push,
        has_waited,
        environment,
        sharing: Sharing::of_user(environment),
        changes,
    })?;
    let plan = Plan { targets, has_pusher: request.pusher.is_some() };
    Ok(Prepared { config, sources, plan })
}

/// The configuration of the pushed commit, combined with the user's.
fn read_config(
    request: &Request,
    commit: &CommitId,
    git: Option<&Git>,
    environment: &Environment,
) -> Result<Config, ReadError> {
    let bytes = match git {
        Some(git) => git.file_at(commit, CONFIG_FILE, LARGEST_CONFIG).map_err(ReadError::Commit)?,
        None => None,
    };
    let repository = Repository::from_facts(&request.repository);
    let name = format!("{CONFIG_FILE} of {}", commit.short());
    let files = ConfigFiles::with(environment, Some(&repository), name, bytes)?;
    let config = files.combine().map_err(ConfigFilesError::from)?;
    // Only then is the missing repository the reason: the user's own targets can be followed without it.
    if git.is_none() && config.targets.is_empty() && !repository.git_dir.exists() {
        return Err(ReadError::Gone(repository.git_dir));
    }
    Ok(config)
}

fn nothing_to_ask() -> (Sources, Plan, Policy) {
    let target = TargetPlan::unavailable("configuration", "the configuration cannot be used");
    (Sources::none(), Plan { targets: vec![target], has_pusher: true }, Policy::default())
}

/// Each signal that asks a process to end becomes an event: the run ends with a written result.
fn signals() -> Vec<Pending> {
    let kinds = [
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::interrupt(), "SIGINT"),
        (SignalKind::hangup(), "SIGHUP"),
        (SignalKind::quit(), "SIGQUIT"),
    ];
    let mut pending: Vec<Pending> = Vec::new();
    for (kind, name) in kinds {
        if let Ok(mut stream) = signal(kind) {
            pending.push(Box::pin(async move {
                stream.recv().await;
                EventKind::Stop { reason: format!("stopped by {name}") }
            }));
        }
    }
    pending
}

fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
