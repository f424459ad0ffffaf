//! Monitors as processes: one for each run however many start, lost when killed, told to stop, superseded.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox, wait_until};
use nix::sys::signal::Signal;

use crate::scene::{SHORT, Scene, TARGET, end_monitor, monitor_of};

#[test]
fn t6_a_killed_monitor_is_lost_and_resumed_in_every_phase() {
    for phase in ["awaiting_deployment", "deploying", "verifying"] {
        let app = afterpush_testkit::health::App::start();
        let scene = Scene::with_token(SHORT);
        let config = TARGET.to_owned() + "health = { path = \"/health\", commit = \"/commit\", passes = 2 }\n";
        scene.simulator.set_live_url(&scene.app, &app.url());
        let project = scene.sandbox.project(&config);
        app.serve(&"e".repeat(40));
        assert_eq!(project.push(&["origin", "main"]).code, Some(0));
        let commit = project.head();
        match phase {
            "deploying" => scene.simulator.deploy(&scene.app, &commit).set_phase("BUILDING"),
            "verifying" => scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE"),
            _ => {}
        }
        project.status(&commit, phase, |status| status["phase"] == phase);
        end_monitor(&scene.sandbox, Signal::SIGKILL);
        let said = project.deploy_status(&["--json"]);
        assert_eq!(said.code, Some(2), "{phase}: {said:?}");
        assert_eq!(said.json()["state"], "lost", "{phase}: {said:?}");
        monitor_of(&scene.sandbox);
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        app.serve(&commit);
        assert_eq!(project.result(&commit)["outcome"], "live", "{phase}");
        assert_eq!(project.deploy_status(&[]).code, Some(0), "{phase}");
    }
}

#[test]
fn t6_a_monitor_that_is_killed_while_the_push_is_under_way_is_resumed() {
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    // The server takes its time, so that the push is under way while the monitor dies.
    let (go, entered) = (scene.sandbox.path().join("go"), scene.sandbox.path().join("entered"));
    let hook = project.bare.join("hooks/pre-receive");
    let script =
        format!("#!/bin/sh\n: >'{}'\nwhile [ ! -e '{}' ]; do sleep 0.02; done\n", entered.display(), go.display());
    executable(&hook, &script);
    let mut push = project.push_command(&["origin", "main"]);
    let mut push: Child = push.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the server", || entered.exists());
    let commit = project.head();
    project.status(&commit, "confirming_push", |status| status["phase"] == "confirming_push");
    end_monitor(&scene.sandbox, Signal::SIGKILL);
    let said = project.deploy_status(&["--json"]);
    assert_eq!((said.code, &said.json()["state"]), (Some(2), &"lost".into()), "{said:?}");
    fs::write(&go, "").unwrap();
    assert!(push.wait().unwrap().success());
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    assert_eq!(project.result(&commit)["outcome"], "live");
}

#[test]
fn t3_signals_end_in_a_written_result() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let scene = Scene::with_token(SHORT);
        let project = scene.sandbox.project(TARGET);
        assert_eq!(project.push(&["origin", "main"]).code, Some(0));
        let commit = project.head();
        project.status(&commit, "awaiting", |status| status["phase"] == "awaiting_deployment");
        end_monitor(&scene.sandbox, signal);
        let result = project.result(&commit);
        assert_eq!(result["outcome"], "stopped", "{signal}");
        assert!(result["reason"].as_str().unwrap().contains(signal.as_str()), "{result:#}");
        assert_eq!(project.deploy_status(&[]).code, Some(1));
    }
}

