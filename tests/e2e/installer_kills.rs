//! The installer, killed at each of its system calls that change a file: whatever it leaves, git works, a hook that was there
//! runs, installing again completes it, and uninstalling restores what was there, byte for byte.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox, skipped};

use crate::{
    gits::{BRANCHES, HURRY, each_git, each_git_with_config_hooks, executable},
    strace::{CHANGES, STRACE},
};

/// One installer, in one situation.
struct Case<'a> {
    name: &'a str,
    project: &'a Project<'a>,
    sandbox: &'a Sandbox,
    /// What is done before each kill.
    before: &'a [&'a [&'a str]],
    /// What is killed.
    killed: &'a [&'a str],
    /// What completes it.
    install: &'a [&'a str],
    /// The hooks of the person's, which note their runs in a file of the hook's name.
    theirs: &'a [&'a str],
}

/// Every file below the places that an installer may touch.
fn files(project: &Project<'_>) -> BTreeMap<PathBuf, (Vec<u8>, u32)> {
    fn walk(place: &Path, found: &mut BTreeMap<PathBuf, (Vec<u8>, u32)>) {
        for entry in fs::read_dir(place).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.insert(path.clone(), (fs::read(&path).unwrap(), path.metadata().unwrap().permissions().mode()));
            }
        }
    }
    let mut found = BTreeMap::new();
    for name in [".git/hooks", ".husky", ".git/afterpush-husky"] {
        walk(&project.work.join(name), &mut found);
    }
    let config = project.work.join(".git/config");
    found.insert(config.clone(), (fs::read(&config).unwrap(), 0));
    found
}

impl Case<'_> {
    /// Kills it at every change; false when this machine does not allow that.
    fn run(&self) -> bool {
        let before = files(self.project);
        let mut kills = 0;
        for call in CHANGES {
            for number in 1.. {
                for arguments in self.before {
                    self.does(arguments);
                }
                let mut command = self.sandbox.command(STRACE, &self.project.work);
                let inject = format!("--inject=?{call}:signal=KILL:when={number}");
                command.args(["-qq", "-o", "/dev/null", &inject, "--"]).arg(self.sandbox.program("afterpush"));
                let said = Said::of(command.args(self.killed));
                if said.code.is_some() {
                    if said.stderr.contains("ptrace") || said.stderr.contains("PTRACE") {
                        return false;
                    }
                    assert_eq!(said.code, Some(0), "{}: {said:?}", self.name);
                } else {
                    kills += 1;
                }
                let what = format!("{}, killed at {call} {number}", self.name);
                self.git_works(&what);
                self.does(self.install);
                self.git_works(&format!("{what}, installed again"));
                assert_eq!(self.project.runs(&self.project.head()).len(), 1, "{what}: the push is watched");
                self.does(&["uninstall"]);
                assert_eq!(files(self.project), before, "{what}: uninstalled");
                if said.code.is_some() {
                    break;
                }
            }
        }
        assert!(kills >= 4, "{}: killed {kills} times only", self.name);
        true
    }

    fn does(&self, arguments: &[&str]) {
        let said = self.project.afterpush(arguments);
        assert_eq!(said.code, Some(0), "{}: {arguments:?}: {said:?}", self.name);
    }

    fn git_works(&self, what: &str) {
        let note = |name: &str| self.sandbox.path().join(name);
        self.theirs.iter().for_each(|name| drop(fs::remove_file(note(name))));
        let commit = self.project.commit(what);
        let said = self.project.push(&["--quiet", "origin", "main"]);
        assert_eq!(said.code, Some(0), "{what}: {said:?}");
        assert_eq!(self.sandbox.git(&self.project.bare, &["rev-parse", "main"]), commit, "{what}");
        for name in self.theirs {
            assert!(note(name).exists(), "{what}: the person's {name} did not run");
        }
    }
}

/// A project in which afterpush is not installed.
fn project(sandbox: &Sandbox) -> Project<'_> {
    sandbox.user_config(HURRY);
    let project = sandbox.project(BRANCHES);
    assert_eq!(project.afterpush(&["uninstall"]).code, Some(0));
    project
}

