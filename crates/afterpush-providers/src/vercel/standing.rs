//! Decides where a deployment stands. Pure: its own word, what production points at, and what came later.

use afterpush_core::{observation::DeploymentState, text::one_line};

use super::answer::{Deployment, Detail, Project};
use crate::standing::Standing;

/// The longest reason that is told, in characters.
const LONGEST_REASON: usize = 300;

/// Tells whether a word is the end of a deployment that serves nothing. Some older failures have words of their own.
pub(super) fn has_ended(word: &str) -> bool {
    matches!(word, "CANCELED" | "DELETED") || is_failure(word)
}

fn is_failure(word: &str) -> bool {
    word == "ERROR" || word.ends_with("_ERROR")
}

/// The whole judgement. `project` is needed only for a production deployment that is ready; `next` is the deployment of the
/// same branch that came after this one, where there is one; `serves_next` tells whether that one serves.
pub(super) fn of(
    ours: &Deployment,
    detail: Option<&Detail>,
    project: &Project,
    next: Option<&Deployment>,
    serves_next: bool,
) -> Standing {
    let reason = reason(ours, detail);
    let with_reason = |state| Standing { reason: reason.clone(), ..Standing::of(state) };
    match ours.word() {
        "QUEUED" | "INITIALIZING" => Standing::of(DeploymentState::Queued),
        "BUILDING" => Standing::of(DeploymentState::Building),
        "READY" if ours.checks_failed() && !ours.has_domains() => {
            Standing::of(DeploymentState::Failed).because("the checks failed, so it was given no domain")
        }
        "READY" => ready(ours, project, next.filter(|_| serves_next)),
        "BLOCKED" => with_reason(DeploymentState::Blocked),
        "DELETED" if ours.was_ready() => Standing::of(DeploymentState::Replaced).because("the deployment was deleted"),
        "DELETED" => Standing::of(DeploymentState::Canceled).because("the deployment was deleted"),
        "CANCELED" if is_skipped(ours, detail) => with_reason(DeploymentState::Skipped),
        "CANCELED" => match next {
            Some(next) => Standing::of(DeploymentState::Superseded)
                .because(format!("it was canceled, and deployment {} came after it", next.uid.as_str())),
            None => with_reason(DeploymentState::Canceled),
        },
        word if is_failure(word) => with_reason(DeploymentState::Failed),
        _ => Standing::of(DeploymentState::Unknown),
    }
}

/// "READY" alone is not live: its domains must point at it, and production must name it.
fn ready(ours: &Deployment, project: &Project, served_by: Option<&Deployment>) -> Standing {
    if let Some(error) = ours.alias_error.as_ref().filter(|_| !ours.has_domains()) {
        let why = one_line(&error.message, LONGEST_REASON);
        return Standing::of(DeploymentState::Failed).because(format!("it could not be given its domains: {why}"));
    }
    if !ours.is_production() {
        return match served_by {
            Some(later) => Standing::of(DeploymentState::Replaced).because(instead(later.uid.as_str())),
            None if ours.has_domains() => Standing::of(DeploymentState::Live),
            None => waiting_for_domains(ours),
        };
    }
    let (staged, rolling) = match ours.ready_substate.as_deref() {
        Some("STAGED") => (true, false),
        Some("ROLLING") => (false, true),
        _ => (false, false),
    };
    let was_promoted = ours.ready_substate.as_deref() == Some("PROMOTED");
    match project.production() {
        _ if rolling => Standing::of(DeploymentState::Deploying).at("rolling out by parts"),
        Some(production) if production.id == ours.uid && ours.has_domains() => Standing::of(DeploymentState::Live),
        Some(production) if production.id == ours.uid => waiting_for_domains(ours),
        Some(production) if production.created() > ours.created() => {
            let served = was_promoted || (ours.has_domains() && !staged);
            let state = if served { DeploymentState::Replaced } else { DeploymentState::Superseded };
            Standing::of(state).because(instead(production.id.as_str()))
        }
        // It served, and production points at an older one again.
        Some(production) if was_promoted => Standing::of(DeploymentState::Replaced)
            .because(format!("production was rolled back to deployment {}", production.id.as_str())),
        _ if staged && (ours.has_domains() || project.waits_for_promotion()) => {
            Standing::of(DeploymentState::Blocked).because("it is built, and waits for a person to promote it")
        }
        _ if !ours.has_domains() => waiting_for_domains(ours),
        _ => Standing::of(DeploymentState::Deploying).at("waiting for production to point at it"),
    }
}

fn waiting_for_domains(ours: &Deployment) -> Standing {
    let checks = matches!(ours.checks_state.as_deref(), Some("registered" | "running"));
    Standing::of(DeploymentState::Deploying).at(if checks { "checks are running" } else { "waiting for its domains" })
}

fn instead(id: &str) -> String {
    format!("deployment {id} serves instead")
}

/// The platform decided not to build: a command of the project said so, or nothing that concerns the project had changed.
fn is_skipped(ours: &Deployment, detail: Option<&Detail>) -> bool {
    let messages = [ours.error_message.as_deref(), detail.and_then(|it| it.error_message.as_deref())];
    let says_so = messages.into_iter().flatten().any(|it| it.to_ascii_lowercase().contains("ignored build step"));
    let in_detail = detail.is_some_and(|it| {
        it.build_skipped == Some(true) || it.error_link.as_deref().is_some_and(|it| it.contains("ignored-build-step"))
    });
    says_so || in_detail
}

fn reason(ours: &Deployment, detail: Option<&Detail>) -> Option<String> {
    let known =
        |text: &Option<String>| text.as_deref().map(|it| one_line(it, LONGEST_REASON)).filter(|it| !it.is_empty());
    let message = known(&ours.error_message)
        .or_else(|| known(&detail?.error_message))
        .or_else(|| known(&detail?.ready_state_reason));
    let step = detail.and_then(|it| known(&it.error_step));
    match (message, step) {
        (Some(message), Some(step)) => Some(format!("{step}: {message}")),
        (message, step) => message.or(step),
    }
}
