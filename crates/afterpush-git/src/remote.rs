//! The question to the remote, `git ls-remote`: built and read here, run elsewhere.

use std::{path::Path, process::Command};

use afterpush_core::id::{CommitId, RefName};

use crate::{login::Login, program, repository::Git};

/// Builds `git ls-remote <remote> <ref>` that never asks a person for anything: prompts are off, standard input is empty.
///
/// It asks the address that the remote is *pushed* to, which is not always the one it is fetched from. A user name and password
/// that stand in that address go through the environment: arguments can be seen by every user. The caller sets the time limit,
/// pipes the output, and gives URLs without credentials.
#[must_use]
pub fn ls_remote_command(git_dir: &Path, remote_or_url: &str, ref_name: &RefName) -> Command {
    let mut command = program::command(git_dir);
    let git = Git::open(git_dir).ok();
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "/bin/false")
        .env("SSH_ASKPASS", "/bin/false")
        .env("SSH_ASKPASS_REQUIRE", "never")
        .env("GCM_INTERACTIVE", "never");
    // GIT_SSH_COMMAND goes before core.sshCommand and GIT_SSH: a user's own way to reach the remote is left as it is.
    let has_own_ssh = ["GIT_SSH_COMMAND", "GIT_SSH"].iter().any(|name| std::env::var_os(name).is_some())
        || git.as_ref().is_some_and(Git::has_ssh_command);
    if !has_own_ssh {
        command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=10");
    }
    let login = git.as_ref().and_then(|git| Login::of(&git.remote_urls(remote_or_url)?.1));
    // ls-remote asks the fetch address. A longest-match rewrite of exactly that one leads it to the push address, and goes
    // through the environment because the address may hold a token.
    if let Some(login) = &login {
        login.give_to(&mut command);
    } else if let Some((fetch, push)) = git.as_ref().and_then(|git| git.distinct_push_url(remote_or_url)) {
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", format!("url.{push}.insteadOf"))
            .env("GIT_CONFIG_VALUE_0", fetch);
    }
    let asked = login.as_ref().map_or(remote_or_url, |login| login.address.as_str());
    command.args(["ls-remote", "--", asked, ref_name.as_str()]);
    command
}

/// Finds the object that the remote has at exactly this ref; git also lists refs that merely end in the same words.
#[must_use]
pub fn read_ls_remote(output: &[u8], ref_name: &RefName) -> Option<CommitId> {
    output.split(|byte| *byte == b'\n').find_map(|line| {
        let (id, name) = std::str::from_utf8(line).ok()?.split_once('\t')?;
        if name.trim_end_matches('\r') == ref_name.as_str() { CommitId::parse(id).ok() } else { None }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    #[test]
    fn only_the_very_ref_counts() {
        let main = RefName::parse("refs/heads/main").unwrap();
        let output = format!("{A}\trefs/heads/x/refs/heads/main\n{B}\trefs/heads/main\n");
        assert_eq!(read_ls_remote(output.as_bytes(), &main).unwrap().as_str(), B);
        assert_eq!(read_ls_remote(format!("{A}\trefs/heads/x/refs/heads/main\n").as_bytes(), &main), None);
        for odd in ["", "\n", "refs/heads/main", "123\trefs/heads/main", "\u{fffd}\t\t"] {
            assert_eq!(read_ls_remote(odd.as_bytes(), &main), None, "{odd:?}");
        }
        assert_eq!(read_ls_remote(b"\xff\xfe\t\n", &main), None);
    }
}
