//! Runs a program that a provider asks for, within limits of time and size.
//!
//! Invariants: no shell; what outlives the time limit, or is given up, is killed with its whole process group; a secret that the
//! program was given comes out neither in its output nor in its complaint.

use std::{env, ffi::OsStr, process::Stdio};

use afterpush_core::{
    fault::{Fault, FaultKind},
    text::one_line,
};
use afterpush_providers::{ProgramEnd, ProgramRequest, Provider, Question, Reply, Secret, Turn};
use afterpush_store::Environment;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    credentials::{self, CredentialsError},
    secrets::PushEnvironment,
    transport::{Carried, Limits, cannot_carry, converse},
};

/// Of the standard error this much is looked at, for its last line.
const KEEP_OF_COMPLAINT: usize = 8 * 1024;

/// A shorter value is no secret, and blotting it out would spoil the text.
const SHORTEST_SECRET: usize = 6;

/// Runs the programs of one target.
pub struct Programs {
    /// What a program is given beside the variables without secrets.
    variables: Vec<(String, Secret)>,
    /// Its output is a credential itself, and so is left as it is.
    prints_secrets: bool,
}

impl Programs {
    /// Looks up the variables that the programs are given, in the environment of the push and in the user's credentials file.
    /// One that is nowhere is left out: the program knows whether it can do without.
    ///
    /// # Errors
    /// When the credentials file cannot be used.
    pub fn new(names: &[String], push: &PushEnvironment, environment: &Environment) -> Result<Self, CredentialsError> {
        let mut variables = Vec::new();
        for name in names {
            if let Some(found) = credentials::find_variable(name, push, environment)? {
                variables.push((name.clone(), found.token));
            }
        }
        Ok(Self { variables, prints_secrets: false })
    }

    /// For programs that print a credential. They get the whole environment of the push, as they would in a terminal.
    pub(crate) fn for_credentials(push: &PushEnvironment) -> Self {
        let variables = push.iter().map(|(name, value)| (name.to_owned(), Secret::new(value))).collect();
        Self { variables, prints_secrets: true }
    }

    /// The same with these variables, too.
    pub(crate) fn and(&self, more: impl Iterator<Item = (String, String)>) -> Self {
        let more = more.map(|(name, value)| (name, Secret::new(&value)));
        Self { variables: self.variables.iter().cloned().chain(more).collect(), prints_secrets: self.prints_secrets }
    }

