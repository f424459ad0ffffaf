//! `afterpush install` in a repository whose hooks husky 9 runs: one line in `.husky/pre-push`, and the shim in this clone.
//!
//! Invariant: the line, which people commit, names no place of this machine and does nothing in a clone where `afterpush
//! install` was not run; what else is in the file gets the same arguments and input as before, and may refuse.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    error::CommandError,
    hook_file::{HALF, Standing, io_error, is_executable, put_program, read, remove_halves},
    shim::PRE_PUSH,
};

/// Goes before everything else in the file: the rest may end with `exit` or `exec`, or read the whole input. The shim runs
/// the file a second time, now without this line's effect, and afterpush's hook after it.
const LINE: &str = concat!(
    r#"if [ "${AFTERPUSH_HUSKY-}" ]; then unset AFTERPUSH_HUSKY; "#,
    r#"elif [ -x "$(git rev-parse --git-common-dir)/afterpush-husky/pre-push" ]; then export AFTERPUSH_HUSKY="$0"; "#,
    r#"exec "$(git rev-parse --git-common-dir)/afterpush-husky/pre-push" "$@"; fi"#,
);
/// What the line ends with, in every version.
const MARK: &str = " # put here by `afterpush install`";
/// The same in a file that `afterpush install` has created.
const MARK_OF_FILE: &str = " # put here, as the whole file, by `afterpush install`";
/// The directory of the shim in the git directory that all work trees share; the line names it too.
const DIRECTORY: &str = "afterpush-husky";
/// What the shim runs first.
const REST: &str = "#!/bin/sh\n# The rest of .husky/pre-push, as husky runs it.\n\
    [ -f \"$AFTERPUSH_HUSKY\" ] || exit 0\nexec sh -e \"$AFTERPUSH_HUSKY\" \"$@\"\n";

/// Where the parts go.
#[derive(Debug)]
pub(crate) struct Husky {
    script: PathBuf,
    directory: PathBuf,
    shim: PathBuf,
    rest: PathBuf,
}

impl Husky {
    /// For the hooks directory `.husky/_`.
    pub(crate) fn of(hooks: &Path, common_dir: &Path) -> Self {
        let directory = common_dir.join(DIRECTORY);
        Self {
            script: hooks.with_file_name("pre-push"),
            shim: directory.join("pre-push"),
            rest: directory.join("pre-push.afterpush-chained"),
            directory,
        }
    }

    /// The file that is the person's.
    pub(crate) fn script(&self) -> &Path {
        &self.script
    }

    /// What stands there: `Other` where a part is missing, or of another version.
    pub(crate) fn standing(&self) -> Result<Standing, CommandError> {
        let text = read(&self.script)?;
        let has_line = text.as_deref().is_some_and(|text| without_line(text).is_some());
        let is_line = text.as_deref().is_some_and(has_current_line);
        let shim_text = read(&self.shim)?;
        let is_shim = shim_text.as_deref() == Some(PRE_PUSH.text()?.as_bytes()) && is_executable(&self.shim);
        let is_rest = read(&self.rest)?.as_deref() == Some(REST.as_bytes()) && is_executable(&self.rest);
        Ok(match (is_line && is_shim && is_rest, has_line || shim_text.is_some()) {
            (true, _) => Standing::Current,
            (false, true) => Standing::Other,
            (false, false) => Standing::Foreign,
        })
    }

    /// Puts the parts in place, the one that runs the others last.
    pub(crate) fn install(&self) -> Result<(), CommandError> {
        put_program(&self.directory, &self.rest, REST)?;
        put_program(&self.directory, &self.shim, &PRE_PUSH.text()?)?;
        let found = read(&self.script)?;
        if found.as_deref().is_some_and(has_current_line) {
            return Ok(());
        }
        self.write(&match found {
            None => format!("{LINE}{MARK_OF_FILE}\n").into_bytes(),
            Some(text) => match without_line(&text) {
                Some((rest, true)) if rest.is_empty() => format!("{LINE}{MARK_OF_FILE}\n").into_bytes(),
                Some((rest, _)) => with_line(&rest),
                None => with_line(&text),
            },
        })
    }

    /// Takes the parts away in the opposite order.
    pub(crate) fn uninstall(&self) -> Result<(), CommandError> {
        if let Some((rest, is_ours)) = read(&self.script)?.as_deref().and_then(without_line) {
            match is_ours && rest.is_empty() {
                true => {
                    fs::remove_file(&self.script).map_err(|error| io_error("cannot remove", &self.script, &error))?
                }
                false => self.write(&rest)?,
            }
        }
        for path in [&self.shim, &self.rest] {
            if read(path)?.is_some() {
                fs::remove_file(path).map_err(|error| io_error("cannot remove", path, &error))?;
            }
        }
        let beside = self.script.parent().into_iter().chain([self.directory.as_path()]);
        beside.for_each(remove_halves);
        // Somebody else's file in it keeps it; an empty directory does no harm.
        let _ = fs::remove_dir(&self.directory);
        Ok(())
    }

    /// Writes the whole script in one step, through a link and with the mode that it has.
    fn write(&self, text: &[u8]) -> Result<(), CommandError> {
        let cannot = |error| io_error("cannot write", &self.script, &error);
        let (place, mode) = match self.script.symlink_metadata() {
            Ok(_) => {
                let place = self.script.canonicalize().map_err(cannot)?;
                let mode = place.metadata().map_err(cannot)?.permissions().mode();
                (place, mode)
            }
            Err(_) => (self.script.clone(), 0o644),
        };
        let directory = place.parent().unwrap_or(&place);
        let mut file = tempfile::Builder::new().prefix(HALF).tempfile_in(directory).map_err(cannot)?;
        file.write_all(text).map_err(cannot)?;
        file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(cannot)?;
        file.as_file().sync_all().map_err(cannot)?;
        file.persist(&place).map_err(|error| cannot(error.error))?;
        Ok(())
    }
}

/// The text with the line in it: after the first line where that names the interpreter.
fn with_line(text: &[u8]) -> Vec<u8> {
    let first = text.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
    let at = first.filter(|_| text.starts_with(b"#!")).unwrap_or(0);
    [&text[..at], LINE.as_bytes(), MARK.as_bytes(), b"\n", &text[at..]].concat()
}

/// The text without the line, and whether the line says that the file is ours; nothing when it has none.
fn without_line(text: &[u8]) -> Option<(Vec<u8>, bool)> {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let at = lines.iter().position(|line| ends_with(line, MARK) || ends_with(line, MARK_OF_FILE))?;
    Some(([&lines[..at], &lines[at + 1..]].concat().concat(), ends_with(lines[at], MARK_OF_FILE)))
}

fn has_current_line(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(LINE.as_bytes()) && (ends_with(line, MARK) || ends_with(line, MARK_OF_FILE)))
}

fn ends_with(line: &[u8], mark: &str) -> bool {
    line.trim_ascii_end().ends_with(mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_goes_in_and_out_without_a_trace() {
        for text in ["npm test\n", "#!/bin/sh\nnpm test", "#!/bin/sh", "", "\r\nnpm test\r\n", "\n\n"] {
            let with = with_line(text.as_bytes());
            assert!(has_current_line(&with), "{text:?}");
            assert_eq!(without_line(&with), Some((text.as_bytes().to_vec(), false)), "{text:?}");
            assert_eq!(without_line(text.as_bytes()), None);
        }
        assert!(with_line(b"#!/bin/sh\nnpm test").starts_with(b"#!/bin/sh\nif "));
    }
}
