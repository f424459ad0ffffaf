//! The health check against servers that behave in every way.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use afterpush_core::{
    config::{CommitAssertion, HealthAddress, HealthConfig},
    fault::{Fault, FaultKind},
    id::CommitId,
    observation::CheckObservation,
    run::Relation,
};
use afterpush_probes::HealthProbe;

use crate::server::{Server, answer};

const OURS: &str = "1234567890abcdef1234567890abcdef12345678";
const OLD: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";

fn config(url: &str) -> HealthConfig {
    HealthConfig {
        commit: Some(CommitAssertion::Pointer("/commit".to_owned())),
        ..HealthConfig::of(HealthAddress::Url { url: url.to_owned(), user_named: true })
    }
}

fn header(name: &str) -> CommitAssertion {
    CommitAssertion::Header { name: name.to_owned(), regex: None }
}

fn regex(pattern: &str) -> CommitAssertion {
    CommitAssertion::Regex(pattern.to_owned())
}

fn probe(config: HealthConfig, loopback_allowed: bool) -> HealthProbe {
    // The binary does the same at its start; a second installation is an error that says nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    HealthProbe::new(config, CommitId::parse(OURS).unwrap(), loopback_allowed)
}

async fn ask(config: HealthConfig) -> Result<CheckObservation, Fault> {
    probe(config, false).ask(None).await
}

async fn ask_server(server: &Server) -> Result<CheckObservation, Fault> {
    ask(config(&server.url("/health"))).await
}

fn redirect(to: &str) -> String {
    answer("302 Found", &format!("location: {to}\r\n"), "")
}

