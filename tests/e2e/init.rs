//! `afterpush init` in repositories with the vendors' own files: what it writes is taken by the configuration and by each provider.

use std::fs;

use afterpush_core::{
    config::{Source, combine},
    id::{CommitId, RefName},
};
use afterpush_providers::{Secret, Setup, registry};
use afterpush_testkit::sandbox::Sandbox;

/// A repository with something of every host.
const FILES: [(&str, &str); 11] = [
    (".do/app.yaml", "name: storefront\nservices:\n- name: api\n  git: {branch: main}\n"),
    ("apps/web/.vercel/project.json", r#"{"projectId":"prj_1","orgId":"team_2","projectName":"shop"}"#),
    ("apps/docs/netlify.toml", "[build]\n"),
    ("apps/docs/.netlify/state.json", r#"{"siteId":"01234567-89ab-cdef-0123-456789abcdef"}"#),
    ("render.yaml", "services:\n- {type: web, name: api, rootDir: apps/api}\n"),
    ("fly.toml", "app = 'edge'\n"),
    (
        "apps/site/wrangler.jsonc",
        "{ // Pages\n \"name\": \"site\", \"account_id\": \"0123456789abcdef0123456789abcdef\", \"pages_build_output_dir\": \"d\" }",
    ),
    (".github/workflows/deploy.yml", "on: push\njobs: {go: {environment: production}}\n"),
    (".gitlab-ci.yml", "go: {environment: staging}\n"),
    ("apps/jobs/railway.toml", "[build]\n"),
    (
        "k8s/all.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: worker}\nspec: {template: {spec: {containers: [{image: ghcr.io/a/b:1}]}}}\n\
         ---\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: cd}\n",
    ),
];

#[test]
fn every_host_is_found_and_what_is_written_is_taken_by_its_provider() {
    let sandbox = Sandbox::new();
    let project = sandbox.project("");
    for (path, text) in FILES {
        let path = project.work.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let git = |arguments: &[&str]| project.git(arguments);
    git(&["remote", "set-url", "origin", "https://user:canary@github.com/acme/shop.git"]);
    git(&["remote", "add", "heroku", "https://git.heroku.com/legacy.git"]);

    let shown = project.afterpush(&["init", "--print"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let path = project.work.join(".afterpush.toml");
    assert!(!path.exists(), "--print writes nothing");
    let said = project.afterpush(&["init"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written, shown.stdout);
    assert!(!said.stdout.contains("canary") && !written.contains("canary"), "{said:?}");

    let config = combine(Some(Source { name: "x", text: &written }), false, None).unwrap();
    assert_eq!(config.left_out, [""; 0]);
    let mut kinds = Vec::new();
    for target in &config.targets {
        let provider = target.provider.clone().unwrap();
        let setup = Setup {
            settings: provider.settings,
            api_url: registry::api_url(&provider.kind).is_empty().then(|| "https://cd.example.com".to_owned()),
            commit: CommitId::parse(&"a".repeat(40)).unwrap(),
            ref_name: RefName::parse("refs/heads/main").unwrap(),
            remote_url: "https://github.com/acme/shop".to_owned(),
            pushed_at: None,
            token: Some(Secret::new("token")),
        };
        let built = registry::build(&provider.kind, setup);
        assert!(built.is_ok(), "{}: {:?}", target.name, built.err());
        // Nothing is set here, so each variable that the provider looks for is named.
        for name in registry::credential_names(&provider.kind) {
            assert!(said.stdout.contains(name), "{name}: {}", said.stdout);
        }
        kinds.push(provider.kind);
    }
    kinds.sort();
    let open = ["command", "http"];
    let expected: Vec<_> =
        afterpush_core::config::PROVIDER_KINDS.into_iter().filter(|kind| !open.contains(kind)).collect();
    assert_eq!(kinds, expected, "{written}");

    // What is there is never touched; what it lacks is shown.
    fs::write(&path, written.split_inclusive("[[target]]").take(2).collect::<String>().replace("[[target]]", "#"))
        .unwrap();
    let before = fs::read_to_string(&path).unwrap();
    let again = project.afterpush(&["init"]);
    assert_eq!(again.code, Some(64), "{again:?}");
    assert!(again.stderr.contains("was left as it is") && again.stdout.contains("app = \"storefront\""), "{again:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    fs::write(&path, &written).unwrap();
    assert_eq!(project.afterpush(&["init"]).stdout, "", "it lacks nothing");
}
