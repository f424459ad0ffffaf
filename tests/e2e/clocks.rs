//! Clocks that are not what they were: the wall's, set back or forward between push and monitor; the boot's, of another machine.

use std::fs;

use afterpush_testkit::sandbox::{Said, skipped};
use serde_json::Value;

use crate::{
    crashes::{lost_run, set_pushed},
    scene::{SHORT, Scene, TARGET},
    strace::is_usable,
};

#[test]
fn a_clock_that_was_set_loses_no_run_and_shows_no_nonsense() {
    if !is_usable("a_clock_that_was_set_loses_no_run_and_shows_no_nonsense") {
        return;
    }
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    // Set back by a day since the push; set forward by years.
    for (when, shown) in
        [("tomorrow", "pushed to main at origin 0s ago"), ("7300 days ago", "pushed to main at origin 7300d ago")]
    {
        let (_, run) = lost_run(&scene, &project, when);
        set_pushed(&run, when);
        let said = project.deploy_status(&[]);
        assert_eq!(said.code, Some(2), "{when}: lost, and started again: {said:?}");
        let said = project.deploy_status(&["--wait", "60s"]);
        assert_eq!(said.code, Some(0), "{when}: {said:?}");
        assert!(said.stdout.contains(shown), "{when}: {said:?}");
        let result = project.result(&project.head());
        assert!(result["deadline_at"].as_str() > result["finished_at"].as_str(), "{result:#}");
    }
}

#[test]
fn a_machine_that_has_been_up_for_years_follows_a_run_like_any_other() {
    const NAME: &str = "a_machine_that_has_been_up_for_years_follows_a_run_like_any_other";
    if !is_usable(NAME) {
        return;
    }
    let scene = Scene::with_token(SHORT);
    let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
    // A suspend of 90 days in the past: the boot's clock is ahead of the one that stops in suspend.
    let (_, run) = lost_run(&scene, &project, "up for years");
    let mut command = sandbox.command("unshare", &project.work);
    command.args(["--time", "--fork", "--boottime", "100000000", "--monotonic", "92224000"]);
    let said = Said::of(command.arg(sandbox.program("afterpush-monitor")).arg("run").arg(&run));
    if said.stderr.contains("unshare") {
        return skipped(NAME, &said.stderr);
    }
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(project.deploy_status(&[]).code, Some(0));
    assert_eq!(project.result(&project.head())["outcome"], "live");
}

#[test]
fn a_clock_that_was_set_back_makes_no_earlier_push_the_later_one() {
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    let push = |text: &str| {
        let commit = project.commit(text);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        assert_eq!(project.push(&["origin", "main"]).code, Some(0));
        assert_eq!(project.result(&commit)["outcome"], "live");
        commit
    };
    let (first, _second) = (push("first"), push("second"));
    // As if the clock had been ahead by years until now.
    let run = project.runs(&first).remove(0);
    let head = run.ancestors().nth(3).unwrap().join("heads/origin--refs+heads+main.json");
    let mut noted: Value = serde_json::from_slice(&fs::read(&head).unwrap()).unwrap();
    noted["pushed_at"] = "2100-01-01T00:00:00Z".into();
    fs::write(&head, noted.to_string()).unwrap();
    let log = project.work.join(".git/logs/refs/remotes/origin/main");
    let lines: String = fs::read_to_string(&log).unwrap().lines().map(in_2100).collect();
    fs::write(&log, lines).unwrap();
    // The remote refuses to go back, so neither the reflog's old line nor the newer head is about this push.
    scene.sandbox.git(&project.bare, &["config", "receive.denyNonFastForwards", "true"]);
    let said = project.push(&["--force", "origin", &format!("{first}:main")]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let said = project.deploy_status(&[&first, "--wait", "60s"]);
    assert!(said.code == Some(1) && said.stdout.contains("the remote does not have the commit"), "{said:?}");
    assert_eq!(project.result(&first)["outcome"], "push_not_completed");
}

/// A line of a reflog with another time.
fn in_2100(line: &str) -> String {
    let (before, message) = line.split_once('\t').unwrap();
    let who = before.rsplitn(3, ' ').nth(2).unwrap();
    format!("{who} 4102444800 +0000\t{message}\n")
}
