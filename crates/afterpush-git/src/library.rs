//! Reads a repository by libgit2.

use std::path::Path;

use afterpush_core::id::CommitId;
use git2::{ErrorCode, Oid, Repository};

use crate::error::GitError;

/// What libgit2 makes of a revision.
pub(crate) enum Resolved {
    Commit(CommitId),
    None,
    /// libgit2 does not know this spelling, or cannot choose; the `git` program may.
    AskProgram,
}

/// Opens a git directory; `None` when libgit2 cannot, but the program may.
pub(crate) fn open(git_dir: &Path) -> Result<Option<Repository>, GitError> {
    match Repository::open(git_dir) {
        Ok(repository) => Ok(Some(repository)),
        Err(error) => match error.code() {
            ErrorCode::Owner => Err(GitError::NotOwned { git_dir: git_dir.to_owned() }),
            ErrorCode::NotFound => Err(GitError::NotARepository { git_dir: git_dir.to_owned() }),
            _ => Ok(None),
        },
    }
}

pub(crate) fn resolve(repository: &Repository, revision: &str) -> Result<Resolved, GitError> {
    let plain = revision.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte));
    match repository.revparse_single(revision) {
        Ok(object) => Ok(object.peel_to_commit().map_or(Resolved::None, |commit| found(commit.id()))),
        Err(error) => match error.code() {
            ErrorCode::NotFound | ErrorCode::UnbornBranch if plain => Ok(Resolved::None),
            ErrorCode::NotFound | ErrorCode::UnbornBranch | ErrorCode::InvalidSpec | ErrorCode::Ambiguous => {
                Ok(Resolved::AskProgram)
            }
            _ => Err(GitError::library(format!("revision {revision:?}"))(error)),
        },
    }
}

fn found(id: Oid) -> Resolved {
    commit_id(id).map_or(Resolved::None, Resolved::Commit)
}

pub(crate) fn peel(repository: &Repository, id: &CommitId) -> Option<CommitId> {
    let object = repository.find_object(oid(id)?, None).ok()?;
    commit_id(object.peel_to_commit().ok()?.id())
}

pub(crate) fn ref_target(repository: &Repository, full_ref: &str) -> Result<Option<CommitId>, GitError> {
    let read = || repository.find_reference(full_ref)?.resolve();
    match read() {
        Ok(reference) => Ok(reference.target().and_then(commit_id)),
        Err(error) => match error.code() {
            ErrorCode::NotFound | ErrorCode::InvalidSpec => Ok(None),
            _ => Err(GitError::library(format!("ref {full_ref:?}"))(error)),
        },
    }
}

/// The one commit whose id begins with these digits.
pub(crate) fn commit_by_digits(repository: &Repository, digits: &str) -> Option<CommitId> {
    commit_id(repository.find_commit_by_prefix(digits).ok()?.id())
}

pub(crate) fn contains(repository: &Repository, descendant: &CommitId, ancestor: &CommitId) -> bool {
    match (oid(descendant), oid(ancestor)) {
        (Some(descendant), Some(ancestor)) => repository.graph_descendant_of(descendant, ancestor).unwrap_or(false),
        _ => false,
    }
}

pub(crate) fn file_at(
    repository: &Repository,
    commit: &CommitId,
    path: &str,
    limit: usize,
) -> Result<Option<Vec<u8>>, GitError> {
    let what = format!("{path:?} in commit {commit}");
    let tree = tree_of(repository, commit)?;
    let entry = match tree.get_path(Path::new(path)) {
        Ok(entry) => entry,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(GitError::library(what)(error)),
    };
    refuse_unless_file(commit, path, entry.filemode())?;
    // The size first: a file that is too large is never held.
    let odb = repository.odb().map_err(GitError::library(what.clone()))?;
    let (size, _) = odb.read_header(entry.id()).map_err(GitError::library(what.clone()))?;
    if size > limit {
        return Err(GitError::TooLarge { commit: commit.to_string(), path: path.to_owned(), size, limit });
    }
    let blob = repository.find_blob(entry.id()).map_err(GitError::library(what))?;
    Ok(Some(blob.content().to_owned()))
}

/// The tree of a commit.
pub(crate) fn tree_of<'a>(repository: &'a Repository, commit: &CommitId) -> Result<git2::Tree<'a>, GitError> {
    let no_commit = || GitError::NoCommit { commit: commit.to_string() };
    let found = oid(commit).and_then(|id| repository.find_commit(id).ok()).ok_or_else(no_commit)?;
    found.tree().map_err(GitError::library(format!("the tree of commit {commit}")))
}

