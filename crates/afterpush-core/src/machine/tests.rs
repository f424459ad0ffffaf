//! The machine's promises, by example and for every sequence of events.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    fault::{Fault, FaultKind},
    observation::{
        CheckObservation, DatabaseAnswer, DatabaseObservation, Deployment, DeploymentRow, DeploymentState,
        HealthObservation, ProviderObservation, RowState, Serving,
    },
    run::{Outcome, OutcomeWord, Phase, Relation, SeenCommit, StageKind, Verdict},
};

mod migrations;

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
        let state = State::new(Plan { targets, has_pusher: true }, &policy);
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

#[test]
fn a_deployment_of_the_commit_that_goes_live_ends_the_run_live() {
    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Building));
    assert_eq!(world.state.phase(), Phase::Deploying);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Live));
    assert_eq!(world.outcome(), Some(OutcomeWord::Live));
    assert!(world.state.reason().unwrap().contains("d1"));
    assert_eq!(world.finishes, 1);
}

#[test]
fn t2_a_failure_ends_the_run_at_the_poll_that_sees_it() {
    let mut world = World::landed(vec![target()]);
    let polled = world.until_asked(StageKind::Provider);
    let effects = world.provider(deployment(DeploymentState::Failed));
    assert!(effects.contains(&Effect::FetchLog { target: 0 }), "{effects:?}");
    world.tell(EventKind::LogFetched { target: 0 });
    assert_eq!(world.outcome(), Some(OutcomeWord::DeployFailed));
    assert_eq!(world.now, polled);
}

#[test]
fn a_log_that_never_comes_does_not_hold_the_verdict_back() {
    let mut world = World::landed(vec![target()]);
    let polled = world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Failed));
    assert_eq!(world.outcome(), None);
    world.now = world.state.next_due(&world.policy).unwrap();
    world.tell(EventKind::Tick);
    assert_eq!(world.outcome(), Some(OutcomeWord::DeployFailed));
    assert_eq!(world.now, polled + world.policy.log_deadline);
}

#[test]
fn t5_a_healthy_answer_of_another_commit_is_no_proof() {
    let plan = TargetPlan { health: StagePlan::Ask, ..target() };
    let mut world = World::landed(vec![plan]);
    let outcome = world.run(|_, stage| {
        Ok(match stage {
            StageKind::Provider => Answer::Provider(deployment(DeploymentState::Live)),
            _ => health(true, Some(Relation::Other)),
        })
    });
    assert_eq!(outcome, Outcome::TimedOut { phase: Phase::Verifying });
    assert!(world.state.reason().unwrap().contains("still serving 2222222"), "{:?}", world.state.reason());
    assert!(world.now <= world.policy.deadline + Duration::from_secs(1));
}

#[test]
fn without_a_commit_in_any_answer_the_best_is_unverified() {
    let unavailable = StagePlan::Unavailable("no credentials".to_owned());
    let plan = TargetPlan {
        provider: unavailable,
        health: StagePlan::Ask,
        health_checks: vec![CheckPlan { names_commit: false, ..check("health") }],
        ..target()
    };
    let mut world = World::landed(vec![plan.clone()]);
    assert_eq!(world.run(|_, _| Ok(health(true, None))), Outcome::Unverified);
    assert!(world.state.reason().unwrap().contains("no credentials"));
    let mut world = World::landed(vec![TargetPlan { accept_unversioned_health: true, ..plan }]);
    assert_eq!(world.run(|_, _| Ok(health(true, None))), Outcome::Live);
}

#[test]
fn nothing_to_ask_is_unverified_at_once() {
    let unavailable = StagePlan::Unavailable("not configured".to_owned());
    let world = World::landed(vec![TargetPlan { provider: unavailable, ..target() }]);
    assert_eq!(world.outcome(), Some(OutcomeWord::Unverified));
}

#[test]
fn no_target_is_skipped_at_once() {
    let world = World::new(Vec::new());
    assert_eq!((world.outcome(), world.finishes), (Some(OutcomeWord::Skipped), 1));
}

