//! What people and cron do in the simulated world, and chance itself: pushes, commands, kills, power losses, clocks.

use std::{collections::BTreeSet, time::Duration};

use afterpush_core::{
    file::{ProcessId, PushSource, Pusher, Request},
    id::{CommitId, RefName},
};
use afterpush_monitor::reconcile::start_missing;
use afterpush_store::{Liveness, Recorded, Repository, RepositoryStore, StateRoot, clean_up};

use crate::{
    forge::{Push, seconds},
    vendor::Time,
    world::{Action, MAIN, RELEASE, World},
};

/// One ref of a push.
struct Update {
    ref_name: &'static str,
    commit: CommitId,
    previous: Option<CommitId>,
    is_accepted: bool,
}

impl World {
    /// Plans a world: pushes, and whatever may go wrong until it gets calm.
    pub(crate) fn set_up(&self) {
        let calm = u64::try_from(self.chaos.calm_at.as_millis()).unwrap_or(1);
        let clones = self.forge.borrow().clones.len();
        let at = |share: u64| self.dice.borrow_mut().millis(0, calm * share / 100);
        let often = |most: usize| self.dice.borrow_mut().index(most + 1);
        for _ in 0..=often(5) {
            let clone = self.dice.borrow_mut().index(clones);
            self.plan(at(70), Action::Push(clone));
        }
        let apps = self.apps.borrow().len();
        if self.dice.borrow_mut().chance(0.3) {
            let app = self.dice.borrow_mut().index(apps);
            self.plan(at(100), Action::RollBack(app));
        }
        if self.chaos.deaths {
            (0..often(4)).for_each(|_| self.plan(at(100), Action::Kill));
            (0..often(2)).for_each(|_| self.plan(at(100), Action::PowerLoss));
        }
        if self.dice.borrow_mut().chance(0.3) {
            let span = self.dice.borrow_mut().millis(1_000, 400_000);
            self.plan(at(90), Action::Suspend(span));
        }
        if self.dice.borrow_mut().chance(0.3) {
            let span = self.dice.borrow_mut().one_of(&[-86_400, -300, -5, 5, 300, 86_400]);
            self.plan(at(100), Action::SetClock(span));
        }
        (0..often(6)).for_each(|_| self.plan(at(100), Action::Look));
        if self.dice.borrow_mut().chance(0.2) {
            self.plan(at(100), Action::Stop);
        }
        for clone in 0..clones {
            if self.dice.borrow_mut().chance(0.3) {
                let age = self.dice.borrow_mut().one_of(&[Duration::ZERO, seconds(60), seconds(7 * 86_400)]);
                self.plan(at(100), Action::CleanUp(clone, age));
            }
            self.plan(at(100), Action::Resume(clone));
            self.plan(self.chaos.calm_at, Action::Resume(clone));
        }
    }

    /// Does what was planned for now.
    pub(crate) fn act(&self, action: Action) {
        match action {
            Action::Push(clone) => self.push(clone),
            Action::Land(ref_name, commit) => self.land(ref_name, &commit),
            Action::Track(clone, ref_name, commit) => {
                self.forge.borrow().track(clone, ref_name, &commit, self.wall().as_second());
            }
            Action::Deploy(app, commit) => {
                let (now, mut dice) = (self.time(), self.dice.borrow_mut());
                let (number, steps) = self.apps.borrow_mut()[app].deploy(&commit, now, &mut dice);
                for (step, at) in steps.into_iter().enumerate() {
                    self.plan(at, Action::Advance(app, number, step));
                }
            }
            Action::Advance(app, number, step) => {
                self.apps.borrow_mut()[app].advance(number, step, self.time());
            }
            Action::RollBack(app) => {
                self.apps.borrow_mut()[app].roll_back(self.time(), &mut self.dice.borrow_mut());
            }
            Action::Suspend(span) => {
                self.trace("the machine", "sleeps");
                self.suspend(span);
            }
            Action::SetClock(seconds) => {
                self.trace("somebody", &format!("sets the wall's clock by {seconds} s"));
                self.set_clock(seconds);
            }
            Action::Resume(clone) => self.resume(clone),
            Action::Look => self.look(),
            Action::Stop => self.stop(),
            Action::CleanUp(clone, older_than) => self.clean_up(clone, older_than),
            // The world's loop does these itself.
            Action::Begin(_) | Action::Kill | Action::PowerLoss => {}
        }
    }

