//! What one database check costs, against the server's own client with the same question, over TLS to a server beside it.

use std::process::{Command, Stdio};

use afterpush_core::{
    config::{Source, combine},
    id::CommitId,
    observation::DatabaseObservation,
};
use afterpush_probes::{
    DatabaseProbe,
    database::{Address, Place},
};
use afterpush_testkit::{
    databases::{DatabaseServer, Offer},
    sandbox::skipped,
};
use tokio::runtime::Builder;

use crate::timing::{aim, line, rounds, time};

const COMMIT: &str = "1234567890abcdef1234567890abcdef12345678";
const PASSWORD: &str = "of-the-bench";
/// A check is to cost at most so many times what a bare client needs.
const AIM: f64 = 1.5;

/// The table, and a user who may read it.
const TABLE: &str = "CREATE TABLE deployments (id int, commit_sha varchar(64), status text, created_at timestamp NULL);
    INSERT INTO deployments VALUES (1, '1234567890abcdef1234567890abcdef12345678', 'success', '2026-01-01');";

pub(crate) fn database(numbers: &[usize]) {
    let count = numbers.first().copied().unwrap_or(100);
    match DatabaseServer::postgres(Offer::Tls) {
        Err(why) => skipped("database: PostgreSQL", &why),
        Ok(server) => {
            let user =
                format!("{TABLE} CREATE USER reader PASSWORD '{PASSWORD}'; GRANT SELECT ON deployments TO reader;");
            server.sql("", &user);
            let address = server.address("reader", PASSWORD, "postgres", "?sslmode=require");
            compare("psql -c", count, &address, || psql(&address));
        }
    }
    match DatabaseServer::mariadb(Offer::Tls) {
        Err(why) => skipped("database: MariaDB", &why),
        Ok(server) => {
            let user = format!(
                "CREATE DATABASE bench; USE bench; {TABLE} CREATE USER reader@localhost IDENTIFIED BY '{PASSWORD}';
                 GRANT SELECT ON bench.deployments TO reader@localhost;"
            );
            server.sql("", &user);
            let address = server.address("reader", PASSWORD, "bench", "?ssl-mode=REQUIRED");
            let port = format!("--port={}", server.port());
            compare("mariadb -e", count, &address, || mariadb(&port));
        }
    }
}

fn compare(name: &str, count: usize, address: &str, bare: impl Fn()) {
    let text = "[[target]]\nname = \"web\"\ndatabase = { url_env = \"DATABASE_URL\" }\n";
    let config = combine(None, false, Some(Source { name: "config.toml", text })).unwrap();
    let address = Address::parse(address, Place::of_variable("DATABASE_URL")).unwrap();
    let commit = CommitId::parse(COMMIT).unwrap();
    let probe = DatabaseProbe::new(config.targets[0].database.clone().unwrap(), address, commit);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let times = rounds(2, count, 5, |which, _| match which {
        0 => time(&bare),
        _ => time(|| {
            let seen = runtime.block_on(probe.ask()).unwrap();
            assert!(matches!(seen, DatabaseObservation::Row(_)), "{seen:?}");
        }),
    });
    println!("one row over TLS, {count} rounds, interleaved; a client's time has the start of its process in it:");
    let base = times[0].median();
    line(name, &times[0], base);
    line("afterpush, one check", &times[1], base);
    let ratio = times[1].median().as_secs_f64() / base.as_secs_f64();
    aim(&format!("a check takes at most {AIM} times as long as {name}, {ratio:.2} here"), ratio <= AIM);
}

fn psql(address: &str) {
    client("psql", &[address, "--no-psqlrc", "-tA", "-c", &question()]);
}

fn mariadb(port: &str) {
    let password = format!("--password={PASSWORD}");
    let question = question();
    let login = ["--no-defaults", "--host=127.0.0.1", port, "--ssl", "--user=reader", &password];
    client("mariadb", &[&login[..], &["-N", "-e", &question, "bench"]].concat());
}

fn question() -> String {
    format!("SELECT commit_sha, status FROM deployments WHERE commit_sha = '{COMMIT}' ORDER BY created_at DESC LIMIT 1")
}

fn client(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{program}: {status}");
}
