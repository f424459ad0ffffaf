//! The truth of a push, ref by ref and on every git: what is watched, what is not, and how each run ends.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
    process::{Child, ChildStdin, Stdio},
    thread,
    time::Instant,
};

use afterpush_testkit::{
    digitalocean::Simulator,
    sandbox::{Project, Said, Sandbox, skipped, wait_until},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::gits::{
    BRANCHES,
    End::{self, ExitCode, Reflog, Refused, Remote, TrackingRef},
    HURRY, Scene, each_git, executable, is_root, lines, requests, result, runs, server_hook,
};

const MAIN: &str = "refs/heads/main";

#[test]
fn every_spelling_of_a_push_is_watched() {
    each_git(|scene| {
        let project = scene.project();
        project.git(&["branch", "side"]);
        project.git(&["config", "branch.main.remote", "origin"]);
        project.git(&["config", "branch.main.merge", MAIN]);
        let sha = "<the commit>:refs/heads/by-id";
        let rows: [(&[&str], &[&str]); 14] = [
            (&["push", "origin", "main"], &[MAIN]),
            (&["push"], &[MAIN]),
            (&["push", "origin", "HEAD"], &[MAIN]),
            (&["push", "origin", "@:refs/heads/head"], &["refs/heads/head"]),
            (&["push", "origin", "main~0:refs/heads/expression"], &["refs/heads/expression"]),
            (&["push", "origin", sha], &["refs/heads/by-id"]),
            (&["push", "origin", "main:other"], &["refs/heads/other"]),
            (&["push", "origin", "main", "main:group/of/others"], &[MAIN, "refs/heads/group/of/others"]),
            (&["push", "--atomic", "origin", "main", "main:fresh"], &[MAIN, "refs/heads/fresh"]),
            (&["push", "--quiet", "origin", "main"], &[MAIN]),
            (&["push", "--porcelain", "--set-upstream", "--repo=origin", "origin", "main"], &[MAIN]),
            (&["-c", "alias.p=push", "p", "origin", "main"], &[MAIN]),
            (&["-c", "alias.p=!git push", "p", "origin", "main"], &[MAIN]),
            (&["push", "origin", "main", ":side"], &[MAIN]),
        ];
        project.push(&["--no-verify", "origin", "side"]);
        for (arguments, refs) in rows {
            let what = arguments.join(" ");
            let commit = project.commit(&what);
            let arguments: Vec<String> = arguments.iter().map(|word| word.replace("<the commit>", &commit)).collect();
            let mut command = scene.sandbox.command(scene.sandbox.git_program(), &project.work);
            let runs: Vec<_> = refs.iter().map(|name| (commit.as_str(), *name, Reflog)).collect();
            scene.run(&what, command.args(&arguments), 0, &runs);
        }
        project.git(&["checkout", "--quiet", "--detach"]);
        let commit = project.commit("detached");
        scene.push("a detached HEAD", &project.work, &["origin", "HEAD:main"], 0, &[(&commit, MAIN, Reflog)]);
    });
}

#[test]
fn what_changes_no_watched_ref_is_not_watched() {
    each_git(|scene| {
        let project = scene.project();
        project.git(&["branch", "gone"]);
        project.git(&["push", "--no-verify", "--quiet", "origin", "main", "gone"]);
        let quiet = |what: &str, arguments: &[&str], code: i32| {
            scene.push(what, &project.work, arguments, code, &[]);
        };
        quiet("up to date", &["origin", "main"], 0);
        quiet("a deletion", &["origin", ":gone"], 0);
        let commit = project.commit("new");
        quiet("--dry-run", &["--dry-run", "origin", "main"], 0);
        quiet("-n", &["-n", "origin", "main"], 0);
        let mut alias = scene.sandbox.command(scene.sandbox.git_program(), &project.work);
        alias.args(["-c", "alias.try=push --dry-run", "try", "origin", "main"]);
        scene.run("an alias of a dry run", &mut alias, 0, &[]);
        // More lines than a pipe holds: the hook is gone before git has written them.
        let many = (0..1_000).map(|n| format!("refs/heads/main:refs/heads/many/branch-number-{n}"));
        let many: Vec<String> = ["--dry-run".into(), "origin".into()].into_iter().chain(many).collect();
        quiet("--dry-run of 1,000 refs", &many.iter().map(String::as_str).collect::<Vec<_>>(), 0);
        project.git(&["tag", "v1"]);
        quiet("--tags without a target", &["--tags", "origin"], 0);
        quiet("refs/for without a target", &["origin", "main:refs/for/x"], 0);
        quiet("--no-verify", &["--no-verify", "origin", "main"], 0);
        assert_eq!(scene.remote_has(&project, MAIN), Some(commit));
        scene.somebody_pushes(&project, "main");
        project.git(&["commit", "--quiet", "--amend", "--allow-empty", "-m", "amended"]);
        quiet("a stale lease", &["--force-with-lease", "origin", "main"], 1);
    });
}

#[test]
fn what_the_remote_did_not_take_is_not_completed() {
    each_git(|scene| {
        let new = "refs/heads/new";
        let project = scene.project();
        project.git(&["push", "--no-verify", "--quiet", "origin", "main"]);
        let theirs = scene.somebody_pushes(&project, "main");
        let ours = project.commit("ours");
        let rejected = |what: &str, arguments: &[&str], commit: &str, refs: &[&str]| {
            let runs: Vec<_> = refs.iter().map(|name| (commit, *name, Refused)).collect();
            scene.push(what, &project.work, arguments, 1, &runs);
        };
        let (one, atomic) = (["origin", "main"], ["--atomic", "origin", "main", "main:new"]);
        rejected("fetch first", &one, &ours, &[MAIN]);
        rejected("fetch first, --atomic", &atomic, &ours, &[MAIN, new]);
        project.git(&["fetch", "--quiet"]);
        // Now git knows by itself that it will not send main, and does not tell the hook of it.
        rejected("not a fast-forward", &one, &ours, &[]);
        rejected("not a fast-forward, --atomic", &atomic, &ours, &[new]);
        project.git(&["reset", "--quiet", "--hard", &theirs]);
        let ours = project.commit("on top");
        server_hook(&project, "pre-receive", "exit 1");
        rejected("pre-receive", &one, &ours, &[MAIN]);
        fs::remove_file(project.bare.join("hooks/pre-receive")).unwrap();
        server_hook(&project, "update", "[ \"$1\" != refs/heads/main ]");
        rejected("update", &one, &ours, &[MAIN]);
        rejected("update, --atomic", &atomic, &ours, &[MAIN, new]);
        let runs = [(ours.as_str(), MAIN, Refused), (ours.as_str(), new, Reflog)];
        scene.push("update, one of two", &project.work, &["origin", "main", "main:new"], 1, &runs);
        assert_eq!((scene.remote_has(&project, MAIN), scene.remote_has(&project, new)), (Some(theirs), Some(ours)));
    });
}

#[test]
fn a_refused_push_of_a_commit_that_the_remote_contains_anyway_is_not_completed() {
    each_git(|scene| {
        let project = scene.project();
        let old = project.head();
        let new = project.commit("new");
        scene.push("both at once", &project.work, &["origin", "main"], 0, &[(&new, MAIN, Reflog)]);
        scene.sandbox.git(&project.bare, &["config", "receive.denyNonFastForwards", "true"]);
        // The remote's ref contains the older commit, as it did before this push: that proves nothing.
        let back = format!("{old}:main");
        let runs = [(old.as_str(), MAIN, Refused)];
        scene.push("back, which is forbidden", &project.work, &["--force", "origin", &back], 1, &runs);
        let heads = project.runs(&new)[0].ancestors().nth(3).unwrap().join("heads");
        let head = fs::read_to_string(heads.join("origin--refs+heads+main.json")).unwrap();
        assert!(head.contains(&new), "the newest landed push is that of the newer commit: {head}");
    });
}

#[test]
fn a_refused_push_of_a_commit_that_the_tracking_ref_is_at_is_not_completed() {
    each_git(|scene| {
        let project = scene.project();
        let commit = project.head();
        // Reflogs take the committer's time: the first push is long ago, so that its line is not this push's.
        let mut long_ago = project.push_command(&["origin", "main"]);
        long_ago.env("GIT_COMMITTER_DATE", "2020-01-02T03:04:05Z");
        scene.run("long ago", &mut long_ago, 0, &[(&commit, MAIN, TrackingRef)]);
        scene.somebody_pushes(&project, "main");
        let runs = [(commit.as_str(), MAIN, Refused)];
        scene.push("again, behind the remote", &project.work, &["origin", "main"], 1, &runs);
    });
}

#[test]
fn refs_that_git_does_not_track_are_watched_where_they_have_a_target() {
    each_git(|scene| {
        let target = |name: &str, refs: &str| format!("[[target]]\nname = \"{name}\"\nref = \"{refs}\"\n");
        let config = target("releases", "refs/tags/v*") + &target("review", "refs/for/*") + &target("web", MAIN);
        let project = scene.sandbox.project(&config);
        let commit = project.head();
        for tag in ["v1", "v2", "other"] {
            project.git(&["tag", tag]);
        }
        let runs = [(commit.as_str(), "refs/tags/v1", ExitCode), (commit.as_str(), "refs/tags/v2", ExitCode)];
        scene.push("--tags", &project.work, &["--tags", "origin"], 0, &runs);
        let runs = [(commit.as_str(), "refs/for/x", ExitCode)];
        scene.push("refs/for", &project.work, &["origin", "main:refs/for/x"], 0, &runs);
        project.git(&["tag", "-a", "-m", "annotated", "v3"]);
        let tag = project.git(&["rev-parse", "v3"]);
        let runs = [(tag.as_str(), "refs/tags/v3", ExitCode), (commit.as_str(), MAIN, Reflog)];
        scene.push("--follow-tags", &project.work, &["--follow-tags", "origin", "main"], 0, &runs);
        server_hook(&project, "update", "exit 1");
        project.git(&["tag", "v4"]);
        let runs = [(commit.as_str(), "refs/tags/v4", Refused)];
        scene.push("a tag that is refused", &project.work, &["origin", "v4"], 1, &runs);
    });
}

#[test]
fn a_push_to_an_address_is_watched() {
    each_git(|scene| {
        let project = scene.project();
        let path = project.bare.to_str().unwrap().to_owned();
        for address in [&path, &format!("file://{path}"), "../web.git"] {
            let commit = project.commit(address);
            scene.push(address, &project.work, &[address, "main"], 0, &[(&commit, MAIN, ExitCode)]);
        }
        let commit = project.commit("refused");
        // The server refuses once a monitor is there to see how git ends: nothing else in the repository would tell.
        let status = format!("'{}'/repos/*/runs/{commit}/*/status.json", scene.sandbox.state().display());
        let place = scene.sandbox.path().display();
        let wait = format!("while [ -d '{place}' ] && ! ls {status} >/dev/null 2>&1; do sleep 0.02; done\nexit 1");
        server_hook(&project, "pre-receive", &wait);
        scene.push("refused", &project.work, &[&path, "main"], 1, &[(&commit, MAIN, Refused)]);
    });
}

#[test]
fn clones_and_work_trees_of_every_kind_are_watched() {
    each_git(|scene| {
        let project = scene.project();
        project.git(&["push", "--no-verify", "--quiet", "origin", "main"]);

        let linked = scene.sandbox.path().join("linked");
        project.git(&["worktree", "add", "--quiet", "-b", "side", linked.to_str().unwrap()]);
        let commit = scene.commit(&linked, "linked");
        scene.push("a linked work tree", &linked, &["origin", "side"], 0, &[(&commit, "refs/heads/side", Reflog)]);

        for (name, options) in [("shallow", ["--depth=1"]), ("single", ["--single-branch"])] {
            let clone = scene.clone(name, &options, &project.bare);
            let commit = scene.commit(&clone, name);
            let own = format!("HEAD:{name}");
            let other = format!("refs/heads/{name}");
            let runs = [(commit.as_str(), other.as_str(), ExitCode)];
            scene.push(&format!("{name}: a branch that it does not follow"), &clone, &["origin", &own], 0, &runs);
            let runs = [(commit.as_str(), MAIN, Reflog)];
            scene.push(&format!("{name}: its branch"), &clone, &["origin", "main"], 0, &runs);
        }
    });
}

#[test]
fn a_bare_repository_is_watched_by_the_users_own_targets() {
    each_git(|scene| {
        let project = scene.project();
        project.git(&["push", "--no-verify", "--quiet", "origin", "main"]);
        let commit = project.head();
        let bare = scene.clone("own.git", &["--bare"], &project.bare);
        let to = |name: &str| format!("main:refs/heads/{name}");
        scene.push("without a target", &bare, &["origin", &to("a")], 0, &[]);
        scene.sandbox.user_config(&format!("{BRANCHES}{HURRY}"));
        let runs = [(commit.as_str(), "refs/heads/b", ExitCode)];
        scene.push("without remote-tracking refs", &bare, &["origin", &to("b")], 0, &runs);
        scene.sandbox.git(&bare, &["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
        let runs = [(commit.as_str(), "refs/heads/c", TrackingRef)];
        scene.push("with remote-tracking refs", &bare, &["origin", &to("c")], 0, &runs);
        let mut named = scene.sandbox.command(scene.sandbox.git_program(), scene.sandbox.path());
        named.args(["--git-dir", "own.git", "push", "origin", &to("d")]);
        scene.run("named by --git-dir", &mut named, 0, &[(&commit, "refs/heads/d", TrackingRef)]);
    });
}

#[test]
fn repositories_of_other_formats_are_watched() {
    each_git(|scene| {
        let sha256: &[&str] = &["--object-format=sha256"];
        let reftable: &[&str] = &["--ref-format=reftable"];
        let formats =
            [("sha256", sha256, sha256), ("reftable", reftable, &[]), ("both", &[sha256[0], reftable[0]], sha256)];
        for (name, work, server) in formats {
            let project = scene.sandbox.project_named(name, BRANCHES);
            let bare = [&["--bare"], server].concat();
            if !scene.init_again(&project, work, &bare) {
                skipped("repositories_of_other_formats_are_watched", &format!("{name}: {}", scene.version()));
                continue;
            }
            let commit = project.head();
            assert_eq!(commit.len(), if name == "reftable" { 40 } else { 64 });
            scene.push(name, &project.work, &["origin", "main"], 0, &[(&commit, MAIN, Reflog)]);
            let said = project.deploy_status(&["--json"]);
            assert_eq!((said.code, &said.json()["commit"]), (Some(1), &commit.as_str().into()), "{name}: {said:?}");
            server_hook(&project, "update", "exit 1");
            let commit = project.commit("refused");
            scene.push(&format!("{name}, refused"), &project.work, &["origin", "main"], 1, &[(&commit, MAIN, Refused)]);
        }
    });
}

#[test]
fn a_remote_with_two_addresses_is_one_run() {
    each_git(|scene| {
        let project = scene.project();
        let second = scene.sandbox.path().join("second.git");
        let (first, dead) = (project.bare.to_str().unwrap().to_owned(), scene.sandbox.path().join("dead.git"));
        scene.sandbox.git(scene.sandbox.path(), &["init", "--quiet", "--bare", "-b", "main", second.to_str().unwrap()]);
        let addresses = |list: &[&str]| {
            let _ = scene.sandbox.try_git(&project.work, &["config", "--unset-all", "remote.origin.pushurl"]);
            for address in list {
                project.git(&["config", "--add", "remote.origin.pushurl", address]);
            }
        };
        let (second_text, dead) = (second.to_str().unwrap(), dead.to_str().unwrap());
        addresses(&[&first, second_text]);
        let commit = project.head();
        scene.push("both answer", &project.work, &["origin", "main"], 0, &[(&commit, MAIN, Reflog)]);
        addresses(&[&first, dead]);
        let commit = project.commit("the second is dead");
        scene.push("the second is dead", &project.work, &["origin", "main"], 128, &[(&commit, MAIN, Reflog)]);
        addresses(&[dead, &first]);
        project.commit("the first is dead");
        scene.push("the first is dead", &project.work, &["origin", "main"], 128, &[]);
        addresses(&[&first, second_text]);
        executable(&second.join("hooks/pre-receive"), "exit 1");
        let commit = project.commit("the second refuses");
        scene.push("the second refuses", &project.work, &["origin", "main"], 1, &[(&commit, MAIN, Reflog)]);
    });
}

#[test]
fn a_mirrored_push_is_watched_branch_by_branch() {
    each_git(|scene| {
        let project = scene.project();
        let first = project.head();
        project.git(&["branch", "side"]);
        project.git(&["tag", "v1"]);
        project.git(&["update-ref", "refs/remotes/elsewhere/main", "HEAD"]);
        let second = project.commit("second");
        let runs = [(first.as_str(), "refs/heads/side", Reflog), (second.as_str(), MAIN, Reflog)];
        scene.push("--mirror", &project.work, &["--mirror", "origin"], 0, &runs);
        assert_eq!(scene.remote_has(&project, "refs/remotes/elsewhere/main"), Some(first));
    });
}

#[test]
fn a_forced_push_ends_the_old_commits_run_as_superseded() {
    each_git(|scene| {
        let simulator = Simulator::start();
        let _ = simulator.add_app("web", "acme/web", "main", "https://web.example.invalid");
        scene.sandbox.user_config(&format!("[provider.digitalocean]\napi_url = \"{}\"\n{HURRY}", simulator.url()));
        scene.sandbox.credentials("[digitalocean]\ntoken = \"from-the-file\"\n");
        let provider = "provider = { kind = \"digitalocean\", app = \"web\" }\n";
        let project = scene.sandbox.project(&format!("{BRANCHES}{provider}"));
        let awaits = |commit: &str| {
            project.status(commit, "the deployment awaited", |status| status["phase"] == "awaiting_deployment");
        };
        for (what, force) in [("--force", "--force"), ("a lease", "--force-with-lease"), ("a plus", "+main")] {
            let old = project.commit(&format!("old of {what}"));
            assert_eq!(project.push(&["--force", "origin", "main"]).code, Some(0));
            awaits(&old);
            project.git(&["commit", "--quiet", "--amend", "--allow-empty", "-m", &format!("new of {what}")]);
            let new = project.head();
            let arguments: &[&str] = if force == "+main" { &["origin", force] } else { &[force, "origin", "main"] };
            assert_eq!(project.push(arguments).code, Some(0), "{what}");
            let ended = project.result(&old);
            assert_eq!(
                (&ended["outcome"], &ended["outcome_by"]),
                (&"superseded".into(), &new.as_str().into()),
                "{what}"
            );
            awaits(&new);
        }
    });
}

/// A push to a server that halts in one of its hooks, until the sandbox's file `go` is there; then the hook ends with `code`.
fn halted_push(scene: &Scene, project: &Project<'_>, arguments: &[&str], hook: &str, code: i32) -> Child {
    let place = scene.sandbox.path();
    let (entered, go) = (place.join("entered"), place.join("go"));
    let (there, go) = (place.display(), go.display());
    let halt = format!("while [ -d '{there}' ] && [ ! -e '{go}' ]; do sleep 0.02; done");
    server_hook(project, hook, &format!(": >'{}'\n{halt}\nexit {code}", entered.display()));
    let mut push = project.push_command(arguments);
    let push = push.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the server's hook", || entered.exists());
    push
}

/// The end of the only run.
fn ends(scene: &Scene, what: &str, end: End) {
    // Not what the push brought back of an earlier one that no hook saw.
    let mut seen = requests(&scene.sandbox).into_iter().filter(|(_, (_, request))| request["source"] == "hook");
    let (id, (run, _)) = seen.next().unwrap();
    end.check(&format!("{what} ({})", scene.version()), &result(&run, &id));
}

fn kill_hard(mut push: Child) {
    kill(Pid::from_raw(i32::try_from(push.id()).unwrap()), Signal::SIGKILL).unwrap();
    assert_eq!(push.wait().unwrap().code(), None, "it was killed");
}

#[test]
fn a_client_that_is_killed_after_the_server_accepted_is_watched() {
    each_git(|scene| {
        let project = scene.project();
        let commit = project.head();
        let push = halted_push(scene, &project, &["origin", "main"], "post-receive", 0);
        kill_hard(push);
        fs::write(scene.sandbox.path().join("go"), "").unwrap();
        ends(scene, "killed", Remote);
        assert_eq!(scene.remote_has(&project, MAIN), Some(commit));
        let tracking = ["rev-parse", "--verify", "--quiet", "refs/remotes/origin/main"];
        assert_ne!(scene.sandbox.try_git(&project.work, &tracking).code, Some(0), "git itself does not know");
    });
}

#[test]
fn a_server_that_takes_its_time_after_the_clients_death_is_asked_twice() {
    each_git(|scene| {
        // Between the two questions the server, once let on, has the seconds that it has by default.
        scene.sandbox.user_config("");
        let project = scene.project();
        // Tells when the remote's first answer is out; it cannot have the commit by then.
        let answered = scene.sandbox.path().join("answered");
        let upload_pack = scene.sandbox.path().join("upload-pack");
        executable(&upload_pack, &format!("git-upload-pack \"$@\"\n: >'{}'", answered.display()));
        project.git(&["config", "remote.origin.uploadpack", upload_pack.to_str().unwrap()]);
        let push = halted_push(scene, &project, &["origin", "main"], "pre-receive", 0);
        kill_hard(push);
        wait_until("the remote's first answer", || answered.exists());
        fs::write(scene.sandbox.path().join("go"), "").unwrap();
        ends(scene, "killed early", Remote);
    });
}

#[test]
fn a_client_that_is_killed_before_the_server_refused_is_not_completed() {
    each_git(|scene| {
        let project = scene.project();
        let back = format!("{}:main", project.head());
        project.commit("new");
        project.git(&["push", "--no-verify", "--quiet", "origin", "main"]);
        // git's exit tells nothing, and the remote's ref contains the commit, as it did before this push.
        let push = halted_push(scene, &project, &["--force", "origin", &back], "pre-receive", 1);
        kill_hard(push);
        fs::write(scene.sandbox.path().join("go"), "").unwrap();
        ends(scene, "killed before the refusal", Refused);
    });
}

/// Runs the installed hook as git would, with `feed` writing its standard input. What `feed` gives back stays open until the
/// hook has ended, which it must do by itself.
fn hook(
    sandbox: &Sandbox,
    project: &Project<'_>,
    feed: impl FnOnce(ChildStdin) -> Option<ChildStdin> + Send + 'static,
) -> Said {
    let (out, err) = (sandbox.path().join("hook.out"), sandbox.path().join("hook.err"));
    let mut command = sandbox.command(project.work.join(".git/hooks/pre-push"), &project.work);
    command.args(["origin", project.bare.to_str().unwrap()]).stdin(Stdio::piped());
    command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
    let began = Instant::now();
    let mut child = command.spawn().unwrap();
    let input = child.stdin.take().unwrap();
    let writer = thread::spawn(move || feed(input));
    let mut status = None;
    wait_until("the hook's end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let took = began.elapsed();
    drop(writer.join().unwrap());
    let read = |path| String::from_utf8(fs::read(path).unwrap()).unwrap();
    let said = Said { code: status.unwrap().code(), stdout: read(out), stderr: read(err), took };
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.stderr.lines().count() <= 1, "at most one line: {said:?}");
    said
}

/// Feeds bytes to the end.
fn bytes(bytes: Vec<u8>) -> impl FnOnce(ChildStdin) -> Option<ChildStdin> + Send + 'static {
    move |mut input| {
        // A hook may stop reading early.
        let _ = input.write_all(&bytes);
        None
    }
}

/// A line of a push that creates `name`.
fn line(commit: &str, name: &str) -> String {
    format!("refs/heads/x {commit} {name} {}\n", "0".repeat(40))
}

#[test]
fn broken_lines_of_the_hooks_input_are_skipped_and_the_sound_ones_count() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BRANCHES);
    let commit = project.head();
    let zero = "0".repeat(40);
    let not_utf8 =
        [format!("refs/heads/x {commit} refs/heads/").as_bytes(), b"\xff\xfe ", zero.as_bytes(), b"\n"].concat();
    let broken: Vec<Vec<u8>> = vec![
        b"\n\n\n".to_vec(),
        b"\0\0\0\n".to_vec(),
        b"refs/heads/x\n".to_vec(),
        format!("refs/heads/x {commit}\n").into(),
        format!("refs/heads/x {commit} refs/heads/x\n").into(),
        format!("refs/heads/x {commit} refs/heads/x {zero} more\n").into(),
        format!("refs/heads/x {} refs/heads/x {zero}\n", &commit[..39]).into(),
        format!("refs/heads/x {commit}0 refs/heads/x {zero}\n").into(),
        format!("refs/heads/x {commit} refs/heads/x {}\n", &commit[..39]).into(),
        format!("refs/heads/x {commit} refs/heads/../x {zero}\n").into(),
        format!("refs/heads/x {commit} x {zero}\n").into(),
        format!("(delete) {zero} refs/heads/x {commit}\n").into(),
        not_utf8,
    ];
    let endings: [&[u8]; 4] = [b"", b"refs/heads/x", &[b'x'; 2 << 20], &[0; 2 << 20]];
    for input in broken.iter().map(Vec::as_slice).chain(endings) {
        let said = hook(&sandbox, &project, bytes(input.to_vec()));
        let what = String::from_utf8_lossy(&input[..input.len().min(200)]);
        assert!(runs(&sandbox).is_empty(), "{what}: {said:?}");
    }
    // All of them, a sound line among them, and one at the end, which need not have a newline.
    let sound = line(&commit, MAIN).into_bytes();
    let last = line(&commit, "refs/heads/last").trim_end().into();
    let input = [broken[..6].concat(), sound, broken[6..].concat(), last].concat();
    let said = hook(&sandbox, &project, bytes(input));
    assert_eq!(said.stderr, "afterpush: watching 2 refs; `deploy-status` tells\n");
    assert_eq!(runs(&sandbox).len(), 2);
}

