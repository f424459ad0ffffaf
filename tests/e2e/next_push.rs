//! What the next push brings back by itself: runs whose monitors were killed, pushes that no hook saw.

use std::fs;

use afterpush_testkit::sandbox::{Project, Said, wait_until};
use nix::sys::signal::Signal;

use crate::scene::{SHORT, Scene, TARGET, end_monitor, lost_in_a_moved_clone};

/// A push that has nothing to watch itself: only what was missing gets a monitor by it.
fn push_something_else(project: &Project<'_>, name: &str) {
    project.git(&["tag", name]);
    let said = project.push(&["origin", name]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.stderr.contains("afterpush"), "nothing of it is told: {said:?}");
}

#[test]
fn a_push_without_hooks_is_watched_from_the_next_push_on() {
    for next_is_watched in [true, false] {
        let Scene { simulator, app, sandbox } = Scene::with_token(SHORT);
        let project = sandbox.project(TARGET);
        assert_eq!(project.push(&["--no-verify", "origin", "main"]).code, Some(0));
        let unseen = project.head();
        assert!(project.runs(&unseen).is_empty());
        if next_is_watched {
            project.commit("next");
            assert_eq!(project.push(&["origin", "main"]).code, Some(0));
        } else {
            push_something_else(&project, "v1");
        }
        wait_until("the unseen push's run", || !project.runs(&unseen).is_empty());
        simulator.deploy(&app, &project.head()).set_phase("ACTIVE");
        let outcome = project.result(&unseen)["outcome"].clone();
        assert_eq!(outcome, if next_is_watched { "live_contained" } else { "live" });
    }
}

#[test]
fn a_push_that_nobody_was_to_watch_stays_unwatched() {
    let Scene { sandbox, .. } = Scene::with_token(SHORT);
    let project = sandbox.project(TARGET);
    let said = Said::of(project.push_command(&["origin", "main"]).env("AFTERPUSH_SKIP", "1"));
    assert_eq!((said.code, said.stderr.contains("afterpush")), (Some(0), false), "{said:?}");
    let left_out = project.head();
    let unseen = project.commit("unseen");
    assert_eq!(project.push(&["--no-verify", "origin", "main"]).code, Some(0));
    push_something_else(&project, "v1");
    wait_until("the unseen push's run", || !project.runs(&unseen).is_empty());
    assert_eq!(project.afterpush(&["resume"]).code, Some(0));
    assert!(project.runs(&left_out).is_empty());
    assert_eq!(project.deploy_status(&[&left_out]).code, Some(3));
}

#[test]
fn the_monitor_of_a_lost_run_is_started_by_the_next_push_of_anything() {
    for rebooted in [false, true] {
        let Scene { simulator, app, sandbox } = Scene::with_token(SHORT);
        let project = sandbox.project(TARGET);
        assert_eq!(project.push(&["origin", "main"]).code, Some(0));
        let commit = project.head();
        project.status(&commit, "awaiting", |status| status["phase"] == "awaiting_deployment");
        end_monitor(&sandbox, Signal::SIGKILL);
        if rebooted {
            let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
            for name in ["request.json", "monitor.pid"] {
                let path = project.runs(&commit)[0].join(name);
                let text = fs::read_to_string(&path).unwrap();
                let other = text.replace(boot.trim_end(), "11111111-2222-3333-4444-555555555555");
                assert_ne!(other, text);
                fs::write(path, other).unwrap();
            }
        }
        push_something_else(&project, "v1");
        simulator.deploy(&app, &commit).set_phase("ACTIVE");
        assert_eq!(project.result(&commit)["outcome"], "live");
    }
}

#[test]
fn after_a_move_the_next_push_finds_the_pushes_of_before() {
    let Scene { simulator, app, sandbox } = Scene::with_token(SHORT);
    let mut project = sandbox.project(TARGET);
    let commit = lost_in_a_moved_clone(&sandbox, &mut project);
    push_something_else(&project, "v1");
    wait_until("the run of the new place", || project.runs(&commit).len() == 2);
    simulator.deploy(&app, &commit).set_phase("ACTIVE");
    assert_eq!(project.deploy_status(&["--wait", "60s"]).code, Some(0));
}

#[test]
fn what_came_by_fetch_or_was_cleaned_up_is_not_brought_back() {
    let Scene { simulator, app, sandbox } = Scene::with_token(SHORT);
    let project = sandbox.project(TARGET);
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let ours = project.head();
    simulator.deploy(&app, &ours).set_phase("ACTIVE");
    assert_eq!(project.result(&ours)["outcome"], "live");
    wait_until("the monitor's end", || sandbox.monitors().is_empty());
    assert_eq!(project.afterpush(&["cleanup", "--older-than", "0s"]).code, Some(0));
    assert!(project.runs(&ours).is_empty());

    let other = sandbox.path().join("other");
    sandbox.git(sandbox.path(), &["clone", "--quiet", &project.bare.to_string_lossy(), &other.to_string_lossy()]);
    sandbox.git(&other, &["commit", "--quiet", "--allow-empty", "-m", "theirs"]);
    sandbox.git(&other, &["push", "--quiet", "--no-verify", "origin", "main"]);
    project.git(&["pull", "--quiet", "--ff-only", "origin", "main"]);
    let theirs = project.head();
    // One push without hooks beside them, by whose run it is seen that the look is over.
    let unseen = project.commit("unseen");
    assert_eq!(project.push(&["--no-verify", "origin", "main"]).code, Some(0));
    push_something_else(&project, "v1");
    wait_until("the unseen push's run", || !project.runs(&unseen).is_empty());
    assert!(project.runs(&theirs).is_empty(), "it only came by fetch");
    assert!(project.runs(&ours).is_empty(), "its run has ended, and was cleaned up");
    // Asked for, it is watched.
    let mut watch = sandbox.command(sandbox.program("afterpush"), &project.work);
    let mut watch = watch.args(["watch", &theirs]).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_until("the run that was asked for", || !project.runs(&theirs).is_empty());
    simulator.deploy(&app, &theirs).set_phase("ACTIVE");
    let _ = project.result(&theirs);
    assert!(watch.wait().unwrap().success());
}

#[test]
fn resume_goes_on_past_an_unreadable_run_so_that_cleanup_behind_it_runs() {
    let Scene { simulator, app, sandbox } = Scene::with_token(SHORT);
    let project = sandbox.project(TARGET);
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let broken = project.head();
    project.status(&broken, "awaiting", |status| status["phase"] == "awaiting_deployment");
    end_monitor(&sandbox, Signal::SIGKILL);
    let request = project.runs(&broken)[0].join("request.json");
    fs::write(&request, "{ half a docu").unwrap();
    let fine = project.commit("fine");
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    simulator.deploy(&app, &fine).set_phase("ACTIVE");
    assert_eq!(project.result(&fine)["outcome"], "live");
    wait_until("the monitor's end", || sandbox.monitors().is_empty());
    let program = sandbox.program("afterpush");
    let line = format!("'{0}' resume --all && '{0}' cleanup --all --older-than 0s", program.display());
    let mut shell = sandbox.command("/bin/sh", &project.work);
    let said = Said::of(shell.args(["-c", &line]));
    assert!(said.stderr.contains("request.json"), "it is told: {said:?}");
    assert!(said.stdout.contains("removed 1 finished run"), "{said:?}");
    assert!(request.exists() && project.runs(&fine).is_empty());
}
