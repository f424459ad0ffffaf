//! Networks as they are on the way: none, a portal, half-open connections, proxies, authorities of one's own, IPv6 alone. All of it is
//! trouble, which is told and outlasted; none of it is ever a verdict.

use std::{fs, path::PathBuf};

use afterpush_testkit::{
    certificates::Certificates,
    digitalocean::Simulator,
    health::App,
    line::{Line, Proxy, Weather},
    sandbox::{Project, Said, Sandbox, wait_until},
};
use serde_json::Value;

use crate::{
    namespace,
    scene::{SHORT, Scene, TARGET},
};

const TOKEN: &str = "canary-token-of-the-line";
/// A host that only a proxy, or a file of names of the test's own, knows.
const HOST: &str = "api.vendor.invalid";
/// Addresses that are no loopback, and nobody's (RFC 5737, RFC 3849).
const V4: &str = "198.51.100.7";
const V6: &str = "2001:db8::7";

/// A simulated vendor behind https.
struct Vendor {
    simulator: Simulator,
    app: String,
    line: Line,
    sandbox: Sandbox,
    authority: PathBuf,
}

impl Vendor {
    /// Listens at `on` with a certificate for `host`.
    fn start(on: &str, host: &str) -> Self {
        let simulator = Simulator::start();
        let app = simulator.add_app("storefront", "acme/storefront", "main", "https://storefront.example.invalid");
        let line = Line::start(on, host, simulator.address());
        let sandbox = Sandbox::new();
        let authority = sandbox.path().join("authority.pem");
        fs::write(&authority, &line.authority).unwrap();
        Self { simulator, app, line, sandbox, authority }
    }

    /// One that is reached as `localhost`.
    fn here() -> Self {
        let vendor = Self::start("127.0.0.1:0", "localhost");
        vendor.is_at(&format!("https://localhost:{}", vendor.line.address().port()));
        vendor
    }

    fn is_at(&self, url: &str) {
        self.sandbox.user_config(&format!("[provider.digitalocean]\napi_url = \"{url}\"\n[policy]\n{SHORT}"));
    }

    fn push_with(&self, project: &Project<'_>, variables: &[(&str, &str)]) -> String {
        let mut push = project.push_command(&["origin", "main"]);
        push.env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN).env("SSL_CERT_FILE", &self.authority);
        let said = Said::of(push.envs(variables.iter().copied()));
        assert_eq!(said.code, Some(0), "{said:?}");
        project.head()
    }

    /// The commit is deployed, and the run of it ends so.
    fn is_live(&self, project: &Project<'_>, commit: &str) {
        self.simulator.deploy(&self.app, commit).set_phase("ACTIVE");
        assert_eq!(project.result(commit)["outcome"], "live");
        assert_eq!(project.deploy_status(&[commit]).code, Some(0));
    }
}

/// The stage's trouble is told in these words, in the file and to a person, and it is no verdict.
fn is_told(project: &Project<'_>, commit: &str, stage: usize, words: &str) {
    let trouble = |status: &Value| {
        let stage = &status["targets"][0]["stages"][stage];
        [&stage["trouble"]["message"], &stage["checks"][0]["trouble"]].map(|it| it.as_str().unwrap_or("").to_owned())
    };
    let status = project.status(commit, words, |status| {
        assert!(status["outcome"].is_null(), "a verdict instead of {words}: {status:#}");
        trouble(status).iter().any(|message| message.contains(words))
    });
    assert!(status["next_poll_at"].is_string(), "{status:#}");
    wait_until(&format!("{words}, for a person"), || {
        let said = project.deploy_status(&[commit]);
        assert_eq!(said.code, Some(2), "{said:?}");
        said.stdout.contains(words)
    });
}

/// The monitor goes on asking.
fn goes_on(line: &Line) {
    let before = line.connections();
    wait_until("further questions", || line.connections() > before + 1);
}

