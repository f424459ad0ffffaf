//! Where a database is. An address is a secret: it is read once, and no part of it ever stands in a message.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use afterpush_core::fault::{Fault, FaultKind};
use url::Url;

use super::connection::Dialect;

/// Databases that an address can name and that this version cannot ask. Only these words are repeated in a message: the
/// beginning of an address without a scheme could be a user's name.
const OTHER_SCHEMES: [&str; 8] =
    ["mssql", "sqlserver", "mongodb", "mongodb+srv", "libsql", "redis", "rediss", "prisma+postgres"];

const EXPECTED: &str = "as in postgres://user:password@host/database, mysql://... or sqlite:///path";

/// How messages name a database: by the variable that holds its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// The database whose address stands in this variable.
    #[must_use]
    pub fn of_variable(variable: &str) -> Self {
        Self(variable.to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the database named by {}", self.0)
    }
}

/// Where a database is and how to log in.
#[derive(Clone)]
pub enum Address {
    /// A SQLite file.
    File(File),
    /// A server.
    Server(Server),
}

/// A SQLite file.
#[derive(Clone)]
pub struct File {
    pub(super) place: Place,
    pub(super) path: PathBuf,
}

/// A database of a server.
#[derive(Clone)]
pub struct Server {
    pub(super) place: Place,
    pub(super) dialect: Dialect,
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<String>,
    pub(super) encryption: Encryption,
    /// The address says which encryption; it is not the default one.
    pub(super) is_encryption_chosen: bool,
    pub(super) root_certificate: Option<PathBuf>,
    pub(super) client_certificate: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
}

/// How a server is reached.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    /// A socket of this machine: its file for MySQL, its directory for PostgreSQL.
    Socket(PathBuf),
}

/// What the connection has to be, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Encryption {
    Off,
    Preferred,
    Required,
    /// The certificate has to be of a trusted authority.
    VerifyAuthority,
    /// And for this host.
    VerifyHost,
}

/// How the way to a database is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// It does not leave the machine.
    Local,
    /// Without TLS, or with TLS only where the server offers it: the address says so.
    Unprotected,
    /// With TLS; who answers is not verified.
    Encrypted,
    /// With TLS and a verified certificate.
    Verified,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Unprotected => "TLS not required",
            Self::Encrypted => "TLS, certificate not verified",
            Self::Verified => "TLS, certificate verified",
        })
    }
}

/// The parts of a server's address where they stand in variables of their own.
#[derive(Clone, Default)]
pub struct Parts {
    /// A host name, an address, or the path of a socket.
    pub host: Option<String>,
    /// The port.
    pub port: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The database.
    pub database: Option<String>,
    /// `sslmode` or `ssl-mode`.
    pub encryption: Option<String>,
    /// The file of the authority that the server's certificate is of.
    pub root_certificate: Option<String>,
}

impl Parts {
    /// These, and where one is missing, the other's.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            host: self.host.or(other.host),
            port: self.port.or(other.port),
            user: self.user.or(other.user),
            password: self.password.or(other.password),
            database: self.database.or(other.database),
            encryption: self.encryption.or(other.encryption),
            root_certificate: self.root_certificate.or(other.root_certificate),
        }
    }
}

