//! What is found afterwards: runs whose monitor went with a reboot, with a clone that moved; and what is not ours to find.

use std::fs;

use afterpush_testkit::sandbox::wait_until;
use nix::sys::signal::Signal;

use crate::scene::{SHORT, Scene, TARGET, end_monitor, lost_in_a_moved_clone};

#[test]
fn a_run_of_before_a_reboot_is_lost_and_resumed() {
    let Scene { simulator, app, sandbox } = Scene::with_token(SHORT);
    let project = sandbox.project(TARGET);
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    project.status(&commit, "awaiting", |status| status["phase"] == "awaiting_deployment");
    end_monitor(&sandbox, Signal::SIGKILL);
    // What a reboot leaves: no process, no lock, the notes of another boot. This test's own process now has the monitor's
    // number, as any process may have after a reboot.
    let run = project.runs(&commit).remove(0);
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let mut changed = 0;
    for name in ["request.json", "monitor.pid"] {
        let text = fs::read_to_string(run.join(name)).unwrap();
        let mut other = text.replace(boot.trim_end(), "11111111-2222-3333-4444-555555555555");
        changed += usize::from(other != text);
        if name == "monitor.pid" {
            let mut document: serde_json::Value = serde_json::from_str(&other).unwrap();
            document["pid"] = std::process::id().into();
            other = document.to_string();
        }
        fs::write(run.join(name), other).unwrap();
    }
    assert_eq!(changed, 2, "both notes name the boot");
    let said = project.afterpush(&["resume", "--all"]);
    assert!(said.code == Some(0) && said.stdout.contains("started again"), "{said:?}");
    simulator.deploy(&app, &commit).set_phase("ACTIVE");
    assert_eq!(project.result(&commit)["outcome"], "live");
    assert_eq!(project.afterpush(&["resume", "--all"]).stdout, "", "what has ended is not started again");
}

#[test]
fn a_push_from_a_clone_that_has_moved_since_is_watched_from_its_new_place() {
    let Scene { simulator, app, sandbox } = Scene::with_token(SHORT);
    let mut project = sandbox.project(TARGET);
    let commit = lost_in_a_moved_clone(&sandbox, &mut project);
    let old = project.runs(&commit).remove(0);
    let said = project.afterpush(&["resume", "--all"]);
    assert!(said.code == Some(0) && said.stdout.contains("watching a push that no hook saw"), "{said:?}");
    simulator.deploy(&app, &commit).set_phase("ACTIVE");
    assert_eq!(project.deploy_status(&["--wait", "60s"]).code, Some(0));
    // The run of the old place ends too, and says what is missing: nobody starts it again and again.
    wait_until("the old run's end", || old.join("result.json").exists());
    let result: serde_json::Value = serde_json::from_slice(&fs::read(old.join("result.json")).unwrap()).unwrap();
    let reason = result["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("the repository is no longer at") && reason.contains("afterpush resume"), "{result:#}");
}

#[test]
fn a_commit_that_only_came_by_fetch_is_not_watched() {
    let Scene { simulator: _simulator, sandbox, .. } = Scene::with_token(SHORT);
    let project = sandbox.project(TARGET);
    assert_eq!(project.push(&["--no-verify", "origin", "main"]).code, Some(0));
    let first = project.head();
    let other = sandbox.path().join("other");
    sandbox.git(sandbox.path(), &["clone", "--quiet", &project.bare.to_string_lossy(), &other.to_string_lossy()]);
    sandbox.git(&other, &["commit", "--quiet", "--allow-empty", "-m", "theirs"]);
    sandbox.git(&other, &["push", "--quiet", "--no-verify", "origin", "main"]);
    project.git(&["pull", "--quiet", "--ff-only", "origin", "main"]);
    let theirs = project.head();
    assert_ne!(theirs, first);
    assert_eq!(project.git(&["rev-parse", "origin/main"]), theirs);
    assert_eq!(project.deploy_status(&[]).code, Some(3), "not found: it is not ours");
    let said = project.afterpush(&["resume", "--all"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = project.afterpush(&["resume"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(project.runs(&theirs).is_empty());
    assert_eq!(project.runs(&first).len(), 1, "the push of before is ours, and the reflog still tells it");
}
