//! The real outside of the machine: clock, repository, remote, providers, probes and the run's files.

use std::{cell::RefCell, path::PathBuf, process::Stdio, rc::Rc, time::Duration};

use afterpush_core::{
    fault::with_causes,
    file::Head,
    id::CommitId,
    machine::{Answer, Effect, EventKind, LocalLook, PushProof, RemoteLook, State},
    observation::DatabaseObservation,
    run::{Relation, SeenCommit},
    text::{clean_line, clean_log},
};
use afterpush_git::{Git, ls_remote_command, read_ls_remote};
use afterpush_store::RepositoryStore;
use tokio::{process::Command, time::timeout};

use crate::{
    clock::BootClock,
    driver::{Outside, Pending},
    pusher,
    recorder::Recorder,
    sources::{Shared, Sources},
    successor::Successor,
};

/// git's own network limits are long; a remote that is slower than this is asked again later.
const LS_REMOTE: Duration = Duration::from_secs(20);
/// How much of a failed deployment's log is kept.
const LOG_LINES: usize = 200;
const LINE_CHARS: usize = 500;

/// Everything outside of the machine.
pub struct World {
    /// The run's clock.
    pub clock: BootClock,
    /// The run's files.
    pub recorder: Shared<Recorder>,
    /// The files of all runs of the repository.
    pub store: RepositoryStore,
    /// What answers.
    pub sources: Sources,
    git_dir: PathBuf,
    commit: CommitId,
    git: Rc<Option<Git>>,
    successor: Successor,
    pusher_gone: bool,
    restarted: Option<Pending>,
}

impl World {
    /// Puts the parts together. `commit` is the pushed commit, also where a tag object was pushed. A repository that is gone leaves the remote and the provider to ask.
    #[must_use]
    pub fn new(
        recorder: Recorder,
        store: RepositoryStore,
        sources: Sources,
        git: Option<Git>,
        commit: CommitId,
    ) -> Self {
        let git_dir = PathBuf::from(&recorder.request().repository.git_dir);
        let pusher_gone = recorder.request().pusher.is_none();
        Self {
            clock: BootClock::begin(),
            recorder: Rc::new(RefCell::new(recorder)),
            store,
            sources,
            git_dir,
            commit,
            git: Rc::new(git),
            successor: Successor::default(),
            pusher_gone,
            restarted: None,
        }
    }

    fn look_at_remote(&self) -> Pending {
        let request = self.recorder.borrow().request().clone();
        let git = Rc::clone(&self.git);
        // A push that moves the ref back finds it containing the commit whether it landed or not.
        let before = request.previous.as_ref().map(|id| relate(git.as_ref().as_ref(), id.as_str(), &request.commit));
        let contained_before = before == Some(Relation::Contains);
        let command = ls_remote_command(&self.git_dir, &request.remote, &request.ref_name);
        Box::pin(async move {
            EventKind::LookedAtRemote(match ask_remote(command).await {
                Err(why) => RemoteLook::Unknown(why),
                Ok(output) => match read_ls_remote(&output, &request.ref_name) {
                    Some(there) if there == request.commit => RemoteLook::Landed,
                    Some(there) => match relate(git.as_ref().as_ref(), there.as_str(), &request.commit) {
                        Relation::Same => RemoteLook::Landed,
                        Relation::Contains if contained_before => RemoteLook::Elsewhere,
                        Relation::Contains => RemoteLook::Contains,
                        Relation::Other => RemoteLook::Elsewhere,
                    },
                    None => RemoteLook::Elsewhere,
                },
            })
        })
    }

    fn ask(&self, target: usize, stage: afterpush_core::run::StageKind, state: &State) -> Option<Pending> {
        let site_url = state.site_url(target).map(str::to_owned);
        let asking = self.sources.ask(target, stage, site_url, state.interval(target, stage))?;
        let git = Rc::clone(&self.git);
        let commit = self.commit.clone();
        Some(Box::pin(async move {
            let (answer, pace) = asking.await;
            let answer = answer.map(|answer| with_relations(answer, git.as_ref().as_ref(), &commit));
            EventKind::Answered { target, stage, answer, pace }
        }))
    }

    fn fetch_log(&self, target: usize) -> Option<Pending> {
        let fetching = self.sources.failure_log(target);
        let recorder = Rc::clone(&self.recorder);
        Some(Box::pin(async move {
            if let Some(fetching) = fetching {
                match fetching.await {
                    Ok(log) => {
                        let lines = clean_log(&log, LOG_LINES, LINE_CHARS);
                        recorder.borrow_mut().provider_log(&lines);
                    }
                    Err(fault) => {
                        recorder.borrow_mut().log(&format!("the provider's log could not be fetched: {fault}"))
                    }
                }
            }
            EventKind::LogFetched { target }
        }))
    }
}

impl Outside for World {
    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn roll(&mut self) -> f64 {
        fastrand::f64()
    }

