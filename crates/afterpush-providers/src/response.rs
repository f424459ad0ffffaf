//! Reads what every provider's responses have in common: the kind of trouble that a status code means, how long to wait,
//! and whether a body is JSON at all.
//!
//! Invariant: pure, and no part of a body reaches a fault's text but the error's id, cleaned.

use std::time::Duration;

use afterpush_core::{
    fault::{Fault, FaultKind},
    text::one_line,
};
use jiff::{Timestamp, fmt::rfc2822};
use serde::{Deserialize, de::DeserializeOwned};

use crate::HttpResponse;

/// The longest wait that is believed; what is honoured of it is up to the policy.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a request was about, for the texts of faults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The vendor's name.
    pub(crate) vendor: &'static str,
    /// What was asked for, such as "the app's deployments".
    pub(crate) what: &'a str,
    /// The scope that the token needs for it.
    pub(crate) scope: &'static str,
}

/// Reads a successful response as JSON, and every other one as a fault.
pub(crate) fn json<T: DeserializeOwned>(response: &HttpResponse, asked: Asked<'_>) -> Result<T, Fault> {
    if !(200..300).contains(&response.status) {
        return Err(fault(response, asked));
    }
    let Asked { vendor, what, .. } = asked;
    let malformed =
        |text: &str| Err(Fault::new(FaultKind::Malformed, format!("{vendor}'s answer about {what} {text}")));
    match response.body.trim_ascii_start().first() {
        None => malformed("is empty"),
        Some(b'<') => malformed("is a web page instead of JSON"),
        Some(_) => match serde_json::from_slice(&response.body) {
            Ok(value) => Ok(value),
            // serde_json's own text may quote a value of the body.
            Err(error) if error.is_eof() => malformed("was cut short"),
            Err(error) if error.is_data() => malformed("does not have the shape that it should have"),
            Err(_) => malformed("is not JSON"),
        },
    }
}

/// The kind of trouble that a status other than 2xx means.
pub(crate) fn fault(response: &HttpResponse, asked: Asked<'_>) -> Fault {
    let Asked { vendor, what, scope } = asked;
    let status = response.status;
    let (kind, text) = match status {
        403 if is_rate_limited(response) => {
            (FaultKind::RateLimited, format!("{vendor} limits the rate of calls ({status})"))
        }
        401 => (
            FaultKind::Unauthorized,
            format!("{vendor} does not accept the token ({status}) for {what}; it needs the scope {scope}"),
        ),
        403 => {
            (FaultKind::Unauthorized, format!("the token may not read {what} ({status}); it needs the scope {scope}"))
        }
        404 | 410 => (FaultKind::NotFound, format!("{vendor} does not know {what} ({status})")),
        429 => (FaultKind::RateLimited, format!("{vendor} limits the rate of calls ({status})")),
        408 | 425 | 500..=599 => (FaultKind::Transient, format!("{vendor} could not answer about {what} ({status})")),
        300..=399 => {
            (FaultKind::Malformed, format!("{vendor} redirects {what} elsewhere ({status}), which is not followed"))
        }
        _ => (FaultKind::Malformed, format!("{vendor} answered {status} about {what}")),
    };
    let message = match error_id(&response.body) {
        Some(id) => format!("{text}: {id}"),
        None => text,
    };
    let retry_after = match kind {
        FaultKind::RateLimited | FaultKind::Transient => wait(response),
        _ => None,
    };
    Fault { kind, message, retry_after }
}

/// The short id in an error's body, such as `bad_request`; the message beside it is for the vendor's own page.
fn error_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        id: String,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let id = one_line(&body.id, 40);
    (!id.is_empty()).then_some(id)
}

/// How long the other side asks us to wait: `retry-after` in seconds or as a date, else, for a refused call, the time at which
/// its budget is full again. A point in time is measured from the response's own `date`, because the two clocks need not
/// agree and this crate has none.
fn wait(response: &HttpResponse) -> Option<Duration> {
    let seconds = match response.header("retry-after").map(str::trim) {
        Some(text) => match text.parse::<u64>() {
            Ok(seconds) => seconds,
            Err(_) => until(http_date(text)?, now(response)?),
        },
        None if matches!(response.status, 403 | 429) => budget(response)?.over?.as_secs(),
        None => return None,
    };
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// What is left of a budget of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many calls there are in all, where the vendor tells.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: u64,
    /// How long until they are as many as in the beginning, where the vendor tells.
    pub over: Option<Duration>,
}

