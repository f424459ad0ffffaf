//! `target.health.commit`: where an answer names its commit.

use super::{ConfigError, Entry, values::is_pointer};
use crate::config::{CommitAssertion, document::Section};

/// Long enough for any answer's form; a longer one only costs time.
const LONGEST_REGEX: usize = 1_000;

pub(super) fn assertion(entry: &Entry<'_>) -> Result<CommitAssertion, ConfigError> {
    if entry.value().is_table() {
        return explicit_assertion(&entry.section("[target.health.commit]")?);
    }
    let text = entry
        .text("a JSON pointer such as \"/commit\", a header's name, a regular expression, or { regex = \"...\" }")?;
    if text.starts_with('/') {
        pointer(entry)
    } else if is_header_name(text) {
        header(entry)
    } else {
        regex(entry)
    }
}

fn explicit_assertion(section: &Section<'_>) -> Result<CommitAssertion, ConfigError> {
    const KEYS: [&str; 4] = ["pointer", "header", "meta", "regex"];
    let entries = section.entries();
    if let Some(unknown) = entries.iter().find(|entry| !KEYS.contains(&entry.key)) {
        return Err(section.unknown_key(unknown, &KEYS));
    }
    match entries.as_slice() {
        [entry] => match entry.key {
            "pointer" => pointer(entry),
            "header" => header(entry),
            "meta" => meta(entry),
            _ => regex(entry),
        },
        [one, other] => {
            match (section.entry("header"), section.entry("regex")) {
                (Some(name), Some(pattern)) => {
                    Ok(CommitAssertion::Header { name: header_name(&name)?, regex: Some(short_regex(&pattern)?) })
                }
                _ => Err(section
                    .error(format_args!("has both {} and {}", one.key, other.key), "header with regex, or one key")),
            }
        }
        _ => {
            let problem = format!("has {} keys", entries.len());
            Err(section.error(problem, format!("exactly one of {}, or header with regex", KEYS.join(", "))))
        }
    }
}

fn pointer(entry: &Entry<'_>) -> Result<CommitAssertion, ConfigError> {
    let expected = "a JSON pointer such as \"/commit\" or \"/build/commit\"";
    Ok(CommitAssertion::Pointer(entry.text_that(is_pointer, expected)?.to_owned()))
}

fn header(entry: &Entry<'_>) -> Result<CommitAssertion, ConfigError> {
    Ok(CommitAssertion::Header { name: header_name(entry)?, regex: None })
}

fn header_name(entry: &Entry<'_>) -> Result<String, ConfigError> {
    let name = entry.text_that(is_header_name, "the name of a response header such as \"x-commit\"")?;
    Ok(name.to_ascii_lowercase())
}

fn meta(entry: &Entry<'_>) -> Result<CommitAssertion, ConfigError> {
    let is_name = |name: &str| name.len() <= 256 && !name.contains(['<', '>', '"', '\'']);
    Ok(CommitAssertion::Meta(entry.text_that(is_name, "the name of a meta tag such as \"commit\"")?.to_owned()))
}

fn regex(entry: &Entry<'_>) -> Result<CommitAssertion, ConfigError> {
    Ok(CommitAssertion::Regex(short_regex(entry)?))
}

fn short_regex(entry: &Entry<'_>) -> Result<String, ConfigError> {
    let is_short = |text: &str| text.len() <= LONGEST_REGEX;
    Ok(entry.text_that(is_short, "a regular expression of at most 1000 bytes")?.to_owned())
}

/// A token of RFC 9110, section 5.6.2.
fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
