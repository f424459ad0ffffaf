//! `afterpush install` and `uninstall`: the shim, where this repository's hooks really run, and on request that of strict mode.
//!
//! What is put where is the business of [`HookFile`](crate::hook_file::HookFile) and of [`Husky`](crate::husky::Husky), which
//! survive a kill at any moment.

use crate::{
    args::{InstallArgs, UninstallArgs},
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
    directory.check(args.hooks_path.as_deref(), context.directory())?;
    let text = match directory.husky() {
        Some(husky) => {
            let place = husky.script().display();
            match husky.standing()? {
                Standing::Current => format!("already installed at {place}\n"),
                _ => {
                    husky.install()?;
                    format!(
                        "installed at {place}, which husky runs\n  its new line does nothing in other clones: commit \
                         it\n"
                    )
                }
            }
        }
        None => directory.hook(&PRE_PUSH).install()?,
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