/// What a response tells about the vendor's budget of calls: `ratelimit-*` or `x-ratelimit-*`, or the structured `ratelimit`
/// field of the IETF's draft.
#[must_use]
pub fn budget(response: &HttpResponse) -> Option<Budget> {
    if let Some(structured) = response.header("ratelimit").and_then(|text| structured(response, text)) {
        return Some(structured);
    }
    let header = |name: &str| {
        let value = response.header(&format!("ratelimit-{name}")).or(response.header(&format!("x-ratelimit-{name}")));
        value.map(str::trim)
    };
    let number = |name: &str| header(name).and_then(|text| text.parse().ok());
    let over = header("reset").and_then(|text| match text.parse::<u64>() {
        // Some vendors give a point in time, others the seconds until then, and not all by their own description.
        Ok(number) if number < EARLIEST_TIME => Some(number),
        Ok(number) => {
            let then = Timestamp::from_second(i64::try_from(number).ok()?).ok()?;
            Some(until(then, now(response)?))
        }
        Err(_) => Some(until(http_date(text)?, now(response)?)),
    });
    Some(Budget { limit: number("limit"), remaining: number("remaining")?, over: over.map(capped) })
}

/// Below this a number is no point in time but a duration: it would be in January of 1970.
const EARLIEST_TIME: u64 = 1_000_000;

/// `"default";r=50;t=30`, with the whole budget in `ratelimit-policy: "default";q=100;w=60`.
fn structured(response: &HttpResponse, text: &str) -> Option<Budget> {
    let parameter = |text: &str, wanted: &str| {
        text.split(';').skip(1).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            (name.trim() == wanted).then(|| value.trim().parse::<u64>().ok())?
        })
    };
    // The first of several policies is the one that is nearest to its end.
    let text = text.split(',').next()?;
    let limit = response.header("ratelimit-policy").and_then(|policies| {
        let name = text.split(';').next()?.trim();
        let policy = policies.split(',').find(|policy| policy.trim().starts_with(name))?;
        parameter(policy, "q")
    });
    let over = parameter(text, "t").map(capped);
    Some(Budget { limit, remaining: parameter(text, "r")?, over })
}

fn capped(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST_WAIT)
}

/// Tells whether a response refuses a call because of its rate: 429, and 403 where it says that nothing is left (GitHub).
#[must_use]
pub fn is_rate_limited(response: &HttpResponse) -> bool {
    match response.status {
        429 => true,
        403 => response.header("retry-after").is_some() || budget(response).is_some_and(|budget| budget.remaining == 0),
        _ => false,
    }
}

/// How long a response that refuses a call because of its rate asks us to wait. `None` when it does not refuse it, or does
/// not tell.
#[must_use]
pub fn rate_limit_wait(response: &HttpResponse) -> Option<Duration> {
    is_rate_limited(response).then(|| wait(response)).flatten()
}

/// The time of the response by the vendor's own clock.
fn now(response: &HttpResponse) -> Option<Timestamp> {
    response.header("date").and_then(http_date)
}

