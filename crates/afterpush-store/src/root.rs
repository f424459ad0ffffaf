//! Where state lives, and whether that place may be trusted.
//!
//! Invariant: nothing is written to a directory that is a symbolic link, belongs to somebody else, or that others can change.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;

use crate::{
    Answers, Environment, Repository, RepositoryStore, TrustStore, atomic, error::StoreError, random_name,
    run_directory::names_in,
};

/// A directory that holds state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRoot {
    path: PathBuf,
    /// It lies inside a repository, and so may have come with it.
    in_repository: bool,
}

impl StateRoot {
    /// The place for new state: `$AFTERPUSH_STATE_DIR`, else the user's state directory; when that is not writable (a
    /// sandbox), `afterpush` in the repository's common directory.
    ///
    /// # Errors
    /// [`StoreError`] when no place can be written to, or one is not safe: that is told, not worked around.
    pub fn for_writing(environment: &Environment, repository: &Repository) -> Result<Self, StoreError> {
        let Some(path) = chosen(environment)? else {
            return Err(StoreError::NoStateDirectory);
        };
        let first = Self { path, in_repository: false };
        match first.prepare() {
            Err(error) if is_not_writable(&error) => {
                let second = Self::inside(repository);
                // Where the second place fails too, the first reason is the one to tell.
                second.prepare().map(|()| second).map_err(|_| error)
            }
            prepared => prepared.map(|()| first),
        }
    }

    /// The places where state may be found: those that exist and are safe to read.
    #[must_use]
    pub fn candidates(environment: &Environment, repository: Option<&Repository>) -> Vec<Self> {
        let user = chosen(environment).ok().flatten().map(|path| Self { path, in_repository: false });
        user.into_iter()
            .chain(repository.map(Self::inside))
            .filter(|root| atomic::exists(&root.path) && root.check().is_ok())
            .collect()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store of one repository. Naming it does not create it.
    #[must_use]
    pub fn repository(&self, repository: &Repository) -> RepositoryStore {
        RepositoryStore::at(self.path.join("repos").join(repository.key()))
    }

    /// The stores of all repositories.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be listed.
    pub fn repositories(&self) -> Result<Vec<RepositoryStore>, StoreError> {
        let repositories = self.path.join("repos");
        let names = names_in(&repositories)?.into_iter().filter(|name| !name.starts_with('.'));
        Ok(names.map(|name| RepositoryStore::at(repositories.join(name))).filter(RepositoryStore::exists).collect())
    }

    /// The answers that all monitors of the user share. `None` inside of a repository: what lies there could have come with it.
    ///
    /// # Errors
    /// [`StoreError`] when the place cannot be made.
    pub fn answers(&self) -> Result<Option<Answers>, StoreError> {
        if self.in_repository { Ok(None) } else { Answers::open(&self.path.join("answers")).map(Some) }
    }

    /// What the user trusts. Kept only in the user's own place: a directory inside a repository could have come with it.
    #[must_use]
    pub fn trust(&self) -> TrustStore {
        TrustStore::new((!self.in_repository).then(|| self.path.join("trust")), &self.path)
    }

    fn inside(repository: &Repository) -> Self {
        Self { path: repository.common_dir.join("afterpush"), in_repository: true }
    }

    fn prepare(&self) -> Result<(), StoreError> {
        if !atomic::exists(&self.path) {
            let above = self.path.parent().unwrap_or(&self.path);
            fs::DirBuilder::new().recursive(true).mode(0o755).create(above).map_err(StoreError::io(above, "create"))?;
            atomic::ensure_directory(&self.path)?;
        }
        self.check()?;
        // Asking by trying: a sandbox refuses what the mode bits allow.
        let name = random_name().map_err(StoreError::io(&self.path, "name a file in"))?;
        let probe = self.path.join(format!(".writable-{name}.tmp"));
        atomic::touch(&probe)?;
        atomic::remove(&probe)?;
        atomic::ensure_directory(&self.path.join("repos"))
    }

    fn check(&self) -> Result<(), StoreError> {
        let found = fs::symlink_metadata(&self.path).map_err(StoreError::io(&self.path, "look at"))?;
        let problem = if found.is_symlink() {
            "it is a symbolic link; name the directory itself"
        } else if !found.is_dir() {
            "it is not a directory; move it away, or set AFTERPUSH_STATE_DIR to another place"
        } else if found.uid() != geteuid().as_raw() {
            "it belongs to another user; set AFTERPUSH_STATE_DIR to a directory of your own"
        } else if found.permissions().mode() & 0o022 != 0 {
            "other users can write to it; run chmod go-w on it"
        } else {
            return Ok(());
        };
        Err(StoreError::not_ours(&self.path, problem))
    }
}

fn chosen(environment: &Environment) -> Result<Option<PathBuf>, StoreError> {
    match (&environment.state_dir, &environment.state_home) {
        (Some(path), _) if !path.is_absolute() => {
            Err(StoreError::not_ours(path, "AFTERPUSH_STATE_DIR has to be an absolute path; write it from the root on"))
        }
        (Some(path), _) => Ok(Some(path.clone())),
        (None, home) => Ok(home.as_ref().map(|home| home.join("afterpush"))),
    }
}

fn is_not_writable(error: &StoreError) -> bool {
    matches!(error.io_kind(), Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem))
}
