//! The health check against a real nginx: its own answers, and what stands behind it as behind a load balancer.

use std::fs;

use afterpush_core::{
    config::{CommitAssertion, HealthAddress, HealthConfig},
    id::CommitId,
    run::Relation,
};
use afterpush_probes::HealthProbe;
use afterpush_testkit::{nginx::Nginx, sandbox::skipped};

use crate::server::{Server, answer};

const OURS: &str = "1234567890abcdef1234567890abcdef12345678";
const OLD: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";

fn probe(nginx: &Nginx, path: &str, commit: CommitAssertion) -> HealthProbe {
    let url = nginx.url() + path;
    let config =
        HealthConfig { commit: Some(commit), ..HealthConfig::of(HealthAddress::Url { url, user_named: true }) };
    HealthProbe::new(config, CommitId::parse(OURS).unwrap(), false)
}

#[tokio::test]
async fn the_commit_is_read_from_what_nginx_answers() {
    let directory = tempfile::tempdir().unwrap();
    let server = format!(
        "add_header x-commit {OURS} always;\nadd_header x-request-id fra1::{OURS}-17;\ndefault_type text/html;\n\
         location = /page {{ return 200 '<meta name=\"commit\" content=\"{OURS}\">'; }}\n\
         location = /json {{ return 200 '{{\"commit\":\"{OURS}\"}}'; }}\n\
         location = /moved {{ return 301 /json; }}\n\
         location = /down {{ return 503; }}"
    );
    let nginx = match Nginx::start(directory.path(), "", |_| server.clone()) {
        Ok(nginx) => nginx,
        Err(why) => return skipped("the_commit_is_read_from_what_nginx_answers", &why),
    };
    let header = |name: &str, regex: Option<&str>| CommitAssertion::Header {
        name: name.to_owned(),
        regex: regex.map(str::to_owned),
    };
    for (path, commit) in [
        ("/page", CommitAssertion::Meta("commit".to_owned())),
        ("/page", CommitAssertion::Regex("content=\"([0-9a-f]+)".to_owned())),
        ("/json", CommitAssertion::Pointer("/commit".to_owned())),
        ("/moved", CommitAssertion::Pointer("/commit".to_owned())),
        ("/json", header("x-commit", None)),
        ("/json", header("x-request-id", Some("::([0-9a-f]{40})-"))),
    ] {
        let seen = probe(&nginx, path, commit.clone()).ask(None).await.unwrap();
        assert_eq!(seen.commit.map(|commit| commit.relation), Some(Relation::Same), "{path} {commit:?}");
    }
    for (path, summary) in [("/down", "answered 503"), ("/none", "answered 404")] {
        let seen = probe(&nginx, path, header("x-commit", None)).ask(None).await.unwrap();
        assert_eq!((seen.healthy, seen.summary.as_str()), (false, summary), "{path}");
    }
}

#[tokio::test]
async fn behind_a_load_balancer_old_and_new_answer_by_turns() {
    let directory = tempfile::tempdir().unwrap();
    let says = |commit: &str| {
        Server::saying(answer("200 OK", "connection: close\r\n", &format!(r#"{{"commit":"{commit}"}}"#)))
    };
    let (old, new) = (says(OLD), says(OURS));
    let upstream = format!("upstream app {{ server {}; server {}; }}", old.address, new.address);
    let to_app = |_| "location / { proxy_pass http://app; }".to_owned();
    let nginx = match Nginx::start(directory.path(), &upstream, to_app) {
        Ok(nginx) => nginx,
        Err(why) => return skipped("behind_a_load_balancer_old_and_new_answer_by_turns", &why),
    };
    let probe = probe(&nginx, "/health", CommitAssertion::Pointer("/commit".to_owned()));
    let mut relations = Vec::new();
    for _ in 0..4 {
        relations.push(probe.ask(None).await.unwrap().commit.unwrap().relation);
    }
    let ours = relations.iter().filter(|relation| **relation == Relation::Same).count();
    assert_eq!(ours, 2, "{relations:?}");
}

#[tokio::test]
async fn the_strange_answers_of_nginx_are_told_apart() {
    const TEST: &str = "the_strange_answers_of_nginx_are_told_apart";
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("big"), format!("{{\"commit\":\"{OURS}\",\"x\":\"{}\"}}", "x".repeat(5 << 20)))
        .unwrap();
    let server = format!(
        "root \"{}\";\nlocation = /loop {{ return 302 /loop; }}\n\
         location = /metadata {{ return 302 http://169.254.169.254/latest/meta-data/; }}\n\
         location = /safe-metadata {{ return 307 https://169.254.169.254/latest/meta-data/; }}\n\
         location = /empty {{ return 200; }}\nlocation = /none {{ return 204; }}\n\
         location = /label {{ default_type text/html; return 200 '{{\"commit\":\"{OURS}\"}}'; }}",
        directory.path().display()
    );
    let nginx = match Nginx::start(directory.path(), "", |_| server.clone()) {
        Ok(nginx) => nginx,
        Err(why) => return skipped(TEST, &why),
    };
    let ask = async |path: &str| probe(&nginx, path, CommitAssertion::Pointer("/commit".to_owned())).ask(None).await;
    for (path, healthy, summary) in [
        ("/loop", false, "redirected more than 5 times"),
        ("/empty", true, "200, no commit at /commit: the body is not JSON"),
        ("/none", false, "answered 204"),
        ("/label", true, "200, commit 1234567"),
    ] {
        let seen = ask(path).await.unwrap();
        assert_eq!((seen.healthy, seen.summary.as_str()), (healthy, summary), "{path}");
    }
    for (path, message) in [
        ("/metadata", "not asked over http"),
        ("/safe-metadata", "is in a private network"),
        ("/big", "the answer is over 1024 KiB, too large to look for /commit"),
    ] {
        let fault = ask(path).await.unwrap_err();
        assert!(fault.message.contains(message), "{path}: {fault}");
    }
}
