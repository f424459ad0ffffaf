//! What a push changes, for the targets whose `paths` say what they are made from. When it is not known, everything counts as
//! changed: a target is skipped only where it is certain that the push does not touch it.

use afterpush_core::{
    config::{Config, Target},
    file::Request,
    id::CommitId,
};
use afterpush_git::Git;

/// What a push changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Perhaps every path.
    Unknown,
    /// Only these paths, since this commit.
    Since(CommitId, Vec<String>),
}

impl Changes {
    /// Compares what the push sends with what the ref was before or, for a new branch, with where it left the remote's default
    /// branch. Nothing is compared while no target asks for it.
    #[must_use]
    pub fn of_push(request: &Request, commit: &CommitId, git: Option<&Git>, config: &Config) -> Self {
        let (Some(git), true) = (git, config.targets_of(&request.ref_name).any(|target| !target.paths.is_empty()))
        else {
            return Self::Unknown;
        };
        let base = match &request.previous {
            Some(previous) => git.peel(previous),
            None => fork_point(git, request, commit),
        };
        let changed = |base: CommitId| Some((git.changed_paths(&base, commit).ok()?, base));
        base.and_then(changed).map_or(Self::Unknown, |(paths, base)| Self::Since(base, paths))
    }

    /// Why the push is not for a target; `None` when it is, or may be.
    #[must_use]
    pub fn reason_to_skip(&self, target: &Target) -> Option<String> {
        let Self::Since(base, paths) = self else { return None };
        if target.is_touched_by(paths.iter().map(String::as_str)) {
            return None;
        }
        Some(format!("no path that changed since {} is one of its paths ({})", base.short(), target.paths.join(", ")))
    }
}

/// Where a new branch left the remote's default branch. A branch that adds nothing to that one, or that is that one, has none:
/// where it is deployed from, it is deployed for the first time.
fn fork_point(git: &Git, request: &Request, commit: &CommitId) -> Option<CommitId> {
    let default = git.default_branch(&request.remote)?;
    if git.tracking_ref(&request.remote, &request.ref_name).as_ref() == Some(&default) {
        return None;
    }
    let default = git.ref_target(&default).ok()??;
    git.merge_base(&default, commit).filter(|base| base != commit)
}