impl Address {
    /// Reads an address such as `postgres://user:password@host/database`, `mysql://...` or `sqlite:///path`. What it wishes
    /// beyond host, login, database and TLS is not used.
    ///
    /// # Errors
    /// [`FaultKind::Malformed`], without a part of the address.
    pub fn parse(address: &str, place: Place) -> Result<Self, Fault> {
        let address = address.trim();
        let scheme = address.split_once(':').unwrap_or_default().0.to_ascii_lowercase();
        let dialect = match scheme.as_str() {
            "sqlite" | "sqlite3" | "file" => {
                return Ok(Self::File(File { path: sqlite_path(address, &place)?, place }));
            }
            "postgres" | "postgresql" | "cockroachdb" => Dialect::Postgres,
            "mysql" | "mariadb" => Dialect::Mysql,
            other => {
                return Err(malformed(match OTHER_SCHEMES.iter().find(|known| **known == other) {
                    Some(known) => format!("{known}:// is not supported; {} needs an address {EXPECTED}", place.0),
                    None => format!("{} has to hold the address of a database, {EXPECTED}", place.0),
                }));
            }
        };
        let unreadable = || malformed(format!("the address in {} cannot be read; {EXPECTED}", place.0));
        // A user without a host, as libpq takes it: the host then stands behind the question mark.
        let url = Url::parse(&address.replacen("@/", "@localhost/", 1)).map_err(|_| unreadable())?;
        let text = |text: &str| percent_decoded(text).ok_or_else(unreadable);
        let mut parts = Parts {
            host: url.host_str().map(text).transpose()?,
            port: url.port().map(|port| port.to_string()),
            user: Some(url.username()).filter(|user| !user.is_empty()).map(text).transpose()?,
            password: url.password().map(text).transpose()?,
            database: Some(url.path().trim_matches('/')).filter(|path| !path.is_empty()).map(text).transpose()?,
            ..Parts::default()
        };
        let (mut certificate, mut key) = (None, None);
        for (name, value) in url.query_pairs() {
            let value = Some(value.into_owned()).filter(|value| !value.is_empty());
            match name.to_ascii_lowercase().as_str() {
                "host" | "socket" | "unix_socket" => parts.host = value,
                "port" => parts.port = value,
                "user" => parts.user = value,
                "password" => parts.password = value,
                "dbname" => parts.database = value,
                "sslmode" | "ssl-mode" | "ssl_mode" => parts.encryption = value,
                "sslrootcert" | "ssl-ca" | "ssl_ca" => parts.root_certificate = value,
                "sslcert" | "ssl-cert" | "ssl_cert" => certificate = value,
                "sslkey" | "ssl-key" | "ssl_key" => key = value,
                _ => {}
            }
        }
        let mut server = Server::new(dialect, parts, place)?;
        server.client_certificate = certificate.map(PathBuf::from);
        server.client_key = key.map(PathBuf::from);
        Ok(Self::Server(server))
    }

    /// How messages name the database.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::File(file) => &file.place,
            Self::Server(server) => &server.place,
        }
    }
}

impl Server {
    /// The server's kind.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether the address came with a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(self, password: String) -> Self {
        Self { password: Some(password), ..self }
    }

    /// Puts the parts of an address together.
    ///
    /// # Errors
    /// [`FaultKind::Malformed`] for a part that cannot be, without its value.
    pub fn new(dialect: Dialect, parts: Parts, place: Place) -> Result<Self, Fault> {
        let wrong = |part: &str, expected: &str| malformed(format!("the {part} of {place} is not {expected}"));
        let host = match parts.host.as_deref().map(str::trim).filter(|host| !host.is_empty()) {
            None => Host::Name("localhost".to_owned()),
            Some(path) if path.starts_with('/') => Host::Socket(PathBuf::from(path)),
            Some(name) => Host::Name(name.trim_start_matches('[').trim_end_matches(']').to_owned()),
        };
        let port = match parts.port.as_deref().map(str::trim).filter(|port| !port.is_empty()) {
            None => None,
            Some(port) => Some(port.parse().map_err(|_| wrong("port", "a number from 1 to 65535"))?),
        };
        let root_certificate = parts.root_certificate.map(PathBuf::from);
        let chosen = match parts.encryption.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(word) => Some(
                encryption(word)
                    .ok_or_else(|| wrong("sslmode", "one of disable, prefer, require, verify-ca and verify-full"))?,
            ),
        };
        let encryption = match (&host, chosen, &root_certificate) {
            (Host::Socket(_), ..) => Encryption::Off,
            // As libpq does: who names an authority wants it to be asked.
            (_, Some(Encryption::Required), Some(_)) => Encryption::VerifyAuthority,
            (_, Some(chosen), _) => chosen,
            (_, None, Some(_)) => Encryption::VerifyHost,
            (Host::Name(name), None, None) if is_local(name) => Encryption::Preferred,
            (Host::Name(_), None, None) => Encryption::Required,
        };
        Ok(Self {
            place,
            dialect,
            host,
            port,
            user: parts.user,
            password: parts.password,
            database: parts.database,
            encryption,
            is_encryption_chosen: chosen.is_some(),
            root_certificate,
            client_certificate: None,
            client_key: None,
        })
    }

    pub(super) fn security(&self) -> Security {
        match (&self.host, self.encryption) {
            (Host::Socket(_), _) => Security::Local,
            (Host::Name(name), Encryption::Off | Encryption::Preferred) if is_local(name) => Security::Local,
            (_, Encryption::Off | Encryption::Preferred) => Security::Unprotected,
            (_, Encryption::Required) => Security::Encrypted,
            (_, Encryption::VerifyAuthority | Encryption::VerifyHost) => Security::Verified,
        }
    }

    /// What must not stand in a message.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let host = match &self.host {
            Host::Name(name) => Some(name.as_str()),
            Host::Socket(path) => path.to_str(),
        };
        [host, self.user.as_deref(), self.password.as_deref(), self.database.as_deref()].into_iter().flatten().collect()
    }
}

