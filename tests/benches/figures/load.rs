//! A thousand monitors at once: what they hold, what they cost, and whether each tells the truth.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use afterpush_testkit::{
    digitalocean::{Fate, Simulator},
    sandbox::{Project, Said, Sandbox},
};

use crate::{process, timing::aim};

const MONITORS: usize = 1000;
/// Groups of five fates in each repository: together one page of the vendor's list, as a busy application has.
const GROUPS: usize = 4;
/// The applications belong to so many accounts, each with a token and so with a budget of calls of its own.
const ACCOUNTS: usize = 5;
/// By then every monitor has come to the longest of its intervals.
const SETTLED: Duration = Duration::from_secs(60);
/// Between two tries to find what a hook has given up on.
const RESUME: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(60);
/// Far longer than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(900);
/// Shell loops that do once a second the least that a watcher does.
const LOOPS: usize = 20;
const MOST_MEMORY: f64 = 2048.0;
const MOST_CPU: f64 = 20.0;

/// One repository, the app that it is deployed to, and what becomes of its pushes.
struct Application<'a> {
    sandbox: &'a Sandbox,
    project: Project<'a>,
    app: String,
    account: String,
    groups: Vec<Vec<Run>>,
    /// A hook gives up on a push when the disk is too busy for it.
    gave_up: bool,
}

struct Run {
    commit: String,
    fate: Fate,
    directory: PathBuf,
}

/// Prints what so many monitors at once hold and cost, and how many of their verdicts are wrong. A number asks for so many.
pub(crate) fn load(numbers: &[usize]) {
    let wanted = numbers.first().copied().unwrap_or(MONITORS);
    let applications = wanted.div_ceil(GROUPS * Fate::EACH.len());
    let count = applications * GROUPS * Fate::EACH.len();
    let simulator = Simulator::start();
    let sandbox = Sandbox::new();
    sandbox.user_config(&format!(
        "[provider.digitalocean]\napi_url = \"{}\"\n[policy]\nmonitors = {count}\n",
        simulator.url()
    ));
    let mut applications: Vec<_> = (0..applications).map(|number| application(&simulator, &sandbox, number)).collect();

    let available = process::available_memory();
    let began = Instant::now();
    applications.iter_mut().for_each(push);
    let pushed = began.elapsed();
    let gave_up = applications.iter().filter(|application| application.gave_up).count();
    let mut resumed = Instant::now();
    until("all deployments to be followed", || {
        let is_time = resumed.elapsed() > RESUME;
        if is_time {
            resumed = Instant::now();
        }
        let mut are_followed = true;
        for application in &mut applications {
            if !is_followed(application) {
                are_followed = false;
                if is_time && application.gave_up {
                    resume(application);
                }
            }
        }
        are_followed
    });
    println!(
        "  {count} deployments of {} apps, each with a monitor of its own: pushed in {:.0} s, all followed after {:.0} s; {gave_up} \
         pushes found by `afterpush resume` because the disk was too slow for the hook",
        applications.len(),
        pushed.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    let runs = || applications.iter().flat_map(|application| application.groups.iter().flatten());
    let log = |run: &Run| fs::read_to_string(run.directory.join("monitor.log")).unwrap_or_default();
    let placeless = runs().filter(|run| log(run).contains("without a place")).count();
    println!(
        "  all that this took: {:.1} s of processor time, {:.0} ms a monitor; {placeless} run without a place",
        cpu_of(&sandbox.monitors()).as_secs_f64(),
        cpu_of(&sandbox.monitors()).as_secs_f64() * 1000.0 / count as f64
    );

    thread::sleep(SETTLED);
    let mut duplicates = duplicates(&sandbox);
    let mut loops = shell_loops();
    let pids = sandbox.monitors();
    let (before, of_loops, calls, window) =
        (cpu_of(&pids), cpu_of_loops(&loops), simulator.requests().len(), Instant::now());
    thread::sleep(WINDOW);
    let window = window.elapsed();
    let share = |used: Duration| used.as_secs_f64() * 100.0 / window.as_secs_f64();
    let (used, of_loops) = (share(cpu_of(&pids) - before), share(cpu_of_loops(&loops) - of_loops));
    let calls = simulator.requests().len() - calls;
    end(&mut loops);
    println!(
        "  at the default policy, {:.0} s long: {used:.1} % of one core for all {count}, {:.0} us a second each; the \
         simulator's own is not counted; {:.1} calls a second",
        window.as_secs_f64(),
        used * 10_000.0 / count as f64,
        calls as f64 / window.as_secs_f64()
    );
    let of_loops = of_loops * count as f64 / LOOPS as f64;
    println!("  baseline, {count} shell loops of `sleep 1; test -e file`: {of_loops:.1} % of one core");
    tell_memory(&pids, available);
    aim(&format!("less than {MOST_CPU} % of one core, {used:.1} here"), used < MOST_CPU);

    tell_verdicts(&simulator, &applications);
    duplicates += ended_twice(&applications);
    until("the monitors' end", || sandbox.monitors().is_empty());
    aim(&format!("{count} runs, {duplicates} duplicate monitors"), duplicates == 0);
}

/// A repository with its commits, whose deployments are all being built.
fn application<'a>(simulator: &Simulator, sandbox: &'a Sandbox, number: usize) -> Application<'a> {
    let name = format!("app{number}");
    let app = simulator.add_app(&name, &format!("acme/{name}"), "main", "https://web.example");
    let target = format!(
        "[[target]]\nname = \"web\"\nref = \"refs/heads/*\"\nprovider = {{ kind = \"digitalocean\", app = \"{app}\" }}\n"
    );
    let project = sandbox.project_named(&name, &target);
    let group = |group| {
        let run = |(commit, fate)| Run { commit, fate, directory: PathBuf::new() };
        Fate::commits(&project, &format!("group {group}")).into_iter().map(run).collect::<Vec<_>>()
    };
    let groups: Vec<Vec<Run>> = (0..GROUPS).map(group).collect();
    for run in groups.iter().flatten() {
        simulator.deploy(&app, &run.commit).set_phase("BUILDING");
    }
    Application { sandbox, project, app, account: format!("account-{}", number % ACCOUNTS), groups, gave_up: false }
}

