//! Repositories and state directories that somebody else could have prepared: refused with what to do, and the push goes on.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
};

use afterpush_testkit::sandbox::Said;

use crate::gits::{BRANCHES, each_git, is_root, lines, runs};

const MAIN: &str = "refs/heads/main";

/// Shows that a push went on unwatched, and that one line told why and what to do: `<why>; <what to do>`.
fn refused_in_one_line(said: &Said, why: &[&str]) {
    assert_eq!(said.code, Some(0), "{why:?}: {said:?}");
    let told: Vec<_> = lines(said).collect();
    assert_eq!(told.len(), 1, "{why:?}: {said:?}");
    assert!(told[0].starts_with("afterpush: not watching this push: "), "{why:?}: {said:?}");
    for text in why.iter().chain(&["; "]) {
        assert!(told[0].contains(text), "{text:?} is missing: {said:?}");
    }
}

#[test]
fn a_repository_of_another_user_is_refused_and_the_push_goes_on() {
    if !is_root("a_repository_of_another_user_is_refused_and_the_push_goes_on") {
        return;
    }
    each_git(|scene| {
        for (what, config) in [("configured", BRANCHES), ("of no concern", "")] {
            let project = scene.sandbox.project_named(&what.replace(' ', "-"), config);
            let commit = project.head();
            for path in [&project.work, &project.work.join(".git")] {
                chown(path, Some(12_345), None).unwrap();
            }
            let mut push = scene.sandbox.command(scene.sandbox.git_program(), &project.work);
            // git itself refuses, unless the user says that it is safe.
            let said = Said::of(push.args(["-c", "safe.directory=*", "push", "origin", "main"]));
            if config.is_empty() {
                assert_eq!((said.code, lines(&said).count()), (Some(0), 0), "{said:?}");
            } else {
                refused_in_one_line(&said, &["the repository belongs to another user"]);
            }
            assert_eq!(scene.remote_has(&project, MAIN), Some(commit), "{}", scene.version());
            assert!(runs(&scene.sandbox).is_empty());
        }
    });
}

/// What can be wrong with a state directory.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    Link,
    Mode(u32),
    File,
    LinkInside,
    Foreign,
}

impl Flaw {
    /// Makes a state directory with this flaw, and gives what the refusal says.
    fn make(self, place: &Path) -> &'static str {
        let elsewhere = place.with_extension("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        match self {
            Self::Link => symlink(&elsewhere, place).unwrap(),
            Self::File => fs::write(place, "").unwrap(),
            _ => fs::create_dir(place).unwrap(),
        }
        match self {
            Self::Link => "it is a symbolic link",
            Self::File => "it is not a directory",
            Self::Mode(mode) => {
                fs::set_permissions(place, fs::Permissions::from_mode(mode)).unwrap();
                "other users can write to it"
            }
            Self::LinkInside => {
                symlink(&elsewhere, place.join("repos")).unwrap();
                "it is not a directory"
            }
            Self::Foreign => {
                chown(place, Some(12_345), None).unwrap();
                "it belongs to another user"
            }
        }
    }
}

#[test]
fn a_state_directory_that_is_not_safe_is_refused_and_the_push_goes_on() {
    each_git(|scene| {
        let project = scene.project();
        for flaw in [Flaw::Link, Flaw::Mode(0o770), Flaw::Mode(0o757), Flaw::File, Flaw::LinkInside, Flaw::Foreign] {
            if flaw == Flaw::Foreign && !is_root("a_state_directory_that_is_not_safe (another user's)") {
                continue;
            }
            let state = scene.sandbox.path().join(format!("{flaw:?}").to_lowercase().replace(['(', ')'], "-"));
            let problem = flaw.make(&state);
            let commit = project.commit(&format!("{flaw:?}"));
            let said = Said::of(project.push_command(&["origin", "main"]).env("AFTERPUSH_STATE_DIR", &state));
            refused_in_one_line(&said, &[problem, state.to_str().unwrap()]);
            assert_eq!(scene.remote_has(&project, MAIN), Some(commit), "{}", scene.version());
            // Neither in the flawed place nor where a link in it leads, nor anywhere else.
            let elsewhere = fs::read_dir(state.with_extension("elsewhere")).unwrap();
            assert_eq!(elsewhere.count(), 0, "{flaw:?}");
            let allowed = usize::from(flaw == Flaw::LinkInside);
            assert_eq!(
                fs::read_dir(&state).map_or(0, |found| if flaw == Flaw::Link { 0 } else { found.count() }),
                allowed
            );
            assert!(!project.work.join(".git/afterpush").exists() && runs(&scene.sandbox).is_empty(), "{flaw:?}");
        }
    });
}
