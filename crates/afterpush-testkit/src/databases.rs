//! Real database servers for tests: PostgreSQL and MariaDB in a temporary directory, on a socket and on a loopback port.
//!
//! Invariant: when the test's process ends, however it ends, its servers end and their directories are gone.

mod live;

use std::{
    fs::{self, File},
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub use self::live::Live;
use crate::{certificates::Certificates, sandbox::skipped};

/// How long a server may take to be ready: a busy machine makes a new one in some seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// Who runs the servers where the tests are root, which both refuse: `nobody`.
const NOBODY: u32 = 65_534;

/// Runs a server until its own standard input ends, which it does with the test's process; then nothing is left.
/// The server itself dies with this shell.
const GUARD: &str = r#"
directory=$1; shift
"$@" <&- &
server=$!
cat >/dev/null
kill -QUIT "$server" 2>/dev/null
sleep 0.1
kill -KILL "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$directory"
"#;

/// What a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// TLS, with a certificate of its own authority for `localhost`.
    Tls,
    /// No TLS.
    Plain,
}

/// A running server.
pub struct DatabaseServer {
    guard: Child,
    directory: PathBuf,
    port: u16,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    Mariadb,
}

impl DatabaseServer {
    /// Starts PostgreSQL. Its superuser is `postgres`, without a password on the socket; every other way in needs one.
    ///
    /// # Errors
    /// Why this machine has none.
    pub fn postgres(offer: Offer) -> Result<Self, String> {
        let initdb = program("initdb", &postgres_directories())?;
        let postgres = program("postgres", &postgres_directories())?;
        let place = place()?;
        let data = place.path().join("data");
        let mut making = as_server_user(&initdb);
        making.args(["--no-sync", "--username=postgres", "--encoding=UTF8", "--locale=C"]);
        making.args(["--auth-local=trust", "--auth-host=scram-sha-256", "-D"]).arg(&data);
        run(&mut making)?;
        // The user `tlsonly` comes in with TLS alone; everybody else with and without.
        let rules = "local all postgres trust\nlocal all all scram-sha-256\nhostnossl all tlsonly all reject\n\
                     host all all 127.0.0.1/32 scram-sha-256\n";
        write(&data.join("pg_hba.conf"), rules)?;
        Self::start(Kind::Postgres, place, |place, port| {
            let mut server = vec![postgres.clone().into_os_string(), "-D".into(), data.clone().into_os_string()];
            let mut settings = vec![
                format!("port={port}"),
                format!("unix_socket_directories={}", place.display()),
                "listen_addresses=127.0.0.1".to_owned(),
                "fsync=off".to_owned(),
                "max_connections=40".to_owned(),
                "shared_buffers=8MB".to_owned(),
            ];
            if offer == Offer::Tls {
                settings.push("ssl=on".to_owned());
                settings.push(format!("ssl_cert_file={}", place.join("server.pem").display()));
                settings.push(format!("ssl_key_file={}", place.join("server.key").display()));
            }
            server.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
            server
        })
    }

    /// Starts MariaDB. Its superuser is `root`, without a password.
    ///
    /// # Errors
    /// Why this machine has none.
    pub fn mariadb(offer: Offer) -> Result<Self, String> {
        let directories = ["/usr/sbin".into(), "/usr/bin".into()];
        let install = program("mariadb-install-db", &directories)?;
        let mariadbd = program("mariadbd", &directories)?;
        let place = place()?;
        let data = place.path().join("data");
        let mut making = as_server_user(&install);
        making.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        making.arg(format!("--datadir={}", data.display()));
        run(&mut making)?;
        Self::start(Kind::Mariadb, place, |place, port| {
            let mut server = vec![mariadbd.clone().into_os_string(), "--no-defaults".into()];
            let mut settings = vec![
                format!("--datadir={}", data.display()),
                format!("--socket={}", place.join("socket").display()),
                format!("--pid-file={}", place.join("pid").display()),
                format!("--port={port}"),
                "--bind-address=127.0.0.1".to_owned(),
                "--skip-name-resolve=0".to_owned(),
                "--innodb-buffer-pool-size=8M".to_owned(),
                "--innodb-flush-log-at-trx-commit=0".to_owned(),
            ];
            if offer == Offer::Tls {
                for (option, file) in [("ssl-cert", "server.pem"), ("ssl-key", "server.key"), ("ssl-ca", "ca.pem")] {
                    settings.push(format!("--{option}={}", place.join(file).display()));
                }
            }
            server.extend(settings.into_iter().map(Into::into));
            server
        })
    }

