//! Where state goes, and how a repository is found.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use afterpush_store::{Environment, Repository, RepositoryError, StateRoot, StoreError};
use nix::unistd::{Uid, chown, geteuid};

use crate::fixture::{Fixture, make_git_dir};

fn environment_with(state_dir: &Path) -> Environment {
    Environment { state_dir: Some(state_dir.to_owned()), ..Environment::default() }
}

#[test]
fn state_goes_where_the_variable_says_else_to_the_users_state_directory() {
    let fixture = Fixture::new();
    assert_eq!(fixture.root.path(), fixture.path().join("home/.local/state/afterpush"));
    let named = fixture.path().join("elsewhere");
    let environment = Environment { state_dir: Some(named.clone()), ..fixture.environment.clone() };
    let root = StateRoot::for_writing(&environment, &fixture.repository).unwrap();
    assert_eq!(root.path(), named);
    assert_eq!(StateRoot::candidates(&environment, Some(&fixture.repository)), [root]);
    let relative = environment_with(Path::new("relative"));
    assert!(matches!(StateRoot::for_writing(&relative, &fixture.repository), Err(StoreError::NotOurs { .. })));
    let none = StateRoot::for_writing(&Environment::default(), &fixture.repository);
    assert!(matches!(none, Err(StoreError::NoStateDirectory)));
}

