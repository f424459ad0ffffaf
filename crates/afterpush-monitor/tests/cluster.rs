//! The connection that a kubeconfig describes, against a TLS server on this machine: certificates, tokens, credential plugins.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use afterpush_core::{
    fault::{Fault, FaultKind},
    id::{CommitId, RefName},
};
use afterpush_monitor::{cluster::Cluster, secrets::PushEnvironment};
use afterpush_providers::{Question, Reply, Setup, registry};
use afterpush_store::Environment;
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

const WORKLOAD: &str = r#"{"metadata":{"name":"web"},"spec":{},"status":{}}"#;

/// A request as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    head: String,
    has_certificate: bool,
}

impl Seen {
    fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// An API server that accepts one `Authorization`, or any client certificate of its own authority.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepted: Arc<Mutex<String>>,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Server {
    /// With a certificate for these names.
    async fn start(names: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server =
            Self { address: listener.local_addr().unwrap(), seen: Arc::default(), accepted: Arc::default(), authority };
        let (seen, accepted) = (server.seen.clone(), server.accepted.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen, accepted) = (acceptor.clone(), seen.clone(), accepted.clone());
                tokio::spawn(async move { serve(acceptor, stream, &seen, &accepted).await });
            }
        });
        server
    }

    fn accept(&self, authorization: &str) {
        authorization.clone_into(&mut self.accepted.lock().unwrap());
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The lines of a cluster in a kubeconfig.
    fn cluster(&self) -> String {
        let authority = STANDARD.encode(self.authority.pem());
        format!("{{server: 'https://{}', certificate-authority-data: {authority}}}", self.address)
    }

    /// A client certificate and its key, in PEM.
    fn client(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().signed_by(&key, &self.authority).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Answers one request and closes.
async fn serve(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    seen: &Mutex<Vec<Seen>>,
    accepted: &Mutex<String>,
) -> Option<()> {
    let mut stream = acceptor.accept(stream).await.ok()?;
    let has_certificate = stream.get_ref().1.peer_certificates().is_some();
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|it| it == b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let request = Seen { head: String::from_utf8(bytes).unwrap(), has_certificate };
    let accepted = accepted.lock().unwrap().clone();
    let may = has_certificate || request.header("authorization") == [accepted.as_str()];
    seen.lock().unwrap().push(request);
    let (status, body) = if may { ("200 OK", WORKLOAD) } else { ("401 Unauthorized", "{}") };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

/// A home with a kubeconfig.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".kube")).unwrap();
        Self(home)
    }

    fn with(cluster: &str, user: &str) -> Self {
        let home = Self::new();
        home.write(".kube/config", &kubeconfig("here", cluster, user));
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A credential plugin that appends a line to `calls` each time.
    fn plugin(&self, script: &str) -> String {
        let calls = self.path("calls");
        let path = self.write("plugin", &format!("#!/bin/sh\necho call >> {}\n{script}\n", calls.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path.display().to_string()
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.path("calls")).unwrap_or_default().lines().count()
    }

    fn cluster(&self, context: Option<&str>, push: &str) -> Cluster {
        let environment = Environment { home: Some(self.0.path().to_owned()), ..Environment::default() };
        let push = PushEnvironment::read(push.as_bytes()).unwrap();
        Cluster::new(context.map(str::to_owned), &push, &environment)
    }
}

fn kubeconfig(name: &str, cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {name}\n\
         contexts: [{{name: {name}, context: {{cluster: c-{name}, user: u-{name}}}}}]\n\
         clusters: [{{name: c-{name}, cluster: {cluster}}}]\nusers: [{{name: u-{name}, user: {user}}}]\n"
    )
}

fn exec(plugin: &str) -> String {
    format!(
        "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: {plugin}, args: [a b], interactiveMode: IfAvailable, \
         provideClusterInfo: true, env: [{{name: EXTRA, value: extra}}]}}}}"
    )
}

fn credential(status: &str) -> String {
    format!(
        "echo '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{status}}}'"
    )
}

async fn ask(cluster: &Cluster) -> Result<Reply, Fault> {
    let setup = Setup {
        settings: "workload = 'web'".parse().unwrap(),
        api_url: None,
        commit: CommitId::parse(&"1".repeat(40)).unwrap(),
        ref_name: RefName::parse("refs/heads/main").unwrap(),
        remote_url: String::new(),
        pushed_at: None,
        token: None,
    };
    let mut provider = registry::build("kubernetes", setup).unwrap();
    cluster.converse(&mut *provider, Question::Credentials).await
}

async fn assert_sees(cluster: &Cluster) {
    let reply = ask(cluster).await.unwrap();
    assert_eq!(reply, Reply::Credentials("sees deployment/web in the namespace default".to_owned()));
}

async fn fault(cluster: &Cluster) -> Fault {
    let fault = ask(cluster).await.unwrap_err();
    assert!(!fault.message.contains("canary"), "{fault}");
    fault
}

#[tokio::test]
async fn a_client_certificate_is_presented_from_data_and_from_files() {
    let server = Server::start(&["127.0.0.1"]).await;
    let (certificate, key) = server.client();
    let data = format!(
        "{{client-certificate-data: {}, client-key-data: {}}}",
        STANDARD.encode(&certificate),
        STANDARD.encode(&key)
    );
    assert_sees(&Home::with(&server.cluster(), &data).cluster(None, "{}")).await;
    // Paths are relative to the kubeconfig.
    let home = Home::with(&server.cluster(), "{client-certificate: tls.crt, client-key: tls.key}");
    home.write(".kube/tls.crt", &certificate);
    home.write(".kube/tls.key", &key);
    assert_sees(&home.cluster(None, "{}")).await;
    for seen in server.seen() {
        assert!(seen.has_certificate && seen.header("authorization").is_empty());
        assert!(
            seen.head.starts_with("GET /apis/apps/v1/namespaces/default/deployments/web HTTP/1.1"),
            "{}",
            seen.head
        );
    }
}

#[tokio::test]
async fn a_server_of_another_authority_gets_nothing() {
    let server = Server::start(&["127.0.0.1"]).await;
    let other = Server::start(&["127.0.0.1"]).await;
    let cluster =
        server.cluster().replace(&STANDARD.encode(server.authority.pem()), &STANDARD.encode(other.authority.pem()));
    let fault = fault(&Home::with(&cluster, "{token: canary-token}").cluster(None, "{}")).await;
    assert_eq!(fault.kind, FaultKind::Transient);
    assert!(server.seen().is_empty());
    // Nor does one with a certificate for another name, unless the kubeconfig says so.
    let named = Server::start(&["kube.test"]).await;
    named.accept("Bearer canary-token");
    assert!(ask(&Home::with(&named.cluster(), "{token: canary-token}").cluster(None, "{}")).await.is_err());
    assert!(named.seen().is_empty());
    let with = |more: &str| named.cluster().replace('}', &format!(", {more}}}"));
    assert_sees(&Home::with(&with("tls-server-name: kube.test"), "{token: canary-token}").cluster(None, "{}")).await;
    let insecure = format!("{{server: 'https://{}', insecure-skip-tls-verify: true}}", named.address);
    assert_sees(&Home::with(&insecure, "{token: canary-token}").cluster(None, "{}")).await;
}

#[tokio::test]
async fn a_token_may_stand_in_the_kubeconfig_or_in_a_file_that_changes() {
    let server = Server::start(&["127.0.0.1"]).await;
    server.accept("Bearer canary-token");
    assert_sees(&Home::with(&server.cluster(), "{token: canary-token}").cluster(None, "{}")).await;
    let home = Home::with(&server.cluster(), "{tokenFile: token}");
    home.write(".kube/token", "canary-token\n");
    let cluster = home.cluster(None, "{}");
    assert_sees(&cluster).await;
    server.accept("Bearer canary-next");
    home.write(".kube/token", "canary-next\n");
    assert_sees(&cluster).await;
    server.accept("Basic YWRtaW46Y2FuYXJ5");
    assert_sees(&Home::with(&server.cluster(), "{username: admin, password: canary}").cluster(None, "{}")).await;
    let refused = fault(&Home::with(&server.cluster(), "{token: canary-old}").cluster(None, "{}")).await;
    assert_eq!(refused.kind, FaultKind::Unauthorized);
}

#[tokio::test]
async fn a_credential_plugin_is_run_when_its_credential_is_needed_and_not_more_often() {
    let server = Server::start(&["127.0.0.1"]).await;
    server.accept("Bearer canary-plugin");
    let home = Home::new();
    let script = format!(
        "printf '%s\\n' \"$1 $EXTRA $FROM_PUSH $KUBERNETES_EXEC_INFO\" > {}/told\n{}",
        home.0.path().display(),
        credential("{\"token\":\"canary-plugin\"}")
    );
    let plugin = home.plugin(&script);
    home.write(".kube/config", &kubeconfig("here", &server.cluster(), &exec(&plugin)));
    let cluster = home.cluster(None, r#"{"FROM_PUSH":"pushed","ALSO":"canary-plugin"}"#);
    assert_sees(&cluster).await;
    assert_sees(&cluster).await;
    assert_eq!(home.calls(), 1);
    let told = fs::read_to_string(home.path("told")).unwrap();
    let info: serde_json::Value = serde_json::from_str(told.trim().strip_prefix("a b extra pushed ").unwrap()).unwrap();
    assert_eq!(info["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(info["spec"]["interactive"], false);
    assert_eq!(info["spec"]["cluster"]["server"], format!("https://{}", server.address));
    // Refused once, it is asked anew, once.
    server.accept("Bearer canary-other");
    assert_eq!(fault(&cluster).await.kind, FaultKind::Unauthorized);
    assert_eq!(home.calls(), 2);
}

#[tokio::test]
async fn a_plugins_credential_runs_out_and_may_be_a_certificate() {
    let server = Server::start(&["127.0.0.1"]).await;
    let home = Home::new();
    let (certificate, key) = server.client();
    let status = serde_json::json!({
        "clientCertificateData": certificate, "clientKeyData": key, "expirationTimestamp": "2020-01-01T00:00:00Z",
    });
    let plugin =
        home.plugin(&credential(&status.to_string().replace("\\n", "\\\\n")).replace("echo", "printf '%b\\n'"));
    home.write(".kube/config", &kubeconfig("here", &server.cluster(), &exec(&plugin)));
    let cluster = home.cluster(None, "{}");
    assert_sees(&cluster).await;
    assert_sees(&cluster).await;
    assert_eq!(home.calls(), 2);
    assert!(server.seen().iter().all(|seen| seen.has_certificate));
}

#[tokio::test]
async fn a_plugin_that_fails_is_told_and_what_it_prints_is_not() {
    let server = Server::start(&["127.0.0.1"]).await;
    let home = Home::new();
    for (script, kind, told) in [
        (
            "echo canary; echo 'log in first: run aws sso login' >&2; exit 1",
            FaultKind::Transient,
            "exit code 1: log in first: run aws sso login",
        ),
        ("echo canary", FaultKind::Malformed, "no ExecCredential"),
        (
            "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"status\":{\"token\":\"canary\"}}'",
            FaultKind::Malformed,
            "of the version",
        ),
        (&credential("{}"), FaultKind::Malformed, "no credential"),
    ] {
        let plugin = home.plugin(script);
        home.write(".kube/config", &kubeconfig("here", &server.cluster(), &exec(&plugin)));
        let fault = fault(&home.cluster(None, "{}")).await;
        assert!(fault.kind == kind && fault.message.contains(told), "{fault}");
    }
    let missing = exec("/nowhere/plugin");
    home.write(".kube/config", &kubeconfig("here", &server.cluster(), &missing));
    assert!(fault(&home.cluster(None, "{}")).await.message.contains("cannot run /nowhere/plugin"));
    let asking = exec("sh").replace("IfAvailable", "Always");
    home.write(".kube/config", &kubeconfig("here", &server.cluster(), &asking));
    assert!(fault(&home.cluster(None, "{}")).await.message.contains("nobody is there"));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_context_is_the_named_one_or_the_current_one_of_all_files() {
    let (one, two) = (Server::start(&["127.0.0.1"]).await, Server::start(&["127.0.0.1"]).await);
    one.accept("Bearer one");
    two.accept("Bearer two");
    let home = Home::new();
    let first = home.write("first", &kubeconfig("one", &one.cluster(), "{token: one}"));
    let second = home.write("second", &kubeconfig("two", &two.cluster(), "{token: two}"));
    let files = |files: &[&Path]| {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        serde_json::json!({"KUBECONFIG": files.join(":")}).to_string()
    };
    let both = files(&[&first, Path::new("/nowhere"), &second]);
    assert_sees(&home.cluster(None, &both)).await;
    assert_eq!((one.seen().len(), two.seen().len()), (1, 0));
    assert_sees(&home.cluster(Some("two"), &both)).await;
    assert_eq!((one.seen().len(), two.seen().len()), (1, 1));
    let fault = fault(&home.cluster(Some("three"), &both)).await;
    assert!(fault.message.contains("no context \"three\""), "{fault}");
}

#[tokio::test]
async fn what_is_wrong_with_a_kubeconfig_is_told_without_quoting_it() {
    let home = Home::new();
    let missing = fault(&home.cluster(None, "{}")).await;
    assert_eq!(missing.kind, FaultKind::Unauthorized);
    assert!(missing.message.contains(".kube/config; set KUBECONFIG"), "{missing}");
    let server = "{server: 'https://127.0.0.1:1'}";
    for (text, told) in [
        ("users: [{name: u, user: {token: canary".to_owned(), "not the YAML"),
        ("- canary".to_owned(), "not the YAML"),
        ("{}".to_owned(), "no current context"),
        (kubeconfig("a", "{}", "{token: canary}"), "no server"),
        (kubeconfig("a", "{server: 'http://10.0.0.1'}", "{token: canary}"), "must be https, or http on loopback"),
        (kubeconfig("a", "{server: 'https://a:canary@10.0.0.1'}", "{}"), "must be https, or http on loopback"),
        (
            kubeconfig("a", "{server: 'https://x', certificate-authority-data: '!canary'}", "{}"),
            "certificate authority",
        ),
        (kubeconfig("a", server, "{client-certificate-data: '!canary'}"), "client certificate is not base64"),
        (kubeconfig("a", server, "{tokenFile: /nowhere}"), "/nowhere cannot be read"),
        (kubeconfig("a", server, "{auth-provider: {name: gcp, config: {cmd-path: canary}}}"), "auth-provider"),
        (kubeconfig("a", server, "{as: me, as-user-extra: {a: [b]}}"), "as-user-extra"),
        (kubeconfig("a", "{server: 'https://127.0.0.1:1', proxy-url: 'gopher://x'}", "{}"), "proxy-url"),
    ] {
        home.write(".kube/config", &text);
        let fault = fault(&home.cluster(None, "{}")).await;
        assert!(fault.kind == FaultKind::Malformed && fault.message.contains(told), "{text}: {fault}");
    }
}

#[tokio::test]
async fn a_path_of_the_server_and_another_identity_are_kept() {
    let server = Server::start(&["127.0.0.1"]).await;
    server.accept("Bearer t");
    let cluster = server.cluster().replace("',", "/k8s/clusters/c-1/',");
    let home = Home::with(&cluster, "{token: t, as: jane, as-groups: [a, b]}");
    assert_sees(&home.cluster(None, "{}")).await;
    let seen = server.seen().remove(0);
    assert!(seen.head.starts_with("GET /k8s/clusters/c-1/apis/apps/v1/"), "{}", seen.head);
    assert_eq!((seen.header("impersonate-user"), seen.header("impersonate-group")), (vec!["jane"], vec!["a", "b"]));
}

#[tokio::test]
async fn the_clusters_proxy_is_used_and_sees_no_credential() {
    let server = Server::start(&["127.0.0.1"]).await;
    server.accept("Bearer canary-token");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let (target, seen) = (server.address, heads.clone());
    tokio::spawn(async move {
        let (mut inner, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.windows(4).any(|it| it == b"\r\n\r\n") {
            inner.read_buf(&mut bytes).await.unwrap();
        }
        seen.lock().unwrap().push(String::from_utf8(bytes).unwrap());
        inner.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut outer = TcpStream::connect(target).await.unwrap();
        let _ = copy_bidirectional(&mut inner, &mut outer).await;
    });
    let cluster = server.cluster().replace('}', &format!(", proxy-url: 'http://{proxy}'}}"));
    assert_sees(&Home::with(&cluster, "{token: canary-token}").cluster(None, "{}")).await;
    let heads = heads.lock().unwrap();
    assert!(heads[0].starts_with(&format!("CONNECT {}", server.address)) && !heads[0].contains("canary"), "{heads:?}");
}
