//! Takes a credential out of an answer that repeats it, before anything of the answer is read, kept or shared: an error that
//! quotes the token, a build's log that prints it. Pure.

use std::borrow::Cow;

use afterpush_core::redact::scrub;
use afterpush_providers::{Credential, HttpResponse};
use serde_json::Value;

/// The response without the credential, in its headers and in its body.
pub(crate) fn without(mut response: HttpResponse, credential: Option<&Credential>) -> HttpResponse {
    let Some(Credential::Bearer(secret) | Credential::Header(_, secret)) = credential else { return response };
    // `Basic dXNlcjpwYXNz` may come back without its first word.
    let whole = secret.expose();
    let secrets = [whole, whole.split_whitespace().last().unwrap_or(whole)];
    for (_, value) in &mut response.headers {
        if let Cow::Owned(clean) = scrub(value, &secrets) {
            *value = clean;
        }
    }
    if let Some(clean) = clean(&String::from_utf8_lossy(&response.body), &secrets) {
        response.body = clean.into_bytes();
    }
    response
}

/// `None` when there is nothing to change.
fn clean(text: &str, secrets: &[&str]) -> Option<String> {
    let clean = scrub(text, secrets);
    in_json(&clean, secrets).or(match clean {
        Cow::Owned(clean) => Some(clean),
        Cow::Borrowed(_) => None,
    })
}

/// JSON can write each character in several ways. `None` when there is nothing to change.
fn in_json(text: &str, secrets: &[&str]) -> Option<String> {
    if !["\\u", "\\/"].iter().any(|escape| text.contains(escape)) {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let mut clean = value.clone();
    scrub_texts(&mut clean, secrets);
    (clean != value).then(|| clean.to_string())
}

fn scrub_texts(value: &mut Value, secrets: &[&str]) {
    match value {
        Value::String(text) => *text = scrub(text, secrets).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub_texts(item, secrets)),
        Value::Object(fields) => fields.values_mut().for_each(|field| scrub_texts(field, secrets)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use afterpush_providers::Secret;

    use super::*;

    fn echoed(body: &str, secret: &str) -> (String, String) {
        let headers = vec![("etag".to_owned(), format!("\"{secret}\""))];
        let response = HttpResponse { status: 200, headers, body: body.as_bytes().to_vec() };
        let credential = Credential::Header("authorization", Secret::new(secret));
        let clean = without(response, Some(&credential));
        (clean.headers[0].1.clone(), String::from_utf8_lossy(&clean.body).into_owned())
    }

    #[test]
    fn an_answer_does_not_keep_the_credential_that_it_repeats() {
        let (etag, body) = echoed(r#"{"id":"no such token: tok/en-5161"}"#, "tok/en-5161");
        assert_eq!((etag.as_str(), body.as_str()), ("\"[redacted]\"", r#"{"id":"no such token: [redacted]"}"#));
        for body in [r#"{"a":["tok\/en-5161"]}"#, r#"{"a":["\u0074ok/en-\u0035161"]}"#] {
            assert_eq!(echoed(body, "tok/en-5161").1, r#"{"a":["[redacted]"]}"#, "{body}");
        }
        assert_eq!(echoed("curl -H dXNlcjpwYXNz", "Basic dXNlcjpwYXNz").1, "curl -H [redacted]");
    }

    #[test]
    fn every_other_answer_stays_as_it_is() {
        for body in ["{ \"a\" : \"\\u0041\" }", "\u{fffd}", "<html>", ""] {
            assert_eq!(echoed(body, "token-5161").1, body);
        }
        let response = HttpResponse { status: 200, headers: Vec::new(), body: vec![0xff, 0xfe] };
        let credential = Credential::Bearer(Secret::new("token-5161"));
        assert_eq!(without(response.clone(), Some(&credential)), response);
        assert_eq!(without(response.clone(), None), response);
    }
}
