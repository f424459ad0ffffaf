//! `afterpush resume`: starts the monitors that should run and do not.
//!
//! Two kinds are missing: those of lost runs (killed, rebooted), and those of pushes that no hook saw, which left "update by
//! push" in a reflog. Says nothing when there is nothing to do, and needs no terminal, so that cron can run it.

use afterpush_core::{
    file::{PushSource, Request},
    id::CommitId,
    redact,
};
use afterpush_git::ReflogPush;
use afterpush_store::{Repository, random_name};
use jiff::{SignedDuration, Timestamp};

use crate::{
    args::ResumeArgs,
    configuration,
    context::{Context, now},
    error::{CommandError, ErrorKind},
    output::{Output, talk},
    run::Run,
};

/// How old an unseen push may be: what was pushed before that is either live or known to have failed.
const UNSEEN: SignedDuration = SignedDuration::from_hours(24);
/// How many of the newest reflog entries are looked at.
const ENTRIES: usize = 100;

/// Starts what is missing.
pub(crate) fn resume(context: &Context, args: &ResumeArgs, output: &mut Output) -> Result<u8, CommandError> {
    let mut problems = 0;
    let mut report = |problem: &CommandError| {
        problems += 1;
        talk(&problem.render());
    };
    for store in context.stores_in_scope(args.all)? {
        for directory in store.runs()? {
            match Run::load(&directory, now()) {
                Ok(Some(run)) if run.is_lost() => match context.start(&directory) {
                    Ok(()) => output.print(&format!("started again: {}\n", run.title()))?,
                    Err(error) => report(&error),
                },
                Ok(_) => {}
                // One unreadable run must not keep the others from being resumed.
                Err(error) => report(&error),
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
            Err(error) => report(&error),
        }
    }
    Ok(if problems == 0 { 0 } else { ErrorKind::Refused.code() })
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
    let config = configuration::load(context)?;
    let stores = context.stores()?;
    let remotes = git.remotes()?;
    let mut runs = Vec::new();
    for push in unseen {
        let Some(pushed_at) = recent(push.at_epoch_seconds, now()) else { continue };
        if config.targets_of(&push.ref_name).next().is_none() {
            continue;
        }
        let is_known =
            |store: &afterpush_store::RepositoryStore| Ok::<_, CommandError>(!store.runs_of(&push.commit)?.is_empty());
        if stores.iter().map(is_known).collect::<Result<Vec<_>, _>>()?.contains(&true) {
            continue;
        }
        let url = remotes.iter().find(|(name, _)| *name == push.remote).map(|(_, url)| url.as_str());
        let request = Request {
            schema: Request::schema(),
            id: request_id()?,
            commit: push.commit,
            ref_name: push.ref_name,
            remote_url: redact::remote_url(url.unwrap_or_default()),
            remote: push.remote,
            previous: None,
            pushed_at,
            source: PushSource::Reflog,
            pusher: None,
            repository: context.repository()?.facts(),
        };
        let directory = context.watch_request(&request, &remotes)?;
        runs.extend(Run::load(&directory, now())?);
    }
    Ok(runs)
}

/// The time of a push that is young enough to be watched.
fn recent(epoch_seconds: i64, now: Timestamp) -> Option<Timestamp> {
    let time = Timestamp::from_second(epoch_seconds).ok()?;
    (now.duration_since(time) < UNSEEN).then_some(time)
}

/// A random name for a request.
pub(crate) fn request_id() -> Result<String, CommandError> {
    random_name().map_err(|error| CommandError::because(ErrorKind::Internal, "no random numbers", &error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_pushes_of_the_last_day_are_adopted() {
        let now: Timestamp = "2026-01-02T12:00:00Z".parse().unwrap();
        let hours = |hours: i64| now.as_second() - hours * 3600;
        assert!(recent(hours(1), now).is_some());
        assert!(recent(hours(23), now).is_some());
        assert!(recent(hours(25), now).is_none());
        assert!(recent(i64::MAX, now).is_none());
    }
}
