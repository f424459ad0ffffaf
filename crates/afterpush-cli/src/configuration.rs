//! The configuration as it stands in the work tree and in the user's own file.
//!
//! The monitor judges by the pushed commit's file; a command that must say something before there is a run judges by this one.

use afterpush_core::{config::Config, fault::with_causes};
use afterpush_store::ConfigFiles;

use crate::{
    context::Context,
    error::{CommandError, ErrorKind},
};

/// Reads both files.
pub(crate) fn read(context: &Context) -> Result<ConfigFiles, CommandError> {
    let files = ConfigFiles::of_work_tree(&context.environment, context.repository_if_any());
    files.map_err(|error| CommandError::new(ErrorKind::Configuration, with_causes(&error)))
}

/// Combines them, as if the user trusted the repository's file or not.
pub(crate) fn combine_as(files: &ConfigFiles, trusted: bool) -> Result<Config, CommandError> {
    files.combine_as(trusted).map_err(|error| CommandError::new(ErrorKind::Configuration, with_causes(&error)))
}

/// Reads both files and combines them.
pub(crate) fn load(context: &Context) -> Result<Config, CommandError> {
    let files = read(context)?;
    combine_as(&files, files.is_trusted)
}
