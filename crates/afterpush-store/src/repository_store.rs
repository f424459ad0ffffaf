//! The runs of one repository: `repos/<key>/` with `repo.json`, `runs/`, `heads/` and `history.jsonl`.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use afterpush_core::{
    file::{Head, HistoryLine, RepositoryFacts},
    id::{CommitId, RefName},
    text::plain_json,
};
use serde::{Deserialize, Serialize};

use crate::{
    Repository, RunDirectory,
    atomic::{self, Access, Durability},
    error::StoreError,
    lock,
    run_directory::{names_in, read_json, to_json},
    slug,
};

/// What the name of a run begins with while cleanup removes it. No slug does: `%` is followed by two upper-case digits there.
pub(crate) const REMOVING: &str = "%removing-";
/// How long a monitor waits for another one that writes to the same file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Some hundred thousand lines.
const LONGEST_HISTORY: u64 = 64 << 20;

/// The store of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryStore {
    path: PathBuf,
}

/// Which file the head of a ref is. It is never rewritten, but replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadMark {
    inode: u64,
    changed_at: (i64, i64),
}

/// repo.json
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RepositoryFile {
    #[serde(flatten)]
    repository: RepositoryFacts,
    #[serde(default)]
    remotes: BTreeMap<String, String>,
}

impl RepositoryStore {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The store that a run lies in, by the layout: `<store>/runs/<object id>/<run>`.
    #[must_use]
    pub fn of_run(run: &RunDirectory) -> Self {
        Self::at(run.path().ancestors().nth(3).unwrap_or(run.path()).to_owned())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn exists(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_dir())
    }

    /// Notes where the repository is and what its remotes are called; the addresses must come without credentials. Remotes
    /// that are not mentioned stay. Writes only what is new.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written, or what is there cannot be read.
    pub fn record_repository(&self, repository: &Repository, remotes: &[(String, String)]) -> Result<(), StoreError> {
        atomic::ensure_directory(&self.path)?;
        let path = self.path.join("repo.json");
        let known: Option<RepositoryFile> = read_json(&path)?;
        let mut new = RepositoryFile { repository: repository.facts(), remotes: BTreeMap::new() };
        if let Some(known) = &known {
            new.remotes.clone_from(&known.remotes);
            // One work tree of several pushed: the common directory is what counts, so the others do not rewrite the file.
            if known.repository.common_dir == new.repository.common_dir {
                new.repository = known.repository.clone();
            }
        }
        new.remotes.extend(remotes.iter().cloned());
        if known.as_ref() == Some(&new) {
            return Ok(());
        }
        // Written once in the life of most repositories: the syncs cost no push but the first.
        atomic::replace(&path, &to_json(&new, &path)?, Access::User, Durability::Machine)
    }

    /// Where the repository is, or was when a push was seen last.
    ///
    /// # Errors
    /// [`StoreError`] when the note is there and cannot be read.
    pub fn repository(&self) -> Result<Option<Repository>, StoreError> {
        let known: Option<RepositoryFile> = read_json(&self.path.join("repo.json"))?;
        Ok(known.map(|known| Repository::from_facts(&known.repository)))
    }

    /// The run of one commit, remote and ref. Naming it does not create it.
    #[must_use]
    pub fn run(&self, commit: &CommitId, remote: &str, ref_name: &RefName) -> RunDirectory {
        let name = slug::of_remote_and_ref(remote, ref_name.as_str());
        RunDirectory::at(&self.runs_path().join(commit.as_str()).join(name))
    }

    /// All stored runs.
    ///
    /// # Errors
    /// [`StoreError`] when a directory cannot be listed.
    pub fn runs(&self) -> Result<Vec<RunDirectory>, StoreError> {
        let mut runs = Vec::new();
        for commit in self.commits_named("")? {
            runs.extend(self.runs_of(&commit)?);
        }
        Ok(runs)
    }

