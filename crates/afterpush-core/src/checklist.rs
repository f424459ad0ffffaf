//! Merges two versions of a Markdown task list, entry by entry: what either side has done stays done, and no entry is lost.
//!
//! An entry is known by its id: what stands first after its checkbox, when that is `<!-- id: x -->`, `**x**`, `#12`, `T1` or
//! `AP-12`; else its text, without regard to case and spaces, below its parent entry or in its section. The longer list gives
//! the order and the text around the entries; entries that only the other has are put after their predecessor.
//!
//! Invariant: the result is read again before it is given out, and is refused unless it has every entry of both sides, done
//! where either has it done. What cannot be merged so is a conflict for a person.

mod parse;
mod place;

use std::collections::BTreeMap;

use parse::{Entry, List, Part};

/// Merges `ours` and `theirs`, which both came from `base`. `None`: a person must decide, because both sides changed the same
/// words, or the text around the entries, or a list names one id twice.
#[must_use]
pub fn merge(base: Option<&str>, ours: &str, theirs: &str) -> Option<String> {
    if ours == theirs {
        return Some(ours.to_owned());
    }
    let base = base.map(List::parse);
    let (ours, theirs) = (List::parse(ours), List::parse(theirs));
    if ours.names_an_id_twice() || theirs.names_an_id_twice() {
        return None;
    }
    let leads = ours_leads(base.as_ref(), &ours, &theirs)?;
    let (leading, other) = if leads { (&ours, &theirs) } else { (&theirs, &ours) };
    let mut merged = leading.clone();
    let other_entries = other.by_key();
    let base_entries = base.as_ref().map(List::by_key).unwrap_or_default();
    for part in &mut merged.parts {
        let Part::Entry(entry) = part else { continue };
        let Some(theirs) = other_entries.get(&entry.key) else { continue };
        take_changes(entry, theirs, base_entries.get(&entry.key).copied())?;
    }
    place::insert_missing(&mut merged, other)?;
    let text = merged.to_text();
    has_everything(&List::parse(&text), &[&ours, &theirs]).then_some(text)
}

/// Tells whether our list gives the order and the text around the entries: that of the side that changed this text or, where
/// neither did, of the longer side. Of two that are equally long it is the same one whichever is ours.
fn ours_leads(base: Option<&List>, ours: &List, theirs: &List) -> Option<bool> {
    let rank =
        |list: &List| (list.entries().count(), list.entries().map(|entry| entry.key.clone()).collect::<Vec<_>>());
    let is_longer = rank(ours) > rank(theirs);
    if ours.other_text() == theirs.other_text() {
        return Some(is_longer);
    }
    let base = base?.other_text();
    match (ours.other_text() == base, theirs.other_text() == base) {
        (true, false) => Some(false),
        (false, true) => Some(true),
        _ => None,
    }
}

/// Puts into an entry what the other side did to it.
fn take_changes(entry: &mut Entry, other: &Entry, base: Option<&Entry>) -> Option<()> {
    let mark = entry.done.or(other.done);
    if entry.words() != other.words() {
        let is_base = |side: &Entry| base.is_some_and(|base| base.words() == side.words());
        match (is_base(entry), is_base(other)) {
            (true, _) => entry.replace_words(other),
            (_, true) => {}
            // An entry that is known by its text differs in case and spaces only.
            _ if !entry.key.is_explicit() && !entry.has_more() && !other.has_more() => {}
            _ => return None,
        }
    }
    entry.done = mark;
    Some(())
}

/// Tells whether every entry of the sides is in the list, done where a side has it done.
fn has_everything(list: &List, sides: &[&List]) -> bool {
    let entries = list.by_key();
    let has =
        |wanted: &Entry| entries.get(&wanted.key).is_some_and(|entry| entry.done.is_some() || wanted.done.is_none());
    sides.iter().all(|side| side.entries().all(has))
}

impl List {
    fn by_key(&self) -> BTreeMap<&parse::Key, &Entry> {
        self.entries().map(|entry| (&entry.key, entry)).collect()
    }
}

#[cfg(test)]
mod tests;
