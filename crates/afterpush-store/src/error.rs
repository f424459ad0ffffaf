//! What can go wrong with the store: each error names the path and says what was tried on it.

use std::{io, path::PathBuf};

use afterpush_core::file::FileError;
use thiserror::Error;

/// Tells why the store could not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A document is not one that this program can read. It was left as it is.
    #[error("cannot use {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: FileError,
    },
    /// A small file without a version of its own is not the JSON that it should be. It was left as it is.
    #[error("cannot read {} as JSON", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Something stands there that we did not put there, or that others could have changed.
    #[error("refusing {}: {problem}", .path.display())]
    NotOurs {
        /// The file or directory.
        path: PathBuf,
        /// Why it is refused, and what to do.
        problem: String,
    },
    /// Neither the environment nor the system names a directory for state.
    #[error("no directory for state is known: set AFTERPUSH_STATE_DIR")]
    NoStateDirectory,
}

impl StoreError {
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }

    pub(crate) fn not_ours(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::NotOurs { path: path.into(), problem: problem.into() }
    }

    /// The kind of the system's reason, where there is one.
    #[must_use]
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        if let Self::Io { source, .. } = self { Some(source.kind()) } else { None }
    }
}
