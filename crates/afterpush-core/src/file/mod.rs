//! The files that hook, monitor and command line share: their fields, their versions, and who may read what.
//!
//! Rules: a writer writes the newest minor version; a reader accepts every minor of its major and refuses another major
//! without touching the file. Fields are only ever added within a major. UTC RFC 3339 times, snake_case words.

mod head;
mod history;
mod monitor_pid;
mod push_time;
mod report;
mod request;
mod schema;

pub use head::Head;
pub use history::HistoryLine;
pub use monitor_pid::{MonitorPid, ProcessId};
pub use push_time::{BootTime, PushTime};
#[cfg(feature = "schema")]
pub use report::report_schema;
pub use report::{
    CheckReport, DeploymentEvidence, Document, FailedMigration, MigrationsReport, MonitorInfo, OutcomeFields, Report,
    StageReport, TargetReport, Trouble,
};
pub use request::{PushSource, Pusher, RepositoryFacts, Request};
pub use schema::{FileError, Schema, SchemaName, read};
