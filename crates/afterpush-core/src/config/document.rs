//! A configuration file with the place of everything in it, so that each refusal names its line. Knows TOML, but no key of ours.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    error::{ConfigError, Place, quoted},
    read::Source,
};
use crate::{duration, text::is_misleading};

/// The largest file that is read, in bytes.
const LARGEST: usize = 256 * 1024;
/// The longest text that a key may have, in characters.
const LONGEST_TEXT: usize = 2_000;

/// One file, whose text is valid TOML.
pub(super) struct Document<'a> {
    source: Source<'a>,
    root: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Parses the file. The parser itself limits the depth of nesting, so its stack is safe.
    pub(super) fn parse(source: Source<'a>) -> Result<Self, ConfigError> {
        if source.text.len() > LARGEST {
            let problem = format!("the file has {} bytes", source.text.len());
            return Err(place(source, 0).error(problem, format!("at most {LARGEST}")));
        }
        let root = DeTable::parse(source.text).map_err(|error| {
            let at = error.span().map_or(source.text.len(), |span| span.start);
            // The parser's message may already say what it expected.
            let (problem, expected) =
                error.message().split_once(", expected ").unwrap_or((error.message(), "valid TOML"));
            place(source, at).error(problem, expected)
        })?;
        Ok(Self { source, root })
    }

    /// The table that is the whole file.
    pub(super) fn root(&self) -> Section<'_> {
        Section {
            source: self.source,
            title: "the file".to_owned(),
            path: String::new(),
            at: 0,
            table: self.root.get_ref(),
        }
    }
}

fn place(source: Source<'_>, at: usize) -> Place {
    let before = &source.text.as_bytes()[..at.min(source.text.len())];
    Place { file: source.name.to_owned(), line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
}

/// A table of the file.
pub(super) struct Section<'d> {
    source: Source<'d>,
    /// Its name in messages, such as `[[target]]`.
    title: String,
    /// What stands before its keys in messages, such as `target.health.`.
    path: String,
    at: usize,
    table: &'d DeTable<'d>,
}

impl<'d> Section<'d> {
    /// Where the table begins.
    pub(super) fn place(&self) -> Place {
        place(self.source, self.at)
    }

    /// An error about the table as a whole; its name stands before `problem`.
    pub(super) fn error(&self, problem: impl Display, expected: impl Into<String>) -> ConfigError {
        self.place().error(format!("{} {problem}", self.title), expected)
    }

    /// Its entries, in the order of the file.
    pub(super) fn entries(&self) -> Vec<Entry<'d>> {
        let mut entries: Vec<Entry<'d>> = self
            .table
            .iter()
            .map(|(key, value)| Entry {
                source: self.source,
                path: format!("{}{}", self.path, shown_key(key.get_ref())),
                key: key.get_ref(),
                at: key.span().start,
                value: value.get_ref(),
            })
            .collect();
        entries.sort_by_key(|entry| entry.at);
        entries
    }

    /// The entry with this key.
    pub(super) fn entry(&self, key: &str) -> Option<Entry<'d>> {
        self.entries().into_iter().find(|entry| entry.key == key)
    }

    /// The error for a key that is not one of `known`.
    pub(super) fn unknown_key(&self, entry: &Entry<'_>, known: &[&str]) -> ConfigError {
        let near = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(&entry.key.chars().take(40).collect::<String>(), known), known))
            .min()
            .filter(|(distance, _)| *distance <= 2);
        let list = known.join(", ");
        let expected = match (known.len(), near) {
            (1, _) => list,
            (_, None) => format!("one of {list}"),
            (_, Some((_, near))) => format!("one of {list} (did you mean {near:?}?)"),
        };
        place(self.source, entry.at).error(format!("unknown key {} in {}", quoted(entry.key), self.title), expected)
    }
}

/// A key as it stands in a path: as it is when it is a bare key of TOML, else quoted.
fn shown_key(key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.len() <= 60 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { key.to_owned() } else { quoted(key) }
}

/// A key of a table, or an item of an array, with its value.
pub(super) struct Entry<'d> {
    source: Source<'d>,
    path: String,
    /// The key; of an item of an array, the array's key.
    pub(super) key: &'d str,
    at: usize,
    value: &'d DeValue<'d>,
}

impl<'d> Entry<'d> {
    /// The value as the parser gave it.
    pub(super) fn value(&self) -> &'d DeValue<'d> {
        self.value
    }

