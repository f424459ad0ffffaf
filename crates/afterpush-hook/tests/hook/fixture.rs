//! A work tree with a bare remote and the shim installed, apart from everything on this machine.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use afterpush_core::id::{CommitId, RefName};
use afterpush_store::{Environment, Repository, RepositoryStore, RunDirectory, StateRoot};
use tempfile::TempDir;

/// What is pushed from main goes to one target.
pub(crate) const CONFIG: &str = "[[target]]\nname = \"web\"\nbranch = \"main\"\nhealth = { path = \"/health\" }\n";

/// Asked to look for what is missing, it finds nothing. Else it notes how it was started, one directory a process, and ends; or waits for a file, when there is one to wait for.
const MONITOR: &str = "#!/bin/sh
[ \"$1\" != reconcile ] || exit 0
seen=$AFTERPUSH_TEST_SEEN/$$
mkdir -p \"$seen\"
echo \"$@\" >\"$seen/arguments\"
(exec ls -l /proc/self/fd >\"$seen/fds\")
cut -d' ' -f6 /proc/$$/stat >\"$seen/session\"
tr '\\0' '\\n' </proc/$$/environ >\"$seen/environ\"
cat >\"$seen/input\"
: >\"$seen/started\"
while [ -e \"$AFTERPUSH_TEST_SEEN/wait\" ]; do sleep 0.02; done
: >\"$seen/ended\"
";

pub(crate) struct Fixture {
    pub(crate) directory: TempDir,
    pub(crate) git: &'static str,
    programs: TempDir,
}

/// A started monitor, as it saw itself.
pub(crate) struct Started {
    path: PathBuf,
}

impl Started {
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.path.join("ended").exists()
    }

    /// The run directory that it was given.
    pub(crate) fn run(&self) -> RunDirectory {
        let arguments = self.read("arguments");
        let words: Vec<_> = arguments.split_whitespace().collect();
        assert_eq!(words[0], "run");
        RunDirectory::at(Path::new(words[1]))
    }
}

impl Fixture {
    /// A repository with one commit on main, a remote, the shim and a configuration.
    pub(crate) fn new() -> Self {
        Self::with_git("git")
    }

    pub(crate) fn with_git(git: &'static str) -> Self {
        // All in one file system, so that programs can be linked: a program that was just written by this process cannot
        // be started while another thread's child still has the writing descriptor.
        let directory = tempfile::tempdir().unwrap();
        let programs = tempfile::tempdir().unwrap();
        for name in ["afterpush-hook", "afterpush-monitor"] {
            fs::hard_link(originals().join(name), programs.path().join(name)).unwrap();
        }
        let fixture = Self { directory, git, programs };
        for name in ["seen", "home", "work"] {
            fs::create_dir(fixture.path(name)).unwrap();
        }
        fixture.git(&["init", "--quiet", "--bare", fixture.path("remote.git").to_str().unwrap()]);
        fixture.git(&["init", "--quiet", "--initial-branch=main"]);
        fixture.git(&["remote", "add", "origin", fixture.path("remote.git").to_str().unwrap()]);
        fixture.configure(CONFIG);
        fixture.commit("first");
        fixture.install_shim();
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn hook(&self) -> PathBuf {
        self.programs.path().join("afterpush-hook")
    }

    pub(crate) fn monitor(&self) -> PathBuf {
        self.programs.path().join("afterpush-monitor")
    }

    pub(crate) fn hooks(&self) -> PathBuf {
        self.path("work/.git/hooks")
    }

    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.path("work/.afterpush.toml"), text).unwrap();
    }

    fn install_shim(&self) {
        let template = include_str!("../../../../hooks/pre-push");
        let hook = format!("'{}'", self.hook().display());
        write_program(&self.hooks().join("pre-push"), &template.replace("@HOOK@", &hook));
    }

    /// A hook that was there before ours.
    pub(crate) fn chain(&self, text: &str) {
        write_program(&self.hooks().join("pre-push.afterpush-chained"), text);
    }

    /// A command in the work tree, in an environment of its own.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.invalid")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.invalid")
            .env("AFTERPUSH_STATE_DIR", self.path("state"))
            .env("AFTERPUSH_TEST_SEEN", self.path("seen"))
            .current_dir(self.path("work"))
            .stdin(Stdio::null());
        command
    }

    /// A git command that has to succeed; gives its output, trimmed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self.command(self.git).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub(crate) fn commit(&self, message: &str) -> CommitId {
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.resolve("HEAD")
    }

    pub(crate) fn resolve(&self, revision: &str) -> CommitId {
        CommitId::parse(&self.git(&["rev-parse", revision])).unwrap()
    }

    /// What a ref of the remote is.
    pub(crate) fn remote_ref(&self, name: &str) -> Option<CommitId> {
        let output =
            self.command(self.git).args(["--git-dir=../remote.git", "rev-parse", "--verify", "-q", name]).output();
        CommitId::parse(String::from_utf8(output.unwrap().stdout).unwrap().trim()).ok()
    }

    pub(crate) fn push(&self, arguments: &[&str]) -> Output {
        self.command(self.git).arg("push").args(arguments).output().unwrap()
    }

    /// A push that has to land; gives what our hook said.
    pub(crate) fn push_says(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.push(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        said(&output)
    }

    pub(crate) fn store(&self) -> RepositoryStore {
        let environment = Environment { state_dir: Some(self.path("state")), ..Environment::default() };
        let repository = Repository::locate(&self.path("work"), &environment).unwrap();
        let roots = StateRoot::candidates(&environment, None);
        roots.first().expect("there is state").repository(&repository)
    }

    pub(crate) fn run(&self, commit: &CommitId, ref_name: &str) -> RunDirectory {
        self.store().run(commit, "origin", &RefName::parse(ref_name).unwrap())
    }

    /// Nothing was recorded, and no monitor started.
    pub(crate) fn assert_untouched(&self) {
        assert!(!self.path("state").exists(), "there is state");
        assert_eq!(fs::read_dir(self.path("seen")).unwrap().count(), 0, "a monitor was started");
    }

    /// Waits for so many monitors, and makes sure that there are no more.
    pub(crate) fn started(&self, count: usize) -> Vec<Started> {
        let all = || -> Vec<Started> {
            let entries = fs::read_dir(self.path("seen")).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.is_dir()).map(|path| Started { path }).collect()
        };
        wait_until("the start of the monitors", || {
            all().iter().filter(|started| started.path.join("started").exists()).count() >= count
        });
        let started = all();
        assert_eq!(started.len(), count);
        started
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Lets waiting stand-ins go.
        let _ = fs::remove_file(self.path("seen/wait"));
    }
}

