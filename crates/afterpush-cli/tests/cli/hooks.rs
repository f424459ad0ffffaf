//! `install` and `uninstall`, with the git that runs the hooks.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use crate::place::Place;

fn with_remote() -> Place {
    let place = Place::new();
    let remote = place.root().join("remote.git");
    place.git(&["init", "-q", "--bare", remote.to_str().unwrap()]);
    place.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    place.script("afterpush-hook", "echo \"hook $*\" >> \"$HOME/hooked\"; cat >> \"$HOME/hooked\"");
    place
}

fn hooked(place: &Place) -> String {
    fs::read_to_string(place.root().join("home/hooked")).unwrap_or_default()
}

fn foreign(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o750)).unwrap();
}

#[test]
fn a_push_runs_the_hook_and_installing_twice_changes_nothing() {
    let place = with_remote();
    place.afterpush(&["install"]).expect(0);
    let hook = place.work.join(".git/hooks/pre-push");
    let state = || (fs::read(&hook).unwrap(), hook.metadata().unwrap().ino(), hook.metadata().unwrap().mtime_nsec());
    let before = state();
    let told = place.afterpush(&["install"]).expect(0).out;
    assert!(told.starts_with("already installed at "), "{told}");
    assert_eq!(state(), before);
    place.git(&["push", "-q", "origin", "main"]);
    let said = hooked(&place);
    assert!(said.contains("hook pre-push ") && said.contains(" refs/heads/main "), "{said}");
    place.afterpush(&["uninstall"]).expect(0);
    assert!(!hook.exists());
    assert!(place.afterpush(&["uninstall"]).expect(0).out.starts_with("nothing to uninstall"));
}

#[test]
fn a_hook_that_was_there_runs_first_and_comes_back_byte_for_byte() {
    let place = with_remote();
    let hook = place.work.join(".git/hooks/pre-push");
    foreign(&hook, "cat > \"$HOME/theirs\"; exit $(cat \"$HOME/refuse\" 2>/dev/null || echo 0)");
    let (bytes, mode) = (fs::read(&hook).unwrap(), hook.metadata().unwrap().mode());
    assert!(place.afterpush(&["install"]).expect(0).out.contains("runs first"));
    assert!(place.afterpush(&["install"]).expect(0).out.starts_with("already installed"));
    place.git(&["push", "-q", "origin", "main"]);
    let theirs = fs::read_to_string(place.root().join("home/theirs")).unwrap();
    assert!(theirs.contains(" refs/heads/main ") && hooked(&place).contains(theirs.trim()), "{theirs}");
    // Its refusal still refuses.
    fs::write(place.root().join("home/refuse"), "7").unwrap();
    let head = place.commit("second");
    let push = crate::place::answer(place.command_in(&place.work, "git").args(["push", "-q", "origin", "main"]));
    assert_ne!(push.code, 0);
    assert!(!hooked(&place).contains(head.as_str()));
    assert!(place.afterpush(&["uninstall"]).expect(0).out.contains("is back"));
    assert_eq!((fs::read(&hook).unwrap(), hook.metadata().unwrap().mode()), (bytes, mode));
    assert!(!place.work.join(".git/hooks/pre-push.afterpush-chained").exists());
}

#[test]
fn strict_mode_is_on_request_twice_the_same_and_brought_up_to_date() {
    let place = with_remote();
    let hook = place.work.join(".git/hooks/reference-transaction");
    place.afterpush(&["install"]).expect(0);
    assert!(!hook.exists(), "nobody asked for it");
    place.afterpush(&["install", "--strict"]).expect(0);
    let state = || (fs::read(&hook).unwrap(), hook.metadata().unwrap().ino(), hook.metadata().unwrap().mtime_nsec());
    let before = state();
    assert!(place.afterpush(&["install", "--strict"]).expect(0).out.contains("strict mode: already installed at "));
    place.afterpush(&["install"]).expect(0);
    assert_eq!(state(), before);
    // One of another version goes along with a plain install.
    foreign(&hook, "# afterpush shim 0\nexit 1");
    assert!(place.afterpush(&["install"]).expect(0).out.contains("strict mode: installed at "));
    assert_eq!(fs::read(&hook).unwrap(), before.0);
    place.afterpush(&["uninstall", "--strict"]).expect(0);
    assert!(!hook.exists() && place.work.join(".git/hooks/pre-push").exists());
    place.afterpush(&["install", "--strict"]).expect(0);
    place.afterpush(&["uninstall"]).expect(0);
    assert!(!hook.exists() && !place.work.join(".git/hooks/pre-push").exists());
    // Somebody else's is nobody's business.
    foreign(&hook, "exit 0");
    place.afterpush(&["install"]).expect(0);
    place.afterpush(&["uninstall"]).expect(0);
    assert_eq!(fs::read_to_string(&hook).unwrap(), "#!/bin/sh\nexit 0\n");
    assert!(place.afterpush(&["uninstall", "--strict"]).expect(1).err.contains("is not afterpush's"));
}

