//! `afterpush install` and `uninstall`: the shim, where this repository's hooks really run, and on request that of strict mode.
//!
//! What is put where is the business of [`HookFile`](crate::hook_file::HookFile), [`Husky`](crate::husky::Husky) and
//! [`ConfigHook`], which survive a kill at any moment.

use crate::{
    args::{InstallArgs, UninstallArgs},
    config_hook::{ConfigHook, git_runs_it, is_tracked},
    context::Context,
    error::CommandError,
    hook_file::Standing,
    hooks_directory::HooksDirectory,
    output::Output,
    shim::{PRE_PUSH, STRICT},
};

/// Puts the shim in its place; a hook that is there is kept and chained.
pub(crate) fn install(context: &Context, args: &InstallArgs, output: &mut Output) -> Result<u8, CommandError> {
    let directory = HooksDirectory::find(context)?;
    let by_configuration = by_configuration(context, args, &directory)?;
    if !by_configuration || args.strict {
        directory.check(args.hooks_path.as_deref(), context.directory())?;
    }
    let text = match by_configuration {
        true => ConfigHook::of(context)?.install()?,
        false => in_directory(context, &directory)?,
    };
    output.print(&text)?;
    let strict = directory.hook(&STRICT);
    // One of another version is brought up to date whenever the other is.
    if args.strict || strict.standing()? == Standing::Other {
        output.print(&format!("strict mode: {}", strict.install()?))?;
    }
    if args.strict {
        output.print("  pushes with --no-verify are watched at once; `afterpush doctor` measures what that costs\n")?;
    }
    let is_configured = context.repository()?.config_path().is_some_and(|path| path.exists());
    output.print(if is_configured {
        "next: `git push`, then `deploy-status`\n"
    } else {
        "next: `afterpush init` writes the configuration\n"
    })?;
    Ok(0)
}

/// Whether git's configuration is the place: on request, where it is already, and where the hooks directory would have a file
/// changed that the repository tracks and a new enough git spares it.
fn by_configuration(context: &Context, args: &InstallArgs, directory: &HooksDirectory) -> Result<bool, CommandError> {
    if args.config_hook || ConfigHook::of(context)?.standing()? != Standing::Nothing {
        return Ok(true);
    }
    let (standing, file) = match directory.husky() {
        Some(husky) => (husky.standing()?, husky.script().to_owned()),
        None => (directory.hook(&PRE_PUSH).standing()?, directory.hook(&PRE_PUSH).path()),
    };
    // husky's file is one for all who work on the repository, also before it is there.
    let is_everybodys = directory.husky().is_some() || (directory.is_configured && is_tracked(context, &file)?);
    Ok(is_everybodys
        && !matches!(standing, Standing::Current | Standing::Other | Standing::Wrapped)
        && git_runs_it()?.0)
}

fn in_directory(context: &Context, directory: &HooksDirectory) -> Result<String, CommandError> {
    let Some(husky) = directory.husky() else {
        let hook = directory.hook(&PRE_PUSH);
        let was_there = hook.standing()? == Standing::Foreign;
        let mut text = hook.install()?;
        if was_there && directory.is_configured && is_tracked(context, &hook.path())? {
            text.push_str("  the repository tracks this file, and ours is for this clone alone: do not commit it\n");
        }
        return Ok(text);
    };
    let place = husky.script().display();
    if husky.standing()? == Standing::Current {
        return Ok(format!("already installed at {place}\n"));
    }
    husky.install()?;
    Ok(format!("installed at {place}, which husky runs\n  its new line does nothing in other clones: commit it\n"))
}

/// Takes the shims away and puts back what was there; with `--strict`, only that of strict mode.
pub(crate) fn uninstall(context: &Context, args: &UninstallArgs, output: &mut Output) -> Result<u8, CommandError> {
    let directory = HooksDirectory::find(context)?;
    let strict = directory.hook(&STRICT);
    // Without one nobody needs to hear of it, unless it is asked for.
    if args.strict || matches!(strict.standing()?, Standing::Current | Standing::Other) {
        output.print(&format!("strict mode: {}", strict.uninstall()?))?;
    }
    if args.strict {
        return Ok(0);
    }
    let by_configuration = ConfigHook::of(context)?;
    if by_configuration.standing()? != Standing::Nothing {
        by_configuration.uninstall()?;
        output.print("uninstalled from this repository's git configuration\n")?;
        // That somebody else's hook stands in the hooks directory is as it should be.
        if !is_in_directory(&directory)? {
            return Ok(0);
        }
    }
    let text = match directory.husky() {
        Some(husky) => {
            let place = husky.script().display();
            match husky.standing()? {
                Standing::Nothing | Standing::Foreign => format!("nothing to uninstall at {place}\n"),
                _ => {
                    husky.uninstall()?;
                    format!("uninstalled from {place}\n")
                }
            }
        }
        None => directory.hook(&PRE_PUSH).uninstall()?,
    };
    output.print(&text)?;
    Ok(0)
}

fn is_in_directory(directory: &HooksDirectory) -> Result<bool, CommandError> {
    let standing = match directory.husky() {
        Some(husky) => husky.standing()?,
        None => directory.hook(&PRE_PUSH).standing()?,
    };
    Ok(matches!(standing, Standing::Current | Standing::Other))
}
