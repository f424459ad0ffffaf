//! What never answers does not hang the push.

use std::{
    fs::OpenOptions,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use nix::{sys::stat::Mode, unistd::mkfifo};

use crate::fixture::{Fixture, said, stderr};

#[test]
fn a_file_that_never_opens_costs_the_push_three_seconds_and_one_line() {
    let fixture = Fixture::new();
    // Opening a named pipe waits for its writer, as a dead network disk would wait for its server.
    let config = fixture.path("never-opens");
    mkfifo(&config, Mode::S_IRWXU).unwrap();
    let mut push = fixture.command(fixture.git);
    push.args(["push", "origin", "main"]).env("AFTERPUSH_CONFIG", &config).stderr(Stdio::piped());
    let began = Instant::now();
    let mut child = push.spawn().unwrap();
    while child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    // Whoever is still waiting is let go, so that a failure leaves no process behind.
    let _ = OpenOptions::new().read(true).write(true).open(&config).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!((3..60).contains(&took.as_secs()), "it did not hang, or for too long: {took:?}");
    let said = said(&output);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("gave up") && said[0].contains("`afterpush resume`"), "{said:?}");
    assert_eq!(fixture.remote_ref("refs/heads/main"), Some(fixture.resolve("HEAD")), "the push went on");
    fixture.assert_untouched();
}
