//! `afterpush doctor`: what is installed, configured and reachable. Never shows a credential.
//!
//! What needs the network is asked by the monitor's program, which has the sockets; its answers are passed on.

use afterpush_core::{fault::with_causes, text::clean_log};
use std::{
    io::Read,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use afterpush_store::StateRoot;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    args::DoctorArgs,
    config_hook::{ConfigHook, git_runs_it},
    configuration::{self, combine_as},
    context::{Context, beside},
    error::{CommandError, ErrorKind},
    hook_file::Standing,
    hooks_directory::HooksDirectory,
    output::Output,
    schedule::{self, Scheduled},
    shim::{PRE_PUSH, STRICT},
    strict_cost::{self, Cost, REFS},
};

/// How long the monitor's program may take to ask the provider.
const LIMIT: Duration = Duration::from_secs(20);
/// What is shown of a check's message; a line may hold the longest path of Linux.
const MOST_LINES: usize = 100;
const LONGEST_LINE: usize = 5000;
/// The check that decides about exit code 78.
const CONFIGURATION: &str = "configuration";

/// One check.
#[derive(Debug, Serialize, Deserialize)]
struct Check {
    name: String,
    ok: bool,
    message: String,
    #[serde(default)]
    hint: Option<String>,
}

impl Check {
    fn passed(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), ok: true, message: message.into(), hint: None }
    }

    fn failed(name: &str, message: impl Into<String>, hint: &str) -> Self {
        Self { name: name.to_owned(), ok: false, message: message.into(), hint: Some(hint.to_owned()) }
    }

    fn of_error(name: &str, error: CommandError) -> Self {
        Self { name: name.to_owned(), ok: false, message: error.message, hint: error.hints.into_iter().next() }
    }
}

/// Runs every check and prints what it found.
pub(crate) fn doctor(context: &Context, args: &DoctorArgs, output: &mut Output) -> Result<u8, CommandError> {
    let mut checks = examine(context);
    for check in &mut checks {
        // Names of directories are among them.
        check.message = clean_log(&check.message, MOST_LINES, LONGEST_LINE).join("\n");
    }
    if args.json {
        output.print_json(&json!({ "checks": checks }))?;
    } else {
        for check in &checks {
            let mark = if check.ok { "ok     " } else { "problem" };
            output.print(&format!("{mark}  {}: {}\n", check.name, check.message))?;
            if let Some(hint) = check.hint.as_ref().filter(|_| !check.ok) {
                output.print(&format!("         {hint}\n"))?;
            }
        }
    }
    let problems: Vec<&Check> = checks.iter().filter(|check| !check.ok).collect();
    Ok(match problems.iter().any(|check| check.name == CONFIGURATION) {
        true => ErrorKind::Configuration.code(),
        false => u8::from(!problems.is_empty()),
    })
}

fn examine(context: &Context) -> Vec<Check> {
    let mut checks = vec![git_program()];
    let repository = match context.repository() {
        Ok(repository) => repository,
        Err(error) => {
            checks.push(Check::of_error("repository", error));
            return checks;
        }
    };
    let place = repository.work_tree.as_ref().unwrap_or(&repository.common_dir);
    checks.push(Check::passed("repository", place.display().to_string()));
    checks.push(hook(context).unwrap_or_else(|error| Check::of_error("hook", error)));
    checks.extend(strict(context).unwrap_or_else(|error| Some(Check::of_error("strict mode", error))));
    checks.push(match beside("afterpush-hook") {
        Ok(path) => Check::passed("hook program", path.display().to_string()),
        Err(error) => Check::of_error("hook program", error),
    });
    checks.push(match StateRoot::for_writing(&context.environment, repository) {
        Ok(root) => Check::passed("state directory", root.path().display().to_string()),
        Err(error) => {
            Check::failed("state directory", with_causes(&error), "set AFTERPUSH_STATE_DIR to a directory of your own")
        }
    });
    checks.push(scheduled(context).unwrap_or_else(|error| Check::of_error("schedule", error)));
    let configuration = configured(context);
    let is_configured = configuration.iter().all(|check| check.ok);
    checks.extend(configuration);
    match monitor(context) {
        // The monitor repeats what was just said about the configuration.
        Ok(answers) => checks.extend(
            answers.into_iter().filter(|check| check.name != "trust" && (is_configured || check.name != CONFIGURATION)),
        ),
        Err(error) => checks.push(Check::of_error("monitor program", error)),
    }
    checks
}

