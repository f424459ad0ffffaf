//! `afterpush install` and `uninstall`: the shim, where this repository's hooks really run.
//!
//! Invariant: at every moment, also when the installer is killed, what stands at `pre-push` is either the hook that was there
//! or the whole shim that runs it. A foreign hook is kept beside it, byte for byte, and put back by `uninstall`.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind as IoErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use afterpush_store::Repository;

use crate::{
    args::InstallArgs,
    context::{Context, beside},
    error::{CommandError, ErrorKind},
    output::Output,
};

/// The only copy of the shim.
const SHIM: &str = include_str!("../../../hooks/pre-push");
/// What its second line begins with, in every version.
const MARK: &str = "# afterpush shim ";
/// Where the hook's path goes in it.
const HOOK: &str = "@HOOK@";
/// The name of git's hook.
const NAME: &str = "pre-push";
/// The name that a foreign hook is kept under; the shim looks for it.
const CHAINED: &str = "pre-push.afterpush-chained";
/// The name that pre-commit keeps a foreign hook under.
const LEGACY: &str = "pre-push.legacy";

/// What stands where git looks for the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Nothing,
    /// Our shim, as this version writes it.
    Current,
    /// Our shim with other text: of another version, or for a program at another place.
    Other,
    /// Somebody else's hook.
    Foreign,
    /// Somebody else's hook that runs our shim: pre-commit keeps what it finds as `pre-push.legacy`.
    Wrapped,
}

/// Where git looks for this repository's hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HooksDirectory {
    /// The directory.
    pub(crate) path: PathBuf,
    /// core.hooksPath names it.
    pub(crate) is_configured: bool,
    /// It belongs to this repository alone.
    is_own: bool,
}

impl HooksDirectory {
    /// Asks git.
    pub(crate) fn find(context: &Context) -> Result<Self, CommandError> {
        let repository = context.repository()?;
        Ok(match context.git()?.hooks_path()? {
            Some(path) => Self { is_own: belongs_to(repository, &path), path, is_configured: true },
            None => Self { path: repository.common_dir.join("hooks"), is_configured: false, is_own: true },
        })
    }

    /// The hook itself.
    pub(crate) fn hook(&self) -> PathBuf {
        self.path.join(NAME)
    }

    /// What stands there.
    pub(crate) fn standing(&self) -> Result<Standing, CommandError> {
        let Some(found) = read(&self.hook())? else { return Ok(Standing::Nothing) };
        if is_shim(&found) {
            let wanted = shim()?;
            return Ok(if found == wanted.as_bytes() { Standing::Current } else { Standing::Other });
        }
        let wrapped = read(&self.path.join(LEGACY))?;
        Ok(if wrapped.is_some_and(|text| is_shim(&text)) { Standing::Wrapped } else { Standing::Foreign })
    }

    /// husky writes this directory anew at each `npm install`, and its wrappers go by their own file names.
    pub(crate) fn is_huskys(&self) -> bool {
        self.is_configured && self.path.ends_with(".husky/_")
    }

    fn check(&self, confirmed: Option<&Path>, directory: &Path) -> Result<(), CommandError> {
        let place = self.path.display();
        if let Some(confirmed) = confirmed {
            if real(&directory.join(confirmed)) != real(&self.path) {
                let message =
                    format!("git runs this repository's hooks from {place}, not from {}", confirmed.display());
                return Err(CommandError::new(ErrorKind::Usage, message));
            }
        } else if !self.is_own {
            let message = format!("core.hooksPath sends this repository's hooks to {place}, which is outside of it");
            return Err(CommandError::new(ErrorKind::Refused, message).hint(format!(
                "other repositories may share it; if that is meant: `afterpush install --hooks-path {place}`"
            )));
        }
        if self.is_huskys() {
            let line = format!("{} pre-push \"$PPID\" \"$@\" || :", quote(&beside("afterpush-hook")?)?);
            let message = format!("husky runs this repository's hooks from {place} and writes that directory anew");
            return Err(CommandError::new(ErrorKind::Refused, message)
                .hint(format!("add this line to .husky/pre-push: {line}")));
        }
        Ok(())
    }
}

/// Puts the shim in its place; a hook that is there is kept and chained.
pub(crate) fn install(context: &Context, args: &InstallArgs, output: &mut Output) -> Result<u8, CommandError> {
    let directory = HooksDirectory::find(context)?;
    directory.check(args.hooks_path.as_deref(), context.directory())?;
    let (hook, chained) = (directory.hook(), directory.path.join(CHAINED));
    let place = hook.display();
    let text = match directory.standing()? {
        Standing::Current if is_executable(&hook) => format!("already installed at {place}\n"),
        Standing::Wrapped => format!("already installed: the hook at {place} runs afterpush's as {LEGACY}\n"),
        Standing::Foreign => {
            keep(&hook, &chained)?;
            write(&directory.path, &hook)?;
            format!("installed at {place}\n  the hook that was there is kept as {CHAINED} and runs first\n")
        }
        Standing::Nothing | Standing::Current | Standing::Other => {
            write(&directory.path, &hook)?;
            format!("installed at {place}\n")
        }
    };
    output.print(&text)?;
    let is_configured = context.repository()?.config_path().is_some_and(|path| path.exists());
    output.print(if is_configured {
        "next: `git push`, then `deploy-status`\n"
    } else {
        "next: `afterpush init` writes the configuration\n"
    })?;
    Ok(0)
}

