//! Trouble: what went wrong when something was asked, which is never the same as an answer.

use std::{error::Error, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// The kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum FaultKind {
    /// It may work at the next try: no network, a time limit, a server error.
    Transient,
    /// The budget of calls is spent for now.
    RateLimited,
    /// The credentials are refused or lack a scope.
    Unauthorized,
    /// The thing that was asked for does not exist, or may not be seen.
    NotFound,
    /// The answer could not be read.
    Malformed,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::RateLimited => "rate-limited",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not-found",
            Self::Malformed => "malformed",
        })
    }
}

/// One trouble: its kind and a sentence for people that holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind it is, which decides what happens next.
    pub kind: FaultKind,
    /// What failed, on what and why; already cleaned and without credentials.
    pub message: String,
    /// How long the other side asked us to wait.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// Makes a trouble without a wish for how long to wait.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An error with its causes, in one line: `what failed: why: why that`.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("the file cannot be read")]
    struct Outer(#[source] Inner);

    #[derive(Debug, Error)]
    #[error("the disk failed")]
    struct Inner(#[source] io::Error);

    #[test]
    fn an_error_is_told_with_all_its_causes() {
        let error = Outer(Inner(io::Error::other("no medium")));
        assert_eq!(with_causes(&error), "the file cannot be read: the disk failed: no medium");
        assert_eq!(with_causes(&io::Error::other("alone")), "alone");
    }

    #[test]
    fn a_fault_is_shown_by_its_sentence_and_a_kind_by_its_word() {
        assert_eq!(Fault::new(FaultKind::NotFound, "no app named x").to_string(), "no app named x");
        for (kind, word) in [
            (FaultKind::Transient, "transient"),
            (FaultKind::RateLimited, "rate-limited"),
            (FaultKind::Unauthorized, "unauthorized"),
            (FaultKind::NotFound, "not-found"),
            (FaultKind::Malformed, "malformed"),
        ] {
            assert_eq!(kind.to_string(), word);
        }
    }
}
