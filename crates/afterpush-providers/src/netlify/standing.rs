//! Decides where a deploy stands. Pure: its own word, what serves, and what came later.

use afterpush_core::{observation::DeploymentState, text::one_line};

use super::answer::Deploy;
use crate::standing::Standing;

/// The longest reason that is told, in characters.
const LONGEST_REASON: usize = 300;

/// Tells whether a deploy is at its end and serves nothing.
pub(super) fn has_ended(deploy: &Deploy) -> bool {
    matches!(deploy.word(), "error" | "rejected" | "skipped") || deploy.skipped == Some(true)
}

/// Tells whether a deploy failed, and was not merely given up.
pub(super) fn is_failure(deploy: &Deploy) -> bool {
    has_ended(deploy) && matches!(ending(deploy), DeploymentState::Failed)
}

/// The whole judgement: `serves` is what the same address serves now, `later` a later deploy for it.
pub(super) fn of(ours: &Deploy, serves: Option<&Deploy>, later: Option<&Deploy>) -> Standing {
    let of = Standing::of;
    let because = |state, reason: String| of(state).because(reason);
    if has_ended(ours) {
        let state = match (ending(ours), later) {
            (DeploymentState::Canceled, Some(_)) => DeploymentState::Superseded,
            (state, _) => state,
        };
        return Standing { reason: message(ours), ..of(state) };
    }
    match ours.word() {
        "new" | "accepted" | "enqueued" | "retrying" => of(DeploymentState::Queued),
        "pending_review" => because(DeploymentState::Blocked, "it waits for a person to approve it".to_owned()),
        "building" => of(DeploymentState::Building),
        "uploading" | "uploaded" | "preparing" | "prepared" | "processing" | "processed" => {
            of(DeploymentState::Deploying)
        }
        "ready" => match serves {
            Some(serves) if serves.id == ours.id => of(DeploymentState::Live),
            Some(serves) if serves.created_at > ours.created_at => {
                // One that was never published was overtaken; previews are published by being ready.
                let served = ours.published_at.is_some() || !ours.is_production();
                let state = if served { DeploymentState::Replaced } else { DeploymentState::Superseded };
                because(state, format!("deploy {} serves instead", serves.id.as_str()))
            }
            Some(serves) if ours.published_at.is_some() => {
                because(DeploymentState::Replaced, format!("the site was rolled back to deploy {}", serves.id.as_str()))
            }
            Some(serves) if serves.locked == Some(true) => because(
                DeploymentState::Blocked,
                format!("it is built, and the site is locked to deploy {}", serves.id.as_str()),
            ),
            _ => of(DeploymentState::Deploying).at("waiting for the site to publish it"),
        },
        _ => of(DeploymentState::Unknown),
    }
}

/// What an end means. The vendor's word for a build that was given up is `error`, too: only its message tells.
fn ending(deploy: &Deploy) -> DeploymentState {
    let message = deploy.error_message.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
    let starts = |words: &[&str]| words.iter().any(|word| message.starts_with(word));
    if message.contains("no content change") || starts(&["skipped"]) {
        DeploymentState::Skipped
    } else if starts(&["canceled", "cancelled", "build canceled", "build cancelled", "deploy canceled"]) {
        DeploymentState::Canceled
    } else if deploy.skipped == Some(true) || deploy.word() == "skipped" {
        DeploymentState::Skipped
    } else {
        DeploymentState::Failed
    }
}

fn message(deploy: &Deploy) -> Option<String> {
    let text = one_line(deploy.error_message.as_deref().unwrap_or_default(), LONGEST_REASON);
    let otherwise = (deploy.word() == "rejected").then(|| "a person rejected the deploy".to_owned());
    if text.is_empty() { otherwise } else { Some(text) }
}