#[test]
fn stop_asks_and_the_result_says_stopped() {
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    monitor_of(&scene.sandbox);
    let said = project.afterpush(&["list", "--json"]);
    assert_eq!(said.json()["runs"].as_array().unwrap().len(), 1, "{said:?}");
    let said = project.afterpush(&["stop"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(project.result(&commit)["outcome"], "stopped");
    wait_until("the monitor's end", || scene.sandbox.monitors().is_empty());
    assert_eq!(project.afterpush(&["list", "--json"]).json()["runs"].as_array().unwrap().len(), 0);
}

#[test]
fn t7_two_hundred_racing_hooks_for_one_commit_are_one_monitor() {
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    let commit = project.head();
    let line = format!("refs/heads/main {commit} refs/heads/main {}\n", "0".repeat(40));
    let input = scene.sandbox.path().join("lines");
    fs::write(&input, line).unwrap();
    let mut hooks: Vec<Child> = (0..200)
        .map(|_| {
            let mut command = scene.sandbox.command(project.work.join(".git/hooks/pre-push"), &project.work);
            command.args(["origin", &project.bare.to_string_lossy()]);
            command.stdin(fs::File::open(&input).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    for hook in &mut hooks {
        assert!(hook.wait().unwrap().success());
    }
    // Now let the push be real, so that the one monitor has something to confirm.
    assert_eq!(project.push(&["--no-verify", "origin", "main"]).code, Some(0));
    wait_until("one monitor alone", || scene.sandbox.monitors().len() == 1);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    assert_eq!(project.result(&commit)["outcome"], "live");
    assert_eq!(project.runs(&commit).len(), 1);
    wait_until("the monitor's end", || scene.sandbox.monitors().is_empty());
    let history = history(project.runs(&commit).remove(0).as_path());
    assert!(!history.is_empty());
    assert!(history.iter().all(|line| line["commit"] == commit.as_str()));
}

#[test]
fn t7_two_pushes_at_once_and_the_same_push_twice_are_one_monitor_each() {
    let scene = Scene::with_token(SHORT);
    let config = TARGET.replace("branch = \"main\"", "ref = \"refs/heads/*\"");
    let project = scene.sandbox.project(&config);
    project.git(&["branch", "a"]);
    project.git(&["checkout", "--quiet", "-b", "b"]);
    let second = project.commit("b");
    let first = project.git(&["rev-parse", "a"]);
    let spawn = |project: &Project<'_>, branch: &str| {
        let mut command = project.push_command(&["origin", branch]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut pushes = [spawn(&project, "a"), spawn(&project, "b")];
    for push in &mut pushes {
        assert!(push.wait().unwrap().success());
    }
    assert_eq!(project.push(&["origin", "a"]).code, Some(0), "the same push again has nothing to do");
    for commit in [&first, &second] {
        project.status(commit, "awaiting", |status| status["phase"] == "awaiting_deployment");
        assert_eq!(project.runs(commit).len(), 1);
    }
    assert_eq!(scene.sandbox.monitors().len(), 2);
}

#[test]
fn t10_one_writer_numbers_each_state() {
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    scene.simulator.deploy(&scene.app, &commit).set_phase("BUILDING");
    project.status(&commit, "some states", |status| status["seq"].as_u64() > Some(3));
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    let _ = project.result(&commit);
    let events = fs::read_to_string(project.runs(&commit)[0].join("events.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut texts: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    assert!(events.windows(2).all(|pair| pair[0]["seq"].as_u64() <= pair[1]["seq"].as_u64()));
    assert_eq!(texts.iter().filter(|text| text.starts_with("finished: live")).count(), 1, "{texts:#?}");
    texts.dedup();
    assert_eq!(texts.len(), events.len(), "no line is written twice");
}

#[test]
fn cleanup_removes_finished_runs_and_leaves_running_ones() {
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let old = project.head();
    scene.simulator.deploy(&scene.app, &old).set_phase("ACTIVE");
    let _ = project.result(&old);
    let new = project.commit("new");
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    project.status(&new, "awaiting", |status| status["phase"] == "awaiting_deployment");
    wait_until("the old monitor's end", || scene.sandbox.monitors().len() == 1);
    let said = project.afterpush(&["cleanup", "--older-than", "0s", "--dry-run"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(project.runs(&old).len(), 1, "a dry run removes nothing");
    let said = project.afterpush(&["cleanup", "--older-than", "0s"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(project.runs(&old).is_empty());
    assert_eq!(project.runs(&new).len(), 1);
    let store = project.runs(&new).remove(0);
    assert_eq!(history(&store).len(), 1, "history survives cleanup");
}

#[test]
fn a_status_file_that_cannot_be_read_is_named_and_left_as_it_is() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("[[target]]\nname = \"web\"\nbranch = \"main\"\n");
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    let _ = project.result(&commit);
    wait_until("the monitor's end", || sandbox.monitors().is_empty());
    let path = project.runs(&commit)[0].join("result.json");
    let newer = fs::read_to_string(&path)
        .unwrap()
        .replace("\"major\":1", "\"major\":2")
        .replace("\"major\": 1", "\"major\": 2");
    for text in ["{ half a docu", newer.as_str()] {
        fs::write(&path, text).unwrap();
        let said = project.deploy_status(&[]);
        assert_eq!(said.code, Some(65), "{said:?}");
        assert!(said.stderr.contains("result.json") && said.stderr.contains("hint:"), "{said:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_push_that_no_hook_saw_is_found_by_resume() {
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    let commit = project.head();
    assert_eq!(project.push(&["--no-verify", "origin", "main"]).code, Some(0));
    assert!(project.runs(&commit).is_empty());
    let said = project.afterpush(&["resume"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    assert_eq!(project.result(&commit)["outcome"], "live");
    assert_eq!(project.deploy_status(&[]).code, Some(0));
}

#[test]
fn waiting_ends_with_the_verdict_or_with_the_time() {
    let scene = Scene::with_token(SHORT);
    let project = scene.sandbox.project(TARGET);
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    let said = project.deploy_status(&["--wait", "300ms"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    assert_eq!(project.deploy_status(&["--wait", "60s"]).code, Some(0));
    let said = Said::of(scene.sandbox.command(scene.sandbox.program("afterpush"), &project.work).args(["watch"]));
    assert_eq!(said.code, Some(0), "{said:?}");
}

fn history(run: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run.ancestors().nth(3).unwrap().join("history.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
