//! What the answers of the health checks mean: each check has a row of passes of its own, and the stage passes when all
//! rows are long enough at the same time.

use super::{
    event::Moment,
    plan::CheckPlan,
    stage::{NOT_ASKED, no_longer_unasked},
    target::Target,
};
use crate::{
    fault::Fault,
    file::CheckReport,
    id::abbreviated,
    observation::{CheckObservation, HealthObservation},
    policy::Policy,
    run::{Outcome, Relation, SeenCommit, StageKind, SubCheck, Verdict},
};

/// How many answers the shown share of a rolling deployment is counted over.
const SHARE_OF: usize = 5;

/// One health check.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Check {
    plan: CheckPlan,
    summary: String,
    commit: Option<SeenCommit>,
    passes: u32,
    failures: u32,
    /// How many flakes the present row has outlasted.
    flakes: u32,
    /// Of the newest healthy answers, oldest first: which were of our commit.
    recent: Vec<bool>,
    sub_checks: Vec<SubCheck>,
    warning: Option<String>,
    trouble: Option<Fault>,
    has_failed: bool,
}

impl Check {
    pub(super) fn new(plan: CheckPlan) -> Self {
        Self {
            plan,
            summary: NOT_ASKED.to_owned(),
            commit: None,
            passes: 0,
            failures: 0,
            flakes: 0,
            recent: Vec::new(),
            sub_checks: Vec::new(),
            warning: None,
            trouble: None,
            has_failed: false,
        }
    }

    pub(super) fn report(&self) -> CheckReport {
        CheckReport {
            name: self.plan.name.clone(),
            verdict: self.verdict(),
            summary: self.summary.clone(),
            commit: self.commit.as_ref().map(|commit| commit.id.clone()),
            passes: self.passes,
            passes_needed: self.plan.passes,
            sub_checks: self.sub_checks.clone(),
            warning: self.warning.clone(),
            trouble: self.trouble.as_ref().map(|fault| fault.message.clone()),
        }
    }

    fn verdict(&self) -> Verdict {
        if self.has_failed {
            Verdict::Failed
        } else if self.passes >= self.plan.passes {
            Verdict::Passed
        } else {
            Verdict::Pending
        }
    }

    /// Takes an answer in. While it is not yet this stage's turn (`decides`), an unhealthy application may be one that still
    /// starts, so that failures do not count. Tells whether the answer passes.
    fn take(&mut self, seen: Result<CheckObservation, Fault>, decides: bool) -> bool {
        let seen = match seen {
            Ok(seen) => seen,
            Err(fault) => {
                // Trouble is not failure, but no pass either.
                self.trouble = Some(fault);
                no_longer_unasked(&mut self.summary);
                self.flake();
                return false;
            }
        };
        self.trouble = None;
        let names_ours = seen.commit.as_ref().is_some_and(|commit| commit.relation != Relation::Other);
        let passes = seen.healthy && (names_ours || !self.plan.names_commit);
        if passes {
            self.passes += 1;
        } else if seen.healthy {
            // Another version answered: no flake, whatever is tolerated.
            self.break_row();
        } else {
            self.flake();
        }
        if seen.healthy && self.plan.names_commit {
            self.recent.push(names_ours);
            self.recent.drain(..self.recent.len().saturating_sub(SHARE_OF));
        }
        self.failures = if seen.healthy || !decides { 0 } else { self.failures + 1 };
        self.summary = match (&seen.commit, passes) {
            (_, true) => {
                format!("{} ({} of {} in a row{})", seen.summary, self.passes, self.plan.passes, self.share("; "))
            }
            (Some(commit), false) if seen.healthy => {
                format!("still serving {}{}", abbreviated(&commit.id), self.share("; "))
            }
            _ => seen.summary,
        };
        self.commit = seen.commit;
        self.sub_checks = seen.sub_checks;
        self.warning = seen.warning;
        passes
    }

