//! What a repository's files propose: targets, and what a person has to know about each. Pure: file contents in, proposals out.

use std::collections::BTreeSet;

use afterpush_core::id::RefName;

use super::{gather::File, hosts};

/// More targets than these are not proposed; a configuration takes 100.
const MOST: usize = 50;
/// Longer texts are no names.
const LONGEST: usize = 200;

/// One application that some host deploys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Proposal {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// The provider's own keys.
    pub(super) settings: Vec<(&'static str, String)>,
    pub(super) branch: Option<String>,
    /// What it is made from. Empty: everything.
    pub(super) paths: Vec<String>,
    /// The file, or the remote, that it was found in.
    pub(super) found: String,
    /// What is missing, or should be known, and what to do about it.
    pub(super) missing: Vec<String>,
    /// A key that the provider cannot do without is missing: the target is written as a comment.
    pub(super) is_incomplete: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) proposals: Vec<Proposal>,
    /// What was seen and proposes nothing, each with its reason.
    pub(super) notes: Vec<String>,
}

impl Found {
    /// Notes why something that was seen proposes nothing.
    pub(super) fn note(&mut self, file: &str, why: &str) {
        self.notes.push(format!("{file}: {why}"));
    }
}

/// Reads the files and the remotes, each a name and an address.
pub(super) fn propose(files: &[File], remotes: &[(String, String)]) -> Found {
    let mut found = Found::default();
    hosts::read(files, remotes, &mut found);
    let mut seen = BTreeSet::new();
    found.proposals.retain(|proposal| seen.insert((proposal.kind, proposal.settings.clone(), proposal.paths.clone())));
    if found.proposals.len() > MOST {
        let more = found.proposals.len() - MOST;
        found.proposals.truncate(MOST);
        found.notes.push(format!("{more} more are left out"));
    }
    give_names(&mut found.proposals);
    for proposal in &mut found.proposals {
        proposal.settings.retain(|(_, value)| is_plain(value));
        proposal.paths.retain(|path| is_pattern(path));
        proposal.branch = proposal.branch.take().filter(|branch| is_branch(branch));
    }
    found
}

/// Gives each a name of its own that the configuration takes.
fn give_names(proposals: &mut [Proposal]) {
    let mut taken = BTreeSet::new();
    for proposal in proposals {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let cleaned: String = proposal.name.chars().map(|c| if is_word(c) { c } else { '-' }).take(50).collect();
        let cleaned = cleaned.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let wanted = if cleaned.is_empty() { "web" } else { cleaned };
        let others = [wanted.to_owned(), format!("{wanted}-{}", proposal.kind)];
        let mut names = others.into_iter().chain((2..).map(|number| format!("{wanted}-{number}")));
        proposal.name = names.find(|name| taken.insert(name.clone())).unwrap_or_default();
    }
}

/// Whether a text may stand in a configuration as an id, a name or a path.
pub(super) fn is_plain(text: &str) -> bool {
    !text.trim().is_empty()
        && text.len() <= LONGEST
        && !text.contains("://")
        && !text.contains(|c: char| !c.is_ascii_graphic() && c != ' ')
}

/// Whether the configuration takes a text as one of a target's `paths`.
pub(super) fn is_pattern(text: &str) -> bool {
    is_plain(text) && !text.starts_with(['!', ':']) && !text.ends_with('/') && !text.contains(['\\', '{', '}'])
}

/// Whether a text names a branch.
pub(super) fn is_branch(text: &str) -> bool {
    is_plain(text) && !text.starts_with("refs/") && RefName::parse(&format!("refs/heads/{text}")).is_ok()
}
