//! When one stage is asked next, and what it said last.

use std::time::Duration;

use super::{event::Moment, plan::StagePlan};
use crate::{
    fault::{Fault, FaultKind},
    policy::Policy,
    run::{SeenCommit, Verdict},
};

/// An answer that has not come after this long is not waited for any more. The transport's own limits are far below.
const LOST_ANSWER: Duration = Duration::from_secs(120);

/// What stands where nothing was asked, and where that had no answer.
pub(super) const NOT_ASKED: &str = "not asked yet";
const NO_ANSWER: &str = "no answer yet";

/// After trouble.
pub(super) fn no_longer_unasked(summary: &mut String) {
    if summary == NOT_ASKED {
        NO_ANSWER.clone_into(summary);
    }
}

/// One stage of one target.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stage {
    pub(super) verdict: Verdict,
    pub(super) summary: String,
    pub(super) commit: Option<SeenCommit>,
    pub(super) asked: u32,
    pub(super) trouble: Option<(Fault, u32)>,
    pub(super) observed_at: Option<Duration>,
    pub(super) warning: Option<String>,
    interval: Duration,
    due: Option<Duration>,
    in_flight_since: Option<Duration>,
}

impl Stage {
    pub(super) fn new(plan: &StagePlan, policy_interval: Duration) -> Self {
        let (verdict, summary) = match plan {
            StagePlan::Ask => (Verdict::Pending, NOT_ASKED.to_owned()),
            StagePlan::Unavailable(reason) => (Verdict::Unavailable, reason.clone()),
        };
        Self {
            verdict,
            summary,
            commit: None,
            asked: 0,
            trouble: None,
            observed_at: None,
            warning: None,
            interval: policy_interval,
            due: None,
            in_flight_since: None,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.verdict == Verdict::Pending
    }

    /// Has it asked at `at`, unless it is to be asked earlier.
    pub(super) fn schedule_by(&mut self, at: Duration) {
        if self.is_pending() {
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// Has it asked at `at`, whatever was planned before.
    pub(super) fn schedule_at(&mut self, at: Duration) {
        self.due = self.is_pending().then_some(at);
    }

    /// The time at which it acts by itself.
    pub(super) fn next_due(&self) -> Option<Duration> {
        if !self.is_pending() {
            return None;
        }
        match self.in_flight_since {
            Some(since) => Some(since + LOST_ANSWER),
            None => self.due,
        }
    }

    /// Takes the question that is due now, if there is one.
    pub(super) fn take_due(&mut self, now: Duration) -> bool {
        let due = self.next_due().is_some_and(|at| at <= now);
        if due {
            self.in_flight_since = Some(now);
            self.due = None;
            self.asked = self.asked.saturating_add(1);
        }
        due
    }

    /// Takes note of an answer; `changed` brings the interval back to its shortest.
    pub(super) fn answered(&mut self, policy: &Policy, moment: Moment, changed: bool) {
        self.in_flight_since = None;
        self.trouble = None;
        self.observed_at = Some(moment.now.saturating_sub(moment.age));
        self.interval = if changed { policy.first_interval } else { policy.next_interval(self.interval) };
        self.schedule_at(moment.now + self.wait(policy, moment));
    }

    /// How long to the next question. An answer that another monitor had is asked for anew when it is as old as our interval,
    /// or a little later: so that all of them come together again, and the first of them asks for all.
    fn wait(&self, policy: &Policy, moment: Moment) -> Duration {
        if moment.age.is_zero() {
            return policy.jittered(self.interval, moment.roll);
        }
        policy.jittered(self.interval, 0.5 + moment.roll.clamp(0.0, 1.0) / 2.0).saturating_sub(moment.age)
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Takes note of trouble: asked again later, no sooner than the other side wishes.
    pub(super) fn troubled(&mut self, policy: &Policy, moment: Moment, fault: Fault) {
        self.in_flight_since = None;
        self.interval = policy.next_interval(self.interval);
        let wish = fault.retry_after.map_or(Duration::ZERO, |wish| policy.capped_retry_after(wish));
        let wait = self.wait(policy, moment).max(wish);
        self.schedule_at(moment.now + wait);
        let count = match &self.trouble {
            Some((last, count)) if last.kind == fault.kind => count.saturating_add(1),
            _ => 1,
        };
        self.trouble = Some((fault, count));
        no_longer_unasked(&mut self.summary);
    }

    /// How many times in a row it was not found.
    pub(super) fn times_not_found(&self) -> u32 {
        match &self.trouble {
            Some((Fault { kind: FaultKind::NotFound, .. }, count)) => *count,
            _ => 0,
        }
    }

    pub(super) fn decide(&mut self, verdict: Verdict, summary: impl Into<String>) {
        self.verdict = verdict;
        self.summary = summary.into();
    }
}
