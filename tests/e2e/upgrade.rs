//! A new version comes while monitors of the old one run: they finish on the file that was there, what they start is the new.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use afterpush_testkit::sandbox::{Sandbox, wait_until};

use crate::{
    crashes::push_unwatched,
    scene::{Scene, TARGET},
    strace::is_usable,
};

const ONE: &str = "first_interval = \"50ms\"\nslow_interval = \"100ms\"\nmonitors = 1\n";

/// Puts a program of ours into a directory as an installer does: beside its place, then renamed over it.
fn install(sandbox: &Sandbox, bin: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(bin).unwrap();
    let (new, place) = (bin.join(format!(".{name}.new")), bin.join(name));
    fs::copy(sandbox.program(name), &new).unwrap();
    fs::rename(&new, &place).unwrap();
    place
}

#[test]
fn a_monitor_of_before_an_upgrade_finishes_and_starts_the_new_version() {
    if !is_usable("a_monitor_of_before_an_upgrade_finishes_and_starts_the_new_version") {
        return;
    }
    let scene = Scene::with_token(ONE);
    let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
    let bin = sandbox.path().join("bin");
    let monitor = install(sandbox, &bin, "afterpush-monitor");
    let start = |run: &Path| -> std::process::Child {
        let mut command: Command = sandbox.command(&monitor, &project.work);
        command.arg("run").arg(run).args(["--nonce", "0123abcd"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    // No deployment of the first appears for a while; the second run waits for the only place.
    let first = project.commit("first run");
    let run = push_unwatched(&scene, &project);
    let mut old = start(&run);
    project.status(&first, "awaiting", |status| status["phase"] == "awaiting_deployment");
    let second = project.commit("second run");
    let waiting = push_unwatched(&scene, &project);
    start(&waiting).wait().unwrap();
    assert!(!waiting.join("status.json").exists(), "there is no place for it");

    install(sandbox, &bin, "afterpush-monitor");
    let path = fs::read_link(format!("/proc/{}/exe", old.id())).unwrap();
    assert!(path.to_string_lossy().ends_with(" (deleted)"), "{}", path.display());
    scene.simulator.deploy(&scene.app, &second).set_phase("ACTIVE");
    old.wait().unwrap();
    wait_until("the old run's end", || run.join("result.json").exists());
    // Nobody but the old monitor starts it: no command ran since.
    wait_until("the waiting run's end", || waiting.join("result.json").exists());
    assert_eq!(project.deploy_status(&[&second]).code, Some(0));
}
