//! history.jsonl: one line a finished run, which survives cleanup.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::OutcomeFields;
use crate::id::{CommitId, RefName};

/// One finished run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// The request.
    pub request_id: String,
    /// The pushed commit.
    pub commit: CommitId,
    /// The ref on the remote.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The remote.
    pub remote: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: OutcomeFields,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the push was seen.
    pub pushed_at: Timestamp,
    /// When the run ended.
    pub finished_at: Timestamp,
}
