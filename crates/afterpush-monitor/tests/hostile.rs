//! A host that means harm gets nothing out of any kind of provider: no verdict, no token beyond its own address, no memory.
//!
//! Each kind asks through what carries it in the monitor: the web with the answers that monitors share on disk, a cluster's
//! connection, a program.
#![allow(clippy::unwrap_used)]

use std::{fs, time::Duration};

use afterpush_core::{
    config::PROVIDER_KINDS,
    fault::Fault,
    id::{CommitId, RefName},
    observation::ProviderObservation,
    text::is_misleading,
};
use afterpush_monitor::{
    cluster::Cluster,
    program::Programs,
    secrets::PushEnvironment,
    sharing::Sharing,
    transport::{Limits, Transport},
};
use afterpush_providers::{Carrier, Question, Reply, Secret, Setup, registry};
use afterpush_store::Environment;
use afterpush_testkit::{
    canary,
    hostile::{CREDENTIAL, Harm, Server},
    sandbox::{memory_kib, wait_until},
    settings,
};
use tempfile::TempDir;

/// As long as the vendors' own tokens, some of which are cut when they stand in a text.
const CANARY: &str = "canary_7f3a91d2c4e85b60a1f2d3c4b5a69788776655443322110ffeeddccbbaa9988";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Ends what does not end by itself.
const NEAR: Duration = Duration::from_millis(400);
/// Ends nothing.
const FAR: Duration = Duration::from_secs(60);

/// What this process, with all servers of the tests in it, may have held at most.
const MOST_MEMORY_KIB: u64 = 160 * 1024;
/// What a server may get rid of in one answer: the largest answer that is taken, and the sockets' buffers.
const MOST_TAKEN: u64 = 64 << 20;

/// A user with the canary wherever the kinds look for a token.
struct User {
    home: TempDir,
    environment: Environment,
}

impl User {
    fn new(url: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state");
        fs::create_dir(&state).unwrap();
        let environment = Environment { state_dir: Some(state), ..Environment::default() };
        let kubeconfig = format!(
            "{{apiVersion: v1, kind: Config, current-context: here, \
             clusters: [{{name: here, cluster: {{server: '{url}'}}}}], users: [{{name: me, user: {{token: {CANARY}}}}}], \
             contexts: [{{name: here, context: {{cluster: here, user: me}}}}]}}"
        );
        fs::write(home.path().join("kubeconfig"), kubeconfig).unwrap();
        Self { home, environment }
    }

    /// Asks as one kind of provider, a program in the place of what it would be told by the web; nothing takes longer than the limit.
    async fn ask(&self, kind: &str, url: &str, program: &str, limit: Duration) -> Result<Reply, Fault> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut table: toml::Table = settings::of_provider(kind, url).parse().unwrap();
        if kind == "command" {
            table = toml::toml! { command = ["sh", "-c"] env = ["CANARY_TOKEN"] };
            table["command"].as_array_mut().unwrap().push(program.into());
            table.insert("timeout".to_owned(), format!("{}ms", limit.as_millis().min(50_000)).into());
        }
        let setup = Setup {
            settings: table,
            api_url: Some(url.to_owned()),
            commit: CommitId::parse(COMMIT).unwrap(),
            ref_name: RefName::parse("refs/heads/main").unwrap(),
            remote_url: "https://github.com/acme/web-app".to_owned(),
            pushed_at: None,
            token: Some(Secret::new(CANARY)),
        };
        let kubeconfig = self.home.path().join("kubeconfig");
        let push = serde_json::json!({"KUBECONFIG": kubeconfig, "CANARY_TOKEN": CANARY}).to_string();
        let push = PushEnvironment::read(push.as_bytes()).unwrap();
        let mut provider = registry::build(kind, setup).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let question = Question::Observe;
        let limits = Limits { connect: FAR, read: limit, total: limit, question: FAR };
        match provider.carrier() {
            Carrier::Api | Carrier::Web(_) => {
                let transport = Transport::with_limits(url, limits).unwrap();
                let transport = transport.sharing(Sharing::of_user(&self.environment).unwrap());
                transport.converse(provider.as_mut(), question, Duration::ZERO).await.map(|(reply, _)| reply)
            }
            Carrier::Cluster { context } => {
                let cluster = Cluster::new(context, &push, &self.environment).with_limits(limits);
                cluster.converse(provider.as_mut(), question).await
            }
            Carrier::Program { variables } => {
                let programs = Programs::new(&variables, &push, &self.environment).unwrap();
                programs.converse(provider.as_mut(), question).await
            }
        }
    }
}

