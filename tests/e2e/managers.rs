//! Hook managers, the real ones from their packages: with each, a push is watched, the manager's own job still refuses, what
//! the manager writes anew is told by `doctor` and mended by `install`, and `uninstall` restores what the manager wrote.

use std::{
    fs,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox, skipped};

use crate::gits::{BRANCHES, HURRY};

/// From the registry of npm.
const FROM_NPM: [&str; 2] = ["husky@9.1.7", "lefthook@2.2.2"];
/// From the Python Package Index.
const FROM_PYPI: [&str; 2] = ["pre-commit>=4,<5", "prek"];

/// Installs packages once for all runs of the tests; says why it could not.
fn installed(name: &str, install: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("managers");
    fs::create_dir_all(&cache).unwrap();
    let lock = File::create(cache.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let (place, whole) = (cache.join(name), cache.join(format!("{name}.whole")));
    if !whole.exists() {
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        install(&place)?;
        fs::write(whole, "").unwrap();
    }
    Ok(place)
}

fn run(program: impl AsRef<Path>, directory: &Path, arguments: &[&str]) -> Result<(), String> {
    let program = program.as_ref();
    match Command::new(program).args(arguments).current_dir(directory).output() {
        Ok(answer) if answer.status.success() => Ok(()),
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer.stderr);
            Err(format!("{} failed: {}", program.display(), text.lines().last().unwrap_or_default()))
        }
        Err(error) => Err(format!("{} cannot be run: {error}", program.display())),
    }
}

fn from_npm() -> Result<PathBuf, String> {
    static PLACE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let install = |place: &Path| {
        fs::write(place.join("package.json"), "{}").unwrap();
        run("npm", place, &[&["install", "--no-audit", "--no-fund", "--ignore-scripts"], &FROM_NPM[..]].concat())
    };
    PLACE.get_or_init(|| installed("npm", install)).clone()
}

fn from_pypi() -> Result<PathBuf, String> {
    static PLACE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let install = |place: &Path| {
        run("python3", place, &["-m", "venv", "."])?;
        run(place.join("bin/pip"), place, &[&["install", "--quiet"], &FROM_PYPI[..]].concat())
    };
    PLACE.get_or_init(|| installed("pypi", install)).clone()
}

/// A project in which afterpush is not installed, and a job for its manager, which notes its run and refuses on request.
fn project(sandbox: &Sandbox) -> Project<'_> {
    sandbox.user_config(HURRY);
    let project = sandbox.project(BRANCHES);
    assert_eq!(project.afterpush(&["uninstall"]).code, Some(0));
    let job = format!("echo ran >> '{0}/ran'\n[ ! -e '{0}/refuse' ]\n", sandbox.path().display());
    fs::write(sandbox.path().join("job.sh"), job).unwrap();
    project
}

/// The person pushes, and is told that it is watched; the manager's job runs once, and it can refuse.
fn push_is_watched(what: &str, sandbox: &Sandbox, project: &Project<'_>) {
    let (ran, refuse) = (sandbox.path().join("ran"), sandbox.path().join("refuse"));
    let _ = fs::remove_file(&ran);
    let commit = project.commit(&format!("{what}: watched"));
    let said = project.push(&["origin", "main"]);
    assert_eq!(said.code, Some(0), "{what}: {said:?}");
    assert_eq!(fs::read_to_string(&ran).unwrap_or_default(), "ran\n", "{what}: {said:?}");
    assert_eq!(project.runs(&commit).len(), 1, "{what}: {said:?}");
    assert_eq!(project.result(&commit)["outcome"], "unverified", "{what}");

    fs::write(&refuse, "").unwrap();
    let commit = project.commit(&format!("{what}: refused"));
    let said = project.push(&["origin", "main"]);
    assert_eq!(said.code, Some(1), "{what}: {said:?}");
    assert!(project.git(&["ls-remote", "origin", "main"]).split('\t').next() != Some(commit.as_str()), "{what}");
    fs::remove_file(&refuse).unwrap();
}

fn hook_check(project: &Project<'_>) -> serde_json::Value {
    let document = project.afterpush(&["doctor", "--json"]).json();
    let checks = document["checks"].as_array().unwrap().clone();
    checks.into_iter().find(|check| check["name"] == "hook").unwrap()
}

fn is_installed(what: &str, project: &Project<'_>) {
    let said = project.afterpush(&["install"]);
    assert_eq!(said.code, Some(0), "{what}: {said:?}");
    let check = hook_check(project);
    assert_eq!(check["ok"], true, "{what}: {check}");
}

