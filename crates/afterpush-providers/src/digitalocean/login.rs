//! Reads the token out of the configuration file of `doctl`, the vendor's command line. Pure: the text is handed in.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Secret;

/// The keys that matter of doctl's `config.yaml`; everything else in it is not held.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Config {
    access_token: Option<String>,
    context: Option<String>,
    auth_contexts: Option<BTreeMap<String, Option<String>>>,
}

/// The token of the context in use: `access-token` belongs to the context "default", the others stand in `auth-contexts`.
///
/// A context that has no token gives none: another context's token may belong to another account.
pub(crate) fn token(text: &str) -> Option<Secret> {
    let config: Config = serde_saphyr::from_str(text).ok()?;
    let context = config.context.as_deref().map(str::trim).unwrap_or_default();
    if context.is_empty() || context.eq_ignore_ascii_case("default") {
        return config.access_token.as_deref().map(Secret::new);
    }
    // doctl's configuration library writes keys in lower case, whatever the context was called.
    let contexts = config.auth_contexts.unwrap_or_default();
    let (_, token) = contexts.iter().find(|(name, _)| name.eq_ignore_ascii_case(context))?;
    token.as_deref().map(Secret::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::registry::token_from_login_file;

    fn token(text: &str) -> Option<String> {
        let token = token_from_login_file("digitalocean", text, None)?;
        Some(token.expose().to_owned())
    }

    #[test]
    fn the_context_in_use_decides_whose_token_it_is() {
        let file = |context: &str| {
            format!(
                "access-token: first\nauth-contexts:\n  team: second\n  empty: \"\"\n{context}\noutput: text\napp:\n  create:\n    spec: \"\"\n"
            )
        };
        assert_eq!(token(&file("")).as_deref(), Some("first"));
        assert_eq!(token(&file("context: default")).as_deref(), Some("first"));
        assert_eq!(token(&file("context: \"\"")).as_deref(), Some("first"));
        assert_eq!(token(&file("context: Team")).as_deref(), Some("second"));
        assert_eq!(token(&file("context: gone")), None);
        assert_eq!(token(&file("context: empty")), None);
    }

    #[test]
    fn a_file_without_a_token_or_without_sense_gives_none() {
        for text in [
            "",
            "access-token: \"\"",
            "access-token:",
            "access-token: [1, 2]",
            "auth-contexts: {}\ncontext: team",
            "context: team\nauth-contexts:\n",
            "\t{{{",
            "just a text",
            "a: &a [*a, *a]\naccess-token: *b",
        ] {
            assert_eq!(token(text), None, "{text:?}");
        }
        // A number is a text to doctl, too.
        assert_eq!(token("access-token: \"0123\"").as_deref(), Some("0123"));
    }
}
