//! Knows the truth, and compares it with what the files say: the promises, checked after every change.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use afterpush_core::{
    file::{OutcomeFields, Report, Request, TargetReport},
    id::CommitId,
    observation::DeploymentState,
    run::{OutcomeWord, Verdict},
};
use afterpush_store::{RepositoryStore, RunDirectory};

use crate::{
    vendor::{App, Span, Time},
    world::World,
};

/// What is known of one run.
pub(crate) struct Known {
    pub(crate) run: RunDirectory,
    /// What the hook accepted, oldest first.
    pub(crate) accepted: Vec<String>,
    /// The request that the newest attempt began with was pushed then, and the attempt began then.
    attempt: Option<(Time, Time)>,
    is_broken: bool,
    stop_asked: bool,
    /// By request: how it ended, and whether that was announced.
    results: BTreeMap<String, (OutcomeFields, bool)>,
    watcher: Option<u64>,
    /// The newest monitor was killed.
    was_killed: bool,
    pub(crate) is_cleaned: bool,
}

/// The judge of one world.
#[derive(Default)]
pub(crate) struct Oracle {
    runs: BTreeMap<PathBuf, Known>,
    dirty: BTreeSet<PathBuf>,
    pub(crate) violation: Option<String>,
    /// What was seen to happen, so that a world in which nothing happens is noticed.
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    pub(crate) checks: u64,
}

impl Oracle {
    pub(crate) fn known(&mut self, run: &RunDirectory) -> &mut Known {
        self.runs.entry(run.path().to_owned()).or_insert_with(|| Known {
            run: run.clone(),
            accepted: Vec::new(),
            attempt: None,
            is_broken: false,
            stop_asked: false,
            results: BTreeMap::new(),
            watcher: None,
            was_killed: false,
            is_cleaned: false,
        })
    }

    pub(crate) fn runs(&self) -> Vec<RunDirectory> {
        self.runs.values().map(|known| known.run.clone()).collect()
    }

    pub(crate) fn violated(&mut self, text: String) {
        self.violation.get_or_insert(text);
    }

    pub(crate) fn stop_asked(&mut self, run: &RunDirectory) {
        self.known(run).stop_asked = true;
    }

    pub(crate) fn begins(&mut self, run: &RunDirectory, pushed: Time, now: Time, is_broken: bool) {
        let known = self.known(run);
        known.attempt = Some((pushed, now));
        known.is_broken = is_broken;
        known.is_cleaned = false;
    }

    /// A monitor has taken the lock and a place.
    pub(crate) fn watches(&mut self, life: u64, run: &RunDirectory) -> usize {
        let known = self.known(run);
        if let Some(other) = known.watcher.replace(life).filter(|other| *other != life) {
            self.violated(format!("monitors {other} and {life} watch the same run {}", run.path().display()));
        }
        self.runs.values().filter(|known| known.watcher.is_some()).count()
    }

    pub(crate) fn watched_by(&self, life: u64) -> Vec<RunDirectory> {
        self.runs.values().filter(|known| known.watcher == Some(life)).map(|known| known.run.clone()).collect()
    }

    /// A monitor's process is gone.
    pub(crate) fn gone(&mut self, life: u64, was_killed: bool) {
        for (path, known) in &mut self.runs {
            if known.watcher == Some(life) {
                known.watcher = None;
                known.was_killed = was_killed;
                self.dirty.insert(path.clone());
            }
        }
    }

    /// Something below a path is about to change.
    pub(crate) fn touched(&mut self, path: &std::path::Path) {
        let run = self.runs.keys().find(|run| path.starts_with(run) || run.starts_with(path)).cloned();
        self.dirty.extend(run);
    }

    pub(crate) fn touch_all(&mut self) {
        self.dirty.extend(self.runs.keys().cloned());
    }
}

impl Known {
    /// Whether some attempt has ended.
    pub(crate) fn has_result(&self) -> bool {
        !self.results.is_empty()
    }
}

impl World {
    /// Compares what has changed with the truth.
    pub(crate) fn check(&self) {
        let dirty = std::mem::take(&mut self.oracle.borrow_mut().dirty);
        for path in dirty {
            self.oracle.borrow_mut().checks += 1;
            if let Err(why) = self.check_run(&RunDirectory::at(&path)) {
                let name = self.name_of(&path);
                self.oracle.borrow_mut().violated(format!("{name}: {why}"));
            }
        }
    }

