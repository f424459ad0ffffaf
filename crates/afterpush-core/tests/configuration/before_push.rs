//! `[before_push]`: the courtesies before a push.

use afterpush_core::config::{BeforePush, Reaction, RefPattern, combine};

use super::{refused, repository, user, users};

fn names(list: &[&str]) -> Vec<RefPattern> {
    list.iter().map(|name| RefPattern::new(*name)).collect()
}

#[test]
fn every_key_reaches_its_place() {
    let text = "[before_push]\nbehind = \"refuse\"\nbranch_name = \"off\"\nprevious = \"warn\"\n\
                branch_names = [\"feature/*\", \"fix/*\"]\nprotected = [\"release\"]\n";
    let expected = BeforePush {
        behind: Reaction::Refuse,
        branch_name: Reaction::Off,
        branch_names: names(&["feature/*", "fix/*"]),
        protected: names(&["release"]),
        previous: Reaction::Warn,
    };
    assert_eq!(users(text).unwrap().before_push, expected);
    let default = BeforePush {
        behind: Reaction::Warn,
        branch_name: Reaction::Warn,
        branch_names: names(&[]),
        protected: names(&["main", "master"]),
        previous: Reaction::Warn,
    };
    assert_eq!(users("").unwrap().before_push, default);
}

#[test]
fn the_user_wins_list_by_list() {
    let theirs = "[before_push]\nbranch_names = [\"theirs/*\"]\nprotected = [\"theirs\"]\n";
    let mine = "[before_push]\nprotected = [\"mine\"]\n";
    let rules = combine(repository(theirs), true, user(mine)).unwrap().before_push;
    assert_eq!((rules.branch_names, rules.protected), (names(&["theirs/*"]), names(&["mine"])));
}

#[test]
fn other_words_are_refused() {
    for line in
        ["behind = \"block\"", "previous = true", "branch_names = \"main\"", "protected = [1]", "ahead = \"warn\""]
    {
        refused(&format!("[before_push]\n{line}"), 2, &[line.split(' ').next().unwrap()]);
    }
}
