//! Prints the figures of the documentation, each beside a baseline of the same run. Started by `tests/bench`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use afterpush_core::{
    machine::{Answer, Effect, Event, EventKind, LocalLook, Pace, Plan, PushProof, StagePlan, State, TargetPlan, step},
    observation::{Deployment, DeploymentState, ProviderObservation},
    policy::Policy,
    run::{Relation, SeenCommit, StageKind},
};
use afterpush_testkit::{
    digitalocean::Simulator,
    sandbox::{Sandbox, wait_until},
};

fn main() {
    // `cargo bench -- <word>` prints only the figures whose name holds the word.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (name, print) in [("hook", hook as fn()), ("status", status), ("memory", memory), ("polling", polling)] {
        if name.contains(&wanted) {
            println!("\n== {name}");
            print();
        }
    }
}

const TARGET: &str =
    "[[target]]\nname = \"web\"\nbranch = \"main\"\nprovider = { kind = \"digitalocean\", app = \"web\" }\n";

/// What the hook adds to a push.
fn hook() {
    const ROUNDS: usize = 150;
    let sandbox = Sandbox::new();
    let project = sandbox.project(TARGET);
    let hook = project.work.join(".git/hooks/pre-push");
    let ours = fs::read(&hook).unwrap();
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    let mut command = project.push_command(&["--quiet", "--dry-run", "origin", "HEAD:refs/heads/main"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for round in 0..ROUNDS + 5 {
        for (which, times) in times.iter_mut().enumerate() {
            let _ = fs::remove_file(&hook);
            match which {
                0 => {}
                1 => executable(&hook, b"#!/bin/sh\nexit 0\n"),
                _ => executable(&hook, &ours),
            }
            let began = Instant::now();
            assert!(command.status().unwrap().success());
            if round >= 5 {
                times.push(began.elapsed());
            }
        }
    }
    println!("git push --dry-run of one ref, {ROUNDS} times each, interleaved:");
    let base = median(&mut times[0]);
    for (name, times) in ["no hook", "a hook that is `exit 0` in sh", "afterpush"].iter().zip(&mut times) {
        line(name, times, base);
    }

    // A dry run is not watched; what a watched push pays is the whole hook: request, two fsyncs, the monitor's start.
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..60 {
        for (which, times) in times.iter_mut().enumerate() {
            let _ = fs::remove_file(&hook);
            if which == 1 {
                executable(&hook, &ours);
            }
            project.git(&["commit", "--quiet", "--allow-empty", "-m", "next"]);
            let mut command = project.push_command(&["--quiet", "origin", "HEAD:refs/heads/main"]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let began = Instant::now();
            assert!(command.status().unwrap().success());
            if round >= 5 {
                times.push(began.elapsed());
            }
        }
    }
    println!("git push of one new commit to a local bare repository, 55 times each, interleaved:");
    let base = median(&mut times[0]);
    for (name, times) in ["no hook", "afterpush, the push is watched"].iter().zip(&mut times) {
        line(name, times, base);
    }
}

/// What an answer costs, with one stored run and with many.
fn status() {
    const ROUNDS: usize = 200;
    const RUNS: usize = 10_000;
    let sandbox = Sandbox::new();
    // No provider: the run ends at once, unverified, and its files stay.
    let project = sandbox.project("[[target]]\nname = \"web\"\nbranch = \"main\"\n");
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    let _ = project.result(&commit);
    let measure = |name: &str, base: Option<Duration>| {
        let mut times = [Vec::new(), Vec::new()];
        let mut ours = sandbox.command(sandbox.program("deploy-status"), &project.work);
        let mut nothing = sandbox.command("/bin/true", &project.work);
        for command in [&mut ours, &mut nothing] {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        for _ in 0..ROUNDS {
            for (command, times) in [&mut nothing, &mut ours].into_iter().zip(&mut times) {
                let began = Instant::now();
                let _ = command.status().unwrap();
                times.push(began.elapsed());
            }
        }
        let [mut nothing, mut ours] = times;
        let base = base.unwrap_or_else(|| median(&mut nothing));
        line(&format!("/bin/true ({name})"), &mut nothing, base);
        line(&format!("deploy-status ({name})"), &mut ours, base);
        base
    };
    let base = measure("1 stored run", None);
    let run = project.runs(&commit).remove(0);
    let runs = run.ancestors().nth(2).unwrap();
    for number in 1..RUNS {
        let copy = runs.join(format!("{number:040x}")).join(run.file_name().unwrap());
        fs::create_dir_all(&copy).unwrap();
        for name in ["request.json", "status.json", "result.json", "monitor.lock"] {
            fs::copy(run.join(name), copy.join(name)).unwrap();
        }
    }
    measure("10,000 stored runs", Some(base));
}

/// What an idle monitor holds.
fn memory() {
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
    let field = |name: &str| -> u64 {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    println!(
        "monitor that has polled a provider ten times: {:.1} MiB resident, of which {:.1} MiB are its own memory; the rest are \
         pages of programs and libraries",
        field("VmRSS:") as f64 / 1024.0,
        field("RssAnon:") as f64 / 1024.0
    );
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    wait_until("sleep", || {
        fs::read_to_string(format!("/proc/{}/comm", sleeper.id())).is_ok_and(|name| name.trim() == "sleep")
    });
    let text = fs::read_to_string(format!("/proc/{}/status", sleeper.id())).unwrap();
    let resident = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap().split_whitespace().nth(1).unwrap();
    println!("baseline, sleep(1): {:.1} MiB resident", resident.parse::<f64>().unwrap() / 1024.0);
    let _ = sleeper.kill();
    let _ = sleeper.wait();
}

/// What following a four-minute deployment costs the provider, and how late its end is seen: the real machine, simulated time.
fn polling() {
    const RUNS: usize = 2_000;
    let fixed = Policy { slow_interval: Duration::from_secs(5), growth: 1.0, jitter: 0.0, ..Policy::default() };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut figures = Vec::new();
    for policy in [&fixed, &Policy::default()] {
        let mut calls = 0;
        let mut delay = Duration::ZERO;
        let mut worst = Duration::ZERO;
        for _ in 0..RUNS {
            let (asked, late) = follow(policy, &mut random);
            calls += asked;
            delay += late;
            worst = worst.max(late);
        }
        figures.push((calls as f64 / RUNS as f64, delay.as_secs_f64() / RUNS as f64, worst.as_secs_f64()));
    }
    println!("a deployment that is queued 20 s, builds 160 s and rolls out 60 s; {RUNS} runs each:");
    for (name, (calls, mean, worst)) in ["fixed 5 s", "default policy"].iter().zip(&figures) {
        println!(
            "  {name:<16} {calls:5.1} provider calls   end seen after {mean:4.1} s on average, {worst:4.1} s at worst"
        );
    }
    println!("  fewer calls: {:.0} %", 100.0 * (1.0 - figures[1].0 / figures[0].0));
}

fn follow(policy: &Policy, random: &mut Random) -> (usize, Duration) {
    let target = TargetPlan { provider: StagePlan::Ask, ..TargetPlan::unavailable("web", "not configured") };
    let end = Duration::from_secs(240);
    // The deployment appears some seconds after the push, and ends four minutes after it has appeared.
    let appears = Duration::from_secs_f64(2.0 + 8.0 * random.next());
    let mut state = State::new(Plan { targets: vec![target], has_pusher: true }, policy);
    let mut now = Duration::ZERO;
    let mut asked = 0;
    let mut events = vec![EventKind::LookedLocally(LocalLook::Landed(PushProof::Reflog)), EventKind::Start];
    loop {
        while let Some(kind) = events.pop() {
            let done = step(state, policy, now, Event { roll: random.next(), kind });
            state = done.state;
            if state.outcome().is_some() {
                return (asked, now.saturating_sub(appears + end));
            }
            if done.effects.iter().any(|effect| matches!(effect, Effect::Ask { .. })) {
                asked += 1;
                let answer = Ok(Answer::Provider(observe(now.checked_sub(appears))));
                events.push(EventKind::Answered {
                    target: 0,
                    stage: StageKind::Provider,
                    answer,
                    pace: Pace::default(),
                });
            }
        }
        now = now.max(state.next_due(policy).unwrap());
        events.push(EventKind::Tick);
    }
}

fn observe(since: Option<Duration>) -> ProviderObservation {
    let state = match since.map(|since| since.as_secs()) {
        None => return ProviderObservation::default(),
        Some(0..20) => DeploymentState::Queued,
        Some(20..180) => DeploymentState::Building,
        Some(180..240) => DeploymentState::Deploying,
        Some(_) => DeploymentState::Live,
    };
    let commit = SeenCommit { id: "1".repeat(40), relation: Relation::Same };
    let deployment = Deployment {
        id: "d".to_owned(),
        state,
        raw: format!("{state:?}"),
        commit,
        url: None,
        site_url: None,
        progress: None,
        reason: None,
    };
    ProviderObservation { deployment: Some(deployment), ..ProviderObservation::default() }
}

/// SplitMix64: the same numbers in every run, so that the figures can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn executable(path: &Path, text: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn line(name: &str, times: &mut [Duration], base: Duration) {
    let middle = median(times);
    let late = times[times.len() * 99 / 100];
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "  {name:<36} median {:6.2} ms   99 % {:6.2} ms   {:+6.2} ms over the baseline   x {:.2}",
        milliseconds(middle),
        milliseconds(late),
        milliseconds(middle) - milliseconds(base),
        middle.as_secs_f64() / base.as_secs_f64()
    );
}
