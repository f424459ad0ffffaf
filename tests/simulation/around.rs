//! The simulated surroundings of one monitor: answers that come late, never, stale or as trouble, and clocks that jump.

use std::{cell::Cell, future::pending, io, rc::Rc, time::Duration};

use afterpush_core::{
    fault::{Fault, FaultKind},
    file::{MonitorPid, ProcessId, Pusher, Request},
    id::CommitId,
    machine::{Answer, CheckPlan, EventKind, Pace, Plan, StagePlan, TargetPlan},
    observation::{DatabaseObservation, HealthObservation},
    run::StageKind,
};
use afterpush_git::Git;
use afterpush_monitor::{
    clock::Clocks,
    driver::Pending,
    surroundings::{Answering, Ask, Prepared, Surroundings},
};
use afterpush_store::RunDirectory;
use jiff::Timestamp;

use crate::{
    vendor::Time,
    world::{Action, World},
};

/// The machine as one monitor finds it.
pub(crate) struct Around {
    pub(crate) world: Rc<World>,
    pub(crate) life: u64,
    pub(crate) run: RunDirectory,
}

/// What becomes of one question on its way.
struct Fate {
    there: Duration,
    back: Duration,
    is_lost: bool,
    fault: Option<Fault>,
    lag: Duration,
}

impl World {
    fn fate(&self) -> Fate {
        let trouble = self.trouble();
        let mut dice = self.dice.borrow_mut();
        let there = if dice.chance(trouble / 2.0) { dice.millis(1_000, 30_000) } else { dice.millis(10, 800) };
        let fault = dice.chance(trouble).then(|| match dice.below(10) {
            0 => FaultKind::NotFound,
            1 => FaultKind::Malformed,
            2 | 3 => FaultKind::RateLimited,
            _ => FaultKind::Transient,
        });
        let fault = fault.map(|kind| Fault {
            retry_after: (kind == FaultKind::RateLimited).then(|| dice.millis(1_000, 60_000)),
            ..Fault::new(kind, format!("simulated: {kind}"))
        });
        let lag = if dice.chance(0.1) { dice.millis(100, 5_000) } else { Duration::ZERO };
        Fate { there, back: dice.millis(10, 400), is_lost: dice.chance(trouble / 10.0), fault, lag }
    }

    /// Sleeps until a time of the world; a machine that is suspended meanwhile wakes late or on time, as a real one.
    async fn sleep_until(&self, at: Time) {
        while let left @ 1.. = at.saturating_sub(self.time()).as_millis() {
            tokio::time::sleep(Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX))).await;
        }
    }
}

impl Surroundings for Around {
    fn now(&self) -> Timestamp {
        self.world.wall()
    }

    fn clocks(&self) -> Clocks {
        self.world.clocks()
    }

    fn roll(&self) -> f64 {
        self.world.dice.borrow_mut().roll()
    }

    fn most_monitors(&self) -> u32 {
        self.world.limit
    }

    fn identity(&self) -> io::Result<MonitorPid> {
        self.world.watches(self.life, &self.run);
        Ok(MonitorPid {
            process: ProcessId {
                pid: i32::try_from(1000 + self.life).unwrap_or(i32::MAX),
                start_time: self.life,
                boot_id: self.world.boot_id(),
                pid_namespace: "pid:[1]".to_owned(),
            },
            nonce: format!("life-{}", self.life),
            host: "simulated".to_owned(),
            started_at: self.world.wall(),
        })
    }

    fn signals(&self) -> Vec<Pending> {
        let wait = {
            let mut dice = self.world.dice.borrow_mut();
            if self.world.is_calm() || !dice.chance(0.03) {
                return Vec::new();
            }
            dice.millis(1_000, 200_000)
        };
        let (world, run) = (Rc::clone(&self.world), self.run.clone());
        vec![Box::pin(async move {
            tokio::time::sleep(wait).await;
            world.oracle.borrow_mut().stop_asked(&run);
            EventKind::Stop { reason: "stopped by SIGTERM".to_owned() }
        })]
    }

