//! What one health check costs, against curl's own time of the same answer, over http and https, from an nginx beside it.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use afterpush_core::{
    config::{CommitAssertion, HealthAddress, HealthConfig},
    id::CommitId,
};
use afterpush_probes::HealthProbe;
use afterpush_testkit::{
    nginx::Nginx,
    sandbox::{Sandbox, wait_until},
};
use tokio::runtime::Builder;

use crate::timing::{aim, line, milliseconds, rounds, time};

const COMMIT: &str = "1234567890abcdef1234567890abcdef12345678";
/// Marks the process that has the authority, and says where it is.
const AUTHORITY: &str = "AFTERPUSH_BENCH_AUTHORITY";
/// A check is to cost at most so many times what a bare client needs.
const AIM: f64 = 1.5;

pub(crate) fn health(numbers: &[usize]) {
    let count = numbers.first().copied().unwrap_or(200);
    // The probe takes the authorities from the environment, which only a new process can be given.
    let Some(authority) = std::env::var_os(AUTHORITY).map(PathBuf::from) else {
        return again_with_authority(count);
    };
    let Some(directory) = authority.parent() else { return };
    let server = match start(directory) {
        Ok(server) => server,
        Err(why) => return println!("  left out: {why}"),
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    for (scheme, port) in ["http", "https"].into_iter().zip(server.ports) {
        let url = format!("{scheme}://localhost:{port}/health");
        let probe = || {
            let address = HealthAddress::Url { url: url.clone(), user_named: true };
            let commit = Some(CommitAssertion::Pointer("/commit".to_owned()));
            let config = HealthConfig { commit, ..HealthConfig::of(address) };
            HealthProbe::new(config, CommitId::parse(COMMIT).unwrap(), false)
        };
        let ask = |probe: &HealthProbe| {
            let seen = runtime.block_on(probe.ask(None)).unwrap();
            assert!(seen.healthy && seen.commit.is_some(), "{}", seen.summary);
        };
        let kept = probe();
        let times = rounds(3, count, 5, |which, _| match which {
            0 => curl(&url, &authority),
            1 => time(|| ask(&kept)),
            _ => time(|| ask(&probe())),
        });
        println!("one answer of nginx over {scheme}, {count} rounds, interleaved:");
        let base = times[0].median();
        for (name, times) in
            ["curl, by its own clock", "afterpush, one check", "afterpush, the first check"].iter().zip(&times)
        {
            line(name, times, base);
        }
        let ratio = times[1].median().as_secs_f64() / base.as_secs_f64();
        aim(&format!("a check takes at most {AIM} times as long as curl, {ratio:.2} here"), ratio <= AIM);
        println!("  curl's process beside that: {:.2} ms", milliseconds(time(|| _ = curl(&url, &authority))));
    }
}

/// The time that curl itself tells, without the start of its process.
fn curl(url: &str, authority: &Path) -> Duration {
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--http1.1", "--write-out", "\n%{time_total}", "--cacert"])
        .args([authority.as_os_str(), url.as_ref()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains(COMMIT), "{said}");
    Duration::from_secs_f64(said.lines().last().unwrap().parse().unwrap())
}

/// Runs this figure again in a process that has the authority.
fn again_with_authority(count: usize) {
    let sandbox = Sandbox::new();
    let certificate = match certificate(sandbox.path()) {
        Ok(certificate) => certificate,
        Err(why) => return println!("  left out: {why}"),
    };
    let mut again = Command::new(std::env::current_exe().unwrap());
    again
        .args(["health".to_owned(), count.to_string()])
        .env(AUTHORITY, &certificate)
        .env("SSL_CERT_FILE", &certificate)
        .env_remove("SSL_CERT_DIR");
    assert!(again.status().unwrap().success());
}

/// Makes a certificate for localhost that is its own authority, for [`start`] in the same directory.
pub(crate) fn certificate(directory: &Path) -> Result<PathBuf, &'static str> {
    let certificate = directory.join("localhost.pem");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        // What is an authority is no server to rustls.
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .args([directory.join("key.pem").as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .stderr(Stdio::null())
        .status();
    match made.is_ok_and(|status| status.success()) {
        true => Ok(certificate),
        false => Err("openssl could not make a certificate"),
    }
}

/// nginx with the same answer over http and, on its second port, https.
pub(crate) fn start(directory: &Path) -> Result<Nginx, String> {
    let place = directory.display();
    let nginx = Nginx::start(directory, "", |ports| {
        format!(
            "listen 127.0.0.1:{} ssl;\nssl_certificate \"{place}/localhost.pem\";\n\
             ssl_certificate_key \"{place}/key.pem\";\n\
             location / {{ default_type application/json; return 200 '{{\"commit\":\"{COMMIT}\"}}'; }}",
            ports[1]
        )
    })?;
    wait_until("nginx's https", || TcpStream::connect(("127.0.0.1", nginx.ports[1])).is_ok());
    Ok(nginx)
}
