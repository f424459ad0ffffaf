//! What a database has of a commit's migrations.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use super::{
    MigrationSet, Tool, alembic, django, flyway, liquibase,
    read::script_stem,
    version::{order_of, plain},
};

/// A row of a tool's table: the columns of [`super::Ledger`], in their order.
pub type Row = Vec<Option<String>>;

/// What a database has of the migrations of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// How many of the commit's are applied.
    pub applied: usize,
    /// Those of the commit that are not, by their names.
    pub pending: Vec<String>,
    /// Those that failed or were left half done. The tool goes no further before a person has mended them.
    pub failed: Vec<Failure>,
    /// Those that are applied and that the commit does not have: the schema is ahead of it.
    pub unknown: Vec<String>,
    /// Why the rest says nothing, when it does not: what the database names cannot be placed among the commit's migrations.
    pub undecided: Option<String>,
}

/// A migration that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub name: String,
    /// The error that the tool has stored, as it is.
    pub error: Option<String>,
}

/// What the rows say, each migration by its id.
#[derive(Default)]
pub(super) struct Reduced {
    /// Applied ones, with the name that the row gives them.
    pub(super) done: BTreeMap<String, String>,
    failed: BTreeMap<String, Failure>,
    /// Begun and not ended, with the name that the row gives them.
    begun: BTreeMap<String, String>,
    undecided: Option<String>,
}

impl Reduced {
    pub(super) fn fail(&mut self, id: String, name: &str, error: Option<&str>) {
        let error = error.map(str::trim).filter(|error| !error.is_empty()).map(str::to_owned);
        self.failed.insert(id, Failure { name: name.to_owned(), error });
    }
}

/// A cell as text; NULL and a missing one are empty.
pub(super) fn cell(row: &Row, index: usize) -> &str {
    row.get(index).and_then(Option::as_deref).unwrap_or_default().trim()
}

/// A truth value as the databases write it.
pub(super) fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y" | "yes")
}

/// Compares a commit's migrations with the rows of the tool's table; no rows where there is no table.
#[must_use]
pub fn compare(set: &MigrationSet, rows: &[Row]) -> Standing {
    let mut reduced = Reduced::default();
    reduce(set, rows, &mut reduced);
    standing(set, reduced)
}

/// As [`compare`], where the tool may be at work: of a tool that [marks what it has begun](Tool::marks_what_it_has_begun) this is
/// pending and not failed.
#[must_use]
pub fn compare_at_work(set: &MigrationSet, rows: &[Row]) -> Standing {
    let mut reduced = Reduced::default();
    reduce(set, rows, &mut reduced);
    if set.tool.marks_what_it_has_begun() {
        reduced.begun = mem::take(&mut reduced.failed).into_iter().map(|(id, failure)| (id, failure.name)).collect();
    }
    standing(set, reduced)
}

fn standing(set: &MigrationSet, reduced: Reduced) -> Standing {
    let names: BTreeMap<&str, &str> = set.migrations.iter().map(|it| (it.id.as_str(), it.name.as_str())).collect();
    let mut standing = Standing { undecided: reduced.undecided, ..Standing::default() };
    for (id, failure) in reduced.failed {
        let name = names.get(id.as_str()).map_or(failure.name, |name| (*name).to_owned());
        standing.failed.push(Failure { name, error: failure.error });
    }
    // A squashed migration stands for the ones that it replaces, and they for it.
    let mut done: BTreeSet<&str> = reduced.done.keys().map(String::as_str).collect();
    loop {
        let before = done.len();
        for squashed in set.migrations.iter().filter(|it| !it.replaces.is_empty()) {
            if done.contains(squashed.id.as_str()) {
                done.extend(squashed.replaces.iter().map(String::as_str));
            } else if squashed.replaces.iter().all(|id| done.contains(id.as_str())) {
                done.insert(&squashed.id);
            }
        }
        if done.len() == before {
            break;
        }
    }
    // Of a squashed one that is not applied yet, the replaced ones are no lack of their own.
    let replaced: BTreeSet<&str> =
        set.migrations.iter().flat_map(|it| it.replaces.iter().map(String::as_str)).collect();
    let failed: BTreeSet<&str> = standing.failed.iter().map(|it| it.name.as_str()).collect();
    let mut pending = Vec::new();
    let mut seen = BTreeSet::new();
    for migration in set.migrations.iter().filter(|it| seen.insert(it.id.as_str())) {
        if done.contains(migration.id.as_str()) {
            standing.applied += 1;
        } else if !migration.optional
            && !replaced.contains(migration.id.as_str())
            && !failed.contains(migration.name.as_str())
        {
            let is_begun = reduced.begun.contains_key(&migration.id);
            pending.push(if is_begun { begun(&migration.name) } else { migration.name.clone() });
        }
    }
    standing.pending = if standing.undecided.is_some() { Vec::new() } else { pending };
    let is_known = |id: &str| names.contains_key(id) || replaced.contains(id);
    let unknown = reduced.done.into_iter().chain(reduced.begun.into_iter().map(|(id, name)| (id, begun(&name))));
    standing.unknown = unknown.filter(|(id, _)| !is_known(id)).map(|(_, name)| name).collect();
    standing
}