#[test]
fn the_quick_check_ends_the_run_before_the_provider_has_a_deployment() {
    let plan = TargetPlan { database: StagePlan::Ask, ..target() };
    let mut world = World::landed(vec![plan]);
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, row(RowState::Success));
    assert_eq!(world.outcome(), Some(OutcomeWord::Live));

    let plan = TargetPlan { health: StagePlan::Ask, ..target() };
    let mut world = World::landed(vec![plan]);
    let outcome = world.run(|_, stage| match stage {
        StageKind::Health => Ok(health(true, Some(Relation::Same))),
        _ => Ok(Answer::Provider(ProviderObservation::default())),
    });
    assert_eq!(outcome, Outcome::Live);
    assert!(world.now < Duration::from_secs(4), "{:?}", world.now);
}

#[test]
fn the_quick_check_does_not_overrule_a_deployment_that_is_on_its_way() {
    let plan = TargetPlan { database: StagePlan::Ask, ..target() };
    let mut world = World::landed(vec![plan]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Building));
    world.answer(StageKind::Database, row(RowState::Success));
    assert_eq!(world.outcome(), None);
}

#[test]
fn a_database_that_says_success_waits_for_the_health_check() {
    let unavailable = StagePlan::Unavailable("not configured".to_owned());
    let plan = TargetPlan { provider: unavailable, database: StagePlan::Ask, health: StagePlan::Ask, ..target() };
    let mut world = World::landed(vec![plan]);
    let outcome = world.run(|_, stage| {
        Ok(match stage {
            StageKind::Database => row(RowState::Success),
            _ => health(true, Some(Relation::Other)),
        })
    });
    assert_eq!(outcome, Outcome::TimedOut { phase: Phase::Verifying });
}

#[test]
fn a_failed_row_fails_only_in_its_turn() {
    let plan = TargetPlan { database: StagePlan::Ask, ..target() };
    let mut world = World::landed(vec![plan]);
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, row(RowState::Failed));
    assert_eq!(world.outcome(), None, "a row of an earlier try must not fail a deployment that may yet begin");
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Live));
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, row(RowState::Failed));
    assert_eq!(world.outcome(), Some(OutcomeWord::DatabaseFailed));
}

#[test]
fn health_needs_passes_in_a_row_and_fails_after_failures_in_a_row() {
    let plan = TargetPlan { health: StagePlan::Ask, ..target() };
    let script = |answers: &[bool]| {
        let mut world = World::landed(vec![plan.clone()]);
        world.until_asked(StageKind::Provider);
        world.provider(deployment(DeploymentState::Live));
        for healthy in answers {
            world.until_asked(StageKind::Health);
            world.answer(StageKind::Health, health(*healthy, healthy.then_some(Relation::Same)));
        }
        world.outcome()
    };
    assert_eq!(script(&[true, true, false, true, true]), None);
    assert_eq!(script(&[true, true, false, true, true, true]), Some(OutcomeWord::Live));
    assert_eq!(script(&[false, false, false, false, true, false]), None);
    assert_eq!(script(&[false; 5]), Some(OutcomeWord::HealthFailed));
}

/// A target whose health has its turn, with these checks.
fn at_health(checks: Vec<CheckPlan>) -> World {
    let mut world = World::landed(vec![TargetPlan { health: StagePlan::Ask, health_checks: checks, ..target() }]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Live));
    world
}

fn round(world: &mut World, checks: Vec<Result<CheckObservation, Fault>>) {
    world.until_asked(StageKind::Health);
    world.answer(StageKind::Health, Answer::Health(HealthObservation { checks }));
}

fn health_stage(world: &World) -> crate::file::StageReport {
    stage_report(world, 2)
}

fn stage_report(world: &World, index: usize) -> crate::file::StageReport {
    let mut reports = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH);
    reports.remove(0).stages.remove(index)
}

