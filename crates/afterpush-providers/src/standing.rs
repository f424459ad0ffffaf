//! What a provider's pure judgement says of a deployment, before it is told as an observation.

use afterpush_core::observation::DeploymentState;

/// Where a deployment stands, and what is told about it.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Where it stands.
    pub(crate) state: DeploymentState,
    /// How far it is.
    pub(crate) progress: Option<String>,
    /// Why it stands so.
    pub(crate) reason: Option<String>,
}

impl Standing {
    /// A state of which there is nothing more to tell.
    pub(crate) fn of(state: DeploymentState) -> Self {
        Self { state, progress: None, reason: None }
    }

    /// The same, for this reason.
    pub(crate) fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// The same, this far.
    pub(crate) fn at(self, progress: &str) -> Self {
        Self { progress: Some(progress.to_owned()), ..self }
    }
}
