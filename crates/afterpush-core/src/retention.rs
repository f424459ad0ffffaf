//! Which finished runs cleanup removes. (interface first; to be filled)

use std::time::Duration;

use jiff::Timestamp;

/// Tells whether a run that finished then is older than the limit now. A finish in the future (the clock was set back) is not.
#[must_use]
pub fn is_expired(finished_at: Timestamp, now: Timestamp, older_than: Duration) -> bool {
    let age = now.duration_since(finished_at);
    age.is_positive() && age.unsigned_abs() > older_than
}
