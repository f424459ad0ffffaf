//! Several workflow runs or checks of one commit, taken together: the worst of them counts, and nothing is well before all are.

use afterpush_core::{
    observation::{Deployment, DeploymentState},
    text::one_line,
};
use jiff::Timestamp;

use crate::{answer::is_web_address, pushed::Pushed};

/// One run or check.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) id: u64,
    /// Which attempt of it this is.
    pub(super) attempt: u64,
    pub(super) name: String,
    /// The commit that it names.
    pub(super) sha: String,
    pub(super) word: String,
    pub(super) state: DeploymentState,
    pub(super) url: String,
    pub(super) started_at: Option<Timestamp>,
    /// What it says about its end by itself.
    pub(super) reason: Option<String>,
    /// The workflow run that it is.
    pub(super) run: Option<u64>,
    /// The job of Actions that it is.
    pub(super) job: Option<u64>,
}

/// Tells whether nothing more comes of itself.
pub(super) fn has_ended(state: DeploymentState) -> bool {
    state == DeploymentState::Live || state.has_ended()
}

/// The part that decides. One that did nothing counts only when all did nothing.
pub(super) fn deciding(parts: &[Part]) -> Option<&Part> {
    const WORST_FIRST: [DeploymentState; 11] = [
        DeploymentState::Failed,
        DeploymentState::Canceled,
        DeploymentState::Superseded,
        DeploymentState::Replaced,
        DeploymentState::Blocked,
        DeploymentState::Unknown,
        DeploymentState::Queued,
        DeploymentState::Building,
        DeploymentState::Deploying,
        DeploymentState::Live,
        DeploymentState::Skipped,
    ];
    WORST_FIRST.iter().find_map(|state| parts.iter().find(|part| part.state == *state))
}

/// What the parts come to.
pub(super) fn deployment(pushed: &Pushed, parts: &[Part], noun: &str) -> Option<Deployment> {
    let part = deciding(parts)?;
    let ended = parts.iter().filter(|part| has_ended(part.state)).count();
    let name = one_line(&part.name, 80);
    let progress = match parts.len() {
        1 => format!("{noun} {name}"),
        count => format!("{ended} of {count} {noun}s ended: {name}"),
    };
    Some(Deployment {
        id: part.id.to_string(),
        state: part.state,
        raw: one_line(&part.word, 40),
        commit: pushed.seen(&part.sha),
        url: is_web_address(&part.url).then(|| part.url.clone()),
        site_url: None,
        progress: Some(progress),
        reason: None,
    })
}