    fn look_locally(&mut self) -> LocalLook {
        let recorder = self.recorder.borrow();
        let request = recorder.request();
        let Some(git) = self.git.as_ref() else { return LocalLook::NotSeen };
        let Some(tracking) = git.tracking_ref(&request.remote, &request.ref_name) else { return LocalLook::NotSeen };
        // Reflogs count whole seconds, and the push was seen before its reflog line was written.
        let since = request.pushed_at.as_second() - 1;
        if git.pushed_in_reflog(&tracking, &request.commit, since).unwrap_or(false) {
            return LocalLook::Landed(PushProof::Reflog);
        }
        // The ref alone could be from before the push; once `git push` has ended there is no better local witness.
        let at_commit = git.ref_target(&tracking).ok().flatten().is_some_and(|there| there == request.commit);
        if at_commit && self.pusher_gone { LocalLook::Landed(PushProof::TrackingRef) } else { LocalLook::NotSeen }
    }

    fn begin(&mut self, effect: &Effect, state: &State) -> Option<Pending> {
        self.recorder.borrow_mut().log_detail(|| format!("debug: {effect:?}"));
        match effect {
            Effect::LookAtRemote => Some(self.look_at_remote()),
            Effect::Ask { target, stage } => self.ask(*target, *stage, state),
            Effect::FetchLog { target } => self.fetch_log(*target),
            Effect::LookLocally | Effect::Landed | Effect::Record | Effect::Finish => None,
        }
    }

    fn landed(&mut self) {
        let mut recorder = self.recorder.borrow_mut();
        let request = recorder.request();
        let head =
            Head { commit: request.commit.clone(), request_id: request.id.clone(), pushed_at: request.pushed_at };
        let done = self.store.set_head(&request.remote, &request.ref_name, &head);
        if let Err(error) = done {
            recorder.log(&with_causes(&error));
        }
    }

    fn record(&mut self, state: &State) {
        let elapsed = self.clock.elapsed();
        self.recorder.borrow_mut().record(state, elapsed);
    }

    fn notices(&mut self) -> Vec<EventKind> {
        let mut events = Vec::new();
        if self.clock.was_suspended() {
            self.recorder.borrow_mut().log("the machine was suspended; asking everything anew");
            events.push(EventKind::Resumed);
        }
        let mut recorder = self.recorder.borrow_mut();
        if recorder.directory().stop_requested() {
            recorder.clear_stop();
            events.push(EventKind::Stop { reason: "stopped by request".to_owned() });
        }
        if let Some(request) = recorder.adopt_again() {
            let has_pusher = request.pusher.is_some();
            self.pusher_gone = !has_pusher;
            self.restarted = request.pusher.map(watch_pusher);
            events.push(EventKind::PushedAgain { has_pusher });
        }
        if let Some(newer) = self.successor.news(&self.store, recorder.request(), self.git.as_ref().as_ref()) {
            events.push(EventKind::Newer(newer));
        }
        events
    }

    fn started(&mut self) -> Option<Pending> {
        self.restarted.take()
    }

    fn heard(&mut self, kind: &EventKind) {
        if matches!(kind, EventKind::PusherGone { .. }) {
            self.pusher_gone = true;
        }
        if *kind != EventKind::Tick {
            // Events hold what was read and cleaned, and no credential or address that could carry one.
            self.recorder.borrow_mut().log_detail(|| format!("debug: {kind:?}"));
        }
    }
}

/// Waits for a `git push` process, which is looked up at once.
#[must_use]
pub fn watch_pusher(process: afterpush_core::file::Pusher) -> Pending {
    let end = pusher::wait(process);
    Box::pin(async move { EventKind::PusherGone { exit: end.await } })
}

async fn ask_remote(command: std::process::Command) -> Result<Vec<u8>, String> {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let limit = || format!("git ls-remote did not answer within {} s", LS_REMOTE.as_secs());
    let output = timeout(LS_REMOTE, command.output()).await.map_err(|_| limit())?;
    let output = output.map_err(|error| format!("could not run git ls-remote: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    // git's own words for why; it redacts passwords in URLs itself, and the URL that we gave it holds none.
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("fatal:")).or_else(|| said.lines().last()).unwrap_or("");
    Err(clean_line(&format!("git ls-remote failed: {}", line.trim()), 200))
}

fn relate(git: Option<&Git>, seen: &str, commit: &CommitId) -> Relation {
    git.map_or(Relation::Other, |git| git.relation(seen, commit))
}

/// Raises "another commit" to "one that contains ours" where the repository's history says so.
fn with_relations(mut answer: Answer, git: Option<&Git>, commit: &CommitId) -> Answer {
    let raise = |seen: &mut SeenCommit| {
        if seen.relation == Relation::Other {
            seen.relation = relate(git, &seen.id, commit);
        }
    };
    match &mut answer {
        Answer::Provider(observation) => {
            observation.serving.iter_mut().filter_map(|serving| serving.commit.as_mut()).for_each(raise);
        }
        Answer::Health(observation) => {
            let answers = observation.checks.iter_mut().flatten();
            answers.filter_map(|answer| answer.commit.as_mut()).for_each(raise);
        }
        Answer::Database(answer) => {
            if let Some(DatabaseObservation::Row(row)) = &mut answer.records {
                raise(&mut row.commit);
            }
        }
    }
    answer
}
