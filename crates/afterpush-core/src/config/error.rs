//! What is wrong with a configuration file, and where.

use thiserror::Error;

/// Tells what is wrong in which line of which file, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {problem}; expected {expected}")]
pub struct ConfigError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub expected: String,
}

/// A line of a file, kept for what can be judged only after both files were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
}

impl Place {
    pub(super) fn error(&self, problem: impl Into<String>, expected: impl Into<String>) -> ConfigError {
        ConfigError { file: self.file.clone(), line: self.line, problem: problem.into(), expected: expected.into() }
    }
}

/// Quotes a piece of a file for a message: escaped, so that it cannot act on a terminal, and not too long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().nth(LONGEST).is_none() {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(LONGEST - 1).chain(['…']).collect();
    format!("{start:?}")
}
