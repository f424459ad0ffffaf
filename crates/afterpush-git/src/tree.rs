//! The regular files of a commit's tree, listed and read without a checkout, within bounds.

use afterpush_core::id::CommitId;
use git2::{ObjectType, Repository, TreeWalkMode, TreeWalkResult};

use crate::{error::GitError, library, program::Program};

/// A regular file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path from the root of the tree, with slashes.
    pub path: String,
    /// The id of its content: equal ids are equal contents.
    pub blob: String,
}

/// The files below `directory` (empty: all), in the order of their paths. Symbolic links, submodules and names that are no text
/// are left out.
pub(crate) fn list_by_library(
    repository: &Repository,
    commit: &CommitId,
    directory: &str,
    most: usize,
) -> Result<Vec<TreeFile>, GitError> {
    let what = || format!("the files of commit {commit}");
    let tree = library::tree_of(repository, commit)?;
    let (tree, prefix) = if directory.is_empty() {
        (tree, String::new())
    } else {
        match tree.get_path(std::path::Path::new(directory)) {
            Ok(entry) if entry.kind() == Some(ObjectType::Tree) => {
                (repository.find_tree(entry.id()).map_err(GitError::library(what()))?, format!("{directory}/"))
            }
            Ok(_) => return Ok(Vec::new()),
            Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(GitError::library(what())(error)),
        }
    };
    let mut files = Vec::new();
    let walked = tree.walk(TreeWalkMode::PreOrder, |root, entry| {
        // Also keeps out of a directory of such a name, which would end the walk.
        let Ok(name) = entry.name() else { return TreeWalkResult::Skip };
        if is_regular(entry.filemode()) {
            files.push(TreeFile { path: format!("{prefix}{root}{name}"), blob: entry.id().to_string() });
        }
        if files.len() > most { TreeWalkResult::Abort } else { TreeWalkResult::Ok }
    });
    if files.len() > most {
        return Err(GitError::TooManyFiles {
            commit: commit.to_string(),
            directory: directory.to_owned(),
            limit: most,
        });
    }
    walked.map_err(GitError::library(what()))?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The same by the program.
pub(crate) fn list_by_program(
    program: &Program,
    commit: &CommitId,
    directory: &str,
    most: usize,
) -> Result<Vec<TreeFile>, GitError> {
    let listed = program.tree(commit, directory)?;
    // <mode> <type> <id>\t<path>\0
    let read = |entry: &[u8]| {
        let (fields, path) = std::str::from_utf8(entry).ok()?.split_once('\t')?;
        let mut fields = fields.split_ascii_whitespace();
        let mode = i32::from_str_radix(fields.next()?, 8).ok()?;
        let blob = fields.nth(1)?.to_owned();
        is_regular(mode).then(|| TreeFile { path: path.to_owned(), blob })
    };
    let mut files: Vec<TreeFile> = listed.split(|byte| *byte == 0).filter_map(read).take(most + 1).collect();
    if files.len() > most {
        return Err(GitError::TooManyFiles {
            commit: commit.to_string(),
            directory: directory.to_owned(),
            limit: most,
        });
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn is_regular(mode: i32) -> bool {
    matches!(mode, 0o100_644 | 0o100_755 | 0o100_664)
}