#[test]
fn an_input_that_does_not_end_does_not_hold_the_hook() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BRANCHES);
    let held_open = |text: String| {
        move |mut input: ChildStdin| {
            input.write_all(text.as_bytes()).unwrap();
            Some(input)
        }
    };
    assert_eq!(hook(&sandbox, &project, held_open(String::new())).stderr, "");
    assert!(runs(&sandbox).is_empty());
    let said = hook(&sandbox, &project, held_open(line(&project.head(), MAIN)));
    assert!(said.stderr.contains("afterpush: watching"), "{said:?}");
    assert_eq!(runs(&sandbox).len(), 1);
    let endless = line(&project.head(), "refs/tags/none").repeat(1000);
    hook(&sandbox, &project, move |mut input| {
        while input.write_all(endless.as_bytes()).is_ok() {}
        None
    });
    assert_eq!(runs(&sandbox).len(), 1);
}

#[test]
fn a_megabyte_of_refs_hides_no_watched_one_silently() {
    for is_first in [true, false] {
        let sandbox = Sandbox::new();
        let project = sandbox.project(&BRANCHES.replace("refs/heads/*", MAIN));
        let commit = project.head();
        let others: String = (0..12_000).map(|number| line(&commit, &format!("refs/heads/number-{number}"))).collect();
        assert!(others.len() > 1 << 20);
        let ours = line(&commit, MAIN);
        let input = if is_first { ours + &others } else { others + &ours };
        let said = hook(&sandbox, &project, bytes(input.into()));
        let is_watched = runs(&sandbox).len() == 1;
        assert_eq!(said.stderr.lines().count(), 1, "it is watched or skipped with one line: {said:?}");
        assert_eq!(is_watched, said.stderr.contains("afterpush: watching"), "{said:?}");
        assert!(is_watched || !is_first, "what comes within the limit is watched: {said:?}");
    }
}