    /// The runs of one commit. Costs the same however many runs are stored.
    ///
    /// # Errors
    /// [`StoreError`] when the commit's directory cannot be listed.
    pub fn runs_of(&self, commit: &CommitId) -> Result<Vec<RunDirectory>, StoreError> {
        let directory = self.runs_path().join(commit.as_str());
        let names = names_in(&directory)?.into_iter().filter(|name| is_run_name(name));
        Ok(names.map(|name| RunDirectory::at(&directory.join(name))).collect())
    }

    /// The commits with stored runs whose ids begin with `prefix`, in any letter case.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be listed.
    pub fn commits_named(&self, prefix: &str) -> Result<Vec<CommitId>, StoreError> {
        let prefix = prefix.to_ascii_lowercase();
        let names = names_in(&self.runs_path())?.into_iter().filter(|name| name.starts_with(&prefix));
        Ok(names.filter_map(|name| CommitId::parse(&name).ok().filter(|commit| commit.as_str() == name)).collect())
    }

    /// The newest push of a ref that is proven to have landed.
    ///
    /// # Errors
    /// [`StoreError`] when it is there and cannot be read.
    pub fn head(&self, remote: &str, ref_name: &RefName) -> Result<Option<Head>, StoreError> {
        read_json(&self.head_path(remote, ref_name))
    }

    /// What changes whenever the head of a ref does, for whoever looks again and again. `None` while there is none.
    #[must_use]
    pub fn head_mark(&self, remote: &str, ref_name: &RefName) -> Option<HeadMark> {
        let found = fs::symlink_metadata(self.head_path(remote, ref_name)).ok()?;
        Some(HeadMark { inode: found.ino(), changed_at: (found.ctime(), found.ctime_nsec()) })
    }

    /// Notes the newest landed push of a ref, unless a newer one is known. `this_boot` is the id of the boot that this runs in.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written, or what is there cannot be read.
    pub fn set_head(&self, remote: &str, ref_name: &RefName, head: &Head, this_boot: &str) -> Result<(), StoreError> {
        let path = self.head_path(remote, ref_name);
        let is_newer = || -> Result<bool, StoreError> {
            let known: Option<Head> = read_json(&path)?;
            Ok(known.is_none_or(|known| head.time().is_after(known.time(), this_boot)))
        };
        if !is_newer()? {
            return Ok(());
        }
        let directory = self.path.join("heads");
        atomic::ensure_directory(&directory)?;
        // Two monitors may compare and write at once; without the lock the older head could come last.
        let _lock = lock::wait_exclusive(atomic::open_directory(&directory)?, &directory, PATIENCE)?;
        if !is_newer()? {
            return Ok(());
        }
        atomic::replace(&path, &to_json(head, &path)?, Access::User, Durability::Machine)
    }

    /// Appends one line to the history, which survives cleanup.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn append_history(&self, line: &HistoryLine) -> Result<(), StoreError> {
        let path = self.path.join("history.jsonl");
        let text =
            serde_json::to_string(line).map_err(|source| StoreError::Malformed { path: path.clone(), source })?;
        // Lines of several monitors: the lock keeps each from taking another's half-written line for a torn one.
        let _lock = lock::wait_exclusive(atomic::open_for_append(&path)?, &path, PATIENCE)?;
        atomic::append_line(&path, &plain_json(&text))
    }

    /// Tells whether the history has a finished run of this commit, remote and ref. Lines that are not readable count as
    /// others: a torn line at a full disk must not hide the rest.
    pub(crate) fn has_history(&self, commit: &CommitId, remote: &str, ref_name: &RefName) -> Result<bool, StoreError> {
        let text = atomic::read(&self.path.join("history.jsonl"), LONGEST_HISTORY)?.unwrap_or_default();
        let mut lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        Ok(lines.any(|line: HistoryLine| line.commit == *commit && line.remote == remote && line.ref_name == *ref_name))
    }

    pub(crate) fn runs_path(&self) -> PathBuf {
        self.path.join("runs")
    }

    fn head_path(&self, remote: &str, ref_name: &RefName) -> PathBuf {
        self.path.join("heads").join(format!("{}.json", slug::of_remote_and_ref(remote, ref_name.as_str())))
    }
}

fn is_run_name(name: &str) -> bool {
    name.contains("--") && !name.starts_with(['.', '-']) && !name.starts_with(REMOVING)
}
