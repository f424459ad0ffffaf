//! The stages together: their order, the quick check, and what counts as a proof.

use super::*;

#[test]
fn a_row_of_a_commit_that_was_pushed_before_is_asked_when_its_turn_has_come() {
    let plan = || TargetPlan { database: StagePlan::Ask, ..target() };
    let row_is_asked = Effect::Ask { target: 0, stage: StageKind::Database };
    let begin = |is_repeated| {
        let mut world = World::new(vec![plan()]);
        world.state = State::new(Plan { targets: vec![plan()], has_pusher: true, is_repeated }, &world.policy);
        let effects = world.tell(EventKind::LookedLocally(LocalLook::Landed(PushProof::Reflog)));
        (world, effects.contains(&row_is_asked))
    };
    assert!(begin(false).1);
    let (mut world, asked) = begin(true);
    assert!(!asked);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Live));
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, row(RowState::Success));
    assert_eq!(world.outcome(), Some(OutcomeWord::Live));
}

#[test]
fn a_row_that_passed_before_the_commit_was_pushed_once_more_does_not_prove_it_live() {
    for is_pushed_again in [false, true] {
        let check = CheckPlan { names_commit: false, passes: 1, failures: 3, flakes: 0, name: "health".to_owned() };
        let health_checks = vec![check];
        let plan = TargetPlan { database: StagePlan::Ask, health: StagePlan::Ask, health_checks, ..target() };
        let mut world = World::landed(vec![plan]);
        world.until_asked(StageKind::Database);
        world.answer(StageKind::Database, row(RowState::Success));
        if is_pushed_again {
            world.tell(EventKind::PushedAgain { has_pusher: false });
        }
        world.answer(StageKind::Health, health(true, None));
        assert_eq!(world.outcome(), (!is_pushed_again).then_some(OutcomeWord::Live));
    }
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
fn a_stage_whose_turn_comes_is_asked_at_once_whatever_was_planned() {
    let mut world = World::landed(vec![TargetPlan { database: StagePlan::Ask, ..target() }]);
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, Answer::Database(DatabaseObservation::NoRow.into()));
    world.until_asked(StageKind::Provider);
    let effects = world.provider(deployment(DeploymentState::Live));
    assert_eq!(questions(&effects), [StageKind::Database]);
}

#[test]
fn the_later_stages_are_not_asked_while_a_deployment_is_on_its_way() {
    let plan = TargetPlan { database: StagePlan::Ask, health: StagePlan::Ask, ..target() };
    let mut world = World::landed(vec![plan]);
    assert_eq!(world.open, [StageKind::Database, StageKind::Health], "the quick check");
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Building));
    world.answer(StageKind::Database, Answer::Database(DatabaseObservation::NoRow.into()));
    world.answer(StageKind::Health, health(true, Some(Relation::Other)));
    for _ in 0..5 {
        world.until_asked(StageKind::Provider);
        assert_eq!(world.open, [StageKind::Provider]);
        world.provider(deployment(DeploymentState::Building));
    }
    let effects = world.provider(deployment(DeploymentState::Live));
    assert_eq!(questions(&effects), [StageKind::Database], "one after the other");
}

#[test]
fn an_answer_of_another_stage_says_nothing() {
    let plan = TargetPlan { database: StagePlan::Ask, health: StagePlan::Ask, ..target() };
    for (stage, answer) in [
        (StageKind::Health, Answer::Provider(deployment(DeploymentState::Live))),
        (StageKind::Provider, row(RowState::Success)),
        (StageKind::Database, health(true, Some(Relation::Same))),
    ] {
        let mut world = World::landed(vec![plan.clone()]);
        let before = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH);
        world.answer(stage, answer);
        let after = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH);
        let said = |reports: &[crate::file::TargetReport]| {
            reports[0].stages.iter().map(|stage| (stage.summary.clone(), stage.commit.clone())).collect::<Vec<_>>()
        };
        assert_eq!(said(&before), said(&after), "{stage}");
    }
}

#[test]
fn a_decided_stage_listens_no_more() {
    let mut world = World::landed(vec![TargetPlan { health: StagePlan::Ask, ..target() }]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Live));
    let effects = world.provider(deployment(DeploymentState::Failed));
    assert!(!effects.contains(&Effect::FetchLog { target: 0 }), "{effects:?}");
    assert_eq!((world.outcome(), world.state.phase()), (None, Phase::Verifying));
}

