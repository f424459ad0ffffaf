//! `heads/<remote>--<ref slug>.json`: the newest push of a ref that is proven to have landed.
//!
//! Written by the monitor that proved it. An older run of the same ref learns from it that it was superseded, and the hook
//! finds in it the run whose failure the person has not been told yet, both without a look at every stored run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BootTime, PushTime, Request};
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
    /// The same by the clock that nobody sets, as the request has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_time: Option<BootTime>,
}

impl Head {
    /// The head that a landed push is.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        Self {
            commit: request.commit.clone(),
            request_id: request.id.clone(),
            pushed_at: request.pushed_at,
            boot_time: request.boot_time.clone(),
        }
    }

    /// When the push was seen, by both clocks.
    #[must_use]
    pub fn time(&self) -> PushTime<'_> {
        PushTime { wall: self.pushed_at, boot: self.boot_time.as_ref() }
    }
}
