//! The gits that the machine has, and what a push must come to on each of them: exactly these runs, each with this end.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use afterpush_testkit::sandbox::{Project, Said, Sandbox, skipped, wait_until};
use serde_json::Value;

/// A target that nothing can be asked about: such a run ends as soon as it is known whether the push has landed.
pub(crate) const BRANCHES: &str = "[[target]]\nname = \"web\"\nref = \"refs/heads/*\"\n";

/// The user's configuration: a remote that has to be asked twice is asked again soon.
pub(crate) const HURRY: &str = "[policy]\nfirst_interval = \"1s\"\n";

/// How the run of one ref must end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// Landed, by the reflog of the remote-tracking ref.
    Reflog,
    /// Landed, by the remote-tracking ref, of which no reflog tells that this push set it; or by the remote, where the
    /// monitor came too late to see how `git push` ended, or the kernel does not tell it.
    TrackingRef,
    /// Landed, though nothing in the repository says so: by the exit code of `git push`, or as before by the remote.
    ExitCode,
    /// Landed, by the remote alone.
    Remote,
    /// Not landed.
    Refused,
}

impl End {
    /// Shows that a result says so.
    pub(crate) fn check(self, what: &str, result: &Value) {
        let outcome = if matches!(self, Self::Refused) { "push_not_completed" } else { "unverified" };
        assert_eq!(result["outcome"], outcome, "{what}: {result:#}");
        let proof = result["push_proof"].as_str();
        let expected: &[Option<&str>] = match self {
            Self::Reflog => &[Some("the remote-tracking ref's reflog has this push")],
            Self::TrackingRef => {
                &[Some("the remote-tracking ref is at this commit"), Some("the remote has the ref at this commit")]
            }
            Self::ExitCode => &[Some("git push ended with exit code 0"), Some("the remote has the ref at this commit")],
            Self::Remote => &[Some("the remote has the ref at this commit")],
            Self::Refused => &[None],
        };
        assert!(expected.contains(&proof), "{what}: {self:?}, not {proof:?}: {result:#}");
    }
}

/// One git, and a sandbox in which it is the only one.
pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    version: String,
}

/// Runs a test on every git of the machine.
pub(crate) fn each_git(test: impl Fn(&Scene)) {
    for git in gits() {
        let sandbox = Sandbox::with_git(&git);
        sandbox.user_config(HURRY);
        let version = sandbox.git(sandbox.path(), &["--version"]);
        test(&Scene { sandbox, version });
    }
}

/// Runs a test on every git that runs hooks from its configuration; says it loudly when there is none.
pub(crate) fn each_git_with_config_hooks(name: &str, test: impl Fn(&Scene)) {
    let count = std::cell::Cell::new(0);
    each_git(|scene| {
        if scene.runs_config_hooks() {
            count.set(count.get() + 1);
            test(scene);
        }
    });
    if count.get() == 0 {
        skipped(name, "needs git 2.54 or newer; GIT_UNDER_TEST names one");
    }
}

