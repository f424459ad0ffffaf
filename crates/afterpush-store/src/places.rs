//! How many monitors a user has at once, and which runs wait for a place.
//!
//! Invariant: a place is a held lock, so a killed monitor frees it in the same moment. A run that finds none free is noted as
//! waiting before its monitor leaves, under the same lock under which a monitor that ends looks for the next: no run is
//! forgotten, and the oldest push comes first. The note only orders; the request is what is owed a monitor.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use afterpush_core::file::Request;
use jiff::Timestamp;

use crate::{
    Liveness, RepositoryStore, RunDirectory,
    atomic::{self, Access, Durability},
    error::StoreError,
    lock::{self, Held},
    run_directory::names_in,
    slug,
};

/// How long to wait for others that are being given a place.
const PATIENCE: Duration = Duration::from_secs(5);
/// A note holds one path.
const LONGEST_NOTE: u64 = 8192;

/// The places of one state directory.
#[derive(Debug, Clone)]
pub struct Places {
    directory: PathBuf,
    limit: u32,
}

/// The right to run, until it is dropped.
#[derive(Debug)]
pub struct Place {
    /// Never read: its end frees the place.
    _lock: Held,
}

/// What became of the wish for a place.
#[derive(Debug)]
pub enum Admission {
    /// There is one.
    Place(Place),
    /// There is none; the run is noted as waiting. Places that are free are owed to these older runs.
    Waiting(Vec<RunDirectory>),
}

/// A run that waits.
struct Waiting {
    name: String,
    run: RunDirectory,
    is_locked: bool,
}

impl Places {
    /// The places of the state directory that a run lies in: at most `limit` monitors at once.
    #[must_use]
    pub fn of_run(run: &RunDirectory, limit: u32) -> Self {
        Self::of_store(&RepositoryStore::of_run(run), limit)
    }

    /// The places of the state directory that a repository's store lies in.
    #[must_use]
    pub fn of_store(store: &RepositoryStore, limit: u32) -> Self {
        let root = store.path().ancestors().nth(2).unwrap_or(store.path());
        Self { directory: root.join("monitors"), limit }
    }

    /// Asks for a place for a run whose lock the caller holds.
    ///
    /// # Errors
    /// [`StoreError`] when the places cannot be used.
    pub fn take(&self, run: &RunDirectory, request: &Request) -> Result<Admission, StoreError> {
        for directory in [&self.directory, &self.directory.join("places"), &self.directory.join("waiting")] {
            atomic::ensure_directory(directory)?;
        }
        let _lock = self.lock()?;
        let own = note_name(request);
        let older: Vec<Waiting> = self.waiting()?.into_iter().filter(|other| other.name < own).collect();
        let mut free = self.free(older.len() + 1)?;
        if free.len() > older.len()
            && let Some(lock) = free.pop()
        {
            atomic::remove(&self.note(&own))?;
            return Ok(Admission::Place(Place { _lock: lock }));
        }
        let path = run.path().as_os_str().as_encoded_bytes();
        atomic::replace(&self.note(&own), path, Access::User, Durability::Process)?;
        Ok(Admission::Waiting(startable(older, free.len())))
    }

    /// The waiting runs for which there is a place now, the oldest push first. Each is to be given a monitor, which asks for
    /// the place itself.
    ///
    /// # Errors
    /// [`StoreError`] when the places cannot be looked at.
    pub fn next(&self) -> Result<Vec<RunDirectory>, StoreError> {
        // Nothing waits on most days: then nothing is locked either.
        if names_in(&self.directory.join("waiting"))?.is_empty() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        let waiting = self.waiting()?;
        let free = self.free(waiting.len())?.len();
        Ok(startable(waiting, free))
    }

    /// Tells whether the request is noted as waiting.
    #[must_use]
    pub fn is_waiting(&self, request: &Request) -> bool {
        atomic::exists(&self.note(&note_name(request)))
    }

    /// How many monitors have a place, whatever the limit is.
    ///
    /// # Errors
    /// [`StoreError`] when the places cannot be looked at.
    pub fn taken(&self) -> Result<usize, StoreError> {
        let places = self.directory.join("places");
        let mut taken = 0;
        for name in names_in(&places)? {
            taken += usize::from(lock::is_held(&places.join(name))?);
        }
        Ok(taken)
    }

    fn lock(&self) -> Result<Held, StoreError> {
        lock::wait_exclusive(atomic::open_directory(&self.directory)?, &self.directory, PATIENCE)
    }

    /// At most `wanted` free places, held.
    fn free(&self, wanted: usize) -> Result<Vec<Held>, StoreError> {
        let mut free = Vec::new();
        // Each begins somewhere else: were it the first, the thousandth monitor would try all those before it.
        let limit = self.limit.max(1);
        let begin = std::process::id() % limit;
        for number in (0..self.limit).map(|step| (begin + step) % limit + 1) {
            if free.len() == wanted {
                break;
            }
            free.extend(lock::try_exclusive(&self.directory.join("places").join(format!("{number:05}.lock")))?);
        }
        Ok(free)
    }

