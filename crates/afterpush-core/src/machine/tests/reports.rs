//! What the status shows of a run on its way: phase, what it waits for, and what each stage has said.

use jiff::Timestamp;

use super::*;
use crate::file::{StageReport, TargetReport};

fn report(world: &World) -> TargetReport {
    let time_of = |elapsed: Duration| Timestamp::from_millisecond(elapsed.as_millis().try_into().unwrap()).unwrap();
    world.state.target_reports(time_of).remove(0)
}

fn stage(world: &World, kind: StageKind) -> StageReport {
    report(world).stages.into_iter().find(|stage| stage.stage == kind).unwrap()
}

fn waits_for(world: &World) -> String {
    world.state.waits_for().unwrap()
}

#[test]
fn a_run_says_what_it_waits_for_from_the_push_to_the_end() {
    let mut world = World::new(vec![target()]);
    assert_eq!((world.state.phase(), report(&world).phase), (Phase::ConfirmingPush, Phase::ConfirmingPush));
    assert_eq!(waits_for(&world), "waiting for a proof that the push landed");
    world.tell(EventKind::PusherGone { exit: None });
    world.tell(EventKind::LookedLocally(LocalLook::NotSeen));
    world.tell(EventKind::LookedAtRemote(RemoteLook::Unknown("no network".to_owned())));
    assert_eq!(waits_for(&world), "waiting for a proof that the push landed; the remote does not tell: no network");
    world.tell(EventKind::LookedLocally(LocalLook::Landed(PushProof::Reflog)));
    assert_eq!((world.state.phase(), report(&world).phase), (Phase::AwaitingDeployment, Phase::AwaitingDeployment));
    assert_eq!(waits_for(&world), "provider: not asked yet");
    world.until_asked(StageKind::Provider);
    world.fault(StageKind::Provider, Fault::new(FaultKind::Transient, "answered 500"));
    assert_eq!(waits_for(&world), "provider: answered 500");
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Building));
    assert_eq!((world.state.phase(), waits_for(&world).as_str()), (Phase::Deploying, "provider: BUILDING"));
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Live));
    assert_eq!((world.state.phase(), report(&world).phase), (Phase::Finished, Phase::Finished));
    assert_eq!(waits_for(&world), "the provider's deployment d1 of this commit is live");
    assert_eq!(world.state.next_due(&world.policy), None);
}

#[test]
fn a_run_is_where_its_slowest_target_is() {
    let health = TargetPlan { health: StagePlan::Ask, ..TargetPlan::unavailable("api", "not configured") };
    let mut world = World::landed(vec![target(), health]);
    assert_eq!(world.state.phase(), Phase::AwaitingDeployment);
    let reports = world.state.target_reports(|_| Timestamp::UNIX_EPOCH);
    assert_eq!(reports.iter().map(|it| it.phase).collect::<Vec<_>>(), [Phase::AwaitingDeployment, Phase::Verifying]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Building));
    assert_eq!(world.state.phase(), Phase::Deploying);
    world.provider(deployment(DeploymentState::Live));
    assert_eq!(world.state.phase(), Phase::Verifying, "only the target without a provider is left");
    assert_eq!(waits_for(&world), "health: not asked yet");
}

#[test]
fn a_row_in_progress_shows_a_deployment_where_no_provider_does() {
    let unavailable = StagePlan::Unavailable("not configured".to_owned());
    let plan = TargetPlan { provider: unavailable, database: StagePlan::Ask, health: StagePlan::Ask, ..target() };
    let mut world = World::landed(vec![plan]);
    assert_eq!(world.state.phase(), Phase::AwaitingDeployment);
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, row(RowState::InProgress));
    assert_eq!((world.state.phase(), waits_for(&world).as_str()), (Phase::Deploying, "database: row says InProgress"));
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, Answer::Database(DatabaseObservation::NoRow.into()));
    assert_eq!(
        (world.state.phase(), waits_for(&world).as_str()),
        (Phase::AwaitingDeployment, "database: no row of this commit yet")
    );
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, row(RowState::Success));
    assert_eq!(world.state.phase(), Phase::Verifying);
}

