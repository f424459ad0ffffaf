//! A hermetic place for one test: a repository, a state directory, and the installed binaries with stand-ins beside them.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use afterpush_core::{
    file::{Report, Request},
    id::{CommitId, RefName},
};
use afterpush_store::{Environment, Repository, RepositoryStore, RunDirectory, StateRoot};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a command did.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) work: PathBuf,
}

impl Place {
    /// A repository with one commit, and a configuration with one target for main.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let work = root.join("work");
        for sub in ["home", "bin", "work"] {
            fs::create_dir(root.join(sub)).unwrap();
        }
        for (name, program) in
            [("afterpush", env!("CARGO_BIN_EXE_afterpush")), ("deploy-status", env!("CARGO_BIN_EXE_deploy-status"))]
        {
            let to = root.join("bin").join(name);
            fs::hard_link(program, &to).or_else(|_| fs::copy(program, &to).map(drop)).unwrap();
        }
        let place = Self { dir, work };
        place.script("afterpush-hook", "exit 0");
        place.script("afterpush-monitor", "echo \"$*\" >> \"$HOME/monitors\"");
        place.git(&["init", "-q", "-b", "main", "."]);
        fs::write(place.work.join(".afterpush.toml"), "[[target]]\nname = \"web\"\nbranch = \"main\"\n").unwrap();
        place.git(&["add", "."]);
        place.commit("first");
        place
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// A program in the place of one of ours.
    pub(crate) fn script(&self, name: &str, body: &str) {
        let path = self.root().join("bin").join(name);
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(path).unwrap();
        file.write_all(format!("#!/bin/sh\n{body}\n").as_bytes()).unwrap();
    }

