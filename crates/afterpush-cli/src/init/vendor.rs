//! What a person needs to connect a host: the variables of its token, and where the token comes from. The end-to-end tests compare it
//! with the provider registry, which the commands do not link.

/// One kind of provider, for people.
pub(super) struct Vendor {
    pub(super) kind: &'static str,
    /// Its name for people.
    pub(super) name: &'static str,
    /// The variables that hold its token; none for a host that needs none.
    pub(super) tokens: &'static [&'static str],
    /// How to get a token that is allowed enough, and no more.
    pub(super) get: &'static str,
}

/// The kinds that files tell of.
pub(super) const VENDORS: [Vendor; 12] = [
    Vendor {
        kind: "argocd",
        name: "Argo CD",
        tokens: &["ARGOCD_AUTH_TOKEN"],
        get: "argocd login, or `argocd account generate-token` (applications: get)",
    },
    Vendor {
        kind: "cloudflare",
        name: "Cloudflare Pages",
        tokens: &["CLOUDFLARE_API_TOKEN", "CF_API_TOKEN"],
        get: "https://dash.cloudflare.com/profile/api-tokens (Account, Cloudflare Pages, Read)",
    },
    Vendor {
        kind: "digitalocean",
        name: "DigitalOcean App Platform",
        tokens: &["DIGITALOCEAN_ACCESS_TOKEN", "DIGITALOCEAN_TOKEN"],
        get: "https://cloud.digitalocean.com/account/api/tokens (scope app:read), or the login of doctl",
    },
    Vendor {
        kind: "fly",
        name: "Fly.io",
        tokens: &["FLY_ACCESS_TOKEN", "FLY_API_TOKEN"],
        get: "`fly tokens create readonly`, or `fly auth login`",
    },
    Vendor {
        kind: "github",
        name: "GitHub",
        tokens: &["GH_TOKEN", "GITHUB_TOKEN"],
        get: "https://github.com/settings/personal-access-tokens (read: Deployments, Actions, Checks, Commit statuses), or `gh auth login`",
    },
    Vendor {
        kind: "gitlab",
        name: "GitLab",
        tokens: &["GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "OAUTH_TOKEN"],
        get: "https://gitlab.com/-/user_settings/personal_access_tokens (scope read_api), or `glab auth login`",
    },
    Vendor {
        kind: "heroku",
        name: "Heroku",
        tokens: &["HEROKU_API_KEY"],
        get: "`heroku authorizations:create --scope read-protected`, or `heroku login`",
    },
    Vendor { kind: "kubernetes", name: "Kubernetes", tokens: &[], get: "the kubeconfig" },
    Vendor {
        kind: "netlify",
        name: "Netlify",
        tokens: &["NETLIFY_AUTH_TOKEN"],
        get: "https://app.netlify.com/user/applications, or `netlify login`",
    },
    Vendor {
        kind: "railway",
        name: "Railway",
        tokens: &["RAILWAY_TOKEN", "RAILWAY_API_TOKEN"],
        get: "the project's settings, Tokens, for the environment that you deploy to",
    },
    Vendor {
        kind: "render",
        name: "Render",
        tokens: &["RENDER_API_KEY"],
        get: "https://dashboard.render.com, Account Settings, API Keys",
    },
    Vendor {
        kind: "vercel",
        name: "Vercel",
        tokens: &["VERCEL_TOKEN"],
        get: "https://vercel.com/account/settings/tokens (the team that owns the project)",
    },
];

/// The entry of a kind.
pub(super) fn vendor(kind: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.kind == kind)
}
