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
    let outcome = world.run(|_, _| Err(Fault::new(FaultKind::Transient, "answered 500")));
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
