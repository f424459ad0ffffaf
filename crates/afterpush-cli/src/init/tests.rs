use afterpush_core::config::{Source, combine};

use super::{
    compose,
    gather::File,
    proposal::{Found, propose},
};

const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

fn found(files: &[(&str, &str)], remotes: &[(&str, &str)]) -> Found {
    let files: Vec<File> =
        files.iter().map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() }).collect();
    let remotes: Vec<_> = remotes.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect();
    propose(&files, &remotes)
}

/// The targets as they are written, without the lines that do not differ.
fn written(files: &[(&str, &str)], remotes: &[(&str, &str)]) -> Vec<String> {
    let found = found(files, remotes);
    let text = compose::configuration(&found.proposals, "trunk");
    let config =
        combine(Some(Source { name: "x", text: &text }), false, None).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let complete = found.proposals.iter().filter(|proposal| !proposal.is_incomplete).count();
    assert_eq!((config.targets.len(), config.left_out.len()), (complete, 0), "{text}");
    found.proposals.iter().map(|it| compose::target(it, "trunk").replace('\n', " ")).collect()
}

#[test]
fn each_host_is_recognised_by_its_own_files() {
    let deployment = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n\
                      spec: {template: {spec: {containers: [{name: web, image: ghcr.io/acme/web:1}]}}}\n---\napiVersion: apps/v1\nkind: StatefulSet\n\
                      metadata: {name: db}\nspec: {template: {spec: {containers: [{image: 'postgres:17'}]}}}\n";
    let pages = format!(
        "{{\n // a comment\n \"name\": \"site\", \"account_id\": \"{ACCOUNT}\", \"pages_build_output_dir\": \"dist\",\n}}"
    );
    for (files, expected) in [
        (
            &[(".do/app.yaml", "name: 'storefront'\nservices:\n- github: {branch: production, repo: acme/x}\n")][..],
            r#"name = "storefront" branch = "production" provider = { kind = "digitalocean", app = "storefront" }"#,
        ),
        (
            &[(".do/deploy.template.yaml", "spec:\n  name: shop\n")],
            r#"name = "shop" branch = "trunk" provider = { kind = "digitalocean", app = "shop" }"#,
        ),
        (
            &[
                (".vercel/project.json", r#"{"projectId":"prj_1","orgId":"team_2","projectName":"shop"}"#),
                ("vercel.json", "{}"),
            ],
            r#"name = "shop" branch = "trunk" provider = { kind = "vercel", project = "prj_1", team = "team_2" }"#,
        ),
        (&[("vercel.json", "{}")], r#"name = "web" branch = "trunk" provider = { kind = "vercel" }"#),
        (
            &[("netlify.toml", "[build]\nbase = \"site/\"\n"), (".netlify/state.json", r#"{"siteId":"a-b"}"#)],
            r#"name = "site" branch = "trunk" paths = ["site/**"] provider = { kind = "netlify", site = "a-b" }"#,
        ),
        (
            &[(".netlify/state.json", r#"{"siteId":"a-b"}"#)],
            r#"name = "web" branch = "trunk" provider = { kind = "netlify", site = "a-b" }"#,
        ),
        (
            &[(
                "render.yaml",
                "services:\n- {type: web, name: api, rootDir: apps/api, branch: live}\n- {type: redis, name: r}\n",
            )],
            r#"name = "api" branch = "live" paths = ["apps/api/**"] provider = { kind = "render", service = "api" }"#,
        ),
        (&[("fly.toml", "app = 'x'\n")], r#"name = "x" branch = "trunk" provider = { kind = "fly", app = "x" }"#),
        (
            &[("fly.toml", "primary_region = 'ams'\n")],
            r#"# name = "web" # branch = "trunk" # provider = { kind = "fly", app = "NAME" }"#,
        ),
        (
            &[("wrangler.jsonc", &pages)],
            r#"name = "site" branch = "trunk" provider = { kind = "cloudflare", account = "0123456789abcdef0123456789abcdef", project = "site" }"#,
        ),
        (
            &[("railway.json", r#"{"build":{"watchPatterns":["/apps/**"]}}"#)],
            r#"name = "web" branch = "trunk" paths = ["apps/**"] provider = { kind = "railway" }"#,
        ),
        (
            &[(
                ".github/workflows/ci.yml",
                "on: {push: {branches: ['*', main], paths: ['src/**']}}\njobs: {go: {environment: {name: production}}, pr: {environment: '${{ x }}'}}\n",
            )],
            r#"name = "production" branch = "main" paths = ["src/**"] provider = { kind = "github", environment = "production" }"#,
        ),
        (
            &[(".github/workflows/deploy.yml", "on: push\njobs: {}\n"), (".github/workflows/test.yml", "on: push\n")],
            r#"name = "deploy" branch = "trunk" provider = { kind = "github", workflow = "deploy.yml" }"#,
        ),
        (
            &[(
                ".gitlab-ci.yml",
                "stages: [a]\ngo: {environment: production}\nstop: {environment: {name: review, action: stop}}\n",
            )],
            r#"name = "production" branch = "trunk" provider = { kind = "gitlab", environment = "production" }"#,
        ),
        (
            &[(".gitlab-ci.yml", "test: {script: x}\n")],
            r#"name = "pipeline" branch = "trunk" provider = { kind = "gitlab" }"#,
        ),
        (
            &[("k8s/web.yaml", deployment)],
            r#"name = "web" branch = "trunk" provider = { kind = "kubernetes", workload = "deployment/web", namespace = "shop" }"#,
        ),
        (
            &[(
                "cd/app.yaml",
                "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web, namespace: argocd}\n",
            )],
            r#"name = "web" branch = "trunk" provider = { kind = "argocd", app = "web" }"#,
        ),
    ] {
        let written = written(files, &[]);
        assert_eq!(written.len(), 1, "{files:?}: {written:?}");
        assert!(written[0].trim_end().ends_with(expected), "{files:?}\n{}\n{expected}", written[0]);
    }
    for url in ["https://git.heroku.com/shop.git", "git@heroku.com:shop.git", "ssh://git@heroku.com:shop.git"] {
        let written = written(&[], &[("heroku", url)]);
        assert!(written[0].contains(r#"{ kind = "heroku", app = "shop" }"#), "{written:?}");
    }
}

#[test]
fn each_app_of_a_monorepo_is_a_target_with_its_paths_and_a_name_of_its_own() {
    let link = r#"{"orgId":"team_1","projects":[{"id":"prj_a","name":"web","directory":"apps/web"},{"id":"prj_b","name":"docs","directory":"."}]}"#;
    let own = r#"{"projectId":"prj_a","orgId":"team_1"}"#;
    let files = [
        (".vercel/repo.json", link),
        ("apps/web/.vercel/project.json", own),
        ("apps/api/fly.toml", "app = 'web'"),
        ("apps/old/fly.toml", "app = 'web'"),
        ("apps/site/netlify.toml", ""),
    ];
    let written = written(&files, &[]);
    let names: Vec<_> = written.iter().map(|text| text.split('"').nth(1).unwrap_or_default().to_owned()).collect();
    assert_eq!(names.len(), names.iter().collect::<std::collections::BTreeSet<_>>().len(), "{names:?}");
    for expected in [
        r#"paths = ["apps/web/**"] provider = { kind = "vercel", project = "prj_a""#,
        r#"paths = ["apps/api/**"] provider = { kind = "fly", app = "web" }"#,
        r#"branch = "trunk" provider = { kind = "vercel", project = "prj_b""#,
        r#"paths = ["apps/site/**"] provider = { kind = "netlify" }"#,
    ] {
        assert_eq!(written.iter().filter(|text| text.contains(expected)).count(), 1, "{expected}\n{written:#?}");
    }
}

#[test]
fn what_is_missing_or_left_out_is_said() {
    let found =
        found(&[("wrangler.toml", "main = 'x.js'\nname = 'w'"), ("fly.toml", "app = ["), ("vercel.json", "{}")], &[]);
    assert_eq!(found.proposals.len(), 1);
    assert!(found.proposals[0].missing[0].contains("vercel link"));
    assert!(found.notes.iter().any(|note| note.starts_with("wrangler.toml: describes a Worker")), "{:?}", found.notes);
    assert!(found.notes.iter().any(|note| note == "fly.toml: cannot be read as TOML"), "{:?}", found.notes);
}

#[test]
fn hostile_files_break_nothing() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let deep_yaml = "a:\n".to_owned() + &"- ".repeat(20_000);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]\nname: x\n";
    let bad_name = "app = \"a\\\"] \\u202e [provider.fly]\\napi_url = 1\"";
    for name in [
        "fly.toml",
        ".do/app.yaml",
        ".vercel/project.json",
        ".vercel/repo.json",
        "netlify.toml",
        "render.yaml",
        "wrangler.jsonc",
        "railway.json",
        ".github/workflows/deploy.yml",
        ".gitlab-ci.yml",
        "k8s/x.yaml",
    ] {
        for text in [
            deep.as_str(),
            &deep_yaml,
            bomb,
            bad_name,
            "",
            "null",
            "[]",
            "{\"projectId\": 5, \"projects\": [null, {}], \"services\": {}}",
            "\u{feff}name: ''",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: []",
        ] {
            written(&[(name, text)], &[("origin", "https://git.heroku.com/../x.git\u{202e}")]);
        }
    }
    let strange = written(
        &[("fly.toml", "app = 'a \"b\" c'"), ("apps/\u{202e}x/fly.toml", "app = 'y'"), ("ap{ps/fly.toml", "app = 'z'")],
        &[],
    );
    assert!(
        strange.iter().all(|text| !text.contains('\u{202e}') && !text.contains('{') || text.contains("provider = {")),
        "{strange:?}"
    );
}

#[test]
fn without_any_host_every_commented_line_is_valid_once_uncommented() {
    let text = compose::configuration(&[], "main");
    let empty = combine(Some(Source { name: "x", text: &text }), false, None).map(|config| config.targets.len());
    assert_eq!(empty.ok(), Some(0));
    let is_code = |line: &&str| line.contains(" = ") || line.contains("[[");
    let code: String = text
        .lines()
        .map(|line| line.trim_start_matches("# "))
        .filter(is_code)
        .map(|line| format!("{line}\n"))
        .collect();
    let config =
        combine(Some(Source { name: "x", text: &code }), false, None).unwrap_or_else(|error| panic!("{error}\n{code}"));
    assert!(config.targets[0].health.len() == 1);
}