fn until(then: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(then.as_second().saturating_sub(now.as_second())).unwrap_or(0)
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::*;

    const ASKED: Asked<'_> = Asked { vendor: "Vendor", what: "the app", scope: "app:read" };

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> HttpResponse {
        HttpResponse {
            status,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn each_status_is_its_kind_of_trouble() {
        for (status, kind) in [
            (302, FaultKind::Malformed),
            (400, FaultKind::Malformed),
            (401, FaultKind::Unauthorized),
            (403, FaultKind::Unauthorized),
            (404, FaultKind::NotFound),
            (408, FaultKind::Transient),
            (429, FaultKind::RateLimited),
            (500, FaultKind::Transient),
            (503, FaultKind::Transient),
        ] {
            let fault = json::<Value>(&response(status, &[], "{}"), ASKED).unwrap_err();
            assert_eq!(fault.kind, kind, "{status}");
            assert!(fault.message.contains(&status.to_string()), "{fault}");
        }
        let fault = json::<Value>(&response(403, &[], ""), ASKED).unwrap_err();
        assert!(fault.message.contains("app:read"), "{fault}");
    }

    #[test]
    fn a_body_that_is_not_the_json_it_should_be_is_malformed_and_never_quoted() {
        #[derive(Debug, Deserialize)]
        struct Wanted {
            #[expect(dead_code, reason = "only its presence counts")]
            number: u8,
        }
        for (body, text) in [
            ("", "is empty"),
            (" \n<html>secret</html>", "web page"),
            ("{\"number\": 1", "cut short"),
            ("{\"number\": \"secret\"}", "the shape"),
            ("null", "the shape"),
            ("{}", "the shape"),
            ("secret", "is not JSON"),
            (&"[".repeat(100_000), "the shape"),
        ] {
            let fault = json::<Wanted>(&response(200, &[], body), ASKED).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Malformed);
            assert!(fault.message.contains(text), "{fault}");
            assert!(!fault.message.contains("secret"), "{fault}");
        }
    }

    #[test]
    fn an_errors_id_is_told_and_its_message_is_not() {
        let body = r#"{"id":"bad\u001b[31m_request","message":"secret"}"#;
        let fault = json::<Value>(&response(400, &[], body), ASKED).unwrap_err();
        assert_eq!(fault.message, "Vendor answered 400 about the app: bad_request");
    }

    #[test]
    fn the_wish_to_wait_is_read_in_every_form() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (status, headers, expected) in [
            (429, vec![("retry-after", "17")], seconds(17)),
            (503, vec![("retry-after", " 17 ")], seconds(17)),
            (401, vec![("retry-after", "17")], None),
            (429, vec![("retry-after", "18446744073709551615")], Some(LONGEST_WAIT)),
            (429, vec![("retry-after", "soon")], None),
            (429, vec![("retry-after", "-1")], None),
            (429, vec![], None),
            (429, vec![date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], seconds(30)),
            (429, vec![date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], seconds(0)),
            (429, vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], None),
            (429, vec![date, ("ratelimit-remaining", "0"), ("ratelimit-reset", "784111797")], seconds(20)),
            (429, vec![("ratelimit-reset", "784111797")], None),
            (500, vec![date, ("ratelimit-remaining", "0"), ("ratelimit-reset", "784111797")], None),
            (403, vec![date, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "784111797")], seconds(20)),
            (429, vec![("ratelimit", "\"default\";r=0;t=30")], seconds(30)),
        ] {
            let fault = fault(&response(status, &headers, ""), ASKED);
            assert_eq!(fault.retry_after, expected, "{status} {headers:?}");
        }
    }

    #[test]
    fn a_budget_is_read_in_every_vendors_form() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let budget = |headers: &[(&str, &str)]| budget(&response(200, headers, ""));
        let told = |limit, remaining, seconds: Option<u64>| {
            Some(Budget { limit, remaining, over: seconds.map(Duration::from_secs) })
        };
        for (headers, expected) in [
            (vec![], None),
            (vec![("ratelimit-limit", "5000")], None),
            (
                vec![
                    date,
                    ("ratelimit-limit", "5000"),
                    ("ratelimit-remaining", "40"),
                    ("ratelimit-reset", "784111797"),
                ],
                told(Some(5000), 40, Some(20)),
            ),
            (vec![("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "45")], told(None, 7, Some(45))),
            (vec![("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "784111797")], told(None, 7, None)),
            (
                vec![date, ("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "Sun, 06 Nov 1994 08:50:07 GMT")],
                told(None, 7, Some(30)),
            ),
            (vec![("ratelimit-remaining", "4499")], told(None, 4499, None)),
            (
                vec![
                    ("ratelimit", "\"default\";r=50;t=30"),
                    ("ratelimit-policy", "\"burst\";q=9;w=1, \"default\";q=100;w=60"),
                ],
                told(Some(100), 50, Some(30)),
            ),
            (vec![("ratelimit", "\"default\";r=many")], None),
            (vec![("ratelimit-remaining", "-1")], None),
        ] {
            assert_eq!(budget(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_refusal_for_the_rate_is_told_from_a_missing_permission() {
        let kind = |headers: &[(&str, &str)]| fault(&response(403, headers, ""), ASKED).kind;
        assert_eq!(kind(&[]), FaultKind::Unauthorized);
        assert_eq!(kind(&[("x-ratelimit-remaining", "4000")]), FaultKind::Unauthorized);
        assert_eq!(kind(&[("x-ratelimit-remaining", "0")]), FaultKind::RateLimited);
        assert_eq!(kind(&[("retry-after", "60")]), FaultKind::RateLimited);
    }
}
