//! What git tells a pre-push hook: its arguments and the ref lines on its standard input.

use crate::id::{CommitId, RefName};

/// One line of the hook's standard input, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefLine {
    /// A ref of the remote is set to a commit.
    Update(RefUpdate),
    /// A ref of the remote is deleted: nothing to watch.
    Deletion,
    /// The line is not of git's form.
    Unreadable,
}

/// A ref of the remote that is set to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The pushed object. For an annotated tag this is the tag object's id.
    pub commit: CommitId,
    /// The ref on the remote.
    pub ref_name: RefName,
    /// What the remote's ref was before, as git knew it.
    pub previous: Option<CommitId>,
}

/// A push that a remote-tracking ref's reflog has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReflogPush {
    /// The remote's name.
    pub remote: String,
    /// The ref on the remote.
    pub ref_name: RefName,
    /// What it was set to.
    pub commit: CommitId,
    /// When, in seconds since 1970, by this machine's clock.
    pub at_epoch_seconds: i64,
}

/// Reads one line `<local ref> <local oid> <remote ref> <remote oid>`.
///
/// The remote ref and the two ids decide; the local ref can be `HEAD`, a revision or an object id and is not used.
#[must_use]
pub fn parse_ref_line(line: &str) -> RefLine {
    let mut fields = line.split(' ');
    let (Some(local_ref), Some(local_oid), Some(remote_ref), Some(remote_oid), None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return RefLine::Unreadable;
    };
    let is_zero = |oid: &str| matches!(oid.len(), 40 | 64) && oid.bytes().all(|b| b == b'0');
    if local_ref == "(delete)" || is_zero(local_oid) {
        return RefLine::Deletion;
    }
    let previous = if is_zero(remote_oid) {
        None
    } else {
        match CommitId::parse(remote_oid) {
            Ok(id) => Some(id),
            Err(_) => return RefLine::Unreadable,
        }
    };
    match (CommitId::parse(local_oid), RefName::parse(remote_ref)) {
        (Ok(commit), Ok(ref_name)) => RefLine::Update(RefUpdate { commit, ref_name, previous }),
        _ => RefLine::Unreadable,
    }
}

/// Tells whether the arguments of a git process are those of a push, and of a dry one.
///
/// No variable in a hook's environment tells a dry run; only git's own arguments do.
#[must_use]
pub fn read_push_arguments<'a>(arguments: impl IntoIterator<Item = &'a str>) -> PushArguments {
    let mut arguments = arguments.into_iter().skip(1);
    while let Some(argument) = arguments.next() {
        match argument {
            // Options of git itself that take the next argument.
            "-c" | "-C" | "--git-dir" | "--work-tree" | "--namespace" | "--config-env" | "--exec-path"
            | "--super-prefix" | "--attr-source" => {
                arguments.next();
            }
            "push" => {
                return PushArguments { is_push: true, is_dry_run: has_dry_run(arguments) };
            }
            option if option.starts_with('-') => {}
            _ => break,
        }
    }
    PushArguments { is_push: false, is_dry_run: false }
}

/// What the arguments of a git process say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushArguments {
    /// It is a `git push`.
    pub is_push: bool,
    /// It is a dry run.
    pub is_dry_run: bool,
}

fn has_dry_run<'a>(mut arguments: impl Iterator<Item = &'a str>) -> bool {
    let mut dry = false;
    while let Some(argument) = arguments.next() {
        match argument {
            "--" => break,
            // Options of push that take the next argument.
            "-o" | "--push-option" | "--repo" | "--receive-pack" | "--exec" => {
                arguments.next();
            }
            // git accepts every unambiguous beginning of a long option; --d alone could be --delete.
            _ if argument.starts_with("--dr") && "--dry-run".starts_with(argument) => dry = true,
            _ if argument.starts_with("--no-d") && "--no-dry-run".starts_with(argument) => dry = false,
            _ if argument.starts_with("--") => {}
            _ if argument.starts_with('-') => {
                // A cluster such as -fn; what follows an o is the value of --push-option.
                let (flags, value) = match argument[1..].split_once('o') {
                    Some((flags, value)) => (flags, Some(value)),
                    None => (&argument[1..], None),
                };
                dry |= flags.contains('n');
                if value == Some("") {
                    arguments.next();
                }
            }
            _ => {}
        }
    }
    dry
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn a_line_is_read_by_its_remote_ref_and_ids_not_by_its_local_ref() {
        for local in ["refs/heads/x", "HEAD", "HEAD~0", A] {
            let line = format!("{local} {A} refs/heads/main {B}");
            let RefLine::Update(update) = parse_ref_line(&line) else { panic!("{line}") };
            assert_eq!((update.commit.as_str(), update.ref_name.as_str()), (A, "refs/heads/main"));
            assert_eq!(update.previous.unwrap().as_str(), B);
        }
        let RefLine::Update(created) = parse_ref_line(&format!("HEAD {A} refs/heads/new {ZERO}")) else { panic!() };
        assert_eq!(created.previous, None);
    }

    #[test]
    fn deletions_and_broken_lines_are_told_apart() {
        for deletion in [format!("(delete) {ZERO}"), format!("(delete) {A}"), format!("HEAD {ZERO}")] {
            assert_eq!(parse_ref_line(&format!("{deletion} refs/heads/b {A}")), RefLine::Deletion, "{deletion}");
        }
        for bad in ["", "x", "a b c", &format!("HEAD {A} refs/heads/main {B} more"), &format!("HEAD {A} main {B}")] {
            assert_eq!(parse_ref_line(bad), RefLine::Unreadable, "{bad}");
        }
    }

    #[test]
    fn dry_runs_are_known_in_every_spelling_that_git_accepts() {
        let read = |line: &str| read_push_arguments(line.split(' '));
        for dry in ["--dry-run", "-n", "-fn", "-nf", "--dry", "--dr", "origin main -n", "-v --dry-run origin"] {
            let line = format!("git push {dry}");
            assert!(read(&line).is_dry_run, "{line}");
        }
        for wet in [
            "",
            "origin main",
            "-f",
            "-on",
            "-o n",
            "-fon",
            "--push-option -n",
            "--no-verify",
            "--delete",
            "-- -n",
            "--dry-run --no-dry-run",
            "--dry-run --no-dry",
            "--d",
            "--drop",
            "--dry-running",
        ] {
            let line = format!("git push {wet}");
            let said = read(&line);
            assert!(said.is_push && !said.is_dry_run, "{line}");
        }
        assert!(read("git -C /x -c a=b push -n").is_dry_run);
        assert!(read("git --no-pager push -n").is_dry_run);
        for dry in ["--dry-run --no", "--dry-run --no-drop", "--dry-run --no-dry-running"] {
            assert!(read(&format!("git push {dry}")).is_dry_run, "{dry}");
        }
        assert!(!read("git fetch -n").is_push);
        assert!(!read("git -c push fetch").is_push);
        assert!(!read("git stash push").is_push, "another command's own push");
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line in ".*", words in proptest::collection::vec(".{0,12}", 0..8)) {
            let _ = parse_ref_line(&line);
            let _ = read_push_arguments(words.iter().map(String::as_str));
        }
    }
}
