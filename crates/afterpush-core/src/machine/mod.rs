//! The monitor as a pure machine: `step(state, policy, elapsed, event)` gives the next state and what to do about it.
//!
//! Invariants: a run ends exactly once; an outcome never changes; every state that is not final has a time at which it acts
//! by itself ([`State::next_due`]), and the run deadline always ends it; `live` needs a proof that names the commit.
//! The machine has no clock and no randomness: elapsed time and a random roll arrive with each event. The driver turns every
//! timer, answer and signal into an [`Event`], calls [`step`] and carries out the [`Effect`]s; nothing else decides.

mod database;
mod event;
mod health;
mod judge;
mod plan;
mod push;
mod report;
mod stage;
mod state;
mod target;

#[cfg(test)]
mod tests;

pub use event::{Answer, Effect, Event, EventKind, LocalLook, Newer, Pace, RemoteLook, Step};
pub use plan::{CheckPlan, Plan, StagePlan, TargetPlan};
pub use push::PushProof;
pub use state::State;

use std::time::Duration;

use crate::policy::Policy;

/// Takes one event in: the only place where anything about a run is decided.
///
/// `elapsed` is the time since the monitor began, on a clock that counts suspended time. It never goes back; if a caller lets
/// it, nothing worse happens than a wait that is longer.
#[must_use]
pub fn step(mut state: State, policy: &Policy, elapsed: Duration, event: Event) -> Step {
    let mut effects = Vec::new();
    if state.outcome().is_none() {
        state.take(policy, elapsed, event, &mut effects);
    }
    Step { state, effects }
}
