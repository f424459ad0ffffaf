//! The least that each kind of provider has to be told in the configuration.

/// The settings of a provider in TOML. `url` is where `http` asks; the others learn the address of their API elsewhere.
///
/// # Panics
/// For a kind that has none here.
#[must_use]
pub fn of_provider(kind: &str, url: &str) -> String {
    match kind {
        "argocd" => "app = \"web\"".to_owned(),
        "cloudflare" => "account = \"acc1\"\nproject = \"web\"".to_owned(),
        "command" => "command = [\"true\"]".to_owned(),
        "digitalocean" => "app = \"11111111-1111-4111-8111-111111111111\"".to_owned(),
        "fly" | "heroku" => "app = \"storefront\"".to_owned(),
        "http" => {
            format!("url = \"{url}/state\"\nstate = \"/state\"\ncommit = \"/commit\"\nwords = {{ live = [\"live\"] }}")
        }
        "kubernetes" => "workload = \"web\"".to_owned(),
        "netlify" => "site = \"web\"".to_owned(),
        "render" => "service = \"srv-web\"".to_owned(),
        "vercel" => "project = \"web\"".to_owned(),
        // The repository of the push is enough.
        "github" | "gitlab" | "railway" => String::new(),
        _ => panic!("{kind} has no settings here"),
    }
}
