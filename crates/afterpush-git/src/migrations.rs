//! The database migrations of a commit, read from its tree within bounds.

use std::collections::{BTreeMap, BTreeSet};

use afterpush_core::{
    config::MigrationsConfig,
    id::CommitId,
    migrations::{Found, MigrationSet, SourceFile, Tool, detect, read},
};
use thiserror::Error;

use crate::{Git, GitError, TreeFile};

/// The most files of a tree that are looked through.
const MOST_PATHS: usize = 200_000;
/// The most files of migrations.
const MOST_FILES: usize = 5_000;
/// The largest file that is read, and all of them together, in bytes.
const LARGEST: usize = 1024 * 1024;
const LARGEST_SUM: usize = 32 * 1024 * 1024;

/// Tells why a commit's migrations cannot be told.
#[derive(Debug, Error)]
pub enum MigrationsError {
    /// The repository cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file of them is not what it should be.
    #[error("{0}")]
    Unreadable(String),
    /// There are too many, or they are too large.
    #[error("the {tool} migrations below {path:?} are more than {MOST_FILES} files or 32 MiB", tool = tool.word())]
    TooMany {
        /// The tool.
        tool: Tool,
        /// The directory.
        path: String,
    },
    /// What the configuration names is not there.
    #[error("commit {} has no {what}", commit.short())]
    Missing {
        /// The commit.
        commit: CommitId,
        /// What was looked for.
        what: String,
    },
}

impl Git {
    /// The sets of migrations of a commit that the configuration means, in the order of tools and paths. With
    /// [`MigrationsConfig::Wanted`] there is at least one.
    ///
    /// # Errors
    /// [`MigrationsError`], also when what is wanted is not there.
    pub fn migrations(
        &self,
        commit: &CommitId,
        config: &MigrationsConfig,
    ) -> Result<Vec<MigrationSet>, MigrationsError> {
        let found = match config {
            MigrationsConfig::Off => return Ok(Vec::new()),
            MigrationsConfig::Wanted { tool: Some(tool), path: Some(path) } => {
                vec![Found { tool: *tool, path: path.clone() }]
            }
            MigrationsConfig::IfFound => self.detected(commit)?,
            MigrationsConfig::Wanted { tool, path } => {
                let is_meant = |found: &Found| {
                    let below = |path: &String| {
                        found.path == *path
                            || found.path.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'))
                    };
                    tool.is_none_or(|tool| tool == found.tool) && path.as_ref().is_none_or(below)
                };
                self.detected(commit)?.into_iter().filter(is_meant).collect()
            }
        };
        let mut sets = Vec::new();
        for found in found {
            let set = self.migration_set(commit, found.tool, &found.path)?;
            if !set.migrations.is_empty() {
                sets.push(set);
            }
        }
        if let MigrationsConfig::Wanted { tool, path } = config
            && sets.is_empty()
        {
            let tool = tool.map(|tool| format!("{} ", tool.word())).unwrap_or_default();
            let below = path.as_ref().map(|path| format!(" below {path:?}")).unwrap_or_default();
            return Err(MigrationsError::Missing { commit: commit.clone(), what: format!("{tool}migrations{below}") });
        }
        Ok(sets)
    }

    /// The migrations of one tool below one directory of a commit; empty where there are none.
    ///
    /// # Errors
    /// [`MigrationsError`]
    pub fn migration_set(&self, commit: &CommitId, tool: Tool, path: &str) -> Result<MigrationSet, MigrationsError> {
        let mut files = Vec::new();
        let mut sum = 0;
        let listed = self.files_below(commit, path, MOST_PATHS)?;
        // Django's stand all over the tree; of the others everything below the directory may be one.
        for file in listed.into_iter().filter(|file| tool != Tool::Django || tool.reads(&file.path)) {
            let text = if tool.reads(&file.path) { self.text_at(commit, &file.path)? } else { String::new() };
            sum += text.len();
            files.push(SourceFile { path: file.path, text });
            if files.len() > MOST_FILES || sum > LARGEST_SUM {
                return Err(MigrationsError::TooMany { tool, path: path.to_owned() });
            }
        }
        let set = read(tool, path, &files).map_err(MigrationsError::Unreadable);
        // A directory that is not there holds no migrations, also where a file of it would be needed.
        if files.is_empty() { Ok(MigrationSet { tool, path: path.to_owned(), migrations: Vec::new() }) } else { set }
    }

    /// The paths below a directory whose contents are not the same in two commits that both have them.
    ///
    /// # Errors
    /// [`GitError`]
    pub fn edited_between(&self, one: &CommitId, other: &CommitId, path: &str) -> Result<BTreeSet<String>, GitError> {
        let blobs = |commit| Ok::<_, GitError>(self.files_below(commit, path, MOST_PATHS)?.into_iter());
        let before: BTreeMap<String, String> = blobs(one)?.map(|file| (file.path, file.blob)).collect();
        let differs = |file: &TreeFile| before.get(&file.path).is_some_and(|blob| *blob != file.blob);
        Ok(blobs(other)?.filter(differs).map(|file| file.path).collect())
    }

    fn detected(&self, commit: &CommitId) -> Result<Vec<Found>, GitError> {
        let files = self.files_below(commit, "", MOST_PATHS)?;
        Ok(detect(files.iter().map(|file| file.path.as_str()), |path| self.text_at(commit, path).ok()))
    }

    fn text_at(&self, commit: &CommitId, path: &str) -> Result<String, GitError> {
        let bytes = self.file_at(commit, path, LARGEST)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
