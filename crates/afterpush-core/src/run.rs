//! The words for where a run is and how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    id::{CommitId, abbreviated},
    text::clean_line,
};

/// Where a run, or one target of it, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Phase {
    /// The push is not yet proven to have landed on the remote.
    ConfirmingPush,
    /// The push landed; nothing that deploys this commit has been seen.
    AwaitingDeployment,
    /// A deployment of this commit is on its way.
    Deploying,
    /// The provider is done or has nothing to say; database and health are asked.
    Verifying,
    /// The outcome is known and never changes.
    Finished,
}

impl Phase {
    /// The word that stands in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ConfirmingPush => "confirming_push",
            Self::AwaitingDeployment => "awaiting_deployment",
            Self::Deploying => "deploying",
            Self::Verifying => "verifying",
            Self::Finished => "finished",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a run, or one target of it, ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// This commit is live: proven by an answer that names it.
    Live,
    /// A later commit that contains this one is live.
    LiveContained {
        /// The commit that is live.
        by: String,
    },
    /// The provider's deployment of this commit failed.
    DeployFailed,
    /// The database says that the deployment of this commit failed.
    DatabaseFailed,
    /// The deployed application does not pass its health check.
    HealthFailed,
    /// The deadline passed first.
    TimedOut {
        /// Where the run was then.
        phase: Phase,
    },
    /// No deployment of this commit will appear, or none did.
    NoDeployment,
    /// The provider or the configuration decided not to deploy this commit.
    Skipped,
    /// The deployment waits for a person.
    Blocked,
    /// A later push replaced this commit before it was live.
    Superseded {
        /// The commit that replaced it, where it is known.
        by: Option<String>,
    },
    /// Somebody canceled the deployment.
    Canceled,
    /// The push did not land: rejected, dry, or interrupted.
    PushNotCompleted,
    /// The provider refused the credentials.
    Unauthorized,
    /// A person stopped the monitor.
    Stopped,
    /// Nothing contradicts, but nothing proves that this commit is live either.
    Unverified,
    /// The monitor itself could not go on.
    Errored,
}

impl Outcome {
    /// The word that stands in files.
    #[must_use]
    pub fn word(&self) -> OutcomeWord {
        match self {
            Self::Live => OutcomeWord::Live,
            Self::LiveContained { .. } => OutcomeWord::LiveContained,
            Self::DeployFailed => OutcomeWord::DeployFailed,
            Self::DatabaseFailed => OutcomeWord::DatabaseFailed,
            Self::HealthFailed => OutcomeWord::HealthFailed,
            Self::TimedOut { .. } => OutcomeWord::TimedOut,
            Self::NoDeployment => OutcomeWord::NoDeployment,
            Self::Skipped => OutcomeWord::Skipped,
            Self::Blocked => OutcomeWord::Blocked,
            Self::Superseded { .. } => OutcomeWord::Superseded,
            Self::Canceled => OutcomeWord::Canceled,
            Self::PushNotCompleted => OutcomeWord::PushNotCompleted,
            Self::Unauthorized => OutcomeWord::Unauthorized,
            Self::Stopped => OutcomeWord::Stopped,
            Self::Unverified => OutcomeWord::Unverified,
            Self::Errored => OutcomeWord::Errored,
        }
    }

    /// The commit that is live instead, or that replaced ours.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::LiveContained { by } => Some(by),
            Self::Superseded { by } => by.as_deref(),
            _ => None,
        }
    }

    /// The phase in which the deadline passed.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        if let Self::TimedOut { phase } = self { Some(*phase) } else { None }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word().as_str())?;
        match self {
            Self::LiveContained { by } | Self::Superseded { by: Some(by) } => {
                write!(f, " by {}", abbreviated(by))
            }
            Self::TimedOut { phase } => write!(f, " while {phase}"),
            _ => Ok(()),
        }
    }
}

/// The outcome's bare word, as it stands in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "each is explained at the variant of Outcome with the same name")]
pub enum OutcomeWord {
    Live,
    LiveContained,
    DeployFailed,
    DatabaseFailed,
    HealthFailed,
    TimedOut,
    NoDeployment,
    Skipped,
    Blocked,
    Superseded,
    Canceled,
    PushNotCompleted,
    Unauthorized,
    Stopped,
    Unverified,
    Errored,
}

