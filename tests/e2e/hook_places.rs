//! Repositories whose hooks run elsewhere than in `.git/hooks` of their work tree.

use std::{fs, path::Path};

use afterpush_testkit::sandbox::{Said, Sandbox};

use crate::gits::{BRANCHES, End::Reflog, HURRY, each_git};

const MAIN: &str = "refs/heads/main";

fn hook_check(sandbox: &Sandbox, directory: &Path) -> serde_json::Value {
    let document = sandbox.afterpush(directory, &["doctor", "--json"]).json();
    let checks = document["checks"].as_array().unwrap().clone();
    checks.into_iter().find(|check| check["name"] == "hook").unwrap()
}

#[test]
fn a_submodule_has_hooks_of_its_own() {
    each_git(|scene| {
        let sandbox = &scene.sandbox;
        // The user's, because what is added to the outer repository is none of the inner one's files.
        sandbox.user_config(&(HURRY.to_owned() + BRANCHES));
        let inner = sandbox.project_named("inner", "");
        inner.git(&["push", "--quiet", "--no-verify", "origin", "main"]);
        let outer = sandbox.project_named("outer", "");
        let add = [
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            inner.bare.to_str().unwrap(),
            "lib/inner",
        ];
        outer.git(&add);
        outer.commit("with a submodule");
        let place = outer.work.join("lib/inner");
        let said = sandbox.afterpush(&place, &["install", "--strict"]);
        let hooks = outer.work.join(".git/modules/lib/inner/hooks");
        assert!(said.code == Some(0) && hooks.join("pre-push").exists(), "{said:?}");
        assert!(hooks.join("reference-transaction").exists(), "{said:?}");
        assert_eq!(hook_check(sandbox, &place)["ok"], true);
        let commit = scene.commit(&place, "in the submodule");
        scene.push("in the submodule", &place, &["origin", "HEAD:main"], 0, &[(&commit, MAIN, Reflog)]);
        let commit = scene.commit(&place, "without pre-push");
        let arguments = ["--no-verify", "origin", "HEAD:main"];
        scene.push("without pre-push", &place, &arguments, 0, &[(&commit, MAIN, Reflog)]);
        // From the outer repository, which has its own.
        sandbox.git(&place, &["checkout", "--quiet", "-B", "main", "--track", "origin/main"]);
        let inside = scene.commit(&place, "pushed from outside");
        let outside = outer.commit("and this");
        let arguments = ["push", "--quiet", "--recurse-submodules=on-demand", "origin", "main"];
        let said = Said::of(sandbox.command(sandbox.git_program(), &outer.work).args(arguments));
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!((outer.runs(&inside).len(), outer.runs(&outside).len()), (1, 1), "{said:?}");
        let said = sandbox.afterpush(&place, &["uninstall"]);
        assert!(said.code == Some(0) && !hooks.join("pre-push").exists(), "{said:?}");
        assert!(!hooks.join("reference-transaction").exists() && outer.work.join(".git/hooks/pre-push").exists());
    });
}

#[test]
fn a_linked_work_tree_without_the_hooks_directory_is_told_so() {
    each_git(|scene| {
        let sandbox = &scene.sandbox;
        let project = scene.project();
        project.afterpush(&["uninstall"]);
        project.git(&["config", "core.hooksPath", ".githooks"]);
        fs::write(project.work.join(".gitignore"), ".githooks\n").unwrap();
        let said = project.afterpush(&["install"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let commit = project.commit("in the main work tree");
        scene.push("in the main work tree", &project.work, &["origin", "main"], 0, &[(&commit, MAIN, Reflog)]);
        let linked = sandbox.path().join("linked");
        project.git(&["worktree", "add", "--quiet", "-b", "topic", linked.to_str().unwrap()]);
        let topic = "refs/heads/topic";
        let commit = scene.commit(&linked, "in the linked one");
        scene.push("in the linked one", &linked, &["origin", "topic"], 0, &[]);
        assert!(project.runs(&commit).is_empty());
        let check = hook_check(sandbox, &linked);
        let said = check["message"].as_str().unwrap();
        assert!(check["ok"] == false && said.contains("no hook runs here"), "{check}");
        assert!(said.contains(linked.join(".githooks").to_str().unwrap()), "{check}");
        assert!(check["hint"].as_str().unwrap().contains("absolute path"), "{check}");
        assert_eq!(hook_check(sandbox, &project.work)["ok"], true);
        // What it says helps.
        let said = sandbox.afterpush(&linked, &["install"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let commit = scene.commit(&linked, "again");
        scene.push("again", &linked, &["origin", "topic"], 0, &[(&commit, topic, Reflog)]);
    });
}