#[test]
fn a_root_that_others_can_change_or_redirect_is_refused() {
    let fixture = Fixture::new();
    let open = fixture.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let link = fixture.path().join("link");
    symlink(fixture.root.path(), &link).unwrap();
    let file = fixture.path().join("file");
    fs::write(&file, "").unwrap();
    let mut refused = vec![open, link, file.clone()];
    if geteuid().is_root() {
        let foreign = fixture.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        chown(&foreign, Some(Uid::from_raw(65534)), None).unwrap();
        refused.push(foreign);
    }
    for path in refused {
        let environment = environment_with(&path);
        let error = StateRoot::for_writing(&environment, &fixture.repository).unwrap_err();
        assert!(matches!(error, StoreError::NotOurs { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(StateRoot::candidates(&environment, None).is_empty());
    }
    let below_a_file = environment_with(&file.join("x"));
    assert!(StateRoot::for_writing(&below_a_file, &fixture.repository).is_err());
}

#[test]
fn state_that_cannot_be_written_at_home_goes_into_the_repository_and_is_found_there() {
    let fixture = Fixture::new();
    // /proc refuses to have a directory made in it, also to root, as a sandbox does.
    let environment = environment_with(Path::new("/proc/self/afterpush"));
    let made = fs::create_dir("/proc/self/afterpush").unwrap_err();
    if !matches!(made.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem) {
        let error = StateRoot::for_writing(&environment, &fixture.repository).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
        return;
    }
    let root = StateRoot::for_writing(&environment, &fixture.repository).unwrap();
    assert_eq!(root.path(), fixture.repository.common_dir.join("afterpush"));
    assert_eq!(StateRoot::candidates(&environment, Some(&fixture.repository)), [root]);
}

#[test]
fn a_linked_directory_below_the_root_is_not_written_through() {
    let fixture = Fixture::new();
    let elsewhere = fixture.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, fixture.store.path().join("runs")).unwrap();
    let error = fixture.run('a').write_request(&fixture.request('a', "one", jiff::Timestamp::now())).unwrap_err();
    assert!(matches!(error, StoreError::NotOurs { .. }), "{error:?}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn repositories_are_remembered_with_their_remotes() {
    let fixture = Fixture::new();
    let remote = |name: &str, url: &str| (name.to_owned(), url.to_owned());
    fixture.store.record_repository(&fixture.repository, &[remote("origin", "https://a/x.git")]).unwrap();
    fixture.store.record_repository(&fixture.repository, &[remote("fork", "https://b/x.git")]).unwrap();
    let path = fixture.store.path().join("repo.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("https://a/x.git") && text.contains("https://b/x.git"), "{text}");
    assert_eq!(fixture.store.repository().unwrap().unwrap(), fixture.repository);
    assert_eq!(fixture.root.repositories().unwrap(), std::slice::from_ref(&fixture.store));
    // Nothing new, nothing written.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fixture.store.record_repository(&fixture.repository, &[remote("fork", "https://b/x.git")]).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn two_repositories_of_one_name_keep_apart() {
    let fixture = Fixture::new();
    let other = fixture.path().join("other/shop");
    make_git_dir(&other.join(".git"));
    let other = Repository::locate(&other, &fixture.environment).unwrap();
    let (one, two) = (fixture.repository.key(), other.key());
    assert!(one.starts_with("shop-") && two.starts_with("shop-") && one != two, "{one} {two}");
    assert_eq!(one.len(), "shop-".len() + 16);
}

struct Trees {
    _directory: tempfile::TempDir,
    main: PathBuf,
    bare: PathBuf,
    linked: PathBuf,
    submodule: PathBuf,
}

/// A repository with a linked work tree and a submodule, and a bare one, written as git writes them.
fn trees() -> Trees {
    let directory = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(directory.path()).unwrap();
    let (main, bare, linked) = (base.join("main"), base.join("bare.git"), base.join("linked"));
    make_git_dir(&main.join(".git"));
    make_git_dir(&bare);
    fs::create_dir_all(main.join("src/deep")).unwrap();

    let private = main.join(".git/worktrees/linked");
    fs::create_dir_all(&private).unwrap();
    fs::create_dir_all(&linked).unwrap();
    fs::write(private.join("HEAD"), "ref: refs/heads/x\n").unwrap();
    fs::write(private.join("commondir"), "../..\n").unwrap();
    fs::write(private.join("gitdir"), format!("{}\n", linked.join(".git").display())).unwrap();
    fs::write(linked.join(".git"), format!("gitdir: {}\n", private.display())).unwrap();

    let submodule = main.join("vendor/lib");
    make_git_dir(&main.join(".git/modules/lib"));
    fs::create_dir_all(&submodule).unwrap();
    fs::write(submodule.join(".git"), "gitdir: ../../.git/modules/lib\n").unwrap();
    Trees { _directory: directory, main, bare, linked, submodule }
}

#[test]
fn a_repository_is_found_from_anywhere_inside_it() {
    let trees = trees();
    let git = trees.main.join(".git");
    let found = |cwd: &Path| Repository::locate(cwd, &Environment::default()).unwrap();
    let expect = |common: &Path, git: &Path, work_tree: Option<&Path>| Repository {
        common_dir: common.to_owned(),
        git_dir: git.to_owned(),
        work_tree: work_tree.map(Path::to_owned),
    };
    let main = expect(&git, &git, Some(&trees.main));
    assert_eq!(found(&trees.main), main);
    assert_eq!(found(&trees.main.join("src/deep")), main);
    assert_eq!(found(&git), main);
    assert_eq!(found(&trees.bare), expect(&trees.bare, &trees.bare, None));
    assert_eq!(found(&trees.bare.join("refs")), expect(&trees.bare, &trees.bare, None));
    let linked = expect(&git, &git.join("worktrees/linked"), Some(&trees.linked));
    assert_eq!(found(&trees.linked), linked);
    let lib = git.join("modules/lib");
    assert_eq!(found(&trees.submodule), expect(&lib, &lib, Some(&trees.submodule)));

    // The linked work tree's runs are the repository's.
    assert_eq!(linked.key(), main.key());
    assert_eq!(Repository::from_facts(&linked.facts()), linked);
    assert_eq!(linked.config_path().unwrap(), trees.linked.join(".afterpush.toml"));
    assert!(linked.is_owned_by_user().unwrap());
}

#[test]
fn git_dir_is_honoured_as_git_sets_it_for_hooks() {
    let trees = trees();
    let git = trees.main.join(".git");
    let found = |cwd: &Path, git_dir: &str, work_tree: Option<&Path>| {
        let environment = Environment {
            git_dir: Some(git_dir.into()),
            git_work_tree: work_tree.map(Path::to_owned),
            ..Environment::default()
        };
        Repository::locate(cwd, &environment)
    };
    assert_eq!(found(&trees.bare, ".", None).unwrap().work_tree, None);
    let linked = found(&trees.linked, git.join("worktrees/linked").to_str().unwrap(), None).unwrap();
    assert_eq!((linked.common_dir, linked.work_tree), (git.clone(), Some(trees.linked.clone())));
    // git --git-dir=X push, from anywhere.
    let main = found(Path::new("/"), git.to_str().unwrap(), None).unwrap();
    assert_eq!((main.git_dir, main.work_tree), (git.clone(), Some(trees.main.clone())));
    let lib = found(&trees.submodule, git.join("modules/lib").to_str().unwrap(), None).unwrap();
    assert_eq!(lib.work_tree, Some(trees.submodule.clone()));
    // Files in a home directory, with their history elsewhere.
    let dotfiles = found(Path::new("/"), trees.bare.to_str().unwrap(), Some(&trees.main)).unwrap();
    assert_eq!((dotfiles.common_dir, dotfiles.work_tree), (trees.bare.clone(), Some(trees.main.clone())));
    assert!(found(&trees.main, "src", None).is_err());
}

#[test]
fn no_repository_and_broken_pointers_are_said_so() {
    let directory = tempfile::tempdir().unwrap();
    let found = |cwd: &Path| Repository::locate(cwd, &Environment::default());
    assert!(matches!(found(directory.path()), Err(RepositoryError::NotFound { .. })));
    fs::write(directory.path().join(".git"), "nonsense").unwrap();
    let error = found(directory.path()).unwrap_err();
    assert!(matches!(error, RepositoryError::Malformed { .. }), "{error:?}");
    fs::write(directory.path().join(".git"), "gitdir: /nowhere").unwrap();
    assert!(matches!(found(directory.path()), Err(RepositoryError::Io { .. })));
}

#[test]
fn a_strangers_repository_is_not_ours() {
    if !geteuid().is_root() {
        afterpush_testkit::sandbox::skipped(
            "a_strangers_repository_is_not_ours",
            "only root can give a directory to somebody else",
        );
        return;
    }
    let fixture = Fixture::new();
    assert!(fixture.repository.is_owned_by_user().unwrap());
    chown(fixture.repository.work_tree.as_ref().unwrap(), Some(Uid::from_raw(65534)), None).unwrap();
    assert!(!fixture.repository.is_owned_by_user().unwrap());
}
