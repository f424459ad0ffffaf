//! Reads the token out of the configuration file of `glab`, the vendor's command line. Pure: the text is handed in.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Secret;

#[derive(Deserialize)]
struct Config {
    hosts: Option<BTreeMap<String, Option<Host>>>,
}

#[derive(Deserialize)]
struct Host {
    token: Option<String>,
}

/// The token for gitlab.com. Other hosts' tokens are for other addresses, and never given out.
pub(super) fn token(text: &str) -> Option<Secret> {
    // glab marks a token as `!!null`, and reads it as text all the same.
    let config: Config = serde_saphyr::from_str(&text.replace("token: !!null ", "token: ")).ok()?;
    let hosts = config.hosts?;
    let host = hosts.get("gitlab.com")?.as_ref()?;
    host.token.as_deref().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use crate::registry::token_from_login_file;

    #[test]
    fn only_the_token_of_the_vendors_own_host_is_given_out() {
        let token = |text: &str| token_from_login_file("gitlab", text).map(|token| token.expose().to_owned());
        let file = |tag: &str| {
            format!(
                "git_protocol: ssh\nhost: gitlab.acme.test\nhosts:\n    gitlab.acme.test:\n        token: other\n    \
                 gitlab.com:\n        api_protocol: https\n        token: {tag}glpat-first\n        user: me\n"
            )
        };
        assert_eq!(token(&file("")).as_deref(), Some("glpat-first"));
        assert_eq!(token(&file("!!null ")).as_deref(), Some("glpat-first"));
        for text in [
            "",
            "hosts:",
            "hosts:\n    gitlab.acme.test:\n        token: other",
            "hosts:\n    gitlab.com:\n        token:\n",
            "hosts:\n    gitlab.com:\n        token: \"\"\n",
            "hosts:\n    gitlab.com:",
            "\t{{{",
            "just a text",
        ] {
            assert_eq!(token(text), None, "{text:?}");
        }
    }
}