#[test]
fn a_rolling_deployment_passes_only_when_a_whole_row_of_answers_is_ours_and_shows_the_share() {
    let mut world = at_health(vec![CheckPlan { flakes: 5, ..check("health") }]);
    let (ours, old) = (|| answered(true, Some(Relation::Same)), || answered(true, Some(Relation::Other)));
    for answer in [old(), ours(), ours()] {
        round(&mut world, vec![answer]);
    }
    let expected = "an answer (2 of 3 in a row; 2 of the last 3 answers are of this commit)";
    assert_eq!(health_stage(&world).summary, expected);
    // Flakes are tolerated, another version never.
    for answer in [old(), old(), old()] {
        round(&mut world, vec![answer]);
    }
    assert_eq!(health_stage(&world).summary, "still serving 2222222; 2 of the last 5 answers are of this commit");
    assert_eq!((health_stage(&world).checks[0].passes, health_stage(&world).verdict), (0, Verdict::Pending));
    for answer in [ours(), ours()] {
        round(&mut world, vec![answer]);
    }
    assert_eq!(world.outcome(), None);
    round(&mut world, vec![ours()]);
    assert_eq!(world.outcome(), Some(OutcomeWord::Live));
}

#[test]
fn a_row_outlasts_as_many_flakes_as_it_may() {
    let lost = || Err(Fault::new(FaultKind::Transient, "reset"));
    let (good, bad) = (|| answered(true, Some(Relation::Same)), || answered(false, None));
    let script = |flakes, answers: Vec<Result<CheckObservation, Fault>>| {
        let mut world = at_health(vec![CheckPlan { flakes, ..check("health") }]);
        for answer in answers {
            round(&mut world, vec![answer]);
        }
        world.outcome()
    };
    assert_eq!(script(1, vec![good(), bad(), good(), good()]), Some(OutcomeWord::Live));
    assert_eq!(script(1, vec![good(), lost(), good(), good()]), Some(OutcomeWord::Live));
    assert_eq!(script(1, vec![good(), bad(), good(), lost(), good()]), None);
    assert_eq!(script(0, vec![good(), good(), lost(), good()]), None, "no answer breaks a row as well");
}

#[test]
fn of_several_checks_all_have_to_pass_at_the_same_time() {
    let plain = CheckPlan { names_commit: false, passes: 1, ..check("port") };
    let mut world = at_health(vec![check("site"), plain]);
    let (ours, fine) = (|| answered(true, Some(Relation::Same)), || answered(true, None));
    round(&mut world, vec![ours(), fine()]);
    round(&mut world, vec![ours(), Err(Fault::new(FaultKind::Transient, "connection refused"))]);
    let stage = health_stage(&world);
    assert_eq!(stage.summary, "0 of 2 checks pass; site: an answer (2 of 3 in a row)");
    assert_eq!(stage.checks[1].trouble.as_deref(), Some("connection refused"));
    round(&mut world, vec![ours(), Err(Fault::new(FaultKind::Transient, "connection refused"))]);
    assert_eq!(health_stage(&world).summary, "1 of 2 checks pass; port: connection refused");
    assert_eq!((world.outcome(), health_stage(&world).checks[0].verdict), (None, Verdict::Passed));
    round(&mut world, vec![ours(), fine()]);
    assert_eq!(world.outcome(), Some(OutcomeWord::Live));
    assert_eq!(health_stage(&world).summary, "2 of 2 checks pass");
}

#[test]
fn of_several_checks_a_broken_one_fails_and_a_later_commit_is_not_taken_for_ours() {
    let mut world = at_health(vec![check("site"), check("api")]);
    for _ in 0..5 {
        round(&mut world, vec![answered(true, Some(Relation::Other)), answered(false, None)]);
    }
    assert_eq!(world.outcome(), Some(OutcomeWord::HealthFailed));
    let report = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH).remove(0);
    assert_eq!(report.reason.as_deref(), Some("check api is unhealthy 5 times in a row: an answer"));
    assert_eq!(report.stages[2].checks[1].verdict, Verdict::Failed);

    let unavailable = StagePlan::Unavailable("not configured".to_owned());
    let checks = vec![check("site"), check("api")];
    let plan = TargetPlan { provider: unavailable, health: StagePlan::Ask, health_checks: checks, ..target() };
    let mut world = World::landed(vec![plan]);
    for _ in 0..3 {
        round(&mut world, vec![answered(true, Some(Relation::Same)), answered(true, Some(Relation::Contains))]);
    }
    assert_eq!(world.outcome(), Some(OutcomeWord::LiveContained));
}

