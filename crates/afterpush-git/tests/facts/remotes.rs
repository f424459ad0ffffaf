//! Remotes, hooks path, and the question to the remote.

use std::{ffi::OsStr, path::Path, process::Command};

use afterpush_core::id::RefName;
use afterpush_git::{ls_remote_command, read_ls_remote};

use crate::sandbox::{Sandbox, branch, open};

/// The command as a caller would run it, away from this machine's own configuration.
fn hermetic(mut command: Command) -> Command {
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command
}

fn value<'a>(command: &'a Command, name: &str) -> Option<&'a str> {
    command.get_envs().find(|(key, _)| *key == OsStr::new(name)).and_then(|(_, value)| value?.to_str())
}

#[test]
fn remotes_come_with_the_address_that_is_pushed_to() {
    Sandbox::each(|kind, sandbox, work| {
        sandbox.git(work, &["remote", "add", "fork", "https://example.com/upstream.git"]);
        sandbox.git(work, &["remote", "set-url", "--push", "fork", "https://me:token@example.com/fork.git"]);
        sandbox.git(work, &["remote", "add", "short", "gh:acme/web"]);
        sandbox.git(work, &["config", "url.https://github.example/.insteadOf", "gh:"]);
        sandbox.git(work, &["config", "url.git@github.example:.pushInsteadOf", "gh:"]);
        let mut remotes = open(work).remotes().unwrap();
        remotes.sort();
        let expected = [
            ("fork", "https://me:token@example.com/fork.git"),
            ("origin", "../origin.git"),
            ("short", "git@github.example:acme/web"),
        ];
        assert_eq!(remotes, expected.map(|(name, url)| (name.to_owned(), url.to_owned())), "{kind:?}");
    });
}

#[test]
fn the_upstream_of_a_branch_is_known() {
    Sandbox::each(|kind, sandbox, work| {
        let main = branch("main");
        assert_eq!(open(work).upstream_remote_ref(&main), None, "{kind:?}");
        sandbox.git(work, &["push", "-q", "--set-upstream", "origin", "main:trunk"]);
        let upstream = open(work).upstream_remote_ref(&main).unwrap();
        assert_eq!(upstream, ("origin".to_owned(), branch("trunk")), "{kind:?}");
    });
}

#[test]
fn the_hooks_path_is_where_git_looks() {
    Sandbox::each(|kind, sandbox, work| {
        let hooks = |at: &Path| open(at).hooks_path().unwrap();
        assert_eq!(hooks(work), None, "{kind:?}");
        sandbox.git(work, &["config", "core.hooksPath", "tools/hooks"]);
        assert_eq!(hooks(work), Some(work.join("tools/hooks")), "{kind:?}");
        sandbox.git(work, &["worktree", "add", "-q", "../linked"]);
        let linked = sandbox.path("linked");
        let linked_dir = work.join(".git/worktrees/linked");
        let git = afterpush_git::Git::open(&linked_dir).unwrap();
        assert_eq!(git.hooks_path().unwrap(), Some(linked.join("tools/hooks")), "{kind:?}: each work tree its own");
        sandbox.git(work, &["config", "core.hooksPath", "/srv/hooks"]);
        assert_eq!(hooks(work), Some("/srv/hooks".into()), "{kind:?}");
        let told = sandbox.git(work, &["rev-parse", "--git-path", "hooks"]);
        assert_eq!(told, "/srv/hooks", "{kind:?}");
        sandbox.git(work, &["config", "core.hooksPath", ""]);
        assert_eq!(hooks(work), Some("/".into()), "{kind:?}");
        let bare = sandbox.path("origin.git");
        sandbox.git(&bare, &["config", "core.hooksPath", "own"]);
        assert_eq!(afterpush_git::Git::open(&bare).unwrap().hooks_path().unwrap(), Some(bare.join("own")), "{kind:?}");
    });
}

#[test]
fn the_remote_tells_what_it_has_at_exactly_the_ref() {
    Sandbox::each(|kind, sandbox, work| {
        let one = sandbox.id(work, "HEAD");
        sandbox.git(work, &["tag", "-a", "-m", "v1", "v1"]);
        let tag = sandbox.id(work, "v1");
        sandbox.commit(work, "two");
        sandbox.git(work, &["push", "-q", "origin", "v1", "main:refs/heads/deep/refs/heads/gone"]);
        let ask = |remote: &str, name: &str| {
            let name = RefName::parse(name).unwrap();
            let output = hermetic(ls_remote_command(&work.join(".git"), remote, &name)).output().unwrap();
            assert!(output.status.success(), "{kind:?} {}", String::from_utf8_lossy(&output.stderr));
            read_ls_remote(&output.stdout, &name)
        };
        assert_eq!(ask("origin", "refs/heads/main"), Some(one.clone()), "{kind:?}");
        assert_eq!(ask("origin", "refs/tags/v1"), Some(tag), "{kind:?}: the tag object, as it was pushed");
        assert_eq!(ask("origin", "refs/heads/gone"), None, "{kind:?}");
        // A relative address counts from the work tree, wherever the monitor runs.
        assert_eq!(ask("../origin.git", "refs/heads/main"), Some(one), "{kind:?}");
    });
}

