//! The clones and their remote: commits, refs, reflogs, and what truly became of every push.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use afterpush_core::id::CommitId;
use git2::{Oid, Signature, Time as GitTime};

use crate::vendor::{Span, Time};

/// One commit of the world's history.
struct Commit {
    id: CommitId,
    parent: Option<usize>,
}

/// A place where somebody works.
pub(crate) struct Workplace {
    pub(crate) git_dir: PathBuf,
    repository: git2::Repository,
}

/// All repositories.
pub(crate) struct Forge {
    pub(crate) clones: Vec<Workplace>,
    commits: Vec<Commit>,
    /// What each ref of the remote was set to, and when.
    moves: Vec<(Time, &'static str, CommitId)>,
    /// Every push that began.
    pub(crate) pushes: Vec<Push>,
}

/// What truly became of one ref of one push.
pub(crate) struct Push {
    pub(crate) began: Time,
    pub(crate) clone: usize,
    pub(crate) ref_name: &'static str,
    pub(crate) commit: CommitId,
    pub(crate) is_accepted: bool,
}

const REMOTE: &str = "https://git.example.invalid/shop.git";

impl Forge {
    /// Makes the clones below a directory, each with this configuration file in its work tree.
    pub(crate) fn new(root: &Path, clones: usize, config: &str) -> Self {
        let clones = (0..clones)
            .map(|number| {
                let work_tree = root.join(format!("clone{number}"));
                fs::create_dir_all(&work_tree).unwrap();
                let repository = git2::Repository::init(&work_tree).unwrap();
                repository.remote("origin", REMOTE).unwrap();
                fs::write(work_tree.join(".afterpush.toml"), config).unwrap();
                Workplace { git_dir: fs::canonicalize(work_tree.join(".git")).unwrap(), repository }
            })
            .collect();
        Self { clones, commits: Vec::new(), moves: Vec::new(), pushes: Vec::new() }
    }

    fn number_of(&self, id: &CommitId) -> Option<usize> {
        self.commits.iter().position(|commit| commit.id == *id)
    }

    /// A new commit on top of another one, in one clone.
    pub(crate) fn commit(&mut self, clone: usize, parent: Option<&CommitId>) -> CommitId {
        let parent = parent.and_then(|id| self.number_of(id));
        let number = self.commits.len();
        self.commits.push(Commit { id: CommitId::parse(&"f".repeat(40)).unwrap(), parent });
        let id = self.write(clone, number);
        self.commits[number].id = CommitId::parse(&id.to_string()).unwrap();
        self.commits[number].id.clone()
    }

    /// Puts a commit and its history into a clone, as a fetch does.
    fn write(&self, clone: usize, number: usize) -> Oid {
        let parent = self.commits[number].parent.map(|parent| self.write(clone, parent));
        let repository = &self.clones[clone].repository;
        let tree = repository.treebuilder(None).and_then(|builder| builder.write()).unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let parent = parent.map(|id| repository.find_commit(id).unwrap());
        let by = Signature::new("A", "a@example.invalid", &GitTime::new(1_700_000_000 + number as i64, 0)).unwrap();
        let parents: Vec<_> = parent.iter().collect();
        repository.commit(None, &by, &by, &format!("commit {number}"), &tree, &parents).unwrap()
    }

    pub(crate) fn fetch(&self, clone: usize, id: &CommitId) {
        if let Some(number) = self.number_of(id) {
            self.write(clone, number);
        }
    }

    /// Whether the history of `later` holds `earlier`.
    pub(crate) fn contains(&self, later: &CommitId, earlier: &CommitId) -> bool {
        let mut at = self.number_of(later);
        while let Some(number) = at {
            if self.commits[number].id == *earlier {
                return true;
            }
            at = self.commits[number].parent;
        }
        false
    }

    /// What the remote has at a ref.
    pub(crate) fn head(&self, ref_name: &str) -> Option<&CommitId> {
        self.moves.iter().rev().find(|(_, name, _)| *name == ref_name).map(|(_, _, id)| id)
    }

    /// The remote accepts a push.
    pub(crate) fn accept(&mut self, now: Time, ref_name: &'static str, id: &CommitId) {
        self.moves.push((now, ref_name, id.clone()));
    }

    /// Every commit that the remote had at a ref at some moment of a span.
    pub(crate) fn had_in(&self, ref_name: &str, span: Span) -> impl Iterator<Item = &CommitId> {
        let of_ref: Vec<_> = self.moves.iter().filter(|(_, name, _)| *name == ref_name).collect();
        let ends: Vec<_> = of_ref.iter().skip(1).map(|(at, ..)| *at).chain([Time::MAX]).collect();
        of_ref
            .into_iter()
            .zip(ends)
            .filter(move |((since, ..), end)| *since <= span.1 && *end >= span.0)
            .map(|((_, _, id), _)| id)
    }

    /// `git push` notes its success in the clone.
    pub(crate) fn track(&self, clone: usize, ref_name: &str, id: &CommitId, wall_seconds: i64) {
        let git_dir = &self.clones[clone].git_dir;
        let tracking = format!("refs/remotes/origin/{}", ref_name.trim_start_matches("refs/heads/"));
        let path = git_dir.join(&tracking);
        let before = fs::read_to_string(&path).map_or_else(|_| "0".repeat(40), |text| text.trim().to_owned());
        let log = git_dir.join("logs").join(&tracking);
        for directory in [&path, &log] {
            fs::create_dir_all(directory.parent().unwrap()).unwrap();
        }
        fs::write(&path, format!("{id}\n")).unwrap();
        let mut log = fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
        writeln!(log, "{before} {id} A <a@example.invalid> {wall_seconds} +0000\tupdate by push").unwrap();
    }

    /// The newest push of a commit to a ref.
    pub(crate) fn newest_push(&self, ref_name: &str, id: &CommitId) -> Option<&Push> {
        self.pushes.iter().rev().find(|push| push.ref_name == ref_name && push.commit == *id)
    }
}

/// A little later.
pub(crate) fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
