//! Strict mode: git's reference-transaction hook, which `git push --no-verify` runs as well, tells that a push has moved a
//! remote-tracking ref.
//!
//! Invariant: it watches what a push has just set, and nothing else: not what a fetch brings, not what a push found up to date,
//! not what the pre-push hook of the same push has put on record.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    process::{Command, Stdio},
    time::SystemTime,
};

use afterpush_core::{
    file::{PushSource, Pusher, Request},
    id::{CommitId, RefName},
    push::RefUpdate,
    refspec::FetchRefspecs,
};
use afterpush_store::{Environment, Repository, RunDirectory, StateRoot, StoreError, process, pusher_at};

use crate::{
    hook::{HookError, look_around},
    input::Remote,
    push::{self, Push},
    watchdog,
};

/// What git writes into the reflog of a remote-tracking ref that a push has moved.
const BY_PUSH: &str = "update by push";
/// The last line of a reflog is shorter, unless a person's name is very long.
const LAST_LINE: u64 = 8 << 10;

/// Watches a committed change of one ref: `<pid of the shim's parent> <new id> <ref>`.
pub(crate) fn watch(mut arguments: impl Iterator<Item = OsString>) -> Result<(), HookError> {
    let environment = Environment::read();
    if environment.wants_no_monitor() {
        return Ok(());
    }
    watchdog::start();
    let Some((parent, commit, tracking)) = read(&mut arguments) else { return Ok(()) };
    let (Some(pusher), Ok(began)) = (pusher_at(parent), process::began_at(parent)) else { return Ok(()) };
    let Some((repository, config)) = look_around(&environment)? else { return Ok(()) };
    let entry = last_entry(&repository, &tracking);
    if entry.as_ref().is_some_and(|entry| !entry.is_push_of(&commit, began)) {
        return Ok(());
    }
    let Some((remote, ref_name)) = followed(&tracking) else { return Ok(()) };
    if config.targets_of(&ref_name).next().is_none() {
        return Ok(());
    }
    let store = StateRoot::for_writing(&environment, &repository)?.repository(&repository);
    let run = store.run(&commit, &remote.name, &ref_name);
    // Without a reflog (a bare repository, reftable, core.logAllRefUpdates) a push that moved the ref and one that found it up to
    // date look the same: what was watched before is not watched again.
    if is_known(&run, entry.is_some().then_some(&pusher))? {
        return Ok(());
    }
    let pusher = Some(pusher);
    let monitor = push::monitor_program().map_err(HookError::Monitor)?;
    let updates = vec![RefUpdate { commit, ref_name, previous: None }];
    push::watch(&Push { monitor, store, repository, remote, config, updates, pusher, source: PushSource::Reflog })
}

fn read(arguments: &mut impl Iterator<Item = OsString>) -> Option<(i32, CommitId, RefName)> {
    let mut word = || arguments.next()?.into_string().ok();
    let (parent, commit, tracking) = (word()?, word()?, word()?);
    Some((parent.parse().ok()?, CommitId::parse(&commit).ok()?, RefName::parse(&tracking).ok()?))
}

/// Whether this push is on record already; when none is named, whether any is.
fn is_known(run: &RunDirectory, pusher: Option<&Pusher>) -> Result<bool, StoreError> {
    let is_same = |request: Request| {
        pusher.is_none_or(|pusher| request.pusher.is_some_and(|known| known.process == pusher.process))
    };
    Ok(run.request()?.is_some_and(is_same) || run.again()?.is_some_and(is_same))
}

/// The last line of a reflog, and when it was written.
struct Entry {
    line: String,
    written: SystemTime,
}

impl Entry {
    /// By the time of the file: that in the line is the committer's, whom the environment can place anywhere.
    fn is_push_of(&self, commit: &CommitId, began: SystemTime) -> bool {
        let Some((who, what)) = self.line.split_once('\t') else { return false };
        self.written >= began && what.trim_end() == BY_PUSH && who.split(' ').nth(1) == Some(commit.as_str())
    }
}

