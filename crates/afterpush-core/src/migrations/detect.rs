//! Which tools' migrations a commit contains, told by the habits of their files.

use std::collections::BTreeSet;

use super::{Tool, flyway, read::script_stem, version::leading_digits};

/// A tool and the path below which its migrations stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The tool.
    pub tool: Tool,
    /// The path from the root of the tree; empty for the whole tree.
    pub path: String,
}

/// Directories whose files are not the application's own.
const FOREIGN: [&str; 10] = [
    "node_modules",
    "vendor",
    "third_party",
    "site-packages",
    "test",
    "tests",
    "testdata",
    "fixtures",
    "examples",
    "target",
];

/// Finds the tools by the paths of a commit's files. `text_of` gives the text of a file, asked for one file of each directory of
/// numbered SQL files, whose names several tools share.
#[must_use]
pub fn detect<'a>(
    paths: impl IntoIterator<Item = &'a str>,
    mut text_of: impl FnMut(&str) -> Option<String>,
) -> Vec<Found> {
    let is_own =
        |path: &str| path.split('/').all(|part| !FOREIGN.contains(&part) && (!part.starts_with('.') || part == "."));
    let paths: BTreeSet<&str> = paths.into_iter().filter(|path| is_own(path)).collect();
    let mut found = BTreeSet::new();
    let mut looked_into = BTreeSet::new();
    for path in &paths {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(tool) = by_habit(&paths, directory, name) {
            found.insert(tool);
        } else if name.ends_with(".sql")
            && is_numbered(name)
            && is_migrations(directory)
            && looked_into.insert(directory)
        {
            let text = text_of(path).unwrap_or_default();
            found.extend(of_sql(&paths, directory, name, &text).map(|tool| Found { tool, path: directory.to_owned() }));
        }
    }
    found.into_iter().collect()
}

fn by_habit(paths: &BTreeSet<&str>, directory: &str, name: &str) -> Option<Found> {
    let at = |tool, path: &str| Some(Found { tool, path: path.to_owned() });
    let has = |directory: &str, name: &str| paths.contains(join(directory, name).as_str());
    let (parent, last) = directory.rsplit_once('/').unwrap_or(("", directory));
    let script = script_stem(name).filter(|_| is_migrations(directory));
    let digits = script.and_then(leading_digits);
    match (name, last) {
        ("migration_lock.toml", _) => at(Tool::Prisma, directory),
        ("_journal.json", "meta") => at(Tool::Drizzle, parent),
        ("script.py.mako", _) => at(Tool::Alembic, &join(directory, "versions")),
        ("up.sql", _) if has(parent_of(parent), "diesel.toml") || has("", "diesel.toml") => at(Tool::Diesel, parent),
        ("__init__.py", "migrations") => {
            // The project is where manage.py is, at or above the app.
            let mut place = parent;
            loop {
                if has(place, "manage.py") {
                    return at(Tool::Django, place);
                }
                if place.is_empty() {
                    return None;
                }
                place = parent_of(place);
            }
        }
        (_, "migrate") if name.ends_with(".rb") && is_numbered(name) => at(Tool::Rails, directory),
        (_, "migrations") if name.ends_with(".php") && parent.ends_with("database") && is_numbered(name) => {
            at(Tool::Laravel, directory)
        }
        (_, "migrations") if name.ends_with(".exs") && is_numbered(name) => at(Tool::Ecto, directory),
        _ if name.starts_with('V') && name.ends_with(".sql") && flyway::migration(name).is_some() => {
            at(Tool::Flyway, directory)
        }
        _ if name.contains("changelog")
            && directory.split('/').any(|part| part == "changelog" || part == "liquibase") =>
        {
            let end = directory.split('/').take_while(|part| *part != "changelog" && *part != "liquibase").count() + 1;
            at(Tool::Liquibase, &directory.split('/').take(end).collect::<Vec<_>>().join("/"))
        }
        _ => match digits {
            Some((digits, rest)) if digits.len() == 14 && rest.starts_with('_') => at(Tool::Knex, directory),
            Some((digits, rest)) if digits.len() == 14 && rest.starts_with('-') => at(Tool::Sequelize, directory),
            Some((digits, rest)) if digits.len() == 13 && rest.starts_with('-') => at(Tool::Typeorm, directory),
            _ => None,
        },
    }
}

/// Numbered SQL files: marks inside of them tell two tools, what lies around them the others.
fn of_sql(paths: &BTreeSet<&str>, directory: &str, name: &str, text: &str) -> Option<Tool> {
    let marked = |mark: &str| text.lines().any(|line| line.trim_start_matches("--").trim().starts_with(mark));
    let above = |name: &str| {
        let mut place = directory;
        while !place.is_empty() {
            place = parent_of(place);
            if paths.contains(join(place, name).as_str()) {
                return true;
            }
        }
        false
    };
    if marked("+goose") {
        Some(Tool::Goose)
    } else if marked("migrate:up") {
        Some(Tool::Dbmate)
    } else if above("Cargo.toml") {
        Some(Tool::Sqlx)
    } else if name.ends_with(".up.sql") || name.ends_with(".down.sql") {
        Some(Tool::GolangMigrate)
    } else {
        None
    }
}

fn is_numbered(name: &str) -> bool {
    leading_digits(name).is_some_and(|(_, rest)| rest.starts_with('_'))
}

fn is_migrations(directory: &str) -> bool {
    directory.rsplit('/').next().is_some_and(|last| last.contains("migration"))
}

fn parent_of(directory: &str) -> &str {
    directory.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}
