//! The hook as an entry of git's configuration, on gits that run such hooks; and what is said on gits that do not.

use std::fs;

use afterpush_testkit::sandbox::{Project, Said};

use crate::gits::{End::Reflog, Scene, each_git, each_git_with_config_hooks, executable};

const MAIN: &str = "refs/heads/main";

fn bare_of_afterpush(scene: &Scene) -> Project<'_> {
    let project = scene.project();
    assert_eq!(project.afterpush(&["uninstall"]).code, Some(0));
    project
}

fn says(project: &Project<'_>, arguments: &[&str], text: &str) {
    let said = project.afterpush(arguments);
    assert!(said.code == Some(0) && said.stdout.contains(text), "{arguments:?}: {said:?}");
}

fn hook_check(project: &Project<'_>) -> (bool, String) {
    let document = project.afterpush(&["doctor", "--json"]).json();
    let check = document["checks"].as_array().unwrap().iter().find(|check| check["name"] == "hook").unwrap().clone();
    (check["ok"] == true, check["message"].as_str().unwrap().to_owned())
}

fn config(project: &Project<'_>) -> String {
    fs::read_to_string(project.work.join(".git/config")).unwrap()
}

#[test]
fn the_entry_is_run_beside_every_hooks_directory() {
    each_git_with_config_hooks("the_entry_is_run_beside_every_hooks_directory", |scene| {
        let project = bare_of_afterpush(scene);
        let before = config(&project);
        says(&project, &["install", "--config-hook"], "installed in this repository's git configuration");
        assert!(!project.work.join(".git/hooks/pre-push").exists());
        let after = config(&project);
        says(&project, &["install", "--config-hook"], "already installed");
        says(&project, &["install"], "already installed in git's configuration");
        assert_eq!(config(&project), after);
        let (is_ok, message) = hook_check(&project);
        assert!(is_ok && message.contains("hook.afterpush"), "{message}");
        let commit = project.commit("watched");
        scene.push("by the entry", &project.work, &["origin", "main"], 0, &[(&commit, MAIN, Reflog)]);
        let commit = project.commit("no hooks directory");
        let mut command = scene.sandbox.command(scene.sandbox.git_program(), &project.work);
        command.args(["-c", "core.hooksPath=/dev/null", "push", "origin", "main"]);
        scene.run("no hooks directory", &mut command, 0, &[(&commit, MAIN, Reflog)]);
        says(&project, &["uninstall"], "uninstalled from this repository's git configuration");
        assert_eq!(config(&project), before);
        says(&project, &["uninstall"], "nothing to uninstall");
    });
}