    fn check_run(&self, run: &RunDirectory) -> Result<(), String> {
        let unreadable =
            |error: afterpush_store::StoreError| format!("unreadable: {}", afterpush_core::fault::with_causes(&error));
        let (again, result) = (run.again().map_err(unreadable)?, run.result().map_err(unreadable)?);
        let request = run.request().map_err(unreadable)?;
        let is_unsynced = self.disk.borrow().is_unsynced(&run.path().join("result.json"));
        if let Some(result) = &result {
            self.judge(run, result, is_unsynced)?;
        }
        self.keeps_results(run, request.as_ref(), result.as_ref(), again.is_some())?;
        // What a person is told now.
        let Some((word, code)) = afterpush_cli::verdict(run, self.wall())? else {
            return if request.is_some() { Err("deploy-status does not find it".to_owned()) } else { Ok(()) };
        };
        let ended = result.as_ref().filter(|_| again.is_none()).and_then(|result| result.outcome.outcome);
        match ended {
            Some(outcome) if (code == 0) != outcome.is_live() || code > 1 => {
                Err(format!("deploy-status says {word} ({code}) of a run that ended {outcome}"))
            }
            Some(_) => Ok(()),
            None if code != 2 => Err(format!("deploy-status says {word} ({code}) without a result")),
            None if word == "in_progress" => self.is_in_progress(run, again.or(request).as_ref()),
            None => Ok(()),
        }
    }

    /// "In progress" needs somebody who is at it, or is about to be.
    fn is_in_progress(&self, run: &RunDirectory, newest: Option<&Request>) -> Result<(), String> {
        let is_watched = self.oracle.borrow_mut().known(run).watcher.is_some();
        let is_young = newest.is_some_and(|request| {
            self.wall().duration_since(request.pushed_at).unsigned_abs() < Duration::from_secs(10)
        });
        let is_waiting = || newest.is_some_and(|request| afterpush_store::Places::of_run(run, 0).is_waiting(request));
        // Within a step the one that is just at work may hold the lock without being a watcher yet: a monitor that begins, a
        // command that ends the run.
        let is_at_work = self.is_within_step();
        if is_watched || is_young || is_at_work || is_waiting() {
            return Ok(());
        }
        Err("deploy-status says that it is in progress, and nobody is at it".to_owned())
    }

    fn keeps_results(
        &self,
        run: &RunDirectory,
        request: Option<&Request>,
        result: Option<&Report>,
        has_newer: bool,
    ) -> Result<(), String> {
        let mut oracle = self.oracle.borrow_mut();
        let known = oracle.known(run);
        if known.is_cleaned {
            return Ok(());
        }
        let Some(newest) = request else {
            // Cleanup says what it has removed when it is done.
            return if self.is_within_step() {
                Ok(())
            } else if known.results.values().any(|(_, announced)| *announced) || !known.accepted.is_empty() {
                Err("what the hook accepted is gone, and nobody cleaned up".to_owned())
            } else {
                Ok(())
            };
        };
        match (known.results.get(&newest.id), result) {
            (_, Some(result)) if result.request_id != newest.id && !has_newer => {
                Err("the result of an earlier push stands for this one".to_owned())
            }
            (Some((outcome, true)), Some(result)) if result.outcome != *outcome => {
                Err(format!("the outcome {:?} has become {:?}", outcome.outcome, result.outcome.outcome))
            }
            (Some((outcome, true)), None) if !has_newer => {
                Err(format!("the announced result {:?} is gone", outcome.outcome))
            }
            _ => Ok(()),
        }
    }