/// Shows that a push went on unwatched, and that one line told why and what to do: `<why>; <what to do>`.
fn refused_in_one_line(said: &Said, why: &[&str]) {
    assert_eq!(said.code, Some(0), "{why:?}: {said:?}");
    let told: Vec<_> = lines(said).collect();
    assert_eq!(told.len(), 1, "{why:?}: {said:?}");
    assert!(told[0].starts_with("afterpush: not watching this push: "), "{why:?}: {said:?}");
    for text in why.iter().chain(&["; "]) {
        assert!(told[0].contains(text), "{text:?} is missing: {said:?}");
    }
}

#[test]
fn a_repository_of_another_user_is_refused_and_the_push_goes_on() {
    if !is_root("a_repository_of_another_user_is_refused_and_the_push_goes_on") {
        return;
    }
    each_git(|scene| {
        for (what, config) in [("configured", BRANCHES), ("of no concern", "")] {
            let project = scene.sandbox.project_named(&what.replace(' ', "-"), config);
            let commit = project.head();
            for path in [&project.work, &project.work.join(".git")] {
                chown(path, Some(12_345), None).unwrap();
            }
            let mut push = scene.sandbox.command(scene.sandbox.git_program(), &project.work);
            // git itself refuses, unless the user says that it is safe.
            let said = Said::of(push.args(["-c", "safe.directory=*", "push", "origin", "main"]));
            if config.is_empty() {
                assert_eq!((said.code, lines(&said).count()), (Some(0), 0), "{said:?}");
            } else {
                refused_in_one_line(&said, &["the repository belongs to another user"]);
            }
            assert_eq!(scene.remote_has(&project, MAIN), Some(commit), "{}", scene.version());
            assert!(runs(&scene.sandbox).is_empty());
        }
    });
}

