//! The real hook managers, installed from their packages, and how each is told of a job that runs before a push.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use crate::sandbox::{Said, Sandbox};

/// From the registry of npm.
const FROM_NPM: [&str; 3] = ["husky@9.1.7", "husky8@npm:husky@8.0.3", "lefthook@2.2.2"];
/// From the Python Package Index.
const FROM_PYPI: [&str; 2] = ["pre-commit>=4,<5", "prek"];

/// A hook manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// husky 9.
    Husky,
    /// husky 8, whose last release is of 2023.
    Husky8,
    /// lefthook 2.
    Lefthook,
    /// pre-commit 4.
    PreCommit,
    /// prek.
    Prek,
}

impl Kind {
    /// Those that are current.
    pub const ALL: [Self; 4] = [Self::Husky, Self::Lefthook, Self::PreCommit, Self::Prek];

    /// The manager's name, and its program's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Husky => "husky",
            Self::Husky8 => "husky 8",
            Self::Lefthook => "lefthook",
            Self::PreCommit => "pre-commit",
            Self::Prek => "prek",
        }
    }
}

/// A hook manager whose program is on this machine.
#[derive(Debug, Clone)]
pub struct Manager {
    kind: Kind,
    /// The program and its arguments: one of Node is run by node.
    program: Vec<OsString>,
}

impl Manager {
    /// Installs the manager's package below `cache`, unless it is there.
    ///
    /// # Errors
    /// Why it cannot run here: for [`crate::sandbox::skipped`].
    pub fn get(kind: Kind, cache: &Path) -> Result<Self, String> {
        let program = match kind {
            Kind::Husky => on_node(&from_npm(cache)?.join("node_modules/husky/bin.js"))?,
            Kind::Husky8 => on_node(&from_npm(cache)?.join("node_modules/husky8/lib/bin.js"))?,
            Kind::Lefthook => {
                let packages = fs::read_dir(from_npm(cache)?.join("node_modules")).expect("the installed packages");
                let mut programs = packages.map(|entry| entry.expect("a package").path().join("bin/lefthook"));
                let program = programs.find(|path| path.exists());
                vec![program.ok_or("its package has no program for this machine")?.into()]
            }
            Kind::PreCommit | Kind::Prek => vec![from_pypi(cache)?.join("bin").join(kind.name()).into()],
        };
        Ok(Self { kind, program })
    }

    /// Which one it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Writes the manager's configuration into a work tree: before each push it runs `job`, a program and arguments that
    /// need no quotes. For husky that is the person's own script, which exists only after [`Manager::install`].
    pub fn configure(&self, work: &Path, job: &str) {
        let (file, text) = match self.kind {
            Kind::Husky | Kind::Husky8 => (".husky/pre-push", format!("{job}\n")),
            Kind::Lefthook => ("lefthook.yml", format!("pre-push:\n  jobs:\n    - run: \"{job}\"\n")),
            Kind::PreCommit | Kind::Prek => (
                ".pre-commit-config.yaml",
                format!(
                    "repos:\n- repo: local\n  hooks:\n  - id: job\n    name: job\n    entry: \"{job}\"\n    language: \
                     system\n    always_run: true\n    pass_filenames: false\n    stages: [pre-push]\n"
                ),
            ),
        };
        fs::write(work.join(file), text).expect("the manager's configuration");
    }

    /// The manager's program, to be run in a work tree.
    #[must_use]
    pub fn command(&self, sandbox: &Sandbox, work: &Path) -> Command {
        let mut command = sandbox.command(&self.program[0], work);
        command.args(&self.program[1..]);
        command
    }

    /// Runs the manager's own installation in a work tree.
    pub fn install(&self, sandbox: &Sandbox, work: &Path) -> Said {
        let arguments: &[&str] = match self.kind {
            Kind::Husky => &[],
            Kind::Husky8 | Kind::Lefthook => &["install"],
            Kind::PreCommit | Kind::Prek => &["install", "--hook-type", "pre-push"],
        };
        Said::of(self.command(sandbox, work).args(arguments))
    }
}

/// A script and the node that runs it.
pub(crate) fn on_node(script: &Path) -> Result<Vec<OsString>, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let node = std::env::split_paths(&path).map(|place| place.join("node")).find(|path| path.exists());
    Ok(vec![node.ok_or("node is not in the path")?.into(), script.into()])
}

fn from_npm(cache: &Path) -> Result<PathBuf, String> {
    installed(cache, &FROM_NPM.join("+"), |place| {
        fs::write(place.join("package.json"), "{}").expect("a package of our own");
        run("npm", place, &[&["install", "--no-audit", "--no-fund", "--ignore-scripts"], &FROM_NPM[..]].concat())
    })
}

fn from_pypi(cache: &Path) -> Result<PathBuf, String> {
    installed(cache, "pypi", |place| {
        run("python3", place, &["-m", "venv", "."])?;
        run(place.join("bin/pip"), place, &[&["install", "--quiet"], &FROM_PYPI[..]].concat())
    })
}

/// Installs packages once for all that ask, in whatever process; says why it could not.
pub(crate) fn installed(
    cache: &Path,
    name: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let cache = cache.join("managers");
    fs::create_dir_all(&cache).expect("a directory for packages");
    let lock = File::create(cache.join(format!("{name}.lock"))).expect("a lock beside the packages");
    lock.lock().expect("the lock");
    let (place, whole) = (cache.join(name), cache.join(format!("{name}.whole")));
    if !whole.exists() {
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).expect("a directory for packages");
        install(&place)?;
        fs::write(whole, "").expect("a note beside the packages");
    }
    Ok(place)
}

/// Runs a program, which must succeed; says why it did not.
pub(crate) fn run(program: impl AsRef<Path>, directory: &Path, arguments: &[&str]) -> Result<(), String> {
    let program = program.as_ref();
    match Command::new(program).args(arguments).current_dir(directory).output() {
        Ok(answer) if answer.status.success() => Ok(()),
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer.stderr);
            Err(format!("{} failed: {}", program.display(), text.lines().last().unwrap_or_default()))
        }
        Err(error) => Err(format!("{} cannot be run: {error}", program.display())),
    }
}
