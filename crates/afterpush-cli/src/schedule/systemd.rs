//! The schedule as a timer of systemd's user manager.
//!
//! Invariant: both unit files stand and the timer is enabled, or neither stands: what fails on the way is undone.

use std::{
    fs,
    io::{ErrorKind as IoErrorKind, Write},
    path::{Path, PathBuf},
};

use super::{Job, Scheduled, ask, io_error, refused, text};
use crate::{
    context::Context,
    error::{CommandError, ErrorKind},
};

/// The first line of our files.
const MARK: &str = "# Written by `afterpush install --schedule`; `afterpush uninstall --schedule` removes it.\n";
const TIMER: &str = "afterpush.timer";
const SERVICE: &str = "afterpush.service";

/// The two unit files of the user.
#[derive(Debug)]
pub(super) struct Timer {
    directory: PathBuf,
}

impl Timer {
    pub(super) fn of_user(context: &Context) -> Result<Self, CommandError> {
        match &context.environment.config_home {
            Some(home) => Ok(Self { directory: home.join("systemd/user") }),
            None => Err(CommandError::new(ErrorKind::Configuration, "this user has no home directory")),
        }
    }

    pub(super) fn place(&self) -> String {
        self.directory.display().to_string()
    }

    /// Tells whether one of the files stands there and is ours.
    pub(super) fn is_present(&self) -> bool {
        [TIMER, SERVICE].iter().any(|name| self.read(name).is_ok_and(|text| text.is_some_and(|text| is_ours(&text))))
    }

    pub(super) fn look(&self, job: &Job) -> Result<Scheduled, CommandError> {
        if !self.is_present() {
            return Ok(Scheduled::No);
        }
        for (name, wanted) in units(job)? {
            if self.read(name)?.as_deref() != Some(wanted.as_bytes()) {
                return Ok(Scheduled::Other(format!(
                    "{} is not for this program as it stands",
                    self.at(name).display()
                )));
            }
        }
        for question in ["is-enabled", "is-active"] {
            if !succeeds(&[question, "--quiet", TIMER]) {
                return Ok(Scheduled::Other(format!("`systemctl --user {question} {TIMER}` says no")));
            }
        }
        Ok(Scheduled::Yes("a systemd user timer"))
    }

    pub(super) fn install(&self, job: &Job) -> Result<String, CommandError> {
        if let Scheduled::Yes(_) = self.look(job)? {
            return Ok("already scheduled by a systemd user timer\n".to_owned());
        }
        let units = units(job)?;
        let mut before = Vec::new();
        for (name, _) in &units {
            let found = self.read(name)?;
            if found.as_ref().is_some_and(|text| !is_ours(text)) {
                let message = format!("{} is there and was not written by afterpush", self.at(name).display());
                return Err(CommandError::new(ErrorKind::Refused, message).hint("move it away; nothing was changed"));
            }
            before.push((*name, found));
        }
        let written = units.iter().try_for_each(|(name, text)| self.write(name, text.as_bytes()));
        let enabled =
            written.and_then(|()| systemctl(&["daemon-reload"])).and_then(|()| systemctl(&["enable", "--now", TIMER]));
        if let Err(error) = enabled {
            self.undo(before);
            return Err(error.hint("the unit files are as they were; nothing new is scheduled"));
        }
        Ok(format!("scheduled by a systemd user timer, every 15 minutes: {}\n", self.at(TIMER).display()))
    }

    pub(super) fn uninstall(&self) -> Result<String, CommandError> {
        // Before anything is removed: a timer that cannot be stopped keeps its files.
        let is_managed = manager_answers();
        if is_managed && self.is_its(TIMER)? {
            systemctl(&["disable", "--now", TIMER])
                .map_err(|error| error.hint("the timer is still there; nothing was removed"))?;
        }
        // Without a manager this link is all that enabling has left.
        let link = self.directory.join("timers.target.wants").join(TIMER);
        for path in [link, self.at(TIMER), self.at(SERVICE)] {
            let is_file_of_another = !path.is_symlink() && fs::read(&path).is_ok_and(|text| !is_ours(&text));
            if !is_file_of_another {
                remove(&path)?;
            }
        }
        if is_managed {
            systemctl(&["daemon-reload"])?;
        }
        Ok(format!("removed the systemd user timer from {}\n", self.place()))
    }

