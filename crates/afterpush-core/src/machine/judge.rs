//! What an answer means for a target: which verdict its stage gets, and when the stages have said enough.

use std::time::Duration;

use super::{
    event::{Answer, Moment, Newer},
    stage::Stage,
    target::{Log, Target},
};
use crate::{
    fault::{Fault, FaultKind},
    id::abbreviated,
    observation::{Deployment, DeploymentState, ProviderObservation},
    policy::Policy,
    run::{Outcome, Relation, SeenCommit, StageKind, Verdict},
};

impl Target {
    pub(super) fn take_answer(
        &mut self,
        policy: &Policy,
        moment: Moment,
        kind: StageKind,
        answer: Result<Answer, Fault>,
        newer: Option<&Newer>,
    ) {
        if self.outcome.is_some() || !self.stage(kind).is_pending() {
            return;
        }
        match answer {
            Ok(Answer::Provider(observation)) if kind == StageKind::Provider => {
                self.take_provider(policy, moment, observation, newer);
            }
            Ok(Answer::Database(observation)) if kind == StageKind::Database => {
                self.take_database(policy, moment, observation);
            }
            Ok(Answer::Health(observation)) if kind == StageKind::Health => {
                self.take_health(policy, moment, observation);
            }
            Ok(_) => {}
            Err(fault) => self.take_fault(policy, moment, kind, fault),
        }
        if let Some(next) = self.current().filter(|next| *next > kind) {
            // Its turn has come: what was planned for the quick check is too late now.
            self.stage_mut(next).schedule_by(moment.now);
        }
        self.settle();
    }

    fn take_fault(&mut self, policy: &Policy, moment: Moment, kind: StageKind, fault: Fault) {
        let (trouble, message) = (fault.kind, fault.message.clone());
        if kind == StageKind::Health {
            self.health_unanswered(&fault);
        }
        self.stage_mut(kind).troubled(policy, moment, fault);
        match (kind, trouble) {
            (StageKind::Provider, FaultKind::Unauthorized) => {
                self.provider.decide(Verdict::Failed, message.clone());
                self.end(Outcome::Unauthorized, message);
            }
            // Said twice in a row: one lost sample is not the word of the provider.
            (StageKind::Provider, FaultKind::NotFound) if self.provider.times_not_found() > 1 => {
                self.provider.decide(Verdict::Failed, message.clone());
                self.end(Outcome::NoDeployment, message);
            }
            (StageKind::Database | StageKind::Health, FaultKind::Unauthorized) => {
                self.stage_mut(kind).decide(Verdict::Unavailable, message);
            }
            _ => {}
        }
    }

    fn take_provider(&mut self, policy: &Policy, moment: Moment, seen: ProviderObservation, newer: Option<&Newer>) {
        // What begins a new phase for a person. The provider's own steps on the way do not: asking quickly again at each of
        // them would cost a fifth more calls, and the end of a four-minute deployment would be seen no sooner.
        let phase_of = |deployment: &Option<Deployment>| {
            deployment.as_ref().map(|it| (it.id.clone(), it.state == DeploymentState::Blocked))
        };
        let changed = phase_of(&self.deployment) != phase_of(&seen.deployment);
        if let Some(deployment) = &seen.deployment {
            self.provider.commit = Some(deployment.commit.clone());
        }
        let site = seen.deployment.as_ref().and_then(|it| it.site_url.clone());
        if let Some(site) = site.or_else(|| seen.serving.as_ref().and_then(|it| it.site_url.clone())) {
            self.site_url = Some(site);
        }
        self.deployment = seen.deployment.clone();
        self.provider.answered(policy, moment, changed);
        match &seen.deployment {
            Some(deployment) => self.judge_deployment(policy, moment, deployment, &seen, newer),
            None => self.judge_absence(policy, moment, &seen, newer),
        }
    }

