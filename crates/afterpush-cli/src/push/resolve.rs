//! Resolves conflicts by the user's rules, file by file, from the three versions in git's index.
//!
//! Invariant: a file that no rule is for, or that its rule cannot resolve, is left in conflict. Nothing is ever resolved by
//! guessing.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use afterpush_core::{
    checklist,
    integration::{ConflictRule, PushRules, Resolution},
    text::clean_line,
};

use super::{Stop, program::Program, worktree::WorkTree};
use crate::error::{CommandError, ErrorKind};

/// git's mode of a submodule.
const SUBMODULE: &str = "160000";
/// The first line of a file whose content Git LFS keeps elsewhere.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Which versions git's index has under the numbers 2 and 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    /// A merge: 2 is our own, 3 the remote's.
    Merge,
    /// A rebase puts our commits onto the remote's: 2 is the remote's, 3 our own.
    Rebase,
}

/// A file in conflict.
#[derive(Debug, Clone)]
pub(super) struct Conflict {
    /// Its path from the root of the work tree.
    pub(super) path: PathBuf,
    base: Option<Version>,
    ours: Option<Version>,
    theirs: Option<Version>,
}

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    mode: String,
    blob: String,
}

/// A conflict that is a person's, and why.
#[derive(Debug, Clone)]
pub(super) struct Unresolved {
    /// The file.
    pub(super) path: PathBuf,
    /// Why no rule resolves it.
    pub(super) why: String,
}

/// The files in conflict.
pub(super) fn conflicts(program: &Program<'_>, sides: Sides) -> Result<Vec<Conflict>, CommandError> {
    let listed = program.bytes(&["ls-files", "--unmerged", "-z"])?;
    let mut found: BTreeMap<PathBuf, [Option<Version>; 3]> = BTreeMap::new();
    for entry in listed.split(|byte| *byte == 0) {
        // <mode> <blob> <stage>\t<path>
        let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else { continue };
        let fields = String::from_utf8_lossy(&entry[..tab]).into_owned();
        let fields: Vec<&str> = fields.split(' ').collect();
        let &[mode, blob, stage] = fields.as_slice() else { continue };
        let Some(stage) = stage.parse::<usize>().ok().filter(|stage| (1..=3).contains(stage)) else { continue };
        let versions = found.entry(PathBuf::from(OsStr::from_bytes(&entry[tab + 1..]))).or_default();
        versions[stage - 1] = Some(Version { mode: mode.to_owned(), blob: blob.to_owned() });
    }
    let conflict = |(path, [base, two, three]): (PathBuf, [Option<Version>; 3])| match sides {
        Sides::Merge => Conflict { path, base, ours: two, theirs: three },
        Sides::Rebase => Conflict { path, base, ours: three, theirs: two },
    };
    Ok(found.into_iter().map(conflict).collect())
}

/// Resolves the conflicts that rules are for, runs the rules' commands, and gives what is left.
pub(super) fn resolve(
    program: &Program<'_>,
    tree: &mut WorkTree<'_>,
    rules: &PushRules,
    conflicts: &[Conflict],
) -> Result<Vec<Unresolved>, Stop> {
    let mut unresolved = Vec::new();
    let mut used: Vec<&ConflictRule> = Vec::new();
    for conflict in conflicts {
        let rule = conflict.path.to_str().and_then(|path| rules.rule_for(path));
        let why = match rule {
            None => Some("no rule is for it".to_owned()),
            Some(rule) => conflict.resolve(program, rule.resolve)?,
        };
        match (why, rule) {
            (Some(why), _) => unresolved.push(Unresolved { path: conflict.path.clone(), why }),
            (None, Some(rule)) if !used.contains(&rule) => used.push(rule),
            _ => {}
        }
    }
    if unresolved.is_empty() {
        run_commands(program, tree, &used)?;
    }
    Ok(unresolved)
}

impl Conflict {
    /// Resolves it; else tells why it cannot be done.
    fn resolve(&self, program: &Program<'_>, resolution: Resolution) -> Result<Option<String>, CommandError> {
        match resolution {
            Resolution::Ours => self.take(program, self.ours.as_ref()).map(|()| None),
            Resolution::Theirs => self.take(program, self.theirs.as_ref()).map(|()| None),
            Resolution::Union | Resolution::LongestChecklist => {
                let why = |why: &str| Ok(Some(format!("its rule {:?} cannot resolve it: {why}", resolution.word())));
                let (Some(ours), Some(theirs)) = (&self.ours, &self.theirs) else {
                    return why("one side has deleted or renamed it");
                };
                let is_file = |version: &Version| version.mode.starts_with("100");
                if ![ours, theirs].into_iter().chain(&self.base).all(is_file) {
                    return why("it is no ordinary file");
                }
                let base = self.base.as_ref().map(|base| content(program, base)).transpose()?;
                let (own, remote) = (content(program, ours)?, content(program, theirs)?);
                let merged = if resolution == Resolution::Union {
                    union(program, base.as_deref(), &own, &remote)?
                } else {
                    merge_checklists(base.as_deref(), &own, &remote)
                };
                let Some(merged) = merged else {
                    return why(match resolution {
                        Resolution::Union => "it is no text",
                        _ => "both sides changed the same words or the text around the entries",
                    });
                };
                let blob = program.bytes_with(&["hash-object", "-w", "--stdin"], Some(&merged))?;
                let blob = String::from_utf8_lossy(&blob).trim().to_owned();
                let mode = self.mode(ours, theirs).to_owned();
                self.take(program, Some(&Version { mode, blob }))?;
                Ok(None)
            }
        }
    }

