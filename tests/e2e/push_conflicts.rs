//! Conflicts of `afterpush push` with real git: rules resolve them, or everything is as it was, also after a signal.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Stdio,
};

use afterpush_testkit::sandbox::wait_until;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    gits::{BRANCHES, each_git, executable},
    push_place::{Place, made, rule, write},
};

#[test]
fn a_conflict_without_a_rule_leaves_everything_as_it_was() {
    each_git(|scene| {
        for manner in ["rebase", "merge"] {
            let files = [("a file", "1\n"), ("both", "1\n"), ("deleted", "1\n"), ("staged", "1\n")];
            let place = Place::new(scene, &format!("integrate = {manner:?}\n"), &files);
            place.ours(&[("first", "first\n")]);
            place.ours(&[("a file", "ours\n"), ("deleted", "")]);
            place.theirs(&[("a file", "theirs\n"), ("deleted", "theirs\n"), ("new", "theirs\n")]);
            place.leaves_all(&[], 1);
            write(&place.project.work, &[("both", "2\n"), ("staged", "2\n"), ("other/deep", "1\n"), ("new", "mine\n")]);
            place.git(&["add", "staged"]);
            write(&place.project.work, &[("staged", "3\n")]);
            fs::set_permissions(place.project.work.join("both"), fs::Permissions::from_mode(0o755)).unwrap();
            let said = place.leaves_all(&[], 1);
            for piece in ["a file: no rule is for it", "deleted: no rule", "afterpush push --keep", "as it was before"]
            {
                assert!(said.stderr.contains(piece), "{piece}: {said:?}");
            }
        }
    });
}

#[test]
fn union_ours_and_theirs_mean_the_same_in_a_rebase_and_in_a_merge() {
    each_git(|scene| {
        for manner in ["rebase", "merge"] {
            let rules = rule("CHANGELOG.md", "union") + &rule("mine/*", "ours") + &rule("*.lock", "theirs");
            let base = [("docs/CHANGELOG.md", "# Log\n"), ("mine/a", "1\n"), ("mine/b", "1\n"), ("deep/x.lock", "1\n")];
            let place = Place::new(scene, &format!("integrate = {manner:?}\n{rules}"), &base);
            place.ours(&[("docs/CHANGELOG.md", "# Log\nours\n"), ("mine/a", "ours\n"), ("mine/b", "")]);
            let ours = place.ours(&[("deep/x.lock", "ours\n")]);
            let log = ("docs/CHANGELOG.md", "# Log\ntheirs\n");
            let theirs =
                place.theirs(&[log, ("mine/a", "theirs\n"), ("mine/b", "theirs\n"), ("deep/x.lock", "theirs\n")]);
            let said = place.accepted(&[], &[&theirs]);
            assert_eq!(place.read("docs/CHANGELOG.md"), "# Log\ntheirs\nours\n", "{said:?}");
            assert_eq!((place.read("mine/a"), place.read("deep/x.lock")), ("ours\n".into(), "theirs\n".into()));
            assert!(!place.project.work.join("mine/b").exists(), "ours deleted it");
            let merges = place.git(&["rev-list", "--count", "--merges", "HEAD"]);
            assert_eq!(merges, if manner == "merge" { "1" } else { "0" });
            if manner == "merge" {
                place.git(&["merge-base", "--is-ancestor", &ours, "HEAD"]);
            }
            assert_eq!(place.git(&["status", "--porcelain"]), "");
        }
    });
}

#[test]
fn what_a_rule_cannot_resolve_is_a_conflict() {
    each_git(|scene| {
        let rules = rule("gone", "union") + &rule("data", "union") + &rule("TASKS.md", "longest-checklist");
        let place = Place::new(scene, &rules, &[("gone", "1\n"), ("data", "1\0\n"), ("TASKS.md", "- [ ] T1 a\n")]);
        place.ours(&[("gone", ""), ("data", "2\0\n"), ("TASKS.md", "- [ ] T1 ours\n")]);
        place.theirs(&[("gone", "2\n"), ("data", "3\0\n"), ("TASKS.md", "- [ ] T1 theirs\n")]);
        let said = place.leaves_all(&[], 1);
        for piece in ["gone: its rule \"union\" cannot", "data: its rule", "it is no text", "TASKS.md: its rule"] {
            assert!(said.stderr.contains(piece), "{piece}: {said:?}");
        }
    });
}

