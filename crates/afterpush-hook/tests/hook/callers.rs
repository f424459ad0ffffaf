//! Whoever calls git push gets it back at once, while the monitor lives on with nothing of git's in its hands.

use std::{fs, process::Stdio};

use nix::unistd::{Pid, getsid};

use crate::fixture::{Fixture, said, stderr, wait_until};

/// Makes the stand-in monitors stay until the fixture is dropped.
fn keep_monitors(fixture: &Fixture) {
    fs::write(fixture.path("seen/wait"), "").unwrap();
}

#[test]
fn a_pipe_behind_git_push_ends_while_the_monitor_lives_on() {
    let fixture = Fixture::new();
    keep_monitors(&fixture);
    let script = format!("{} push origin main 2>&1 | cat", fixture.git);
    // `output` itself waits for the end of the pipe too.
    let output = fixture.command("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("afterpush: watching").count(), 1, "{text}");
    let started = fixture.started(1);
    assert!(!started[0].has_ended());
    fs::remove_file(fixture.path("seen/wait")).unwrap();
    wait_until("the monitor's end", || started[0].has_ended());
}

#[test]
fn a_pseudo_terminal_ends_while_the_monitor_lives_on() {
    let fixture = Fixture::new();
    keep_monitors(&fixture);
    let push = format!("{} push origin main", fixture.git);
    let output = fixture.command("script").args(["-qec", &push, "/dev/null"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("afterpush: watching"));
    // The terminal's session has ended, and with it whatever belonged to it.
    let started = fixture.started(1);
    fs::remove_file(fixture.path("seen/wait")).unwrap();
    wait_until("the monitor's own end", || started[0].has_ended());
}

#[test]
fn nothing_of_gits_is_open_in_the_monitor_and_its_session_is_its_own() {
    for url in ["remote.git", "file"] {
        let fixture = Fixture::new();
        if url == "file" {
            let address = format!("file://{}", fixture.path("remote.git").display());
            fixture.git(&["remote", "set-url", "origin", &address]);
        }
        // The chained hook shows what a program that closes nothing would get.
        let seen = fixture.path("chained-fds");
        fixture.chain(&format!("#!/bin/sh\n(exec ls -l /proc/self/fd >'{}')\n", seen.display()));
        fixture.push_says(&["origin", "main"]);
        let gits = above_two(&fs::read_to_string(&seen).unwrap());
        assert!(gits.iter().any(|(fd, target)| *fd < 10 && target.starts_with("pipe:")), "{gits:?}");

        let started = fixture.started(1);
        let fds = started[0].read("fds");
        assert!(fds.contains(" 0 -> /memfd:") && fds.contains(" 2 -> /dev/null"), "{fds}");
        // What this test process has itself inherited from its caller is not git's.
        let own: Vec<_> = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.display().to_string()))
            .collect();
        let left: Vec<_> = above_two(&fds)
            .into_iter()
            // The last one is the listed directory itself.
            .filter(|(_, target)| !target.starts_with("/proc/") && !own.contains(target))
            .collect();
        assert!(left.is_empty(), "{left:?}");

        let session: i32 = started[0].read("session").trim().parse().unwrap();
        assert_ne!(session, getsid(None).unwrap().as_raw(), "it would get the hang-up of this terminal");
        assert!(getsid(Some(Pid::from_raw(session))).is_err(), "the session's leader was the hook, which is gone");
    }
}

/// Reads `ls -l /proc/<pid>/fd`.
fn above_two(listing: &str) -> Vec<(i32, String)> {
    let fields = listing.lines().filter_map(|line| {
        let (before, target) = line.split_once(" -> ")?;
        Some((before.rsplit(' ').next()?.parse().ok()?, target.to_owned()))
    });
    fields.filter(|(fd, _)| *fd > 2).collect()
}

#[test]
fn a_caller_that_closed_its_pipes_does_not_fail_the_push() {
    let fixture = Fixture::new();
    let script = format!("{} push origin main 2>&1 | true", fixture.git);
    fixture.command("sh").args(["-c", &script]).output().unwrap();
    // git itself may be stopped by the closed pipe; what must not happen is that the hook refuses the push.
    let commit = fixture.commit("next");
    let mut command = fixture.command(fixture.hook());
    let mut child =
        command.args(["pre-push", "1", "origin", "x"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let line = format!("HEAD {commit} refs/heads/main {commit}\n");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(fixture.run(&commit, "refs/heads/main").request().unwrap().is_some(), "and it is watched");
}

#[test]
fn many_racing_pushes_of_one_commit_record_it_once() {
    let fixture = Fixture::new();
    let commit = fixture.resolve("HEAD");
    let line = format!("HEAD {commit} refs/heads/main {}\n", "0".repeat(40));
    let mut hooks: Vec<_> = (0..40)
        .map(|_| {
            let mut command = fixture.command(fixture.hook());
            command.args(["pre-push", "1", "origin", "x"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for hook in &mut hooks {
        std::io::Write::write_all(&mut hook.stdin.take().unwrap(), line.as_bytes()).unwrap();
    }
    for hook in hooks {
        let output = hook.wait_with_output().unwrap();
        assert!(output.status.success() && said(&output).len() == 1, "{}", stderr(&output));
    }
    fixture.started(40);
    assert_eq!(fixture.store().runs().unwrap().len(), 1);
    let names = fs::read_dir(fixture.run(&commit, "refs/heads/main").path()).unwrap().count();
    assert_eq!(names, 2, "request.json and again.json");
}
