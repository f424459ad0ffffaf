//! The shims: the only copies of what is put at git's hooks, and how they are known again.

use std::path::Path;

use crate::{
    context::beside,
    error::{CommandError, ErrorKind},
};

/// What the second line of a shim begins with, in every version.
const MARK: &str = "# afterpush shim ";
/// Where the hook program's path goes in it.
const HOOK: &str = "@HOOK@";

/// A hook of git's, and the shim that is put there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shim {
    /// The name of git's hook.
    pub(crate) name: &'static str,
    template: &'static str,
}

/// Sees every push but those with `--no-verify`.
pub(crate) const PRE_PUSH: Shim = Shim { name: "pre-push", template: include_str!("../../../hooks/pre-push") };
/// Strict mode: sees those as well.
pub(crate) const STRICT: Shim =
    Shim { name: "reference-transaction", template: include_str!("../../../hooks/reference-transaction") };

impl Shim {
    /// The name that a foreign hook is kept under; the shim looks for it.
    pub(crate) fn chained(&self) -> String {
        format!("{}.afterpush-chained", self.name)
    }

    /// The text for the hook program beside this one.
    pub(crate) fn text(&self) -> Result<String, CommandError> {
        Ok(self.template.replace(HOOK, &quote(&beside("afterpush-hook")?)?))
    }
}

/// Tells whether this is a shim, of any version.
pub(crate) fn is_shim(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').take(5).any(|line| line.starts_with(MARK.as_bytes()))
}

/// A path as one word of the shell.
pub(crate) fn quote(path: &Path) -> Result<String, CommandError> {
    match path.to_str() {
        Some(text) => Ok(format!("'{}'", text.replace('\'', r"'\''"))),
        None => Err(CommandError::new(ErrorKind::Refused, format!("the path {} is not valid UTF-8", path.display()))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_has_its_mark_and_its_place_for_the_hook() {
        for shim in [PRE_PUSH, STRICT] {
            assert!(is_shim(shim.template.as_bytes()));
            assert_eq!(shim.template.matches(HOOK).count(), 1);
            assert!(shim.template.contains(&shim.chained()));
        }
        assert!(!is_shim(b"#!/bin/sh\nexit 0\n"));
    }

    #[test]
    fn a_path_is_one_word_of_the_shell_whatever_it_holds() {
        assert_eq!(quote(Path::new("/a b/it's $HOME")).unwrap(), r"'/a b/it'\''s $HOME'");
    }
}