impl OutcomeWord {
    /// Every word, in the order of [`OutcomeWord::severity`].
    pub const ALL: [Self; 16] = [
        Self::Live,
        Self::LiveContained,
        Self::Skipped,
        Self::Unverified,
        Self::Superseded,
        Self::PushNotCompleted,
        Self::Stopped,
        Self::Canceled,
        Self::NoDeployment,
        Self::Blocked,
        Self::TimedOut,
        Self::Unauthorized,
        Self::Errored,
        Self::DatabaseFailed,
        Self::HealthFailed,
        Self::DeployFailed,
    ];

    /// Tells whether the commit is live.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::LiveContained)
    }

    /// How bad it is: of several targets the worst gives the run its outcome. A skipped target is no worse than a live
    /// one when another target is live, because nothing was left undone.
    #[must_use]
    pub fn severity(self) -> u8 {
        u8::try_from(Self::ALL.iter().position(|word| *word == self).unwrap_or(Self::ALL.len())).unwrap_or(u8::MAX)
    }

    /// The word as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::LiveContained => "live_contained",
            Self::DeployFailed => "deploy_failed",
            Self::DatabaseFailed => "database_failed",
            Self::HealthFailed => "health_failed",
            Self::TimedOut => "timed_out",
            Self::NoDeployment => "no_deployment",
            Self::Skipped => "skipped",
            Self::Blocked => "blocked",
            Self::Superseded => "superseded",
            Self::Canceled => "canceled",
            Self::PushNotCompleted => "push_not_completed",
            Self::Unauthorized => "unauthorized",
            Self::Stopped => "stopped",
            Self::Unverified => "unverified",
            Self::Errored => "errored",
        }
    }
}

impl fmt::Display for OutcomeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StageKind {
    /// The hosting platform's API.
    Provider,
    /// The application's database.
    Database,
    /// The application's health answer.
    Health,
}

impl StageKind {
    /// All stages, in the order of proof.
    pub const ALL: [Self; 3] = [Self::Provider, Self::Database, Self::Health];

    /// The stage's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Database => "database",
            Self::Health => "health",
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a stage has said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Verdict {
    /// Not decided.
    Pending,
    /// It agrees that the commit is live.
    Passed,
    /// It says that the commit is not live and will not be.
    Failed,
    /// It is not configured, has no credentials or cannot be asked; the next stage decides.
    Unavailable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
        })
    }
}

/// How a commit that somebody reported relates to the pushed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Relation {
    /// It is the pushed commit.
    Same,
    /// It is another commit whose history contains the pushed one.
    Contains,
    /// It is another commit that does not contain the pushed one, or that this repository does not have.
    Other,
}

/// A commit that a provider, a database or a health answer reported.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SeenCommit {
    /// The id as it was reported: full, or at least seven digits.
    pub id: String,
    /// How it relates to the pushed commit.
    pub relation: Relation,
}

/// A part of an application, as its own health answer reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubCheck {
    /// Its name in the answer, or the JSON pointer that names it.
    pub name: String,
    /// Whether it is well; null when the answer's word for it is not known.
    pub healthy: Option<bool>,
    /// What the answer says of it, cleaned.
    pub summary: String,
}

/// More of what somebody reports as a commit is not kept.
const LONGEST_NAME: usize = 80;

impl SeenCommit {
    /// Compares a reported id with the pushed commit, as far as that goes without the repository: [`Relation::Same`] or
    /// [`Relation::Other`]. Whoever has the repository at hand raises `Other` to `Contains` where history says so.
    #[must_use]
    pub fn compare(reported: &str, pushed: &CommitId) -> Self {
        let relation = if pushed.is_named_by(reported) { Relation::Same } else { Relation::Other };
        let clean = clean_line(reported.trim(), LONGEST_NAME);
        // What cleaning has changed is no id, whatever it looks like now: nobody may compare it as one.
        let id = if clean == reported.trim() { clean } else { format!("{}…", clean.trim_end_matches('…')) };
        Self { id: id.to_ascii_lowercase(), relation }
    }
}

#[cfg(test)]
mod tests;
