//! Where git looks for this repository's hooks, and whether that place is this repository's alone.

use std::path::{Path, PathBuf};

use afterpush_store::Repository;

use crate::{
    context::Context,
    error::{CommandError, ErrorKind},
    hook_file::HookFile,
    husky::Husky,
    shim::Shim,
};

/// Where git looks for this repository's hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HooksDirectory {
    /// The directory.
    pub(crate) path: PathBuf,
    /// core.hooksPath names it.
    pub(crate) is_configured: bool,
    /// It belongs to this repository alone.
    is_own: bool,
    /// The git directory that all work trees share.
    common_dir: PathBuf,
}

impl HooksDirectory {
    /// Asks git.
    pub(crate) fn find(context: &Context) -> Result<Self, CommandError> {
        let repository = context.repository()?;
        let common_dir = repository.common_dir.clone();
        Ok(match context.git()?.hooks_path()? {
            Some(path) => Self { is_own: belongs_to(repository, &path), path, is_configured: true, common_dir },
            None => Self { path: common_dir.join("hooks"), is_configured: false, is_own: true, common_dir },
        })
    }

    /// The hook of this shim in it.
    pub(crate) fn hook(&self, shim: &'static Shim) -> HookFile {
        HookFile::new(&self.path, shim)
    }

    /// husky writes this directory anew at each `npm install`, and its wrappers run the files beside it.
    pub(crate) fn husky(&self) -> Option<Husky> {
        (self.is_configured && self.path.ends_with(".husky/_")).then(|| Husky::of(&self.path, &self.common_dir))
    }

    /// Refuses a directory that other repositories may share, unless the person has named it.
    pub(crate) fn check(&self, confirmed: Option<&Path>, directory: &Path) -> Result<(), CommandError> {
        let place = self.path.display();
        if let Some(confirmed) = confirmed {
            if real(&directory.join(confirmed)) != real(&self.path) {
                let message =
                    format!("git runs this repository's hooks from {place}, not from {}", confirmed.display());
                return Err(CommandError::new(ErrorKind::Usage, message));
            }
        } else if !self.is_own {
            let message = format!("core.hooksPath sends this repository's hooks to {place}, which is outside of it");
            let error = CommandError::new(ErrorKind::Refused, message).hint(format!(
                "other repositories may share it; if that is meant: `afterpush install --hooks-path {place}`"
            ));
            return Err(error.hint("with git 2.54 or newer, `afterpush install --config-hook` puts nothing there"));
        }
        Ok(())
    }
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
