//! Everything that reads what strangers write, as functions of any bytes: fuzzing looks for bytes that break a promise, and the
//! ordinary tests replay those in `tests/fuzz/corpus`.
//!
//! A reader panics when a promise is broken, and only then. It does not print, and depends on nothing but the bytes.

mod configuration;
mod files;
mod provider;
#[cfg(test)]
mod tests;
mod words;

use afterpush_core::text::is_misleading;

/// A function of any bytes that panics when a promise is broken.
pub type Reader = fn(&[u8]);

/// All of them by name: also the names of the targets in `tests/fuzz/targets` and of the directories in `tests/fuzz/corpus`.
pub const READERS: [(&str, Reader); 21] = [
    ("configuration", configuration::read),
    ("hook_input", words::hook_input),
    ("log_cleaning", words::log_cleaning),
    ("porcelain", words::porcelain),
    ("provider_argocd", |data| provider::read("argocd", data)),
    ("provider_cloudflare", |data| provider::read("cloudflare", data)),
    ("provider_command", |data| provider::read("command", data)),
    ("provider_digitalocean", |data| provider::read("digitalocean", data)),
    ("provider_fly", |data| provider::read("fly", data)),
    ("provider_github", |data| provider::read("github", data)),
    ("provider_gitlab", |data| provider::read("gitlab", data)),
    ("provider_heroku", |data| provider::read("heroku", data)),
    ("provider_http", |data| provider::read("http", data)),
    ("provider_kubernetes", |data| provider::read("kubernetes", data)),
    ("provider_netlify", |data| provider::read("netlify", data)),
    ("provider_railway", |data| provider::read("railway", data)),
    ("provider_render", |data| provider::read("render", data)),
    ("provider_vercel", |data| provider::read("vercel", data)),
    ("request_file", files::request),
    ("result_file", files::result),
    ("status_file", files::status),
];

/// Reads with the reader of this name.
///
/// # Panics
/// When there is none, or a promise is broken.
pub fn read(name: &str, data: &[u8]) {
    let found = READERS.iter().find(|(it, _)| *it == name);
    let (_, reader) = found.unwrap_or_else(|| panic!("no reader has the name {name}"));
    reader(data);
}

/// Panics when a text could act on a terminal, or is not what it seems.
fn must_be_clean(what: &str, text: &str) {
    let bad = text.chars().find(|c| c.is_control() || is_misleading(*c));
    assert!(bad.is_none(), "{what} holds {bad:?}: {text:?}");
}