    fn flake(&mut self) {
        if self.passes > 0 && self.flakes < self.plan.flakes {
            self.flakes += 1;
        } else {
            self.break_row();
        }
    }

    fn break_row(&mut self) {
        self.passes = 0;
        self.flakes = 0;
    }

    /// How much of a rolling deployment has reached the new version, while both answer.
    fn share(&self, before: &str) -> String {
        let ours = self.recent.iter().filter(|ours| **ours).count();
        let all = self.recent.len();
        if ours == 0 || ours == all {
            return String::new();
        }
        format!("{before}{ours} of the last {all} answers are of this commit")
    }

    /// What makes the status change for a person.
    fn mark(&self) -> (Option<SeenCommit>, bool, bool) {
        (self.commit.clone(), self.passes > 0, self.failures > 0)
    }

    fn says(&self) -> String {
        let said = self.trouble.as_ref().map_or(&self.summary, |fault| &fault.message);
        format!("{}: {said}", self.plan.name)
    }
}

impl Target {
    pub(super) fn take_health(&mut self, policy: &Policy, moment: Moment, seen: HealthObservation) {
        let decides = self.current() == Some(StageKind::Health);
        let before: Vec<_> = self.checks.iter().map(Check::mark).collect();
        let fault = seen.checks.iter().find_map(|check| check.as_ref().err().cloned());
        let has_answer = seen.checks.iter().any(Result::is_ok);
        let mut all_pass = true;
        for (check, seen) in self.checks.iter_mut().zip(seen.checks) {
            all_pass &= check.take(seen, decides);
        }
        match fault.filter(|_| !has_answer) {
            Some(fault) => return self.health.troubled(policy, moment, fault),
            None => {
                let changed = before != self.checks.iter().map(Check::mark).collect::<Vec<_>>();
                self.health.answered(policy, moment, changed);
            }
        }
        self.health.commit = self.health_commit();
        self.health.summary = self.health_summary();
        if all_pass {
            // The rest of the row is asked quickly: what passes once is settled soon, either way.
            self.health.schedule_at(moment.now + policy.jittered(policy.first_interval / 5, moment.roll));
        }
        let is_several = self.checks.len() > 1;
        if let Some(broken) = self.checks.iter_mut().find(|check| check.failures >= check.plan.failures) {
            broken.has_failed = true;
            let name = if is_several { format!("check {} is ", broken.plan.name) } else { String::new() };
            let reason = format!("{name}unhealthy {} times in a row: {}", broken.failures, broken.summary);
            let summary = if is_several { broken.says() } else { broken.summary.clone() };
            self.health.decide(Verdict::Failed, summary);
            self.end(Outcome::HealthFailed, reason);
        } else if !self.checks.is_empty() && self.checks.iter().all(|check| check.verdict() == Verdict::Passed) {
            let summary = self.health.summary.clone();
            self.health.decide(Verdict::Passed, summary);
        }
    }

    /// The health stage could not be asked at all: every row is as broken as by answers that fail to come.
    pub(super) fn health_unanswered(&mut self, fault: &Fault) {
        for check in &mut self.checks {
            check.take(Err(fault.clone()), false);
        }
    }

    /// Of the commits that the checks name the one that says least about ours: all of them have to agree.
    fn health_commit(&self) -> Option<SeenCommit> {
        let weight = |commit: &SeenCommit| match commit.relation {
            Relation::Same => 0,
            Relation::Contains => 1,
            Relation::Other => 2,
        };
        self.checks.iter().filter_map(|check| check.commit.clone()).max_by_key(weight)
    }

    fn health_summary(&self) -> String {
        if let [only] = self.checks.as_slice() {
            return only.summary.clone();
        }
        let passed = self.checks.iter().filter(|check| check.verdict() == Verdict::Passed).count();
        let waiting = self.checks.iter().find(|check| check.verdict() != Verdict::Passed);
        let waiting = waiting.map(|check| format!("; {}", check.says())).unwrap_or_default();
        format!("{passed} of {} checks pass{waiting}", self.checks.len())
    }
}
