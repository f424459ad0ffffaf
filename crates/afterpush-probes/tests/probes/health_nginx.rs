//! The health check against a real nginx: its own answers, and what stands behind it as behind a load balancer.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use afterpush_core::{
    config::{CommitAssertion, HealthAddress, HealthConfig},
    id::CommitId,
    run::Relation,
};
use afterpush_probes::HealthProbe;
use afterpush_testkit::sandbox::skipped;

use crate::server::{Server, answer};

const OURS: &str = "1234567890abcdef1234567890abcdef12345678";
const OLD: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcd";

struct Nginx {
    child: Child,
    port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts nginx in this directory with these servers' lines; `None` where it is not installed.
fn start(directory: &Path, http: &str, server: &str) -> Option<Nginx> {
    let program =
        ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"].into_iter().find(|it| Path::new(it).exists())?;
    // nginx cannot be given port 0, and a port that was free may be taken before it listens.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = directory.display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/error.log;\nevents {{}}\n\
             http {{\naccess_log off;\n{paths}{http}\nserver {{\nlisten 127.0.0.1:{port};\n{server}\n}}\n}}\n"
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut child = Command::new(program)
            .args(["-p", directory.to_str().unwrap(), "-e", "error.log", "-c", file.to_str().unwrap()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Nginx { child, port });
            }
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    panic!("nginx does not start: {}", fs::read_to_string(directory.join("error.log")).unwrap_or_default());
}

fn probe(nginx: &Nginx, path: &str, commit: CommitAssertion) -> HealthProbe {
    let url = format!("http://127.0.0.1:{}{path}", nginx.port);
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
    let Some(nginx) = start(directory.path(), "", &server) else {
        return skipped("the_commit_is_read_from_what_nginx_answers", "nginx is not installed");
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
    let Some(nginx) = start(directory.path(), &upstream, "location / { proxy_pass http://app; }") else {
        return skipped("behind_a_load_balancer_old_and_new_answer_by_turns", "nginx is not installed");
    };
    let probe = probe(&nginx, "/health", CommitAssertion::Pointer("/commit".to_owned()));
    let mut relations = Vec::new();
    for _ in 0..4 {
        relations.push(probe.ask(None).await.unwrap().commit.unwrap().relation);
    }
    let ours = relations.iter().filter(|relation| **relation == Relation::Same).count();
    assert_eq!(ours, 2, "{relations:?}");
}
