//! The health stage: answers in a row, flakes, several checks.

use super::*;

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
    let mut reports = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH);
    reports.remove(0).stages.remove(2)
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
fn the_share_counts_healthy_answers_that_name_a_commit() {
    let mut world = at_health(vec![check("health")]);
    for answer in [answered(true, Some(Relation::Other)), answered(false, None), answered(true, Some(Relation::Same))] {
        round(&mut world, vec![answer]);
    }
    let expected = "an answer (1 of 3 in a row; 1 of the last 2 answers are of this commit)";
    assert_eq!(health_stage(&world).summary, expected);
    // An answer that is not healthy says so, whatever commit it names.
    round(&mut world, vec![answered(false, Some(Relation::Other))]);
    assert_eq!(health_stage(&world).summary, "an answer");
}

#[test]
fn a_flake_before_the_row_is_none() {
    let mut world = at_health(vec![CheckPlan { flakes: 1, ..check("health") }]);
    let (good, bad) = (|| answered(true, Some(Relation::Same)), || answered(false, None));
    for answer in [bad(), good(), bad(), good(), good()] {
        assert_eq!(world.outcome(), None);
        round(&mut world, vec![answer]);
    }
    assert_eq!(world.outcome(), Some(OutcomeWord::Live));
}

#[test]
fn a_single_check_that_fails_needs_no_name() {
    let mut world = at_health(vec![check("site")]);
    for _ in 0..5 {
        round(&mut world, vec![answered(false, None)]);
    }
    assert_eq!(world.state.reason(), Some("unhealthy 5 times in a row: an answer"));
    assert_eq!(health_stage(&world).summary, "an answer");
}

#[test]
fn the_checks_are_asked_quickly_again_when_one_says_something_else() {
    let patient = CheckPlan { names_commit: false, passes: 20, failures: 20, ..check("health") };
    let mut world = at_health(vec![patient]);
    let mut answer = |healthy, relation| {
        round(&mut world, vec![answered(healthy, relation)]);
        world.state.interval(0, StageKind::Health).as_millis()
    };
    assert_eq!(answer(false, None), 5000, "the first failure");
    assert_eq!(answer(false, None), 6500);
    assert_eq!(answer(true, None), 5000, "the first pass");
    assert_eq!(answer(true, None), 6500);
    assert_eq!(answer(true, Some(Relation::Other)), 5000, "a commit");
    assert_eq!(answer(true, Some(Relation::Other)), 6500);
    assert_eq!(answer(true, Some(Relation::Same)), 5000, "another commit");
    assert_eq!(answer(false, Some(Relation::Same)), 5000, "a failure");
    // Before its turn a failure does not count, so that a pass alone makes the change.
    let patient = CheckPlan { names_commit: false, passes: 20, ..check("health") };
    let plan = TargetPlan { health: StagePlan::Ask, health_checks: vec![patient], ..target() };
    let mut world = World::landed(vec![plan]);
    let mut answer = |healthy| {
        round(&mut world, vec![answered(healthy, None)]);
        world.state.interval(0, StageKind::Health).as_millis()
    };
    assert_eq!((answer(false), answer(true), answer(true)), (6500, 5000, 6500));
}

#[test]
fn the_rest_of_a_row_is_asked_quickly() {
    let mut world = at_health(vec![check("health")]);
    round(&mut world, vec![answered(true, Some(Relation::Same))]);
    let answered_at = world.now;
    assert_eq!(world.until_asked(StageKind::Health) - answered_at, world.policy.first_interval / 5);
    // What fails is asked at the usual pace.
    round(&mut world, vec![answered(false, None)]);
    let answered_at = world.now;
    assert_eq!(world.until_asked(StageKind::Health) - answered_at, world.policy.first_interval);
}

#[test]
fn a_round_that_could_not_be_asked_at_all_breaks_every_row() {
    let mut world = at_health(vec![check("site"), check("api")]);
    let ours = || vec![answered(true, Some(Relation::Same)), answered(true, Some(Relation::Same))];
    round(&mut world, ours());
    round(&mut world, ours());
    world.until_asked(StageKind::Health);
    world.fault(StageKind::Health, Fault::new(FaultKind::Transient, "no network"));
    for check in health_stage(&world).checks {
        assert_eq!((check.passes, check.trouble.as_deref()), (0, Some("no network")));
    }
    round(&mut world, ours());
    assert_eq!(world.outcome(), None);
}