    fn judge_deployment(
        &mut self,
        policy: &Policy,
        moment: Moment,
        deployment: &Deployment,
        seen: &ProviderObservation,
        newer: Option<&Newer>,
    ) {
        let why = |text: &str| deployment.reason.clone().unwrap_or_else(|| text.to_owned());
        let summary = match &deployment.progress {
            Some(progress) => format!("{}: {progress}", deployment.raw),
            None => deployment.raw.clone(),
        };
        if !matches!(
            deployment.state,
            DeploymentState::Superseded | DeploymentState::Replaced | DeploymentState::Canceled
        ) {
            self.overtaken_at = None;
        }
        match deployment.state {
            DeploymentState::Live => self.provider.decide(Verdict::Passed, summary),
            DeploymentState::Failed => {
                let reason = why("the deployment failed");
                self.provider.decide(Verdict::Failed, format!("{summary} ({reason})"));
                self.log = Log::Wanted;
                self.end(Outcome::DeployFailed, reason);
            }
            DeploymentState::Skipped => {
                let reason = why("the provider skipped this commit");
                self.provider.decide(Verdict::Failed, summary);
                self.end(Outcome::Skipped, reason);
            }
            DeploymentState::Superseded | DeploymentState::Replaced | DeploymentState::Canceled => {
                self.provider.summary = summary;
                self.judge_overtaken(policy, moment, deployment, seen, newer);
            }
            DeploymentState::Queued
            | DeploymentState::Building
            | DeploymentState::Deploying
            | DeploymentState::Blocked
            | DeploymentState::Unknown => self.provider.summary = summary,
        }
    }

    /// Ours will not go live by itself any more. Does something that contains it?
    fn judge_overtaken(
        &mut self,
        policy: &Policy,
        moment: Moment,
        deployment: &Deployment,
        seen: &ProviderObservation,
        newer: Option<&Newer>,
    ) {
        if let Some((Relation::Contains, by)) = serving_relation(seen) {
            return self.pass_contained(by);
        }
        let by = newer.map(|newer| newer.commit.clone());
        // Something later serves that does not contain ours, as far as this repository knows: there is nothing to wait for.
        let replacement = seen.serving.as_ref().filter(|serving| serving.is_later).and_then(|it| it.commit.as_ref());
        if let Some(commit) = replacement {
            self.provider.decide(Verdict::Failed, format!("{} serves instead", abbreviated(&commit.id)));
            let reason = format!("a later deployment, of {}, replaced this one", abbreviated(&commit.id));
            return self.end(Outcome::Superseded { by: by.or_else(|| Some(commit.id.clone())) }, reason);
        }
        if deployment.state == DeploymentState::Canceled && newer.is_none() {
            let reason = deployment.reason.clone().unwrap_or_else(|| "the deployment was canceled".to_owned());
            self.provider.decide(Verdict::Failed, "canceled");
            return self.end(Outcome::Canceled, reason);
        }
        let since = *self.overtaken_at.get_or_insert(moment.now);
        let newer_may_yet_go_live = newer.is_none_or(|newer| newer.contains && newer.outcome.is_none());
        if !newer_may_yet_go_live || moment.now >= since + policy.registration_deadline {
            self.provider.decide(Verdict::Failed, "superseded by a later deployment");
            let reason = "a later deployment replaced this one, and none that contains this commit is live".to_owned();
            self.end(Outcome::Superseded { by }, reason);
        }
    }

    fn judge_absence(&mut self, policy: &Policy, moment: Moment, seen: &ProviderObservation, newer: Option<&Newer>) {
        match serving_relation(seen) {
            Some((Relation::Same, id)) => {
                self.provider.commit = Some(SeenCommit { id: id.to_owned(), relation: Relation::Same });
                return self.provider.decide(Verdict::Passed, "this commit is what serves");
            }
            Some((Relation::Contains, by)) => return self.pass_contained(by),
            _ => {}
        }
        if let Some(reason) = &seen.will_not_deploy {
            self.provider.decide(Verdict::Failed, reason.clone());
            return self.end(Outcome::NoDeployment, reason.clone());
        }
        "no deployment of this commit yet".clone_into(&mut self.provider.summary);
        let Some(landed_at) = self.landed_at else {
            return;
        };
        let deadline = landed_at + policy.registration_deadline;
        if moment.now < deadline {
            // The last look of the wait comes right at its end.
            self.provider.schedule_by(deadline);
            return;
        }
        match newer {
            // Queues coalesce: the later push stands for ours, and it is followed by a monitor of its own.
            Some(newer) if newer.contains && newer.outcome.is_none() => {
                self.provider.summary =
                    format!("no deployment of this commit; waiting for {}", abbreviated(&newer.commit));
            }
            Some(newer) => {
                self.provider.decide(Verdict::Failed, "superseded by a later push");
                let reason = "a later push replaced this commit before it was deployed".to_owned();
                self.end(Outcome::Superseded { by: Some(newer.commit.clone()) }, reason);
            }
            None => {
                let reason = format!(
                    "no deployment of this commit appeared within {} of the push; is automatic deployment on for this branch?",
                    spoken(policy.registration_deadline)
                );
                self.provider.decide(Verdict::Failed, reason.clone());
                self.end(Outcome::NoDeployment, reason);
            }
        }
    }

