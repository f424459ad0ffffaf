//! The files of a run: whole, with the right modes, never overwritten when they cannot be read.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use afterpush_core::{
    file::{BootTime, Head},
    id::RefName,
};
use afterpush_store::{Recorded, StoreError};
use jiff::Timestamp;

use crate::fixture::{Fixture, at, commit, files_below, full_run, history_line, main_ref, report};

#[test]
fn nothing_temporary_and_no_pid_stays_behind() {
    let fixture = Fixture::new();
    let run = full_run(&fixture);
    let names = files_below(run.path());
    let expected =
        ["events.jsonl", "monitor.lock", "monitor.log", "provider.log", "request.json", "result.json", "status.json"];
    assert_eq!(names, expected.map(std::path::PathBuf::from));
    assert_eq!(run.provider_log().unwrap().unwrap(), "one\ntwo\n");
    let log = fs::read_to_string(run.monitor_log_path()).unwrap();
    assert!(log.ends_with("Z hello world\n") && log.lines().count() == 1, "{log}");
}

#[test]
fn a_reader_never_sees_half_a_status() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    let request = fixture.request('a', "one", Timestamp::now());
    run.write_request(&request).unwrap();
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    let mut document = report(&request, None, Timestamp::now());
    // Short texts with an even number, long ones with an odd.
    document.seq = 0;
    writer.write_status(&document).unwrap();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0;
                    while !ended.load(Ordering::Relaxed) {
                        let seen = run.status().expect("whole").expect("always there");
                        assert_eq!(seen.reason.unwrap_or_default().len(), seen.seq as usize % 2 * 20_000);
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for seq in 1..800 {
            document.seq = seq;
            document.reason = (seq % 2 == 1).then(|| "x".repeat(20_000));
            writer.write_status(&document).unwrap();
        }
        ended.store(true, Ordering::Relaxed);
        let reads: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(reads > 100, "only {reads} reads");
    });
}

#[test]
fn what_cannot_be_read_is_named_and_left_as_it_is() {
    let fixture = Fixture::new();
    let run = full_run(&fixture);
    let newer = r#"{"schema":{"name":"afterpush.NAME","major":2,"minor":0},"else":"new"}"#;
    let read = |name: &str| match name {
        "status" => run.status().map(drop),
        "result" => run.result().map(drop),
        _ => run.request().map(drop),
    };
    for name in ["status", "result", "request"] {
        let path = run.path().join(format!("{name}.json"));
        for text in ["{", &newer.replace("NAME", name), &newer.replace("NAME", "other").replace('2', "1")] {
            fs::write(&path, text).unwrap();
            let Err(error) = read(name) else { panic!("{name}: {text}") };
            assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
    // Nor does a new push replace a request of a newer version.
    let error = run.write_request(&fixture.request('a', "two", Timestamp::now())).unwrap_err();
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
    assert!(run.path().join("request.json").is_file() && !run.path().join("again.json").exists());
}

#[test]
fn a_planted_link_a_pipe_and_a_huge_file_are_refused() {
    let fixture = Fixture::new();
    let run = full_run(&fixture);
    let path = run.path().join("status.json");
    let valid = fixture.path().join("valid.json");
    fs::rename(&path, &valid).unwrap();
    symlink(&valid, &path).unwrap();
    assert!(matches!(run.status(), Err(StoreError::NotOurs { .. })));
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(run.status(), Err(StoreError::NotOurs { .. })));
    fs::remove_file(&path).unwrap();
    fs::write(&path, vec![b' '; 2 << 20]).unwrap();
    assert!(matches!(run.status(), Err(StoreError::NotOurs { .. })));
}

#[test]
fn a_removed_run_is_not_made_again_by_its_monitor() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    let request = fixture.request('a', "one", Timestamp::now());
    run.write_request(&request).unwrap();
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    fs::remove_dir_all(run.path()).unwrap();
    assert!(writer.write_status(&report(&request, None, Timestamp::now())).is_err());
    assert!(writer.log("x").is_err());
    assert!(!run.path().exists());
}

#[test]
fn t10_the_monitor_log_ends_at_its_limit_with_one_line_that_says_so() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    run.write_request(&fixture.request('a', "one", Timestamp::now())).unwrap();
    let writer = run.try_lock().unwrap().unwrap().into_writer();
    for _ in 0..400 {
        writer.log(&"é".repeat(500)).unwrap();
    }
    let log = fs::read_to_string(run.monitor_log_path()).unwrap();
    assert!((256 << 10..(256 << 10) + 100).contains(&log.len()), "{}", log.len());
    assert!(log.lines().last().unwrap().contains("full"));
    assert_eq!(log.matches("full").count(), 1);
}

#[test]
fn t10_a_line_that_a_crash_cut_short_does_not_spoil_the_next() {
    let fixture = Fixture::new();
    let path = fixture.store.path().join("history.jsonl");
    fixture.store.append_history(&history_line('a')).unwrap();
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"request_id\":\"cut");
    fs::write(&path, &text).unwrap();
    fixture.store.append_history(&history_line('b')).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[2].contains(commit('b').as_str()) && lines[2].starts_with('{'));
}