/// What can be wrong with a state directory.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    Link,
    Mode(u32),
    File,
    LinkInside,
    Foreign,
}

impl Flaw {
    /// Makes a state directory with this flaw, and gives what the refusal says.
    fn make(self, place: &Path) -> &'static str {
        let elsewhere = place.with_extension("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        match self {
            Self::Link => symlink(&elsewhere, place).unwrap(),
            Self::File => fs::write(place, "").unwrap(),
            _ => fs::create_dir(place).unwrap(),
        }
        match self {
            Self::Link => "it is a symbolic link",
            Self::File => "it is not a directory",
            Self::Mode(mode) => {
                fs::set_permissions(place, fs::Permissions::from_mode(mode)).unwrap();
                "other users can write to it"
            }
            Self::LinkInside => {
                symlink(&elsewhere, place.join("repos")).unwrap();
                "it is not a directory"
            }
            Self::Foreign => {
                chown(place, Some(12_345), None).unwrap();
                "it belongs to another user"
            }
        }
    }
}

#[test]
fn a_state_directory_that_is_not_safe_is_refused_and_the_push_goes_on() {
    each_git(|scene| {
        let project = scene.project();
        for flaw in [Flaw::Link, Flaw::Mode(0o770), Flaw::Mode(0o757), Flaw::File, Flaw::LinkInside, Flaw::Foreign] {
            if flaw == Flaw::Foreign && !is_root("a_state_directory_that_is_not_safe (another user's)") {
                continue;
            }
            let state = scene.sandbox.path().join(format!("{flaw:?}").to_lowercase().replace(['(', ')'], "-"));
            let problem = flaw.make(&state);
            let commit = project.commit(&format!("{flaw:?}"));
            let said = Said::of(project.push_command(&["origin", "main"]).env("AFTERPUSH_STATE_DIR", &state));
            refused_in_one_line(&said, &[problem, state.to_str().unwrap()]);
            assert_eq!(scene.remote_has(&project, MAIN), Some(commit), "{}", scene.version());
            // Neither in the flawed place nor where a link in it leads, nor anywhere else.
            let elsewhere = fs::read_dir(state.with_extension("elsewhere")).unwrap();
            assert_eq!(elsewhere.count(), 0, "{flaw:?}");
            let allowed = usize::from(flaw == Flaw::LinkInside);
            assert_eq!(
                fs::read_dir(&state).map_or(0, |found| if flaw == Flaw::Link { 0 } else { found.count() }),
                allowed
            );
            assert!(!project.work.join(".git/afterpush").exists() && runs(&scene.sandbox).is_empty(), "{flaw:?}");
        }
    });
}
