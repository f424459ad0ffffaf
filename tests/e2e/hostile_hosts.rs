//! A host that means harm, against the real programs: a push stays undecided, the token stays with the host that it is for, and
//! the monitor stays small.

use std::{thread, time::Duration};

use afterpush_core::text::is_misleading;
use afterpush_testkit::{
    canary,
    hostile::{CREDENTIAL, Harm, Server},
    sandbox::{Project, Said, Sandbox, memory_kib, wait_until},
};

use crate::scene::{SHORT, TARGET, monitor_of};

/// What a monitor may have held at most, the pages of a debugging build's program included.
const MOST_MEMORY_KIB: u64 = 96 * 1024;
/// Stands for the pushed commit in an answer.
const COMMIT: &str = "{commit}";
/// What would act on a terminal, turn text round, or hide in it, in JSON.
const EVIL: &str = r"\u001b]0;owned\u0007\u001b[2J\u009b31m\u202egpj.exe\u2066\u200b\u0008\n";

/// One way to do harm, from the push to the result; gives what the monitor held at most.
fn suffer(name: &str, harm: Harm) -> u64 {
    let server = Server::bystander();
    let sandbox = Sandbox::new();
    let url = server.url();
    sandbox.user_config(&format!("[provider.digitalocean]\napi_url = \"{url}\"\n[policy]\n{SHORT}"));
    let project = sandbox.project(TARGET);
    let commit = project.head();
    // An answer without end is still being listened to.
    let questions = if matches!(harm, Harm::Trickle(_)) { 1 } else { 3 };
    server.change(match harm {
        Harm::Answer(status, body) => Harm::Answer(status, body.replace(COMMIT, &commit)),
        harm => harm,
    });
    let token = format!("canary_{name}_7f3a91d2c4e85b60a1f2d3c4b5a69788776655443322110ffeeddccbb");
    let mut push = project.push_command(&["origin", "main"]);
    let said = Said::of(push.env("DIGITALOCEAN_ACCESS_TOKEN", &token).env("AFTERPUSH_LOG", "debug"));
    assert_eq!(said.code, Some(0), "{name}: {said:?}");

    wait_until("the host to be asked", || server.asked() >= questions);
    undecided(name, &project, &commit);
    let peak = memory_kib(monitor_of(&sandbox).unsigned_abs(), "VmHWM").unwrap();
    assert!(peak < MOST_MEMORY_KIB, "{name}: the monitor held {peak} KiB");
    let places = canary::found_in_processes(&token);
    assert!(places.is_empty(), "{name}: the token stands in {places:?}");

    let said = project.afterpush(&["stop"]);
    assert_eq!(said.code, Some(0), "{name}: {said:?}");
    let result = project.result(&commit);
    assert_eq!(result["outcome"], "stopped", "{name}: {result:#}");
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(1), "{name}: {said:?}");
    let texts = [&said.stdout, &project.deploy_status(&["--json"]).stdout, &project.afterpush(&["logs"]).stdout];
    for text in texts {
        let bad = text.chars().find(|c| *c != '\n' && (c.is_control() || is_misleading(*c)));
        assert!(bad.is_none() && !text.contains(r"\u001b"), "{name}: {bad:?} in {text:?}");
    }
    assert!(server.heard().contains(&format!("Bearer {token}")), "{name}: the host itself is given the token");
    // The start of it is a leak as well: texts are cut.
    let places = canary::found_below(sandbox.path(), &token[..24]);
    assert!(places.is_empty(), "{name}: the token stands in {places:?}");
    peak
}

/// It goes on, and says what is wrong.
fn undecided(name: &str, project: &Project<'_>, commit: &str) {
    let status = project.status(commit, "a question", |status| status["targets"].is_array());
    assert!(status["outcome"].is_null(), "{name}: {status:#}");
    assert_eq!(project.deploy_status(&[]).code, Some(2), "{name}");
}

/// An answer that fits every question: the app, and its one deployment, of the commit, with evil names.
fn evil_names() -> Harm {
    let app = "4f6c71e2-1e90-4762-9fee-6cc4a0a9f2cf";
    let spec = format!(
        r#"{{"name":"storefront","services":[{{"name":"web{EVIL}","github":{{"repo":"acme/web","branch":"main","deploy_on_push":true}}}}]}}"#
    );
    let step = format!(r#"{{"name":"{EVIL}","status":"RUNNING","message_base":"{EVIL}","component_name":"{EVIL}"}}"#);
    let deployment = format!(
        r#"{{"id":"b6bdf840-2854-4f87-a36c-5f231c617c84","spec":{spec},"services":[{{"name":"web{EVIL}","source_commit_hash":"{COMMIT}"}}],
        "phase":"{EVIL}ACTIVE","cause":"{EVIL}","created_at":"2999-01-01T00:00:00Z","updated_at":"2999-01-01T00:00:00Z",
        "progress":{{"success_steps":1,"total_steps":6,"steps":[{step}]}}}}"#
    );
    let app = format!(
        r#"{{"id":"{app}","spec":{spec},"live_url":"https://x.example/{EVIL}","active_deployment":{deployment}}}"#
    );
    Harm::Answer(
        200,
        format!(
            r#"{{"apps":[{app}],"app":{app},"deployments":[{deployment}],"deployment":{deployment},"meta":{{"total":1}},"links":{{}}}}"#
        ),
    )
}

#[test]
fn a_host_that_means_harm_gets_no_verdict_no_token_and_no_memory() {
    let other = Server::bystander();
    let repeated = format!(r#"{{"id":"{CREDENTIAL}","message":"bad token {CREDENTIAL}","apps":"{CREDENTIAL}"}}"#);
    let peaks = thread::scope(|scope| {
        let harms = [
            ("redirect", Harm::Redirect(other.url())),
            ("endless", Harm::Endless),
            ("trickle", Harm::Trickle(Duration::from_secs(1))),
            ("headers", Harm::Headers),
            ("bomb", Harm::Bomb),
            ("names", evil_names()),
            ("repeated", Harm::Answer(500, repeated.clone())),
            ("accepted", Harm::Answer(200, repeated)),
        ];
        let threads = harms.map(|(name, harm)| (name, scope.spawn(move || suffer(name, harm))));
        threads.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect::<Vec<_>>()
    });
    assert_eq!(other.heard(), "", "nobody called the other host");
    for (name, kib) in peaks {
        println!("{name}: the monitor held at most {} MiB", kib.div_ceil(1024));
    }
}