#[test]
fn credentials_that_a_later_stage_refuses_leave_it_to_the_others() {
    let plan = TargetPlan { database: StagePlan::Ask, health: StagePlan::Ask, ..target() };
    for (refused, other, answer) in [
        (StageKind::Database, StageKind::Health, health(true, Some(Relation::Same))),
        (StageKind::Health, StageKind::Database, row(RowState::Success)),
    ] {
        let mut world = World::landed(vec![plan.clone()]);
        world.until_asked(StageKind::Provider);
        world.provider(deployment(DeploymentState::Live));
        world.fault(refused, Fault::new(FaultKind::Unauthorized, "password refused"));
        let report = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH).remove(0);
        let stage = report.stages.iter().find(|stage| stage.stage == refused).unwrap();
        assert_eq!((stage.verdict, stage.summary.as_str()), (Verdict::Unavailable, "password refused"));
        while world.outcome().is_none() {
            world.until_asked(other);
            world.answer(other, answer.clone());
        }
        assert_eq!(world.outcome(), Some(OutcomeWord::Live), "{refused}");
    }
}

#[test]
fn a_path_of_the_deployments_address_is_asked_for_when_the_address_is_known() {
    let plan = TargetPlan { health: StagePlan::Ask, health_needs_site: true, ..target() };
    let mut world = World::landed(vec![plan]);
    world.until_asked(StageKind::Provider);
    assert_eq!(world.open, [StageKind::Provider], "nothing is known yet that could be asked for health");
    let mut serves = serving(Relation::Other);
    serves.serving.as_mut().unwrap().site_url = Some("https://old.example".to_owned());
    let effects = world.provider(serves);
    assert_eq!(world.state.site_url(0), Some("https://old.example"));
    assert_eq!(questions(&effects), [StageKind::Health]);
    assert_eq!(world.state.site_url(1), None);
}

#[test]
fn nothing_that_names_the_commit_is_said_with_what_each_stage_lacks() {
    let unavailable = |why: &str| StagePlan::Unavailable(why.to_owned());
    let plan = TargetPlan { provider: unavailable("no token"), database: unavailable("not configured"), ..target() };
    let world = World::landed(vec![TargetPlan { health: unavailable("no address"), ..plan.clone() }]);
    assert_eq!(
        world.state.reason(),
        Some("nothing named this commit (provider: no token; database: not configured; health: no address)")
    );
    let checks = vec![CheckPlan { names_commit: false, passes: 1, ..check("health") }];
    let mut world = World::landed(vec![TargetPlan { health: StagePlan::Ask, health_checks: checks, ..plan }]);
    world.until_asked(StageKind::Health);
    world.answer(StageKind::Health, health(true, None));
    assert_eq!(
        world.state.reason(),
        Some(
            "the application is healthy, but nothing named this commit (provider: no token; database: not configured)"
        )
    );
}

#[test]
fn the_reason_names_the_stage_that_proved_it() {
    let quick = || TargetPlan { database: StagePlan::Ask, ..target() };
    let mut world = World::landed(vec![quick()]);
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, row(RowState::Success));
    assert_eq!(world.state.reason(), Some("the database has a successful deployment of this commit"));
    let report = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH).remove(0);
    assert_eq!(report.stages[0].summary, "not waited for: the commit is proven live");

    let mut world = World::landed(vec![TargetPlan { health: StagePlan::Ask, ..target() }]);
    world.run(|_, stage| match stage {
        StageKind::Health => Ok(health(true, Some(Relation::Same))),
        _ => Ok(Answer::Provider(ProviderObservation::default())),
    });
    assert_eq!(world.state.reason(), Some("the application's health answer reports this commit"));

    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    world.provider(serving(Relation::Same));
    assert_eq!(world.state.reason(), Some("the provider serves this commit"));

    let mut world = World::landed(vec![TargetPlan { health: StagePlan::Ask, ..target() }]);
    world.run(|_, stage| match stage {
        StageKind::Health => Ok(health(true, Some(Relation::Contains))),
        _ => Ok(Answer::Provider(ProviderObservation::default())),
    });
    assert_eq!(world.state.reason(), Some("2222222 is live by the health stage and contains this commit"));
}
