//! From the files of a commit to the migrations that they are.

use super::{
    Tool, alembic, django, flyway, liquibase,
    version::{leading_digits, order_of, plain},
};

/// A file of a commit below a migrations path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path from the root of the tree, with slashes.
    pub path: String,
    /// Its text, where [`Tool::reads`] asks for it.
    pub text: String,
}

/// One migration of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Migration {
    /// What the tool tells it by; comparable with what it stores.
    pub id: String,
    /// For people, as the file says it.
    pub name: String,
    /// The file that it stands in.
    pub path: String,
    /// Orders the migrations of one `line`, where the tool has such an order; empty otherwise.
    pub order: String,
    /// What has an order, or leaves, of its own: Django's app. Empty where all migrations are one line.
    pub line: String,
    /// The ids that it continues from: Alembic's and Django's.
    pub parents: Vec<String>,
    /// The ids that it stands for, once all of these are applied: Django's squashed migrations.
    pub replaces: Vec<String>,
    /// Run again whenever it changes, so that its file may be edited.
    pub repeatable: bool,
    /// Whether it is applied depends on how the tool is called: not having it is no lack.
    pub optional: bool,
}

/// The migrations of one tool below one path of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationSet {
    /// The tool.
    pub tool: Tool,
    /// The path below which they stand; empty for the whole tree.
    pub path: String,
    /// In the order of their paths, or the tool's own.
    pub migrations: Vec<Migration>,
}

impl Tool {
    /// Whether a migration's identity stands inside of this file, so that its text is needed.
    #[must_use]
    pub fn reads(self, path: &str) -> bool {
        match self {
            Self::Alembic => path.ends_with(".py"),
            Self::Django => {
                path.ends_with(".py")
                    && (path.contains("migrations/") || path == "apps.py" || path.ends_with("/apps.py"))
            }
            Self::Drizzle => path.ends_with("meta/_journal.json"),
            Self::Liquibase => liquibase::is_changelog(path),
            Self::Typeorm => has_extension(path, &["ts", "js", "mjs", "cjs", "mts", "cts"]),
            _ => false,
        }
    }
}

/// Finds a tool's migrations among the files below `path`.
///
/// # Errors
/// What is wrong with a file that cannot be understood, for people.
pub fn read(tool: Tool, path: &str, files: &[SourceFile]) -> Result<MigrationSet, String> {
    let root = path.trim_end_matches('/');
    let inside = |file: &SourceFile| {
        let rest = if root.is_empty() { Some(file.path.as_str()) } else { file.path.strip_prefix(root) };
        rest.and_then(|rest| if root.is_empty() { Some(rest) } else { rest.strip_prefix('/') }).map(str::to_owned)
    };
    let own: Vec<(String, &SourceFile)> = files.iter().filter_map(|file| Some((inside(file)?, file))).collect();
    let migrations = match tool {
        Tool::Alembic => alembic::read(&own)?,
        Tool::Django => django::read(&own),
        Tool::Drizzle => drizzle(&own)?,
        Tool::Flyway => own.iter().filter_map(|(_, file)| flyway::migration(&file.path)).collect(),
        Tool::Liquibase => liquibase::read(&own)?,
        Tool::Prisma | Tool::Diesel => own.iter().filter_map(|(rest, file)| by_directory(tool, rest, file)).collect(),
        _ => own.iter().filter_map(|(rest, file)| by_name(tool, rest, file)).collect(),
    };
    Ok(MigrationSet { tool, path: root.to_owned(), migrations })
}

/// `20240101000000_init/migration.sql`, `2024-01-01-000000_init/up.sql`.
fn by_directory(tool: Tool, rest: &str, file: &SourceFile) -> Option<Migration> {
    let (directory, name) = rest.rsplit_once('/')?;
    let directory = directory.rsplit('/').next()?;
    let id = match (tool, name) {
        (Tool::Prisma, "migration.sql") => directory.to_owned(),
        // What stands before the first underscore, without hyphens: as diesel_migrations makes it.
        (Tool::Diesel, "up.sql") => directory.split('_').next()?.replace('-', ""),
        _ => return None,
    };
    Some(Migration {
        order: order_of(&id),
        id,
        name: directory.to_owned(),
        path: file.path.clone(),
        ..Migration::default()
    })
}