fn json(commit: &str) -> String {
    answer("200 OK", "content-type: application/json\r\n", &format!(r#"{{"ok":true,"commit":"{commit}"}}"#))
}

#[tokio::test]
async fn a_healthy_answer_of_our_commit_names_it() {
    let server = Server::saying(json(OURS));
    let seen = ask_server(&server).await.unwrap();
    assert!(seen.healthy);
    assert_eq!(seen.summary, "200, commit 1234567");
    let commit = seen.commit.unwrap();
    assert_eq!((commit.relation, commit.id.as_str()), (Relation::Same, OURS));
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /health HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[0].contains(concat!("user-agent: afterpush/", env!("CARGO_PKG_VERSION"))), "{requests:?}");
}

#[tokio::test]
async fn t5_a_healthy_old_version_proves_nothing() {
    let seen = ask_server(&Server::saying(json(OLD))).await.unwrap();
    assert!(seen.healthy);
    assert_eq!(seen.commit.unwrap().relation, Relation::Other);
    assert_eq!(seen.summary, "200, commit abcdefa");

    // Neither does one that does not say which version it is,
    let silent = ask_server(&Server::saying(answer("200 OK", "", r#"{"ok":true}"#))).await.unwrap();
    assert_eq!((silent.healthy, silent.commit, silent.summary.as_str()), (true, None, "200, no commit at /commit"));

    // one that says less than seven digits,
    let short = ask_server(&Server::saying(json(&OURS[..6]))).await.unwrap();
    assert_eq!((short.healthy, short.commit), (true, None));
    assert!(short.summary.contains("is not a commit id of at least 7 digits"), "{}", short.summary);

    // a page for people,
    let page = ask_server(&Server::saying(answer("200 OK", "content-type: text/html\r\n", "<h1>It works</h1>")))
        .await
        .unwrap();
    assert_eq!((page.healthy, page.commit), (true, None));
    assert_eq!(page.summary, "200, no commit at /commit: the body is not JSON");

    // or one that nobody asks.
    let server = Server::saying(json(OURS));
    let unasked = ask(HealthConfig { commit: None, ..config(&server.url("/")) }).await.unwrap();
    assert_eq!((unasked.healthy, unasked.commit, unasked.summary.as_str()), (true, None, "200"));
}

#[tokio::test]
async fn the_commit_is_read_from_a_header_and_by_an_expression() {
    let page = answer("200 OK", &format!("X-Commit: {OURS}\r\n"), "<!-- version 1234567 --><p>hello</p>");
    let server = Server::saying(page);
    for commit in [header("x-commit"), CommitAssertion::Regex("version ([0-9a-f]+)".to_owned())] {
        let seen = ask(HealthConfig { commit: Some(commit.clone()), ..config(&server.url("/")) }).await.unwrap();
        assert_eq!(seen.commit.unwrap().relation, Relation::Same, "{commit:?}");
    }
}

#[tokio::test]
async fn another_status_is_an_unhealthy_answer() {
    for status in ["503 Service Unavailable", "404 Not Found", "204 No Content", "401 Unauthorized", "304 Not Modified"]
    {
        let server = Server::saying(format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n"));
        let seen = ask_server(&server).await.unwrap();
        assert_eq!((seen.healthy, seen.commit), (false, None), "{status}");
        assert_eq!(seen.summary, format!("answered {}", &status[..3]));
    }
    let server = Server::saying(answer("204 No Content", "", ""));
    let seen = ask(HealthConfig { status: vec![200, 204], commit: None, ..config(&server.url("/")) }).await.unwrap();
    assert!(seen.healthy);
    // A redirect that is expected is the answer.
    let server = Server::saying(redirect("/login"));
    let seen = ask(HealthConfig { status: vec![302], commit: None, ..config(&server.url("/")) }).await.unwrap();
    assert_eq!((seen.healthy, server.requests().len()), (true, 1));
}

#[tokio::test]
async fn a_path_counts_from_the_address_of_the_deployment() {
    let server = Server::saying(json(OURS));
    let by_path = |path: &str| HealthConfig { address: HealthAddress::Path(path.to_owned()), ..config("") };
    let seen = probe(by_path("/health?full=1"), true).ask(Some(&server.url("/base?x=1"))).await.unwrap();
    assert!(seen.healthy);
    assert!(server.requests()[0].starts_with("GET /health?full=1 "), "{:?}", server.requests());

    let fault = probe(by_path("/health"), true).ask(None).await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::Transient, "the address of the application is not known yet")
    );
    // Only the user's configuration lets a deployment be on this machine, and no path leads to another host.
    for (probe, site) in [
        (probe(by_path("/health"), false), server.url("/")),
        (probe(by_path("/health"), false), format!("https://{}/", server.address)),
        (probe(by_path("//127.0.0.1:1/health"), true), server.url("/")),
        (probe(by_path("/health"), true), "http://10.0.0.1/".to_owned()),
        (probe(by_path("/health"), true), "not an address".to_owned()),
    ] {
        let fault = probe.ask(Some(&site)).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Malformed, "{site}: {fault}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn private_addresses_are_refused_unless_the_user_names_them() {
    let server = Server::saying(json(OURS));
    let port = server.address.port();
    for url in [
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        // A name is judged by the addresses that it leads to.
        format!("https://localhost:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://10.1.2.3/".to_owned(),
    ] {
        let config = HealthConfig { address: HealthAddress::Url { url: url.clone(), user_named: false }, ..config("") };
        let fault = probe(config, false).ask(None).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Malformed, "{url}: {fault}");
        assert!(
            fault.message.contains("is in a private network; only your own configuration may name such"),
            "{url}: {fault}"
        );
    }
    let plain = HealthConfig { address: HealthAddress::Url { url: server.url("/"), user_named: false }, ..config("") };
    let fault = probe(plain, false).ask(None).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Malformed);
    assert!(fault.message.contains("not asked over http"), "{fault}");
    assert_eq!(server.requests(), Vec::<String>::new(), "nothing was asked");
}

#[tokio::test]
async fn redirects_are_followed_and_each_hop_is_judged_again() {
    let target = Server::saying(json(OURS));
    let other_host = format!("http://localhost:{}/real", target.address.port());
    let server = Server::start(move |path, stream| {
        let reply = match path {
            "/start" => redirect("/second"),
            "/second" => redirect(&other_host),
            _ => answer("500 Error", "", ""),
        };
        let _ = stream.write_all(reply.as_bytes());
    });
    let seen = ask(config(&server.url("/start"))).await.unwrap();
    assert_eq!((seen.healthy, seen.commit.unwrap().relation), (true, Relation::Same));
    assert_eq!((server.requests().len(), target.requests().len()), (2, 1));

    for (to, expected) in [
        ("https://10.0.0.1/", "is in a private network"),
        ("https://169.254.169.254/latest/meta-data/", "is in a private network"),
        ("http://10.0.0.1/", "not asked over http"),
        ("http://app.example/", "not asked over http"),
        ("file:///etc/passwd", "is no web address"),
        ("http://", "redirects to no web address"),
    ] {
        let fault = ask_server(&Server::saying(redirect(to))).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Malformed, "{to}: {fault}");
        assert!(fault.message.contains(expected), "{to}: {fault}");
    }
}

#[tokio::test]
async fn redirects_without_an_end_are_given_up() {
    let server = Server::saying(redirect("/again"));
    let seen = ask_server(&server).await.unwrap();
    assert_eq!((seen.healthy, seen.summary.as_str()), (false, "redirected more than 5 times"));
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn no_credential_and_no_cookie_is_ever_sent() {
    let target = Server::saying(json(OURS));
    let to = format!("http://me:s3cret@{}/real", target.address);
    let server =
        Server::saying(answer("307 Temporary Redirect", &format!("set-cookie: a=b; path=/\r\nlocation: {to}\r\n"), ""));
    let with_user = server.url("/start").replace("http://", "http://me:s3cret@");
    let probe = probe(config(&with_user), false);
    for _ in 0..2 {
        assert!(probe.ask(None).await.unwrap().healthy);
    }
    let requests = [server.requests(), target.requests()].concat();
    assert_eq!(requests.len(), 4);
    for request in requests {
        let request = request.to_ascii_lowercase();
        for forbidden in ["authorization", "cookie", "s3cret", "referer"] {
            assert!(!request.contains(forbidden), "{request}");
        }
    }
}

#[tokio::test]
async fn each_question_has_its_own_connection() {
    use std::{
        collections::BTreeSet,
        sync::{Arc, Mutex},
    };
    let ports = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&ports);
    let server = Server::start(move |_, stream| {
        seen.lock().unwrap().insert(stream.peer_addr().unwrap().port());
        let _ = stream.write_all(json(OURS).as_bytes());
        // Kept open until the client closes it: it is the client who must not come back to it.
        let _ = stream.read(&mut [0]);
    });
    let probe = probe(config(&server.url("/")), false);
    for _ in 0..3 {
        assert!(probe.ask(None).await.unwrap().healthy);
    }
    assert_eq!(ports.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn no_answer_is_trouble_and_never_unhealthy() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = ask(config(&format!("http://{closed}/x?token=s3cret"))).await.unwrap_err();
    assert_eq!((refused.kind, refused.message), (FaultKind::Transient, format!("connection refused by {closed}")));

    let unknown = ask(config("https://no-such-host.invalid/x?token=s3cret")).await.unwrap_err();
    assert_eq!(unknown.kind, FaultKind::Transient);
    assert!(unknown.message.starts_with("cannot look up no-such-host.invalid: "), "{unknown}");

    let silent = Server::saying("");
    let nothing = ask_server(&silent).await.unwrap_err();
    assert_eq!(nothing.kind, FaultKind::Transient, "{nothing}");
    assert!(nothing.message.contains(&silent.address.to_string()), "{nothing}");

    let no_http = Server::saying("SSH-2.0-OpenSSH_9.2\r\n");
    let nonsense = ask_server(&no_http).await.unwrap_err();
    assert_eq!(nonsense.kind, FaultKind::Transient, "{nonsense}");

    let no_tls = Server::saying("HTTP/1.1 400 Bad Request\r\n\r\n");
    let insecure = ask(config(&no_tls.url("/").replace("http:", "https:"))).await.unwrap_err();
    assert_eq!(insecure.kind, FaultKind::Transient, "{insecure}");
    assert!(insecure.message.starts_with("no secure connection to 127.0.0.1:"), "{insecure}");
}

#[tokio::test]
async fn a_slow_answer_is_not_waited_for_longer_than_the_limit() {
    let slow = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        // One byte now and then would outlast any limit on a single read.
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let limited = HealthConfig { timeout: Duration::from_millis(300), ..config(&slow.url("/")) };
    let start = Instant::now();
    let fault = ask(limited).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient);
    assert_eq!(fault.message, format!("no whole answer from {} within 0.3 s", slow.address));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_trouble() {
    let cut = json(OURS).replace("content-length: ", "content-length: 9");
    let fault = ask_server(&Server::saying(cut)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient, "{fault}");
    assert!(fault.message.contains("broke off"), "{fault}");
    // A body that is whole by its length and cut by its form names no commit.
    let seen = ask_server(&Server::saying(answer("200 OK", "", r#"{"commit":"1234567"#))).await.unwrap();
    assert_eq!((seen.healthy, seen.commit), (true, None));
}

#[tokio::test]
async fn of_a_huge_body_the_first_mebibyte_is_read() {
    let filler = "x".repeat(5 << 20);
    let body = format!("version 1234567 {filler} version {OLD}");
    let server = Server::saying(answer("200 OK", &format!("x-commit: {OURS}\r\n"), &body));
    let with = |commit: &str, kind: fn(&str) -> CommitAssertion| HealthConfig {
        commit: Some(kind(commit)),
        ..config(&server.url("/"))
    };
    for fine in [with("x-commit", header), with("version ([0-9a-f]+)", regex)] {
        assert_eq!(ask(fine).await.unwrap().commit.unwrap().relation, Relation::Same);
    }
    let beyond = ask(with(&format!("version {}", &OLD[..8]), regex)).await.unwrap();
    assert_eq!(beyond.commit, None, "what stands behind the limit is not read");
    let fault = ask(with("/commit", |pointer| CommitAssertion::Pointer(pointer.to_owned()))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Malformed);
    assert_eq!(fault.message, "the answer is over 1024 KiB, too large to look for /commit");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_said_so() {
    let server = Server::saying(json(OURS));
    let broken = HealthConfig { commit: Some(CommitAssertion::Regex("(".to_owned())), ..config(&server.url("/")) };
    let fault = ask(broken).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
    assert_eq!(ask(config("no address")).await.unwrap_err().kind, FaultKind::Malformed);
    assert_eq!(server.requests(), Vec::<String>::new());
}

/// The environment is the process's, so this very test runs again in a child that has a proxy.
#[tokio::test]
async fn the_proxy_of_the_environment_is_used_but_not_for_this_machine() {
    const CHILD: &str = "AFTERPUSH_TEST_LOCAL_URL";
    if let Ok(local) = std::env::var(CHILD) {
        // The proxy's own name leads to this machine, which is refused only to those who ask for it as an application.
        let stranger = |url: &str| HealthConfig {
            address: HealthAddress::Url { url: url.to_owned(), user_named: false },
            ..config("")
        };
        assert!(ask(stranger("https://app.example/health")).await.is_err(), "the proxy refuses");
        let fault = ask(stranger("https://localhost/")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
        let fault = ask(stranger("https://10.0.0.1/")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
        assert!(ask(config(&local)).await.unwrap().healthy);
        return;
    }
    let proxy = Server::saying(answer("403 Forbidden", "", ""));
    let local = Server::saying(json(OURS));
    let by_name = format!("http://localhost:{}", proxy.address.port());
    let name = "health::the_proxy_of_the_environment_is_used_but_not_for_this_machine";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(CHILD, local.url("/health"))
        .env("HTTPS_PROXY", &by_name)
        .env("HTTP_PROXY", &by_name)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(local.requests().len(), 1);
    let asked: Vec<String> = proxy.requests().iter().map(|head| head.lines().next().unwrap().to_owned()).collect();
    assert_eq!(asked, ["CONNECT app.example:443 HTTP/1.1"]);
}
