//! `afterpush watch`: the verdict as it forms. Looks only at files; leaving it leaves the monitor at its work.

use afterpush_core::{
    file::{PushSource, Request},
    id::{CommitId, RefName},
    redact,
};
use afterpush_git::Git;
use afterpush_store::process;

use crate::{
    args::WatchArgs,
    configuration,
    context::{Context, now},
    error::{CommandError, ErrorKind},
    follow::{Following, LOOK},
    interruption::Interruption,
    output::{Output, talk},
    render::{headline, state_line},
    resume::{adopt_commit, request_id},
    run::Run,
    selection::{Selection, select},
    status::Told,
};

/// Erases the line that the cursor is on.
const ERASE: &str = "\r\u{1b}[2K";

/// Shows the run until its verdict.
pub(crate) fn watch(context: &Context, args: &WatchArgs, output: &mut Output) -> Result<u8, CommandError> {
    let runs = match select(context, args.commit.as_deref())? {
        Selection::Watched(runs) => runs,
        Selection::Unwatched { asked, commit } => match commit {
            Some(commit) => vec![begin(context, args.commit.as_deref(), commit)?],
            None => {
                let message = format!("{asked} names no commit here and no watched run");
                return Err(CommandError::new(ErrorKind::NotFound, message));
            }
        },
    };
    let mut following = Following::begin(context, runs);
    let interruption = Interruption::catch()?;
    let mut line = Line::new(args.json);
    loop {
        let told = Told { runs: &following.runs, restart: following.restart.as_ref() };
        if following.is_over() {
            line.erase(output)?;
            if args.json {
                output.print_json(&told.document()?)?;
            } else {
                output.print(&told.text())?;
            }
            told.note_as_shown();
            return Ok(told.exit_code());
        }
        let code = told.exit_code();
        line.show(&following, output)?;
        if output.is_closed() {
            return Ok(code);
        }
        if interruption.came_within(LOOK)? {
            line.end(output)?;
            talk("afterpush: the monitor goes on; `deploy-status` tells\n");
            return Ok(code);
        }
        following.look()?;
    }
}

/// Starts a monitor for a commit that nobody watches.
fn begin(context: &Context, revision: Option<&str>, commit: CommitId) -> Result<Run, CommandError> {
    if let Some(run) = adopt_commit(context, Some(&commit))? {
        return Ok(run);
    }
    let git = context.git()?;
    let remotes = git.remotes()?;
    let (remote, ref_name) = destination(&git, revision, &remotes)?;
    if configuration::load(context)?.targets_of(&ref_name).next().is_none() {
        let message = format!("no target is configured for {ref_name}, so there is nothing to watch");
        return Err(CommandError::new(ErrorKind::Configuration, message).hint(
            "`afterpush init` writes a configuration; `branch` in .afterpush.toml says which pushes a target is for",
        ));
    }
    let url = remotes.iter().find(|(name, _)| *name == remote).map(|(_, url)| url.as_str());
    let request = Request {
        schema: Request::schema(),
        id: request_id()?,
        commit,
        ref_name,
        remote_url: redact::remote_url(url.unwrap_or_default()),
        remote,
        previous: None,
        pushed_at: now(),
        boot_time: process::boot_time().ok(),
        source: PushSource::Person,
        pusher: None,
        repository: context.repository()?.facts(),
    };
    let directory = context.watch_request(&request, &remotes)?;
    Run::load(&directory, now())?
        .ok_or_else(|| CommandError::new(ErrorKind::Internal, "the request that was just written is gone"))
}

/// Where the commit was pushed to: what the branch follows, else the same branch at origin or at the only remote.
fn destination(
    git: &Git,
    revision: Option<&str>,
    remotes: &[(String, String)],
) -> Result<(String, RefName), CommandError> {
    let named = revision.and_then(|name| RefName::parse(&format!("refs/heads/{name}")).ok());
    let named = match named {
        Some(branch) if git.ref_target(branch.as_str())?.is_some() => Some(branch),
        _ => None,
    };
    let Some(branch) = named.or_else(|| git.head_branch()) else {
        return Err(CommandError::new(ErrorKind::Usage, "HEAD is on no branch, so it is not known what was pushed")
            .hint("name a branch: `afterpush watch main`"));
    };
    if let Some((remote, ref_name)) = git.upstream_remote_ref(&branch).filter(|(remote, _)| remote != ".") {
        return Ok((remote, ref_name));
    }
    let remote = remotes.iter().find(|(name, _)| name == "origin").or(match remotes {
        [only] => Some(only),
        _ => None,
    });
    match remote {
        Some((name, _)) => Ok((name.clone(), branch)),
        None => Err(CommandError::new(ErrorKind::Usage, format!("{branch} follows no remote"))
            .hint("say which: `git branch --set-upstream-to=<remote>/<branch>`")),
    }
}

/// Where progress is shown: one line that is rewritten on a terminal, a new line at each change elsewhere.
struct Line {
    is_silent: bool,
    is_live: bool,
    shown: String,
}

impl Line {
    fn new(is_silent: bool) -> Self {
        Self { is_silent, is_live: Output::is_live_terminal(), shown: String::new() }
    }

    fn show(&mut self, following: &Following<'_>, output: &mut Output) -> Result<(), CommandError> {
        let Some(run) = following.runs.first().filter(|_| !self.is_silent) else { return Ok(()) };
        let restart = following.restart.as_ref().filter(|_| run.is_lost());
        let text = if self.is_live {
            // Cut without its styles, which take no room on the screen but would in the count.
            cut(&anstream::adapter::strip_str(&headline(run, restart, now())).to_string(), Output::width() - 1)
        } else {
            state_line(run, restart)
        };
        if text == self.shown {
            return Ok(());
        }
        if self.is_live {
            output.print_raw(&format!("{ERASE}{text}"))?;
        } else {
            output.print(&format!("{text}\n"))?;
        }
        self.shown = text;
        Ok(())
    }

    fn erase(&self, output: &mut Output) -> Result<(), CommandError> {
        if self.is_live && !self.shown.is_empty() { output.print_raw(ERASE) } else { Ok(()) }
    }

    fn end(&self, output: &mut Output) -> Result<(), CommandError> {
        if self.is_live && !self.shown.is_empty() { output.print_raw("\n") } else { Ok(()) }
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_does_not_fit_is_cut_with_a_mark() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
    }
}
