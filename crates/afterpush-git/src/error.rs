//! What can go wrong when a repository is read.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Tells what could not be read, where, and why.
#[derive(Debug, Error)]
pub enum GitError {
    /// There is no repository.
    #[error("no git repository at {}", .git_dir.display())]
    NotARepository {
        /// Where it should be.
        git_dir: PathBuf,
    },
    /// git's ownership check refuses the repository. It is kept, never overridden.
    #[error("the repository at {} belongs to another user, and git's safe.directory does not name it", .git_dir.display())]
    NotOwned {
        /// The git directory.
        git_dir: PathBuf,
    },
    /// libgit2 failed.
    #[error("cannot read {what}")]
    Library {
        /// What was to be read.
        what: String,
        /// libgit2's reason.
        #[source]
        source: git2::Error,
    },
    /// The `git` program could not be run.
    #[error("cannot run the git program")]
    NoProgram {
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The `git` program failed.
    #[error("cannot read {what}: git says {said:?}")]
    Program {
        /// What was to be read.
        what: String,
        /// The first line of its standard error, or its exit status.
        said: String,
    },
    /// An abbreviation that several objects share.
    #[error("{revision:?} is ambiguous: more than one object begins so")]
    Ambiguous {
        /// As it was given.
        revision: String,
    },
    /// The repository does not have this object, or it is not a commit.
    #[error("the repository has no commit {commit}")]
    NoCommit {
        /// The id.
        commit: String,
    },
    /// A path of a commit is a symbolic link, a directory or a submodule.
    #[error("{path:?} in commit {commit} is {kind}; only a regular file is read")]
    NotARegularFile {
        /// The commit.
        commit: String,
        /// The path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A file of a commit is over the limit.
    #[error("{path:?} in commit {commit} has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// The commit.
        commit: String,
        /// The path.
        path: String,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A commit has more files than are looked at.
    #[error("commit {commit} has more than {limit} files below {directory:?}")]
    TooManyFiles {
        /// The commit.
        commit: String,
        /// The directory; empty for the whole tree.
        directory: String,
        /// The limit.
        limit: usize,
    },
    /// A file of the git directory could not be read.
    #[error("cannot read {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl GitError {
    pub(crate) fn library(what: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        let what = what.into();
        move |source| Self::Library { what, source }
    }
}
