//! Takes the remote's commits in, by rebase or merge, and goes on past the conflicts that rules resolve.

use afterpush_core::integration::{Integration, PushRules};

use super::{
    Stop,
    program::{Ended, Program},
    resolve::{Sides, Unresolved, conflicts, resolve},
    worktree::WorkTree,
};
use crate::error::{CommandError, ErrorKind};

/// How one push integrates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// By rebase or by merge.
    pub(super) integration: Integration,
    /// Whether a rebase keeps the branch's merges.
    pub(super) keeps_merges: bool,
}

impl Manner {
    /// As afterpush is configured; else as `git pull` would do it for this branch, and by rebase where nothing is said.
    pub(super) fn of(program: &Program<'_>, rules: &PushRules, branch: &str) -> Self {
        let of_branch = format!("branch.{branch}.rebase");
        let pull = program
            .line_if_any(&["config", "--get", &of_branch])
            .or_else(|| program.line_if_any(&["config", "--get", "pull.rebase"]));
        let pull = pull.as_deref().unwrap_or_default();
        let by_git =
            if matches!(pull, "false" | "no" | "off" | "0") { Integration::Merge } else { Integration::Rebase };
        Self { integration: rules.integrate.unwrap_or(by_git), keeps_merges: matches!(pull, "merges" | "m") }
    }
}

/// The remote's commits.
#[derive(Debug, Clone)]
pub(super) struct Incoming {
    /// The newest of them.
    pub(super) commit: String,
    /// Where it was fetched from, such as `main of origin`.
    pub(super) name: String,
    /// What of our branch the remote had and has taken back: it is not put on top again.
    pub(super) taken_back: Option<String>,
}

/// Why it could not be done.
pub(super) enum Obstacle {
    /// These conflicts are a person's.
    Conflicts(Vec<Unresolved>),
    /// git would not, and says why.
    Refused(String),
}

/// Takes the commits in. `Ok(Some(_))` tells why it could not be done; the work tree then stands where it stopped.
pub(super) fn integrate(
    program: &Program<'_>,
    tree: &mut WorkTree<'_>,
    rules: &PushRules,
    manner: Manner,
    incoming: &Incoming,
) -> Result<Option<Obstacle>, Stop> {
    let (sides, mut ended) = match manner.integration {
        Integration::Rebase => (Sides::Rebase, rebase(program, manner, incoming)?),
        Integration::Merge => (Sides::Merge, merge(program, incoming)?),
    };
    let go_on: &[&str] = match sides {
        Sides::Rebase => &["rebase", "--continue"],
        Sides::Merge => &["merge", "--continue"],
    };
    let mut last = None;
    while !ended.is_success {
        let found = conflicts(program, sides)?;
        let stopped_at = program.line_if_any(&["rev-parse", "--verify", "--quiet", "REBASE_HEAD"]);
        // Where nothing is in conflict, or the same commit stops again, to go on would change nothing.
        if found.is_empty() || !tree.is_in_operation() || last.replace(stopped_at.clone()) == Some(stopped_at) {
            return Ok(Some(Obstacle::Refused(ended.said)));
        }
        let is_inner_merge = sides == Sides::Rebase && tree.git_dir().join("MERGE_HEAD").exists();
        let unresolved = if is_inner_merge {
            let why = "it is a merge of your own that is made again, where the rules' words have no meaning";
            found.iter().map(|it| Unresolved { path: it.path.clone(), why: why.to_owned() }).collect()
        } else {
            resolve(program, tree, rules, &found)?
        };
        if !unresolved.is_empty() {
            return Ok(Some(Obstacle::Conflicts(unresolved)));
        }
        ended = program.step(go_on)?;
    }
    if tree.is_in_operation() {
        return Ok(Some(Obstacle::Refused(ended.said)));
    }
    Ok(None)
}

fn rebase(program: &Program<'_>, manner: Manner, incoming: &Incoming) -> Result<Ended, Stop> {
    // The merge backend, whatever rebase.backend says: its conflicts have three versions of each file.
    let mut arguments = vec!["rebase", "--merge", "--no-stat", "--no-fork-point"];
    if manner.keeps_merges {
        arguments.push("--rebase-merges");
    }
    match &incoming.taken_back {
        Some(taken_back) => arguments.extend(["--onto", &incoming.commit, taken_back]),
        None => arguments.push(&incoming.commit),
    }
    program.step(&arguments)
}

fn merge(program: &Program<'_>, incoming: &Incoming) -> Result<Ended, Stop> {
    if incoming.taken_back.is_some() {
        let message = "the remote has taken commits back that your branch contains; a merge would bring them in again";
        return Err(CommandError::new(ErrorKind::Refused, message)
            .hint("`git rebase` onto the remote's branch leaves them out")
            .into());
    }
    let message = format!("Merge branch {}", incoming.name);
    program.step(&["merge", "--no-edit", "--no-stat", "--ff", "-m", &message, &incoming.commit])
}
