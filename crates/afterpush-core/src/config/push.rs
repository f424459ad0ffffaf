//! `[push]`: how `afterpush push` goes on when the remote has moved. A rule with a command is privileged as a whole: half of
//! it would resolve a conflict and leave a file that nobody has made anew.

use std::time::Duration;

use super::{
    ConfigError,
    document::{Entry, Section},
    read::{Author, Reading},
    waiting::within_bounds,
};
use crate::integration::{ConflictRule, Integration, PushRules, Resolution};

const KEYS: [&str; 4] = ["integrate", "attempts", "first_wait", "conflict"];
const CONFLICT_KEYS: [&str; 3] = ["paths", "resolve", "run"];
/// More rules than any project has.
const MOST_RULES: usize = 100;

/// The rules of a push, as far as one file says.
#[derive(Debug, Clone, Default)]
pub(super) struct PushLayer {
    integrate: Option<Integration>,
    attempts: Option<u32>,
    first_wait: Option<Duration>,
    conflicts: Vec<ConflictRule>,
}

impl PushLayer {
    pub(super) fn read(section: &Section<'_>, reading: &mut Reading<'_>) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for entry in section.entries() {
            match entry.key {
                "integrate" => layer.integrate = Some(integration(&entry)?),
                "attempts" => layer.attempts = Some(entry.whole_number(0..=20)?),
                "first_wait" => layer.first_wait = Some(within_bounds(&entry, "[push]", reading)?),
                "conflict" => layer.conflicts = conflicts(&entry, reading)?,
                _ => return Err(section.unknown_key(&entry, &KEYS)),
            }
        }
        Ok(layer)
    }

    /// Puts the user's layer over this one: key by key, and the user's rules before the repository's.
    pub(super) fn overlaid_by(self, upper: Self) -> Self {
        Self {
            integrate: upper.integrate.or(self.integrate),
            attempts: upper.attempts.or(self.attempts),
            first_wait: upper.first_wait.or(self.first_wait),
            conflicts: [upper.conflicts, self.conflicts].concat(),
        }
    }

    pub(super) fn finish(self) -> PushRules {
        let default = PushRules::default();
        PushRules {
            integrate: self.integrate,
            attempts: self.attempts.unwrap_or(default.attempts),
            first_wait: self.first_wait.unwrap_or(default.first_wait),
            conflicts: self.conflicts,
        }
    }
}

fn integration(entry: &Entry<'_>) -> Result<Integration, ConfigError> {
    const EXPECTED: &str = "\"rebase\" or \"merge\"";
    match entry.text(EXPECTED)? {
        "rebase" => Ok(Integration::Rebase),
        "merge" => Ok(Integration::Merge),
        _ => Err(entry.wrong_value(EXPECTED)),
    }
}

fn conflicts(entry: &Entry<'_>, reading: &mut Reading<'_>) -> Result<Vec<ConflictRule>, ConfigError> {
    let items = entry.items("tables that begin with [[push.conflict]], in two pairs of brackets")?;
    if items.len() > MOST_RULES {
        return Err(entry.error(format_args!("has {} tables", items.len()), format!("at most {MOST_RULES}")));
    }
    let mut rules = Vec::with_capacity(items.len());
    for item in items {
        let rule = conflict(&item.section("[[push.conflict]]")?)?;
        if rule.run.is_some() && reading.author == Author::UntrustedRepository {
            let file = reading.file;
            reading.leave_out(format!(
                "[push] the conflict rule with run for {:?} in {file} is not used because this repository is not trusted; \
                 run afterpush trust",
                rule.paths
            ));
        } else {
            rules.push(rule);
        }
    }
    Ok(rules)
}

fn conflict(section: &Section<'_>) -> Result<ConflictRule, ConfigError> {
    let (mut paths, mut resolve, mut run) = (None, None, None);
    for entry in section.entries() {
        match entry.key {
            "paths" => paths = Some(pattern(&entry)?),
            "resolve" => resolve = Some(resolution(&entry)?),
            "run" => run = Some(entry.text("a shell command such as \"npm install\"")?.to_owned()),
            _ => return Err(section.unknown_key(&entry, &CONFLICT_KEYS)),
        }
    }
    let Some(paths) = paths else {
        return Err(section.error("has no paths", "paths = \"CHANGELOG.md\" or the like"));
    };
    let Some(resolve) = resolve else {
        return Err(section.error("has no resolve", format!("resolve = {}", words())));
    };
    Ok(ConflictRule { paths, resolve, run })
}

/// A pattern of paths, as in `.gitattributes`.
pub(super) fn pattern(entry: &Entry<'_>) -> Result<String, ConfigError> {
    let expected = "a pattern of paths such as \"CHANGELOG.md\", \"*.lock\" or \"docs/**/*.md\"";
    // What git reads as something else than a plain pattern would mean the wrong files.
    let is_pattern =
        |text: &str| !text.starts_with(['!', ':']) && !text.ends_with('/') && !text.contains(['\\', '{', '}']);
    Ok(entry.text_that(is_pattern, expected)?.to_owned())
}

fn resolution(entry: &Entry<'_>) -> Result<Resolution, ConfigError> {
    let expected = words();
    let text = entry.text(&expected)?;
    let known = Resolution::WORDS.iter().find(|(word, _)| *word == text);
    known.map(|(_, resolution)| *resolution).ok_or_else(|| entry.wrong_value(expected))
}

fn words() -> String {
    let words: Vec<String> = Resolution::WORDS.iter().map(|(word, _)| format!("{word:?}")).collect();
    format!("one of {}", words.join(", "))
}
