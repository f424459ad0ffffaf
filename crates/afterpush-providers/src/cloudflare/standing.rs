//! Decides where a deployment stands. Pure: the stage that it has come to, and what serves.

use afterpush_core::{observation::DeploymentState, text::one_line};

use super::answer::Deployment;
use crate::standing::Standing;

/// The skip of a deployment that waited when a later one of its branch came.
const OVERTAKEN: &str = "superseded_queued_build";

/// Tells whether all stages of a deployment succeeded: success at an earlier one is not the end.
pub(super) fn is_deployed(deployment: &Deployment) -> bool {
    let stage = &deployment.latest_stage;
    deployment.is_skipped != Some(true) && stage.name == "deploy" && stage.status == "success"
}

/// Tells whether a deployment failed.
pub(super) fn is_failure(deployment: &Deployment) -> bool {
    deployment.is_skipped != Some(true) && deployment.latest_stage.status == "failure"
}

/// Tells whether a deployment is at its end and serves nothing.
pub(super) fn has_ended(deployment: &Deployment) -> bool {
    let status = deployment.latest_stage.status.as_str();
    deployment.is_skipped == Some(true) || matches!(status, "failure" | "canceled" | "skipped")
}

/// The whole judgement: `serves` is what the same address serves now.
pub(super) fn of(ours: &Deployment, serves: Option<&Deployment>) -> Standing {
    let of = Standing::of;
    let because = |state, reason: String| of(state).because(reason);
    let stage = &ours.latest_stage;
    let name = one_line(&stage.name, 40);
    if ours.is_skipped == Some(true) || stage.status == "skipped" {
        let why = ours.skip_reason.as_deref().unwrap_or_default();
        return match why {
            OVERTAKEN => because(DeploymentState::Superseded, "a later push of its branch took its turn".to_owned()),
            "" => of(DeploymentState::Skipped),
            why => because(DeploymentState::Skipped, format!("Cloudflare skipped it: {}", one_line(why, 100))),
        };
    }
    match (stage.name.as_str(), stage.status.as_str()) {
        (_, "failure") => because(DeploymentState::Failed, format!("the stage {name:?} failed")),
        (_, "canceled") => because(DeploymentState::Canceled, format!("it was canceled at the stage {name:?}")),
        ("deploy", "success") => deployed(ours, serves),
        ("queued", "idle" | "active") => of(DeploymentState::Queued),
        ("queued" | "initialize" | "clone_repo", "idle" | "active" | "success") | ("build", "idle" | "active") => {
            of(DeploymentState::Building)
        }
        ("build", "success") | ("deploy", "idle" | "active") => of(DeploymentState::Deploying),
        _ => of(DeploymentState::Unknown),
    }
}

fn deployed(ours: &Deployment, serves: Option<&Deployment>) -> Standing {
    match serves {
        Some(serves) if serves.id == ours.id => Standing::of(DeploymentState::Live),
        Some(serves) if serves.created_on > ours.created_on => {
            Standing::of(DeploymentState::Replaced).because(format!("deployment {} serves instead", serves.id.as_str()))
        }
        _ => Standing::of(DeploymentState::Deploying).at("waiting for production to point at it"),
    }
}
