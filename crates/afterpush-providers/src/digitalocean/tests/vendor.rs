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
        let pointer = match state {
            State::Queued => "pending_deployment",
            State::Building => "in_progress_deployment",
            _ => "active_deployment",
        };
        let is_pointed_at = matches!(state, State::Queued | State::Building | State::Live);
        let shown = if is_pointed_at { sample["deployment"].clone() } else { deployment(OTHER, OLD_COMMIT, "ACTIVE") };
        let mut script = vec![(APP_PATH, ok(app_with(pointer, shown)))];
        if !is_pointed_at {
            // The list without ours, so that the sample itself is asked for.
            let mut others: Value =
                serde_json::from_slice(&read("deployments-list-after-auto-rollback.json").body).unwrap();
            others["deployments"].as_array_mut().unwrap().retain(|it| it["id"] != id);
            script.extend([(LIST_PATH, ok(others)), (path.as_str(), read(name))]);
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