#[test]
fn trouble_is_not_failure_and_retry_after_is_honoured_within_the_cap() {
    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    let wish = |seconds| Some(Duration::from_secs(seconds));
    let limited = |retry_after| Fault { retry_after, ..Fault::new(FaultKind::RateLimited, "429") };
    world.fault(StageKind::Provider, limited(wish(60)));
    let asked = world.now;
    assert!(world.until_asked(StageKind::Provider) >= asked + Duration::from_secs(60));
    world.fault(StageKind::Provider, limited(wish(1_000_000)));
    let asked = world.now;
    assert_eq!(world.until_asked(StageKind::Provider), asked + world.policy.retry_after_cap);
    for kind in [FaultKind::Transient, FaultKind::Malformed, FaultKind::Transient] {
        world.fault(StageKind::Provider, Fault::new(kind, "trouble"));
        assert_eq!(world.outcome(), None);
        world.until_asked(StageKind::Provider);
    }
    world.provider(deployment(DeploymentState::Live));
    assert_eq!(world.outcome(), Some(OutcomeWord::Live));
}

#[test]
fn an_answer_that_another_monitor_had_is_asked_for_anew_when_it_is_as_old_as_the_interval() {
    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    let asked_at = world.now;
    let age = Duration::from_secs(4);
    let answer = Ok(Answer::Provider(ProviderObservation::default()));
    let warning = Some("only 4 calls are left".to_owned());
    world.open.clear();
    world.tell(EventKind::Answered { target: 0, stage: StageKind::Provider, answer, pace: Pace { age, warning } });
    // 5 s have grown to 6.5 s; the middle roll puts a tenth on top; four of them have passed already.
    assert_eq!(world.state.interval(0, StageKind::Provider), Duration::from_millis(6500));
    assert_eq!(world.until_asked(StageKind::Provider) - asked_at, Duration::from_millis(3150));
    let report = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH);
    assert!(report[0].stages[0].summary.ends_with("(only 4 calls are left)"), "{report:?}");
}

#[test]
fn trouble_to_the_end_is_a_timeout_that_says_so() {
    let mut world = World::landed(vec![target()]);
    assert_eq!(stage_report(&world, 0).summary, "not asked yet");
    let outcome = world.run(|_, _| Err(Fault::new(FaultKind::Transient, "answered 500")));
    assert_eq!(stage_report(&world, 0).summary, "no answer yet");
    assert_eq!(outcome, Outcome::TimedOut { phase: Phase::AwaitingDeployment });
    assert!(world.state.reason().unwrap().contains("answered 500"));
}

#[test]
fn unauthorized_ends_at_once_and_an_unknown_app_when_said_twice() {
    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    world.fault(StageKind::Provider, Fault::new(FaultKind::Unauthorized, "token refused"));
    assert_eq!(world.outcome(), Some(OutcomeWord::Unauthorized));

    let mut world = World::landed(vec![target()]);
    for expected in [None, Some(OutcomeWord::NoDeployment)] {
        world.until_asked(StageKind::Provider);
        world.fault(StageKind::Provider, Fault::new(FaultKind::NotFound, "no app named x"));
        assert_eq!(world.outcome(), expected);
    }
}

#[test]
fn a_deployment_that_never_appears_is_no_deployment_at_the_registration_deadline() {
    let mut world = World::landed(vec![target()]);
    let outcome = world.run(|_, _| Ok(Answer::Provider(ProviderObservation::default())));
    assert_eq!(outcome, Outcome::NoDeployment);
    assert_eq!(world.now, world.policy.registration_deadline);
}

#[test]
fn a_pinned_app_is_no_deployment_with_that_reason() {
    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    let will_not_deploy = Some("the app is pinned".to_owned());
    world.provider(ProviderObservation { will_not_deploy, ..ProviderObservation::default() });
    assert_eq!((world.outcome(), world.state.reason()), (Some(OutcomeWord::NoDeployment), Some("the app is pinned")));
}

#[test]
fn an_unknown_word_is_still_in_progress() {
    let mut world = World::landed(vec![target()]);
    let outcome = world.run(|_, _| Ok(Answer::Provider(deployment(DeploymentState::Unknown))));
    assert_eq!(outcome, Outcome::TimedOut { phase: Phase::Deploying });
}

