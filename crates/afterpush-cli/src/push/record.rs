//! What was put away before a work tree was changed, written down so that not even a kill leaves anybody without a way back.
//!
//! Invariant: one process at a time holds the record of a work tree, by a lock that ends with it. The record is written before
//! the first change and emptied after the last; what a killed process leaves in it is told by the next one, never acted on.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::program::Program;
use crate::error::{CommandError, ErrorKind};

/// Where everything stood before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Before {
    /// The branch, as a full ref name.
    pub(super) branch: String,
    /// Its commit.
    pub(super) commit: String,
    /// The message of the stash entry with the uncommitted changes, where there are any; no other entry has it.
    pub(super) stash: String,
}

/// The record of a work tree, held.
pub(super) struct Record {
    file: File,
    path: PathBuf,
}

impl Record {
    /// Takes the record. What an earlier process has left in it is an error that says how to go back.
    pub(super) fn take(git_dir: &Path, program: &Program<'_>) -> Result<Self, CommandError> {
        let path = git_dir.join("afterpush-push");
        let failed = |error: io::Error| {
            CommandError::because(ErrorKind::Refused, &format!("cannot write {}", path.display()), &error)
        };
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = "another `afterpush push` is at work in this work tree";
                return Err(CommandError::new(ErrorKind::Refused, message).hint("wait until it has ended"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let mut record = Self { file, path: path.clone() };
        // What cannot be read was being written when nothing had been changed yet.
        if let Ok(before) = serde_json::from_str::<Before>(&text) {
            let stash = stash_entry(program, &before.stash);
            let operation = operation_in(git_dir);
            if stash.is_some() || operation.is_some() {
                let status = program.bytes(&["status", "--porcelain", "-z", "--ignore-submodules=dirty"])?;
                return Err(left_behind(&before, operation, stash.as_deref(), status.is_empty()));
            }
        }
        record.clear()?;
        Ok(record)
    }

    /// Writes down where everything stands.
    pub(super) fn write(&mut self, before: &Before) -> Result<(), CommandError> {
        let text = serde_json::to_string(before)
            .map_err(|error| CommandError::because(ErrorKind::Internal, "cannot write the record", &error))?;
        self.put(text.as_bytes())
    }

    /// Empties it: everything is in its place.
    pub(super) fn clear(&mut self) -> Result<(), CommandError> {
        self.put(b"")
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(bytes))
            .and_then(|()| self.file.sync_all())
            .map_err(|error| {
                CommandError::because(ErrorKind::Refused, &format!("cannot write {}", self.path.display()), &error)
            })
    }
}

/// The operation of git's that is under way in a work tree, with the commands that end it.
pub(super) fn operation_in(git_dir: &Path) -> Option<Operation> {
    let found = |operation: &&Operation| operation.signs.iter().any(|sign| git_dir.join(sign).exists());
    OPERATIONS.iter().find(found).copied()
}

/// An operation that may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation {
    /// Its name for people.
    pub(super) name: &'static str,
    /// The files that git keeps meanwhile.
    signs: &'static [&'static str],
    /// How to go on with it.
    pub(super) go_on: &'static str,
    /// How to give it up.
    pub(super) give_up: &'static str,
}

const OPERATIONS: [Operation; 5] = [
    Operation {
        name: "a rebase",
        signs: &["rebase-merge", "rebase-apply"],
        go_on: "git rebase --continue",
        give_up: "git rebase --abort",
    },
    Operation { name: "a merge", signs: &["MERGE_HEAD"], go_on: "git merge --continue", give_up: "git merge --abort" },
    Operation {
        name: "a cherry-pick",
        signs: &["CHERRY_PICK_HEAD"],
        go_on: "git cherry-pick --continue",
        give_up: "git cherry-pick --abort",
    },
    Operation {
        name: "a revert",
        signs: &["REVERT_HEAD"],
        go_on: "git revert --continue",
        give_up: "git revert --abort",
    },
    Operation {
        name: "a bisection",
        signs: &["BISECT_LOG"],
        go_on: "git bisect good|bad",
        give_up: "git bisect reset",
    },
];

/// The name of the stash entry with this message, such as `stash@{0}`.
pub(super) fn stash_entry(program: &Program<'_>, message: &str) -> Option<String> {
    let listed = program.bytes(&["stash", "list", "--format=%gd%x09%gs"]).ok()?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut entries = listed.lines().filter_map(|line| line.split_once('\t'));
    entries.find(|(_, subject)| subject.ends_with(message)).map(|(name, _)| name.to_owned())
}

fn left_behind(before: &Before, operation: Option<Operation>, stash: Option<&str>, is_clean: bool) -> CommandError {
    let branch = before.branch.strip_prefix("refs/heads/").unwrap_or(&before.branch);
    let commit = before.commit.get(..12).unwrap_or(&before.commit);
    let message = format!(
        "an earlier `afterpush push` was killed before it could put this work tree back; {branch} was at {commit} then"
    );
    let mut error = CommandError::new(ErrorKind::Refused, message);
    if let (None, Some(stash), false) = (operation, stash, is_clean) {
        // Killed after it was saved and before it was taken out, or after it was brought back and before it was dropped.
        return error
            .hint(format!("`git stash show --include-untracked -p {stash}` shows what was put away"))
            .hint(format!("when all of it is in the work tree, `git stash drop {stash}`; then `afterpush push`"))
            .hint(format!("when not, commit what is there, then `git stash pop --index {stash}`"));
    }
    let mut commands = Vec::new();
    if let Some(operation) = operation {
        commands.push(format!("`{}`", operation.give_up));
    } else {
        commands.push(format!("`git switch {branch}`"));
        error = error.hint(format!("`git reset --keep {commit}` on {branch} takes the remote's commits out again"));
    }
    commands.extend(stash.map(|stash| format!("`git stash pop --index {stash}`")));
    error.hint(format!("to go back: {}; then `afterpush push`", commands.join(", then ")))
}