    /// The mode that a side has changed, else that of both.
    fn mode<'v>(&self, ours: &'v Version, theirs: &'v Version) -> &'v str {
        let is_unchanged = self.base.as_ref().is_some_and(|base| base.mode == ours.mode);
        if is_unchanged { &theirs.mode } else { &ours.mode }
    }

    /// Makes this version, or its absence, the resolved one.
    fn take(&self, program: &Program<'_>, version: Option<&Version>) -> Result<(), CommandError> {
        let path = self.path.as_os_str();
        let Some(Version { mode, blob }) = version else {
            let removal = ["--literal-pathspecs", "rm", "--force", "--quiet", "--ignore-unmatch", "--"];
            return program.bytes(&with(&removal, path)).map(|_| ());
        };
        let mut info = OsString::from(format!("{mode},{blob},"));
        info.push(path);
        program.bytes(&with(&["update-index", "--add", "--cacheinfo"], &info))?;
        if mode != SUBMODULE {
            program.bytes(&with(&["checkout-index", "--force", "--quiet", "--"], path))?;
        }
        Ok(())
    }
}

fn with<'s>(arguments: &[&'s str], last: &'s OsStr) -> Vec<&'s OsStr> {
    arguments.iter().map(|it| OsStr::new(*it)).chain([last]).collect()
}

fn content(program: &Program<'_>, version: &Version) -> Result<Vec<u8>, CommandError> {
    program.bytes(&["cat-file", "blob", version.blob.as_str()])
}

/// The lines of both sides, the remote's first; `None` for what is no text.
fn union(
    program: &Program<'_>,
    base: Option<&[u8]>,
    ours: &[u8],
    theirs: &[u8],
) -> Result<Option<Vec<u8>>, CommandError> {
    let base = base.unwrap_or_default();
    if [base, ours, theirs].iter().any(|it| it.contains(&0) || it.starts_with(LFS_POINTER)) {
        return Ok(None);
    }
    let failed = |error: io::Error| CommandError::because(ErrorKind::Internal, "no temporary file", &error);
    let file = |bytes: &[u8]| {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(bytes)?;
        Ok::<_, io::Error>(file)
    };
    let files = [theirs, base, ours].map(|bytes| file(bytes).map_err(failed));
    let [theirs, base, ours] = files;
    let (theirs, base, ours) = (theirs?, base?, ours?);
    let paths = [theirs.path(), base.path(), ours.path()].map(|path| path.as_os_str());
    let options = ["merge-file", "--stdout", "--quiet", "--union"].map(OsStr::new);
    program.bytes(&[&options[..], &paths[..]].concat()).map(Some)
}

fn merge_checklists(base: Option<&[u8]>, ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    let base = match base {
        Some(base) => Some(std::str::from_utf8(base).ok()?),
        None => None,
    };
    checklist::merge(base, std::str::from_utf8(ours).ok()?, std::str::from_utf8(theirs).ok()?).map(String::into_bytes)
}

/// Runs each command once and adds what it changed of the files that its rules are for.
fn run_commands(program: &Program<'_>, tree: &mut WorkTree<'_>, used: &[&ConflictRule]) -> Result<(), Stop> {
    let commands: BTreeSet<&str> = used.iter().filter_map(|rule| rule.run.as_deref()).collect();
    for line in commands {
        crate::output::talk(&format!("afterpush: running {line:?}\n"));
        let before = tree.untracked()?;
        let ended = program.shell(line);
        let made: Vec<PathBuf> = tree.untracked()?.difference(&before).cloned().collect();
        tree.note_made(made.clone());
        let ended = ended?;
        if !ended.is_success {
            let message = format!("the command {line:?} of a conflict rule failed: {}", ended.said);
            return Err(CommandError::new(ErrorKind::Refused, message).into());
        }
        let rules: Vec<_> = used.iter().filter(|rule| rule.run.as_deref() == Some(line)).collect();
        let is_ours = |path: &PathBuf| path.to_str().is_some_and(|path| rules.iter().any(|rule| rule.matches(path)));
        let changed = program.paths(&["diff", "--name-only", "--no-renames", "-z", "--ignore-submodules=all"])?;
        let (wanted, other): (Vec<_>, Vec<_>) = changed.into_iter().partition(is_ours);
        if let Some(other) = other.first() {
            let message = format!(
                "the command {line:?} of a conflict rule changed {}",
                clean_line(&other.to_string_lossy(), 200)
            );
            return Err(CommandError::new(ErrorKind::Refused, message)
                .hint("`paths` of the rule must name every tracked file that its command changes")
                .into());
        }
        for path in wanted.iter().chain(made.iter().filter(|path| is_ours(path))) {
            program.bytes(&with(&["--literal-pathspecs", "add", "--all", "--"], path.as_os_str()))?;
        }
    }
    Ok(())
}
