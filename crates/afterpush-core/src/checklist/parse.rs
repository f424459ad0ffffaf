//! Takes a Markdown text apart into task entries and everything else, line by line, and puts it together again unchanged.

use std::{collections::BTreeMap, mem};

/// A text, taken apart.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub(super) parts: Vec<Part>,
    ends_with_newline: bool,
}

/// A piece of the text.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// A line that belongs to no entry.
    Text(String),
    /// A task entry with the lines that belong to it.
    Entry(Box<Entry>),
}

/// What an entry is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Its own id; the second is how many entries before it have the same one.
    Id(String, usize),
    /// Its text below what it stands in, and how many entries before it are the same.
    Text(Option<Box<Key>>, String, String, usize),
}

impl Key {
    /// Tells whether it is an id that the writer gave.
    pub(super) fn is_explicit(&self) -> bool {
        matches!(self, Self::Id(..))
    }
}

/// A task entry.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// The parent's key.
    pub(super) parent: Option<Key>,
    /// The heading that it stands under, normalised.
    pub(super) section: String,
    pub(super) indent: String,
    /// `-`, `*`, `+` or a number, with the spaces after it.
    bullet: String,
    /// The character in its checkbox; `None` for a space.
    pub(super) done: Option<char>,
    /// What stands after the checkbox.
    text: String,
    /// Further lines, as they are.
    more: Vec<String>,
}

impl Entry {
    /// What it says, without regard to its place.
    pub(super) fn words(&self) -> (&str, Vec<&str>) {
        (self.text.trim(), self.more.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect())
    }

    /// Says what the other says.
    pub(super) fn replace_words(&mut self, other: &Self) {
        let mut other = other.clone();
        other.indent_as(&self.indent);
        self.text = other.text;
        self.more = other.more;
    }

    /// Tells whether it has lines beyond its first.
    pub(super) fn has_more(&self) -> bool {
        !self.words().1.is_empty()
    }

    /// Moves the entry with its lines to another indentation.
    pub(super) fn indent_as(&mut self, indent: &str) {
        let old = mem::replace(&mut self.indent, indent.to_owned());
        for line in self.more.iter_mut().filter(|line| !line.trim().is_empty()) {
            if let Some(rest) = line.strip_prefix(old.as_str()) {
                *line = format!("{indent}{rest}");
            }
        }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let first = format!("{}{}[{}] {}", self.indent, self.bullet, self.done.unwrap_or(' '), self.text);
        [first].into_iter().chain(self.more.iter().cloned())
    }
}

impl List {
    pub(super) fn parse(text: &str) -> Self {
        let mut reader = Reader::default();
        let ends_with_newline = text.ends_with('\n');
        let text = text.strip_suffix('\n').unwrap_or(text);
        for line in text.split('\n') {
            reader.take(line);
        }
        Self { parts: reader.parts, ends_with_newline }
    }

    pub(super) fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(line) => lines.push(line.clone()),
                Part::Entry(entry) => lines.extend(entry.lines()),
            }
        }
        lines.join("\n") + if self.ends_with_newline { "\n" } else { "" }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().filter_map(|part| if let Part::Entry(entry) = part { Some(&**entry) } else { None })
    }

    /// The lines that belong to no entry, without regard to spaces and empty lines.
    pub(super) fn other_text(&self) -> Vec<&str> {
        let lines =
            self.parts.iter().filter_map(|part| if let Part::Text(line) = part { Some(line.trim_end()) } else { None });
        lines.filter(|line| !line.is_empty()).collect()
    }

    pub(super) fn names_an_id_twice(&self) -> bool {
        self.entries().any(|entry| matches!(entry.key, Key::Id(_, before) if before > 0))
    }
}

/// The state of a reading.
#[derive(Default)]
struct Reader {
    parts: Vec<Part>,
    section: String,
    /// The entries that the next one may be nested in, the innermost last: the width of their indentation, and their key.
    open: Vec<(usize, Key)>,
    /// The fence that a block of code ends with.
    fence: Option<String>,
    seen: BTreeMap<Key, usize>,
}