#[test]
fn an_older_shim_is_replaced_and_an_interrupted_installation_is_finished() {
    let place = with_remote();
    let hook = place.work.join(".git/hooks/pre-push");
    foreign(&hook, "# afterpush shim 0\nexit 3");
    place.afterpush(&["install"]).expect(0);
    assert!(!place.work.join(".git/hooks/pre-push.afterpush-chained").exists(), "our own shim is not a foreign hook");
    place.git(&["push", "-q", "origin", "main"]);

    foreign(&hook, "exit 0");
    fs::hard_link(&hook, place.work.join(".git/hooks/pre-push.afterpush-chained")).unwrap();
    place.afterpush(&["install"]).expect(0);
    place.afterpush(&["uninstall"]).expect(0);
    assert_eq!(fs::read_to_string(&hook).unwrap(), "#!/bin/sh\nexit 0\n");
}

#[test]
fn a_second_foreign_hook_is_not_lost() {
    let place = with_remote();
    let hook = place.work.join(".git/hooks/pre-push");
    foreign(&hook, "echo one");
    place.afterpush(&["install"]).expect(0);
    foreign(&hook, "echo two");
    let told = place.afterpush(&["install"]).expect(1).err;
    assert!(told.contains("only one can be kept") && told.contains("hint: "), "{told}");
    assert!(fs::read_to_string(&hook).unwrap().contains("echo two"));
    assert!(fs::read_to_string(hook.with_file_name("pre-push.afterpush-chained")).unwrap().contains("echo one"));
}

#[test]
fn uninstall_leaves_a_foreign_hook_alone() {
    let place = with_remote();
    let hook = place.work.join(".git/hooks/pre-push");
    foreign(&hook, "exit 0");
    assert!(place.afterpush(&["uninstall"]).expect(1).err.contains("is not afterpush's"));
    assert!(hook.exists());
}

#[test]
fn uninstall_finds_nothing_of_ours_in_a_manager_s_hook() {
    let place = with_remote();
    let hook = place.work.join(".git/hooks/pre-push");
    foreign(&hook, "call_lefthook()\n{\n:\n}");
    assert!(place.afterpush(&["uninstall"]).expect(0).out.starts_with("nothing to uninstall"));
    assert!(hook.exists());
}

#[test]
fn what_runs_our_shim_itself_is_not_wrapped_again() {
    let place = with_remote();
    place.afterpush(&["install"]).expect(0);
    let hooks = place.work.join(".git/hooks");
    fs::rename(hooks.join("pre-push"), hooks.join("pre-push.legacy")).unwrap();
    foreign(&hooks.join("pre-push"), "\"${0%/*}/pre-push.legacy\" \"$@\"");
    let told = place.afterpush(&["install"]).expect(0).out;
    assert!(told.starts_with("already installed: the hook at "), "{told}");
    place.git(&["push", "-q", "origin", "main"]);
    assert!(hooked(&place).contains("hook pre-push "));
}

#[test]
fn a_linked_work_tree_shares_the_hook() {
    let place = with_remote();
    let linked = place.root().join("linked");
    place.git(&["worktree", "add", "-q", "-b", "topic", linked.to_str().unwrap()]);
    place.afterpush_in(&linked, &["install"]).expect(0);
    assert!(place.work.join(".git/hooks/pre-push").exists());
    place.git_in(&linked, &["push", "-q", "origin", "topic:main"]);
    assert!(hooked(&place).contains(" refs/heads/main "));
}

#[test]
fn hooks_path_is_honoured_relative_and_absolute() {
    for absolute in [false, true] {
        let place = with_remote();
        let path = place.work.join(".githooks");
        place.git(&["config", "core.hooksPath", if absolute { path.to_str().unwrap() } else { ".githooks" }]);
        fs::create_dir(place.work.join("sub")).unwrap();
        place.afterpush_in(&place.work.join("sub"), &["install"]).expect(0);
        assert!(path.join("pre-push").exists() && !place.work.join(".git/hooks/pre-push").exists());
        place.git(&["push", "-q", "origin", "main"]);
        assert!(hooked(&place).contains("hook pre-push "));
        place.afterpush(&["uninstall"]).expect(0);
        assert!(!path.join("pre-push").exists());
    }
}