    /// The runs that wait, the oldest push first. Notes of runs that ended or vanished meanwhile are removed.
    fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let mut waiting = Vec::new();
        for name in names_in(&self.directory.join("waiting"))?.into_iter().filter(|name| !name.starts_with('.')) {
            match look(&self.note(&name), &name) {
                Some((run, is_locked)) => waiting.push(Waiting { name, run, is_locked }),
                None => atomic::remove(&self.note(&name))?,
            }
        }
        Ok(waiting)
    }

    fn note(&self, name: &str) -> PathBuf {
        self.directory.join("waiting").join(name)
    }
}

/// The run that a note speaks of, and whether its lock is held: then its monitor is about to ask for a place. `None` when
/// nothing is to be done for it: it has ended, is gone, was pushed again, or cannot be read.
fn look(note: &Path, name: &str) -> Option<(RunDirectory, bool)> {
    let path = String::from_utf8(atomic::read(note, LONGEST_NOTE).ok()??).ok()?;
    let run = RunDirectory::at(Path::new(&path));
    let newest = match run.again().ok()? {
        Some(again) => again,
        None => run.request().ok()??,
    };
    if note_name(&newest) != name {
        return None;
    }
    match run.liveness(Timestamp::now()).ok()? {
        Liveness::Running => Some((run, true)),
        Liveness::Starting | Liveness::Lost => Some((run, false)),
        Liveness::Finished | Liveness::Absent => None,
    }
}

fn startable(waiting: Vec<Waiting>, places: usize) -> Vec<RunDirectory> {
    waiting.into_iter().take(places).filter(|waiting| !waiting.is_locked).map(|waiting| waiting.run).collect()
}

/// Sorts by the time of the push.
fn note_name(request: &Request) -> String {
    format!("{:015}-{}", request.pushed_at.as_millisecond().max(0), slug::of(&request.id))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use afterpush_core::{
        file::{PushSource, RepositoryFacts},
        id::{CommitId, RefName},
    };

    use super::*;

    fn run(root: &Path, digit: char, second: i64) -> (RunDirectory, Request) {
        let request = Request {
            schema: Request::schema(),
            id: digit.to_string().repeat(32),
            commit: CommitId::parse(&digit.to_string().repeat(40)).unwrap(),
            ref_name: RefName::parse("refs/heads/main").unwrap(),
            remote: "origin".into(),
            remote_url: String::new(),
            previous: None,
            pushed_at: Timestamp::from_second(second).unwrap(),
            boot_time: None,
            source: PushSource::Hook,
            pusher: None,
            repository: RepositoryFacts { common_dir: "/x".into(), git_dir: "/x".into(), work_tree: None },
        };
        let store = root.join("repos/x");
        fs::create_dir_all(store.join("runs")).unwrap();
        let run = RepositoryStore::at(store).run(&request.commit, &request.remote, &request.ref_name);
        run.write_request(&request).unwrap();
        (run, request)
    }

    #[test]
    fn a_freed_place_goes_to_the_oldest_push_whoever_asks_first() {
        let root = tempfile::tempdir().unwrap();
        let (first, of_first) = run(root.path(), 'a', 100);
        let (second, of_second) = run(root.path(), 'b', 200);
        let (third, of_third) = run(root.path(), 'c', 300);
        let places = Places::of_run(&first, 1);
        let Admission::Place(place) = places.take(&first, &of_first).unwrap() else { panic!("it is free") };
        for (run, request) in [(&third, &of_third), (&second, &of_second)] {
            let Admission::Waiting(owed) = places.take(run, request).unwrap() else { panic!("it is taken") };
            assert!(owed.is_empty() && places.is_waiting(request));
        }
        assert_eq!((places.taken().unwrap(), places.next().unwrap()), (1, Vec::new()));
        // Who waits is not lost: nobody is to start it out of its turn.
        let (lost, _) = crate::lost_runs(&RepositoryStore::of_run(&first), Timestamp::now()).unwrap();
        assert_eq!(lost, std::slice::from_ref(&first));
        drop(place);
        assert_eq!(places.next().unwrap(), std::slice::from_ref(&second));
        let Admission::Waiting(owed) = places.take(&third, &of_third).unwrap() else { panic!("it is the second's") };
        assert_eq!(owed, std::slice::from_ref(&second));
        let Admission::Place(place) = places.take(&second, &of_second).unwrap() else { panic!("it is its turn") };
        assert!(!places.is_waiting(&of_second));
        drop(place);
        // One that is removed while it waits is in nobody's way.
        fs::remove_dir_all(third.path()).unwrap();
        assert!(places.next().unwrap().is_empty() && !places.is_waiting(&of_third));
    }
}
