//! `cleanup` killed half-way, beside another cleanup, and beside monitors that begin and end: what is old goes, each run once,
//! and nothing else.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox, wait_until};
use serde_json::Value;

use crate::{
    crashes::{tell, walk},
    scene::{SHORT, Scene, TARGET, monitor_of},
    strace::{injecting, is_usable, points, sample},
};

const CLEANUP: [&str; 3] = ["cleanup", "--older-than", "1h"];
/// How many points `tests/run` tries.
const SAMPLE: usize = 16;
const ROUNDS: usize = 15;

/// Stored runs of every kind: one that is followed, others that have to stay, and old ones.
struct Stored<'a> {
    project: &'a Project<'a>,
    scene: &'a Scene,
    /// The commit whose deployment is followed, and its monitor.
    followed: (String, i32),
    /// A finished run to copy, outside of the state.
    pattern: PathBuf,
    /// What its directory is called.
    name: OsString,
    runs: PathBuf,
    /// The files of what has to stay.
    kept: BTreeMap<PathBuf, Vec<u8>>,
}

impl<'a> Stored<'a> {
    fn new(scene: &'a Scene, project: &'a Project<'a>) -> Self {
        let finished = project.head();
        scene.simulator.deploy(&scene.app, &finished).set_phase("ACTIVE");
        assert_eq!(project.push(&["origin", "main"]).code, Some(0));
        let _ = project.result(&finished);
        wait_until("the monitor's end", || scene.sandbox.monitors().is_empty());
        let run = project.runs(&finished).remove(0);
        let runs = run.ancestors().nth(2).unwrap().to_owned();
        let name = run.file_name().unwrap().to_owned();
        let pattern = scene.sandbox.path().join("pattern");
        fs::rename(&run, &pattern).unwrap();

        let commit = project.commit("followed");
        scene.simulator.deploy(&scene.app, &commit).set_phase("BUILDING");
        assert_eq!(project.push(&["origin", "main"]).code, Some(0));
        project.status(&commit, "a followed deployment", |status| status["phase"] == "deploying");
        let followed = (commit, monitor_of(&scene.sandbox));

        let mut stored = Self { project, scene, followed, pattern, name, runs, kept: BTreeMap::new() };
        let young = stored.copy("aa");
        let lost = stored.copy("bb");
        fs::remove_file(lost.join("result.json")).unwrap();
        let again = stored.copy("cc");
        make_old(&again);
        fs::copy(again.join("request.json"), again.join("again.json")).unwrap();
        for path in [young, lost, again].iter().flat_map(|run| walk(run)) {
            let text = fs::read(&path).unwrap();
            stored.kept.insert(path, text);
        }
        stored
    }

    /// A run of a commit whose id is these two digits again and again.
    fn copy(&self, digits: &str) -> PathBuf {
        let copy = self.runs.join(digits.repeat(20)).join(&self.name);
        fs::create_dir_all(&copy).unwrap();
        for entry in fs::read_dir(&self.pattern).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        copy
    }

    /// Adds runs that cleanup is to remove.
    fn add_old(&self, count: usize) {
        for number in 0..count {
            make_old(&self.copy(&format!("e{number}")));
        }
    }

    /// What has to stay is there as it was, and its monitor lives on.
    fn assert_kept(&self, what: &str) {
        for (path, text) in &self.kept {
            assert!(fs::read(path).is_ok_and(|found| found == *text), "{what}: {} has changed", path.display());
        }
        let (commit, pid) = &self.followed;
        assert_eq!(monitor_of(&self.scene.sandbox), *pid, "{what}");
        assert_eq!(self.project.deploy_status(&[commit]).code, Some(2), "{what}");
    }

    /// Beside what has to stay there is nothing left.
    fn assert_clean(&self, what: &str) {
        let is_kept = |path: &Path| {
            path.components().any(|part| part.as_os_str() == self.followed.0.as_str())
                || self.kept.keys().any(|kept| kept.starts_with(path))
        };
        let left: Vec<_> = walk(&self.runs).into_iter().filter(|path| !is_kept(path)).collect();
        assert!(left.is_empty(), "{what}: left: {left:?}");
    }

    /// The deployment that was followed all the time goes live, and is told so.
    fn end(&self) {
        self.scene.simulator.deploy(&self.scene.app, &self.followed.0).set_phase("ACTIVE");
        assert_eq!(self.project.result(&self.followed.0)["outcome"], "live");
    }
}