    fn start(
        kind: Kind,
        place: TempDir,
        server: impl Fn(&Path, u16) -> Vec<std::ffi::OsString>,
    ) -> Result<Self, String> {
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        let log = place.path().join("log");
        let output = File::create(&log).map_err(|error| format!("no log: {error}"))?;
        let errors = output.try_clone().map_err(|error| format!("no log: {error}"))?;
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD, "guard"]).arg(place.path()).args(["setpriv", "--pdeathsig", "KILL"]);
        guard.args(user_arguments()).args(server(place.path(), port));
        let guard = guard
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .current_dir(place.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", place.path())
            .spawn()
            .map_err(|error| format!("no shell: {error}"))?;
        // The guard removes it.
        let mut server = Self { guard, directory: place.keep(), port, kind };
        let deadline = Instant::now() + PATIENCE;
        let ready = match kind {
            Kind::Postgres => "database system is ready to accept connections",
            Kind::Mariadb => "ready for connections",
        };
        loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            if said.contains(ready) {
                return Ok(server);
            }
            let is_over = said.contains("Aborting")
                || said.contains("FATAL")
                || server.guard.try_wait().is_ok_and(|it| it.is_some());
            if is_over || Instant::now() > deadline {
                return Err(format!("the server did not get ready: {said}"));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The address of the superuser, over the socket.
    #[must_use]
    pub fn admin_address(&self, database: &str) -> String {
        match self.kind {
            Kind::Postgres => self.socket_address("postgres", database),
            Kind::Mariadb => self.socket_address("root", database),
        }
    }

    /// An address over the socket, with a user that may hold a password.
    #[must_use]
    pub fn socket_address(&self, user: &str, database: &str) -> String {
        let (scheme, port) = (self.scheme(), self.port);
        match self.kind {
            Kind::Postgres => {
                format!("{scheme}://{user}@localhost:{port}/{database}?host={}", self.directory.display())
            }
            Kind::Mariadb => {
                format!(
                    "{scheme}://{user}@localhost:{port}/{database}?socket={}",
                    self.directory.join("socket").display()
                )
            }
        }
    }

    /// An address over the loopback port; `more` is appended, as in `?sslmode=require`.
    #[must_use]
    pub fn address(&self, user: &str, password: &str, database: &str, more: &str) -> String {
        format!("{}://{user}:{password}@localhost:{}/{database}{more}", self.scheme(), self.port)
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of PostgreSQL's socket, or the file of MariaDB's.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        match self.kind {
            Kind::Postgres => self.directory.clone(),
            Kind::Mariadb => self.directory.join("socket"),
        }
    }

    /// The certificate of the authority that the server's certificate is of.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Whether it is PostgreSQL, and not MariaDB.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.kind == Kind::Postgres
    }

    /// Runs statements as the superuser by the server's own client, each by itself; with an empty name in no database of a
    /// test's.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn sql(&self, database: &str, script: &str) {
        let superuser = if self.is_postgres() { "postgres" } else { "root" };
        self.sql_as(superuser, "", database, script);
    }

    fn sql_as(&self, user: &str, password: &str, database: &str, script: &str) {
        let mut client = match self.kind {
            Kind::Postgres => {
                let address = self.socket_address(user, if database.is_empty() { "postgres" } else { database });
                let mut client = Command::new("psql");
                client.env("PGPASSWORD", password).args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", &address]);
                client
            }
            Kind::Mariadb => {
                let mut client = Command::new("mariadb");
                client.env("MYSQL_PWD", password).args(["--no-defaults", &format!("--user={user}")]);
                client.arg(format!("--socket={}", self.socket().display()));
                client.args(Some(database).filter(|name| !name.is_empty()));
                client
            }
        };
        let client = client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut client = client.spawn().expect("the client that comes with the server");
        client.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("statements for the client");
        let said = client.wait_with_output().expect("the client's end");
        assert!(said.status.success(), "{script}: {}", String::from_utf8_lossy(&said.stderr));
    }

    fn scheme(&self) -> &'static str {
        match self.kind {
            Kind::Postgres => "postgres",
            Kind::Mariadb => "mysql",
        }
    }
}

/// The servers that all tests of one program share, PostgreSQL and MariaDB with TLS; they end with it. One that this machine
/// does not have is told as skipped.
#[must_use]
pub fn shared(test: &str) -> Vec<&'static DatabaseServer> {
    static POSTGRES: OnceLock<Result<DatabaseServer, String>> = OnceLock::new();
    static MARIADB: OnceLock<Result<DatabaseServer, String>> = OnceLock::new();
    there(
        test,
        [
            POSTGRES.get_or_init(|| DatabaseServer::postgres(Offer::Tls)),
            MARIADB.get_or_init(|| DatabaseServer::mariadb(Offer::Tls)),
        ],
    )
}

/// Those of these servers that are there; what is missing is told as skipped.
#[must_use]
pub fn there<'a>(test: &str, servers: [&'a Result<DatabaseServer, String>; 2]) -> Vec<&'a DatabaseServer> {
    let seen = |server: &'a Result<DatabaseServer, String>| {
        server.as_ref().map_err(|why| skipped(&format!("{test}: a real server"), why)).ok()
    };
    servers.into_iter().filter_map(seen).collect()
}

/// Ends the server at once, as a crash does, and waits until nothing of it is left.
impl Drop for DatabaseServer {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A directory that the server's user owns, with the certificates in it.
fn place() -> Result<TempDir, String> {
    let failed = |error: io::Error| format!("no directory for a server: {error}");
    let place = tempfile::Builder::new().prefix("afterpush-db-").tempdir().map_err(failed)?;
    let certificates = Certificates::new("localhost")?;
    for (name, text) in [
        ("ca.pem", &certificates.authority),
        ("server.pem", &certificates.server),
        ("server.key", &certificates.server_key),
    ] {
        write(&place.path().join(name), text)?;
    }
    fs::set_permissions(place.path().join("server.key"), fs::Permissions::from_mode(0o600)).map_err(failed)?;
    if is_root() {
        chown(place.path(), Some(NOBODY), Some(NOBODY)).map_err(failed)?;
        chown(place.path().join("server.key"), Some(NOBODY), Some(NOBODY)).map_err(failed)?;
    }
    Ok(place)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("could not write {}: {error}", path.display()))
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn user_arguments() -> Vec<String> {
    match is_root() {
        true => vec![format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()],
        false => Vec::new(),
    }
}

fn as_server_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).args(user_arguments()).arg(program);
    command.current_dir("/").env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Debian keeps the programs of each version of PostgreSQL in a directory of their own.
fn postgres_directories() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut directories: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    directories.sort();
    directories.reverse();
    directories
}

fn program(name: &str, directories: &[PathBuf]) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = directories.iter().cloned().chain(std::env::split_paths(&path));
    let found = all.map(|directory| directory.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| format!("{name} is not installed"))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
