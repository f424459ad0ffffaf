//! What `doctor` says of the credentials of every kind of provider, over real HTTP: where they were found, whether they work, and
//! what is missing when they do not.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use afterpush_core::config::PROVIDER_KINDS;
use afterpush_providers::registry;
use afterpush_testkit::sandbox::{Said, Sandbox};
use serde_json::Value;

/// What is to be known of a kind. Its API is below its name at the server of the test.
struct Kind {
    name: &'static str,
    /// Its table of the target, without `kind`; `{url}` stands for the API's address.
    settings: &'static str,
    /// The cheapest call, and the answer to it.
    call: &'static str,
    answer: &'static str,
    /// What `doctor` says of that, and of a refusal.
    works: &'static str,
    missing: &'static str,
    /// The vendor's own login file below the home directory, as the vendor's command line writes it; `{token}` and `{host}` stand in it.
    login: Option<(&'static str, &'static str)>,
    /// How the token is presented.
    presented: &'static str,
}

const BEARER: &str = "authorization: Bearer ";

/// One for each kind; the order is that of the configuration.
const KINDS: [Kind; 14] = [
    Kind {
        name: "argocd",
        settings: "app = 'web'",
        call: "GET /api/v1/session/userinfo",
        answer: r#"{"loggedIn": true, "username": "ci"}"#,
        works: "logged in as ci",
        missing: "applications, get",
        login: Some((
            ".config/argocd/config",
            "contexts:\n- name: cd\n  server: {host}\n  user: cd\ncurrent-context: cd\nservers:\n- grpc-web-root-path: argocd\n  \
             plain-text: true\n  server: {host}\nusers:\n- auth-token: {token}\n  name: cd\n",
        )),
        presented: BEARER,
    },
    Kind {
        name: "cloudflare",
        settings: "project = 'web'",
        call: "GET /accounts?per_page=50",
        answer: r#"{"success": true, "errors": [], "messages": [], "result": [{"id": "a", "name": "acme"}]}"#,
        works: "sees 1 account",
        missing: "Account, Cloudflare Pages, Read",
        login: None,
        presented: BEARER,
    },
    Kind {
        name: "command",
        settings: "command = ['{program}'], env = ['COMMAND_TOKEN', 'COMMAND_EXTRA']",
        call: "",
        answer: "",
        works: "where-is answers",
        missing: "",
        login: None,
        presented: "",
    },
    Kind {
        name: "digitalocean",
        settings: "app = 'web'",
        call: "GET /v2/apps?per_page=1",
        answer: r#"{"apps": [], "links": {}, "meta": {"total": 3}}"#,
        works: "sees 3 apps",
        missing: "app:read",
        login: Some((
            ".config/doctl/config.yaml",
            "access-token: {token}\napi-url: \"\"\nauth-contexts: {}\ncontext: default\noutput: text\ntrace: false\n",
        )),
        presented: BEARER,
    },
    Kind {
        name: "fly",
        settings: "app = 'web'",
        call: "GET /apps/web",
        answer: r#"{"id": "x", "name": "web", "status": "deployed"}"#,
        works: "sees the app \"web\"",
        missing: "fly tokens create readonly",
        login: Some((
            ".fly/config.yml",
            "access_token: {token}\nauto_update_enabled: true\nlast_login: 2026-01-01T00:00:00Z\n",
        )),
        presented: BEARER,
    },
    Kind {
        name: "github",
        settings: "repository = 'acme/web'",
        call: "GET /repos/acme/web",
        answer: r#"{"id": 1, "full_name": "acme/web"}"#,
        works: "sees acme/web",
        missing: "Metadata: read (classic: repo)",
        login: Some((
            ".config/gh/hosts.yml",
            "{host}:\n    users:\n        me:\n            oauth_token: {token}\n    git_protocol: https\n    oauth_token: \
             {token}\n    user: me\n",
        )),
        presented: BEARER,
    },
    Kind {
        name: "gitlab",
        settings: "project = 'acme/web'",
        call: "GET /projects/acme%2Fweb/pipelines?per_page=1",
        answer: "[]",
        works: "sees the pipelines of acme/web",
        missing: "read_api",
        login: Some((
            ".config/glab-cli/config.yml",
            "git_protocol: ssh\nhost: gitlab.com\nhosts:\n    {host}:\n        api_protocol: https\n        token: !!null \
             {token}\n        user: me\n",
        )),
        presented: BEARER,
    },
    Kind {
        name: "heroku",
        settings: "app = 'web'",
        call: "GET /account/rate-limits",
        answer: r#"{"remaining": 2399}"#,
        works: "2399 calls are left",
        missing: "read-protected",
        login: Some((
            ".netrc",
            "machine api.heroku.com\n  login me@acme.test\n  password {token}\nmachine git.heroku.com\n  login me@acme.test\n  password \
             {token}\n",
        )),
        presented: BEARER,
    },
    Kind {
        name: "http",
        settings: "url = '{url}/deployments', token_env = 'HTTP_TOKEN', items = '/list', commit = '/sha', state = '/state', words = { live = ['done'] }",
        call: "GET /deployments",
        answer: r#"{"list": [{}, {}]}"#,
        works: "answers with 2 deployments",
        missing: "to read deployments",
        login: None,
        presented: BEARER,
    },
    Kind {
        name: "kubernetes",
        settings: "workload = 'web'",
        call: "GET /apis/apps/v1/namespaces/default/deployments/web",
        answer: r#"{"metadata": {"name": "web"}, "spec": {}, "status": {}}"#,
        works: "sees deployment/web in the namespace default",
        missing: "get deployments",
        login: Some((
            ".kube/config",
            "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {server: 'http://{host}/kubernetes'}\nusers:\n- name: u\n  \
             user: {token: {token}}\ncontexts:\n- name: x\n  context: {cluster: c, user: u}\ncurrent-context: x\n",
        )),
        presented: BEARER,
    },
    Kind {
        name: "netlify",
        settings: "site = 'web'",
        call: "GET /user",
        answer: r#"{"id": "u", "site_count": 3}"#,
        works: "sees 3 sites",
        missing: "of the site's team",
        login: Some((
            ".config/netlify/config.json",
            r#"{"telemetryDisabled": false, "cliId": "c", "userId": "u", "users": {"u": {"id": "u", "name": "me",
            "email": "me@acme.test", "auth": {"token": "{token}", "github": {}}}}}"#,
        )),
        presented: BEARER,
    },
    Kind {
        name: "railway",
        settings: "service = 'web'",
        call: "POST ",
        answer: r#"{"data": {"projectToken": {"project": {"id": "p", "name": "shop"}, "environment": {"id": "e", "name": "production"}}}}"#,
        works: "sees the environment \"production\" of the project \"shop\"",
        missing: "a token of the project's environment",
        login: Some((".railway/config.json", r#"{"projects": {}, "user": {"token": "{token}"}}"#)),
        presented: "project-access-token: ",
    },
    Kind {
        name: "render",
        settings: "service = 'web'",
        call: "GET /owners?limit=20",
        answer: r#"[{"owner": {"id": "tea-1", "name": "acme"}, "cursor": "1"}]"#,
        works: "sees the workspace \"acme\"",
        missing: "of an API key of a member of the service's workspace",
        login: Some((
            ".render/cli.yaml",
            "version: 1\nworkspace: tea-1\napi:\n    key: {token}\n    host: https://api.render.com/v1/\n",
        )),
        presented: BEARER,
    },
    Kind {
        name: "vercel",
        settings: "project = 'web'",
        call: "GET /v2/user",
        answer: r#"{"user": {"id": "u", "username": "me"}}"#,
        works: "account me",
        missing: "of the account or team that owns the project",
        login: Some((
            ".local/share/com.vercel.cli/auth.json",
            r#"{"// Note": "This is your Vercel credentials file.", "token": "{token}"}"#,
        )),
        presented: BEARER,
    },
];

impl Kind {
    /// The names under which its token may be found.
    fn names(&self) -> Vec<&'static str> {
        match self.name {
            "http" => vec!["HTTP_TOKEN"],
            "command" => vec!["COMMAND_TOKEN"],
            name => registry::credential_names(name).to_vec(),
        }
    }

    /// Its only place is the kubeconfig.
    fn is_by_kubeconfig(&self) -> bool {
        self.name == "kubernetes"
    }
}

