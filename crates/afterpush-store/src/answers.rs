//! The providers' answers that all monitors of the user share, so that fifty monitors of one application make the calls of one;
//! and the order in which their calls are made, so that together they stay below the vendor's limit.
//!
//! Invariants: an answer's file holds only what the caller reduced it to, never a credential, and its name is a hash salted with
//! a random number of this user. Times are on `CLOCK_BOOTTIME`: what another boot left is as good as absent. Nothing here is
//! durable, and any file may be removed at any time: it costs one call.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    atomic::{self, Access, Durability},
    error::StoreError,
    lock::{self, Held},
    process, random_name,
    run_directory::names_in,
    slug,
    turns::{Turn, Turns, millis},
};

/// The largest file that is read: a body of the transport's own limit, quoted.
const LONGEST: u64 = 64 << 20;
/// An answer that is older than this serves nobody.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// The directory of shared answers.
#[derive(Debug, Clone)]
pub struct Answers {
    directory: PathBuf,
    salt: String,
    boot: String,
}

/// The name of what was asked, by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerKey(String);

/// What came of asking, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The status code; `None` when there was no answer.
    pub status: Option<u16>,
    /// The body, reduced to the fields that are read; without an answer, why there is none.
    pub body: String,
    /// The few headers that are read.
    pub headers: Vec<(String, String)>,
    /// Which monitor asked, by its random word.
    pub by: String,
}

#[derive(Serialize, Deserialize)]
struct Stamped<T> {
    boot: String,
    /// Milliseconds since the machine began.
    at: u64,
    #[serde(flatten)]
    what: T,
}

/// The right to ask: nobody else asks the same until it is dropped.
#[derive(Debug)]
pub struct AnswerLock {
    _held: Held,
    path: PathBuf,
}

