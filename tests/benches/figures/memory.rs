//! What a monitor holds: while it asks the provider alone, and with all three stages.

use std::{fs, process::Command};

use afterpush_testkit::{
    databases::{DatabaseServer, Offer},
    digitalocean::Simulator,
    sandbox::{Project, Said, Sandbox, memory_kib, skipped, wait_until},
};

use crate::{
    TARGET,
    health::{certificate, start},
    timing::aim,
};

/// A monitor with all three stages is to hold at most so much.
const AIM: f64 = 12.0;

pub(crate) fn memory(_: &[usize]) {
    let (simulator, sandbox) = (Simulator::start(), Sandbox::new());
    let app = simulator.add_app("web", "acme/web", "main", "https://web.example");
    let project = project(&simulator, &sandbox, "");
    simulator.deploy(&app, &project.head()).set_phase("BUILDING");
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    report("that has polled a provider ten times", &sandbox, &project, 1);
    all_stages();
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    wait_until("sleep", || {
        fs::read_to_string(format!("/proc/{}/stat", sleeper.id())).is_ok_and(|stat| stat.contains("(sleep) S "))
    });
    println!("baseline, sleep(1): {:.1} MiB resident", held(sleeper.id(), "VmRSS"));
    let _ = sleeper.kill();
    let _ = sleeper.wait();
}

/// The provider, PostgreSQL over TLS with a verified certificate, and nginx over https.
fn all_stages() {
    let server = match DatabaseServer::postgres(Offer::Tls) {
        Ok(server) => server,
        Err(why) => return skipped("memory: all stages", &why),
    };
    let (simulator, sandbox) = (Simulator::start(), Sandbox::new());
    let certificate = match certificate(sandbox.path()) {
        Ok(certificate) => certificate,
        Err(why) => return skipped("memory: all stages", why),
    };
    let _ = simulator.add_app("web", "acme/web", "main", "https://web.example");
    // Beside the authorities of the system, which a monitor reads as well.
    let system = fs::read("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    let authorities = sandbox.path().join("authorities.pem");
    fs::write(&authorities, [fs::read(&certificate).unwrap(), system].concat()).unwrap();
    let nginx = match start(sandbox.path()) {
        Ok(nginx) => nginx,
        Err(why) => return skipped("memory: all stages", &why),
    };
    server.sql(
        "",
        "CREATE TABLE deployments (commit_sha text, status text, created_at timestamp); CREATE USER reader PASSWORD 'pw'; \
         GRANT SELECT ON deployments TO reader;",
    );
    let more = format!(
        "[[target]]\nname = \"web\"\ndatabase = {{ url_env = \"DATABASE_URL\" }}\n\
         health = {{ url = \"https://localhost:{}/\", commit = \"/commit\" }}\n",
        nginx.ports[1]
    );
    let project = project(&simulator, &sandbox, &more);
    // Where the provider knows no deployment yet, all three are asked.
    let verified = format!("?sslmode=verify-full&sslrootcert={}", server.authority().display());
    let address = server.address("reader", "pw", "postgres", &verified);
    let mut push = project.push_command(&["origin", "main"]);
    assert_eq!(Said::of(push.env("DATABASE_URL", address).env("SSL_CERT_FILE", authorities)).code, Some(0));
    let held = report("that has asked provider, PostgreSQL and an https check ten times each", &sandbox, &project, 3);
    aim(&format!("a monitor with all three stages holds at most {AIM} MiB, {held:.1} here"), held <= AIM);
}

fn project<'a>(simulator: &Simulator, sandbox: &'a Sandbox, more: &str) -> Project<'a> {
    sandbox.user_config(&format!(
        "[provider.digitalocean]\napi_url = \"{}\"\n[policy]\nfirst_interval = \"200ms\"\nslow_interval = \"200ms\"\n{more}",
        simulator.url()
    ));
    sandbox.credentials("[digitalocean]\ntoken = \"test-token\"\n");
    sandbox.project(TARGET)
}

/// Waits until each of the first stages was asked ten times; gives what the monitor holds then, in MiB.
fn report(what: &str, sandbox: &Sandbox, project: &Project<'_>, stages: usize) -> f64 {
    project.status(&project.head(), &format!("a monitor {what}"), |status| {
        (0..stages).all(|stage| status["targets"][0]["stages"][stage]["asked"].as_u64() > Some(10))
    });
    let pid = sandbox.monitors()[0].unsigned_abs();
    let resident = held(pid, "VmRSS");
    println!(
        "monitor {what}: {resident:.1} MiB resident, at most {:.1}, of which {:.1} MiB are its own memory; the rest are pages \
         of programs and libraries",
        held(pid, "VmHWM"),
        held(pid, "RssAnon")
    );
    resident
}

/// A line of a process's status, in MiB.
fn held(pid: u32, name: &str) -> f64 {
    memory_kib(pid, name).unwrap() as f64 / 1024.0
}
