//! Hook managers, the real ones from their packages: with each, a push is watched, the manager's own job still refuses, what
//! the manager writes anew is told by `doctor` and mended by `install`, and `uninstall` restores what the manager wrote.

use std::{fs, path::Path};

use afterpush_testkit::{
    managers::{Kind, Manager},
    sandbox::{Project, Said, Sandbox, skipped},
};

use crate::gits::{BRANCHES, HURRY, each_git, executable};

/// The manager, with its packages kept among cargo's files.
fn manager(kind: Kind) -> Result<Manager, String> {
    Manager::get(kind, Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// A project in which afterpush is not installed, and a job for its manager, which notes its run and refuses on request.
fn project(sandbox: &Sandbox) -> Project<'_> {
    sandbox.user_config(HURRY);
    let project = sandbox.project(BRANCHES);
    assert_eq!(project.afterpush(&["uninstall"]).code, Some(0));
    let job = format!(
        "{{ echo \"$#:$*\"; echo \"${{PRE_COMMIT_REMOTE_BRANCH-}}\"; cat; }} > '{0}/given'\necho ran >> '{0}/ran'\n\
         [ ! -e '{0}/refuse' ]\n",
        sandbox.path().display()
    );
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

/// Where our shim can be.
const SHIMS: [&str; 5] = [
    ".git/hooks/pre-push",
    ".git/hooks/pre-push.legacy",
    ".git/afterpush-husky/pre-push",
    "sub/.husky/pre-push",
    ".husky/pre-push",
];

/// Pushes, and shows what ours and the manager's job were given: ours always git's own words; the job what its manager hands
/// on, which is git's two arguments or `none`, git's lines or none, or the ref in a variable.
fn all_are_given(what: &str, sandbox: &Sandbox, project: &Project<'_>, job_gets: Gets) {
    let path = SHIMS
        .map(|name| project.work.join(name))
        .into_iter()
        .find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("# afterpush shim ")));
    let path = path.unwrap_or_else(|| panic!("{what}: no shim"));
    let shim = fs::read_to_string(&path).unwrap();
    let (ours, noted) = (sandbox.path().join("ours"), sandbox.path().join("noted"));
    executable(&ours, &format!("shift; shift; {{ echo \"$#:$*\"; cat; }} >'{}'", noted.display()));
    let line = shim.lines().find(|line| line.starts_with("hook=")).unwrap();
    // In place, so that its mode stays.
    fs::write(&path, shim.replace(line, &format!("hook='{}'", ours.display()))).unwrap();
    let previous = project.git(&["rev-parse", "origin/main"]);
    project.git(&["commit", "--quiet", "--allow-empty", "-m", what]);
    let commit = project.head();
    let said = project.push(&["origin", "main"]);
    assert_eq!(said.code, Some(0), "{what}: {said:?}");
    fs::write(&path, shim).unwrap();
    let arguments = format!("2:origin {}\n", project.bare.display());
    let lines = format!("refs/heads/main {commit} refs/heads/main {previous}\n");
    assert_eq!(fs::read_to_string(noted).unwrap_or_default(), format!("{arguments}{lines}"), "{what}: ours");
    let given = fs::read_to_string(sandbox.path().join("given")).unwrap();
    let expected = match job_gets {
        Gets::Everything => format!("{arguments}\n{lines}"),
        Gets::Nothing => "0:\n\n".to_owned(),
        Gets::Variables => "0:\nrefs/heads/main\n".to_owned(),
    };
    assert_eq!(given, expected, "{what}: the manager's job");
}

