//! `afterpush push`: `git push` that goes on when the remote has moved.
//!
//! Invariant: nothing is ever forced that the person did not force, and a push that cannot go on leaves HEAD, branch, index,
//! work tree and stash list as they were, unless `--keep` says otherwise. Only git writes to the repository.

mod attempt;
mod destination;
mod integrate;
mod program;
mod record;
mod resolve;
mod worktree;

use std::time::Duration;

use afterpush_core::{duration, id::CommitId};

use self::{
    attempt::{Attempt, Done},
    program::Program,
    record::{Record, operation_in},
};
use crate::{
    args::{PushArgs, StatusArgs},
    configuration,
    context::Context,
    error::{CommandError, ErrorKind},
    interruption::Interruption,
    output::{Output, talk},
    status,
};

/// Why a push does not go on.
pub(super) enum Stop {
    /// A signal has come.
    Interrupted(i32),
    /// Something failed.
    Failed(CommandError),
}

impl From<CommandError> for Stop {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

/// Pushes, and tells what is known of the run.
pub(crate) fn push(context: &Context, args: &PushArgs, output: &mut Output) -> Result<u8, CommandError> {
    let wish = Wish::read(args)?;
    let config = configuration::load(context)?;
    let git_dir = &context.repository()?.git_dir;
    let interruption = Interruption::catch()?;
    let program = Program::new(context, &interruption)?;
    let record = Record::take(git_dir, &program)?;
    if let Some(operation) = operation_in(git_dir) {
        return Err(CommandError::new(
            ErrorKind::Refused,
            format!("{} is under way in this work tree", operation.name),
        )
        .hint(format!("end it with `{}`, or give it up with `{}`", operation.go_on, operation.give_up)));
    }
    let ended = Attempt::new(context, &config, &program, &wish, record).carry_out();
    interruption.release();
    match ended {
        Ok(Done::Pushed(commit)) => tell(context, &wish, commit, output),
        Ok(Done::Refused(code)) => Ok(code),
        Err(Stop::Interrupted(signal)) => {
            talk("afterpush: ended by a signal; `git push` may have landed before it came\n");
            Ok(u8::try_from(128 + signal).unwrap_or(ErrorKind::Internal.code()))
        }
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Says what `status` says of the pushed commit; without `--wait` the push alone decides about the exit code.
fn tell(context: &Context, wish: &Wish, commit: Option<CommitId>, output: &mut Output) -> Result<u8, CommandError> {
    let Some(commit) = commit else { return Ok(0) };
    let ask = |wait, quiet| StatusArgs { commit: Some(commit.to_string()), json: false, wait, quiet };
    let told = status::status(context, &ask(wish.wait, true), output).and_then(|code| {
        if code == ErrorKind::NotFound.code() {
            // Not as `status` says it, which would ask for a push.
            output.print(&format!(
                "pushed: {} is not watched; `afterpush doctor` tells what is missing\n",
                commit.short()
            ))?;
            return Ok(code);
        }
        status::status(context, &ask(None, false), output)
    });
    if wish.wait.is_some() {
        return told;
    }
    if let Err(error) = told {
        talk(&error.render());
    }
    Ok(0)
}

/// What the person asked for.
struct Wish {
    wait: Option<Duration>,
    keep: bool,
    leases: Vec<String>,
    set_upstream: bool,
    remote: Option<String>,
    refspecs: Vec<String>,
}

impl Wish {
    fn read(args: &PushArgs) -> Result<Self, CommandError> {
        let mut positional = args.remote.iter().chain(&args.refspecs).cloned().peekable();
        // `--wait 10m` as of `status`: no remote has such a name.
        let wait = match (args.wait, positional.peek().and_then(|text| duration::parse(text).ok())) {
            (Some(None), Some(limit)) => {
                positional.next();
                Some(limit)
            }
            (Some(limit), _) => Some(limit.unwrap_or(duration::LONGEST)),
            (None, _) => None,
        };
        let (remote, refspecs) = (positional.next(), positional.collect::<Vec<_>>());
        if let Some(forced) = refspecs.iter().find(|refspec| refspec.starts_with('+')) {
            return Err(CommandError::new(ErrorKind::Usage, format!("{forced:?} would overwrite what the remote has"))
                .hint(
                    "`afterpush push --force-with-lease` overwrites what you know of; `git push` does what you say",
                ));
        }
        let leases = args.force_with_lease.clone();
        Ok(Self { wait, keep: args.keep, leases, set_upstream: args.set_upstream, remote, refspecs })
    }
}
