//! From what a person typed to the stored runs of one commit.
//!
//! Invariant: a full object id costs one directory, however many runs are stored; only an abbreviation that git itself does
//! not know makes us look at the names of the stored commits.

use std::collections::BTreeSet;

use afterpush_core::id::{CommitId, RefName, looks_like_object_id};
use afterpush_git::GitError;
use afterpush_store::RepositoryStore;
use jiff::Timestamp;

use crate::{
    context::{Context, now},
    error::{CommandError, ErrorKind},
    run::Run,
};

/// How far back in history watched commits are looked for.
const ANCESTORS: usize = 50;

/// What was found.
#[derive(Debug)]
pub(crate) enum Selection {
    /// The commit's runs, at least one, the one that gives the verdict first.
    Watched(Vec<Run>),
    /// Nothing is stored of it.
    Unwatched {
        /// What the person asked for.
        asked: String,
        /// The commit, when this repository has it.
        commit: Option<CommitId>,
    },
}

/// Finds the runs of a commit: a revision of the repository around us, or an object id that is watched anywhere.
pub(crate) fn select(context: &Context, revision: Option<&str>) -> Result<Selection, CommandError> {
    let asked = revision.unwrap_or("HEAD");
    let names_object = looks_like_object_id(asked);
    if !names_object {
        context.repository()?;
    }
    let now = now();
    if let Some(commit) = names_object.then(|| CommitId::parse(asked).ok()).flatten()
        && let Some(runs) = runs_here(context, &commit, now)?
    {
        return Ok(Selection::Watched(runs));
    }
    let resolved = resolve(context, asked)?;
    for commit in &resolved {
        if let Some(runs) = runs_here(context, commit, now)? {
            return Ok(Selection::Watched(runs));
        }
    }
    if names_object && let Some(runs) = runs_by_stored_name(context, asked, now)? {
        return Ok(Selection::Watched(runs));
    }
    Ok(Selection::Unwatched { asked: asked.to_owned(), commit: resolved.into_iter().next() })
}

/// Finds the runs of a commit, or says with exit code 3 that there are none.
pub(crate) fn select_watched(context: &Context, revision: Option<&str>) -> Result<Vec<Run>, CommandError> {
    match select(context, revision)? {
        Selection::Watched(runs) => Ok(runs),
        Selection::Unwatched { asked, commit } => {
            let name = commit.as_ref().map_or(asked, |commit| commit.short().to_owned());
            Err(CommandError::new(ErrorKind::NotFound, format!("{name} is not watched"))
                .hint("`afterpush list` shows what is"))
        }
    }
}

