//! `afterpush push` with real git: what it does when the remote has moved, and when it has not.

use std::{fs, process::Stdio};

use afterpush_testkit::sandbox::wait_until;

use crate::{
    gits::{each_git, executable, server_hook},
    push_place::{Place, rule, write},
    scene::{SHORT, TARGET},
};

#[test]
fn a_push_that_nothing_stands_in_the_way_of_is_gits_own_and_is_watched() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[]);
        let commit = place.ours(&[("a", "1\n")]);
        let said = place.accepted(&[], &[]);
        assert!(said.stderr.contains("main -> main") && said.stderr.contains("afterpush: watching"), "{said:?}");
        assert!(said.stdout.contains(&commit[..7]), "what the status says: {said:?}");
        // Nothing can be asked about the target, so the run ends unproven: exit 1, as of status.
        let said = place.push(&["--wait"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("Everything up-to-date") && said.stdout.contains("unverified"), "{said:?}");
        assert_eq!(place.push(&["--wait", "60s", "origin", "main"]).code, Some(1));
        assert_eq!(place.push(&["--wait=60s"]).code, Some(1));
    });
}

#[test]
fn a_remote_that_moved_once_is_rebased_onto_with_what_is_uncommitted_put_back() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[("staged", "1\n"), ("changed", "1\n"), ("gone", "1\n")]);
        let ours = place.ours(&[("ours", "1\n")]);
        let theirs = place.theirs(&[("theirs", "1\n")]);
        write(&place.project.work, &[("staged", "2\n"), ("added", "1\n")]);
        place.git(&["add", "staged", "added"]);
        write(&place.project.work, &[("staged", "3\n"), ("changed", "2\n"), ("gone", ""), ("new/file", "1\n")]);
        let before = (place.git(&["diff", "--cached"]), place.git(&["diff"]), place.git(&["status", "--porcelain"]));
        let said = place.accepted(&[], &[&theirs]);
        let after = (place.git(&["diff", "--cached"]), place.git(&["diff"]), place.git(&["status", "--porcelain"]));
        assert_eq!(after, before, "{said:?}");
        assert!(place.git(&["stash", "list"]).is_empty() && place.read("new/file") == "1\n");
        let head = place.project.head();
        assert!(head != ours && said.stdout.contains(&head[..7]), "the new commit is told: {said:?}");
        assert_eq!(place.git(&["rev-list", "--count", "--merges", "HEAD"]), "0");
        assert!(said.stderr.contains("[rejected]") && said.stderr.contains("rebasing onto main of origin"), "{said:?}");
    });
}

#[test]
fn a_remote_that_moves_again_is_followed_three_times_and_no_more() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[]);
        place.ours(&[("ours", "1\n")]);
        place.theirs(&[("theirs", "1\n")]);
        place.moves_at_each_rebase(2);
        let said = place.accepted(&[], &[]);
        assert_eq!(said.stderr.matches("rebasing onto").count(), 3, "{said:?}");

        place.ours(&[("ours", "2\n")]);
        scene.sandbox.git(&place.other, &["pull", "--quiet", "--rebase"]);
        place.theirs(&[("theirs", "2\n")]);
        place.moves_at_each_rebase(99);
        write(&place.project.work, &[("untracked", "1\n"), ("file", "dirty")]);
        let said = place.leaves_all(&[], 1);
        assert_eq!(said.stderr.matches("rebasing onto").count(), 3, "{said:?}");
        assert!(said.stderr.contains("moved again, 4 times in all"), "{said:?}");
        // What was taken out again does not count as thrown away by the person.
        place.moves_at_each_rebase(0);
        place.accepted(&[], &[]);
    });
}

#[test]
fn a_server_that_refuses_is_not_asked_again() {
    each_git(|scene| {
        for hook in ["pre-receive", "update"] {
            let place = Place::new(scene, "", &[]);
            let count = scene.sandbox.path().join("count");
            let _ = fs::remove_file(&count);
            server_hook(&place.project, hook, &format!("echo x >>'{}'; exit 1", count.display()));
            place.ours(&[("a", "1\n")]);
            let said = place.leaves_all(&[], 1);
            assert!(said.stderr.contains("[remote rejected]") && !said.stderr.contains("attempt"), "{said:?}");
            assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");
        }
        // A server that refuses what was integrated: as before, too.
        let place = Place::new(scene, "", &[]);
        place.ours(&[("a", "1\n")]);
        place.theirs(&[("b", "1\n")]);
        server_hook(&place.project, "update", "exit 1");
        write(&place.project.work, &[("untracked", "1\n")]);
        place.leaves_all(&[], 1);
    });
}

