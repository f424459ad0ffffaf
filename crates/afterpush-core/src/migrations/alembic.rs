//! Alembic: revisions that name the ones before them. The database holds only the newest of each branch.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Migration, SourceFile,
    python::{assigned, strings},
};

pub(super) fn read(files: &[(String, &SourceFile)]) -> Result<Vec<Migration>, String> {
    let mut migrations = Vec::new();
    for (_, file) in files.iter().filter(|(rest, _)| rest.ends_with(".py")) {
        let Some(id) = assigned(&file.text, "revision").map(strings).and_then(|found| found.into_iter().next()) else {
            continue;
        };
        let Some(before) = assigned(&file.text, "down_revision") else {
            return Err(format!("{} has a revision and no down_revision", file.path));
        };
        let mut parents = strings(before);
        parents.extend(assigned(&file.text, "depends_on").map(strings).unwrap_or_default());
        let name = file.path.rsplit('/').next().unwrap_or(&file.path).to_owned();
        migrations.push(Migration { id, name, path: file.path.clone(), parents, ..Migration::default() });
    }
    Ok(migrations)
}

/// These revisions and everything that they continue from.
pub(super) fn with_ancestors<'a>(
    migrations: &'a [Migration],
    heads: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<&'a str> {
    let by_id: BTreeMap<&str, &Migration> = migrations.iter().map(|it| (it.id.as_str(), it)).collect();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = heads.into_iter().collect();
    while let Some(id) = open.pop() {
        if let Some((id, migration)) = by_id.get_key_value(id)
            && seen.insert(*id)
        {
            open.extend(migration.parents.iter().map(String::as_str));
        }
    }
    seen
}