fn begun(name: &str) -> String {
    format!("{name} (begun and not ended)")
}

fn reduce(set: &MigrationSet, rows: &[Row], reduced: &mut Reduced) {
    match set.tool {
        Tool::Alembic => reduce_alembic(set, rows, reduced),
        Tool::Django => {
            // Django's own and other packages' apps are not the commit's: their rows say nothing about it.
            let apps: BTreeSet<&str> = set.migrations.iter().map(|it| it.line.as_str()).collect();
            let own = rows.iter().filter(|row| apps.contains(cell(row, 0)));
            let ids = own.map(|row| django::id(cell(row, 0), cell(row, 1)));
            reduced.done.extend(ids.map(|id| (id.clone(), id)));
        }
        Tool::Flyway => flyway::reduce(set, rows, reduced),
        Tool::GolangMigrate => reduce_golang_migrate(set, rows, reduced),
        Tool::Goose => reduce_goose(rows, reduced),
        Tool::Liquibase => liquibase::reduce(set, rows, reduced),
        Tool::Prisma => reduce_prisma(rows, reduced),
        Tool::Sqlx => {
            for row in rows {
                let id = plain(cell(row, 0)).to_owned();
                if is_true(cell(row, 1)) {
                    reduced.done.insert(id.clone(), id);
                } else {
                    reduced.fail(id.clone(), &id, None);
                }
            }
        }
        Tool::Knex | Tool::Sequelize => {
            let named = rows.iter().map(|row| cell(row, 0));
            reduced.done.extend(named.map(|name| (script_stem(name).unwrap_or(name).to_owned(), name.to_owned())));
        }
        Tool::Typeorm => {
            reduced.done.extend(rows.iter().map(|row| (cell(row, 0).to_owned(), cell(row, 1).to_owned())));
        }
        Tool::Rails | Tool::Ecto => {
            let versions = rows.iter().map(|row| plain(cell(row, 0)));
            reduced.done.extend(versions.map(|id| (id.to_owned(), id.to_owned())));
        }
        Tool::Dbmate | Tool::Diesel | Tool::Drizzle | Tool::Laravel => {
            reduced.done.extend(rows.iter().map(|row| (cell(row, 0).to_owned(), cell(row, 0).to_owned())));
        }
    }
    reduced.done.remove("");
}

/// Columns: `migration_name`, `finished_at`, `rolled_back_at`, `logs`. A name may have several rows: failed, marked as rolled
/// back, and applied in the end.
fn reduce_prisma(rows: &[Row], reduced: &mut Reduced) {
    for row in rows.iter().filter(|row| cell(row, 2).is_empty() && !cell(row, 1).is_empty()) {
        reduced.done.insert(cell(row, 0).to_owned(), cell(row, 0).to_owned());
    }
    for row in rows.iter().filter(|row| cell(row, 2).is_empty() && cell(row, 1).is_empty()) {
        let (name, logs) = (cell(row, 0), cell(row, 3));
        // Without a log it may be under way: then it is pending.
        if !logs.is_empty() && !reduced.done.contains_key(name) {
            reduced.fail(name.to_owned(), name, Some(logs));
        }
    }
}

/// Columns: `version_num`, one row for each branch.
fn reduce_alembic(set: &MigrationSet, rows: &[Row], reduced: &mut Reduced) {
    let heads: Vec<&str> = rows.iter().map(|row| cell(row, 0)).filter(|id| !id.is_empty()).collect();
    let done = alembic::with_ancestors(&set.migrations, heads.iter().copied());
    reduced.done.extend(done.iter().map(|id| ((*id).to_owned(), (*id).to_owned())));
    let strange: Vec<&str> = heads.into_iter().filter(|id| !done.contains(id)).collect();
    // Whether a revision that the commit does not have continues from the commit's is written nowhere.
    if !strange.is_empty() && done.len() < set.migrations.len() {
        let list = strange.join(", ");
        reduced.undecided = Some(format!("the database is at revision {list}, which this commit does not have"));
    }
    reduced.done.extend(strange.into_iter().map(|id| (id.to_owned(), id.to_owned())));
}

/// Columns: `version`, `dirty`; one row for all.
fn reduce_golang_migrate(set: &MigrationSet, rows: &[Row], reduced: &mut Reduced) {
    let Some(row) = rows.first() else { return };
    let version = plain(cell(row, 0)).to_owned();
    let reached = order_of(&version);
    let is_dirty = is_true(cell(row, 1));
    let below = set.migrations.iter().filter(|it| it.order < reached || it.order == reached && !is_dirty);
    reduced.done.extend(below.map(|it| (it.id.clone(), it.name.clone())));
    if is_dirty {
        reduced.fail(version.clone(), &version, Some("the database is marked dirty at this version"));
    } else {
        reduced.done.insert(version.clone(), version);
    }
}

/// Columns: `id`, `version_id`, `is_applied`; going down adds a row, too, in older versions.
fn reduce_goose(rows: &[Row], reduced: &mut Reduced) {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| order_of(cell(row, 0)));
    for row in rows {
        let version = plain(cell(row, 1)).to_owned();
        if is_true(cell(row, 2)) && version != "0" {
            reduced.done.insert(version.clone(), version);
        } else {
            reduced.done.remove(&version);
        }
    }
}