#[test]
fn a_remote_that_moves_while_the_push_is_on_its_way_has_moved() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[]);
        place.ours(&[("a", "1\n")]);
        let moved = place.theirs(&[("b", "1\n")]);
        let bare = place.project.bare.to_str().unwrap();
        scene.sandbox.git(&place.project.bare, &["update-ref", "refs/heads/main", &format!("{moved}^")]);
        // After the remote has told what it has, and before it takes what comes.
        let once = scene.sandbox.path().join("once");
        let hook = format!(
            "[ -e '{0}' ] && exit 0; touch '{0}'; git --git-dir='{bare}' update-ref refs/heads/main {moved}",
            once.display()
        );
        server_hook(&place.project, "update", &format!("unset $(git rev-parse --local-env-vars)\n{hook}"));
        let said = place.accepted(&[], &[&moved]);
        assert!(said.stderr.contains("[remote rejected]"), "{said:?}");
    });
}

#[test]
fn a_local_hook_that_refuses_hands_its_exit_code_on() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[]);
        assert_eq!(place.project.afterpush(&["uninstall"]).code, Some(0));
        executable(&place.project.work.join(".git/hooks/pre-push"), "echo not today >&2; exit 1");
        place.ours(&[("a", "1\n")]);
        let said = place.leaves_all(&[], 1);
        assert!(said.stderr.contains("not today"), "{said:?}");
        let nowhere = place.push(&["/nowhere", "main"]);
        assert_eq!(nowhere.code, Some(128), "{nowhere:?}");
    });
}

#[test]
fn what_the_person_threw_away_is_not_taken_in_again() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[("a", "1\n")]);
        place.ours(&[("a", "2\n")]);
        place.accepted(&[], &[]);
        place.git(&["commit", "--quiet", "--amend", "-m", "better"]);
        let said = place.leaves_all(&[], 1);
        assert!(said.stderr.contains("afterpush push --force-with-lease origin main"), "{said:?}");
        let forced = place.push(&["origin", "+main"]);
        assert_eq!(forced.code, Some(64), "{forced:?}");
        place.accepted(&["--force-with-lease", "origin", "main"], &[]);

        // A lease that has become stale, of a branch that only went on: nobody's commit is overwritten.
        let theirs = place.theirs_on_top(&[("b", "1\n")]);
        place.ours(&[("c", "1\n")]);
        place.moves_at_each_rebase(1);
        let said = place.accepted(&["--force-with-lease"], &[&theirs]);
        // From the first refusal on nothing may be overwritten any more.
        assert_eq!(said.stderr.matches("(stale info)").count(), 1, "{said:?}");
        assert_eq!(said.stderr.matches("(fetch first)").count(), 1, "{said:?}");

        // The same with the commit given: what the person expects is not there, and no more is done.
        place.theirs_on_top(&[("b", "2\n")]);
        let expected = place.ours(&[("c", "2\n")]);
        let said = place.leaves_all(&[&format!("--force-with-lease=main:{expected}"), "origin", "main"], 1);
        assert!(said.stderr.contains("not where --force-with-lease expects it"), "{said:?}");
    });
}

#[test]
fn what_the_remote_took_back_is_not_pushed_again() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[("a", "1\n")]);
        let secret = place.theirs(&[("secret", "1\n")]);
        place.git(&["pull", "--quiet"]);
        place.ours(&[("ours", "1\n")]);
        let git = |arguments: &[&str]| scene.sandbox.git(&place.other, arguments);
        git(&["commit", "--quiet", "--amend", "-m", "without", "--allow-empty"]);
        git(&["push", "--quiet", "--force", "origin", "main"]);
        git(&["rm", "--quiet", "secret"]);
        git(&["commit", "--quiet", "--amend", "-m", "without", "--allow-empty"]);
        git(&["push", "--quiet", "--force", "origin", "main"]);
        place.accepted(&[], &[]);
        let said = scene.sandbox.try_git(&place.project.work, &["merge-base", "--is-ancestor", &secret, "HEAD"]);
        assert_eq!(said.code, Some(1), "the commit is gone for good");
        assert!(!place.project.work.join("secret").exists());
    });
}

