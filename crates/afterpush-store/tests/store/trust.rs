//! Trust is given to one content of one repository's file, and only in the user's own place.

use std::fs;

use afterpush_store::{Repository, StateRoot};

use crate::fixture::{Fixture, make_git_dir};

#[test]
fn an_edit_takes_the_trust_away_and_so_does_revoking() {
    let fixture = Fixture::new();
    let trust = fixture.root.trust();
    let other = fixture.path().join("other");
    make_git_dir(&other.join(".git"));
    let other = Repository::locate(&other, &fixture.environment).unwrap();
    assert!(!trust.is_trusted(&fixture.repository, "a = 1").unwrap());
    trust.allow(&fixture.repository, "a = 1").unwrap();
    trust.allow(&fixture.repository, "a = 2").unwrap();
    trust.allow(&other, "a = 1").unwrap();
    assert!(trust.is_trusted(&fixture.repository, "a = 1").unwrap());
    assert!(!trust.is_trusted(&fixture.repository, "a = 1 ").unwrap());
    assert_eq!(trust.revoke(&fixture.repository).unwrap(), 2);
    assert!(!trust.is_trusted(&fixture.repository, "a = 1").unwrap());
    assert!(trust.is_trusted(&other, "a = 1").unwrap());
    assert_eq!(trust.revoke(&fixture.repository).unwrap(), 0);
}

#[test]
fn trust_that_came_with_a_repository_is_none() {
    let fixture = Fixture::new();
    fixture.root.trust().allow(&fixture.repository, "evil").unwrap();
    let planted = fixture.repository.common_dir.join("afterpush");
    fs::create_dir(&planted).unwrap();
    fs::rename(fixture.root.path().join("trust"), planted.join("trust")).unwrap();
    let inside = StateRoot::candidates(&fixture.environment, Some(&fixture.repository))
        .into_iter()
        .find(|root| root.path() == planted)
        .expect("it is read for status");
    assert!(!inside.trust().is_trusted(&fixture.repository, "evil").unwrap());
    assert!(inside.trust().allow(&fixture.repository, "evil").is_err());
}