#[test]
fn a_shared_hooks_directory_needs_a_word_of_the_person() {
    let place = with_remote();
    let shared = place.root().join("shared");
    place.git(&["config", "core.hooksPath", shared.to_str().unwrap()]);
    let told = place.afterpush(&["install"]).expect(1).err;
    assert!(told.contains("outside of it") && told.contains("--hooks-path"), "{told}");
    assert!(!shared.exists());
    place.afterpush(&["install", "--hooks-path", "/elsewhere"]).expect(64);
    place.afterpush(&["install", "--hooks-path", shared.to_str().unwrap()]).expect(0);
    place.git(&["push", "-q", "origin", "main"]);
    assert!(hooked(&place).contains("hook pre-push "));
}

#[test]
fn the_file_that_husky_runs_gets_a_line_and_loses_it_again() {
    let place = with_remote();
    let hooks = place.work.join(".husky/_");
    // As husky 9 does it.
    foreign(
        &hooks.join("pre-push"),
        "s=$(dirname \"$(dirname \"$0\")\")/pre-push\n[ -f \"$s\" ] || exit 0\nsh -e \"$s\" \"$@\"",
    );
    place.git(&["config", "core.hooksPath", ".husky/_"]);
    let script = place.work.join(".husky/pre-push");
    // Without a file of the person's: ours alone, and gone again.
    place.afterpush(&["install"]).expect(0);
    place.git(&["push", "-q", "origin", "main"]);
    assert!(hooked(&place).contains(" refs/heads/main "));
    place.afterpush(&["uninstall"]).expect(0);
    assert!(!script.exists() && !place.work.join(".git/afterpush-husky").exists());
    // With one that reads everything and ends early.
    let theirs =
        "cat > \"$HOME/theirs\"; echo \"$*\" >> \"$HOME/theirs\"\nexit $(cat \"$HOME/refuse\" 2>/dev/null || echo 0)";
    fs::write(&script, theirs).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o640)).unwrap();
    place.afterpush(&["install"]).expect(0);
    let with_line = fs::read(&script).unwrap();
    assert!(place.afterpush(&["install"]).expect(0).out.starts_with("already installed"));
    assert_eq!(fs::read(&script).unwrap(), with_line);
    fs::remove_file(place.root().join("home/hooked")).unwrap();
    place.git(&["push", "-q", "origin", "main:second"]);
    let said = fs::read_to_string(place.root().join("home/theirs")).unwrap();
    assert!(said.contains(" refs/heads/second ") && said.contains("\norigin "), "{said}");
    assert!(hooked(&place).contains(" refs/heads/second "));
    // A refusal refuses, and then there is nothing to watch.
    fs::remove_file(place.root().join("home/hooked")).unwrap();
    fs::write(place.root().join("home/refuse"), "7").unwrap();
    let push = crate::place::answer(place.command_in(&place.work, "git").args(["push", "-q", "origin", "main:third"]));
    assert_ne!(push.code, 0);
    assert_eq!(hooked(&place), "");
    fs::remove_file(place.root().join("home/refuse")).unwrap();
    // Where afterpush is not installed, the committed line does nothing.
    fs::rename(place.work.join(".git/afterpush-husky"), place.root().join("elsewhere")).unwrap();
    place.git(&["push", "-q", "origin", "main:third"]);
    assert!(fs::read_to_string(place.root().join("home/theirs")).unwrap().contains(" refs/heads/third "));
    assert_eq!(hooked(&place), "");
    place.afterpush(&["uninstall"]).expect(0);
    assert_eq!(fs::read_to_string(&script).unwrap(), theirs);
    assert_eq!(script.metadata().unwrap().mode() & 0o777, 0o640);
}

#[test]
fn a_place_with_quotes_and_spaces_in_its_name_works() {
    let place = with_remote();
    let odd = place.root().join("it's $HOME");
    fs::rename(place.root().join("bin"), &odd).unwrap();
    let installed = crate::place::answer(place.command_in(&place.work, odd.join("afterpush")).arg("install"));
    installed.expect(0);
    place.git(&["push", "-q", "origin", "main"]);
    assert!(hooked(&place).contains("hook pre-push "));
}