#[test]
fn without_a_branch_or_an_upstream_the_command_is_told() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[]);
        place.git(&["switch", "--quiet", "-c", "topic"]);
        place.ours(&[("a", "1\n")]);
        let said = place.leaves_all(&[], 128);
        assert!(said.stderr.contains("afterpush push -u origin topic"), "{said:?}");
        assert_eq!(place.push(&["-u", "origin", "topic"]).code, Some(0));
        assert_eq!(place.git(&["rev-parse", "--abbrev-ref", "@{upstream}"]), "origin/topic");
        place.git(&["switch", "--quiet", "-c", "auto"]);
        place.git(&["config", "push.autoSetupRemote", "true"]);
        assert_eq!(place.push(&[]).code, Some(0));
        assert_eq!(place.git(&["rev-parse", "--abbrev-ref", "@{upstream}"]), "origin/auto");

        place.theirs(&[("b", "1\n")]);
        place.git(&["switch", "--quiet", "--detach"]);
        let said = place.push(&[]);
        assert!(said.code == Some(128) && said.stderr.contains("git switch -c <name>"), "{said:?}");
        let said = place.push(&["origin", "HEAD:refs/heads/main"]);
        assert!(said.code == Some(1) && said.stderr.contains("HEAD is on no branch"), "{said:?}");
    });
}

#[test]
fn an_operation_under_way_and_a_branch_that_is_not_checked_out_are_refused() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[("a", "1\n")]);
        place.git(&["branch", "side"]);
        place.ours(&[("a", "2\n")]);
        place.git(&["bisect", "start"]);
        let said = place.push(&[]);
        assert!(said.code == Some(1) && said.stderr.contains("git bisect reset"), "{said:?}");
        place.git(&["bisect", "reset"]);
        place.theirs(&[("b", "1\n")]);
        place.git(&["switch", "--quiet", "side"]);
        let said = place.leaves_all(&["origin", "main"], 1);
        assert!(said.stderr.contains("main is not checked out") && said.stderr.contains("git switch main"), "{said:?}");
    });
}

#[test]
fn the_users_own_settings_of_git_change_nothing_behind_the_back() {
    each_git(|scene| {
        for (pull, told) in [("false", "merging main of origin"), ("true", "rebasing onto main of origin")] {
            let place = Place::new(scene, &rule("log", "union"), &[("log", "1\n"), ("b", "1\n")]);
            for (key, value) in [
                ("rebase.autoStash", "true"),
                ("rebase.updateRefs", "true"),
                ("rebase.backend", "apply"),
                ("rerere.enabled", "true"),
                ("rerere.autoUpdate", "true"),
                ("core.editor", "false"),
                ("merge.ff", "only"),
            ] {
                place.git(&["config", key, value]);
            }
            let middle = place.ours(&[("log", "1\nours\n")]);
            place.git(&["branch", "middle"]);
            place.git(&["config", "pull.rebase", pull]);
            place.ours(&[("c", "1\n")]);
            let theirs = place.theirs(&[("log", "1\ntheirs\n")]);
            write(&place.project.work, &[("b", "dirty\n")]);
            let said = place.accepted(&[], &[&theirs]);
            assert!(said.stderr.contains(told), "pull.rebase = {pull}: {said:?}");
            assert_eq!(place.read("log"), "1\ntheirs\nours\n");
            assert_eq!(place.git(&["rev-parse", "middle"]), middle);
            assert_eq!(place.git(&["status", "--porcelain"]), " M b");
            assert!(
                !place.project.work.join(".git/rr-cache").read_dir().is_ok_and(|mut entries| entries.next().is_some())
            );
        }
    });
}

