//! What afterpush adds to a push, beside what the hook managers add that people already have.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use afterpush_testkit::{
    managers::{Kind, Manager},
    sandbox::{Project, Said, Sandbox},
};

use crate::timing::{Times, aim, line, over, quiet, rounds, time};

/// Every ref has a target, and nothing can be asked about it: its run ends as soon as the push is known to have landed.
pub(crate) const EVERY_REF: &str = "[[target]]\nname = \"web\"\nref = \"refs/heads/*\"\n";
const REFS: usize = 1_000;
/// The aim of the median over no hook at all.
const MOST: f64 = 4.0;

/// What runs before a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    Nothing,
    Shell,
    Afterpush,
    Strict,
    Manager(Kind),
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no hook",
            Self::Shell => "a hook that is `exit 0` in sh",
            Self::Afterpush => "afterpush",
            Self::Strict => "afterpush, install --strict",
            Self::Manager(kind) => kind.name(),
        }
    }
}

/// Prints what the hook alone adds, for a quick look. A number asks for so many rounds.
pub(crate) fn hook(numbers: &[usize]) {
    let count = |usual| numbers.first().copied().unwrap_or(usual);
    let sandbox = Sandbox::new();
    let contestants = contestants(&sandbox, &[Hook::Nothing, Hook::Shell, Hook::Afterpush]);
    dry_run_of_one(count(150), &contestants);
    push_of_one(&sandbox, count(55), &contestants);
}

/// Prints the time that each adds to a dry run of one ref and of a thousand, and to a real push. A number asks
/// for so many rounds of each.
pub(crate) fn managers(numbers: &[usize]) {
    let count = |usual| numbers.first().copied().unwrap_or(usual);
    let sandbox = Sandbox::new();
    let ours = [Hook::Nothing, Hook::Shell, Hook::Afterpush, Hook::Strict];
    let contestants = contestants(&sandbox, &[&ours[..], &Kind::ALL.map(Hook::Manager)].concat());
    dry_run_of_one(count(60), &contestants);
    print("git push --dry-run of 1,000 refs", count(30), &contestants, |project, _| {
        let mut command = project.push_command(&["--quiet", "--dry-run", "origin", "refs/heads/many/*"]);
        time(|| must_run(&mut command))
    });
    push_of_one(&sandbox, count(40), &contestants);
}

/// Prints what a push of a thousand refs pays when all of them have a target. A number asks for so many rounds.
pub(crate) fn many(numbers: &[usize]) {
    let sandbox = Sandbox::new();
    let contestants = contestants(&sandbox, &[Hook::Nothing, Hook::Shell, Hook::Afterpush, Hook::Strict]);
    // git itself syncs each of two thousand refs, which takes seconds and would hide everything else.
    contestants.iter().for_each(|(_, project)| sync_refs(&sandbox, project, false));
    print(
        "git push of 1,000 refs that all have a target, core.fsync = none",
        numbers.first().copied().unwrap_or(15),
        &contestants,
        |project, round| {
            quiet(&sandbox);
            project.git(&["commit", "--quiet", "--allow-empty", "-m", &format!("many {round}")]);
            branches(&sandbox, project, &project.head());
            let mut command = project.push_command(&["--quiet", "origin", "refs/heads/many/*"]);
            time(|| must_run(&mut command))
        },
    );
}

