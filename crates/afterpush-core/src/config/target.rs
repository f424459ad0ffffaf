//! `[[target]]`: what pushes of certain refs deploy to, put together from its stages.

use super::{
    ConfigError, RefPattern, Target,
    database::DatabaseLayer,
    document::{Entry, Section},
    health::HealthLayer,
    provider::ProviderLayer,
    push::pattern,
    read::{Author, Reading},
};
use crate::id::RefName;

const KEYS: [&str; 8] =
    ["name", "branch", "ref", "paths", "provider", "database", "health", "accept_unversioned_health"];
/// More patterns than any application has; each is tried for every changed path.
const MOST_PATTERNS: usize = 100;

/// A target, as far as one file says.
#[derive(Debug, Clone)]
pub(super) struct TargetLayer {
    pub(super) name: String,
    refs: Option<RefPattern>,
    paths: Option<Vec<String>>,
    provider: Option<ProviderLayer>,
    database: Option<DatabaseLayer>,
    health: Option<HealthLayer>,
    accept_unversioned_health: Option<bool>,
}

impl TargetLayer {
    pub(super) fn read(section: &Section<'_>, reading: &mut Reading<'_>) -> Result<Self, ConfigError> {
        let mut layer = Self {
            name: name(section)?,
            refs: None,
            paths: None,
            provider: None,
            database: None,
            health: None,
            accept_unversioned_health: None,
        };
        for entry in section.entries() {
            match entry.key {
                "name" => {}
                "branch" | "ref" if layer.refs.is_some() => {
                    return Err(section.error("has both branch and ref", "one of them"));
                }
                "branch" => layer.refs = Some(branch(&entry)?),
                "ref" => layer.refs = Some(ref_pattern(&entry)?),
                "paths" => layer.paths = Some(paths(&entry)?),
                "provider" => layer.provider = Some(ProviderLayer::read(&entry, &layer.name, reading)?),
                "database" => {
                    // Read even when it is not used: to trust a repository must not make its file wrong.
                    let database = DatabaseLayer::read(&entry)?;
                    if reading.author == Author::UntrustedRepository {
                        if !database.names_only_migrations() {
                            reading.leave_out_untrusted(&layer.name, "database");
                        }
                        layer.database = Some(database.untrusted()).filter(DatabaseLayer::names_only_migrations);
                    } else {
                        layer.database = Some(database);
                    }
                }
                "health" => layer.health = Some(HealthLayer::read(&entry, &layer.name, reading)?),
                "accept_unversioned_health" => layer.accept_unversioned_health = Some(entry.flag()?),
                _ => return Err(section.unknown_key(&entry, &KEYS)),
            }
        }
        Ok(layer)
    }

    /// Puts the user's layer over this one, table by table.
    pub(super) fn overlaid_by(self, upper: Self) -> Self {
        Self {
            name: self.name,
            refs: upper.refs.or(self.refs),
            paths: upper.paths.or(self.paths),
            provider: overlay(self.provider, upper.provider, ProviderLayer::overlaid_by),
            database: overlay(self.database, upper.database, DatabaseLayer::overlaid_by),
            health: overlay(self.health, upper.health, HealthLayer::overlaid_by),
            accept_unversioned_health: upper.accept_unversioned_health.or(self.accept_unversioned_health),
        }
    }

    pub(super) fn finish(self, left_out: &mut Vec<String>) -> Result<Target, ConfigError> {
        let migrations = self.database.as_ref().map(DatabaseLayer::migrations).unwrap_or_default();
        Ok(Target {
            name: self.name,
            refs: self.refs.unwrap_or_else(|| RefPattern::new("refs/heads/*")),
            paths: self.paths.unwrap_or_default(),
            provider: self.provider.map(ProviderLayer::finish).transpose()?,
            database: self
                .database
                .filter(|layer| !layer.names_only_migrations())
                .map(DatabaseLayer::finish)
                .transpose()?,
            migrations,
            health: match self.health {
                Some(health) => health.finish(left_out)?,
                None => Vec::new(),
            },
            accept_unversioned_health: self.accept_unversioned_health.unwrap_or(false),
        })
    }
}

/// Puts one part over another, where there are two.
fn overlay<T>(lower: Option<T>, upper: Option<T>, overlaid_by: impl FnOnce(T, T) -> T) -> Option<T> {
    match (lower, upper) {
        (Some(lower), Some(upper)) => Some(overlaid_by(lower, upper)),
        (lower, upper) => upper.or(lower),
    }
}

fn name(section: &Section<'_>) -> Result<String, ConfigError> {
    const EXPECTED: &str = "a name of 1 to 64 letters, digits, dots, underscores and hyphens, letter or digit first";
    let Some(entry) = section.entry("name") else {
        return Err(section.error("has no name", "name = \"web\" or the like"));
    };
    let is_name = |name: &str| {
        name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    Ok(entry.text_that(is_name, EXPECTED)?.to_owned())
}

fn branch(entry: &Entry<'_>) -> Result<RefPattern, ConfigError> {
    let expected = "the name of one branch such as \"main\" (for a pattern: ref = \"refs/heads/*\")";
    let full = |name: &str| format!("refs/heads/{name}");
    let is_branch = |name: &str| !name.starts_with("refs/") && RefName::parse(&full(name)).is_ok();
    Ok(RefPattern::new(full(entry.text_that(is_branch, expected)?)))
}

fn ref_pattern(entry: &Entry<'_>) -> Result<RefPattern, ConfigError> {
    let expected = "a full ref name such as \"refs/heads/main\", in which * stands for any text";
    // What is sound with a letter for each star is sound as a pattern.
    let is_pattern = |pattern: &str| RefName::parse(&pattern.replace('*', "x")).is_ok();
    Ok(RefPattern::new(entry.text_that(is_pattern, expected)?))
}

fn paths(entry: &Entry<'_>) -> Result<Vec<String>, ConfigError> {
    const EXPECTED: &str = "a list of 1 to 100 patterns of paths such as [\"apps/web/**\", \"packages/ui/**\"]";
    let items = entry.items(EXPECTED)?;
    if items.is_empty() || items.len() > MOST_PATTERNS {
        return Err(entry.error(format_args!("has {} patterns", items.len()), EXPECTED));
    }
    items.iter().map(pattern).collect()
}
