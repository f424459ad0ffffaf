//! `command`: a program of the user's own that prints where the deployment of the commit stands, for hosts that nothing
//! else reaches. What it prints is one JSON document; see docs/providers/command.md.
//!
//! Invariant: what it prints counts only where it names the pushed commit.

mod answer;
#[cfg(test)]
mod tests;

use std::time::Duration;

use afterpush_core::{
    duration,
    fault::{Fault, FaultKind},
    observation::ProviderObservation,
    text::one_line,
};

use self::answer::Answer;
use crate::{
    Carrier, HttpResponse, ProgramEnd, ProgramRequest, Provider, Question, Reply, Setup, SetupError, Turn,
    conversation::nothing_asked,
    pushed::Pushed,
    registry::Entry,
    settings::{Settings, wrong},
};

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "command",
    api_url: "",
    build: |setup| Ok(Box::new(Command::new(setup)?)),
    needs_token: false,
    credential_names: &[],
    login_files: &[],
    token_from_login_file: |_, _| None,
};

const DEFAULT_LIMIT: Duration = Duration::from_secs(10);
/// A whole question may take no longer.
const LONGEST_LIMIT: Duration = Duration::from_secs(50);
/// The answer holds the end of a log at most.
const MOST_OUTPUT: usize = 1024 * 1024;

/// "Try again later", of the system's own list of exit codes (sysexits.h).
const EX_TEMPFAIL: i32 = 75;
/// "You may not", of the same list.
const EX_NOPERM: i32 = 77;

/// Follows one commit by running the program.
struct Command {
    request: ProgramRequest,
    variables: Vec<String>,
    pushed: Pushed,
    asked: Option<Question>,
    /// The log that came with the last answer.
    log: Option<String>,
}

impl Command {
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("command", &setup.settings, &["command", "env", "timeout"])?;
        let argv = settings.texts("command")?.filter(|argv| !argv.is_empty()).ok_or_else(|| {
            let what = "is needed by command, such as [\"/usr/local/bin/where-is\", \"web\"]";
            wrong(
                "command",
                &format!("{what}, and counts only in your own configuration file or after `afterpush trust`"),
            )
        })?;
        // It runs in no directory of the repository, which may be gone by then.
        if argv[0].contains('/') && !argv[0].starts_with('/') {
            return Err(wrong("command", "must begin with a whole path, or with the name of a program in PATH"));
        }
        let time_limit = match settings.text("timeout")? {
            None => DEFAULT_LIMIT,
            Some(text) => match duration::parse(&text) {
                Ok(limit) if !limit.is_zero() && limit <= LONGEST_LIMIT => limit,
                _ => return Err(wrong("timeout", "must be a duration of at most 50s, such as \"10s\"")),
            },
        };
        let environment = vec![
            ("AFTERPUSH_COMMIT", setup.commit.as_str().to_owned()),
            ("AFTERPUSH_REF", setup.ref_name.as_str().to_owned()),
            ("AFTERPUSH_BRANCH", setup.ref_name.branch().unwrap_or_default().to_owned()),
            ("AFTERPUSH_REMOTE_URL", setup.remote_url.clone()),
            ("AFTERPUSH_PUSHED_AT", setup.pushed_at.map(|at| at.to_string()).unwrap_or_default()),
        ];
        Ok(Self {
            request: ProgramRequest { argv, environment, time_limit, most_output: MOST_OUTPUT },
            variables: settings.texts("env")?.unwrap_or_default(),
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            asked: None,
            log: None,
        })
    }

    fn program(&self) -> &str {
        self.request.argv[0].rsplit('/').next().unwrap_or_default()
    }

    fn read(&mut self, end: &ProgramEnd) -> Result<ProviderObservation, Fault> {
        let program = self.program();
        let why = match one_line(&end.complaint, 200) {
            text if text.is_empty() => "it wrote nothing to its standard error".to_owned(),
            text => text,
        };
        let (kind, how) = match end.code {
            Some(0) => {
                let malformed = |error| Fault::new(FaultKind::Malformed, format!("{program} printed {error}"));
                let (observation, log) = Answer::read(&end.output).map_err(malformed)?.observation(&self.pushed);
                self.log = log;
                return Ok(observation);
            }
            Some(EX_TEMPFAIL) => (FaultKind::Transient, "could not tell this time".to_owned()),
            Some(EX_NOPERM) => (FaultKind::Unauthorized, "may not ask".to_owned()),
            Some(code) => (FaultKind::Malformed, format!("ended with the exit code {code}")),
            None => (FaultKind::Transient, "was ended by a signal".to_owned()),
        };
        Err(Fault::new(kind, format!("{program} {how}: {why}")))
    }
}

impl Provider for Command {
    fn start(&mut self, question: Question) -> Turn {
        self.asked = None;
        if question == Question::FailureLog {
            return match &self.log {
                Some(log) => Turn::Reply(Reply::Log(log.clone())),
                None => Turn::Fault(Fault::new(FaultKind::NotFound, format!("{} printed no log", self.program()))),
            };
        }
        self.asked = Some(question);
        Turn::Run(self.request.clone())
    }

    fn next(&mut self, _: &HttpResponse) -> Turn {
        nothing_asked()
    }

    fn ended(&mut self, end: &ProgramEnd) -> Turn {
        let Some(question) = self.asked.take() else { return nothing_asked() };
        match self.read(end) {
            Err(fault) => Turn::Fault(fault),
            Ok(_) if question == Question::Credentials => {
                Turn::Reply(Reply::Credentials(format!("{} answers", self.program())))
            }
            Ok(observation) => Turn::Reply(Reply::Observation(observation)),
        }
    }

    fn carrier(&self) -> Carrier {
        Carrier::Program { variables: self.variables.clone() }
    }
}