    /// Best effort, after an error that is told.
    fn undo(&self, before: Vec<(&str, Option<Vec<u8>>)>) {
        if before.iter().any(|(_, found)| found.is_none()) {
            let _ = systemctl(&["disable", "--now", TIMER]);
        }
        for (name, found) in before {
            let _ = match found {
                Some(text) => self.write(name, &text),
                None => remove(&self.at(name)),
            };
        }
        let _ = systemctl(&["daemon-reload"]);
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn is_its(&self, name: &str) -> Result<bool, CommandError> {
        Ok(self.read(name)?.is_some_and(|text| is_ours(&text)))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CommandError> {
        match fs::read(self.at(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == IoErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("cannot read", self.at(name), &error)),
        }
    }

    fn write(&self, name: &str, text: &[u8]) -> Result<(), CommandError> {
        let write = || {
            fs::create_dir_all(&self.directory)?;
            let mut file = tempfile::Builder::new().prefix(".afterpush.").tempfile_in(&self.directory)?;
            file.write_all(text)?;
            file.as_file().sync_all()?;
            file.persist(self.at(name)).map_err(|error| error.error)
        };
        write().map(drop).map_err(|error| io_error("cannot write", self.at(name), &error))
    }
}

/// Tells whether systemd runs a manager for this user and it can be reached from here.
pub(super) fn manager_answers() -> bool {
    succeeds(&["show", "--property=Version"])
}

fn systemctl(arguments: &[&str]) -> Result<(), CommandError> {
    let arguments = [&["--user"], arguments].concat();
    let answer = ask("systemctl", &arguments, None)?;
    match &answer {
        Some(found) if found.status.success() => Ok(()),
        _ => Err(refused("systemctl", &arguments, answer.as_ref())),
    }
}

fn succeeds(arguments: &[&str]) -> bool {
    systemctl(arguments).is_ok()
}

fn remove(path: &Path) -> Result<(), CommandError> {
    match fs::remove_file(path) {
        Err(error) if !matches!(error.kind(), IoErrorKind::NotFound | IoErrorKind::NotADirectory) => {
            Err(io_error("cannot remove", path, &error))
        }
        _ => Ok(()),
    }
}

fn is_ours(text: &[u8]) -> bool {
    text.starts_with(MARK.as_bytes())
}

fn units(job: &Job) -> Result<[(&'static str, String); 2], CommandError> {
    let mut service =
        format!("{MARK}[Unit]\nDescription=Resume and clean up afterpush's monitors\n\n[Service]\nType=oneshot\n");
    // The monitors that it starts live on when it has ended.
    service += "KillMode=process\nStandardOutput=null\n";
    for (name, path) in &job.variables {
        service += &format!("Environment={}\n", word(&format!("{name}={}", text(path)?)));
    }
    let program = word(text(&job.program)?);
    // The second is only run when the first has succeeded.
    service += &format!("ExecStart={program} resume --all\nExecStart={program} cleanup --all\n");
    let timer = format!(
        "{MARK}[Unit]\nDescription=Resume and clean up afterpush's monitors from time to time\n\n\
         [Timer]\nOnStartupSec=1min\nOnCalendar=*:0/15\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    );
    Ok([(SERVICE, service), (TIMER, timer)])
}

/// One word of a unit file. A dollar sign is left alone: it means nothing in a program's path or in a setting of a variable.
fn word(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_as_systemd_reads_it() {
        assert_eq!(word(r#"/a b/100%/"x"\y$z"#), r#""/a b/100%%/\"x\"\\y$z""#);
    }
}