fn answer(status: &str, headers: &str, body: &str) -> Weather {
    let length = body.len();
    Weather::Portal(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

const LOGIN: &str = "<!DOCTYPE html><title>Welcome to the hotel</title><form>";

fn portals() -> [(Weather, &'static str); 5] {
    [
        (answer("200 OK", "content-type: text/html\r\n", LOGIN), "is a web page instead of JSON"),
        (answer("302 Found", "location: http://portal.invalid/login\r\n", ""), "elsewhere (302)"),
        (answer("511 Network Authentication Required", "", LOGIN), "(511)"),
        (Weather::Stranger, "its certificate is for another host: portal.example.invalid"),
        (Weather::BreaksAfter(60), "localhost: "),
    ]
}

#[test]
fn a_captive_portal_and_what_breaks_off_are_trouble_until_the_way_is_clear() {
    let vendor = Vendor::here();
    let project = vendor.sandbox.project(TARGET);
    let mut commit = String::new();
    for (weather, words) in portals() {
        vendor.line.set(weather);
        if commit.is_empty() {
            commit = vendor.push_with(&project, &[]);
        }
        is_told(&project, &commit, 0, words);
        goes_on(&vendor.line);
    }
    vendor.line.set(Weather::Clear);
    vendor.is_live(&project, &commit);
}

#[test]
fn a_connection_that_never_speaks_is_given_up_and_made_again() {
    let vendor = Vendor::here();
    let project = vendor.sandbox.project(TARGET);
    vendor.line.set(Weather::Silent);
    let commit = vendor.push_with(&project, &[]);
    is_told(&project, &commit, 0, "localhost: no answer within the time limit");
    vendor.line.set(Weather::Clear);
    vendor.is_live(&project, &commit);
}

#[test]
fn an_answer_that_never_begins_or_stops_in_its_middle_is_given_up_and_asked_for_again() {
    let vendor = Vendor::here();
    let project = vendor.sandbox.project(TARGET);
    vendor.line.set(Weather::Unanswered);
    let commit = vendor.push_with(&project, &[]);
    is_told(&project, &commit, 0, "localhost: no answer within the time limit");
    vendor.line.set(answer("511 Network Authentication Required", "", LOGIN));
    is_told(&project, &commit, 0, "(511)");
    vendor.line.set(Weather::StallsAfter(300));
    is_told(&project, &commit, 0, "localhost: no answer within the time limit");
    vendor.line.set(Weather::Clear);
    vendor.is_live(&project, &commit);
}

#[test]
fn a_portal_before_the_application_is_no_failed_health_check() {
    let app = App::start();
    let address = app.url().trim_start_matches("http://").parse().unwrap();
    let line = Line::start("127.0.0.1:0", "localhost", address);
    let scene = Scene::with_live_url("https://storefront.example.invalid", "");
    let file = scene.sandbox.path().join("home/.config/afterpush/config.toml");
    let own = format!(
        "\n[[target]]\nname = \"web\"\nhealth = {{ url = \"https://localhost:{}/health\", commit = \"/commit\", \
         contains = \"ok\", failures = 1, passes = 1 }}\n",
        line.address().port()
    );
    fs::write(&file, fs::read_to_string(&file).unwrap() + &own).unwrap();
    let authority = scene.sandbox.path().join("authority.pem");
    fs::write(&authority, &line.authority).unwrap();
    let project = scene.sandbox.project(TARGET);
    let commit = project.head();
    app.serve(&commit);
    scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
    line.set(Weather::Stranger);
    let mut push = project.push_command(&["origin", "main"]);
    let said = Said::of(push.env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN).env("SSL_CERT_FILE", &authority));
    assert_eq!(said.code, Some(0), "{said:?}");
    for (weather, words) in [
        (Weather::Stranger, "its certificate is for another host: portal.example.invalid"),
        (answer("511 Network Authentication Required", "", LOGIN), "the network in between wants a login (511)"),
        (answer("302 Found", "location: http://portal.invalid/login\r\n", ""), "is not asked over http"),
        (Weather::BreaksAfter(20), "localhost:"),
    ] {
        line.set(weather);
        is_told(&project, &commit, 2, words);
        goes_on(&line);
    }
    line.set(Weather::Clear);
    assert_eq!(project.result(&commit)["outcome"], "live");
}

#[test]
fn an_authority_of_ones_own_is_trusted_by_its_file_or_its_directory_alone() {
    let vendor = Vendor::here();
    let project = vendor.sandbox.project(TARGET);
    let other = vendor.sandbox.path().join("other.pem");
    fs::write(&other, Certificates::new(HOST).unwrap().authority).unwrap();
    let commit = vendor.push_with(&project, &[("SSL_CERT_FILE", other.to_str().unwrap())]);
    is_told(&project, &commit, 0, "its certificate is from an authority that this machine does not know");
    assert_eq!(project.afterpush(&["stop"]).code, Some(0));
    let _ = project.result(&commit);
    assert!(vendor.simulator.requests().is_empty(), "a token went to whom nobody vouches for");

    let second = project.commit("second");
    vendor.push_with(&project, &[]);
    vendor.is_live(&project, &second);

    let third = project.commit("third");
    let directory = vendor.sandbox.path().join("authorities");
    fs::create_dir(&directory).unwrap();
    // As c_rehash would name it; the first of the two authorities in the file.
    let (own, _) = vendor.line.authority.split_once("-----END CERTIFICATE-----\n").unwrap();
    fs::write(directory.join("0a1b2c3d.0"), format!("{own}-----END CERTIFICATE-----\n")).unwrap();
    let mut push = project.push_command(&["origin", "main"]);
    let said = Said::of(push.env("DIGITALOCEAN_ACCESS_TOKEN", TOKEN).env("SSL_CERT_DIR", &directory));
    assert_eq!(said.code, Some(0), "{said:?}");
    vendor.is_live(&project, &third);
}

/// `me:canary-proxy` in Base64.
const LOGIN_OF_PROXY: &str = "bWU6Y2FuYXJ5LXByb3h5";

#[test]
fn a_proxy_is_used_under_each_of_its_names_and_sees_no_token() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let vendor = Vendor::start("127.0.0.1:0", HOST);
        vendor.is_at(&format!("https://{HOST}"));
        let proxy = Proxy::start(vendor.line.address(), Some(LOGIN_OF_PROXY));
        let project = vendor.sandbox.project(TARGET);
        let url = format!("http://me:canary-proxy@{}", proxy.address());
        let commit = vendor.push_with(&project, &[(name, &url)]);
        vendor.is_live(&project, &commit);
        let asked = proxy.asked();
        assert!(!asked.is_empty(), "{name}");
        for asked in &asked {
            assert_eq!(asked.place, format!("{HOST}:443"), "{name}");
            assert!(!asked.head.contains(TOKEN) && asked.head.contains(LOGIN_OF_PROXY), "{name}: {asked:?}");
        }
        assert!(vendor.simulator.requests().iter().all(|request| !request.headers.contains(LOGIN_OF_PROXY)));
    }
}

