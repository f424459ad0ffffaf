//! Whether the push landed, by each witness.

use super::*;

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