    pub(crate) fn command_in(&self, directory: &Path, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.root().join("home"))
            .env("AFTERPUSH_STATE_DIR", self.root().join("state"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_NAME", "a")
            .env("GIT_AUTHOR_EMAIL", "a@example.org")
            .env("GIT_COMMITTER_NAME", "a")
            .env("GIT_COMMITTER_EMAIL", "a@example.org")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn afterpush_in(&self, directory: &Path, arguments: &[&str]) -> Answer {
        answer(self.command_in(directory, self.root().join("bin/afterpush")).args(arguments))
    }

    pub(crate) fn afterpush(&self, arguments: &[&str]) -> Answer {
        self.afterpush_in(&self.work, arguments)
    }

    pub(crate) fn deploy_status(&self, arguments: &[&str]) -> Answer {
        answer(self.command_in(&self.work, self.root().join("bin/deploy-status")).args(arguments))
    }

    pub(crate) fn git_in(&self, directory: &Path, arguments: &[&str]) -> String {
        let answer = answer(self.command_in(directory, "git").args(arguments)).expect(0);
        answer.out.trim().to_owned()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.work, arguments)
    }

    pub(crate) fn commit(&self, message: &str) -> CommitId {
        // A second apart, as people commit.
        static SECONDS: AtomicU64 = AtomicU64::new(1_700_000_000);
        let date = format!("@{} +0000", SECONDS.fetch_add(1, Ordering::Relaxed));
        let mut command = self.command_in(&self.work, "git");
        command.env("GIT_COMMITTER_DATE", date).args(["commit", "-q", "--allow-empty", "-m", message]);
        answer(&mut command).expect(0);
        self.head()
    }

    pub(crate) fn head(&self) -> CommitId {
        CommitId::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    pub(crate) fn store(&self) -> RepositoryStore {
        let environment = Environment { state_dir: Some(self.root().join("state")), ..Environment::default() };
        let repository = Repository::locate(&self.work, &environment).unwrap();
        let store = StateRoot::for_writing(&environment, &repository).unwrap().repository(&repository);
        store.record_repository(&repository, &[]).unwrap();
        store
    }

    /// A run that was asked for so many seconds ago.
    pub(crate) fn request(&self, commit: &CommitId, ref_name: &str, seconds_ago: i64) -> RunDirectory {
        let run = self.store().run(commit, "origin", &RefName::parse(ref_name).unwrap());
        run.write_request(&request(commit, ref_name, seconds_ago)).unwrap();
        run
    }

    /// A run that ended so, `seconds_ago` after a push.
    pub(crate) fn ended(&self, commit: &CommitId, ref_name: &str, outcome: &str, seconds_ago: i64) -> RunDirectory {
        let run = self.request(commit, ref_name, seconds_ago);
        let writer = run.try_lock().unwrap().unwrap().into_writer();
        writer.write_result(&report(commit, ref_name, Some(outcome), seconds_ago)).unwrap();
        writer.release()
    }

    /// What the stand-in of the monitor was called with, a line for each call, once there are so many.
    pub(crate) fn monitors(&self, count: usize) -> Vec<String> {
        let path = self.root().join("home/monitors");
        let lines = || fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
        until("the monitor to be started", || lines().len() >= count);
        lines()
    }
}

pub(crate) fn answer(command: &mut Command) -> Answer {
    let output = command.output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() - seconds).unwrap()
}

pub(crate) fn request(commit: &CommitId, ref_name: &str, seconds_ago: i64) -> Request {
    serde_json::from_value(json!({
        "schema": { "name": "afterpush.request", "major": 1, "minor": 0 },
        "id": "0123456789abcdef0123456789abcdef",
        "commit": commit,
        "ref": ref_name,
        "remote": "origin",
        "remote_url": "https://example.org/acme/web.git",
        "pushed_at": ago(seconds_ago),
        "source": "hook",
        "repository": { "common_dir": "/nowhere/.git", "git_dir": "/nowhere/.git" },
    }))
    .unwrap()
}

pub(crate) fn report(commit: &CommitId, ref_name: &str, outcome: Option<&str>, seconds_ago: i64) -> Report {
    let verdict = match outcome {
        Some("live" | "live_contained") => "passed",
        Some(_) => "failed",
        None => "pending",
    };
    let by = matches!(outcome, Some("live_contained" | "superseded")).then(|| "f".repeat(40));
    let phase = if outcome.is_some() { "finished" } else { "deploying" };
    let reason = outcome.map(|outcome| format!("the reason of {outcome}"));
    let finished_at = outcome.map(|_| ago(seconds_ago - 130));
    serde_json::from_value(json!({
        "schema": { "name": if outcome.is_some() { "afterpush.result" } else { "afterpush.status" }, "major": 1, "minor": 0 },
        "request_id": "0123456789abcdef0123456789abcdef",
        "commit": commit,
        "ref": ref_name,
        "remote": "origin",
        "phase": phase,
        "outcome": outcome,
        "outcome_by": by,
        "outcome_phase": (outcome == Some("timed_out")).then_some("deploying"),
        "reason": reason,
        "push_proof": "the tracking ref is at the commit",
        "targets": [{
            "name": "web",
            "phase": phase,
            "outcome": outcome,
            "reason": reason,
            "site_url": "https://web.example.org",
            "stages": [{
                "stage": "provider",
                "verdict": verdict,
                "summary": "BUILDING: 3 of 6 steps",
                "commit": commit,
                "deployment": {
                    "id": "dep-1", "url": "https://cloud.example.org/dep-1", "commit": commit, "raw": "BUILDING",
                },
                "asked": 4,
                "trouble": null,
                "observed_at": ago(1),
            }, {
                "stage": "database", "verdict": "unavailable", "summary": "not configured", "commit": null,
                "deployment": null, "asked": 0, "trouble": null, "observed_at": null,
            }],
        }],
        "monitor": { "pid": 1, "host": "here", "started_at": ago(seconds_ago) },
        "seq": 7,
        "pushed_at": ago(seconds_ago),
        "updated_at": ago(1),
        "next_poll_at": outcome.is_none().then(|| ago(-100)),
        "deadline_at": ago(-1800),
        "finished_at": finished_at,
    }))
    .unwrap()
}
