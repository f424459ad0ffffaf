//! What a push gets that meets something wrong: lines that are none of git's, places that are not ours. The push goes on.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    process::{Command, Stdio},
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox, skipped};

const TARGETS: &str = "[[target]]\nname = \"web\"\nref = \"refs/heads/*\"\n";
/// The user `nobody`.
const NOBODY: u32 = 65534;

/// Runs the installed hook with this input.
fn hook(sandbox: &Sandbox, project: &Project<'_>, input: &[u8]) -> Said {
    let file = sandbox.path().join("input");
    fs::write(&file, input).unwrap();
    let mut command = sandbox.command(project.work.join(".git/hooks/pre-push"), &project.work);
    command.args(["origin", &project.bare.to_string_lossy()]).stdin(fs::File::open(&file).unwrap());
    Said::of(&mut command)
}

#[test]
fn lines_that_are_none_of_gits_are_skipped_and_the_good_one_among_them_is_watched() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(TARGETS);
    let commit = project.head();
    let zero = "0".repeat(40);
    let mut input = Vec::new();
    for line in [
        format!("refs/heads/main {commit}"),
        format!("refs/heads/main {commit} refs/heads/main"),
        format!("refs/heads/main {commit} refs/heads/main {zero} more"),
        format!("refs/heads/main {} refs/heads/main {zero}", &commit[..39]),
        format!("refs/heads/main {commit} ../../escape {zero}"),
        String::new(),
    ] {
        input.extend_from_slice(line.as_bytes());
        input.push(b'\n');
    }
    input.extend_from_slice(format!("refs/heads/main {commit} refs/heads/").as_bytes());
    input.extend_from_slice(b"\xff\xfe");
    input.extend_from_slice(format!(" {zero}\n").as_bytes());
    let said = hook(&sandbox, &project, &input);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    assert!(project.runs(&commit).is_empty());
    input.extend_from_slice(format!("refs/heads/main {commit} refs/heads/good {zero}\n").as_bytes());
    let said = hook(&sandbox, &project, &input);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("afterpush: watching"), "{said:?}");
    assert_eq!(project.runs(&commit).len(), 1);
    // A megabyte of refs without a target.
    let many: String = (0..8000).map(|n| format!("refs/tags/t{n} {commit} refs/tags/{n:060} {zero}\n")).collect();
    assert!(many.len() > 1 << 20);
    let said = hook(&sandbox, &project, many.as_bytes());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
}

#[test]
fn a_repository_of_sha_256_is_watched_by_ids_of_64_digits() {
    let sandbox = Sandbox::new();
    let (work, bare) = (sandbox.path().join("long"), sandbox.path().join("long.git"));
    let init = |path: &std::path::Path, more: &[&str]| {
        let path = path.to_string_lossy().into_owned();
        let mut arguments = vec!["init", "--quiet", "--object-format=sha256", "-b", "main"];
        arguments.extend(more);
        arguments.push(&path);
        sandbox.git(sandbox.path(), &arguments);
    };
    init(&bare, &["--bare"]);
    init(&work, &[]);
    sandbox.git(&work, &["remote", "add", "origin", &bare.to_string_lossy()]);
    fs::write(work.join(".afterpush.toml"), TARGETS).unwrap();
    sandbox.git(&work, &["add", "--all"]);
    sandbox.git(&work, &["commit", "--quiet", "-m", "first"]);
    assert_eq!(sandbox.afterpush(&work, &["install"]).code, Some(0));
    let commit = sandbox.git(&work, &["rev-parse", "HEAD"]);
    assert_eq!(commit.len(), 64);
    let said = sandbox.try_git(&work, &["push", "origin", "main"]);
    assert!(said.code == Some(0) && said.stderr.contains("afterpush: watching"), "{said:?}");
    let said = sandbox.deploy_status(&work, &["--wait", "60s", "--json"]);
    assert_eq!((&said.json()["commit"], &said.json()["outcome"]), (&commit.as_str().into(), &"unverified".into()));
}

/// A push that goes on, and says this in one line.
fn push_is_told(project: &Project<'_>, told: &str) {
    let said = project.push(&["origin", "main"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<_> = said.stderr.lines().filter(|line| line.contains("afterpush")).collect();
    assert!(lines.len() == 1 && lines[0].contains(told), "{told}: {said:?}");
}

#[test]
fn a_state_directory_that_others_could_change_is_refused_with_what_to_do() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(TARGETS);
    let state = sandbox.state();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o775)).unwrap();
    push_is_told(&project, "run chmod go-w on it");
    assert!(!state.join("repos").exists());
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();

    project.commit("second");
    let elsewhere = sandbox.path().join("elsewhere");
    fs::rename(&state, &elsewhere).unwrap();
    symlink(&elsewhere, &state).unwrap();
    push_is_told(&project, "it is a symbolic link; name the directory itself");
    fs::remove_file(&state).unwrap();
    fs::rename(&elsewhere, &state).unwrap();

    project.commit("third");
    if chown(&state, Some(NOBODY), None).is_err() {
        return skipped("a state directory of another user", "only root can give a directory away");
    }
    push_is_told(&project, "it belongs to another user; set AFTERPUSH_STATE_DIR");
    assert!(!state.join("repos").exists());
    chown(&state, Some(nix::unistd::geteuid().as_raw()), None).unwrap();
}

#[test]
fn a_repository_of_another_user_is_not_watched_and_the_push_goes_on() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(TARGETS);
    let nobody = NOBODY.to_string();
    let given = Command::new("chown").args(["-R", &nobody]).arg(&project.work).stderr(Stdio::null()).status();
    if !given.is_ok_and(|status| status.success()) {
        return skipped("a repository of another user", "only root can give a repository away");
    }
    let mut push = sandbox.command(sandbox.git_program(), &project.work);
    push.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
    let said = Said::of(push.args(["push", "origin", "main"]));
    if said.stderr.contains("dubious ownership") {
        // git itself refuses; its word on it must come from a file.
        return skipped("a repository of another user", "this git takes safe.directory from files only");
    }
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("belongs to another user; push as that user"), "{said:?}");
    assert!(!sandbox.state().join("repos").exists());
}
