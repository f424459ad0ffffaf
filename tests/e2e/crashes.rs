//! Every program that writes, killed before each of its system calls that change something: the next command reads a whole
//! state, says the truth and goes on, and a result that was there stays as it was.
//!
//! `tests/run` tries a sample of the points; with `AFTERPUSH_ALL_KILLS=1` all of them are tried. The number stands in the
//! test's own line, which `-- --nocapture` shows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox};
use serde_json::Value;

use crate::{
    scene::{Scene, TARGET},
    strace::{Point, injecting, is_usable, points, sample},
};

const FAST: &str = "first_interval = \"50ms\"\nslow_interval = \"100ms\"\n";
/// How many points of each program `tests/run` tries.
const SAMPLE: usize = 12;

/// The line that git gives the hook, as a file.
pub(crate) fn hook_input(sandbox: &Sandbox, commit: &str) -> fs::File {
    let path = sandbox.path().join("input");
    let zero = "0".repeat(commit.len());
    fs::write(&path, format!("refs/heads/main {commit} refs/heads/main {zero}\n")).unwrap();
    fs::File::open(path).unwrap()
}

pub(crate) fn hook_arguments(project: &Project<'_>) -> [String; 4] {
    ["pre-push".into(), "1".into(), "origin".into(), project.bare.to_string_lossy().into_owned()]
}

/// Pushes the commit that is checked out, and runs the hook for it, killed where this says. The push comes first, so that a
/// monitor which was started before the kill does not find it missing.
fn push_with_killed_hook(scene: &Scene, project: &Project<'_>, kill: &str) -> Said {
    let pushed = project.push(&["--quiet", "--no-verify", "origin", "main"]);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    let mut hook = injecting(&scene.sandbox, &project.work, &[kill.to_owned()], "afterpush-hook");
    Said::of(hook.args(hook_arguments(project)).stdin(hook_input(&scene.sandbox, &project.head())))
}

/// A minute passes for a run that nobody watches: its monitor is not about to start any more.
pub(crate) fn let_a_minute_pass(run: &Path) {
    set_pushed(run, "60 seconds ago");
}

/// Changes when a run was pushed, as `date` understands it.
pub(crate) fn set_pushed(run: &Path, when: &str) {
    let path = run.join("request.json");
    let mut request: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let at = Said::of(std::process::Command::new("date").args(["-u", "-d", when, "+%Y-%m-%dT%H:%M:%SZ"]));
    assert_eq!(at.code, Some(0), "{at:?}");
    request["pushed_at"] = at.stdout.trim_end().into();
    fs::write(&path, request.to_string()).unwrap();
}

/// Pushes the commit that is checked out, whose run is then on record and lost.
pub(crate) fn push_unwatched(scene: &Scene, project: &Project<'_>) -> PathBuf {
    // The hook leaves the terminal between the record and the monitor's start.
    assert_eq!(push_with_killed_hook(scene, project, "setsid:signal=KILL").code, None);
    let run = project.runs(&project.head()).remove(0);
    let_a_minute_pass(&run);
    run
}

/// A pushed commit whose run is on record, lost, and whose deployment is live already.
pub(crate) fn lost_run(scene: &Scene, project: &Project<'_>, text: &str) -> (String, PathBuf) {
    let commit = project.commit(text);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let run = push_unwatched(scene, project);
    (commit, run)
}

/// The files of the state directory that their readers cannot read.
fn unreadable(state: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(state).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(unreadable(&path));
        } else if name.starts_with('.') {
            // A temporary file, which nobody reads.
        } else if name.ends_with(".json") || name == "monitor.pid" {
            let text = fs::read(&path).unwrap();
            // These are not synced, and their readers take one that a power loss has emptied for none.
            let is_shared = path.parent().is_some_and(|parent| parent.ends_with("answers"));
            let is_unsynced = is_shared || matches!(&*name, "status.json" | "monitor.pid");
            let is_none = is_unsynced && text.iter().all(|byte| *byte == 0);
            let is_whole = is_none || serde_json::from_slice::<Value>(&text).is_ok();
            found.extend((!is_whole).then_some(path));
        } else if name.ends_with(".jsonl") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            found.extend(text.lines().any(|line| serde_json::from_str::<Value>(line).is_err()).then_some(path));
        }
    }
    found
}

