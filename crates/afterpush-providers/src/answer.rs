//! What the answers of all vendors have in common: a null counts as absent, an id must be fit for a path, and an address for a
//! health check holds no credentials.

use afterpush_core::text::is_misleading;
use serde::{Deserialize, Deserializer};

/// An id of a vendor's that may stand in a path: letters, digits, `-` and `_`, at most 64 of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Id(String);

impl Id {
    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Id {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) { Ok(Self(text)) } else { Err("not an id") }
    }
}

/// A longer address is shown nowhere in full.
const LONGEST_ADDRESS: usize = 2_000;

/// Tells whether a text is an address that a health check may be pointed at, and that may be shown: it holds no credentials, and
/// nothing that a terminal acts on or that a reader does not see, all of which the URL parser lets pass.
pub(crate) fn is_web_address(text: &str) -> bool {
    if text.len() > LONGEST_ADDRESS || text.contains(|c: char| c.is_control() || is_misleading(c)) {
        return false;
    }
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

/// Reads a field that may be null: `#[serde(default, deserialize_with = "or_default")]`.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a point in time; what is none counts as absent: `#[serde(default, deserialize_with = "moment")]`.
pub(crate) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_shown_holds_no_secret_and_no_surprise() {
        assert!(is_web_address("https://shop.example/a?b=c#d") && is_web_address("http://größe.example"));
        for text in [
            "https://me:secret@shop.example",
            "https://me@shop.example",
            "ftp://shop.example",
            "https:///",
            "/a",
            "https://shop.example/\u{1b}[2J",
            "https://shop.example/\n",
            "https://shop.example/\u{202e}gpj.exe",
            "https://shop\u{200b}.example/",
            &format!("https://shop.example/{}", "a".repeat(LONGEST_ADDRESS)),
        ] {
            assert!(!is_web_address(text), "{text:?}");
        }
    }
}
