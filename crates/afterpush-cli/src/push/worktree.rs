//! The work tree of a push: what is uncommitted is put away before the first change, and everything is put back afterwards.
//!
//! Invariant: whatever happens in between, either all is as it was, or the person is told which stash entry and which commit
//! have what is not.

use std::{collections::BTreeSet, fs, os::unix::ffi::OsStrExt, path::PathBuf};

use afterpush_store::random_name;

use super::{
    program::Program,
    record::{Before, Record, operation_in, stash_entry},
};
use crate::{
    error::{CommandError, ErrorKind},
    output::talk,
};

/// What the reflog says of a branch that was put back.
pub(super) const BACK: &str = "afterpush push: back to before";

/// A work tree that is being changed.
pub(super) struct WorkTree<'a> {
    program: &'a Program<'a>,
    git_dir: PathBuf,
    record: Record,
    before: Before,
    /// The commit of the stash entry.
    stash: Option<String>,
    /// Files that were not there before and that are nobody's: they go when everything is put back.
    made: BTreeSet<PathBuf>,
}

/// How the uncommitted changes came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// They are in the work tree.
    Back,
    /// They conflict with what has come, and are in this stash entry.
    Kept(String),
}

impl<'a> WorkTree<'a> {
    /// Writes down where everything stands and puts what is uncommitted away.
    pub(super) fn put_away(
        program: &'a Program<'a>,
        git_dir: PathBuf,
        mut record: Record,
        branch: &str,
        commit: &str,
    ) -> Result<Self, CommandError> {
        let name =
            random_name().map_err(|error| CommandError::because(ErrorKind::Internal, "no random numbers", &error))?;
        let short = branch.strip_prefix("refs/heads/").unwrap_or(branch);
        let stash = format!("afterpush push: uncommitted changes on {short} ({})", name.get(..8).unwrap_or(&name));
        let before = Before { branch: branch.to_owned(), commit: commit.to_owned(), stash };
        record.write(&before)?;
        let mut tree = Self { program, git_dir, record, before, stash: None, made: BTreeSet::new() };
        if let Err(error) = tree.stash_changes() {
            tree.record.clear()?;
            return Err(error.hint("commit or stash your changes yourself, then `afterpush push`"));
        }
        Ok(tree)
    }

    fn stash_changes(&mut self) -> Result<(), CommandError> {
        let status = ["status", "--porcelain", "-z", "--ignore-submodules=dirty"];
        if self.program.bytes(&status)?.is_empty() {
            return Ok(());
        }
        let arguments = ["stash", "push", "--include-untracked", "--quiet", "--message", &self.before.stash];
        let stashed = self.program.bytes(&arguments);
        let entry = stash_entry(self.program, &self.before.stash);
        self.stash = entry.and_then(|entry| self.program.line_if_any(&["rev-parse", "--verify", "--quiet", &entry]));
        match (stashed, &self.stash) {
            // It was saved and could not be taken out of the work tree.
            (Err(error), Some(_)) => {
                self.bring_back()?;
                Err(error)
            }
            (Err(error), None) => Err(error),
            _ => Ok(()),
        }
    }

    /// The stash entry with the uncommitted changes.
    pub(super) fn stash_entry(&self) -> Option<String> {
        self.stash.as_ref().and_then(|_| stash_entry(self.program, &self.before.stash))
    }

    /// Files that nobody tracks, and that git is not told to ignore.
    pub(super) fn untracked(&self) -> Result<BTreeSet<PathBuf>, CommandError> {
        Ok(self.program.paths(&["ls-files", "--others", "--exclude-standard", "-z"])?.into_iter().collect())
    }

    /// Notes files that a command of the user's has made.
    pub(super) fn note_made(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        self.made.extend(paths);
    }

    /// Puts everything back as it was before.
    pub(super) fn put_back(mut self, theirs: Option<&str>) -> Result<(), CommandError> {
        self.undo(theirs)
            .and_then(|()| self.bring_back())
            .and_then(|changes| match changes {
                Changes::Back => self.record.clear(),
                Changes::Kept(entry) => Err(CommandError::new(ErrorKind::Refused, format!("they are in {entry}"))),
            })
            .map_err(|error| {
                let message = format!("the work tree could not be put back as it was: {}", error.message);
                let mut told = CommandError::new(ErrorKind::Refused, message)
                    .hint(format!("{} was at {}", self.before.branch, self.before.commit));
                if let Some(entry) = self.stash_entry() {
                    told =
                        told.hint(format!("your uncommitted changes are in {entry}: `git stash pop --index {entry}`"));
                }
                told
            })
    }