    /// Judges a result when it is first seen, and remembers it.
    fn judge(&self, run: &RunDirectory, result: &Report, is_unsynced: bool) -> Result<(), String> {
        let mut oracle = self.oracle.borrow_mut();
        let known = oracle.known(run);
        // Told to nobody for good before it is on the disk, or before its monitor has let go of it: one that is killed between
        // the rename and the sync leaves it to the kernel to write it within seconds.
        let announced = !is_unsynced || (known.watcher.is_none() && !known.was_killed);
        if let Some((outcome, was_announced)) = known.results.get_mut(&result.request_id) {
            *was_announced |= announced;
            if *outcome == result.outcome {
                return Ok(());
            }
            if *was_announced {
                return Err(format!("the outcome {:?} has become {:?}", outcome.outcome, result.outcome.outcome));
            }
        }
        known.results.insert(result.request_id.clone(), (result.outcome.clone(), announced));
        let Some((since, began)) = known.attempt else {
            // A person ended it before a monitor was there.
            return if known.stop_asked { Ok(()) } else { Err("a result without a monitor".to_owned()) };
        };
        let (is_broken, stop_asked) = (known.is_broken, known.stop_asked);
        let word = result.outcome.outcome.ok_or("a result without an outcome")?;
        *oracle.outcomes.entry(word.as_str()).or_default() += 1;
        drop(oracle);
        self.trace(
            "the oracle",
            &format!("{} ended {word}: {}", result.commit.short(), result.reason.as_deref().unwrap_or("")),
        );
        let head = RepositoryStore::of_run(run).head(&result.remote, &result.ref_name).ok().flatten();
        if word == OutcomeWord::PushNotCompleted && head.is_some_and(|head| head.request_id == result.request_id) {
            return Err("a push that was noted as landed has ended as not completed".to_owned());
        }
        let case = Case { result, since, began, now: self.time(), is_broken, stop_asked };
        case.judge(self, word).map_err(|why| format!("{word} ({}), but {why}", result.reason.as_deref().unwrap_or("")))
    }
}

/// A result, and the time that it speaks of.
struct Case<'a> {
    result: &'a Report,
    since: Time,
    began: Time,
    now: Time,
    is_broken: bool,
    stop_asked: bool,
}