#[test]
fn a_stage_shows_its_newest_answer_and_the_trouble_since() {
    let mut world = World::landed(vec![TargetPlan { health: StagePlan::Ask, ..target() }]);
    world.until_asked(StageKind::Provider);
    let mut seen = deployment(DeploymentState::Building);
    let ours = seen.deployment.as_mut().unwrap();
    (ours.progress, ours.url) = (Some("2 of 5 steps".to_owned()), Some("https://vendor.example/d1".to_owned()));
    world.provider(seen);
    let answered_at = Timestamp::from_millisecond(world.now.as_millis().try_into().unwrap()).unwrap();
    for count in 1..=2 {
        world.until_asked(StageKind::Provider);
        world.fault(StageKind::Provider, Fault::new(FaultKind::Transient, "answered 500"));
        let shown = stage(&world, StageKind::Provider);
        assert_eq!((shown.asked, shown.observed_at), (1 + count, Some(answered_at)));
        let trouble = shown.trouble.unwrap();
        assert_eq!(
            (trouble.kind, trouble.message.as_str(), trouble.count),
            (FaultKind::Transient, "answered 500", count)
        );
    }
    let shown = stage(&world, StageKind::Provider);
    assert_eq!((shown.verdict, shown.summary.as_str()), (Verdict::Pending, "BUILDING: 2 of 5 steps"));
    assert_eq!(shown.commit.as_deref(), Some(OURS));
    let evidence = shown.deployment.unwrap();
    assert_eq!((evidence.id.as_str(), evidence.commit.as_str(), evidence.raw.as_str()), ("d1", OURS, "BUILDING"));
    assert_eq!(evidence.url.as_deref(), Some("https://vendor.example/d1"));
    assert_eq!(report(&world).site_url.as_deref(), Some("https://web.example"));
    assert_eq!(world.state.site_url(0), Some("https://web.example"));
    // The evidence is the provider's, the checks are the health stage's.
    let health = stage(&world, StageKind::Health);
    assert!(health.deployment.is_none() && health.checks.len() == 1);
    assert!(stage(&world, StageKind::Provider).checks.is_empty());
    // A trouble of another kind is counted anew, and an answer ends it.
    world.until_asked(StageKind::Provider);
    world.fault(StageKind::Provider, Fault::new(FaultKind::Malformed, "not JSON"));
    assert_eq!(stage(&world, StageKind::Provider).trouble.unwrap().count, 1);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Building));
    assert!(stage(&world, StageKind::Provider).trouble.is_none());
}

#[test]
fn a_warning_about_the_budget_is_shown_while_the_stage_is_asked() {
    let mut world = World::landed(vec![target()]);
    let answered = |world: &mut World, state, warning: Option<&str>| {
        world.until_asked(StageKind::Provider);
        world.open.clear();
        let pace = Pace { age: Duration::ZERO, warning: warning.map(str::to_owned) };
        let answer = Ok(Answer::Provider(deployment(state)));
        world.tell(EventKind::Answered { target: 0, stage: StageKind::Provider, answer, pace });
        stage(world, StageKind::Provider).summary
    };
    let low = Some("only 4 calls are left");
    assert_eq!(answered(&mut world, DeploymentState::Building, low), "BUILDING (only 4 calls are left)");
    assert_eq!(answered(&mut world, DeploymentState::Building, None), "BUILDING");
    assert_eq!(answered(&mut world, DeploymentState::Live, low), "LIVE");
}

#[test]
fn who_stops_a_run_or_breaks_it_ends_every_target_with_the_reason() {
    let stop = |reason: &str| EventKind::Stop { reason: reason.to_owned() };
    let broken = |reason: &str| EventKind::Broken { reason: reason.to_owned() };
    for (event, outcome) in [(stop("stopped by ada"), Outcome::Stopped), (broken("the disk"), Outcome::Errored)] {
        let mut world = World::landed(vec![target(), target()]);
        let effects = world.tell(event);
        assert!(effects.contains(&Effect::Finish), "{effects:?}");
        assert_eq!((world.state.outcome(), world.finishes), (Some(&outcome), 1));
        let reason = world.state.reason().unwrap();
        for target in world.state.target_reports(|_| Timestamp::UNIX_EPOCH) {
            assert_eq!((target.outcome.outcome, target.reason.as_deref()), (Some(outcome.word()), Some(reason)));
        }
    }
}
