//! The shell shim: it never stops a push by itself, and a hook that was there before keeps its full say.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::fixture::{Fixture, said, stderr, write_program};

#[test]
fn a_missing_broken_or_killed_hook_does_not_stop_a_push() {
    let fixture = Fixture::new();
    type Breakage = (&'static str, fn(&Fixture));
    let breakages: [Breakage; 4] = [
        ("not executable", |fixture| {
            // A copy, because the mode belongs to the file that all tests share.
            fs::remove_file(fixture.hook()).unwrap();
            write_program(&fixture.hook(), "#!/bin/sh\nexit 1\n");
            fs::set_permissions(fixture.hook(), fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("failing", |fixture| write_program(&fixture.hook(), "#!/bin/sh\nexit 1\n")),
        ("killed", |fixture| write_program(&fixture.hook(), "#!/bin/sh\nkill -9 $$\n")),
        ("missing", |fixture| fs::remove_file(fixture.hook()).unwrap()),
    ];
    for (what, break_it) in breakages {
        break_it(&fixture);
        let commit = fixture.commit(what);
        let output = fixture.push(&["origin", "main"]);
        assert!(output.status.success(), "{what}: {}", stderr(&output));
        assert_eq!(fixture.remote_ref("main"), Some(commit), "{what}");
        assert!(what == "killed" || said(&output).is_empty(), "{what}: {}", stderr(&output));
    }
    fixture.assert_untouched();
}

#[test]
fn a_chained_hook_gets_the_same_arguments_and_input_as_ours() {
    let fixture = Fixture::new();
    let notes = fixture.path("chained");
    fixture.chain(&format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >'{0}'\ncat >>'{0}'\n", notes.display()));
    let commit = fixture.resolve("HEAD");
    assert_eq!(fixture.push_says(&["origin", "main"]).len(), 1);
    let url = fixture.path("remote.git");
    let zero = "0".repeat(40);
    let expected = format!("origin\n{}\nrefs/heads/main {commit} refs/heads/main {zero}\n", url.display());
    assert_eq!(fs::read_to_string(&notes).unwrap(), expected);
    let request = fixture.run(&commit, "refs/heads/main").request().unwrap().unwrap();
    assert!(request.pusher.is_some(), "ours still finds git");
    // Nothing to push is an empty input, not an empty line.
    fixture.push_says(&["origin", "main"]);
    assert_eq!(fs::read_to_string(&notes).unwrap(), format!("origin\n{}\n", url.display()));
}

#[test]
fn a_chained_hook_may_refuse_and_then_nothing_is_watched() {
    let fixture = Fixture::new();
    fixture.chain("#!/bin/sh\necho 'tests failed' >&2\nexit 3\n");
    let output = fixture.push(&["origin", "main"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("tests failed") && fixture.remote_ref("main").is_none());
    fixture.assert_untouched();
    // By its own exit code, when somebody asks the shim directly; also where there is nothing to read.
    let shim = fixture.hooks().join("pre-push");
    assert_eq!(fixture.command(&shim).args(["origin", "x"]).output().unwrap().status.code(), Some(3));
    // One that git would not run is not run by us.
    let chained = fixture.hooks().join("pre-push.afterpush-chained");
    fs::set_permissions(chained, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(fixture.push_says(&["origin", "main"]).len(), 1);
}

#[test]
fn a_chained_hook_that_reads_nothing_does_not_hang_thousands_of_refs() {
    let fixture = Fixture::new();
    fixture.chain("#!/bin/sh\nexit 0\n");
    let commit = fixture.resolve("HEAD");
    let refs: String = (0..3000).map(|number| format!("create refs/heads/branch-{number:05} {commit}\n")).collect();
    let mut update = fixture.command(fixture.git);
    let mut child = update.args(["update-ref", "--stdin"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), refs.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let lines = fixture.push_says(&["--quiet", "origin", "--all"]);
    assert!(lines.len() == 1 && lines[0].contains("-> web"), "{lines:?}");
    assert_eq!(fixture.remote_ref("branch-02999"), Some(commit));
}

#[test]
fn the_shim_carries_its_mark_and_is_sound_shell() {
    let template = include_str!("../../../../hooks/pre-push");
    assert!(template.starts_with("#!/bin/sh\n# afterpush shim 1\n"));
    assert_eq!(template.matches("@HOOK@").count(), 1);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hooks/pre-push");
    assert!(Command::new("sh").args(["-n", path]).status().unwrap().success());
}
