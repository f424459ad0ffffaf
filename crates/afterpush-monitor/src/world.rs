//! The outside of the machine: the run's files, the repository, and what the surroundings answer.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use afterpush_core::{
    fault::with_causes,
    file::{Head, PushSource, Report, Request},
    id::CommitId,
    machine::{Answer, Effect, EventKind, LocalLook, PushProof, RemoteLook, State},
    observation::DatabaseObservation,
    run::{OutcomeWord, Relation, SeenCommit},
    text::clean_log,
};
use afterpush_git::{Git, read_ls_remote};
use afterpush_store::RepositoryStore;

use crate::{
    clock::RunClock,
    driver::{Outside, Pending},
    recorder::Recorder,
    relations::Relations,
    successor::Successor,
    surroundings::{Ask, Surroundings},
};

/// How much of a failed deployment's log is kept.
const LOG_LINES: usize = 200;
const LINE_CHARS: usize = 500;

/// A target's name, and the provider's id of a deployment.
type TargetDeployment = (String, String);

/// Everything outside of the machine.
pub(crate) struct World<'a, S> {
    surroundings: &'a S,
    clock: RunClock,
    /// Shared by what is under way and the loop; never borrowed across an await.
    recorder: Rc<RefCell<Recorder>>,
    store: RepositoryStore,
    sources: Box<dyn Ask>,
    relations: Relations,
    /// The deployments that earlier pushes of the same commit had.
    earlier: Rc<BTreeSet<TargetDeployment>>,
    successor: Successor,
    pusher_gone: bool,
    /// The monitor of this run that died before us had a proof that the push landed. What proved it may be gone by now: a remote
    /// moves on, and a `git push` that was killed notes nothing.
    was_proven: bool,
    restarted: Option<Pending>,
}

impl<'a, S: Surroundings> World<'a, S> {
    /// Puts the parts together. `commit` is the pushed commit, also where a tag object was pushed. A repository that is gone leaves the remote and the provider to ask.
    pub(crate) fn new(
        recorder: Recorder,
        store: RepositoryStore,
        sources: Box<dyn Ask>,
        git: Option<Git>,
        commit: CommitId,
        surroundings: &'a S,
    ) -> Self {
        let request = recorder.request();
        let pusher_gone = request.pusher.is_none();
        // Of this very push: a report goes on showing the proof of an earlier one when the commit is pushed again meanwhile.
        let head = store.head(&request.remote, &request.ref_name).ok().flatten();
        let was_proven = head.is_some_and(|head| head.request_id == request.id);
        let this_boot = recorder.boot_id().to_owned();
        let earlier = recorder.directory().earlier_results();
        let is_repeated = earlier.iter().any(|it| it.outcome.outcome != Some(OutcomeWord::PushNotCompleted));
        let relations = Relations::of(git, store.clone(), commit, request.clone(), this_boot, is_repeated);
        let earlier = earlier.iter().filter(|_| is_own_push(request)).flat_map(deployments_in).collect();
        Self {
            surroundings,
            clock: RunClock::begin(surroundings.clocks()),
            recorder: Rc::new(RefCell::new(recorder)),
            store,
            sources,
            relations,
            earlier: Rc::new(earlier),
            successor: Successor::default(),
            pusher_gone,
            was_proven,
            restarted: None,
        }
    }

    /// Whether the ref had the commit before this push.
    pub(crate) fn is_repeated(&self) -> bool {
        self.relations.is_repeated()
    }

    /// Writes the result, and gives the run's files up.
    pub(crate) async fn finish(self, state: &State) {
        let elapsed = self.elapsed();
        let Self { recorder, store, surroundings, .. } = self;
        // What was under way has been dropped with the loop, so nobody else holds the recorder.
        if let Some(recorder) = Rc::into_inner(recorder) {
            let mut recorder = recorder.into_inner();
            recorder.finish(state, elapsed, surroundings.now(), &store).await;
            recorder.release();
        }
    }

    fn look_at_remote(&self) -> Pending {
        let request = self.recorder.borrow().request().clone();
        let relations = self.relations.clone();
        let asking = self.surroundings.ask_remote(&request);
        Box::pin(async move {
            EventKind::LookedAtRemote(match asking.await {
                Err(why) => RemoteLook::Unknown(why),
                Ok(output) => read_ls_remote(&output, &request.ref_name)
                    .map_or(RemoteLook::Elsewhere, |there| relations.judge_head(&there)),
            })
        })
    }

