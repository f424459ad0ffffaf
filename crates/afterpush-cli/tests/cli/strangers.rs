//! `stop` beside processes that look like the monitor: none of them is ever signalled.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
};

use afterpush_core::file::MonitorPid;
use afterpush_store::process;
use jiff::Timestamp;

use crate::place::{Place, answer, until};

const MAIN: &str = "refs/heads/main";
const NONCE: &str = "89abcdef";

/// What stands in monitor.pid for this process.
fn record_of(pid: i32) -> MonitorPid {
    MonitorPid {
        process: process::identify(pid).unwrap(),
        nonce: NONCE.to_owned(),
        host: "here".to_owned(),
        started_at: Timestamp::now(),
    }
}

fn skipped(test: &str, why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
    if let Some(path) = std::env::var_os("AFTERPUSH_SKIPPED")
        && let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = writeln!(file, "{test}: {why}");
    }
}

#[test]
fn a_process_that_was_given_the_monitors_number_is_not_signalled() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    // In a PID namespace of its own, where numbers can be given out at will. The monitor's stand-in is killed, its number is
    // given to a stranger with the same arguments, and in the second part somebody else holds the lock meanwhile.
    let script = r#"
        run=$1 afterpush=$2 work=$3
        cd "$work"
        identity() {
            start=$(sed 's/.*) //' /proc/$1/stat | cut -d' ' -f20)
            printf '{"pid":%s,"start_time":%s,"boot_id":"%s","pid_namespace":"%s","nonce":"89abcdef","host":"here","started_at":"2026-01-01T00:00:00Z"}' \
                "$1" "$start" "$(cat /proc/sys/kernel/random/boot_id)" "$(readlink /proc/self/ns/pid)" >"$run/monitor.pid"
        }
        monitor() { exec sh -c 'while :; do sleep 1; done' sh "$run" --nonce 89abcdef; }
        # Longer than a tick of the kernel between the two, so that they differ as two processes do.
        recycle() {
            number=$1
            kill -9 $number; wait $number 2>/dev/null
            sleep 0.05
            echo $((number - 1)) >/proc/sys/kernel/ns_last_pid
            monitor &
            [ $! = $number ] || { echo "not recycled: $! for $number"; exit 1; }
        }
        monitor & first=$!
        identity $first
        recycle $first
        if [ -n "$4" ]; then
            exec 9>>"$run/monitor.lock"
            flock -n 9 || exit 1
        fi
        "$afterpush" stop --force 9>&- 2>&1
        echo "code $?"
        kill -0 $first && echo "the stranger lives"
        [ -e "$run/monitor.pid" ] && echo "the record stands"
        kill -9 $first
        exit 0
    "#;
    for is_held in ["", "held"] {
        let mut command = place.command_in(&place.root(), "unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script, "sh"]);
        command.arg(run.path()).arg(place.root().join("bin/afterpush")).arg(&place.work).arg(is_held);
        let told = answer(&mut command);
        if told.code != 0 && (told.err.contains("unshare") || told.out.contains("not recycled")) {
            return skipped("a_process_that_was_given_the_monitors_number_is_not_signalled", &told.err);
        }
        assert!(told.out.contains("the stranger lives"), "{} {}", told.out, told.err);
        if is_held.is_empty() {
            assert!(
                told.out.contains("ended, its monitor was gone already") && told.out.contains("code 0"),
                "{}",
                told.out
            );
            assert!(!told.out.contains("the record stands"), "{}", told.out);
            assert_eq!(place.deploy_status(&["--json"]).expect(1).json()["outcome"], "stopped");
            fs::remove_file(run.path().join("result.json")).unwrap();
        } else {
            assert!(told.out.contains("another process has its process id now"), "{}", told.out);
            assert!(told.out.contains("code 1"), "{}", told.out);
        }
    }
}

#[test]
fn a_zombie_is_not_signalled_and_its_run_is_ended() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    drop(run.try_lock().unwrap().unwrap());
    let mut monitor = place.command_in(&place.root(), "sleep").arg("60").spawn().unwrap();
    let pid = i32::try_from(monitor.id()).unwrap();
    fs::write(run.path().join("monitor.pid"), serde_json::to_vec(&record_of(pid)).unwrap()).unwrap();
    monitor.kill().unwrap();
    until("the zombie", || fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z ")));
    let told = place.afterpush(&["stop", "--force"]).expect(0).out;
    assert!(told.starts_with("ended, its monitor was gone already: "), "{told}");
    assert!(!run.path().join("monitor.pid").exists(), "the record is cleared");
    assert_eq!(place.deploy_status(&["--json"]).expect(1).json()["outcome"], "stopped");
    monitor.wait().unwrap();
}

#[test]
fn a_thread_with_the_recorded_number_and_a_process_of_another_namespace_are_not_signalled() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    // Holds the lock, carries the arguments, and has a second thread, whose number it tells.
    let script = "import fcntl, sys, threading, time\n\
        lock = open(sys.argv[1] + '/monitor.lock', 'a')\n\
        fcntl.flock(lock, fcntl.LOCK_EX)\n\
        t = threading.Thread(target=time.sleep, args=(60,), daemon=True)\n\
        t.start()\n\
        print(t.native_id, flush=True)\n\
        time.sleep(60)";
    let mut command: Command = place.command_in(&place.root(), "python3");
    command.args(["-c", script]).arg(run.path()).args(["--nonce", NONCE]).stdout(Stdio::piped());
    let mut innocent = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(innocent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let thread: i32 = line.trim().parse().unwrap();
    let path = run.path().join("monitor.pid");

    fs::write(&path, serde_json::to_vec(&record_of(thread)).unwrap()).unwrap();
    let told = place.afterpush(&["stop", "--force"]).expect(1).err;
    assert!(told.contains("was not signalled") && told.contains("cannot be opened"), "{told}");

    // The right process in everything but its namespace: the same number means another process there.
    let mut elsewhere = record_of(i32::try_from(innocent.id()).unwrap());
    elsewhere.process.pid_namespace = "pid:[1]".to_owned();
    fs::write(&path, serde_json::to_vec(&elsewhere).unwrap()).unwrap();
    let told = place.afterpush(&["stop", "--force"]).expect(1).err;
    assert!(told.contains("in another container"), "{told}");
    assert!(innocent.try_wait().unwrap().is_none(), "it was signalled");

    // Once it is gone, the run is ended and the record cleared, whatever the record says.
    innocent.kill().unwrap();
    innocent.wait().unwrap();
    until("the lock being free", || !run.is_locked().unwrap());
    thread::yield_now();
    place.afterpush(&["stop"]).expect(0);
    assert!(!path.exists(), "the record is cleared");
}
