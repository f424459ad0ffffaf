//! request.json: what was pushed, by whom, from where. Written once by the hook, before the push goes out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BootTime, ProcessId, PushTime, Schema, SchemaName};
use crate::id::{CommitId, RefName};

/// One watched ref update of one push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `afterpush.request`.
    pub schema: Schema,
    /// A random name of this request, 32 hexadecimal digits: the same commit can be pushed to the same ref again.
    pub id: String,
    /// The pushed commit.
    pub commit: CommitId,
    /// The ref on the remote.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The remote's name, or its URL without credentials when it has no name.
    pub remote: String,
    /// The remote's URL without credentials.
    pub remote_url: String,
    /// What the remote's ref was before, as git knew it; absent when the push creates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<CommitId>,
    /// When the push was seen.
    pub pushed_at: Timestamp,
    /// The same by the clock that nobody sets; absent when the time was read from a reflog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_time: Option<BootTime>,
    /// Who saw it.
    pub source: PushSource,
    /// The `git push` process, while it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pusher: Option<Pusher>,
    /// The repository that was pushed from.
    pub repository: RepositoryFacts,
}

impl Request {
    /// The version that this program writes.
    #[must_use]
    pub fn schema() -> Schema {
        Schema::current(SchemaName::Request)
    }

    /// When the push was seen, by both clocks.
    #[must_use]
    pub fn time(&self) -> PushTime<'_> {
        PushTime { wall: self.pushed_at, boot: self.boot_time.as_ref() }
    }
}

/// Who saw the push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushSource {
    /// The pre-push hook, before the push went out.
    Hook,
    /// A command found an "update by push" in the tracking ref's reflog.
    Reflog,
    /// A person asked for this commit to be watched.
    Person,
}

/// The `git push` process that the hook ran under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pusher {
    /// The process.
    #[serde(flatten)]
    pub process: ProcessId,
    /// Whether its exit code 0 proves the push: its arguments were read, they say push, and they do not say dry run.
    pub exit_proves: bool,
}

/// Where the repository is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryFacts {
    /// The common git directory, absolute.
    pub common_dir: String,
    /// The git directory of the work tree that was pushed from, absolute; equal to the common one outside linked work trees.
    pub git_dir: String,
    /// The work tree, absolute; absent in a bare repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_tree: Option<String>,
}
