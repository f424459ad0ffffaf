//! What an answer costs.

use std::{fs, path::Path, process::Stdio, time::Duration};

use afterpush_testkit::sandbox::Sandbox;

use crate::timing::{line, rounds, time};

/// What an answer costs, with one stored run and with many.
pub(crate) fn status(_: &[usize]) {
    const ROUNDS: usize = 200;
    const RUNS: usize = 10_000;
    let sandbox = Sandbox::new();
    // No provider: the run ends at once, unverified, and its files stay.
    let project = sandbox.project("[[target]]\nname = \"web\"\nbranch = \"main\"\n");
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    let _ = project.result(&commit);
    let measure = |name: &str, base: Option<Duration>| {
        let mut commands =
            [Path::new("/bin/true"), &sandbox.program("deploy-status")].map(|it| sandbox.command(it, &project.work));
        for command in &mut commands {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        let times = rounds(2, ROUNDS, 5, |which, _| {
            time(|| {
                let _ = commands[which].status().unwrap();
            })
        });
        let base = base.unwrap_or_else(|| times[0].median());
        line(&format!("/bin/true ({name})"), &times[0], base);
        line(&format!("deploy-status ({name})"), &times[1], base);
        base
    };
    let base = measure("1 stored run", None);
    let run = project.runs(&commit).remove(0);
    let runs = run.ancestors().nth(2).unwrap();
    for number in 1..RUNS {
        let copy = runs.join(format!("{number:040x}")).join(run.file_name().unwrap());
        fs::create_dir_all(&copy).unwrap();
        for name in ["request.json", "status.json", "result.json", "monitor.lock"] {
            fs::copy(run.join(name), copy.join(name)).unwrap();
        }
    }
    measure("10,000 stored runs", Some(base));
}