    /// A later commit that contains ours is live by the provider. The database's row would be that commit's, so it is not asked.
    fn pass_contained(&mut self, by: &str) {
        self.provider.commit = Some(SeenCommit { id: by.to_owned(), relation: Relation::Contains });
        self.provider.decide(Verdict::Passed, format!("{} is live and contains this commit", abbreviated(by)));
        if self.database.is_pending() {
            self.database.decide(Verdict::Unavailable, "not asked: a later commit is live");
        }
    }

    /// Decides the outcome when the stages have said enough.
    pub(super) fn settle(&mut self) {
        if self.outcome.is_some() || self.landed_at.is_none() {
            return;
        }
        let agrees = |stage: &Stage| matches!(stage.verdict, Verdict::Passed | Verdict::Unavailable);
        if !(agrees(&self.database) && agrees(&self.health)) {
            return;
        }
        if self.provider.is_pending() {
            // The quick check: database or health prove the commit live before the provider has told of a deployment.
            let is_old_row = self.is_repeated && self.database.verdict == Verdict::Passed;
            if self.deployment.is_none()
                && !is_old_row
                && let Some((outcome, reason)) = self.proven()
            {
                self.provider.decide(Verdict::Unavailable, "not waited for: the commit is proven live");
                self.end(outcome, reason);
            }
            return;
        }
        if !agrees(&self.provider) {
            return;
        }
        let (outcome, reason) = self.proven().unwrap_or_else(|| self.unproven());
        self.end(outcome, reason);
    }

    /// The outcome by the stages that passed and named the commit, or one that contains it.
    fn proven(&self) -> Option<(Outcome, String)> {
        let named = |relation| {
            StageKind::ALL.into_iter().find_map(|kind| {
                let stage = self.stage(kind);
                let commit = stage.commit.as_ref().filter(|commit| commit.relation == relation)?;
                (stage.verdict == Verdict::Passed).then(|| (kind, commit.id.clone()))
            })
        };
        if let Some((kind, _)) = named(Relation::Same) {
            let reason = match (kind, &self.deployment) {
                (StageKind::Provider, Some(deployment)) => {
                    format!("the provider's deployment {} of this commit is live", deployment.id)
                }
                (StageKind::Provider, None) => "the provider serves this commit".to_owned(),
                (StageKind::Database, _) => "the database has a successful deployment of this commit".to_owned(),
                (StageKind::Health, _) => "the application's health answer reports this commit".to_owned(),
            };
            return Some((Outcome::Live, reason));
        }
        let (kind, by) = named(Relation::Contains)?;
        let reason = format!("{} is live by the {kind} stage and contains this commit", abbreviated(&by));
        Some((Outcome::LiveContained { by }, reason))
    }

    fn unproven(&self) -> (Outcome, String) {
        let healthy = self.health.verdict == Verdict::Passed;
        if healthy && self.plan.accept_unversioned_health {
            let reason = "the health check passes; this target accepts that without a commit in the answer".to_owned();
            return (Outcome::Live, reason);
        }
        let unavailable: Vec<String> = StageKind::ALL
            .into_iter()
            .filter(|kind| self.stage(*kind).verdict == Verdict::Unavailable)
            .map(|kind| format!("{kind}: {}", self.stage(kind).summary))
            .collect();
        let health = if healthy { "the application is healthy, but " } else { "" };
        (Outcome::Unverified, format!("{health}nothing named this commit ({})", unavailable.join("; ")))
    }
}

/// Tells whether what serves now is ours or contains it, and by which commit.
fn serving_relation(observation: &ProviderObservation) -> Option<(Relation, &str)> {
    let serving = observation.serving.as_ref()?;
    serving.commit.as_ref().map(|commit| (commit.relation, commit.id.as_str()))
}

/// A duration for people: `5 min`, `90 s`, `200 ms`.
fn spoken(duration: Duration) -> String {
    let millis = duration.as_millis();
    if !millis.is_multiple_of(1000) {
        format!("{millis} ms")
    } else if !duration.as_secs().is_multiple_of(60) || duration.is_zero() {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} min", duration.as_secs() / 60)
    }
}
