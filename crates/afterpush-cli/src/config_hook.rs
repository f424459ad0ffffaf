//! The hook as an entry of git's configuration, which git 2.54 and newer run beside those of the hooks directory: nothing is put
//! among the files of a hook manager or of the repository.
//!
//! Invariant: an entry with an event and without a command makes git refuse every push; so the command is written first, the
//! event last, and both go in one step. Older gits do not look at it.

use std::process::{Command, Output, Stdio};

use crate::{
    context::{Context, beside},
    error::{CommandError, ErrorKind},
    hook_file::Standing,
    shim::{PRE_PUSH, quote},
};

/// The first git that runs hooks from its configuration.
const SINCE: (u32, u32) = (2, 54);
/// The entry's section.
const SECTION: &str = "hook.afterpush";

/// The entry in this repository's configuration, which all work trees share.
pub(crate) struct ConfigHook<'a> {
    context: &'a Context,
}

impl<'a> ConfigHook<'a> {
    /// Of the repository around the current directory.
    pub(crate) fn of(context: &'a Context) -> Result<Self, CommandError> {
        context.repository()?;
        Ok(Self { context })
    }

    /// What stands there; never somebody else's.
    pub(crate) fn standing(&self) -> Result<Standing, CommandError> {
        let (command, event) = (self.get("command")?, self.get("event")?);
        Ok(match (command.as_slice(), event.as_slice()) {
            ([], []) => Standing::Nothing,
            ([command], [event]) if *command == text()? && event == PRE_PUSH.name => Standing::Current,
            _ => Standing::Other,
        })
    }

    /// Writes the entry. Says what it did.
    pub(crate) fn install(&self) -> Result<String, CommandError> {
        let (is_run, version) = git_runs_it()?;
        if !is_run {
            let message = format!("{version} runs no hooks from its configuration; git {}.{} does", SINCE.0, SINCE.1);
            return Err(
                CommandError::new(ErrorKind::Refused, message).hint("run `afterpush install` without --config-hook")
            );
        }
        if self.standing()? == Standing::Current {
            return Ok(format!("already installed in git's configuration, as {SECTION}\n"));
        }
        self.set("command", &text()?)?;
        self.set("event", PRE_PUSH.name)?;
        Ok(format!("installed in this repository's git configuration, as {SECTION}\n"))
    }

    /// Removes the entry.
    pub(crate) fn uninstall(&self) -> Result<(), CommandError> {
        let arguments = ["--remove-section", SECTION];
        let answer = self.config(&arguments)?;
        if answer.status.success() { Ok(()) } else { Err(failure(&arguments, &answer)) }
    }

    fn get(&self, key: &str) -> Result<Vec<String>, CommandError> {
        let key = format!("{SECTION}.{key}");
        let arguments = ["-z", "--get-all", &key];
        let answer = self.config(&arguments)?;
        match answer.status.code() {
            Some(0) => {
                let text = String::from_utf8_lossy(&answer.stdout).into_owned();
                Ok(text.split_terminator('\0').map(str::to_owned).collect())
            }
            // git config's way to say that the key is not set.
            Some(1) => Ok(Vec::new()),
            _ => Err(failure(&arguments, &answer)),
        }
    }

    fn set(&self, key: &str, value: &str) -> Result<(), CommandError> {
        let key = format!("{SECTION}.{key}");
        let arguments = ["--replace-all", &key, value];
        let answer = self.config(&arguments)?;
        if answer.status.success() { Ok(()) } else { Err(failure(&arguments[..2], &answer)) }
    }

    fn config(&self, arguments: &[&str]) -> Result<Output, CommandError> {
        git(self.context, &[&["config", "--local"], arguments].concat())
    }
}

/// Tells whether git knows this file of the work tree, so that a change of it would be everybody's.
pub(crate) fn is_tracked(context: &Context, path: &std::path::Path) -> Result<bool, CommandError> {
    let path = path.to_string_lossy();
    Ok(git(context, &["--literal-pathspecs", "ls-files", "--error-unmatch", "--", &path])?.status.success())
}

/// Whether the git in the path runs hooks from its configuration, and which git it is.
pub(crate) fn git_runs_it() -> Result<(bool, String), CommandError> {
    let answer = Command::new("git").arg("--version").stdin(Stdio::null()).output();
    let answer = answer.map_err(|error| CommandError::because(ErrorKind::Refused, "git cannot be run", &error))?;
    let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    Ok((numbers(&version).is_some_and(|numbers| numbers >= SINCE), version))
}

/// The first two numbers of `git version 2.54.1 (and more)`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// git runs it by the shell and puts its arguments behind it. Without the program, and whatever comes of it but the refusal that
/// the user has asked for, the push goes on.
fn text() -> Result<String, CommandError> {
    let hook = quote(&beside("afterpush-hook")?)?;
    let name = PRE_PUSH.name;
    Ok(format!(
        r#"[ ! -x {hook} ] || {hook} {name} "$PPID" "$@" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- || [ $? -ne 10 ] || false"#
    ))
}

fn git(context: &Context, arguments: &[&str]) -> Result<Output, CommandError> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(context.directory()).stdin(Stdio::null());
    command.output().map_err(|error| CommandError::because(ErrorKind::Refused, "git cannot be run", &error))
}

fn failure(arguments: &[&str], answer: &Output) -> CommandError {
    let said = String::from_utf8_lossy(&answer.stderr);
    let message =
        format!("git config {} failed: {}", arguments.join(" "), said.trim().lines().last().unwrap_or_default());
    let error = CommandError::new(ErrorKind::Refused, message);
    match said.contains("could not lock") {
        true => {
            error.hint("another git may be writing it; if none is, remove the file config.lock that a killed one left")
        }
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_git_decides() {
        for (version, is_run) in [
            ("git version 2.54.0", true),
            ("git version 2.54.0.rc1", true),
            ("git version 2.55", true),
            ("git version 3.0.1", true),
            ("git version 2.53.9", false),
            ("git version 2.39.5 (Apple Git-154)", false),
            ("git version 2.5.4", false),
            ("", false),
            ("something else", false),
        ] {
            assert_eq!(numbers(version).is_some_and(|numbers| numbers >= SINCE), is_run, "{version}");
        }
    }
}
