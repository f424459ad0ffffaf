//! Pushes that are watched: what is recorded, what is said, which process is named.

use std::fs;

use afterpush_core::{
    file::{Document, Head, MonitorInfo, OutcomeFields, PushSource, Report},
    id::RefName,
    run::{Outcome, Phase},
};
use afterpush_store::process;
use jiff::Timestamp;

use crate::fixture::{CONFIG, Fixture, said, stderr};

const ALL_BRANCHES: &str = "[[target]]\nname = \"web\"\nref = \"refs/heads/*\"\nhealth = { path = \"/health\" }\n";

#[test]
fn t1_a_push_is_recorded_told_in_one_line_and_handed_to_a_monitor() {
    // The git of this machine's path, and an older one where there is one.
    for git in ["git", "/usr/bin/git"] {
        if !git.starts_with('/') || std::path::Path::new(git).exists() {
            let fixture = Fixture::with_git(git);
            let commit = fixture.resolve("HEAD");
            let expected = format!("afterpush: watching {} -> web; `deploy-status` tells", commit.short());
            assert_eq!(fixture.push_says(&["origin", "main"]), [expected]);
            assert_eq!(fixture.remote_ref("main"), Some(commit.clone()));

            let run = fixture.run(&commit, "refs/heads/main");
            let request = run.request().unwrap().unwrap();
            assert_eq!((&request.commit, request.ref_name.as_str()), (&commit, "refs/heads/main"));
            assert_eq!((request.remote.as_str(), request.source), ("origin", PushSource::Hook));
            assert_eq!(request.remote_url, fixture.path("remote.git").to_str().unwrap());
            assert_eq!(request.previous, None);
            assert_eq!(request.repository.work_tree.as_deref(), fixture.path("work").canonicalize().unwrap().to_str());
            assert_eq!(fixture.started(1)[0].run(), run);
            assert_eq!(fixture.store().repository().unwrap().unwrap().facts(), request.repository);

            let next = fixture.commit("second");
            fixture.push_says(&["origin", "main"]);
            let request = fixture.run(&next, "refs/heads/main").request().unwrap().unwrap();
            assert_eq!(request.previous, Some(commit));
        }
    }
}

#[test]
fn t8_the_pushed_commit_and_remote_ref_count_not_head_and_checkout() {
    let fixture = Fixture::new();
    fixture.git(&["checkout", "--quiet", "-b", "other"]);
    let pushed = fixture.commit("on other");
    fixture.git(&["checkout", "--quiet", "main"]);
    let head = fixture.resolve("HEAD");
    let lines = fixture.push_says(&["origin", "other:main"]);
    assert!(lines.len() == 1 && lines[0].contains(pushed.short()), "{lines:?}");
    assert!(fixture.run(&pushed, "refs/heads/main").request().unwrap().is_some());
    assert!(fixture.store().runs_of(&head).unwrap().is_empty());

    // A revision without any local name.
    fixture.commit("third");
    let nameless = fixture.commit("fourth");
    fixture.push_says(&["--force", "origin", "HEAD~0:main"]);
    assert!(fixture.run(&nameless, "refs/heads/main").request().unwrap().is_some());
}

#[test]
fn t8_of_several_refs_each_with_a_target_is_watched() {
    let fixture = Fixture::new();
    fixture.configure(ALL_BRANCHES);
    let main = fixture.resolve("main");
    fixture.git(&["checkout", "--quiet", "-b", "other"]);
    let other = fixture.commit("on other");
    fixture.git(&["tag", "v1"]);
    let lines = fixture.push_says(&["origin", "main", "other", "v1"]);
    assert_eq!(lines, ["afterpush: watching 2 refs; `deploy-status` tells"]);
    let runs = fixture.store().runs().unwrap();
    assert_eq!(runs.len(), 2, "the tag has no target");
    assert!(runs.contains(&fixture.run(&main, "refs/heads/main")));
    assert!(runs.contains(&fixture.run(&other, "refs/heads/other")));
    fixture.started(2);
}

#[test]
fn a_tag_with_a_target_is_watched_and_all_targets_are_named() {
    let fixture = Fixture::new();
    fixture.configure(&["web", "api"].map(|name| ALL_BRANCHES.replace("web", name).replace("heads", "tags")).concat());
    fixture.git(&["tag", "-a", "-m", "release", "v1"]);
    let tag = fixture.resolve("v1");
    let expected = format!("afterpush: watching {} -> web, api; `deploy-status` tells", tag.short());
    assert_eq!(fixture.push_says(&["origin", "v1"]), [expected]);
    assert!(fixture.run(&tag, "refs/tags/v1").request().unwrap().is_some());
}

#[test]
fn more_than_32_refs_are_watched_in_part_and_the_line_says_so() {
    let fixture = Fixture::new();
    fixture.configure(ALL_BRANCHES);
    (0..39).for_each(|number| drop(fixture.git(&["branch", &format!("b{number}")])));
    let lines = fixture.push_says(&["origin", "--all"]);
    assert_eq!(lines, ["afterpush: watching 32 of 40 refs; `deploy-status` tells"]);
    assert_eq!(fixture.store().runs().unwrap().len(), 32);
    fixture.started(32);
}

