//! Disks that refuse: full, broken, read-only, without files left. The push goes on, what was there stays, the run goes on in
//! memory, and the result is written when the disk is back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox, skipped, wait_until};
use serde_json::Value;

use crate::{
    crashes::{assert_whole, hook_arguments, hook_input, lost_run, result_of, walk},
    mounted::{Filling, Mounted},
    scene::{SHORT, Scene, TARGET, monitor_of},
    strace::{ALL, Point, injecting, is_usable, points, sample},
};

const ERRORS: [&str; 6] = ["ENOSPC", "EDQUOT", "EIO", "EROFS", "EMFILE", "ENFILE"];
const FAST: &str = "first_interval = \"50ms\"\nslow_interval = \"100ms\"\n";

/// The files of finished runs and of the repository, which nothing may touch.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walk(directory).into_iter().filter_map(|path| Some((path.clone(), fs::read(&path).ok()?))).collect()
}

#[test]
fn no_error_of_the_disk_stops_a_push_or_harms_what_is_there() {
    if !is_usable("no_error_of_the_disk_stops_a_push_or_harms_what_is_there") {
        return;
    }
    let scene = Scene::with_token(FAST);
    let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
    let first = project.head();
    scene.simulator.deploy(&scene.app, &first).set_phase("ACTIVE");
    assert_eq!(project.push(&["--quiet", "origin", "main"]).code, Some(0));
    let _ = project.result(&first);
    wait_until("the monitor's end", || sandbox.monitors().is_empty());
    let old = contents(&project.runs(&first)[0]);
    let commit = project.commit("traced");
    let input = hook_input(sandbox, &commit);
    let all = points(sandbox, &project.work, "afterpush-hook", hook_arguments(&project), Some(input));
    // A call that ends the program cannot fail.
    let all: Vec<Point> = all.into_iter().filter(|point| !point.is_the_end()).collect();
    let (mut injected, mut unwatched) = (0, 0);
    for (number, point) in sample(all, 10).iter().enumerate() {
        // Each error at each point in the long run; one of them in the short.
        let errors = if std::env::var_os(ALL).is_some() { &ERRORS[..] } else { &ERRORS[number % 6..][..1] };
        for error in errors {
            for lasts in [false, true] {
                let commit = project.commit(&format!("{error} at {point:?}, {lasts}"));
                let mut hook = injecting(sandbox, &project.work, &[point.fail(error, lasts)], "afterpush-hook");
                let said = Said::of(hook.args(hook_arguments(&project)).stdin(hook_input(sandbox, &commit)));
                assert_eq!(said.code, Some(0), "{error} at {point:?}: {said:?}");
                injected += 1;
                unwatched += usize::from(said.stderr.contains("not watching this push"));
                assert_whole(sandbox, &format!("{error} at {point:?}"));
                // Where the disk says that it is read-only, the run goes into the repository.
                let places = [sandbox.state(), project.work.join(".git/afterpush")];
                let mut records =
                    places.iter().flat_map(|place| walk(place)).filter(|path| path.ends_with("request.json"));
                let is_on_record = records.any(|path| path.to_string_lossy().contains(&commit));
                assert!(
                    is_on_record || !said.stderr.contains("afterpush: watching"),
                    "{error} at {point:?}: said to be watched, and is not on record: {said:?}"
                );
            }
        }
    }
    assert_eq!(contents(&project.runs(&first)[0]), old, "an old run was touched");
    assert!(unwatched > 0, "no injected error was noticed");
    eprintln!(
        "disks: hook: {injected} errors injected, each push went on; {unwatched} times it said that it was not watched"
    );
}

