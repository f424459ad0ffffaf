//! The application that the demo deploys: a web server on this machine that reports its commit.
//!
//! It ends by itself when the file with its commit is gone, so that neither a newer deployment nor the end of the demo has to
//! signal a process.

use std::{
    fs,
    io::{ErrorKind as IoErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    args::DemoServerArgs,
    error::{CommandError, ErrorKind},
};

/// How often it looks for the file and for a caller.
const LOOK: Duration = Duration::from_millis(20);
/// How long it waits for the version before it to leave the port.
const TAKE_OVER: Duration = Duration::from_secs(5);
/// How long it lives at most, should the demo be killed before it can clean up.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// How long one caller may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Serves until the commit's file is gone.
pub(crate) fn serve(args: &DemoServerArgs) -> Result<u8, CommandError> {
    let start = Instant::now();
    let failed = |error: std::io::Error| CommandError::because(ErrorKind::Refused, "the server cannot start", &error);
    fs::write(&args.ready_file, "").map_err(failed)?;
    let listener = loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)) {
            Ok(listener) => break listener,
            Err(error) if error.kind() == IoErrorKind::AddrInUse && start.elapsed() < TAKE_OVER => thread::sleep(LOOK),
            Err(error) => return Err(failed(error)),
        }
    };
    listener.set_nonblocking(true).map_err(failed)?;
    while start.elapsed() < LIFE {
        let Some(commit) = commit_in(&args.commit_file) else { break };
        match listener.accept() {
            // A caller that goes away is its own trouble.
            Ok((caller, _)) => drop(answer(caller, &commit)),
            Err(_) => thread::sleep(LOOK),
        }
    }
    Ok(0)
}

fn commit_in(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn answer(mut caller: TcpStream, commit: &str) -> std::io::Result<()> {
    caller.set_nonblocking(false)?;
    caller.set_read_timeout(Some(PATIENCE))?;
    caller.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut part = [0_u8; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 16_384 {
        match caller.read(&mut part)? {
            0 => return Ok(()),
            count => head.extend_from_slice(&part[..count]),
        }
    }
    let body = serde_json::json!({ "status": "ok", "commit": commit }).to_string();
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    write!(caller, "{head}Content-Length: {length}\r\n\r\n{body}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_reports_its_commit_and_ends_when_the_file_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let commit_file = dir.path().join("commit");
        fs::write(&commit_file, "abc1234\n").unwrap();
        let before = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = before.local_addr().unwrap().port();
        let args = DemoServerArgs { port, commit_file: commit_file.clone(), ready_file: dir.path().join("ready") };
        let server = thread::spawn(move || serve(&args).map_err(|error| error.message));
        let start = Instant::now();
        while !dir.path().join("ready").exists() {
            assert!(start.elapsed() < TAKE_OVER);
            thread::sleep(LOOK);
        }
        // It takes the port over as soon as its predecessor leaves it.
        drop(before);
        let mut caller = loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                Ok(caller) => break caller,
                Err(_) => thread::sleep(LOOK),
            }
            assert!(start.elapsed() < TAKE_OVER);
        };
        caller.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        caller.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n{\"commit\":\"abc1234\",\"status\":\"ok\"}"), "{text}");
        fs::remove_file(&commit_file).unwrap();
        assert_eq!(server.join().unwrap(), Ok(0));
    }
}
