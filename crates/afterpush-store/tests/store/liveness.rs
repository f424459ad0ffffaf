//! Whether anybody watches a run, in each state that it can be in.

use afterpush_core::run::Outcome;
use afterpush_store::{Liveness, Recorded, RunDirectory};

use crate::fixture::{Fixture, at, pusher, report};

const PUSHED: &str = "2026-03-01T12:00:00Z";
const SOON: &str = "2026-03-01T12:00:05Z";
const LATER: &str = "2026-03-01T12:00:11Z";

fn liveness(run: &RunDirectory, now: &str) -> Liveness {
    run.liveness(at(now)).unwrap()
}

#[test]
fn a_run_without_a_request_is_absent() {
    let fixture = Fixture::new();
    assert_eq!(liveness(&fixture.run('a'), SOON), Liveness::Absent);
}

#[test]
fn t6_a_run_without_a_monitor_is_starting_for_ten_seconds_and_lost_after_that() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    run.write_request(&fixture.request('a', "one", at(PUSHED))).unwrap();
    assert_eq!(liveness(&run, SOON), Liveness::Starting);
    assert_eq!(liveness(&run, LATER), Liveness::Lost);
    // A clock that was set back must not make it young again.
    assert_eq!(liveness(&run, "2026-03-01T11:00:00Z"), Liveness::Lost);
}

#[test]
fn t6_a_monitor_that_was_killed_after_its_first_status_is_lost_at_once() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    let request = fixture.request('a', "one", at(PUSHED));
    run.write_request(&request).unwrap();
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    writer.write_status(&report(&request, None, at(PUSHED))).unwrap();
    assert_eq!(liveness(&run, SOON), Liveness::Running);
    drop(writer);
    assert_eq!(liveness(&run, SOON), Liveness::Lost);
}

#[test]
fn a_result_finishes_a_run_until_the_commit_is_pushed_again() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    let first = fixture.request('a', "one", at(PUSHED));
    run.write_request(&first).unwrap();
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    writer.write_status(&report(&first, None, at(PUSHED))).unwrap();
    writer.write_result(&report(&first, Some(&Outcome::DeployFailed), at(SOON))).unwrap();
    let run = writer.release();
    assert_eq!(liveness(&run, LATER), Liveness::Finished);
    assert!(run.is_finished());
    run.mark_shown().unwrap();
    run.request_stop().unwrap();

    let second = fixture.request('a', "two", at(LATER));
    assert_eq!(run.write_request(&second).unwrap(), Recorded::Again);
    assert!(!run.is_finished(), "its result is an earlier attempt's");
    assert_eq!(liveness(&run, "2026-03-01T12:00:12Z"), Liveness::Starting);
    assert_eq!(liveness(&run, "2026-03-01T12:01:00Z"), Liveness::Lost);

    let writer = run.try_lock().unwrap().unwrap().into_writer();
    assert!(writer.adopt_again().unwrap());
    assert!(!writer.adopt_again().unwrap(), "it was taken up already");
    assert_eq!(run.request().unwrap().unwrap(), second);
    assert!(run.again().unwrap().is_none() && run.result().unwrap().is_none());
    assert!(run.path().join("result-one.json").is_file(), "the earlier result is kept");
    assert!(!run.is_shown() && !run.stop_requested(), "what the earlier attempt left no longer counts");
    drop(writer);
    assert_eq!(liveness(&run, "2026-03-01T12:01:00Z"), Liveness::Lost);
}

#[test]
fn one_git_push_asks_once_and_the_same_push_later_asks_again() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    let by = |id: &str, pid: Option<i32>| {
        let mut request = fixture.request('a', id, at(PUSHED));
        request.pusher = pid.map(pusher);
        request
    };
    assert_eq!(run.write_request(&by("one", Some(100))).unwrap(), Recorded::New);
    assert_eq!(run.write_request(&by("two", Some(100))).unwrap(), Recorded::SamePush);
    assert!(run.again().unwrap().is_none());
    assert_eq!(run.write_request(&by("three", Some(101))).unwrap(), Recorded::Again);
    assert_eq!(run.write_request(&by("four", Some(101))).unwrap(), Recorded::SamePush);
    assert_eq!(run.again().unwrap().unwrap().id, "three");
    // Two pushes of which nothing is known are two pushes; the latest waits.
    assert_eq!(run.write_request(&by("five", None)).unwrap(), Recorded::Again);
    assert_eq!(run.write_request(&by("six", None)).unwrap(), Recorded::Again);
    assert_eq!(run.again().unwrap().unwrap().id, "six");
    assert_eq!(run.request().unwrap().unwrap().id, "one");
}

#[test]
fn a_stop_is_asked_for_and_cleared() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    run.write_request(&fixture.request('a', "one", at(PUSHED))).unwrap();
    assert!(!run.stop_requested());
    run.request_stop().unwrap();
    run.request_stop().unwrap();
    assert!(run.stop_requested());
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    writer.clear_stop().unwrap();
    writer.clear_stop().unwrap();
    assert!(!run.stop_requested());
}
