//! Where the parts of a repository are, as far as its own link files tell.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The directory that all work trees of the repository share.
pub(crate) fn common_dir(git_dir: &Path) -> PathBuf {
    match fs::read_to_string(git_dir.join("commondir")) {
        Ok(text) => canonical(&git_dir.join(text.trim_end_matches(['\n', '\r']))),
        Err(_) => git_dir.to_owned(),
    }
}

/// The work tree that leads back to this git directory by its `.git`; `None` for a bare repository, and where only the
/// environment ties the two together.
pub(crate) fn work_tree(git_dir: &Path, hint: Option<&Path>) -> Option<PathBuf> {
    let linked = fs::read_to_string(git_dir.join("gitdir"))
        .ok()
        .map(|text| git_dir.join(text.trim_end_matches(['\n', '\r'])))
        .and_then(|dot_git| dot_git.parent().map(Path::to_owned));
    let beside = git_dir.file_name().filter(|name| *name == ".git").and_then(|_| git_dir.parent()).map(Path::to_owned);
    linked
        .into_iter()
        .chain(hint.map(Path::to_owned))
        .chain(beside)
        .find(|tree| leads_to(tree, git_dir))
        .map(|tree| canonical(&tree))
}

fn leads_to(tree: &Path, git_dir: &Path) -> bool {
    let dot_git = tree.join(".git");
    let target = match fs::read_to_string(&dot_git) {
        Ok(text) => match text.strip_prefix("gitdir: ") {
            Some(path) => tree.join(path.trim_end_matches(['\n', '\r'])),
            None => return false,
        },
        // A directory, or nothing at all.
        Err(_) => dot_git,
    };
    fs::canonicalize(target).is_ok_and(|target| target == canonical(git_dir))
}

/// The path without links and dots; as it is when it cannot be followed.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