/// Without a schedule all is well too: nothing is scheduled that was not asked for.
fn scheduled(context: &Context) -> Result<Check, CommandError> {
    Ok(match schedule::look(context)? {
        Scheduled::No => {
            Check::passed("schedule", "none; `afterpush install --schedule` resumes and cleans up by itself")
        }
        Scheduled::Yes(kind) => Check::passed("schedule", kind),
        Scheduled::Other(why) => Check::failed("schedule", why, "run `afterpush install --schedule` again"),
    })
}

fn git_program() -> Check {
    const HINT: &str = "install git 2.25 or newer";
    match Command::new("git").arg("--version").stdin(Stdio::null()).output() {
        Ok(answer) if answer.status.success() => {
            Check::passed("git", String::from_utf8_lossy(&answer.stdout).trim().to_owned())
        }
        Ok(answer) => Check::failed("git", format!("`git --version` ended with {}", answer.status), HINT),
        Err(error) => Check::failed("git", format!("cannot be run: {error}"), HINT),
    }
}

fn hook(context: &Context) -> Result<Check, CommandError> {
    let entry = ConfigHook::of(context)?.standing()?;
    let (is_run, version) = git_runs_it()?;
    match entry {
        Standing::Current if is_run => {
            return Ok(Check::passed("hook", format!("hook.afterpush in git's configuration, which {version} runs")));
        }
        Standing::Other => {
            let message = "hook.afterpush in git's configuration is incomplete, or of another version of afterpush";
            return Ok(Check::failed("hook", message, "run `afterpush install --config-hook`"));
        }
        _ => {}
    }
    let found = in_directory(context)?;
    if entry == Standing::Current && !found.ok {
        let message = format!("hook.afterpush in git's configuration is not run by {version}; and {}", found.message);
        return Ok(Check::failed("hook", message, "use git 2.54 or newer, or uninstall and install again"));
    }
    Ok(found)
}

fn in_directory(context: &Context) -> Result<Check, CommandError> {
    let directory = HooksDirectory::find(context)?;
    let hook = directory.hook(&PRE_PUSH);
    let place = hook.path().display().to_string();
    let by = if directory.is_configured { " (by core.hooksPath)" } else { "" };
    const HINT: &str = "run `afterpush install`";
    if let Some(husky) = directory.husky() {
        let script = husky.script().display().to_string();
        return Ok(match (husky.standing()?, hook.path().exists()) {
            (_, false) => Check::failed(
                "hook",
                format!("core.hooksPath names husky's {}, and nothing is there", directory.path.display()),
                "run husky, as `npm install` does: until then git runs no hook at all",
            ),
            (Standing::Current, true) => Check::passed("hook", format!("{script}, run by husky")),
            (Standing::Other, true) => Check::failed("hook", format!("{script} has only a part of it here"), HINT),
            (_, true) => Check::failed("hook", format!("{script}, which husky runs, runs nothing of afterpush"), HINT),
        });
    }
    let manager = hook.manager();
    Ok(match hook.standing()? {
        Standing::Current => match manager {
            Some(name) => Check::passed("hook", format!("{place}{by}, after {name}'s")),
            None => Check::passed("hook", format!("{place}{by}")),
        },
        Standing::Wrapped => {
            let whose = manager.map_or_else(|| "the".to_owned(), |name| format!("{name}'s"));
            Check::passed("hook", format!("run by {whose} hook at {place}{by}"))
        }
        Standing::Other => Check::failed("hook", format!("{place}{by} is of another version of afterpush"), HINT),
        Standing::Foreign => match manager {
            Some(name) => Check::failed("hook", format!("{name}'s stands at {place}{by}, without afterpush's"), HINT),
            None => Check::failed("hook", format!("another hook stands at {place}{by}"), HINT),
        },
        Standing::Nothing if directory.is_configured && !directory.path.exists() => Check::failed(
            "hook",
            format!(
                "core.hooksPath names {}, and this work tree does not have it: no hook runs here",
                directory.path.display()
            ),
            "run `afterpush install` here, or give core.hooksPath an absolute path",
        ),
        Standing::Nothing => Check::failed("hook", format!("none at {place}{by}"), HINT),
    })
}

