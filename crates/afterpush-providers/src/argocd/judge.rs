//! Decides what an application says about the pushed commit. Pure.
//!
//! Live is said of a commit only while the application is synced to that commit and healthy, and no sync is under way.

use afterpush_core::{
    observation::{Deployment, DeploymentState, ProviderObservation, Serving},
    text::one_line,
};

use super::{
    ArgoCd,
    answer::{Application, OperationState, Revisions},
};

/// Health follows a sync with a delay: for a few looks it may still be that of what was there before.
const LOOKS_UNTIL_DEGRADED: u32 = 3;

/// What a look tells.
pub(super) struct Verdict {
    pub(super) observation: ProviderObservation,
    /// The commit was synced and the application is degraded.
    pub(super) is_degraded: bool,
}

/// How the commit stands in the application.
struct Standing {
    state: DeploymentState,
    raw: String,
    progress: Option<String>,
    reason: Option<String>,
}

impl Standing {
    fn new(state: DeploymentState, raw: &str) -> Self {
        Self { state, raw: one_line(raw, 80), progress: None, reason: None }
    }
}

pub(super) fn judge(app: &Application, argo: &ArgoCd) -> Verdict {
    let standing = standing(app, argo);
    let is_degraded = standing.as_ref().is_some_and(|it| it.raw == "Degraded");
    let deployment = standing.map(|it| Deployment {
        id: one_line(&app.metadata.name, 80),
        state: it.state,
        raw: it.raw,
        commit: argo.pushed.seen(argo.pushed.commit.as_str()),
        url: Some(page(app, argo)),
        site_url: app.site_url(),
        progress: it.progress,
        reason: it.reason,
    });
    let is_later = deployment.as_ref().is_some_and(|it| it.state == DeploymentState::Replaced);
    let serving = serving(app, argo, is_later);
    Verdict { observation: ProviderObservation { deployment, serving, will_not_deploy: None }, is_degraded }
}

fn standing(app: &Application, argo: &ArgoCd) -> Option<Standing> {
    let names = |revisions: &Revisions| revisions.all().any(|it| argo.pushed.is(it));
    let pending = app.operation.as_ref();
    if pending.is_some_and(|it| names(&it.revisions())) {
        return Some(Standing::new(DeploymentState::Queued, "Pending"));
    }
    let operation = app.status.operation.as_ref();
    let ours = operation.filter(|it| names(&it.revisions()));
    let is_compared = names(&app.status.sync.revisions);
    match ours {
        Some(ours) if ours.phase != "Succeeded" => unfinished(app, argo, ours),
        _ if is_compared && pending.is_none() && !operation.is_some_and(is_under_way) => {
            Some(compared(app, argo, ours))
        }
        Some(_) if pending.is_none() && app.status.sync.status == "Synced" => {
            Some(Standing::new(DeploymentState::Replaced, "Synced"))
        }
        // A later commit is known, and not synced yet; or another sync begins.
        Some(_) => Some(Standing::new(DeploymentState::Deploying, &app.status.sync.status)),
        None => {
            let was_deployed =
                app.status.history.iter().any(|it| names(&it.revisions) && !argo.pushed.is_before(it.deployed_at));
            was_deployed.then(|| Standing::new(DeploymentState::Replaced, "Synced"))
        }
    }
}

fn is_under_way(operation: &OperationState) -> bool {
    !matches!(operation.phase.as_str(), "Succeeded" | "Failed" | "Error")
}

/// The sync of the commit has not succeeded.
fn unfinished(app: &Application, argo: &ArgoCd, ours: &OperationState) -> Option<Standing> {
    let message = one_line(&ours.message, 300);
    let message = (!message.is_empty()).then_some(message);
    let ended = |state| {
        let mut reasons: Vec<String> = message.clone().into_iter().collect();
        reasons.extend(app.reasons());
        let reason = (!reasons.is_empty()).then(|| one_line(&reasons.join("; "), 500));
        Standing { reason, ..Standing::new(state, &ours.phase) }
    };
    let standing = match ours.phase.as_str() {
        "Running" => Standing { progress: message, ..Standing::new(DeploymentState::Deploying, "Running") },
        "Terminating" => Standing { progress: message, ..Standing::new(DeploymentState::Deploying, "Terminating") },
        "Failed" | "Error" if argo.pushed.is_before(ours.started_at) => return None,
        "Failed" | "Error" if ours.message.contains("Operation terminated") => ended(DeploymentState::Canceled),
        "Failed" | "Error" => ended(DeploymentState::Failed),
        other => Standing::new(DeploymentState::Unknown, other),
    };
    Some(standing)
}

/// The application was compared with the commit, and no sync is under way.
fn compared(app: &Application, argo: &ArgoCd, ours: Option<&OperationState>) -> Standing {
    let health = app.status.health.status.as_str();
    match app.status.sync.status.as_str() {
        "Synced" => match health {
            "Healthy" => Standing::new(DeploymentState::Live, "Healthy"),
            "Degraded" => {
                let is_certain = argo.degraded + 1 >= LOOKS_UNTIL_DEGRADED;
                let state = if is_certain { DeploymentState::Failed } else { DeploymentState::Deploying };
                let reasons = app.reasons();
                let reason = (!reasons.is_empty()).then(|| one_line(&reasons.join("; "), 500));
                Standing { reason, ..Standing::new(state, health) }
            }
            "Suspended" => {
                let reason = Some("the application is suspended: it waits for somebody to resume it".to_owned());
                Standing { reason, ..Standing::new(DeploymentState::Blocked, health) }
            }
            "Progressing" | "Missing" => Standing::new(DeploymentState::Deploying, health),
            other => Standing::new(DeploymentState::Unknown, other),
        },
        // Synced, and yet something differs: Argo CD goes on, or the person must look.
        "OutOfSync" if ours.is_some() => Standing::new(DeploymentState::Deploying, "OutOfSync"),
        "OutOfSync" if app.is_automated() => {
            Standing { progress: app.error(), ..Standing::new(DeploymentState::Queued, "OutOfSync") }
        }
        "OutOfSync" => {
            let reason = Some("automated sync is off: the application waits for somebody to sync it".to_owned());
            Standing { reason, ..Standing::new(DeploymentState::Blocked, "OutOfSync") }
        }
        other => Standing { progress: app.error(), ..Standing::new(DeploymentState::Unknown, other) },
    }
}

/// What serves now: what the application is synced to while it is healthy.
fn serving(app: &Application, argo: &ArgoCd, is_later: bool) -> Option<Serving> {
    let is_sound =
        app.status.sync.status == "Synced" && app.status.health.status == "Healthy" && app.operation.is_none();
    if !is_sound || app.status.operation.as_ref().is_some_and(is_under_way) {
        return None;
    }
    let is_object_id = |text: &&str| matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let all: Vec<&str> = app.status.sync.revisions.all().filter(is_object_id).collect();
    let revision = all.iter().find(|it| argo.pushed.is(it)).or(all.first())?;
    Some(Serving {
        deployment_id: one_line(&app.metadata.name, 80),
        commit: Some(argo.pushed.seen(revision)),
        site_url: app.site_url(),
        is_later,
    })
}

/// The application's page.
fn page(app: &Application, argo: &ArgoCd) -> String {
    let address = argo.address.trim_end_matches('/');
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    match &app.metadata.namespace {
        Some(namespace) => format!("{address}/applications/{}/{}", encoded(namespace), encoded(&app.metadata.name)),
        None => format!("{address}/applications/{}", encoded(&app.metadata.name)),
    }
}
