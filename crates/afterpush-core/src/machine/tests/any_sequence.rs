//! What holds for every sequence of events.

use proptest::prelude::*;

use super::*;

fn any_answer() -> impl Strategy<Value = (StageKind, Result<Answer, Fault>)> {
    use DeploymentState as D;
    let relation = prop_oneof![Just(Relation::Same), Just(Relation::Contains), Just(Relation::Other)];
    let state = prop::sample::select(vec![
        D::Queued,
        D::Building,
        D::Deploying,
        D::Live,
        D::Failed,
        D::Canceled,
        D::Superseded,
        D::Replaced,
        D::Skipped,
        D::Blocked,
        D::Unknown,
    ]);
    let fault = prop::sample::select(vec![
        FaultKind::Transient,
        FaultKind::RateLimited,
        FaultKind::Unauthorized,
        FaultKind::NotFound,
        FaultKind::Malformed,
    ]);
    let stage = prop::sample::select(StageKind::ALL.to_vec());
    prop_oneof![
        4 => state.prop_map(|state| (StageKind::Provider, Ok(Answer::Provider(deployment(state))))),
        2 => relation.clone().prop_map(|it| (StageKind::Provider, Ok(Answer::Provider(serving(it))))),
        2 => prop::sample::select(vec![RowState::InProgress, RowState::Success, RowState::Failed])
            .prop_map(|state| (StageKind::Database, Ok(row(state)))),
        1 => Just((StageKind::Database, Ok(Answer::Database(DatabaseObservation::NoRow.into())))),
        3 => (any::<bool>(), prop::option::of(relation)).prop_map(|(ok, it)| (StageKind::Health, Ok(health(ok, it)))),
        2 => (stage, fault, prop::option::of(0_u64..1_000_000)).prop_map(|(stage, kind, wish)| {
            let retry_after = wish.map(Duration::from_secs);
            (stage, Err(Fault { retry_after, ..Fault::new(kind, "trouble") }))
        }),
    ]
}

fn any_event() -> impl Strategy<Value = EventKind> {
    let word = prop::option::of(prop::sample::select(OutcomeWord::ALL.to_vec()));
    prop_oneof![
        3 => Just(EventKind::Tick),
        1 => Just(EventKind::Resumed),
        1 => prop::option::of(-9_i32..3).prop_map(|exit| EventKind::PusherGone { exit }),
        2 => prop::sample::select(vec![LocalLook::NotSeen, LocalLook::Landed(PushProof::Reflog)])
            .prop_map(EventKind::LookedLocally),
        1 => prop::sample::select(vec![
            RemoteLook::Landed, RemoteLook::Contains, RemoteLook::Elsewhere, RemoteLook::Unclear("it is elsewhere"),
            RemoteLook::Unknown("x".to_owned()),
        ]).prop_map(EventKind::LookedAtRemote),
        1 => any::<bool>().prop_map(|has_pusher| EventKind::PushedAgain { has_pusher }),
        8 => (0_usize..3, any_answer(), 0_u64..100).prop_map(|(target, (stage, answer), age)| EventKind::Answered {
            target,
            stage,
            answer,
            pace: Pace { age: Duration::from_secs(age), warning: None },
        }),
        1 => (0_usize..3).prop_map(|target| EventKind::LogFetched { target }),
        1 => (any::<bool>(), word).prop_map(|(contains, outcome)| {
            EventKind::Newer(Newer { commit: LATER.to_owned(), contains, outcome })
        }),
    ]
}

fn any_target() -> impl Strategy<Value = TargetPlan> {
    let plan =
        || any::<bool>().prop_map(|ask| if ask { StagePlan::Ask } else { StagePlan::Unavailable("none".to_owned()) });
    (plan(), plan(), plan(), any::<bool>(), any::<bool>()).prop_map(|(provider, database, health, needs, names)| {
        let health_checks = vec![CheckPlan { names_commit: names, ..check("health") }];
        TargetPlan { provider, database, health, health_needs_site: needs, health_checks, ..target() }
    })
}

/// Whether an event alone could justify saying that the commit is live.
fn names_ours(kind: &EventKind) -> bool {
    let ours = |commit: &SeenCommit| commit.relation != Relation::Other;
    match kind {
        EventKind::Answered { answer: Ok(Answer::Provider(it)), .. } => {
            it.deployment.as_ref().is_some_and(|it| it.state == DeploymentState::Live && ours(&it.commit))
                || it.serving.as_ref().is_some_and(|it| it.commit.as_ref().is_some_and(ours))
        }
        EventKind::Answered {
            answer: Ok(Answer::Database(DatabaseAnswer { records: Some(DatabaseObservation::Row(row)), .. })),
            ..
        } => row.state == RowState::Success,
        EventKind::Answered { answer: Ok(Answer::Health(it)), .. } => {
            it.checks.iter().flatten().any(|it| it.healthy && it.commit.as_ref().is_some_and(ours))
        }
        EventKind::Newer(newer) => newer.contains && newer.outcome.is_some_and(OutcomeWord::is_live),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_sequence_of_events_ends_by_the_deadline_and_no_outcome_ever_changes(
        targets in prop::collection::vec(any_target(), 0..3),
        has_pusher in any::<bool>(),
        is_repeated in any::<bool>(),
        events in prop::collection::vec((any_event(), 0_u64..90_000, 0.0_f64..1.0), 0..60),
    ) {
        let policy = Policy::default();
        let mut state = State::new(Plan { targets, has_pusher, is_repeated }, &policy);
        let mut now = Duration::ZERO;
        let mut outcome: Option<Outcome> = None;
        let mut finishes = 0;
        let mut proof_seen = false;
        let all = std::iter::once((EventKind::Start, 0, 0.5)).chain(events);
        let end = [(EventKind::Tick, 31 * 60 * 1000, 0.5), (EventKind::Tick, 0, 0.5)];
        for (kind, wait, roll) in all.chain(end) {
            now += Duration::from_millis(wait);
            proof_seen |= names_ours(&kind);
            let done = step(state, &policy, now, Event { roll, kind });
            state = done.state;
            finishes += done.effects.iter().filter(|effect| **effect == Effect::Finish).count();
            if let Some(known) = &outcome {
                prop_assert_eq!(state.outcome(), Some(known));
                prop_assert!(done.effects.is_empty());
            }
            outcome = state.outcome().cloned();
            match &outcome {
                Some(outcome) => {
                    prop_assert_eq!(state.next_due(&policy), None);
                    prop_assert!(!outcome.word().is_live() || proof_seen, "{} without a proof", outcome);
                }
                None => prop_assert!(state.next_due(&policy).is_some_and(|due| due <= policy.deadline)),
            }
        }
        prop_assert!(outcome.is_some());
        prop_assert_eq!(finishes, 1);
    }

    #[test]
    fn waiting_by_the_timers_alone_reaches_an_end(targets in prop::collection::vec(any_target(), 0..3), roll in 0.0_f64..1.0) {
        let policy = Policy::default();
        let mut state = State::new(Plan { targets, has_pusher: true, is_repeated: false }, &policy);
        let mut now = Duration::ZERO;
        let mut kind = EventKind::Start;
        for _ in 0..5_000 {
            let done = step(state, &policy, now, Event { roll, kind });
            state = done.state;
            let Some(due) = state.next_due(&policy) else { break };
            prop_assert!(due <= policy.deadline);
            now = now.max(due);
            kind = EventKind::Tick;
        }
        prop_assert!(state.outcome().is_some(), "still waiting at {:?}", now);
    }
}
