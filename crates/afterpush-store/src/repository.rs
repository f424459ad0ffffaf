//! Where a repository is, found by reading git's pointer files: no git process, no libgit2.
//!
//! Invariant: all paths are absolute, canonical and valid UTF-8, so that they mean the same in a file as in memory.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use afterpush_core::file::RepositoryFacts;
use nix::unistd::geteuid;
use thiserror::Error;

use crate::{Environment, atomic, error::StoreError, slug};

/// The name of the repository's configuration file.
const CONFIG: &str = ".afterpush.toml";
/// A pointer file holds one path.
const LONGEST_POINTER: u64 = 8192;

/// A repository, as seen from one of its work trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The directory that all work trees share.
    pub common_dir: PathBuf,
    /// The git directory of this work tree; the common one outside linked work trees.
    pub git_dir: PathBuf,
    /// The work tree; none in a bare repository.
    pub work_tree: Option<PathBuf>,
}

/// Tells why no repository was found.
#[derive(Debug, Error)]
pub enum RepositoryError {
    /// Neither the directory nor one above it belongs to a repository.
    #[error("no git repository at or above {}", .start.display())]
    NotFound {
        /// Where the search began.
        start: PathBuf,
    },
    /// A path on the way cannot be looked at.
    #[error("cannot look at {}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A pointer file of git does not say what it should.
    #[error("{}: {problem}", .path.display())]
    Malformed {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A pointer file cannot be read.
    #[error("cannot follow git's pointer files")]
    Pointer(#[source] StoreError),
}

impl Repository {
    /// Finds the repository that `cwd` belongs to: by `GIT_DIR`, else by looking upwards.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn locate(cwd: &Path, environment: &Environment) -> Result<Self, RepositoryError> {
        let start = canonical(cwd)?;
        if let Some(named) = &environment.git_dir {
            let git_dir = follow(&start.join(named))?;
            if !is_git_dir(&git_dir) {
                return Err(RepositoryError::Malformed {
                    path: git_dir,
                    problem: "GIT_DIR is no git directory".into(),
                });
            }
            let work_tree = match &environment.git_work_tree {
                Some(work_tree) => Some(canonical(&start.join(work_tree))?),
                None => work_tree_of(&git_dir, &start)?,
            };
            return Self::new(git_dir, work_tree);
        }
        for directory in start.ancestors() {
            let dot_git = directory.join(".git");
            match fs::symlink_metadata(&dot_git) {
                Ok(_) => {
                    let git_dir = follow(&dot_git)?;
                    if is_git_dir(&git_dir) {
                        return Self::new(git_dir, Some(directory.to_owned()));
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(source) => {
                    return Err(RepositoryError::Io { path: dot_git, source });
                }
            }
            if is_git_dir(directory) {
                let work_tree = work_tree_of(directory, directory)?;
                return Self::new(directory.to_owned(), work_tree);
            }
        }
        Err(RepositoryError::NotFound { start })
    }

    fn new(git_dir: PathBuf, work_tree: Option<PathBuf>) -> Result<Self, RepositoryError> {
        let common_dir = match read_pointer(&git_dir.join("commondir"))? {
            Some(pointer) => canonical(&git_dir.join(pointer))?,
            None => git_dir.clone(),
        };
        for path in [&common_dir, &git_dir].into_iter().chain(&work_tree) {
            if path.to_str().is_none() {
                let problem = "the path is not valid UTF-8, which afterpush's files cannot hold".into();
                return Err(RepositoryError::Malformed { path: path.clone(), problem });
            }
        }
        Ok(Self { common_dir, git_dir, work_tree })
    }

    /// The repository as it stands in files.
    #[must_use]
    pub fn facts(&self) -> RepositoryFacts {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        RepositoryFacts {
            common_dir: text(&self.common_dir),
            git_dir: text(&self.git_dir),
            work_tree: self.work_tree.as_deref().map(text),
        }
    }

    /// The repository that a file speaks of. Nothing is looked at: it may have been moved or removed since.
    #[must_use]
    pub fn from_facts(facts: &RepositoryFacts) -> Self {
        Self {
            common_dir: facts.common_dir.clone().into(),
            git_dir: facts.git_dir.clone().into(),
            work_tree: facts.work_tree.clone().map(PathBuf::from),
        }
    }

    /// Where the repository's configuration file would be in the work tree.
    #[must_use]
    pub fn config_path(&self) -> Option<PathBuf> {
        self.work_tree.as_ref().map(|work_tree| work_tree.join(CONFIG))
    }

    /// The repository's name in the state directory: readable, and unique by the common directory's path.
    #[must_use]
    pub fn key(&self) -> String {
        let last = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = last(&self.common_dir);
        let name = if name == ".git" { self.common_dir.parent().map(last).unwrap_or_default() } else { name };
        let name = slug::readable(name.strip_suffix(".git").unwrap_or(&name));
        let digest = slug::digest(self.common_dir.as_os_str().as_encoded_bytes());
        format!("{name}-{}", &digest[..16])
    }

    /// Tells whether the user who runs this owns the repository: its git directories and its work tree. A stranger's
    /// repository is not to decide what runs here, and `sudo git push` is not to leave root's files behind.
    ///
    /// # Errors
    /// When one of the directories cannot be looked at.
    pub fn is_owned_by_user(&self) -> io::Result<bool> {
        let user = geteuid().as_raw();
        for path in [&self.common_dir, &self.git_dir].into_iter().chain(&self.work_tree) {
            if fs::metadata(path)?.uid() != user {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The work tree of a git directory that was named, not found from inside its work tree.
fn work_tree_of(git_dir: &Path, cwd: &Path) -> Result<Option<PathBuf>, RepositoryError> {
    // A linked work tree's git directory says where the `.git` file of the work tree is.
    if let Some(dot_git) = read_pointer(&git_dir.join("gitdir"))? {
        let dot_git = git_dir.join(dot_git);
        return dot_git.parent().filter(|work_tree| work_tree.is_dir()).map(canonical).transpose();
    }
    if git_dir.file_name().is_some_and(|name| name == ".git") {
        return Ok(git_dir.parent().map(Path::to_owned));
    }
    // A submodule's git directory lies far from its work tree; git runs hooks at the root of that.
    let dot_git = cwd.join(".git");
    let is_ours = atomic::exists(&dot_git) && follow(&dot_git)? == git_dir;
    Ok(is_ours.then(|| cwd.to_owned()))
}

/// Resolves a `.git` that may be a file with `gitdir: <path>`.
fn follow(dot_git: &Path) -> Result<PathBuf, RepositoryError> {
    let found = canonical(dot_git)?;
    if found.is_dir() {
        return Ok(found);
    }
    let pointer = read_pointer(&found)?.unwrap_or_default();
    match (pointer.strip_prefix("gitdir:"), found.parent()) {
        (Some(path), Some(directory)) => canonical(&directory.join(path.trim_start())),
        _ => Err(RepositoryError::Malformed { path: found, problem: "it does not say \"gitdir: <path>\"".into() }),
    }
}

/// The signs that git itself goes by.
fn is_git_dir(path: &Path) -> bool {
    let has_objects = path.join("objects").is_dir() && path.join("refs").is_dir();
    atomic::exists(&path.join("HEAD")) && (has_objects || path.join("commondir").is_file())
}

fn read_pointer(path: &Path) -> Result<Option<String>, RepositoryError> {
    let Some(bytes) = atomic::read(path, LONGEST_POINTER).map_err(RepositoryError::Pointer)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| RepositoryError::Malformed { path: path.to_owned(), problem: "it is not valid UTF-8".into() })?;
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn canonical(path: &Path) -> Result<PathBuf, RepositoryError> {
    fs::canonicalize(path).map_err(|source| RepositoryError::Io { path: path.to_owned(), source })
}
