//! `afterpush check migrations`: what is wrong with a commit's migrations, before it is pushed. Asks no network and no database.

use std::collections::BTreeSet;

use afterpush_core::{
    config::MigrationsConfig,
    fault::with_causes,
    id::{CommitId, RefName},
    migrations::{Finding, MigrationSet, Tool, Upstream, review},
    text::clean_line,
};
use afterpush_git::{Git, MigrationsError};
use serde_json::json;

use crate::{
    args::CheckMigrationsArgs,
    configuration,
    context::Context,
    error::{CommandError, ErrorKind},
    output::{Output, talk},
};

const LONGEST: usize = 500;

/// Prints what a migration tool would stumble over; 1 where there is something.
pub(crate) fn check(context: &Context, args: &CheckMigrationsArgs, output: &mut Output) -> Result<u8, CommandError> {
    let git = context.git()?;
    let commit = resolve(&git, args.commit.as_deref().unwrap_or("HEAD"))?;
    let upstream = match &args.upstream {
        Some(revision) => Some(resolve(&git, revision)?),
        None => upstream_of_head(&git),
    };
    let sets = sets(context, &git, &commit)?;
    let mut findings = Vec::new();
    for set in &sets {
        let theirs = upstream.as_ref().map(|theirs| upstream_set(&git, set, &commit, theirs)).transpose()?;
        findings.extend(review(set, theirs.as_ref()).into_iter().map(|finding| (set.tool, finding)));
    }
    if args.json {
        output.print_json(&document(&commit, upstream.as_ref(), &sets, &findings))?;
    } else {
        tell(upstream.as_ref(), &sets, &findings, output)?;
    }
    Ok(u8::from(!findings.is_empty()))
}

fn tell(
    upstream: Option<&CommitId>,
    sets: &[MigrationSet],
    findings: &[(Tool, Finding)],
    output: &mut Output,
) -> Result<(), CommandError> {
    if upstream.is_none() {
        talk("the branch has no upstream here: only the commit itself is looked at\n");
    }
    if sets.is_empty() {
        talk("no migrations found\n");
    }
    for (tool, finding) in findings {
        output.print(&format!("{}: {}\n", tool.word(), clean_line(&finding.text, LONGEST)))?;
    }
    for set in sets.iter().filter(|_| findings.is_empty()) {
        let place = if set.path.is_empty() { "." } else { &set.path };
        output.print(&format!(
            "ok: {} {} in {}\n",
            set.migrations.len(),
            set.tool.word(),
            clean_line(place, LONGEST)
        ))?;
    }
    Ok(())
}

fn document(
    commit: &CommitId,
    upstream: Option<&CommitId>,
    sets: &[MigrationSet],
    findings: &[(Tool, Finding)],
) -> serde_json::Value {
    let set =
        |set: &MigrationSet| json!({ "tool": set.tool.word(), "path": set.path, "migrations": set.migrations.len() });
    let finding = |(tool, finding): &(Tool, Finding)| {
        json!({
            "kind": finding.kind.word(),
            "tool": tool.word(),
            "path": finding.path,
            "message": clean_line(&finding.text, LONGEST),
        })
    };
    json!({
        "schema": { "name": "afterpush.check_migrations", "major": 1, "minor": 0 },
        "commit": commit.as_str(),
        "upstream": upstream.map(CommitId::as_str),
        "sets": sets.iter().map(set).collect::<Vec<_>>(),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn resolve(git: &Git, revision: &str) -> Result<CommitId, CommandError> {
    let none = || CommandError::new(ErrorKind::Usage, format!("{revision:?} is no commit of this repository"));
    git.resolve(revision)?.ok_or_else(none)
}

/// What the branch of HEAD follows, as this repository saw it last.
fn upstream_of_head(git: &Git) -> Option<CommitId> {
    let branch: RefName = git.head_branch()?;
    let (remote, ref_name) = git.upstream_remote_ref(&branch)?;
    let tracking = git.tracking_ref(&remote, &ref_name)?;
    git.ref_target(&tracking).ok().flatten()
}

/// The sets that targets name, and where none does, everything that is found.
fn sets(context: &Context, git: &Git, commit: &CommitId) -> Result<Vec<MigrationSet>, CommandError> {
    let config = configuration::load(context)?;
    let named = config.targets.into_iter().map(|target| target.migrations);
    let mut wishes: Vec<MigrationsConfig> =
        named.filter(|wish| matches!(wish, MigrationsConfig::Wanted { .. })).collect();
    if wishes.is_empty() {
        wishes.push(MigrationsConfig::IfFound);
    }
    let mut sets: Vec<MigrationSet> = Vec::new();
    for wish in wishes {
        for set in git.migrations(commit, &wish).map_err(unreadable)? {
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
    }
    Ok(sets)
}

fn upstream_set(
    git: &Git,
    set: &MigrationSet,
    commit: &CommitId,
    upstream: &CommitId,
) -> Result<Upstream, CommandError> {
    let theirs = git.migration_set(upstream, set.tool, &set.path).map_err(unreadable)?;
    let edited: BTreeSet<String> = git.edited_between(upstream, commit, &set.path)?;
    Ok(Upstream { set: theirs, edited })
}

fn unreadable(error: MigrationsError) -> CommandError {
    CommandError::new(ErrorKind::Refused, format!("the migrations cannot be told: {}", with_causes(&error)))
        .hint("name them by database.migrations of a target, see docs/migrations.md")
}