impl Reader {
    fn take(&mut self, line: &str) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let inside = self.open.last().is_some_and(|(outer, _)| width(indent) > *outer);
        if let Some(fence) = &self.fence {
            if line.trim().starts_with(fence.as_str()) {
                self.fence = None;
            }
            return self.add_line(line, inside || line.trim().is_empty());
        }
        self.fence = ["```", "~~~"].iter().find(|it| line.trim_start().starts_with(**it)).map(|it| (*it).to_owned());
        if self.fence.is_none()
            && let Some((bullet, done, text)) = task(&line[indent.len()..])
        {
            return self.add_entry(indent, bullet, done, text);
        }
        if line.starts_with('#') {
            self.section = normalised(line);
            self.open.clear();
        }
        self.add_line(line, inside);
    }

    /// Adds a line to the entry before it when it is indented below it, else to the text around.
    fn add_line(&mut self, line: &str, inside: bool) {
        match self.parts.last_mut() {
            Some(Part::Entry(entry)) if inside => entry.more.push(line.to_owned()),
            _ => {
                if !line.trim().is_empty() && !inside {
                    self.open.clear();
                }
                self.parts.push(Part::Text(line.to_owned()));
            }
        }
    }

    fn add_entry(&mut self, indent: &str, bullet: &str, done: Option<char>, text: &str) {
        while self.open.last().is_some_and(|(outer, _)| *outer >= width(indent)) {
            self.open.pop();
        }
        let parent = self.open.last().map(|(_, key)| key.clone());
        let section = if parent.is_some() { String::new() } else { self.section.clone() };
        let key = |before| match explicit_id(text) {
            Some(id) => Key::Id(id, before),
            None => Key::Text(parent.clone().map(Box::new), section.clone(), normalised(text), before),
        };
        let before = self.seen.entry(key(0)).or_default();
        let key = key(*before);
        *before += 1;
        self.open.push((width(indent), key.clone()));
        self.parts.push(Part::Entry(Box::new(Entry {
            key,
            parent,
            section: self.section.clone(),
            indent: indent.to_owned(),
            bullet: bullet.to_owned(),
            done,
            text: text.to_owned(),
            more: Vec::new(),
        })));
    }
}

/// How far an indentation goes; a tab goes to the next multiple of four.
pub(super) fn width(indent: &str) -> usize {
    indent.chars().fold(0, |width, c| if c == '\t' { width / 4 * 4 + 4 } else { width + 1 })
}

/// Takes a task entry without its indentation apart: bullet, mark, text.
fn task(line: &str) -> Option<(&str, Option<char>, &str)> {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let sign = if digits == 0 { ['-', '*', '+'].as_slice() } else { ['.', ')'].as_slice() };
    let after = line[digits..].strip_prefix(sign)?;
    let rest = after.trim_start_matches(' ');
    if rest.len() == after.len() || digits > 9 {
        return None;
    }
    let bullet = &line[..line.len() - rest.len()];
    let mut characters = rest.strip_prefix('[')?.chars();
    let mark = characters.next()?;
    let text = characters.as_str().strip_prefix(']')?;
    let text = if text.trim().is_empty() { text.trim_start_matches(' ') } else { text.strip_prefix([' ', '\t'])? };
    match mark {
        ' ' => Some((bullet, None, text)),
        'x' | 'X' => Some((bullet, Some(mark), text)),
        _ => None,
    }
}

/// The id that stands first in the text of an entry.
fn explicit_id(text: &str) -> Option<String> {
    let text = text.trim_start();
    if let Some(comment) = text.strip_prefix("<!--") {
        let id = comment.split_once("-->")?.0.trim().strip_prefix("id:")?.trim();
        return (!id.is_empty()).then(|| format!("id {id}"));
    }
    if let Some(bold) = text.strip_prefix("**") {
        let id = bold.split_once("**")?.0.trim().trim_end_matches(':');
        return (!id.is_empty() && !id.contains(char::is_whitespace)).then(|| format!("bold {}", id.to_lowercase()));
    }
    let word = text.split(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '.' | ')' | '(')).next()?;
    if let Some(number) = word.strip_prefix('#') {
        return (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then(|| word.to_owned());
    }
    let letters = word.len() - word.trim_start_matches(|c: char| c.is_ascii_uppercase()).len();
    let number = word[letters..].strip_prefix(['-', '_']).unwrap_or(&word[letters..]);
    let is_id = letters > 0 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    is_id.then(|| word.to_owned())
}

fn normalised(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