impl Scene {
    /// The ordinary project, every branch of which has a target.
    pub(crate) fn project(&self) -> Project<'_> {
        self.sandbox.project(BRANCHES)
    }

    /// `git push` in `directory`: shows that it ends with `code`, that exactly `runs` (commit, ref, end) come of it, and
    /// that the person is told of them in one line, or of nothing.
    pub(crate) fn push(
        &self,
        what: &str,
        directory: &Path,
        arguments: &[&str],
        code: i32,
        runs: &[(&str, &str, End)],
    ) -> Said {
        let mut command = self.sandbox.command(self.sandbox.git_program(), directory);
        command.arg("push").args(arguments);
        self.run(what, &mut command, code, runs)
    }

    /// The same for any command that pushes.
    pub(crate) fn run(&self, what: &str, command: &mut Command, code: i32, runs: &[(&str, &str, End)]) -> Said {
        let what = format!("{what} ({})", self.version);
        let before: BTreeSet<String> = requests(&self.sandbox).into_keys().collect();
        let said = Said::of(command);
        assert_eq!(said.code, Some(code), "{what}: {said:?}");
        // The hook has ended with the push: what is not on record now will not be. What the push brings back of earlier ones
        // that no hook saw, and so no process of `git push`, is another test's business.
        let seen_by_a_hook = |request: &Value| request["source"] == "hook" || !request["pusher"].is_null();
        let new = requests(&self.sandbox)
            .into_iter()
            .filter(|(id, (_, request))| !before.contains(id) && seen_by_a_hook(request));
        let new: BTreeMap<(String, String), (String, PathBuf)> = new
            .map(|(id, (run, request))| {
                let field = |name: &str| request[name].as_str().unwrap().to_owned();
                ((field("commit"), field("ref")), (id, run))
            })
            .collect();
        let expected: BTreeSet<_> =
            runs.iter().map(|(commit, name, _)| ((*commit).to_owned(), (*name).to_owned())).collect();
        assert_eq!(new.keys().cloned().collect::<BTreeSet<_>>(), expected, "{what}: {said:?}");
        let told = lines(&said).filter(|line| !line.contains("afterpush: the last push of")).collect::<Vec<_>>();
        assert_eq!(told.len(), usize::from(!runs.is_empty()), "{what}: {said:?}");
        assert!(told.iter().all(|line| line.contains("afterpush: watching")), "{what}: {said:?}");
        for (commit, name, end) in runs {
            let (id, run) = &new[&((*commit).to_owned(), (*name).to_owned())];
            end.check(&format!("{what}: {name}"), &result(run, id));
        }
        said
    }

    /// A new commit in a work tree.
    pub(crate) fn commit(&self, directory: &Path, text: &str) -> String {
        self.sandbox.git(directory, &["commit", "--quiet", "--allow-empty", "-m", text]);
        self.head(directory)
    }

    /// What is checked out in a work tree.
    pub(crate) fn head(&self, directory: &Path) -> String {
        self.sandbox.git(directory, &["rev-parse", "HEAD"])
    }

    /// Clones, installs, and gives the clone's directory.
    pub(crate) fn clone(&self, name: &str, options: &[&str], from: &Path) -> PathBuf {
        let place = self.sandbox.path().join(name);
        // As a URL: a path would be copied by links, and --depth ignored.
        let address = format!("file://{}", from.display());
        let all = [&["clone", "--quiet"], options, &[&address, place.to_str().unwrap()]].concat();
        self.sandbox.git(self.sandbox.path(), &all);
        let said = self.sandbox.afterpush(&place, &["install"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        place
    }

    /// Somebody else pushes a commit on top of the remote's branch, without afterpush.
    pub(crate) fn somebody_pushes(&self, project: &Project<'_>, branch: &str) -> String {
        let place = self.sandbox.path().join("somebody");
        let _ = fs::remove_dir_all(&place);
        let (bare, there) = (project.bare.to_str().unwrap(), place.to_str().unwrap());
        self.sandbox.git(self.sandbox.path(), &["clone", "--quiet", "-b", branch, bare, there]);
        let commit = self.commit(&place, "somebody else's");
        self.sandbox.git(&place, &["push", "--quiet", "origin", branch]);
        commit
    }

    /// What the remote has at a ref.
    pub(crate) fn remote_has(&self, project: &Project<'_>, name: &str) -> Option<String> {
        let said = self.sandbox.try_git(&project.bare, &["rev-parse", "--verify", "--quiet", name]);
        (said.code == Some(0)).then(|| said.stdout.trim_end().to_owned())
    }

    /// Makes the project's two repositories anew with these options of `git init`; false when this git does not know them.
    pub(crate) fn init_again(&self, project: &Project<'_>, work: &[&str], bare: &[&str]) -> bool {
        fs::remove_dir_all(project.work.join(".git")).unwrap();
        fs::remove_dir_all(&project.bare).unwrap();
        for (options, place) in [(work, &project.work), (bare, &project.bare)] {
            let all = [&["init", "--quiet", "-b", "main"], options, &[place.to_str().unwrap()]].concat();
            if self.sandbox.try_git(self.sandbox.path(), &all).code != Some(0) {
                return false;
            }
        }
        project.git(&["remote", "add", "origin", project.bare.to_str().unwrap()]);
        project.commit("first");
        let said = project.afterpush(&["install"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        true
    }

    /// Whether this git runs hooks from its configuration: 2.54 and newer do.
    pub(crate) fn runs_config_hooks(&self) -> bool {
        let version = self.version.trim_start_matches("git version ");
        let mut numbers = version.split('.').map_while(|word| word.parse::<u32>().ok());
        (numbers.next(), numbers.next()) >= (Some(2), Some(54))
    }

    /// Which git it is.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

/// Writes a hook of the remote.
pub(crate) fn server_hook(project: &Project<'_>, name: &str, body: &str) {
    executable(&project.bare.join("hooks").join(name), body);
}

/// Writes a shell script.
pub(crate) fn executable(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What afterpush told the person.
pub(crate) fn lines(said: &Said) -> impl Iterator<Item = &str> {
    said.stderr.lines().filter(|line| line.contains("afterpush"))
}

/// The directories of all runs.
pub(crate) fn runs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let inside = |path: PathBuf| fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
    let commits = inside(sandbox.state().join("repos")).flat_map(|repository| inside(repository.join("runs")));
    commits.flat_map(inside).collect()
}

/// All requests on record, by id: also those that wait for their turn behind an earlier one.
pub(crate) fn requests(sandbox: &Sandbox) -> BTreeMap<String, (PathBuf, Value)> {
    let mut found = BTreeMap::new();
    for run in runs(sandbox) {
        // In this order: a monitor moves the one over the other meanwhile.
        for name in ["again.json", "request.json"] {
            if let Ok(text) = fs::read(run.join(name)) {
                let request: Value = serde_json::from_slice(&text).unwrap();
                found.insert(request["id"].as_str().unwrap().to_owned(), (run.clone(), request));
            }
        }
    }
    found
}

/// Waits for the result of one request.
pub(crate) fn result(run: &Path, id: &str) -> Value {
    let mut found = Value::Null;
    wait_until(&format!("the result of {}", run.display()), || {
        let text = fs::read(run.join("result.json")).unwrap_or_default();
        found = serde_json::from_slice(&text).unwrap_or_default();
        found["request_id"] == id
    });
    found
}

/// Tells whether this is root, who alone can give files away; says it loudly otherwise.
pub(crate) fn is_root(test: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skipped(test, "only root can make files of another user");
    }
    is_root
}

/// The git that `GIT_UNDER_TEST` names, the first in the path, and those of the usual places; each once.
fn gits() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let first = env::split_paths(&path).map(|directory| directory.join("git")).find(|git| git.is_file());
    let named = env::var_os("GIT_UNDER_TEST").map(PathBuf::from);
    if let Some(named) = &named {
        assert!(named.is_file(), "GIT_UNDER_TEST={} is no program", named.display());
    }
    let usual = ["/usr/local/bin/git", "/usr/bin/git"].map(PathBuf::from);
    let mut seen = BTreeSet::new();
    let all = named.into_iter().chain(first).chain(usual);
    all.filter(|git| git.canonicalize().is_ok_and(|real| seen.insert(real))).collect()
}

#[test]
fn there_is_more_than_one_git_to_test() {
    let versions: BTreeSet<String> = gits()
        .iter()
        .map(|git| String::from_utf8(Command::new(git).arg("--version").output().unwrap().stdout).unwrap())
        .collect();
    assert!(!versions.is_empty());
    if versions.len() == 1 {
        skipped("refs", &format!("only one git is here ({versions:?}); GIT_UNDER_TEST names another one"));
    }
}
