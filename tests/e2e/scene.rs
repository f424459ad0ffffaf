//! The scene of most tests: a sandbox whose pushes go to a simulated DigitalOcean app, asked at short intervals; and the end of
//! a monitor.

use std::fs;

use afterpush_testkit::{
    digitalocean::Simulator,
    sandbox::{Project, Sandbox, wait_until},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A target of the simulated app.
pub(crate) const TARGET: &str =
    "[[target]]\nname = \"web\"\nbranch = \"main\"\nprovider = { kind = \"digitalocean\", app = \"storefront\" }\n";
/// Short waits, for a user's `[policy]`.
pub(crate) const SHORT: &str = "first_interval = \"100ms\"\nslow_interval = \"300ms\"\n";

/// A sandbox and the provider that its monitors ask.
pub(crate) struct Scene {
    pub(crate) simulator: Simulator,
    pub(crate) app: String,
    pub(crate) sandbox: Sandbox,
}

impl Scene {
    /// One without a token, with these lines in the user's `[policy]`.
    pub(crate) fn without_token(live_url: &str, policy: &str) -> Self {
        let simulator = Simulator::start();
        let app = simulator.add_app("storefront", "acme/storefront", "main", live_url);
        let sandbox = Sandbox::new();
        let url = simulator.url();
        sandbox.user_config(&format!("[provider.digitalocean]\napi_url = \"{url}\"\n[policy]\n{policy}\n"));
        Self { simulator, app, sandbox }
    }

    /// One whose token stands in the credentials file, so that also a monitor that a command starts has it.
    pub(crate) fn with_token(policy: &str) -> Self {
        let scene = Self::without_token("https://storefront.example.invalid", policy);
        scene.sandbox.credentials("[digitalocean]\ntoken = \"from-the-file\"\n");
        scene
    }
}

/// A push whose monitor is killed, and whose clone has then moved elsewhere; gives the commit.
pub(crate) fn lost_in_a_moved_clone(sandbox: &Sandbox, project: &mut Project<'_>) -> String {
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    project.status(&commit, "awaiting", |status| status["phase"] == "awaiting_deployment");
    end_monitor(sandbox, Signal::SIGKILL);
    let moved = sandbox.path().join("moved");
    fs::rename(&project.work, &moved).unwrap();
    project.work = moved;
    commit
}

/// The one monitor of a sandbox.
pub(crate) fn monitor_of(sandbox: &Sandbox) -> i32 {
    let mut found = 0;
    wait_until("one monitor", || {
        let monitors = sandbox.monitors();
        found = monitors.first().copied().unwrap_or(0);
        monitors.len() == 1
    });
    found
}

/// Signals the one monitor of a sandbox, and waits until it has ended.
pub(crate) fn end_monitor(sandbox: &Sandbox, signal: Signal) {
    let pid = monitor_of(sandbox);
    kill(Pid::from_raw(pid), signal).unwrap();
    wait_until("the monitor's end", || has_ended(pid));
}

/// Whether a process holds nothing any more. Its arguments vanish before its files are closed, and with them the lock; only a
/// zombie without further threads, or nobody, holds none.
pub(crate) fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']) && threads <= 1)
}