#[test]
fn the_question_goes_to_the_push_address_and_keeps_its_token_out_of_the_arguments() {
    Sandbox::each(|kind, sandbox, work| {
        sandbox.git(&sandbox.path(""), &["clone", "-q", "--bare", "origin.git", "mirror.git"]);
        let two = sandbox.commit(work, "two");
        sandbox.git(work, &["remote", "set-url", "--push", "origin", "../mirror.git"]);
        sandbox.git(work, &["push", "-q", "origin", "main"]);
        let git_dir = work.join(".git");
        let output = hermetic(ls_remote_command(&git_dir, "origin", &branch("main"))).output().unwrap();
        assert_eq!(read_ls_remote(&output.stdout, &branch("main")), Some(two), "{kind:?}");
        sandbox.git(work, &["remote", "set-url", "--push", "origin", "https://me:s3cret@example.com/x.git"]);
        let command = ls_remote_command(&git_dir, "origin", &branch("main"));
        assert!(command.get_args().all(|argument| !argument.to_string_lossy().contains("s3cret")), "{kind:?}");
        // git's own helper gets the address as an argument, so the token is not even in what git makes the address from.
        let settings = command.get_envs().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_CONFIG_"));
        let settings: Vec<_> = settings.collect();
        assert!(!format!("{settings:?}").contains("s3cret"), "{kind:?}: {settings:?}");
        assert_eq!(value(&command, "AFTERPUSH_REMOTE_PASSWORD"), Some("s3cret"), "{kind:?}");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments[2], "https://example.com/x.git", "{kind:?}");
    });
}

#[test]
fn a_remote_that_begins_with_a_dash_is_no_option() {
    Sandbox::each(|kind, sandbox, work| {
        let mark = sandbox.path("mark");
        let evil = format!("--upload-pack=touch {};", mark.display());
        let name = branch("main");
        let output = hermetic(ls_remote_command(&work.join(".git"), &evil, &name)).output().unwrap();
        assert!(!output.status.success(), "{kind:?}");
        assert!(!mark.exists(), "{kind:?}");
        assert_eq!(read_ls_remote(&output.stdout, &name), None);
    });
}

/// What the person who runs this test has configured must not matter, so it runs again in a child without any of it.
#[test]
fn nobody_is_asked_for_anything() {
    const CHILD: &str = "AFTERPUSH_TEST_CHILD";
    let (sandbox, work) = Sandbox::ordinary();
    if std::env::var_os(CHILD).is_none() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "remotes::nobody_is_asked_for_anything"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", sandbox.path(""))
            .env(CHILD, "1")
            // Left over from the push whose hook we are: they would lead to another repository.
            .envs([("GIT_DIR", "/nowhere"), ("GIT_CONFIG_PARAMETERS", "'a.b=c'"), ("GIT_CONFIG_GLOBAL", "/dev/null")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let command = ls_remote_command(&work.join(".git"), "origin", &branch("main"));
    for (name, expected) in [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", "/bin/false"),
        ("SSH_ASKPASS", "/bin/false"),
        ("SSH_ASKPASS_REQUIRE", "never"),
        ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=10"),
    ] {
        assert_eq!(value(&command, name), Some(expected), "{name}");
    }
    assert_eq!(value(&command, "GIT_CONFIG_COUNT"), None);
    let removed = |name: &str| command.get_envs().any(|(key, value)| key == OsStr::new(name) && value.is_none());
    assert!(removed("GIT_DIR") && removed("GIT_CONFIG_PARAMETERS") && !removed("GIT_CONFIG_GLOBAL"));
    // GIT_SSH_COMMAND would go before the user's own command, key file and all.
    sandbox.git(&work, &["config", "core.sshCommand", "ssh -i deploy_key"]);
    let command = ls_remote_command(&work.join(".git"), "origin", &branch("main"));
    assert_eq!(value(&command, "GIT_SSH_COMMAND"), None);
}
