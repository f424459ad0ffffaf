//! Where a command runs: the environment, the repository around it, the state directories, and the programs beside it.
//!
//! Everything is looked up when it is first asked for, because `deploy-status` must answer in milliseconds.

use std::{
    cell::OnceCell,
    env,
    path::{Path, PathBuf},
};

use afterpush_core::file::Request;
use afterpush_git::Git;
use afterpush_store::{
    Environment, Places, Repository, RepositoryStore, RunDirectory, StateRoot, Work, most_monitors, start_monitor,
};
use jiff::Timestamp;

use crate::error::{CommandError, ErrorKind};

/// Where a command runs.
pub(crate) struct Context {
    /// What the environment says.
    pub(crate) environment: Environment,
    directory: PathBuf,
    repository: OnceCell<Option<Repository>>,
}

impl Context {
    /// Reads the environment and the current directory.
    pub(crate) fn read() -> Result<Self, CommandError> {
        let directory = env::current_dir()
            .map_err(|error| CommandError::because(ErrorKind::Usage, "the current directory cannot be read", &error))?;
        Ok(Self { environment: Environment::read(), directory, repository: OnceCell::new() })
    }

    /// The same, standing in another repository.
    pub(crate) fn in_repository(&self, repository: Repository) -> Self {
        let directory = repository.work_tree.clone().unwrap_or_else(|| repository.git_dir.clone());
        let environment = Environment { git_dir: None, git_work_tree: None, ..self.environment.clone() };
        Self { environment, directory, repository: OnceCell::from(Some(repository)) }
    }

    /// The current directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The repository around the current directory.
    pub(crate) fn repository(&self) -> Result<&Repository, CommandError> {
        if self.repository.get().is_none() {
            let found = Repository::locate(&self.directory, &self.environment)?;
            let _ = self.repository.set(Some(found));
        }
        let found = self.repository.get().and_then(Option::as_ref);
        found.ok_or_else(|| CommandError::new(ErrorKind::Usage, "not in a git repository"))
    }

    /// The repository around the current directory, where there is one.
    pub(crate) fn repository_if_any(&self) -> Option<&Repository> {
        self.repository().ok()
    }

    /// The repository's objects and refs.
    pub(crate) fn git(&self) -> Result<Git, CommandError> {
        Ok(Git::open(&self.repository()?.git_dir)?)
    }

    /// Every state directory that exists.
    pub(crate) fn roots(&self) -> Vec<StateRoot> {
        StateRoot::candidates(&self.environment, self.repository_if_any())
    }

    /// The stores of this repository, one in each state directory that exists.
    pub(crate) fn stores(&self) -> Result<Vec<RepositoryStore>, CommandError> {
        let repository = self.repository()?;
        Ok(self.roots().iter().map(|root| root.repository(repository)).collect())
    }

    /// The stores of every repository of this user.
    pub(crate) fn stores_of_user(&self) -> Result<Vec<RepositoryStore>, CommandError> {
        let mut stores = Vec::new();
        for root in self.roots() {
            stores.extend(root.repositories()?);
        }
        Ok(stores)
    }

    /// The stores that a command with `--all` is about, or without it.
    pub(crate) fn stores_in_scope(&self, all: bool) -> Result<Vec<RepositoryStore>, CommandError> {
        if all { self.stores_of_user() } else { self.stores() }
    }

    /// The state directory of this repository to write to.
    pub(crate) fn writable_root(&self) -> Result<StateRoot, CommandError> {
        Ok(StateRoot::for_writing(&self.environment, self.repository()?)?)
    }

    /// Records a request in the state and starts a monitor for it.
    pub(crate) fn watch_request(
        &self,
        request: &Request,
        remotes: &[(String, String)],
    ) -> Result<RunDirectory, CommandError> {
        let repository = self.repository()?;
        let store = self.writable_root()?.repository(repository);
        let remotes: Vec<(String, String)> =
            remotes.iter().map(|(name, url)| (name.clone(), afterpush_core::redact::remote_url(url))).collect();
        store.record_repository(repository, &remotes)?;
        let run = store.run(&request.commit, &request.remote, &request.ref_name);
        run.write_request(request)?;
        self.start(&run)?;
        Ok(run)
    }

    /// Starts a monitor for a run. Whether it is needed is the lock's business: a second one leaves silently.
    pub(crate) fn start(&self, run: &RunDirectory) -> Result<(), CommandError> {
        let environment: Vec<_> = env::vars_os().collect();
        start_monitor(&beside("afterpush-monitor")?, Work::Follow(run), &environment)?;
        Ok(())
    }

    /// Starts monitors for the runs that wait for a place, as far as there are places in the state directory of `store`.
    pub(crate) fn start_waiting(&self, store: &RepositoryStore) -> Result<(), CommandError> {
        for next in Places::of_store(store, most_monitors(&self.environment)).next()? {
            self.start(&next)?;
        }
        Ok(())
    }
}

/// The program that was installed beside this one. Never looked up in PATH, where another version could stand.
pub(crate) fn beside(program: &str) -> Result<PathBuf, CommandError> {
    let own = env::current_exe()
        .and_then(|path| path.canonicalize())
        .map_err(|error| CommandError::because(ErrorKind::Internal, "the path of this program is not known", &error))?;
    let path = own.with_file_name(program);
    if path.is_file() {
        return Ok(path);
    }
    let missing = format!("{program} is missing: it should lie beside this program as {}", path.display());
    Err(CommandError::new(ErrorKind::Refused, missing).hint("run ./install.sh again"))
}

/// The current time.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