#[test]
fn task_lists_are_merged_entry_by_entry() {
    each_git(|scene| {
        let base = "# Tasks\n\n- [ ] T1 write\n- [ ] T2 test\n";
        let place = Place::new(scene, &rule("TASKS.md", "longest-checklist"), &[("TASKS.md", base)]);
        place.ours(&[("TASKS.md", "# Tasks\n\n- [x] T1 write\n- [ ] T2 test\n- [ ] T3 ours\n")]);
        place.theirs(&[("TASKS.md", "# Tasks\n\n- [ ] T1 write\n- [x] T2 test\n- [ ] T4 theirs\n- [ ] T5 more\n")]);
        place.accepted(&[], &[]);
        let expected = "# Tasks\n\n- [x] T1 write\n- [x] T2 test\n- [ ] T3 ours\n- [ ] T4 theirs\n- [ ] T5 more\n";
        assert_eq!(place.read("TASKS.md"), expected);
    });
}

#[test]
fn a_rules_command_makes_its_files_anew() {
    each_git(|scene| {
        let base = [("made.lock", "a\n"), ("parts/a", "a\n")];
        let place = Place::new(scene, &made("ls parts | tee made.lock >scratch; cat parts/b"), &base);
        place.ours(&[("made.lock", "a\nb\n"), ("parts/b", "b\n")]);
        place.theirs(&[("made.lock", "a\nc\n"), ("parts/c", "c\n")]);
        let said = place.accepted(&[], &[]);
        assert_eq!(place.git(&["show", "HEAD:made.lock"]), "a\nb\nc", "{said:?}");
        assert_eq!(place.git(&["status", "--porcelain"]), "?? scratch", "what it made besides is not committed");
    });
}

#[test]
fn a_rules_command_that_fails_or_does_more_ends_it_as_it_was() {
    each_git(|scene| {
        for (command, told) in [
            ("echo broken >made.lock; echo no network >&2; echo >scratch; exit 3", "no network"),
            ("echo x >made.lock; mkdir deep; echo >deep/scratch; echo changed >>file", "changed file"),
        ] {
            let place = Place::new(scene, &made(command), &[("made.lock", "1\n")]);
            place.ours(&[("made.lock", "2\n")]);
            place.theirs(&[("made.lock", "3\n")]);
            write(&place.project.work, &[("untracked", "1\n")]);
            let said = place.leaves_all(&[], 1);
            assert!(said.stderr.contains(told), "{said:?}");
        }
    });
}

#[test]
fn a_command_of_a_repository_runs_only_when_it_is_trusted() {
    each_git(|scene| {
        let file = format!("{BRANCHES}{}", made("cat made.lock >proof; echo made >made.lock"));
        let place = Place::new(scene, "", &[("made.lock", "1\n"), (".afterpush.toml", &file)]);
        place.ours(&[("made.lock", "2\n")]);
        place.theirs(&[("made.lock", "3\n")]);
        let said = place.leaves_all(&[], 1);
        assert!(said.stderr.contains("made.lock: no rule") && said.stderr.contains("run afterpush trust"), "{said:?}");
        assert!(!place.project.work.join("proof").exists());
        assert_eq!(place.project.afterpush(&["trust"]).code, Some(0));
        place.accepted(&[], &[]);
        assert_eq!((place.read("proof"), place.read("made.lock")), ("3\n".into(), "made\n".into()));
    });
}

