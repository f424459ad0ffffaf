//! The loop on paused time, with a scripted outside: no socket, no file, no real waiting.
#![allow(clippy::unwrap_used)]

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

use afterpush_core::{
    fault::{Fault, FaultKind},
    machine::{Answer, Effect, EventKind, LocalLook, Pace, Plan, PushProof, RemoteLook, StagePlan, State, TargetPlan},
    observation::{Deployment, DeploymentState, ProviderObservation},
    policy::Policy,
    run::{Outcome, Phase, Relation, SeenCommit, StageKind},
};
use afterpush_monitor::driver::{NOTICE_INTERVAL, Outside, Pending, drive};
use tokio::time::{Instant, sleep};

/// A script: what each question is answered, and after how long.
struct Scripted {
    began: Instant,
    answers: VecDeque<(Duration, Result<DeploymentState, Fault>)>,
    asked: Rc<RefCell<Vec<Duration>>>,
    recorded: Vec<(Duration, Phase)>,
    landed: usize,
    notices: VecDeque<(Duration, EventKind)>,
    pushed: bool,
}

impl Scripted {
    fn new(answers: Vec<(u64, Result<DeploymentState, Fault>)>) -> Self {
        let answers = answers.into_iter().map(|(seconds, answer)| (Duration::from_secs(seconds), answer)).collect();
        Self {
            began: Instant::now(),
            answers,
            asked: Rc::default(),
            recorded: Vec::new(),
            landed: 0,
            notices: VecDeque::new(),
            pushed: true,
        }
    }
}

impl Outside for Scripted {
    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
    fn roll(&mut self) -> f64 {
        0.5
    }
    fn look_locally(&mut self) -> LocalLook {
        if self.pushed { LocalLook::Landed(PushProof::Reflog) } else { LocalLook::NotSeen }
    }
    fn begin(&mut self, effect: &Effect, _: &State) -> Option<Pending> {
        match effect {
            Effect::Ask { target, .. } => {
                self.asked.borrow_mut().push(self.began.elapsed());
                let (latency, answer) = self.answers.pop_front()?;
                let target = *target;
                Some(Box::pin(async move {
                    sleep(latency).await;
                    let answer = answer.map(|state| Answer::Provider(observation(state)));
                    EventKind::Answered { target, stage: StageKind::Provider, answer, pace: Pace::default() }
                }))
            }
            Effect::FetchLog { target } => {
                let target = *target;
                Some(Box::pin(async move { EventKind::LogFetched { target } }))
            }
            Effect::LookAtRemote => Some(Box::pin(async { EventKind::LookedAtRemote(RemoteLook::Elsewhere) })),
            _ => None,
        }
    }
    fn landed(&mut self) {
        self.landed += 1;
    }
    fn record(&mut self, state: &State) {
        self.recorded.push((self.began.elapsed(), state.phase()));
    }
    fn notices(&mut self) -> Vec<EventKind> {
        let now = self.began.elapsed();
        let due = self.notices.front().is_some_and(|(at, _)| *at <= now);
        if due { self.notices.pop_front().map(|(_, kind)| kind).into_iter().collect() } else { Vec::new() }
    }
}

fn observation(state: DeploymentState) -> ProviderObservation {
    let commit = SeenCommit { id: "1".repeat(40), relation: Relation::Same };
    let deployment = Deployment {
        id: "d".to_owned(),
        state,
        raw: "RAW".to_owned(),
        commit,
        url: None,
        site_url: None,
        progress: None,
        reason: None,
    };
    ProviderObservation { deployment: Some(deployment), ..ProviderObservation::default() }
}

fn plan() -> Plan {
    let target = TargetPlan { provider: StagePlan::Ask, ..TargetPlan::unavailable("web", "not configured") };
    Plan { targets: vec![target], has_pusher: true, is_repeated: false }
}