/// A disk that is full while a run is under way.
fn is_filled_during_a_run(test: &str, filling: Filling, options: &str) {
    let scene = Scene::with_token(SHORT);
    let sandbox = &scene.sandbox;
    let disk = match Mounted::in_memory(&sandbox.state(), options) {
        Ok(disk) => disk,
        Err(why) => return skipped(test, &why),
    };
    let project = sandbox.project(TARGET);
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    project.status(&commit, "awaiting", |status| status["phase"] == "awaiting_deployment");
    let filler = disk.fill(filling);
    let run = project.runs(&commit).remove(0);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let asked = scene.simulator.requests().len();
    wait_until("the answer that ends the run", || scene.simulator.requests().len() > asked);
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(2), "the result is announced by nobody: {said:?}");
    assert!(result_of(&run).is_none());
    assert_whole(sandbox, "a full disk");
    // A push meets the full disk: it goes on, and says why it is not watched.
    let next = project.commit("next");
    let said = project.push(&["origin", "main"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(sandbox.git(&project.bare, &["rev-parse", "main"]), next);
    assert!(said.stderr.contains("not watching this push") && said.stderr.contains("No space left"), "{said:?}");
    monitor_of(sandbox);
    if filling == Filling::Bytes {
        fs::remove_file(filler).unwrap()
    } else {
        fs::remove_dir_all(filler).unwrap()
    }
    assert_eq!(project.result(&commit)["outcome"], "live");
    wait_until("the monitor's end", || sandbox.monitors().is_empty());
    let log = fs::read_to_string(run.join("monitor.log")).unwrap();
    assert!(log.contains("No space left") && log.contains("going on in memory"), "{log}");
    // Nor is the push forgotten that could not be put on record.
    scene.simulator.deploy(&scene.app, &next).set_phase("ACTIVE");
    assert_eq!(project.deploy_status(&["--wait", "60s"]).code, Some(0));
    drop(disk);
}

#[test]
fn a_full_disk_stops_no_push_and_the_result_comes_when_there_is_room() {
    is_filled_during_a_run(
        "a_full_disk_stops_no_push_and_the_result_comes_when_there_is_room",
        Filling::Bytes,
        "size=512k",
    );
}

#[test]
fn a_disk_without_inodes_stops_no_push_and_the_result_comes_when_there_are_some() {
    is_filled_during_a_run(
        "a_disk_without_inodes_stops_no_push_and_the_result_comes_when_there_are_some",
        Filling::Inodes,
        "size=8m,nr_inodes=200",
    );
}

#[test]
fn a_monitor_whose_disk_refuses_goes_on_and_writes_the_result_when_it_is_back() {
    if !is_usable("a_monitor_whose_disk_refuses_goes_on_and_writes_the_result_when_it_is_back") {
        return;
    }
    let follow = |call: &str, error: &str| {
        let scene = Scene::with_token(FAST);
        let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
        let arguments = |run: &Path| ["run".into(), run.as_os_str().to_owned(), "--nonce".into(), "0123abcd".into()];
        let (_, run) = lost_run(&scene, &project, "traced");
        let points = points(sandbox, &project.work, "afterpush-monitor", arguments(&run), None);
        let count = points.iter().filter(|point| point.is_of(call)).count();
        assert!(count > 0, "the monitor calls {call}");
        // From the first on, and once more than it takes: the result meets it too.
        let inject = format!("{call}:error={error}:when=1..{count}");
        let (_, run) = lost_run(&scene, &project, error);
        let said = Said::of(injecting(sandbox, &project.work, &[inject], "afterpush-monitor").args(arguments(&run)));
        assert_eq!(said.code, Some(0), "{call}, {error}: {said:?}");
        let told = project.deploy_status(&[]);
        assert_eq!(told.code, Some(0), "{call}, {error}: {told:?}");
        let log = fs::read_to_string(run.join("monitor.log")).unwrap();
        assert!(log.contains("going on in memory"), "{call}, {error}: {log}");
        assert_whole(sandbox, error);
    };
    let cases = [("rename", "EROFS"), ("rename", "EDQUOT"), ("fsync", "EIO"), ("rename", "ENOSPC")];
    thread::scope(|scope| {
        for (call, error) in cases {
            scope.spawn(move || follow(call, error));
        }
    });
}

/// What the shell counts the sizes of files in.
const BLOCK: u64 = 512;

/// A shell command line in which `$0` is the program, under this limit.
fn limited(sandbox: &Sandbox, project: &Project<'_>, limit: &str, program: &str) -> Command {
    let mut command = sandbox.command("/bin/sh", &project.work);
    command.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]).arg(sandbox.program(program));
    command
}

/// The monitor of a run, under this limit.
fn limited_monitor(sandbox: &Sandbox, project: &Project<'_>, limit: &str, run: &Path) -> Child {
    let mut command = limited(sandbox, project, limit, "afterpush-monitor");
    command.arg("run").arg(run).args(["--nonce", "0123abcd"]).spawn().unwrap()
}

