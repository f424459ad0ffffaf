//! Reads the token out of the configuration file of `glab`, the vendor's command line. Pure: the text is handed in.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Secret, api::host_of};

#[derive(Deserialize)]
struct Config {
    hosts: Option<BTreeMap<String, Option<Host>>>,
}

#[derive(Deserialize)]
struct Host {
    token: Option<String>,
}

/// The token for the host of the API: gitlab.com, unless another address is named. Each host's token is given out for that host
/// alone.
pub(super) fn token(text: &str, api_url: Option<&str>) -> Option<Secret> {
    // glab marks a token as `!!null`, and reads it as text all the same.
    let config: Config = serde_saphyr::from_str(&text.replace("token: !!null ", "token: ")).ok()?;
    let hosts = config.hosts?;
    let host = api_url.map_or_else(|| Some("gitlab.com".to_owned()), host_of)?;
    let host = hosts.get(&host)?.as_ref()?;
    host.token.as_deref().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use crate::registry::token_from_login_file;

    #[test]
    fn only_the_token_of_the_vendors_own_host_is_given_out() {
        let token = |text: &str| token_from_login_file("gitlab", text, None).map(|token| token.expose().to_owned());
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

    #[test]
    fn each_hosts_token_is_for_that_host_alone() {
        let hosts = ["gitlab.acme.test", "localhost:3000", "gitlab.com"];
        let file = hosts.map(|host| format!("    {host}:\n        token: of {host}\n")).concat();
        for (api_url, host) in [
            ("https://gitlab.com/api/v4", Some("gitlab.com")),
            ("https://gitlab.acme.test/api/v4", Some("gitlab.acme.test")),
            ("http://localhost:3000/api/v4", Some("localhost:3000")),
            ("https://localhost/api/v4", None),
            ("https://elsewhere.test", None),
            ("gitlab.com", None),
        ] {
            let token = token_from_login_file("gitlab", &format!("hosts:\n{file}"), Some(api_url));
            let token = token.map(|token| token.expose().to_owned());
            assert_eq!(token, host.map(|host| format!("of {host}")), "{api_url}");
        }
    }
}