#[test]
fn keep_leaves_the_conflict_and_the_changes_for_the_person() {
    each_git(|scene| {
        let place = Place::new(scene, "", &[("a", "1\n"), ("b", "1\n")]);
        place.ours(&[("a", "ours\n")]);
        let theirs = place.theirs(&[("a", "theirs\n")]);
        write(&place.project.work, &[("b", "dirty\n"), ("new", "1\n")]);
        place.git(&["add", "b"]);
        let said = place.push(&["--keep"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        for piece in ["git rebase --continue", "git rebase --abort", "git stash pop --index stash@{0}", "a: no rule"] {
            assert!(said.stderr.contains(piece), "{piece}: {said:?}");
        }
        assert!(place.read("a").contains("<<<<<<<"));
        // While it is under way, nothing is pushed.
        let again = place.push(&[]);
        assert!(again.code == Some(1) && again.stderr.contains("a rebase is under way"), "{again:?}");
        // The commands that it told.
        write(&place.project.work, &[("a", "both\n")]);
        place.git(&["add", "a"]);
        place.git(&["-c", "core.editor=true", "rebase", "--continue"]);
        place.git(&["stash", "pop", "--index", "stash@{0}"]);
        assert_eq!(place.git(&["status", "--porcelain"]), "M  b\n?? new");
        place.accepted(&[], &[&theirs]);
    });
}

#[test]
fn changes_that_conflict_with_what_came_stay_in_the_stash() {
    each_git(|scene| {
        for dirty in [("a", "dirty\n"), ("theirs", "mine\n")] {
            let place = Place::new(scene, "", &[("a", "1\n")]);
            place.ours(&[("ours", "1\n")]);
            let theirs = place.theirs(&[("a", "2\n"), ("theirs", "1\n")]);
            write(&place.project.work, &[dirty, ("also", "untracked\n")]);
            let said = place.accepted(&[], &[&theirs]);
            assert!(said.stderr.contains("nothing is lost, they are in stash@{0}"), "{said:?}");
            assert_eq!(place.git(&["status", "--porcelain"]), "", "half of the changes would be worse than none");
            let kept = place.git(&["stash", "show", "--include-untracked", "-p", "stash@{0}"]);
            assert!(kept.contains(dirty.1.trim()) && kept.contains("+untracked"), "{kept}");
            assert_eq!(place.git(&["stash", "list"]).lines().count(), 1);
        }
    });
}

#[test]
fn a_signal_in_the_middle_puts_everything_back() {
    each_git(|scene| {
        for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
            let place = Place::new(
                scene,
                &made("echo half >made.lock; echo >junk; touch .git/there; exec sleep 600"),
                &[("made.lock", "1\n"), ("b", "1\n")],
            );
            place.ours(&[("ours", "1\n")]);
            place.ours(&[("made.lock", "2\n")]);
            place.theirs(&[("made.lock", "3\n"), ("theirs", "1\n")]);
            write(&place.project.work, &[("b", "dirty\n"), ("new", "1\n")]);
            place.git(&["add", "b"]);
            let before = place.state();
            let mut command = scene.sandbox.command(scene.sandbox.program("afterpush"), &place.project.work);
            let child = command.arg("push").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            wait_until("the command of the rule", || place.project.work.join(".git/there").exists());
            kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{output:?}");
            assert_eq!(place.state(), before, "{output:?}");
        }
    });
}

#[test]
fn ctrl_c_on_a_terminal_comes_to_all_and_puts_everything_back() {
    each_git(|scene| {
        for hook in ["pre-rebase", "post-checkout"] {
            let place = Place::new(scene, "", &[("b", "1\n")]);
            place.ours(&[("ours", "1\n")]);
            place.theirs(&[("theirs", "1\n")]);
            write(&place.project.work, &[("b", "dirty\n"), ("new", "1\n")]);
            let before = place.state();
            executable(&place.project.work.join(".git/hooks").join(hook), "touch .git/there; exec sleep 600");
            let mut command = scene.sandbox.command(scene.sandbox.program("afterpush"), &place.project.work);
            let command = command.arg("push").stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = command.process_group(0).spawn().unwrap();
            wait_until("the hook", || place.project.work.join(".git/there").exists());
            kill(Pid::from_raw(-i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(130), "{output:?}");
            assert_eq!(place.state(), before, "{output:?}");
        }
    });
}

#[test]
fn a_name_that_somebody_chose_does_not_act_on_the_terminal() {
    each_git(|scene| {
        let name = "evil\u{1b}[31m";
        let place = Place::new(scene, "", &[(name, "1\n")]);
        place.ours(&[(name, "ours\n")]);
        place.theirs(&[(name, "theirs\n")]);
        let said = place.leaves_all(&[], 1);
        assert!(said.stderr.contains("evil") && !said.stderr.contains('\u{1b}'), "{said:?}");
    });
}

#[test]
fn after_a_kill_the_next_push_tells_the_way_back() {
    each_git(|scene| {
        let place = Place::new(scene, &made("touch .git/there; exec sleep 600"), &[("made.lock", "1\n"), ("b", "1\n")]);
        place.ours(&[("made.lock", "2\n")]);
        place.theirs(&[("made.lock", "3\n")]);
        write(&place.project.work, &[("b", "dirty\n"), ("new", "1\n")]);
        place.git(&["add", "b"]);
        let before = place.state();
        let mut command = scene.sandbox.command(scene.sandbox.program("afterpush"), &place.project.work);
        let mut child = command.arg("push").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the command of the rule", || place.project.work.join(".git/there").exists());
        let busy = place.push(&[]);
        assert!(busy.code == Some(1) && busy.stderr.contains("another `afterpush push` is at work"), "{busy:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        let said = place.push(&[]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("was killed"), "{said:?}");
        // The commands that it tells.
        assert!(said.stderr.contains("`git rebase --abort`, then `git stash pop --index stash@{0}`"), "{said:?}");
        place.git(&["rebase", "--abort"]);
        place.git(&["stash", "apply", "--index", "stash@{0}"]);
        // As a kill would leave it between the two halves of a pop.
        let said = place.push(&[]);
        assert!(said.code == Some(1) && said.stderr.contains("`git stash drop stash@{0}`"), "{said:?}");
        place.git(&["stash", "drop", "stash@{0}"]);
        place.git(&["update-ref", "-d", "refs/worktree/afterpush/theirs"]);
        assert_eq!(place.state(), before);
    });
}
