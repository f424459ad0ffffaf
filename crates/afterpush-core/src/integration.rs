//! The rules of a push that meets a remote which has moved: how to integrate, how often to try, and who may resolve what.
//!
//! Pure: the rules and the waits; what carries them out is in the command line.

use std::time::Duration;

/// The longest wait between two attempts.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How a push that is refused because the remote has moved goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRules {
    /// How the remote's commits are taken in; `None` leaves it to git's own `pull.rebase`.
    pub integrate: Option<Integration>,
    /// How many more times a refused push is tried.
    pub attempts: u32,
    /// The wait before the first of them; it doubles each time, up to [`LONGEST_WAIT`].
    pub first_wait: Duration,
    /// Who may resolve which conflicts; the first rule that matches a path counts.
    pub conflicts: Vec<ConflictRule>,
}

impl Default for PushRules {
    fn default() -> Self {
        Self { integrate: None, attempts: 3, first_wait: Duration::from_secs(2), conflicts: Vec::new() }
    }
}

impl PushRules {
    /// The wait before the attempt with this number, from 1.
    #[must_use]
    pub fn wait(&self, attempt: u32) -> Duration {
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
        // A first wait beyond the limit is the user's wish.
        self.first_wait.saturating_mul(factor).min(LONGEST_WAIT.max(self.first_wait))
    }

    /// The rule for a conflict in the file at `path`, counted from the root of the work tree.
    #[must_use]
    pub fn rule_for(&self, path: &str) -> Option<&ConflictRule> {
        self.conflicts.iter().find(|rule| rule.matches(path))
    }
}

/// How the remote's commits are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integration {
    /// Our commits are put on top of the remote's.
    Rebase,
    /// The remote's commits are merged into ours.
    Merge,
}

/// What resolves the conflicts in certain files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictRule {
    /// Which files, as in `.gitattributes`: without a slash a name in any directory, else a path from the root.
    pub paths: String,
    /// What becomes of them.
    pub resolve: Resolution,
    /// A shell command that makes the files anew after they were resolved.
    pub run: Option<String>,
}

impl ConflictRule {
    /// Tells whether the rule is for the file at `path`, counted from the root of the work tree.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        path_fits(&self.paths, path)
    }
}

/// Tells whether a path from the root of the work tree fits a pattern as in `.gitattributes`: without a slash a name in any
/// directory, else a path from the root.
pub(crate) fn path_fits(pattern: &str, path: &str) -> bool {
    match pattern.strip_prefix('/') {
        Some(from_root) => fast_glob::glob_match(from_root, path),
        None if pattern.contains('/') => fast_glob::glob_match(pattern, path),
        None => fast_glob::glob_match(pattern, path.rsplit('/').next().unwrap_or(path)),
    }
}

/// What becomes of a file in conflict. The words mean the same for a rebase and for a merge, although git swaps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The lines of both sides, the remote's first.
    Union,
    /// The user's own version.
    Ours,
    /// The remote's version.
    Theirs,
    /// Both sides' task lists, entry by entry: see [`crate::checklist`].
    LongestChecklist,
}

impl Resolution {
    /// Each of them with its word in the configuration.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("union", Self::Union),
        ("ours", Self::Ours),
        ("theirs", Self::Theirs),
        ("longest-checklist", Self::LongestChecklist),
    ];

    /// Its word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, resolution)| *resolution == self).map_or("", |(word, _)| word)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rule(paths: &str) -> ConflictRule {
        ConflictRule { paths: paths.to_owned(), resolve: Resolution::Union, run: None }
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let rules = PushRules::default();
        let waits: Vec<u64> = (1..=7).map(|attempt| rules.wait(attempt).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(rules.wait(u32::MAX), LONGEST_WAIT);
        let patient = PushRules { first_wait: Duration::from_secs(60), ..rules };
        assert_eq!(patient.wait(1), Duration::from_secs(60));
    }

    #[test]
    fn a_pattern_without_a_slash_is_a_name_anywhere_and_one_with_a_slash_a_path_from_the_root() {
        for (paths, path, expected) in [
            ("CHANGELOG.md", "CHANGELOG.md", true),
            ("CHANGELOG.md", "crates/a/CHANGELOG.md", true),
            ("CHANGELOG.md", "CHANGELOG.md.orig", false),
            ("*.lock", "a/b/yarn.lock", true),
            ("*.lock", "a.lock/b", false),
            ("/CHANGELOG.md", "CHANGELOG.md", true),
            ("/CHANGELOG.md", "a/CHANGELOG.md", false),
            ("docs/*.md", "docs/a.md", true),
            ("docs/*.md", "docs/deep/a.md", false),
            ("docs/*.md", "other/docs/a.md", false),
            ("docs/**/*.md", "docs/a.md", true),
            ("docs/**/*.md", "docs/deep/er/a.md", true),
            ("**/tasks.md", "a/b/tasks.md", true),
            ("docs/**", "docs/deep/a", true),
            ("file?", "file1", true),
            ("file[12]", "file3", false),
        ] {
            assert_eq!(rule(paths).matches(path), expected, "{paths} {path}");
        }
    }

    #[test]
    fn each_resolution_has_its_word() {
        for (word, resolution) in Resolution::WORDS {
            assert_eq!(resolution.word(), word);
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let first = ConflictRule { resolve: Resolution::Ours, ..rule("a/*") };
        let rules = PushRules { conflicts: vec![first.clone(), rule("*.md")], ..PushRules::default() };
        assert_eq!(rules.rule_for("a/x.md"), Some(&first));
        assert_eq!(rules.rule_for("b/x.md").unwrap().resolve, Resolution::Union);
        assert_eq!(rules.rule_for("b/x.rs"), None);
    }
}