    /// Asks a provider a question, to the reply or a fault.
    ///
    /// # Errors
    /// The provider's own fault, or that its program did not end as it should.
    pub async fn converse(&self, provider: &mut dyn Provider, question: Question) -> Result<Reply, Fault> {
        converse(provider, question, ("the program", Limits::default().question), async |turn| match turn {
            Turn::Run(request) => Ok(Carried::Ended(self.run(&request).await?)),
            _ => Err(cannot_carry()),
        })
        .await
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// When it cannot be started, takes too long, or prints too much.
    pub async fn run(&self, request: &ProgramRequest) -> Result<ProgramEnd, Fault> {
        let Some((program, arguments)) = request.argv.split_first() else {
            return Err(Fault::new(FaultKind::Malformed, "no program is named"));
        };
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(env::vars_os().filter(|(name, value)| afterpush_store::is_visible(name, value)))
            .envs(self.variables.iter().map(|(name, value)| (name, value.expose())))
            .envs(request.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Fault::new(FaultKind::Malformed, format!("cannot run {program}: {error}")))?;
        let mut group = Group(child);
        timeout(request.time_limit, self.attend(program, &mut group, request.most_output)).await.unwrap_or_else(|_| {
            let text = format!("{program} did not end within {:?} and was killed", request.time_limit);
            Err(Fault::new(FaultKind::Transient, text))
        })
    }

    async fn attend(&self, program: &str, group: &mut Group, most: usize) -> Result<ProgramEnd, Fault> {
        let trouble = |error| Fault::new(FaultKind::Transient, format!("cannot listen to {program}: {error}"));
        let (Some(stdout), Some(stderr)) = (group.0.stdout.take(), group.0.stderr.take()) else {
            return Err(Fault::new(FaultKind::Transient, format!("cannot listen to {program}")));
        };
        // Both at once, so that neither pipe fills up while the other is waited for.
        let (output, complaint) = tokio::try_join!(read_at_most(stdout, most), read_end(stderr)).map_err(trouble)?;
        let Some(output) = output else {
            let text = format!("{program} printed more than {most} bytes and was killed");
            return Err(Fault::new(FaultKind::Malformed, text));
        };
        let code = group.0.wait().await.map_err(trouble)?.code();
        let complaint = self.blotted(&String::from_utf8_lossy(&complaint));
        let last = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let output = match self.prints_secrets {
            true => output,
            false => self.blotted(&String::from_utf8_lossy(&output)).into_bytes(),
        };
        Ok(ProgramEnd { code, output, complaint: one_line(last, 200) })
    }

    fn blotted(&self, text: &str) -> String {
        let secrets = self.variables.iter().filter_map(|(name, value)| {
            let value = value.expose();
            (!afterpush_store::is_visible(OsStr::new(name), OsStr::new(value))).then_some(value)
        });
        secrets
            .filter(|secret| secret.len() >= SHORTEST_SECRET)
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// A program with all that it started and that did not leave its process group.
struct Group(Child);

impl Drop for Group {
    /// Kills what still runs. There is an id only as long as the program was not waited for, and so nobody else can have it.
    fn drop(&mut self) {
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

/// All of it, or `None` when it is more than so many bytes.
async fn read_at_most(from: impl AsyncRead + Unpin, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes).await?;
    Ok((bytes.len() <= most).then_some(bytes))
}

async fn read_end(mut from: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while from.read_buf(&mut bytes).await? > 0 {
        if bytes.len() > 2 * KEEP_OF_COMPLAINT {
            bytes.drain(..bytes.len() - KEEP_OF_COMPLAINT);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        path::Path,
        time::{Duration, Instant},
    };

    use super::*;

    fn programs(variables: &[(&str, &str)]) -> Programs {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(value))).collect();
        Programs { variables, prints_secrets: false }
    }

    fn request(script: &str) -> ProgramRequest {
        ProgramRequest {
            argv: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
            environment: vec![("AFTERPUSH_COMMIT", "abc".to_owned())],
            time_limit: Duration::from_secs(20),
            most_output: 1000,
        }
    }

    #[tokio::test]
    async fn a_program_gets_what_is_named_and_nothing_on_its_standard_input() {
        let script =
            "read line && exit 9; echo \"$AFTERPUSH_COMMIT $TOKEN ${PATH:+path} $(pwd)\"; env | wc -l >&2; exit 3";
        let end = programs(&[("TOKEN", "short")]).run(&request(script)).await.unwrap();
        assert_eq!((end.code, String::from_utf8(end.output).unwrap().trim()), (Some(3), "abc short path /"));
    }

    #[tokio::test]
    async fn the_variables_of_this_process_are_not_handed_on() {
        // Cargo sets this one for every test.
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some());
        let end = programs(&[]).run(&request("echo \"[$CARGO_MANIFEST_DIR]\"")).await.unwrap();
        assert_eq!(end.output, b"[]\n");
    }

    #[tokio::test]
    async fn secrets_that_it_prints_are_blotted_out() {
        let script = "echo \"{$TOKEN}\"; echo first >&2; printf 'curl: bad \\033[31mtoken %s\\n\\n' \"$TOKEN\" >&2";
        let end = programs(&[("TOKEN", "canary-secret")]).run(&request(script)).await.unwrap();
        assert_eq!(end.output, b"{***}\n");
        assert_eq!(end.complaint, "curl: bad token ***");
    }

    #[tokio::test]
    async fn at_the_limit_it_is_killed_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let pids = directory.path().join("pids");
        let script = format!("sleep 600 & echo $! >> {0}; echo $$ >> {0}; wait", pids.display());
        let begun = Instant::now();
        let limited = ProgramRequest { time_limit: Duration::from_millis(500), ..request(&script) };
        let fault = programs(&[]).run(&limited).await.unwrap_err();
        assert!(fault.kind == FaultKind::Transient && fault.message.contains("within 500ms"), "{fault}");
        assert!(begun.elapsed() < Duration::from_secs(15));
        let pids = std::fs::read_to_string(pids).unwrap();
        assert_eq!(pids.lines().count(), 2);
        for pid in pids.lines() {
            gone(pid).await;
        }
    }

    /// Waits until a process has ended; a zombie has.
    async fn gone(pid: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let stat = Path::new("/proc").join(pid).join("stat");
        while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z ")) {
            assert!(Instant::now() < deadline, "{pid} still runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn what_is_given_up_is_killed() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 600", pid.display());
        let programs = programs(&[]);
        let request = request(&script);
        tokio::select! {
            _ = programs.run(&request) => panic!("it ended"),
            () = async { while !pid.exists() { tokio::time::sleep(Duration::from_millis(5)).await } } => {}
        }
        gone(std::fs::read_to_string(pid).unwrap().trim()).await;
    }

    #[tokio::test]
    async fn endless_output_is_refused_and_a_long_complaint_keeps_its_end() {
        let fault = programs(&[]).run(&request("yes")).await.unwrap_err();
        assert!(fault.kind == FaultKind::Malformed && fault.message.contains("more than 1000 bytes"), "{fault}");
        let end = programs(&[]).run(&request("yes | head -n 100000 >&2; echo last >&2; echo x")).await.unwrap();
        assert_eq!((end.complaint.as_str(), end.output.as_slice()), ("last", &b"x\n"[..]));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let missing = ProgramRequest { argv: vec!["/nowhere/where-is".to_owned()], ..request("") };
        let fault = programs(&[]).run(&missing).await.unwrap_err();
        assert!(fault.message.starts_with("cannot run /nowhere/where-is: "), "{fault}");
    }
}
