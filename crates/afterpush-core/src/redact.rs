//! Removes credentials from addresses and from text, before anything is stored or shown.
//!
//! Invariant: when it is in doubt whether something is a credential, it is removed; a mangled address is better than a leak.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose};

/// Secrets shorter than this are not searched for: they would be found in innocent words.
const SHORTEST_SECRET: usize = 6;
const REDACTED: &str = "[redacted]";

/// Gives a remote's URL without its credentials.
///
/// Web addresses lose user-info, query and fragment. Where SSH is meant (`ssh://` and `user@host:path`) the user's name
/// is part of the address and stays; a password goes. Local paths stay as they are. The command of an `ext::` remote goes.
#[must_use]
pub fn remote_url(url: &str) -> String {
    if url.starts_with(['/', '.']) {
        return url.to_owned();
    }
    // `ext::<command>`: any part of a command line may be a secret.
    if url.starts_with("ext::") {
        return format!("ext::{REDACTED}");
    }
    match url.find("://") {
        // Also finds the address behind the prefix of a remote helper, as in `codecommit::https://...`.
        Some(at) => {
            let (prefix, rest) = (&url[..at + 3], &url[at + 3..]);
            let start = url[..at].rfind(':').map_or(0, |colon| colon + 1);
            with_scheme(prefix, &url[start..at].to_ascii_lowercase(), rest)
        }
        None => scp_like(url),
    }
}

/// `rest` is what follows `://`; `prefix` is what comes before, kept as it is.
fn with_scheme(prefix: &str, scheme: &str, rest: &str) -> String {
    let keeps_user = matches!(scheme, "ssh" | "git+ssh" | "ssh+git" | "sftp");
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // Where the text before the first slash cannot be host and port, a password with an unescaped slash is likely: then
    // everything up to the last @ is user-info.
    let search_end = if is_host_and_port(after_last_at(&rest[..authority_end])) { authority_end } else { rest.len() };
    let (user_info, address) = match rest[..search_end].rfind('@') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => ("", rest),
    };
    let user = match user_info.split(':').next() {
        Some(user) if keeps_user && !user.is_empty() => format!("{user}@"),
        _ => String::new(),
    };
    // A question mark or number sign in the path of a file or of an SSH address is part of a name.
    let has_query = !(keeps_user || scheme == "file");
    let kept = if has_query { address.find(['?', '#']).unwrap_or(address.len()) } else { address.len() };
    format!("{prefix}{user}{}", &address[..kept])
}

/// `user:password@host:path`, which no git accepts but people write, loses the password; anything else stays.
fn scp_like(url: &str) -> String {
    let Some(last_at) = url.rfind('@') else { return url.to_owned() };
    match url[..last_at].find([':', '@']) {
        Some(colon) if url[colon..].starts_with(':') => format!("{}{}", &url[..colon], &url[last_at..]),
        _ => url.to_owned(),
    }
}

fn after_last_at(authority: &str) -> &str {
    authority.rsplit('@').next().unwrap_or_default()
}

/// Tells whether this is a host, or a host with a decimal port.
fn is_host_and_port(text: &str) -> bool {
    let (host, after) = match text.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some(parts) => parts,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port_is_sound = match after.strip_prefix(':') {
        Some(port) => !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()),
        None => after.is_empty(),
    };
    // A colon is inside of brackets only; letters beyond ASCII are those of an international name.
    let host_is_sound = host.chars().all(|c| c.is_alphanumeric() || ".-_:%".contains(c));
    !host.is_empty() && host_is_sound && port_is_sound
}

/// Replaces each occurrence of a known secret by `[redacted]`: as it is, percent-encoded, and in Base64 (also inside of
/// a longer text in Base64, such as the `user:password` of basic authentication). Secrets shorter than six bytes are ignored.
#[must_use]
pub fn scrub<'a>(text: &'a str, secrets: &[&str]) -> Cow<'a, str> {
    let secrets: Vec<&str> = secrets.iter().copied().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
    let encoded: Vec<String> = secrets.iter().flat_map(|secret| base64_forms(secret)).collect();
    // A long log is not looked at letter by letter: only where one of the forms, or an encoded character, can begin. None of
    // these bytes stands inside of a character.
    let mut begins = [false; 256];
    let forms = secrets.iter().copied().chain(encoded.iter().map(String::as_str));
    for first in forms.filter_map(|form| form.bytes().next()).chain([b'%', b'+']) {
        begins[usize::from(first)] = true;
    }

    let mut scrubbed = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(skipped) = text.as_bytes()[at..].iter().position(|byte| begins[usize::from(*byte)]) {
        at += skipped;
        let rest = &text[at..];
        let as_it_is = secrets.iter().filter_map(|secret| percent_encoded_match(rest, secret));
        let as_base64 = encoded.iter().filter(|form| rest.starts_with(form.as_str())).map(String::len);
        match as_it_is.chain(as_base64).max() {
            Some(length) => {
                scrubbed.push_str(&text[kept..at]);
                scrubbed.push_str(REDACTED);
                at += length;
                kept = at;
            }
            None => at += 1,
        }
    }
    if scrubbed.is_empty() {
        return text.into();
    }
    scrubbed.push_str(&text[kept..]);
    // A secret that is part of the word "[redacted]", or that came about beside it, cannot be replaced by it.
    if secrets.iter().any(|secret| scrubbed.contains(secret)) { "***".into() } else { scrubbed.into() }
}

