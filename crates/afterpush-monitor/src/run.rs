//! One run on this machine: the real surroundings of a monitor's life.

use std::{io, path::Path};

use afterpush_core::{
    config::Config,
    fault::with_causes,
    file::{MonitorPid, Pusher, Request},
    id::CommitId,
    machine::{EventKind, Plan},
};
use afterpush_git::{Git, ls_remote_command};
use afterpush_store::{
    CONFIG_FILE, ConfigFiles, ConfigFilesError, Environment, LARGEST_CONFIG, Repository, RepositoryStore, RunDirectory,
    Work, most_monitors, process,
};
use jiff::Timestamp;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    changes::Changes,
    clock::Clocks,
    driver::Pending,
    life::{self, RunError},
    pusher,
    reconcile::Starter,
    remote,
    secrets::PushEnvironment,
    sharing::Sharing,
    sources::{Kit, Sources, SourcesError},
    surroundings::{Answering, Prepared, Surroundings},
};

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

/// Follows the run in `directory` on this machine, as [`life::follow`] says. `nonce` is the random word in this process's arguments.
///
/// # Errors
/// [`RunError`] when the run's files cannot be used at all.
pub async fn follow(directory: &Path, nonce: &str, push: &PushEnvironment) -> Result<(), RunError> {
    let machine = Machine { environment: Environment::read(), nonce: nonce.to_owned(), push };
    life::follow(&RunDirectory::at(directory), &machine).await
}

/// The machine that this process runs on.
struct Machine<'a> {
    environment: Environment,
    nonce: String,
    push: &'a PushEnvironment,
}

impl Surroundings for Machine<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn clocks(&self) -> Clocks {
        Clocks::read()
    }

    fn roll(&self) -> f64 {
        fastrand::f64()
    }

    fn most_monitors(&self) -> u32 {
        most_monitors(&self.environment)
    }

    fn identity(&self) -> io::Result<MonitorPid> {
        Ok(MonitorPid {
            process: process::current()?,
            nonce: self.nonce.clone(),
            host: host_name(),
            started_at: Timestamp::now(),
        })
    }

    fn signals(&self) -> Vec<Pending> {
        signals()
    }

    fn watch_pusher(&self, pusher: Pusher) -> Pending {
        let end = pusher::wait(pusher);
        Box::pin(async move { EventKind::PusherGone { exit: end.await } })
    }

    fn ask_remote(&self, request: &Request) -> Answering<Result<Vec<u8>, String>> {
        let git_dir = Path::new(&request.repository.git_dir);
        Box::pin(remote::ask(ls_remote_command(git_dir, &request.remote, &request.ref_name)))
    }

    fn prepare(
        &self,
        request: &Request,
        commit: &CommitId,
        git: Option<&Git>,
        has_waited: bool,
    ) -> Result<Prepared, String> {
        prepare(request, commit, git, &self.environment, self.push, has_waited).map_err(|error| with_causes(&error))
    }

    /// One of another repository does not get the environment of this push: its secrets are none of that one's.
    fn start_waiting(&self, runs: &[RunDirectory], own: &RunDirectory) {
        let store = RepositoryStore::of_run(own);
        for run in runs {
            let bare = PushEnvironment::empty();
            let environment = if RepositoryStore::of_run(run) == store { self.push } else { &bare };
            if let Ok(starter) = Starter::new(environment) {
                let _ = starter.start(Work::Follow(run));
            }
        }
    }
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
    let plan = Plan { targets, has_pusher: request.pusher.is_some(), is_repeated: false };
    Ok(Prepared { policy: config.policy, left_out: config.left_out, plan, sources: Box::new(sources) })
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
