//! One target: which of its stages is asked when, and how it ended. What an answer means is in `judge`.

use std::time::Duration;

use super::{
    event::{Effect, Moment, Newer},
    health::Check,
    plan::TargetPlan,
    stage::Stage,
};
use crate::{
    id::abbreviated,
    observation::{Deployment, DeploymentState, MigrationsObservation},
    policy::Policy,
    run::{Outcome, Phase, Relation, StageKind, Verdict},
};

/// The stages that are asked beside the provider while no deployment of ours is known: an answer of theirs that names the
/// commit ends the run at once.
const QUICK: [StageKind; 2] = [StageKind::Database, StageKind::Health];

/// One target of the push.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    pub(super) plan: TargetPlan,
    pub(super) provider: Stage,
    pub(super) database: Stage,
    pub(super) health: Stage,
    pub(super) deployment: Option<Deployment>,
    pub(super) site_url: Option<String>,
    pub(super) outcome: Option<Outcome>,
    pub(super) reason: Option<String>,
    pub(super) landed_at: Option<Duration>,
    pub(super) overtaken_at: Option<Duration>,
    pub(super) row_in_progress: bool,
    /// The row of the commit may be an earlier push's: it has no time of its own that could be compared.
    pub(super) is_repeated: bool,
    pub(super) checks: Vec<Check>,
    pub(super) migrations: Option<MigrationsObservation>,
    pub(super) log: Log,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Log {
    NotWanted,
    Wanted,
    InFlight(Duration),
    Done,
}

impl Target {
    pub(super) fn new(plan: TargetPlan, is_repeated: bool, policy: &Policy) -> Self {
        let stage = |stage_plan| Stage::new(stage_plan, policy.first_interval);
        Self {
            provider: stage(&plan.provider),
            database: stage(&plan.database),
            health: stage(&plan.health),
            checks: plan.health_checks.iter().cloned().map(Check::new).collect(),
            plan,
            deployment: None,
            site_url: None,
            outcome: None,
            reason: None,
            landed_at: None,
            overtaken_at: None,
            row_in_progress: false,
            is_repeated,
            migrations: None,
            log: Log::NotWanted,
        }
    }

    pub(super) fn stage(&self, kind: StageKind) -> &Stage {
        match kind {
            StageKind::Provider => &self.provider,
            StageKind::Database => &self.database,
            StageKind::Health => &self.health,
        }
    }