/// A token of a kind: nothing that could stand anywhere else.
fn token(kind: &Kind) -> String {
    format!("canary-{}", kind.name)
}

/// All vendors at once. Below a kind's name it answers that kind's calls, or all with one status.
struct Vendors {
    address: String,
    status: Arc<Mutex<u16>>,
    /// What each kind was asked last: the first line of the request and its headers.
    asked: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    thread: Option<JoinHandle<()>>,
}

impl Vendors {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (status, asked) = (Arc::new(Mutex::new(200)), Arc::<Mutex<BTreeMap<String, Vec<String>>>>::default());
        let (its_status, its_asked) = (Arc::clone(&status), Arc::clone(&asked));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let status = *its_status.lock().unwrap();
                if status == 0 {
                    break;
                }
                let _ = serve(stream, status, &its_asked);
            }
        });
        Self { address, status, asked, thread: Some(thread) }
    }

    fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// Takes what a kind was asked since the last time.
    fn asked(&self, kind: &Kind) -> Vec<String> {
        self.asked.lock().unwrap().remove(kind.name).unwrap_or_default()
    }
}

impl Drop for Vendors {
    fn drop(&mut self) {
        self.answer(0);
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(mut stream: TcpStream, status: u16, asked: &Mutex<BTreeMap<String, Vec<String>>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut Vec::new())?;
    let (method, path) = head[0].split_once(" /").unwrap();
    let path = path.trim_end_matches(" HTTP/1.1");
    let (name, below) = path.split_at(path.find('/').unwrap_or(path.len()));
    let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
    let is_expected = format!("{method} {below}") == kind.call;
    let (status, body) = match status {
        200 if is_expected => (200, kind.answer),
        200 => (404, "{}"),
        status => (status, "{}"),
    };
    asked.lock().unwrap().entry(name.to_owned()).or_default().extend(head);
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// A person who has a target of every kind.
struct Person {
    sandbox: Sandbox,
    vendors: Vendors,
}

impl Person {
    fn new() -> Self {
        let person = Self { sandbox: Sandbox::new(), vendors: Vendors::start() };
        let root = person.sandbox.path();
        let program = root.join("where-is");
        fs::write(&program, "#!/bin/sh\necho '{}'\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut config = String::new();
        for kind in &KINDS {
            let url = person.url(kind);
            let settings = kind.settings.replace("{url}", &url).replace("{program}", &program.to_string_lossy());
            let table = format!("provider = {{ kind = '{}', {settings} }}", kind.name);
            config += &format!("[[target]]\nname = '{}'\nbranch = 'main'\n{table}\n", kind.name);
            if !["http", "kubernetes", "command"].contains(&kind.name) {
                config += &format!("[provider.{}]\napi_url = '{url}'\n", kind.name);
            }
        }
        person.sandbox.user_config(&config);
        person.sandbox.git(root, &["init", "--quiet", "work"]);
        person
    }

    fn url(&self, kind: &Kind) -> String {
        format!("http://{}/{}", self.vendors.address, kind.name)
    }

    fn home(&self) -> std::path::PathBuf {
        self.sandbox.path().join("home")
    }

    /// Writes each vendor's login file.
    fn log_in(&self, kinds: impl Iterator<Item = &'static Kind>) {
        for kind in kinds {
            let Some((path, text)) = kind.login else { continue };
            let path = self.home().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("{token}", &token(kind)).replace("{host}", &self.vendors.address)).unwrap();
        }
    }

    /// What `doctor` says with these variables, by the names of its checks.
    fn doctor(&self, variables: &[(&str, String)]) -> BTreeMap<String, Value> {
        let mut command = self.sandbox.command(self.sandbox.program("afterpush"), &self.sandbox.path().join("work"));
        command.args(["doctor", "--json"]).envs(variables.iter().map(|(name, value)| (name, value)));
        let said = Said::of(&mut command);
        assert!(!said.stdout.contains("canary") && !said.stderr.contains("canary"), "{said:?}");
        let checks = said.json()["checks"].as_array().unwrap().clone();
        checks.into_iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check)).collect()
    }
}

