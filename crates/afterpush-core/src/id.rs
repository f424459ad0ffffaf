//! Names of things: commits, refs, remotes. Every one is checked once, where it enters the program.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The fewest digits of an object id that count as naming a commit. git's own default abbreviation is seven.
pub const MIN_PREFIX: usize = 7;

/// Tells why a text is not the id or name it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
    #[error("{0:?} is not a full object id (40 or 64 hexadecimal digits)")]
    NotAnObjectId(String),
    /// Not a full ref name.
    #[error("{0:?} is not a full ref name such as refs/heads/main")]
    NotARef(String),
}

/// A full object id of a commit: 40 or 64 lower-case hexadecimal digits, never all zero.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct CommitId(String);

impl CommitId {
    /// Reads a full object id, in either letter case.
    ///
    /// # Errors
    /// [`IdError::NotAnObjectId`] for any other length, any other character, and the all-zero id that git uses for "none".
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let whole = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !whole || text.bytes().all(|b| b == b'0') {
            return Err(IdError::NotAnObjectId(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first seven digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        abbreviated(&self.0)
    }

    /// Tells whether `shown`, a full id or an abbreviation of at least seven digits, names this commit.
    ///
    /// Six digits and fewer never match: that many collide in ordinary repositories.
    #[must_use]
    pub fn is_named_by(&self, shown: &str) -> bool {
        let shown = shown.trim();
        shown.len() >= MIN_PREFIX
            && shown.len() <= self.0.len()
            && shown.bytes().all(|b| b.is_ascii_hexdigit())
            && self.0.as_bytes()[..shown.len()].eq_ignore_ascii_case(shown.as_bytes())
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CommitId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0
    }
}

/// The first seven digits of an object id, for people; a shorter text as it is.
#[must_use]
pub fn abbreviated(id: &str) -> &str {
    id.get(..MIN_PREFIX).unwrap_or(id)
}

/// Tells whether a text can be an abbreviated or full object id: 4 to 64 hexadecimal digits.
#[must_use]
pub fn looks_like_object_id(text: &str) -> bool {
    (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A full ref name on the remote, such as `refs/heads/main`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct RefName(String);

impl RefName {
    /// Reads a full ref name by the rules of git-check-ref-format(1) that matter for safety.
    ///
    /// # Errors
    /// [`IdError::NotARef`] when it does not begin with `refs/`, is over 1,024 bytes, or holds a control character, a
    /// space, `..`, an empty component or a component that begins with a dot.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
        let sound = text.starts_with("refs/")
            && text.len() <= 1024
            && !text.contains(forbidden)
            && !text.contains("..")
            && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        if sound { Ok(Self(text.to_owned())) } else { Err(IdError::NotARef(text.chars().take(80).collect())) }
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The branch name, when this is a branch.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.0.strip_prefix("refs/heads/")
    }

    /// The name that people use: without `refs/heads/` or `refs/tags/`.
    #[must_use]
    pub fn short(&self) -> &str {
        self.branch().or_else(|| self.0.strip_prefix("refs/tags/")).unwrap_or(&self.0)
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RefName {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<RefName> for String {
    fn from(name: RefName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn object_ids_are_full_and_never_zero() {
        assert_eq!(CommitId::parse(&FULL.to_uppercase()).unwrap().as_str(), FULL);
        assert!(CommitId::parse(&"a".repeat(64)).is_ok());
        for bad in ["", "0123456", &FULL[..39], &"0".repeat(40), &"g".repeat(40), &"a".repeat(41)] {
            assert!(CommitId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_prefix_below_seven_digits_never_names_a_commit() {
        let id = CommitId::parse(FULL).unwrap();
        assert!(id.is_named_by(&FULL[..7]));
        assert!(id.is_named_by(&FULL[..7].to_uppercase()));
        assert!(id.is_named_by(FULL));
        assert!(id.is_named_by(&format!(" {FULL}\n")));
        assert!(!id.is_named_by(&FULL[..6]));
        assert!(!id.is_named_by("0123457"));
        assert!(!id.is_named_by(&format!("{FULL}0")));
        assert!(!id.is_named_by(""));
    }

    #[test]
    fn what_may_be_an_object_id_has_four_to_sixty_four_digits() {
        for (text, expected) in [
            ("abc", false),
            ("abcd", true),
            ("ABCD", true),
            ("wxyz", false),
            ("", false),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
        ] {
            assert_eq!(looks_like_object_id(text), expected, "{text}");
        }
        assert_eq!((abbreviated(FULL), abbreviated("012345")), ("0123456", "012345"));
    }

    #[test]
    fn ids_and_names_are_shown_and_written_whole() {
        let (id, name) = (CommitId::parse(FULL).unwrap(), RefName::parse("refs/heads/main").unwrap());
        assert_eq!((id.to_string().as_str(), id.short()), (FULL, "0123456"));
        assert_eq!((name.to_string().as_str(), name.short()), ("refs/heads/main", "main"));
        assert_eq!(serde_json::to_value((&id, &name)).unwrap(), serde_json::json!([FULL, "refs/heads/main"]));
        let read: (CommitId, RefName) = serde_json::from_value(serde_json::json!([FULL, "refs/heads/main"])).unwrap();
        assert_eq!(read, (id, name));
        assert!(serde_json::from_value::<CommitId>(serde_json::json!("main")).is_err());
        assert!(serde_json::from_value::<RefName>(serde_json::json!("main")).is_err());
    }

    #[test]
    fn ref_names_that_could_leave_a_directory_are_refused() {
        assert_eq!(RefName::parse("refs/heads/feature/x").unwrap().branch(), Some("feature/x"));
        assert_eq!(RefName::parse("refs/tags/v1").unwrap().short(), "v1");
        for bad in ["main", "refs/heads/../x", "refs//x", "refs/heads/.git", "refs/heads/a b", "refs/heads/\u{1b}[31m"]
        {
            assert!(RefName::parse(bad).is_err(), "{bad}");
        }
    }
}