/// The programs, written once before any test starts a process.
fn originals() -> &'static Path {
    static ORIGINALS: OnceLock<TempDir> = OnceLock::new();
    ORIGINALS
        .get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            fs::copy(env!("CARGO_BIN_EXE_afterpush-hook"), directory.path().join("afterpush-hook")).unwrap();
            let monitor = directory.path().join("afterpush-monitor");
            fs::write(&monitor, MONITOR).unwrap();
            fs::set_permissions(&monitor, fs::Permissions::from_mode(0o755)).unwrap();
            directory
        })
        .path()
}

/// Writes a program by way of another process: see [`Fixture::with_git`].
pub(crate) fn write_program(path: &Path, text: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What our hook and its shim said: every line that is not git's.
pub(crate) fn said(output: &Output) -> Vec<String> {
    stderr(output)
        .lines()
        .filter(|line| line.contains("afterpush") || line.contains("pre-push"))
        .map(str::to_owned)
        .collect()
}

pub(crate) fn wait_until(what: &str, mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_there() {
        assert!(Instant::now() < deadline, "{what} did not happen in 20 s");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Every file below a directory that holds `text`, links not followed.
pub(crate) fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            found.extend(files_with(&path, text));
        } else if kind.is_file() && String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(text) {
            found.push(path);
        }
    }
    found
}