/// A hook of the person's, which notes that it ran.
fn theirs(sandbox: &Sandbox, path: &Path) {
    let name = path.file_name().unwrap().to_str().unwrap();
    executable(path, &format!(": >'{}/{name}'", sandbox.path().display()));
}

fn can_kill(test: &str) -> bool {
    let is_there = Path::new(STRACE).exists();
    if !is_there {
        skipped(test, "strace is not installed");
    }
    is_there
}

fn check(test: &str, cases: &[Case<'_>]) {
    if !cases.iter().all(Case::run) {
        skipped(test, "strace cannot trace here");
    }
}

#[test]
fn a_killed_installer_leaves_a_repository_that_works() {
    const NAME: &str = "a_killed_installer_leaves_a_repository_that_works";
    if !can_kill(NAME) {
        return;
    }
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let (project, sandbox) = (&project, &sandbox);
    let install: &[&str] = &["install", "--strict"];
    let case = |name, before, killed| Case { name, project, sandbox, before, killed, install, theirs: &[] };
    check(NAME, &[case("install", &[], install), case("uninstall", &[install], &["uninstall"])]);
}

#[test]
fn a_killed_installer_keeps_the_hooks_that_were_there() {
    const NAME: &str = "a_killed_installer_keeps_the_hooks_that_were_there";
    if !can_kill(NAME) {
        return;
    }
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let hooks = ["pre-push", "reference-transaction"];
    for name in hooks {
        theirs(&sandbox, &project.work.join(".git/hooks").join(name));
    }
    let (project, sandbox) = (&project, &sandbox);
    let install: &[&str] = &["install", "--strict"];
    let case = |name, before, killed| Case { name, project, sandbox, before, killed, install, theirs: &hooks };
    check(NAME, &[case("install over", &[], install), case("uninstall from", &[install], &["uninstall"])]);
}

#[test]
fn a_killed_installer_keeps_the_file_that_husky_runs() {
    const NAME: &str = "a_killed_installer_keeps_the_file_that_husky_runs";
    if !can_kill(NAME) {
        return;
    }
    let has_run = Cell::new(false);
    each_git(|scene| {
        // A newer git needs no line in the file.
        if has_run.get() || scene.runs_config_hooks() {
            return;
        }
        has_run.set(true);
        let sandbox = &scene.sandbox;
        let project = &project(sandbox);
        let husky = project.work.join(".husky");
        fs::create_dir_all(husky.join("_")).unwrap();
        // As husky 9 does it.
        let wrapper = "s=$(dirname \"$(dirname \"$0\")\")/pre-push\n[ -f \"$s\" ] || exit 0\nsh -e \"$s\" \"$@\"";
        executable(&husky.join("_/pre-push"), wrapper);
        fs::write(husky.join("_/.gitignore"), "*").unwrap();
        fs::write(project.work.join(".gitignore"), ".husky\n").unwrap();
        project.git(&["config", "core.hooksPath", ".husky/_"]);
        theirs(sandbox, &husky.join("pre-push"));
        let install: &[&str] = &["install"];
        let case =
            |name, before, killed| Case { name, project, sandbox, before, killed, install, theirs: &["pre-push"] };
        check(NAME, &[case("husky", &[], install), case("husky, back", &[install], &["uninstall"])]);
    });
    if !has_run.get() {
        skipped(NAME, "every git here runs hooks from its configuration");
    }
}

#[test]
fn a_killed_installer_leaves_a_configuration_that_works() {
    const NAME: &str = "a_killed_installer_leaves_a_configuration_that_works";
    if !can_kill(NAME) {
        return;
    }
    each_git_with_config_hooks(NAME, |scene| {
        let sandbox = &scene.sandbox;
        let project = &project(sandbox);
        let install: &[&str] = &["install", "--config-hook"];
        let case = |name, before, killed| Case { name, project, sandbox, before, killed, install, theirs: &[] };
        check(NAME, &[case("entry", &[], install), case("no entry", &[install], &["uninstall"])]);
    });
}
