//! The courtesies of `[before_push]`: what is said, or refused, before a push goes out.
//!
//! Invariant: everything is read from this machine, and what cannot be read is not said. The one `git` that may be started has
//! a time limit; it is started at most once a push, and only when the two tips alone do not tell.

use std::{
    io::Read,
    os::fd::AsFd,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use afterpush_core::{
    config::{BeforePush, Reaction},
    id::{CommitId, RefName},
    push::RefUpdate,
};
use afterpush_store::{Repository, RepositoryStore, read_bounded};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{input::Remote, say};

/// How long git may count.
const COUNTING: Duration = Duration::from_millis(200);
/// git's configuration, and its file of packed refs; larger ones are not worth the wait.
const LONGEST_FILE: u64 = 8 << 20;
/// A push of more branches than this has other worries.
const MOST_BRANCHES: usize = 32;

/// Something to say before a push.
pub(crate) struct Remark {
    /// What.
    pub(crate) text: String,
    /// The key of `[before_push]` because of which the push is refused; none for a mere warning.
    pub(crate) refused_by: Option<&'static str>,
}

/// What is known of the push.
pub(crate) struct Facts<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) remote: &'a Remote,
    /// The stores that exist.
    pub(crate) stores: &'a [RepositoryStore],
}

/// Tells whether a branch could give rise to a remark.
pub(crate) fn concerns(rules: &BeforePush, update: &RefUpdate) -> bool {
    let names = rules.branch_name != Reaction::Off && !rules.branch_names.is_empty();
    update.ref_name.branch().is_some() && (names || rules.behind != Reaction::Off || rules.previous != Reaction::Off)
}

/// Everything that is to be said about these updates.
pub(crate) fn remarks(rules: &BeforePush, updates: &[RefUpdate], facts: &Facts<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut remark = |reaction: Reaction, key: &'static str, text: Option<String>| {
        if let Some(text) = text {
            remarks.push(Remark { text, refused_by: (reaction == Reaction::Refuse).then_some(key) });
        }
    };
    let mut may_count = true;
    for update in updates.iter().take(MOST_BRANCHES) {
        let Some(branch) = update.ref_name.branch() else { continue };
        if rules.branch_name != Reaction::Off {
            remark(rules.branch_name, "branch_name", wrong_name(rules, branch));
        }
        if rules.behind != Reaction::Off {
            remark(rules.behind, "behind", behind(facts, update, branch, &mut may_count));
        }
        if rules.previous != Reaction::Off {
            remark(rules.previous, "previous", still_running(facts, update));
        }
    }
    remarks
}

fn wrong_name(rules: &BeforePush, branch: &str) -> Option<String> {
    let is_right = rules.branch_names.is_empty()
        || rules.protected.iter().chain(&rules.branch_names).any(|pattern| pattern.matches_text(branch));
    if is_right {
        return None;
    }
    let patterns: Vec<_> = rules.branch_names.iter().map(|pattern| pattern.as_str()).collect();
    Some(format!("the branch name {} is none of {}", say::clean(branch), say::clean(&patterns.join(", "))))
}

/// The previous push of the branch has landed and has no verdict yet.
fn still_running(facts: &Facts<'_>, update: &RefUpdate) -> Option<String> {
    facts.stores.iter().find_map(|store| {
        let head = store.head(&facts.remote.name, &update.ref_name).ok()??;
        if head.commit == update.commit {
            return None;
        }
        let run = store.run(&head.commit, &facts.remote.name, &update.ref_name);
        let is_open = run.is_locked().ok()? && run.result().ok()?.is_none();
        let name = say::clean(update.ref_name.short());
        is_open.then(|| format!("the last push of {name} ({}) is still being deployed", head.commit.short()))
    })
}

/// How far the pushed commit is behind the tip of its upstream, as of the last fetch.
fn behind(facts: &Facts<'_>, update: &RefUpdate, branch: &str, may_count: &mut bool) -> Option<String> {
    let common = &facts.repository.common_dir;
    let config = text_of(&common.join("config")).unwrap_or_default();
    let own = || (facts.remote.name.clone(), update.ref_name.as_str().to_owned());
    let (remote, upstream) = upstream_of(&config, branch).filter(|(remote, _)| remote != ".").unwrap_or_else(own);
    let shown = format!("{remote}/{}", upstream.strip_prefix("refs/heads/")?);
    let tip = read_ref(common, &RefName::parse(&format!("refs/remotes/{shown}")).ok()?)?;
    // git lets a commit go out only when it contains what the remote has, or when the user insists.
    if tip == update.commit || Some(&tip) == update.previous.as_ref() || !std::mem::take(may_count) {
        return None;
    }
    match count(facts.repository, &update.commit, &tip)? {
        0 => None,
        1 => Some(format!("{} is 1 commit behind {}", say::clean(branch), say::clean(&shown))),
        more => Some(format!("{} is {more} commits behind {}", say::clean(branch), say::clean(&shown))),
    }
}

