//! What the vendor's own account of a release adds to its machines: that they will not come to be well, or why there are none.
//! Pure.

use afterpush_core::{observation::DeploymentState, text::one_line};

use super::answer::Release;

/// The longest text of a release that is told, in characters.
const LONGEST_TEXT: usize = 200;

/// Where a release stands by its word alone. The word is free text of whoever deploys: one that is not known says nothing.
pub(super) fn state(release: &Release) -> Option<DeploymentState> {
    match release.status.as_str() {
        "pending" => Some(DeploymentState::Queued),
        "running" => Some(DeploymentState::Deploying),
        "failed" => Some(DeploymentState::Failed),
        "interrupted" => Some(DeploymentState::Canceled),
        _ => None,
    }
}

/// Tells whether a release ended without success.
pub(super) fn has_ended(state: DeploymentState) -> bool {
    matches!(state, DeploymentState::Failed | DeploymentState::Canceled)
}

/// How a release ended, with what is known besides.
pub(super) fn told(release: &Release, why: Option<&str>) -> String {
    let how = one_line(&release.status, 40);
    let text = format!("release v{} {}", release.version, if how == "interrupted" { "was interrupted" } else { &how });
    match why.map(|why| one_line(why, LONGEST_TEXT)).filter(|why| !why.is_empty()) {
        Some(why) => format!("{text}: {why}"),
        None => text,
    }
}
