//! What many stored runs cost: nothing to the answer about one of them, and each the same to whoever looks at all.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox};

use crate::timing::{Times, aim, line, quiet, rounds, time};

const MOST: usize = 100_000;
/// A run more may cost so much more where there are ten times as many.
const LINEAR: f64 = 1.5;
const CONSTANT: f64 = 1.5;
/// How often what changes nothing is timed.
const ROUNDS: usize = 5;
const STATUS_ROUNDS: usize = 200;
/// What looks at all stored runs; the first only by their names.
const COMMANDS: [&str; 5] = ["baseline, find", "list", "resume", "cleanup --dry-run", "cleanup"];

/// Prints what `deploy-status`, `list` and `cleanup` cost with few stored runs and with many. A number says how many these are.
pub(crate) fn stored(numbers: &[usize]) {
    let most = numbers.first().copied().unwrap_or(MOST).max(20);
    let sandbox = Sandbox::new();
    let store = Store::new(&sandbox);
    let mut runs_of = vec![1, most / 10, most];
    runs_of.dedup();
    let mut status: Vec<Times> = Vec::new();
    let mut looked: Vec<(usize, [Duration; COMMANDS.len()])> = Vec::new();
    for count in runs_of {
        store.fill(count);
        status.push(store.status(count));
        if count > 1 {
            let list = store.each(&["list"]);
            let dry_run = store.each(&["cleanup", "--older-than", "0s", "--dry-run"]);
            let find = median(|| store.run("find", [OsStr::new("."), OsStr::new("-name"), OsStr::new("again.json")]));
            let resume = store.each(&["resume"]);
            let cleanup = time(|| store.clean_up(count));
            looked.push((count, [find, list, resume, dry_run, cleanup]));
        }
    }
    let grown = status[status.len() - 1].median().as_secs_f64() / status[0].median().as_secs_f64();
    let [(few, of_few), (many, of_many)] = looked[..] else { unreachable!("two sizes") };
    store.fill(few);
    let removed = time(|| store.run("rm", [OsStr::new("-r"), store.runs.as_os_str()]));
    let each = |time: Duration, count: usize| time.as_secs_f64() * 1e6 / count as f64;
    for (at, name) in COMMANDS.into_iter().enumerate() {
        let (first, last) = (each(of_few[at], few), each(of_many[at], many));
        println!(
            "  {name:<20} {few:>7} runs {first:7.1} us each   {many:>7} runs {last:7.1} us each, {:6.2} s in all   x {:.2}",
            of_many[at].as_secs_f64(),
            last / first
        );
    }
    println!("  {:<20} {few:>7} runs {:7.1} us each", "baseline, rm -r", each(removed, few));
    aim(&format!("deploy-status is as quick, x {grown:.2} with {many} runs"), grown <= CONSTANT);
    for (at, name) in COMMANDS.into_iter().enumerate().skip(1) {
        let ratio = each(of_many[at], many) / each(of_few[at], few);
        aim(&format!("{name} costs a run at most {LINEAR} times as much, {ratio:.2} here"), ratio <= LINEAR);
    }
}

/// The stored runs of one repository, all like one that has ended.
struct Store<'a> {
    sandbox: &'a Sandbox,
    project: Project<'a>,
    runs: PathBuf,
    pattern: PathBuf,
    /// The path of the pattern's run below `runs`.
    name: PathBuf,
}

impl<'a> Store<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        // No provider: the run ends at once, unverified, and its files stay.
        let project = sandbox.project("[[target]]\nname = \"web\"\nbranch = \"main\"\n");
        assert_eq!(project.push(&["origin", "main"]).code, Some(0));
        let commit = project.head();
        let _ = project.result(&commit);
        quiet(sandbox);
        let run = project.runs(&commit).remove(0);
        let runs = run.ancestors().nth(2).unwrap().to_owned();
        let name = run.strip_prefix(&runs).unwrap().to_owned();
        let pattern = sandbox.path().join("pattern");
        fs::rename(&run, &pattern).unwrap();
        Self { sandbox, project, runs, pattern, name }
    }

    /// Makes so many: the one of the commit that is checked out, and others.
    fn fill(&self, count: usize) {
        let _ = fs::remove_dir_all(&self.runs);
        let files: Vec<_> = fs::read_dir(&self.pattern).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        for number in 0..count {
            let other = || Path::new(&format!("{number:040x}")).join(self.name.file_name().unwrap());
            let copy = self.runs.join(if number == 0 { self.name.clone() } else { other() });
            fs::create_dir_all(&copy).unwrap();
            for file in &files {
                fs::copy(self.pattern.join(file), copy.join(file)).unwrap();
            }
        }
        // What is not on the disk yet is removed more cheaply.
        self.run("sync", [OsStr::new("-f"), self.runs.as_os_str()]);
    }

    /// Prints what one answer costs.
    fn status(&self, count: usize) -> Times {
        let mut commands = [Path::new("/bin/true"), &self.sandbox.program("deploy-status")]
            .map(|program| self.sandbox.command(program, &self.project.work));
        for command in &mut commands {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        let mut times = rounds(2, STATUS_ROUNDS, 5, |which, _| {
            time(|| {
                let _ = commands[which].status().unwrap();
            })
        });
        let base = times[0].median();
        line(&format!("/bin/true, {count} stored"), &times[0], base);
        line(&format!("deploy-status, {count} stored"), &times[1], base);
        times.remove(1)
    }

    fn each(&self, arguments: &[&str]) -> Duration {
        median(|| assert_eq!(self.project.afterpush(arguments).code, Some(0)))
    }

    fn clean_up(&self, count: usize) {
        let said = self.project.afterpush(&["cleanup", "--older-than", "0s"]);
        assert!(said.stdout.starts_with(&format!("removed {count} finished run")), "{said:?}");
    }

    fn run<'b>(&self, program: &str, arguments: impl IntoIterator<Item = &'b OsStr>) {
        let said = Said::of(self.sandbox.command(program, &self.runs).args(arguments));
        assert_eq!(said.code, Some(0), "{said:?}");
    }
}

fn median(mut call: impl FnMut()) -> Duration {
    Times::of((0..ROUNDS).map(|_| time(&mut call)).collect()).median()
}
