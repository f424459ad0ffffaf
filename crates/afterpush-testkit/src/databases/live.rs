//! The database that a deployment has: a SQLite file, or a database of its own on a real server.
//!
//! Invariant: what is done to it here goes through a client that has nothing of ours.

use std::{path::PathBuf, process::Command, sync::atomic::AtomicU32, sync::atomic::Ordering};

use tempfile::TempDir;

use super::{DatabaseServer, shared};
use crate::sandbox::Said;

/// The password of every database's owner.
const PASSWORD: &str = "pw-canary";

/// An empty database, and how to reach it as its owner.
pub enum Live {
    /// A file in a directory of its own.
    Sqlite(TempDir),
    /// On a server that the tests of one program share; the owner has the database's name.
    Server(&'static DatabaseServer, String),
}

impl Live {
    /// One of each kind that this machine has; what is missing is told as skipped.
    ///
    /// # Panics
    /// When a database cannot be made.
    #[must_use]
    pub fn each(test: &str) -> Vec<Self> {
        std::iter::once(Self::sqlite()).chain(shared(test).into_iter().map(Self::on)).collect()
    }

    /// A SQLite file that is not there yet.
    ///
    /// # Panics
    /// When its directory cannot be made.
    #[must_use]
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a directory for a database"))
    }

    /// A new database on this server, with an owner.
    #[must_use]
    pub fn on(server: &'static DatabaseServer) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("live{}", COUNT.fetch_add(1, Ordering::Relaxed));
        server.sql(
            "",
            &match server.is_postgres() {
                // Each statement alone: no database is made in a transaction.
                true => format!("CREATE USER {name} PASSWORD '{PASSWORD}';\nCREATE DATABASE {name} OWNER {name};\n"),
                false => format!(
                    "CREATE DATABASE {name}; CREATE USER {name}@localhost IDENTIFIED BY '{PASSWORD}'; \
                 GRANT ALL ON {name}.* TO {name}@localhost;"
                ),
            },
        );
        Self::Server(server, name)
    }

    /// What kind it is, as the scheme of its address: `sqlite`, `postgres` or `mysql`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Server(server, _) => server.scheme(),
        }
    }

    /// The address, for an environment variable.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Sqlite(_) => format!("sqlite://{}", self.file().display()),
            Self::Server(server, name) => {
                format!("{}://{name}:{PASSWORD}@127.0.0.1:{}/{name}", server.scheme(), server.port())
            }
        }
    }

    /// The file of a SQLite database; it exists from the first statement on. For another kind a path that nothing is at.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        match self {
            Self::Sqlite(directory) => directory.path().join("app.db"),
            Self::Server(server, name) => server.socket().join(name),
        }
    }

    /// Runs statements as the owner, which must succeed, by Python's own SQLite or by the server's own client.
    ///
    /// # Panics
    /// When they do not.
    pub fn sql(&self, script: &str) {
        const SQLITE: &str =
            "import sqlite3,sys\nc=sqlite3.connect(sys.argv[1],timeout=30)\nc.executescript(sys.argv[2])\nc.close()\n";
        match self {
            Self::Server(server, name) => server.sql_as(name, PASSWORD, name, script),
            Self::Sqlite(_) => {
                let said = Said::of(Command::new("python3").args(["-c", SQLITE]).arg(self.file()).arg(script));
                assert_eq!(said.code, Some(0), "{said:?}");
            }
        }
    }
}