/// Does harm to every kind: each must hear a fault that says nothing of the token and acts on no terminal.
async fn every_kind_hears_a_fault(harm: Harm, program: &str) {
    let server = Server::start(harm.clone());
    let limit = if matches!(harm, Harm::Trickle(_)) { NEAR } else { FAR };
    let user = User::new(&server.url());
    for kind in PROVIDER_KINDS {
        let before = (server.asked(), server.sent());
        let said = match user.ask(kind, &server.url(), program, limit).await {
            Err(fault) => fault.message,
            // Where a 404 means that there is no such thing yet.
            Ok(Reply::Observation(seen)) if seen == ProviderObservation::default() => String::new(),
            Ok(reply) => panic!("{harm:?}: {kind} took it for an answer: {reply:?}"),
        };
        // Where the limit is near, a busy machine may not even have asked.
        let asked = || kind == "command" || limit == NEAR || server.asked() > before.0;
        wait_until(&format!("{harm:?}: the question of {kind}; {said}"), asked);
        assert!(server.sent() - before.1 < MOST_TAKEN, "{harm:?}: {kind} took {} bytes", server.sent() - before.1);
        let is_bad = |c: char| c.is_control() || is_misleading(c);
        assert!(!said.contains(is_bad), "{harm:?}: {kind}: {said:?}");
        // A text may have been cut in the middle of it.
        assert!(!said.contains(&CANARY[..20]), "{harm:?}: {kind}: {said}");
        let places = canary::found_below(&user.environment.state_dir.clone().unwrap(), &CANARY[..20]);
        assert!(places.is_empty(), "{harm:?}: {kind}: the token stands in {places:?}");
    }
    assert!(server.heard().contains(CANARY), "the host itself is given the token");
    let peak = memory_kib(std::process::id(), "VmHWM").unwrap();
    assert!(peak < MOST_MEMORY_KIB, "{harm:?}: {peak} KiB were in memory");
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let other = Server::bystander();
    let program = format!("echo 'Location: {}'", other.url());
    every_kind_hears_a_fault(Harm::Redirect(other.url()), &program).await;
    assert_eq!(other.heard(), "", "nobody called the other host");
}

#[tokio::test]
async fn a_body_of_ten_gigabytes_is_given_up_early() {
    every_kind_hears_a_fault(Harm::Endless, "yes").await;
}

#[tokio::test]
async fn one_byte_at_a_time_ends_by_the_time_limit() {
    let harm = Harm::Trickle(NEAR / 8);
    every_kind_hears_a_fault(harm, "while :; do printf ' '; sleep 0.05; done").await;
}

#[tokio::test]
async fn headers_of_a_megabyte_are_refused() {
    every_kind_hears_a_fault(Harm::Headers, "yes | head -n 1000000 >&2; exit 1").await;
}

#[tokio::test]
async fn a_compressed_body_is_not_unpacked() {
    every_kind_hears_a_fault(Harm::Bomb, "head -c 10M /dev/zero | gzip").await;
}

#[tokio::test]
async fn escape_sequences_reach_nobody() {
    let evil = r"\u001b]0;owned\u0007\u001b[2J\u202egpj\u200b\n";
    for status in [200, 400, 403, 500] {
        let body = format!(
            r#"{{"id":"{evil}","message":"{evil}","error":"{evil}","errors":[{{"message":"{evil}"}}],"state":"{evil}"}}"#
        );
        every_kind_hears_a_fault(Harm::Answer(status, body), r"printf '\033]0;owned\007' >&2; exit 1").await;
    }
}

#[tokio::test]
async fn a_token_that_is_repeated_is_not_kept() {
    for status in [200, 400, 401, 403, 404, 422, 500] {
        let t = CREDENTIAL;
        let body =
            format!(r#"{{"id":"{t}","message":"{t}","error":"{t}","errors":[{{"message":"bad token {t}"}}],"{t}":1}}"#);
        every_kind_hears_a_fault(Harm::Answer(status, body), "echo \"bad token $CANARY_TOKEN\" >&2; exit 1").await;
    }
}
