//! Where an answer names its commit, and whether what stands there is one. Pure: an answer in, a commit or a reason out.

use std::sync::LazyLock;

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
    Header(HeaderName, Option<Regex>),
    Meta(String),
    Regex(Regex),
}

impl Assertion {
    pub(super) fn new(configured: &CommitAssertion) -> Result<Self, Fault> {
        let unusable = |what: &str, shown: &str| {
            let shown = text::one_line(shown, 80);
            Fault::new(FaultKind::Malformed, format!("health.commit cannot be used: {what} {shown:?}"))
        };
        let compiled = |pattern: &str| {
            let built = RegexBuilder::new(pattern).size_limit(REGEX_LIMIT).build();
            built.map_err(|_| unusable("no regular expression, or too large a one:", pattern))
        };
        match configured {
            CommitAssertion::Pointer(pointer) => Ok(Self::Pointer(pointer.clone())),
            CommitAssertion::Header { name, regex } => {
                let header = HeaderName::try_from(name.as_str()).map_err(|_| unusable("no header name", name))?;
                Ok(Self::Header(header, regex.as_deref().map(compiled).transpose()?))
            }
            CommitAssertion::Meta(name) => Ok(Self::Meta(name.clone())),
            CommitAssertion::Regex(pattern) => compiled(pattern).map(Self::Regex),
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
            Self::Header(name, regex) => {
                let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                let inside = |value: String| match regex {
                    Some(regex) => captured(regex, &value),
                    None => Some(value),
                };
                (value.and_then(inside), format!("in the header {name}"))
            }
            Self::Meta(name) => {
                let shown = text::one_line(name, 80);
                (meta_content(&String::from_utf8_lossy(body), name), format!("in the meta tag {shown}"))
            }
            Self::Regex(regex) => {
                let found = captured(regex, &String::from_utf8_lossy(body));
                (found, format!("by {:?}", text::one_line(regex.as_str(), 80)))
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

/// The first group of the first match, or the whole match.
fn captured(regex: &Regex, text: &str) -> Option<String> {
    let found = regex.captures(text)?;
    Some(found.get(1).or_else(|| found.get(0))?.as_str().to_owned())
}

/// The content of the first meta tag of this name.
fn meta_content(html: &str, name: &str) -> Option<String> {
    static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new("(?i)<meta\\b[^>]*>").expect("it is written here"));
    static ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r#"(?i)\b(name|property|content)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"#;
        Regex::new(pattern).expect("it is written here")
    });
    TAG.find_iter(html).find_map(|tag| {
        let (mut names, mut content) = (false, None);
        for found in ATTRIBUTE.captures_iter(tag.as_str()) {
            let value = found.iter().skip(2).flatten().next().map_or("", |value| value.as_str());
            if found[1].eq_ignore_ascii_case("content") {
                content = Some(value.to_owned());
            } else {
                names |= value.eq_ignore_ascii_case(name);
            }
        }
        content.filter(|_| names)
    })
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

    fn header(name: String) -> CommitAssertion {
        CommitAssertion::Header { name, regex: None }
    }

    fn find(assertion: CommitAssertion, body: &str) -> Result<SeenCommit, String> {
        let mut headers = HeaderMap::new();
        headers.insert("x-commit", OURS.parse().unwrap());
        headers.insert("x-long", format!("fra1::{OURS}-1700000000000").parse().unwrap());
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
        assert_eq!(find(header("X-Commit".to_owned()), "").unwrap().relation, Relation::Same);
        for expression in ["commit: ([0-9a-f]+)", "[0-9a-f]{7,40}"] {
            let found = find(CommitAssertion::Regex(expression.to_owned()), "commit: 1234567, since today");
            assert_eq!(found.unwrap().relation, Relation::Same, "{expression}");
        }
        let other = pointer("/commit", r#"{"commit":" ABCDEF1 "}"#).unwrap();
        assert_eq!((other.relation, other.id.as_str()), (Relation::Other, "abcdef1"));
    }

    #[test]
    fn a_commit_inside_a_longer_header_is_found_by_its_expression() {
        let inside = |regex: &str| CommitAssertion::Header { name: "x-long".to_owned(), regex: Some(regex.to_owned()) };
        for expression in ["::([0-9a-f]+)-", "[0-9a-f]{40}"] {
            assert_eq!(find(inside(expression), OURS).unwrap().relation, Relation::Same, "{expression}");
        }
        // The body holds it, the header's part does not.
        assert_eq!(
            find(inside("^fra1"), OURS).unwrap_err(),
            "no commit in the header x-long: \"fra1\" is not a commit id of at least 7 digits"
        );
        assert_eq!(find(inside("zzz"), OURS).unwrap_err(), "no commit in the header x-long");
    }

    #[test]
    fn a_commit_is_found_in_a_meta_tag_of_its_name() {
        let meta = || CommitAssertion::Meta("commit".to_owned());
        for page in [
            format!(r#"<html><head><meta charset=utf-8><meta name="commit" content="{OURS}"></head>"#),
            format!("<META content='{OURS}' NAME='commit'/>"),
            format!("<meta property=commit content={OURS}>"),
            format!("<meta\n  name=\"Commit\"\n  content=\"{OURS}\"\n>"),
        ] {
            assert_eq!(find(meta(), &page).unwrap().relation, Relation::Same, "{page}");
        }
        for page in [
            format!(r#"<meta name="other" content="{OURS}">"#),
            format!(r#"<meta name="commit">{OURS}"#),
            format!(r#"<p name="commit" content="{OURS}">"#),
            String::new(),
        ] {
            assert_eq!(find(meta(), &page).unwrap_err(), "no commit in the meta tag commit", "{page}");
        }
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
        assert!(find(header("x-odd".to_owned()), "").unwrap_err().contains("in the header x-odd"));
        assert_eq!(find(header("x-none".to_owned()), "").unwrap_err(), "no commit in the header x-none");
        assert_eq!(find(CommitAssertion::Regex("c=(.*)".to_owned()), "none").unwrap_err(), "no commit by \"c=(.*)\"");
    }

    #[test]
    fn an_assertion_that_cannot_be_used_is_said_so() {
        for unusable in [
            CommitAssertion::Regex("(".to_owned()),
            CommitAssertion::Regex("(a{1000}){1000}".to_owned()),
            header("no header".to_owned()),
        ] {
            let fault = Assertion::new(&unusable).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
            assert!(fault.message.starts_with("health.commit cannot be used"), "{fault}");
        }
    }
}