impl Answers {
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        atomic::ensure_directory(directory)?;
        let path = directory.join("salt");
        let salt = match atomic::read(&path, 1024)? {
            Some(salt) => salt,
            None => {
                let fresh = random_name().map_err(StoreError::io(&path, "name"))?;
                atomic::create(&path, fresh.as_bytes(), Access::User)?;
                // Of two that began at once, one has written it.
                atomic::read(&path, 1024)?.unwrap_or_default()
            }
        };
        let boot = process::boot_id().map_err(StoreError::io(directory, "tell the boot for"))?;
        Ok(Self { directory: directory.to_owned(), salt: String::from_utf8_lossy(&salt).into_owned(), boot })
    }

    /// Names what is asked by everything that it depends on, the credential among them.
    #[must_use]
    pub fn key(&self, parts: &[&[u8]]) -> AnswerKey {
        let mut hash = Sha256::new();
        for part in std::iter::once(&self.salt.as_bytes()).chain(parts) {
            // With its length, so that no two lists of parts are the same text.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        AnswerKey(slug::hex(&hash.finalize()[..16]))
    }

    /// Takes the right to ask; `None` while another monitor has it.
    ///
    /// # Errors
    /// [`StoreError`] when the lock's file cannot be made.
    pub fn lock(&self, key: &AnswerKey) -> Result<Option<AnswerLock>, StoreError> {
        let path = self.directory.join(format!("{}.json", key.0));
        let held = lock::try_exclusive(&path.with_extension("lock"))?;
        Ok(held.map(|held| AnswerLock { _held: held, path }))
    }

    /// The kept answer and its age. What cannot be read is as good as absent.
    #[must_use]
    pub fn read(&self, key: &AnswerKey) -> Option<(KeptAnswer, Duration)> {
        let (kept, at) = self.stamped(&self.directory.join(format!("{}.json", key.0)))?;
        Some((kept, age(at, boottime())?))
    }

    /// Keeps an answer that came just now.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn keep(&self, lock: &AnswerLock, answer: KeptAnswer) -> Result<(), StoreError> {
        self.stamp(&lock.path, answer, boottime())
    }

    /// Reserves the next call with a credential, for as long as `patience` allows.
    ///
    /// # Errors
    /// [`StoreError`] when the place cannot be written to.
    pub fn take_turn(&self, credential: &AnswerKey, patience: Duration) -> Result<Turn, StoreError> {
        let turn = self.change_turns(credential, |turns, now| turns.take(now, patience))?;
        Ok(turn.unwrap_or(Turn::Busy))
    }

    /// The vendor has refused a call for its rate: none is made for so long, and then half as many. `false`: others are just
    /// taking their turns, and it has to be told again.
    ///
    /// # Errors
    /// [`StoreError`] when the place cannot be written to.
    pub fn hold_back(&self, credential: &AnswerKey, wait: Duration) -> Result<bool, StoreError> {
        Ok(self.change_turns(credential, |turns, now| turns.hold_back(now, wait))?.is_some())
    }

    /// So many calls are left for so long: they are spread over the time, all monitors together. `false` as for
    /// [`Answers::hold_back`].
    ///
    /// # Errors
    /// [`StoreError`] when the place cannot be written to.
    pub fn spread(&self, credential: &AnswerKey, remaining: u64, over: Duration) -> Result<bool, StoreError> {
        Ok(self.change_turns(credential, |turns, now| turns.spread(now, remaining, over))?.is_some())
    }

    /// Tells whether the vendor wants no call now: a turn that was taken before must not be used then.
    #[must_use]
    pub fn is_held_back(&self, credential: &AnswerKey) -> bool {
        let turns = self.stamped::<Turns>(&self.turns_path(credential));
        turns.is_some_and(|(turns, _)| turns.are_held_back(millis(boottime())))
    }

    /// Removes what has served nobody for an hour. Never a lock that somebody holds.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be listed.
    pub fn sweep(&self) -> Result<(), StoreError> {
        for name in names_in(&self.directory)? {
            let path = self.directory.join(&name);
            let (serves, lock) = match path.extension().and_then(OsStr::to_str) {
                Some("json") => (self.serves::<KeptAnswer>(&path, |_| false), path.with_extension("lock")),
                Some("turns") => {
                    let now = millis(boottime());
                    let is_held_back = |turns: &Turns| turns.are_held_back(now);
                    (self.serves(&path, is_held_back), path.with_extension("turns-lock"))
                }
                // A lock whose answer never came; the others go with what they are for.
                Some("lock") => (path.with_extension("json").exists(), path.clone()),
                Some("turns-lock") => (path.with_extension("turns").exists(), path.clone()),
                _ => continue,
            };
            if serves {
                continue;
            }
            if let Ok(Some(_held)) = lock::try_exclusive(&lock) {
                atomic::remove(&path)?;
                atomic::remove(&lock)?;
            }
        }
        Ok(())
    }

    /// Tells whether a file is young enough to be of use, or still wanted for another reason.
    fn serves<T: DeserializeOwned>(&self, path: &Path, is_wanted: impl FnOnce(&T) -> bool) -> bool {
        self.stamped::<T>(path).is_some_and(|(what, at)| age(at, boottime()).is_some() || is_wanted(&what))
    }

    /// Changes the turns of a credential, one monitor at a time. `None`: another one is at it.
    fn change_turns<T>(
        &self,
        credential: &AnswerKey,
        change: impl FnOnce(&mut Turns, u64) -> T,
    ) -> Result<Option<T>, StoreError> {
        let path = self.turns_path(credential);
        let Some(_held) = lock::try_exclusive(&path.with_extension("turns-lock"))? else {
            return Ok(None);
        };
        let now = boottime();
        let mut turns = self.stamped::<Turns>(&path).map(|(turns, _)| turns).unwrap_or_default();
        let outcome = change(&mut turns, millis(now));
        self.stamp(&path, turns, now)?;
        Ok(Some(outcome))
    }

    fn turns_path(&self, credential: &AnswerKey) -> PathBuf {
        self.directory.join(format!("{}.turns", credential.0))
    }

    fn stamped<T: DeserializeOwned>(&self, path: &Path) -> Option<(T, Duration)> {
        let bytes = atomic::read(path, LONGEST).ok()??;
        let stamped: Stamped<T> = serde_json::from_slice(&bytes).ok()?;
        (stamped.boot == self.boot).then(|| (stamped.what, Duration::from_millis(stamped.at)))
    }

    fn stamp<T: Serialize>(&self, path: &Path, what: T, at: Duration) -> Result<(), StoreError> {
        let stamped = Stamped { boot: self.boot.clone(), at: millis(at), what };
        let bytes = serde_json::to_vec(&stamped).map_err(|error| StoreError::io(path, "write")(error.into()))?;
        atomic::replace(path, &bytes, Access::User, Durability::Process)
    }
}

