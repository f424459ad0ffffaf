//! [`Git`]: one opened repository, read by libgit2 or by the program.

use std::{
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::SystemTime,
};

use afterpush_core::{
    id::{CommitId, MIN_PREFIX, RefName},
    push::ReflogPush,
    refspec::FetchRefspecs,
    run::Relation,
};

use crate::{
    error::GitError,
    layout, library,
    program::Program,
    reflog,
    tree::{self, TreeFile},
};

/// At most so many reflog files are looked at; a repository with more remote branches shows its newest ones.
const MOST_REFLOGS: usize = 10_000;

/// A repository, opened for reading.
pub struct Git {
    git_dir: PathBuf,
    common_dir: PathBuf,
    work_tree: Option<PathBuf>,
    reader: Reader,
}

enum Reader {
    Library(git2::Repository),
    Program(Program),
}

impl Git {
    /// Opens the git directory of a repository or of a linked work tree.
    ///
    /// # Errors
    /// [`GitError::NotARepository`]; [`GitError::NotOwned`] when git's ownership check refuses it; others when neither
    /// libgit2 nor the program can read it.
    pub fn open(git_dir: &Path) -> Result<Self, GitError> {
        let git_dir = layout::canonical(git_dir);
        let (reader, hint) = match library::open(&git_dir)? {
            Some(repository) => {
                let hint = repository.workdir().map(Path::to_owned);
                (Reader::Library(repository), hint)
            }
            None => (Reader::Program(Program::open(&git_dir)?), None),
        };
        let common_dir = layout::common_dir(&git_dir);
        let work_tree = layout::work_tree(&git_dir, hint.as_deref());
        Ok(Self { git_dir, common_dir, work_tree, reader })
    }

    /// The git directory, absolute.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The git directory that all work trees share, absolute.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The work tree, absolute; `None` when bare.
    #[must_use]
    pub fn work_tree(&self) -> Option<&Path> {
        self.work_tree.as_deref()
    }

    /// Tells whether the `git` program has to be asked because libgit2 cannot read this repository.
    #[must_use]
    pub fn uses_program(&self) -> bool {
        matches!(self.reader, Reader::Program(_))
    }

    /// The commit that a revision leads to, tags peeled; `None` when there is no such revision, or when it is no commit.
    ///
    /// # Errors
    /// [`GitError::Ambiguous`] for an abbreviation of several objects; others when the repository cannot be read.
    pub fn resolve(&self, revision: &str) -> Result<Option<CommitId>, GitError> {
        if revision.contains('\0') {
            return Ok(None);
        }
        match &self.reader {
            Reader::Library(repository) => match library::resolve(repository, revision)? {
                library::Resolved::Commit(id) => Ok(Some(id)),
                library::Resolved::None => Ok(None),
                library::Resolved::AskProgram => Program::new(&self.git_dir).resolve(revision),
            },
            Reader::Program(program) => program.resolve(revision),
        }
    }

    /// The commit that a pushed object stands for: itself, or what an annotated tag leads to.
    #[must_use]
    pub fn peel(&self, id: &CommitId) -> Option<CommitId> {
        match &self.reader {
            Reader::Library(repository) => library::peel(repository, id),
            Reader::Program(program) => program.resolve(id.as_str()).ok().flatten(),
        }
    }

    /// The local ref that follows `ref_name` of a configured remote, by its fetch refspecs. `None` for a URL, for a tag,
    /// and for a branch that a single-branch clone does not follow.
    #[must_use]
    pub fn tracking_ref(&self, remote: &str, ref_name: &RefName) -> Option<String> {
        self.fetch_refspecs(remote).local_of(ref_name.as_str())
    }

    /// The object that a full ref name is set to, symbolic refs followed, tags not peeled.
    ///
    /// # Errors
    /// When the ref exists and cannot be read.
    pub fn ref_target(&self, full_ref: &str) -> Result<Option<CommitId>, GitError> {
        if RefName::parse(full_ref).is_err() {
            return Ok(None);
        }
        match &self.reader {
            Reader::Library(repository) => library::ref_target(repository, full_ref),
            Reader::Program(program) => program.ref_target(full_ref),
        }
    }

    /// Tells whether the ref's reflog says that a push set it to `commit` within these epoch seconds.
    ///
    /// # Errors
    /// When the reflog exists and cannot be read.
    pub fn pushed_in_reflog(
        &self,
        full_ref: &str,
        commit: &CommitId,
        epoch_seconds: RangeInclusive<i64>,
    ) -> Result<bool, GitError> {
        if RefName::parse(full_ref).is_err() {
            return Ok(false);
        }
        let entries = match &self.reader {
            Reader::Library(_) => read_reflog(&self.common_dir.join("logs").join(full_ref))?,
            Reader::Program(program) => program.reflog(full_ref)?,
        };
        Ok(entries.iter().any(|entry| entry.is_push() && entry.commit == *commit && epoch_seconds.contains(&entry.at)))
    }

