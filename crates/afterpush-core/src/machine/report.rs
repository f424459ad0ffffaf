//! What the files show of a state.

use std::time::Duration;

use jiff::Timestamp;

use super::{health::Check, stage::Stage, state::State, target::Target};
use crate::{
    file::{DeploymentEvidence, MigrationsReport, StageReport, TargetReport, Trouble},
    run::StageKind,
};

impl State {
    /// The targets as the files show them. `time_of` turns the machine's time into the wall clock's.
    #[must_use]
    pub fn target_reports(&self, time_of: impl Fn(Duration) -> Timestamp) -> Vec<TargetReport> {
        self.targets.iter().map(|target| target_report(target, &time_of, self)).collect()
    }

    /// What the run waits for, in one sentence; the final reason once it is finished.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        if let Some(reason) = self.reason() {
            return Some(reason.to_owned());
        }
        if self.push_proof().is_none() {
            return Some(match &self.push.last_unknown {
                Some(why) => format!("waiting for a proof that the push landed; the remote does not tell: {why}"),
                None => "waiting for a proof that the push landed".to_owned(),
            });
        }
        let waiting = self.targets.iter().find(|target| target.outcome.is_none())?;
        waiting.waits_for()
    }
}

fn target_report(target: &Target, time_of: &impl Fn(Duration) -> Timestamp, state: &State) -> TargetReport {
    let stages = StageKind::ALL.into_iter().map(|kind| stage_report(target, kind, time_of)).collect();
    let phase = target.phase();
    TargetReport {
        name: target.plan.name.clone(),
        phase: if state.push_proof().is_none() && target.outcome.is_none() { state.phase() } else { phase },
        outcome: target.outcome.as_ref().into(),
        reason: target.reason.clone(),
        stages,
        site_url: target.site_url.clone(),
    }
}

fn stage_report(target: &Target, kind: StageKind, time_of: &impl Fn(Duration) -> Timestamp) -> StageReport {
    let stage: &Stage = target.stage(kind);
    let deployment = target.deployment.as_ref().filter(|_| kind == StageKind::Provider);
    StageReport {
        stage: kind,
        verdict: stage.verdict,
        summary: match &stage.warning {
            Some(warning) if stage.is_pending() => format!("{} ({warning})", stage.summary),
            _ => stage.summary.clone(),
        },
        commit: stage.commit.as_ref().map(|commit| commit.id.clone()),
        deployment: deployment.map(|deployment| DeploymentEvidence {
            id: deployment.id.clone(),
            url: deployment.url.clone(),
            commit: deployment.commit.id.clone(),
            raw: deployment.raw.clone(),
        }),
        checks: if kind == StageKind::Health { target.checks.iter().map(Check::report).collect() } else { Vec::new() },
        migrations: target.migrations.as_ref().filter(|_| kind == StageKind::Database).map(MigrationsReport::from),
        asked: stage.asked,
        trouble: stage.trouble.as_ref().map(|(fault, count)| Trouble {
            kind: fault.kind,
            message: fault.message.clone(),
            count: *count,
        }),
        observed_at: stage.observed_at.map(time_of),
    }
}
