//! What tracking refs and reflogs tell about pushes.

use std::fs;

use afterpush_core::id::RefName;

use crate::sandbox::{Kind, Sandbox, branch, open};

#[test]
fn a_push_is_found_in_the_reflog_and_a_fetch_is_not() {
    Sandbox::each(|kind, sandbox, work| {
        let one = sandbox.id(work, "HEAD");
        let two = sandbox.commit(work, "two");
        sandbox.git(work, &["push", "-q", "origin", "HEAD:refs/heads/other"]);
        let git = open(work);
        let tracking = git.tracking_ref("origin", &branch("main")).unwrap();
        assert_eq!(tracking, "refs/remotes/origin/main", "{kind:?}");
        let ever = 0..=i64::MAX;
        let pushed = |name: &str, commit, times| git.pushed_in_reflog(name, commit, times).unwrap();
        assert!(pushed(&tracking, &one, ever.clone()), "{kind:?}");
        assert!(!pushed(&tracking, &two, ever.clone()), "{kind:?}: it went to another branch");
        assert!(pushed("refs/remotes/origin/other", &two, ever.clone()), "{kind:?}");
        assert!(!pushed(&tracking, &one, i64::MAX..=i64::MAX), "{kind:?}: long before");
        assert!(!pushed(&tracking, &one, 0..=1), "{kind:?}: long after");
        assert!(!pushed("refs/remotes/origin/absent", &one, ever.clone()), "{kind:?}");
        assert!(!pushed("../../etc/passwd", &one, ever.clone()), "{kind:?}");
        // Another clone learns the same commits by fetching: that is no push of its own.
        sandbox.git(&sandbox.path(""), &["clone", "-q", "origin.git", "second"]);
        let second = sandbox.path("second");
        sandbox.git(work, &["push", "-q", "origin", "main"]);
        sandbox.git(&second, &["fetch", "-q"]);
        let second = open(&second);
        assert_eq!(second.ref_target("refs/remotes/origin/main").unwrap(), Some(two.clone()), "{kind:?}");
        assert!(!second.pushed_in_reflog("refs/remotes/origin/main", &two, 0..=i64::MAX).unwrap(), "{kind:?}");
        assert_eq!(second.pushes_in_reflogs(10).unwrap(), [], "{kind:?}");
    });
}

#[test]
fn a_rejected_and_a_dry_push_leave_no_trace() {
    Sandbox::each(|kind, sandbox, work| {
        let old = sandbox.id(work, "HEAD");
        sandbox.commit(work, "two");
        sandbox.git(work, &["push", "-q", "origin", "main"]);
        sandbox.git(work, &["reset", "-q", "--hard", old.as_str()]);
        let rejected = sandbox.commit(work, "not a fast-forward");
        assert!(!sandbox.run(work, &["push", "-q", "origin", "main"]).status.success());
        sandbox.git(work, &["push", "-q", "--dry-run", "--force", "origin", "main"]);
        let git = open(work);
        assert!(!git.pushed_in_reflog("refs/remotes/origin/main", &rejected, 0..=i64::MAX).unwrap(), "{kind:?}");
        assert_ne!(git.ref_target("refs/remotes/origin/main").unwrap(), Some(rejected), "{kind:?}");
    });
}

#[test]
fn all_pushes_are_listed_the_newest_first_with_their_remote_and_ref() {
    Sandbox::each(|kind, sandbox, work| {
        // A remote whose name has a slash, and whose refs are kept in an unusual place.
        sandbox.git(work, &["remote", "add", "team/ci", "../origin.git"]);
        sandbox.git(work, &["config", "remote.team/ci.fetch", "+refs/heads/*:refs/remotes/ci/heads/*"]);
        let one = sandbox.id(work, "HEAD");
        sandbox.git(work, &["push", "-q", "--no-verify", "team/ci", "HEAD:refs/heads/feature/x"]);
        let two = sandbox.commit(work, "two");
        sandbox.git(work, &["push", "-q", "--force", "origin", "main", "main:release"]);
        let git = open(work);
        let pushes = git.pushes_in_reflogs(10).unwrap();
        assert!(pushes.windows(2).all(|pair| pair[0].at_epoch_seconds >= pair[1].at_epoch_seconds), "{kind:?}");
        let mut found: Vec<_> =
            pushes.iter().map(|push| (push.remote.as_str(), push.ref_name.as_str(), &push.commit)).collect();
        found.sort();
        let mut expected = [
            ("origin", "refs/heads/main", &one),
            ("origin", "refs/heads/main", &two),
            ("origin", "refs/heads/release", &two),
            ("team/ci", "refs/heads/feature/x", &one),
        ];
        expected.sort();
        assert_eq!(found, expected, "{kind:?}");
        assert_eq!(git.pushes_in_reflogs(2).unwrap().len(), 2, "{kind:?}");
        assert_eq!(git.pushes_in_reflogs(0).unwrap(), [], "{kind:?}");
    });
}

#[test]
fn of_many_pushes_the_newest_are_kept() {
    let (_sandbox, work) = Sandbox::ordinary();
    let log = work.join(".git/logs/refs/remotes/origin/main");
    let id = "a".repeat(40);
    let lines: String =
        (1..=500).map(|second| format!("{id} {id} A <a@example.com> {second} +0000\tupdate by push\n")).collect();
    fs::write(log, lines).unwrap();
    let pushes = open(&work).pushes_in_reflogs(3).unwrap();
    assert_eq!(pushes.iter().map(|push| push.at_epoch_seconds).collect::<Vec<_>>(), [500, 499, 498]);
}

#[test]
fn only_what_the_fetch_refspecs_cover_has_a_tracking_ref() {
    Sandbox::each(|kind, sandbox, work| {
        let git = open(work);
        assert_eq!(git.tracking_ref("origin", &RefName::parse("refs/tags/v1").unwrap()), None, "{kind:?}");
        for unknown in ["../origin.git", "https://example.com/x.git", "nope", ""] {
            assert_eq!(git.tracking_ref(unknown, &branch("main")), None, "{kind:?} {unknown}");
        }
        sandbox.git(&sandbox.path(""), &["clone", "-q", "--single-branch", "origin.git", "x"]);
        let single = open(&sandbox.path("x"));
        assert_eq!(single.tracking_ref("origin", &branch("main")).unwrap(), "refs/remotes/origin/main", "{kind:?}");
        assert_eq!(single.tracking_ref("origin", &branch("other")), None, "{kind:?}");
    });
}

#[test]
fn reading_changes_nothing() {
    Sandbox::each(|kind, sandbox, work| {
        sandbox.git(work, &["config", "core.logAllRefUpdates", "false"]);
        sandbox.git(work, &["push", "-q", "origin", "main:quiet"]);
        let list = || sandbox.git(&work.join(".git"), &["-c", "alias.ls=!find . -printf '%p %s %T@\\n' | sort", "ls"]);
        let before = list();
        let git = open(work);
        let head = git.resolve("HEAD").unwrap().unwrap();
        git.pushed_in_reflog("refs/remotes/origin/quiet", &head, 0..=i64::MAX).unwrap();
        git.pushes_in_reflogs(10).unwrap();
        git.file_at(&head, "x", 1).unwrap();
        git.history(&head, 5).unwrap();
        assert_eq!(git.ref_target("refs/remotes/origin/quiet").unwrap(), Some(head), "{kind:?}");
        assert_eq!(list(), before, "{kind:?}");
        assert!(kind != Kind::Ordinary || !work.join(".git/logs/refs/remotes/origin/quiet").exists());
    });
}
