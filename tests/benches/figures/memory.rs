//! What an idle monitor holds.

use std::{fs, process::Command};

use afterpush_testkit::{
    digitalocean::Simulator,
    sandbox::{Sandbox, memory_kib, wait_until},
};

use crate::TARGET;

/// What an idle monitor holds.
pub(crate) fn memory(_: &[usize]) {
    let simulator = Simulator::start();
    let app = simulator.add_app("web", "acme/web", "main", "https://web.example");
    let sandbox = Sandbox::new();
    sandbox.user_config(&format!(
        "[provider.digitalocean]\napi_url = \"{}\"\n[policy]\nfirst_interval = \"200ms\"\nslow_interval = \"200ms\"\n",
        simulator.url()
    ));
    sandbox.credentials("[digitalocean]\ntoken = \"test-token\"\n");
    let project = sandbox.project(TARGET);
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    simulator.deploy(&app, &commit).set_phase("BUILDING");
    project.status(&commit, "a monitor that has polled ten times", |status| {
        status["targets"][0]["stages"][0]["asked"].as_u64() > Some(10)
    });
    let pid = sandbox.monitors()[0];
    let field = |name: &str| memory_kib(pid.unsigned_abs(), name).unwrap();
    println!(
        "monitor that has polled a provider ten times: {:.1} MiB resident, of which {:.1} MiB are its own memory; the rest are \
         pages of programs and libraries",
        field("VmRSS") as f64 / 1024.0,
        field("RssAnon") as f64 / 1024.0
    );
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    wait_until("sleep", || {
        fs::read_to_string(format!("/proc/{}/comm", sleeper.id())).is_ok_and(|name| name.trim() == "sleep")
    });
    println!("baseline, sleep(1): {:.1} MiB resident", memory_kib(sleeper.id(), "VmRSS").unwrap() as f64 / 1024.0);
    let _ = sleeper.kill();
    let _ = sleeper.wait();
}