/// A manager that owns `.git/hooks/pre-push`; `manager` installs it.
fn shares_the_hook(name: &str, sandbox: &Sandbox, project: &Project<'_>, manager: impl Fn() -> Said) {
    let hooks = project.work.join(".git/hooks");
    let manager = || {
        let said = manager();
        assert_eq!(said.code, Some(0), "{name}: {said:?}");
    };
    // The manager first.
    manager();
    let before = fs::read(hooks.join("pre-push")).unwrap();
    let check = hook_check(project);
    assert!(check["ok"] == false && check["message"].as_str().unwrap().contains(name), "{check}");
    is_installed(name, project);
    assert!(hook_check(project)["message"].as_str().unwrap().contains(name));
    push_is_watched(&format!("{name} first"), sandbox, project);
    project.afterpush(&["uninstall"]);
    assert_eq!(fs::read(hooks.join("pre-push")).unwrap(), before, "{name}");
    is_installed(name, project);

    // The manager writes its hook anew, over ours: twice, for what the first time leaves behind.
    for round in ["again", "once more"] {
        manager();
        is_installed(name, project);
        push_is_watched(&format!("{name} {round}"), sandbox, project);
    }
    project.afterpush(&["uninstall"]);
    assert_eq!(fs::read(hooks.join("pre-push")).unwrap(), before, "{name}");
    let left = fs::read_dir(&hooks).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = left.filter(|file| !file.ends_with(".sample") && file != "pre-push").collect();
    assert!(!left.iter().any(|file| file.starts_with("pre-push")), "{name}: {left:?}");
}

#[test]
fn lefthook_and_afterpush_share_the_hook() {
    let place = match from_npm() {
        Ok(place) => place,
        Err(why) => return skipped("lefthook_and_afterpush_share_the_hook", &why),
    };
    let programs =
        fs::read_dir(place.join("node_modules")).unwrap().map(|entry| entry.unwrap().path().join("bin/lefthook"));
    let Some(program) = programs.into_iter().find(|path| path.exists()) else {
        return skipped("lefthook_and_afterpush_share_the_hook", "its package has no program for this machine");
    };
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let job = sandbox.path().join("job.sh");
    let text = format!("pre-push:\n  jobs:\n    - run: sh {}\n", job.display());
    fs::write(project.work.join("lefthook.yml"), text).unwrap();
    shares_the_hook("lefthook", &sandbox, &project, || {
        Said::of(sandbox.command(&program, &project.work).arg("install"))
    });
}

fn share_with_python(test: &str, name: &str) {
    let place = match from_pypi() {
        Ok(place) => place,
        Err(why) => return skipped(test, &why),
    };
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let text = format!(
        "repos:\n- repo: local\n  hooks:\n  - id: job\n    name: job\n    entry: sh {}\n    language: system\n    \
         always_run: true\n    pass_filenames: false\n    stages: [pre-push]\n",
        sandbox.path().join("job.sh").display()
    );
    fs::write(project.work.join(".pre-commit-config.yaml"), text).unwrap();
    shares_the_hook(name, &sandbox, &project, || {
        let program = place.join("bin").join(name);
        Said::of(sandbox.command(program, &project.work).args(["install", "--hook-type", "pre-push"]))
    });
}

#[test]
fn pre_commit_and_afterpush_share_the_hook() {
    share_with_python("pre_commit_and_afterpush_share_the_hook", "pre-commit");
}

#[test]
fn prek_and_afterpush_share_the_hook() {
    share_with_python("prek_and_afterpush_share_the_hook", "prek");
}

#[test]
fn husky_runs_afterpush_after_the_person_s_own_script() {
    const NAME: &str = "husky_runs_afterpush_after_the_person_s_own_script";
    let place = match from_npm() {
        Ok(place) => place,
        Err(why) => return skipped(NAME, &why),
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(node) = std::env::split_paths(&path).map(|place| place.join("node")).find(|path| path.exists()) else {
        return skipped(NAME, "node is not in the path");
    };
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let husky = || {
        let program = place.join("node_modules/husky/bin.js");
        let said = Said::of(sandbox.command(&node, &project.work).arg(program));
        assert_eq!(said.code, Some(0), "{said:?}");
    };
    husky();
    let script = project.work.join(".husky/pre-push");
    let theirs = format!("cat > /dev/null\n. {}\nexit 0", sandbox.path().join("job.sh").display());
    fs::write(&script, &theirs).unwrap();
    assert_eq!(hook_check(&project)["ok"], false);
    is_installed("husky", &project);
    push_is_watched("husky", &sandbox, &project);
    // `npm install` runs husky again.
    husky();
    assert_eq!(hook_check(&project)["ok"], true);
    push_is_watched("husky again", &sandbox, &project);
    // A fresh clone, in which nobody has run husky yet.
    fs::remove_dir_all(project.work.join(".husky/_")).unwrap();
    let check = hook_check(&project);
    assert!(check["ok"] == false && check["hint"].as_str().unwrap().contains("npm install"), "{check}");
    project.afterpush(&["uninstall"]);
    assert_eq!(fs::read_to_string(&script).unwrap(), theirs);
}
