//! Holds the providers' requests, and the answers that their tests make up, against the vendors' own descriptions, where
//! `AFTERPUSH_PROVIDER_SPECS` names a folder with them: OpenAPI 3, Swagger 2, and GraphQL schemas.

#![allow(clippy::unwrap_used, clippy::panic)]

mod document;
mod graphql;

use std::{env, path::PathBuf, sync::OnceLock};

use url::Url;

use self::document::Document;
use crate::{HttpRequest, HttpResponse, Method};

/// What describes the requests to an address.
struct Described {
    /// How the address begins.
    address: &'static str,
    /// The vendor's file, below the folder.
    file: &'static str,
}

/// The first that fits counts. The hosts of Kubernetes and Argo CD are everybody's own: there the path tells.
const DESCRIBED: [Described; 15] = [
    Described { address: "https://api.digitalocean.com", file: "digitalocean/openapi-apps.json" },
    Described { address: "https://api.github.com", file: "github/openapi-deploy.json" },
    Described { address: "https://api.vercel.com", file: "vercel/openapi-deployments.json" },
    Described { address: "https://api.netlify.com/api/v1", file: "netlify/swagger-deploys.json" },
    Described { address: "https://api.render.com/v1", file: "render/openapi-deploys.json" },
    Described { address: "https://api.heroku.com", file: "heroku/openapi-converted.json" },
    Described { address: "https://api.cloudflare.com/client/v4", file: "cloudflare/openapi-pages-workers.json" },
    Described { address: "https://gitlab.com", file: "gitlab/openapi-handmade.json" },
    Described { address: "https://api.machines.dev", file: "fly/openapi-machines-thirdparty.json" },
    Described { address: "https://api.fly.io/graphql", file: "fly/graphql-schema.graphql" },
    Described { address: "https://backboard.railway.com/graphql/v2", file: "railway/schema-deployments.graphql" },
    Described { address: "/apis/apps/v1/", file: "kubernetes/openapi-v3-apps-v1.json" },
    Described { address: "/api/v1/namespaces/", file: "kubernetes/openapi-v3-core-v1.json" },
    Described { address: "/api/v1/applications", file: "argocd/swagger-applications.json" },
    Described { address: "/api/v1/session/", file: "argocd/swagger-applications.json" },
];

/// The host in the tests of `http`, which stands for hosts of all sorts.
const UNDESCRIBED_HOST: &str = "https://ci.test/";

/// Query parameters that a description lacks although the vendor's own client sends them.
const UNDESCRIBED_PARAMETERS: [(&str, &str); 1] = [("digitalocean/openapi-apps.json", "tail_lines")];

/// Checks a request, and the sound answer to it.
pub(crate) fn check(request: &HttpRequest, answer: Option<&HttpResponse>) {
    let Some(folder) = folder() else { return };
    let url = Url::parse(&request.url).unwrap();
    let path = url.path();
    let fits = |it: &&Described| {
        if it.address.starts_with('/') { path.starts_with(it.address) } else { request.url.starts_with(it.address) }
    };
    // Logs and the like on other hosts have no description.
    let Some(described) = DESCRIBED.iter().find(fits) else {
        let may_have = request.url.starts_with(UNDESCRIBED_HOST);
        assert!(may_have || request.credential.is_none(), "no description of {}", request.url);
        return;
    };
    let file = folder.join(described.file);
    if file.extension().is_some_and(|extension| extension == "graphql") {
        return graphql::check(&file, request, answer);
    }
    let base = Url::parse(described.address).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
    let document = Document::read(&file);
    let method = if request.method == Method::Post { "post" } else { "get" };
    let below = path.strip_prefix(&base).unwrap();
    let operation =
        document.operation(below, method).unwrap_or_else(|| panic!("{} describes no {method} {below}", described.file));
    let is_known = |name: &str| UNDESCRIBED_PARAMETERS.contains(&(described.file, name));
    let mut problems = operation.problems_of_request(&url, request, is_known);
    if let Some(answer) = answer {
        problems.extend(operation.problems_of_answer(answer));
    }
    assert!(problems.is_empty(), "{method} {} against {}:\n{}", request.url, described.file, problems.join("\n"));
}

fn folder() -> Option<&'static PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = env::var_os("AFTERPUSH_PROVIDER_SPECS").map(PathBuf::from);
            if folder.is_none() {
                afterpush_testkit::sandbox::skipped(
                    "requests and answers against the vendors' descriptions",
                    "AFTERPUSH_PROVIDER_SPECS does not name a folder with them",
                );
            }
            folder
        })
        .as_ref()
}