    /// `git push`: the hook, then the remote, then the clone's own note.
    fn push(&self, clone: usize) {
        let updates = self.updates(clone);
        if updates.is_empty() {
            return;
        }
        let now = self.time();
        let (has_hook, lands, ends, exit, is_killed) = {
            let mut dice = self.dice.borrow_mut();
            let lands = now + dice.millis(100, 8_000);
            let ends = lands + dice.millis(10, 1_500);
            let all_accepted = updates.iter().all(|update| update.is_accepted);
            let is_killed = dice.chance(0.05);
            let exit = if is_killed { -9 } else { i32::from(!all_accepted) };
            (dice.chance(0.9), lands, ends, (!dice.chance(0.2)).then_some(exit), is_killed)
        };
        let pid = i32::try_from(self.names.next()).unwrap_or(1);
        self.pushers.borrow_mut().insert(pid, (ends, exit));
        for update in &updates {
            let id = update.commit.clone();
            self.forge.borrow_mut().pushes.push(Push {
                began: now,
                clone,
                ref_name: update.ref_name,
                commit: id.clone(),
                is_accepted: update.is_accepted,
            });
            if update.is_accepted {
                self.plan(lands, Action::Land(update.ref_name, id.clone()));
                if !is_killed {
                    self.plan(ends, Action::Track(clone, update.ref_name, id));
                }
            }
        }
        if has_hook {
            self.program("the hook", || self.hook(clone, &updates, pid, now));
        }
    }

    /// Which refs somebody pushes, and whether the remote is going to accept them.
    fn updates(&self, clone: usize) -> Vec<Update> {
        let mut forge = self.forge.borrow_mut();
        let mut dice = self.dice.borrow_mut();
        let has_release = self.apps.borrow().iter().any(|app| app.ref_name == RELEASE);
        let refs: &[&'static str] = match dice.below(10) {
            0..6 => &[MAIN],
            6..8 if has_release => &[RELEASE],
            _ if has_release => &[MAIN, RELEASE],
            _ => &[MAIN],
        };
        let mut updates = Vec::new();
        for ref_name in refs {
            let head = forge.head(ref_name).cloned();
            let earlier: Vec<CommitId> = forge
                .pushes
                .iter()
                .filter(|push| push.clone == clone && push.ref_name == *ref_name)
                .map(|push| push.commit.clone())
                .collect();
            let (commit, is_forced) = match dice.below(10) {
                // On top of what is there.
                0..6 => {
                    if let Some(head) = &head {
                        forge.fetch(clone, head);
                    }
                    (forge.commit(clone, head.as_ref()), false)
                }
                // Once more what was pushed before, rejected or replaced meanwhile.
                6..9 if !earlier.is_empty() => (earlier[dice.index(earlier.len())].clone(), true),
                // Beside what is there.
                _ => (forge.commit(clone, earlier.first()), dice.chance(0.5)),
            };
            // git names no ref to the hook that is up to date.
            if head.as_ref() == Some(&commit) {
                continue;
            }
            let is_ahead = head.as_ref().is_none_or(|head| forge.contains(&commit, head));
            let is_accepted = (is_ahead || is_forced) && !dice.chance(0.1);
            updates.push(Update { ref_name, commit, previous: head, is_accepted });
        }
        updates
    }

    fn hook(&self, clone: usize, updates: &[Update], pid: i32, now: Time) {
        let Some((repository, store)) = self.store(clone, true) else { return };
        let _ = store.record_repository(
            &repository,
            &[("origin".to_owned(), "https://git.example.invalid/shop.git".to_owned())],
        );
        let exit_proves = !self.dice.borrow_mut().chance(0.15);
        let mut recorded = Vec::new();
        for update in updates {
            let request = Request {
                schema: Request::schema(),
                id: format!("{:032x}", self.names.next()),
                commit: update.commit.clone(),
                ref_name: RefName::parse(update.ref_name).unwrap(),
                remote: "origin".to_owned(),
                remote_url: "https://git.example.invalid/shop.git".to_owned(),
                previous: update.previous.clone(),
                pushed_at: self.wall(),
                boot_time: Some(self.boot_time()),
                source: PushSource::Hook,
                pusher: Some(Pusher {
                    process: ProcessId {
                        pid,
                        start_time: u64::from(pid.unsigned_abs()),
                        boot_id: self.boot_id(),
                        pid_namespace: "pid:[1]".to_owned(),
                    },
                    exit_proves,
                }),
                repository: repository.facts(),
            };
            self.requests.borrow_mut().insert(request.id.clone(), now);
            let run = store.run(&request.commit, &request.remote, &request.ref_name);
            self.oracle.borrow_mut().known(&run);
            match run.write_request(&request) {
                Ok(what) => {
                    self.trace(
                        "the hook",
                        &format!("accepts {} of {}: {what:?}", update.commit.short(), update.ref_name),
                    );
                    let mut oracle = self.oracle.borrow_mut();
                    let known = oracle.known(&run);
                    known.is_cleaned = false;
                    if what != Recorded::SamePush {
                        known.accepted.push(request.id);
                    }
                    recorded.push(run);
                }
                Err(_) => self.trace("the hook", "is refused by the disk"),
            }
        }
        for run in recorded {
            self.start(&run);
        }
        // One monitor of each push also starts what is missing in the repository.
        let wait = self.dice.borrow_mut().millis(10, 500);
        self.plan(self.time() + wait, Action::Resume(clone));
    }