/// Without what an address holds.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(self.place()).finish()
    }
}

fn malformed(problem: String) -> Fault {
    Fault::new(FaultKind::Malformed, problem)
}

/// The words of PostgreSQL's `sslmode` and of MySQL's `ssl-mode`. `allow` is as weak as `prefer` and never asks for more.
fn encryption(word: &str) -> Option<Encryption> {
    Some(match word.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => Encryption::Off,
        "allow" | "prefer" | "preferred" => Encryption::Preferred,
        "require" | "required" => Encryption::Required,
        "verify-ca" => Encryption::VerifyAuthority,
        "verify-full" | "verify-identity" => Encryption::VerifyHost,
        _ => return None,
    })
}

/// This machine, without asking a name server.
fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Reads `sqlite:/path`, `sqlite:///path`, `file:/path` and `file:///path`. What follows a question mark is not used: the
/// file is opened for reading, whatever the address wishes.
fn sqlite_path(address: &str, place: &Place) -> Result<PathBuf, Fault> {
    let rest = address.split_once(':').unwrap_or_default().1;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = match rest.strip_prefix("//") {
        Some(after) => after.strip_prefix("localhost").filter(|after| after.starts_with('/')).unwrap_or(after),
        None => rest,
    };
    if !path.starts_with('/') {
        return Err(malformed(format!(
            "{} names a relative path or a database in memory; an absolute path is needed, as in sqlite:///path",
            place.0
        )));
    }
    percent_decoded(path)
        .map(|path| Path::new(&path).to_owned())
        .ok_or_else(|| malformed(format!("the path in {} cannot be read", place.0)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(address: &str) -> Result<Address, Fault> {
        Address::parse(address, Place::of_variable("DATABASE_URL"))
    }

    fn server(address: &str) -> Server {
        match parse(address).unwrap() {
            Address::Server(server) => server,
            Address::File(_) => panic!("{address} is a file"),
        }
    }

    #[test]
    fn sqlite_addresses_are_read_in_every_spelling() {
        for (address, path) in [
            ("sqlite:/srv/app.db", "/srv/app.db"),
            ("sqlite:///srv/app.db", "/srv/app.db"),
            ("SQLite:///srv/app.db?mode=rwc&cache=shared", "/srv/app.db"),
            ("file:/srv/app.db", "/srv/app.db"),
            ("file:///srv/app%20one.db", "/srv/app one.db"),
            ("file://localhost/srv/app.db", "/srv/app.db"),
            (" sqlite3:/srv/app.db\n", "/srv/app.db"),
        ] {
            match parse(address).unwrap() {
                Address::File(file) => assert_eq!(file.path, PathBuf::from(path), "{address}"),
                Address::Server(_) => panic!("{address} is a server"),
            }
        }
    }

    #[test]
    fn servers_are_read_with_what_clients_write_into_addresses() {
        let it = server("postgresql://me%40x:p%2Fw@db.example.com:6543/app?schema=public&pgbouncer=true");
        assert_eq!((it.user.as_deref(), it.password.as_deref()), (Some("me@x"), Some("p/w")));
        assert_eq!((it.port, it.database.as_deref(), it.dialect), (Some(6543), Some("app"), Dialect::Postgres));
        assert!(it.host == Host::Name("db.example.com".to_owned()));
        let it = server("postgres://me@/app?host=/run/postgresql");
        assert!(it.host == Host::Socket(PathBuf::from("/run/postgresql")));
        assert_eq!((it.encryption, it.security()), (Encryption::Off, Security::Local));
        let it = server("mysql://me:pw@[::1]:3307/app");
        assert!(it.host == Host::Name("::1".to_owned()));
        assert_eq!((it.port, it.dialect), (Some(3307), Dialect::Mysql));
        let it = server("postgres:///app");
        assert!(it.host == Host::Name("localhost".to_owned()) && it.user.is_none());
    }

    #[test]
    fn tls_is_required_unless_the_address_is_local_or_says_otherwise() {
        for (address, encryption, security) in [
            ("postgres://u@db.example.com/a", Encryption::Required, Security::Encrypted),
            ("mysql://u@10.0.0.1/a", Encryption::Required, Security::Encrypted),
            ("postgres://u@localhost/a", Encryption::Preferred, Security::Local),
            ("postgres://u@127.0.0.2/a", Encryption::Preferred, Security::Local),
            ("mysql://u@[::1]/a", Encryption::Preferred, Security::Local),
            ("postgres://u@localhost.example.com/a", Encryption::Required, Security::Encrypted),
            ("postgres://u@localhost/a?sslmode=require", Encryption::Required, Security::Encrypted),
            ("postgres://u@db/a?sslmode=disable", Encryption::Off, Security::Unprotected),
            ("postgres://u@db/a?sslmode=prefer", Encryption::Preferred, Security::Unprotected),
            ("mysql://u@db/a?ssl-mode=VERIFY_IDENTITY", Encryption::VerifyHost, Security::Verified),
            ("mysql://u@db/a?ssl-mode=VERIFY_CA", Encryption::VerifyAuthority, Security::Verified),
            ("postgres://u@db/a?sslrootcert=/ca.pem", Encryption::VerifyHost, Security::Verified),
            ("postgres://u@db/a?sslmode=require&sslrootcert=/ca", Encryption::VerifyAuthority, Security::Verified),
        ] {
            let it = server(address);
            assert_eq!((it.encryption, it.security()), (encryption, security), "{address}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_being_repeated() {
        for (address, expected) in [
            ("sqlserver://me:pw@host/db", "sqlserver:// is not supported"),
            ("me:pw@host/db", "DATABASE_URL has to hold the address of a database"),
            ("/me/pw", "DATABASE_URL has to hold the address of a database"),
            ("", "DATABASE_URL has to hold the address of a database"),
            ("sqlite::memory:", "relative path or a database in memory"),
            ("sqlite://me.pw", "relative path or a database in memory"),
            ("file:./me.pw", "relative path or a database in memory"),
            ("postgres://me:pw@host:port/db", "the address in DATABASE_URL cannot be read"),
            ("postgres://me:pw%zz@host/db", "the address in DATABASE_URL cannot be read"),
            ("postgres://me:pw@host/db?port=pw", "the port of the database named by DATABASE_URL is not a number"),
            ("mysql://me:pw@host/db?ssl-mode=pw", "the sslmode of the database named by DATABASE_URL is not one of"),
        ] {
            let fault = parse(address).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Malformed, "{address}");
            assert!(fault.message.contains(expected), "{address}: {fault}");
            assert!(!fault.message.contains("pw") && !fault.message.contains("me:"), "{fault}");
        }
        let shown = format!("{:?}", parse("postgres://me:canary@host/db").unwrap());
        assert!(!shown.contains("canary") && !shown.contains("host"), "{shown}");
    }
}
