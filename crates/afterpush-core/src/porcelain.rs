//! Reads what `git push --porcelain` prints: one line a ref, in words that no translation changes.
//!
//! Invariant: only what certainly means "the remote has moved" is ever said to mean it. A hook of the server, a missing
//! permission and words that are not known are final.

/// What git says of one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefReport {
    /// One character: space pushed, `+` forced, `-` deleted, `*` new, `!` refused, `=` up to date.
    pub flag: char,
    /// The local side, such as `refs/heads/main` or `HEAD`; empty for a deletion.
    pub from: String,
    /// The ref on the remote.
    pub to: String,
    /// What happened: `[rejected]`, `1234567..89abcde`.
    pub summary: String,
    /// Why, where git says why.
    pub reason: Option<String>,
}

/// Why a ref was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The remote has commits that ours do not contain.
    Moved,
    /// The remote is not where `--force-with-lease` wants it.
    Stale,
    /// The remote moved while the push was on its way.
    Race,
    /// Another ref of an atomic push was refused.
    Consequence,
    /// Anything else: to try again would change nothing.
    Final,
}

impl RefReport {
    /// Reads one line; `None` for a line about anything else, such as `To <address>` or `Done`.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut fields = line.splitn(3, '\t');
        let (flag, refs, what) = (fields.next()?, fields.next()?, fields.next()?);
        let mut characters = flag.chars();
        let (Some(flag @ (' ' | '+' | '-' | '*' | '!' | '=')), None) = (characters.next(), characters.next()) else {
            return None;
        };
        let (from, to) = refs.split_once(':')?;
        let (summary, reason) = match what.strip_suffix(')').and_then(|what| what.split_once(" (")) {
            Some((summary, reason)) => (summary, Some(reason.to_owned())),
            None => (what, None),
        };
        Some(Self { flag, from: from.to_owned(), to: to.to_owned(), summary: summary.to_owned(), reason })
    }

    /// Why the ref was refused; `None` when it was not.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        if self.flag != '!' {
            return None;
        }
        let reason = self.reason.as_deref().unwrap_or_default();
        Some(match (self.summary.as_str(), reason) {
            ("[rejected]", "fetch first" | "non-fast-forward") => Refusal::Moved,
            ("[rejected]", "stale info" | "remote ref updated since checkout") => Refusal::Stale,
            ("[rejected]", "atomic push failed") => Refusal::Consequence,
            ("[remote rejected]", "atomic transaction failed" | "atomic push failure") => Refusal::Consequence,
            // What a server says of two pushes that met; which of these depends on its version.
            ("[remote rejected]", "failed to update ref" | "incorrect old value provided") => Refusal::Race,
            ("[remote rejected]", _) if reason.starts_with("cannot lock ref") && reason.contains("but expected") => {
                Refusal::Race
            }
            _ => Refusal::Final,
        })
    }

    /// The line as `git push` prints it for people.
    #[must_use]
    pub fn for_people(&self) -> String {
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let to = short(&self.to);
        let refs = if self.from.is_empty() { to.to_owned() } else { format!("{} -> {to}", short(&self.from)) };
        format!(" {} {:<19} {refs}{reason}", self.flag, self.summary)
    }
}

/// The refused refs of a push, each with why; empty when one refusal is final, because then nothing must be tried again.
#[must_use]
pub fn worth_another_attempt(reports: &[RefReport]) -> Vec<(&RefReport, Refusal)> {
    let refused: Vec<_> = reports.iter().filter_map(|report| Some((report, report.refusal()?))).collect();
    if refused.iter().any(|(_, refusal)| *refusal == Refusal::Final) {
        return Vec::new();
    }
    refused.into_iter().filter(|(_, refusal)| *refusal != Refusal::Consequence).collect()
}

fn short(name: &str) -> &str {
    ["refs/heads/", "refs/tags/"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(what: &str) -> RefReport {
        RefReport::read(&format!("!\trefs/heads/main:refs/heads/main\t{what}")).unwrap()
    }

    #[test]
    fn lines_about_refs_are_read_and_others_are_not() {
        let pushed = RefReport::read(" \trefs/heads/main:refs/heads/main\t1234567..89abcde").unwrap();
        assert_eq!((pushed.flag, pushed.summary.as_str(), pushed.reason.clone()), (' ', "1234567..89abcde", None));
        assert_eq!(pushed.refusal(), None);
        assert_eq!(pushed.for_people(), "   1234567..89abcde    main -> main");
        let deleted = RefReport::read("-\t:refs/heads/old\t[deleted]").unwrap();
        assert_eq!(deleted.for_people(), " - [deleted]           old");
        let new = RefReport::read("*\tHEAD:refs/heads/main\t[new branch]").unwrap();
        assert_eq!((new.from.as_str(), new.to.as_str()), ("HEAD", "refs/heads/main"));
        let shown = refused("[rejected] (fetch first)").for_people();
        assert_eq!(shown, " ! [rejected]          main -> main (fetch first)");
        for line in ["To /srv/a.git", "Done", "", "\t\t", "xy\ta:b\tc", "?\ta:b\tc", "!\tno colon\tc"] {
            assert_eq!(RefReport::read(line), None, "{line:?}");
        }
    }

    #[test]
    fn only_a_remote_that_moved_is_worth_another_attempt() {
        for (what, expected) in [
            ("[rejected] (fetch first)", Refusal::Moved),
            ("[rejected] (non-fast-forward)", Refusal::Moved),
            ("[rejected] (stale info)", Refusal::Stale),
            ("[rejected] (remote ref updated since checkout)", Refusal::Stale),
            ("[rejected] (atomic push failed)", Refusal::Consequence),
            ("[remote rejected] (atomic transaction failed)", Refusal::Consequence),
            ("[remote rejected] (atomic push failure)", Refusal::Consequence),
            ("[rejected] (already exists)", Refusal::Final),
            ("[rejected] (needs force)", Refusal::Final),
            ("[remote rejected] (pre-receive hook declined)", Refusal::Final),
            ("[remote rejected] (hook declined)", Refusal::Final),
            ("[remote rejected] (fetch first)", Refusal::Final),
            ("[remote rejected] (non-fast-forward)", Refusal::Final),
            ("[remote rejected] (failed to update ref)", Refusal::Race),
            ("[remote rejected] (incorrect old value provided)", Refusal::Race),
            ("[remote rejected] (cannot lock ref 'refs/heads/main': is at aa but expected bb)", Refusal::Race),
            ("[remote rejected] (cannot lock ref 'refs/heads/main': 'refs/heads' exists)", Refusal::Final),
            ("[remote failure] (remote failed to report status)", Refusal::Final),
            ("[rejected]", Refusal::Final),
        ] {
            assert_eq!(refused(what).refusal(), Some(expected), "{what}");
        }
    }

    #[test]
    fn one_final_refusal_ends_it_for_all_refs() {
        let moved = refused("[rejected] (fetch first)");
        let other = refused("[rejected] (atomic push failed)");
        let hook = refused("[remote rejected] (hook declined)");
        let both = [moved.clone(), other];
        assert_eq!(worth_another_attempt(&both), [(&moved, Refusal::Moved)]);
        assert_eq!(worth_another_attempt(&[moved, hook]), []);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "\\PC{0,40}", near in "[!=+ *-]?\t?[a-z:]{0,9}\t?[a-z() \\[\\]]{0,20}") {
            for line in [line, near] {
                if let Some(report) = RefReport::read(&line) {
                    let _ = (report.refusal(), report.for_people());
                }
            }
        }
    }
}