/// `branch.<name>.remote` and `.merge` of the repository's own configuration file, where git writes them.
fn upstream_of(config: &str, branch: &str) -> Option<(String, String)> {
    let header = format!("[branch \"{}\"]", branch.replace('\\', "\\\\").replace('"', "\\\""));
    let (mut remote, mut merge, mut is_inside) = (None, None, false);
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            is_inside = line == header;
        } else if is_inside && let Some((key, value)) = line.split_once('=') {
            match key.trim_end() {
                "remote" => remote = Some(value.trim_start().to_owned()),
                "merge" => merge = Some(value.trim_start().to_owned()),
                _ => {}
            }
        }
    }
    remote.zip(merge)
}

/// A ref of the files backend: loose, else packed. Other backends are not read: then there is no remark.
fn read_ref(common: &Path, name: &RefName) -> Option<CommitId> {
    if let Some(text) = text_of(&common.join(name.as_str())) {
        return CommitId::parse(text.trim_end()).ok();
    }
    let packed = text_of(&common.join("packed-refs"))?;
    let line = packed.lines().find(|line| line.split_once(' ').is_some_and(|(_, packed)| packed == name.as_str()))?;
    CommitId::parse(line.split_once(' ')?.0).ok()
}

fn text_of(path: &Path) -> Option<String> {
    String::from_utf8(read_bounded(path, LONGEST_FILE).ok()??).ok()
}

/// How many commits `tip` has that `commit` has not; `None` when git does not know within its time.
fn count(repository: &Repository, commit: &CommitId, tip: &CommitId) -> Option<u64> {
    let mut git = Command::new("git");
    git.arg("--git-dir").arg(&repository.git_dir);
    git.args(["rev-list", "--count", &format!("{commit}..{tip}"), "--"]);
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_OPTIONAL_LOCKS", "0").env_remove("GIT_TRACE");
    let mut child = git.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let deadline = Instant::now() + COUNTING;
    let mut text = String::new();
    if let Some(mut output) = child.stdout.take() {
        let left = PollTimeout::try_from(deadline.saturating_duration_since(Instant::now())).ok()?;
        // git writes its one line at its end.
        if matches!(poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLIN)], left), Ok(1)) {
            let _ = output.read_to_string(&mut text);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_upstream_is_read_as_git_writes_it() {
        let config = "[core]\n\tbare = false\n[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n\
                      [branch \"a\\\"b\"]\n\tremote = fork\n\tmerge = refs/heads/x\n[branch \"bare\"]\n\trebase = true\n";
        let of = |branch| upstream_of(config, branch).map(|(remote, merge)| format!("{remote} {merge}"));
        assert_eq!(of("main").unwrap(), "origin refs/heads/main");
        assert_eq!(of("a\"b").unwrap(), "fork refs/heads/x");
        assert_eq!((of("bare"), of("core"), of("other")), (None, None, None));
    }

    #[test]
    fn a_ref_is_found_loose_or_packed() {
        let place = tempfile::tempdir().unwrap();
        let (old, new) = ("a".repeat(40), "b".repeat(40));
        let name = |text| RefName::parse(text).unwrap();
        std::fs::write(place.path().join("packed-refs"), format!("# pack-refs\n{old} refs/remotes/origin/main\n"))
            .unwrap();
        assert_eq!(read_ref(place.path(), &name("refs/remotes/origin/main")).unwrap().as_str(), old);
        assert_eq!(read_ref(place.path(), &name("refs/remotes/origin/mai")), None);
        std::fs::create_dir_all(place.path().join("refs/remotes/origin")).unwrap();
        std::fs::write(place.path().join("refs/remotes/origin/main"), format!("{new}\n")).unwrap();
        assert_eq!(read_ref(place.path(), &name("refs/remotes/origin/main")).unwrap().as_str(), new);
    }
}
