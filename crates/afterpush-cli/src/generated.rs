//! What is made from the command line's definition: shell completions and the manual page.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    args::{Afterpush, DeployStatus},
    error::CommandError,
    output::Output,
};

/// Prints the completions of both programs for a shell.
pub(crate) fn completions(shell: Shell, output: &mut Output) -> Result<u8, CommandError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Afterpush::command(), "afterpush", &mut text);
    // A second script after the first is fine for every shell but this one, whose `using` lines must come first.
    if shell != Shell::PowerShell {
        clap_complete::generate(shell, &mut DeployStatus::command(), "deploy-status", &mut text);
    }
    output.print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}

/// Prints the manual page: the program's own, then a section for each command.
pub(crate) fn man(output: &mut Output) -> Result<u8, CommandError> {
    let mut text = Vec::new();
    let mut command = Afterpush::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for part in command.get_subcommands().filter(|part| !part.is_hide_set()) {
        let page = clap_mangen::Man::new(part.clone());
        text.extend_from_slice(format!(".SH \"{}\"\n", part.get_name().to_uppercase()).as_bytes());
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
    }
    output.print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}
