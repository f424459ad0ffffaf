//! Who may read what.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::fixture::{Fixture, full_run};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn everybody_may_read_the_status_and_nobody_else_the_rest_whatever_the_umask() {
    // The umask is the process's, so this runs in a process of its own.
    if std::env::var_os("AFTERPUSH_TEST_UMASK").is_none() {
        for umask in ["077", "000"] {
            let name = "modes::everybody_may_read_the_status_and_nobody_else_the_rest_whatever_the_umask";
            let child = std::process::Command::new("sh")
                .args(["-c", "umask $1; shift; exec \"$@\"", "sh", umask])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", name])
                .env("AFTERPUSH_TEST_UMASK", umask)
                .output()
                .unwrap();
            assert!(child.status.success(), "umask {umask}: {}", String::from_utf8_lossy(&child.stdout));
        }
        return;
    }
    let fixture = Fixture::new();
    let run = full_run(&fixture);
    for (name, expected) in [
        ("status.json", 0o644),
        ("result.json", 0o644),
        ("request.json", 0o600),
        ("monitor.lock", 0o600),
        ("events.jsonl", 0o600),
        ("monitor.log", 0o600),
        ("provider.log", 0o600),
    ] {
        assert_eq!(mode(&run.path().join(name)), expected, "{name}");
    }
    let mut directory = run.path();
    while directory != fixture.root.path().parent().unwrap() {
        assert_eq!(mode(directory), 0o755, "{}", directory.display());
        directory = directory.parent().unwrap();
    }
}
