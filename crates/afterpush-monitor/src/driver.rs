//! The one loop: every timer, answer and signal becomes an event, one call to the machine, and its effects are carried out.
//! It decides nothing.

use std::{future::Future, pin::Pin, time::Duration};

use afterpush_core::{
    machine::{Effect, Event, EventKind, LocalLook, State, step},
    policy::Policy,
};
use futures_util::{StreamExt, stream::FuturesUnordered};

/// Something that is under way and ends as an event.
pub type Pending = Pin<Box<dyn Future<Output = EventKind>>>;

/// How often the files that others write are looked at: a request to stop, another push.
pub const NOTICE_INTERVAL: Duration = Duration::from_secs(1);

/// Everything outside of the machine: clock, repository, network, files. A test puts a scripted one in its place.
pub trait Outside {
    /// The time since the monitor began, suspended time included.
    fn elapsed(&self) -> Duration;
    /// A random number in 0..1.
    fn roll(&mut self) -> f64;
    /// Looks at the repository's own refs.
    fn look_locally(&mut self) -> LocalLook;
    /// Begins what takes time; `None` for effects that are done at once.
    fn begin(&mut self, effect: &Effect, state: &State) -> Option<Pending>;
    /// The push was proven to have landed.
    fn landed(&mut self);
    /// Writes what the status file shows.
    fn record(&mut self, state: &State);
    /// What has happened in the files that others write, and to the machine; asked once a second.
    fn notices(&mut self) -> Vec<EventKind>;
    /// What the notices have set going: the wait for the process of another push.
    fn started(&mut self) -> Option<Pending> {
        None
    }
    /// An event is about to be taken in.
    fn heard(&mut self, _kind: &EventKind) {}
}

/// Runs the machine to its end and gives the final state. `pending` is what is under way from the beginning: the end of
/// `git push`, and signals.
pub async fn drive(mut state: State, policy: &Policy, outside: &mut impl Outside, pending: Vec<Pending>) -> State {
    let mut pending: FuturesUnordered<Pending> = pending.into_iter().collect();
    let mut events = vec![EventKind::Start];
    let mut next_notice = outside.elapsed() + NOTICE_INTERVAL;
    loop {
        // Looking locally takes no time, so its answer is taken in before anything else.
        let mut record = false;
        while let Some(kind) = events.pop() {
            outside.heard(&kind);
            let event = Event { roll: outside.roll(), kind };
            let done = step(state, policy, outside.elapsed(), event);
            state = done.state;
            for effect in done.effects {
                match effect {
                    Effect::LookLocally => events.push(EventKind::LookedLocally(outside.look_locally())),
                    Effect::Landed => outside.landed(),
                    Effect::Record => record = true,
                    Effect::Finish => return state,
                    Effect::LookAtRemote | Effect::Ask { .. } | Effect::FetchLog { .. } => {
                        pending.extend(outside.begin(&effect, &state));
                    }
                }
            }
        }
        if record {
            outside.record(&state);
        }
        let now = outside.elapsed();
        if now >= next_notice {
            next_notice = now + NOTICE_INTERVAL;
            events = outside.notices();
            pending.extend(outside.started());
            if !events.is_empty() {
                continue;
            }
        }
        let due = state.next_due(policy).unwrap_or(now).min(next_notice);
        tokio::select! {
            biased;
            Some(kind) = pending.next(), if !pending.is_empty() => events.push(kind),
            () = tokio::time::sleep(due.saturating_sub(now)) => events.push(EventKind::Tick),
        }
    }
}
