//! What a run sets out to follow: made once from the configuration and the credentials that were found.

use crate::config::HealthConfig;

/// What a run follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The targets of the push. None at all ends the run as `skipped`.
    pub targets: Vec<TargetPlan>,
    /// Whether a `git push` process is watched, whose end will be told by an event.
    pub has_pusher: bool,
    /// Whether the ref had the commit before: a row of the deployments table may be an earlier push's then.
    pub is_repeated: bool,
}

/// How one target is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPlan {
    /// Its name.
    pub name: String,
    /// Why the push is not for it, where it is not: it ends as `skipped`, and nothing of it is asked.
    pub skipped: Option<String>,
    /// Whether the provider can be asked.
    pub provider: StagePlan,
    /// Whether the database can be asked.
    pub database: StagePlan,
    /// Whether the health address can be asked.
    pub health: StagePlan,
    /// The provider gives each deployment an id of its own, by which an earlier push's is known.
    pub tells_deployments_apart: bool,
    /// The health address is a path on the deployment's address, which the provider has to tell first.
    pub health_needs_site: bool,
    /// What each health check needs to pass, in the order in which they answer.
    pub health_checks: Vec<CheckPlan>,
    /// Take a passing health check for live although nothing named the commit.
    pub accept_unversioned_health: bool,
}

impl TargetPlan {
    /// A target of which nothing can be asked, for this reason: what can be is added to it.
    #[must_use]
    pub fn unavailable(name: &str, reason: &str) -> Self {
        let stage = || StagePlan::Unavailable(reason.to_owned());
        Self {
            name: name.to_owned(),
            skipped: None,
            provider: stage(),
            database: stage(),
            health: stage(),
            tells_deployments_apart: false,
            health_needs_site: false,
            health_checks: Vec::new(),
            accept_unversioned_health: false,
        }
    }

    /// A target that the push is not for, for this reason.
    #[must_use]
    pub fn skipped(name: &str, reason: &str) -> Self {
        Self { skipped: Some(reason.to_owned()), ..Self::unavailable(name, reason) }
    }
}

/// What one health check needs to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckPlan {
    /// Its name.
    pub name: String,
    /// Its answer is expected to name the commit.
    pub names_commit: bool,
    /// Passes in a row that make it pass.
    pub passes: u32,
    /// Unhealthy answers in a row that make the stage fail.
    pub failures: u32,
    /// Unhealthy or missing answers that a row of passes outlasts.
    pub flakes: u32,
}

impl CheckPlan {
    /// What the configuration asks of this check.
    #[must_use]
    pub fn of(config: &HealthConfig) -> Self {
        Self {
            name: config.name.clone(),
            names_commit: config.commit.is_some(),
            passes: config.passes,
            failures: config.failures,
            flakes: config.flakes,
        }
    }
}

/// Whether a stage can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagePlan {
    /// It is configured and has what it needs.
    Ask,
    /// It cannot be asked, for this reason: the next stage decides.
    Unavailable(String),
}