/// What a check says; the test fails when it is not as well as it should be.
fn message<'a>(checks: &'a BTreeMap<String, Value>, name: &str, is_well: bool) -> &'a str {
    let check = checks.get(name).unwrap_or_else(|| panic!("no check {name:?} in {checks:#?}"));
    assert_eq!(check["ok"], is_well, "{check}");
    assert_eq!(check["hint"].is_null(), is_well, "what to do: {check}");
    check["message"].as_str().unwrap()
}

/// Every kind works, with its token from the place that `place` says; those for which it says none were not asked.
fn all_work(person: &Person, checks: &BTreeMap<String, Value>, place: impl Fn(&Kind) -> Option<String>) {
    for kind in &KINDS {
        let Some(place) = place(kind) else { continue };
        let found = message(checks, &format!("{} credentials", kind.name), true);
        assert!(found.starts_with(&format!("found in {place}")), "{}: {found} instead of {place}", kind.name);
        assert_eq!(message(checks, &format!("{} answers", kind.name), true), kind.works, "{}", kind.name);
        let asked = person.vendors.asked(kind);
        if kind.name != "command" {
            let presented = format!("{}{}", kind.presented, token(kind));
            assert!(asked.contains(&presented), "{}: {asked:?}", kind.name);
            assert_eq!(asked.iter().filter(|line| line.ends_with(" HTTP/1.1")).count(), 1, "one call: {asked:?}");
        }
    }
}

