//! Callers get control back at once while the monitor lives on, whatever they hold on to: pipes, a program's capture, a
//! pseudo-terminal; and the monitor holds nothing of git's.

use std::{fs, path::Path, process::Command, time::Duration};

use afterpush_testkit::sandbox::{Project, Said, skipped, wait_until};

use crate::scene::{Scene, TARGET};

/// Runs `caller` (a shell line in which `$GIT push ...` stands) for a new commit, and shows that it returned while the
/// monitor went on.
fn returns(what: &str, caller: &str) {
    let Scene { simulator: _simulator, sandbox, .. } = Scene::with_token("");
    let project: Project<'_> = sandbox.project(TARGET);
    let mut command: Command = sandbox.command("/bin/sh", &project.work);
    let said = Said::of(command.args(["-c", caller]).env("GIT", sandbox.git_program()));
    assert_eq!(said.code, Some(0), "{what}: {said:?}");
    // The caller has returned. Were a stream held, it would have returned only when the monitor had ended: it has not.
    wait_until("the monitor, alive after its caller", || sandbox.monitors().len() == 1);
    let pid = sandbox.monitors()[0];
    let commit = project.head();
    assert!(project.runs(&commit).iter().all(|run| !run.join("result.json").exists()), "{what}");
    wait_until("a working directory that keeps nothing busy", || {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place == Path::new("/"))
    });
    wait_until("streams on /dev/null", || {
        let target = |fd: i32| fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap_or_default();
        (0..3).all(|fd| target(fd).to_str() == Some("/dev/null"))
    });
    // Pipes of its own, to a git that it asks, come and go; git's would stay for life.
    wait_until(&format!("{what}: a monitor without a pipe or a terminal"), || {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        !targets
            .map(|target| target.to_string_lossy().into_owned())
            .any(|target| target.starts_with("pipe:") || target.starts_with("/dev/pts"))
    });
    let session = |pid: &str| -> String {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned()
    };
    assert_ne!(session(&pid.to_string()), session("self"), "{what}: a session of its own");
    assert!(said.took < Duration::from_secs(30), "{what}: {said:?}");
}

#[test]
fn a_pipe_to_another_program() {
    returns("| cat", "$GIT push origin main 2>&1 | cat");
}

#[test]
fn a_command_substitution() {
    returns("$( )", "said=$($GIT push origin main 2>&1); test -n \"$said\"");
}

#[test]
fn a_program_that_captures() {
    let python =
        ["/usr/bin/python3", "/usr/local/bin/python3"].into_iter().find(|path| fs::exists(path).unwrap_or(false));
    let Some(python) = python else { return skipped("a_program_that_captures", "python3 is not installed") };
    let script = "import os, subprocess as s; r = s.run([os.environ['GIT'], 'push', 'origin', 'main'], capture_output=True, timeout=25); raise SystemExit(r.returncode)";
    returns("capture_output", &format!("{python} -c \"{script}\""));
}

#[test]
fn a_pseudo_terminal() {
    if !fs::exists("/usr/bin/script").unwrap_or(false) {
        return skipped("a_pseudo_terminal", "script(1) is not installed");
    }
    returns("script", "script -qec \"$GIT push origin main\" /dev/null </dev/null");
}

#[test]
fn a_reader_that_is_gone() {
    returns("| true", "$GIT push origin main 2>&1 | true; $GIT push --no-verify -q origin main");
}

#[test]
fn a_session_whose_every_process_is_hung_up_and_killed() {
    if !fs::exists("/usr/bin/setsid").unwrap_or(false) {
        return skipped("a_session_whose_every_process_is_hung_up_and_killed", "setsid(1) is not installed");
    }
    // What a terminal does when it closes, and an editor or an agent to its children: to the whole process group.
    let session = "$GIT push origin main && kill -HUP -$$; kill -KILL -$$";
    returns("setsid", &format!("setsid --wait /bin/sh -c 'trap : HUP; {session}'; test $? -ne 0"));
}
