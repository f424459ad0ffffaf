//! `afterpush path`: where a run is stored.

use crate::{args::RevisionArgs, context::Context, error::CommandError, output::Output, selection::select_watched};

/// Prints the directory of the run that gives the commit's verdict.
pub(crate) fn path(context: &Context, args: &RevisionArgs, output: &mut Output) -> Result<u8, CommandError> {
    for run in select_watched(context, args.commit.as_deref())?.iter().take(1) {
        output.print(&format!("{}\n", run.directory.path().display()))?;
    }
    Ok(0)
}