#[test]
fn own_merges_survive_a_rebase_where_git_is_told_to_keep_them() {
    each_git(|scene| {
        for (pull, merges) in [("merges", "1"), ("true", "0")] {
            let place = Place::new(scene, "", &[("a", "1\n")]);
            place.git(&["config", "pull.rebase", pull]);
            place.git(&["switch", "--quiet", "-c", "side"]);
            place.ours(&[("b", "side\n")]);
            place.git(&["switch", "--quiet", "main"]);
            place.ours(&[("a", "2\n")]);
            place.git(&["merge", "--quiet", "--no-edit", "side"]);
            let theirs = place.theirs(&[("c", "1\n")]);
            place.accepted(&[], &[&theirs]);
            assert_eq!(place.git(&["rev-list", "--merges", "--count", "HEAD"]), merges, "pull.rebase = {pull}");
            assert_eq!(
                (place.read("a"), place.read("b"), place.read("c")),
                ("2\n".into(), "side\n".into(), "1\n".into())
            );
        }
    });
}

#[test]
fn an_ignored_file_is_never_overwritten() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[(".gitignore", ".env\n")]);
        place.ours(&[("a", "1\n")]);
        write(&place.other, &[(".env", "theirs\n")]);
        scene.sandbox.git(&place.other, &["add", "--force", ".env"]);
        place.theirs(&[("b", "1\n")]);
        write(&place.project.work, &[(".env", "secret\n")]);
        let said = place.leaves_all(&[], 1);
        assert!(said.stderr.contains("\".env\"") && said.stderr.contains("would be overwritten"), "{said:?}");
    });
}

#[test]
fn a_linked_work_tree_a_subdirectory_and_another_push_address_work() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[("deep/a", "1\n")]);
        let linked = scene.sandbox.path().join("linked");
        let _ = fs::remove_dir_all(&linked);
        place.git(&["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
        place.git(&["config", "remote.origin.pushurl", place.project.bare.to_str().unwrap()]);
        place.git(&["config", "remote.origin.url", "/nowhere"]);
        let theirs = place.theirs(&[("b", "1\n")]);
        let git = |arguments: &[&str]| scene.sandbox.git(&linked, arguments);
        write(&linked, &[("deep/a", "2\n")]);
        git(&["commit", "--quiet", "--all", "-m", "ours"]);
        write(&linked, &[("deep/a", "dirty\n"), ("new", "1\n")]);
        let said = scene.sandbox.afterpush(&linked.join("deep"), &["push", "origin", "side:main"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(scene.remote_has(&place.project, "refs/heads/main"), Some(git(&["rev-parse", "side"])), "{said:?}");
        git(&["merge-base", "--is-ancestor", &theirs, "side"]);
        assert_eq!(git(&["status", "--porcelain", "--untracked-files=all"]), " M deep/a\n?? new");
    });
}

#[test]
fn submodules_stay_as_they_are() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[("a", "1\n")]);
        let library = scene.sandbox.path().join("library");
        if !library.exists() {
            scene.sandbox.git(scene.sandbox.path(), &["init", "--quiet", "-b", "main", "library"]);
            write(&library, &[("code", "1\n")]);
            scene.sandbox.git(&library, &["add", "--all"]);
            scene.sandbox.git(&library, &["commit", "--quiet", "-m", "library"]);
        }
        let from = library.to_str().unwrap();
        place.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", from, "lib"]);
        place.ours(&[("a", "2\n")]);
        let theirs = place.theirs(&[("b", "1\n")]);
        write(&place.project.work, &[("lib/code", "dirty\n"), ("new", "1\n")]);
        let before = place.git(&["status", "--porcelain"]);
        place.accepted(&[], &[&theirs]);
        assert_eq!(place.git(&["status", "--porcelain"]), before);
        assert_eq!(place.read("lib/code"), "dirty\n");
        // Not even where the user has git reset submodules along.
        place.git(&["config", "submodule.recurse", "true"]);
        place.git(&["commit", "--quiet", "--allow-empty", "-m", "more"]);
        place.git(&["rm", "--quiet", "--cached", "b"]);
        place.git(&["commit", "--quiet", "-m", "without b"]);
        place.theirs_on_top(&[("b", "2\n")]);
        place.leaves_all(&[], 1);
        assert_eq!(place.read("lib/code"), "dirty\n");
    });
}

