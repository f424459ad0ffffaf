//! Bodies from outside of this repository, where they are at hand.

use std::{fs, path::PathBuf};

use afterpush_core::observation::DeploymentState as State;

use super::*;

/// The folder of vendor samples that `AFTERPUSH_PROVIDER_SPECS` names.
fn samples() -> Option<PathBuf> {
    match std::env::var_os("AFTERPUSH_PROVIDER_SPECS") {
        Some(folder) => Some(PathBuf::from(folder).join("digitalocean/synthetic")),
        None => {
            afterpush_testkit::sandbox::skipped(
                "the vendor's samples",
                "AFTERPUSH_PROVIDER_SPECS does not name a folder with them",
            );
            None
        }
    }
}

#[test]
fn samples_of_every_phase_are_read() {
    let Some(folder) = samples() else {
        return;
    };
    let read = |name: &str| answer(200, fs::read(folder.join(name)).unwrap());
    let id = "00000000-0000-4000-8000-00000000000a";
    let path = format!("{APP_PATH}/deployments/{id}");
    for (name, state) in [
        ("deployment-pending-build.json", State::Queued),
        ("deployment-building.json", State::Building),
        ("deployment-active.json", State::Live),
        ("deployment-error-build.json", State::Failed),
        ("deployment-error-healthcheck.json", State::Failed),
        ("deployment-canceled.json", State::Canceled),
        ("deployment-superseded.json", State::Replaced),
    ] {
        let mut provider = by_id();
        let begun = deployment(id, COMMIT, "PENDING_BUILD");
        observe(&mut provider, &[(APP_PATH, ok(app_with("pending_deployment", begun)))]);
        let sample: Value = serde_json::from_slice(&read(name).body).unwrap();
        let mut script = vec![(path.as_str(), read(name))];
        if !matches!(state, State::Queued | State::Building) {
            let active = if state == State::Live {
                sample["deployment"].clone()
            } else {
                deployment(OTHER, OLD_COMMIT, "ACTIVE")
            };
            script.push((APP_PATH, ok(app_with("active_deployment", active))));
            if state != State::Live {
                script.push((LIST_PATH, read("deployments-list-after-auto-rollback.json")));
            }
        }
        let seen = ours(&mut provider, &script);
        assert_eq!(seen.state, state, "{name}");
        if state == State::Failed {
            let reason = seen.reason.unwrap();
            assert!(reason.contains("(component web)"), "{reason}");
            assert!(reason.contains("rolled back automatically"), "{reason}");
        }
    }
}

#[test]
fn samples_of_errors_and_empty_lists_are_read() {
    let Some(folder) = samples() else {
        return;
    };
    let read = |status, name: &str| answer(status, fs::read(folder.join(name)).unwrap());
    for status in [401, 404, 429] {
        let name = format!("error-{status}.json");
        fault(&mut by_id(), &[(APP_PATH, read(status, &name))]);
    }
    let empty = read(200, "deployments-list-empty.json");
    let script = [(APP_PATH, ok(app_before())), (LIST_PATH, empty)];
    assert_eq!(observe(&mut by_id(), &script).deployment, None);
}
