//! The truth of a push, ref by ref and on every git: what is watched, what is not, and how each run ends.

use std::{
    fs,
    process::{Child, Stdio},
};

use afterpush_testkit::{
    digitalocean::Simulator,
    sandbox::{Project, skipped, wait_until},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::gits::{
    BRANCHES,
    End::{self, ExitCode, Reflog, Refused, Remote, TrackingRef},
    HURRY, Scene, each_git, executable, requests, result, server_hook,
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
