//! Reads the token out of `hosts.yml` of `gh`, the vendor's command line. Pure: the text is handed in.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Secret;

#[derive(Deserialize)]
struct Host {
    oauth_token: Option<String>,
}

/// The token of the account in use at github.com. Other hosts' tokens are for other addresses, and never given out.
pub(super) fn token(text: &str) -> Option<Secret> {
    let hosts: BTreeMap<String, Option<Host>> = serde_saphyr::from_str(text).ok()?;
    let host = hosts.get("github.com")?.as_ref()?;
    host.oauth_token.as_deref().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use crate::registry::token_from_login_file;

    #[test]
    fn only_the_token_of_the_vendors_own_host_is_given_out() {
        let token = |text: &str| token_from_login_file("github", text).map(|token| token.expose().to_owned());
        let file = "ghe.acme.test:\n    oauth_token: other\ngithub.com:\n    users:\n        me:\n            \
                    oauth_token: first\n        you:\n    git_protocol: https\n    oauth_token: first\n    user: me\n";
        assert_eq!(token(file).as_deref(), Some("first"));
        for text in [
            "",
            "ghe.acme.test:\n    oauth_token: other",
            // The system's key ring holds it.
            "github.com:\n    users:\n        me:\n    user: me\n",
            "github.com:\n    oauth_token: \"\"\n",
            "github.com:",
            "\t{{{",
            "just a text",
        ] {
            assert_eq!(token(text), None, "{text:?}");
        }
    }
}