/// How many bytes of the beginning of `text` are the secret, each byte of it as it is or as `%XX`; a space also as `+`.
fn percent_encoded_match(text: &str, secret: &str) -> Option<usize> {
    let text = text.as_bytes();
    let mut at = 0;
    for &byte in secret.as_bytes() {
        at += match (text.get(at)?, text.get(at + 1..at + 3)) {
            (b'%', Some(digits)) if is_hexadecimal_of(digits, byte) => 3,
            (&found, _) if found == byte || (byte == b' ' && found == b'+') => 1,
            _ => return None,
        };
    }
    Some(at)
}

fn is_hexadecimal_of(digits: &[u8], byte: u8) -> bool {
    std::str::from_utf8(digits).is_ok_and(|digits| {
        // from_str_radix would take a sign, too.
        digits.bytes().all(|b| b.is_ascii_hexdigit()) && u8::from_str_radix(digits, 16) == Ok(byte)
    })
}

/// How the secret looks in Base64: alone, and inside of a longer text at each of the three offsets, in both alphabets.
fn base64_forms(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for engine in [&general_purpose::STANDARD_NO_PAD, &general_purpose::URL_SAFE_NO_PAD] {
        forms.push(engine.encode(secret));
        for offset in 0..3 {
            let shifted = [&[0; 2][..offset], secret.as_bytes()].concat();
            let whole = engine.encode(&shifted);
            // The first and last characters hold bits of what is around, so they differ from case to case.
            let first = (offset * 8).div_ceil(6);
            let last = shifted.len() * 8 / 6;
            forms.push(whole[first..last].to_owned());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn web_addresses_lose_user_info_query_and_fragment() {
        for (url, expected) in [
            ("https://github.com/acme/web.git", "https://github.com/acme/web.git"),
            ("https://ghp_token@github.com/acme/web", "https://github.com/acme/web"),
            ("https://user:s3cret@github.com/acme/web", "https://github.com/acme/web"),
            ("https://user:p@ss@github.com/acme/web", "https://github.com/acme/web"),
            ("https://user:pa/ss@github.com/acme/web", "https://github.com/acme/web"),
            ("https://user:?pass@github.com/acme/web", "https://github.com/acme/web"),
            ("https://user:@/pass@github.com/acme/web", "https://github.com/acme/web"),
            ("https://user:a@b!/c@github.com/acme/web", "https://github.com/acme/web"),
            ("HTTPS://user:pass@host:8443/x?token=abc#frag", "HTTPS://host:8443/x"),
            ("http://user:pass@[::1]:80/x", "http://[::1]:80/x"),
            ("http://[fe80::1]/@scope/x", "http://[fe80::1]/@scope/x"),
            ("https://host:8080/@scope/x@v1", "https://host:8080/@scope/x@v1"),
            ("https://host?access_token=abc", "https://host"),
            ("codecommit::https://user:pass@host/x", "codecommit::https://host/x"),
            ("git://user:pass@host/x", "git://host/x"),
        ] {
            assert_eq!(remote_url(url), expected, "{url}");
        }
    }

    #[test]
    fn ssh_addresses_keep_the_user_but_no_password() {
        for (url, expected) in [
            ("git@github.com:acme/web.git", "git@github.com:acme/web.git"),
            ("git@github.com:acme/web@v1", "git@github.com:acme/web@v1"),
            ("ssh://git@github.com:22/acme/web", "ssh://git@github.com:22/acme/web"),
            ("ssh://deploy:s3cret@host/srv/a?b#c.git", "ssh://deploy@host/srv/a?b#c.git"),
            ("ssh://deploy:s3/cret@host/srv", "ssh://deploy@host/srv"),
            ("git+ssh://deploy:s3cret@host/srv", "git+ssh://deploy@host/srv"),
            ("helper::ssh://deploy:s3cret@host/srv", "helper::ssh://deploy@host/srv"),
            ("deploy:s3cret@host:srv/web.git", "deploy@host:srv/web.git"),
            ("deploy:s3@cret@host:srv/web.git", "deploy@host:srv/web.git"),
            ("host:srv/web.git", "host:srv/web.git"),
        ] {
            assert_eq!(remote_url(url), expected, "{url}");
        }
    }

    #[test]
    fn local_paths_stay_and_commands_go() {
        for path in ["/srv/git/a@b:c.git", "../web", "./x:y@z", "web.git", "file:///srv/a?b#c.git", "C:\\src\\web", ""]
        {
            assert_eq!(remote_url(path), path);
        }
        assert_eq!(remote_url("ext::ssh -i key user:pass@host %S"), "ext::[redacted]");
    }

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        let secret = "p@ss w/rd+1";
        for (text, expected) in [
            ("token p@ss w/rd+1 refused", "token [redacted] refused"),
            ("?t=p%40ss%20w%2Frd%2B1&x", "?t=[redacted]&x"),
            ("?t=p%40ss+w%2frd%2b1&x", "?t=[redacted]&x"),
            ("?t=%70%40%73%73%20%77%2F%72%64%2B%31", "?t=[redacted]"),
            ("cEBzcyB3L3JkKzE", "[redacted]"),
            ("cEBzcyB3L3JkKzE=", "[redacted]="),
        ] {
            assert_eq!(scrub(text, &["other-secret", secret]), expected, "{text}");
        }
        assert_eq!(scrub("x=Pj4+Pz8/Pj4+;", &[">>>???>>>"]), "x=[redacted];");
        assert_eq!(scrub("x=Pj4-Pz8_Pj4-;", &[">>>???>>>"]), "x=[redacted];");
        let long = "0123456789abcdefghijklmnopqrs";
        let text = general_purpose::STANDARD.encode(format!("a{long}zzz"));
        assert_eq!(scrub(&text, &[long]), format!("{}[redacted]enp6", &text[..2]), "all of it goes");
        let header = format!("Basic {}", general_purpose::STANDARD.encode(format!("user:{secret}")));
        let scrubbed = scrub(&header, &[secret]);
        assert!(scrubbed.contains(REDACTED) && scrubbed.len() < header.len(), "{scrubbed}");
    }

    #[test]
    fn short_secrets_and_other_text_are_left_alone() {
        assert_eq!(scrub("the main branch", &["main", ""]), "the main branch");
        assert_eq!(scrub("100% of größe %zz %", &["secret-token"]), "100% of größe %zz %");
        assert_eq!(scrub("a%+1bcdef", &["a\u{1}bcdef"]), "a%+1bcdef");
        for near in ["secretXtoken", "sec+et token"] {
            assert_eq!(scrub(near, &["secret token"]), near);
        }
        // The beginning of its Base64 alone is not the secret.
        assert_eq!(scrub("cEBzcyB3L3J", &["p@ss w/rd+1"]), "cEBzcyB3L3J");
    }

    #[test]
    fn a_secret_that_the_replacement_would_spell_is_not_shown_either() {
        assert_eq!(scrub("redacted-word redacted", &["redacted"]), "***");
        assert_eq!(scrub("abab[redacted]", &["ab[redacted]"]), "***");
        assert_eq!(scrub("long-secret-2", &["long-secret", "long-secret-2"]), "[redacted]");
    }

    proptest! {
        #[test]
        fn no_password_survives_in_a_remote_url(
            scheme in prop_oneof![Just("https"), Just("http"), Just("ssh"), Just("git"), Just("HTTPS"), Just("x::https")],
            // Two kinds are left out, because git too takes a part of them for the host or its port: digits before a
            // slash (`user:12/x@host` is port 12 of the host `user`), and an @ before a slash (`user:x@y/z@host`).
            password in "[A-Z!:/?#%$&*][0-9A-Z!:/?#%$&*]{5,20}|[A-Z!@:%$&*][0-9A-Z!@:%$&*]{5,20}",
        ) {
            let url = format!("{scheme}://user:{password}@host.example/acme/web.git");
            let redacted = remote_url(&url);
            prop_assert!(!redacted.contains(&password), "{redacted}");
            prop_assert!(redacted.ends_with("host.example/acme/web.git"), "{redacted}");
            let scp = remote_url(&format!("user:{password}@host.example:acme/web.git"));
            prop_assert!(!scp.contains(&password), "{scp}");
        }

        #[test]
        fn redacting_an_address_never_panics_and_changes_nothing_the_second_time(url in "(ssh|https|ext|[a-z:]{0,5})?(://|::|:)?[a-z0-9@:/?#é\\[\\]]{0,30}") {
            let once = remote_url(&url);
            prop_assert_eq!(remote_url(&once), once);
        }

        #[test]
        fn no_secret_survives_in_text(
            secret in "\\PC{6,24}",
            pieces in proptest::collection::vec("\\PC{0,8}", 1..5),
        ) {
            let percent: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
            let base64 = general_purpose::STANDARD_NO_PAD.encode(&secret);
            for form in [&secret, &percent, &base64] {
                let text = pieces.join(form);
                let scrubbed = scrub(&text, &[&secret]);
                prop_assert!(pieces.len() == 1 || !scrubbed.contains(form), "{scrubbed}");
            }
        }

        #[test]
        fn a_secret_inside_of_base64_is_broken_up(before in "[a-z]{0,9}", secret in "[A-Za-z0-9]{9,30}", after in "[a-z]{0,9}") {
            let text = general_purpose::STANDARD.encode(format!("{before}{secret}{after}"));
            prop_assert!(scrub(&text, &[&secret]).contains(REDACTED), "{text}");
        }
    }
}
