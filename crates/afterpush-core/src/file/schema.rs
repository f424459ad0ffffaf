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
    serde_json::from_slice(text).map_err(unreadable)
}
