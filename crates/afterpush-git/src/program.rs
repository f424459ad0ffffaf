//! Reads a repository by the `git` program, where libgit2 cannot.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use afterpush_core::id::CommitId;

use crate::{error::GitError, layout, library, reflog};

/// What a user may set to reach remotes and configuration. Every other variable of git's, such as those that a hook
/// inherits from `git push`, would point the program at another repository or at options of another command.
const KEPT: [&str; 12] = [
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_PROXY_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_ALLOW_PROTOCOL",
];

/// A `git` that works in the repository of `git_dir`, with a clean environment and no standard input.
///
/// The repository is found from its work tree, or from inside the git directory, and never named by an option or variable:
/// then git skips its ownership check.
pub(crate) fn command(git_dir: &Path) -> Command {
    let mut command = Command::new("git");
    let strange = |name: &str| name.starts_with("GIT_") && !KEPT.contains(&name);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(strange)) {
        command.env_remove(name);
    }
    command.current_dir(layout::work_tree(git_dir, None).unwrap_or_else(|| git_dir.to_owned())).stdin(Stdio::null());
    command
}

/// The program, tied to one repository.
#[derive(Debug)]
pub(crate) struct Program {
    git_dir: PathBuf,
}

impl Program {
    /// Checks that the program can read the repository.
    pub(crate) fn open(git_dir: &Path) -> Result<Self, GitError> {
        let program = Self::new(git_dir);
        let found = program.text("the repository", &["rev-parse", "--absolute-git-dir"])?;
        // Were the directory no repository, git would have walked up to another one.
        if layout::canonical(Path::new(&found)) != layout::canonical(git_dir) {
            return Err(GitError::NotARepository { git_dir: git_dir.to_owned() });
        }
        Ok(program)
    }

    /// Ties the program to a repository without looking at it.
    pub(crate) fn new(git_dir: &Path) -> Self {
        Self { git_dir: git_dir.to_owned() }
    }

    pub(crate) fn resolve(&self, revision: &str) -> Result<Option<CommitId>, GitError> {
        // What follows ":/" is a search text to its very end, so that nothing can be added to it.
        if revision.starts_with(":/") {
            return Ok(self.verify(revision)?.filter(|id| matches!(self.verify(&peeled(id.as_str())), Ok(Some(_)))));
        }
        self.verify(&peeled(revision))
    }

    fn verify(&self, revision: &str) -> Result<Option<CommitId>, GitError> {
        // Not --quiet: then git does not tell an ambiguous abbreviation from an unknown one.
        let output = self.run(&["rev-parse", "--verify", "--end-of-options", revision])?;
        if output.status.success() {
            return Ok(CommitId::parse(text_of(&output.stdout)).ok());
        }
        let ambiguous = String::from_utf8_lossy(&output.stderr).contains("is ambiguous");
        if ambiguous {
            Err(GitError::Ambiguous { revision: revision.trim_end_matches("^{commit}").to_owned() })
        } else {
            Ok(None)
        }
    }

    pub(crate) fn ref_target(&self, full_ref: &str) -> Result<Option<CommitId>, GitError> {
        // Not rev-parse, which also finds refs/heads/refs/heads/main under the name refs/heads/main.
        let output = self.run(&["show-ref", "--verify", "--hash", "--", full_ref])?;
        Ok(if output.status.success() { CommitId::parse(text_of(&output.stdout)).ok() } else { None })
    }

    pub(crate) fn commit_by_digits(&self, digits: &str) -> Option<CommitId> {
        // A branch may be named like an abbreviated id; what the name leads to then begins with other digits.
        self.resolve(digits).ok().flatten().filter(|id| id.is_named_by(digits))
    }

    pub(crate) fn contains(&self, descendant: &CommitId, ancestor: &CommitId) -> bool {
        self.run(&["merge-base", "--is-ancestor", ancestor.as_str(), descendant.as_str()])
            .is_ok_and(|output| output.status.success())
    }

