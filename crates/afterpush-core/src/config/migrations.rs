//! `target.database.migrations`: which migrations of the commit the database has to have. It names a tool and a path below the
//! tree, and so needs no trust.

use toml::de::DeValue;

use super::{ConfigError, document::Entry};
use crate::migrations::Tool;

const KEYS: [&str; 2] = ["tool", "path"];

/// Which migrations of the commit the database has to have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum MigrationsConfig {
    /// Nothing is said: those that are found, where the database has their tool's table.
    #[default]
    IfFound,
    /// None, whatever is found.
    Off,
    /// These, whether the database has the table or not; what is not named is found out.
    Wanted {
        /// The tool.
        tool: Option<Tool>,
        /// The directory, from the root of the tree.
        path: Option<String>,
    },
}

pub(super) fn read(entry: &Entry<'_>) -> Result<MigrationsConfig, ConfigError> {
    if let DeValue::Boolean(wanted) = entry.value() {
        return Ok(if *wanted { MigrationsConfig::Wanted { tool: None, path: None } } else { MigrationsConfig::Off });
    }
    let section = entry.section("[target.database.migrations]")?;
    let (mut tool, mut path) = (None, None);
    for entry in section.entries() {
        match entry.key {
            "tool" => {
                let words: Vec<&str> = Tool::ALL.into_iter().map(Tool::word).collect();
                let expected = format!("one of {}", words.join(", "));
                let word = entry.text(&expected)?;
                tool = Some(Tool::of_word(word).ok_or_else(|| entry.wrong_value(expected))?);
            }
            "path" => {
                let expected =
                    "a directory of the repository such as \"prisma/migrations\", without .. and without / before it";
                path = Some(entry.text_that(is_directory, expected)?.trim_end_matches('/').to_owned());
            }
            _ => return Err(section.unknown_key(&entry, &KEYS)),
        }
    }
    Ok(MigrationsConfig::Wanted { tool, path })
}

fn is_directory(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    !path.contains('\\')
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"))
}
