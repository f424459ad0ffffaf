//! The further kinds of health checks: TCP, gRPC, HEAD, and several side by side.

use std::{io::Write, net::SocketAddr, net::TcpListener, time::Duration};

use afterpush_core::{
    config::{HealthAddress, HealthConfig, HealthMethod},
    fault::{Fault, FaultKind},
    id::CommitId,
    observation::CheckObservation,
    run::Relation,
};
use afterpush_probes::{HealthChecks, HealthProbe};
use tonic::transport::server::{Server as GrpcServer, TcpIncoming};
use tonic_health::{ServingStatus, server::health_reporter};

use crate::server::{Server, answer};

const OURS: &str = "1234567890abcdef1234567890abcdef12345678";

fn url(url: String) -> HealthConfig {
    HealthConfig::of(HealthAddress::Url { url, user_named: true })
}

fn tcp(place: &str, user_named: bool) -> HealthConfig {
    HealthConfig::of(HealthAddress::Tcp { place: place.to_owned(), user_named })
}

fn grpc(url: &str, service: &str, user_named: bool) -> HealthConfig {
    let (url, service) = (url.to_owned(), service.to_owned());
    HealthConfig::of(HealthAddress::Grpc { url, service, user_named })
}

async fn ask(config: HealthConfig) -> Result<CheckObservation, Fault> {
    HealthProbe::new(config, CommitId::parse(OURS).unwrap(), false).ask(None).await
}

async fn refusal(config: HealthConfig) -> String {
    let fault = ask(config).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
    fault.message
}

/// A server with gRPC's health service, in which `shop.Cart` and the server as a whole have this status.
pub(crate) async fn grpc_server(status: Option<ServingStatus>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reporter, service) = health_reporter();
    if let Some(status) = status {
        reporter.set_service_status("shop.Cart", status).await;
        reporter.set_service_status("", status).await;
    }
    tokio::spawn(GrpcServer::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
    address
}

#[tokio::test]
async fn an_open_port_is_healthy_and_a_closed_one_is_trouble() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().to_string();
    let seen = ask(tcp(&open, true)).await.unwrap();
    assert_eq!((seen.healthy, seen.commit, seen.summary.as_str()), (true, None, "open"));
    drop(listener);
    let fault = ask(tcp(&open, true)).await.unwrap_err();
    assert_eq!((fault.kind, fault.message), (FaultKind::Transient, format!("connection refused by {open}")));
    let fault = ask(tcp("no-such-host.invalid:5432", true)).await.unwrap_err();
    assert!(fault.message.starts_with("cannot look up no-such-host.invalid: "), "{fault}");
}

#[tokio::test]
async fn a_port_and_a_grpc_server_inside_are_for_the_user_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.1.2.3", "[::ffff:127.0.0.1]"] {
        let place = format!("{host}:{port}");
        for config in [tcp(&place, false), grpc(&format!("https://{place}"), "", false)] {
            let said = refusal(config).await;
            assert!(
                said.contains("is in a private network; only your own configuration may name such"),
                "{host}: {said}"
            );
        }
    }
    let said = refusal(grpc(&format!("http://127.0.0.1:{port}"), "", false)).await;
    assert!(said.contains("not asked over http"), "{said}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody has connected");
}

#[tokio::test]
async fn grpc_says_serving_not_serving_or_that_it_does_not_know_the_service() {
    let serving = format!("http://{}", grpc_server(Some(ServingStatus::Serving)).await);
    for service in ["", "shop.Cart"] {
        let seen = ask(grpc(&serving, service, true)).await.unwrap();
        assert_eq!((seen.healthy, seen.summary.as_str()), (true, "SERVING"), "{service}");
    }
    let seen = ask(grpc(&serving, "shop.Other", true)).await.unwrap();
    assert_eq!((seen.healthy, seen.summary.as_str()), (false, "does not know the service shop.Other"));

    for (status, expected) in
        [(ServingStatus::NotServing, "says NOT_SERVING"), (ServingStatus::Unknown, "says UNKNOWN")]
    {
        let address = grpc_server(Some(status)).await;
        let seen = ask(grpc(&format!("http://{address}"), "shop.Cart", true)).await.unwrap();
        assert_eq!((seen.healthy, seen.summary.as_str()), (false, expected));
    }
}

