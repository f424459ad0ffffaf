//! Starts the monitors that are missing in one repository: those of lost runs, and those of pushes that no hook saw.
//!
//! Each push does this once, in a process of its own, off the critical path of the push. What it starts does not do it again:
//! runs whose monitors keep dying would otherwise start each other for ever.

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    thread,
};

use afterpush_core::config::ConfigError;
use afterpush_git::{Git, GitError};
use afterpush_store::{
    Adoption, ConfigFiles, ConfigFilesError, Environment, Places, Repository, RepositoryError, RepositoryStore,
    RunDirectory, StartError, StateRoot, StoreError, UnseenError, Work, lost_runs, most_monitors, start_monitor,
};
use jiff::Timestamp;
use thiserror::Error;

use crate::secrets::PushEnvironment;

/// How many of the newest reflog entries are looked at.
const ENTRIES: usize = 100;

/// Tells why a repository could not be reconciled. Told to nobody: `afterpush resume` meets the same, and says it.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Its ownership.
    #[error("the repository belongs to another user")]
    Foreign,
    /// Its refs and reflogs.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The configuration files.
    #[error(transparent)]
    ConfigFiles(#[from] ConfigFilesError),
    /// What stands in them.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An unseen push.
    #[error(transparent)]
    Unseen(#[from] UnseenError),
    /// A monitor.
    #[error(transparent)]
    Start(#[from] StartError),
    /// This program's own path.
    #[error("the path of this program is not known")]
    Program(#[source] io::Error),
}

/// Starts what is missing in the repository of `git_dir`, with the environment of the push that gave the occasion.
///
/// # Errors
/// [`ReconcileError`]; what was started before it stays started.
pub fn reconcile(git_dir: &Path, push: &PushEnvironment) -> Result<(), ReconcileError> {
    let environment = Environment { git_dir: Some(git_dir.to_owned()), git_work_tree: None, ..Environment::read() };
    let own = Starter::new(push)?;
    // Runs of other repositories do not get the secrets of this push.
    let bare = Starter::new(&PushEnvironment::empty())?;
    start_missing(git_dir, &environment, Timestamp::now(), &mut |run, is_own| {
        let starter = if is_own { &own } else { &bare };
        starter.start(Work::Follow(run))?;
        Ok(())
    })
}

/// Starts by `start` what is missing in the repository of `git_dir`; that is told of each run whether it is of this repository.
///
/// # Errors
/// [`ReconcileError`]; what was started before it stays started.
pub fn start_missing(
    git_dir: &Path,
    environment: &Environment,
    now: Timestamp,
    start: &mut dyn FnMut(&RunDirectory, bool) -> Result<(), ReconcileError>,
) -> Result<(), ReconcileError> {
    let repository = Repository::locate(git_dir, environment)?;
    if !repository.is_owned_by_user().unwrap_or(false) {
        return Err(ReconcileError::Foreign);
    }
    let stores: Vec<RepositoryStore> =
        StateRoot::candidates(environment, Some(&repository)).iter().map(|root| root.repository(&repository)).collect();
    for store in &stores {
        for run in Places::of_store(store, most_monitors(environment)).next()? {
            start(&run, RepositoryStore::of_run(&run) == *store)?;
        }
        for run in lost_runs(store, now)?.0 {
            start(&run, true)?;
        }
    }
    let git = Git::open(&repository.git_dir)?;
    let pushes = git.pushes_in_reflogs(ENTRIES)?;
    if pushes.is_empty() {
        return Ok(());
    }
    let adoption = Adoption {
        repository: &repository,
        stores: &stores,
        root: &StateRoot::for_writing(environment, &repository)?,
        config: &ConfigFiles::of_work_tree(environment, Some(&repository))?.combine()?,
        remotes: &git.remotes()?,
    };
    for run in adoption.record(pushes, now)? {
        start(&run, true)?;
    }
    Ok(())
}

/// Starts the process that reconciles a run's repository, and waits for its end beside whatever else this one does.
pub fn begin(run: &RunDirectory, push: &PushEnvironment) {
    // What goes wrong here is met again by the next push, and told by `afterpush resume`.
    let Ok(Some(request)) = run.request() else { return };
    let Ok(starter) = Starter::new(push) else { return };
    if let Ok(mut child) = starter.start(Work::Reconcile(Path::new(&request.repository.git_dir))) {
        // Without the thread the ended child stays a zombie until this process ends: ugly, and harmless.
        let _ = thread::Builder::new().stack_size(64 << 10).spawn(move || child.wait());
    }
}

/// Starts other instances of this very program.
pub(crate) struct Starter {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Starter {
    /// They get the environment of the push; where none was handed over, this process's own.
    pub(crate) fn new(push: &PushEnvironment) -> Result<Self, ReconcileError> {
        let mut environment = push.variables();
        if environment.is_empty() {
            environment = env::vars_os().collect();
        }
        let program = env::current_exe().map_err(ReconcileError::Program)?;
        Ok(Self { program: without_deletion_mark(program), environment })
    }

    pub(crate) fn start(&self, work: Work<'_>) -> Result<std::process::Child, StartError> {
        start_monitor(&self.program, work, &self.environment)
    }
}

/// The path at which this program's successor lies. An upgrade renames the new file over ours, and Linux then says of our own
/// path that it was deleted.
fn without_deletion_mark(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(successor) if !path.exists() => PathBuf::from(successor),
        _ => path,
    }
}
