//! What the stages answer: one observation for each question that was answered.

use crate::{
    fault::Fault,
    migrations::{Standing, Tool},
    run::{SeenCommit, SubCheck},
};

/// One answer of a hosting provider about the pushed commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderObservation {
    /// The deployment of the pushed commit, when there is one.
    pub deployment: Option<Deployment>,
    /// What serves now, when the provider tells.
    pub serving: Option<Serving>,
    /// Why no deployment of the pushed commit can appear, such as a pinned app. Said only when it is certain.
    pub will_not_deploy: Option<String>,
}

impl ProviderObservation {
    /// Leaves a deployment out that an earlier push of the same commit had (`is_earlier` tells of an id) and that has ended: how says
    /// nothing about this push.
    #[must_use]
    pub fn of_this_push(self, is_earlier: impl Fn(&str) -> bool) -> Self {
        let is_ours = |it: &Deployment| !(it.state.has_ended() && is_earlier(&it.id));
        Self { deployment: self.deployment.filter(is_ours), ..self }
    }
}

/// The provider's deployment of the pushed commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The provider's id of it.
    pub id: String,
    /// Where it stands.
    pub state: DeploymentState,
    /// The provider's own word for that, cleaned.
    pub raw: String,
    /// The commit that it says it deploys.
    pub commit: SeenCommit,
    /// The page where a person sees it.
    pub url: Option<String>,
    /// The address at which the deployed application answers.
    pub site_url: Option<String>,
    /// How far it is, in the provider's words, such as "3 of 6 steps: Building service web".
    pub progress: Option<String>,
    /// Why it failed, was skipped or is blocked, cleaned.
    pub reason: Option<String>,
}

/// What the provider serves now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// The deployment that serves.
    pub deployment_id: String,
    /// Its commit, when the provider tells.
    pub commit: Option<SeenCommit>,
    /// The address at which the application answers.
    pub site_url: Option<String>,
    /// It is later than the deployment of the pushed commit, and so took its place.
    pub is_later: bool,
}

/// Where a deployment stands, in our words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeploymentState {
    /// It waits for its turn.
    Queued,
    /// It is being built.
    Building,
    /// It is being rolled out.
    Deploying,
    /// It is what users see.
    Live,
    /// It failed.
    Failed,
    /// Somebody canceled it.
    Canceled,
    /// A later one overtook it before it was live.
    Superseded,
    /// It was live, and a later one has replaced it since.
    Replaced,
    /// The provider decided not to deploy this commit.
    Skipped,
    /// It waits for a person.
    Blocked,
    /// The provider uses a word that we do not know: still in progress, shown raw, never a verdict.
    Unknown,
}

impl DeploymentState {
    /// Nothing more comes of it by itself, and users do not see it.
    #[must_use]
    pub fn has_ended(self) -> bool {
        match self {
            Self::Failed | Self::Canceled | Self::Superseded | Self::Replaced | Self::Skipped => true,
            Self::Queued | Self::Building | Self::Deploying | Self::Live | Self::Blocked | Self::Unknown => false,
        }
    }
}

/// One answer of the database: everything that was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatabaseAnswer {
    /// What the deployments table says, where it is asked.
    pub records: Option<DatabaseObservation>,
    /// What the database has of the commit's migrations, where they are looked for.
    pub migrations: Option<MigrationsObservation>,
}

impl From<DatabaseObservation> for DatabaseAnswer {
    fn from(records: DatabaseObservation) -> Self {
        Self { records: Some(records), migrations: None }
    }
}

/// What the database has of the commit's migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationsObservation {
    /// The tool; `None` where it could not be told.
    pub tool: Option<Tool>,
    /// The directory of the migrations.
    pub path: String,
    /// What is applied, pending, failed and unknown; names and errors cleaned.
    pub standing: Standing,
}

impl MigrationsObservation {
    /// Nothing can be told, for this reason.
    #[must_use]
    pub fn undecided(reason: impl Into<String>) -> Self {
        let standing = Standing { undecided: Some(reason.into()), ..Standing::default() };
        Self { tool: None, path: String::new(), standing }
    }
}

/// One answer of the deployments table about the pushed commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseObservation {
    /// There is no row of this commit yet.
    NoRow,
    /// The newest row of this commit.
    Row(DeploymentRow),
}

/// A row of the deployments table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRow {
    /// What its status word means.
    pub state: RowState,
    /// The status word itself, cleaned.
    pub raw: String,
    /// The commit that it names.
    pub commit: SeenCommit,
    /// Its error text, cleaned.
    pub error: Option<String>,
}

/// What the status word of a row means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowState {
    /// Pending, building, deploying, or a word that we do not know.
    InProgress,
    /// The deployment succeeded.
    Success,
    /// The deployment failed.
    Failed,
}

/// One round of a target's health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthObservation {
    /// What each check answered, or why it could not, in the order of the plan.
    pub checks: Vec<Result<CheckObservation, Fault>>,
}

/// One answer of one health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckObservation {
    /// Whether the answer is as the configuration expects, the commit aside.
    pub healthy: bool,
    /// The commit that the answer names, when the configuration says where to find it.
    pub commit: Option<SeenCommit>,
    /// The answer in a few words for people, such as "200, commit 1234567".
    pub summary: String,
    /// The parts that the answer reports one by one, such as the application's database.
    pub sub_checks: Vec<SubCheck>,
    /// What is well now and will not stay so, such as a certificate that expires soon.
    pub warning: Option<String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::id::CommitId;

    #[test]
    fn migrations_that_cannot_be_told_say_why() {
        let seen = MigrationsObservation::undecided("two tools");
        assert_eq!(seen.standing.undecided.as_deref(), Some("two tools"));
        assert_eq!((seen.tool, seen.path.as_str()), (None, ""));
    }

    #[test]
    fn how_an_earlier_pushs_deployment_has_ended_says_nothing_about_this_push() {
        use DeploymentState::{
            Blocked, Building, Canceled, Deploying, Failed, Live, Queued, Replaced, Skipped, Superseded, Unknown,
        };
        let commit = CommitId::parse(&"a".repeat(40)).unwrap();
        for (state, has_ended) in [
            (Queued, false),
            (Building, false),
            (Deploying, false),
            (Live, false),
            (Blocked, false),
            (Unknown, false),
            (Failed, true),
            (Canceled, true),
            (Superseded, true),
            (Replaced, true),
            (Skipped, true),
        ] {
            let deployment = Deployment {
                id: "1".to_owned(),
                state,
                raw: String::new(),
                commit: SeenCommit::compare(commit.as_str(), &commit),
                url: None,
                site_url: None,
                progress: None,
                reason: None,
            };
            let seen = ProviderObservation {
                deployment: Some(deployment),
                will_not_deploy: Some("why".to_owned()),
                ..ProviderObservation::default()
            };
            assert_eq!(seen.clone().of_this_push(|id| id == "2"), seen, "{state:?}");
            let after = seen.clone().of_this_push(|id| id == "1");
            assert_eq!(after.deployment.is_none(), has_ended, "{state:?}");
            assert_eq!(after.will_not_deploy, seen.will_not_deploy);
        }
    }
}
