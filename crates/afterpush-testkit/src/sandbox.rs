//! A hermetic place for one end-to-end test: own home, own state, own git configuration, own programs in the path; every
//! monitor that was started from it is gone when it is dropped.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// How long a test waits for something that must happen, before it fails. Far longer than it takes, for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The hermetic place.
pub struct Sandbox {
    root: TempDir,
    programs: PathBuf,
    git: PathBuf,
    keep: bool,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// Makes an empty one. git is the one that `GIT_UNDER_TEST` names, else the first in the path.
    #[must_use]
    pub fn new() -> Self {
        let git = std::env::var_os("GIT_UNDER_TEST").map_or_else(|| find_in_path("git"), PathBuf::from);
        Self::with_git(&git)
    }

    /// Makes one that uses this git.
    #[must_use]
    pub fn with_git(git: &Path) -> Self {
        let root = tempfile::Builder::new().prefix("sandbox-").tempdir().expect("a temporary directory");
        for name in ["home/.config/afterpush", "state", "path"] {
            fs::create_dir_all(root.path().join(name)).expect("directories of the sandbox");
        }
        let git = git.to_owned();
        std::os::unix::fs::symlink(&git, root.path().join("path/git")).expect("a link to git");
        let keep = std::env::var_os("AFTERPUSH_KEEP").is_some();
        Self { root, programs: programs(), git, keep }
    }

    /// The sandbox's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Where state goes.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// The program of this name as it was built.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The git in use.
    #[must_use]
    pub fn git_program(&self) -> &Path {
        &self.git
    }

    /// Writes the user's configuration file.
    pub fn user_config(&self, text: &str) {
        fs::write(self.path().join("home/.config/afterpush/config.toml"), text).expect("the user's configuration");
    }

    /// Writes the user's credentials file, readable by the user alone.
    pub fn credentials(&self, text: &str) {
        let path = self.path().join("home/.config/afterpush/credentials.toml");
        fs::write(&path, text).expect("the credentials file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    /// A command with the sandbox's environment and no other.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.path().join("path").display()))
            .env("HOME", self.path().join("home"))
            .env("AFTERPUSH_STATE_DIR", self.state())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Test")
            .env("GIT_AUTHOR_EMAIL", "test@example.invalid")
            .env("GIT_COMMITTER_NAME", "Test")
            .env("GIT_COMMITTER_EMAIL", "test@example.invalid")
            .stdin(Stdio::null())
            .current_dir(directory);
        command
    }

    /// Runs one of our programs and gives what it said.
    pub fn afterpush(&self, directory: &Path, arguments: &[&str]) -> Said {
        Said::of(self.command(self.program("afterpush"), directory).args(arguments))
    }

    /// Runs `deploy-status`.
    pub fn deploy_status(&self, directory: &Path, arguments: &[&str]) -> Said {
        Said::of(self.command(self.program("deploy-status"), directory).args(arguments))
    }

    /// Runs git, which must succeed, and gives its standard output without the last newline.
    pub fn git(&self, directory: &Path, arguments: &[&str]) -> String {
        let said = self.try_git(directory, arguments);
        assert_eq!(said.code, Some(0), "git {arguments:?}: {said:?}");
        said.stdout.trim_end().to_owned()
    }

    /// Runs git.
    pub fn try_git(&self, directory: &Path, arguments: &[&str]) -> Said {
        Said::of(self.command(&self.git, directory).args(arguments))
    }

    /// A work tree with a bare repository as its remote `origin`, branch `main`, and afterpush installed.
    #[must_use]
    pub fn project(&self, config: &str) -> Project<'_> {
        self.project_named("web", config)
    }

    /// The same with a name, for several in one sandbox.
    #[must_use]
    pub fn project_named(&self, name: &str, config: &str) -> Project<'_> {
        let (work, bare) = (self.path().join(name), self.path().join(format!("{name}.git")));
        self.git(self.path(), &["init", "--quiet", "--bare", "-b", "main", &bare.to_string_lossy()]);
        self.git(self.path(), &["init", "--quiet", "-b", "main", &work.to_string_lossy()]);
        self.git(&work, &["remote", "add", "origin", &bare.to_string_lossy()]);
        if !config.is_empty() {
            fs::write(work.join(".afterpush.toml"), config).expect("the repository's configuration");
        }
        let project = Project { sandbox: self, work, bare };
        project.commit("first");
        let said = self.afterpush(&project.work, &["install"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        project
    }

    /// The process ids of the monitors that run from this sandbox.
    #[must_use]
    pub fn monitors(&self) -> Vec<i32> {
        let state = self.state();
        let state = state.to_string_lossy();
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains("afterpush-monitor") && line.contains(&*state)
        })
        .collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for pid in self.monitors() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let gone = Instant::now() + Duration::from_secs(10);
        while !self.monitors().is_empty() && Instant::now() < gone {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.keep {
            self.root.disable_cleanup(true);
        }
    }
}

