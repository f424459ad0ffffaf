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
