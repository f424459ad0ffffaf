//! The way to a server of another machine: a TCP connection on which everything is sent at once.
//!
//! sqlx 0.9 leaves Nagle's algorithm on its connections (<https://github.com/transact-rs/sqlx/issues/4335>). Over TLS the login
//! then waits for the server to acknowledge the end of the handshake, which Linux delays by 40 ms. So the connection is made
//! here, and handed to sqlx as a socket in a directory of this user alone. This module has no place any more once sqlx sets
//! `TCP_NODELAY` by itself.

use std::{
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio::{
    io::copy,
    net::{TcpStream, UnixListener},
    select,
    task::JoinSet,
};

use super::address::{Host, Server};

/// A connection, and the socket that leads to it once.
pub(super) struct Wire {
    directory: PathBuf,
    file: PathBuf,
    /// Passes on in both directions; ends with the first of the two sides, and when this is dropped.
    relay: JoinSet<()>,
}

impl Wire {
    /// Connects to the server; `None` for one on a socket, and where no socket can be made here: then sqlx connects by itself, and
    /// only takes longer.
    ///
    /// # Errors
    /// Why the server was not reached.
    pub(super) async fn to(server: &Server, port: u16) -> io::Result<Option<Self>> {
        let Host::Name(name) = &server.host else { return Ok(None) };
        let Ok((directory, file, listener)) = socket(port) else { return Ok(None) };
        let stream = TcpStream::connect((name.as_str(), port)).await?;
        stream.set_nodelay(true)?;
        let path = directory.path().to_owned();
        let mut relay = JoinSet::new();
        relay.spawn(pass_on(listener, directory, stream));
        Ok(Some(Self { directory: path, file, relay }))
    }

    /// Where PostgreSQL's clients look for a socket.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The socket.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Waits until all that was said is passed on; the socket has to be closed before.
    pub(super) async fn close(mut self) {
        let _ = self.relay.join_next().await;
    }
}

/// The name is the one that PostgreSQL's clients expect.
fn socket(port: u16) -> io::Result<(TempDir, PathBuf, UnixListener)> {
    let mut builder = tempfile::Builder::new();
    let directory = builder.prefix("afterpush-").permissions(Permissions::from_mode(0o700)).tempdir()?;
    let file = directory.path().join(format!(".s.PGSQL.{port}"));
    let listener = UnixListener::bind(&file)?;
    Ok((directory, file, listener))
}

async fn pass_on(listener: UnixListener, directory: TempDir, mut stream: TcpStream) {
    let Ok((mut socket, _)) = listener.accept().await else { return };
    drop((listener, directory));
    let (mut from_us, mut to_us) = socket.split();
    let (mut from_server, mut to_server) = stream.split();
    select! {
        _ = copy(&mut from_us, &mut to_server) => {}
        _ = copy(&mut from_server, &mut to_us) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, UnixStream},
    };

    use super::*;
    use crate::database::{Address, Place};

    fn server(address: &str) -> Server {
        match Address::parse(address, Place::of_variable("DATABASE_URL")).unwrap() {
            Address::Server(server) => server,
            Address::File(_) => unreachable!("no file is asked for"),
        }
    }

    #[tokio::test]
    async fn everything_is_passed_on_and_the_socket_is_there_for_one_and_gone_afterwards() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Wire::to(&server("postgres://u@127.0.0.1/a"), port).await.unwrap().unwrap();
        let directory = wire.directory().to_owned();
        assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let mut ours = UnixStream::connect(wire.file()).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        let mut heard = [0; 5];
        theirs.write_all(b"hello").await.unwrap();
        ours.read_exact(&mut heard).await.unwrap();
        assert!(!directory.exists());
        ours.write_all(b"last words").await.unwrap();
        drop(ours);
        wire.close().await;
        let mut last = String::new();
        theirs.read_to_string(&mut last).await.unwrap();
        assert_eq!((&heard, last.as_str()), (b"hello", "last words"));

        // The server's end is heard of as well, and so is that it is not there at all.
        let wire = Wire::to(&server("postgres://u@127.0.0.1/a"), port).await.unwrap().unwrap();
        let mut ours = UnixStream::connect(wire.file()).await.unwrap();
        drop(listener.accept().await.unwrap());
        assert_eq!(ours.read(&mut heard).await.unwrap(), 0);
        drop(listener);
        let refused = Wire::to(&server("postgres://u@127.0.0.1/a"), port).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn what_is_dropped_leaves_no_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Wire::to(&server("mysql://u@127.0.0.1/a"), port).await.unwrap().unwrap();
        let directory = wire.directory().to_owned();
        let (mut theirs, _) = listener.accept().await.unwrap();
        drop(wire);
        assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(!directory.exists());
        assert!(Wire::to(&server("postgres:///a?host=/run/postgresql"), port).await.unwrap().is_none());
    }
}