fn last_entry(repository: &Repository, tracking: &RefName) -> Option<Entry> {
    let look = |path: &Path| -> io::Result<Entry> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(LAST_LINE)))?;
        let mut text = Vec::new();
        file.take(LAST_LINE).read_to_end(&mut text)?;
        let line = String::from_utf8_lossy(&text).lines().last().unwrap_or_default().to_owned();
        Ok(Entry { line, written: metadata.modified()? })
    };
    look(&repository.common_dir.join("logs").join(tracking.as_str())).ok()
}

/// The remote, and its ref, that a remote-tracking ref follows. Asks the git that runs this hook, by its own configuration:
/// includes, the command line's `-c`, other work trees.
fn followed(tracking: &RefName) -> Option<(Remote, RefName)> {
    let asked = Command::new("git")
        .args(["config", "-z", "--get-regexp", r"^remote\..*\.(url|pushurl|fetch)$"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    remote_of(&String::from_utf8_lossy(&asked.stdout), tracking)
}

/// Reads `remote.<name>.<key>\n<value>\0`, in any order.
fn remote_of(config: &str, tracking: &RefName) -> Option<(Remote, RefName)> {
    let values: Vec<(&str, &str, &str)> = config
        .split('\0')
        .filter_map(|entry| {
            let (key, value) = entry.split_once('\n')?;
            let (name, key) = key.strip_prefix("remote.")?.rsplit_once('.')?;
            Some((name, key, value))
        })
        .collect();
    let of = |name: &str, key: &str| {
        let found = values.iter().filter(|(of, is, _)| *of == name && *is == key);
        found.map(|(_, _, value)| (*value).to_owned()).collect::<Vec<_>>()
    };
    values.iter().filter(|(_, key, _)| *key == "fetch").find_map(|(name, _, _)| {
        let remote_ref = FetchRefspecs::new(of(name, "fetch")).remote_of(tracking.as_str())?;
        let url = of(name, "pushurl").into_iter().chain(of(name, "url")).next().unwrap_or_default();
        Some((Remote::of(name, &url), RefName::parse(&remote_ref).ok()?))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    #[test]
    fn only_a_push_that_has_just_set_the_ref_counts() {
        let began = SystemTime::now();
        let commit = CommitId::parse(A).unwrap();
        let is_push = |to: &str, what: &str, written: SystemTime| {
            let line = format!("{B} {to} A B <a@example.org> 100 +0000\t{what}");
            Entry { line, written }.is_push_of(&commit, began)
        };
        let after = began + Duration::from_secs(1);
        assert!(is_push(A, BY_PUSH, after));
        assert!(!is_push(B, BY_PUSH, after), "another commit");
        assert!(!is_push(A, "fetch: fast-forward", after), "a fetch");
        assert!(!is_push(A, BY_PUSH, began - Duration::from_secs(1)), "a push before this one, which is up to date");
        assert!(!Entry { line: String::new(), written: after }.is_push_of(&commit, began));
    }

    #[test]
    fn the_remote_of_a_tracking_ref_is_found_by_its_refspecs() {
        let config = "remote.a.b.url\nhttps://user:canary@a.example.org/x\0remote.a.b.fetch\n+refs/heads/*:refs/remotes/a.b/*\0\
                      remote.near.url\n/x\0remote.near.pushurl\n/y\0remote.near.fetch\n+refs/heads/*:refs/remotes/near/*\0";
        let find = |tracking: &str| remote_of(config, &RefName::parse(tracking).unwrap());
        let (remote, name) = find("refs/remotes/a.b/feature/x").unwrap();
        assert_eq!((remote.name.as_str(), remote.url.as_str()), ("a.b", "https://a.example.org/x"));
        assert_eq!(name.as_str(), "refs/heads/feature/x");
        assert_eq!(find("refs/remotes/near/main").unwrap().0.url, "/y");
        assert!(find("refs/remotes/gone/main").is_none());
        assert!(remote_of("nonsense\0\0remote.\n", &RefName::parse("refs/remotes/o/x").unwrap()).is_none());
    }
}
