//! Looks for a secret in all the places where it must not be.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

/// The files below a directory whose name or content holds the canary.
#[must_use]
pub fn found_below(directory: &Path, canary: &str) -> Vec<PathBuf> {
    let mut open = vec![directory.to_owned()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        // A monitor at work makes and removes files meanwhile.
        let Ok(kind) = fs::symlink_metadata(&path) else { continue };
        let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
        let content = if kind.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        if kind.is_dir() {
            open.extend(fs::read_dir(&path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())));
        }
        if holds(name, canary) || holds(&content, canary) {
            found.push(path);
        }
    }
    found
}

/// The files in `/proc` that show the canary among the arguments or in the environment of a process, of those that may be read.
#[must_use]
pub fn found_in_processes(canary: &str) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let files = processes.flat_map(|process| ["cmdline", "environ"].map(|name| process.join(name)));
    files.filter(|file| fs::read(file).is_ok_and(|text| holds(&text, canary))).collect()
}

/// Whether a text, of whatever bytes, has the canary in it.
#[must_use]
pub fn holds(text: &[u8], canary: &str) -> bool {
    text.windows(canary.len()).any(|window| window == canary.as_bytes())
}
