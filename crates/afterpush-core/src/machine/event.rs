//! What comes into the machine, and what comes out of it.

use std::time::Duration;

use super::{push::PushProof, state::State};
use crate::{
    fault::Fault,
    observation::{DatabaseAnswer, HealthObservation, ProviderObservation},
    run::{OutcomeWord, StageKind},
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// A random number in 0..1, from which the machine takes its jitter.
    pub roll: f64,
    /// What happened.
    pub kind: EventKind,
}

/// The kinds of things that happen.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one event exists at a time; it is taken in, not stored")]
pub enum EventKind {
    /// The monitor has begun.
    Start,
    /// A time that the state was waiting for has come, or may have.
    Tick,
    /// The machine was suspended and is awake again: everything is asked at once.
    Resumed,
    /// The `git push` process has ended; its exit code where the kernel tells it and where 0 proves the push.
    PusherGone {
        /// The exit code; negative for a signal.
        exit: Option<i32>,
    },
    /// The repository's own refs and reflogs were looked at.
    LookedLocally(LocalLook),
    /// The remote was asked for the ref.
    LookedAtRemote(RemoteLook),
    /// The same commit was pushed to the same ref again while this run goes on.
    PushedAgain {
        /// A process of that push is watched now.
        has_pusher: bool,
    },
    /// A stage was asked and has answered, or could not.
    Answered {
        /// The target's place in the plan.
        target: usize,
        /// The stage.
        stage: StageKind,
        /// The answer.
        answer: Result<Answer, Fault>,
        /// How it bears on the time of the next question.
        pace: Pace,
    },
    /// The log of the failed deployment was fetched and stored, or could not be.
    LogFetched {
        /// The target's place in the plan.
        target: usize,
    },
    /// A later push of the same ref has landed, or its run has got further.
    Newer(Newer),
    /// A person, or the system, wants the monitor to end.
    Stop {
        /// Who, for the result.
        reason: String,
    },
    /// The monitor cannot go on.
    Broken {
        /// Why, for the result.
        reason: String,
    },
}

/// What the repository's own refs say about the push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalLook {
    /// It landed.
    Landed(PushProof),
    /// Nothing says so.
    NotSeen,
}

/// What the remote says about the ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteLook {
    /// It is at the pushed commit.
    Landed,
    /// It is at a commit that contains the pushed one.
    Contains,
    /// It is at another commit, or does not exist.
    Elsewhere,
    /// Where it is says nothing about the push, for this reason.
    Unclear(&'static str),
    /// The remote could not be asked, for this reason.
    Unknown(String),
}

/// How an answer bears on the time of the next question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pace {
    /// How old the answer is: zero when it was asked for just now, more when another monitor of the same application had it.
    pub age: Duration,
    /// That the other side's budget of calls is nearly spent, in a few words for people.
    pub warning: Option<String>,
}

/// A stage's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the answer of the stage of its name")]
pub enum Answer {
    Provider(ProviderObservation),
    Database(DatabaseAnswer),
    Health(HealthObservation),
}

/// A later push of the same ref that has landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    /// Its commit.
    pub commit: String,
    /// Whether its history contains our commit.
    pub contains: bool,
    /// How its run ended; `None` while it runs.
    pub outcome: Option<OutcomeWord>,
}

/// Something that the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Look at the repository's own refs, then tell by [`EventKind::LookedLocally`].
    LookLocally,
    /// Ask the remote, then tell by [`EventKind::LookedAtRemote`].
    LookAtRemote,
    /// Ask a stage, then tell by [`EventKind::Answered`]. Every question gets exactly one answer or fault.
    Ask {
        /// The target's place in the plan.
        target: usize,
        /// The stage.
        stage: StageKind,
    },
    /// Fetch the log of the failed deployment, store it, then tell by [`EventKind::LogFetched`].
    FetchLog {
        /// The target's place in the plan.
        target: usize,
    },
    /// The push is proven to have landed: make it the newest of its ref.
    Landed,
    /// What the status file shows has changed.
    Record,
    /// The outcome is known: write the result, for it never changes.
    Finish,
}

/// The state after an event, and what to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What to do, in this order.
    pub effects: Vec<Effect>,
}

/// The time and the roll of the event that is being taken in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Duration,
    pub(super) roll: f64,
    /// The age of the answer that is being taken in.
    pub(super) age: Duration,
}
