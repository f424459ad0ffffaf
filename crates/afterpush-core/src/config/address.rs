//! Judges addresses by a grammar that is narrower than any client's, so that no client can read another host out of one.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What is known of an address that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// https, not http.
    pub(super) is_encrypted: bool,
    /// The host is this machine, without asking a name server.
    pub(super) is_loopback: bool,
    /// What follows host and port: empty, or begins with a slash, a question mark or a number sign.
    pub(super) rest: &'a str,
}

/// Reads an `http://` or `https://` address without user-info.
pub(super) fn parse(url: &str) -> Option<Address<'_>> {
    // Space and backslash are what clients "repair".
    if !url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return None;
    }
    let (is_encrypted, after) = match url.strip_prefix("https://") {
        Some(after) => (true, after),
        None => (false, url.strip_prefix("http://")?),
    };
    let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    let (host, port) = if authority.starts_with('[') {
        let (host, port) = authority.split_at(authority.find(']')? + 1);
        (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
    } else {
        authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
    };
    if port.is_some_and(|port| !is_port(port)) {
        return None;
    }
    Some(Address { is_encrypted, is_loopback: is_loopback(host)?, rest })
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Tells whether a sound host is this machine; `None` when it is not sound.
fn is_loopback(host: &str) -> Option<bool> {
    if let Some(inside) = host.strip_prefix('[') {
        return Some(inside.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.is_loopback());
    }
    let is_name =
        !host.is_empty() && host.len() <= 253 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    is_name.then(|| host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()))
}

/// Tells whether this is a path that stays on the host it is appended to, and on its own place there.
pub(super) fn is_sound_path(path: &str) -> bool {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"\\@#".contains(&b));
    let own_place = !path.to_ascii_lowercase().replace("%2e", ".").contains("..");
    path.starts_with('/') && !path.starts_with("//") && plain && own_place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_by_scheme_host_and_rest() {
        let read = |url| parse(url).map(|address| (address.is_encrypted, address.is_loopback, address.rest));
        assert_eq!(read("https://api.example.com"), Some((true, false, "")));
        assert_eq!(read("https://api.example.com:8443/v2?x=1#y"), Some((true, false, "/v2?x=1#y")));
        assert_eq!(read("http://127.0.0.1:80"), Some((false, true, "")));
        assert_eq!(read("http://127.255.0.9/"), Some((false, true, "/")));
        assert_eq!(read("http://[::1]:8080/x"), Some((false, true, "/x")));
        assert_eq!(read("http://LocalHost?x"), Some((false, true, "?x")));
        assert_eq!(read("http://10.0.0.1/"), Some((false, false, "/")));
        assert_eq!(read("https://web/@scope"), Some((true, false, "/@scope")));
    }

    #[test]
    fn hosts_that_only_look_like_this_machine_do_not_count_as_it() {
        for url in [
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example",
            "http://localhost.",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0/",
        ] {
            assert!(!parse(url).is_some_and(|address| address.is_loopback), "{url}");
        }
    }

    #[test]
    fn addresses_that_clients_read_in_different_ways_are_refused() {
        for url in [
            "",
            "https://",
            "https:///x",
            "ftp://host/",
            "HTTPS://host",
            "//host/x",
            "https://user@host/",
            "https://u:p@host/",
            "http://localhost@evil.example/",
            "http://localhost:80@evil.example/",
            "https://ho st/",
            "https://host\\@evil/",
            "https://host/\\evil.example",
            "https://host/a b",
            "https://host/ä",
            "https://host:/",
            "https://host:0/",
            "https://host:65536/",
            "https://host:8o/",
            "https://[::1",
            "https://[::1]x/",
            "https://[nonsense]/",
            "https://hôst/",
            "https://host\n/",
            "https:/host",
            "file:///etc/passwd",
        ] {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    #[test]
    fn paths_stay_on_their_host() {
        for path in ["/", "/health", "/health?full=1", "/a/b.c/d-e_f~g%20", "/.well-known/x"] {
            assert!(is_sound_path(path), "{path}");
        }
        for path in [
            "",
            "health",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/a/../b",
            "/..",
            "/%2e%2E/x",
            "/.%2e/x",
            "/\t/evil.example",
            "/a b",
            "/a\n",
            "/@evil.example",
            "/x#y",
            "https://evil.example",
            "/é",
            ".evil.example",
            "@evil.example",
        ] {
            assert!(!is_sound_path(path), "{path}");
        }
    }
}