    /// Where the entry is.
    pub(super) fn place(&self) -> Place {
        place(self.source, self.at)
    }

    /// An error about the entry; its path stands before `problem`.
    pub(super) fn error(&self, problem: impl Display, expected: impl Into<String>) -> ConfigError {
        self.place().error(format!("{} {problem}", self.path), expected)
    }

    /// The error for a value that is not `expected`.
    pub(super) fn wrong_value(&self, expected: impl Into<String>) -> ConfigError {
        match self.value {
            DeValue::String(text) => self.error(format_args!("is {}", quoted(text)), expected),
            DeValue::Integer(number) => self.error(format_args!("is {}", shown_number(number.as_str())), expected),
            DeValue::Float(number) => self.error(format_args!("is {}", shown_number(number.as_str())), expected),
            DeValue::Array(_) => self.error("is an array", expected),
            other => self.error(format_args!("is a {}", other.type_str()), expected),
        }
    }

    /// A text of sound characters that is not empty.
    pub(super) fn text(&self, expected: &str) -> Result<&'d str, ConfigError> {
        match self.value {
            DeValue::String(text) if !text.is_empty() => {
                self.check_characters(text)?;
                Ok(text)
            }
            _ => Err(self.wrong_value(expected)),
        }
    }

    /// A text that `check` accepts.
    pub(super) fn text_that(&self, check: impl Fn(&str) -> bool, expected: &str) -> Result<&'d str, ConfigError> {
        let text = self.text(expected)?;
        if check(text) { Ok(text) } else { Err(self.wrong_value(expected)) }
    }

    /// Refuses characters that a reader does not see, and texts without end.
    pub(super) fn check_characters(&self, text: &str) -> Result<(), ConfigError> {
        if text.contains(|c: char| c.is_control() || is_misleading(c)) {
            let problem = format!("is {}, which holds a control or invisible character", quoted(text));
            return Err(self.error(problem, "visible characters on one line"));
        }
        if text.chars().nth(LONGEST_TEXT).is_some() {
            return Err(self.error(
                format_args!("is a text of {} characters", text.chars().count()),
                format!("at most {LONGEST_TEXT}"),
            ));
        }
        Ok(())
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Result<bool, ConfigError> {
        self.value.as_bool().ok_or_else(|| self.wrong_value("true or false"))
    }

    /// A whole number within the range.
    pub(super) fn whole_number(&self, range: RangeInclusive<u32>) -> Result<u32, ConfigError> {
        self.value
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.wrong_value(format!("a whole number from {} to {}", range.start(), range.end())))
    }

    /// A number within the range.
    pub(super) fn number(&self, range: RangeInclusive<f64>) -> Result<f64, ConfigError> {
        let number = match self.value {
            DeValue::Integer(number) => i32::from_str_radix(number.as_str(), number.radix()).ok().map(f64::from),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.wrong_value(format!("a number from {:.1} to {:.1}", range.start(), range.end())))
    }

    /// A duration above zero.
    pub(super) fn duration(&self) -> Result<Duration, ConfigError> {
        const EXPECTED: &str = "a duration above zero such as \"200ms\", \"5s\", \"1m30s\" or \"2h\"";
        match duration::parse(self.text(EXPECTED)?) {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            Err(duration::DurationError::TooLong(_)) => Err(self.wrong_value("at most \"36500d\"")),
            _ => Err(self.wrong_value(EXPECTED)),
        }
    }

    /// A table, by its name in messages.
    pub(super) fn section(&self, title: &str) -> Result<Section<'d>, ConfigError> {
        let table = self.value.as_table().ok_or_else(|| self.wrong_value(format!("a table, {title}")))?;
        Ok(Section {
            source: self.source,
            title: title.to_owned(),
            path: format!("{}.", self.path),
            at: self.at,
            table,
        })
    }

    /// The items of an array.
    pub(super) fn items(&self, expected: &str) -> Result<Vec<Entry<'d>>, ConfigError> {
        let array = self.value.as_array().ok_or_else(|| self.wrong_value(expected))?;
        let item = |item: &'d Spanned<DeValue<'d>>| Entry {
            source: self.source,
            path: self.path.clone(),
            key: self.key,
            at: item.span().start,
            value: item.get_ref(),
        };
        Ok(array.iter().map(item).collect())
    }
}

fn shown_number(digits: &str) -> String {
    digits.chars().take(40).collect()
}
