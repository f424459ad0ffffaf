//! A temporary place with repositories, whose git knows no configuration but its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use afterpush_core::id::{CommitId, RefName};
use afterpush_git::Git;
use tempfile::TempDir;

/// How a repository is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ordinary,
    Reftable,
    Sha256,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Ordinary, Self::Reftable, Self::Sha256];

    fn init(self) -> &'static [&'static str] {
        match self {
            Self::Ordinary => &[],
            Self::Reftable => &["--ref-format=reftable"],
            Self::Sha256 => &["--object-format=sha256"],
        }
    }
}

pub(crate) struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join(name)
    }

    /// Makes the kinds that this git can make, each with one commit on main and a bare remote named origin that has it.
    pub(crate) fn each(test: impl Fn(Kind, &Self, &Path)) {
        for kind in Kind::ALL {
            let sandbox = Self::new();
            if sandbox.init(kind) {
                test(kind, &sandbox, &sandbox.path("work"));
            } else {
                afterpush_testkit::sandbox::skipped(
                    "git facts",
                    &format!("this git cannot make a {kind:?} repository"),
                );
            }
        }
    }

    /// The ordinary kind.
    pub(crate) fn ordinary() -> (Self, PathBuf) {
        let sandbox = Self::new();
        assert!(sandbox.init(Kind::Ordinary));
        let work = sandbox.path("work");
        (sandbox, work)
    }

    fn init(&self, kind: Kind) -> bool {
        for (name, bare) in [("work", None), ("origin.git", Some("--bare"))] {
            let mut arguments = vec!["init", "-q", "-b", "main"];
            arguments.extend(kind.init());
            arguments.extend(bare);
            arguments.push(name);
            if !self.run(&self.path(""), &arguments).status.success() {
                return false;
            }
        }
        let work = self.path("work");
        self.git(&work, &["remote", "add", "origin", "../origin.git"]);
        self.commit(&work, "one");
        self.git(&work, &["push", "-q", "origin", "main"]);
        true
    }

    pub(crate) fn run(&self, at: &Path, arguments: &[&str]) -> Output {
        Command::new("git")
            .current_dir(at)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.com")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub(crate) fn git(&self, at: &Path, arguments: &[&str]) -> String {
        let output = self.run(at, arguments);
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub(crate) fn commit(&self, at: &Path, message: &str) -> CommitId {
        self.git(at, &["commit", "-q", "--allow-empty", "-m", message]);
        self.id(at, "HEAD")
    }

    pub(crate) fn id(&self, at: &Path, revision: &str) -> CommitId {
        CommitId::parse(&self.git(at, &["rev-parse", revision])).unwrap()
    }
}

pub(crate) fn open(work: &Path) -> Git {
    Git::open(&work.join(".git")).unwrap()
}

pub(crate) fn branch(name: &str) -> RefName {
    RefName::parse(&format!("refs/heads/{name}")).unwrap()
}