/// A work tree and its remote.
pub struct Project<'a> {
    sandbox: &'a Sandbox,
    /// The work tree.
    pub work: PathBuf,
    /// The bare repository that it pushes to.
    pub bare: PathBuf,
}

impl Project<'_> {
    /// Makes a commit and gives its id.
    pub fn commit(&self, text: &str) -> String {
        fs::write(self.work.join("file"), text).expect("a file of the work tree");
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", text]);
        self.head()
    }

    /// Makes a commit upon another one, with the files of the one that is checked out, and checks nothing out. Gives its id.
    #[must_use]
    pub fn commit_upon(&self, parent: &str, text: &str) -> String {
        self.git(&["commit-tree", "HEAD^{tree}", "-p", parent, "-m", text])
    }

    /// The commit that is checked out.
    #[must_use]
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in the work tree, which must succeed.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.sandbox.git(&self.work, arguments)
    }

    /// A `git push` with these arguments, in the sandbox's environment.
    #[must_use]
    pub fn push_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(self.sandbox.git_program(), &self.work);
        command.arg("push").args(arguments);
        command
    }

    /// Pushes.
    pub fn push(&self, arguments: &[&str]) -> Said {
        Said::of(&mut self.push_command(arguments))
    }

    /// `deploy-status` in the work tree.
    pub fn deploy_status(&self, arguments: &[&str]) -> Said {
        self.sandbox.deploy_status(&self.work, arguments)
    }

    /// `afterpush` in the work tree.
    pub fn afterpush(&self, arguments: &[&str]) -> Said {
        self.sandbox.afterpush(&self.work, arguments)
    }

    /// The directories of the runs of a commit.
    #[must_use]
    pub fn runs(&self, commit: &str) -> Vec<PathBuf> {
        let Ok(repositories) = fs::read_dir(self.sandbox.state().join("repos")) else { return Vec::new() };
        let stores = repositories.filter_map(|entry| Some(entry.ok()?.path().join("runs").join(commit)));
        let runs = stores.filter_map(|runs| fs::read_dir(runs).ok()).flatten();
        runs.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("request.json").exists()).collect()
    }

    /// Waits until the run of a commit is finished, and gives its result.
    #[must_use]
    pub fn result(&self, commit: &str) -> serde_json::Value {
        let mut text = Vec::new();
        wait_until(&format!("the result of {commit}"), || {
            let run = self.runs(commit).into_iter().next();
            run.and_then(|run| fs::read(run.join("result.json")).ok()).is_some_and(|found| {
                text = found;
                true
            })
        });
        serde_json::from_slice(&text).expect("result.json is JSON")
    }

    /// Waits until the status of a commit's run satisfies a condition, and gives it.
    pub fn status(
        &self,
        commit: &str,
        what: &str,
        mut is_it: impl FnMut(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let mut found = serde_json::Value::Null;
        wait_until(what, || {
            let run = self.runs(commit).into_iter().next();
            let text = run.and_then(|run| fs::read(run.join("status.json")).ok()).unwrap_or_default();
            found = serde_json::from_slice(&text).unwrap_or_default();
            is_it(&found)
        });
        found
    }
}

/// What a program said.
#[derive(Debug, Clone)]
pub struct Said {
    /// The exit code; `None` for a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Said {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let began = Instant::now();
        let Output { status, stdout, stderr } =
            command.output().unwrap_or_else(|error| panic!("could not run {command:?}: {error}"));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr), took: began.elapsed() }
    }

    /// The document on standard output.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not one JSON document ({error}): {self:?}"))
    }
}

/// Waits for a condition; fails the test when it does not come true in good time.
pub fn wait_until(what: &str, mut is_it: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_it() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A number of `/proc/<process>/status`, such as `VmHWM`, the most memory that it ever held, in KiB. `None` when it has ended.
#[must_use]
pub fn memory_kib(process: u32, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Says loudly that a test, or a part of one, cannot run on this machine; `tests/run` lists these at its end.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn skipped(test: &str, why: &str) {
    use std::io::Write;
    eprintln!("SKIPPED {test}: {why}");
    if let Some(path) = std::env::var_os("AFTERPUSH_SKIPPED")
        && let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = writeln!(file, "{test}: {why}");
    }
}

/// Where the programs are: `AFTERPUSH_PROGRAMS`, else where cargo has built them for the tests.
fn programs() -> PathBuf {
    let place = std::env::var_os("AFTERPUSH_PROGRAMS").map(PathBuf::from).unwrap_or_else(|| {
        let test = std::env::current_exe().expect("the test's own path");
        // target/debug/deps/<test>
        test.ancestors().nth(2).expect("a target directory").to_owned()
    });
    for name in ["afterpush", "deploy-status", "afterpush-hook", "afterpush-monitor"] {
        assert!(
            place.join(name).exists(),
            "{} is not built; run tests/run, or cargo build --workspace",
            place.join(name).display()
        );
    }
    place
}

fn find_in_path(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.exists())
        .expect("git in the path")
}