#[test]
fn t11_a_live_descendant_makes_ours_live_and_another_live_commit_does_not() {
    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    world.provider(serving(Relation::Other));
    assert_eq!(world.outcome(), None);
    world.until_asked(StageKind::Provider);
    world.provider(serving(Relation::Contains));
    assert_eq!(world.state.outcome(), Some(&Outcome::LiveContained { by: LATER.to_owned() }));

    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    let replaced =
        ProviderObservation { serving: serving(Relation::Contains).serving, ..deployment(DeploymentState::Superseded) };
    world.provider(replaced);
    assert_eq!(world.outcome(), Some(OutcomeWord::LiveContained));
}

#[test]
fn t11_what_a_later_unrelated_deployment_has_replaced_ends_at_once() {
    for state in [DeploymentState::Superseded, DeploymentState::Replaced] {
        let mut seen = ProviderObservation { serving: serving(Relation::Other).serving, ..deployment(state) };
        let mut world = World::landed(vec![target()]);
        world.until_asked(StageKind::Provider);
        world.provider(seen.clone());
        assert_eq!(world.outcome(), None, "what serves may be what served before");
        world.until_asked(StageKind::Provider);
        seen.serving.as_mut().unwrap().is_later = true;
        world.provider(seen);
        assert_eq!(world.state.outcome(), Some(&Outcome::Superseded { by: Some(LATER.to_owned()) }));
    }
}

#[test]
fn t11_a_superseded_deployment_is_not_called_a_timeout() {
    let mut world = World::landed(vec![target()]);
    world.policy.deadline = Duration::from_secs(60);
    world.state = State::new(Plan { targets: vec![target()], has_pusher: true }, &world.policy);
    world.tell(EventKind::LookedLocally(LocalLook::Landed(PushProof::Reflog)));
    let outcome = world.run(|_, _| Ok(Answer::Provider(deployment(DeploymentState::Superseded))));
    assert_eq!(outcome, Outcome::Superseded { by: None });
}

#[test]
fn t11_a_superseded_deployment_ends() {
    let mut world = World::landed(vec![target()]);
    let outcome = world.run(|_, _| Ok(Answer::Provider(deployment(DeploymentState::Superseded))));
    assert_eq!(outcome, Outcome::Superseded { by: None });
    assert!(world.now < world.policy.deadline);
}

#[test]
fn a_later_push_supersedes_or_contains() {
    let newer = |contains, outcome| EventKind::Newer(Newer { commit: LATER.to_owned(), contains, outcome });
    let mut world = World::landed(vec![target()]);
    world.tell(newer(false, None));
    assert_eq!(world.state.outcome(), Some(&Outcome::Superseded { by: Some(LATER.to_owned()) }));

    let mut world = World::landed(vec![target()]);
    world.tell(newer(true, None));
    assert_eq!(world.outcome(), None);
    world.tell(newer(true, Some(OutcomeWord::Live)));
    assert_eq!(world.state.outcome(), Some(&Outcome::LiveContained { by: LATER.to_owned() }));

    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Canceled));
    assert_eq!(world.outcome(), Some(OutcomeWord::Canceled));

    let mut world = World::landed(vec![target()]);
    world.tell(newer(true, None));
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Canceled));
    assert_eq!(world.outcome(), None, "the later push may yet go live");
    world.tell(newer(true, Some(OutcomeWord::DeployFailed)));
    assert_eq!(world.outcome(), Some(OutcomeWord::Superseded));
}

