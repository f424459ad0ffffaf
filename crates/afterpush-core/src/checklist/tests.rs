#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn merged(base: &str, ours: &str, theirs: &str) -> String {
    let there = merge(Some(base), ours, theirs).unwrap();
    let back = merge(Some(base), theirs, ours).unwrap();
    assert_eq!(done(&there), done(&back), "the same entries whichever side is ours");
    there
}

/// Each entry's key with whether it is done.
fn done(text: &str) -> BTreeMap<String, bool> {
    List::parse(text).entries().map(|entry| (format!("{:?}", entry.key), entry.done.is_some())).collect()
}

#[test]
fn what_either_side_has_done_stays_done() {
    let base = "# Tasks\n\n- [ ] T1 write\n- [ ] T2 test\n- [x] T3 plan\n";
    let ours = "# Tasks\n\n- [x] T1 write\n- [ ] T2 test\n- [ ] T3 plan\n";
    let theirs = "# Tasks\n\n- [ ] T1 write\n- [X] T2 test\n- [x] T3 plan\n";
    assert_eq!(merged(base, ours, theirs), "# Tasks\n\n- [x] T1 write\n- [X] T2 test\n- [x] T3 plan\n");
}

#[test]
fn the_longer_list_gives_the_order_and_the_others_entries_follow_their_predecessors() {
    let base = "- [ ] T1 a\n- [ ] T2 b\n";
    let ours = "- [ ] T1 a\n- [ ] T9 ours\n- [ ] T2 b\n";
    let theirs = "- [ ] T2 b\n- [x] T1 a\n- [ ] T3 c\n- [ ] T4 d\n";
    let expected = "- [ ] T2 b\n- [x] T1 a\n- [ ] T9 ours\n- [ ] T3 c\n- [ ] T4 d\n";
    assert_eq!(merged(base, ours, theirs), expected);
}

#[test]
fn nested_entries_stay_below_their_parents_with_their_lines() {
    let base = "- [ ] T1 a\n  - [ ] one\n- [ ] T2 b\n";
    let ours = "- [ ] T1 a\n  - [ ] one\n  - [x] two\n    more of two\n    - [ ] deep\n- [ ] T2 b\n";
    let theirs = "- [ ] T1 a\n  - [x] one\n- [ ] T2 b\n  - [ ] first of b\n- [ ] T3\n- [ ] T4\n- [ ] T5\n- [ ] T6\n";
    let expected = "- [ ] T1 a\n  - [x] one\n  - [x] two\n    more of two\n    - [ ] deep\n- [ ] T2 b\n  - [ ] first of b\n\
                    - [ ] T3\n- [ ] T4\n- [ ] T5\n- [ ] T6\n";
    assert_eq!(merged(base, ours, theirs), expected);
}

#[test]
fn an_entry_that_is_nested_elsewhere_takes_the_new_depth() {
    let ours = "- [ ] T1 a\n  - [ ] T2 b\n  - [ ] T3 c\n    with a line\n";
    let theirs = "- [ ] T2 b\n- [ ] T1 a\n- [ ] T4 d\n- [ ] T5 e\n";
    let text = merge(None, ours, theirs).unwrap();
    assert_eq!(text, "- [ ] T2 b\n- [ ] T3 c\n  with a line\n- [ ] T1 a\n- [ ] T4 d\n- [ ] T5 e\n");
}

#[test]
fn the_same_words_in_two_sections_are_two_entries() {
    let base = "## A\n\n- [ ] write tests\n\n## B\n\n- [ ] write tests\n";
    let ours = "## A\n\n- [x] write tests\n\n## B\n\n- [ ] write tests\n";
    let theirs = "## A\n\n- [ ] write tests\n- [ ] more\n\n## B\n\n- [ ] Write  tests\n";
    let text = merged(base, ours, theirs);
    assert_eq!(text, "## A\n\n- [x] write tests\n- [ ] more\n\n## B\n\n- [ ] Write  tests\n");
}

