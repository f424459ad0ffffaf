//! `status`, `deploy-status`, `watch`, `list`, `logs`, `path`, `resume`.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use afterpush_core::run::OutcomeWord;

use crate::place::{Place, answer, report, until};

const MAIN: &str = "refs/heads/main";

/// The page that people read about exit codes.
const PAGE: &str = include_str!("../../../../docs/exit-codes.md");

#[test]
fn t3_every_outcome_has_its_exit_code_text_and_json() {
    for word in OutcomeWord::ALL {
        let place = Place::new();
        let commit = place.head();
        place.ended(&commit, MAIN, word.as_str(), 200);
        let (code, state) = if word.is_live() { (0, "live") } else { (1, "failed") };
        let told = place.deploy_status(&[]).expect(code);
        assert_eq!(told.err, "", "{word}");
        let first = told.out.lines().next().unwrap();
        let begins = first.split_inclusive(':').next().unwrap();
        assert!(PAGE.contains(&format!("| `{word}` | {code} | `{begins}` |")), "{word} in docs/exit-codes.md: {first}");
        if word.is_live() {
            assert!(first.starts_with(&format!("live: {} on main -> web (", commit.short())), "{first}");
            assert!(first.contains("2m10s after the push"), "{first}");
        } else {
            assert!(first.contains(&format!(": {word}")), "{first}");
            assert!(first.contains(&format!("the reason of {word}")), "{first}");
            assert!(told.out.contains("see https://cloud.example.org/dep-1"), "{}", told.out);
        }
        let document = place.afterpush(&["status", "--json"]).expect(code).json();
        assert_eq!(document["schema"]["name"], "afterpush.status");
        assert_eq!(document["state"], state);
        assert_eq!(document["exit_code"], code);
        assert_eq!(document["outcome"], word.as_str());
        assert_eq!(document["commit"], commit.as_str());
        let quiet = place.afterpush(&["status", "--quiet"]).expect(code);
        assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
        assert_eq!(place.afterpush(&["watch"]).expect(code).out.lines().next().unwrap(), first);
    }
}

#[test]
fn a_failure_shows_the_last_twenty_lines_of_the_providers_log_cleaned() {
    let place = Place::new();
    let run = place.ended(&place.head(), MAIN, "deploy_failed", 200);
    let log: String = (1..=30).map(|n| format!("line {n}\u{1b}[31m!\n")).collect();
    fs::write(run.provider_log_path(), log).unwrap();
    let told = place.deploy_status(&[]).expect(1).out;
    assert!(!told.contains("line 10!"), "{told}");
    assert!(told.contains("  | line 11!\n") && told.contains("  | line 30!\n"), "{told}");
    let lines = place.deploy_status(&["--json"]).expect(1).json()["log"].as_array().unwrap().len();
    assert_eq!(lines, 20);
    assert_eq!(place.afterpush(&["logs", "-n", "2"]).expect(0).out, "line 29!\nline 30!\n");
}

#[test]
fn without_a_providers_log_the_monitors_own_is_shown() {
    let place = Place::new();
    let run = place.ended(&place.head(), MAIN, "health_failed", 200);
    fs::write(run.monitor_log_path(), "2026-01-01T00:00:00Z what the monitor saw\n").unwrap();
    assert!(place.deploy_status(&[]).expect(1).out.contains("  | 2026-01-01T00:00:00Z what the monitor saw\n"));
}

#[test]
fn a_told_ending_is_noted_as_shown() {
    let place = Place::new();
    let run = place.ended(&place.head(), MAIN, "deploy_failed", 200);
    place.deploy_status(&["--quiet"]).expect(1);
    assert!(!run.is_shown());
    place.deploy_status(&[]).expect(1);
    assert!(run.is_shown());
}

#[test]
fn a_held_lock_is_in_progress_and_says_how_far() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    writer.write_status(&report(&place.head(), MAIN, None, 60)).unwrap();
    let told = place.deploy_status(&[]).expect(2);
    let first = told.out.lines().next().unwrap();
    assert!(first.starts_with("in progress: "), "{first}");
    assert!(first.contains("on main deploying — web: BUILDING: 3 of 6 steps (next look in 1m"), "{first}");
    let document = place.deploy_status(&["--json"]).expect(2).json();
    assert_eq!((&document["state"], &document["outcome"]), (&"in_progress".into(), &serde_json::Value::Null));

    let listed = place.afterpush(&["list"]).expect(0).out;
    assert!(listed.starts_with("COMMIT   REF   TARGET  PHASE      AGE"), "{listed}");
    assert!(listed.contains("main  web     deploying  1m"), "{listed}");
    let listed = place.afterpush_in(&place.root(), &["list", "--all", "--json"]).expect(0).json();
    assert_eq!(listed["schema"]["name"], "afterpush.list");
    assert_eq!(listed["runs"][0]["commit"], place.head().as_str());
}

