//! A state directory and a repository of one's own, and documents to put in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use afterpush_core::{
    file::{
        Document, HistoryLine, MonitorInfo, MonitorPid, OutcomeFields, ProcessId, PushSource, Pusher, Report, Request,
    },
    id::{CommitId, RefName},
    run::{Outcome, Phase},
};
use afterpush_store::{Environment, Repository, RepositoryStore, RunDirectory, StateRoot, process};
use jiff::Timestamp;
use tempfile::TempDir;

pub(crate) struct Fixture {
    pub(crate) directory: TempDir,
    pub(crate) environment: Environment,
    pub(crate) repository: Repository,
    pub(crate) root: StateRoot,
    pub(crate) store: RepositoryStore,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let work_tree = directory.path().join("shop");
        make_git_dir(&work_tree.join(".git"));
        let environment =
            Environment { state_home: Some(directory.path().join("home/.local/state")), ..Environment::default() };
        let repository = Repository::locate(&work_tree, &environment).unwrap();
        let root = StateRoot::for_writing(&environment, &repository).unwrap();
        let store = root.repository(&repository);
        store.record_repository(&repository, &[]).unwrap();
        Self { directory, environment, repository, root, store }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The run of a commit, pushed to main of origin.
    pub(crate) fn run(&self, digit: char) -> RunDirectory {
        self.store.run(&commit(digit), "origin", &main_ref())
    }

    pub(crate) fn request(&self, digit: char, id: &str, pushed_at: Timestamp) -> Request {
        Request {
            schema: Request::schema(),
            id: id.to_owned(),
            commit: commit(digit),
            ref_name: main_ref(),
            remote: "origin".into(),
            remote_url: "https://example.invalid/shop.git".into(),
            previous: None,
            pushed_at,
            boot_time: None,
            source: PushSource::Hook,
            pusher: None,
            repository: self.repository.facts(),
        }
    }

    /// A run with a result that it got at `finished_at`.
    pub(crate) fn finished_run(&self, digit: char, finished_at: Timestamp) -> RunDirectory {
        let run = self.run(digit);
        let request = self.request(digit, &format!("request-{digit}"), finished_at);
        run.write_request(&request).unwrap();
        let writer = run.try_lock().unwrap().unwrap().into_writer();
        writer.write_result(&report(&request, Some(&Outcome::Live), finished_at)).unwrap();
        writer.release()
    }
}

/// What makes a directory a git directory in git's eyes.
pub(crate) fn make_git_dir(path: &Path) {
    fs::create_dir_all(path.join("objects")).unwrap();
    fs::create_dir_all(path.join("refs")).unwrap();
    fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
}

pub(crate) fn commit(digit: char) -> CommitId {
    CommitId::parse(&String::from(digit).repeat(40)).unwrap()
}

pub(crate) fn main_ref() -> RefName {
    RefName::parse("refs/heads/main").unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn pusher(pid: i32) -> Pusher {
    let process = ProcessId { pid, start_time: 1, boot_id: "boot".into(), pid_namespace: "pid:[1]".into() };
    Pusher { process, exit_proves: true }
}

pub(crate) fn report(request: &Request, outcome: Option<&Outcome>, now: Timestamp) -> Report {
    let is_finished = outcome.is_some();
    Report {
        schema: if is_finished { Document::Result.schema() } else { Document::Status.schema() },
        request_id: request.id.clone(),
        commit: request.commit.clone(),
        ref_name: request.ref_name.clone(),
        remote: request.remote.clone(),
        phase: if is_finished { Phase::Finished } else { Phase::Deploying },
        outcome: OutcomeFields::from(outcome),
        reason: None,
        push_proof: None,
        targets: Vec::new(),
        left_out: Vec::new(),
        monitor: MonitorInfo { pid: 1, host: "here".into(), started_at: now },
        seq: 1,
        pushed_at: request.pushed_at,
        updated_at: now,
        next_poll_at: None,
        deadline_at: now,
        finished_at: is_finished.then_some(now),
    }
}

/// Writes every file that a run can have.
pub(crate) fn full_run(fixture: &Fixture) -> RunDirectory {
    let run = fixture.run('a');
    let request = fixture.request('a', "one", Timestamp::now());
    run.write_request(&request).unwrap();
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    let pid = MonitorPid {
        process: process::current().unwrap(),
        nonce: "n".into(),
        host: "here".into(),
        started_at: Timestamp::now(),
    };
    writer.write_monitor(&pid).unwrap();
    assert_eq!(run.monitor().unwrap().unwrap(), pid);
    writer.write_status(&report(&request, None, Timestamp::now())).unwrap();
    writer.append_event(&serde_json::json!({"event": "start"})).unwrap();
    writer.log("hello\nworld").unwrap();
    writer.write_provider_log(&["one".into(), "two".into()]).unwrap();
    writer.write_result(&report(&request, Some(&Outcome::Live), Timestamp::now())).unwrap();
    writer.release()
}

pub(crate) fn history_line(digit: char) -> HistoryLine {
    let now = at("2026-03-01T12:00:00Z");
    HistoryLine {
        request_id: "r".into(),
        commit: commit(digit),
        ref_name: main_ref(),
        remote: "origin".into(),
        outcome: OutcomeFields::from(Some(&Outcome::Live)),
        reason: None,
        pushed_at: now,
        finished_at: now,
    }
}

/// Every file below a directory, by path relative to it.
pub(crate) fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path.strip_prefix(root).unwrap().to_owned()) }
        }
    }
    found.sort();
    found
}