    fn ask(&self, target: usize, stage: afterpush_core::run::StageKind, state: &State) -> Option<Pending> {
        let site_url = state.site_url(target).map(str::to_owned);
        let asking = self.sources.ask(target, stage, site_url, state.interval(target, stage))?;
        let (relations, earlier) = (self.relations.clone(), Rc::clone(&self.earlier));
        let name = state.whose_deployments_have_ids(target).map(str::to_owned);
        Some(Box::pin(async move {
            let (answer, pace) = asking.await;
            let is_earlier =
                |id: &str| name.as_ref().is_some_and(|name| earlier.contains(&(name.clone(), id.to_owned())));
            let answer = answer.map(|answer| match answer {
                Answer::Provider(seen) => Answer::Provider(seen.of_this_push(is_earlier)),
                other => other,
            });
            let answer = answer.map(|answer| with_relations(answer, &relations));
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

impl<S: Surroundings> World<'_, S> {
    /// Whether an earlier push of the ref says that it was later. Then the reflog's line of an earlier push of the same commit, which
    /// has nothing but the wall's time, could pass for this one's.
    fn was_clock_set_back(&self, recorder: &Recorder) -> bool {
        let request = recorder.request();
        let head = self.store.head(&request.remote, &request.ref_name).ok().flatten();
        head.is_some_and(|head| {
            head.pushed_at > request.pushed_at && request.time().is_after(head.time(), recorder.boot_id())
        })
    }
}

impl<S: Surroundings> Outside for World<'_, S> {
    fn elapsed(&self) -> Duration {
        self.clock.elapsed(self.surroundings.clocks())
    }

    fn roll(&mut self) -> f64 {
        self.surroundings.roll()
    }

    fn look_locally(&mut self) -> LocalLook {
        if self.was_proven {
            return LocalLook::Landed(PushProof::Earlier);
        }
        let recorder = self.recorder.borrow();
        let request = recorder.request();
        let Some(git) = self.relations.git() else { return LocalLook::NotSeen };
        let Some(tracking) = git.tracking_ref(&request.remote, &request.ref_name) else { return LocalLook::NotSeen };
        // Reflogs count whole seconds, and the push was seen before its reflog line was written.
        let times = request.pushed_at.as_second() - 1..=self.surroundings.now().as_second() + 1;
        let is_noted = || git.pushed_in_reflog(&tracking, &request.commit, times).unwrap_or(false);
        if is_noted() && !self.was_clock_set_back(&recorder) {
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
        let head = Head::of(request);
        let done = self.store.set_head(&request.remote, &request.ref_name, &head, recorder.boot_id());
        if let Err(error) = done {
            recorder.log(&with_causes(&error));
        }
    }

    fn record(&mut self, state: &State) {
        let elapsed = self.elapsed();
        self.recorder.borrow_mut().record(state, elapsed, self.surroundings.now());
    }

    fn notices(&mut self) -> Vec<EventKind> {
        let mut events = Vec::new();
        if self.clock.was_suspended(self.surroundings.clocks()) {
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
            self.was_proven = false;
            self.relations = self.relations.repeat(request.clone());
            let status = recorder.directory().status().ok().flatten();
            let earlier = status.iter().filter(|_| is_own_push(&request)).flat_map(deployments_in);
            Rc::make_mut(&mut self.earlier).extend(earlier);
            self.restarted = request.pusher.map(|pusher| self.surroundings.watch_pusher(pusher));
            events.push(EventKind::PushedAgain { has_pusher });
        }
        let (request, git) = (recorder.request(), self.relations.git());
        let newer = self.successor.news(&self.store, request, git, recorder.boot_id());
        events.extend(newer.map(EventKind::Newer));
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

/// Who asks for a commit to be watched makes no push: the deployment of the one that there was is what is asked for.
fn is_own_push(request: &Request) -> bool {
    request.source != PushSource::Person
}

fn deployments_in(report: &Report) -> impl Iterator<Item = TargetDeployment> {
    report.targets.iter().flat_map(|target| target.deployments().map(|id| (target.name.clone(), id.to_owned())))
}

/// Raises "another commit" to "one that contains ours" where the repository's history says so.
fn with_relations(mut answer: Answer, relations: &Relations) -> Answer {
    let raise = |seen: &mut SeenCommit| {
        if seen.relation == Relation::Other {
            seen.relation = relations.relation(&seen.id);
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
