//! What strict mode costs on this machine, measured: a fetch of many refs into a temporary repository, without its hook and
//! with it. Nothing of the person's is read or changed.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    error::{CommandError, ErrorKind},
    hook_file::put_program,
    shim::STRICT,
};

/// How many new refs are fetched: as many as a large repository brings on a busy Monday.
pub(crate) const REFS: usize = 2_000;

/// How long a fetch of [`REFS`] new refs takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Without the hook.
    pub(crate) without: Duration,
    /// With it.
    pub(crate) with: Duration,
}

/// Measures it; takes as long as the two fetches.
pub(crate) fn measure() -> Result<Cost, CommandError> {
    let failed = |error: io::Error| CommandError::because(ErrorKind::Internal, "cannot measure strict mode", &error);
    let place = tempfile::Builder::new().prefix("afterpush-strict-").tempdir().map_err(failed)?;
    let place = place.path();
    let source = place.join("source.git");
    repository(place, "source.git").map_err(failed)?;
    let tree = git(&source, &["hash-object", "-t", "tree", "-w", "--stdin"], "").map_err(failed)?;
    let commit = git(&source, &["commit-tree", "-m", "one", &tree], "").map_err(failed)?;
    let mut refs = String::new();
    for number in 0..REFS {
        writeln!(refs, "create refs/heads/branch-{number:04} {commit}").expect("a String takes every text");
    }
    git(&source, &["update-ref", "--stdin"], &refs).map_err(failed)?;
    let fetch = |name: &str, has_hook: bool| -> Result<Duration, CommandError> {
        repository(place, name).map_err(failed)?;
        if has_hook {
            let hooks = place.join(name).join("hooks");
            put_program(&hooks, &hooks.join(STRICT.name), &STRICT.text()?)?;
        }
        let began = Instant::now();
        let branches = ["fetch", "--quiet", "../source.git", "+refs/heads/*:refs/remotes/origin/*"];
        git(&place.join(name), &branches, "").map_err(failed)?;
        Ok(began.elapsed())
    };
    Ok(Cost { without: fetch("without.git", false)?, with: fetch("with.git", true)? })
}

/// An empty repository without the hooks of the person's template.
fn repository(place: &Path, name: &str) -> io::Result<()> {
    git(place, &["init", "--quiet", "--bare", "--template=", name], "").map(drop)
}

/// Runs git, apart from the person's configuration and repository, and gives what it printed.
fn git(directory: &Path, arguments: &[&str], input: &str) -> io::Result<String> {
    let mut command = Command::new("git");
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_str().is_some_and(|name| name.starts_with("GIT_"))) {
        command.env_remove(name);
    }
    command.args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"]).args(arguments).current_dir(directory);
    command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("LC_ALL", "C")]);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "afterpush").env(format!("GIT_{who}_EMAIL"), "afterpush@localhost");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().expect("it was asked for").write_all(input.as_bytes())?;
    let answer = child.wait_with_output()?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr);
        let last = said.lines().last().unwrap_or_default();
        return Err(io::Error::other(format!("git {} ended with {}: {last}", arguments[0], answer.status)));
    }
    Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}
