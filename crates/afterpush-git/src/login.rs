//! User name and password that stand in a remote's web address: taken out, because git hands the whole address to its helpers as
//! an argument, and arguments can be seen by every user; given back as git's own credential helpers would.

use std::process::Command;

use percent_encoding::percent_decode_str;

/// Answers git's question for a credential, and no other of its calls.
const HELPER: &str = "!f() { test \"$1\" = get && \
    printf 'username=%s\\npassword=%s\\n' \"$AFTERPUSH_REMOTE_USER\" \"$AFTERPUSH_REMOTE_PASSWORD\"; }; f";

/// An address and what was taken out of it.
#[derive(PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) address: String,
    user: String,
    password: Option<String>,
}

impl Login {
    /// Takes it out of an address; `None` where there is none.
    pub(crate) fn of(address: &str) -> Option<Self> {
        let scheme = ["https://", "http://"].into_iter().find(|scheme| address.starts_with(scheme))?;
        let rest = &address[scheme.len()..];
        // As git reads it: the authority ends at the first slash, and user-info at the last @ before.
        let (user_info, host) = rest[..rest.find('/').unwrap_or(rest.len())].rsplit_once('@')?;
        let path = &rest[user_info.len() + 1 + host.len()..];
        let (user, password) = match user_info.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user_info, None),
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
        Some(Self {
            address: format!("{scheme}{host}{path}"),
            user: decoded(user)?,
            password: password.map(|password| decoded(password).unwrap_or_default()),
        })
    }

    /// Has git use it for its address.
    pub(crate) fn give_to(&self, command: &mut Command) {
        // Without this a rule of the user's could put the credential into the address again; the longest match counts.
        let as_it_is = (format!("url.{0}.insteadOf", self.address), self.address.as_str());
        // The empty name takes away the helpers before it: what stands in an address goes before what they know.
        let (none, ours) = (("credential.helper".to_owned(), ""), ("credential.helper".to_owned(), HELPER));
        let user = (format!("credential.{}.username", self.address), self.user.as_str());
        let settings = match &self.password {
            Some(password) => {
                command.env("AFTERPUSH_REMOTE_USER", &self.user).env("AFTERPUSH_REMOTE_PASSWORD", password);
                vec![as_it_is, none, ours]
            }
            None => vec![as_it_is, user],
        };
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (at, (key, value)) in settings.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_taken_out_of_web_addresses_only() {
        let login = |address: &str| {
            let login = Login::of(address)?;
            Some((login.address, login.user, login.password))
        };
        let some = |address: &str, user: &str, password: Option<&str>| {
            Some((address.to_owned(), user.to_owned(), password.map(str::to_owned)))
        };
        assert_eq!(login("https://me:p%40ss@host:8443/a@b"), some("https://host:8443/a@b", "me", Some("p@ss")));
        assert_eq!(login("http://token@host"), some("http://host", "token", None));
        assert_eq!(login("https://me:a@b@host/x"), some("https://host/x", "me", Some("a@b")));
        for without in ["https://host/me:word@x", "ssh://me:word@host/x", "me@host:x", "../x", "/srv/a@b"] {
            assert_eq!(login(without), None, "{without}");
        }
    }
}
