//! `target.database`: which table tells how a deployment went.
//!
//! Invariant: names of tables and columns are plain identifiers, because they cannot be bound as parameters of a query.

use super::{
    ConfigError, DatabaseAddress, DatabaseColumns, DatabaseConfig, DatabaseKind, DatabaseQuery, DatabaseWords,
    document::{Entry, Section},
    error::{Place, quoted},
    migrations::{self, MigrationsConfig},
    query,
};

const KEYS: [&str; 8] = ["url_env", "env", "kind", "deployments", "query", "columns", "words", "migrations"];
const COLUMN_KEYS: [&str; 4] = ["commit", "status", "error", "created_at"];
const WORD_KEYS: [&str; 3] = ["in_progress", "success", "failed"];
/// The longest name that PostgreSQL keeps whole; the others allow more.
const LONGEST_NAME: usize = 63;
const MOST_WORDS: usize = 50;

/// A target's database check, as far as one file says.
#[derive(Debug, Clone)]
pub(super) struct DatabaseLayer {
    place: Place,
    url_env: Option<String>,
    env: Option<String>,
    kind: Option<DatabaseKind>,
    deployments: Option<String>,
    query: Option<DatabaseQuery>,
    columns: DatabaseColumns,
    in_progress: Option<Vec<String>>,
    success: Option<Vec<String>>,
    failed: Option<Vec<String>>,
    migrations: Option<MigrationsConfig>,
}

impl DatabaseLayer {
    pub(super) fn read(entry: &Entry<'_>) -> Result<Self, ConfigError> {
        let mut layer = Self {
            place: entry.place(),
            url_env: None,
            env: None,
            kind: None,
            deployments: None,
            query: None,
            columns: DatabaseColumns::default(),
            in_progress: None,
            success: None,
            failed: None,
            migrations: None,
        };
        let section = entry.section("[target.database]")?;
        for entry in section.entries() {
            match entry.key {
                "url_env" => {
                    let expected = "the name of an environment variable such as \"DATABASE_URL\"";
                    layer.url_env = Some(entry.text_that(|name| is_identifier(name, 256), expected)?.to_owned());
                }
                "env" => {
                    let expected = "what the names of your variables begin with, such as \"DB_\" or \"PG\"";
                    layer.env = Some(entry.text_that(|name| is_identifier(name, 64), expected)?.to_owned());
                }
                "kind" => {
                    let expected = "\"postgres\" or \"mysql\" (also for MariaDB)";
                    let kind = entry.text_that(|word| kind(word).is_some(), expected)?;
                    layer.kind = self::kind(kind);
                }
                "query" => {
                    let text = entry.text(query::EXPECTED)?;
                    let query = DatabaseQuery::parse(text).map_err(|why| entry.error(why, query::EXPECTED))?;
                    layer.query = Some(query);
                }
                "deployments" => {
                    let expected = "the name of a table such as \"deployments\" or \"ops.deployments\"";
                    layer.deployments = Some(entry.text_that(is_table, expected)?.to_owned());
                }
                "columns" => layer.columns = columns(&entry.section("[target.database.columns]")?)?,
                "words" => layer.read_words(&entry.section("[target.database.words]")?)?,
                "migrations" => layer.migrations = Some(migrations::read(&entry)?),
                _ => return Err(section.unknown_key(&entry, &KEYS)),
            }
        }
        Ok(layer)
    }

    fn read_words(&mut self, section: &Section<'_>) -> Result<(), ConfigError> {
        for entry in section.entries() {
            let words = match entry.key {
                "in_progress" => &mut self.in_progress,
                "success" => &mut self.success,
                "failed" => &mut self.failed,
                _ => return Err(section.unknown_key(&entry, &WORD_KEYS)),
            };
            *words = Some(word_list(&entry)?);
        }
        Ok(())
    }

    /// Puts the user's layer over this one, key by key.
    pub(super) fn overlaid_by(self, upper: Self) -> Self {
        // An address, and what is asked, are one thing each, however they are told.
        let (url_env, env, kind) = match (&upper.url_env, &upper.env) {
            (None, None) => (self.url_env, self.env, upper.kind.or(self.kind)),
            _ => (upper.url_env, upper.env, upper.kind),
        };
        let (deployments, query) = match (&upper.deployments, &upper.query) {
            (None, None) => (self.deployments, self.query),
            _ => (upper.deployments, upper.query),
        };
        Self {
            place: upper.place,
            url_env,
            env,
            kind,
            deployments,
            query,
            columns: DatabaseColumns {
                commit: upper.columns.commit.or(self.columns.commit),
                status: upper.columns.status.or(self.columns.status),
                error: upper.columns.error.or(self.columns.error),
                created_at: upper.columns.created_at.or(self.columns.created_at),
            },
            in_progress: upper.in_progress.or(self.in_progress),
            success: upper.success.or(self.success),
            failed: upper.failed.or(self.failed),
            migrations: upper.migrations.or(self.migrations),
        }
    }

    /// What of it an untrusted repository may say.
    pub(super) fn untrusted(self) -> Self {
        Self {
            place: self.place,
            url_env: None,
            env: None,
            kind: None,
            deployments: None,
            query: None,
            columns: DatabaseColumns::default(),
            in_progress: None,
            success: None,
            failed: None,
            migrations: self.migrations,
        }
    }

    /// Which migrations are to be applied, with or without an address to ask.
    pub(super) fn migrations(&self) -> MigrationsConfig {
        self.migrations.clone().unwrap_or_default()
    }

