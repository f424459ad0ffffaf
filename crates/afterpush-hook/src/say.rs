//! What the hook tells the person, on standard error.
//!
//! Invariant: a closed pipe or a full disk behind standard error changes nothing; so no `eprintln!`, which panics there.

use std::{
    error::Error,
    io::{self, Write},
};

use afterpush_core::{fault::with_causes, text};

/// The longest text of foreign origin in one line.
const LONGEST: usize = 300;

/// Says one line; it begins with the program's name.
pub(crate) fn line(text: &str) {
    let _ = io::stderr().write_all(format!("afterpush: {}\n", text::showable(text)).as_bytes());
}

/// Says why this push is not watched.
pub(crate) fn not_watching(why: &str) {
    line(&format!("not watching this push: {why}"));
}

/// An error with all its reasons, in one clean line.
pub(crate) fn reasons(error: &dyn Error) -> String {
    clean(&with_causes(error))
}

/// A text that others wrote, as part of a line.
pub(crate) fn clean(text: &str) -> String {
    text::one_line(text, LONGEST)
}
