//! How much code a provider takes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use afterpush_core::config::PROVIDER_KINDS;

/// Lines of code of each provider, with its tests apart, and its largest file. Lines that are empty or only a comment do not count.
pub(crate) fn lines(_: &[usize]) {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/afterpush-providers/src"));
    let mut all = Vec::new();
    println!("lines of code, without comments and empty lines:");
    for kind in PROVIDER_KINDS {
        let mut files = vec![source.join(format!("{kind}.rs"))];
        for directory in [source.join(kind), source.join(kind).join("tests")] {
            let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
            files.extend(entries.filter(|path| path.extension().is_some_and(|it| it == "rs")));
        }
        let counted: Vec<(usize, usize, PathBuf)> = files.into_iter().map(count).collect();
        let (code, tests) = counted.iter().fold((0, 0), |(code, tests), file| (code + file.0, tests + file.1));
        let (largest, _, path) = counted.iter().max_by_key(|file| file.0).unwrap();
        let path = path.strip_prefix(source).unwrap().display().to_string();
        println!("  {kind:<14} {code:>5}   and {tests:>5} of tests   largest file {largest:>4} ({path})");
        all.push((code, *largest, path));
    }
    all.sort();
    let (largest, path) = all.iter().map(|(_, largest, path)| (largest, path)).max().unwrap();
    println!(
        "  median {} of {} providers, {} to {}; largest file {largest} ({path})",
        all[all.len() / 2].0,
        all.len(),
        all[0].0,
        all[all.len() - 1].0
    );
}

/// Lines of code and of tests in a file.
fn count(path: PathBuf) -> (usize, usize, PathBuf) {
    let text = fs::read_to_string(&path).unwrap();
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let of = |text: &str| text.lines().filter(is_code).count();
    if path.ends_with("tests.rs") || path.parent().is_some_and(|parent| parent.ends_with("tests")) {
        return (0, of(&text), path);
    }
    // The tests of a file stand at its end.
    let (code, tests) = text.split_once("\n#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
    (of(code), of(tests), path)
}
