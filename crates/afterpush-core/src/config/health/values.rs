//! The values of a health check's keys: addresses, status codes, texts and pointers.

use std::time::Duration;

use serde_json::Value;
use toml::de::DeValue;

use super::{Author, ConfigError, Entry};
use crate::config::{HealthAddress, HealthMethod, address as addresses};

const LONGEST_TIMEOUT: Duration = Duration::from_secs(20);
const MOST_TEXTS: usize = 20;

pub(super) fn path(entry: &Entry<'_>) -> Result<HealthAddress, ConfigError> {
    let expected =
        "a path such as \"/health\": one slash first, printable ASCII without \"..\", \"@\", \"#\" and backslash";
    Ok(HealthAddress::Path(entry.text_that(addresses::is_sound_path, expected)?.to_owned()))
}

/// `url`, `tcp` or `grpc`: an address that names a host.
pub(super) fn address(entry: &Entry<'_>, author: Author) -> Result<HealthAddress, ConfigError> {
    let user_named = author == Author::User;
    let only_user = if user_named { "" } else { " (http:// only in your own configuration file)" };
    let schemes = if user_named { "an http:// or https://" } else { "an https://" };
    let is_allowed =
        |url: &str| addresses::parse(url).filter(|url| user_named || url.is_encrypted).map(|url| url.rest.to_owned());
    Ok(match entry.key {
        "url" => {
            let expected = format!("{schemes} address without user name and fragment{only_user}");
            let is_sound = |url: &str| is_allowed(url).is_some_and(|rest| !rest.contains('#'));
            HealthAddress::Url { url: entry.text_that(is_sound, &expected)?.to_owned(), user_named }
        }
        "grpc" => {
            let expected = format!("{schemes} address without user name and path{only_user}");
            let is_sound = |url: &str| is_allowed(url).is_some_and(|rest| rest.is_empty() || rest == "/");
            let url = entry.text_that(is_sound, &expected)?.to_owned();
            HealthAddress::Grpc { url, service: String::new(), user_named }
        }
        _ => {
            let place = entry.text_that(is_place, "a host with its port such as \"db.example.com:5432\"")?;
            HealthAddress::Tcp { place: place.to_owned(), user_named }
        }
    })
}

/// A host and a port, by the grammar of addresses.
fn is_place(text: &str) -> bool {
    let has_port = text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    has_port && addresses::parse(&format!("https://{text}")).is_some_and(|url| url.rest.is_empty())
}

pub(super) fn name(entry: &Entry<'_>) -> Result<String, ConfigError> {
    let is_name = |name: &str| {
        name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let expected = "a name of 1 to 64 letters, digits, dots, underscores and hyphens, letter or digit first";
    Ok(entry.text_that(is_name, expected)?.to_owned())
}

/// The name of a gRPC service, such as `shop.v1.Cart`.
pub(super) fn service(entry: &Entry<'_>) -> Result<String, ConfigError> {
    let is_name =
        |name: &str| name.len() <= 200 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
    Ok(entry.text_that(is_name, "the name of a gRPC service such as \"shop.v1.Cart\"")?.to_owned())
}

pub(super) fn method(entry: &Entry<'_>) -> Result<HealthMethod, ConfigError> {
    const EXPECTED: &str = "\"GET\" or \"HEAD\" (a check is repeated, so it must not change anything)";
    match entry.text(EXPECTED)? {
        "GET" => Ok(HealthMethod::Get),
        "HEAD" => Ok(HealthMethod::Head),
        _ => Err(entry.wrong_value(EXPECTED)),
    }
}

pub(super) fn status_codes(entry: &Entry<'_>) -> Result<Vec<u16>, ConfigError> {
    const EXPECTED: &str =
        "a status code from 200 to 599, a class such as \"2xx\", or an array of them such as [200, 204]";
    let one = |entry: &Entry<'_>| -> Result<Vec<u16>, ConfigError> {
        if entry.value().is_str() {
            let class = |hundreds: u16| (hundreds * 100..hundreds * 100 + 100).collect();
            return match entry.text(EXPECTED)? {
                "2xx" => Ok(class(2)),
                "3xx" => Ok(class(3)),
                "4xx" => Ok(class(4)),
                "5xx" => Ok(class(5)),
                _ => Err(entry.wrong_value(EXPECTED)),
            };
        }
        let code = entry.whole_number(200..=599).ok().and_then(|code| u16::try_from(code).ok());
        code.map(|code| vec![code]).ok_or_else(|| entry.wrong_value(EXPECTED))
    };
    if !entry.value().is_array() {
        return one(entry);
    }
    let mut codes = entry.items(EXPECTED)?.iter().map(one).collect::<Result<Vec<_>, _>>()?.concat();
    if codes.is_empty() {
        return Err(entry.error("is an empty array", EXPECTED));
    }
    codes.sort_unstable();
    codes.dedup();
    Ok(codes)
}

/// One text or an array of them.
fn several<'d>(entry: &Entry<'d>, expected: &str, check: impl Fn(&str) -> bool) -> Result<Vec<String>, ConfigError> {
    let one = |entry: &Entry<'d>| Ok(entry.text_that(&check, expected)?.to_owned());
    if !entry.value().is_array() {
        return Ok(vec![one(entry)?]);
    }
    let items = entry.items(expected)?;
    if items.is_empty() || items.len() > MOST_TEXTS {
        return Err(entry.error(format_args!("is an array of {}", items.len()), expected));
    }
    items.iter().map(one).collect()
}

pub(super) fn texts(entry: &Entry<'_>) -> Result<Vec<String>, ConfigError> {
    several(entry, "a text, or an array of 1 to 20 texts", |_| true)
}

pub(super) fn pointers(entry: &Entry<'_>) -> Result<Vec<String>, ConfigError> {
    several(entry, "a JSON pointer such as \"/checks/database\", or an array of 1 to 20 of them", is_pointer)
}

/// A table of JSON pointers and the values that have to stand there.
pub(super) fn equals(entry: &Entry<'_>) -> Result<Vec<(String, Value)>, ConfigError> {
    const EXPECTED: &str = "a table of 1 to 20 JSON pointers with a text, a whole number, true or false each";
    let entries = entry.section("[target.health.equals]")?.entries();
    if entries.is_empty() || entries.len() > MOST_TEXTS || entries.iter().any(|entry| !is_pointer(entry.key)) {
        return Err(entry.wrong_value(EXPECTED));
    }
    let value = |entry: &Entry<'_>| match entry.value() {
        DeValue::String(_) => Ok(Value::from(entry.text(EXPECTED)?)),
        DeValue::Boolean(flag) => Ok(Value::from(*flag)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::from)
            .map_err(|_| entry.wrong_value(EXPECTED)),
        _ => Err(entry.wrong_value(EXPECTED)),
    };
    entries.iter().map(|entry| Ok((entry.key.to_owned(), value(entry)?))).collect()
}

/// RFC 6901: a tilde only as ~0 or ~1.
pub(super) fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && text.split('~').skip(1).all(|after| after.starts_with(['0', '1']))
}

pub(super) fn timeout(entry: &Entry<'_>) -> Result<Duration, ConfigError> {
    let timeout = entry.duration()?;
    if timeout > LONGEST_TIMEOUT { Err(entry.wrong_value("at most \"20s\"")) } else { Ok(timeout) }
}