    pub(crate) fn file_at(&self, commit: &CommitId, path: &str, limit: usize) -> Result<Option<Vec<u8>>, GitError> {
        let what = format!("{path:?} in commit {commit}");
        if self.resolve(commit.as_str())?.is_none() {
            return Err(GitError::NoCommit { commit: commit.to_string() });
        }
        let listed =
            self.text(&what, &["--literal-pathspecs", "ls-tree", "-lz", "--full-tree", commit.as_str(), "--", path])?;
        // <mode> <type> <id> <size>\t<path>\0
        let Some((fields, _)) = listed.split_once('\t') else { return Ok(None) };
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let &[mode, _, id, size] = fields.as_slice() else {
            return Err(GitError::Program { what, said: "a line of another form than ls-tree's".to_owned() });
        };
        library::refuse_unless_file(commit, path, i32::from_str_radix(mode, 8).unwrap_or_default())?;
        let size = size.parse().unwrap_or(usize::MAX);
        if size > limit {
            return Err(GitError::TooLarge { commit: commit.to_string(), path: path.to_owned(), size, limit });
        }
        Ok(Some(self.bytes(&what, &["cat-file", "blob", id])?))
    }

    /// The lines of ls-tree for everything below a directory, each ended by a zero byte.
    pub(crate) fn tree(&self, commit: &CommitId, directory: &str) -> Result<Vec<u8>, GitError> {
        if self.resolve(commit.as_str())?.is_none() {
            return Err(GitError::NoCommit { commit: commit.to_string() });
        }
        let what = format!("the files of commit {commit}");
        let below = format!("{directory}/");
        let mut arguments = vec!["--literal-pathspecs", "ls-tree", "-rz", "--full-tree", commit.as_str()];
        if !directory.is_empty() {
            arguments.extend(["--", below.as_str()]);
        }
        self.bytes(&what, &arguments)
    }

    pub(crate) fn config_values(&self, key: &str) -> Vec<String> {
        match self.bytes(key, &["config", "-z", "--get-all", key]) {
            Ok(bytes) => fields_of(&bytes),
            Err(_) => Vec::new(),
        }
    }

    /// `core.hooksPath` as git itself reads it: with its conditional includes, and `~` expanded.
    pub(crate) fn hooks_path(&self) -> Result<Option<String>, GitError> {
        let arguments = ["config", "-z", "--type=path", "--get", "core.hooksPath"];
        let output = self.run(&arguments)?;
        match output.status.code() {
            Some(0) => Ok(fields_of(&output.stdout).into_iter().next()),
            // git config's way to say that the key is not set.
            Some(1) => Ok(None),
            _ => Err(self.failure("core.hooksPath", &output)),
        }
    }

    pub(crate) fn remotes(&self) -> Result<Vec<(String, String)>, GitError> {
        let listed = self.text("the remotes", &["remote", "-v"])?;
        let mut remotes: Vec<(String, String)> = Vec::new();
        for line in listed.lines() {
            if let Some((name, url)) = line.strip_suffix(" (push)").and_then(|line| line.split_once('\t'))
                && remotes.iter().all(|(known, _)| known != name)
            {
                remotes.push((name.to_owned(), url.to_owned()));
            }
        }
        Ok(remotes)
    }

    pub(crate) fn remote_urls(&self, name: &str) -> Option<(String, String)> {
        let fetch = self.text(name, &["remote", "get-url", "--", name]).ok()?;
        let push = self.text(name, &["remote", "get-url", "--push", "--", name]).ok()?;
        Some((fetch, push))
    }

