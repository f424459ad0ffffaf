//! `target.provider` and `[provider.<kind>]`: which platform, and how to find the application there.
//!
//! Invariant: an address never comes out of a repository's provider table, and the API's address only out of the user's file.

use std::collections::BTreeMap;

use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError, PROVIDER_KINDS, ProviderConfig, ProviderSettings, address,
    document::{Entry, Section},
    error::{Place, quoted},
    read::{Author, Reading},
};

/// A target's provider, as far as one file says.
#[derive(Debug, Clone)]
pub(super) struct ProviderLayer {
    place: Place,
    kind: Option<String>,
    settings: Table,
}

impl ProviderLayer {
    pub(super) fn read(entry: &Entry<'_>, target: &str, reading: &mut Reading<'_>) -> Result<Self, ConfigError> {
        let mut layer = Self { place: entry.place(), kind: None, settings: Table::new() };
        for entry in entry.section("[target.provider]")?.entries() {
            match (entry.key, reading.author) {
                ("kind", _) => layer.kind = Some(kind(&entry)?),
                ("api_url", Author::UntrustedRepository) => reading.leave_out(format!(
                    "target {target:?}: provider.api_url in {} is not used: only your own configuration file may set it",
                    reading.file
                )),
                ("api_url", _) => {
                    let kind = layer.kind.as_deref().unwrap_or("<kind>");
                    let expected = format!("api_url under [provider.{kind}], and only your own configuration file may set this");
                    return Err(entry.error("is not a key of a target", expected));
                }
                (_, author) => {
                    entry.check_characters(entry.key)?;
                    let setting = setting(&entry, entry.value())?;
                    // The one key of a provider that names where to ask.
                    let is_open = || setting.as_str().is_some_and(|text| text.to_ascii_lowercase().starts_with("http://"));
                    if author == Author::TrustedRepository && entry.key == "url" && is_open() {
                        let expected = "https://; only your own configuration file may name http://, on this machine";
                        return Err(entry.error("holds an http:// address", expected));
                    }
                    if author == Author::UntrustedRepository && (names_privilege(entry.key) || holds_privilege(&setting)) {
                        reading.leave_out_untrusted(target, &format!("provider.{}", quoted(entry.key).trim_matches('"')));
                    } else {
                        layer.settings.insert(entry.key.to_owned(), setting);
                    }
                }
            }
        }
        Ok(layer)
    }

    /// Puts the user's layer over this one: key by key for the same provider, as a whole for another.
    pub(super) fn overlaid_by(mut self, upper: Self) -> Self {
        if let (Some(lower), Some(upper_kind)) = (&self.kind, &upper.kind)
            && lower != upper_kind
        {
            return upper;
        }
        merge(&mut self.settings, upper.settings);
        Self { place: upper.place, kind: upper.kind.or(self.kind), settings: self.settings }
    }

    pub(super) fn finish(self) -> Result<ProviderConfig, ConfigError> {
        match self.kind {
            Some(kind) => Ok(ProviderConfig { kind, settings: self.settings }),
            None => Err(self.place.error("target.provider has no kind", format!("kind = {}", kinds()))),
        }
    }
}

/// Reads `[provider]`, whose tables are the kinds.
pub(super) fn read_settings(
    entry: &Entry<'_>,
    reading: &mut Reading<'_>,
) -> Result<BTreeMap<String, ProviderSettings>, ConfigError> {
    match reading.author {
        Author::User => {}
        Author::TrustedRepository => {
            return Err(entry.error(
                "is not for a repository's file",
                "nothing here: only your own configuration file may set this",
            ));
        }
        Author::UntrustedRepository => {
            reading.leave_out(format!(
                "[provider] in {} is not used: only your own configuration file may set it",
                reading.file
            ));
            return Ok(BTreeMap::new());
        }
    }
    let section = entry.section("[provider]")?;
    let mut providers = BTreeMap::new();
    for entry in section.entries() {
        if !PROVIDER_KINDS.contains(&entry.key) {
            return Err(section.unknown_key(&entry, &PROVIDER_KINDS));
        }
        let section = entry.section(&format!("[provider.{}]", entry.key))?;
        providers.insert(entry.key.to_owned(), settings_of_kind(&section)?);
    }
    Ok(providers)
}

fn settings_of_kind(section: &Section<'_>) -> Result<ProviderSettings, ConfigError> {
    let mut settings = ProviderSettings::default();
    for entry in section.entries() {
        match entry.key {
            "api_url" => settings.api_url = Some(api_url(&entry)?),
            _ => return Err(section.unknown_key(&entry, &["api_url"])),
        }
    }
    Ok(settings)
}