#[test]
fn a_section_without_entries_gets_them_after_its_heading() {
    let base = "# A\n\n- [ ] one\n- [ ] two\n\n# B\n\nWords.\n";
    let ours = "# A\n\n- [ ] one\n- [ ] two\n\n# B\n\nWords.\n\n- [ ] new\n";
    let theirs = "# A\n\n- [x] one\n- [ ] two\n- [ ] three\n- [ ] four\n\n# B\n\nWords.\n";
    let text = merge(Some(base), ours, theirs).unwrap();
    assert_eq!(text, "# A\n\n- [x] one\n- [ ] two\n- [ ] three\n- [ ] four\n\n# B\n\nWords.\n- [ ] new\n");
}

#[test]
fn text_that_one_side_changed_is_taken_and_text_that_both_changed_is_a_conflict() {
    let base = "# Plan\n\n- [ ] T1 a\n";
    let ours = "# Plan of ours\n\n- [ ] T1 a\n";
    let theirs = "# Plan\n\n- [x] T1 a better\n- [ ] T2 b\n";
    assert_eq!(merged(base, ours, theirs), "# Plan of ours\n\n- [x] T1 a better\n- [ ] T2 b\n");
    assert_eq!(merge(Some(base), ours, "# Their plan\n\n- [ ] T1 a\n"), None);
    assert_eq!(merge(None, ours, theirs), None, "without what was before nobody knows who changed it");
    assert_eq!(merge(Some(base), "# Plan\n\n- [ ] T1 ours\n", "# Plan\n\n- [ ] T1 theirs\n"), None);
    assert_eq!(merge(Some(base), "# Plan\n\n- [ ] T1 a\n- [ ] T1 b\n", theirs), None, "an id that is there twice");
}

#[test]
fn what_only_looks_like_an_entry_is_text() {
    let code = "```\n- [ ] T1 in code\n```\n- [-] not a task\n-[ ] nor this\n- [ ]nor this\n";
    let list = List::parse(code);
    assert_eq!(list.entries().count(), 0);
    assert_eq!(list.to_text(), code);
    let list = List::parse("1. [ ] one\n2) [x] two\n* [X] three\n\t+ [ ] four\n- [ ]\n");
    assert_eq!(list.entries().count(), 5);
}

#[test]
fn ids_are_what_stands_first() {
    for (entry, id) in [
        ("- [ ] T1 a", Some("T1")),
        ("- [ ] T1: a", Some("T1")),
        ("- [ ] AP-12 a", Some("AP-12")),
        ("- [ ] #12 a", Some("#12")),
        ("- [ ] **Setup**: a", Some("bold setup")),
        ("- [ ] <!-- id: x y --> a", Some("id x y")),
        ("- [ ] write T1", None),
        ("- [ ] **two words** a", None),
        ("- [ ] A word", None),
        ("- [ ] 12 a", None),
        ("- [ ] -12 a", None),
        ("- [ ] #tag a", None),
    ] {
        let list = List::parse(entry);
        let found = list.entries().next().map(|entry| entry.key.clone());
        let expected = id.map(|id| parse::Key::Id(id.to_owned(), 0));
        assert_eq!(found.filter(parse::Key::is_explicit), expected, "{entry}");
    }
}

#[test]
fn an_entry_without_an_id_is_the_same_in_any_case_and_spacing_as_long_as_it_is_one_line() {
    let one = merge(None, "- [ ] Buy  milk\n- [ ] more\n", "- [x] buy milk\n").unwrap();
    assert_eq!(one, "- [x] Buy  milk\n- [ ] more\n");
    for (ours, theirs) in [
        ("- [ ] Buy milk\n  two\n", "- [x] buy milk\n  three\n"),
        ("- [ ] Buy milk\n", "- [x] buy milk\n  three\n"),
        ("- [ ] Buy milk\n  two\n", "- [x] buy milk\n"),
        ("- [ ] T1 Buy milk\n", "- [x] T1 buy milk\n"),
    ] {
        assert_eq!(merge(None, ours, theirs), None, "{ours}{theirs}");
    }
}

#[test]
fn a_line_that_is_not_indented_below_an_entry_is_none_of_its_own() {
    let (base, ours) = ("- [ ] T1 a\ntext\n", "- [ ] T1 a\nnew text\n");
    assert_eq!(merged(base, ours, "- [ ] T1 a\n- [ ] T2 b\ntext\n"), "- [ ] T1 a\n- [ ] T2 b\nnew text\n");
}