/// The run has ended years ago.
fn make_old(run: &Path) {
    let path = run.join("result.json");
    let mut result: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    result["finished_at"] = "2020-01-01T00:00:00Z".into();
    fs::write(&path, result.to_string()).unwrap();
}

/// How many runs a cleanup says that it has removed.
fn removed(said: &Said) -> usize {
    let count = said.stdout.strip_prefix("removed ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    count.unwrap_or_else(|| panic!("it does not say how many: {said:?}"))
}

fn spawn(sandbox: &Sandbox, project: &Project<'_>, arguments: &[&str]) -> Child {
    let mut command = sandbox.command(sandbox.program("afterpush"), &project.work);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn said(child: Child) -> Said {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        took: std::time::Duration::ZERO,
    }
}

#[test]
fn a_cleanup_that_is_killed_among_many_runs_is_finished_by_the_next() {
    if !is_usable("a_cleanup_that_is_killed_among_many_runs_is_finished_by_the_next") {
        return;
    }
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    let stored = Stored::new(&scene, &project);
    stored.add_old(4);
    let points = points(&scene.sandbox, &project.work, "afterpush", CLEANUP, None);
    stored.assert_clean("traced");
    let (all, mut tried) = (points.len(), 0);
    for point in sample(points, SAMPLE) {
        let what = format!("killed at {point:?}");
        stored.add_old(4);
        let mut cleanup = injecting(&scene.sandbox, &project.work, &[point.kill()], "afterpush");
        tried += usize::from(Said::of(cleanup.args(CLEANUP)).code.is_none());
        stored.assert_kept(&what);
        let next = project.afterpush(&CLEANUP);
        assert_eq!(next.code, Some(0), "{what}: {next:?}");
        stored.assert_kept(&what);
        stored.assert_clean(&what);
    }
    tell("cleanup of four among others", tried, all);
    stored.end();
}

#[test]
fn cleanups_at_once_remove_each_run_once_and_nothing_else() {
    const OLD: usize = 10;
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    let stored = Stored::new(&scene, &project);
    for round in 0..ROUNDS {
        let what = format!("round {round}");
        stored.add_old(OLD);
        let cleanups: Vec<Child> = (0..3).map(|_| spawn(&scene.sandbox, &project, &CLEANUP)).collect();
        let cleanups: Vec<Said> = cleanups.into_iter().map(said).collect();
        assert!(cleanups.iter().all(|said| said.code == Some(0) && said.stderr.is_empty()), "{what}: {cleanups:?}");
        assert_eq!(cleanups.iter().map(removed).sum::<usize>(), OLD, "{what}: {cleanups:?}");
        stored.assert_kept(&what);
        stored.assert_clean(&what);
    }
    stored.end();
}

#[test]
fn cleanups_beside_monitors_that_begin_and_end_take_no_run_from_them() {
    const PUSHES: usize = 12;
    let sandbox = Sandbox::new();
    // No provider: a run ends as soon as its push has landed.
    let project = sandbox.project("[[target]]\nname = \"web\"\nbranch = \"main\"\n");
    let everything = ["cleanup", "--older-than", "0s"];
    let mut commits = Vec::new();
    let mut gone = 0;
    let mut cleanups = Vec::new();
    let mut take = |cleanups: &mut Vec<Child>| {
        for said in cleanups.drain(..).map(said) {
            assert!(said.code == Some(0) && said.stderr.is_empty(), "{said:?}");
            gone += removed(&said);
        }
    };
    for number in 0..PUSHES {
        commits.push(project.commit(&format!("commit {number}")));
        let mut push = project.push_command(&["--quiet", "origin", "main"]);
        let mut push = push.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // One after the other, for as long as the push and its monitor live.
        while push.try_wait().unwrap().is_none() || !sandbox.monitors().is_empty() {
            cleanups.push(spawn(&sandbox, &project, &everything));
            cleanups.push(spawn(&sandbox, &project, &everything));
            take(&mut cleanups);
        }
    }
    take(&mut vec![spawn(&sandbox, &project, &everything)]);
    assert_eq!(gone, PUSHES, "each run was removed, and none twice");
    let repositories = fs::read_dir(sandbox.state().join("repos")).unwrap();
    let store = repositories.map(|entry| entry.unwrap().path()).next().unwrap();
    assert!(walk(&store.join("runs")).is_empty());
    let history = fs::read_to_string(store.join("history.jsonl")).unwrap();
    let ended: Vec<String> = history
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["commit"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ended, commits, "each was followed to its end, once");
}