/// Takes the shim away and puts back what was there.
pub(crate) fn uninstall(context: &Context, output: &mut Output) -> Result<u8, CommandError> {
    let directory = HooksDirectory::find(context)?;
    let (hook, chained) = (directory.hook(), directory.path.join(CHAINED));
    let place = hook.display();
    let cannot = |error: io::Error| io_error("cannot uninstall", &hook, &error);
    let text = match directory.standing()? {
        Standing::Nothing => format!("nothing to uninstall at {place}\n"),
        Standing::Current | Standing::Other => match fs::rename(&chained, &hook) {
            Ok(()) => format!("uninstalled; the hook that was there before is back at {place}\n"),
            Err(error) if error.kind() == IoErrorKind::NotFound => {
                fs::remove_file(&hook).map_err(cannot)?;
                format!("uninstalled from {place}\n")
            }
            Err(error) => return Err(cannot(error)),
        },
        Standing::Foreign | Standing::Wrapped => {
            let error = CommandError::new(ErrorKind::Refused, format!("the hook at {place} is not afterpush's"));
            return Err(error.hint("remove afterpush's part of it by hand; nothing was changed"));
        }
    };
    output.print(&text)?;
    Ok(0)
}

/// The shim for the hook binary beside this program.
fn shim() -> Result<String, CommandError> {
    Ok(SHIM.replace(HOOK, &quote(&beside("afterpush-hook")?)?))
}

fn is_shim(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').take(5).any(|line| line.starts_with(MARK.as_bytes()))
}

/// A path as one word of the shell.
pub(crate) fn quote(path: &Path) -> Result<String, CommandError> {
    match path.to_str() {
        Some(text) => Ok(format!("'{}'", text.replace('\'', r"'\''"))),
        None => Err(CommandError::new(ErrorKind::Refused, format!("the path {} is not valid UTF-8", path.display()))),
    }
}

/// Gives the foreign hook its second name. The first stays until the shim is renamed over it.
fn keep(hook: &Path, chained: &Path) -> Result<(), CommandError> {
    let cannot = |error: io::Error| io_error("cannot keep the hook that is there,", hook, &error);
    match fs::hard_link(hook, chained) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == IoErrorKind::AlreadyExists => {
            // An installation that was interrupted, or a hook that was written over the shim.
            if is_same(hook, chained).map_err(cannot)? {
                return Ok(());
            }
            let message = format!(
                "the hook at {} is not the one that afterpush keeps as {CHAINED}, and only one can be kept",
                hook.display()
            );
            Err(CommandError::new(ErrorKind::Refused, message).hint(format!(
                "remove {} if nothing needs it, or have one of the two run the other",
                chained.display()
            )))
        }
        // A file system without hard links: a whole copy under another name first, so that an interruption leaves no half.
        Err(_) => {
            let half = chained.with_extension("afterpush-new");
            fs::copy(hook, &half).and_then(|_| fs::rename(&half, chained)).map_err(cannot)
        }
    }
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let id = |path: &Path| path.symlink_metadata().map(|metadata| (metadata.dev(), metadata.ino()));
    Ok(id(one)? == id(other)? || fs::read(one)? == fs::read(other)?)
}

/// Puts the whole shim at the hook's place in one step.
fn write(directory: &Path, hook: &Path) -> Result<(), CommandError> {
    let cannot = |error: io::Error| io_error("cannot write", hook, &error);
    let text = shim()?;
    fs::create_dir_all(directory).map_err(cannot)?;
    let mut file = tempfile::Builder::new()
        .prefix(".pre-push.")
        .permissions(Permissions::from_mode(0o755))
        .tempfile_in(directory)
        .map_err(cannot)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(cannot)?;
    file.persist(hook).map_err(|error| cannot(error.error))?;
    Ok(())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, CommandError> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        // A link that leads nowhere is a hook that git ignores; it is somebody's all the same.
        Err(error) if error.kind() == IoErrorKind::NotFound && path.symlink_metadata().is_ok() => Ok(Some(Vec::new())),
        Err(error) if matches!(error.kind(), IoErrorKind::NotFound | IoErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(io_error("cannot read", path, &error)),
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// Tells whether a directory lies in the work tree (of this one or the main one) or in the git directory.
fn belongs_to(repository: &Repository, path: &Path) -> bool {
    let path = real(path);
    let main = repository.common_dir.parent().filter(|_| repository.common_dir.ends_with(".git"));
    let mut places =
        [repository.work_tree.as_deref(), main, Some(repository.common_dir.as_path())].into_iter().flatten();
    places.any(|place| path.starts_with(real(place)))
}

/// The path with the links of its existing part resolved.
fn real(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(found), _, _) => found,
        (Err(_), Some(parent), Some(name)) => real(parent).join(name),
        (Err(_), _, _) => path.to_owned(),
    }
}

fn io_error(what: &str, path: &Path, error: &io::Error) -> CommandError {
    CommandError::because(ErrorKind::Refused, &format!("{what} {}", path.display()), error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_shim_has_its_mark_and_its_place_for_the_hook() {
        assert!(is_shim(SHIM.as_bytes()));
        assert_eq!(SHIM.matches(HOOK).count(), 1);
        assert!(SHIM.contains(CHAINED));
        assert!(!is_shim(b"#!/bin/sh\nexit 0\n"));
    }

    #[test]
    fn a_path_is_one_word_of_the_shell_whatever_it_holds() {
        assert_eq!(quote(Path::new("/a b/it's $HOME")).unwrap(), r"'/a b/it'\''s $HOME'");
    }
}
