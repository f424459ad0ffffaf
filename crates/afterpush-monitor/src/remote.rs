//! Asks the remote by `git ls-remote`, with a time limit of its own: git's network limits are long.

use std::{process::Stdio, time::Duration};

use afterpush_core::text::clean_line;
use tokio::{process::Command, time::timeout};

/// A remote that is slower than this is asked again later.
const LS_REMOTE: Duration = Duration::from_secs(20);

/// Runs the command to its end and gives what it says, or why it says nothing.
pub(crate) async fn ask(command: std::process::Command) -> Result<Vec<u8>, String> {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let limit = || format!("git ls-remote did not answer within {} s", LS_REMOTE.as_secs());
    let output = timeout(LS_REMOTE, command.output()).await.map_err(|_| limit())?;
    let output = output.map_err(|error| format!("could not run git ls-remote: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    // git's own words for why; it redacts passwords in URLs itself, and the URL that we gave it holds none.
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("fatal:")).or_else(|| said.lines().last()).unwrap_or("");
    Err(clean_line(&format!("git ls-remote failed: {}", line.trim()), 200))
}
