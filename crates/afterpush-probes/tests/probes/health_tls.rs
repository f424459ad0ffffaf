//! Certificates: what is wrong with one is named, and one that expires soon is told of. The authority is a private one that
//! `SSL_CERT_FILE` names; the environment is the process's, so the test runs again in a child that has it.

use std::{fs, process::Command};

use afterpush_core::{
    config::{CommitAssertion, HealthAddress, HealthConfig},
    fault::FaultKind,
    id::CommitId,
};
use afterpush_probes::HealthProbe;

use crate::{
    front::{Authority, end_of},
    health_kinds::grpc_server,
    server::{Server, answer},
};

const OURS: &str = "1234567890abcdef1234567890abcdef12345678";
const CHILD: &str = "AFTERPUSH_TEST_FRONTS";

#[tokio::test]
async fn certificates_are_judged_by_the_authorities_of_this_machine_and_their_faults_are_named() {
    if let Ok(fronts) = std::env::var(CHILD) {
        let fronts: Vec<&str> = fronts.split(' ').collect();
        return ask_each(fronts.try_into().unwrap()).await;
    }
    let body = format!(r#"{{"commit":"{OURS}"}}"#);
    let server = Server::saying(answer("200 OK", "connection: close\r\n", &body));
    let grpc = grpc_server(Some(tonic_health::ServingStatus::Serving)).await;
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    let to = server.address;
    let fronts = [
        known.front("localhost", 90, to, None),
        known.front("localhost", 11, to, None),
        known.front("localhost", -1, to, None),
        known.front("other.example", 90, to, None),
        unknown.front("localhost", 90, to, None),
        known.front("localhost", 11, grpc, Some("h2")),
        known.front("other.example", 90, grpc, Some("h2")),
    ];
    let directory = tempfile::tempdir().unwrap();
    let authorities = directory.path().join("ca.pem");
    fs::write(&authorities, known.pem()).unwrap();
    let name = "health_tls::certificates_are_judged_by_the_authorities_of_this_machine_and_their_faults_are_named";
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", name])
        .env(CHILD, fronts.map(|front| front.port().to_string()).join(" "))
        .env("SSL_CERT_FILE", &authorities)
        .env_remove("SSL_CERT_DIR");
    // The servers answer on this runtime while the child asks.
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(server.requests().len(), 2, "nothing was asked over a connection that is not trusted");
}

async fn ask_each([good, soon, expired, other, unknown, grpc, grpc_other]: [&str; 7]) {
    let http = |port: &str| {
        let address = HealthAddress::Url { url: format!("https://localhost:{port}/health"), user_named: true };
        let commit = Some(CommitAssertion::Pointer("/commit".to_owned()));
        HealthConfig { commit, ..HealthConfig::of(address) }
    };
    let by_grpc = |port: &str| {
        let url = format!("https://localhost:{port}");
        HealthConfig::of(HealthAddress::Grpc { url, service: String::new(), user_named: true })
    };
    let probe = |config| HealthProbe::new(config, CommitId::parse(OURS).unwrap(), false);

    let seen = probe(http(good)).ask(None).await.unwrap();
    assert_eq!((seen.healthy, seen.summary.as_str(), &seen.warning), (true, "200, commit 1234567", &None));

    let end = end_of(11);
    for (config, summary) in [(http(soon), "200, commit 1234567"), (by_grpc(grpc), "SERVING")] {
        let seen = probe(config).ask(None).await.unwrap();
        assert_eq!((seen.healthy, seen.summary.as_str()), (true, summary));
        let warning = seen.warning.unwrap();
        assert!(warning.starts_with("its certificate expires in 1"), "{warning}");
        assert!(warning.ends_with(&format!("days, on {end}")), "{warning}");
    }

    for (config, why) in [
        (http(expired), format!("expired on {}", end_of(-1))),
        (http(other), "is for another host: other.example".to_owned()),
        (http(unknown), "is from an authority that this machine does not know".to_owned()),
        (by_grpc(grpc_other), "is for another host: other.example".to_owned()),
    ] {
        let fault = probe(config).ask(None).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient, "{fault}");
        assert!(fault.message.starts_with("no secure connection to localhost:"), "{fault}");
        assert!(fault.message.ends_with(&format!(": its certificate {why}")), "{fault} / {why}");
    }
}
