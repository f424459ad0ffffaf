//! Format versions: which document a file says it is, and whether this program may read it.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SchemaName {
    /// request.json
    #[serde(rename = "afterpush.request")]
    Request,
    /// status.json, and what `status --json` prints
    #[serde(rename = "afterpush.status")]
    Status,
    /// result.json
    #[serde(rename = "afterpush.result")]
    Result,
}

impl SchemaName {
    /// The name as it stands in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "afterpush.request",
            Self::Status => "afterpush.status",
            Self::Result => "afterpush.result",
        }
    }
}

/// Which document a file is, and of which version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Schema {
    /// The document.
    pub name: SchemaName,
    /// Readers refuse another major.
    pub major: u32,
    /// Readers accept any minor.
    pub minor: u32,
}

impl Schema {
    /// The major version that this program reads and writes.
    pub const MAJOR: u32 = 1;
    /// The minor version that this program writes.
    pub const MINOR: u32 = 1;

    /// The version of `name` that this program writes.
    #[must_use]
    pub fn current(name: SchemaName) -> Self {
        Self { name, major: Self::MAJOR, minor: Self::MINOR }
    }
}

/// Tells why a file's text cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// It is not the JSON that it should be.
    #[error("not a readable {} document", .0.word())]
    Unreadable(SchemaName, #[source] serde_json::Error),
    /// It says that it is another document.
    #[error("this is a {found:?} document, not {}", .expected.word())]
    OtherDocument {
        /// What was asked for.
        expected: SchemaName,
        /// What the file says that it is.
        found: String,
    },
    /// A newer afterpush wrote it.
    #[error(
        "written in format {found}, and this afterpush reads format {}: install the newer afterpush",
        Schema::MAJOR
    )]
    OtherMajor {
        /// The file's major version.
        found: u64,
    },
    /// A newer afterpush wrote it, of a format that can be read, with a word that this one does not know.
    #[error(
        "written in format {}.{found}, with what this afterpush, of format {}.{}, does not know: install the newer afterpush",
        Schema::MAJOR,
        Schema::MAJOR,
        Schema::MINOR
    )]
    NewerMinor {
        /// The file's minor version.
        found: u64,
        /// What is not known.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads a document after checking that it is the one expected, of a version that this program knows.
///
/// # Errors
/// [`FileError`], whose text says what is wrong; the caller adds the path.
pub fn read<T: DeserializeOwned>(text: &[u8], expected: SchemaName) -> Result<T, FileError> {
    #[derive(Deserialize)]
    struct Envelope {
        schema: Loose,
    }
    #[derive(Deserialize)]
    struct Loose {
        name: String,
        major: u64,
        #[serde(default)]
        minor: u64,
    }
    let unreadable = |source| FileError::Unreadable(expected, source);
    let envelope: Envelope = serde_json::from_slice(text).map_err(unreadable)?;
    if envelope.schema.name != expected.word() {
        let found = envelope.schema.name.chars().take(80).collect();
        return Err(FileError::OtherDocument { expected, found });
    }
    if envelope.schema.major != u64::from(Schema::MAJOR) {
        return Err(FileError::OtherMajor { found: envelope.schema.major });
    }
    let found = envelope.schema.minor;
    serde_json::from_slice(text).map_err(|source| {
        if found > u64::from(Schema::MINOR) { FileError::NewerMinor { found, source } } else { unreadable(source) }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::run::Phase;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Body {
        schema: Schema,
        phase: Phase,
    }

    fn file(name: &str, version: &str, phase: &str) -> Result<Body, FileError> {
        let text = format!(r#"{{"schema": {{"name": "{name}", {version}}}, "phase": "{phase}", "added_later": 1}}"#);
        read(text.as_bytes(), SchemaName::Status)
    }

    fn refusal(name: &str, version: &str, phase: &str) -> String {
        file(name, version, phase).unwrap_err().to_string()
    }

    #[test]
    fn every_minor_version_of_the_major_is_read_as_far_as_it_is_known() {
        for minor in [0, Schema::MINOR, 7] {
            let body = file("afterpush.status", &format!(r#""major": 1, "minor": {minor}"#), "deploying").unwrap();
            let schema = Schema { name: SchemaName::Status, major: 1, minor };
            assert_eq!(body, Body { schema, phase: Phase::Deploying });
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_reason_and_what_to_do() {
        let newer = refusal("afterpush.status", r#""major": 2, "minor": 0"#, "deploying");
        assert_eq!(newer, "written in format 2, and this afterpush reads format 1: install the newer afterpush");
        let newer = refusal("afterpush.status", r#""major": 1, "minor": 2"#, "pondering");
        assert_eq!(
            newer,
            "written in format 1.2, with what this afterpush, of format 1.1, does not know: install the newer afterpush"
        );
        let ours = refusal("afterpush.status", r#""major": 1, "minor": 1"#, "pondering");
        assert_eq!(ours, "not a readable afterpush.status document");
        let other = refusal("afterpush.result", r#""major": 1, "minor": 1"#, "deploying");
        assert_eq!(other, r#"this is a "afterpush.result" document, not afterpush.status"#);
        assert!(matches!(read::<Body>(b"{", SchemaName::Status), Err(FileError::Unreadable(SchemaName::Status, _))));
    }

    #[test]
    fn a_document_is_named_in_messages_as_in_files() {
        for name in [SchemaName::Request, SchemaName::Status, SchemaName::Result] {
            assert_eq!(serde_json::to_value(name).unwrap(), name.word());
        }
    }
}
