//! What is wrong with a commit's migrations before it is pushed: told by the commit and its upstream alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Migration, MigrationSet, Tool};

/// What the upstream has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its migrations below the same path.
    pub set: MigrationSet,
    /// The paths of its files whose content differs in the commit.
    pub edited: BTreeSet<String>,
}

/// Something that a tool would stumble over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The migration's file.
    pub path: String,
    /// The whole story in one sentence.
    pub text: String,
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// Two migrations have one version.
    Duplicate,
    /// A migration that the upstream has was changed.
    Edited,
    /// A new migration comes before one that the upstream has.
    OutOfOrder,
    /// Two migrations continue from the same one.
    SeveralHeads,
}

impl FindingKind {
    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Edited => "edited",
            Self::OutOfOrder => "out_of_order",
            Self::SeveralHeads => "several_heads",
        }
    }
}

/// Looks at a commit's migrations beside its upstream's; without an upstream at the commit alone.
#[must_use]
pub fn review(set: &MigrationSet, upstream: Option<&Upstream>) -> Vec<Finding> {
    let mut findings = duplicates(set);
    findings.extend(several_heads(set));
    if let Some(upstream) = upstream {
        findings.extend(edited(set, upstream));
        findings.extend(out_of_order(set, &upstream.set));
    }
    findings
}

fn finding(kind: FindingKind, migration: &Migration, text: String) -> Finding {
    Finding { kind, path: migration.path.clone(), text }
}

fn duplicates(set: &MigrationSet) -> Vec<Finding> {
    let mut first: BTreeMap<&str, &Migration> = BTreeMap::new();
    let mut findings = Vec::new();
    for migration in &set.migrations {
        match first.get(migration.id.as_str()) {
            // sqlx has two files for one migration that can be taken back, of which one was left out already.
            Some(other) => findings.push(finding(
                FindingKind::Duplicate,
                migration,
                format!("{} has the same version as {} ({})", migration.path, other.path, migration.id),
            )),
            None => drop(first.insert(&migration.id, migration)),
        }
    }
    findings
}

fn edited(set: &MigrationSet, upstream: &Upstream) -> Vec<Finding> {
    // A changelog of Liquibase holds many change sets and grows with each.
    if set.tool == Tool::Liquibase {
        return Vec::new();
    }
    let theirs: BTreeSet<&str> = upstream.set.migrations.iter().map(|it| it.path.as_str()).collect();
    let is_edited =
        |it: &&Migration| !it.repeatable && theirs.contains(it.path.as_str()) && upstream.edited.contains(&it.path);
    let tell = |it: &Migration| {
        let text =
            format!("{} is changed, and the upstream has it already: where it is applied, the change is not", it.path);
        finding(FindingKind::Edited, it, text)
    };
    set.migrations.iter().filter(is_edited).map(tell).collect()
}

fn out_of_order(set: &MigrationSet, upstream: &MigrationSet) -> Vec<Finding> {
    let known: BTreeSet<&str> = upstream.migrations.iter().map(|it| it.id.as_str()).collect();
    let mut newest: BTreeMap<&str, &Migration> = BTreeMap::new();
    for migration in upstream.migrations.iter().filter(|it| !it.order.is_empty()) {
        let last = newest.entry(&migration.line).or_insert(migration);
        if migration.order > last.order {
            *last = migration;
        }
    }
    let tell = |it: &Migration| {
        let last = newest.get(it.line.as_str()).filter(|last| !it.order.is_empty() && it.order < last.order)?;
        if known.contains(it.id.as_str()) || !it.replaces.is_empty() {
            return None;
        }
        let text = format!("{} is new and comes before {}, which the upstream has already", it.path, last.name);
        Some(finding(FindingKind::OutOfOrder, it, text))
    };
    set.migrations.iter().filter_map(tell).collect()
}

/// Django and Alembic go on only from one newest migration in each line.
fn several_heads(set: &MigrationSet) -> Vec<Finding> {
    if !matches!(set.tool, Tool::Alembic | Tool::Django) {
        return Vec::new();
    }
    let line_of: BTreeMap<&str, &str> = set.migrations.iter().map(|it| (it.id.as_str(), it.line.as_str())).collect();
    let continued: BTreeSet<&str> = set
        .migrations
        .iter()
        .flat_map(|it| it.parents.iter().filter(|id| line_of.get(id.as_str()) == Some(&it.line.as_str())))
        .map(String::as_str)
        .collect();
    let replaced: BTreeSet<&str> =
        set.migrations.iter().flat_map(|it| it.replaces.iter()).map(String::as_str).collect();
    let mut heads: BTreeMap<&str, Vec<&Migration>> = BTreeMap::new();
    for migration in &set.migrations {
        let is_head = !continued.contains(migration.id.as_str()) && !replaced.contains(migration.id.as_str());
        if is_head {
            heads.entry(&migration.line).or_default().push(migration);
        }
    }
    let several = heads.into_values().filter(|heads| heads.len() > 1);
    several
        .map(|heads| {
            let names: Vec<&str> = heads.iter().map(|it| it.path.as_str()).collect();
            let text = format!("{} are each the newest: merge them into one", names.join(" and "));
            finding(FindingKind::SeveralHeads, heads[heads.len() - 1], text)
        })
        .collect()
}
