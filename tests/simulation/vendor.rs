//! The hosting provider of the simulated world: what truly happened to every deployment, and what a question about it shows.

use std::time::Duration;

use afterpush_core::{
    id::CommitId,
    observation::{
        CheckObservation, DatabaseAnswer, DatabaseObservation, Deployment, DeploymentRow, DeploymentState,
        ProviderObservation, RowState, Serving,
    },
    run::SeenCommit,
};

use crate::dice::Dice;

/// A time since the beginning of the world.
pub(crate) type Time = Duration;
/// From one time to another.
pub(crate) type Span = (Time, Time);

/// One application, which one target follows.
pub(crate) struct App {
    pub(crate) name: String,
    /// The ref that it deploys.
    pub(crate) ref_name: &'static str,
    pub(crate) has_provider: bool,
    pub(crate) has_database: bool,
    pub(crate) has_health: bool,
    /// The provider tells what serves.
    pub(crate) tells_serving: bool,
    /// How long the old version goes on answering when another one serves.
    pub(crate) lags: Duration,
    /// When its health answer is bad, and when its credential is refused.
    pub(crate) sick: Option<Span>,
    pub(crate) refused: Option<Span>,
    /// How often a question was answered by "there is no such app".
    pub(crate) denials: u32,
    pub(crate) deployments: Vec<TrueDeployment>,
    /// Which deployment served from when on.
    pub(crate) serving: Vec<(Time, usize)>,
}

/// One deployment, with its history.
pub(crate) struct TrueDeployment {
    pub(crate) commit: CommitId,
    pub(crate) created: Time,
    marks: Vec<(Time, DeploymentState)>,
    /// What it is going to become if nothing overtakes it.
    fate: DeploymentState,
    breaks_database: bool,
}

impl TrueDeployment {
    pub(crate) fn state_at(&self, at: Time) -> Option<DeploymentState> {
        self.marks.iter().rev().find(|(since, _)| *since <= at).map(|(_, state)| *state)
    }

    pub(crate) fn was(&self, wanted: &[DeploymentState], span: Span) -> bool {
        self.marks.iter().any(|(at, state)| *at <= span.1 && wanted.contains(state))
    }

    fn is_over(&self) -> bool {
        use DeploymentState::{Blocked, Building, Deploying, Queued};
        !matches!(self.marks.last(), Some((_, Queued | Building | Deploying | Blocked)))
    }
}

impl App {
    /// The vendor hears of a commit. Gives the number of its deployment and when it moves on.
    pub(crate) fn deploy(&mut self, commit: &CommitId, now: Time, dice: &mut Dice) -> (usize, Vec<Time>) {
        use DeploymentState::{Blocked, Canceled, Failed, Live, Queued, Skipped, Superseded};
        for older in self.deployments.iter_mut().filter(|older| !older.is_over()) {
            if dice.chance(0.6) {
                older.marks.push((now, Superseded));
            }
        }
        let fate = match dice.below(100) {
            0..70 => Live,
            70..84 => Failed,
            84..88 => Canceled,
            88..92 => Skipped,
            _ => Blocked,
        };
        let number = self.deployments.len();
        self.deployments.push(TrueDeployment {
            commit: commit.clone(),
            created: now,
            marks: vec![(now, Queued)],
            fate,
            breaks_database: dice.chance(0.05),
        });
        let begins = now + dice.millis(500, 15_000);
        let rolls = begins + dice.millis(5_000, 90_000);
        (number, vec![begins, rolls, rolls + dice.millis(500, 20_000)])
    }

    /// The deployment takes its next step.
    pub(crate) fn advance(&mut self, number: usize, step: usize, now: Time) {
        use DeploymentState::{Building, Deploying, Live, Replaced, Superseded};
        if self.deployments[number].is_over() {
            return;
        }
        let fate = self.deployments[number].fate;
        let state = match step {
            0 => Building,
            1 if fate == Live => Deploying,
            1 => return,
            _ => fate,
        };
        let newest = self.serving.last().map(|(_, serving)| *serving);
        if state == Live && newest.is_some_and(|newest| newest > number) {
            return self.deployments[number].marks.push((now, Superseded));
        }
        if state == Live {
            if let Some(before) = newest {
                self.deployments[before].marks.push((now, Replaced));
            }
            self.serving.push((now, number));
        }
        self.deployments[number].marks.push((now, state));
    }

    /// A person takes the application back to a deployment that was live before.
    pub(crate) fn roll_back(&mut self, now: Time, dice: &mut Dice) {
        use DeploymentState::{Live, Replaced};
        let Some((_, current)) = self.serving.last().copied() else { return };
        let (_, older) = self.serving[dice.index(self.serving.len())];
        if older != current {
            self.deployments[current].marks.push((now, Replaced));
            self.deployments[older].marks.push((now, Live));
            self.serving.push((now, older));
        }
    }

