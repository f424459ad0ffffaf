//! `target.health`: where to ask the deployed application, what is a sound answer, and where it names its commit.
//!
//! Invariant: a whole address comes out of a repository's file only when it is trusted, and then over https only.

use std::time::Duration;

use super::{
    CommitAssertion, ConfigError, HealthAddress, HealthConfig, address,
    document::{Entry, Section},
    error::Place,
    read::{Author, Reading},
};

const KEYS: [&str; 7] = ["path", "url", "status", "commit", "passes", "failures", "timeout"];
const LONGEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Long enough for any answer's form; a longer one only costs time.
const LONGEST_REGEX: usize = 1_000;

/// A target's health check, as far as one file says.
#[derive(Debug, Clone)]
pub(super) struct HealthLayer {
    place: Place,
    address: Option<HealthAddress>,
    /// The sentence about an address that is not trusted, for when no other address takes its place.
    withheld: Option<String>,
    status: Option<Vec<u16>>,
    commit: Option<CommitAssertion>,
    passes: Option<u32>,
    failures: Option<u32>,
    timeout: Option<Duration>,
}

impl HealthLayer {
    pub(super) fn read(entry: &Entry<'_>, target: &str, reading: &Reading<'_>) -> Result<Self, ConfigError> {
        let mut layer = Self {
            place: entry.place(),
            address: None,
            withheld: None,
            status: None,
            commit: None,
            passes: None,
            failures: None,
            timeout: None,
        };
        let section = entry.section("[target.health]")?;
        for entry in section.entries() {
            match entry.key {
                "path" | "url" if layer.address.is_some() || layer.withheld.is_some() => {
                    return Err(section.error("has both path and url", "one of them"));
                }
                "path" => layer.address = Some(path(&entry)?),
                "url" => {
                    let url = url(&entry, reading.author)?;
                    if reading.author == Author::UntrustedRepository {
                        layer.withheld = Some(reading.untrusted(target, "health.url"));
                    } else {
                        layer.address = Some(url);
                    }
                }
                "status" => layer.status = Some(status_codes(&entry)?),
                "commit" => layer.commit = Some(commit_assertion(&entry)?),
                "passes" => layer.passes = Some(entry.whole_number(1..=20)?),
                "failures" => layer.failures = Some(entry.whole_number(1..=100)?),
                "timeout" => layer.timeout = Some(timeout(&entry)?),
                _ => return Err(section.unknown_key(&entry, &KEYS)),
            }
        }
        Ok(layer)
    }

    /// Puts the user's layer over this one, key by key; path and url are one thing.
    pub(super) fn overlaid_by(self, upper: Self) -> Self {
        Self {
            place: upper.place,
            address: upper.address.or(self.address),
            withheld: upper.withheld.or(self.withheld),
            status: upper.status.or(self.status),
            commit: upper.commit.or(self.commit),
            passes: upper.passes.or(self.passes),
            failures: upper.failures.or(self.failures),
            timeout: upper.timeout.or(self.timeout),
        }
    }

    /// The health check; none, with a sentence why, when its only address is not trusted.
    pub(super) fn finish(self, left_out: &mut Vec<String>) -> Result<Option<HealthConfig>, ConfigError> {
        let address = match (self.address, self.withheld) {
            (Some(address), _) => address,
            (None, Some(sentence)) => {
                left_out.push(sentence);
                return Ok(None);
            }
            (None, None) => {
                let expected = "path = \"/health\", or url = \"https://...\"";
                return Err(self.place.error("target.health has neither path nor url", expected));
            }
        };
        Ok(Some(HealthConfig {
            address,
            status: self.status.unwrap_or_else(|| vec![200]),
            commit: self.commit,
            passes: self.passes.unwrap_or(3),
            failures: self.failures.unwrap_or(5),
            timeout: self.timeout.unwrap_or(Duration::from_secs(10)),
        }))
    }
}

fn path(entry: &Entry<'_>) -> Result<HealthAddress, ConfigError> {
    let expected =
        "a path such as \"/health\": one slash first, printable ASCII without \"..\", \"@\", \"#\" and backslash";
    Ok(HealthAddress::Path(entry.text_that(address::is_sound_path, expected)?.to_owned()))
}

fn url(entry: &Entry<'_>, author: Author) -> Result<HealthAddress, ConfigError> {
    let user_named = author == Author::User;
    let expected = if user_named {
        "an http:// or https:// address without user name and fragment"
    } else {
        "an https:// address without user name and fragment (http:// only in your own configuration file)"
    };
    let is_sound =
        |url: &str| address::parse(url).is_some_and(|url| (user_named || url.is_encrypted) && !url.rest.contains('#'));
    Ok(HealthAddress::Url { url: entry.text_that(is_sound, expected)?.to_owned(), user_named })
}

fn status_codes(entry: &Entry<'_>) -> Result<Vec<u16>, ConfigError> {
    const EXPECTED: &str = "a status code from 200 to 599, or an array of them such as [200, 204]";
    let one = |entry: &Entry<'_>| {
        entry
            .whole_number(200..=599)
            .ok()
            .and_then(|code| u16::try_from(code).ok())
            .ok_or_else(|| entry.wrong_value(EXPECTED))
    };
    if entry.value().is_integer() {
        return Ok(vec![one(entry)?]);
    }
    let mut codes = entry.items(EXPECTED)?.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    if codes.is_empty() {
        return Err(entry.error("is an empty array", EXPECTED));
    }
    codes.sort_unstable();
    codes.dedup();
    Ok(codes)
}

fn timeout(entry: &Entry<'_>) -> Result<Duration, ConfigError> {
    let timeout = entry.duration()?;
    if timeout > LONGEST_TIMEOUT { Err(entry.wrong_value("at most \"20s\"")) } else { Ok(timeout) }
}

fn commit_assertion(entry: &Entry<'_>) -> Result<CommitAssertion, ConfigError> {
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
    const KEYS: [&str; 3] = ["pointer", "header", "regex"];
    let entries = section.entries();
    if let Some(unknown) = entries.iter().find(|entry| !KEYS.contains(&entry.key)) {
        return Err(section.unknown_key(unknown, &KEYS));
    }
    let [entry] = entries.as_slice() else {
        return Err(
            section.error(format_args!("has {} keys", entries.len()), format!("exactly one of {}", KEYS.join(", ")))
        );
    };
    match entry.key {
        "pointer" => pointer(entry),
        "header" => header(entry),
        _ => regex(entry),
    }
}

fn pointer(entry: &Entry<'_>) -> Result<CommitAssertion, ConfigError> {
    // RFC 6901: a tilde only as ~0 or ~1.
    let is_pointer =
        |text: &str| text.starts_with('/') && text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    Ok(CommitAssertion::Pointer(
        entry.text_that(is_pointer, "a JSON pointer such as \"/commit\" or \"/build/commit\"")?.to_owned(),
    ))
}

fn header(entry: &Entry<'_>) -> Result<CommitAssertion, ConfigError> {
    let name = entry.text_that(is_header_name, "the name of a response header such as \"x-commit\"")?;
    Ok(CommitAssertion::Header(name.to_ascii_lowercase()))
}

fn regex(entry: &Entry<'_>) -> Result<CommitAssertion, ConfigError> {
    let is_short = |text: &str| text.len() <= LONGEST_REGEX;
    let expected = "a regular expression of at most 1000 bytes";
    Ok(CommitAssertion::Regex(entry.text_that(is_short, expected)?.to_owned()))
}

/// A token of RFC 9110, section 5.6.2.
fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
