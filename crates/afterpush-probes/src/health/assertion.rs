//! Where an answer names its commit, and whether what stands there is one. Pure: an answer in, a commit or a reason out.

use afterpush_core::{
    config::CommitAssertion,
    fault::{Fault, FaultKind},
    id::{CommitId, MIN_PREFIX},
    run::SeenCommit,
    text,
};
use regex::{Regex, RegexBuilder};
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

/// A limit for the compiled form, so that no expression of a repository takes the monitor's memory.
const REGEX_LIMIT: usize = 1 << 20;

/// The place of the commit, ready to be looked up.
#[derive(Debug)]
pub(super) enum Assertion {
    Pointer(String),
    Header(HeaderName),
    Regex(Regex),
}

impl Assertion {
    pub(super) fn new(configured: &CommitAssertion) -> Result<Self, Fault> {
        let unusable = |what: &str, shown: &str| {
            let shown = text::one_line(shown, 80);
            Fault::new(FaultKind::Malformed, format!("health.commit cannot be used: {what} {shown:?}"))
        };
        match configured {
            CommitAssertion::Pointer(pointer) => Ok(Self::Pointer(pointer.clone())),
            CommitAssertion::Header(name) => {
                HeaderName::try_from(name.as_str()).map(Self::Header).map_err(|_| unusable("no header name", name))
            }
            CommitAssertion::Regex(pattern) => RegexBuilder::new(pattern)
                .size_limit(REGEX_LIMIT)
                .build()
                .map(Self::Regex)
                .map_err(|_| unusable("no regular expression, or too large a one:", pattern)),
        }
    }

    /// The commit that the answer names, or why it names none. A body that was cut is a fault only where it has to be read
    /// whole.
    pub(super) fn find(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        is_cut: bool,
        pushed: &CommitId,
    ) -> Result<Result<SeenCommit, String>, Fault> {
        let (value, place) = match self {
            Self::Pointer(pointer) => {
                let shown = text::one_line(pointer, 80);
                if is_cut {
                    let message = format!("the answer is over {} KiB, too large to look for {shown}", body.len() >> 10);
                    return Err(Fault::new(FaultKind::Malformed, message));
                }
                let place = format!("at {shown}");
                match serde_json::from_slice::<Value>(body) {
                    Err(_) => return Ok(Err(format!("no commit {place}: the body is not JSON"))),
                    Ok(json) => (json.pointer(pointer).map(plain), place),
                }
            }
            Self::Header(name) => {
                let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                (value, format!("in the header {name}"))
            }
            Self::Regex(regex) => {
                let body = String::from_utf8_lossy(body);
                let found = regex.captures(&body).and_then(|found| found.get(1).or_else(|| found.get(0)));
                (found.map(|found| found.as_str().to_owned()), format!("by {:?}", text::one_line(regex.as_str(), 80)))
            }
        };
        let Some(value) = value else { return Ok(Err(format!("no commit {place}"))) };
        let value = value.trim();
        // A number that lost its leading zeros, a version, a branch: nothing that names one commit.
        let is_id = (MIN_PREFIX..=64).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            let shown = text::one_line(value, 40);
            return Ok(Err(format!("no commit {place}: {shown:?} is not a commit id of at least {MIN_PREFIX} digits")));
        }
        Ok(Ok(SeenCommit::compare(value, pushed)))
    }
}

/// A JSON text as it is; any other value in its JSON form, for the message.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // A digits-only id may have been written as a number; then it is one only by chance, and never with its zeros.
        Value::Number(_) => format!("number {value}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use afterpush_core::run::Relation;

    use super::*;

    const OURS: &str = "1234567890abcdef1234567890abcdef12345678";

    fn find(assertion: CommitAssertion, body: &str) -> Result<SeenCommit, String> {
        let mut headers = HeaderMap::new();
        headers.insert("x-commit", OURS.parse().unwrap());
        headers.insert("x-odd", "v1.2".parse().unwrap());
        let pushed = CommitId::parse(OURS).unwrap();
        Assertion::new(&assertion).unwrap().find(&headers, body.as_bytes(), false, &pushed).unwrap()
    }

    fn pointer(text: &str, body: &str) -> Result<SeenCommit, String> {
        find(CommitAssertion::Pointer(text.to_owned()), body)
    }

    #[test]
    fn a_commit_is_found_by_pointer_header_and_expression() {
        assert_eq!(
            pointer("/a/0/commit", &format!(r#"{{"a":[{{"commit":"{OURS}"}}]}}"#)).unwrap().relation,
            Relation::Same
        );
        assert_eq!(find(CommitAssertion::Header("X-Commit".to_owned()), "").unwrap().relation, Relation::Same);
        for expression in ["commit: ([0-9a-f]+)", "[0-9a-f]{7,40}"] {
            let found = find(CommitAssertion::Regex(expression.to_owned()), "commit: 1234567, since today");
            assert_eq!(found.unwrap().relation, Relation::Same, "{expression}");
        }
        let other = pointer("/commit", r#"{"commit":" ABCDEF1 "}"#).unwrap();
        assert_eq!((other.relation, other.id.as_str()), (Relation::Other, "abcdef1"));
    }

    #[test]
    fn what_is_no_commit_id_is_told_and_never_counts() {
        for (body, expected) in [
            (r#"{"commit":"123456"}"#, "is not a commit id of at least 7 digits"),
            (r#"{"commit":1234567}"#, "is not a commit id"),
            (r#"{"commit":"main"}"#, "\"main\" is not a commit id"),
            (r#"{"commit":"1234567-dirty"}"#, "is not a commit id"),
            (r#"{"commit":null}"#, "is not a commit id"),
            (r#"{"commit":""}"#, "is not a commit id"),
            (r#"{"other":1}"#, "no commit at /commit"),
            ("<html>1234567</html>", "the body is not JSON"),
            (r#"{"commit":"1234567"#, "the body is not JSON"),
            ("", "the body is not JSON"),
        ] {
            let said = pointer("/commit", body).unwrap_err();
            assert!(said.starts_with("no commit at /commit") && said.contains(expected), "{body}: {said}");
        }
        let deep = "[".repeat(100_000);
        assert!(pointer("/commit", &deep).is_err());
        let long = format!(r#"{{"commit":"{}\u001b[31m"}}"#, "x".repeat(10_000));
        let said = pointer("/commit", &long).unwrap_err();
        assert!(said.len() < 200 && !said.contains('\u{1b}'), "{said}");
        assert!(find(CommitAssertion::Header("x-odd".to_owned()), "").unwrap_err().contains("in the header x-odd"));
        assert_eq!(
            find(CommitAssertion::Header("x-none".to_owned()), "").unwrap_err(),
            "no commit in the header x-none"
        );
        assert_eq!(find(CommitAssertion::Regex("c=(.*)".to_owned()), "none").unwrap_err(), "no commit by \"c=(.*)\"");
    }

    #[test]
    fn an_assertion_that_cannot_be_used_is_said_so() {
        for unusable in [
            CommitAssertion::Regex("(".to_owned()),
            CommitAssertion::Regex("(a{1000}){1000}".to_owned()),
            CommitAssertion::Header("no header".to_owned()),
        ] {
            let fault = Assertion::new(&unusable).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
            assert!(fault.message.starts_with("health.commit cannot be used"), "{fault}");
        }
    }
}