pub(crate) fn assert_whole(sandbox: &Sandbox, what: &str) {
    let found = unreadable(&sandbox.state());
    assert!(found.is_empty(), "{what}: cannot be read: {found:?}");
}

pub(crate) fn result_of(run: &Path) -> Option<Vec<u8>> {
    fs::read(run.join("result.json")).ok()
}

/// The next command tells the truth of a live deployment: in progress until there is a result, live from then on.
pub(crate) fn is_told_and_goes_on(project: &Project<'_>, run: Option<&Path>, what: &str) {
    let before = run.and_then(result_of);
    let said = project.deploy_status(&[]);
    match said.code {
        Some(0) => {
            let commit = project.head();
            assert!(project.runs(&commit).iter().any(|run| result_of(run).is_some()), "{what}: {said:?}");
        }
        Some(2) => assert!(before.is_none(), "{what}: a result was there: {said:?}"),
        _ => panic!("{what}: {said:?}"),
    }
    let said = project.deploy_status(&["--wait", "60s"]);
    assert_eq!(said.code, Some(0), "{what}: {said:?}");
    assert_eq!(project.runs(&project.head()).len(), 1, "{what}");
    if before.is_some() {
        assert_eq!(run.and_then(result_of), before, "{what}: an announced result has changed");
    }
}

/// The line of figures.
pub(crate) fn tell(program: &str, tried: usize, all: usize) {
    assert!(tried >= 4, "{program}: killed {tried} times only");
    eprintln!(
        "crashes: {program}: killed at {tried} of {all} points; after each the state was whole and no result had changed"
    );
}

fn killed_at_each(points: Vec<Point>, most: usize, program: &str, mut kill: impl FnMut(&Point, &str) -> Said) {
    let all = points.len();
    let mut tried = 0;
    for point in sample(points, most) {
        let what = format!("{program}, killed at {point:?}");
        // How often a program waits, and so writes, differs a little: one that ended by itself counts for nothing.
        tried += usize::from(kill(&point, &what).code.is_none());
    }
    tell(program, tried, all);
}

#[test]
fn a_killed_hook_leaves_a_push_that_is_watched_in_the_end() {
    if !is_usable("a_killed_hook_leaves_a_push_that_is_watched_in_the_end") {
        return;
    }
    let scene = Scene::with_token(FAST);
    let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
    let commit = project.head();
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let input = hook_input(sandbox, &commit);
    let points = points(sandbox, &project.work, "afterpush-hook", hook_arguments(&project), Some(input));
    killed_at_each(points, SAMPLE, "hook", |point, what| {
        let commit = project.commit(what);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        let said = push_with_killed_hook(&scene, &project, &point.kill());
        assert_whole(sandbox, what);
        let run = project.runs(&commit).into_iter().next();
        if let Some(run) = &run
            && sandbox.monitors().is_empty()
            && !run.join("status.json").exists()
        {
            let_a_minute_pass(run);
        }
        is_told_and_goes_on(&project, run.as_deref(), what);
        assert_whole(sandbox, what);
        said
    });
}

#[test]
fn a_killed_monitor_loses_no_run_and_no_result() {
    if !is_usable("a_killed_monitor_loses_no_run_and_no_result") {
        return;
    }
    let scene = Scene::with_token(FAST);
    let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
    let arguments = |run: &Path| ["run".into(), run.as_os_str().to_owned(), "--nonce".into(), "0123abcd".into()];
    let (_, run) = lost_run(&scene, &project, "traced");
    let points = points(sandbox, &project.work, "afterpush-monitor", arguments(&run), None);
    assert!(result_of(&run).is_some(), "the traced monitor came to a result");
    killed_at_each(points, SAMPLE, "monitor", |point, what| {
        let (_, run) = lost_run(&scene, &project, what);
        let mut monitor = injecting(sandbox, &project.work, &[point.kill()], "afterpush-monitor");
        let said = Said::of(monitor.args(arguments(&run)));
        assert_whole(sandbox, what);
        is_told_and_goes_on(&project, Some(&run), what);
        assert_whole(sandbox, what);
        said
    });
}