    fn serving_at(&self, at: Time) -> Option<usize> {
        self.serving.iter().rev().find(|(since, _)| *since <= at).map(|(_, number)| *number)
    }

    /// Everything that served at some moment of a span.
    pub(crate) fn served_in(&self, span: Span) -> impl Iterator<Item = &CommitId> {
        let ends = self.serving.iter().skip(1).map(|(since, _)| *since).chain([Time::MAX]);
        self.serving
            .iter()
            .zip(ends)
            .filter(move |((since, _), end)| *since <= span.1 && *end >= span.0)
            .map(|((_, number), _)| &self.deployments[*number].commit)
    }

    /// Everything that began to serve within a span.
    pub(crate) fn deployed_in(&self, span: Span) -> impl Iterator<Item = &CommitId> {
        let began = self.serving.iter().filter(move |(since, _)| span.0 <= *since && *since <= span.1);
        began.map(|(_, number)| &self.deployments[*number].commit)
    }

    /// Every commit that the health address answered with at some moment of a span.
    pub(crate) fn answered_in(&self, span: Span) -> impl Iterator<Item = &CommitId> {
        self.served_in((span.0.saturating_sub(self.lags), span.1.saturating_sub(self.lags)))
    }

    pub(crate) fn deployments_of(&self, commit: &CommitId, span: Span) -> impl Iterator<Item = &TrueDeployment> {
        let ours = move |it: &&TrueDeployment| it.commit == *commit && it.created >= span.0 && it.created <= span.1;
        self.deployments.iter().filter(ours)
    }

    /// What the provider's API shows of a commit that was pushed at `pushed`, as of `at`.
    pub(crate) fn observe(&self, commit: &CommitId, pushed: Time, at: Time) -> ProviderObservation {
        let seen = |number: usize| SeenCommit::compare(self.deployments[number].commit.as_str(), commit);
        let ours = (0..self.deployments.len()).rev().find(|number| {
            let it = &self.deployments[*number];
            it.commit == *commit && it.created >= pushed && it.created <= at
        });
        let deployment = ours.and_then(|number| {
            let state = self.deployments[number].state_at(at)?;
            Some(Deployment {
                id: format!("{}-{number}", self.name),
                state,
                raw: format!("{state:?}").to_uppercase(),
                commit: seen(number),
                url: None,
                site_url: Some(format!("https://{}.example", self.name)),
                progress: None,
                reason: None,
            })
        });
        let serving = self.serving_at(at).filter(|_| self.tells_serving).map(|number| Serving {
            deployment_id: format!("{}-{number}", self.name),
            commit: Some(seen(number)),
            site_url: Some(format!("https://{}.example", self.name)),
            is_later: ours.is_some_and(|ours| number > ours),
        });
        ProviderObservation { deployment, serving, will_not_deploy: None }
    }

    /// The newest row of a commit. Where nothing but the row could tell it is one since the push: nobody can know an older one.
    pub(crate) fn row(&self, commit: &CommitId, pushed: Time, at: Time) -> DatabaseAnswer {
        let since = if self.has_provider { Time::ZERO } else { pushed };
        let newest = self.deployments_of(commit, (since, at)).last();
        let records = newest.map_or(DatabaseObservation::NoRow, |it| {
            let state = match it.state_at(at) {
                Some(DeploymentState::Live | DeploymentState::Replaced) => RowState::Success,
                Some(DeploymentState::Deploying) if it.breaks_database => RowState::Failed,
                _ => RowState::InProgress,
            };
            let raw = format!("{state:?}");
            DatabaseObservation::Row(DeploymentRow {
                state,
                raw,
                commit: SeenCommit::compare(commit.as_str(), commit),
                error: None,
            })
        });
        DatabaseAnswer::from(records)
    }

    /// What the health address answers.
    pub(crate) fn health(&self, commit: &CommitId, at: Time) -> CheckObservation {
        let healthy = !self.sick.is_some_and(|(from, to)| from <= at && at < to);
        let served = at.checked_sub(self.lags).and_then(|at| self.serving_at(at));
        let served = served.map(|number| SeenCommit::compare(self.deployments[number].commit.as_str(), commit));
        CheckObservation {
            healthy: healthy && served.is_some(),
            commit: served,
            summary: "an answer".to_owned(),
            sub_checks: Vec::new(),
            warning: None,
        }
    }

    /// Whether a row of a deployment truly failed.
    pub(crate) fn broke_database(&self, commit: &CommitId, span: Span) -> bool {
        self.deployments_of(commit, span).any(|it| it.breaks_database && it.was(&[DeploymentState::Deploying], span))
    }

    /// Whether the application was unhealthy, or served nothing, at some moment of a span.
    pub(crate) fn was_unhealthy(&self, span: Span) -> bool {
        let is_empty = self.serving.first().is_none_or(|(since, _)| *since + self.lags > span.0);
        is_empty || self.sick.is_some_and(|(from, to)| from <= span.1 && to >= span.0)
    }
}
