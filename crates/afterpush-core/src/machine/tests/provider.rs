//! What the provider's answers and its silence make of a run, and when it is asked again.

use super::*;

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
fn a_log_that_never_comes_leaves_nothing_due_while_another_target_goes_on() {
    let mut world = World::landed(vec![target(), target()]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Failed));
    world.now += world.policy.log_deadline;
    world.tell(EventKind::Tick);
    let due = world.state.next_due(&world.policy).unwrap();
    assert_eq!(world.outcome(), None, "the other target goes on");
    assert!(due > world.now, "{due:?} is over at {:?}: the loop would never rest", world.now);
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
    // That the other side is down is as old as the answer that says so: 8.45 s and a tenth, less four.
    let asked_at = world.now;
    let answer = Err(Fault::new(FaultKind::Transient, "500"));
    world.open.clear();
    world.tell(EventKind::Answered {
        target: 0,
        stage: StageKind::Provider,
        answer,
        pace: Pace { age, warning: None },
    });
    assert_eq!(world.until_asked(StageKind::Provider) - asked_at, Duration::from_millis(5295));
}

#[test]
fn trouble_to_the_end_is_a_timeout_that_says_so() {
    let mut world = World::landed(vec![target()]);
    let summary = |world: &World| {
        let mut reports = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH);
        reports.remove(0).stages.remove(0).summary
    };
    assert_eq!(summary(&world), "not asked yet");
    let outcome = world.run(|_, _| Err(Fault::new(FaultKind::Transient, "answered 500")));
    assert_eq!(summary(&world), "no answer yet");
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
fn after_a_suspend_everything_is_asked_at_once() {
    let mut world = World::landed(vec![target()]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Building));
    world.now += Duration::from_millis(10);
    let effects = world.tell(EventKind::Resumed);
    assert_eq!(questions(&effects), [StageKind::Provider]);
}

#[test]
fn the_interval_is_short_again_when_a_deployment_appears_and_when_it_waits_for_a_person() {
    let mut world = World::landed(vec![target()]);
    let mut answer = |observation: ProviderObservation| {
        world.until_asked(StageKind::Provider);
        world.provider(observation);
        world.state.interval(0, StageKind::Provider).as_millis()
    };
    assert_eq!(answer(ProviderObservation::default()), 6500);
    assert_eq!(answer(deployment(DeploymentState::Queued)), 5000);
    assert_eq!(answer(deployment(DeploymentState::Building)), 6500, "a step on the way is no new phase");
    assert_eq!(answer(deployment(DeploymentState::Blocked)), 5000);
    assert_eq!(answer(deployment(DeploymentState::Blocked)), 6500);
    let mut second = deployment(DeploymentState::Blocked);
    second.deployment.as_mut().unwrap().id = "d2".to_owned();
    assert_eq!(answer(second), 5000);
    assert_eq!(world.state.interval(1, StageKind::Provider), Duration::ZERO);
}

#[test]
fn what_waits_for_a_person_is_blocked_at_the_deadline() {
    for (reason, expected) in [(None, "the deployment waits for a person"), (Some("approve it"), "approve it")] {
        let mut world = World::landed(vec![target()]);
        let outcome = world.run(|_, _| {
            let mut seen = deployment(DeploymentState::Blocked);
            seen.deployment.as_mut().unwrap().reason = reason.map(str::to_owned);
            Ok(Answer::Provider(seen))
        });
        assert_eq!((outcome, world.now), (Outcome::Blocked, world.policy.deadline));
        assert_eq!(world.state.reason(), Some(expected));
    }
}

#[test]
fn an_end_by_the_provider_is_told_in_its_words_or_in_ours() {
    use DeploymentState as D;
    for (state, outcome, ours) in [
        (D::Failed, Outcome::DeployFailed, "the deployment failed"),
        (D::Skipped, Outcome::Skipped, "the provider skipped this commit"),
        (D::Canceled, Outcome::Canceled, "the deployment was canceled"),
    ] {
        for (theirs, expected) in [(None, ours), (Some("their words"), "their words")] {
            let mut seen = deployment(state);
            seen.deployment.as_mut().unwrap().reason = theirs.map(str::to_owned);
            let mut world = World::landed(vec![target()]);
            assert_eq!(world.run(|_, _| Ok(Answer::Provider(seen.clone()))), outcome);
            assert_eq!(world.state.reason(), Some(expected));
        }
    }
}

#[test]
fn the_wait_for_a_deployment_is_told_as_people_say_it_and_looks_once_more_at_its_end() {
    for (wait, spoken) in [
        (Duration::from_secs(300), "5 min"),
        (Duration::from_secs(90), "90 s"),
        (Duration::from_millis(7200), "7200 ms"),
        (Duration::ZERO, "0 s"),
    ] {
        let mut world = World::new(vec![target()]);
        world.policy.registration_deadline = wait;
        world.tell(EventKind::LookedLocally(LocalLook::Landed(PushProof::Reflog)));
        world.run(|_, _| Ok(Answer::Provider(ProviderObservation::default())));
        let reason = world.state.reason().unwrap();
        assert!(reason.starts_with(&format!("no deployment of this commit appeared within {spoken} of")), "{reason}");
        assert_eq!(
            world.now,
            wait.max(Duration::from_millis(2500)),
            "the first look comes half an interval after the push"
        );
    }
}

#[test]
fn only_a_provider_that_says_twice_in_a_row_that_there_is_no_such_app_is_believed() {
    let mut world = World::landed(vec![target()]);
    for kind in [FaultKind::NotFound, FaultKind::Transient, FaultKind::NotFound, FaultKind::Malformed] {
        world.until_asked(StageKind::Provider);
        world.fault(StageKind::Provider, Fault::new(kind, "trouble"));
        assert_eq!(world.outcome(), None);
    }
    // Of the other stages it is trouble like any other.
    let mut world = World::landed(vec![TargetPlan { database: StagePlan::Ask, ..target() }]);
    for _ in 0..3 {
        world.until_asked(StageKind::Database);
        world.fault(StageKind::Database, Fault::new(FaultKind::NotFound, "no table"));
    }
    assert_eq!(world.outcome(), None);
}

#[test]
fn a_question_whose_answer_is_lost_is_asked_again() {
    let mut world = World::landed(vec![target()]);
    let asked = world.until_asked(StageKind::Provider);
    assert_eq!(world.state.next_due(&world.policy), Some(asked + Duration::from_secs(120)));
    assert_eq!(questions(&world.tell(EventKind::Resumed)), [], "it is under way");
    world.open.clear();
    assert_eq!(world.until_asked(StageKind::Provider), asked + Duration::from_secs(120));
}
