//! Decides where a deployment stands. Pure: its own word, what serves, and what came later.

use afterpush_core::observation::DeploymentState;

use super::answer::{Deployment, Instance};
use crate::standing::Standing;

/// Tells whether a word is the end of a deployment that does not serve.
pub(super) fn has_ended(word: &str) -> bool {
    matches!(word, "FAILED" | "CRASHED" | "SKIPPED" | "REMOVED" | "REMOVING")
}

/// The whole judgement. `next` is the last deployment that came after this one.
pub(super) fn of(ours: &Deployment, instance: &Instance, next: Option<&Deployment>, reason: Option<&str>) -> Standing {
    match ours.status.as_str() {
        "QUEUED" => Standing::of(DeploymentState::Queued),
        "WAITING" => Standing::of(DeploymentState::Queued).at("waiting for the commit's checks"),
        "NEEDS_APPROVAL" => Standing::of(DeploymentState::Blocked).because("it waits for an approval"),
        "INITIALIZING" => Standing::of(DeploymentState::Building).at("initializing"),
        "BUILDING" => Standing::of(DeploymentState::Building),
        "DEPLOYING" => Standing::of(DeploymentState::Deploying),
        "SUCCESS" | "SLEEPING" => deployed(ours, instance),
        "FAILED" => Standing::of(DeploymentState::Failed).because(reason.unwrap_or("the deployment failed")),
        "CRASHED" => Standing::of(DeploymentState::Failed).because(reason.unwrap_or("it crashed")),
        "SKIPPED" => Standing::of(DeploymentState::Skipped)
            .because(reason.unwrap_or("Railway skipped the commit, as its watch paths or its checks say")),
        // Whether it had served is not told.
        "REMOVED" | "REMOVING" => match next {
            Some(next) => Standing::of(DeploymentState::Superseded)
                .because(format!("it was removed, and deployment {} came after it", next.id.as_str())),
            None => Standing::of(DeploymentState::Canceled).because("it was removed"),
        },
        _ => Standing::of(DeploymentState::Unknown),
    }
}

/// "SUCCESS" alone is not live: it must be among those that serve.
fn deployed(ours: &Deployment, instance: &Instance) -> Standing {
    let active = &instance.active_deployments;
    if ours.deployment_stopped {
        return Standing::of(DeploymentState::Canceled).because("it was stopped");
    }
    if active.iter().any(|it| it.id == ours.id) {
        return Standing::of(DeploymentState::Live);
    }
    match active.iter().filter(|it| it.created_at > ours.created_at).max_by_key(|it| it.created_at) {
        Some(later) => {
            Standing::of(DeploymentState::Replaced).because(format!("deployment {} serves instead", later.id.as_str()))
        }
        // Between its runs a schedule has nothing that runs, nor has what sleeps.
        None if active.is_empty() && (instance.cron_schedule.is_some() || ours.status == "SLEEPING") => {
            Standing::of(DeploymentState::Live)
        }
        None => Standing::of(DeploymentState::Deploying).at("waiting to take over"),
    }
}
