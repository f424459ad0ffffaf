//! What the next push, `status` and `resume` find afterwards: runs that nobody watches any more, and pushes that no hook saw.
//!
//! Nothing is started here; whoever asks starts the monitors. The reflogs are read by `afterpush-git`, which this crate must
//! not import: their entries come in.

use std::io;

use afterpush_core::{
    config::Config,
    file::{PushSource, Request},
    push::ReflogPush,
    redact,
    run::OutcomeWord,
};
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::{Liveness, Places, Repository, RepositoryStore, RunDirectory, StateRoot, StoreError, random_name};

/// How old an unseen push may be: what was pushed before that is either live or known to have failed.
const UNSEEN: SignedDuration = SignedDuration::from_hours(24);

/// Tells why unseen pushes could not be put on record.
#[derive(Debug, Error)]
pub enum UnseenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A request could not be named.
    #[error("there are no random numbers for its name")]
    Random(#[source] io::Error),
}

/// The runs of a store that have neither a monitor nor a result and do not wait for a place, and what could not be read of the
/// others.
///
/// # Errors
/// [`StoreError`] when the store cannot be listed.
pub fn lost_runs(store: &RepositoryStore, now: Timestamp) -> Result<(Vec<RunDirectory>, Vec<StoreError>), StoreError> {
    let (mut lost, mut unreadable) = (Vec::new(), Vec::new());
    let places = Places::of_store(store, 0);
    let is_lost = |run: &RunDirectory| -> Result<bool, StoreError> {
        // Nearly all are, and each push looks at all of them.
        if run.is_finished() || run.liveness(now)? != Liveness::Lost {
            return Ok(false);
        }
        let newest = match run.again()? {
            Some(again) => Some(again),
            None => run.request()?,
        };
        Ok(newest.is_some_and(|request| !places.is_waiting(&request)))
    };
    for run in store.runs()? {
        match is_lost(&run) {
            Ok(true) => lost.push(run),
            Ok(false) => {}
            // One unreadable run must not keep the others from being resumed.
            Err(error) => unreadable.push(error),
        }
    }
    Ok((lost, unreadable))
}

/// Where unseen pushes are looked up, and put on record.
#[derive(Debug)]
pub struct Adoption<'a> {
    /// The repository that they were pushed from.
    pub repository: &'a Repository,
    /// Every store of the repository, in which a push may be known already.
    pub stores: &'a [RepositoryStore],
    /// The state directory for new requests.
    pub root: &'a StateRoot,
    /// Which pushes have a target.
    pub config: &'a Config,
    /// The repository's remotes, with their addresses as git knows them.
    pub remotes: &'a [(String, String)],
}

impl Adoption<'_> {
    /// Puts each push on record that is young, has a target, and that no run and no history knows. A monitor is to be started
    /// for each run.
    ///
    /// # Errors
    /// [`UnseenError`].
    pub fn record(&self, pushes: Vec<ReflogPush>, now: Timestamp) -> Result<Vec<RunDirectory>, UnseenError> {
        let mut runs = Vec::new();
        for push in pushes {
            let Some(pushed_at) = recent(push.at_epoch_seconds, now) else { continue };
            if self.config.targets_of(&push.ref_name).next().is_none() || self.is_known(&push, pushed_at)? {
                continue;
            }
            runs.push(self.record_one(push, pushed_at)?);
        }
        Ok(runs)
    }

    fn is_known(&self, push: &ReflogPush, pushed_at: Timestamp) -> Result<bool, StoreError> {
        for store in self.stores {
            let run = store.run(&push.commit, &push.remote, &push.ref_name);
            if run.request()?.is_some() {
                // An earlier attempt was refused, and this one went past the hook.
                let before = run.result()?.is_some_and(|result| {
                    result.outcome.outcome == Some(OutcomeWord::PushNotCompleted)
                        && result.finished_at.is_some_and(|end| end.as_second() < pushed_at.as_second())
                });
                if !before || run.again()?.is_some() {
                    return Ok(true);
                }
            } else if store.has_history(&push.commit, &push.remote, &push.ref_name)? {
                // Cleaned up.
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn record_one(&self, push: ReflogPush, pushed_at: Timestamp) -> Result<RunDirectory, UnseenError> {
        let url = self.remotes.iter().find(|(name, _)| *name == push.remote).map(|(_, url)| url.as_str());
        let request = Request {
            schema: Request::schema(),
            id: random_name().map_err(UnseenError::Random)?,
            commit: push.commit,
            ref_name: push.ref_name,
            remote_url: redact::remote_url(url.unwrap_or_default()),
            remote: push.remote,
            previous: None,
            pushed_at,
            boot_time: None,
            source: PushSource::Reflog,
            pusher: None,
            repository: self.repository.facts(),
        };
        let store = self.root.repository(self.repository);
        let remotes: Vec<(String, String)> =
            self.remotes.iter().map(|(name, url)| (name.clone(), redact::remote_url(url))).collect();
        store.record_repository(self.repository, &remotes)?;
        let run = store.run(&request.commit, &request.remote, &request.ref_name);
        run.write_request(&request)?;
        Ok(run)
    }
}

/// The time of a push that is young enough to be watched.
fn recent(epoch_seconds: i64, now: Timestamp) -> Option<Timestamp> {
    let time = Timestamp::from_second(epoch_seconds).ok()?;
    (now.duration_since(time) < UNSEEN).then_some(time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_pushes_of_the_last_day_are_adopted() {
        let now: Timestamp = "2026-01-02T12:00:00Z".parse().unwrap();
        let hours = |hours: i64| now.as_second() - hours * 3600;
        assert!(recent(hours(1), now).is_some());
        assert!(recent(hours(23), now).is_some());
        assert!(recent(hours(25), now).is_none());
        assert!(recent(i64::MAX, now).is_none());
    }
}
