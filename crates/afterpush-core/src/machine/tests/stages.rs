//! The stages together: their order, the quick check, and what counts as a proof.

use super::*;

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
