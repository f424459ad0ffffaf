//! Who waits for a monitor that lives on: each way to call git, with each way to run its hooks.

use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use afterpush_testkit::{
    digitalocean::Simulator,
    managers::Kind,
    sandbox::{Project, Sandbox},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    TARGET,
    managers::{bare_of_hooks, install_manager, must_succeed},
    timing::{Times, aim, milliseconds, over, quiet, rounds},
};

/// The aim of each cell over the same push without afterpush.
const MOST: f64 = 50.0;
/// Until here a caller that waits for the monitor would wait: the run's deadline.
const DEADLINE: &str = "20s";

/// A way to call git.
struct Caller {
    name: &'static str,
    /// A program with arguments; `GIT` in its environment is git.
    program: Vec<OsString>,
    /// It writes the milliseconds that it waited to its standard output, its own start left out.
    tells: bool,
}

/// Prints the hang matrix. A number asks for so many rounds.
pub(crate) fn hang(numbers: &[usize]) {
    let count = numbers.first().copied().unwrap_or(9);
    let callers = callers();
    println!(
        "git push of one new commit by each caller until it has control back, the monitor living on for {DEADLINE}; \
         {count} rounds,\n  interleaved; median ms with afterpush, the same push without it, the difference:"
    );
    let mut heading = format!("  {:<12}", "");
    callers.iter().for_each(|caller| heading += &format!("{:>24}", caller.name));
    println!("{heading}");
    let mut worst = (f64::MIN, String::new());
    let mut slowest = (f64::MIN, String::new());
    for kind in std::iter::once(None).chain(Kind::ALL.map(Some)) {
        let name = kind.map_or("plain", Kind::name);
        let times = match measure(&callers, kind, count) {
            Ok(times) => times,
            Err(why) => {
                println!("  {name:<12}{why}");
                continue;
            }
        };
        let mut row = format!("  {name:<12}");
        for (caller, pair) in callers.iter().zip(times.chunks(2)) {
            let (without, with) = (pair[0].median(), pair[1].median());
            let cell = || format!("{name} called by {}", caller.name);
            row += &format!(
                "{:>24}",
                format!("{:.1} {:.1} {:+.1}", milliseconds(with), milliseconds(without), over(with, without))
            );
            for (most, added) in [(&mut worst, with), (&mut slowest, pair[1].part(100))] {
                if over(added, without) > most.0 {
                    *most = (over(added, without), cell());
                }
            }
        }
        println!("{row}");
    }
    println!(
        "  the slowest single push with afterpush: {:+.1} ms over the median without it, {}",
        slowest.0, slowest.1
    );
    aim(&format!("no cell over {MOST} ms; the worst is {:+.1} ms, {}", worst.0, worst.1), worst.0 <= MOST);
}