#[test]
fn limits_on_open_files_and_on_file_sizes_stop_no_push_and_forge_no_verdict() {
    let scene = Scene::with_token(FAST);
    let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
    for limit in (4..14).map(|files| format!("-n {files}")).chain(["-f 0".to_owned(), "-f 1".to_owned()]) {
        let commit = project.commit(&limit);
        let mut hook = limited(sandbox, &project, &limit, "afterpush-hook");
        let said = Said::of(hook.args(hook_arguments(&project)).stdin(hook_input(sandbox, &commit)));
        assert_eq!(said.code, Some(0), "{limit}: {said:?}");
        assert_whole(sandbox, &limit);
        if limit.starts_with("-f") {
            assert!(said.stderr.contains("File too large"), "{said:?}");
        }
    }
    wait_until("the monitors' end", || {
        sandbox
            .monitors()
            .into_iter()
            .for_each(|pid| drop(Said::of(Command::new("kill").args(["-9", &pid.to_string()]))));
        sandbox.monitors().is_empty()
    });
    for files in (4..24).step_by(3) {
        let (commit, run) = lost_run(&scene, &project, &format!("monitor {files}"));
        let mut monitor = limited_monitor(sandbox, &project, &format!("-n {files}"), &run);
        // One that has few files left asks in vain until its deadline; another monitor takes over from it.
        wait_until("its end, or its first status", || {
            monitor.try_wait().unwrap().is_some() || run.join("status.json").exists()
        });
        let _ = monitor.kill();
        monitor.wait().unwrap();
        assert_whole(sandbox, "few files");
        let told = project.deploy_status(&["--wait", "60s", &commit]);
        assert_eq!(told.code, Some(0), "{files}: {told:?}");
    }
}

#[test]
fn a_monitor_at_its_file_size_limit_goes_on_and_writes_when_the_limit_is_gone() {
    let scene = Scene::with_token(FAST);
    let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
    let (_, run) = lost_run(&scene, &project, "limited");
    let mut monitor = limited_monitor(sandbox, &project, "-S -f 0", &run);
    wait_until("an answer of the provider", || !scene.simulator.requests().is_empty());
    assert!(monitor.try_wait().unwrap().is_none(), "the limit has killed it");
    assert!(result_of(&run).is_none());
    let raised = Said::of(Command::new("prlimit").args(["--pid", &monitor.id().to_string(), "--fsize=unlimited"]));
    if raised.code != Some(0) {
        monitor.kill().unwrap();
        monitor.wait().unwrap();
        return skipped("a_monitor_at_its_file_size_limit_goes_on_and_writes_when_the_limit_is_gone", &raised.stderr);
    }
    assert_eq!(project.result(&project.head())["outcome"], "live");
    assert_eq!(monitor.wait().unwrap().code(), Some(0));
    let log = fs::read_to_string(run.join("monitor.log")).unwrap();
    assert!(log.contains("File too large") && log.contains("going on in memory"), "{log}");
}

#[test]
fn a_disk_that_takes_a_part_of_what_is_written_leaves_no_half_file() {
    let scene = Scene::with_token(FAST);
    let (sandbox, project) = (&scene.sandbox, scene.sandbox.project(TARGET));
    let (commit, run) = lost_run(&scene, &project, "cut short");
    // Each write that would end beyond the first block takes what fits, and the next one fails.
    let mut monitor = limited_monitor(sandbox, &project, "-f 1", &run);
    let is_cut = |name: &str| run.join(name).metadata().is_ok_and(|found| found.len() == BLOCK);
    wait_until("lines that are cut short", || is_cut("events.jsonl") && is_cut("monitor.log"));
    assert!(!run.join("status.json").exists() && !run.join("result.json").exists());
    assert_eq!(project.deploy_status(&[]).code, Some(2), "it goes on in memory");
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    let told = project.deploy_status(&["--wait", "60s", &commit]);
    assert_eq!(told.code, Some(0), "{told:?}");
    // The next line begins as a line of its own: one is lost, and not also the one behind it.
    let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let torn = events.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    assert!(torn == 1 && events.lines().count() > 3, "{events}");
}