    /// The reflog of one ref, the newest entry first.
    pub(crate) fn reflog(&self, full_ref: &str) -> Result<Vec<reflog::Entry>, GitError> {
        let entries = self.walk_reflogs(&[full_ref, "--"])?;
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Entries "update by push" of all remote-tracking refs, the newest first, each with its ref.
    pub(crate) fn pushes(&self, limit: usize) -> Result<Vec<(String, reflog::Entry)>, GitError> {
        let only = format!("--grep-reflog=^{}$", reflog::BY_PUSH);
        self.walk_reflogs(&["--max-count", &limit.to_string(), &only, "--remotes", "--"])
    }

    fn walk_reflogs(&self, selection: &[&str]) -> Result<Vec<(String, reflog::Entry)>, GitError> {
        let fixed =
            ["log", "--walk-reflogs", "--no-show-signature", "--no-color", "--date=unix", "--format=%gD%x09%H%x09%gs"];
        let output = self.run(&[&fixed, selection].concat())?;
        if !output.status.success() {
            // A ref that does not exist has no reflog.
            return Ok(Vec::new());
        }
        let entry = |line: &str| {
            let mut fields = line.splitn(3, '\t');
            let (selector, id, message) = (fields.next()?, fields.next()?, fields.next()?);
            let (name, at) = selector.strip_suffix('}')?.rsplit_once("@{")?;
            let commit = CommitId::parse(id).ok()?;
            Some((name.to_owned(), reflog::Entry { commit, at: at.parse().ok()?, message: message.to_owned() }))
        };
        Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(entry).collect())
    }

    pub(crate) fn history(&self, from: &CommitId, limit: usize) -> Result<Vec<CommitId>, GitError> {
        let what = format!("the history of commit {from}");
        let listed = self.text(&what, &["rev-list", "--max-count", &limit.to_string(), from.as_str(), "--"])?;
        Ok(listed.lines().filter_map(|line| CommitId::parse(line).ok()).collect())
    }

    /// The full name of the ref that a symbolic ref leads to.
    pub(crate) fn symbolic_ref(&self, name: &str) -> Option<String> {
        self.text(name, &["symbolic-ref", "--quiet", name]).ok()
    }

    pub(crate) fn changed_paths(&self, from: &CommitId, to: &CommitId) -> Result<Vec<String>, GitError> {
        let what = format!("what changed from {from} to {to}");
        // Both ids as commits: a tree would be taken as well.
        let arguments = [
            "diff-tree",
            "-r",
            "-z",
            "--no-renames",
            "--name-only",
            &peeled(from.as_str()),
            &peeled(to.as_str()),
            "--",
        ];
        let listed = self.bytes(&what, &arguments)?;
        Ok(if listed.is_empty() { Vec::new() } else { fields_of(&listed) })
    }

    pub(crate) fn merge_base(&self, one: &CommitId, other: &CommitId) -> Option<CommitId> {
        CommitId::parse(&self.text("the merge base", &["merge-base", one.as_str(), other.as_str()]).ok()?).ok()
    }

    fn text(&self, what: &str, arguments: &[&str]) -> Result<String, GitError> {
        let bytes = self.bytes(what, arguments)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\0']).to_owned())
    }

    fn bytes(&self, what: &str, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let output = self.run(arguments)?;
        if output.status.success() { Ok(output.stdout) } else { Err(self.failure(what, &output)) }
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, GitError> {
        command(&self.git_dir)
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            // As libgit2 reads: no object is fetched, and none is replaced by another.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .args(arguments)
            .output()
            .map_err(|source| GitError::NoProgram { source })
    }

    fn failure(&self, what: &str, output: &Output) -> GitError {
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("dubious ownership") {
            return GitError::NotOwned { git_dir: self.git_dir.clone() };
        }
        if said.contains("not a git repository") {
            return GitError::NotARepository { git_dir: self.git_dir.clone() };
        }
        let said = match said.lines().next() {
            Some(line) => line.chars().take(200).collect(),
            None => output.status.to_string(),
        };
        GitError::Program { what: what.to_owned(), said }
    }
}

fn peeled(revision: &str) -> String {
    format!("{revision}^{{commit}}")
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default().trim_end()
}

fn fields_of(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_inside_a_repository_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new("git").arg("init").arg("-q").arg(dir.path()).env_remove("GIT_DIR").status().unwrap();
        assert!(made.success());
        assert!(Program::open(&dir.path().join(".git")).is_ok());
        let inside = dir.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        assert!(matches!(Program::open(&inside), Err(GitError::NotARepository { .. })));
    }
}
