//! The files of a run, which another version of afterpush may have written, and another program may have damaged.

use afterpush_core::file::{Report, Request, SchemaName, read};
use serde::{Serialize, de::DeserializeOwned};

/// status.json
pub(super) fn status(data: &[u8]) {
    keeps_what_it_says::<Report>(data, SchemaName::Status);
}

/// result.json
pub(super) fn result(data: &[u8]) {
    keeps_what_it_says::<Report>(data, SchemaName::Result);
}

/// request.json
pub(super) fn request(data: &[u8]) {
    keeps_what_it_says::<Request>(data, SchemaName::Request);
}

/// A file that is read and written again says the same; no other document is taken for it.
fn keeps_what_it_says<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(data: &[u8], name: SchemaName) {
    let Ok(document) = read::<T>(data, name) else { return };
    let text = serde_json::to_vec(&document).expect("what was read can be written");
    let again: T = read(&text, name).expect("what was written can be read");
    assert_eq!(again, document);
    for other in [SchemaName::Request, SchemaName::Status, SchemaName::Result] {
        assert!(other == name || read::<T>(data, other).is_err(), "also taken for {}", other.word());
    }
}
