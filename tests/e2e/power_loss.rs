//! Power lost on ext4 and XFS, at each point of hook and monitor: request and result survive whole or are absent, never
//! empty or half; and what a program said before the loss is there after it.

use std::path::Path;

use afterpush_testkit::sandbox::{Project, Said, skipped};

use crate::{
    crashes::{
        assert_whole, hook_arguments, hook_input, is_told_and_goes_on, let_a_minute_pass, lost_run, result_of, tell,
    },
    mounted::Mounted,
    scene::{Scene, TARGET},
    strace::{Point, injecting, is_usable, points, sample},
};

const FAST: &str = "first_interval = \"50ms\"\nslow_interval = \"100ms\"\n";
/// How many points of each program `tests/run` tries on each file system.
const SAMPLE: usize = 6;

fn on(kind: &'static str, test: &str) {
    if !is_usable(test) {
        return;
    }
    let scene = Scene::with_token(FAST);
    let sandbox = &scene.sandbox;
    let disk = match Mounted::in_file(&sandbox.state(), &sandbox.path().join("image"), kind) {
        Ok(disk) => disk,
        Err(why) => return skipped(test, &why),
    };
    let project = sandbox.project(TARGET);
    if let Err(why) = disk.lose_power() {
        return skipped(test, &why);
    }
    hook(kind, &scene, &project, &disk);
    monitor(kind, &scene, &project, &disk);
    // Nothing of ours may hold the file system when it is unmounted.
    afterpush_testkit::sandbox::wait_until("the monitors' end", || sandbox.monitors().is_empty());
}

fn hook(kind: &str, scene: &Scene, project: &Project<'_>, disk: &Mounted) {
    let sandbox = &scene.sandbox;
    // Ends before the monitor's start: what is looked at is what the hook has left.
    let before_start = "setsid:signal=KILL".to_owned();
    let run_hook = |inject: &str| {
        let mut hook = injecting(sandbox, &project.work, &[inject.to_owned()], "afterpush-hook");
        Said::of(hook.args(hook_arguments(project)).stdin(hook_input(sandbox, &project.head())))
    };
    let commit = project.head();
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let all =
        points(sandbox, &project.work, "afterpush-hook", hook_arguments(project), Some(hook_input(sandbox, &commit)));
    let _ = project.result(&commit);
    let (count, mut tried) = (all.len(), 0);
    for point in sample(all, SAMPLE).iter().map(Point::kill).chain([before_start]) {
        let what = format!("{kind}, hook, power lost at {point}");
        let commit = project.commit(&what);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        afterpush_testkit::sandbox::wait_until("the monitors' end", || sandbox.monitors().is_empty());
        assert_eq!(project.push(&["--quiet", "--no-verify", "origin", "main"]).code, Some(0), "{what}");
        let said = run_hook(&point);
        afterpush_testkit::sandbox::wait_until("the monitors' end", || sandbox.monitors().is_empty());
        disk.lose_power().unwrap();
        tried += usize::from(said.code.is_none());
        assert_whole(sandbox, &what);
        let run = project.runs(&commit).into_iter().next();
        assert!(run.is_some() || !said.stderr.contains("watching"), "{what}: announced, and lost: {said:?}");
        if let Some(run) = &run
            && result_of(run).is_none()
        {
            let_a_minute_pass(run);
        }
        is_told_and_goes_on(project, run.as_deref(), &what);
    }
    tell(&format!("power loss, {kind}, hook"), tried, count + 1);
}

fn monitor(kind: &str, scene: &Scene, project: &Project<'_>, disk: &Mounted) {
    let sandbox = &scene.sandbox;
    let arguments = |run: &Path| ["run".into(), run.as_os_str().to_owned(), "--nonce".into(), "0123abcd".into()];
    let (_, run) = lost_run(scene, project, &format!("{kind} traced"));
    let all = points(sandbox, &project.work, "afterpush-monitor", arguments(&run), None);
    let announced = result_of(&run);
    afterpush_testkit::sandbox::wait_until("the monitors' end", || sandbox.monitors().is_empty());
    disk.lose_power().unwrap();
    assert!(announced.is_some() && result_of(&run) == announced, "{kind}: an announced result is lost");
    let (count, mut tried) = (all.len(), 0);
    for point in sample(all, SAMPLE) {
        let what = format!("{kind}, monitor, power lost at {point:?}");
        let (_, run) = lost_run(scene, project, &what);
        afterpush_testkit::sandbox::wait_until("the monitors' end", || sandbox.monitors().is_empty());
        let mut monitor = injecting(sandbox, &project.work, &[point.kill()], "afterpush-monitor");
        tried += usize::from(Said::of(monitor.args(arguments(&run))).code.is_none());
        disk.lose_power().unwrap();
        for name in ["request.json", "result.json"] {
            let text = std::fs::read(run.join(name)).ok();
            let is_whole = text.as_ref().is_none_or(|text| serde_json::from_slice::<serde_json::Value>(text).is_ok());
            assert!(is_whole, "{what}: {name} is {text:?}");
        }
        if result_of(&run).is_none() && run.join("request.json").exists() {
            let_a_minute_pass(&run);
        }
        is_told_and_goes_on(project, Some(&run), &what);
    }
    tell(&format!("power loss, {kind}, monitor"), tried, count);
}

#[test]
fn power_loss_on_ext4_leaves_request_and_result_whole_or_absent() {
    on("ext4", "power_loss_on_ext4_leaves_request_and_result_whole_or_absent");
}

#[test]
fn power_loss_on_xfs_leaves_request_and_result_whole_or_absent() {
    on("xfs", "power_loss_on_xfs_leaves_request_and_result_whole_or_absent");
}