fn dry_run_of_one(count: usize, contestants: &[(Hook, Project<'_>)]) {
    print("git push --dry-run of one ref", count, contestants, |project, _| {
        let mut command = project.push_command(&["--quiet", "--dry-run", "origin", "HEAD:refs/heads/main"]);
        time(|| must_run(&mut command))
    });
}

/// A dry run is not watched; what a watched push pays is the whole hook: request, two fsyncs, the monitor's start.
fn push_of_one(sandbox: &Sandbox, count: usize, contestants: &[(Hook, Project<'_>)]) {
    print("git push of one new commit to a bare repository beside it", count, contestants, |project, round| {
        quiet(sandbox);
        project.git(&["commit", "--quiet", "--allow-empty", "-m", &format!("next {round}")]);
        let mut command = project.push_command(&["--quiet", "origin", "HEAD:refs/heads/main"]);
        time(|| must_run(&mut command))
    });
}

fn contestants<'a>(sandbox: &'a Sandbox, hooks: &[Hook]) -> Vec<(Hook, Project<'a>)> {
    let mut contestants = Vec::new();
    for hook in hooks {
        match prepare(sandbox, *hook) {
            Ok(project) => contestants.push((*hook, project)),
            Err(why) => println!("  {:<36} {why}", hook.name()),
        }
    }
    contestants
}

fn prepare(sandbox: &Sandbox, hook: Hook) -> Result<Project<'_>, String> {
    let name = hook.name().replace([' ', ',', '`'], "-");
    let project = bare_of_hooks(sandbox, &name, EVERY_REF);
    match hook {
        Hook::Nothing => {}
        Hook::Shell => executable(&project.work.join(".git/hooks/pre-push"), b"#!/bin/sh\nexit 0\n"),
        Hook::Afterpush => must_succeed(&project.afterpush(&["install"])),
        Hook::Strict => {
            if !project.afterpush(&["install", "--help"]).stdout.contains("--strict") {
                return Err("not in this version".to_owned());
            }
            must_succeed(&project.afterpush(&["install", "--strict"]));
        }
        Hook::Manager(kind) => install_manager(sandbox, &project, kind)?,
    }
    // The branches stand at the remote as they were; what is pushed later is one commit ahead.
    must_run(&mut project.push_command(&["--quiet", "origin", "main"]));
    sync_refs(sandbox, &project, false);
    branches(sandbox, &project, &project.head());
    must_run(&mut project.push_command(&["--quiet", "origin", "refs/heads/many/*"]));
    let next = project.commit("next");
    branches(sandbox, &project, &next);
    for place in [&project.work, &project.bare] {
        sandbox.git(place, &["pack-refs", "--all"]);
    }
    sync_refs(sandbox, &project, true);
    quiet(sandbox);
    Ok(project)
}

/// A project in which nothing runs before a push.
pub(crate) fn bare_of_hooks<'a>(sandbox: &'a Sandbox, name: &str, config: &str) -> Project<'a> {
    let project = sandbox.project_named(name, config);
    must_succeed(&project.afterpush(&["uninstall"]));
    project.git(&["config", "gc.auto", "0"]);
    project
}

/// Installs a manager with a job that does nothing, after a proof that the job runs: one that fails refuses the push.
pub(crate) fn install_manager(sandbox: &Sandbox, project: &Project<'_>, kind: Kind) -> Result<(), String> {
    let manager = Manager::get(kind, Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    // Before the manager's configuration is there: lefthook writes an example otherwise. husky needs its directory first.
    if kind == Kind::Husky {
        must_succeed(&manager.install(sandbox, &project.work));
    }
    manager.configure(&project.work, "false");
    if kind != Kind::Husky {
        must_succeed(&manager.install(sandbox, &project.work));
    }
    project.commit("a manager whose job fails");
    let said = project.push(&["origin", "main"]);
    assert_eq!(said.code, Some(1), "{} has not run its job: {said:?}", kind.name());
    manager.configure(&project.work, "true");
    project.commit("a manager whose job does nothing");
    must_succeed(&project.push(&["origin", "main"]));
    Ok(())
}

/// Lets git sync what it writes, as it does by itself, or not.
fn sync_refs(sandbox: &Sandbox, project: &Project<'_>, does: bool) {
    for place in [&project.work, &project.bare] {
        sandbox.git(place, &["config", "core.fsync", if does { "default" } else { "none" }]);
    }
}

/// Points a thousand branches at a commit.
fn branches(sandbox: &Sandbox, project: &Project<'_>, commit: &str) {
    let mut lines = String::new();
    for number in 0..REFS {
        writeln!(lines, "update refs/heads/many/{number:04} {commit}").unwrap();
    }
    let input = project.work.join(".git/lines");
    fs::write(&input, lines).unwrap();
    must_run(sandbox.command("/bin/sh", &project.work).args(["-c", "git update-ref --stdin < .git/lines"]));
}

fn print(
    what: &str,
    count: usize,
    contestants: &[(Hook, Project<'_>)],
    once: impl Fn(&Project<'_>, usize) -> Duration,
) {
    println!("{what}, {count} rounds, interleaved:");
    let times = rounds(contestants.len(), count, 2, |which, round| once(&contestants[which].1, round));
    let base = times[0].median();
    for ((hook, _), times) in contestants.iter().zip(&times) {
        line(hook.name(), times, base);
    }
    let of = |wanted: Hook| -> Option<&Times> {
        contestants.iter().position(|(hook, _)| *hook == wanted).map(|which| &times[which])
    };
    let ours = of(Hook::Afterpush).expect("afterpush itself").median();
    let added = over(ours, base);
    aim(&format!("afterpush adds at most {MOST} ms, {added:.2} ms here"), added <= MOST);
    let managers: Vec<_> = Kind::ALL.into_iter().filter_map(|kind| of(Hook::Manager(kind))).collect();
    let is_below = managers.iter().all(|manager| ours < manager.median());
    if !managers.is_empty() {
        aim(&format!("afterpush adds less than each of {} hook managers", managers.len()), is_below);
    }
}

/// Runs a command in silence; it must succeed.
pub(crate) fn must_run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

pub(crate) fn must_succeed(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// Writes a program text that can be run.
pub(crate) fn executable(path: &Path, text: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
