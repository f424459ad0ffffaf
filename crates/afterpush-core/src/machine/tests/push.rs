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
        (Some(1), RemoteLook::Unclear("it is elsewhere"), Some(OutcomeWord::PushNotCompleted)),
        (Some(-9), RemoteLook::Unclear("it is elsewhere"), None),
        (None, RemoteLook::Unclear("it is elsewhere"), None),
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
            world.tell(EventKind::LookedAtRemote(look.clone()));
            assert_eq!(world.outcome(), Some(OutcomeWord::PushNotCompleted));
        }
        if look == RemoteLook::Unclear("it is elsewhere") && expected.is_none() {
            // However often it says so: the provider is asked instead.
            (0..3).for_each(|_| drop(world.tell(EventKind::LookedAtRemote(look.clone()))));
            assert_eq!(world.outcome(), None, "{exit:?}");
            let effects = world.tell(EventKind::Tick);
            let asked = Effect::Ask { target: 0, stage: StageKind::Provider };
            assert!(world.state.targets[0].provider.asked > 0 || effects.contains(&asked), "{exit:?}");
        }
    }
}

#[test]
fn what_an_earlier_monitor_of_the_run_saw_counts_whatever_can_be_seen_now() {
    for exit in [None, Some(1), Some(-9)] {
        let mut world = World::new(vec![target()]);
        world.tell(EventKind::PusherGone { exit });
        world.tell(EventKind::LookedLocally(LocalLook::Landed(PushProof::Earlier)));
        world.tell(EventKind::LookedAtRemote(RemoteLook::Elsewhere));
        assert_eq!((world.state.push_proof(), world.outcome()), (Some(PushProof::Earlier), None), "{exit:?}");
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
        // The remote was asked, and does not have the ref at this commit.
        world.tell(EventKind::LookedAtRemote(RemoteLook::Unclear("it is elsewhere")));
        world.tell(tracking());
        assert_eq!(world.state.push_proof(), alone, "{exit:?}");
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
fn the_repository_is_looked_at_more_and_more_rarely_while_git_pushes() {
    let mut world = World::new(vec![target()]);
    let mut looks = Vec::new();
    while world.now < Duration::from_secs(9) {
        if world.tell(EventKind::Tick).contains(&Effect::LookLocally) {
            looks.push(world.now.as_millis());
        }
        world.now = world.state.next_due(&world.policy).unwrap();
    }
    assert_eq!(looks[..4], [100, 250, 475, 812]);
    let gaps: Vec<_> = looks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(*gaps.iter().max().unwrap(), 2000);
}

#[test]
fn a_push_that_takes_long_is_looked_for_at_the_remote_and_at_the_provider() {
    let mut world = World::new(vec![target()]);
    let long = 2 * world.policy.first_interval;
    world.now = long - Duration::from_millis(1);
    let early = world.tell(EventKind::Tick);
    assert!(!early.contains(&Effect::LookAtRemote) && questions(&early).is_empty(), "{early:?}");
    world.now = long;
    let late = world.tell(EventKind::Tick);
    assert!(late.contains(&Effect::LookAtRemote), "{late:?}");
    assert_eq!(questions(&late), [StageKind::Provider]);
    // One question at a time, and the next one an interval after the answer.
    assert!(!world.tell(EventKind::Tick).contains(&Effect::LookAtRemote));
    world.tell(EventKind::LookedAtRemote(RemoteLook::Elsewhere));
    assert_eq!(world.outcome(), None, "git may still be at it");
    assert!(!world.tell(EventKind::Tick).contains(&Effect::LookAtRemote));
    world.now = long + world.policy.first_interval;
    assert!(world.tell(EventKind::Tick).contains(&Effect::LookAtRemote));
    let landed = world.tell(EventKind::LookedAtRemote(RemoteLook::Contains));
    assert!(landed.contains(&Effect::Landed), "{landed:?}");
    assert_eq!(world.state.push_proof(), Some(PushProof::RemoteContains));
}

#[test]
fn a_push_that_did_not_land_says_how_git_ended() {
    for (exit, how) in [
        (Some(128), "git push ended with exit code 128"),
        (Some(-15), "git push was ended by signal 15"),
        (Some(0), "git push has ended"),
        (None, "git push has ended"),
    ] {
        let mut world = World::new(vec![target()]);
        world.tell(EventKind::PusherGone { exit });
        while world.outcome().is_none() {
            world.tell(EventKind::LookedAtRemote(RemoteLook::Elsewhere));
        }
        let expected = format!("{how}, and the remote does not have the commit at this ref");
        assert_eq!(world.state.reason(), Some(expected.as_str()));
    }
}

#[test]
fn one_look_at_the_remote_is_enough_only_where_git_says_that_it_failed() {
    for (exit, ended) in [(Some(0), false), (Some(1), true), (Some(-9), false), (None, false)] {
        let mut world = World::new(vec![target()]);
        world.tell(EventKind::PusherGone { exit });
        world.tell(EventKind::LookedAtRemote(RemoteLook::Elsewhere));
        assert_eq!(world.outcome().is_some(), ended, "{exit:?}");
    }
}

#[test]
fn the_provider_is_not_asked_while_the_remote_may_tell() {
    let mut world = World::new(vec![target()]);
    world.tell(EventKind::PusherGone { exit: None });
    let effects = world.tell(EventKind::LookedLocally(LocalLook::NotSeen));
    assert!(effects.contains(&Effect::LookAtRemote) && questions(&effects).is_empty(), "{effects:?}");
    let effects = world.tell(EventKind::LookedAtRemote(RemoteLook::Unknown("no network".to_owned())));
    assert_eq!(questions(&effects), [StageKind::Provider]);
    // Nor while git is still at it.
    let mut world = World::new(vec![target()]);
    let effects = world.tell(EventKind::LookedAtRemote(RemoteLook::Unknown("no network".to_owned())));
    assert_eq!(questions(&effects), []);
}

#[test]
fn a_push_that_nothing_proves_ends_when_its_time_is_over() {
    let mut world = World::new(vec![target()]);
    world.now = Duration::from_secs(7);
    world.tell(EventKind::PusherGone { exit: Some(1) });
    world.tell(EventKind::PusherGone { exit: Some(0) });
    world.now += world.policy.confirmation_deadline - Duration::from_millis(1);
    world.tell(EventKind::Tick);
    assert_eq!(world.outcome(), None);
    assert!(world.state.next_due(&world.policy).unwrap() <= world.now + Duration::from_millis(1));
    world.now += Duration::from_millis(1);
    world.tell(EventKind::Tick);
    assert_eq!(world.outcome(), Some(OutcomeWord::PushNotCompleted));
    assert_eq!(world.state.reason(), Some("nothing proves that the push landed"));
    // The run's deadline ends it, too, while git is still at it.
    let mut world = World::new(vec![target()]);
    world.now = world.state.deadline();
    world.tell(EventKind::Tick);
    assert_eq!(world.state.reason(), Some("nothing proved that the push landed before the deadline"));
}

#[test]
fn a_second_push_of_the_commit_begins_the_confirmation_anew() {
    let mut world = World::new(vec![target()]);
    world.tell(EventKind::PusherGone { exit: Some(-9) });
    world.tell(EventKind::LookedAtRemote(RemoteLook::Elsewhere));
    world.now = world.policy.confirmation_deadline - Duration::from_secs(1);
    let effects = world.tell(EventKind::PushedAgain { has_pusher: false });
    assert!(effects.contains(&Effect::LookLocally), "{effects:?}");
    // Neither the miss nor the time of the first one counts any more.
    world.tell(EventKind::LookedAtRemote(RemoteLook::Elsewhere));
    world.now += world.policy.confirmation_deadline - Duration::from_secs(1);
    world.tell(EventKind::Tick);
    assert_eq!(world.outcome(), None);
    world.now += Duration::from_secs(1);
    world.tell(EventKind::Tick);
    assert_eq!(world.outcome(), Some(OutcomeWord::PushNotCompleted));
    // A push whose process is watched has no such limit, and what is proven stays.
    let mut world = World::new(vec![target()]);
    world.tell(EventKind::PusherGone { exit: Some(-9) });
    world.now = Duration::from_secs(60);
    world.tell(EventKind::LookedAtRemote(RemoteLook::Unknown("no network".to_owned())));
    let effects = world.tell(EventKind::PushedAgain { has_pusher: true });
    assert!(!effects.contains(&Effect::LookAtRemote), "it does not take long yet: {effects:?}");
    assert!(world.state.waits_for().unwrap().ends_with("no network"), "{:?}", world.state.waits_for());
    world.now = 2 * world.policy.confirmation_deadline;
    world.tell(EventKind::Tick);
    assert_eq!(world.outcome(), None);
    let mut world = World::landed(vec![target()]);
    world.tell(EventKind::PushedAgain { has_pusher: true });
    assert_eq!(world.state.push_proof(), Some(PushProof::Reflog));
}

#[test]
fn a_second_push_of_the_commit_gives_its_deployment_the_time_to_appear() {
    let nothing = |world: &mut World| world.provider(ProviderObservation::default());
    let mut world = World::landed(vec![target()]);
    world.now = world.policy.registration_deadline - Duration::from_secs(1);
    world.tell(EventKind::PushedAgain { has_pusher: false });
    world.now += Duration::from_secs(30);
    nothing(&mut world);
    assert_eq!(world.outcome(), None);
    world.now += world.policy.registration_deadline;
    nothing(&mut world);
    assert_eq!(world.outcome(), Some(OutcomeWord::NoDeployment));
}

#[test]
fn each_proof_is_told_in_words() {
    for (proof, words) in [
        (PushProof::TrackingRef, "the remote-tracking ref is at this commit"),
        (PushProof::Reflog, "the remote-tracking ref's reflog has this push"),
        (PushProof::ExitCode, "git push ended with exit code 0"),
        (PushProof::Remote, "the remote has the ref at this commit"),
        (PushProof::RemoteContains, "the remote has the ref at a commit that contains this one"),
        (PushProof::Provider, "the provider deploys this commit"),
    ] {
        assert_eq!(proof.to_string(), words);
    }
}

#[test]
fn what_serves_before_the_push_is_proven_ends_nothing() {
    let mut world = World::new(vec![target()]);
    world.tell(EventKind::PusherGone { exit: None });
    world.tell(EventKind::LookedLocally(LocalLook::NotSeen));
    world.tell(EventKind::LookedAtRemote(RemoteLook::Unknown("no network".to_owned())));
    world.until_asked(StageKind::Provider);
    world.provider(serving(Relation::Contains));
    let report = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH).remove(0);
    assert_eq!((world.outcome(), report.outcome.outcome), (None, None));
    // Once it is proven, nothing more has to be asked.
    world.tell(EventKind::LookedAtRemote(RemoteLook::Landed));
    assert_eq!(world.outcome(), Some(OutcomeWord::LiveContained));
}

#[test]
fn the_first_proof_counts() {
    let mut world = World::landed(vec![target()]);
    world.tell(EventKind::PusherGone { exit: Some(0) });
    for later in [EventKind::LookedAtRemote(RemoteLook::Landed), EventKind::LookedLocally(LocalLook::NotSeen)] {
        let effects = world.tell(later);
        assert!(!effects.contains(&Effect::Landed), "{effects:?}");
        assert_eq!(world.state.push_proof(), Some(PushProof::Reflog));
    }
}