#[test]
fn a_push_is_confirmed_per_ref_and_a_refused_one_ends_quietly() {
    for (exit, look, expected) in [
        (Some(0), RemoteLook::Elsewhere, None),
        (Some(1), RemoteLook::Landed, None),
        (Some(1), RemoteLook::Contains, Some(OutcomeWord::PushNotCompleted)),
        (Some(-9), RemoteLook::Contains, None),
        (Some(1), RemoteLook::Elsewhere, Some(OutcomeWord::PushNotCompleted)),
        (Some(-9), RemoteLook::Elsewhere, None),
        (None, RemoteLook::Elsewhere, None),
    ] {
        let mut world = World::new(vec![target()]);
        let effects = world.tell(EventKind::PusherGone { exit });
        assert!(effects.contains(&Effect::LookLocally));
        world.tell(EventKind::LookedLocally(LocalLook::NotSeen));
        if exit != Some(0) {
            world.tell(EventKind::LookedAtRemote(look.clone()));
        }
        assert_eq!(world.outcome(), expected, "{exit:?} {look:?}");
        let contains = look == RemoteLook::Contains && exit != Some(1);
        let proven = exit == Some(0) || look == RemoteLook::Landed || contains;
        assert_eq!(world.state.push_proof().is_some(), proven, "{exit:?} {look:?}");
        if look == RemoteLook::Elsewhere && expected.is_none() && !proven {
            world.tell(EventKind::LookedAtRemote(look));
            assert_eq!(world.outcome(), Some(OutcomeWord::PushNotCompleted));
        }
    }
}

#[test]
fn a_tracking_ref_that_may_have_been_there_before_is_the_weakest_witness() {
    let tracking = || EventKind::LookedLocally(LocalLook::Landed(PushProof::TrackingRef));
    for (exit, alone, with_deaf_remote) in [
        (Some(0), Some(PushProof::TrackingRef), Some(PushProof::TrackingRef)),
        (Some(1), None, None),
        (None, None, Some(PushProof::TrackingRef)),
    ] {
        let mut world = World::new(vec![target()]);
        world.tell(EventKind::PusherGone { exit });
        let effects = world.tell(tracking());
        assert_eq!(world.state.push_proof(), alone, "{exit:?}");
        assert_eq!(effects.contains(&Effect::LookAtRemote), alone.is_none(), "{exit:?}");
        world.tell(EventKind::LookedAtRemote(RemoteLook::Unknown("no network".to_owned())));
        world.tell(tracking());
        assert_eq!(world.state.push_proof(), with_deaf_remote, "{exit:?}");
    }
    let mut world = World::new(vec![target()]);
    world.tell(EventKind::PusherGone { exit: Some(1) });
    world.tell(EventKind::LookedLocally(LocalLook::Landed(PushProof::Reflog)));
    assert_eq!(world.state.push_proof(), Some(PushProof::Reflog));
}

#[test]
fn a_remote_that_cannot_be_asked_leaves_it_to_the_provider_or_the_deadline() {
    let begin = || {
        let mut world = World::new(vec![target()]);
        world.tell(EventKind::PusherGone { exit: None });
        world.tell(EventKind::LookedLocally(LocalLook::NotSeen));
        world.tell(EventKind::LookedAtRemote(RemoteLook::Unknown("no network".to_owned())));
        world
    };
    let mut world = begin();
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Building));
    assert_eq!(world.state.push_proof(), Some(PushProof::Provider));
    let mut world = begin();
    let outcome = world.run(|_, _| Ok(Answer::Provider(ProviderObservation::default())));
    assert_eq!(outcome, Outcome::PushNotCompleted);
    assert!(world.state.reason().unwrap().contains("no network"));
    assert_eq!(world.now, world.policy.confirmation_deadline);
}

#[test]
fn of_several_targets_the_worst_is_the_runs_and_skipped_ones_do_not_hide_a_live_one() {
    let mut world = World::landed(vec![target(), target()]);
    let tell = |world: &mut World, target, state| {
        let answer = Ok(Answer::Provider(deployment(state)));
        world.tell(EventKind::Answered { target, stage: StageKind::Provider, answer, pace: Pace::default() });
    };
    tell(&mut world, 0, DeploymentState::Live);
    assert_eq!(world.outcome(), None);
    tell(&mut world, 1, DeploymentState::Canceled);
    assert_eq!(world.outcome(), Some(OutcomeWord::Canceled));
    assert!(world.state.reason().unwrap().starts_with("web: "));

    let mut world = World::landed(vec![target(), target()]);
    tell(&mut world, 0, DeploymentState::Skipped);
    tell(&mut world, 1, DeploymentState::Live);
    assert_eq!(world.outcome(), Some(OutcomeWord::Live));
}