    fn watch_pusher(&self, pusher: Pusher) -> Pending {
        let world = Rc::clone(&self.world);
        let end = world.pushers.borrow().get(&pusher.process.pid).copied();
        let is_known = pusher.process.boot_id == world.boot_id();
        Box::pin(async move {
            let Some((ends, exit)) = end.filter(|(ends, _)| is_known && *ends > world.time()) else {
                return EventKind::PusherGone { exit: None };
            };
            world.sleep_until(ends).await;
            EventKind::PusherGone { exit }
        })
    }

    fn ask_remote(&self, request: &Request) -> Answering<Result<Vec<u8>, String>> {
        let (world, ref_name, fate) = (Rc::clone(&self.world), request.ref_name.clone(), self.world.fate());
        Box::pin(async move {
            if fate.is_lost {
                tokio::time::sleep(Duration::from_secs(20)).await;
                return Err("git ls-remote did not answer within 20 s".to_owned());
            }
            tokio::time::sleep(fate.there).await;
            let output = match fate.fault {
                Some(fault) => Err(fault.message),
                None => Ok(world
                    .forge
                    .borrow()
                    .head(ref_name.as_str())
                    .map_or_else(Vec::new, |head| format!("{head}\t{ref_name}\n").into())),
            };
            tokio::time::sleep(fate.back).await;
            output
        })
    }

    fn prepare(&self, request: &Request, commit: &CommitId, git: Option<&Git>, _: bool) -> Result<Prepared, String> {
        let world = &self.world;
        assert!(git.is_some(), "the clone is there");
        let pushed = world.pushed_at(request);
        if !world.is_calm() && world.dice.borrow_mut().chance(0.01) {
            world.oracle.borrow_mut().begins(&self.run, pushed, world.time(), true);
            return Err("the configuration cannot be used".to_owned());
        }
        world.oracle.borrow_mut().begins(&self.run, pushed, world.time(), false);
        let mut apps = Vec::new();
        let mut targets = Vec::new();
        for (number, app) in world.apps.borrow().iter().enumerate() {
            if app.ref_name != request.ref_name.as_str() {
                continue;
            }
            let plan = |has| if has { StagePlan::Ask } else { StagePlan::Unavailable("not configured".to_owned()) };
            let mut dice = world.dice.borrow_mut();
            targets.push(TargetPlan {
                provider: plan(app.has_provider),
                database: plan(app.has_database),
                health: plan(app.has_health),
                tells_deployments_apart: app.has_provider,
                health_needs_site: app.has_provider && dice.chance(0.3),
                health_checks: app
                    .has_health
                    .then(|| CheckPlan {
                        name: "health".to_owned(),
                        names_commit: true,
                        passes: u32::try_from(dice.below(3)).unwrap_or(0) + 1,
                        failures: 3,
                        flakes: u32::try_from(dice.below(2)).unwrap_or(0),
                    })
                    .into_iter()
                    .collect(),
                ..TargetPlan::unavailable(&app.name, "not configured")
            });
            apps.push(number);
        }
        Ok(Prepared {
            policy: world.policy.clone(),
            left_out: Vec::new(),
            plan: Plan { targets, has_pusher: request.pusher.is_some(), is_repeated: false },
            sources: Box::new(Sources { world: Rc::clone(world), apps, commit: commit.clone(), pushed }),
        })
    }

    fn start_waiting(&self, runs: &[RunDirectory], _: &RunDirectory) {
        for run in runs {
            self.world.start(run);
        }
    }
}

/// What the targets of one run are asked through.
struct Sources {
    world: Rc<World>,
    apps: Vec<usize>,
    commit: CommitId,
    pushed: Time,
}