#[test]
fn a_push_of_a_moment_ago_is_in_progress() {
    let place = Place::new();
    place.request(&place.head(), MAIN, 0);
    assert!(place.deploy_status(&[]).expect(2).out.contains("the monitor is starting"));
    assert_eq!(place.deploy_status(&["--json"]).expect(2).json()["phase"], "confirming_push");
}

#[test]
fn waiting_ends_with_the_verdict() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    place.deploy_status(&["--wait", "200ms"]).expect(2);
    let mut command = place.command_in(&place.work, place.root().join("bin/deploy-status"));
    let mut waiting = command.args(["--wait", "20s", "--quiet"]).spawn().unwrap();
    assert!(waiting.try_wait().unwrap().is_none());
    writer.write_result(&report(&place.head(), MAIN, Some("live"), 200)).unwrap();
    drop(writer.release());
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}

#[test]
fn t6_a_run_that_nobody_watches_is_lost_and_started_again() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let told = place.deploy_status(&[]).expect(2);
    assert!(told.out.starts_with("lost: the monitor of "), "{}", told.out);
    assert!(told.out.lines().next().unwrap().ends_with("; started again"), "{}", told.out);
    let started = place.monitors(1).remove(0);
    assert!(started.starts_with(&format!("run {} --nonce ", run.path().display())), "{started}");
    let document = place.deploy_status(&["--json"]).expect(2).json();
    assert_eq!((&document["state"], &document["resumed"]), (&"lost".into(), &true.into()));
    assert!(place.afterpush(&["list"]).expect(0).out.contains("lost"));
}

#[test]
fn t6_a_lost_run_that_cannot_be_started_again_is_no_progress() {
    let place = Place::new();
    place.request(&place.head(), MAIN, 60);
    fs::remove_file(place.root().join("bin/afterpush-monitor")).unwrap();
    let told = place.deploy_status(&["--wait", "20s"]).expect(1);
    assert!(told.out.contains("it could not be restarted: afterpush-monitor is missing"), "{}", told.out);
    assert_eq!(place.deploy_status(&["--json"]).expect(1).json()["resumed"], false);
}

#[test]
fn t6_resume_starts_lost_monitors_and_is_quiet_otherwise() {
    let place = Place::new();
    place.ended(&place.head(), MAIN, "live", 200);
    let quiet = place.afterpush(&["resume"]).expect(0);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    let other = place.commit("second");
    place.request(&other, MAIN, 60);
    let told = place.afterpush_in(&place.root(), &["resume", "--all"]).expect(0);
    assert_eq!(told.out, format!("started again: {} on main\n", other.short()));
    place.monitors(1);
}

#[test]
fn an_unseen_push_is_found_in_the_reflog() {
    let place = Place::new();
    let remote = place.root().join("remote.git");
    place.git(&["init", "-q", "--bare", remote.to_str().unwrap()]);
    place.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    place.git(&["push", "-q", "--no-verify", "origin", "main"]);
    let told = place.deploy_status(&[]).expect(2);
    assert!(told.out.starts_with("in progress: "), "{}", told.out);
    let runs = place.store().runs().unwrap();
    assert_eq!(serde_json::to_value(runs[0].request().unwrap().unwrap().source).unwrap(), "reflog");
    place.monitors(1);
    // A push of a branch without a target is nobody's business.
    place.git(&["switch", "-q", "-c", "topic"]);
    place.commit("aside");
    place.git(&["push", "-q", "--no-verify", "origin", "topic"]);
    assert_eq!(place.afterpush(&["resume"]).expect(0).out, "");
    place.deploy_status(&[]).expect(3);
}

