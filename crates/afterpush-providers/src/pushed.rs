//! The pushed commit, and whether a deployment of it can be this push's.

use afterpush_core::{id::CommitId, run::SeenCommit};
use jiff::{SignedDuration, Timestamp};

/// By how much the person's clock and the vendor's may differ.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(10);

/// The commit that is followed.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    /// Its full id.
    pub(crate) commit: CommitId,
    /// When the push was seen, where the hook saw it.
    pub(crate) at: Option<Timestamp>,
}

impl Pushed {
    /// Tells whether a vendor's field names the commit: its full id, or a prefix of at least 7 digits.
    pub(crate) fn is(&self, shown: &str) -> bool {
        self.commit.is_named_by(shown)
    }

    /// Tells whether a vendor's field holds the commit's full id.
    pub(crate) fn is_in_full(&self, shown: &str) -> bool {
        self.commit.as_str().eq_ignore_ascii_case(shown.trim())
    }

    /// What a vendor's field names, compared with the commit.
    pub(crate) fn seen(&self, shown: &str) -> SeenCommit {
        SeenCommit::compare(shown, &self.commit)
    }

    /// Tells whether something that was created then belongs to an earlier push: a branch can be moved back to a commit that
    /// was deployed before, and how that ended says nothing about this push.
    pub(crate) fn is_before(&self, created_at: Option<Timestamp>) -> bool {
        let earliest = self.at.and_then(|at| at.checked_sub(CLOCK_TOLERANCE).ok());
        earliest.zip(created_at).is_some_and(|(earliest, created_at)| created_at < earliest)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_was_created_long_before_the_push_is_an_earlier_ones() {
        let commit = CommitId::parse(&"a".repeat(40)).unwrap();
        let at = Some("2026-01-01T12:00:00Z".parse().unwrap());
        let pushed = Pushed { commit: commit.clone(), at };
        let time = |text: &str| Some(text.parse().unwrap());
        assert!(pushed.is_before(time("2026-01-01T11:49:59Z")));
        assert!(!pushed.is_before(time("2026-01-01T11:50:01Z")));
        assert!(!pushed.is_before(None));
        assert!(!Pushed { commit, at: None }.is_before(time("2020-01-01T00:00:00Z")));
    }
}
