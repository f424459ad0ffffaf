//! Django: migrations of several apps, each with its own names; squashed migrations stand for others.

use std::collections::BTreeMap;

use super::{
    Migration, SourceFile,
    python::{assigned, strings},
    version::order_of,
};

pub(super) fn id(app: &str, name: &str) -> String {
    format!("{app}.{name}")
}

pub(super) fn read(files: &[(String, &SourceFile)]) -> Vec<Migration> {
    // An app's label is its package's name, unless its configuration says otherwise.
    let labels: BTreeMap<&str, String> = files
        .iter()
        .filter_map(|(rest, file)| {
            let app = rest.strip_suffix("/apps.py")?;
            let label = strings(assigned(&file.text, "label")?).into_iter().next()?;
            Some((app, label))
        })
        .collect();
    files.iter().filter_map(|(rest, file)| migration(rest, file, &labels)).collect()
}

fn migration(rest: &str, file: &SourceFile, labels: &BTreeMap<&str, String>) -> Option<Migration> {
    let (directory, name) = rest.rsplit_once('/')?;
    let package = directory.strip_suffix("/migrations")?;
    let name = name.strip_suffix(".py").filter(|name| !name.starts_with(['_', '~']))?;
    if !file.text.contains("class Migration") {
        return None;
    }
    let app = labels.get(package).map_or_else(|| package.rsplit('/').next().unwrap_or(package), String::as_str);
    let pairs = |variable: &str| {
        let words = assigned(&file.text, variable).map(strings).unwrap_or_default();
        words.chunks_exact(2).map(|pair| id(&pair[0], &pair[1])).collect::<Vec<String>>()
    };
    Some(Migration {
        id: id(app, name),
        name: id(app, name),
        path: file.path.clone(),
        order: order_of(name),
        line: app.to_owned(),
        parents: pairs("dependencies"),
        replaces: pairs("replaces"),
        ..Migration::default()
    })
}