    fn land(&self, ref_name: &'static str, commit: &CommitId) {
        let now = self.time();
        self.trace("the remote", &format!("has {} at {ref_name}", commit.short()));
        self.forge.borrow_mut().accept(now, ref_name, commit);
        for (number, app) in self.apps.borrow().iter().enumerate() {
            let mut dice = self.dice.borrow_mut();
            // A web hook that is lost is a deployment that never is.
            if app.ref_name == ref_name && !dice.chance(0.05) {
                self.plan(now + dice.millis(0, 20_000), Action::Deploy(number, commit.clone()));
            }
        }
    }

    fn store(&self, clone: usize, writes: bool) -> Option<(Repository, RepositoryStore)> {
        let git_dir = self.forge.borrow().clones[clone].git_dir.clone();
        let repository = Repository::locate(git_dir.parent()?, &self.environment).ok()?;
        let root = if writes {
            StateRoot::for_writing(&self.environment, &repository).ok()?
        } else {
            StateRoot::candidates(&self.environment, Some(&repository)).into_iter().next()?
        };
        let store = root.repository(&repository);
        Some((repository, store))
    }

    fn resume(&self, clone: usize) {
        let git_dir = self.forge.borrow().clones[clone].git_dir.clone();
        self.program("resume", || {
            let mut found = BTreeSet::new();
            let done = start_missing(&git_dir, &self.environment, self.wall(), &mut |run, _| {
                if found.insert(run.path().to_owned()) {
                    self.oracle.borrow_mut().known(run).is_cleaned = false;
                    self.start(run);
                }
                Ok(())
            });
            self.trace("resume", &format!("starts {}: {}", found.len(), done.is_ok()));
            if let (Err(error), true) = (&done, self.is_calm()) {
                let why = afterpush_core::fault::with_causes(error);
                self.oracle.borrow_mut().violated(format!("resume fails on a healthy disk: {why}"));
            }
        });
        if self.is_calm() {
            self.plan(self.time() + seconds(60), Action::Resume(clone));
        }
    }

    fn look(&self) {
        self.oracle.borrow_mut().touch_all();
        self.check();
    }

    fn stop(&self) {
        let runs = self.oracle.borrow().runs();
        if runs.is_empty() {
            return;
        }
        let run = runs[self.dice.borrow_mut().index(runs.len())].clone();
        self.program("stop", || match run.liveness(self.wall()) {
            Ok(Liveness::Running | Liveness::Starting) => {
                self.oracle.borrow_mut().stop_asked(&run);
                let _ = run.request_stop();
            }
            Ok(Liveness::Lost) => {
                self.oracle.borrow_mut().stop_asked(&run);
                let done = afterpush_cli::stop_unwatched(&run, self.wall());
                self.trace("stop", &format!("ends it: {}", done.is_ok()));
            }
            _ => {}
        });
    }

    fn clean_up(&self, clone: usize, older_than: Duration) {
        self.program("cleanup", || {
            let Some((_, store)) = self.store(clone, false) else { return };
            let Ok(cleanup) = clean_up(&store, self.wall(), older_than, false) else { return };
            self.trace("cleanup", &format!("removes {}", cleanup.removed.len()));
            let mut oracle = self.oracle.borrow_mut();
            for run in &cleanup.removed {
                oracle.known(run).is_cleaned = true;
            }
            drop(oracle);
            cleanup.wanted.iter().for_each(|run| self.start(run));
        });
        // One that died may have removed what it never told.
        let runs = self.oracle.borrow().runs();
        for run in runs {
            if !run.path().exists() && self.cleanup_may_remove(&run) {
                self.oracle.borrow_mut().known(&run).is_cleaned = true;
            }
        }
    }
}

impl World {
    /// Whether a cleanup that died may have begun to remove a run: it had ended.
    fn cleanup_may_remove(&self, run: &afterpush_store::RunDirectory) -> bool {
        self.oracle.borrow_mut().known(run).has_result()
    }
}
