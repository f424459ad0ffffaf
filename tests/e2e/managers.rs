//! Hook managers, the real ones from their packages: with each, a push is watched, the manager's own job still refuses, what
//! the manager writes anew is told by `doctor` and mended by `install`, and `uninstall` restores what the manager wrote.

use std::{fs, path::Path};

use afterpush_testkit::{
    managers::{Kind, Manager},
    sandbox::{Project, Sandbox, skipped},
};

use crate::gits::{BRANCHES, HURRY};

/// The manager, with its packages kept among cargo's files.
fn manager(kind: Kind) -> Result<Manager, String> {
    Manager::get(kind, Path::new(env!("CARGO_TARGET_TMPDIR")))
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

/// A manager that owns `.git/hooks/pre-push`.
fn shares_the_hook(test: &str, kind: Kind) {
    let installer = match manager(kind) {
        Ok(manager) => manager,
        Err(why) => return skipped(test, &why),
    };
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let (name, sandbox, project) = (kind.name(), &sandbox, &project);
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
    shares_the_hook("lefthook_and_afterpush_share_the_hook", Kind::Lefthook);
}

#[test]
fn pre_commit_and_afterpush_share_the_hook() {
    shares_the_hook("pre_commit_and_afterpush_share_the_hook", Kind::PreCommit);
}

#[test]
fn prek_and_afterpush_share_the_hook() {
    shares_the_hook("prek_and_afterpush_share_the_hook", Kind::Prek);
}

#[test]
fn husky_runs_afterpush_after_the_person_s_own_script() {
    const NAME: &str = "husky_runs_afterpush_after_the_person_s_own_script";
    let manager = match manager(Kind::Husky) {
        Ok(manager) => manager,
        Err(why) => return skipped(NAME, &why),
    };
    let sandbox = Sandbox::new();
    let project = project(&sandbox);
    let husky = || {
        let said = manager.install(&sandbox, &project.work);
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