#[test]
fn an_unknown_commit_is_not_found_and_told_its_watched_neighbours() {
    let place = Place::new();
    let first = place.head();
    place.ended(&first, MAIN, "live", 200);
    place.commit("second");
    let third = place.commit("third");
    let told = place.deploy_status(&[]).expect(3);
    assert!(told.out.starts_with(&format!("not found: {} is not watched\n", third.short())), "{}", told.out);
    assert!(told.out.contains(&format!("nearest, 2 commits before: live: {} on main", first.short())), "{}", told.out);
    assert!(told.out.contains("afterpush watch"), "{}", told.out);
    let document = place.deploy_status(&["--json"]).expect(3).json();
    assert_eq!((&document["state"], &document["nearest"][0]["commits_before"]), (&"not_found".into(), &2.into()));
    assert_eq!(document["nearest"][0]["commit"], first.as_str());
    place.deploy_status(&["no-such-branch"]).expect(3);
    assert_eq!(place.afterpush(&["path"]).expect(3).out, "");
}

#[test]
fn a_commit_is_found_by_any_revision_and_by_its_digits_from_anywhere() {
    let place = Place::new();
    let commit = place.head();
    place.git(&["tag", "-a", "-m", "one", "v1"]);
    let run = place.ended(&commit, MAIN, "live", 200);
    for revision in ["HEAD", "main", "v1", commit.as_str(), commit.short(), &commit.as_str()[..4]] {
        let found = place.afterpush(&["path", revision]).expect(0).out;
        assert_eq!(found.trim(), run.path().to_str().unwrap(), "{revision}");
        place.deploy_status(&[revision]).expect(0);
    }
    for digits in [commit.as_str(), &commit.as_str()[..4]] {
        place.afterpush_in(&place.root(), &["status", digits]).expect(0);
    }
    let outside = place.afterpush_in(&place.root(), &["status"]).expect(64);
    assert!(outside.err.starts_with("error: no git repository at or above "), "{}", outside.err);
    assert!(outside.err.contains("\n\nhint: "), "{}", outside.err);
}

#[test]
fn a_pushed_tag_object_is_found_by_the_tags_name() {
    let place = Place::new();
    place.git(&["tag", "-a", "-m", "one", "v1"]);
    let object = afterpush_core::id::CommitId::parse(&place.git(&["rev-parse", "v1"])).unwrap();
    place.ended(&object, "refs/tags/v1", "live", 200);
    place.deploy_status(&["v1"]).expect(0);
}

#[test]
fn of_several_runs_of_a_commit_the_worst_gives_the_verdict() {
    for (outcomes, expected) in [
        (["live", "deploy_failed"], "deploy_failed"),
        (["unverified", "health_failed"], "health_failed"),
        (["live", "push_not_completed"], "live"),
        (["superseded", "live"], "live"),
        (["superseded", "push_not_completed"], "superseded"),
        (["live", "live_contained"], "live_contained"),
    ] {
        let place = Place::new();
        for (name, outcome) in ["refs/heads/main", "refs/tags/v1"].into_iter().zip(outcomes) {
            place.ended(&place.head(), name, outcome, 200);
        }
        let told = place.deploy_status(&["--json"]).json();
        assert_eq!(told["outcome"], expected, "{outcomes:?}");
        assert_eq!(told["other_runs"].as_array().unwrap().len(), 1);
    }
    let place = Place::new();
    place.ended(&place.head(), MAIN, "live", 200);
    let run = place.request(&place.head(), "refs/tags/v1", 60);
    let lock = run.try_lock().unwrap().unwrap();
    place.deploy_status(&[]).expect(2);
    drop(lock);
}

#[test]
fn the_same_commit_pushed_again_is_in_progress_again() {
    let place = Place::new();
    place.ended(&place.head(), MAIN, "deploy_failed", 200);
    place.request(&place.head(), MAIN, 0);
    place.deploy_status(&[]).expect(2);
}

