//! The state of a run: its push, its targets, and how it ended.

use std::time::Duration;

use super::{
    event::{Effect, Event, EventKind, Moment, Newer},
    plan::Plan,
    push::{Finding, Push, PushProof},
    target::Target,
};
use crate::{
    policy::Policy,
    run::{Outcome, Phase, StageKind},
};

/// Everything that is known about a run.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub(super) push: Push,
    pub(super) targets: Vec<Target>,
    newer: Option<Newer>,
    deadline: Duration,
    outcome: Option<Outcome>,
    reason: Option<String>,
}

impl State {
    /// The beginning of a run.
    #[must_use]
    pub fn new(plan: Plan, policy: &Policy) -> Self {
        Self {
            push: Push::new(plan.has_pusher),
            targets: plan.targets.into_iter().map(|target| Target::new(target, plan.is_repeated, policy)).collect(),
            newer: None,
            deadline: policy.deadline,
            outcome: None,
            reason: None,
        }
    }

    /// How the run ended; `None` while it runs.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Why it ended so, or what it waits for.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// What proved that the push landed.
    #[must_use]
    pub fn push_proof(&self) -> Option<PushProof> {
        self.push.proof
    }

    /// The target's name in the configuration, where its deployments can be told apart by their ids.
    #[must_use]
    pub fn whose_deployments_have_ids(&self, target: usize) -> Option<&str> {
        let plan = &self.targets.get(target)?.plan;
        plan.tells_deployments_apart.then_some(plan.name.as_str())
    }

    /// The address at which a target's application answers, once the provider has told it.
    #[must_use]
    pub fn site_url(&self, target: usize) -> Option<&str> {
        self.targets.get(target).and_then(|target| target.site_url.as_deref())
    }

    /// How long a stage waits from one question to the next now, the jitter aside: an answer of another monitor that is
    /// younger than this serves as well as one of our own.
    #[must_use]
    pub fn interval(&self, target: usize, stage: StageKind) -> Duration {
        self.targets.get(target).map_or(Duration::ZERO, |target| target.stage(stage).interval())
    }