/// Tools whose file names say everything.
fn by_name(tool: Tool, rest: &str, file: &SourceFile) -> Option<Migration> {
    // Only Rails looks below the directory itself.
    let name = match rest.rsplit_once('/') {
        Some((_, name)) if tool == Tool::Rails => name,
        Some(_) => return None,
        None => rest,
    };
    let id = match tool {
        Tool::Knex | Tool::Sequelize => script_stem(name)?.to_owned(),
        Tool::Typeorm => typeorm_timestamp(script_stem(name)?, &file.text)?,
        Tool::Laravel => name.strip_suffix(".php")?.to_owned(),
        Tool::Rails => numbered(name.strip_suffix(".rb")?)?,
        Tool::Ecto => numbered(name.strip_suffix(".exs")?)?,
        Tool::GolangMigrate => numbered(name.strip_suffix(".sql")?.strip_suffix(".up")?)?,
        Tool::Goose => numbered(name.strip_suffix(".sql").or_else(|| name.strip_suffix(".go"))?)?,
        // dbmate stores the digits as they stand there.
        Tool::Dbmate => leading_digits(name.strip_suffix(".sql")?)?.0.to_owned(),
        Tool::Sqlx if name.ends_with(".down.sql") => return None,
        Tool::Sqlx => numbered(name.strip_suffix(".sql")?)?,
        _ => return None,
    };
    Some(Migration { order: order_of(&id), id, name: name.to_owned(), path: file.path.clone(), ..Migration::default() })
}

/// `20240101_init` is version 20240101. These tools take the digits for a number.
fn numbered(stem: &str) -> Option<String> {
    let (digits, rest) = leading_digits(stem)?;
    (rest.is_empty() || rest.starts_with('_')).then(|| plain(digits).to_owned())
}

/// The name without the extension, because a build may have made a `.js` of a `.ts`. `None` for declarations and maps.
pub(super) fn script_stem(name: &str) -> Option<&str> {
    let (stem, _) = name.rsplit_once('.')?;
    (has_extension(name, &["js", "cjs", "mjs", "ts", "cts", "mts", "coffee", "ls"])
        && !stem.ends_with(".d")
        && !stem.starts_with('.')
        && stem != "index")
        .then_some(stem)
}

fn has_extension(path: &str, known: &[&str]) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| known.contains(&extension))
}

/// TypeORM tells a migration by the thirteen digits at the end of its class's name; the file's name is only a habit.
fn typeorm_timestamp(stem: &str, text: &str) -> Option<String> {
    let of_class = text.match_indices("class ").find_map(|(at, word)| {
        let name: String =
            text[at + word.len()..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).collect();
        let start = name.len().checked_sub(13)?;
        name.get(start..).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned)
    });
    of_class.or_else(|| {
        leading_digits(stem).map(|(digits, _)| digits).filter(|digits| digits.len() == 13).map(str::to_owned)
    })
}

fn drizzle(files: &[(String, &SourceFile)]) -> Result<Vec<Migration>, String> {
    let Some((_, journal)) = files.iter().find(|(rest, _)| rest == "meta/_journal.json") else {
        return Err("there is no meta/_journal.json, by which Drizzle's migrations are told".to_owned());
    };
    let wrong = || format!("{} is not Drizzle's journal", journal.path);
    let document: serde_json::Value = serde_json::from_str(&journal.text).map_err(|_| wrong())?;
    let entries = document.get("entries").and_then(serde_json::Value::as_array).ok_or_else(wrong)?;
    let directory = journal.path.trim_end_matches("meta/_journal.json");
    entries
        .iter()
        .map(|entry| {
            let (when, tag) = (entry.get("when").and_then(serde_json::Value::as_u64), entry.get("tag"));
            let (Some(when), Some(tag)) = (when, tag.and_then(serde_json::Value::as_str)) else { return Err(wrong()) };
            let id = when.to_string();
            Ok(Migration {
                order: order_of(&id),
                id,
                name: tag.to_owned(),
                path: format!("{directory}{tag}.sql"),
                ..Migration::default()
            })
        })
        .collect()
}