/// For each caller the times without afterpush and with it.
fn measure(callers: &[Caller], kind: Option<Kind>, count: usize) -> Result<Vec<Times>, String> {
    let simulator = Simulator::start();
    let app = simulator.add_app("web", "acme/web", "main", "https://web.example");
    let sandbox = Sandbox::new();
    sandbox.user_config(&format!(
        "[provider.digitalocean]\napi_url = \"{}\"\n[policy]\nfirst_interval = \"200ms\"\ndeadline = \"{DEADLINE}\"\n",
        simulator.url()
    ));
    sandbox.credentials("[digitalocean]\ntoken = \"test-token\"\n");
    let projects = ["without", "with"].map(|name| bare_of_hooks(&sandbox, name, TARGET));
    if let Some(kind) = kind {
        for project in &projects {
            install_manager(&sandbox, project, kind)?;
        }
    }
    must_succeed(&projects[1].afterpush(&["install"]));

    Ok(rounds(callers.len() * 2, count, 1, |which, round| {
        let (caller, project, is_watched) = (&callers[which / 2], &projects[which % 2], which % 2 == 1);
        // Under husky the line that `install` has added is part of the work tree.
        let commit = project.commit(&format!("{} {round}", caller.name));
        // It is built for ever.
        simulator.deploy(&app, &commit).set_phase("BUILDING");
        let took = call(&sandbox, project, caller);
        assert_eq!(project.git(&["ls-remote", "origin", "refs/heads/main"]).split('\t').next(), Some(commit.as_str()));
        // The first push of a project also has a push watched that was made before the hook was there.
        assert_eq!(!sandbox.monitors().is_empty(), is_watched, "{}: watched, or not", caller.name);
        assert!(project.runs(&commit).iter().all(|run| !run.join("result.json").exists()), "the monitor has ended");
        if is_watched {
            // A signal before it listens would end it without a result, as a lost one.
            project.status(&commit, "a monitor that follows the deployment", |status| status["phase"] == "deploying");
        }
        for pid in sandbox.monitors() {
            // One that only looked through the repository has gone by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        quiet(&sandbox);
        took
    }))
}

/// One push by a caller, until it has control back.
fn call(sandbox: &Sandbox, project: &Project<'_>, caller: &Caller) -> Duration {
    let mut command: Command = sandbox.command(&caller.program[0], &project.work);
    command.args(&caller.program[1..]).env("GIT", sandbox.git_program());
    let told = project.work.join(".git/told");
    command.stdout(fs::File::create(&told).unwrap()).stderr(Stdio::null());
    // Of a terminal's input the end never comes.
    command.stdin(Stdio::piped());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let input = child.stdin.take();
    let status = child.wait().unwrap();
    let took = began.elapsed();
    drop(input);
    let text = fs::read_to_string(&told).unwrap();
    assert!(status.success(), "{}: {status}: {text}", caller.name);
    if caller.tells {
        let told: f64 = text.trim().parse().unwrap_or_else(|_| panic!("{}: {text:?} is no time", caller.name));
        return Duration::from_secs_f64(told / 1000.0);
    }
    took
}

fn callers() -> Vec<Caller> {
    const SUBSTITUTION: &str = "said=$(\"$GIT\" push origin main 2>&1)";
    const PIPE: &str = "\"$GIT\" push origin main 2>&1 | tee .git/tee";
    const PYTHON: &str = "import os, subprocess, time\nbegan = time.perf_counter()\n\
        subprocess.run([os.environ['GIT'], 'push', 'origin', 'main'], capture_output=True, check=True)\n\
        print((time.perf_counter() - began) * 1000)";
    const NODE: &str = "const began = performance.now(); require('child_process').execFile(process.env.GIT, \
        ['push', 'origin', 'main'], error => { if (error) throw error; console.log(performance.now() - began) })";
    const PARALLEL: &str = "said=$(\"$GIT\" -c hook.jobs=2 push origin main 2>&1)";
    let shell = |line: &str| Some(vec!["/bin/sh".into(), "-c".into(), line.into()]);
    let script = program("script").map(|script| {
        let arguments = ["-qec", "\"$GIT\" push origin main", "/dev/null"];
        std::iter::once(script.into()).chain(arguments.map(OsString::from)).collect()
    });
    let interpreter = |name: &str, option: &str, text: &str| {
        program(name).map(|program| vec![program.into(), option.into(), text.into()])
    };
    let all = [
        ("terminal", script, "script(1) is not installed", false),
        ("$( )", shell(SUBSTITUTION), "", false),
        ("| tee", shell(PIPE), "", false),
        ("Python capture_output", interpreter("python3", "-c", PYTHON), "python3 is not installed", true),
        ("Node execFile", interpreter("node", "-e", NODE), "node is not installed", true),
        (
            "$( ), hook.jobs=2",
            runs_hooks_in_parallel().then(|| shell(PARALLEL)).flatten(),
            "this git runs no hooks in parallel; GIT_UNDER_TEST names a newer one",
            false,
        ),
    ];
    let mut callers = Vec::new();
    for (name, program, why, tells) in all {
        match program {
            Some(program) => callers.push(Caller { name, program, tells }),
            None => println!("  left out, {name}: {why}"),
        }
    }
    callers
}

/// git 2.55 and newer.
fn runs_hooks_in_parallel() -> bool {
    let sandbox = Sandbox::new();
    let said = sandbox.git(sandbox.path(), &["--version"]);
    let mut numbers = said.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(2), Some(55))
}

/// A program of the system's own places, which is where a sandbox looks as well.
fn program(name: &str) -> Option<PathBuf> {
    ["/usr/local/bin", "/usr/bin", "/bin"].iter().map(|place| PathBuf::from(place).join(name)).find(|it| it.exists())
}
