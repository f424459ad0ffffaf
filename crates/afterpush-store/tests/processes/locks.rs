//! The run lock between real processes. The children are this test binary, run again in a role.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use afterpush_store::{RunDirectory, process};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{fixture::Fixture, waiting::wait_until};

const RUN: &str = "AFTERPUSH_TEST_RUN";

/// A child that takes and frees the lock on command.
struct Contender {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Contender {
    fn start(role: &str, run: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", role])
            .env(RUN, run)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, commands, answers }
    }

    fn send(&mut self, command: &str) {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
    }

    /// The next line meant for us; the rest is the test harness talking.
    fn answer(&mut self) -> String {
        for line in (&mut self.answers).lines() {
            if let Some((_, answer)) = line.unwrap().split_once("lock: ") {
                return answer.to_owned();
            }
        }
        panic!("the contender ended without an answer");
    }

    fn end(mut self) {
        drop(self.commands.take());
        assert!(self.child.wait().unwrap().success());
    }
}

fn run_of_role() -> RunDirectory {
    RunDirectory::at(Path::new(&env::var_os(RUN).expect("a role gets its run from its parent")))
}

/// Reads commands: `take` and `free`, until its standard input ends.
#[test]
#[ignore = "a child process of the other tests"]
fn role_contender() {
    let run = run_of_role();
    let mut held = None;
    for command in std::io::stdin().lines() {
        let answer = match command.unwrap().as_str() {
            "take" => {
                held = run.try_lock().unwrap();
                if held.is_some() { "held" } else { "busy" }
            }
            "free" => {
                drop(held.take());
                "free"
            }
            other => panic!("{other}"),
        };
        // In one write, so that the harness's own lines do not come between.
        std::io::stdout().write_all(format!("\nlock: {answer}\n").as_bytes()).unwrap();
        std::io::stdout().flush().unwrap();
    }
}

/// Takes the lock as often as it can; each holder must be alone.
#[test]
#[ignore = "a child process of the other tests"]
fn role_racer() {
    const ATTEMPTS: usize = 1500;
    let run = run_of_role();
    let owner = run.path().join("owner");
    let (mut held, mut doubled) = (0, 0);
    std::io::stdin().lines().next().unwrap().unwrap();
    for _ in 0..ATTEMPTS {
        let Some(lock) = run.try_lock().unwrap() else { continue };
        held += 1;
        // Fails when another holder is between these two lines.
        match fs::OpenOptions::new().write(true).create_new(true).open(&owner) {
            Ok(_) => fs::remove_file(&owner).unwrap(),
            Err(_) => doubled += 1,
        }
        drop(lock);
    }
    std::io::stdout().write_all(format!("\nlock: {held} {doubled}\n").as_bytes()).unwrap();
}

fn prepared(fixture: &Fixture) -> PathBuf {
    let run = fixture.run('a');
    run.write_request(&fixture.request('a', "one", jiff::Timestamp::now())).unwrap();
    run.path().to_owned()
}

#[test]
fn of_24_racing_monitors_one_gets_the_run_each_time() {
    let fixture = Fixture::new();
    let run = prepared(&fixture);
    let mut contenders: Vec<_> = (0..24).map(|_| Contender::start("locks::role_contender", &run)).collect();
    for round in 0..40 {
        contenders.iter_mut().for_each(|contender| contender.send("take"));
        let answers: Vec<_> = contenders.iter_mut().map(Contender::answer).collect();
        assert_eq!(answers.iter().filter(|answer| *answer == "held").count(), 1, "round {round}: {answers:?}");
        contenders.iter_mut().for_each(|contender| contender.send("free"));
        contenders.iter_mut().for_each(|contender| assert_eq!(contender.answer(), "free"));
    }
    contenders.into_iter().for_each(Contender::end);
}

#[test]
fn t7_of_12000_racing_starts_never_two_hold_the_run() {
    let fixture = Fixture::new();
    let run = prepared(&fixture);
    let mut racers: Vec<_> = (0..8).map(|_| Contender::start("locks::role_racer", &run)).collect();
    racers.iter_mut().for_each(|racer| racer.send("go"));
    let (mut held, mut doubled) = (0, 0);
    for racer in &mut racers {
        let answer = racer.answer();
        let (one, two) = answer.split_once(' ').unwrap();
        held += one.parse::<usize>().unwrap();
        doubled += two.parse::<usize>().unwrap();
    }
    racers.into_iter().for_each(Contender::end);
    assert_eq!(doubled, 0, "two held the lock at once, of {held} times");
    assert!(held >= 8, "the lock was hardly ever taken: {held} times");
}

#[test]
fn t7_a_look_at_the_lock_never_turns_a_starting_monitor_away() {
    let fixture = Fixture::new();
    let path = prepared(&fixture);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    RunDirectory::at(&path).is_locked().unwrap();
                }
            });
        }
        let refused = (0..2000).filter(|_| RunDirectory::at(&path).try_lock().unwrap().is_none()).count();
        ended.store(true, Ordering::Relaxed);
        assert_eq!(refused, 0, "of 2000 starts");
    });
}

#[test]
fn kill_9_frees_the_lock_and_a_zombie_does_not_hold_it() {
    let fixture = Fixture::new();
    let path = prepared(&fixture);
    let run = RunDirectory::at(&path);
    let mut holder = Contender::start("locks::role_contender", &path);
    holder.send("take");
    assert_eq!(holder.answer(), "held");
    assert!(run.is_locked().unwrap());
    assert!(run.try_lock().unwrap().is_none());

    let pid = i32::try_from(holder.child.id()).unwrap();
    let identity = process::identify(pid).unwrap();
    assert!(process::is_alive(&identity));
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    // Nobody waits for it: it stays a zombie, for which kill(pid, 0) would still succeed.
    wait_until("the holder's death", || {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    });
    assert!(kill(Pid::from_raw(pid), None).is_ok());
    assert!(!process::is_alive(&identity));
    // The first thread can be a zombie while the last one is still on its way out.
    wait_until("the lock being free", || !run.is_locked().unwrap());
    assert!(run.try_lock().unwrap().is_some());
    holder.child.wait().unwrap();
}

#[test]
fn a_child_of_the_holder_does_not_keep_the_lock() {
    let fixture = Fixture::new();
    let run = RunDirectory::at(&prepared(&fixture));
    let lock = run.try_lock().unwrap().unwrap();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    drop(lock);
    // At once, were it not for other tests that start processes in this moment; but long before the child ends.
    wait_until("the lock being free", || !run.is_locked().unwrap());
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_lock_in_a_directory_that_was_moved_away_is_worth_nothing() {
    let fixture = Fixture::new();
    let path = prepared(&fixture);
    let run = RunDirectory::at(&path);
    let lock = run.try_lock().unwrap().unwrap();
    fs::rename(&path, path.with_file_name("aside")).unwrap();
    // The path is free again, and so is its lock; the old holder's concerns nobody.
    assert!(run.try_lock().is_err(), "there is no directory, and none is made");
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    assert!(run.try_lock().unwrap().is_some());
    drop(lock);
}

#[test]
fn a_planted_link_is_not_locked_through() {
    let fixture = Fixture::new();
    let path = prepared(&fixture);
    let elsewhere = fixture.path().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    std::os::unix::fs::symlink(&elsewhere, path.join("monitor.lock")).unwrap();
    assert!(RunDirectory::at(&path).try_lock().is_err());
}
