//! Cleanup: what it removes, what it leaves, and who may come in between.

use std::{fs, thread, time::Duration};

use afterpush_core::run::Outcome;
use afterpush_store::{Cleanup, RunDirectory, clean_up};
use jiff::Timestamp;

use crate::fixture::{Fixture, at, commit, files_below, report};

const OLD: &str = "2026-03-01T12:00:00Z";
const NOW: &str = "2026-03-09T12:00:00Z";
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

fn clean(fixture: &Fixture, dry_run: bool) -> Cleanup {
    clean_up(&fixture.store, at(NOW), WEEK, dry_run).unwrap()
}

#[test]
fn old_finished_runs_go_and_young_running_and_lost_ones_stay() {
    let fixture = Fixture::new();
    let old = fixture.finished_run('a', at(OLD));
    let young = fixture.finished_run('b', at("2026-03-08T12:00:00Z"));
    let lost = fixture.run('c');
    lost.write_request(&fixture.request('c', "c", at(OLD))).unwrap();
    let held = fixture.finished_run('d', at(OLD));
    let lock = held.try_lock().unwrap().unwrap();
    let bytes: u64 = files_below(old.path()).iter().map(|file| old.path().join(file).metadata().unwrap().len()).sum();

    let plan = clean(&fixture, true);
    assert_eq!((plan.removed, plan.recent, plan.unfinished), (vec![old.clone()], 1, 2));
    assert!(old.path().exists(), "a dry run removes nothing");

    let done = clean(&fixture, false);
    assert_eq!((done.removed, done.recent, done.unfinished), (vec![old.clone()], 1, 2));
    assert!(done.problems.is_empty() && done.wanted.is_empty());
    assert!(bytes > 0 && (plan.bytes, done.bytes) == (bytes, bytes), "{} {}", plan.bytes, done.bytes);
    assert!(!old.path().parent().unwrap().exists(), "the commit's empty directory goes too");
    assert!(young.path().exists() && lost.path().exists() && held.path().exists());
    drop(lock);
    assert_eq!(clean(&fixture, false).removed, [held]);
}

#[test]
fn a_run_that_is_pushed_again_stays() {
    let fixture = Fixture::new();
    let run = fixture.finished_run('a', at(OLD));
    run.write_request(&fixture.request('a', "again", at(NOW))).unwrap();
    assert_eq!(clean(&fixture, false).unfinished, 1);
    assert_eq!(run.again().unwrap().unwrap().id, "again");
}

#[test]
fn a_run_that_cannot_be_read_is_reported_and_the_others_are_cleaned() {
    let fixture = Fixture::new();
    let broken = fixture.finished_run('a', at(OLD));
    let path = broken.path().join("result.json");
    fs::write(&path, "{").unwrap();
    let other = fixture.finished_run('b', at(OLD));
    let done = clean(&fixture, false);
    assert_eq!(done.removed, [other]);
    assert_eq!(done.problems.len(), 1);
    assert!(done.problems[0].to_string().contains(path.to_str().unwrap()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "{");
}

#[test]
fn an_interrupted_cleanup_is_finished_by_the_next_and_never_loses_a_push() {
    let fixture = Fixture::new();
    let aside = |run: &RunDirectory| {
        let name = run.path().file_name().unwrap().to_str().unwrap();
        run.path().with_file_name(format!("%removing-{name}"))
    };
    // Killed after the move: readers see nothing of it, the next cleanup removes it.
    let run = fixture.finished_run('a', at(OLD));
    fs::rename(run.path(), aside(&run)).unwrap();
    assert!(fixture.store.runs().unwrap().is_empty());
    // Killed after the move, and a push had come in just before it: that is put back.
    let pushed = fixture.finished_run('b', at(OLD));
    pushed.write_request(&fixture.request('b', "again", at(NOW))).unwrap();
    fs::rename(pushed.path(), aside(&pushed)).unwrap();
    // Another cleanup is still at work on this one.
    let busy = fixture.finished_run('c', at(OLD));
    let lock = busy.try_lock().unwrap().unwrap();
    fs::rename(busy.path(), aside(&busy)).unwrap();

    let done = clean(&fixture, false);
    assert!(!aside(&run).exists() && !run.path().exists());
    assert_eq!(done.wanted, std::slice::from_ref(&pushed));
    assert_eq!(pushed.again().unwrap().unwrap().id, "again");
    assert!(aside(&busy).exists());
    drop(lock);
}

#[test]
fn two_cleanups_and_hooks_at_once_lose_no_push() {
    let fixture = Fixture::new();
    for round in 0..60 {
        let run = fixture.finished_run('a', at(OLD));
        let id = format!("round {round}");
        thread::scope(|scope| {
            let cleaners: Vec<_> = (0..2).map(|_| scope.spawn(|| clean(&fixture, false))).collect();
            let hook = scope.spawn(|| run.write_request(&fixture.request('a', &id, at(NOW))).unwrap());
            hook.join().unwrap();
            for cleaner in cleaners {
                let problems = cleaner.join().unwrap().problems;
                assert!(problems.is_empty(), "{problems:?}");
            }
        });
        // Whoever was first: the push is on record, as the run's request or as its next attempt.
        let newest = run.again().unwrap().or_else(|| run.request().unwrap()).expect("on record");
        assert_eq!(newest.id, id);
        fs::remove_dir_all(run.path().parent().unwrap()).unwrap();
    }
}

#[test]
fn cleanup_and_a_starting_monitor_never_both_have_the_run() {
    let fixture = Fixture::new();
    for _ in 0..60 {
        let run = fixture.finished_run('a', at(OLD));
        thread::scope(|scope| {
            let cleaner = scope.spawn(|| clean(&fixture, false));
            // As a monitor does: with the lock in hand, look whether there is anything to do.
            let monitor = scope.spawn(|| {
                let lock = run.try_lock().ok().flatten()?;
                let is_whole = run.request().unwrap().is_some() && run.result().unwrap().is_some();
                drop(lock);
                Some(is_whole)
            });
            let saw = monitor.join().unwrap();
            assert_ne!(saw, Some(false), "the monitor held the lock of a run that was being removed");
            cleaner.join().unwrap();
        });
        let _ = fs::remove_dir_all(fixture.store.path().join("runs").join(commit('a').as_str()));
    }
}

#[test]
fn the_age_counts_from_the_end_of_the_run() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    let request = fixture.request('a', "long ago", at("2026-01-01T00:00:00Z"));
    run.write_request(&request).unwrap();
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    let yesterday: Timestamp = at("2026-03-08T12:00:00Z");
    writer.write_result(&report(&request, Some(&Outcome::Live), yesterday)).unwrap();
    drop(writer);
    assert_eq!(clean(&fixture, false).recent, 1);
}
