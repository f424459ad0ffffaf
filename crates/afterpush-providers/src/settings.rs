//! Reads a provider's own table of the configuration.

use toml::Table;

use crate::SetupError;

/// A provider's table, of which every key must be known and hold a text, unless the provider reads it another way.
pub(crate) struct Settings<'a> {
    kind: &'static str,
    table: &'a Table,
}

impl<'a> Settings<'a> {
    /// Takes the table of a kind whose keys are these.
    ///
    /// # Errors
    /// [`SetupError::Key`] for a key that the kind does not know.
    pub(crate) fn new(kind: &'static str, table: &'a Table, known: &[&str]) -> Result<Self, SetupError> {
        match table.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(wrong(key, &format!("is not known to {kind}; it has {}", listed(known)))),
            None => Ok(Self { kind, table }),
        }
    }

    /// The text of a key, without white space around it.
    ///
    /// # Errors
    /// [`SetupError::Key`] when it is not a text, or empty.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, SetupError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        match value.as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Ok(Some(text.to_owned())),
            _ => Err(wrong(key, "must be a text that is not empty")),
        }
    }

    /// The text of a key that must be there.
    ///
    /// # Errors
    /// [`SetupError::Key`] when it is missing, not a text, or empty.
    pub(crate) fn needed(&self, key: &str) -> Result<String, SetupError> {
        self.text(key)?.ok_or_else(|| wrong(key, &format!("is needed by {}", self.kind)))
    }

    /// The table of a key.
    ///
    /// # Errors
    /// [`SetupError::Key`] when it is not a table.
    pub(crate) fn table(&self, key: &str) -> Result<Option<&'a Table>, SetupError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        value.as_table().map(Some).ok_or_else(|| wrong(key, "must be a table"))
    }

    /// The texts of a key that is a list of them.
    ///
    /// # Errors
    /// [`SetupError::Key`] when it is not such a list, or one of them is empty.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, SetupError> {
        self.table.get(key).map(|value| texts(key, value)).transpose()
    }
}

/// A list of texts, none of them empty.
///
/// # Errors
/// [`SetupError::Key`].
pub(crate) fn texts(key: &str, value: &toml::Value) -> Result<Vec<String>, SetupError> {
    let text = |value: &toml::Value| value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let texts: Option<Vec<_>> = value.as_array().and_then(|values| values.iter().map(text).collect());
    texts.ok_or_else(|| wrong(key, "must be a list of texts that are not empty"))
}

fn listed(known: &[&str]) -> String {
    match known {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => known.concat(),
    }
}

/// That a key is wrong, and why.
pub(crate) fn wrong(key: &str, problem: &str) -> SetupError {
    SetupError::Key { key: key.to_owned(), problem: problem.to_owned() }
}

/// That the API's address is none.
pub(crate) fn wrong_address() -> SetupError {
    wrong("api_url", "must be an address such as https://host/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_wrong_key_is_named_with_what_is_wrong() {
        let read = |text: &str| -> Result<String, SetupError> {
            Settings::new("vendor", &text.parse().unwrap(), &["app", "team", "site"])?.needed("app")
        };
        assert_eq!(read("app = ' web '").unwrap(), "web");
        for (text, told) in [
            ("apps = 'web'", r#"provider key "apps" is not known to vendor; it has app, team and site"#),
            ("app = 5", r#"provider key "app" must be a text that is not empty"#),
            ("app = ' '", r#"provider key "app" must be a text that is not empty"#),
            ("team = 'a'", r#"provider key "app" is needed by vendor"#),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), told);
        }
    }
}
