//! The health stage as a person sees it: rolling deployments, several checks, and the parts that they report.

use std::{fs, net::TcpListener};

use afterpush_testkit::{health::App, nginx::Nginx, sandbox::skipped};

use crate::{
    outcomes::ended,
    scene::{Scene, TARGET},
};

#[test]
fn a_rolling_deployment_is_live_only_when_the_old_version_is_gone() {
    let app = App::start();
    let scene = Scene::with_live_url(&app.url(), "");
    let config = TARGET.to_owned() + "health = { path = \"/health\", commit = \"/commit\", passes = 3 }\n";
    let project = scene.sandbox.project(&config);
    let old = "f".repeat(40);
    let commit = project.head();
    app.serve_by_turns(&[&old, &commit, &commit]);
    scene.push(&project);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let status = project.status(&commit, "the share of the new version", |status| {
        let stage = &status["targets"][0]["stages"][2];
        stage["summary"].as_str().is_some_and(|text| text.contains("answers are of this commit"))
            && stage["asked"].as_u64() > Some(9)
    });
    assert_eq!((&status["phase"], &status["outcome"]), (&"verifying".into(), &serde_json::Value::Null));
    assert_eq!(project.deploy_status(&[]).code, Some(2), "two of three answers are not enough");
    app.serve(&commit);
    let (result, _) = ended(&project, &commit, "live", 0);
    let check = &result["targets"][0]["stages"][2]["checks"][0];
    assert_eq!((&check["verdict"], &check["passes"], &check["commit"]), (&"passed".into(), &3.into(), &commit.into()));
}

#[test]
fn every_check_and_its_parts_are_shown() {
    let app = App::start();
    let scene = Scene::with_live_url(&app.url(), "");
    let config = TARGET.to_owned()
        + "[[target.health]]\nname = \"ready\"\npath = \"/ready\"\ncommit = \"/commit\"\n\
           depends = [\"/checks/database\", \"/checks/cache\"]\n";
    let project = scene.sandbox.project(&config);
    // A port of this machine is for the user's own file only.
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = scene.sandbox.path().join("home/.config/afterpush/config.toml");
    let more = format!(
        "\n[[target]]\nname = \"web\"\n[[target.health]]\nname = \"mail\"\ntcp = \"{}\"\n",
        port.local_addr().unwrap()
    );
    fs::write(&file, fs::read_to_string(&file).unwrap() + &more).unwrap();
    app.serve(&project.head());
    app.report(r#"{"database":"ok","cache":{"status":"down","error":"refused"}}"#);
    let commit = scene.push(&project);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let (result, said) = ended(&project, &commit, "health_failed", 1);
    let expected = "check ready is unhealthy 5 times in a row: 200, but /checks/cache: down, refused";
    assert_eq!(result["reason"], expected);
    assert_eq!(result["schema"]["minor"], 1);
    let checks = &result["targets"][0]["stages"][2]["checks"];
    assert_eq!((&checks[0]["name"], &checks[0]["verdict"]), (&"ready".into(), &"failed".into()));
    assert_eq!((&checks[1]["name"], &checks[1]["verdict"]), (&"mail".into(), &"passed".into()));
    let parts = &checks[0]["sub_checks"];
    assert_eq!((&parts[0]["name"], &parts[0]["healthy"]), (&"/checks/database".into(), &true.into()));
    assert_eq!((&parts[1]["healthy"], &parts[1]["summary"]), (&false.into(), &"down, refused".into()));
    for line in [
        "      ready          failed   200, but /checks/cache: down, refused",
        "        /checks/database ok       ok",
        "        /checks/cache not ok   down, refused",
        "      mail           passed   open (",
    ] {
        assert!(said.stdout.lines().any(|it| it.starts_with(line)), "{line}\n{}", said.stdout);
    }

    // The cache is back: the next push is live.
    app.report(r#"{"database":"ok","cache":{"status":"up"}}"#);
    let next = project.commit("next");
    app.serve(&next);
    scene.push(&project);
    scene.simulator.deploy(&scene.app, &next).set_phase("ACTIVE");
    let (_, said) = ended(&project, &next, "live", 0);
    assert!(said.stdout.contains("2 of 2 checks pass"), "{}", said.stdout);
}

#[test]
fn behind_a_real_balancer_only_a_version_that_stays_is_live() {
    const TEST: &str = "behind_a_real_balancer_only_a_version_that_stays_is_live";
    let (first, second) = (App::start(), App::start());
    let directory = tempfile::tempdir().unwrap();
    let host = |app: &App| app.url().replace("http://", "");
    let upstream = format!("upstream app {{ server {}; server {}; }}", host(&first), host(&second));
    let nginx = match Nginx::start(directory.path(), &upstream, |_| "location / { proxy_pass http://app; }".to_owned())
    {
        Ok(nginx) => nginx,
        Err(why) => return skipped(TEST, &why),
    };
    let scene = Scene::with_live_url(&nginx.url(), "");
    let config = TARGET.to_owned() + "health = { path = \"/\", commit = \"/commit\", failures = 100 }\n";
    let project = scene.sandbox.project(&config);
    let old = "f".repeat(40);
    let commit = scene.push(&project);
    // Waits for some more answers, of which the last one is told in these words, and the run still goes on.
    let goes_on = |what: &str, words: &str| {
        let asked =
            |status: &serde_json::Value| status["targets"][0]["stages"][2]["asked"].as_u64().unwrap_or_default();
        let before = asked(&project.status(&commit, "a status", |status| !status.is_null()));
        let status = project.status(&commit, what, |status| {
            let summary = status["targets"][0]["stages"][2]["summary"].as_str().unwrap_or_default();
            asked(status) > before + 8 && summary.contains(words)
        });
        assert_eq!((&status["phase"], &status["outcome"]), (&"verifying".into(), &serde_json::Value::Null), "{what}");
    };
    first.serve(&old);
    second.serve(&old);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    goes_on("the old version", "still serving fffffff");
    first.answer(503);
    second.answer(502);
    goes_on("a slow start", "answered 50");
    first.serve(&commit);
    second.serve(&old);
    goes_on("old and new by turns", "answers are of this commit");
    second.answer(503);
    goes_on("a new version that flaps", "");
    second.serve(&commit);
    let (result, _) = ended(&project, &commit, "live", 0);
    assert_eq!(result["targets"][0]["stages"][2]["checks"][0]["passes"], 3, "{result:#}");
}
