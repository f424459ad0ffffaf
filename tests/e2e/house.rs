//! The directions of imports, and what each program may link.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use cargo_metadata::{DependencyKind, MetadataCommand, PackageId};

/// What each crate may import of ours.
const MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("afterpush-core", &[]),
    ("afterpush-store", &["afterpush-core"]),
    ("afterpush-hook", &["afterpush-core", "afterpush-store"]),
    ("afterpush-providers", &["afterpush-core"]),
    ("afterpush-probes", &["afterpush-core"]),
    ("afterpush-git", &["afterpush-core"]),
    (
        "afterpush-monitor",
        &["afterpush-core", "afterpush-store", "afterpush-git", "afterpush-providers", "afterpush-probes"],
    ),
    ("afterpush-cli", &["afterpush-core", "afterpush-store", "afterpush-git"]),
    ("afterpush-testkit", &[]),
    ("afterpush-tests", &["afterpush-core", "afterpush-providers"]),
];

/// What must not be linked, by whom, however deep below.
const NEVER_LINKS: [(&str, &[&str]); 7] = [
    ("afterpush-core", &["tokio", "reqwest", "git2", "clap", "nix", "getrandom", "fastrand", "directories"]),
    ("afterpush-store", &["tokio", "reqwest", "git2", "clap"]),
    ("afterpush-hook", &["tokio", "reqwest", "git2", "clap", "sqlx", "rustls"]),
    ("afterpush-providers", &["tokio", "reqwest", "git2", "clap", "nix"]),
    ("afterpush-git", &["tokio", "reqwest", "clap"]),
    ("afterpush-cli", &["tokio", "reqwest", "sqlx", "rustls"]),
    ("afterpush-monitor", &["clap"]),
];

/// Where the design puts the libraries that the project is built on.
const USES: [(&str, &str); 8] = [
    ("afterpush-git", "git2"),
    ("afterpush-monitor", "tokio"),
    ("afterpush-monitor", "nix"),
    ("afterpush-store", "fs2"),
    ("afterpush-monitor", "reqwest"),
    ("afterpush-core", "serde_json"),
    ("afterpush-store", "directories"),
    ("afterpush-core", "thiserror"),
];

/// For each crate, by name: what it needs to be built and run, directly and in all.
struct Links {
    direct: BTreeMap<String, BTreeSet<String>>,
    all: BTreeMap<String, BTreeSet<String>>,
}

fn links() -> Links {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    // What other platforms would link may not be on this machine; what this one links is.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let options = ["--offline", "--locked", "--filter-platform", host].map(str::to_owned);
    let metadata = MetadataCommand::new().manifest_path(manifest).other_options(options).exec().unwrap();
    let names: BTreeMap<&PackageId, &str> =
        metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let resolve = metadata.resolve.as_ref().unwrap();
    // Only what ends up in the program: not what tests or build scripts need.
    let edges: BTreeMap<&PackageId, Vec<&PackageId>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let normal = node
                .deps
                .iter()
                .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
            (&node.id, normal.map(|dependency| &dependency.pkg).collect())
        })
        .collect();
    let mut links = Links { direct: BTreeMap::new(), all: BTreeMap::new() };
    for member in &metadata.workspace_members {
        let name = names[member].to_owned();
        let direct = edges[member].iter().map(|id| names[id].to_owned()).collect();
        let mut seen = BTreeSet::new();
        let mut open = vec![member];
        while let Some(id) = open.pop() {
            open.extend(edges[id].iter().filter(|next| seen.insert(**next)));
        }
        links.direct.insert(name.clone(), direct);
        links.all.insert(name, seen.iter().map(|id| names[id].to_owned()).collect());
    }
    links
}

#[test]
fn imports_point_one_way_and_the_push_path_stays_small() {
    let links = links();
    let known: BTreeSet<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    let members: BTreeSet<&str> = links.all.keys().map(String::as_str).collect();
    assert_eq!(members, known, "a crate without a rule, or a rule without a crate");
    for (name, allowed) in MAY_IMPORT {
        let ours = links.direct[name].iter().filter(|it| it.starts_with("afterpush-"));
        let wrong: Vec<_> = ours.filter(|it| !allowed.contains(&it.as_str())).collect();
        assert!(wrong.is_empty(), "{name} must not import {wrong:?}");
    }
    for (name, never) in NEVER_LINKS {
        let wrong: Vec<_> = never.iter().filter(|it| links.all[name].contains(**it)).collect();
        assert!(wrong.is_empty(), "{name} must not link {wrong:?}");
    }
    for (name, library) in USES {
        assert!(links.direct[name].contains(library), "{name} is meant to use {library}");
    }
    for (name, direct) in &links.direct {
        assert_eq!(direct.contains("fs2"), name == "afterpush-store", "fs2 belongs to the store alone, not to {name}");
    }
}

#[test]
fn fs2_is_used_in_one_file() {
    let source = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/afterpush-store/src"));
    let files = std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path());
    let users: Vec<_> = files
        .filter(|path| path.is_file() && std::fs::read_to_string(path).unwrap().contains("fs2::"))
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(users, ["lock.rs"]);
}