/// What a manager hands on to its jobs.
#[derive(Clone, Copy)]
enum Gets {
    /// Arguments and input.
    Everything,
    /// Neither.
    Nothing,
    /// Variables.
    Variables,
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

/// A manager that owns `.git/hooks/pre-push`.
fn shares_the_hook(test: &str, kind: Kind, gets: Gets) {
    match manager(kind) {
        Ok(manager) => each_git(|scene| shares_it(&manager, &scene.sandbox, gets)),
        Err(why) => skipped(test, &why),
    }
}

fn shares_it(installer: &Manager, sandbox: &Sandbox, gets: Gets) {
    let (name, project) = (installer.kind().name(), &project(sandbox));
    installer.configure(&project.work, &format!("sh {}", sandbox.path().join("job.sh").display()));
    let hooks = project.work.join(".git/hooks");
    let manager = || {
        let said = installer.install(sandbox, &project.work);
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
    all_are_given(&format!("{name} first"), sandbox, project, gets);
    project.afterpush(&["uninstall"]);
    assert_eq!(fs::read(hooks.join("pre-push")).unwrap(), before, "{name}");
    is_installed(name, project);

    // The manager writes its hook anew, over ours: twice, for what the first time leaves behind.
    for round in ["again", "once more"] {
        manager();
        is_installed(name, project);
        push_is_watched(&format!("{name} {round}"), sandbox, project);
        all_are_given(&format!("{name} {round}"), sandbox, project, gets);
    }
    project.afterpush(&["uninstall"]);
    assert_eq!(fs::read(hooks.join("pre-push")).unwrap(), before, "{name}");
    let left = fs::read_dir(&hooks).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = left.filter(|file| !file.ends_with(".sample") && file != "pre-push").collect();
    assert!(!left.iter().any(|file| file.starts_with("pre-push")), "{name}: {left:?}");
}

#[test]
fn lefthook_and_afterpush_share_the_hook() {
    shares_the_hook("lefthook_and_afterpush_share_the_hook", Kind::Lefthook, Gets::Nothing);
}

#[test]
fn pre_commit_and_afterpush_share_the_hook() {
    shares_the_hook("pre_commit_and_afterpush_share_the_hook", Kind::PreCommit, Gets::Variables);
}

#[test]
fn prek_and_afterpush_share_the_hook() {
    shares_the_hook("prek_and_afterpush_share_the_hook", Kind::Prek, Gets::Variables);
}

/// The person's own script, run by husky 9 from this directory of the project.
fn husky_9(manager: &Manager, sandbox: &Sandbox, directory: &str) {
    let project = project(sandbox);
    let home = project.work.join(directory);
    fs::create_dir_all(&home).unwrap();
    let husky = || {
        // As its documentation has it for a package in a sub-directory: from the root.
        let said = Said::of(manager.command(sandbox, &project.work).arg(Path::new(directory).join(".husky")));
        assert_eq!(said.code, Some(0), "{said:?}");
    };
    husky();
    let script = home.join(".husky/pre-push");
    let theirs = format!(". {}\nexit 0", sandbox.path().join("job.sh").display());
    fs::write(&script, &theirs).unwrap();
    assert_eq!(hook_check(&project)["ok"], false);
    is_installed("husky", &project);
    let is_by_line = fs::read_to_string(&script).unwrap() != theirs;
    push_is_watched("husky", sandbox, &project);
    if is_by_line {
        all_are_given("husky", sandbox, &project, Gets::Everything);
    }
    // `npm install` runs husky again.
    husky();
    assert_eq!(hook_check(&project)["ok"], true);
    push_is_watched("husky again", sandbox, &project);
    // Strict mode's hook stands among husky's wrappers, and stays when husky writes those anew.
    let said = project.afterpush(&["install", "--strict"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    husky();
    let commit = project.commit("without pre-push");
    let said = project.push(&["--no-verify", "origin", "main"]);
    assert_eq!((said.code, project.runs(&commit).len()), (Some(0), 1), "{said:?}");
    // A fresh clone, in which nobody has run husky yet.
    fs::remove_dir_all(home.join(".husky/_")).unwrap();
    if is_by_line {
        let check = hook_check(&project);
        assert!(check["ok"] == false && check["hint"].as_str().unwrap().contains("npm install"), "{check}");
    }
    project.afterpush(&["uninstall"]);
    assert_eq!(fs::read_to_string(&script).unwrap(), theirs);
}

fn with_husky(test: &str, kind: Kind, check: impl Fn(&Manager, &Sandbox, bool)) {
    match manager(kind) {
        Ok(manager) => each_git(|scene| check(&manager, &scene.sandbox, scene.runs_config_hooks())),
        Err(why) => skipped(test, &why),
    }
}

#[test]
fn husky_runs_afterpush_after_the_person_s_own_script() {
    const NAME: &str = "husky_runs_afterpush_after_the_person_s_own_script";
    with_husky(NAME, Kind::Husky, |manager, sandbox, _| husky_9(manager, sandbox, ""));
}

#[test]
fn husky_in_a_sub_directory_of_the_repository_does_too() {
    const NAME: &str = "husky_in_a_sub_directory_of_the_repository_does_too";
    with_husky(NAME, Kind::Husky, |manager, sandbox, _| husky_9(manager, sandbox, "sub"));
}

#[test]
fn husky_8_keeps_its_scripts_where_git_looks_for_hooks() {
    const NAME: &str = "husky_8_keeps_its_scripts_where_git_looks_for_hooks";
    with_husky(NAME, Kind::Husky8, |manager, sandbox, runs_config_hooks| {
        let project = project(sandbox);
        let husky = |arguments: &[&str]| {
            let said = Said::of(manager.command(sandbox, &project.work).args(arguments));
            assert_eq!(said.code, Some(0), "{said:?}");
        };
        husky(&["install"]);
        let job = format!(". {}", sandbox.path().join("job.sh").display());
        husky(&["add", ".husky/pre-push", &job]);
        let script = project.work.join(".husky/pre-push");
        let theirs = fs::read(&script).unwrap();
        project.commit("with husky");
        let said = project.afterpush(&["install"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let is_replaced = fs::read(&script).unwrap() != theirs;
        assert_eq!(is_replaced, !runs_config_hooks, "{said:?}");
        assert_eq!(said.stdout.contains("do not commit it"), is_replaced, "{said:?}");
        assert_eq!(hook_check(&project)["ok"], true);
        if is_replaced {
            // Not committed by what follows, as a person would take care.
            project.git(&["update-index", "--assume-unchanged", ".husky/pre-push"]);
            fs::write(project.work.join(".git/info/exclude"), "*.afterpush-chained\n").unwrap();
        }
        push_is_watched("husky 8", sandbox, &project);
        if is_replaced {
            all_are_given("husky 8", sandbox, &project, Gets::Everything);
        }
        assert_eq!(project.afterpush(&["uninstall"]).code, Some(0));
        assert_eq!(fs::read(&script).unwrap(), theirs);
    });
}
