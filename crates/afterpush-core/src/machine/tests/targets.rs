//! Several targets of one push, and targets that it is not for.

use super::*;

#[test]
fn deployments_are_known_by_their_ids_where_the_provider_gives_ids() {
    let of =
        |name: &str, tells_deployments_apart| TargetPlan { name: name.into(), tells_deployments_apart, ..target() };
    let world = World::new(vec![of("web", true), of("api", false)]);
    assert_eq!([0, 1, 2].map(|at| world.state.whose_deployments_have_ids(at)), [Some("web"), None, None]);
}

#[test]
fn no_target_is_skipped_at_once() {
    let world = World::new(Vec::new());
    assert_eq!((world.outcome(), world.finishes), (Some(OutcomeWord::Skipped), 1));
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
