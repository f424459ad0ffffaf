//! Clocks that are not what they were: the wall's, set back or forward between push and monitor; the boot's, of another machine.

use afterpush_testkit::sandbox::{Said, skipped};

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
