//! `afterpush cleanup`: removes finished runs that are older than a limit. Needs no terminal, and with `--all` no repository.

use afterpush_core::fault::with_causes;
use afterpush_store::clean_up;

use crate::{
    args::CleanupArgs,
    context::{Context, now},
    error::{CommandError, ErrorKind},
    output::{Output, talk},
};

/// Removes what is old and says how much that was.
pub(crate) fn cleanup(context: &Context, args: &CleanupArgs, output: &mut Output) -> Result<u8, CommandError> {
    let mut count = 0_usize;
    let mut bytes = 0_u64;
    let mut problems = 0_usize;
    for store in context.stores_in_scope(args.all)? {
        let cleanup = clean_up(&store, now(), args.older_than, args.dry_run)?;
        count += cleanup.removed.len();
        bytes += cleanup.bytes;
        // A push came in while its older run was being removed.
        for run in &cleanup.wanted {
            context.start(run)?;
        }
        problems += cleanup.problems.len();
        for problem in &cleanup.problems {
            talk(&format!("afterpush: left alone: {}\n", with_causes(problem)));
        }
    }
    if !args.dry_run {
        // What monitors share is of use for minutes only; that some of it stays is no problem.
        for root in context.roots() {
            let _ = root.answers().map(|answers| answers.map(|answers| answers.sweep()));
        }
    }
    let verb = if args.dry_run { "would remove" } else { "removed" };
    let noun = if count == 1 { "run" } else { "runs" };
    output.print(&format!("{verb} {count} finished {noun} ({})\n", for_people(bytes)))?;
    Ok(if problems == 0 { 0 } else { ErrorKind::State.code() })
}

fn for_people(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}
