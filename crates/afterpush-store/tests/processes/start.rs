//! The started monitor: what it gets, and what nobody else can see.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
};

use afterpush_store::{StartError, Work, start_monitor};

use crate::fixture::Fixture;

#[test]
fn secrets_reach_the_monitor_only_through_its_standard_input() {
    let fixture = Fixture::new();
    let run = fixture.run('a');
    let seen = fixture.path().join("seen");
    fs::create_dir(&seen).unwrap();
    let program = fixture.path().join("afterpush-monitor");
    let script = "#!/bin/sh\nd=$AFTERPUSH_TEST_SEEN\necho \"$@\" >$d/arguments\ntr '\\0' '\\n' </proc/$$/environ >$d/environ\n\
                  cat >$d/input\nls -l /proc/$$/fd | cat >$d/fds\necho out\necho err >&2\n: >$d/ended\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let environment: Vec<(OsString, OsString)> = [
        ("PATH", std::env::var("PATH").unwrap().as_str()),
        ("HOME", "/home/u"),
        ("AFTERPUSH_TEST_SEEN", seen.to_str().unwrap()),
        ("HTTPS_PROXY", "http://proxy"),
        ("http_proxy", "http://me:canary-proxy@proxy"),
        ("RUNNER_TRACKING_ID", "job"),
        ("DIGITALOCEAN_TOKEN", "canary-token"),
        ("DATABASE_URL", "postgres://u:canary-word@h/d"),
        ("GIT_CONFIG_PARAMETERS", "'http.extraheader=canary-header'"),
        ("GIT_DIR", "/x/.git"),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value.into()))
    .chain([("ODD".into(), OsStr::from_bytes(b"\xff").to_owned())])
    .collect();

    let mut monitor = start_monitor(&program, Work::Follow(&run), &environment).unwrap();
    assert!(monitor.wait().unwrap().success());
    assert!(seen.join("ended").exists());
    let read = |name: &str| fs::read_to_string(seen.join(name)).unwrap();
    let arguments = read("arguments");
    let nonce = arguments.strip_prefix(&format!("run {} --nonce ", run.path().display())).expect(&arguments);
    assert!(nonce.trim_end().len() == 32 && nonce.trim_end().bytes().all(|b| b.is_ascii_hexdigit()), "{nonce}");
    let environ = read("environ");
    for visible in ["HOME=/home/u", "HTTPS_PROXY=http://proxy", "RUNNER_TRACKING_ID=job", "PATH="] {
        assert!(environ.contains(visible), "{environ}");
    }
    assert!(!environ.contains("canary") && !environ.contains("GIT_"), "{environ}");
    let handed: BTreeMap<String, String> = serde_json::from_str(&read("input")).unwrap();
    assert_eq!(handed["DIGITALOCEAN_TOKEN"], "canary-token");
    assert_eq!(handed["DATABASE_URL"], "postgres://u:canary-word@h/d");
    assert_eq!(handed["http_proxy"], "http://me:canary-proxy@proxy");
    assert!(!handed.keys().any(|name| name.starts_with("GIT_")), "{handed:?}");
    let fds = read("fds");
    assert!(fds.contains("1 -> /dev/null") && fds.contains("2 -> /dev/null"), "{fds}");
}

#[test]
fn a_missing_program_is_said_so() {
    let fixture = Fixture::new();
    let error = start_monitor(&fixture.path().join("nothing"), Work::Follow(&fixture.run('a')), &[]).unwrap_err();
    assert!(matches!(error, StartError::Spawn { .. }), "{error:?}");
}