#[test]
fn the_git_push_process_is_found_through_whatever_stands_between() {
    let fixture = Fixture::new();
    // As with a hook manager: two shells between git and the shim.
    let shim = fixture.hooks().join("pre-push");
    let moved = fixture.hooks().join("moved");
    fs::rename(&shim, &moved).unwrap();
    let between = format!("#!/bin/sh\nsh -c 'sh \"$@\"; exit $?' sh {} \"$@\"\nexit $?\n", moved.display());
    crate::fixture::write_program(&shim, &between);
    let mut command = fixture.command(fixture.git);
    let child = command.args(["push", "origin", "main"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    let request = fixture.run(&fixture.resolve("HEAD"), "refs/heads/main").request().unwrap().unwrap();
    let pusher = request.pusher.unwrap();
    assert_eq!(pusher.process.pid, pid);
    assert!(pusher.exit_proves);
    let me = process::current().unwrap();
    assert_eq!(
        (pusher.process.boot_id, pusher.process.pid_namespace, pusher.process.start_time >= me.start_time),
        (me.boot_id, me.pid_namespace, true)
    );
}

#[test]
fn t7_one_push_to_two_addresses_is_one_request_and_a_second_push_is_another_attempt() {
    let fixture = Fixture::new();
    let second = fixture.path("second.git");
    fixture.git(&["init", "--quiet", "--bare", second.to_str().unwrap()]);
    fixture.git(&["remote", "set-url", "--add", "--push", "origin", fixture.path("remote.git").to_str().unwrap()]);
    fixture.git(&["remote", "set-url", "--add", "--push", "origin", second.to_str().unwrap()]);
    let commit = fixture.resolve("HEAD");
    assert_eq!(fixture.push_says(&["origin", "main"]).len(), 1, "one push, one line");
    let run = fixture.run(&commit, "refs/heads/main");
    let first = run.request().unwrap().unwrap();
    assert!(run.again().unwrap().is_none());

    let before = fixture.commit("other");
    fixture.push_says(&["origin", "main"]);
    fixture.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    assert_eq!(fixture.push_says(&["--force", "origin", "main"]).len(), 1);
    assert_eq!(run.request().unwrap().unwrap(), first, "the first request stays until a monitor takes up the next");
    let again = run.again().unwrap().unwrap();
    assert!(again.id != first.id && again.previous == Some(before));
}

#[test]
fn a_linked_work_tree_and_a_bare_repository_push_too() {
    let fixture = Fixture::new();
    let linked = fixture.path("linked");
    fixture.git(&["worktree", "add", "--quiet", "-b", "topic", linked.to_str().unwrap()]);
    fs::write(linked.join(".afterpush.toml"), CONFIG.replace("main", "topic")).unwrap();
    let output = fixture.command(fixture.git).current_dir(&linked).args(["push", "origin", "topic"]).output().unwrap();
    assert_eq!(said(&output).len(), 1, "{}", stderr(&output));
    let commit = fixture.resolve("topic");
    let request = fixture.run(&commit, "refs/heads/topic").request().unwrap().unwrap();
    assert_eq!(request.repository.work_tree.as_deref(), linked.canonicalize().unwrap().to_str());
    assert!(request.repository.git_dir.ends_with("worktrees/linked"));

    // A bare repository has no work tree; only the user's own file can name targets for it.
    fs::write(fixture.path("dotfile.toml"), ALL_BRANCHES).unwrap();
    std::os::unix::fs::symlink(fixture.path("dotfile.toml"), fixture.path("home/config.toml")).unwrap();
    fixture.git(&["init", "--quiet", "--bare", fixture.path("third.git").to_str().unwrap()]);
    let output = fixture
        .command(fixture.git)
        .current_dir(fixture.path("remote.git"))
        .env("AFTERPUSH_CONFIG", fixture.path("home/config.toml"))
        .arg("-c")
        .arg(format!("core.hooksPath={}", fixture.hooks().display()))
        .args(["push", fixture.path("third.git").to_str().unwrap(), "topic"])
        .output()
        .unwrap();
    assert_eq!(said(&output).len(), 1, "{}", stderr(&output));
}

#[test]
fn the_last_failure_of_the_branch_is_told_once() {
    let fixture = Fixture::new();
    let failed = fixture.resolve("HEAD");
    fixture.push_says(&["origin", "main"]);
    let run = fixture.run(&failed, "refs/heads/main");
    let request = run.request().unwrap().unwrap();
    let now = Timestamp::now();
    let report = Report {
        schema: Document::Result.schema(),
        request_id: request.id.clone(),
        commit: failed.clone(),
        ref_name: request.ref_name.clone(),
        remote: request.remote.clone(),
        phase: Phase::Finished,
        outcome: OutcomeFields::from(Some(&Outcome::DeployFailed)),
        reason: Some("build failed:\n\u{1b}[31mno such file\u{1b}[0m".into()),
        push_proof: None,
        targets: Vec::new(),
        left_out: Vec::new(),
        monitor: MonitorInfo { pid: 1, host: "here".into(), started_at: now },
        seq: 1,
        pushed_at: request.pushed_at,
        updated_at: now,
        next_poll_at: None,
        deadline_at: now,
        finished_at: Some(now),
    };
    run.try_lock().unwrap().unwrap().into_writer().write_result(&report).unwrap();

    // A failed run that never landed says nothing about the branch.
    fixture.commit("second");
    assert_eq!(fixture.push_says(&["origin", "main"]).len(), 1);
    let head = Head::of(&request);
    fixture.store().set_head("origin", &RefName::parse("refs/heads/main").unwrap(), &head, "boot").unwrap();
    fixture.commit("third");
    let lines = fixture.push_says(&["origin", "main"]);
    let expected = format!(
        "afterpush: the last push of main ({}) ended deploy_failed: build failed: no such file",
        failed.short()
    );
    assert!(lines.len() == 2 && lines[1] == expected, "{lines:?}");
    assert!(run.is_shown());
    fixture.commit("fourth");
    assert_eq!(fixture.push_says(&["origin", "main"]).len(), 1, "told once");
}
