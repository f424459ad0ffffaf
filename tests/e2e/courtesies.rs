//! What is said before a push goes out, and that only the user's own file keeps it from going.

use std::{fs, os::unix::fs::PermissionsExt};

use afterpush_testkit::sandbox::{Project, Said, Sandbox};

use crate::scene::{SHORT, Scene, TARGET};

const TARGETS: &str = "[[target]]\nname = \"web\"\nbranch = \"main\"\n";

fn at_remote(sandbox: &Sandbox, project: &Project<'_>, branch: &str) -> bool {
    sandbox.try_git(&project.bare, &["rev-parse", "--verify", "--quiet", branch]).code == Some(0)
}

#[test]
fn a_branch_name_outside_the_pattern_warns_and_refuses_only_by_the_users_own_file() {
    let sandbox = Sandbox::new();
    let rules = "[before_push]\nbranch_names = [\"feature/*\"]\nbranch_name = \"refuse\"\n";
    let project = sandbox.project(&format!("{TARGETS}{rules}"));
    assert_eq!(project.push(&["origin", "main"]).code, Some(0), "direct pushes to main stay allowed");
    let said = project.push(&["origin", "HEAD:refs/heads/odd"]);
    assert_eq!(said.code, Some(0), "the repository's file only warns: {said:?}");
    assert!(said.stderr.contains("afterpush: the branch name odd is none of feature/*"), "{said:?}");
    let said = project.push(&["origin", "HEAD:refs/heads/feature/x"]);
    assert!(said.code == Some(0) && !said.stderr.contains("branch name"), "{said:?}");
    sandbox.user_config(rules);
    let said = project.push(&["origin", "HEAD:refs/heads/odd2"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("push refused") && said.stderr.contains("AFTERPUSH_SKIP=1"), "{said:?}");
    assert!(!at_remote(&sandbox, &project, "odd2"));
    let skipped = Said::of(project.push_command(&["origin", "HEAD:refs/heads/odd2"]).env("AFTERPUSH_SKIP", "1"));
    assert!(skipped.code == Some(0) && at_remote(&sandbox, &project, "odd2"), "{skipped:?}");
    assert_eq!(project.push(&["--no-verify", "origin", "HEAD:refs/heads/odd3"]).code, Some(0));
}

#[test]
fn a_branch_behind_its_upstream_is_told_from_what_is_known_here() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(TARGETS);
    assert_eq!(project.push(&["-u", "origin", "main"]).code, Some(0));
    project.git(&["checkout", "--quiet", "-b", "side", "--track", "origin/main"]);
    project.git(&["checkout", "--quiet", "main"]);
    project.commit("second");
    let said = project.push(&["origin", "main"]);
    assert!(said.code == Some(0) && !said.stderr.contains("behind"), "{said:?}");
    project.git(&["checkout", "--quiet", "side"]);
    project.commit("beside");
    let said = project.push(&["origin", "side"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("afterpush: side is 1 commit behind origin/main"), "{said:?}");
    sandbox.user_config("[before_push]\nbehind = \"refuse\"\n");
    project.commit("more");
    let said = project.push(&["origin", "side"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let tip = project.head();
    assert_ne!(sandbox.git(&project.bare, &["rev-parse", "side"]), tip);
    project.git(&["rebase", "--quiet", "-X", "theirs", "origin/main"]);
    assert_eq!(project.push(&["--force", "origin", "side"]).code, Some(0), "what was asked for is done");
    sandbox.user_config("[before_push]\nbehind = \"off\"\n");
    project.git(&["reset", "--quiet", "--hard", &tip]);
    let said = project.push(&["--force", "origin", "side"]);
    assert!(said.code == Some(0) && !said.stderr.contains("behind"), "{said:?}");
}

#[test]
fn a_push_onto_one_that_is_still_being_deployed_is_told() {
    let Scene { simulator: _simulator, sandbox, .. } = Scene::with_token(SHORT);
    let project = sandbox.project(TARGET);
    let first = project.push(&["origin", "main"]);
    assert!(!first.stderr.contains("still being deployed"), "{first:?}");
    let commit = project.head();
    project.status(&commit, "awaiting", |status| status["phase"] == "awaiting_deployment");
    project.commit("second");
    let said = project.push(&["origin", "main"]);
    let line = format!("afterpush: the last push of main ({}) is still being deployed", &commit[..7]);
    assert!(said.code == Some(0) && said.stderr.contains(&line), "{said:?}");
}

#[test]
fn a_hook_that_breaks_never_refuses_whatever_its_exit_code_is() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(TARGETS);
    let shim = project.work.join(".git/hooks/pre-push");
    let text = fs::read_to_string(&shim).unwrap();
    let fake = sandbox.path().join("fake-hook");
    let line = text.lines().find(|line| line.starts_with("hook=")).unwrap();
    fs::write(&shim, text.replace(line, &format!("hook='{}'", fake.display()))).unwrap();
    let endings = [
        ("exit 1", 0),
        ("exit 2", 0),
        ("exit 11", 0),
        ("exit 101", 0),
        ("exit 126", 0),
        ("exit 127", 0),
        ("kill -9 $$", 0),
        ("kill -6 $$", 0),
        ("kill -10 $$", 0),
        ("exit 10", 1),
    ];
    for (number, (ending, code)) in endings.into_iter().enumerate() {
        fs::write(&fake, format!("#!/bin/sh\n{ending}\n")).unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        let said = project.push(&["origin", &format!("HEAD:refs/heads/b{number}")]);
        assert_eq!(said.code, Some(code), "{ending}: {said:?}");
    }
}