#[test]
fn after_a_suspend_everything_is_asked_at_once() {
    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Building));
    world.now += Duration::from_millis(10);
    let effects = world.tell(EventKind::Resumed);
    assert_eq!(questions(&effects), [StageKind::Provider]);
}

fn any_answer() -> impl Strategy<Value = (StageKind, Result<Answer, Fault>)> {
    use DeploymentState as D;
    let relation = prop_oneof![Just(Relation::Same), Just(Relation::Contains), Just(Relation::Other)];
    let state = prop::sample::select(vec![
        D::Queued,
        D::Building,
        D::Deploying,
        D::Live,
        D::Failed,
        D::Canceled,
        D::Superseded,
        D::Replaced,
        D::Skipped,
        D::Blocked,
        D::Unknown,
    ]);
    let fault = prop::sample::select(vec![
        FaultKind::Transient,
        FaultKind::RateLimited,
        FaultKind::Unauthorized,
        FaultKind::NotFound,
        FaultKind::Malformed,
    ]);
    let stage = prop::sample::select(StageKind::ALL.to_vec());
    prop_oneof![
        4 => state.prop_map(|state| (StageKind::Provider, Ok(Answer::Provider(deployment(state))))),
        2 => relation.clone().prop_map(|it| (StageKind::Provider, Ok(Answer::Provider(serving(it))))),
        2 => prop::sample::select(vec![RowState::InProgress, RowState::Success, RowState::Failed])
            .prop_map(|state| (StageKind::Database, Ok(row(state)))),
        1 => Just((StageKind::Database, Ok(Answer::Database(DatabaseObservation::NoRow.into())))),
        3 => (any::<bool>(), prop::option::of(relation)).prop_map(|(ok, it)| (StageKind::Health, Ok(health(ok, it)))),
        2 => (stage, fault, prop::option::of(0_u64..1_000_000)).prop_map(|(stage, kind, wish)| {
            let retry_after = wish.map(Duration::from_secs);
            (stage, Err(Fault { retry_after, ..Fault::new(kind, "trouble") }))
        }),
    ]
}

fn any_event() -> impl Strategy<Value = EventKind> {
    let word = prop::option::of(prop::sample::select(OutcomeWord::ALL.to_vec()));
    prop_oneof![
        3 => Just(EventKind::Tick),
        1 => Just(EventKind::Resumed),
        1 => prop::option::of(-9_i32..3).prop_map(|exit| EventKind::PusherGone { exit }),
        2 => prop::sample::select(vec![LocalLook::NotSeen, LocalLook::Landed(PushProof::Reflog)])
            .prop_map(EventKind::LookedLocally),
        1 => prop::sample::select(vec![
            RemoteLook::Landed, RemoteLook::Contains, RemoteLook::Elsewhere, RemoteLook::Unknown("x".to_owned()),
        ]).prop_map(EventKind::LookedAtRemote),
        1 => any::<bool>().prop_map(|has_pusher| EventKind::PushedAgain { has_pusher }),
        8 => (0_usize..3, any_answer(), 0_u64..100).prop_map(|(target, (stage, answer), age)| EventKind::Answered {
            target,
            stage,
            answer,
            pace: Pace { age: Duration::from_secs(age), warning: None },
        }),
        1 => (0_usize..3).prop_map(|target| EventKind::LogFetched { target }),
        1 => (any::<bool>(), word).prop_map(|(contains, outcome)| {
            EventKind::Newer(Newer { commit: LATER.to_owned(), contains, outcome })
        }),
    ]
}

#[test]
fn a_target_that_the_push_is_not_for_is_skipped_once_it_landed_and_nothing_of_it_is_asked() {
    let skipped = || TargetPlan::skipped("docs", "no path of it changed");
    let mut world = World::landed(vec![skipped(), TargetPlan::skipped("api", "nor of this one")]);
    assert_eq!(world.state.outcome(), Some(&Outcome::Skipped));
    assert_eq!((world.open.len(), world.finishes), (0, 1));
    // Beside another target it counts for nothing, and its reason is kept.
    world = World::landed(vec![target(), skipped()]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Live));
    assert_eq!(world.state.outcome(), Some(&Outcome::Live));
    assert_eq!(world.state.targets[1].reason.as_deref(), Some("no path of it changed"));
    // A push that did not land skips nothing.
    world = World::new(vec![skipped()]);
    assert_eq!(world.state.outcome(), None);
}

