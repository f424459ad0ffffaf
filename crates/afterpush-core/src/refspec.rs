//! Fetch refspecs: which local ref follows which ref of the remote. Pure: texts in, texts out.

/// The refspecs of one remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRefspecs(Vec<String>);

impl FetchRefspecs {
    /// Takes them as they are configured.
    #[must_use]
    pub fn new(specs: impl IntoIterator<Item = String>) -> Self {
        Self(specs.into_iter().collect())
    }

    /// The local ref that follows `remote_ref`.
    #[must_use]
    pub fn local_of(&self, remote_ref: &str) -> Option<String> {
        let excluded = self.0.iter().filter_map(|spec| spec.strip_prefix('^'));
        if excluded.into_iter().any(|pattern| captured(pattern, remote_ref).is_some()) {
            return None;
        }
        self.pairs().find_map(|(source, target)| filled(target, captured(source, remote_ref)?))
    }

    /// The remote's ref that `local_ref` follows.
    #[must_use]
    pub fn remote_of(&self, local_ref: &str) -> Option<String> {
        let found = self.pairs().find_map(|(source, target)| filled(source, captured(target, local_ref)?))?;
        // Not when that ref is excluded, or when another refspec comes first for it.
        (self.local_of(&found).as_deref() == Some(local_ref)).then_some(found)
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter(|spec| !spec.starts_with('^'))
            .filter_map(|spec| spec.strip_prefix('+').unwrap_or(spec).split_once(':'))
            .filter(|(source, target)| !source.is_empty() && !target.is_empty())
    }
}

/// What the `*` of a pattern stands for in `name`; an empty text for a pattern without one.
fn captured<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    match pattern.split_once('*') {
        None => (pattern == name).then_some(""),
        Some((before, after)) => name.strip_prefix(before)?.strip_suffix(after),
    }
}

fn filled(pattern: &str, capture: &str) -> Option<String> {
    match pattern.split_once('*') {
        None => capture.is_empty().then(|| pattern.to_owned()),
        Some((before, after)) => Some(format!("{before}{capture}{after}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn specs(list: &[&str]) -> FetchRefspecs {
        FetchRefspecs::new(list.iter().map(|spec| (*spec).to_owned()))
    }

    #[test]
    fn the_default_refspec_maps_branches_and_nothing_else() {
        let specs = specs(&["+refs/heads/*:refs/remotes/origin/*"]);
        assert_eq!(specs.local_of("refs/heads/a/b").unwrap(), "refs/remotes/origin/a/b");
        assert_eq!(specs.local_of("refs/tags/v1"), None);
        assert_eq!(specs.remote_of("refs/remotes/origin/a/b").unwrap(), "refs/heads/a/b");
        assert_eq!(specs.remote_of("refs/remotes/other/a"), None);
    }

    #[test]
    fn a_single_branch_clone_covers_one_branch() {
        let specs = specs(&["+refs/heads/main:refs/remotes/origin/main"]);
        assert_eq!(specs.local_of("refs/heads/main").unwrap(), "refs/remotes/origin/main");
        assert_eq!(specs.local_of("refs/heads/main2"), None);
    }

    #[test]
    fn an_excluded_ref_has_no_local_one() {
        let specs = specs(&["refs/heads/*:refs/remotes/o/*", "^refs/heads/tmp-*"]);
        assert_eq!(specs.local_of("refs/heads/tmp-1"), None);
        assert_eq!(specs.remote_of("refs/remotes/o/tmp-1"), None);
        assert_eq!(specs.local_of("refs/heads/x").unwrap(), "refs/remotes/o/x");
    }

    #[test]
    fn odd_refspecs_are_no_match_and_no_panic() {
        for odd in ["", "+", ":", "*:*", "^", "refs/heads/*", "refs/heads/*:", "a*b*c:d*"] {
            let specs = specs(&[odd]);
            let _ = (specs.local_of("refs/heads/main"), specs.remote_of("refs/heads/main"));
        }
        assert_eq!(specs(&["refs/heads/*:"]).local_of("refs/heads/main"), None);
        assert_eq!(specs(&["ab*ba:x*"]).local_of("aba"), None);
        assert_eq!(specs(&["refs/heads/main:"]).local_of("refs/heads/main"), None);
        assert_eq!(specs(&[":refs/heads/main"]).remote_of("refs/heads/main"), None);
    }
}
