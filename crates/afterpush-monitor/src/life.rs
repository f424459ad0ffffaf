//! A monitor's life: from the lock of a run to its result, and on to the next push of the same commit.
//!
//! Invariant: whoever has not the run's lock changes nothing of it. What the lock, the places and the files decide is decided
//! here; the rest is the machine's.

use std::path::Path;

use afterpush_core::{
    fault::with_causes,
    machine::{EventKind, Plan, StagePlan, State, TargetPlan},
    policy::Policy,
};
use afterpush_git::Git;
use afterpush_store::{Admission, Places, RepositoryStore, RunDirectory, StoreError};
use thiserror::Error;

use crate::{
    driver::{Pending, drive},
    recorder::Recorder,
    sources::Sources,
    surroundings::{Prepared, Surroundings},
    world::World,
};

/// Tells why a run could not be followed at all.
#[derive(Debug, Error)]
pub enum RunError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This process could not be identified.
    #[error("could not read this process's own identity")]
    Identity(#[source] std::io::Error),
    /// The directory is not one of a run.
    #[error("{0} is not the directory of a run: it holds no request.json")]
    NotARun(std::path::PathBuf),
}

/// Follows the run in `directory` to its end, and the next push of the same commit to the same ref, if the hook leaves one
/// meanwhile. Leaves silently when another monitor has the run, or when it is finished.
///
/// # Errors
/// [`RunError`] when the run's files cannot be used at all.
pub async fn follow(directory: &RunDirectory, surroundings: &impl Surroundings) -> Result<(), RunError> {
    let places = Places::of_run(directory, surroundings.most_monitors());
    let mut place = None;
    loop {
        let Some(lock) = directory.try_lock()? else { break };
        let writer = lock.into_writer();
        let again = writer.adopt_again()?;
        if !again && directory.result()?.is_some() {
            break;
        }
        let request = directory.request()?.ok_or_else(|| RunError::NotARun(directory.path().to_owned()))?;
        // Before anything that takes time: a push that fails at once must still be there to be waited for.
        let pusher = request.pusher.clone().map(|pusher| surroundings.watch_pusher(pusher));
        let has_waited = places.is_waiting(&request);
        if place.is_none() {
            match places.take(directory, &request) {
                Ok(Admission::Place(taken)) => place = Some(taken),
                Ok(Admission::Waiting(owed)) => {
                    drop(writer.release());
                    surroundings.start_waiting(&owed, directory);
                    return Ok(());
                }
                // The limit is a courtesy to the machine: a disk that refuses must not leave the push unwatched.
                Err(error) => drop(writer.log(&format!("{}; going on without a place", with_causes(&error)))),
            }
        }
        let monitor = surroundings.identity().map_err(RunError::Identity)?;
        follow_once(Recorder::begin(writer, request, monitor), pusher, surroundings, has_waited).await;
        // A push that came after the last look is not lost: its own monitor found the lock taken and left.
        if directory.again()?.is_none() {
            break;
        }
    }
    // The place first, then the look: a run that found it taken was noted before.
    if place.take().is_some()
        && let Ok(next) = places.next()
    {
        surroundings.start_waiting(&next, directory);
    }
    Ok(())
}

async fn follow_once(
    mut recorder: Recorder,
    pusher: Option<Pending>,
    surroundings: &impl Surroundings,
    has_waited: bool,
) {
    let request = recorder.request().clone();
    recorder.clear_stop();
    recorder.log(&format!("watching {} on {} of {}", request.commit, request.ref_name, request.remote));
    let store = RepositoryStore::of_run(recorder.directory());
    let git = Git::open(Path::new(&request.repository.git_dir));
    if let Err(error) = &git {
        recorder.log(&with_causes(error));
    }
    let git = git.ok();
    // Of an annotated tag git pushes the tag object; what is deployed is the commit that it stands for.
    let commit = git.as_ref().and_then(|git| git.peel(&request.commit)).unwrap_or_else(|| request.commit.clone());
    let mut pending = surroundings.signals();
    pending.extend(pusher);
    let prepared = match surroundings.prepare(&request, &commit, git.as_ref(), has_waited) {
        Ok(prepared) => {
            recorder.configure(prepared.policy.clone(), prepared.left_out.clone());
            prepared
        }
        Err(reason) => {
            // The machine ends the run, so that this ending is recorded like any other.
            pending.push(Box::pin(async move { EventKind::Broken { reason } }));
            nothing_to_ask()
        }
    };
    let Prepared { policy, mut plan, sources, .. } = prepared;
    let mut world = World::new(recorder, store, sources, git, commit, surroundings);
    plan.is_repeated |= world.is_repeated();
    let state = drive(State::new(plan, &policy), &policy, &mut world, pending).await;
    world.finish(&state).await;
}

/// What a run goes by until it is told why it cannot be followed. It waits for that: were nothing to be asked at all, a push
/// that has landed long ago would end as not provable before, and the reason would be lost.
fn nothing_to_ask() -> Prepared {
    let target = TargetPlan {
        provider: StagePlan::Ask,
        ..TargetPlan::unavailable("configuration", "the configuration cannot be used")
    };
    Prepared {
        policy: Policy::default(),
        left_out: Vec::new(),
        plan: Plan { targets: vec![target], has_pusher: true, is_repeated: false },
        sources: Box::new(Sources::none()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use afterpush_core::{
        machine::{Event, LocalLook, PushProof, step},
        run::Outcome,
    };

    use super::*;

    #[test]
    fn a_push_that_landed_long_ago_still_ends_with_the_reason_why_it_cannot_be_followed() {
        let Prepared { plan, policy, .. } = nothing_to_ask();
        let mut state = State::new(plan, &policy);
        let events = [
            EventKind::Start,
            EventKind::LookedLocally(LocalLook::Landed(PushProof::Reflog)),
            EventKind::Broken { reason: "line 3".to_owned() },
        ];
        for kind in events {
            assert_eq!(state.outcome(), None, "before {kind:?}");
            state = step(state, &policy, Duration::ZERO, Event { roll: 0.0, kind }).state;
        }
        assert_eq!((state.outcome(), state.reason()), (Some(&Outcome::Errored), Some("line 3")));
    }
}