/// Refuses a tree entry whose mode is not that of a regular file.
pub(crate) fn refuse_unless_file(commit: &CommitId, path: &str, mode: i32) -> Result<(), GitError> {
    let kind = match mode {
        0o100_644 | 0o100_755 | 0o100_664 => return Ok(()),
        0o120_000 => "a symbolic link",
        0o040_000 => "a directory",
        0o160_000 => "a submodule",
        _ => "of an unknown kind",
    };
    Err(GitError::NotARegularFile { commit: commit.to_string(), path: path.to_owned(), kind })
}

/// Every value of a configuration key, from all of the user's and the repository's files.
pub(crate) fn config_values(repository: &Repository, key: &str) -> Vec<String> {
    let mut values = Vec::new();
    let Ok(config) = repository.config() else { return values };
    let Ok(entries) = config.multivar(key, None) else { return values };
    // Iteration ends early at an error, and a value that is not text is left out: both read as "not set".
    let _ = entries.for_each(|entry| {
        if entry.has_value()
            && let Ok(value) = entry.value()
        {
            values.push(value.to_owned());
        }
    });
    values
}

/// The configured remotes, each with the address that it is pushed to.
pub(crate) fn remotes(repository: &Repository) -> Result<Vec<(String, String)>, GitError> {
    let names = repository.remotes().map_err(GitError::library("the remotes"))?;
    let mut remotes = Vec::new();
    for name in names.iter().filter_map(|name| name.ok().flatten()) {
        if let Some((_, push)) = remote_urls(repository, name) {
            remotes.push((name.to_owned(), push));
        }
    }
    Ok(remotes)
}

/// The addresses that a remote is fetched from and pushed to, after the user's rewriting rules.
pub(crate) fn remote_urls(repository: &Repository, name: &str) -> Option<(String, String)> {
    let remote = repository.find_remote(name).ok()?;
    let fetch = remote.url().ok()?.to_owned();
    let push = remote.pushurl().ok()?.map_or_else(|| fetch.clone(), str::to_owned);
    Some((fetch, push))
}

/// The newest commits of the history of `from`, itself first, and none before one that it is an ancestor of.
pub(crate) fn history(repository: &Repository, from: &CommitId, limit: usize) -> Result<Vec<CommitId>, GitError> {
    let what = || format!("the history of commit {from}");
    let id = oid(from).ok_or_else(|| GitError::NoCommit { commit: from.to_string() })?;
    let mut walk = repository.revwalk().map_err(GitError::library(what()))?;
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::TIME).map_err(GitError::library(what()))?;
    walk.push(id).map_err(GitError::library(what()))?;
    let ids: Result<Vec<Oid>, git2::Error> = walk.take(limit).collect();
    Ok(ids.map_err(GitError::library(what()))?.into_iter().filter_map(commit_id).collect())
}

pub(crate) fn changed_paths(repository: &Repository, from: &CommitId, to: &CommitId) -> Result<Vec<String>, GitError> {
    let what = || format!("what changed from {from} to {to}");
    let tree = |id: &CommitId| {
        let commit = oid(id).and_then(|id| repository.find_commit(id).ok());
        let commit = commit.ok_or_else(|| GitError::NoCommit { commit: id.to_string() })?;
        commit.tree().map_err(GitError::library(what()))
    };
    let (old, new) = (tree(from)?, tree(to)?);
    let diff = repository.diff_tree_to_tree(Some(&old), Some(&new), None).map_err(GitError::library(what()))?;
    // Without a search for renames a delta has one path, at the old side, the new one, or both.
    let path = |delta: git2::DiffDelta<'_>| {
        let bytes = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes())?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    Ok(diff.deltas().filter_map(path).collect())
}

pub(crate) fn merge_base(repository: &Repository, one: &CommitId, other: &CommitId) -> Option<CommitId> {
    commit_id(repository.merge_base(oid(one)?, oid(other)?).ok()?)
}

fn oid(id: &CommitId) -> Option<Oid> {
    // A SHA-256 id in a SHA-1 repository is an object that is not there.
    Oid::from_str(id.as_str()).ok()
}

fn commit_id(id: Oid) -> Option<CommitId> {
    CommitId::parse(&id.to_string()).ok()
}
