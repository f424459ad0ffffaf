//! `afterpush init`: recognises the hosts by their own files and writes `.afterpush.toml`. Never overwrites one.

mod compose;
mod gather;
mod hosts;
mod pipelines;
mod proposal;
#[cfg(test)]
mod tests;
mod vendor;

use std::{
    collections::BTreeSet,
    env,
    fs::{self, OpenOptions},
    io::{ErrorKind as IoErrorKind, Write},
    path::Path,
};

use afterpush_core::redact;

use self::proposal::{Found, Proposal};
use crate::{
    args::InitArgs,
    context::Context,
    error::{CommandError, ErrorKind},
    output::{Output, talk},
};

/// Writes the configuration, or with `--print` shows it, and says what it is made of.
pub(crate) fn init(context: &Context, args: &InitArgs, output: &mut Output) -> Result<u8, CommandError> {
    let repository = context.repository()?;
    let (Some(path), Some(work_tree)) = (repository.config_path(), &repository.work_tree) else {
        return Err(CommandError::new(ErrorKind::Usage, "a bare repository has no work tree for .afterpush.toml"));
    };
    let git = context.git()?;
    let current = git.head_branch().and_then(|branch| branch.branch().map(str::to_owned));
    let branch = current.as_deref().unwrap_or("main");
    let remotes: Vec<(String, String)> =
        git.remotes()?.into_iter().map(|(name, url)| (name, redact::remote_url(&url))).collect();
    let mut found = proposal::propose(&gather::gather(work_tree), &remotes);
    let text = compose::configuration(&found.proposals, branch);
    let told = told(&found, branch, &remotes);
    if args.print {
        output.print(&text)?;
        talk(&told);
        return Ok(0);
    }
    if let Err(error) = write_new(&path, &text) {
        if let Ok(present) = fs::read_to_string(&path) {
            found.proposals.retain(|proposal| !is_in(proposal, &present));
            if !found.proposals.is_empty() {
                let new: Vec<String> = found.proposals.iter().map(|it| compose::target(it, branch)).collect();
                output.print(&format!("# not in {} yet:\n\n{}", path.display(), new.join("\n")))?;
            }
        }
        return Err(error);
    }
    output.print(&format!("wrote {}\n{told}next: `afterpush install`, then `afterpush doctor`\n", path.display()))?;
    Ok(0)
}

/// What was found, and what is missing.
fn told(found: &Found, branch: &str, remotes: &[(String, String)]) -> String {
    let mut lines = Vec::new();
    for proposal in &found.proposals {
        let name = vendor::vendor(proposal.kind).map_or(proposal.kind, |vendor| vendor.name);
        let branch = proposal.branch.as_deref().unwrap_or(branch);
        let commented = if proposal.is_incomplete { ", commented out" } else { "" };
        lines.push(format!(
            "found {}: target {} at {name}, for pushes of {branch}{commented}",
            proposal.found, proposal.name
        ));
        if !proposal.paths.is_empty() {
            lines.push(format!("  only where {} change; add what it shares with others", proposal.paths.join(", ")));
        }
        lines.extend(proposal.missing.iter().map(|missing| format!("  missing: {missing}")));
    }
    if found.proposals.is_empty() {
        lines.push("found no host's own file: everything in it is commented out, for you to fill in".to_owned());
    }
    lines.extend(found.notes.iter().map(|note| format!("left out: {note}")));
    let kinds: BTreeSet<&str> = found.proposals.iter().map(|proposal| proposal.kind).collect();
    for vendor in kinds.into_iter().filter_map(vendor::vendor) {
        let has_value = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
        match vendor.tokens.iter().find(|name| has_value(name)) {
            _ if vendor.tokens.is_empty() => lines.push(format!("{}: reached by {}", vendor.name, vendor.get)),
            Some(name) => lines.push(format!("{}: the token in {name}", vendor.name)),
            None => lines.push(format!(
                "missing: a token of {} in {}, unless you are logged in; from {}",
                vendor.name,
                vendor.tokens.join(" or "),
                vendor.get
            )),
        }
    }
    match remotes.iter().find(|(name, _)| name == "origin").or_else(|| remotes.first()) {
        Some((name, url)) => lines.push(format!("remote {name}: {url}")),
        None => lines.push("missing: a remote to push to (`git remote add origin <address>`)".to_owned()),
    }
    lines.into_iter().map(|line| format!("  {line}\n")).collect()
}

/// Whether a configuration has a target with the same provider and settings.
fn is_in(proposal: &Proposal, present: &str) -> bool {
    let Ok(present) = present.parse::<toml::Table>() else { return false };
    let targets = present.get("target").and_then(toml::Value::as_array).into_iter().flatten();
    targets.filter_map(|target| target.get("provider")).any(|provider| {
        let is = |key: &str, value: &str| provider.get(key).and_then(toml::Value::as_str) == Some(value);
        is("kind", proposal.kind) && proposal.settings.iter().all(|(key, value)| is(key, value))
    })
}

fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    let refuse = |error: std::io::Error| {
        if error.kind() == IoErrorKind::AlreadyExists {
            return CommandError::new(
                ErrorKind::Usage,
                format!("{} is there already and was left as it is", path.display()),
            )
            .hint("edit it, or move it away first; `afterpush doctor` checks it");
        }
        CommandError::because(ErrorKind::Refused, &format!("cannot write {}", path.display()), &error)
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(refuse)?;
    file.write_all(text.as_bytes()).map_err(refuse)
}