    /// Where the run is: where its target that is furthest behind is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.outcome.is_some() {
            return Phase::Finished;
        }
        if self.push.proof.is_none() {
            return Phase::ConfirmingPush;
        }
        let running = self.targets.iter().map(Target::phase).filter(|phase| *phase != Phase::Finished).min();
        running.unwrap_or(Phase::Verifying)
    }

    /// When the state acts by itself: the driver owes it a [`EventKind::Tick`] then. `None` only when the run is finished.
    #[must_use]
    pub fn next_due(&self, policy: &Policy) -> Option<Duration> {
        if self.outcome.is_some() {
            return None;
        }
        let push = self.push.proof.is_none().then(|| self.push.next_due(policy));
        let targets = self.targets.iter().filter_map(|target| target.next_due(policy));
        Some(push.into_iter().chain(targets).fold(self.deadline, Duration::min))
    }

    /// When the run ends at the latest, counted from the monitor's beginning.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(super) fn take(&mut self, policy: &Policy, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        let moment = Moment { now, roll: event.roll, age: Duration::ZERO };
        match event.kind {
            EventKind::Start => {
                effects.push(Effect::Record);
                if self.targets.is_empty() {
                    let reason = "the pushed commit's configuration has no target for this ref";
                    self.finish(Outcome::Skipped, reason.to_owned(), effects);
                    return;
                }
            }
            EventKind::Tick => {}
            EventKind::Resumed => self.targets.iter_mut().for_each(|target| target.ask_now(now)),
            EventKind::PusherGone { exit } => self.push.pusher_gone(now, exit, effects),
            EventKind::LookedLocally(look) if self.push.proof.is_none() => {
                let finding = self.push.looked_locally(now, look);
                self.heed(policy, moment, finding, effects);
            }
            EventKind::LookedAtRemote(look) if self.push.proof.is_none() => {
                effects.push(Effect::Record);
                let finding = self.push.looked_at_remote(policy, moment, look);
                self.heed(policy, moment, finding, effects);
            }
            EventKind::LookedLocally(_) | EventKind::LookedAtRemote(_) => {}
            EventKind::PushedAgain { has_pusher } => {
                for target in &mut self.targets {
                    target.is_repeated = true;
                    // A deployment of this push has as much time to appear as one of the push before had.
                    target.landed_at = target.landed_at.map(|_| now);
                }
                self.push.begin_again(now, has_pusher);
            }
            EventKind::Answered { target, stage, answer, pace } => {
                effects.push(Effect::Record);
                if let Some(target) = self.targets.get_mut(target) {
                    let moment = Moment { age: pace.age, ..moment };
                    target.take_answer(policy, moment, stage, answer, self.newer.as_ref());
                    target.stage_mut(stage).warning = pace.warning;
                    if self.push.proof.is_none() && target.deployment_is_ours() {
                        self.heed(policy, moment, Finding::Landed(PushProof::Provider), effects);
                    }
                }
            }
            EventKind::LogFetched { target } => {
                if let Some(target) = self.targets.get_mut(target) {
                    target.log_fetched();
                }
            }
            EventKind::Newer(newer) => {
                effects.push(Effect::Record);
                self.targets.iter_mut().for_each(|target| target.overtaken(&newer));
                self.newer = Some(newer);
            }
            EventKind::Stop { reason } => return self.finish(Outcome::Stopped, reason, effects),
            EventKind::Broken { reason } => return self.finish(Outcome::Errored, reason, effects),
        }
        if self.outcome.is_none() {
            self.act(policy, moment, effects);
        }
    }

    /// Does what is due, and ends the run when there is nothing left to wait for.
    fn act(&mut self, policy: &Policy, moment: Moment, effects: &mut Vec<Effect>) {
        if moment.now >= self.deadline {
            return self.run_out(effects);
        }
        if self.push.proof.is_none() {
            let finding = self.push.tick(policy, moment, effects);
            self.heed(policy, moment, finding, effects);
            if self.outcome.is_some() {
                return;
            }
        }
        let asks_provider_early = self.push.proof.is_none() && self.push.asks_provider(policy, moment.now);
        for (index, target) in self.targets.iter_mut().enumerate() {
            if self.push.proof.is_some() {
                target.tick(policy, moment, index, effects);
            } else if asks_provider_early {
                target.tick_early(moment, index, effects);
            }
        }
        if self.push.proof.is_some() && self.targets.iter().all(Target::is_settled) {
            self.conclude(effects);
        }
    }

    fn heed(&mut self, policy: &Policy, moment: Moment, finding: Finding, effects: &mut Vec<Effect>) {
        match finding {
            Finding::Nothing => {}
            Finding::Landed(proof) => {
                self.push.proof = Some(proof);
                self.targets.iter_mut().for_each(|target| target.push_landed(policy, moment));
                effects.extend([Effect::Landed, Effect::Record]);
            }
            Finding::NotCompleted(reason) => self.finish(Outcome::PushNotCompleted, reason, effects),
        }
    }

    fn run_out(&mut self, effects: &mut Vec<Effect>) {
        if self.push.proof.is_none() {
            let reason = "nothing proved that the push landed before the deadline".to_owned();
            return self.finish(Outcome::PushNotCompleted, reason, effects);
        }
        self.targets.iter_mut().for_each(|target| target.run_out(self.newer.as_ref()));
        self.conclude(effects);
    }

    /// The worst target's outcome is the run's; skipped targets count only when all are.
    fn conclude(&mut self, effects: &mut Vec<Effect>) {
        let named = self.targets.len() > 1;
        let all_skipped = self.targets.iter().all(|target| target.outcome == Some(Outcome::Skipped));
        let worst = self
            .targets
            .iter()
            .filter(|target| all_skipped || target.outcome != Some(Outcome::Skipped))
            .max_by_key(|target| target.outcome.as_ref().map(|outcome| outcome.word().severity()));
        let Some(worst) = worst else { return };
        let Some(outcome) = worst.outcome.clone() else {
            return;
        };
        let reason = worst.reason.clone().unwrap_or_else(|| outcome.to_string());
        let reason = if named { format!("{}: {reason}", worst.plan.name) } else { reason };
        self.finish(outcome, reason, effects);
    }

    fn finish(&mut self, outcome: Outcome, reason: String, effects: &mut Vec<Effect>) {
        if self.outcome.is_none() {
            for target in &mut self.targets {
                target.end_with(&outcome, &reason);
            }
            self.outcome = Some(outcome);
            self.reason = Some(reason);
            effects.push(Effect::Finish);
        }
    }
}
