//! The files of a commit's tree.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use afterpush_core::id::CommitId;
use afterpush_git::GitError;

use crate::sandbox::{Sandbox, open};

#[test]
fn the_regular_files_below_a_directory_are_listed_from_the_commit_alone() {
    Sandbox::each(|kind, sandbox, work| {
        for path in ["db/migrations/b c.sql", "db/migrations/ä.sql", "db/migrations/deep/a.sql", "db/migrations2/x.sql"]
        {
            let path = work.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "one").unwrap();
        }
        let odd = work.join(std::ffi::OsStr::from_bytes(b"db/migrations/\xff"));
        fs::create_dir_all(&odd).unwrap();
        fs::write(odd.join("no text.sql"), "two").unwrap();
        symlink("/etc/passwd", work.join("db/migrations/link.sql")).unwrap();
        sandbox.git(work, &["add", "--all"]);
        let commit = sandbox.commit(work, "files");
        fs::remove_dir_all(work.join("db")).unwrap();
        let git = open(work);
        let paths = |directory: &str| {
            let files = git.files_below(&commit, directory, 100).unwrap();
            files.into_iter().map(|file| file.path).collect::<Vec<_>>()
        };
        let below = ["db/migrations/b c.sql", "db/migrations/deep/a.sql", "db/migrations/ä.sql"];
        assert_eq!(paths("db/migrations"), below, "{kind:?}");
        assert!(paths("").contains(&"db/migrations2/x.sql".to_owned()), "{kind:?}");
        for nothing in ["db/migration", "nope", "db/migrations/b c.sql", "db/migrations/link.sql"] {
            assert_eq!(paths(nothing), [""; 0], "{kind:?} {nothing}");
        }
        let files = git.files_below(&commit, "db", 100).unwrap();
        assert!(files.iter().all(|file| file.blob == files[0].blob), "{kind:?}: equal contents, equal ids");
        assert_eq!(files[0].blob.len(), commit.as_str().len(), "{kind:?}");
        let error = git.files_below(&commit, "db/migrations", 2).unwrap_err();
        assert!(matches!(error, GitError::TooManyFiles { limit: 2, .. }), "{kind:?} {error}");
        assert_eq!(git.files_below(&commit, "db/migrations", 3).unwrap().len(), 3, "{kind:?}");
        let missing = CommitId::parse(&"e".repeat(commit.as_str().len())).unwrap();
        assert!(matches!(git.files_below(&missing, "", 9), Err(GitError::NoCommit { .. })), "{kind:?}");
    });
}
