//! `stop`: the monitor and nobody else.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Child, Stdio},
    thread,
};

use afterpush_core::file::MonitorPid;
use afterpush_store::{RunDirectory, process};
use jiff::Timestamp;

use crate::place::{Place, report, until};

const MAIN: &str = "refs/heads/main";
const NONCE: &str = "89abcdef";

#[test]
fn a_monitor_that_is_asked_ends_by_itself() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    let commit = place.head();
    let monitor = thread::spawn(move || {
        until("the request to stop", || writer.directory().stop_requested());
        writer.write_result(&report(&commit, MAIN, Some("stopped"), 60)).unwrap();
        drop(writer.release());
    });
    let told = place.afterpush(&["stop"]).expect(0).out;
    assert_eq!(told, format!("stopped: {} on main\n", place.head().short()));
    monitor.join().unwrap();
    let told = place.afterpush(&["stop"]).expect(3).err;
    assert!(told.contains("has ended: stopped"), "{told}");
    place.afterpush(&["stop", "--all"]).expect(0);
}

/// A process that holds the lock like a monitor, and does not look at requests to stop.
fn stand_in(place: &Place, run: &RunDirectory, traps: &str) -> Child {
    drop(run.try_lock().unwrap().unwrap());
    let script = format!("{traps} flock -n 9 || exit 1; echo > \"$1/held\"; while :; do sleep 0.1 9>&-; done");
    let mut command = place.command_in(&place.root(), "sh");
    let lock = run.path().join("monitor.lock");
    let script = format!("exec 9>>'{}'; {script}", lock.display());
    let child = command
        .args(["-c", &script, "sh"])
        .arg(run.path())
        .args(["--nonce", NONCE])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the lock", || run.path().join("held").exists());
    child
}

fn record(run: &RunDirectory, pid: u32, nonce: &str) {
    let monitor = MonitorPid {
        process: process::identify(i32::try_from(pid).unwrap()).unwrap(),
        nonce: nonce.to_owned(),
        host: "here".to_owned(),
        started_at: Timestamp::now(),
    };
    fs::write(run.path().join("monitor.pid"), serde_json::to_vec(&monitor).unwrap()).unwrap();
}

#[test]
fn a_monitor_that_does_not_answer_is_signalled() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let mut monitor = stand_in(&place, &run, "");
    record(&run, monitor.id(), NONCE);
    let told = place.afterpush(&["stop"]).expect(0).out;
    assert!(told.starts_with("stopped by SIGTERM: "), "{told}");
    assert_eq!(monitor.wait().unwrap().signal(), Some(15));
    // Killed before it could write how it ended: we did.
    assert_eq!(place.deploy_status(&["--json"]).expect(1).json()["outcome"], "stopped");
    assert!(!run.stop_requested());
}

#[test]
fn only_force_kills_a_monitor_that_ignores_signals() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let mut monitor = stand_in(&place, &run, "trap '' TERM;");
    record(&run, monitor.id(), NONCE);
    let told = place.afterpush(&["stop"]).expect(1).err;
    assert!(told.contains("hint: `afterpush stop --force` kills it"), "{told}");
    assert!(monitor.try_wait().unwrap().is_none());
    let told = place.afterpush(&["stop", "--force"]).expect(0).out;
    assert!(told.starts_with("killed: "), "{told}");
    assert_eq!(monitor.wait().unwrap().signal(), Some(9));
}

#[test]
fn another_process_is_never_signalled() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let mut innocent = stand_in(&place, &run, "");
    let refused = || {
        let told = place.afterpush(&["stop", "--force"]).expect(1).err;
        assert!(told.contains("another process has its process id now"), "{told}");
    };
    // It does not carry the word that the monitor recorded; it carries none; it started at another time.
    record(&run, innocent.id(), "0123");
    refused();
    record(&run, innocent.id(), "");
    refused();
    record(&run, innocent.id(), NONCE);
    let path = run.path().join("monitor.pid");
    let text = fs::read_to_string(&path).unwrap().replace("\"start_time\":", "\"start_time\":1");
    fs::write(&path, text).unwrap();
    refused();
    // Nor is it signalled when it belongs to another boot, or nothing is recorded.
    record(&run, innocent.id(), NONCE);
    let mut monitor: MonitorPid = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    monitor.process.boot_id = "another".to_owned();
    fs::write(&path, serde_json::to_vec(&monitor).unwrap()).unwrap();
    assert!(place.afterpush(&["stop"]).expect(1).err.contains("another boot"));
    fs::remove_file(&path).unwrap();
    assert!(place.afterpush(&["stop"]).expect(1).err.contains("is not recorded"));
    assert!(innocent.try_wait().unwrap().is_none());
    innocent.kill().unwrap();
    innocent.wait().unwrap();
}

#[test]
fn a_lost_run_is_ended_without_a_signal_even_if_its_process_id_lives() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let mut innocent = place.command_in(&place.root(), "sleep").arg("60").spawn().unwrap();
    record(&run, innocent.id(), "");
    let told = place.afterpush(&["stop"]).expect(0).out;
    assert!(told.starts_with("ended, its monitor was gone already: "), "{told}");
    assert!(innocent.try_wait().unwrap().is_none());
    innocent.kill().unwrap();
    innocent.wait().unwrap();
    assert_eq!(place.deploy_status(&["--json"]).expect(1).json()["outcome"], "stopped");
    let history = fs::read_to_string(place.store().path().join("history.jsonl")).unwrap();
    assert!(history.contains("\"stopped\""), "{history}");
}
