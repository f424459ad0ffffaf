//! Decides which deployment is the pushed commit's. "The newest" never counts: it may be the previous push's, or a rollback.

use std::cmp::Reverse;

use afterpush_core::{
    id::MIN_PREFIX,
    observation::{DeploymentState, Serving},
    run::SeenCommit,
};

use jiff::Timestamp;

use super::answer::{App, Deployment, PhaseWord};
use crate::pushed::Pushed;

/// The commit that is looked for, and the one component whose commit counts, when there is such a wish.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) pushed: Pushed,
    pub(super) component: Option<String>,
}

impl Wanted {
    /// The name under which a deployment is one of the wanted commit: the full id at any component, else at the push that
    /// caused it, else the abbreviation in its cause.
    ///
    /// Any component, not all: one whose source did not change may keep an older id. With a component named, only its
    /// own id counts, and the cause only as long as it has none.
    pub(super) fn named_by(&self, deployment: &Deployment) -> Option<SeenCommit> {
        let is_ours = |id: &&str| self.pushed.commit.as_str().eq_ignore_ascii_case(id.trim());
        let (pushed, in_cause) = self.by_cause(deployment);
        let name = self
            .built(deployment)
            .find(is_ours)
            .or(pushed.filter(is_ours))
            .or(in_cause.filter(|id| self.pushed.is(id)))?;
        Some(self.pushed.seen(name))
    }

    /// The deployment of the wanted commit that was created last. The platform's own rollbacks are never one.
    pub(super) fn newest<'a>(&self, deployments: impl IntoIterator<Item = &'a Deployment>) -> Option<&'a Deployment> {
        // Of two that were created at once the first stands: lists begin with the newest.
        deployments
            .into_iter()
            .filter(|it| !is_automatic_rollback(it) && self.named_by(it).is_some() && !self.is_of_earlier_push(it))
            .min_by_key(|it| Reverse(it.created_at()))
    }

    /// The branch can be moved back to a commit that was deployed before: how that ended long before this push says nothing
    /// about it. What still runs, or serves, is taken for ours.
    fn is_of_earlier_push(&self, deployment: &Deployment) -> bool {
        let has_ended = matches!(deployment.phase, PhaseWord::Error | PhaseWord::Canceled | PhaseWord::Superseded);
        let created_at = Some(deployment.created_at()).filter(|time| *time != Timestamp::MIN);
        has_ended && self.pushed.is_before(created_at)
    }

    /// What an app serves now, compared with the commit's own deployment where there is one.
    pub(super) fn serving(&self, app: &App, ours: Option<&Deployment>) -> Option<Serving> {
        let active = app.active.as_ref()?;
        Some(Serving {
            deployment_id: active.id.as_str().to_owned(),
            commit: self.commit_of(active),
            site_url: app.site_url(),
            is_later: ours.is_some_and(|ours| active.id != ours.id && active.created_at() > ours.created_at()),
        })
    }

    /// The commit that a deployment deploys, ours or another.
    fn commit_of(&self, deployment: &Deployment) -> Option<SeenCommit> {
        if let Some(ours) = self.named_by(deployment) {
            return Some(ours);
        }
        let (pushed, in_cause) = self.by_cause(deployment);
        let name =
            pushed.or(self.built(deployment).next()).or(in_cause).map(str::trim).filter(|name| is_object_id(name))?;
        Some(self.pushed.seen(name))
    }

    /// The full id and the abbreviation that the cause tells; nothing when the named component has an id of its own.
    fn by_cause<'a>(&self, deployment: &'a Deployment) -> (Option<&'a str>, Option<&'a str>) {
        if self.component.is_some() && self.built(deployment).next().is_some() {
            (None, None)
        } else {
            (pushed(deployment), in_cause(&deployment.cause))
        }
    }

    /// The ids of the components that count.
    fn built<'a>(&self, deployment: &'a Deployment) -> impl Iterator<Item = &'a str> {
        let component = self.component.clone();
        deployment
            .components()
            .filter(move |built| component.as_ref().is_none_or(|name| built.name == *name))
            .filter_map(|built| built.source_commit_hash.as_deref())
            .filter(|id| !id.trim().is_empty())
    }
}

/// The full id in the details of the push that caused a deployment.
fn pushed(deployment: &Deployment) -> Option<&str> {
    let push = deployment.cause_details.git_push.as_ref()?;
    push.commit_sha.as_deref().filter(|id| !id.trim().is_empty())
}

/// The abbreviation in a cause such as "commit 9a4df0b pushed to github.com/acme/web/tree/main".
fn in_cause(cause: &str) -> Option<&str> {
    let (id, rest) = cause.trim().strip_prefix("commit ")?.split_once(' ')?;
    (rest.starts_with("pushed") && is_object_id(id)).then_some(id)
}

fn is_object_id(text: &str) -> bool {
    (MIN_PREFIX..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Tells whether the platform itself made this deployment to undo a failed one.
pub(super) fn is_automatic_rollback(deployment: &Deployment) -> bool {
    deployment.cause_details.kind == "AUTO_ROLLBACK" || deployment.cause.trim().starts_with("automated rollback")
}

/// The platform's own rollback of a failed deployment.
pub(super) fn rollback_of<'a>(
    failed: &Deployment,
    deployments: impl IntoIterator<Item = &'a Deployment>,
) -> Option<&'a Deployment> {
    let id = failed.id.as_str();
    deployments.into_iter().find(|it| {
        is_automatic_rollback(it) && (it.previous_deployment_id.as_deref() == Some(id) || it.cause.contains(id))
    })
}

/// Where a deployment stands, by its own word and by what the app serves.
///
/// "ACTIVE" alone is not live: the app's pointer decides. While the pointer is still on an older deployment the platform
/// is switching over. A deployment that was cloned from ours brings ours back, as rollbacks do.
pub(super) fn state(ours: &Deployment, app: Option<&App>) -> DeploymentState {
    let active = app.and_then(|app| app.active.as_ref());
    let serves =
        active.is_some_and(|active| active.id == ours.id || active.cloned_from.as_deref() == Some(ours.id.as_str()));
    match &ours.phase {
        PhaseWord::Unknown | PhaseWord::PendingBuild => DeploymentState::Queued,
        PhaseWord::Building => DeploymentState::Building,
        PhaseWord::PendingDeploy | PhaseWord::Deploying => DeploymentState::Deploying,
        PhaseWord::Active if serves => DeploymentState::Live,
        PhaseWord::Active => match active {
            Some(active) if active.created_at() > ours.created_at() => DeploymentState::Replaced,
            _ => DeploymentState::Deploying,
        },
        PhaseWord::Superseded if serves => DeploymentState::Live,
        PhaseWord::Superseded if ours.was_completed() => DeploymentState::Replaced,
        PhaseWord::Superseded => DeploymentState::Superseded,
        PhaseWord::Error => DeploymentState::Failed,
        PhaseWord::Canceled => DeploymentState::Canceled,
        PhaseWord::Other(_) => DeploymentState::Unknown,
    }
}