#[tokio::test]
async fn what_is_no_grpc_server_is_trouble() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fault = ask(grpc(&format!("http://{closed}"), "", true)).await.unwrap_err();
    assert_eq!((fault.kind, fault.message), (FaultKind::Transient, format!("connection refused by {closed}")));
    let web = Server::saying(answer("200 OK", "", "hello"));
    let fault = ask(grpc(&web.url(""), "", true)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient, "{fault}");
    assert!(fault.message.contains(&web.address.to_string()), "{fault}");
}

#[tokio::test]
async fn head_asks_for_no_body() {
    let server = Server::start(|_, stream| {
        let _ =
            stream.write_all(format!("HTTP/1.1 200 OK\r\nx-commit: {OURS}\r\ncontent-length: 5\r\n\r\n").as_bytes());
    });
    let header = afterpush_core::config::CommitAssertion::Header { name: "x-commit".to_owned(), regex: None };
    let config = HealthConfig { method: HealthMethod::Head, commit: Some(header), ..url(server.url("/up")) };
    let seen = ask(config).await.unwrap();
    assert_eq!((seen.healthy, seen.commit.unwrap().relation), (true, Relation::Same));
    assert!(server.requests()[0].starts_with("HEAD /up HTTP/1.1\r\n"), "{:?}", server.requests());
}

#[tokio::test]
async fn the_form_of_a_body_counts_and_not_its_label() {
    let page = answer("200 OK", "content-type: text/html\r\n", r#"{"ready":true}"#);
    let server = Server::saying(page);
    let equals = |text: &str| vec![("/ready".to_owned(), serde_json::from_str(text).unwrap())];
    let seen = ask(HealthConfig { equals: equals("true"), ..url(server.url("/")) }).await.unwrap();
    assert!(seen.healthy, "{}", seen.summary);
    let seen = ask(HealthConfig { equals: equals("false"), ..url(server.url("/")) }).await.unwrap();
    assert_eq!((seen.healthy, seen.summary.as_str()), (false, "200, but /ready is true, not false"));
    // An empty answer holds nothing.
    let empty = Server::saying(answer("204 No Content", "", ""));
    let config = HealthConfig { status: vec![204], equals: equals("true"), ..url(empty.url("/")) };
    assert!(!ask(config).await.unwrap().healthy);
}

#[tokio::test]
async fn a_failing_answer_still_tells_which_part_is_broken() {
    let body = r#"{"status":"fail","checks":{"db":[{"status":"fail","output":"no route"}]}}"#;
    let server = Server::saying(answer("503 Down", "content-type: application/health+json\r\n", body));
    let seen = ask(url(server.url("/"))).await.unwrap();
    assert_eq!((seen.healthy, seen.summary.as_str()), (false, "answered 503: db: fail, no route"));
    assert_eq!((seen.sub_checks[0].name.as_str(), seen.sub_checks[0].healthy), ("db", Some(false)));
    // The status alone is an answer, also where the rest breaks off.
    let server = Server::saying("HTTP/1.1 503 Down\r\ncontent-length: 100\r\n\r\n{");
    assert_eq!(ask(url(server.url("/"))).await.unwrap().summary, "answered 503");
}

#[tokio::test]
async fn several_checks_are_asked_side_by_side_and_one_does_not_hide_the_other() {
    let fine = Server::saying(answer("200 OK", "", "ok"));
    let slow = Server::start(|_, stream| {
        // Until the client gives up.
        let _ = std::io::Read::read(stream, &mut [0]);
    });
    let limited = |config: HealthConfig| HealthConfig { timeout: Duration::from_secs(1), ..config };
    let configs = [limited(url(slow.url("/"))), url(fine.url("/")), limited(url(slow.url("/")))];
    let checks = HealthChecks::new(&configs, &CommitId::parse(OURS).unwrap(), false);
    let began = std::time::Instant::now();
    let seen = checks.ask(None).await.checks;
    assert!(began.elapsed() < Duration::from_millis(1_900), "side by side: {:?}", began.elapsed());
    assert!(seen[0].is_err() && seen[2].is_err());
    assert_eq!(seen[1].as_ref().unwrap().summary, "200");
}
