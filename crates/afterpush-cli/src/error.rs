//! The one error type at the edge: what failed, what to do next, and which exit code says so.
//!
//! Everything that fails in a command arrives here and is printed in one place; nothing below `main` exits or prints errors.

use std::{error::Error, fmt::Write as _};

use afterpush_core::fault::with_causes;
use afterpush_git::GitError;
use afterpush_store::{RepositoryError, StartError, StoreError, UnseenError};

/// What kind of failure it is, which decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The command was understood and could not be carried out: exit 1.
    Refused,
    /// The commit is not watched: exit 3.
    NotFound,
    /// The command line is wrong, or run in the wrong place: exit 64.
    Usage,
    /// A file of the state cannot be read, or must not be: exit 65.
    State,
    /// The program itself could not go on: exit 70.
    Internal,
    /// The configuration is wrong or missing: exit 78.
    Configuration,
}

impl ErrorKind {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::NotFound => 3,
            Self::Usage => 64,
            Self::State => 65,
            Self::Internal => 70,
            Self::Configuration => 78,
        }
    }
}

/// A command that failed.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// Its kind.
    pub(crate) kind: ErrorKind,
    /// What failed, on what, why: a lower-case fragment.
    pub(crate) message: String,
    /// What to do next, one sentence each.
    pub(crate) hints: Vec<String>,
}

impl CommandError {
    /// Makes an error without a hint.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    /// Makes an error of another error and everything that caused it.
    pub(crate) fn because(kind: ErrorKind, what: &str, error: &dyn Error) -> Self {
        Self::new(kind, format!("{what}: {}", with_causes(error)))
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The text for standard error.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("error: {}\n", self.message);
        if !self.hints.is_empty() {
            text.push('\n');
        }
        for hint in &self.hints {
            writeln!(text, "hint: {hint}").expect("a String takes every text");
        }
        text
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let text = with_causes(&error);
        match &error {
            StoreError::Unreadable { .. } | StoreError::Malformed { .. } => Self::new(ErrorKind::State, text)
                .hint("the file was left as it is; move it away to have the commit watched anew"),
            StoreError::NotOurs { .. } => Self::new(ErrorKind::State, text)
                .hint("give the directory to your own user alone, or name another in AFTERPUSH_STATE_DIR"),
            StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Self::new(ErrorKind::State, text)
            }
            StoreError::NoStateDirectory => Self::new(ErrorKind::Configuration, text),
            StoreError::Io { .. } => Self::new(ErrorKind::Internal, text),
        }
    }
}

impl From<UnseenError> for CommandError {
    fn from(error: UnseenError) -> Self {
        match error {
            UnseenError::Store(error) => error.into(),
            UnseenError::Random(_) => Self::new(ErrorKind::Internal, with_causes(&error)),
        }
    }
}

impl From<RepositoryError> for CommandError {
    fn from(error: RepositoryError) -> Self {
        Self::new(ErrorKind::Usage, with_causes(&error))
            .hint("run it inside a git repository, or name a watched commit by its object id")
    }
}

impl From<GitError> for CommandError {
    fn from(error: GitError) -> Self {
        Self::new(ErrorKind::Internal, with_causes(&error))
    }
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        Self::new(ErrorKind::Refused, with_causes(&error))
            .hint("afterpush-monitor must lie beside this program; run ./install.sh again")
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        Self::because(ErrorKind::Internal, "cannot write the output", &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_failed_and_what_to_do_next() {
        let error = CommandError::new(ErrorKind::Usage, "no such thing").hint("do this").hint("or that");
        assert_eq!(error.render(), "error: no such thing\n\nhint: do this\nhint: or that\n");
        assert_eq!(CommandError::new(ErrorKind::Usage, "no such thing").render(), "error: no such thing\n");
    }

    #[test]
    fn each_kind_has_the_documented_exit_code() {
        use ErrorKind::{Configuration, Internal, NotFound, Refused, State, Usage};
        let codes = [Refused, NotFound, Usage, State, Internal, Configuration].map(ErrorKind::code);
        assert_eq!(codes, [1, 3, 64, 65, 70, 78]);
    }
}