    pub(super) fn stage_mut(&mut self, kind: StageKind) -> &mut Stage {
        match kind {
            StageKind::Provider => &mut self.provider,
            StageKind::Database => &mut self.database,
            StageKind::Health => &mut self.health,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        if self.outcome.is_some() {
            Phase::Finished
        } else if self.provider.is_pending() {
            if self.deployment.is_some() { Phase::Deploying } else { Phase::AwaitingDeployment }
        } else if self.provider.verdict == Verdict::Unavailable && self.database.is_pending() {
            if self.row_in_progress { Phase::Deploying } else { Phase::AwaitingDeployment }
        } else {
            Phase::Verifying
        }
    }

    /// The stage whose turn it is.
    pub(super) fn current(&self) -> Option<StageKind> {
        StageKind::ALL.into_iter().find(|kind| self.stage(*kind).is_pending())
    }

    /// The stages that are asked now: the one whose turn it is and, while the provider knows no deployment of ours, the ones
    /// that could prove the commit live already.
    fn asked_now(&self) -> impl Iterator<Item = StageKind> {
        let current = self.current();
        let quick = current == Some(StageKind::Provider) && self.deployment.is_none();
        let is_quick = move |kind| quick && QUICK.contains(&kind) && !(kind == StageKind::Database && self.is_repeated);
        let health_has_address = !self.plan.health_needs_site || self.site_url.is_some();
        StageKind::ALL.into_iter().filter(move |kind| {
            let turn = current == Some(*kind) || (is_quick(*kind) && self.stage(*kind).is_pending());
            turn && (*kind != StageKind::Health || health_has_address)
        })
    }

    pub(super) fn next_due(&self, policy: &Policy) -> Option<Duration> {
        if self.outcome.is_some() {
            return match self.log {
                Log::Wanted => Some(Duration::ZERO),
                Log::InFlight(since) => Some(since + policy.log_deadline),
                Log::NotWanted | Log::Done => None,
            };
        }
        self.landed_at?;
        self.asked_now().filter_map(|kind| self.stage(kind).next_due()).min()
    }

    /// The push landed: the first look at the provider comes after a random offset, so that many monitors that one event
    /// started do not ask at once; the quick checks come now.
    pub(super) fn push_landed(&mut self, policy: &Policy, moment: Moment) {
        self.landed_at = Some(moment.now);
        if let Some(reason) = self.plan.skipped.clone() {
            return self.end(Outcome::Skipped, reason);
        }
        let offset = policy.first_interval.mul_f64(moment.roll.clamp(0.0, 1.0));
        self.provider.schedule_by(moment.now + offset);
        self.database.schedule_by(moment.now);
        self.health.schedule_by(moment.now);
        self.settle();
    }

    pub(super) fn ask_now(&mut self, now: Duration) {
        for kind in StageKind::ALL {
            self.stage_mut(kind).schedule_by(now);
        }
    }

    pub(super) fn tick(&mut self, policy: &Policy, moment: Moment, index: usize, effects: &mut Vec<Effect>) {
        if self.outcome.is_some() {
            match self.log {
                Log::Wanted => {
                    self.log = Log::InFlight(moment.now);
                    effects.extend([Effect::FetchLog { target: index }, Effect::Record]);
                }
                // Given up. Other targets may go on for long: a time that stayed due would be acted on without end.
                Log::InFlight(since) if moment.now >= since + policy.log_deadline => self.log = Log::Done,
                Log::InFlight(_) | Log::NotWanted | Log::Done => {}
            }
            return;
        }
        let asked: Vec<_> = self.asked_now().collect();
        for kind in asked {
            let stage = self.stage_mut(kind);
            // A stage whose turn has just come has nothing planned yet: it is asked at once.
            if stage.next_due().is_none() {
                stage.schedule_by(moment.now);
            }
            if stage.take_due(moment.now) {
                effects.push(Effect::Ask { target: index, stage: kind });
            }
        }
    }

    /// The provider may know the commit before the push is confirmed; asked rarely, because most pushes confirm themselves.
    pub(super) fn tick_early(&mut self, moment: Moment, index: usize, effects: &mut Vec<Effect>) {
        if self.provider.is_pending() && self.provider.next_due().is_none() {
            self.provider.schedule_by(moment.now);
        }
        if self.provider.take_due(moment.now) {
            effects.push(Effect::Ask { target: index, stage: StageKind::Provider });
        }
    }

    /// The provider deploys our commit, or it did.
    pub(super) fn deployment_is_ours(&self) -> bool {
        self.deployment.as_ref().is_some_and(|deployment| deployment.commit.relation == Relation::Same)
    }

    /// A later push of the same ref has landed.
    pub(super) fn overtaken(&mut self, newer: &Newer) {
        if self.outcome.is_some() {
            return;
        }
        if !newer.contains {
            let reason = format!(
                "a later push replaced this commit by {}, which does not contain it",
                abbreviated(&newer.commit)
            );
            self.end(Outcome::Superseded { by: Some(newer.commit.clone()) }, reason);
        } else if let Some(outcome) = newer.outcome {
            if outcome.is_live() {
                let reason =
                    format!("{} was pushed later, contains this commit and is live", abbreviated(&newer.commit));
                self.end(Outcome::LiveContained { by: newer.commit.clone() }, reason);
            } else if self.overtaken_at.is_some() {
                let reason = format!("{} was pushed later and ended {outcome}", abbreviated(&newer.commit));
                self.end(Outcome::Superseded { by: Some(newer.commit.clone()) }, reason);
            }
        }
    }

    /// What the stage whose turn it is said last.
    pub(super) fn waits_for(&self) -> Option<String> {
        let kind = self.current()?;
        let stage = self.stage(kind);
        Some(match &stage.trouble {
            Some((fault, _)) => format!("{kind}: {}", fault.message),
            None => format!("{kind}: {}", stage.summary),
        })
    }

    pub(super) fn run_out(&mut self, newer: Option<&Newer>) {
        if self.outcome.is_some() {
            return;
        }
        let phase = self.phase();
        let waiting = self.waits_for().unwrap_or_else(|| "nothing".to_owned());
        if self.deployment.as_ref().is_some_and(|it| it.state == DeploymentState::Blocked) {
            let reason = self.deployment.as_ref().and_then(|it| it.reason.clone());
            self.end(Outcome::Blocked, reason.unwrap_or_else(|| "the deployment waits for a person".to_owned()));
        } else if let Some(reason) = self.lack_of_migrations() {
            let summary = self.database.summary.clone();
            self.database.decide(Verdict::Failed, summary);
            self.end(Outcome::DatabaseFailed, reason);
        } else if let Some(newer) = newer.filter(|_| self.deployment.is_none() || self.overtaken_at.is_some()) {
            let reason =
                format!("{} was pushed later, and the deadline passed first ({waiting})", abbreviated(&newer.commit));
            self.end(Outcome::Superseded { by: Some(newer.commit.clone()) }, reason);
        } else if self.overtaken_at.is_some() {
            let reason = "a later deployment replaced this one, and none that contains this commit went live in time";
            self.end(Outcome::Superseded { by: None }, reason.to_owned());
        } else {
            self.end(Outcome::TimedOut { phase }, format!("the deadline passed while waiting for {waiting}"));
        }
    }

    pub(super) fn end(&mut self, outcome: Outcome, reason: String) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.reason = Some(reason);
        }
    }

    /// The whole run ends so: targets that had not ended take its outcome.
    pub(super) fn end_with(&mut self, outcome: &Outcome, reason: &str) {
        self.end(outcome.clone(), reason.to_owned());
    }

    pub(super) fn log_fetched(&mut self) {
        self.log = Log::Done;
    }

    /// The outcome is known and the log, where one is wanted, is there or given up.
    pub(super) fn is_settled(&self) -> bool {
        self.outcome.is_some() && matches!(self.log, Log::NotWanted | Log::Done)
    }
}
