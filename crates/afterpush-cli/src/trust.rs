//! `afterpush trust` and `untrust`: whether this repository's privileged configuration counts, pinned to its content.

use crate::{
    configuration::{self, combine_as},
    context::Context,
    error::{CommandError, ErrorKind},
    output::Output,
};

/// Allows the privileged keys of `.afterpush.toml` as it stands in the work tree; any edit of it takes the permission away.
pub(crate) fn trust(context: &Context, output: &mut Output) -> Result<u8, CommandError> {
    let repository = context.repository()?;
    let files = configuration::read(context)?;
    let Some(file) = &files.repository else {
        return Err(CommandError::new(ErrorKind::Usage, "this work tree has no .afterpush.toml to trust")
            .hint("`afterpush init` writes one"));
    };
    let privileged = combine_as(&files, false)?.left_out;
    // What is refused even to a trusted repository is an error here, before anything is allowed.
    combine_as(&files, true)?;
    context.writable_root()?.trust().allow(repository, &file.text)?;
    let mut text = format!("trusted: {} as it stands now\n", file.name);
    if privileged.is_empty() {
        text.push_str("  it asks for nothing that needs trust\n");
    }
    for sentence in &privileged {
        // The sentence says why it was left out until now.
        text.push_str(&format!("  allowed now: {}\n", sentence.split(" is not used").next().unwrap_or(sentence)));
    }
    output.print(&text)?;
    Ok(0)
}

/// Takes every permission of this repository back.
pub(crate) fn untrust(context: &Context, output: &mut Output) -> Result<u8, CommandError> {
    let repository = context.repository()?;
    let mut count = 0;
    for root in context.roots() {
        count += root.trust().revoke(repository)?;
    }
    output.print(match count {
        0 => "nothing was trusted here\n",
        _ => "not trusted any more\n",
    })?;
    Ok(0)
}
