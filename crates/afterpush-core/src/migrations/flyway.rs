//! Flyway: `V1.2__text.sql` once each, `R__text.sql` again at each change; the history keeps every attempt.

use std::collections::BTreeMap;

use super::{
    Migration, MigrationSet,
    compare::{Reduced, Row, cell, is_true},
    version::{leading_digits, order_of, plain},
};

/// The migration that a path is; `None` for undo scripts and everything else.
pub(super) fn migration(path: &str) -> Option<Migration> {
    let name = path.rsplit('/').next()?;
    let stem = ["sql", "java", "kt"].into_iter().find_map(|kind| name.strip_suffix(kind)?.strip_suffix('.'))?;
    let (prefix, description) = stem.split_once("__")?;
    let whole = Migration { name: name.to_owned(), path: path.to_owned(), ..Migration::default() };
    if prefix == "R" {
        return Some(Migration { id: repeatable(description), repeatable: true, ..whole });
    }
    let version = version(prefix.strip_prefix('V')?)?;
    Some(Migration { order: order_of(&version), id: version, ..whole })
}

fn repeatable(description: &str) -> String {
    format!("R {}", description.replace('_', " ").trim())
}

/// `1_2.03` is `1.2.3`; zeros at the end say nothing. `None` for what is no version.
fn version(text: &str) -> Option<String> {
    let text = text.replace('_', ".");
    let parts: Vec<&str> = text.split('.').collect();
    let are_numbers = parts.iter().all(|part| leading_digits(part).is_some_and(|(_, rest)| rest.is_empty()));
    if !are_numbers {
        return None;
    }
    let mut parts: Vec<&str> = parts.into_iter().map(plain).collect();
    while parts.len() > 1 && parts.last() == Some(&"0") {
        parts.pop();
    }
    Some(parts.join("."))
}

/// Columns: `installed_rank`, `version`, `description`, `type`, `script`, `success`.
pub(super) fn reduce<'a>(set: &MigrationSet, rows: &'a [Row], reduced: &mut Reduced) {
    let mut rows: Vec<&'a Row> = rows.iter().collect();
    rows.sort_by_key(|row| order_of(cell(row, 0)));
    // The last word on each version or description counts.
    let mut last: BTreeMap<String, &Row> = BTreeMap::new();
    let mut baseline = None;
    for row in rows {
        let kind = cell(row, 3);
        let version = version(cell(row, 1));
        if kind.ends_with("BASELINE") {
            baseline = baseline.max(version.clone().map(|version| order_of(&version)));
            if kind == "BASELINE" {
                continue;
            }
        }
        let id = version.unwrap_or_else(|| repeatable(cell(row, 2)));
        if matches!(kind, "SCHEMA" | "DELETE") || kind.starts_with("UNDO") && is_true(cell(row, 5)) {
            last.remove(&id);
        } else {
            last.insert(id, row);
        }
    }
    for (id, row) in last {
        if is_true(cell(row, 5)) {
            reduced.done.insert(id, cell(row, 4).to_owned());
        } else {
            reduced.fail(id, cell(row, 4), None);
        }
    }
    if let Some(baseline) = baseline {
        let below = set.migrations.iter().filter(|it| !it.repeatable && it.order <= baseline);
        reduced.done.extend(below.map(|it| (it.id.clone(), it.name.clone())));
    }
}
