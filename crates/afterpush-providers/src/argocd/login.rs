//! The login file of the `argocd` command: which server is in use, and the token for it.

use serde::Deserialize;

use crate::Secret;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Login {
    contexts: Vec<Context>,
    #[serde(rename = "current-context")]
    current: String,
    servers: Vec<Server>,
    users: Vec<User>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Context {
    name: String,
    server: String,
    user: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct Server {
    server: String,
    grpc_web_root_path: Option<String>,
    plain_text: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    name: String,
    auth_token: String,
}

impl Login {
    fn in_use(text: &str) -> Option<(Self, Context)> {
        let mut login: Self = serde_saphyr::from_str(text).ok()?;
        let at = login.contexts.iter().position(|context| context.name == login.current)?;
        let context = login.contexts.swap_remove(at);
        Some((login, context))
    }
}

/// The token of the context in use.
pub(super) fn token(text: &str) -> Option<Secret> {
    let (login, context) = Login::in_use(text)?;
    login.users.into_iter().find(|user| user.name == context.user).map(|user| Secret::new(&user.auth_token))
}

/// The address of the server of the context in use, which alone may be sent its token.
pub(crate) fn server(text: &str) -> Option<String> {
    let (login, context) = Login::in_use(text)?;
    let server = login.servers.into_iter().find(|server| server.server == context.server)?;
    let scheme = if server.plain_text { "http" } else { "https" };
    let path = server.grpc_web_root_path.unwrap_or_default();
    let address = format!("{scheme}://{}/{}", server.server.trim_end_matches('/'), path.trim_matches('/'));
    Some(address.trim_end_matches('/').to_owned())
}