#[test]
fn a_missing_entry_comes_behind_all_that_is_nested_in_its_predecessor() {
    let base = "- [ ] T1 a\nend\n";
    let ours = "- [ ] T1 a\n  - [ ] T2 b\n    - [ ] T4 d\nnew end\n";
    let expected = "- [ ] T1 a\n  - [ ] T2 b\n    - [ ] T4 d\n- [ ] T3 c\nnew end\n";
    assert_eq!(merged(base, ours, "- [ ] T1 a\n- [ ] T3 c\nend\n"), expected);
}

#[test]
fn a_missing_child_is_indented_as_the_children_that_are_there() {
    let (base, theirs) = ("- [ ] T0 z\n- [ ] T1 a\nend\n", "- [ ] T0 z\n- [ ] T1 a\n  - [ ] T3 c\nend\n");
    let ours = "- [ ] T0 z\n- [ ] T1 a\n    - [ ] T2 b\nnew end\n";
    let expected = "- [ ] T0 z\n- [ ] T1 a\n    - [ ] T3 c\n    - [ ] T2 b\nnew end\n";
    assert_eq!(merged(base, ours, theirs), expected);
    let ours = "- [ ] T0 z\n- [ ] T1 a\nnew end\n";
    assert_eq!(merged(base, ours, theirs), "- [ ] T0 z\n- [ ] T1 a\n  - [ ] T3 c\nnew end\n");
}

#[test]
fn an_empty_line_does_not_end_what_is_nested_and_a_line_of_text_does() {
    let parents = |text: &str| List::parse(text).entries().map(|entry| entry.parent.is_some()).collect::<Vec<_>>();
    assert_eq!(parents("- [ ] a\n\n  - [ ] b\n"), [false, true]);
    assert_eq!(parents("- [ ] a\ntext\n  - [ ] b\n"), [false, false]);
    assert_eq!(parents("- [ ] a\n  text\n  - [ ] b\n"), [false, true]);
}

#[test]
fn the_first_entry_of_a_section_comes_behind_the_empty_line_below_its_heading() {
    let base = "# A\n\n# B\n\n- [ ] T2 b\n\nend\n";
    let theirs = "# A\n\n- [ ] T1 a\n\n# B\n\n- [ ] T2 b\n\nend\n";
    let both = merged(base, &base.replace("end", "new end"), theirs);
    assert!(both.starts_with("# A\n\n- [ ] T1 a\n"), "{both}");
}

#[test]
fn of_two_lists_that_differ_in_their_look_only_theirs_is_taken() {
    assert_eq!(merge(None, "- [x] T1 a\n", "* [ ] T1 a\n").unwrap(), "* [x] T1 a\n");
}

#[test]
fn an_id_that_stands_twice_is_for_a_person() {
    let (twice, once) = ("- [ ] T1 a\n- [ ] T1 b\n", "- [x] T1 a\n");
    assert_eq!((merge(None, twice, once), merge(None, once, twice)), (None, None));
    // The same words twice are two entries.
    let twice = merge(None, "- [ ] a\n- [ ] a\n", "- [ ] a\n- [x] a\n");
    assert_eq!(twice.unwrap(), "- [ ] a\n- [x] a\n");
}

#[test]
fn a_number_of_up_to_nine_digits_begins_an_entry() {
    let entries = |text: &str| List::parse(text).entries().count();
    assert_eq!((entries("123456789. [ ] a\n"), entries("1234567890. [ ] a\n")), (1, 0));
    assert_eq!((entries("1) [x] a\n"), entries("1- [x] a\n"), entries("-[x] a\n")), (1, 0, 0));
}

#[test]
fn a_tab_reaches_to_the_next_multiple_of_four() {
    for (indent, width) in [("", 0), ("   ", 3), ("\t", 4), ("  \t", 4), ("\t ", 5), ("    \t", 8), ("\t\t", 8)] {
        assert_eq!(parse::width(indent), width, "{indent:?}");
    }
}

