//! What a push is, whatever it looks like: watched when it is one, left alone when it is not.

use std::fs;

use afterpush_testkit::sandbox::{Project, Said, Sandbox};

/// A target that nothing can be asked about: such a run ends as soon as the push is confirmed.
const BARE_TARGET: &str = "[[target]]\nname = \"web\"\nref = \"refs/heads/*\"\n";

fn watched(said: &Said) -> bool {
    said.stderr.contains("afterpush: watching")
}

fn no_runs(sandbox: &Sandbox) -> bool {
    fs::read_dir(sandbox.state().join("repos")).map_or(true, |mut repos| {
        repos.all(|repo| fs::read_dir(repo.unwrap().path().join("runs")).map_or(true, |runs| runs.count() == 0))
    })
}

fn outcome(project: &Project<'_>, commit: &str) -> String {
    project.result(commit)["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn t8_what_is_pushed_counts_not_what_is_checked_out() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BARE_TARGET);
    let main = project.head();
    project.git(&["checkout", "--quiet", "-b", "other"]);
    let other = project.commit("on the other branch");
    project.git(&["checkout", "--quiet", "main"]);
    let said = project.push(&["origin", "other:release"]);
    assert!(watched(&said), "{said:?}");
    assert_eq!(outcome(&project, &other), "unverified");
    let request = fs::read_to_string(project.runs(&other)[0].join("request.json")).unwrap();
    let request: serde_json::Value = serde_json::from_str(&request).unwrap();
    assert_eq!((&request["ref"], &request["commit"]), (&"refs/heads/release".into(), &other.as_str().into()));
    assert!(project.runs(&main).is_empty(), "the checked-out commit was not pushed");
}

#[test]
fn t8_every_ref_of_a_push_is_a_run_of_its_own() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BARE_TARGET);
    let first = project.head();
    project.git(&["branch", "a"]);
    let second = project.commit("second");
    let said = project.push(&["origin", "a", "main"]);
    assert!(said.stderr.contains("afterpush: watching 2 refs"), "{said:?}");
    assert_eq!(said.stderr.matches("afterpush:").count(), 1, "{said:?}");
    for commit in [&first, &second] {
        assert_eq!(outcome(&project, commit), "unverified");
    }
}

#[test]
fn what_is_no_push_of_a_watched_ref_leaves_nothing_and_says_nothing() {
    let sandbox = Sandbox::new();
    let config = "[[target]]\nname = \"web\"\nbranch = \"main\"\n";
    let project = sandbox.project(config);
    project.git(&["tag", "v1"]);
    let quiet = |said: &Said, what: &str| {
        assert_eq!(said.code, Some(0), "{what}: {said:?}");
        assert!(!said.stderr.contains("afterpush"), "{what}: {said:?}");
        assert!(no_runs(&sandbox), "{what}");
    };
    quiet(&project.push(&["--dry-run", "origin", "main"]), "--dry-run");
    quiet(&project.push(&["-n", "origin", "main"]), "-n");
    quiet(&project.push(&["origin", "v1"]), "a tag without a target");
    quiet(&project.push(&["origin", "main:elsewhere"]), "a branch without a target");
    quiet(&project.push(&["origin", "--delete", "elsewhere"]), "a deletion");
    quiet(&Said::of(project.push_command(&["origin", "main"]).env("AFTERPUSH_SKIP", "1")), "AFTERPUSH_SKIP=1");
    project.commit("next");
    quiet(&Said::of(project.push_command(&["origin", "main"]).env("CI", "true")), "CI");
    project.commit("and next");
    let said = Said::of(project.push_command(&["origin", "main"]).env("CI", "true").env("AFTERPUSH_CI", "1"));
    assert!(watched(&said), "{said:?}");
    let up_to_date = project.push(&["origin", "main"]);
    assert!(!watched(&up_to_date), "{up_to_date:?}");
}

#[test]
fn a_repository_without_configuration_is_left_alone() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("");
    let said = project.push(&["origin", "main"]);
    assert_eq!((said.code, said.stderr.contains("afterpush")), (Some(0), false), "{said:?}");
    assert!(no_runs(&sandbox));
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(3), "{said:?}");
}

#[test]
fn a_wrong_configuration_is_told_in_one_line_and_the_push_goes_on() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("[[target]]\nname = \"web\"\nbranch = \"main\"\nhelth = { path = \"/\" }\n");
    let said = project.push(&["origin", "main"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<_> = said.stderr.lines().filter(|line| line.contains("afterpush")).collect();
    assert_eq!(lines.len(), 1, "{said:?}");
    assert!(lines[0].contains(".afterpush.toml:4") && lines[0].contains("helth"), "{said:?}");
    assert_eq!(sandbox.git(&project.bare, &["rev-parse", "main"]), project.head());
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(78), "{said:?}");
    assert!(said.stderr.contains(":4") && said.stderr.contains("expected"), "{said:?}");
}

