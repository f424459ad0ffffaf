//! Many monitors that begin at the same moment, each the real program on a run of its own. The request of one real push is the
//! pattern of theirs.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant, SystemTime},
};

use afterpush_testkit::sandbox::{Project, Sandbox, wait_until};
use serde_json::{Value, json};

/// The branch of the pattern, whose target has nothing to ask.
const PATTERN: &str = "[[target]]\nname = \"pattern\"\nbranch = \"pattern\"\n";

/// What one of them follows, and with which token.
pub(crate) struct Member {
    pub(crate) branch: String,
    pub(crate) commit: String,
    /// The variables of its push.
    pub(crate) variables: Value,
}

/// Monitors that are started and wait for the word to go.
#[derive(Default)]
pub(crate) struct Crowd {
    waiting: Vec<(Child, Value)>,
    runs: Vec<PathBuf>,
}

/// A repository whose branches can be pushed unseen, and the request of a push.
pub(crate) struct Ground<'a> {
    sandbox: &'a Sandbox,
    pub(crate) project: Project<'a>,
    request: Value,
    runs: PathBuf,
}

impl<'a> Ground<'a> {
    /// A repository with this configuration. While others are lined up none can be made.
    pub(crate) fn new(sandbox: &'a Sandbox, name: &str, config: &str) -> Self {
        sandbox.user_config(PATTERN);
        let project = sandbox.project_named(name, config);
        assert_eq!(project.push(&["origin", "HEAD:refs/heads/pattern"]).code, Some(0));
        let head = project.head();
        let _ = project.result(&head);
        // Its monitor has also started what looks for runs without a monitor, and would find those that are lined up.
        wait_until("the end of what the push has started", || !is_at_work_in(sandbox.path()));
        let run = project.runs(&head).remove(0);
        let request = serde_json::from_slice(&fs::read(run.join("request.json")).unwrap()).unwrap();
        let runs = run.ancestors().nth(2).unwrap().to_owned();
        Self { sandbox, project, request, runs }
    }

    /// Pushes, with no monitor: the reflog is what proves the push to those that are lined up.
    pub(crate) fn push_unseen(&self, refspecs: &[String]) {
        let mut push = self.project.push_command(&["--quiet", "origin"]);
        assert!(push.args(refspecs).env("AFTERPUSH_SKIP", "1").status().unwrap().success());
    }

    /// Starts a monitor for each; all read their standard input to its end before anything else.
    pub(crate) fn line_up(&self, members: &[Member], crowd: &mut Crowd) {
        for member in members {
            let number = crowd.runs.len();
            let mut request = self.request.clone();
            request["id"] = json!(format!("{number:032x}"));
            request["commit"] = json!(member.commit);
            request["ref"] = json!(format!("refs/heads/{}", member.branch));
            request.as_object_mut().unwrap().remove("pusher");
            let run = self.runs.join(&member.commit).join(format!("member-{number}"));
            fs::create_dir_all(&run).unwrap();
            fs::write(run.join("request.json"), request.to_string()).unwrap();
            let mut command = self.sandbox.command(self.sandbox.program("afterpush-monitor"), Path::new("/"));
            command.arg("run").arg(&run).args(["--nonce", &format!("{number:032x}")]);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            crowd.waiting.push((command.spawn().unwrap(), member.variables.clone()));
            crowd.runs.push(run);
        }
    }
}

impl Crowd {
    /// Lets them go, waits for the end of all, and gives the outcome of each with the time at which it was written.
    pub(crate) fn follow(self, patience: Duration) -> Vec<(String, SystemTime)> {
        let deadline = Instant::now() + patience;
        let mut monitors: Vec<Child> = self.waiting.into_iter().map(hand_over).collect();
        for monitor in &mut monitors {
            while monitor.try_wait().unwrap().is_none() {
                assert!(Instant::now() < deadline, "a monitor has not ended within {patience:?}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let results = self.runs.iter().map(|run| {
            let path = run.join("result.json");
            let result: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            (result["outcome"].as_str().unwrap().to_owned(), fs::metadata(&path).unwrap().modified().unwrap())
        });
        results.collect()
    }
}

fn hand_over((mut monitor, variables): (Child, Value)) -> Child {
    monitor.stdin.take().unwrap().write_all(variables.to_string().as_bytes()).unwrap();
    monitor
}

/// Tells whether a process of ours works on anything in a directory.
fn is_at_work_in(directory: &Path) -> bool {
    let directory = directory.to_string_lossy();
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    processes
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .any(|line| line.contains("afterpush-monitor") && line.contains(&*directory))
}

/// How long after these ends they were seen: on average and at worst, in seconds.
pub(crate) fn lateness(seen: &[(String, SystemTime)], ends: &[SystemTime]) -> (f64, f64) {
    let late =
        seen.iter().zip(ends).map(|((_, seen), end)| seen.duration_since(*end).unwrap_or_default().as_secs_f64());
    let late: Vec<f64> = late.collect();
    (late.iter().sum::<f64>() / late.len() as f64, late.iter().copied().fold(0.0, f64::max))
}
