//! Later deployments and later pushes: what replaces a run's commit and what contains it.

use super::*;

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
    world.state = State::new(Plan { targets: vec![target()], has_pusher: true, is_repeated: false }, &world.policy);
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
fn a_later_push_stands_for_a_commit_that_was_never_deployed() {
    let newer = |contains, outcome| EventKind::Newer(Newer { commit: LATER.to_owned(), contains, outcome });
    let waited = || {
        let mut world = World::landed(vec![target()]);
        world.tell(newer(true, None));
        while world.now <= world.policy.registration_deadline {
            world.until_asked(StageKind::Provider);
            world.provider(ProviderObservation::default());
        }
        assert_eq!(world.outcome(), None);
        assert_eq!(
            world.state.waits_for().as_deref(),
            Some("provider: no deployment of this commit; waiting for 2222222")
        );
        world
    };
    let superseded = Outcome::Superseded { by: Some(LATER.to_owned()) };
    // It failed, so that it does not stand for ours any more.
    let mut world = waited();
    world.tell(newer(true, Some(OutcomeWord::DeployFailed)));
    world.until_asked(StageKind::Provider);
    world.provider(ProviderObservation::default());
    assert_eq!(world.state.outcome(), Some(&superseded));
    assert_eq!(world.state.reason(), Some("a later push replaced this commit before it was deployed"));
    // Its run goes on to our deadline.
    let mut world = waited();
    world.run(|_, _| Ok(Answer::Provider(ProviderObservation::default())));
    assert_eq!(world.state.outcome(), Some(&superseded));
    let reason = world.state.reason().unwrap();
    assert!(reason.starts_with("2222222 was pushed later, and the deadline passed first (provider: "), "{reason}");
}

#[test]
fn a_later_push_is_no_excuse_for_a_deployment_of_ours_that_does_not_end() {
    let mut world = World::landed(vec![target()]);
    world.tell(EventKind::Newer(Newer { commit: LATER.to_owned(), contains: true, outcome: None }));
    let outcome = world.run(|_, _| Ok(Answer::Provider(deployment(DeploymentState::Building))));
    assert_eq!(outcome, Outcome::TimedOut { phase: Phase::Deploying });
    assert_eq!(world.state.reason(), Some("the deadline passed while waiting for provider: BUILDING"));
}

#[test]
fn each_end_by_a_later_commit_says_which() {
    let newer = |contains, outcome| EventKind::Newer(Newer { commit: LATER.to_owned(), contains, outcome });
    let begin = |state: Option<DeploymentState>| {
        let mut world = World::landed(vec![target()]);
        world.tell(newer(true, None));
        if let Some(state) = state {
            world.until_asked(StageKind::Provider);
            world.provider(deployment(state));
        }
        world
    };
    for (state, event, reason) in [
        (None, newer(false, None), "a later push replaced this commit by 2222222, which does not contain it"),
        (None, newer(true, Some(OutcomeWord::Live)), "2222222 was pushed later, contains this commit and is live"),
        (
            Some(DeploymentState::Canceled),
            newer(true, Some(OutcomeWord::HealthFailed)),
            "2222222 was pushed later and ended health_failed",
        ),
    ] {
        let mut world = begin(state);
        world.tell(event);
        assert_eq!(world.state.reason(), Some(reason));
    }
    // While ours is on its way, the end of the later one says nothing about it.
    let mut world = begin(Some(DeploymentState::Building));
    world.tell(newer(true, Some(OutcomeWord::HealthFailed)));
    assert_eq!(world.outcome(), None);
}

#[test]
fn what_was_overtaken_and_goes_on_after_all_waits_anew_when_it_is_overtaken_again() {
    let mut world = World::landed(vec![target()]);
    let half = world.policy.registration_deadline / 2;
    let mut until = |end: Duration, state| {
        while world.outcome().is_none() && world.now < end {
            world.until_asked(StageKind::Provider);
            world.provider(deployment(state));
        }
        world.outcome()
    };
    assert_eq!(until(half, DeploymentState::Superseded), None);
    assert_eq!(until(half + Duration::from_secs(30), DeploymentState::Building), None);
    assert_eq!(until(half * 3, DeploymentState::Superseded), None);
    assert_eq!(until(half * 4, DeploymentState::Superseded), Some(OutcomeWord::Superseded));
}

#[test]
fn a_later_commit_that_contains_ours_needs_no_row_of_ours() {
    let mut world = World::landed(vec![TargetPlan { database: StagePlan::Ask, ..target() }]);
    world.until_asked(StageKind::Provider);
    world.provider(serving(Relation::Contains));
    assert_eq!(world.outcome(), Some(OutcomeWord::LiveContained));
    let report = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH).remove(0);
    assert_eq!(report.stages[0].summary, "2222222 is live and contains this commit");
    assert_eq!(report.stages[1].summary, "not asked: a later commit is live");
}

#[test]
fn a_later_push_that_failed_before_ours_was_overtaken_is_not_waited_for() {
    let mut world = World::landed(vec![target()]);
    let outcome = Some(OutcomeWord::DeployFailed);
    world.tell(EventKind::Newer(Newer { commit: LATER.to_owned(), contains: true, outcome }));
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Superseded));
    assert_eq!(world.state.outcome(), Some(&Outcome::Superseded { by: Some(LATER.to_owned()) }));
}
