//! Reads the token out of `hosts.yml` of `gh`, the vendor's command line. Pure: the text is handed in.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Secret, api::host_of};

#[derive(Deserialize)]
struct Host {
    oauth_token: Option<String>,
}

/// The token of the account in use at the host of the API: github.com, unless another address is named. Each host's token is given
/// out for that host alone.
pub(super) fn token(text: &str, api_url: Option<&str>) -> Option<Secret> {
    let hosts: BTreeMap<String, Option<Host>> = serde_saphyr::from_str(text).ok()?;
    let host = hosts.get(&login_host(api_url)?)?.as_ref()?;
    host.oauth_token.as_deref().map(Secret::new)
}

/// The host that people log in to. The API is below it, except that GitHub's own clouds have it at a name of its own.
fn login_host(api_url: Option<&str>) -> Option<String> {
    let Some(api_url) = api_url else { return Some("github.com".to_owned()) };
    let host = host_of(api_url)?;
    let is_cloud = host == "api.github.com" || host.ends_with(".ghe.com");
    Some(if is_cloud { host.trim_start_matches("api.").to_owned() } else { host })
}

#[cfg(test)]
mod tests {
    use crate::registry::token_from_login_file;

    #[test]
    fn only_the_token_of_the_vendors_own_host_is_given_out() {
        let token = |text: &str| token_from_login_file("github", text, None).map(|token| token.expose().to_owned());
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

    #[test]
    fn each_hosts_token_is_for_that_host_alone() {
        let file = ["ghe.acme.test", "acme.ghe.com", "localhost:3000", "github.com"]
            .map(|host| format!("{host}:\n    oauth_token: of {host}\n"))
            .concat();
        for (api_url, host) in [
            ("https://api.github.com", Some("github.com")),
            ("https://ghe.acme.test/api/v3", Some("ghe.acme.test")),
            ("https://api.acme.ghe.com", Some("acme.ghe.com")),
            ("http://localhost:3000/api/v3", Some("localhost:3000")),
            ("https://localhost/api/v3", None),
            ("https://api.ghe.acme.test", None),
            ("https://elsewhere.test", None),
            ("github.com", None),
        ] {
            let token = token_from_login_file("github", &file, Some(api_url)).map(|token| token.expose().to_owned());
            assert_eq!(token, host.map(|host| format!("of {host}")), "{api_url}");
        }
    }
}
