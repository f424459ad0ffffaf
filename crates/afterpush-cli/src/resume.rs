//! `afterpush resume`: starts the monitors that should run and do not.
//!
//! Two kinds are missing: those of lost runs (killed, rebooted), and those of pushes that no hook saw, which left "update by
//! push" in a reflog. Says nothing when there is nothing to do, and needs no terminal, so that cron can run it.

use afterpush_core::{id::CommitId, push::ReflogPush};
use afterpush_store::{Adoption, Repository, lost_runs, random_name};

use crate::{
    args::ResumeArgs,
    configuration,
    context::{Context, now},
    error::{CommandError, ErrorKind},
    output::{Output, talk},
    run::Run,
};

/// How many of the newest reflog entries are looked at.
const ENTRIES: usize = 100;

/// Starts what is missing. What cannot be read is told, and is no failure of this command: the rest was resumed, and the
/// `cleanup` that stands behind it in a crontab line has to run.
pub(crate) fn resume(context: &Context, args: &ResumeArgs, output: &mut Output) -> Result<u8, CommandError> {
    let mut failures = 0;
    for store in context.stores_in_scope(args.all)? {
        // Those that wait while there is a place: when all monitors were killed, nobody else starts them.
        context.start_waiting(&store)?;
        let (lost, unreadable) = lost_runs(&store, now())?;
        for error in unreadable {
            talk(&CommandError::from(error).render());
        }
        for directory in lost {
            let title = Run::load(&directory, now()).ok().flatten().map(|run| run.title());
            match context.start(&directory) {
                Ok(()) => output.print(&format!("started again: {}\n", title.unwrap_or_default()))?,
                Err(error) => {
                    failures += 1;
                    talk(&error.render());
                }
            }
        }
    }
    let repositories = if args.all { known_repositories(context)? } else { vec![context.repository()?.clone()] };
    for repository in repositories {
        match adopt(&context.in_repository(repository), None) {
            Ok(runs) => {
                for run in runs {
                    output.print(&format!("watching a push that no hook saw: {}\n", run.title()))?;
                }
            }
            Err(error) => {
                // One of several repositories with a broken configuration is its own `status`'s business.
                failures += usize::from(!args.all);
                talk(&error.render());
            }
        }
    }
    Ok(if failures == 0 { 0 } else { ErrorKind::Refused.code() })
}

/// The user's repositories that still exist, and the one around the current directory: after a move it is not known yet.
fn known_repositories(context: &Context) -> Result<Vec<Repository>, CommandError> {
    let mut found: Vec<Repository> = context.repository_if_any().into_iter().cloned().collect();
    for store in context.stores_of_user()? {
        found.extend(store.repository()?.filter(|known| known.git_dir.is_dir()));
    }
    found.sort_by(|a, b| a.common_dir.cmp(&b.common_dir));
    found.dedup_by(|a, b| a.common_dir == b.common_dir);
    Ok(found)
}

/// Watches the unseen push of one commit, if there was one.
pub(crate) fn adopt_commit(context: &Context, commit: Option<&CommitId>) -> Result<Option<Run>, CommandError> {
    if context.repository_if_any().is_none() {
        return Ok(None);
    }
    match commit {
        Some(commit) => Ok(adopt(context, Some(commit))?.into_iter().next()),
        None => Ok(None),
    }
}

/// Watches the unseen pushes of this repository, or of one commit of it.
fn adopt(context: &Context, only: Option<&CommitId>) -> Result<Vec<Run>, CommandError> {
    let git = context.git()?;
    let unseen: Vec<ReflogPush> = git
        .pushes_in_reflogs(ENTRIES)?
        .into_iter()
        .filter(|push| only.is_none_or(|commit| push.commit == *commit))
        .collect();
    if unseen.is_empty() {
        return Ok(Vec::new());
    }
    let adoption = Adoption {
        repository: context.repository()?,
        stores: &context.stores()?,
        root: &context.writable_root()?,
        config: &configuration::load(context)?,
        remotes: &git.remotes()?,
    };
    let mut runs = Vec::new();
    for directory in adoption.record(unseen, now())? {
        context.start(&directory)?;
        runs.extend(Run::load(&directory, now())?);
    }
    Ok(runs)
}

/// A random name for a request.
pub(crate) fn request_id() -> Result<String, CommandError> {
    random_name().map_err(|error| CommandError::because(ErrorKind::Internal, "no random numbers", &error))
}