fn any_target() -> impl Strategy<Value = TargetPlan> {
    let plan =
        || any::<bool>().prop_map(|ask| if ask { StagePlan::Ask } else { StagePlan::Unavailable("none".to_owned()) });
    (plan(), plan(), plan(), any::<bool>(), any::<bool>()).prop_map(|(provider, database, health, needs, names)| {
        let health_checks = vec![CheckPlan { names_commit: names, ..check("health") }];
        TargetPlan { provider, database, health, health_needs_site: needs, health_checks, ..target() }
    })
}

/// Whether an event alone could justify saying that the commit is live.
fn names_ours(kind: &EventKind) -> bool {
    let ours = |commit: &SeenCommit| commit.relation != Relation::Other;
    match kind {
        EventKind::Answered { answer: Ok(Answer::Provider(it)), .. } => {
            it.deployment.as_ref().is_some_and(|it| it.state == DeploymentState::Live && ours(&it.commit))
                || it.serving.as_ref().is_some_and(|it| it.commit.as_ref().is_some_and(ours))
        }
        EventKind::Answered {
            answer: Ok(Answer::Database(DatabaseAnswer { records: Some(DatabaseObservation::Row(row)), .. })),
            ..
        } => row.state == RowState::Success,
        EventKind::Answered { answer: Ok(Answer::Health(it)), .. } => {
            it.checks.iter().flatten().any(|it| it.healthy && it.commit.as_ref().is_some_and(ours))
        }
        EventKind::Newer(newer) => newer.contains && newer.outcome.is_some_and(OutcomeWord::is_live),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_sequence_of_events_ends_by_the_deadline_and_no_outcome_ever_changes(
        targets in prop::collection::vec(any_target(), 0..3),
        has_pusher in any::<bool>(),
        events in prop::collection::vec((any_event(), 0_u64..90_000, 0.0_f64..1.0), 0..60),
    ) {
        let policy = Policy::default();
        let mut state = State::new(Plan { targets, has_pusher }, &policy);
        let mut now = Duration::ZERO;
        let mut outcome: Option<Outcome> = None;
        let mut finishes = 0;
        let mut proof_seen = false;
        let all = std::iter::once((EventKind::Start, 0, 0.5)).chain(events);
        let end = [(EventKind::Tick, 31 * 60 * 1000, 0.5), (EventKind::Tick, 0, 0.5)];
        for (kind, wait, roll) in all.chain(end) {
            now += Duration::from_millis(wait);
            proof_seen |= names_ours(&kind);
            let done = step(state, &policy, now, Event { roll, kind });
            state = done.state;
            finishes += done.effects.iter().filter(|effect| **effect == Effect::Finish).count();
            if let Some(known) = &outcome {
                prop_assert_eq!(state.outcome(), Some(known));
                prop_assert!(done.effects.is_empty());
            }
            outcome = state.outcome().cloned();
            match &outcome {
                Some(outcome) => {
                    prop_assert_eq!(state.next_due(&policy), None);
                    prop_assert!(!outcome.word().is_live() || proof_seen, "{} without a proof", outcome);
                }
                None => prop_assert!(state.next_due(&policy).is_some_and(|due| due <= policy.deadline)),
            }
        }
        prop_assert!(outcome.is_some());
        prop_assert_eq!(finishes, 1);
    }

    #[test]
    fn waiting_by_the_timers_alone_reaches_an_end(targets in prop::collection::vec(any_target(), 0..3), roll in 0.0_f64..1.0) {
        let policy = Policy::default();
        let mut state = State::new(Plan { targets, has_pusher: true }, &policy);
        let mut now = Duration::ZERO;
        let mut kind = EventKind::Start;
        for _ in 0..5_000 {
            let done = step(state, &policy, now, Event { roll, kind });
            state = done.state;
            let Some(due) = state.next_due(&policy) else { break };
            prop_assert!(due <= policy.deadline);
            now = now.max(due);
            kind = EventKind::Tick;
        }
        prop_assert!(state.outcome().is_some(), "still waiting at {:?}", now);
    }
}
