//! What following a deployment costs the provider, and how late its end is seen.

use std::time::Duration;

use afterpush_core::{
    machine::{Answer, Effect, Event, EventKind, LocalLook, Pace, Plan, PushProof, StagePlan, State, TargetPlan, step},
    observation::{Deployment, DeploymentState, ProviderObservation},
    policy::Policy,
    run::{Relation, SeenCommit, StageKind},
};

/// What following a four-minute deployment costs the provider, and how late its end is seen: the real machine, simulated time.
pub(crate) fn polling(_: &[usize]) {
    const RUNS: usize = 2_000;
    let fixed = Policy { slow_interval: Duration::from_secs(5), growth: 1.0, jitter: 0.0, ..Policy::default() };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut figures = Vec::new();
    for policy in [&fixed, &Policy::default()] {
        let mut calls = 0;
        let mut delay = Duration::ZERO;
        let mut worst = Duration::ZERO;
        for _ in 0..RUNS {
            let (asked, late) = follow(policy, &mut random);
            calls += asked;
            delay += late;
            worst = worst.max(late);
        }
        figures.push((calls as f64 / RUNS as f64, delay.as_secs_f64() / RUNS as f64, worst.as_secs_f64()));
    }
    println!("a deployment that is queued 20 s, builds 160 s and rolls out 60 s; {RUNS} runs each:");
    for (name, (calls, mean, worst)) in ["fixed 5 s", "default policy"].iter().zip(&figures) {
        println!(
            "  {name:<16} {calls:5.1} provider calls   end seen after {mean:4.1} s on average, {worst:4.1} s at worst"
        );
    }
    println!("  fewer calls: {:.0} %", 100.0 * (1.0 - figures[1].0 / figures[0].0));
}

fn follow(policy: &Policy, random: &mut Random) -> (usize, Duration) {
    let target = TargetPlan { provider: StagePlan::Ask, ..TargetPlan::unavailable("web", "not configured") };
    let end = Duration::from_secs(240);
    // The deployment appears some seconds after the push, and ends four minutes after it has appeared.
    let appears = Duration::from_secs_f64(2.0 + 8.0 * random.next());
    let mut state = State::new(Plan { targets: vec![target], has_pusher: true, is_repeated: false }, policy);
    let mut now = Duration::ZERO;
    let mut asked = 0;
    let mut events = vec![EventKind::LookedLocally(LocalLook::Landed(PushProof::Reflog)), EventKind::Start];
    loop {
        while let Some(kind) = events.pop() {
            let done = step(state, policy, now, Event { roll: random.next(), kind });
            state = done.state;
            if state.outcome().is_some() {
                return (asked, now.saturating_sub(appears + end));
            }
            if done.effects.iter().any(|effect| matches!(effect, Effect::Ask { .. })) {
                asked += 1;
                let answer = Ok(Answer::Provider(observe(now.checked_sub(appears))));
                events.push(EventKind::Answered {
                    target: 0,
                    stage: StageKind::Provider,
                    answer,
                    pace: Pace::default(),
                });
            }
        }
        now = now.max(state.next_due(policy).unwrap());
        events.push(EventKind::Tick);
    }
}

fn observe(since: Option<Duration>) -> ProviderObservation {
    let state = match since.map(|since| since.as_secs()) {
        None => return ProviderObservation::default(),
        Some(0..20) => DeploymentState::Queued,
        Some(20..180) => DeploymentState::Building,
        Some(180..240) => DeploymentState::Deploying,
        Some(_) => DeploymentState::Live,
    };
    let commit = SeenCommit { id: "1".repeat(40), relation: Relation::Same };
    let deployment = Deployment {
        id: "d".to_owned(),
        state,
        raw: format!("{state:?}"),
        commit,
        url: None,
        site_url: None,
        progress: None,
        reason: None,
    };
    ProviderObservation { deployment: Some(deployment), ..ProviderObservation::default() }
}

/// SplitMix64: the same numbers in every run, so that the figures can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