/// A list of tasks below two headings, some nested, each with an id of its own or none.
fn list() -> impl Strategy<Value = String> {
    let entry = (0_usize..12, any::<bool>(), 0_usize..3, any::<bool>());
    (prop::collection::vec(entry, 0..10), prop::collection::vec((0_usize..8, any::<bool>()), 0..6)).prop_map(
        |(first, second)| {
            let mut text = String::from("# One\n\n");
            let mut seen = Vec::new();
            let mut depth = 0;
            for (id, done, level, has_line) in first {
                if seen.contains(&id) {
                    continue;
                }
                depth = if seen.is_empty() { 0 } else { level.min(depth + 1) };
                seen.push(id);
                let (indent, mark) = ("  ".repeat(depth), if done { 'x' } else { ' ' });
                let name = if id % 2 == 0 { format!("T{id} task") } else { format!("task {id}") };
                text.push_str(&format!("{indent}- [{mark}] {name}\n"));
                if has_line && id % 2 == 0 {
                    text.push_str(&format!("{indent}  about {id}\n"));
                }
            }
            text.push_str("\n# Two\n\nWords.\n\n");
            for (id, done) in second {
                text.push_str(&format!("- [{}] same words {id}\n", if done { 'x' } else { ' ' }));
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_text_is_put_together_as_it_was(text in "[-*# x\\[\\]`\n\tT1.a]{0,60}", list in list()) {
        prop_assert_eq!(List::parse(&text).to_text(), text);
        prop_assert_eq!(List::parse(&list).to_text(), list);
    }

    #[test]
    fn no_entry_is_lost_and_what_is_done_stays_done(base in list(), ours in list(), theirs in list()) {
        for base in [None, Some(base.as_str())] {
            if let Some(result) = merge(base, &ours, &theirs) {
                let result = done(&result);
                for side in [&ours, &theirs] {
                    for (key, was_done) in done(side) {
                        prop_assert!(result.contains_key(&key), "{key} is lost");
                        prop_assert!(result[&key] || !was_done, "{key} is not done any more");
                    }
                }
                let all: std::collections::BTreeSet<_> = done(&ours).into_keys().chain(done(&theirs).into_keys()).collect();
                prop_assert_eq!(result.len(), all.len(), "nothing is made up");
            }
        }
    }

    #[test]
    fn merging_is_the_same_for_both_sides_up_to_order(base in list(), ours in list(), theirs in list()) {
        let (there, back) = (merge(Some(&base), &ours, &theirs), merge(Some(&base), &theirs, &ours));
        if let (Some(there), Some(back)) = (&there, &back) {
            prop_assert_eq!(done(there), done(back));
        }
        prop_assert_eq!(there.is_some(), back.is_some());
    }

    #[test]
    fn merging_once_more_changes_nothing(base in list(), ours in list(), theirs in list()) {
        prop_assert_eq!(merge(Some(&base), &ours, &ours), Some(ours.clone()));
        prop_assert_eq!(merge(None, &ours, &ours), Some(ours.clone()));
        if let Some(result) = merge(Some(&base), &ours, &theirs) {
            prop_assert_eq!(merge(Some(&base), &result, &theirs), Some(result.clone()));
            prop_assert_eq!(done(&merge(Some(&base), &ours, &result).unwrap()), done(&result));
        }
    }

    #[test]
    fn lists_that_differ_in_entries_and_marks_only_are_always_merged(
        ids in prop::collection::vec((0_usize..30, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()), 1..20),
    ) {
        let mut seen = std::collections::BTreeSet::new();
        let (mut ours, mut theirs) = (String::new(), String::new());
        for (id, in_ours, in_theirs, done_ours, done_theirs) in ids.into_iter().filter(|entry| seen.insert(entry.0)) {
            let line = |done| format!("- [{}] T{id} words\n", if done { 'x' } else { ' ' });
            if in_ours { ours.push_str(&line(done_ours)); }
            if in_theirs { theirs.push_str(&line(done_theirs)); }
        }
        prop_assert!(merge(None, &ours, &theirs).is_some(), "{ours}\n{theirs}");
    }

    #[test]
    fn no_text_makes_it_panic(base in "\\PC{0,40}", ours in "[-*# x\\[\\]`\n\tT1.a]{0,60}", theirs in "[-*# x\\[\\]\nT12]{0,60}") {
        let _ = merge(Some(&base), &ours, &theirs);
        let _ = merge(None, &theirs, &base);
    }
}
