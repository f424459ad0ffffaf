//! Whether an HTTP answer is as the configuration expects. Pure: an answer in, an observation out.

use std::time::Duration;

use afterpush_core::{
    config::HealthConfig,
    fault::{Fault, FaultKind},
    id::{CommitId, abbreviated},
    observation::CheckObservation,
    run::{SeenCommit, SubCheck},
    text,
};
use reqwest::header::{self, HeaderMap};
use serde_json::Value;

use super::{
    assertion::Assertion,
    sub_checks::{self, Recognised},
    unhealthy,
};

/// How many broken parts a summary names.
const MOST_NAMED: usize = 3;

/// An answer, as far as it is looked at.
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// There is more of the body than was read.
    pub(super) is_cut: bool,
    /// From the first connection to the end of the body.
    pub(super) took: Duration,
}

/// Compares an answer with what is expected of it.
pub(super) fn judge(
    config: &HealthConfig,
    reply: &Reply<'_>,
    assertion: Option<&Assertion>,
    pushed: &CommitId,
) -> Result<CheckObservation, Fault> {
    // What stands between here and the application has answered in its place, and wants a login of its own.
    if matches!(reply.status, 407 | 511) && !config.status.contains(&reply.status) {
        let message = format!("the network in between wants a login ({})", reply.status);
        return Err(Fault::new(FaultKind::Transient, message));
    }
    let json = if reply.is_cut { None } else { serde_json::from_slice::<Value>(reply.body).ok() };
    let Recognised { is_well, sub_checks } = if config.depends.is_empty() {
        let content_type = reply.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        sub_checks::recognise(content_type.unwrap_or_default(), json.as_ref(), reply.body)
    } else {
        let sub_checks = config.depends.iter().map(|pointer| sub_checks::at(json.as_ref(), pointer)).collect();
        Recognised { is_well: None, sub_checks }
    };
    if !config.status.contains(&reply.status) {
        let why = named(&broken(&sub_checks, false)).map(|parts| format!(": {parts}")).unwrap_or_default();
        return Ok(unhealthy(format!("answered {}{why}", reply.status), sub_checks));
    }
    // What has to be read whole cannot be judged by its beginning.
    if let Some(pointer) = config.depends.first().or_else(|| config.equals.first().map(|(pointer, _)| pointer))
        && reply.is_cut
    {
        let (size, shown) = (reply.body.len() >> 10, text::one_line(pointer, 80));
        let message = format!("the answer is over {size} KiB, too large to look for {shown}");
        return Err(Fault::new(FaultKind::Malformed, message));
    }
    let complaint = parts_complaint(config, is_well, &sub_checks)
        .or_else(|| body_complaint(config, reply))
        .or_else(|| value_complaint(config, json.as_ref()))
        .or_else(|| too_slow(config, reply.took));
    if let Some(complaint) = complaint {
        return Ok(unhealthy(format!("{}{complaint}", reply.status), sub_checks));
    }
    let (commit, said) = match assertion {
        Some(assertion) => said(assertion.find(reply.headers, reply.body, reply.is_cut, pushed)?),
        None => (None, String::new()),
    };
    let summary = format!("{}{said}", reply.status);
    Ok(CheckObservation { healthy: true, commit, summary, sub_checks, warning: None })
}

/// The commit that was found, or why none was, as the end of a summary.
pub(super) fn said(found: Result<SeenCommit, String>) -> (Option<SeenCommit>, String) {
    match found {
        Ok(commit) => {
            let shown = format!(", commit {}", abbreviated(&commit.id));
            (Some(commit), shown)
        }
        Err(said) => (None, format!(", {said}")),
    }
}

/// The end of a summary when the answer took longer than it may.
pub(super) fn too_slow(config: &HealthConfig, took: Duration) -> Option<String> {
    let limit = config.max_latency.filter(|limit| took > *limit)?;
    Some(format!(" after {} ms, over {} ms", took.as_millis(), limit.as_millis()))
}

/// A part that was named in the configuration has to be well; of a body in a known form its own verdict counts.
fn parts_complaint(config: &HealthConfig, is_well: Option<bool>, sub_checks: &[SubCheck]) -> Option<String> {
    let is_named = !config.depends.is_empty();
    let parts = named(&broken(sub_checks, is_named));
    match (is_named, is_well) {
        (true, _) => parts.map(|parts| format!(", but {parts}")),
        (false, Some(false)) => {
            Some(format!(", but {}", parts.unwrap_or_else(|| "its body says it is not well".into())))
        }
        (false, _) => None,
    }
}

/// The parts that are not well; `strictly` those of which that is not known, too.
fn broken(sub_checks: &[SubCheck], strictly: bool) -> Vec<&SubCheck> {
    let is_broken = |part: &&SubCheck| part.healthy == Some(false) || (strictly && part.healthy.is_none());
    sub_checks.iter().filter(is_broken).collect()
}

fn named(parts: &[&SubCheck]) -> Option<String> {
    let mut shown: Vec<String> =
        parts.iter().take(MOST_NAMED).map(|part| format!("{}: {}", part.name, part.summary)).collect();
    if parts.len() > MOST_NAMED {
        shown.push(format!("{} more", parts.len() - MOST_NAMED));
    }
    (!shown.is_empty()).then(|| shown.join(", "))
}

fn body_complaint(config: &HealthConfig, reply: &Reply<'_>) -> Option<String> {
    if config.contains.is_empty() && config.excludes.is_empty() {
        return None;
    }
    let body = String::from_utf8_lossy(reply.body);
    let shown = |text: &str| text::one_line(text, 60);
    if let Some(missing) = config.contains.iter().find(|text| !body.contains(text.as_str())) {
        let place = if reply.is_cut { "the first part of the body" } else { "the body" };
        return Some(format!(", but {place} does not hold {:?}", shown(missing)));
    }
    let present = config.excludes.iter().find(|text| body.contains(text.as_str()))?;
    Some(format!(", but the body holds {:?}", shown(present)))
}

