//! The two files of PostgreSQL's own programs: `.pgpass` and `.pg_service.conf`. Pure: their text in, what they say out.

use super::address::{Host, Parts, Server};

/// The password that a password file has for a server: of the first line that fits. See "The Password File" of
/// PostgreSQL's manual: `host:port:database:user:password`, each a `*` for any, a backslash before `:` and `\`.
#[must_use]
pub fn password_of(passfile: &str, server: &Server) -> Option<String> {
    let host = match &server.host {
        Host::Name(name) => name.as_str(),
        // A socket is the local machine there.
        Host::Socket(_) => "localhost",
    };
    let port = server.port.unwrap_or(5432).to_string();
    let user = server.user.as_deref().unwrap_or("postgres");
    let database = server.database.as_deref().unwrap_or(user);
    let wanted = [host, &port, database, user];
    passfile.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line);
        let password = fields.pop().filter(|password| fields.len() == 4 && !password.is_empty())?;
        let fits = fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        fits.then_some(password)
    })
}

/// The first four fields, and all that follows them.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '\\' => fields[last].extend(chars.next()),
            ':' if last < 4 => fields.push(String::new()),
            other => fields[last].push(other),
        }
    }
    fields
}

/// What a service file says about a service: `[name]` and lines `host=...`.
#[must_use]
pub fn service(file: &str, name: &str) -> Option<Parts> {
    let heading = format!("[{name}]");
    let mut lines = file.lines().map(str::trim).skip_while(|line| *line != heading);
    lines.next()?;
    let mut parts = Parts::default();
    for line in lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match key.trim() {
            "host" | "hostaddr" => parts.host = value,
            "port" => parts.port = value,
            "user" => parts.user = value,
            "password" => parts.password = value,
            "dbname" => parts.database = value,
            "sslmode" => parts.encryption = value,
            "sslrootcert" => parts.root_certificate = value,
            _ => {}
        }
    }
    Some(parts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::database::{Address, Place};

    fn server(address: &str) -> Server {
        match Address::parse(address, Place::of_variable("D")).unwrap() {
            Address::Server(server) => server,
            Address::File(_) => panic!("{address}"),
        }
    }

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = "# db:5432:app:me:comment\nother:*:*:*:no\ndb:5433:*:*:port\ndb:*:app:me:a\\:b\\\\c:d\n*:*:*:*:any\nshort:line";
        assert_eq!(password_of(file, &server("postgres://me@db/app")).unwrap(), "a:b\\c:d");
        assert_eq!(password_of(file, &server("postgres://me@db:5433/app")).unwrap(), "port");
        assert_eq!(password_of(file, &server("postgres://you@db/app")).unwrap(), "any");
        assert_eq!(password_of("localhost:*:*:*:x", &server("postgres://me@/app?host=/run")).unwrap(), "x");
        assert!(password_of("db:*:app:me:\ndb:*:app:you:x", &server("postgres://me@db/app")).is_none());
    }

    #[test]
    fn a_service_is_read_up_to_the_next() {
        let file = "# x\n[other]\nhost=no\n[mine]\n host = db \n#user=no\nport=6543\ndbname=app\nsslmode=verify-full\n[last]\nuser=no";
        let parts = service(file, "mine").unwrap();
        assert_eq!((parts.host.as_deref(), parts.port.as_deref(), parts.user), (Some("db"), Some("6543"), None));
        assert_eq!((parts.database.as_deref(), parts.encryption.as_deref()), (Some("app"), Some("verify-full")));
        assert!(service(file, "none").is_none());
    }
}
