//! Names for files and directories made of texts that strangers choose. Pure; two different texts never share a name.

use sha2::{Digest, Sha256};

/// The longest name of one text. Two of them, a separator, a prefix and a suffix stay below the 255 bytes of a file name.
const LONGEST: usize = 100;
/// How many hexadecimal digits of a hash end a name that would have been longer.
const HASH_DIGITS: usize = 32;

/// Names a remote and a ref: `<remote>--<ref>`.
pub(crate) fn of_remote_and_ref(remote: &str, ref_name: &str) -> String {
    format!("{}--{}", of(remote), of(ref_name))
}

/// Names one text by ASCII letters, digits, `.`, `_`, single inner hyphens, `+` for a slash and `%XX` for any other byte.
///
/// A name never holds two hyphens in a row and never begins or ends with one, so that `--` separates two names; it never
/// begins with a dot. A long one is cut and ends in `~` and a hash of the whole text; `~` stands in no other name.
pub(crate) fn of(text: &str) -> String {
    let mut name = String::with_capacity(text.len() + 8);
    for (at, byte) in text.bytes().enumerate() {
        let inner = at > 0 && at + 1 < text.len();
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => name.push(char::from(byte)),
            b'.' if at > 0 => name.push('.'),
            b'-' if inner && !name.ends_with('-') => name.push('-'),
            b'/' => name.push('+'),
            other => {
                name.push('%');
                name.push_str(&hex(&[other]).to_ascii_uppercase());
            }
        }
    }
    if name.len() > LONGEST {
        name.truncate(LONGEST - HASH_DIGITS - 1);
        name.push('~');
        name.push_str(&digest(text.as_bytes())[..HASH_DIGITS]);
    }
    name
}

/// A short readable form of a directory's name, for people; not unique.
pub(crate) fn readable(name: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }
    };
    let kept: String = name.chars().map(keep).take(40).collect();
    let kept = kept.trim_start_matches(['.', '-']);
    if kept.is_empty() { "repository".to_owned() } else { kept.to_owned() }
}

/// The SHA-256 of `bytes` in lower-case hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay_readable() {
        assert_eq!(of_remote_and_ref("origin", "refs/heads/main"), "origin--refs+heads+main");
        assert_eq!(of("refs/heads/fix-1.2_x"), "refs+heads+fix-1.2_x");
        assert_eq!(of("https://host/a.git"), "https%3A++host+a.git");
        assert_eq!(readable("my shop"), "my_shop");
        assert_eq!(readable("..."), "repository");
        assert_eq!(digest(b"abc")[..16], *"ba7816bf8f01cfea");
    }

    #[test]
    fn names_never_leave_their_directory() {
        for text in ["..", ".", "", "/", "../x", "a\0b", "-rf", "%removing-x", "a--b", "\u{202e}x", "~"] {
            let name = of(text);
            assert!(!name.starts_with(['.', '-']) && !name.contains(['/', '\0']), "{text:?} -> {name}");
            assert!(!name.contains("--") && !name.ends_with('-'), "{text:?} -> {name}");
        }
    }

    /// Texts close to each other: a few letters that the escaping treats in different ways.
    fn near() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            proptest::sample::select(vec!["-", "/", "+", "%", "2F", "2D", ".", "~", "a", "A", "é"]),
            0..7,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn two_texts_never_share_a_name(pairs in proptest::collection::vec((near(), near()), 2..40)) {
            let mut seen: HashMap<String, &(String, String)> = HashMap::new();
            for pair in &pairs {
                if let Some(other) = seen.insert(of_remote_and_ref(&pair.0, &pair.1), pair) {
                    prop_assert_eq!(other, pair);
                }
            }
        }

        #[test]
        fn long_texts_keep_apart_and_fit_a_file_name(text in ".{60,400}", more in ".{1,5}") {
            let longer = format!("{text}{more}");
            prop_assert_ne!(of(&text), of(&longer));
            prop_assert!(of_remote_and_ref(&text, &longer).len() <= 2 * LONGEST + 2);
        }

        #[test]
        fn any_text_is_safe(text in any::<String>()) {
            let name = of(&text);
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+%~".contains(&b)));
            prop_assert!(!name.starts_with(['.', '-']) && !name.ends_with('-') && !name.contains("--"));
        }
    }
}