/// The commits that a revision may mean: the commit itself, then the tag object that was pushed for it.
fn resolve(context: &Context, revision: &str) -> Result<Vec<CommitId>, CommandError> {
    if context.repository_if_any().is_none() {
        return Ok(Vec::new());
    }
    let git = context.git()?;
    let mut found: Vec<CommitId> = match git.resolve(revision) {
        Ok(commit) => commit.into_iter().collect(),
        // Perhaps only one of these commits is watched.
        Err(GitError::Ambiguous { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let tag = format!("refs/tags/{}", revision.strip_prefix("refs/tags/").unwrap_or(revision));
    // A pushed annotated tag is stored under the tag object's id, because that is what git told the hook.
    if !found.is_empty() && RefName::parse(&tag).is_ok() {
        found.extend(git.ref_target(&tag)?.filter(|object| !found.contains(object)));
    }
    Ok(found)
}

fn runs_here(context: &Context, commit: &CommitId, now: Timestamp) -> Result<Option<Vec<Run>>, CommandError> {
    if context.repository_if_any().is_none() {
        return Ok(None);
    }
    runs_in(&context.stores()?, commit, now)
}

/// The runs of a commit in these stores, in order; `None` when there are none.
fn runs_in(stores: &[RepositoryStore], commit: &CommitId, now: Timestamp) -> Result<Option<Vec<Run>>, CommandError> {
    let mut runs = Vec::new();
    for store in stores {
        for directory in store.runs_of(commit)? {
            runs.extend(Run::load(&directory, now)?);
        }
    }
    let runs = in_order(runs);
    Ok((!runs.is_empty()).then_some(runs))
}

/// Keeps the newest run of each ref and puts the one that gives the verdict first.
fn in_order(mut runs: Vec<Run>) -> Vec<Run> {
    runs.sort_by_key(|run| std::cmp::Reverse(run.request.pushed_at));
    let mut seen = BTreeSet::new();
    runs.retain(|run| seen.insert((run.request.remote.clone(), run.request.ref_name.clone())));
    runs.sort_by_key(Run::rank);
    runs
}

/// The runs of the one stored commit that begins with these digits: in this repository, else in any of the user's.
fn runs_by_stored_name(context: &Context, prefix: &str, now: Timestamp) -> Result<Option<Vec<Run>>, CommandError> {
    let prefix = prefix.to_ascii_lowercase();
    let here = if context.repository_if_any().is_some() { context.stores()? } else { Vec::new() };
    for stores in [here, context.stores_of_user()?] {
        let mut matches = Vec::new();
        for store in &stores {
            for commit in named(store, &prefix)? {
                matches.push((commit, store));
            }
        }
        let commits: BTreeSet<&CommitId> = matches.iter().map(|(commit, _)| commit).collect();
        // The same repository has a store in each state directory.
        let names: BTreeSet<_> = matches.iter().filter_map(|(_, store)| store.path().file_name()).collect();
        let Some((commit, _)) = matches.first() else { continue };
        if commits.len() > 1 {
            let found: Vec<&str> = commits.iter().map(|commit| commit.as_str()).collect();
            return Err(CommandError::new(ErrorKind::Usage, format!("{prefix} names several watched commits"))
                .hint(format!("give more digits of one of: {}", found.join(", "))));
        }
        if names.len() > 1 {
            let found: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
            let message = format!("{} is watched in several repositories", commit.short());
            return Err(CommandError::new(ErrorKind::Usage, message)
                .hint(format!("run it inside one of: {}", found.join(", "))));
        }
        let stores: Vec<RepositoryStore> = matches.iter().map(|(_, store)| (*store).clone()).collect();
        return runs_in(&stores, commit, now);
    }
    Ok(None)
}

/// The commits of a store that begin with these digits; a full id is looked up directly.
fn named(store: &RepositoryStore, prefix: &str) -> Result<Vec<CommitId>, CommandError> {
    match CommitId::parse(prefix) {
        Ok(commit) => Ok(if store.runs_of(&commit)?.is_empty() { Vec::new() } else { vec![commit] }),
        Err(_) => Ok(store.commits_named(prefix)?),
    }
}

/// The nearest ancestors that are watched, at most three, the nearest first, each with how many commits lie between.
pub(crate) fn nearest_watched(context: &Context, commit: Option<&CommitId>) -> Result<Vec<(usize, Run)>, CommandError> {
    if context.repository_if_any().is_none() {
        return Ok(Vec::new());
    }
    let stores = context.stores()?;
    let git = context.git()?;
    let Some(start) = (match commit {
        Some(commit) => Some(commit.clone()),
        None => git.resolve("HEAD")?,
    }) else {
        return Ok(Vec::new());
    };
    // A commit whose history is not here (a shallow clone) has no neighbours that could be told.
    let history = git.history(&start, ANCESTORS + 1).unwrap_or_default();
    let mut nearest = Vec::new();
    for (distance, ancestor) in history.into_iter().enumerate() {
        if let Some(runs) = runs_in(&stores, &ancestor, now())? {
            nearest.extend(runs.into_iter().next().map(|run| (distance, run)));
        }
        if nearest.len() == 3 {
            break;
        }
    }
    Ok(nearest)
}