#[test]
fn a_file_that_cannot_be_read_or_is_newer_is_named_and_left_alone() {
    for text in ["not json", "{\"schema\":{\"name\":\"afterpush.result\",\"major\":2,\"minor\":0}}"] {
        let place = Place::new();
        let run = place.ended(&place.head(), MAIN, "live", 200);
        let path = run.path().join("result.json");
        fs::write(&path, text).unwrap();
        for arguments in [&["status"][..], &["status", "--json"], &["watch"], &["path"]] {
            let told = place.afterpush(arguments).expect(65);
            assert!(told.err.contains(path.to_str().unwrap()) && told.err.contains("\n\nhint: "), "{}", told.err);
            assert_eq!(told.out, "");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn an_invalid_configuration_is_told_with_file_and_line_when_there_is_no_run() {
    let place = Place::new();
    fs::write(place.work.join(".afterpush.toml"), "[[target]]\nname = \"web\"\nhelth = 1\n").unwrap();
    let told = place.deploy_status(&[]).expect(78);
    assert!(told.err.starts_with("error: .afterpush.toml:3: "), "{}", told.err);
    place.ended(&place.head(), MAIN, "live", 200);
    place.deploy_status(&[]).expect(0);
}

#[test]
fn watch_starts_a_monitor_where_there_is_none() {
    let place = Place::new();
    place.git(&["remote", "add", "origin", "https://user:secret@example.org/web.git"]);
    let mut command = place.command_in(&place.work, place.root().join("bin/afterpush"));
    let mut watching = command.arg("watch").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    place.monitors(1);
    let run = place.store().runs().unwrap().remove(0);
    let request = run.request().unwrap().unwrap();
    assert_eq!(request.ref_name.as_str(), MAIN);
    assert_eq!(serde_json::to_value(request.source).unwrap(), "person");
    assert!(!fs::read_to_string(run.path().join("request.json")).unwrap().contains("secret"));
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    let mut report = report(&place.head(), MAIN, Some("live"), 200);
    report.request_id.clone_from(&request.id);
    writer.write_result(&report).unwrap();
    drop(writer.release());
    assert_eq!(watching.wait().unwrap().code(), Some(0));
}

#[test]
fn watch_without_a_target_says_what_is_missing() {
    let place = Place::new();
    place.git(&["remote", "add", "origin", "https://example.org/web.git"]);
    place.git(&["switch", "-q", "-c", "topic"]);
    let told = place.afterpush(&["watch"]).expect(78);
    assert!(told.err.contains("no target is configured for refs/heads/topic"), "{}", told.err);
    assert!(place.store().runs().unwrap().is_empty());
}

#[test]
fn leaving_watch_leaves_the_monitor_and_says_so() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    writer.write_status(&report(&place.head(), MAIN, None, 60)).unwrap();
    let log = place.root().join("watched");
    let mut command = place.command_in(&place.work, place.root().join("bin/afterpush"));
    let command = command.arg("watch").stdout(fs::File::create(&log).unwrap()).stderr(Stdio::piped());
    let watching = command.spawn().unwrap();
    until("the first line", || fs::read_to_string(&log).unwrap().contains("3 of 6 steps"));
    let id = nix::unistd::Pid::from_raw(i32::try_from(watching.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = watching.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("the monitor goes on"));
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1, "a line only at each change");
    assert!(run.is_locked().unwrap());
}

#[test]
fn logs_follow_until_the_end() {
    let place = Place::new();
    let run = place.request(&place.head(), MAIN, 60);
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    writer.log("first").unwrap();
    let shown = place.root().join("shown");
    let mut command = place.command_in(&place.work, place.root().join("bin/afterpush"));
    let command = command.args(["logs", "--follow"]).stdout(fs::File::create(&shown).unwrap());
    let mut following = command.spawn().unwrap();
    until("the first line", || fs::read_to_string(&shown).unwrap().contains("first"));
    writer.log("second").unwrap();
    until("the second line", || fs::read_to_string(&shown).unwrap().contains("second"));
    writer.write_provider_log(&["theirs".to_owned()]).unwrap();
    writer.write_result(&report(&place.head(), MAIN, Some("deploy_failed"), 200)).unwrap();
    drop(writer.release());
    assert_eq!(following.wait().unwrap().code(), Some(0));
    let text = fs::read_to_string(&shown).unwrap();
    assert_eq!(text.matches("first").count(), 1);
    assert!(text.ends_with("theirs\n"), "{text}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    place.ended(&place.head(), MAIN, "deploy_failed", 200);
    let command = format!("{0}/bin/deploy-status; echo $? >&2", place.root().display());
    let told = answer(place.command_in(&place.work, "sh").args(["-c", &format!("({command}) | true")]));
    assert_eq!(told.err, "1\n");
}

#[test]
fn a_state_that_may_only_be_read_is_enough_for_a_verdict() {
    let place = Place::new();
    let run = place.ended(&place.head(), MAIN, "live", 200);
    fs::set_permissions(run.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let told = place.deploy_status(&[]).expect(0);
    assert_eq!(told.err, "");
    fs::set_permissions(run.path(), fs::Permissions::from_mode(0o755)).unwrap();
}