#[test]
fn the_users_own_refusal_refuses_through_the_entry_too() {
    each_git_with_config_hooks("the_users_own_refusal_refuses_through_the_entry_too", |scene| {
        let project = bare_of_afterpush(scene);
        says(&project, &["install", "--config-hook"], "installed in this repository's git configuration");
        scene.sandbox.user_config("[before_push]\nbranch_names = [\"feature/*\"]\nbranch_name = \"refuse\"\n");
        project.commit("refused");
        let said = project.push(&["origin", "HEAD:refs/heads/odd"]);
        assert!(said.code == Some(1) && said.stderr.contains("push refused"), "{said:?}");
        let said = project.push(&["origin", "HEAD:refs/heads/feature/x"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    });
}

#[test]
fn with_the_shim_as_well_there_is_one_run() {
    each_git_with_config_hooks("with_the_shim_as_well_there_is_one_run", |scene| {
        let project = scene.project();
        says(&project, &["install", "--config-hook", "--strict"], "strict mode: installed");
        assert!(project.work.join(".git/hooks/pre-push").exists());
        let commit = project.commit("three hooks");
        scene.push("three hooks", &project.work, &["origin", "main"], 0, &[(&commit, MAIN, Reflog)]);
        says(&project, &["uninstall"], "uninstalled from");
        assert!(!project.work.join(".git/hooks/pre-push").exists());
        let commit = project.commit("none");
        scene.push("none", &project.work, &["origin", "main"], 0, &[]);
        assert!(project.runs(&commit).is_empty());
    });
}

#[test]
fn a_file_that_the_repository_tracks_stays_as_it_is() {
    each_git_with_config_hooks("a_file_that_the_repository_tracks_stays_as_it_is", |scene| {
        for place in [".githooks", ".husky/_"] {
            let project = scene.sandbox.project_named(&place.replace('/', "-"), crate::gits::BRANCHES);
            assert_eq!(project.afterpush(&["uninstall"]).code, Some(0));
            let ran = scene.sandbox.path().join("ran");
            let _ = fs::remove_file(&ran);
            fs::create_dir_all(project.work.join(place)).unwrap();
            executable(&project.work.join(place).join("pre-push"), &format!("cat >'{}'", ran.display()));
            project.git(&["config", "core.hooksPath", place]);
            let commit = project.commit("tracked hooks");
            says(&project, &["install"], "installed in this repository's git configuration");
            assert_eq!(project.git(&["status", "--porcelain"]), "", "{place}");
            scene.push(place, &project.work, &["origin", "main"], 0, &[(&commit, MAIN, Reflog)]);
            assert!(fs::read_to_string(&ran).unwrap().contains(&commit), "the other hook runs, with its input");
            assert!(hook_check(&project).0);
            says(&project, &["uninstall"], "uninstalled from this repository's git configuration");
        }
    });
}

#[test]
fn a_broken_or_half_written_entry_stops_no_push() {
    each_git_with_config_hooks("a_broken_or_half_written_entry_stops_no_push", |scene| {
        let project = bare_of_afterpush(scene);
        says(&project, &["install", "--config-hook"], "installed");
        let command = project.git(&["config", "hook.afterpush.command"]);
        let hook = scene.sandbox.program("afterpush-hook");
        let hook = hook.to_str().unwrap();
        assert!(command.contains(hook), "{command}");
        let place = scene.sandbox.path();
        executable(&place.join("failing"), "exit 1");
        executable(&place.join("killed"), "kill -9 $$");
        for name in ["failing", "killed", "missing"] {
            let other = command.replace(hook, place.join(name).to_str().unwrap());
            project.git(&["config", "hook.afterpush.command", &other]);
            let commit = project.commit(name);
            let said = project.push(&["--quiet", "origin", "main"]);
            assert_eq!(said.code, Some(0), "{name}: {said:?}");
            assert_eq!(scene.remote_has(&project, MAIN), Some(commit));
        }
        // The first half of what the installer writes.
        project.git(&["config", "--unset", "hook.afterpush.event"]);
        let commit = project.commit("half");
        scene.push("half", &project.work, &["origin", "main"], 0, &[]);
        assert_eq!(scene.remote_has(&project, MAIN), Some(commit));
        let (is_ok, message) = hook_check(&project);
        assert!(!is_ok && message.contains("incomplete"), "{message}");
        says(&project, &["install"], "installed");
        let commit = project.commit("whole");
        scene.push("whole", &project.work, &["origin", "main"], 0, &[(&commit, MAIN, Reflog)]);
    });
}

#[test]
fn a_git_that_was_killed_while_it_wrote_the_entry_is_told_of() {
    each_git_with_config_hooks("a_git_that_was_killed_while_it_wrote_the_entry_is_told_of", |scene| {
        let project = bare_of_afterpush(scene);
        let before = config(&project);
        let lock = project.work.join(".git/config.lock");
        fs::write(&lock, "half").unwrap();
        let said = project.afterpush(&["install", "--config-hook"]);
        assert!(said.code == Some(1) && said.stderr.contains("config.lock"), "{said:?}");
        assert_eq!(config(&project), before);
        project.commit("git works");
        scene.push("git works", &project.work, &["origin", "main"], 0, &[]);
        fs::remove_file(&lock).unwrap();
        says(&project, &["install", "--config-hook"], "installed in this repository's git configuration");
        fs::write(&lock, "half").unwrap();
        let said = project.afterpush(&["uninstall"]);
        assert!(said.code == Some(1) && said.stderr.contains("config.lock"), "{said:?}");
        let commit = project.commit("still watched");
        scene.push("still watched", &project.work, &["origin", "main"], 0, &[(&commit, MAIN, Reflog)]);
        fs::remove_file(&lock).unwrap();
        says(&project, &["uninstall"], "uninstalled");
        assert_eq!(config(&project), before);
    });
}

#[test]
fn an_older_git_is_not_trusted_with_it() {
    each_git(|scene| {
        let project = bare_of_afterpush(scene);
        let said: Said = project.afterpush(&["install", "--config-hook"]);
        if said.code == Some(0) {
            return;
        }
        assert!(said.stderr.contains(scene.version()) && said.stderr.contains("git 2.54 does"), "{said:?}");
        // A newer git, used before, has left one.
        project.git(&["config", "hook.afterpush.command", "exit 1"]);
        project.git(&["config", "hook.afterpush.event", "pre-push"]);
        let (is_ok, message) = hook_check(&project);
        assert!(!is_ok && message.contains("another version"), "{message}");
        says(&project, &["uninstall"], "uninstalled from this repository's git configuration");
        assert!(!config(&project).contains("afterpush"));
    });
}
