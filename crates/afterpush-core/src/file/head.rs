//! `heads/<remote>--<ref slug>.json`: the newest push of a ref that is proven to have landed.
//!
//! Written by the monitor that proved it. An older run of the same ref learns from it that it was superseded, and the hook
//! finds in it the run whose failure the person has not been told yet, both without a look at every stored run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::CommitId;

/// The newest landed push of one ref of one remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The pushed commit.
    pub commit: CommitId,
    /// The request that recorded it.
    pub request_id: String,
    /// When the push was seen.
    pub pushed_at: Timestamp,
}
