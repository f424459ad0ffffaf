//! Removal of credentials from addresses. (interface first; to be filled)

/// Gives a remote's URL without its user-info, query and fragment; scp-like and local paths stay as they are, apart from a password.
#[must_use]
pub fn remote_url(url: &str) -> String {
    url.to_owned()
}
