//! Pushes that are not watched: silent where that is meant, with one line where it is not; the push goes on either way.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use nix::unistd::{Uid, chown, geteuid};

use crate::fixture::{Fixture, said, stderr};

#[test]
fn without_a_target_nothing_is_said_and_nothing_is_written() {
    let fixture = Fixture::new();
    fixture.git(&["branch", "other"]);
    fixture.git(&["tag", "v1"]);
    assert_eq!(fixture.push_says(&["origin", "other", "v1"]), [""; 0]);
    fs::remove_file(fixture.path("work/.afterpush.toml")).unwrap();
    assert_eq!(fixture.push_says(&["origin", "main"]), [""; 0]);
    fixture.assert_untouched();
}

#[test]
fn deletions_dry_runs_and_pushes_of_nothing_are_silent() {
    let fixture = Fixture::new();
    for dry in [&["--dry-run", "origin", "main"][..], &["-n", "origin", "main"], &["origin", "main", "-fn"]] {
        assert_eq!(fixture.push_says(dry), [""; 0], "{dry:?}");
    }
    fixture.git(&["push", "--quiet", "--no-verify", "origin", "main", "main:gone"]);
    assert_eq!(fixture.push_says(&["origin", "main"]), [""; 0], "everything up-to-date");
    fixture.configure("[[target]]\nname = \"web\"\nref = \"refs/heads/*\"\nhealth = { path = \"/health\" }\n");
    assert_eq!(fixture.push_says(&["origin", ":gone"]), [""; 0]);
    assert_eq!(fixture.remote_ref("gone"), None);
    fixture.assert_untouched();
}

#[test]
fn a_skipped_push_and_a_ci_job_are_silent() {
    let fixture = Fixture::new();
    let push = |variables: &[(&str, &str)]| {
        fixture.commit("next");
        let mut command = fixture.command(fixture.git);
        let output = command.envs(variables.iter().copied()).args(["push", "origin", "main"]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        said(&output).len()
    };
    for quiet in [&[("CI", "true")][..], &[("CI", "1"), ("AFTERPUSH_CI", "0")]] {
        assert_eq!(push(quiet), 0, "{quiet:?}");
    }
    fixture.assert_untouched();
    // A skipped push is noted, so that nothing later takes it for one that no hook saw; it has neither run nor monitor.
    assert_eq!(push(&[("AFTERPUSH_SKIP", "1")]), 0);
    let store = fixture.store();
    let history = fs::read_to_string(store.path().join("history.jsonl")).unwrap();
    assert_eq!((history.lines().count(), history.matches("\"skipped\"").count()), (1, 1), "{history}");
    assert!(store.runs().unwrap().is_empty());
    assert_eq!(fixture.started(0).len(), 0);
    for watched in [&[("CI", "true"), ("AFTERPUSH_CI", "1")][..], &[("CI", "false")], &[("CI", "")]] {
        assert_eq!(push(watched), 1, "{watched:?}");
    }
}

#[test]
fn an_invalid_configuration_is_one_line_with_file_and_line_number() {
    let fixture = Fixture::new();
    fixture.configure("[[target]]\nname = \"web\"\nbranhc = \"main\"\n");
    let lines = fixture.push_says(&["origin", "main"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("afterpush: not watching this push: .afterpush.toml:3: "), "{lines:?}");
    fixture.assert_untouched();
}

#[test]
fn a_configuration_file_that_is_a_link_a_flood_or_no_text_is_refused_in_one_line() {
    let fixture = Fixture::new();
    let path = fixture.path("work/.afterpush.toml");
    let refused = |why: &str| {
        fixture.commit("next");
        let lines = fixture.push_says(&["origin", "main"]);
        assert!(lines.len() == 1 && lines[0].starts_with("afterpush: not watching this push: "), "{why}: {lines:?}");
        assert!(lines[0].contains(".afterpush.toml"), "{why}: {lines:?}");
    };
    fs::write(&path, vec![b'#'; (256 << 10) + 1]).unwrap();
    refused("too large");
    fs::write(&path, b"# \xff\n").unwrap();
    refused("not UTF-8");
    fs::remove_file(&path).unwrap();
    symlink("/etc/hostname", &path).unwrap();
    refused("a link");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused("a pipe");
    fixture.assert_untouched();
}

#[test]
fn state_that_cannot_be_written_is_one_line_and_the_push_goes_on() {
    let fixture = Fixture::new();
    fs::write(fixture.path("file"), "").unwrap();
    fs::create_dir(fixture.path("open")).unwrap();
    fs::set_permissions(fixture.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    for state in ["file/below", "file", "open"] {
        let commit = fixture.commit("next");
        let mut command = fixture.command(fixture.git);
        command.env("AFTERPUSH_STATE_DIR", fixture.path(state)).args(["push", "origin", "main"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let lines = said(&output);
        assert!(lines.len() == 1 && lines[0].starts_with("afterpush: not watching this push: "), "{state}: {lines:?}");
        assert_eq!(fixture.remote_ref("main"), Some(commit));
    }
    fixture.assert_untouched();
}

#[test]
fn a_strangers_repository_is_not_watched() {
    if !geteuid().is_root() {
        afterpush_testkit::sandbox::skipped(
            "a_strangers_repository_is_not_watched",
            "only root can give a directory to somebody else",
        );
        return;
    }
    let fixture = Fixture::new();
    chown(&fixture.path("work"), Some(Uid::from_raw(65534)), None).unwrap();
    let mut command = fixture.command(fixture.hook());
    let output = command.args(["pre-push", "1", "origin", "x"]).output().unwrap();
    assert!(output.status.success());
    let told = said(&output);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("afterpush: not watching this push: the repository belongs to another user; "),
        "{told:?}"
    );
    fixture.assert_untouched();
}

#[test]
fn without_a_monitor_beside_it_the_hook_says_so() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.monitor()).unwrap();
    let lines = fixture.push_says(&["origin", "main"]);
    assert!(lines.len() == 1 && lines[0].contains("cannot find afterpush-monitor"), "{lines:?}");
    fixture.assert_untouched();
}

#[test]
fn a_full_disk_ends_in_a_line_not_in_a_signal() {
    let fixture = Fixture::new();
    let commit = fixture.resolve("HEAD");
    // A limit on file sizes: a write beyond it is SIGXFSZ, whose default is death.
    let line = format!("HEAD {commit} refs/heads/main {}", "0".repeat(40));
    let script = "ulimit -f 0; printf '%s\\n' \"$1\" | \"$2\" pre-push 1 origin x";
    let output = fixture.command("sh").args(["-c", script, "sh", &line]).arg(fixture.hook()).output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    let lines = said(&output);
    assert!(lines.len() == 1 && lines[0].starts_with("afterpush: not watching this push: cannot write"), "{lines:?}");
}
