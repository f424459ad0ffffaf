//! Starts a monitor that outlives its starter.
//!
//! Invariant: nothing secret stands in the monitor's arguments or in its environment as others can read it; the caller's
//! environment reaches it through a nameless file in memory, as its standard input.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::sys::memfd::{MFdFlags, memfd_create};
use thiserror::Error;

use crate::RunDirectory;

/// Tells why no monitor was started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The environment could not be handed over.
    #[error("cannot hand the environment to the monitor")]
    Environment(#[source] io::Error),
    /// The program did not start.
    #[error("cannot start {}", .program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// What a monitor is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work<'a> {
    /// To follow a run.
    Follow(&'a RunDirectory),
    /// To follow a run, and to start what is missing in its repository: the monitors of lost runs and of unseen pushes.
    FollowAndReconcile(&'a RunDirectory),
    /// To start what is missing in the repository of this git directory, and to end.
    Reconcile(&'a Path),
}

/// Starts `program run <run directory> --nonce <random name>` in the background and does not wait. Which of several
/// monitors watches is decided by the run's lock, so one too many does no harm. By the nonce, which is in monitor.pid too,
/// whoever is about to signal the monitor makes sure that it is the monitor.
///
/// `environment` is the caller's. Where the starter must not drag the monitor along when its terminal goes, it calls
/// `setsid` itself before; the monitor also does. The child is for a starter that lives on and has to wait for its end; any
/// other drops it, and its own end hands the child to the system.
///
/// # Errors
/// [`StartError`].
pub fn start_monitor(
    program: &Path,
    work: Work<'_>,
    environment: &[(OsString, OsString)],
) -> Result<Child, StartError> {
    let handed_over = environment_file(environment).map_err(StartError::Environment)?;
    let visible = environment.iter().filter(|(name, value)| is_visible(name, value));
    let mut command = Command::new(program);
    match work {
        Work::Follow(run) | Work::FollowAndReconcile(run) => {
            let nonce = crate::random_name().map_err(StartError::Environment)?;
            command.arg("run").arg(run.path()).arg("--nonce").arg(nonce);
            if matches!(work, Work::FollowAndReconcile(_)) {
                command.arg("--reconcile");
            }
        }
        Work::Reconcile(git_dir) => {
            command.arg("reconcile").arg(git_dir);
        }
    }
    // It leaves this directory by itself: with a directory to go to, the hook, which is linked statically, would have to be
    // copied by fork for it, and a push pays.
    command
        .env_clear()
        .envs(visible.map(|(name, value)| (name, value)))
        .stdin(Stdio::from(handed_over))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| StartError::Spawn { program: program.to_owned(), source })
}

/// The environment as one JSON object. Without git's own variables, which speak of the push and would mislead git later,
/// and without what is not valid UTF-8, which JSON cannot hold.
fn environment_file(environment: &[(OsString, OsString)]) -> io::Result<File> {
    let variables: BTreeMap<&str, &str> = environment
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
        .filter(|(name, _)| !name.starts_with("GIT_"))
        .collect();
    let mut file = File::from(memfd_create("afterpush-environment", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&serde_json::to_vec(&variables)?)?;
    file.rewind()?;
    Ok(file)
}

/// Variables without secrets that a process needs from its first instruction on: who it is, its language, its network. And
/// the mark of a CI runner, whose clean-up a background process must not evade. A proxy that wants a password is a secret.
#[must_use]
pub fn is_visible(name: &OsStr, value: &OsStr) -> bool {
    const NAMES: [&str; 12] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "TZ",
        "TMPDIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "SSH_AUTH_SOCK",
        "DBUS_SESSION_BUS_ADDRESS",
        "RUNNER_TRACKING_ID",
    ];
    let Some(name) = name.to_str() else {
        return false;
    };
    NAMES.contains(&name)
        || ["LC_", "XDG_", "AFTERPUSH_"].iter().any(|prefix| name.starts_with(prefix))
        || (is_proxy(name) && !value.as_encoded_bytes().contains(&b'@'))
}

/// Tells whether the variable of this name says by which proxy the network is reached, or what is reached without.
#[must_use]
pub fn is_proxy(name: &str) -> bool {
    ["_PROXY", "_proxy"].iter().any(|suffix| name.ends_with(suffix))
}