#[test]
fn a_push_that_the_server_rejects_ends_quietly() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BARE_TARGET);
    let hook = project.bare.join("hooks/update");
    fs::write(&hook, "#!/bin/sh\n[ \"$1\" != refs/heads/main ]\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    project.git(&["branch", "fine"]);
    project.git(&["checkout", "--quiet", "fine"]);
    let fine = project.commit("accepted");
    let said = project.push(&["origin", "main", "fine"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let refused = project.git(&["rev-parse", "main"]);
    assert_eq!(outcome(&project, &refused), "push_not_completed");
    assert_eq!(outcome(&project, &fine), "unverified", "the accepted ref of the same push is watched");
    assert_eq!(project.deploy_status(&[&refused]).code, Some(1));
}

#[test]
fn a_push_that_is_tried_again_after_a_rejection_is_watched_again() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BARE_TARGET);
    let hook = project.bare.join("hooks/pre-receive");
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(project.push(&["origin", "main"]).code, Some(1));
    let commit = project.head();
    assert_eq!(outcome(&project, &commit), "push_not_completed");
    fs::remove_file(&hook).unwrap();
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    afterpush_testkit::sandbox::wait_until("the second try's outcome", || {
        project.runs(&commit)[0].join("result.json").exists() && outcome(&project, &commit) == "unverified"
    });
}

#[test]
fn t9_runs_are_kept_by_the_full_object_id_outside_of_the_work_tree() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BARE_TARGET);
    project.push(&["origin", "main"]);
    let commit = project.head();
    let _ = project.result(&commit);
    let run = project.runs(&commit).remove(0);
    assert!(run.starts_with(sandbox.state()));
    assert_eq!(run.parent().unwrap().file_name().unwrap().to_str().unwrap(), commit);
    assert_eq!(project.git(&["status", "--porcelain", "--ignored"]), "");
}

#[test]
fn a_push_by_address_leaves_no_trace_of_its_password() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BARE_TARGET);
    // git takes the address apart before it finds that nobody answers, and has run the hook by then only for file paths;
    // insteadOf sends the address with its password to the hook as the remote's name.
    let address = "https://user:canary-password@host.example.invalid/web.git";
    let instead = format!("url.{}.pushInsteadOf", project.bare.display());
    let said = project.push_command(&[]);
    drop(said);
    let mut command = sandbox.command(sandbox.git_program(), &project.work);
    let said = Said::of(command.args(["-c", &format!("{instead}={address}"), "push", address, "main"]));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(watched(&said), "{said:?}");
    let commit = project.head();
    let _ = project.result(&commit);
    let run = project.runs(&commit).remove(0);
    assert!(!run.to_string_lossy().contains("canary"), "{run:?}");
    for entry in fs::read_dir(&run).unwrap() {
        let path = entry.unwrap().path();
        // The monitor is about to end: what it renames or removes just now is not there any more.
        let Ok(bytes) = fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("canary-password"), "{}: {text}", path.display());
    }
}

#[test]
fn the_failure_of_the_last_push_is_told_once_at_the_next() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BARE_TARGET);
    project.push(&["origin", "main"]);
    let first = project.head();
    let _ = project.result(&first);
    project.commit("second");
    let said = project.push(&["origin", "main"]);
    let told = format!("{} ended unverified", &first[..7]);
    assert!(said.stderr.replace(['(', ')'], "").contains(&told), "{said:?}");
    let _ = project.result(&project.head());
    let _ = project.deploy_status(&[]);
    project.commit("third");
    let said = project.push(&["origin", "main"]);
    assert!(!said.stderr.contains("ended"), "it was shown by deploy-status: {said:?}");
}

#[test]
fn several_worktrees_share_one_place() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BARE_TARGET);
    let linked = sandbox.path().join("linked");
    project.git(&["worktree", "add", "--quiet", "-b", "side", &linked.to_string_lossy()]);
    sandbox.git(&linked, &["commit", "--quiet", "--allow-empty", "-m", "from the linked work tree"]);
    let said = sandbox.try_git(&linked, &["push", "origin", "side"]);
    assert!(watched(&said), "{said:?}");
    let commit = sandbox.git(&linked, &["rev-parse", "HEAD"]);
    assert_eq!(outcome(&project, &commit), "unverified");
    assert_eq!(project.deploy_status(&[&commit]).code, Some(1));
    assert_eq!(sandbox.deploy_status(&linked, &[]).code, Some(1));
}

#[test]
fn an_unknown_commit_is_not_found_and_the_nearest_watched_one_is_named() {
    let sandbox = Sandbox::new();
    let project = sandbox.project(BARE_TARGET);
    project.push(&["origin", "main"]);
    let watched = project.head();
    let _ = project.result(&watched);
    project.commit("not pushed");
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!((said.stdout.clone() + &said.stderr).contains(&watched[..7]), "{said:?}");
    assert_eq!(project.deploy_status(&["--json"]).json()["state"], "not_found");
    assert_eq!(project.deploy_status(&["no-such-revision"]).code, Some(3));
}
