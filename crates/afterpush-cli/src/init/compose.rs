//! Writes proposals as a configuration file. Pure.

use std::fmt::Write as _;

use toml::Value;

use super::proposal::Proposal;

const HEAD: &str =
    "# What a push of this repository deploys to. `afterpush doctor` checks this file; it holds no secrets.\n";
const HEALTH: &str = "\
# The health check asks the deployed application itself. `commit` says where its answer names the commit that it runs: a JSON
# pointer (\"/commit\"), a header (\"x-commit\") or a regular expression.
# health = { path = \"/health\", commit = \"/commit\", passes = 3 }
";

/// The whole file. `branch` is that of every proposal that names none.
pub(super) fn configuration(proposals: &[Proposal], branch: &str) -> String {
    if proposals.is_empty() {
        let example =
            Proposal { kind: "digitalocean", name: "web".to_owned(), is_incomplete: true, ..Proposal::default() };
        let note = "#\n# No host was recognised here. Remove the marks below and fill in what fits: docs/providers lists the kinds.\n";
        return format!("{HEAD}{note}\n{}{HEALTH}", target(&example, branch));
    }
    let targets: Vec<String> = proposals.iter().map(|proposal| target(proposal, branch)).collect();
    format!("{HEAD}\n{}{HEALTH}", targets.join("\n"))
}

/// One `[[target]]`; as a comment when it cannot work yet.
pub(super) fn target(proposal: &Proposal, branch: &str) -> String {
    let branch = proposal.branch.as_deref().unwrap_or(branch);
    let mut text = format!("[[target]]\nname = {}\nbranch = {}\n", quoted(&proposal.name), quoted(branch));
    if !proposal.paths.is_empty() {
        let paths: Vec<_> = proposal.paths.iter().map(|path| quoted(path)).collect();
        writeln!(text, "paths = [{}]", paths.join(", ")).expect("a String takes every text");
    }
    let settings: String =
        proposal.settings.iter().map(|(key, value)| format!(", {key} = {}", quoted(value))).collect();
    writeln!(text, "provider = {{ kind = {}{settings} }}", quoted(proposal.kind)).expect("a String takes every text");
    if proposal.is_incomplete { text.lines().map(|line| format!("# {line}\n")).collect() } else { text }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
