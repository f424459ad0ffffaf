//! The machine's promises, by example and for every sequence of events.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::{
    fault::{Fault, FaultKind},
    observation::{
        CheckObservation, DatabaseAnswer, DatabaseObservation, Deployment, DeploymentRow, DeploymentState,
        HealthObservation, ProviderObservation, RowState, Serving,
    },
    run::{Outcome, OutcomeWord, Phase, Relation, SeenCommit, StageKind, Verdict},
};

mod any_sequence;
mod health;
mod later;
mod migrations;
mod provider;
mod push;
mod reports;
mod stages;
mod targets;

const OURS: &str = "1111111111111111111111111111111111111111";
const LATER: &str = "2222222222222222222222222222222222222222";

fn target() -> TargetPlan {
    TargetPlan {
        provider: StagePlan::Ask,
        health_checks: vec![check("health")],
        ..TargetPlan::unavailable("web", "not configured")
    }
}

fn check(name: &str) -> CheckPlan {
    CheckPlan { name: name.to_owned(), names_commit: true, passes: 3, failures: 5, flakes: 0 }
}

fn seen(id: &str, relation: Relation) -> SeenCommit {
    SeenCommit { id: id.to_owned(), relation }
}

fn deployment(state: DeploymentState) -> ProviderObservation {
    ProviderObservation {
        deployment: Some(Deployment {
            id: "d1".to_owned(),
            state,
            raw: format!("{state:?}").to_uppercase(),
            commit: seen(OURS, Relation::Same),
            url: None,
            site_url: Some("https://web.example".to_owned()),
            progress: None,
            reason: None,
        }),
        ..ProviderObservation::default()
    }
}

fn serving(relation: Relation) -> ProviderObservation {
    let commit = Some(seen(LATER, relation));
    let serving = Some(Serving { deployment_id: "d2".to_owned(), commit, site_url: None, is_later: false });
    ProviderObservation { serving, ..ProviderObservation::default() }
}

fn row(state: RowState) -> Answer {
    let row = DeploymentRow { state, raw: format!("{state:?}"), commit: seen(OURS, Relation::Same), error: None };
    Answer::Database(DatabaseObservation::Row(row).into())
}

fn answered(healthy: bool, relation: Option<Relation>) -> Result<CheckObservation, Fault> {
    let commit = relation.map(|relation| seen(if relation == Relation::Same { OURS } else { LATER }, relation));
    let (sub_checks, warning) = (Vec::new(), None);
    Ok(CheckObservation { healthy, commit, summary: "an answer".to_owned(), sub_checks, warning })
}

fn health(healthy: bool, relation: Option<Relation>) -> Answer {
    Answer::Health(HealthObservation { checks: vec![answered(healthy, relation)] })
}

/// Drives the machine as the driver does, on a clock of its own.
struct World {
    state: State,
    policy: Policy,
    now: Duration,
    open: Vec<StageKind>,
    finishes: usize,
}

impl World {
    fn new(targets: Vec<TargetPlan>) -> Self {
        let policy = Policy::default();
        let state = State::new(Plan { targets, has_pusher: true, is_repeated: false }, &policy);
        let mut world = Self { state, policy, now: Duration::ZERO, open: Vec::new(), finishes: 0 };
        world.tell(EventKind::Start);
        world
    }

    fn landed(targets: Vec<TargetPlan>) -> Self {
        let mut world = Self::new(targets);
        world.tell(EventKind::LookedLocally(LocalLook::Landed(PushProof::Reflog)));
        assert_eq!(world.state.push_proof(), Some(PushProof::Reflog));
        world
    }

    fn tell(&mut self, kind: EventKind) -> Vec<Effect> {
        let done = step(self.state.clone(), &self.policy, self.now, Event { roll: 0.5, kind });
        self.state = done.state;
        for effect in &done.effects {
            match effect {
                Effect::Ask { stage, .. } => self.open.push(*stage),
                Effect::Finish => self.finishes += 1,
                _ => {}
            }
        }
        done.effects
    }

    fn answer(&mut self, stage: StageKind, answer: Answer) -> Vec<Effect> {
        self.open.retain(|open| *open != stage);
        self.tell(EventKind::Answered { target: 0, stage, answer: Ok(answer), pace: Pace::default() })
    }

    fn provider(&mut self, observation: ProviderObservation) -> Vec<Effect> {
        self.answer(StageKind::Provider, Answer::Provider(observation))
    }

    fn fault(&mut self, stage: StageKind, fault: Fault) -> Vec<Effect> {
        self.open.retain(|open| *open != stage);
        self.tell(EventKind::Answered { target: 0, stage, answer: Err(fault), pace: Pace::default() })
    }

    /// Lets time pass until `stage` is asked, answering nothing else.
    fn until_asked(&mut self, stage: StageKind) -> Duration {
        for _ in 0..10_000 {
            if self.state.outcome().is_some() {
                panic!("finished {:?} before {stage} was asked", self.state.outcome());
            }
            if self.open.contains(&stage) {
                return self.now;
            }
            self.now = self.now.max(self.state.next_due(&self.policy).unwrap());
            self.tell(EventKind::Tick);
        }
        panic!("{stage} was never asked");
    }

    /// Lets time pass to the end, answering each question by `answers`.
    fn run(&mut self, mut answers: impl FnMut(Duration, StageKind) -> Result<Answer, Fault>) -> Outcome {
        while self.state.outcome().is_none() {
            for stage in std::mem::take(&mut self.open) {
                let answer = answers(self.now, stage);
                let effects = self.tell(EventKind::Answered { target: 0, stage, answer, pace: Pace::default() });
                if effects.contains(&Effect::FetchLog { target: 0 }) {
                    self.tell(EventKind::LogFetched { target: 0 });
                }
            }
            if let (Some(due), true) = (self.state.next_due(&self.policy), self.open.is_empty()) {
                self.now = self.now.max(due);
                self.tell(EventKind::Tick);
            }
        }
        self.state.outcome().unwrap().clone()
    }

    fn outcome(&self) -> Option<OutcomeWord> {
        self.state.outcome().map(Outcome::word)
    }
}

fn questions(effects: &[Effect]) -> Vec<StageKind> {
    effects.iter().filter_map(|it| if let Effect::Ask { stage, .. } = it { Some(*stage) } else { None }).collect()
}