    fn undo(&mut self, theirs: Option<&str>) -> Result<(), CommandError> {
        if ["rebase-merge", "rebase-apply"].iter().any(|sign| self.git_dir.join(sign).exists()) {
            // Not --abort, which fails where git was stopped before it had written everything down.
            self.program.bytes(&["rebase", "--quit"])?;
        }
        // git may have been stopped after it wrote a file and before it wrote down that it did.
        let mut made = std::mem::take(&mut self.made);
        if let Some(theirs) = theirs {
            let added = ["diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", &self.before.commit, theirs];
            made.extend(self.program.paths(&added)?);
        }
        self.program.bytes(&["symbolic-ref", "-m", BACK, "HEAD", &self.before.branch])?;
        self.program.bytes(&["update-ref", "-m", BACK, &self.before.branch, &self.before.commit])?;
        self.program.bytes(&["reset", "--hard", "--quiet", &self.before.commit])?;
        self.remove(&made)
    }

    /// Removes those of the files that nobody tracks.
    fn remove(&self, paths: &BTreeSet<PathBuf>) -> Result<(), CommandError> {
        for path in self.untracked()?.intersection(paths) {
            let full = self.program.root().join(path);
            if fs::remove_file(&full).is_ok() {
                // Directories that were there for it alone; the first that is not empty ends it.
                let inside = full.ancestors().skip(1).take_while(|it| *it != self.program.root());
                let _ = inside.map(fs::remove_dir).take_while(Result::is_ok).count();
            }
        }
        Ok(())
    }

    /// Brings the uncommitted changes back onto what has come meanwhile.
    pub(super) fn finish(mut self) -> Result<Changes, CommandError> {
        let changes = self.bring_back()?;
        self.record.clear()?;
        Ok(changes)
    }

    /// Leaves everything as it stands, for the person to go on with.
    pub(super) fn leave(mut self) -> Result<Option<String>, CommandError> {
        self.record.clear()?;
        Ok(self.stash_entry())
    }

    fn bring_back(&mut self) -> Result<Changes, CommandError> {
        let Some(stash) = self.stash.clone() else { return Ok(Changes::Back) };
        let Err(error) = self.program.bytes(&["stash", "apply", "--index", "--quiet", &stash]) else {
            if let Some(entry) = self.stash_entry() {
                self.program.bytes(&["stash", "drop", "--quiet", &entry])?;
            }
            self.stash = None;
            return Ok(Changes::Back);
        };
        // What of it came through goes again: half of somebody's changes are worse than all of them in one place.
        self.program.bytes(&["reset", "--hard", "--quiet"])?;
        if let Ok(untracked) =
            self.program.paths(&["ls-tree", "-r", "-z", "--name-only", "--full-tree", &format!("{stash}^3")])
        {
            self.remove(&untracked.into_iter().collect())?;
        }
        match self.stash_entry() {
            Some(entry) => Ok(Changes::Kept(entry)),
            None => Err(error
                .hint(format!("your uncommitted changes are in commit {stash}: `git stash apply --index {stash}`"))),
        }
    }

    /// Refuses to go on where a file that git ignores, and so does not put away, would be overwritten.
    pub(super) fn overwritten_by(
        program: &Program<'_>,
        commit: &str,
        theirs: &str,
    ) -> Result<Vec<String>, CommandError> {
        let added = program.paths(&["diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", commit, theirs])?;
        let there = added.into_iter().filter(|path| fs::symlink_metadata(program.root().join(path)).is_ok());
        let mut ignored = Vec::new();
        for path in there {
            let bytes = path.as_os_str().as_bytes();
            if program.bytes_with(&["check-ignore", "--stdin", "-z", "--quiet"], Some(bytes)).is_ok() {
                ignored.push(path.to_string_lossy().into_owned());
            }
        }
        Ok(ignored)
    }

    /// Tells whether git has an operation under way here.
    pub(super) fn is_in_operation(&self) -> bool {
        operation_in(&self.git_dir).is_some()
    }

    /// The git directory of the work tree.
    pub(super) fn git_dir(&self) -> &std::path::Path {
        &self.git_dir
    }
}

/// Tells the person that their changes could not be brought back.
pub(super) fn tell_kept(entry: &str) {
    talk(&format!(
        "afterpush: your uncommitted changes conflict with what came from the remote; nothing is lost, they are in {entry}\n\
         \nhint: `git stash pop {entry}` brings them back, with the conflicts for you to resolve\n"
    ));
}