impl Ask for Sources {
    fn ask(
        &self,
        target: usize,
        stage: StageKind,
        _: Option<String>,
        fresh_for: Duration,
    ) -> Option<Answering<(Result<Answer, Fault>, Pace)>> {
        let number = *self.apps.get(target)?;
        let (world, commit, pushed) = (Rc::clone(&self.world), self.commit.clone(), self.pushed);
        let fate = world.fate();
        // What another monitor of the same push was told serves as long as it is fresh.
        let key = (number, commit.clone(), pushed);
        if stage == StageKind::Provider
            && let Some((at, kept)) = world.shared.borrow().get(&key)
            && world.time() - *at < fresh_for.mul_f64(0.75)
        {
            let (answer, age) = (Ok(Answer::Provider(kept.clone())), world.time() - *at);
            return Some(Box::pin(async move { (answer, Pace { age, warning: None }) }));
        }
        Some(Box::pin(async move {
            if fate.is_lost {
                pending::<()>().await;
            }
            tokio::time::sleep(fate.there).await;
            let answer = world.answer(number, stage, &commit, pushed, &fate);
            if let Ok(Answer::Provider(observation)) = &answer {
                world.shared.borrow_mut().insert(key, (world.time(), observation.clone()));
            }
            tokio::time::sleep(fate.back).await;
            (answer, Pace::default())
        }))
    }

    fn failure_log(&self, _: usize) -> Option<Answering<Result<String, Fault>>> {
        let (world, fate) = (Rc::clone(&self.world), self.world.fate());
        Some(Box::pin(async move {
            if fate.is_lost {
                pending::<()>().await;
            }
            tokio::time::sleep(fate.there + fate.back).await;
            world.trace("the provider", "told a log");
            fate.fault.map_or_else(|| Ok("error: it broke\n".to_owned()), Err)
        }))
    }
}

impl World {
    fn answer(
        &self,
        number: usize,
        stage: StageKind,
        commit: &CommitId,
        pushed: Time,
        fate: &Fate,
    ) -> Result<Answer, Fault> {
        let mut apps = self.apps.borrow_mut();
        let app = &mut apps[number];
        let now = self.time();
        let is_refused = app.refused.is_some_and(|(from, to)| from <= now && now < to);
        if stage == StageKind::Provider && is_refused {
            return Err(Fault::new(FaultKind::Unauthorized, "simulated: 401"));
        }
        if let Some(fault) = &fate.fault {
            if fault.kind == FaultKind::NotFound {
                app.denials += 1;
            }
            return Err(fault.clone());
        }
        // Behind by a replica's lag, but never by so much that the answer is from before the push.
        let at = now.saturating_sub(fate.lag).max(pushed.min(now));
        let answer = match stage {
            StageKind::Provider => Answer::Provider(app.observe(commit, pushed, at)),
            StageKind::Database => Answer::Database(app.row(commit, pushed, at)),
            StageKind::Health => Answer::Health(HealthObservation { checks: vec![Ok(app.health(commit, at))] }),
        };
        self.trace(&app.name, &format!("says about {}: {}", commit.short(), shown(&answer)));
        Ok(answer)
    }

    /// Starts a monitor's process, which takes a moment, and sometimes fails.
    pub(crate) fn start(&self, run: &RunDirectory) {
        let (fails, wait) = {
            let mut dice = self.dice.borrow_mut();
            (!self.is_calm() && dice.chance(0.05), dice.millis(5, 400))
        };
        self.begun.borrow_mut().insert(run.path().to_owned(), self.time());
        if !fails {
            self.plan(self.time() + wait, Action::Begin(run.clone()));
        }
    }
}

/// An answer in a few words.
fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Provider(seen) => {
            let deployment = seen.deployment.as_ref().map_or("no deployment", |it| it.raw.as_str());
            let serving = seen.serving.as_ref().and_then(|it| Some(it.commit.as_ref()?.id.get(..7)?.to_owned()));
            format!("{deployment}, {} serves", serving.as_deref().unwrap_or("it does not tell what"))
        }
        Answer::Database(seen) => match &seen.records {
            Some(DatabaseObservation::Row(row)) => format!("row {}", row.raw),
            _ => "no row".to_owned(),
        },
        Answer::Health(seen) => {
            let said: Vec<_> =
                seen.checks.iter().flatten().map(|it| (it.healthy, it.commit.as_ref().map(|it| &it.id))).collect();
            format!("health {said:?}")
        }
    }
}

/// Gives numbers, each once.
#[derive(Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    pub(crate) fn next(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}