/// Says nothing where strict mode was not asked for.
fn strict(context: &Context) -> Result<Option<Check>, CommandError> {
    const NAME: &str = "strict mode";
    let hook = HooksDirectory::find(context)?.hook(&STRICT);
    let place = hook.path().display().to_string();
    Ok(match hook.standing()? {
        Standing::Nothing | Standing::Foreign => None,
        Standing::Other => {
            let message = format!("{place} is of another version of afterpush");
            Some(Check::failed(NAME, message, "run `afterpush install --strict`"))
        }
        Standing::Current | Standing::Wrapped => {
            let Cost { without, with } = strict_cost::measure()?;
            let (without, with) = (without.as_secs_f64(), with.as_secs_f64());
            let cost = format!("a fetch of {REFS} new refs takes {with:.2} s with it and {without:.2} s without");
            Some(Check::passed(NAME, format!("{place}; {cost}, measured just now")))
        }
    })
}

fn configured(context: &Context) -> Vec<Check> {
    let files = match configuration::read(context) {
        Ok(files) => files,
        Err(error) => return vec![Check::of_error(CONFIGURATION, error)],
    };
    let config = match combine_as(&files, files.is_trusted) {
        Ok(config) => config,
        Err(error) => return vec![Check::of_error(CONFIGURATION, error)],
    };
    let names: Vec<String> =
        config.targets.iter().map(|target| format!("{} for {}", target.name, target.refs.as_str())).collect();
    let mut checks = vec![match names.is_empty() {
        true => Check::failed(CONFIGURATION, "no target is configured", "run `afterpush init`"),
        false => Check::passed(CONFIGURATION, names.join(", ")),
    }];
    if files.repository.is_some() {
        let left_out = &config.left_out;
        checks.push(match (files.is_trusted, left_out.is_empty()) {
            (true, _) => Check::passed("trust", "this repository's configuration is trusted as it stands"),
            (false, true) => {
                Check::passed("trust", "this repository's configuration asks for nothing that needs trust")
            }
            (false, false) => Check::passed("trust", format!("not trusted: {}", left_out.join("; "))),
        });
    }
    checks
}

/// Has the monitor's program look for credentials and ask the provider.
fn monitor(context: &Context) -> Result<Vec<Check>, CommandError> {
    #[derive(Deserialize)]
    struct Answer {
        checks: Vec<Check>,
    }
    let program = beside("afterpush-monitor")?;
    let failed = |why: String| {
        CommandError::new(ErrorKind::Internal, format!("{} doctor: {why}", program.display()))
            .hint("run ./install.sh again")
    };
    let mut child = Command::new(&program)
        .arg("doctor")
        .current_dir(context.directory())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let mut answer = child.stdout.take().expect("its standard output was asked for");
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        answer.read_to_end(&mut text).map(|_| text)
    });
    let start = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(status) => break status,
            None if start.elapsed() < LIMIT => thread::sleep(Duration::from_millis(20)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("no answer within {} s", LIMIT.as_secs())));
            }
        }
    };
    let text = reader.join().ok().and_then(Result::ok).unwrap_or_default();
    let answer: Answer = serde_json::from_slice(&text).map_err(|error| failed(format!("{status}, {error}")))?;
    let mut checks = vec![Check::passed("monitor program", program.display().to_string())];
    checks.extend(answer.checks);
    Ok(checks)
}
