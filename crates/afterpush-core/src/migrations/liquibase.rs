//! Liquibase: change sets told by id, author and file, in changelogs of four formats.

use serde_json::Value;

use super::{
    Migration, MigrationSet, SourceFile,
    compare::{Reduced, Row, cell},
};

/// The most nodes of an XML changelog.
const MOST_NODES: u32 = 100_000;

/// Whether a file may hold change sets.
pub(super) fn is_changelog(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, kind)| matches!(kind, "sql" | "xml" | "yaml" | "yml" | "json"))
}

pub(super) fn read(files: &[(String, &SourceFile)]) -> Result<Vec<Migration>, String> {
    let mut migrations = Vec::new();
    for (_, file) in files {
        let text = file.text.as_str();
        let wrong = |why: &dyn std::fmt::Display| format!("{} is not a changelog that can be read: {why}", file.path);
        match file.path.rsplit('.').next() {
            Some("sql") => read_sql(file, &mut migrations),
            Some("xml") if text.contains("databaseChangeLog") => {
                let options = roxmltree::ParsingOptions { nodes_limit: MOST_NODES, ..Default::default() };
                let document = roxmltree::Document::parse_with_options(text, options).map_err(|why| wrong(&why))?;
                let own_path = document.root_element().attribute("logicalFilePath");
                for node in document.descendants().filter(|node| node.tag_name().name() == "changeSet") {
                    migrations.extend(change_set(file, own_path, |key| node.attribute(key).map(str::to_owned)));
                }
            }
            Some("yaml" | "yml") if text.contains("databaseChangeLog") => {
                let document: Value = serde_saphyr::from_str(text).map_err(|why| wrong(&why))?;
                read_document(file, &document, &mut migrations);
            }
            Some("json") if text.contains("databaseChangeLog") => {
                let document: Value = serde_json::from_str(text).map_err(|why| wrong(&why))?;
                read_document(file, &document, &mut migrations);
            }
            _ => {}
        }
    }
    Ok(migrations)
}

/// `-- liquibase formatted sql`, then `--changeset author:id attribute:value ...`.
fn read_sql(file: &SourceFile, migrations: &mut Vec<Migration>) {
    let comment = |line: &'_ str| line.trim().strip_prefix("--").map(|rest| rest.trim().to_owned());
    let mut lines = file.text.lines().map(comment);
    let head = lines.next().flatten().unwrap_or_default();
    let Some(attributes) = strip_word(&head, "liquibase formatted sql") else { return };
    let own_path = attribute_of(attributes, "logicalFilePath");
    for line in lines.flatten() {
        let Some(rest) = strip_word(&line, "changeset") else { continue };
        let (name, attributes) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let Some((author, id)) = name.split_once(':') else { continue };
        migrations.extend(change_set(file, own_path.as_deref(), |key| match key {
            "id" => Some(id.to_owned()),
            "author" => Some(author.to_owned()),
            key => attribute_of(attributes, key),
        }));
    }
}

/// What follows these words at the beginning, whatever their letter case.
fn strip_word<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let head = line.get(..word.len())?;
    head.eq_ignore_ascii_case(word).then(|| line[word.len()..].trim_start())
}

fn attribute_of(attributes: &str, key: &str) -> Option<String> {
    let found = attributes.split_whitespace().find_map(|pair| {
        let (name, value) = pair.split_once(':')?;
        name.eq_ignore_ascii_case(key).then_some(value)
    });
    found.map(|value| value.trim_matches('"').to_owned())
}

/// YAML and JSON have one shape.
fn read_document(file: &SourceFile, document: &Value, migrations: &mut Vec<Migration>) {
    let entries = document.get("databaseChangeLog").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let own_path = entries.iter().find_map(|entry| entry.get("logicalFilePath").and_then(Value::as_str));
    for set in entries.iter().filter_map(|entry| entry.get("changeSet")) {
        migrations.extend(change_set(file, own_path, |key| match set.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }));
    }
}

fn change_set(
    file: &SourceFile,
    own_path: Option<&str>,
    attribute: impl Fn(&str) -> Option<String>,
) -> Option<Migration> {
    let (id, author) = (attribute("id")?, attribute("author")?);
    let stored_path = attribute("logicalFilePath").or_else(|| own_path.map(str::to_owned));
    let given = |key: &str| attribute(key).is_some_and(|value| !value.trim().is_empty());
    let is_true = |key: &str| attribute(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    Some(Migration {
        id: format!("{id}::{author}::{}", stored_path.as_deref().unwrap_or(&file.path)),
        name: format!("{author}:{id} in {}", file.path),
        path: file.path.clone(),
        // These depend on how Liquibase is called and on what it finds.
        optional: ["context", "contextFilter", "labels", "dbms"].into_iter().any(given) || is_true("ignore"),
        ..Migration::default()
    })
}

/// Columns: `id`, `author`, `filename`, `exectype`. The stored file is what the search path made of it: an end of the path, or
/// with more before it.
pub(super) fn reduce(set: &MigrationSet, rows: &[Row], reduced: &mut Reduced) {
    for row in rows {
        let begin = format!("{}::{}::", cell(row, 0), cell(row, 1));
        let file = cell(row, 2).trim_start_matches("classpath:").trim_start_matches(['/', '.']);
        let known =
            set.migrations.iter().find(|it| it.id.strip_prefix(&begin).is_some_and(|path| same_file(path, file)));
        let id = known.map_or_else(|| format!("{begin}{file}"), |it| it.id.clone());
        let name = format!("{}:{} in {file}", cell(row, 1), cell(row, 0));
        if cell(row, 3) == "FAILED" {
            reduced.fail(id, &name, None);
        } else {
            reduced.done.insert(id, name);
        }
    }
}

/// Whether one path is the end of the other, whole names compared.
fn same_file(one: &str, other: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|before| !short.is_empty() && (before.is_empty() || before.ends_with('/')))
    };
    ends(one, other) || ends(other, one)
}
