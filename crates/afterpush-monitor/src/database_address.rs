//! Where a database's address comes from: variables of the push, the credentials file, and PostgreSQL's own files.

use std::path::PathBuf;

use afterpush_core::{
    config::{DatabaseAddress, DatabaseKind},
    fault::with_causes,
};
use afterpush_probes::database::{Address, Dialect, Parts, Place, Server, password_of, service};
use afterpush_store::Environment;

use crate::{
    credentials::{CredentialsError, find_variable, read_private},
    secrets::PushEnvironment,
};

/// Puts the address together.
///
/// # Errors
/// Why the database cannot be asked, for people; without a part of the address.
pub fn find(
    configured: &DatabaseAddress,
    push: &PushEnvironment,
    environment: &Environment,
) -> Result<Address, String> {
    let look = Lookup { push, environment };
    let address = match configured {
        DatabaseAddress::Url { variable } => {
            let url = look.variable(variable)?.ok_or_else(|| format!("no address: set {variable} for the push"))?;
            Address::parse(&url, Place::of_variable(variable)).map_err(|fault| fault.message)?
        }
        DatabaseAddress::Parts { prefix, kind } => look.parts(prefix, *kind)?,
    };
    match address {
        Address::Server(server) if server.dialect() == Dialect::Postgres && !server.has_password() => {
            Ok(Address::Server(look.with_password(server)?))
        }
        address => Ok(address),
    }
}

struct Lookup<'a> {
    push: &'a PushEnvironment,
    environment: &'a Environment,
}

impl Lookup<'_> {
    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        let found = find_variable(name, self.push, self.environment).map_err(told)?;
        Ok(found.map(|found| found.token.expose().to_owned()))
    }

    /// `DB_HOST`, `DB_PORT` and so on; also as PostgreSQL names them, `PGDATABASE` and `PGPASSWORD`.
    fn parts(&self, prefix: &str, kind: DatabaseKind) -> Result<Address, String> {
        let one = |name: &str| self.variable(&format!("{prefix}{name}"));
        let either = |name: &str, other: &str| Ok::<_, String>(one(name)?.or(one(other)?));
        let mut parts = Parts {
            host: one("HOST")?,
            port: one("PORT")?,
            user: one("USER")?,
            password: either("PASS", "PASSWORD")?,
            database: either("NAME", "DATABASE")?,
            encryption: one("SSLMODE")?,
            root_certificate: one("SSLROOTCERT")?,
        };
        let dialect = match kind {
            DatabaseKind::Postgres => Dialect::Postgres,
            DatabaseKind::Mysql => Dialect::Mysql,
        };
        if dialect == Dialect::Postgres
            && let Some(name) = one("SERVICE")?
        {
            parts = parts.or(self.service(&name, &format!("{prefix}SERVICE"))?);
        }
        if parts.host.is_none() && parts.database.is_none() {
            return Err(format!("no address: set {prefix}HOST and its like for the push"));
        }
        let place = Place::of_variable(&format!("{prefix}HOST"));
        Server::new(dialect, parts, place).map(Address::Server).map_err(|fault| fault.message)
    }

    fn service(&self, name: &str, variable: &str) -> Result<Parts, String> {
        let path = self.file("PGSERVICEFILE", ".pg_service.conf")?;
        let text = match &path {
            Some(path) => read_private(path, false).map_err(told)?,
            None => None,
        };
        text.and_then(|text| service(&text, name))
            .ok_or_else(|| format!("no address: the service that {variable} names is not in .pg_service.conf"))
    }

    fn with_password(&self, server: Server) -> Result<Server, String> {
        let Some(path) = self.file("PGPASSFILE", ".pgpass")? else { return Ok(server) };
        // As PostgreSQL's own programs do: one that others can read is not used. Here that is said.
        let Some(text) = read_private(&path, true).map_err(told)? else { return Ok(server) };
        Ok(match password_of(&text, &server) {
            Some(password) => server.with_password(password),
            None => server,
        })
    }

    /// The file that a variable names, else the one in the home directory.
    fn file(&self, variable: &str, name: &str) -> Result<Option<PathBuf>, String> {
        let named = self.variable(variable)?.map(PathBuf::from);
        Ok(named.or_else(|| self.environment.home.as_ref().map(|home| home.join(name))))
    }
}

fn told(error: CredentialsError) -> String {
    with_causes(&error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;

    fn look(home: &Path, configured: &DatabaseAddress, push: &str) -> Result<Address, String> {
        let environment = Environment { home: Some(home.to_owned()), ..Environment::default() };
        find(configured, &PushEnvironment::read(push.as_bytes()).unwrap(), &environment)
    }

    fn server(found: Result<Address, String>) -> Server {
        match found.unwrap() {
            Address::Server(server) => server,
            Address::File(_) => panic!("it is a file"),
        }
    }

    fn parts(prefix: &str, kind: DatabaseKind) -> DatabaseAddress {
        DatabaseAddress::Parts { prefix: prefix.to_owned(), kind }
    }

    #[test]
    fn an_address_is_found_in_one_variable_or_in_parts() {
        let home = tempfile::tempdir().unwrap();
        let url = DatabaseAddress::Url { variable: "DATABASE_URL".to_owned() };
        let found = server(look(home.path(), &url, r#"{"DATABASE_URL":"mysql://me:pw@db/app"}"#));
        assert!(found.dialect() == Dialect::Mysql && found.has_password());
        assert_eq!(look(home.path(), &url, "{}").unwrap_err(), "no address: set DATABASE_URL for the push");

        let push = r#"{"DB_HOST":"db","DB_PORT":"3307","DB_USER":"me","DB_PASS":"pw","DB_NAME":"app"}"#;
        assert!(server(look(home.path(), &parts("DB_", DatabaseKind::Mysql), push)).has_password());
        let fault = look(home.path(), &parts("DB_", DatabaseKind::Mysql), "{}").unwrap_err();
        assert_eq!(fault, "no address: set DB_HOST and its like for the push");
        let bad = r#"{"DB_HOST":"db","DB_PORT":"canary"}"#;
        let fault = look(home.path(), &parts("DB_", DatabaseKind::Mysql), bad).unwrap_err();
        assert_eq!(fault, "the port of the database named by DB_HOST is not a number from 1 to 65535");
    }

    #[test]
    fn postgresqls_own_files_are_read() {
        let home = tempfile::tempdir().unwrap();
        let pg = parts("PG", DatabaseKind::Postgres);
        let push = r#"{"PGSERVICE":"mine"}"#;
        assert!(look(home.path(), &pg, push).unwrap_err().contains("PGSERVICE names is not in .pg_service.conf"));
        fs::write(home.path().join(".pg_service.conf"), "[mine]\nhost=db\nuser=me\ndbname=app\n").unwrap();
        assert!(!server(look(home.path(), &pg, push)).has_password());
        let passfile = home.path().join(".pgpass");
        fs::write(&passfile, "db:5432:app:me:canary\n").unwrap();
        fs::set_permissions(&passfile, fs::Permissions::from_mode(0o644)).unwrap();
        let fault = look(home.path(), &pg, push).unwrap_err();
        assert!(fault.contains("chmod 600") && !fault.contains("canary"), "{fault}");
        fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(server(look(home.path(), &pg, push)).has_password());
        assert!(!server(look(home.path(), &pg, r#"{"PGHOST":"other","PGUSER":"me"}"#)).has_password());
        let url = DatabaseAddress::Url { variable: "D".to_owned() };
        assert!(server(look(home.path(), &url, r#"{"D":"postgres://me@db/app"}"#)).has_password());
    }
}
