//! What is told of the commit's deployment, or of its absence: in our words, everything cleaned.

use afterpush_core::observation::{Deployment as Observed, DeploymentState, ProviderObservation};

use super::{
    Known,
    answer::{App, Deployment, PhaseWord},
    matching::{self, Wanted},
    progress,
};

/// The observation of the commit's deployment, from what was asked beside it; nothing when it is not the commit's.
pub(super) fn of(
    wanted: &Wanted,
    known: &Known,
    ours: &Deployment,
    app: Option<&App>,
    list: Option<&[Deployment]>,
) -> Option<ProviderObservation> {
    let commit = wanted.named_by(ours)?;
    let state = matching::state(ours, app);
    let active = app.and_then(|app| app.active.as_ref());
    let id = ours.id.as_str();
    let switching = state == DeploymentState::Deploying && ours.phase == PhaseWord::Active;
    let progress = if switching {
        Some("waiting for the app to point at it".to_owned())
    } else {
        progress::progress(&ours.progress)
    };
    let reason = match state {
        DeploymentState::Failed => why_failed(ours, active.into_iter().chain(list.into_iter().flatten())),
        DeploymentState::Replaced | DeploymentState::Superseded => {
            active.map(|active| format!("deployment {} serves instead", active.id.as_str()))
        }
        DeploymentState::Live => active
            .filter(|active| active.id != ours.id)
            .map(|active| format!("deployment {}, a copy of it, serves", active.id.as_str())),
        _ => None,
    };
    Some(ProviderObservation {
        deployment: Some(Observed {
            id: id.to_owned(),
            state,
            raw: ours.phase.raw(),
            commit,
            url: Some(format!("https://cloud.digitalocean.com/apps/{}/deployments/{id}", known.id.as_str())),
            site_url: known.site_url.clone(),
            progress,
            reason,
        }),
        serving: app.and_then(|app| wanted.serving(app, Some(ours))),
        will_not_deploy: None,
    })
}

/// The observation that there is no deployment of the commit.
pub(super) fn of_none(wanted: &Wanted, app: Option<&App>) -> ProviderObservation {
    let pinned = app.and_then(|app| app.pinned.as_ref());
    ProviderObservation {
        deployment: None,
        serving: app.and_then(|app| wanted.serving(app, None)),
        will_not_deploy: pinned.map(|pinned| {
            let to = match &pinned.id {
                Some(id) => format!("to deployment {} ", id.as_str()),
                None => String::new(),
            };
            format!("the app is pinned {to}by a manual rollback; pushes do not deploy until the pin is removed")
        }),
    }
}

/// The reasons of the steps, and the platform's rollback when there is one by now.
fn why_failed<'a>(ours: &Deployment, seen: impl Iterator<Item = &'a Deployment>) -> Option<String> {
    let rollback = matching::rollback_of(ours, seen)
        .map(|it| format!("the platform rolled back automatically (deployment {})", it.id.as_str()));
    let told: Vec<String> = progress::failure(ours).into_iter().chain(rollback).collect();
    (!told.is_empty()).then(|| told.join("; "))
}