    /// The newest pushes that the reflogs of all remote-tracking refs tell of, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When a reflog cannot be read.
    pub fn pushes_in_reflogs(&self, limit: usize) -> Result<Vec<ReflogPush>, GitError> {
        let found = match &self.reader {
            Reader::Library(_) => self.pushes_in_files(limit)?,
            Reader::Program(program) => program.pushes(limit)?,
        };
        let remotes: Vec<(String, FetchRefspecs)> =
            self.remotes()?.into_iter().map(|(name, _)| (name.clone(), self.fetch_refspecs(&name))).collect();
        let push = |(local_ref, entry): (String, reflog::Entry)| {
            let (remote, remote_ref) =
                remotes.iter().find_map(|(name, specs)| Some((name.clone(), specs.remote_of(&local_ref)?)))?;
            let ref_name = RefName::parse(&remote_ref).ok()?;
            Some(ReflogPush { remote, ref_name, commit: entry.commit, at_epoch_seconds: entry.at })
        };
        Ok(found.into_iter().filter_map(push).collect())
    }

    /// How a commit that somebody reported, in full or by at least seven digits, relates to the pushed object.
    #[must_use]
    pub fn relation(&self, seen: &str, pushed: &CommitId) -> Relation {
        let seen = seen.trim();
        if pushed.is_named_by(seen) {
            return Relation::Same;
        }
        if seen.len() < MIN_PREFIX || seen.len() > 64 || !seen.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Relation::Other;
        }
        let Some(pushed) = self.peel(pushed) else { return Relation::Other };
        if pushed.is_named_by(seen) {
            return Relation::Same;
        }
        let contains = match &self.reader {
            Reader::Library(repository) => library::commit_by_digits(repository, seen)
                .is_some_and(|seen| library::contains(repository, &seen, &pushed)),
            Reader::Program(program) => {
                program.commit_by_digits(seen).is_some_and(|seen| program.contains(&seen, &pushed))
            }
        };
        if contains { Relation::Contains } else { Relation::Other }
    }

    /// A file as it is in a commit; `None` when the commit does not have it.
    ///
    /// # Errors
    /// When it is a symbolic link, a directory or a submodule, when it has more than `max_bytes`, and when the repository
    /// does not have the commit.
    pub fn file_at(&self, commit: &CommitId, path: &str, max_bytes: usize) -> Result<Option<Vec<u8>>, GitError> {
        match &self.reader {
            Reader::Library(repository) => library::file_at(repository, commit, path, max_bytes),
            Reader::Program(program) => program.file_at(commit, path, max_bytes),
        }
    }

    /// The regular files of a commit below a directory (empty: the whole tree), in the order of their paths, at most `most`; none
    /// when there is no such directory. Symbolic links and submodules are left out.
    ///
    /// # Errors
    /// [`GitError::TooManyFiles`]; others when the repository does not have the commit.
    pub fn files_below(&self, commit: &CommitId, directory: &str, most: usize) -> Result<Vec<TreeFile>, GitError> {
        match &self.reader {
            Reader::Library(repository) => tree::list_by_library(repository, commit, directory, most),
            Reader::Program(program) => tree::list_by_program(program, commit, directory, most),
        }
    }

    /// The configured remotes: name, and the address that it is pushed to, which may hold credentials.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn remotes(&self) -> Result<Vec<(String, String)>, GitError> {
        match &self.reader {
            Reader::Library(repository) => library::remotes(repository),
            Reader::Program(program) => program.remotes(),
        }
    }

    /// The branch that HEAD is on, also before its first commit; `None` when detached.
    #[must_use]
    pub fn head_branch(&self) -> Option<RefName> {
        let name = match &self.reader {
            Reader::Library(repository) => repository.find_reference("HEAD").ok()?.symbolic_target().ok()??.to_owned(),
            Reader::Program(program) => program.symbolic_ref("HEAD")?,
        };
        RefName::parse(&name).ok()
    }

    /// The remote and its ref that a local branch is set to follow.
    #[must_use]
    pub fn upstream_remote_ref(&self, branch: &RefName) -> Option<(String, RefName)> {
        let branch = branch.branch()?;
        let remote = self.config_values(&format!("branch.{branch}.remote")).pop()?;
        let merge = self.config_values(&format!("branch.{branch}.merge")).pop()?;
        Some((remote, RefName::parse(&merge).ok()?))
    }

    /// `core.hooksPath`, absolute; a relative one counts from the work tree's root, as git does. `None` when unset.
    ///
    /// Asks the `git` program: which hooks run is decided by all of git's configuration, of which libgit2 reads less.
    ///
    /// # Errors
    /// When the program cannot be run, or refuses the configuration.
    pub fn hooks_path(&self) -> Result<Option<PathBuf>, GitError> {
        let Some(path) = Program::new(&self.git_dir).hooks_path()? else { return Ok(None) };
        // git looks for "<hooks path>/pre-push": an empty path is the root directory.
        let path = if path.is_empty() { PathBuf::from("/") } else { PathBuf::from(path) };
        Ok(Some(self.work_tree().unwrap_or(&self.git_dir).join(path)))
    }

    /// The newest commits in the history of `from`, itself first, at most `limit`.
    ///
    /// # Errors
    /// When the repository does not have the commit, or part of its history.
    pub fn history(&self, from: &CommitId, limit: usize) -> Result<Vec<CommitId>, GitError> {
        match &self.reader {
            Reader::Library(repository) => library::history(repository, from, limit),
            Reader::Program(program) => program.history(from, limit),
        }
    }

    /// The paths at which the trees of two commits differ; of a file that moved, both.
    ///
    /// # Errors
    /// When the repository does not have one of the commits, or part of its tree.
    pub fn changed_paths(&self, from: &CommitId, to: &CommitId) -> Result<Vec<String>, GitError> {
        match &self.reader {
            Reader::Library(repository) => library::changed_paths(repository, from, to),
            Reader::Program(program) => program.changed_paths(from, to),
        }
    }

    /// The newest commit that both contain; `None` when there is none, or when the repository does not have one of them.
    #[must_use]
    pub fn merge_base(&self, one: &CommitId, other: &CommitId) -> Option<CommitId> {
        match &self.reader {
            Reader::Library(repository) => library::merge_base(repository, one, other),
            Reader::Program(program) => program.merge_base(one, other),
        }
    }

    /// The local ref that follows the default branch of a remote, as the clone has noted it.
    #[must_use]
    pub fn default_branch(&self, remote: &str) -> Option<String> {
        let head = RefName::parse(&format!("refs/remotes/{remote}/HEAD")).ok()?;
        match &self.reader {
            Reader::Library(repository) => {
                Some(repository.find_reference(head.as_str()).ok()?.symbolic_target().ok()??.to_owned())
            }
            Reader::Program(program) => program.symbolic_ref(head.as_str()),
        }
    }

    /// Whether the configuration has an ssh command of the user's own.
    pub(crate) fn has_ssh_command(&self) -> bool {
        !self.config_values("core.sshCommand").is_empty()
    }

    /// The first fetch address as it is configured, and the push address, when a remote has two different ones.
    pub(crate) fn distinct_push_url(&self, remote: &str) -> Option<(String, String)> {
        let configured = self.config_values(&format!("remote.{remote}.url")).into_iter().next()?;
        let (fetch, push) = self.remote_urls(remote)?;
        (fetch != push).then_some((configured, push))
    }

    /// The addresses that a remote is fetched from and pushed to, after the user's rewriting rules.
    pub(crate) fn remote_urls(&self, remote: &str) -> Option<(String, String)> {
        match &self.reader {
            Reader::Library(repository) => library::remote_urls(repository, remote),
            Reader::Program(program) => program.remote_urls(remote),
        }
    }

    fn fetch_refspecs(&self, remote: &str) -> FetchRefspecs {
        FetchRefspecs::new(self.config_values(&format!("remote.{remote}.fetch")))
    }

    fn config_values(&self, key: &str) -> Vec<String> {
        match &self.reader {
            Reader::Library(repository) => library::config_values(repository, key),
            Reader::Program(program) => program.config_values(key),
        }
    }

    fn pushes_in_files(&self, limit: usize) -> Result<Vec<(String, reflog::Entry)>, GitError> {
        let logs = self.common_dir.join("logs");
        let mut files = Vec::new();
        list_files(&logs.join("refs/remotes"), &mut files)
            .map_err(|source| GitError::File { path: logs.join("refs/remotes"), source })?;
        files.sort_by_key(|(changed, _)| std::cmp::Reverse(*changed));
        let mut pushes = Vec::new();
        for (_, path) in files {
            let Some(name) = path.strip_prefix(&logs).ok().and_then(Path::to_str) else { continue };
            let entries = read_reflog(&path)?;
            let newest = entries.into_iter().filter(reflog::Entry::is_push).take(limit);
            pushes.extend(newest.map(|entry| (name.to_owned(), entry)));
        }
        pushes.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.at));
        pushes.truncate(limit);
        Ok(pushes)
    }
}

fn read_reflog(path: &Path) -> Result<Vec<reflog::Entry>, GitError> {
    reflog::read(path).map_err(|source| GitError::File { path: path.to_owned(), source })
}

fn list_files(directory: &Path, files: &mut Vec<(SystemTime, PathBuf)>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if files.len() >= MOST_REFLOGS {
            break;
        }
        // Links are not followed: git makes none here.
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            list_files(&entry.path(), files)?;
        } else if metadata.is_file() {
            files.push((metadata.modified()?, entry.path()));
        }
    }
    Ok(())
}
