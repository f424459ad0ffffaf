//! How often two monitors watch the same run, of very many that are started for it at once.

use std::{
    fs,
    io::{PipeWriter, pipe},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use afterpush_testkit::{
    digitalocean::Simulator,
    sandbox::{Project, Sandbox},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    TARGET,
    timing::{aim, quiet},
};

/// How many start for one run at once.
const GROUP: usize = 50;
const CONTENDERS: usize = 100_000;
/// Far longer than a group takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of the groups.
#[derive(Debug, Default)]
struct Tally {
    groups: usize,
    duplicates: usize,
    unwatched: usize,
}

/// Prints how many duplicates there were. A number asks for so many contenders.
///
/// Each contender is the real program, started as the hook starts it. All of a group have one pipe as their standard input,
/// which they read to its end before anything else: when it is closed they go for the run's lock together.
pub(crate) fn races(numbers: &[usize]) {
    let wanted = numbers.first().copied().unwrap_or(CONTENDERS);
    let groups = wanted.div_ceil(GROUP).max(2);
    let began = Instant::now();
    let living = while_it_lives(groups / 2);
    println!(
        "  {} groups of {GROUP} race for a run whose monitor lives on: {} duplicates, {} runs without a monitor",
        living.groups, living.duplicates, living.unwatched
    );
    let ending = while_it_ends(groups - groups / 2);
    println!(
        "  {} groups of {GROUP} race for a run that ends at once: {} runs ended twice, {} never",
        ending.groups, ending.duplicates, ending.unwatched
    );
    let took = began.elapsed();
    println!("  in {:.0} s, {:.0} starts a second", took.as_secs_f64(), (groups * GROUP) as f64 / took.as_secs_f64());
    let (duplicates, unwatched) = (living.duplicates + ending.duplicates, living.unwatched + ending.unwatched);
    aim(&format!("{} contenders, {duplicates} duplicate monitors", groups * GROUP), duplicates == 0);
    aim(&format!("{groups} runs, {unwatched} without a monitor"), unwatched == 0);
}

/// The deployment does not end: of each group one process must be left.
fn while_it_lives(groups: usize) -> Tally {
    let simulator = Simulator::start();
    let app = simulator.add_app("web", "acme/web", "main", "https://web.example");
    let sandbox = Sandbox::new();
    sandbox.user_config(&format!("[provider.digitalocean]\napi_url = \"{}\"\n", simulator.url()));
    sandbox.credentials("[digitalocean]\ntoken = \"test-token\"\n");
    let project = sandbox.project(TARGET);
    simulator.deploy(&app, &project.head()).set_phase("BUILDING");
    let pattern = pushed(&project);
    sandbox.monitors().into_iter().for_each(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap());
    quiet(&sandbox);

    let mut tally = Tally { groups, ..Tally::default() };
    for group in 0..groups {
        let run = copy_request(&pattern, group);
        let (mut contenders, start) = line_up(&sandbox, &run);
        drop(start);
        let left = wait_for_all_but(1, &mut contenders);
        match left {
            0 => tally.unwatched += 1,
            left => tally.duplicates += left - 1,
        }
        for child in &mut contenders {
            let _ = child.kill();
            child.wait().unwrap();
        }
        fs::remove_dir_all(run).unwrap();
    }
    tally
}

/// There is nothing to ask: the monitor ends its run at once, and writes one line into the history.
fn while_it_ends(groups: usize) -> Tally {
    let sandbox = Sandbox::new();
    let project = sandbox.project("[[target]]\nname = \"web\"\nbranch = \"main\"\n");
    let pattern = pushed(&project);
    let _ = project.result(&project.head());
    quiet(&sandbox);
    let history = pattern.ancestors().nth(3).unwrap().join("history.jsonl");

    let mut tally = Tally { groups, ..Tally::default() };
    for group in 0..groups {
        let run = copy_request(&pattern, group);
        let _ = fs::remove_file(&history);
        let (mut contenders, start) = line_up(&sandbox, &run);
        drop(start);
        assert_eq!(wait_for_all_but(0, &mut contenders), 0, "a monitor of a run that ends does not end");
        match fs::read_to_string(&history).unwrap_or_default().lines().count() {
            0 => tally.unwatched += 1,
            ends => tally.duplicates += ends - 1,
        }
        fs::remove_dir_all(run).unwrap();
    }
    tally
}

/// Pushes, and gives the directory of the run.
fn pushed(project: &Project<'_>) -> PathBuf {
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    project.runs(&project.head()).remove(0)
}

/// A run that nobody has watched yet, asked for like the one in `pattern`.
fn copy_request(pattern: &Path, group: usize) -> PathBuf {
    let run = pattern.with_file_name(format!("group-{group}"));
    fs::create_dir(&run).unwrap();
    fs::copy(pattern.join("request.json"), run.join("request.json")).unwrap();
    run
}

/// Starts a group; it goes when the pipe is closed.
fn line_up(sandbox: &Sandbox, run: &Path) -> (Vec<Child>, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let contenders = (0..GROUP).map(|number| {
        let mut command = sandbox.command(sandbox.program("afterpush-monitor"), Path::new("/"));
        command.arg("run").arg(run).args(["--nonce", &format!("{number:032x}")]);
        command.stdin(reader.try_clone().unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    });
    (contenders.collect(), writer)
}

/// Waits until so many are left, or for as long as more might end; gives how many are left.
fn wait_for_all_but(wanted: usize, contenders: &mut [Child]) -> usize {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = contenders.iter_mut().filter_map(|child| child.try_wait().unwrap().is_none().then_some(())).count();
        if left <= wanted || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
