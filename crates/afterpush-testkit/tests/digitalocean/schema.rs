//! The simulator's answers against the vendor's OpenAPI document, where that is at hand.

use std::{fs, path::PathBuf};

use afterpush_testkit::digitalocean::Simulator;
use serde_json::{Value, json};

use crate::{
    COMMIT, LATER,
    client::{ask, get},
};

/// The vendor's schemas, below `#/components/schemas`.
struct Vendor(Value);

impl Vendor {
    fn read() -> Option<Self> {
        let Some(folder) = std::env::var_os("AFTERPUSH_PROVIDER_SPECS") else {
            afterpush_testkit::sandbox::skipped(
                "the vendor's schemas",
                "AFTERPUSH_PROVIDER_SPECS does not name a folder with them",
            );
            return None;
        };
        let path = PathBuf::from(folder).join("digitalocean/openapi-apps.json");
        let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        Some(Self(document["components"]["schemas"].clone()))
    }

    fn problems(&self, schema: &str, answer: &Value) -> Vec<String> {
        let root = json!({
            "$ref": format!("#/components/schemas/{schema}"),
            "components": {"schemas": self.0},
        });
        // OpenAPI 3.0 describes bodies in the language of JSON Schema's fourth draft.
        let validator = jsonschema::draft4::new(&root).unwrap();
        validator.iter_errors(answer).map(|it| format!("{}: {it}", it.instance_path())).collect()
    }

    fn check(&self, schema: &str, answer: &Value) {
        let problems = self.problems(schema, answer);
        assert!(problems.is_empty(), "{schema}: {problems:#?}\n{answer:#}");
    }
}

#[test]
fn every_answer_fits_the_vendors_schema() {
    let Some(vendor) = Vendor::read() else {
        return;
    };
    let simulator = Simulator::start();
    let app = simulator.add_app("web-app", "acme/web", "main", "https://web.test");
    let app_path = format!("/v2/apps/{app}");
    let check = |path: &str, schema: &str| {
        let answer = get(&(simulator.url() + path));
        assert_eq!(answer.status, 200, "{path}");
        vendor.check(schema, &answer.json());
    };
    let deployment = simulator.deploy(&app, COMMIT);
    let one = format!("{app_path}/deployments/{}", deployment.id());
    let check_all = || {
        check("/v2/apps", "apps_response");
        check("/v2/apps?per_page=1&page=1", "apps_response");
        check(&app_path, "app_response");
        check(&format!("{app_path}/deployments?per_page=1"), "apps_deployments_response");
        check(&format!("{app_path}/deployments?per_page=1&page=2"), "apps_deployments_response");
        check(&format!("{app_path}/health"), "app_health_response");
        check(&one, "apps_deployment_response");
    };
    check(&format!("{one}/logs?type=BUILD"), "apps_get_logs_response");
    for phase in ["PENDING_BUILD", "BUILDING", "PENDING_DEPLOY", "DEPLOYING", "ACTIVE", "SUPERSEDED"] {
        deployment.set_phase(phase);
        check_all();
    }
    deployment.fail_build("log\n");
    check_all();
    check(&format!("{one}/logs?type=BUILD"), "apps_get_logs_response");
    deployment.fail_health_check("log\n");
    deployment.auto_rollback();
    check_all();
    simulator.deploy(&app, LATER).cancel();
    check_all();
    simulator.pin(&app);
    check_all();
    for (path, token) in [("/v2/apps", None), ("/v2/apps/nothing", Some("token")), ("/v2/apps?page=0", Some("token"))] {
        let answer = ask(&(simulator.url() + path), token).unwrap();
        vendor.check("error", &answer.json());
    }
}

#[test]
fn the_check_against_the_schema_can_fail() {
    let Some(vendor) = Vendor::read() else {
        return;
    };
    for (schema, answer) in [
        ("apps_response", json!({"apps": []})),
        ("apps_deployment_response", json!({"deployment": {"phase": "SIMMERING"}})),
        ("apps_deployment_response", json!({"deployment": {"progress": {"total_steps": "6"}}})),
        ("app_response", json!({"app": {"id": "x"}})),
        ("error", json!({"id": "x"})),
    ] {
        assert!(!vendor.problems(schema, &answer).is_empty(), "{schema} {answer}");
    }
}
