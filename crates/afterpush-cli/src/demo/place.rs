//! The demo's temporary place: its own home, state, configuration, repositories and port. Everything runs with a cleared
//! environment, so that nothing of the person's is read or written.

use std::{
    env,
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    context::beside,
    error::{CommandError, ErrorKind},
    output::Output,
    shim::quote,
};

const POST_RECEIVE: &str = include_str!("post-receive.sh");

/// How long the deployments and the last server may take to end.
const END: Duration = Duration::from_secs(10);

/// The place.
pub(crate) struct Place {
    directory: TempDir,
    /// The port of the deployed application.
    port: u16,
    path: OsString,
    afterpush: PathBuf,
    deploy_status: PathBuf,
}

impl Place {
    /// Makes the directories, the configuration and the server's side.
    pub(crate) fn make() -> Result<Self, CommandError> {
        let afterpush = beside("afterpush")?;
        let deploy_status = beside("deploy-status")?;
        let monitor = beside("afterpush-monitor")?;
        let directory = tempfile::Builder::new().prefix("afterpush-demo.").tempdir().map_err(|error| broken(&error))?;
        let mut path = afterpush.parent().unwrap_or(Path::new("/")).as_os_str().to_owned();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()));
        let place = Self { directory, port: free_port()?, path, afterpush, deploy_status };
        for name in ["home", "running", "site", "work"] {
            fs::create_dir(place.root().join(name)).map_err(|error| broken(&error))?;
        }
        place.write(
            "gitconfig",
            "[user]\n\tname = Demo\n\temail = demo@example.org\n[init]\n\tdefaultBranch = main\n",
        )?;
        place.write(
            "config.toml",
            &format!(
                "# The user's own file: only it may name a database and an address.\n\
                 [[target]]\n\
                 name = \"web\"\n\
                 database = {{ url_env = \"DATABASE_URL\" }}\n\
                 health = {{ url = \"http://127.0.0.1:{}/health\", commit = \"/commit\", passes = 2 }}\n\n\
                 [policy]\n\
                 first_interval = \"200ms\"\n\
                 slow_interval = \"1s\"\n\
                 deadline = \"12s\"\n",
                place.port
            ),
        )?;
        place.hidden("git", &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"])?;
        let script = POST_RECEIVE
            .replace("@ROOT@", &quote(place.root())?)
            .replace("@AFTERPUSH@", &quote(&place.afterpush)?)
            .replace("@MONITOR@", &quote(&monitor)?)
            .replace("@PORT@", &place.port.to_string());
        let hook = place.root().join("origin.git/hooks/post-receive");
        let mut hook =
            OpenOptions::new().write(true).create_new(true).mode(0o755).open(hook).map_err(|error| broken(&error))?;
        hook.write_all(script.as_bytes()).map_err(|error| broken(&error))?;
        Ok(place)
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The work tree.
    pub(crate) fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), CommandError> {
        fs::write(self.root().join(name), text).map_err(|error| broken(&error))
    }

    /// Runs a command in the work tree before the person's eyes: its line, then its own output as it comes.
    pub(crate) fn shown(&self, line: &[&str], output: &mut Output) -> Result<Option<i32>, CommandError> {
        let words: Vec<String> = line.iter().map(|word| shell_word(word)).collect();
        let bold = anstyle::Style::new().bold();
        output.print(&format!("{bold}$ {}{bold:#}\n", words.join(" ")))?;
        let status = self.command(line, &self.work()).status().map_err(|error| broken(&error))?;
        Ok(status.code())
    }

    /// Runs a command in the work tree for its standard output alone.
    pub(crate) fn quiet(&self, line: &[&str]) -> Result<String, CommandError> {
        let output = self.command(line, &self.work()).output().map_err(|error| broken(&error))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// How the run of a commit stands, as `deploy-status --json` says.
    pub(crate) fn document(&self, commit: &str) -> Result<Value, CommandError> {
        let said = self.quiet(&["deploy-status", "--json", commit])?;
        Ok(serde_json::from_str(&said).unwrap_or(Value::Null))
    }

    /// What the application answers now.
    pub(crate) fn health(&self) -> Result<String, CommandError> {
        let ask = || {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            server.set_read_timeout(Some(END))?;
            server.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            let mut answer = String::new();
            server.read_to_string(&mut answer).map(|_| answer)
        };
        let answer = ask().map_err(|error| broken(&error))?;
        Ok(answer.lines().last().unwrap_or_default().to_owned())
    }

    fn hidden(&self, program: &str, arguments: &[&str]) -> Result<(), CommandError> {
        let line: Vec<&str> = [program].into_iter().chain(arguments.iter().copied()).collect();
        let output = self.command(&line, self.root()).output().map_err(|error| broken(&error))?;
        if output.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(CommandError::new(ErrorKind::Refused, format!("the demo cannot be prepared: {program}: {why}")))
    }

    fn command(&self, line: &[&str], directory: &Path) -> Command {
        let (program, arguments) = line.split_first().map_or(("true", line), |(program, rest)| (*program, rest));
        let program: &Path = match program {
            "afterpush" => &self.afterpush,
            "deploy-status" => &self.deploy_status,
            other => Path::new(other),
        };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(directory).stdin(Stdio::null()).env_clear();
        for name in ["TERM", "NO_COLOR", "LANG", "LC_ALL", "TMPDIR"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        let root = self.root();
        command
            .env("PATH", &self.path)
            .env("HOME", root.join("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", root.join("gitconfig"))
            .env("AFTERPUSH_STATE_DIR", root.join("state"))
            .env("AFTERPUSH_CONFIG", root.join("config.toml"))
            .env("DATABASE_URL", format!("sqlite:{}", root.join("deployments.db").display()));
        command
    }

    /// Ends what still runs and removes everything, or says where it is kept.
    pub(crate) fn close(self, keep: bool, output: &mut Output) -> Result<(), CommandError> {
        // Also when the demo was interrupted: no monitor is left behind.
        self.quiet(&["afterpush", "stop", "--all", "--force"])?;
        let start = Instant::now();
        let deployments = self.root().join("running");
        while fs::read_dir(&deployments).is_ok_and(|mut running| running.next().is_some()) && start.elapsed() < END {
            thread::sleep(Duration::from_millis(20));
        }
        // The application ends when the file with its commit is gone.
        let site = self.root().join("site");
        for release in fs::read_dir(&site).into_iter().flatten().flatten() {
            let _ = fs::remove_file(release.path().join("commit"));
        }
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() && start.elapsed() < END {
            thread::sleep(Duration::from_millis(20));
        }
        if keep {
            let path = self.directory.keep();
            return output.print(&format!("kept: {}\n", path.display()));
        }
        let path = self.root().to_owned();
        self.directory.close().map_err(|error| {
            CommandError::because(ErrorKind::Refused, &format!("cannot remove {}", path.display()), &error)
        })
    }
}

fn shell_word(word: &str) -> String {
    if word.contains([' ', '\'']) { format!("'{}'", word.replace('\'', r"'\''")) } else { word.to_owned() }
}

fn free_port() -> Result<u16, CommandError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| broken(&error))?;
    Ok(listener.local_addr().map_err(|error| broken(&error))?.port())
}

fn broken(error: &std::io::Error) -> CommandError {
    CommandError::because(ErrorKind::Refused, "the demo cannot go on", error)
}