/// An address that credentials are sent to. A slash at its end is dropped, so that paths can be appended.
fn api_url(entry: &Entry<'_>) -> Result<String, ConfigError> {
    const EXPECTED: &str =
        "an https:// address (or http:// on 127.0.0.1, [::1] or localhost) without user name, query and fragment";
    let is_sound = |url: &str| {
        address::parse(url).is_some_and(|url| (url.is_encrypted || url.is_loopback) && !url.rest.contains(['?', '#']))
    };
    Ok(entry.text_that(is_sound, EXPECTED)?.trim_end_matches('/').to_owned())
}

fn kind(entry: &Entry<'_>) -> Result<String, ConfigError> {
    let expected = kinds();
    Ok(entry.text_that(|kind| PROVIDER_KINDS.contains(&kind), &expected)?.to_owned())
}

fn kinds() -> String {
    let kinds = PROVIDER_KINDS.map(|kind| format!("{kind:?}")).join(", ");
    if PROVIDER_KINDS.len() == 1 { kinds } else { format!("one of {kinds}") }
}

/// The provider's own key as a plain TOML value, after its texts were checked. The parser limits the depth.
fn setting(entry: &Entry<'_>, value: &DeValue<'_>) -> Result<Value, ConfigError> {
    Ok(match value {
        DeValue::String(text) => {
            entry.check_characters(text)?;
            Value::String(text.to_string())
        }
        DeValue::Integer(number) => Value::Integer(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| entry.error("holds a number that is too large", "at most 64 bits"))?,
        ),
        DeValue::Float(number) => Value::Float(
            number.as_str().parse().map_err(|_| entry.error("holds a number that cannot be read", "a number"))?,
        ),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(datetime) => Value::Datetime(*datetime),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| setting(entry, item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => Value::Table(settings_table(entry, table)?),
    })
}

fn settings_table(entry: &Entry<'_>, table: &DeTable<'_>) -> Result<Table, ConfigError> {
    table
        .iter()
        .map(|(key, value)| {
            entry.check_characters(key.get_ref())?;
            Ok((key.get_ref().to_string(), setting(entry, value.get_ref())?))
        })
        .collect()
}

/// Tells whether a provider's key names what a stranger must not choose: where requests go, what they carry, what is run.
///
/// The keys of a provider are not known here, so their words decide; a provider's safe keys must not use these.
fn names_privilege(key: &str) -> bool {
    const WORDS: [&str; 21] = [
        "url", "urls", "uri", "host", "hosts", "hostname", "endpoint", "server", "address", "proxy", "proxies",
        "header", "headers", "command", "commands", "cmd", "exec", "env", "script", "token", "rollback",
    ];
    let key = key.to_ascii_lowercase();
    key.split(['_', '-', '.']).any(|word| WORDS.contains(&word)) || key.ends_with("url")
}

/// Tells whether a value holds an address, or a table with a privileged key.
fn holds_privilege(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("://"),
        Value::Array(items) => items.iter().any(holds_privilege),
        Value::Table(table) => table.iter().any(|(key, value)| names_privilege(key) || holds_privilege(value)),
        _ => false,
    }
}

/// Puts one table over another: tables are merged, anything else is replaced.
fn merge(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(lower)), Value::Table(upper)) => merge(lower, upper),
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: Option<&str>, settings: &str) -> ProviderLayer {
        let place = Place { file: "x".to_owned(), line: 1 };
        ProviderLayer { place, kind: kind.map(str::to_owned), settings: settings.parse().expect("a table of the test") }
    }

    #[test]
    fn the_users_table_is_merged_for_the_same_provider_and_replaces_another() {
        let combined = |lower: Option<&str>, upper: Option<&str>| {
            let layer = layer(lower, "app = \"theirs\"\nregion = \"fra\"").overlaid_by(layer(upper, "app = \"mine\""));
            (layer.kind, layer.settings.to_string().replace('\n', " "))
        };
        let merged = "app = \"mine\" region = \"fra\" ".to_owned();
        assert_eq!(combined(Some("a"), Some("a")), (Some("a".to_owned()), merged.clone()));
        assert_eq!(combined(Some("a"), None), (Some("a".to_owned()), merged.clone()));
        assert_eq!(combined(None, Some("a")), (Some("a".to_owned()), merged));
        assert_eq!(combined(Some("a"), Some("b")), (Some("b".to_owned()), "app = \"mine\" ".to_owned()));
    }
}