async fn run(outside: &mut Scripted, pending: Vec<Pending>) -> State {
    let policy = Policy::default();
    drive(State::new(plan(), &policy), &policy, outside, pending).await
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_followed_with_growing_intervals_that_its_appearance_resets() {
    use DeploymentState::{Building, Deploying, Live, Queued};
    let trouble = || Err(Fault::new(FaultKind::Transient, "answered 500"));
    let mut outside = Scripted::new(vec![
        (1, trouble()),
        (1, trouble()),
        (1, Ok(Queued)),
        (1, Ok(Building)),
        (1, Ok(Deploying)),
        (1, Ok(Live)),
    ]);
    let state = run(&mut outside, Vec::new()).await;
    assert_eq!(state.outcome(), Some(&Outcome::Live));
    assert_eq!(outside.landed, 1);
    let asked = outside.asked.borrow();
    let gaps: Vec<u128> = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    // Each gap is a latency of one second and the interval after it; the deployment's appearance begins at 5 s again.
    assert_eq!(gaps, [7500, 9450, 6000, 7500, 9450]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_asked_for_again_and_the_deadline_ends_the_run() {
    let hours = 24 * 3600;
    let mut outside = Scripted::new(vec![(hours, Ok(DeploymentState::Live)); 100]);
    let began = Instant::now();
    let state = run(&mut outside, Vec::new()).await;
    assert_eq!(state.outcome(), Some(&Outcome::TimedOut { phase: Phase::AwaitingDeployment }));
    assert_eq!(began.elapsed().as_secs(), Policy::default().deadline.as_secs());
    assert!(outside.asked.borrow().len() > 10);
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_run_as_stopped_within_a_moment() {
    let mut outside = Scripted::new(vec![(1, Ok(DeploymentState::Building)); 100]);
    let signal: Pending = Box::pin(async {
        sleep(Duration::from_secs(42)).await;
        EventKind::Stop { reason: "stopped by SIGTERM".to_owned() }
    });
    let began = Instant::now();
    let state = run(&mut outside, vec![signal]).await;
    assert_eq!((state.outcome(), state.reason()), (Some(&Outcome::Stopped), Some("stopped by SIGTERM")));
    assert_eq!(began.elapsed().as_secs(), 42);
}

#[tokio::test(start_paused = true)]
async fn a_stop_file_is_seen_within_a_second() {
    let mut outside = Scripted::new(vec![(1, Ok(DeploymentState::Building)); 100]);
    let at = Duration::from_millis(61_300);
    outside.notices.push_back((at, EventKind::Stop { reason: "stopped by request".to_owned() }));
    let began = Instant::now();
    let state = run(&mut outside, Vec::new()).await;
    assert_eq!(state.outcome(), Some(&Outcome::Stopped));
    assert!(began.elapsed() <= at + NOTICE_INTERVAL, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_rejected_push_ends_quietly_without_a_question_to_the_provider() {
    let mut outside = Scripted::new(Vec::new());
    outside.pushed = false;
    let gone: Pending = Box::pin(async {
        sleep(Duration::from_millis(700)).await;
        EventKind::PusherGone { exit: Some(1) }
    });
    let state = run(&mut outside, vec![gone]).await;
    assert_eq!(state.outcome(), Some(&Outcome::PushNotCompleted));
    assert!(outside.asked.borrow().is_empty());
    assert_eq!(outside.landed, 0);
}

#[tokio::test(start_paused = true)]
async fn trouble_is_recorded_and_survived() {
    let fault = || Err(Fault::new(FaultKind::Transient, "answered 502"));
    let mut outside = Scripted::new(vec![(1, fault()), (1, fault()), (1, Ok(DeploymentState::Live))]);
    let state = run(&mut outside, Vec::new()).await;
    assert_eq!(state.outcome(), Some(&Outcome::Live));
    // The beginning with the confirmed push, and each trouble; the end is written by whoever called the loop.
    assert_eq!(outside.recorded.len(), 3);
}