#[test]
fn t10_lines_of_many_writers_stay_whole() {
    let fixture = Fixture::new();
    thread::scope(|scope| {
        for digit in ['a', 'b', 'c', 'd'] {
            let store = &fixture.store;
            scope.spawn(move || (0..100).for_each(|_| store.append_history(&history_line(digit)).unwrap()));
        }
    });
    let text = fs::read_to_string(fixture.store.path().join("history.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 400);
    for line in text.lines() {
        serde_json::from_str::<afterpush_core::file::HistoryLine>(line).unwrap();
    }
}

#[test]
fn the_head_of_a_ref_only_moves_forward() {
    let fixture = Fixture::new();
    let head = |digit, second: i64| Head {
        commit: commit(digit),
        request_id: format!("r{digit}"),
        pushed_at: Timestamp::from_second(second).unwrap(),
        boot_time: None,
    };
    let mark = || fixture.store.head_mark("origin", &main_ref());
    assert_eq!((fixture.store.head("origin", &main_ref()).unwrap(), mark()), (None, None));
    fixture.store.set_head("origin", &main_ref(), &head('b', 200), "boot").unwrap();
    let first = mark();
    fixture.store.set_head("origin", &main_ref(), &head('a', 100), "boot").unwrap();
    assert_eq!(fixture.store.head("origin", &main_ref()).unwrap(), Some(head('b', 200)));
    assert!(first.is_some() && mark() == first, "what is not replaced is known again");
    let other = RefName::parse("refs/heads/other").unwrap();
    assert_eq!(fixture.store.head("origin", &other).unwrap(), None);
    assert_eq!(fixture.store.head("upstream", &main_ref()).unwrap(), None);
    // Whatever the order in which monitors come, the newest push stays.
    thread::scope(|scope| {
        for second in 201..209 {
            let store = &fixture.store;
            scope.spawn(move || store.set_head("origin", &main_ref(), &head('c', second), "boot").unwrap());
        }
    });
    assert_eq!(fixture.store.head("origin", &main_ref()).unwrap(), Some(head('c', 208)));
    assert_ne!(mark(), first);
    // The wall's clock is set back: what was pushed later is the newest for all that.
    let by_boot = |digit, second, milliseconds| Head {
        boot_time: Some(BootTime { boot_id: "boot".to_owned(), milliseconds }),
        ..head(digit, second)
    };
    for head in [by_boot('d', 300, 1_000), by_boot('e', 100, 2_000)] {
        fixture.store.set_head("origin", &main_ref(), &head, "boot").unwrap();
        assert_eq!(fixture.store.head("origin", &main_ref()).unwrap(), Some(head));
    }
    // What cannot be read is not replaced.
    let path = fixture.store.path().join("heads/origin--refs+heads+main.json");
    fs::write(&path, "{").unwrap();
    assert!(fixture.store.set_head("origin", &main_ref(), &head('d', 999), "boot").is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "{");
}

#[test]
fn t9_runs_are_found_by_full_commit_and_listed_by_prefix() {
    let fixture = Fixture::new();
    let now = at("2026-03-01T12:00:00Z");
    let other = RefName::parse("refs/heads/release--1").unwrap();
    for digit in ['a', 'b'] {
        fixture.run(digit).write_request(&fixture.request(digit, "one", now)).unwrap();
    }
    let second = fixture.store.run(&commit('a'), "https://host/x--y.git", &other);
    second.write_request(&fixture.request('a', "two", now)).unwrap();
    // What is not ours is not taken for a run.
    fs::create_dir_all(fixture.store.path().join("runs/1234567/origin--main")).unwrap();
    fs::write(fixture.store.path().join("runs").join(commit('a').as_str()).join("note"), "").unwrap();

    assert_eq!(fixture.store.runs().unwrap().len(), 3);
    let runs = fixture.store.runs_of(&commit('a')).unwrap();
    assert_eq!(runs.len(), 2);
    assert!(runs.contains(&fixture.run('a')) && runs.contains(&second));
    assert!(fixture.store.runs_of(&commit('c')).unwrap().is_empty());
    assert_eq!(fixture.store.commits_named("AAAAAAA").unwrap(), [commit('a')]);
    assert!(fixture.store.commits_named("ab").unwrap().is_empty());
}

#[test]
fn two_hundred_racing_hooks_leave_one_first_request() {
    let fixture = Fixture::new();
    let outcomes: Vec<Recorded> = thread::scope(|scope| {
        let hooks: Vec<_> = (0..200)
            .map(|number| {
                let run = fixture.run('a');
                let request = fixture.request('a', &format!("r{number}"), Timestamp::now());
                scope.spawn(move || run.write_request(&request).unwrap())
            })
            .collect();
        hooks.into_iter().map(|hook| hook.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|recorded| **recorded == Recorded::New).count(), 1);
    assert_eq!(files_below(fixture.run('a').path()).len(), 2, "request.json and again.json, both whole");
    fixture.run('a').request().unwrap().unwrap();
    fixture.run('a').again().unwrap().unwrap();
}