#[test]
fn a_proxy_that_refuses_or_is_dead_is_trouble() {
    let vendor = Vendor::start("127.0.0.1:0", HOST);
    vendor.is_at(&format!("https://{HOST}"));
    let project = vendor.sandbox.project(TARGET);
    let proxy = Proxy::start(vendor.line.address(), Some(LOGIN_OF_PROXY));
    let wrong = format!("http://me:canary-wrong@{}", proxy.address());
    let commit = vendor.push_with(&project, &[("HTTPS_PROXY", &wrong)]);
    is_told(&project, &commit, 0, "proxy authorization required");
    assert!(!project.deploy_status(&["--json"]).stdout.contains("canary"));
    assert_eq!(project.afterpush(&["stop"]).code, Some(0));
    let _ = project.result(&commit);

    let address = proxy.address();
    drop(proxy);
    let second = project.commit("second");
    let dead = format!("http://me:canary-proxy@{address}");
    vendor.push_with(&project, &[("HTTPS_PROXY", &dead)]);
    is_told(&project, &second, 0, "Connection refused");
    assert!(!project.deploy_status(&["--json"]).stdout.contains("canary"));
}

#[test]
fn to_this_machine_itself_no_proxy_leads() {
    let scene = Scene::with_token(SHORT);
    let proxy = Proxy::start(scene.simulator.address(), None);
    let project = scene.sandbox.project(TARGET);
    let url = format!("http://{}", proxy.address());
    let mut push = project.push_command(&["origin", "main"]);
    let said = Said::of(push.env("http_proxy", &url).env("ALL_PROXY", &url));
    assert_eq!(said.code, Some(0), "{said:?}");
    scene.simulator.deploy(&scene.app, &project.head()).set_phase("ACTIVE");
    assert_eq!(project.result(&project.head())["outcome"], "live");
    assert_eq!(proxy.asked(), [], "a token went over an open line");
}

#[test]
fn a_network_that_comes_later_is_found() {
    namespace::in_own("a_network_that_comes_later_is_found", |network| {
        let vendor = Vendor::start("0.0.0.0:0", V4);
        vendor.is_at(&format!("https://{V4}:{}", vendor.line.address().port()));
        let project = vendor.sandbox.project(TARGET);
        let commit = vendor.push_with(&project, &[]);
        is_told(&project, &commit, 0, "Network is unreachable");
        assert_eq!(vendor.line.connections(), 0);
        network.add(&format!("{V4}/32"));
        vendor.is_live(&project, &commit);
    });
}

#[test]
fn a_name_that_cannot_be_looked_up_is_found_later_and_a_proxy_is_left_out_where_no_proxy_says_so() {
    namespace::in_own("a_name_that_cannot_be_looked_up_is_found_later", |network| {
        let vendor = Vendor::start("0.0.0.0:0", HOST);
        vendor.is_at(&format!("https://{HOST}:{}", vendor.line.address().port()));
        network.add(&format!("{V4}/32"));
        network.names(vendor.sandbox.path(), "127.0.0.1 localhost\n");
        let proxy = Proxy::start(vendor.line.address(), None);
        let project = vendor.sandbox.project(TARGET);
        let url = format!("http://{}", proxy.address());
        let commit =
            vendor.push_with(&project, &[("HTTPS_PROXY", &url), ("NO_PROXY", "other.invalid,.vendor.invalid")]);
        is_told(&project, &commit, 0, &format!("{HOST}: failed to lookup address information"));
        fs::write("/etc/hosts", format!("{V4} {HOST}\n")).unwrap();
        vendor.is_live(&project, &commit);
        assert_eq!(proxy.asked(), []);
    });
}

#[test]
fn a_network_with_ipv6_alone_is_enough() {
    namespace::in_own("a_network_with_ipv6_alone_is_enough", |network| {
        let vendor = Vendor::start("[::]:0", HOST);
        vendor.is_at(&format!("https://{HOST}:{}", vendor.line.address().port()));
        network.add(&format!("{V6}/128"));
        // It has an IPv4 address as well, to which nothing leads.
        network.names(vendor.sandbox.path(), &format!("127.0.0.1 localhost\n{V4} {HOST}\n{V6} {HOST}\n"));
        let project = vendor.sandbox.project(TARGET);
        let commit = vendor.push_with(&project, &[]);
        vendor.is_live(&project, &commit);
    });
}