/// How old is what was kept at `at`, as long as it may serve.
fn age(at: Duration, now: Duration) -> Option<Duration> {
    now.checked_sub(at).filter(|age| *age < KEPT_FOR)
}

fn boottime() -> Duration {
    // The clock exists on every kernel this program runs on; were it missing, no answer would look fresh for long.
    process::since_boot().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn answers() -> (tempfile::TempDir, Answers) {
        let directory = tempfile::tempdir().unwrap();
        let answers = Answers::open(&directory.path().join("answers")).unwrap();
        (directory, answers)
    }

    fn answer(body: &str) -> KeptAnswer {
        KeptAnswer { status: Some(200), headers: Vec::new(), body: body.to_owned(), by: "me".to_owned() }
    }

    #[test]
    fn an_answer_is_kept_for_everybody_who_asks_the_same_with_the_same_credential() {
        let (directory, answers) = answers();
        let key = answers.key(&[b"https://api.test/app", b"token"]);
        assert_eq!(answers.read(&key), None);
        let lock = answers.lock(&key).unwrap().unwrap();
        assert!(answers.lock(&key).unwrap().is_none(), "one asks at a time");
        answers.keep(&lock, answer("{}")).unwrap();
        drop(lock);
        assert!(answers.lock(&key).unwrap().is_some());
        // Another process of the same user.
        let others = Answers::open(&directory.path().join("answers")).unwrap();
        assert_eq!(others.key(&[b"https://api.test/app", b"token"]), key);
        let (kept, age) = others.read(&key).unwrap();
        assert_eq!(kept, answer("{}"));
        assert!(age < Duration::from_secs(60));
        for parts in [[b"https://api.test/app" as &[u8], b"other"], [b"https://api.test/appt", b"oken"]] {
            assert_eq!(answers.read(&answers.key(&parts)), None);
        }
    }

    #[test]
    fn only_the_user_can_read_and_no_file_names_what_was_asked() {
        let (directory, answers) = answers();
        let key = answers.key(&[b"https://api.test/app", b"canary-token"]);
        answers.keep(&answers.lock(&key).unwrap().unwrap(), answer("{}")).unwrap();
        answers.take_turn(&key, Duration::ZERO).unwrap();
        let place = directory.path().join("answers");
        for entry in std::fs::read_dir(&place).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
            let text = std::fs::read_to_string(&path).unwrap() + path.to_str().unwrap();
            assert!(!text.contains("canary") && !text.contains("api.test"), "{text}");
        }
        // Another user's directory gives other names to the same question.
        let elsewhere = Answers::open(&directory.path().join("elsewhere")).unwrap();
        assert_ne!(elsewhere.key(&[b"https://api.test/app", b"canary-token"]), key);
    }

    #[test]
    fn what_another_boot_left_or_nobody_can_read_is_absent() {
        let (_directory, answers) = answers();
        let key = answers.key(&[b"a"]);
        answers.keep(&answers.lock(&key).unwrap().unwrap(), answer("{}")).unwrap();
        let before = Answers { boot: "another".to_owned(), ..answers.clone() };
        assert_eq!(before.read(&key), None);
        std::fs::write(answers.directory.join(format!("{}.json", key.0)), "{").unwrap();
        assert_eq!(answers.read(&key), None);
        answers.keep(&answers.lock(&key).unwrap().unwrap(), answer("[]")).unwrap();
        assert!(answers.read(&key).is_some());
    }

    #[test]
    fn calls_take_turns_and_what_the_vendor_says_is_heard_by_all_with_the_credential() {
        let (directory, answers) = answers();
        let others = Answers::open(&directory.path().join("answers")).unwrap();
        let credential = answers.key(&[b"token"]);
        let turn = |patience| others.take_turn(&credential, Duration::from_secs(patience)).unwrap();
        assert_eq!(turn(60), Turn::In(Duration::ZERO));
        assert!(!others.is_held_back(&credential));
        assert!(answers.hold_back(&credential, Duration::from_secs(30)).unwrap());
        assert!(others.is_held_back(&credential));
        assert!(matches!(turn(60), Turn::In(wait) if wait > Duration::from_secs(20)));
        assert!(matches!(turn(10), Turn::TooFar(wait) if wait > Duration::from_secs(20)));
        // Another credential is another budget.
        let another = answers.key(&[b"other"]);
        assert_eq!(others.take_turn(&another, Duration::ZERO).unwrap(), Turn::In(Duration::ZERO));
        assert!(answers.spread(&another, 1, Duration::from_secs(100)).unwrap());
        assert!(matches!(others.take_turn(&another, Duration::ZERO).unwrap(), Turn::TooFar(_)));
        // What another boot left counts for nothing.
        let later = Answers { boot: "another".to_owned(), ..answers.clone() };
        assert!(!later.is_held_back(&credential));
        assert_eq!(later.take_turn(&credential, Duration::ZERO).unwrap(), Turn::In(Duration::ZERO));
    }

    #[test]
    fn who_finds_others_taking_their_turns_is_told_so() {
        let (_directory, answers) = answers();
        let credential = answers.key(&[b"token"]);
        let path = answers.turns_path(&credential).with_extension("turns-lock");
        let held = lock::try_exclusive(&path).unwrap().unwrap();
        assert_eq!(answers.take_turn(&credential, Duration::ZERO).unwrap(), Turn::Busy);
        assert!(!answers.hold_back(&credential, Duration::from_secs(30)).unwrap());
        assert!(!answers.spread(&credential, 1, Duration::from_secs(30)).unwrap());
        drop(held);
        assert_eq!(answers.take_turn(&credential, Duration::ZERO).unwrap(), Turn::In(Duration::ZERO));
    }

    #[test]
    fn an_answer_grows_old_and_one_of_the_future_is_none() {
        let hour = Duration::from_secs(3600);
        assert_eq!(age(hour, hour + hour - Duration::from_nanos(1)), Some(hour - Duration::from_nanos(1)));
        assert_eq!(age(hour, hour + hour), None);
        assert_eq!(age(hour, hour - Duration::from_nanos(1)), None);
    }

    #[test]
    fn sweeping_leaves_what_serves_and_what_is_held() {
        let (_directory, answers) = answers();
        let [fresh, old, held, never] = [b"1", b"2", b"3", b"4"].map(|part| answers.key(&[part]));
        let long_ago = Answers { boot: "another".to_owned(), ..answers.clone() };
        drop(answers.lock(&never).unwrap());
        answers.keep(&answers.lock(&fresh).unwrap().unwrap(), answer("{}")).unwrap();
        long_ago.keep(&long_ago.lock(&old).unwrap().unwrap(), answer("{}")).unwrap();
        let lock = long_ago.lock(&held).unwrap().unwrap();
        long_ago.keep(&lock, answer("{}")).unwrap();
        answers.sweep().unwrap();
        assert!(answers.read(&fresh).is_some());
        let there = |key: &AnswerKey| answers.directory.join(format!("{}.json", key.0)).exists();
        assert!(!there(&old));
        assert!(there(&held));
        let locks = names_in(&answers.directory).unwrap().into_iter().filter(|name| name.ends_with(".lock")).count();
        assert_eq!(locks, 2, "one of a kept answer, and one that is held");
    }

    #[test]
    fn sweeping_leaves_turns_that_are_taken_and_a_vendor_that_wants_no_call() {
        let (_directory, answers) = answers();
        let [fresh, old, held] = [b"1", b"2", b"3"].map(|part| answers.key(&[part]));
        answers.take_turn(&fresh, Duration::ZERO).unwrap();
        let long_ago = Answers { boot: "another".to_owned(), ..answers.clone() };
        long_ago.take_turn(&old, Duration::ZERO).unwrap();
        // Two hours ago the vendor wanted no call for a day.
        let mut turns = Turns::default();
        turns.hold_back(millis(boottime()), Duration::from_secs(86_400));
        answers.stamp(&answers.turns_path(&held), turns, boottime().saturating_sub(2 * KEPT_FOR)).unwrap();
        answers.sweep().unwrap();
        assert!(answers.turns_path(&fresh).exists());
        let old = answers.turns_path(&old);
        assert!(!old.exists() && !old.with_extension("turns-lock").exists());
        assert!(answers.is_held_back(&held));
    }
}