impl Case<'_> {
    fn span(&self) -> Span {
        (self.since, self.now)
    }

    fn judge(&self, world: &World, word: OutcomeWord) -> Result<(), String> {
        use DeploymentState::{Blocked, Canceled, Failed, Replaced, Skipped, Superseded};
        let (forge, apps) = (world.forge.borrow(), world.apps.borrow());
        let commit = &self.result.commit;
        let ref_name = self.result.ref_name.as_str();
        let ours: Vec<&App> = apps.iter().filter(|app| app.ref_name == ref_name).collect();
        let has = |on: bool, why: &str| if on { Ok(()) } else { Err(why.to_owned()) };
        let was = |states: &[DeploymentState]| {
            ours.iter().any(|app| app.deployments_of(commit, self.span()).any(|it| it.was(states, self.span())))
        };
        let landed = forge.had_in(ref_name, self.span()).any(|it| forge.contains(it, commit));
        if self.result.push_proof.is_some() {
            has(
                landed || ours.iter().any(|app| app.deployments_of(commit, self.span()).next().is_some()),
                "the push that it says has landed has not",
            )?;
        }
        match word {
            OutcomeWord::Live | OutcomeWord::LiveContained => {
                self.names_proof(&ours)?;
                let by = self.result.outcome.outcome_by.as_deref();
                for app in ours {
                    if self.skips(app) {
                        let skipped = app.deployments_of(commit, self.span()).any(|it| it.was(&[Skipped], self.span()));
                        has(skipped, &format!("{} did not skip it", app.name))?;
                        continue;
                    }
                    let contains = |it: &CommitId| word == OutcomeWord::LiveContained && forge.contains(it, commit);
                    let serves = |it: &CommitId| it == commit || contains(it);
                    // What served before a push that moves a branch back contains the commit, too.
                    let is_served =
                        app.served_in(self.span()).any(|it| it == commit) || app.deployed_in(self.span()).any(contains);
                    has(is_served, &format!("{} never served it", app.name))?;
                    let answers = !app.has_health || app.answered_in(self.span()).any(serves);
                    has(answers, &format!("{} never answered with it", app.name))?;
                }
                let by = by.map(|by| CommitId::parse(by).map_err(|error| error.to_string())).transpose()?;
                has(by.is_none_or(|by| forge.contains(&by, commit)), "what is live instead does not contain it")
            }
            OutcomeWord::DeployFailed => has(was(&[Failed]), "no deployment of it failed"),
            OutcomeWord::DatabaseFailed => {
                has(ours.iter().any(|app| app.broke_database(commit, self.span())), "no database failed")
            }
            OutcomeWord::HealthFailed => {
                has(ours.iter().any(|app| app.was_unhealthy(self.span())), "the application was healthy all the time")
            }
            OutcomeWord::TimedOut => has(self.is_late(world), "its time was not over"),
            OutcomeWord::NoDeployment => {
                // The push that the result is of: its monitor may have followed an earlier one of the commit before.
                let known = world.requests.borrow().get(&self.result.request_id).copied();
                let pushed = known.unwrap_or_default().max(self.since);
                let never = |app: &&App| {
                    let until = self.now.saturating_sub(Duration::from_secs(60));
                    app.denials > 1 || app.deployments_of(commit, (pushed, until)).next().is_none()
                };
                has(ours.iter().any(never), "every application deployed it")
            }
            OutcomeWord::Skipped => has(was(&[Skipped]), "no application skipped it"),
            OutcomeWord::Blocked => {
                has(was(&[Blocked]) && self.is_late(world), "no deployment of it was blocked to the end")
            }
            OutcomeWord::Superseded => {
                let is_replaced = forge.had_in(ref_name, self.span()).any(|it| it != commit)
                    || ours.iter().any(|app| app.served_in(self.span()).any(|it| it != commit));
                has(is_replaced || was(&[Superseded, Replaced, Canceled]), "nothing took its place")
            }
            OutcomeWord::Canceled => has(was(&[Canceled]), "no deployment of it was canceled"),
            OutcomeWord::PushNotCompleted => {
                let says_gone = self.result.reason.as_deref().is_some_and(|reason| reason.contains("does not have"));
                let is_there = forge.head(ref_name).is_some_and(|head| forge.contains(head, commit));
                let moved = forge.had_in(ref_name, self.span()).any(|it| !forge.contains(it, commit));
                // Moved back by the push, and forth by another one: nobody who looks then can tell.
                let is_back =
                    forge.had_in(ref_name, (self.since, self.since)).any(|it| Some(it) == forge.head(ref_name));
                let was_accepted = forge.newest_push(ref_name, commit).is_some_and(|push| push.is_accepted);
                has(!(says_gone && is_there && was_accepted) || moved || is_back, "the remote has it")
            }
            OutcomeWord::Unauthorized => {
                let is_refused =
                    |app: &&App| app.refused.is_some_and(|(from, to)| from <= self.now && to >= self.since);
                has(ours.iter().any(is_refused), "no credential was refused")
            }
            OutcomeWord::Stopped => has(self.stop_asked, "nobody stopped it"),
            OutcomeWord::Unverified => has(ours.iter().any(|app| !app.has_provider), "the provider could be asked"),
            OutcomeWord::Errored => has(self.is_broken, "nothing was broken"),
        }
    }

    fn is_late(&self, world: &World) -> bool {
        self.now >= self.began + world.policy.deadline
    }

    /// Whether the result says that the application skipped the commit.
    fn skips(&self, app: &App) -> bool {
        let says =
            |target: &TargetReport| target.name == app.name && target.outcome.outcome == Some(OutcomeWord::Skipped);
        self.result.targets.iter().any(says)
    }

    /// Each target of a live run shows a stage that passed and named what is live.
    fn names_proof(&self, apps: &[&App]) -> Result<(), String> {
        let proof = self.result.outcome.outcome_by.as_deref().unwrap_or_default();
        for target in self.result.targets.iter().filter(|it| it.outcome.outcome != Some(OutcomeWord::Skipped)) {
            let names = |named: &str| {
                self.result.commit.is_named_by(named)
                    || named == proof
                    || self.result.outcome.outcome == Some(OutcomeWord::LiveContained)
            };
            let is_proven = target
                .stages
                .iter()
                .any(|stage| stage.verdict == Verdict::Passed && stage.commit.as_deref().is_some_and(names));
            // Contained in a later push of the same ref, whose own run proves it.
            let by_successor = target.outcome.outcome == Some(OutcomeWord::LiveContained);
            if !is_proven && !by_successor {
                return Err(format!("{} shows no proof that names it", target.name));
            }
        }
        if self.result.targets.len() == apps.len() { Ok(()) } else { Err("a target is missing".to_owned()) }
    }
}
