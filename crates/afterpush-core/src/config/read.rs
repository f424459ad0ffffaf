//! Reads the two files. (interface first; to be filled)

use thiserror::Error;

use super::Config;

/// One configuration file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The file's name for people: a path, or `.afterpush.toml in 1234567`.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

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

/// Combines the repository's and the user's file.
///
/// # Errors
/// [`ConfigError`] for the first thing that is wrong, in the order of the file.
pub fn combine(
    repository: Option<Source<'_>>,
    repository_is_trusted: bool,
    user: Option<Source<'_>>,
) -> Result<Config, ConfigError> {
    let _ = (repository, repository_is_trusted, user);
    Ok(Config::default())
}
