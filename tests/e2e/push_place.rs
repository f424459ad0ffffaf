//! The place of the tests of `afterpush push`: a work tree of ours, one of somebody else's, and all that must stay as it was.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use afterpush_testkit::sandbox::{Project, Said};

use crate::gits::{BRANCHES, Scene, executable};

/// The user's configuration: waits that a test can afford.
const QUICK: &str = "[policy]\nfirst_interval = \"200ms\"\n[push]\nfirst_wait = \"5ms\"\n";

/// A project whose first commit is pushed, and somebody else's clone of it.
pub(crate) struct Place<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) project: Project<'a>,
    pub(crate) other: PathBuf,
}

impl<'a> Place<'a> {
    /// `rules` are added to the user's configuration, `files` to the first commit.
    pub(crate) fn new(scene: &'a Scene, rules: &str, files: &[(&str, &str)]) -> Self {
        scene.sandbox.user_config(&format!("{QUICK}{rules}"));
        for name in ["web", "web.git", "other"] {
            let _ = fs::remove_dir_all(scene.sandbox.path().join(name));
        }
        let project = scene.sandbox.project(BRANCHES);
        write(&project.work, files);
        project.commit("base");
        assert_eq!(project.push(&["-u", "origin", "main"]).code, Some(0));
        let other = scene.sandbox.path().join("other");
        let (from, to) = (project.bare.to_str().unwrap(), other.to_str().unwrap());
        scene.sandbox.git(scene.sandbox.path(), &["clone", "--quiet", from, to]);
        Self { scene, project, other }
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.project.git(arguments)
    }

    /// A commit of ours with these files; an empty text deletes one.
    pub(crate) fn ours(&self, files: &[(&str, &str)]) -> String {
        write(&self.project.work, files);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", "ours"]);
        self.project.head()
    }

    /// A commit of somebody else's, pushed.
    pub(crate) fn theirs(&self, files: &[(&str, &str)]) -> String {
        write(&self.other, files);
        let git = |arguments: &[&str]| self.scene.sandbox.git(&self.other, arguments);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "-m", "theirs"]);
        git(&["push", "--quiet", "origin", "main"]);
        git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn push(&self, arguments: &[&str]) -> Said {
        self.project.afterpush(&[&["push"], arguments].concat())
    }

    /// A push that must be accepted, and whose commit contains `commits`.
    pub(crate) fn accepted(&self, arguments: &[&str], commits: &[&str]) -> Said {
        let said = self.push(arguments);
        assert_eq!(said.code, Some(0), "{}: {said:?}", self.scene.version());
        let head = self.project.head();
        assert_eq!(self.scene.remote_has(&self.project, "refs/heads/main"), Some(head.clone()), "{said:?}");
        for commit in commits {
            self.git(&["merge-base", "--is-ancestor", commit, &head]);
        }
        assert_eq!(self.git(&["for-each-ref", "refs/worktree"]), "", "nothing of ours is left");
        said
    }

    /// A push that must end with `code`, and leave everything as it was.
    pub(crate) fn leaves_all(&self, arguments: &[&str], code: i32) -> Said {
        let before = self.state();
        let said = self.push(arguments);
        assert_eq!(said.code, Some(code), "{}: {said:?}", self.scene.version());
        assert_eq!(self.state(), before, "{}: {said:?}", self.scene.version());
        said
    }

    /// Everything that must be as it was: HEAD, branch, index, work tree with its files, stash list, operations.
    pub(crate) fn state(&self) -> Vec<String> {
        let git_dir = self.project.work.join(".git");
        let signs = ["rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD", "index.lock"];
        let mut state: Vec<String> =
            signs.iter().filter(|sign| git_dir.join(sign).exists()).map(|sign| (*sign).to_owned()).collect();
        for arguments in [
            &["symbolic-ref", "HEAD"][..],
            &["rev-parse", "HEAD"],
            &["for-each-ref", "refs/heads", "refs/stash", "refs/afterpush", "refs/worktree"],
            &["diff", "--cached", "--binary"],
            &["diff", "--binary"],
            &["ls-files", "--stage"],
            &["status", "--porcelain", "--untracked-files=all"],
            &["stash", "list"],
        ] {
            state.push(self.git(arguments));
        }
        files_below(&self.project.work, &mut state);
        state
    }

    /// A hook of the work tree's that moves the remote, so many times at most.
    pub(crate) fn moves_at_each_rebase(&self, times: usize) {
        let _ = fs::remove_file(self.scene.sandbox.path().join("moved"));
        let body = format!(
            "unset $(git rev-parse --local-env-vars)\ncd '{}' || exit 1\n\
             count=$(cat ../moved 2>/dev/null || echo 0)\n[ \"$count\" -lt {times} ] || exit 0\necho $((count + 1)) >../moved\n\
             git pull --quiet --rebase && git commit --quiet --allow-empty -m again && git push --quiet origin HEAD:main",
            self.other.display()
        );
        executable(&self.project.work.join(".git/hooks/pre-rebase"), &body);
    }

    /// Somebody else's commit on top of what the remote has now.
    pub(crate) fn theirs_on_top(&self, files: &[(&str, &str)]) -> String {
        self.scene.sandbox.git(&self.other, &["fetch", "--quiet"]);
        self.scene.sandbox.git(&self.other, &["reset", "--quiet", "--hard", "origin/main"]);
        self.theirs(files)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.project.work.join(name)).unwrap()
    }
}

pub(crate) fn write(place: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if text.is_empty() { fs::remove_file(path).unwrap() } else { fs::write(path, text).unwrap() }
    }
}

fn files_below(directory: &Path, found: &mut Vec<String>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries.into_iter().filter(|path| !path.ends_with(".git")) {
        if path.is_dir() {
            files_below(&path, found);
        } else {
            let (text, mode) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().permissions().mode());
            found.push(format!("{} {mode:o} {}", path.display(), String::from_utf8_lossy(&text)));
        }
    }
}

pub(crate) fn rule(paths: &str, resolve: &str) -> String {
    format!("[[push.conflict]]\npaths = {paths:?}\nresolve = {resolve:?}\n")
}

/// A rule whose command makes the file anew from another one.
pub(crate) fn made(command: &str) -> String {
    format!("{}run = {command:?}\n", rule("made.lock", "theirs"))
}
