//! Strict mode: pushes with --no-verify are watched at once, and whatever happens to the hook, nothing that changes refs is
//! ever stopped by it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox, skipped, wait_until};

use crate::gits::{
    BRANCHES,
    End::{Reflog, TrackingRef},
    Scene, each_git, executable, lines, requests, server_hook,
};

const MAIN: &str = "refs/heads/main";
const HOOK: &str = ".git/hooks/reference-transaction";

fn strict(scene: &Scene) -> Project<'_> {
    let project = scene.project();
    install(&project);
    project
}

fn install(project: &Project<'_>) {
    let said = project.afterpush(&["install", "--strict"]);
    assert!(said.code == Some(0) && said.stdout.contains("strict mode: installed at "), "{said:?}");
}

#[test]
fn a_push_without_pre_push_is_watched_at_once() {
    each_git(|scene| {
        let project = strict(scene);
        fs::create_dir(project.work.join("sub")).unwrap();
        let linked = scene.sandbox.path().join("linked");
        project.git(&["worktree", "add", "--quiet", "-b", "topic", linked.to_str().unwrap()]);
        project.git(&["config", "alias.p", "push --no-verify"]);
        let rows: [(&str, PathBuf, &[&str], &str); 5] = [
            ("plain", project.work.clone(), &["push", "--no-verify", "origin", "main"], MAIN),
            ("an alias", project.work.clone(), &["p", "origin", "main"], MAIN),
            ("below the root", project.work.join("sub"), &["push", "--no-verify", "origin", "main"], MAIN),
            ("by name", project.work.clone(), &["push", "--no-verify", "origin", "main:group/x"], "refs/heads/group/x"),
            ("a linked work tree", linked, &["push", "--no-verify", "origin", "topic"], "refs/heads/topic"),
        ];
        for (what, place, arguments, name) in rows {
            let commit = scene.commit(&place, what);
            let mut command = scene.sandbox.command(scene.sandbox.git_program(), &place);
            scene.run(what, command.args(arguments), 0, &[(&commit, name, Reflog)]);
        }
        // One transaction a ref, so one line a ref.
        let commit = project.commit("two");
        let said = project.push(&["--no-verify", "origin", "main", "main:second"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(lines(&said).filter(|line| line.contains("watching")).count(), 2, "{said:?}");
        assert_eq!(project.runs(&commit).len(), 2);
    });
}

#[test]
fn a_push_that_pre_push_has_seen_is_watched_once() {
    each_git(|scene| {
        let project = strict(scene);
        let commit = project.head();
        scene.push("both hooks", &project.work, &["origin", "main"], 0, &[(&commit, MAIN, Reflog)]);
        project.git(&["config", "alias.p", "push"]);
        let commit = project.commit("by an alias");
        let mut command = scene.sandbox.command(scene.sandbox.git_program(), &project.work);
        scene.run("an alias", command.args(["p", "origin", "main"]), 0, &[(&commit, MAIN, Reflog)]);
        let seen_by: Vec<_> =
            requests(&scene.sandbox).into_values().map(|(_, request)| request["source"].clone()).collect();
        assert_eq!(seen_by, ["hook", "hook"], "nothing was recorded a second time ({})", scene.version());
        // The same commit moves to the same ref a second time: that is another push.
        let other = project.commit("in between");
        let runs = [(other.as_str(), MAIN, Reflog)];
        scene.push("forward", &project.work, &["--no-verify", "origin", "main"], 0, &runs);
        let back = format!("+{commit}:main");
        let runs = [(commit.as_str(), MAIN, Reflog)];
        scene.push("back", &project.work, &["--no-verify", "origin", &back], 0, &runs);
    });
}

#[test]
fn what_no_push_has_moved_is_not_watched() {
    each_git(|scene| {
        let project = strict(scene);
        project.git(&["branch", "gone"]);
        project.git(&["push", "--quiet", "--no-verify", "origin", "main", "gone"]);
        let quiet = |what: &str, arguments: &[&str], code: i32| {
            let mut command = scene.sandbox.command(scene.sandbox.git_program(), &project.work);
            scene.run(what, command.args(arguments), code, &[]);
        };
        // A push that begins within the ticks of the clocks after another one's end cannot be told from it.
        let reflog = project.work.join(".git/logs/refs/remotes/origin/main");
        wait_until("an older reflog", || {
            let written = fs::metadata(&reflog).ok().and_then(|found| found.modified().ok());
            written.is_some_and(|at| at.elapsed().is_ok_and(|age| age > Duration::from_millis(100)))
        });
        quiet("up to date", &["push", "--no-verify", "origin", "main"], 0);
        quiet("a deletion", &["push", "--no-verify", "origin", ":gone"], 0);
        scene.somebody_pushes(&project, "main");
        quiet("a fetch", &["fetch", "--quiet"], 0);
        quiet(
            "a fetch by an alias",
            &["-c", "alias.f=fetch", "f", "--quiet", "origin", "+main:refs/remotes/origin/other"],
            0,
        );
        quiet("a pull", &["pull", "--quiet", "--rebase", "origin", "main"], 0);
        project.commit("ours");
        quiet("a dry run", &["push", "--no-verify", "--dry-run", "origin", "main"], 0);
        server_hook(&project, "pre-receive", "exit 1");
        quiet("refused", &["push", "--no-verify", "origin", "main"], 1);
        fs::remove_file(project.bare.join("hooks/pre-receive")).unwrap();
        let mut skip = project.push_command(&["--no-verify", "origin", "main"]);
        scene.run("on request", skip.env("AFTERPUSH_SKIP", "1"), 0, &[]);
        quiet("by hand", &["update-ref", "refs/remotes/origin/push", "HEAD"], 0);
    });
}

#[test]
fn where_there_is_no_reflog_a_push_is_known_by_its_command() {
    each_git(|scene| {
        let project = scene.project();
        if scene.init_again(&project, &["--ref-format=reftable"], &["--bare"]) {
            install(&project);
            let commit = project.head();
            let mut push = project.push_command(&["--no-verify", "origin", "main"]);
            scene.run("reftable", &mut push, 0, &[(&commit, MAIN, Reflog)]);
            scene.push("reftable, up to date", &project.work, &["--no-verify", "origin", "main"], 0, &[]);
            let theirs = scene.somebody_pushes(&project, "main");
            project.git(&["fetch", "--quiet"]);
            assert!(project.runs(&theirs).is_empty());
        } else {
            skipped("where_there_is_no_reflog", &format!("{} knows no reftable", scene.version()));
        }
        let project = scene.sandbox.project_named("unlogged", BRANCHES);
        install(&project);
        project.git(&["config", "core.logAllRefUpdates", "false"]);
        // One that the other project does not have too, made in the same second.
        let commit = project.commit("unlogged");
        let said = project.push(&["--no-verify", "origin", "main"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let result = project.result(&commit);
        TrackingRef.check("no reflog", &result);
    });
}

#[test]
fn a_bare_repository_is_watched_too() {
    each_git(|scene| {
        let project = scene.project();
        let bare = scene.sandbox.path().join("second.git");
        let (from, to) = (project.work.to_str().unwrap(), bare.to_str().unwrap());
        scene.sandbox.git(scene.sandbox.path(), &["clone", "--quiet", "--bare", from, to]);
        scene.sandbox.git(&bare, &["remote", "set-url", "origin", project.bare.to_str().unwrap()]);
        scene.sandbox.git(&bare, &["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
        let user = crate::gits::HURRY.to_owned() + BRANCHES;
        scene.sandbox.user_config(&user);
        let said = scene.sandbox.afterpush(&bare, &["install", "--strict"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let commit = scene.sandbox.git(&bare, &["rev-parse", "main"]);
        let before = requests(&scene.sandbox).len();
        let said = scene.sandbox.try_git(&bare, &["push", "--no-verify", "origin", "main"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(requests(&scene.sandbox).len(), before + 1, "{said:?}");
        let result = project.result(&commit);
        assert!(result["push_proof"].is_string(), "{result:#}");
    });
}

/// Replaces the program that the installed shim runs.
fn stand_in(project: &Project<'_>, program: &Path) {
    let path = project.work.join(HOOK);
    let shim = fs::read_to_string(&path).unwrap();
    let replaced = shim.lines().map(|line| match line.starts_with("hook=") {
        true => format!("hook='{}'", program.display()),
        false => line.to_owned(),
    });
    let text = replaced.collect::<Vec<_>>().join("\n") + "\n";
    assert_ne!(text, shim);
    fs::write(path, text).unwrap();
}

/// Everything that changes refs, each of which must succeed and do what it says.
fn everything_works(what: &str, scene: &Scene, project: &Project<'_>, round: usize) {
    let (sandbox, what) = (&scene.sandbox, format!("{what} ({})", scene.version()));
    let done = |arguments: &[&str]| {
        let said = sandbox.try_git(&project.work, arguments);
        assert_eq!(said.code, Some(0), "{what}: git {arguments:?}: {said:?}");
    };
    let commit = project.commit(&format!("{what} {round}"));
    done(&["push", "--quiet", "--no-verify", "origin", "main"]);
    assert_eq!(scene.remote_has(project, MAIN), Some(commit.clone()), "{what}");
    assert_eq!(project.git(&["rev-parse", "origin/main"]), commit, "{what}");
    let theirs = scene.somebody_pushes(project, "main");
    project.commit("ours");
    done(&["fetch", "--quiet"]);
    assert_eq!(project.git(&["rev-parse", "origin/main"]), theirs, "{what}");
    done(&["rebase", "--quiet", "origin/main"]);
    assert_eq!(project.git(&["rev-parse", "HEAD~1"]), theirs, "{what}");
    done(&["push", "--quiet", "origin", "main"]);
    fs::write(project.work.join("file"), what.as_bytes()).unwrap();
    done(&["stash", "--quiet"]);
    done(&["stash", "pop", "--quiet"]);
    done(&["commit", "--quiet", "--all", "--amend", "--no-edit"]);
    done(&["tag", &format!("v{round}")]);
    done(&["branch", "side"]);
    done(&["branch", "--quiet", "-D", "side"]);
    done(&["pack-refs", "--all"]);
    done(&["gc", "--quiet"]);
    let place = sandbox.path().join(format!("round-{round}"));
    let place = place.to_str().unwrap();
    done(&["worktree", "add", "--quiet", "--detach", place]);
    done(&["worktree", "remove", "--force", place]);
    sandbox.git(sandbox.path(), &["clone", "--quiet", project.work.to_str().unwrap(), place]);
    done(&["push", "--quiet", "--force", "--no-verify", "origin", "main"]);
}

#[test]
fn no_trouble_of_the_hook_stops_anything() {
    each_git(|scene| {
        let project = strict(scene);
        let place = |name: &str| scene.sandbox.path().join(name);
        executable(&place("failing"), "echo trouble >&2; exit 1");
        executable(&place("killed"), "kill -9 $$");
        executable(&place("slow"), "sleep 0.3");
        executable(&place("leaving-a-child"), "sleep 600 >/dev/null 2>&1 & echo $! >>\"$HOME/children\"");
        executable(&place("odd"), "");
        fs::write(place("odd"), b"\x7fELF is not a program").unwrap();
        let names = ["missing", "failing", "killed", "slow", "leaving-a-child", "odd"];
        for (round, name) in names.into_iter().enumerate() {
            stand_in(&project, &place(name));
            everything_works(name, scene, &project, round);
        }
        let children = fs::read_to_string(place("home/children")).unwrap_or_default();
        for child in children.lines() {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.parse().unwrap()), nix::sys::signal::SIGKILL);
        }
        assert!(!children.is_empty(), "the program was run, and nobody waited for what it left behind");
    });
}

#[test]
fn a_state_directory_that_cannot_be_written_stops_nothing() {
    each_git(|scene| {
        let project = strict(scene);
        let commit = project.commit("no state");
        let file = scene.sandbox.path().join("a file");
        fs::write(&file, "").unwrap();
        let mut push = project.push_command(&["--no-verify", "origin", "main"]);
        let said = Said::of(push.env("AFTERPUSH_STATE_DIR", &file));
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(scene.remote_has(&project, MAIN), Some(commit));
        assert!(lines(&said).any(|line| line.contains("not watching this push")), "{said:?}");
        // A broken configuration neither.
        fs::write(project.work.join(".afterpush.toml"), "not toml [").unwrap();
        everything_works("a broken configuration", scene, &project, 100);
    });
}

#[test]
fn thousands_of_refs_start_no_program_of_ours() {
    each_git(|scene| {
        let project = strict(scene);
        let called = scene.sandbox.path().join("called");
        let program = scene.sandbox.path().join("counting");
        executable(&program, &format!("echo \"$*\" >>'{}'", called.display()));
        stand_in(&project, &program);
        let head = project.head();
        let refs = |below: &str| (0..1_000).map(|n| format!("create {below}/b{n:04} {head}\n")).collect::<String>();
        project.git(&["push", "--quiet", "origin", "main"]);
        let update = |directory: &Path, text: &str| {
            let mut command = scene.sandbox.command(scene.sandbox.git_program(), directory);
            let mut child = command.args(["update-ref", "--stdin"]).stdin(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            assert!(child.wait().unwrap().success(), "{}", scene.version());
        };
        let lines = || fs::read_to_string(&called).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
        // The push above, and nothing of what follows.
        assert_eq!(lines().len(), 1, "{:?}", lines());
        update(&project.bare, &refs("refs/heads"));
        update(&project.work, &refs("refs/heads/local"));
        project.git(&["fetch", "--quiet"]);
        assert_eq!(project.git(&["for-each-ref", "refs/remotes/origin/b????"]).lines().count(), 1_000);
        scene.somebody_pushes(&project, "main");
        project.git(&["pull", "--quiet", "--rebase", "origin", "main"]);
        project.git(&["commit", "--quiet", "--allow-empty", "-m", "push the fetch of a clone"]);
        project.git(&["gc", "--quiet"]);
        project.git(&["fetch", "--quiet", "--prune", "origin"]);
        assert_eq!(lines().len(), 1, "{:?}", lines());
        let commit = project.commit("last");
        project.git(&["push", "--quiet", "--no-verify", "origin", "main"]);
        assert!(lines()[1].ends_with(&format!("{commit} refs/remotes/origin/main")), "{:?}", lines());
        assert!(lines()[1].starts_with("reference-transaction ") && lines().len() == 2, "{:?}", lines());
    });
}

#[test]
fn the_shim_itself_starts_no_process() {
    const NAME: &str = "the_shim_itself_starts_no_process";
    const STRACE: &str = "/usr/bin/strace";
    if !Path::new(STRACE).exists() {
        return skipped(NAME, "strace is not installed");
    }
    each_git(|scene| {
        let project = strict(scene);
        let head = project.head();
        let zero = "0".repeat(head.len());
        let trace = scene.sandbox.path().join("trace");
        let rows = [
            ("preparing", format!("{zero} {head} refs/remotes/origin/x\n")),
            ("prepared", format!("{zero} {head} refs/remotes/origin/x\n")),
            ("aborted", format!("{zero} {head} refs/remotes/origin/x\n")),
            ("committed", format!("{zero} {head} HEAD\n{zero} {head} refs/heads/x\n")),
            ("committed", format!("{zero} {head} refs/tags/x\n")),
            ("committed", format!("{zero} {zero} refs/remotes/origin/x\n")),
            ("committed", "nonsense".to_owned()),
            ("committed", String::new()),
            ("", String::new()),
        ];
        // Below a process whose arguments say push, and below another one.
        for (state, input) in
            rows.iter().flat_map(|(state, input)| [(vec![*state, "push"], input), (vec![*state], input)])
        {
            let mut command = scene.sandbox.command(STRACE, &project.work);
            command.args(["-f", "-qq", "--trace=%process", "-o", trace.to_str().unwrap(), "/bin/sh", HOOK]);
            let mut child = command.args(&state).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            let answer = child.wait_with_output().unwrap();
            if String::from_utf8_lossy(&answer.stderr).to_lowercase().contains("ptrace") {
                return skipped(NAME, "strace cannot trace here");
            }
            assert!(answer.status.success(), "{state:?} {input}");
            let calls = fs::read_to_string(&trace).unwrap();
            let started =
                |line: &&str| ["execve(", "fork(", "clone(", "clone3("].iter().any(|call| line.contains(call));
            assert_eq!(calls.lines().filter(started).count(), 1, "{state:?} {input}: {calls}");
        }
        // Without a standard input at all.
        let mut closed = scene.sandbox.command("/bin/sh", &project.work);
        let said = Said::of(closed.args(["-c", &format!("sh {HOOK} committed <&-")]));
        assert!(said.code == Some(0) && said.stderr.is_empty(), "{said:?}");
    });
}

/// What a hook that notes everything has noted, without the object ids of commits, which differ.
fn noted(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let _ = fs::remove_file(path);
    let masked = |word: &str| match word.len() >= 40 && !word.starts_with("000000") {
        true => "<id>".to_owned(),
        false => word.to_owned(),
    };
    text.lines().map(|line| line.split(' ').map(masked).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_hook_that_was_there_sees_and_refuses_what_it_did_before() {
    each_git(|scene| {
        let project = scene.project();
        let (notes, refuse) = (scene.sandbox.path().join("notes"), scene.sandbox.path().join("refuse"));
        let hook = project.work.join(HOOK);
        let body = format!(
            "{{ echo \"$# $1\"; cat; echo end; }} >>'{}'\n[ \"$1\" = committed ] || [ ! -e '{}' ]",
            notes.display(),
            refuse.display()
        );
        executable(&hook, &body);
        let before = fs::read(&hook).unwrap();
        let session = |name: &str| {
            project.commit(name);
            project.git(&["push", "--quiet", "--no-verify", "origin", "main"]);
            project.git(&["push", "--quiet", "--no-verify", "origin", "main:other", "main:third"]);
            project.git(&["push", "--quiet", "--no-verify", "origin", ":other", ":third"]);
            project.git(&["fetch", "--quiet"]);
            noted(&notes)
        };
        session("to have the branch");
        let alone = session("alone");
        install(&project);
        let chained = session("chained");
        assert_eq!(chained, alone, "{}", scene.version());
        assert!(alone.iter().any(|line| line == "1 committed") && alone.len() > 20, "{alone:?}");
        let commit = project.head();
        assert_eq!(project.runs(&commit).len(), 3, "main, other and third");
        // It still refuses; and the word of ours is not asked.
        fs::write(&refuse, "").unwrap();
        let said = scene.sandbox.try_git(&project.work, &["commit", "--quiet", "--allow-empty", "-m", "refused"]);
        assert!(said.code != Some(0) && said.stderr.contains("aborted by"), "{said:?}");
        assert_eq!(project.head(), commit);
        fs::remove_file(&refuse).unwrap();
        let said = project.afterpush(&["uninstall", "--strict"]);
        assert!(said.code == Some(0) && said.stdout.contains("is back"), "{said:?}");
        assert_eq!(fs::read(&hook).unwrap(), before);
        assert!(project.work.join(".git/hooks/pre-push").exists(), "the other hook stays");
    });
}

#[test]
fn doctor_measures_what_strict_mode_costs() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BRANCHES);
    let check = |project: &Project<'_>| {
        let document = project.afterpush(&["doctor", "--json"]).json();
        let checks = document["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == "strict mode")
    };
    assert_eq!(check(&project), None, "nobody asked for it");
    install(&project);
    let message = check(&project).unwrap()["message"].as_str().unwrap().to_owned();
    let (_, cost) = message.split_once("a fetch of 2000 new refs takes ").expect(&message);
    let figures: Vec<f64> = cost.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(figures.len() == 2 && figures[0] > 0.0 && figures[1] > 0.0, "{message}");
    let left = Command::new("git").arg("-C").arg(&project.work).arg("status").arg("--porcelain").output().unwrap();
    assert!(left.stdout.is_empty(), "nothing of the person's has changed");
}