#[test]
fn a_killed_command_is_finished_by_the_next() {
    if !is_usable("a_killed_command_is_finished_by_the_next") {
        return;
    }
    let scene = Scene::with_token(FAST);
    let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
    let kill = |point: &Point, arguments: &[&str]| {
        Said::of(injecting(sandbox, &project.work, &[point.kill()], "afterpush").args(arguments))
    };
    let points_of = |arguments: &[&str]| points(sandbox, &project.work, "afterpush", arguments, None);
    let each = SAMPLE / 2;

    lost_run(&scene, &project, "stop");
    killed_at_each(points_of(&["stop"]), each, "stop", |point, what| {
        let (_, run) = lost_run(&scene, &project, what);
        let said = kill(point, &["stop"]);
        assert_whole(sandbox, what);
        let before = result_of(&run);
        let again = project.afterpush(&["stop"]);
        assert_eq!(again.code, Some(if before.is_some() { 3 } else { 0 }), "{what}: {again:?}");
        assert!(before.is_none() || result_of(&run) == before, "{what}: an announced result has changed");
        let told = project.deploy_status(&["--json"]);
        assert_eq!((told.code, told.json()["outcome"].as_str()), (Some(1), Some("stopped")), "{what}: {told:?}");
        said
    });

    lost_run(&scene, &project, "resume");
    killed_at_each(points_of(&["resume"]), each, "resume", |point, what| {
        let (_, run) = lost_run(&scene, &project, what);
        let said = kill(point, &["resume"]);
        assert_whole(sandbox, what);
        is_told_and_goes_on(&project, Some(&run), what);
        said
    });

    let cleanup = &["cleanup", "--older-than", "0s"];
    let finished = |text: &str| {
        let (commit, _) = lost_run(&scene, &project, text);
        is_told_and_goes_on(&project, None, text);
        afterpush_testkit::sandbox::wait_until("the monitor's end", || sandbox.monitors().is_empty());
        commit
    };
    assert_eq!(project.afterpush(cleanup).code, Some(0));
    finished("cleanup");
    killed_at_each(points_of(cleanup), each, "cleanup", |point, what| {
        let commit = finished(what);
        let said = kill(point, cleanup);
        assert_whole(sandbox, what);
        let told = project.deploy_status(&[]);
        assert!(matches!(told.code, Some(0 | 3)), "{what}: {told:?}");
        let again = project.afterpush(cleanup);
        assert_eq!(again.code, Some(0), "{what}: {again:?}");
        let left = walk(&sandbox.state()).into_iter().filter(|path| path.to_string_lossy().contains(&commit));
        assert_eq!(left.count(), 0, "{what}: something is left of the run");
        let told = project.deploy_status(&[]);
        assert_eq!(told.code, Some(3), "{what}: cleaned up, and not watched once more: {told:?}");
        said
    });

    killed_at_each(points_of(&["trust"]), each, "trust", |point, what| {
        assert_eq!(project.afterpush(&["untrust"]).code, Some(0), "{what}");
        let said = kill(point, &["trust"]);
        assert_whole(sandbox, what);
        let again = project.afterpush(&["trust"]);
        assert_eq!(again.code, Some(0), "{what}: {again:?}");
        let taken = project.afterpush(&["untrust"]);
        assert!(taken.stdout.contains("not trusted any more"), "{what}: {taken:?}");
        said
    });
}

/// Every path below a directory.
pub(crate) fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}