    /// Only migrations are named, which alone ask no database: the address stands in another file, or nowhere.
    pub(super) fn names_only_migrations(&self) -> bool {
        let words = [&self.in_progress, &self.success, &self.failed];
        self.migrations.is_some()
            && self.url_env.is_none()
            && self.env.is_none()
            && self.kind.is_none()
            && self.deployments.is_none()
            && self.query.is_none()
            && self.columns == DatabaseColumns::default()
            && words.into_iter().all(Option::is_none)
    }

    pub(super) fn finish(self) -> Result<DatabaseConfig, ConfigError> {
        let address = self.address()?;
        if self.query.is_some() && (self.deployments.is_some() || self.columns != DatabaseColumns::default()) {
            let problem = "target.database has both query and deployments or columns";
            return Err(self.place.error(problem, "a table with its columns, or a query that names them itself"));
        }
        let default = DatabaseWords::default();
        let words = DatabaseWords {
            in_progress: self.in_progress.unwrap_or(default.in_progress),
            success: self.success.unwrap_or(default.success),
            failed: self.failed.unwrap_or(default.failed),
        };
        if let Some(word) = ambiguous_word(&words) {
            let problem = format!("target.database.words has {} in two lists", quoted(word));
            return Err(self
                .place
                .error(problem, "each word in one list (a list that is not set has its default words)"));
        }
        // Who names migrations alone has no table of deployments.
        let is_named = self.deployments.is_some() || self.query.is_some();
        let records = is_named || !matches!(self.migrations, Some(MigrationsConfig::Wanted { .. }));
        let deployments = self.deployments.unwrap_or_else(|| "deployments".to_owned());
        Ok(DatabaseConfig { address, records, deployments, query: self.query, columns: self.columns, words })
    }

    fn address(&self) -> Result<DatabaseAddress, ConfigError> {
        match (&self.url_env, &self.env, self.kind) {
            (Some(variable), None, None) => Ok(DatabaseAddress::Url { variable: variable.clone() }),
            (None, Some(prefix), Some(kind)) => Ok(DatabaseAddress::Parts { prefix: prefix.clone(), kind }),
            // The names of PostgreSQL's own programs: PGHOST, PGUSER.
            (None, Some(prefix), None) if prefix == "PG" => {
                Ok(DatabaseAddress::Parts { prefix: prefix.clone(), kind: DatabaseKind::Postgres })
            }
            (None, Some(_), None) => {
                Err(self.place.error("target.database has env without kind", "kind = \"postgres\" or \"mysql\""))
            }
            (Some(_), Some(_), _) => Err(self.place.error("target.database has both url_env and env", "one of them")),
            (Some(_), None, Some(_)) => Err(self
                .place
                .error("target.database has kind without env", "url_env alone: the address tells the kind")),
            (None, None, _) => {
                let expected = "url_env = \"DATABASE_URL\" or another variable that holds the database's address, or env = \"DB_\"";
                Err(self.place.error("target.database has no url_env", expected))
            }
        }
    }
}

fn kind(word: &str) -> Option<DatabaseKind> {
    match word {
        "postgres" => Some(DatabaseKind::Postgres),
        "mysql" => Some(DatabaseKind::Mysql),
        _ => None,
    }
}

fn columns(section: &Section<'_>) -> Result<DatabaseColumns, ConfigError> {
    let mut columns = DatabaseColumns::default();
    for entry in section.entries() {
        let column = match entry.key {
            "commit" => &mut columns.commit,
            "status" => &mut columns.status,
            "error" => &mut columns.error,
            "created_at" => &mut columns.created_at,
            _ => return Err(section.unknown_key(&entry, &COLUMN_KEYS)),
        };
        let expected = "the name of a column: letters, digits and underscores, not a digit first";
        *column = Some(entry.text_that(|name| is_identifier(name, LONGEST_NAME), expected)?.to_owned());
    }
    Ok(columns)
}

fn word_list(entry: &Entry<'_>) -> Result<Vec<String>, ConfigError> {
    const EXPECTED: &str = "an array of 1 to 50 words such as [\"success\", \"done\"]";
    let items = entry.items(EXPECTED)?;
    if items.is_empty() || items.len() > MOST_WORDS {
        return Err(entry.error(format_args!("has {} words", items.len()), EXPECTED));
    }
    let is_word = |word: &str| word.trim() == word && word.chars().count() <= 64;
    let expected = "a word of at most 64 characters without space around it";
    items.iter().map(|item| Ok(item.text_that(is_word, expected)?.to_owned())).collect()
}

/// The first word that stands in two lists; letter case does not tell words apart.
fn ambiguous_word(words: &DatabaseWords) -> Option<&str> {
    let lists = [&words.in_progress, &words.success, &words.failed];
    let is_in = |list: &[String], word: &str| list.iter().any(|other| other.to_lowercase() == word.to_lowercase());
    lists.iter().enumerate().find_map(|(index, list)| {
        list.iter().map(String::as_str).find(|word| lists[index + 1..].iter().any(|other| is_in(other, word)))
    })
}

fn is_identifier(name: &str, longest: usize) -> bool {
    name.len() <= longest
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A table, with at most one schema before it.
fn is_table(name: &str) -> bool {
    let (schema, table) = name.split_once('.').map_or((None, name), |(schema, table)| (Some(schema), table));
    is_identifier(table, LONGEST_NAME) && schema.is_none_or(|schema| is_identifier(schema, LONGEST_NAME))
}
