//! Many pushes at once: a limit of monitors, and a queue in the order of the pushes that loses none.

use std::fs;

use afterpush_testkit::sandbox::{Project, Said, Sandbox, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::scene::{Scene, TARGET, has_ended};

const TWO: &str = "first_interval = \"100ms\"\nslow_interval = \"300ms\"\nmonitors = 2\n";

/// Pushes a commit of its own to each of these branches, one after the other.
fn push_branches(project: &Project<'_>, count: usize) -> Vec<String> {
    let push = |number: usize| {
        let commit = project.commit(&format!("commit {number}"));
        let said = project.push(&["origin", &format!("HEAD:refs/heads/b{number}")]);
        assert_eq!(said.code, Some(0), "{said:?}");
        commit
    };
    (0..count).map(push).collect()
}

fn state(project: &Project<'_>, commit: &str) -> serde_json::Value {
    let said = project.afterpush(&["list", "--all", "--json"]);
    let runs = said.json()["runs"].as_array().unwrap().clone();
    runs.into_iter().find(|run| run["commit"] == commit).map_or(serde_json::Value::Null, |run| run["phase"].clone())
}

fn is_queued(project: &Project<'_>, commit: &str) -> bool {
    state(project, commit) == "queued"
}

fn every_branch() -> String {
    TARGET.replace("branch = \"main\"", "ref = \"refs/heads/*\"")
}

fn kill_all(sandbox: &Sandbox) {
    let monitors = sandbox.monitors();
    for pid in &monitors {
        let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    wait_until("the monitors' end", || monitors.iter().all(|pid| has_ended(*pid)));
}

#[test]
fn pushes_above_the_limit_wait_and_are_followed_in_their_order() {
    let Scene { simulator, app, sandbox } = Scene::with_token(TWO);
    let project = sandbox.project(&every_branch());
    let commits = push_branches(&project, 5);
    for commit in &commits[2..] {
        wait_until("the queue", || is_queued(&project, commit));
    }
    assert_eq!(sandbox.monitors().len(), 2);
    let said = project.deploy_status(&[&commits[4]]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stdout.contains("in progress:") && said.stdout.contains("queued behind 2 monitors"), "{said:?}");
    let said = project.afterpush(&["list", "--all"]);
    assert_eq!(said.stdout.matches("queued").count(), 3, "{said:?}");
    // Each that ends gives its place to the oldest.
    for (ended, next) in [(0, 2), (1, 3), (2, 4)] {
        simulator.deploy(&app, &commits[ended]).set_phase("ACTIVE");
        let _ = project.result(&commits[ended]);
        wait_until("the next one's turn", || !is_queued(&project, &commits[next]));
        for later in &commits[next + 1..] {
            assert!(is_queued(&project, later), "{later} waits behind {next}");
        }
    }
    assert!(sandbox.monitors().len() <= 2);
    simulator.deploy(&app, &commits[4]).set_phase("ACTIVE");
    for commit in &commits {
        let _ = project.result(commit);
        assert_eq!(project.runs(commit).len(), 1);
    }
}

#[test]
fn killed_monitors_free_their_places_and_no_request_is_lost() {
    let Scene { simulator, app, sandbox } = Scene::with_token(TWO);
    let project = sandbox.project(&every_branch());
    let commits = push_branches(&project, 5);
    for commit in &commits[2..] {
        wait_until("the queue", || is_queued(&project, commit));
    }
    kill_all(&sandbox);
    // The two that were killed are lost, three wait; each end brings the next, so one resume is enough.
    simulator.deploy(&app, &commits[4]).set_phase("ACTIVE");
    let said = project.afterpush(&["resume", "--all"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for commit in &commits {
        let outcome = project.result(commit)["outcome"].clone();
        assert!(outcome == "live" || outcome == "live_contained", "{commit}: {outcome}");
        assert!(sandbox.monitors().len() <= 5);
    }
    wait_until("the last monitor's end", || sandbox.monitors().is_empty());
    let history = project.runs(&commits[0])[0].ancestors().nth(3).unwrap().join("history.jsonl");
    assert_eq!(fs::read_to_string(history).unwrap().lines().count(), 5, "each is followed once");
}

#[test]
fn a_run_that_waits_can_be_stopped_and_the_status_of_another_starts_what_has_a_place() {
    let Scene { simulator, app, sandbox } = Scene::with_token(TWO);
    let project = sandbox.project(&every_branch());
    let commits = push_branches(&project, 4);
    for commit in &commits[2..] {
        wait_until("the queue", || is_queued(&project, commit));
    }
    let said = project.afterpush(&["stop", &commits[2]]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(project.result(&commits[2])["outcome"], "stopped");
    kill_all(&sandbox);
    assert_eq!(project.deploy_status(&[&commits[3]]).code, Some(2));
    simulator.deploy(&app, &commits[3]).set_phase("ACTIVE");
    assert_eq!(project.result(&commits[3])["outcome"], "live");
    assert_eq!(project.result(&commits[2])["outcome"], "stopped");
}

#[test]
fn all_runs_are_stopped_also_those_that_wait_and_none_takes_the_place_of_another() {
    let Scene { simulator, sandbox, .. } = Scene::with_token(TWO);
    let project = sandbox.project(&every_branch());
    let commits = push_branches(&project, 5);
    for commit in &commits[2..] {
        wait_until("the queue", || is_queued(&project, commit));
    }
    let said = project.afterpush(&["stop", "--all"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.stdout.matches("ended, it waited for a place: ").count(), 3, "{said:?}");
    assert_eq!(said.stdout.matches("stopped: ").count(), 2, "{said:?}");
    for (at, commit) in commits.iter().enumerate() {
        let result = project.result(commit);
        assert_eq!(result["outcome"], "stopped", "{result}");
        let waited = result["reason"].as_str().is_some_and(|reason| reason.contains("waited for a place"));
        assert_eq!(waited, at >= 2, "{result}");
    }
    wait_until("the monitors' end", || sandbox.monitors().is_empty());
    assert!(project.afterpush(&["stop", "--all"]).stderr.contains("no active monitors"));
    drop(simulator);
}

#[test]
fn a_push_that_waited_says_that_its_own_variables_are_gone() {
    let one = TWO.replace("monitors = 2", "monitors = 1");
    let Scene { simulator: _simulator, sandbox, .. } = Scene::without_token("https://storefront.example.invalid", &one);
    let project = sandbox.project(&every_branch());
    let push = |number: usize| {
        let commit = project.commit(&format!("commit {number}"));
        let mut push = project.push_command(&["origin", &format!("HEAD:refs/heads/b{number}")]);
        let said = Said::of(push.env("DIGITALOCEAN_ACCESS_TOKEN", "of-the-push"));
        assert_eq!(said.code, Some(0), "{said:?}");
        commit
    };
    let (first, second) = (push(0), push(1));
    wait_until("the queue", || is_queued(&project, &second));
    kill_all(&sandbox);
    assert_eq!(project.afterpush(&["resume", "--all"]).code, Some(0));
    for commit in [&first, &second] {
        assert_eq!(project.result(commit)["outcome"], "unverified");
    }
    let said = project.deploy_status(&[&second]);
    assert!(said.stdout.contains("waited for a place") && said.stdout.contains("the credentials file"), "{said:?}");
}