#[test]
fn what_git_itself_refuses_ends_it_as_it_was() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[("a", "1\n")]);
        place.ours(&[("a", "2\n")]);
        place.theirs(&[("b", "1\n")]);
        write(&place.project.work, &[("new", "1\n")]);
        // Signing that fails.
        let signer = scene.sandbox.path().join("signer");
        executable(&signer, "echo no key today >&2; exit 2");
        place.git(&["config", "gpg.program", signer.to_str().unwrap()]);
        place.git(&["config", "commit.gpgSign", "true"]);
        let said = place.leaves_all(&[], 1);
        assert!(said.stderr.contains("failed to sign the data"), "{said:?}");
        // The same for a merge.
        place.git(&["config", "pull.rebase", "false"]);
        place.leaves_all(&[], 1);
        place.git(&["config", "--unset", "pull.rebase"]);
        place.git(&["config", "--unset", "commit.gpgSign"]);
        let hook = place.project.work.join(".git/hooks/pre-rebase");
        executable(&hook, "echo not now >&2; exit 1");
        let said = place.leaves_all(&[], 1);
        assert!(said.stderr.contains("not now"), "{said:?}");
        fs::remove_file(hook).unwrap();
        // What git cannot stash.
        write(&place.project.work, &[("promised", "1\n")]);
        place.git(&["add", "--intent-to-add", "promised"]);
        let said = place.leaves_all(&[], 1);
        assert!(said.stderr.contains("commit or stash your changes yourself"), "{said:?}");
        place.git(&["add", "promised"]);
        place.accepted(&[], &[]);
    });
}

#[test]
fn the_same_change_on_both_sides_is_up_to_date() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[("a", "1\n")]);
        place.ours(&[("a", "2\n")]);
        let theirs = place.theirs(&[("a", "2\n")]);
        let said = place.accepted(&[], &[]);
        assert!(place.project.head() == theirs && said.stderr.contains("Everything up-to-date"), "{said:?}");
    });
}

#[test]
fn attempts_may_be_none() {
    each_git(|scene| {
        let place = Place::new(scene, "attempts = 0\n", &[]);
        place.ours(&[("a", "1\n")]);
        place.theirs(&[("b", "1\n")]);
        let said = place.leaves_all(&[], 1);
        assert!(said.stderr.contains("the remote has moved") && !said.stderr.contains("rebasing"), "{said:?}");
    });
}

#[test]
fn wait_gives_the_verdict_of_what_was_pushed_in_the_end() {
    let crate::scene::Scene { simulator, app, sandbox } = crate::scene::Scene::with_token(SHORT);
    let project = sandbox.project(&format!("{TARGET}[push]\nfirst_wait = \"1s\"\n"));
    assert_eq!(project.push(&["-u", "origin", "main"]).code, Some(0));
    let other = sandbox.path().join("other");
    sandbox.git(sandbox.path(), &["clone", "--quiet", project.bare.to_str().unwrap(), other.to_str().unwrap()]);
    sandbox.git(&other, &["commit", "--quiet", "--allow-empty", "-m", "theirs"]);
    sandbox.git(&other, &["push", "--quiet", "--no-verify", "origin", "main"]);
    project.commit("ours");
    let mut command = sandbox.command(sandbox.program("afterpush"), &project.work);
    let child = command.args(["push", "--wait", "60s"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let theirs = sandbox.git(&other, &["rev-parse", "HEAD"]);
    let mut pushed = theirs.clone();
    wait_until("the rebased commit on the remote", || {
        pushed = sandbox.git(&project.bare, &["rev-parse", "main"]);
        pushed != theirs
    });
    simulator.deploy(&app, &pushed).set_phase("ACTIVE");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("live:") && text.contains(&pushed[..7]), "{text}");
    // A failure, as of status.
    let failed = project.commit("broken");
    simulator.deploy(&app, &failed).set_phase("ERROR");
    let said = project.afterpush(&["push", "--wait=60s"]);
    assert!(said.code == Some(1) && said.stdout.starts_with("failed:"), "{said:?}");
    // A push that nothing is configured for.
    project.git(&["switch", "--quiet", "-c", "topic"]);
    project.commit("topic");
    let said = project.afterpush(&["push", "-u", "origin", "topic"]);
    assert!(said.code == Some(0) && said.stdout.contains("is not watched"), "{said:?}");
    assert_eq!(project.afterpush(&["push", "--wait", "60s"]).code, Some(3));
}
