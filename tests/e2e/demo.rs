//! The demo is the main job on a bare machine: it ends with each verdict as expected, and leaves nothing behind.

use std::fs;

use afterpush_testkit::sandbox::{Said, Sandbox, wait_until};

#[test]
fn the_demo_shows_each_verdict_and_cleans_up() {
    let sandbox = Sandbox::new();
    let place = sandbox.path().join("tmp");
    fs::create_dir(&place).unwrap();
    let mut command = sandbox.command(sandbox.program("afterpush"), sandbox.path());
    let said = Said::of(command.args(["demo", "--fast"]).env("TMPDIR", &place));
    assert_eq!(said.code, Some(0), "{said:?}");
    for text in [
        "$ git push",
        "afterpush: watching",
        "live:",
        "not proven: timed_out",
        "still serving",
        "settings.sh",
        "live_contained",
    ] {
        assert!(said.stdout.contains(text) || said.stderr.contains(text), "{text}: {said:?}");
    }
    let left: Vec<_> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(fs::read_dir(sandbox.state()).unwrap().next().is_none(), "the demo has a state of its own");
    // Nothing that it started goes on: no server, no monitor.
    let place = place.to_string_lossy().into_owned();
    wait_until("the end of the demo's processes", || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        !lines.map(|line| String::from_utf8_lossy(&line).into_owned()).any(|line| line.contains(&place))
    });
}