fn value_complaint(config: &HealthConfig, json: Option<&Value>) -> Option<String> {
    let (pointer, expected) = config
        .equals
        .iter()
        .find(|(pointer, expected)| json.and_then(|json| json.pointer(pointer)) != Some(expected))?;
    let shown = text::one_line(pointer, 80);
    Some(match json {
        None => format!(", but the body is not JSON, in which {shown} could be looked for"),
        Some(json) => match json.pointer(pointer) {
            None => format!(", but there is nothing at {shown}"),
            Some(found) => format!(", but {shown} is {}, not {expected}", text::one_line(&found.to_string(), 60)),
        },
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use afterpush_core::config::HealthAddress;

    use super::*;

    const OURS: &str = "1234567890abcdef1234567890abcdef12345678";

    fn config() -> HealthConfig {
        HealthConfig::of(HealthAddress::Path("/health".to_owned()))
    }

    fn judged(config: &HealthConfig, status: u16, body: &str) -> (bool, String) {
        let headers = HeaderMap::new();
        let took = Duration::from_millis(812);
        let reply = Reply { status, headers: &headers, body: body.as_bytes(), is_cut: false, took };
        let seen = judge(config, &reply, None, &CommitId::parse(OURS).unwrap()).unwrap();
        (seen.healthy, seen.summary)
    }

    fn says(config: &HealthConfig, body: &str, expected: &str) {
        let (healthy, summary) = judged(config, 200, body);
        assert_eq!((healthy, summary.as_str()), (expected == "200", expected), "{body}");
    }

    #[test]
    fn texts_are_required_and_forbidden() {
        let texts = HealthConfig {
            contains: vec!["welcome".to_owned(), "shop".to_owned()],
            excludes: vec!["maintenance".to_owned()],
            ..config()
        };
        says(&texts, "welcome to the shop", "200");
        says(&texts, "welcome", "200, but the body does not hold \"shop\"");
        says(&texts, "", "200, but the body does not hold \"welcome\"");
        says(&texts, "welcome to the shop, in maintenance", "200, but the body holds \"maintenance\"");
    }

    #[test]
    fn values_are_compared_with_their_type() {
        let equal = |value: Value| HealthConfig { equals: vec![("/a/b".to_owned(), value)], ..config() };
        for value in [Value::from("ok"), Value::from(true), Value::from(3)] {
            says(&equal(value.clone()), &format!(r#"{{"a":{{"b":{value}}}}}"#), "200");
        }
        says(&equal(Value::from("3")), r#"{"a":{"b":3}}"#, "200, but /a/b is 3, not \"3\"");
        says(&equal(Value::from(true)), r#"{"a":{"b":"true"}}"#, "200, but /a/b is \"true\", not true");
        says(&equal(Value::from(true)), "{}", "200, but there is nothing at /a/b");
        says(&equal(Value::from(true)), "<p>", "200, but the body is not JSON, in which /a/b could be looked for");
    }

    #[test]
    fn a_slow_answer_is_unhealthy() {
        let within = |millis| HealthConfig { max_latency: Some(Duration::from_millis(millis)), ..config() };
        says(&within(812), "", "200");
        says(&within(500), "", "200 after 812 ms, over 500 ms");
    }

    #[test]
    fn a_part_that_is_depended_on_has_to_be_there_and_well() {
        let depends = |pointers: &[&str]| HealthConfig {
            depends: pointers.iter().map(|pointer| (*pointer).to_owned()).collect(),
            ..config()
        };
        let body = r#"{"checks":{"database":"ok","cache":{"status":"down","error":"refused"},"mail":"meh"}}"#;
        says(&depends(&["/checks/database"]), body, "200");
        says(&depends(&["/checks/database", "/checks/cache"]), body, "200, but /checks/cache: down, refused");
        says(&depends(&["/checks/mail"]), body, "200, but /checks/mail: meh");
        says(&depends(&["/checks/queue"]), body, "200, but /checks/queue: not in the answer");
        says(&depends(&["/checks/queue"]), "ok", "200, but /checks/queue: not in the answer");
        let (_, summary) = judged(&depends(&["/checks/cache"]), 503, body);
        assert_eq!(summary, "answered 503: /checks/cache: down, refused");
    }

    #[test]
    fn the_verdict_of_a_known_form_counts_beside_the_status() {
        let sick = r#"{"status":"DOWN","components":{"db":{"status":"DOWN"},"disk":{"status":"UP"}}}"#;
        says(&config(), sick, "200, but db: DOWN");
        assert_eq!(judged(&config(), 503, sick), (false, "answered 503: db: DOWN".to_owned()));
        says(&config(), r#"{"status":"DOWN","components":{}}"#, "200, but its body says it is not well");
        says(&config(), r#"{"status":"UP","components":{"db":{"status":"UP"}}}"#, "200");
    }

    #[test]
    fn a_body_that_has_to_be_read_whole_is_not_judged_by_its_beginning() {
        let headers = HeaderMap::new();
        let reply = Reply { status: 200, headers: &headers, body: b"{}", is_cut: true, took: Duration::ZERO };
        let depends = HealthConfig { depends: vec!["/a".to_owned()], ..config() };
        let fault = judge(&depends, &reply, None, &CommitId::parse(OURS).unwrap()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Malformed, "{fault}");
    }
}