#[test]
fn the_credentials_of_every_kind_are_found_and_tried_by_one_call() {
    assert_eq!(KINDS.map(|kind| kind.name), PROVIDER_KINDS);
    let person = Person::new();
    // Kubernetes has its kubeconfig alone.
    person.log_in(KINDS.iter().filter(|kind| kind.is_by_kubeconfig()));
    let in_kubeconfig = person.home().join(".kube/config").display().to_string();
    // By each of the names in the environment.
    for turn in 0..3 {
        let nth = |kind: &Kind| kind.names().get(turn).copied();
        let variables: Vec<_> = KINDS.iter().filter_map(|kind| Some((nth(kind)?, token(kind)))).collect();
        let checks = person.doctor(&variables);
        all_work(&person, &checks, |kind| match kind.is_by_kubeconfig() {
            true => Some(in_kubeconfig.clone()),
            false => nth(kind).map(|name| format!("the environment variable {name}")),
        });
    }
    // In the credentials file: in the kind's own table, and by the first name.
    let credentials = person.home().join(".config/afterpush/credentials.toml").display().to_string();
    for by_name in [false, true] {
        let by_name = |kind: &Kind| by_name || ["http", "command"].contains(&kind.name);
        let (named, tables): (Vec<_>, Vec<_>) =
            KINDS.iter().filter(|kind| !kind.is_by_kubeconfig()).partition(|kind| by_name(kind));
        let named = named.iter().map(|kind| format!("{} = '{}'\n", kind.names()[0], token(kind)));
        let tables = tables.iter().map(|kind| format!("[{}]\ntoken = '{}'\n", kind.name, token(kind)));
        person.sandbox.credentials(&named.chain(tables).collect::<String>());
        let checks = person.doctor(&[]);
        let place = |kind: &Kind| if kind.is_by_kubeconfig() { &in_kubeconfig } else { &credentials };
        all_work(&person, &checks, |kind| Some(place(kind).clone()));
    }
    fs::remove_file(Path::new(&credentials)).unwrap();
    // The vendors' own logins.
    person.log_in(KINDS.iter());
    let checks = person.doctor(&[]);
    all_work(&person, &checks, |kind| kind.login.map(|(path, _)| person.home().join(path).display().to_string()));
    // What is nowhere is named, with all its names.
    for kind in KINDS.iter().filter(|kind| kind.login.is_none() && kind.name != "command") {
        let check = &checks[&format!("{} credentials", kind.name)];
        assert_eq!(message(&checks, &format!("{} credentials", kind.name), false), "none found");
        assert!(kind.names().iter().all(|name| check["hint"].as_str().unwrap().contains(name)), "{check}");
        assert!(!checks.contains_key(&format!("{} answers", kind.name)), "nothing is asked without a token");
    }
    assert_eq!(message(&checks, "command credentials", true), "nothing sets COMMAND_TOKEN, COMMAND_EXTRA");
}

#[test]
fn a_refusal_names_what_is_missing_and_an_unreachable_provider_is_no_refusal() {
    let person = Person::new();
    person.log_in(KINDS.iter().filter(|kind| kind.is_by_kubeconfig()));
    let variables: Vec<_> = KINDS.iter().filter_map(|kind| Some((*kind.names().first()?, token(kind)))).collect();
    let on_the_web = || KINDS.iter().filter(|kind| kind.name != "command");
    for status in [401, 403] {
        person.vendors.answer(status);
        let checks = person.doctor(&variables);
        for kind in on_the_web() {
            let told = message(&checks, &format!("{} answers", kind.name), false);
            assert!(
                told.starts_with("unauthorized: ") && told.contains(kind.missing),
                "{status} {}: {told}",
                kind.name
            );
        }
    }
    for (status, begin) in [(404, "not-found: "), (429, "rate-limited: "), (503, "transient: ")] {
        person.vendors.answer(status);
        let checks = person.doctor(&variables);
        for kind in on_the_web() {
            let told = message(&checks, &format!("{} answers", kind.name), false);
            assert!(told.starts_with(begin), "{status} {}: {told}", kind.name);
        }
    }
    person.vendors.answer(0);
    let _ = TcpStream::connect(&person.vendors.address);
    let checks = person.doctor(&variables);
    for kind in on_the_web() {
        let told = message(&checks, &format!("{} answers", kind.name), false);
        assert!(told.starts_with("transient: "), "{}: {told}", kind.name);
        assert!(message(&checks, &format!("{} credentials", kind.name), true).starts_with("found in "));
    }
}