/// Pushes all commits of a repository at once, each to a branch of its own.
fn push(application: &mut Application<'_>) {
    let commits = application.groups.iter().flatten().map(|run| &run.commit);
    let refs = commits.enumerate().map(|(at, commit)| format!("{commit}:refs/heads/{at}"));
    let mut push = application.project.push_command(&["--quiet", "origin"]);
    let said = Said::of(push.args(refs).env("DIGITALOCEAN_ACCESS_TOKEN", &application.account));
    assert_eq!(said.code, Some(0), "{said:?}");
    application.gave_up = said.stderr.contains("`afterpush resume` tries again");
}

/// Tells whether all deployments of an application are followed.
fn is_followed(application: &mut Application<'_>) -> bool {
    let Application { project, groups, .. } = application;
    groups.iter_mut().flatten().all(|run| {
        if run.directory.as_os_str().is_empty() {
            run.directory = project.runs(&run.commit).pop().unwrap_or_default();
        }
        word(run, "status.json", "phase") == "deploying"
    })
}

fn resume(application: &Application<'_>) {
    let Application { project, sandbox, account, .. } = application;
    let mut resume = sandbox.command(sandbox.program("afterpush"), &project.work);
    let said = Said::of(resume.arg("resume").env("DIGITALOCEAN_ACCESS_TOKEN", account));
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// Ends the deployments group by group, and prints how many verdicts are wrong and how late they came.
fn tell_verdicts(simulator: &Simulator, applications: &[Application<'_>]) {
    let (mut wrong, mut without_log) = (0, 0);
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lags: Vec<f64> = Vec::new();
    for group in 0..GROUPS {
        let since = Instant::now();
        for application in applications {
            let fates: Vec<_> = application.groups[group].iter().map(|run| (run.commit.clone(), run.fate)).collect();
            simulator.end(&application.app, &fates);
        }
        let mut open: Vec<&Run> = applications.iter().flat_map(|application| &application.groups[group]).collect();
        until("all verdicts", || {
            open.retain(|run| {
                let is_open = !run.directory.join("result.json").exists();
                if !is_open {
                    lags.push(since.elapsed().as_secs_f64());
                }
                is_open
            });
            open.is_empty()
        });
        for run in applications.iter().flat_map(|application| &application.groups[group]) {
            let outcome = word(run, "result.json", "outcome");
            wrong += usize::from(outcome != run.fate.outcome());
            *told.entry(run.fate.outcome()).or_default() += 1;
            let log = fs::read_to_string(run.directory.join("provider.log")).unwrap_or_default();
            without_log += usize::from(run.fate == Fate::Failed && !log.contains(&run.commit));
        }
    }
    let counts: Vec<String> = told.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    lags.sort_by(f64::total_cmp);
    println!(
        "  {}, {} at once: told after {:.1} s at the median, {:.1} s at worst; {without_log} failures without their log",
        counts.join(", "),
        applications.len() * Fate::EACH.len(),
        lags[lags.len() / 2],
        lags[lags.len() - 1]
    );
    aim(&format!("{} verdicts, {wrong} wrong", lags.len()), wrong == 0);
}

/// How many monitors there are beyond one for each run.
fn duplicates(sandbox: &Sandbox) -> usize {
    let mut watched: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for pid in sandbox.monitors() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // afterpush-monitor run <directory>
        if let Some(directory) = line.split(|byte| *byte == 0).nth(2) {
            *watched.entry(directory.to_owned()).or_default() += 1;
        }
    }
    watched.values().map(|count| count - 1).sum()
}

/// How many lines the histories have beyond one for each run.
fn ended_twice(applications: &[Application<'_>]) -> usize {
    let beyond = |application: &Application<'_>| {
        let runs = application.groups.iter().map(Vec::len).sum::<usize>();
        let store = application.groups[0][0].directory.ancestors().nth(3).unwrap();
        let history = || fs::read_to_string(store.join("history.jsonl")).unwrap_or_default().lines().count();
        until("the history", || history() >= runs);
        history() - runs
    };
    applications.iter().map(beyond).sum()
}

fn tell_memory(pids: &[i32], available_before: f64) {
    let taken = available_before - process::available_memory();
    let memory: Vec<_> = pids.iter().filter_map(|pid| process::memory(*pid)).collect();
    if memory.is_empty() {
        println!("  memory: only root can read what a monitor holds; the machine has {taken:.0} MiB less to give");
        return;
    }
    let pss: f64 = memory.iter().map(|memory| memory.proportional).sum();
    let private: f64 = memory.iter().map(|memory| memory.private).sum();
    println!(
        "  memory of {}: {pss:.0} MiB with their shares of common pages, {private:.0} MiB of it their own, {:.2} MiB each; \
         the machine has {taken:.0} MiB less to give",
        memory.len(),
        pss / memory.len() as f64
    );
    let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    until("sleep", || {
        fs::read_to_string(format!("/proc/{}/stat", sleeper.id())).is_ok_and(|stat| stat.contains("(sleep) S "))
    });
    if let Some(memory) = process::memory(i32::try_from(sleeper.id()).unwrap()) {
        println!("  baseline, one sleep(1): {:.2} MiB, {:.2} of it its own", memory.proportional, memory.private);
    }
    let _ = sleeper.kill();
    let _ = sleeper.wait();
    aim(&format!("less than {MOST_MEMORY} MiB, {pss:.0} here"), pss < MOST_MEMORY);
}

fn cpu_of(pids: &[i32]) -> Duration {
    pids.iter().filter_map(|pid| process::cpu(*pid)).sum()
}

fn cpu_of_loops(loops: &[Child]) -> Duration {
    cpu_of(&loops.iter().map(|child| i32::try_from(child.id()).unwrap()).collect::<Vec<_>>())
}

fn shell_loops() -> Vec<Child> {
    let spawn = |_| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "while sleep 1; do test -e file; done"]).stdin(Stdio::null()).current_dir(Path::new("/"));
        shell.spawn().unwrap()
    };
    (0..LOOPS).map(spawn).collect()
}

fn end(children: &mut [Child]) {
    for child in children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A word of one of a run's documents; empty while there is none.
fn word(run: &Run, document: &str, field: &str) -> String {
    let text = fs::read(run.directory.join(document)).unwrap_or_default();
    let document: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    document[field].as_str().unwrap_or_default().to_owned()
}

fn until(what: &str, mut is_it: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_it() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}
