//! Puts the entries that only one list has into the other: after their predecessor, below their parent, in their section.

use std::collections::BTreeSet;

use super::parse::{Entry, Key, List, Part, width};

/// Inserts what `merged` lacks of `other`. `None` when there is no place for an entry.
pub(super) fn insert_missing(merged: &mut List, other: &List) -> Option<()> {
    let mut known: BTreeSet<Key> = merged.entries().map(|entry| entry.key.clone()).collect();
    let entries: Vec<&Entry> = other.entries().collect();
    for (index, entry) in entries.iter().enumerate() {
        if known.contains(&entry.key) {
            continue;
        }
        let is_sibling = |it: &&&Entry| it.parent == entry.parent && it.section == entry.section;
        // What stands before it has been put in already.
        let before = entries[..index].iter().rev().find(is_sibling);
        let after = entries[index..].iter().filter(is_sibling).find(|it| known.contains(&it.key));
        let (at, indent) = match (before, &entry.parent, after) {
            (Some(before), ..) => {
                let place = position(merged, &before.key)?;
                (end_of_subtree(merged, place), indent_at(merged, place))
            }
            (None, Some(parent), _) => {
                let place = position(merged, parent)?;
                (place + 1, child_indent(merged, place, entries.iter().find(|it| it.key == *parent)?, entry))
            }
            (None, None, Some(after)) => {
                let place = position(merged, &after.key)?;
                (place, indent_at(merged, place))
            }
            (None, None, None) => (begin_of_section(merged, other, &entry.section)?, entry.indent.clone()),
        };
        let mut new = (*entry).clone();
        new.indent_as(&indent);
        merged.parts.insert(at, Part::Entry(Box::new(new)));
        known.insert(entry.key.clone());
    }
    Some(())
}

fn entry_at(list: &List, place: usize) -> Option<&Entry> {
    if let Some(Part::Entry(entry)) = list.parts.get(place) { Some(entry) } else { None }
}

fn position(list: &List, key: &Key) -> Option<usize> {
    (0..list.parts.len()).find(|place| entry_at(list, *place).is_some_and(|entry| entry.key == *key))
}

fn indent_at(list: &List, place: usize) -> String {
    entry_at(list, place).map(|entry| entry.indent.clone()).unwrap_or_default()
}

/// The place after an entry and everything nested in it.
fn end_of_subtree(list: &List, place: usize) -> usize {
    let outer = width(&indent_at(list, place));
    let mut end = place + 1;
    while entry_at(list, end).is_some_and(|entry| width(&entry.indent) > outer) {
        end += 1;
    }
    end
}

/// The indentation of a child: as of the children that are there, else as deep below its parent as it was.
fn child_indent(list: &List, parent: usize, old_parent: &Entry, child: &Entry) -> String {
    let new = indent_at(list, parent);
    if let Some(first) = entry_at(list, parent + 1).filter(|first| width(&first.indent) > width(&new)) {
        return first.indent.clone();
    }
    let deeper = child.indent.strip_prefix(old_parent.indent.as_str()).unwrap_or("  ");
    format!("{new}{deeper}")
}

/// The place of a section's first entry: after its heading and the text that follows in the other list before the entry.
fn begin_of_section(list: &List, other: &List, section: &str) -> Option<usize> {
    let first = other.parts.iter().position(|part| matches!(part, Part::Entry(entry) if entry.section == section))?;
    // What leads to it there must lead to it here: the same line of text, and no other.
    let lead = other.parts[..first].iter().rev().find_map(line);
    let Some(lead) = lead else { return Some(0) };
    let mut places = (0..list.parts.len()).filter(|place| line(&list.parts[*place]) == Some(lead));
    let (Some(place), None) = (places.next(), places.next()) else { return None };
    let blank = |part: &Part| matches!(part, Part::Text(text) if text.trim().is_empty());
    let gap = other.parts[..first].last().is_some_and(blank) && list.parts.get(place + 1).is_some_and(blank);
    Some(place + 1 + usize::from(gap))
}

/// A line of text that is not empty.
fn line(part: &Part) -> Option<&str> {
    if let Part::Text(text) = part { Some(text.trim_end()).filter(|text| !text.is_empty()) } else { None }
}
