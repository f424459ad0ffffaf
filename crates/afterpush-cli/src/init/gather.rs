//! Collects the files of a work tree by which hosts are recognised. Bounded in depth, number and size; follows no symbolic link,
//! and waits for nothing: what cannot be read is as good as not there.

use std::{
    fs::{self, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::fcntl::OFlag;

/// Applications lie no deeper, seen from the root of the work tree.
const DEEPEST: usize = 5;
const MOST_DIRECTORIES: usize = 5_000;
const MOST_FILES: usize = 500;
/// A description of an application is far smaller, in bytes.
const LARGEST: u64 = 256 * 1024;
/// Directories that hold other people's files, or built ones.
const NOT_OURS: [&str; 8] =
    ["node_modules", "vendor", "target", "dist", "build", "testdata", "fixtures", "__pycache__"];
/// The only hidden directories that hold files of hosts.
const HIDDEN: [&str; 5] = [".do", ".vercel", ".netlify", ".github", ".k8s"];
const NAMES: [&str; 14] = [
    "project.json",
    "repo.json",
    "vercel.json",
    "state.json",
    "netlify.toml",
    "render.yaml",
    "fly.toml",
    "wrangler.toml",
    "wrangler.json",
    "wrangler.jsonc",
    "railway.json",
    "railway.toml",
    ".gitlab-ci.yml",
    ".gitlab-ci.yaml",
];

/// A file with its path from the root, whose parts are joined by `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

/// Collects them, in the order of their paths.
pub(super) fn gather(root: &Path) -> Vec<File> {
    let mut found = Vec::new();
    let mut open = vec![(root.to_owned(), String::new(), 0)];
    let mut seen = 0;
    while let Some((directory, path, depth)) = open.pop() {
        seen += 1;
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten().take(MOST_DIRECTORIES) {
            let (Ok(kind), Some(name)) = (entry.file_type(), entry.file_name().to_str().map(str::to_owned)) else {
                continue;
            };
            // It goes into a configuration: a name that hides something is not for it.
            if name.contains(char::is_control) {
                continue;
            }
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            if kind.is_dir() {
                let is_wanted =
                    !NOT_OURS.contains(&name.as_str()) && (!name.starts_with('.') || HIDDEN.contains(&name.as_str()));
                if is_wanted && depth < DEEPEST && open.len() + seen < MOST_DIRECTORIES {
                    open.push((entry.path(), below, depth + 1));
                }
            } else if kind.is_file()
                && found.len() < MOST_FILES
                && is_wanted(&name)
                && let Some(text) = read(&entry.path())
            {
                found.push(File { path: below, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Kubernetes manifests, workflows and the like may have any name.
fn is_wanted(name: &str) -> bool {
    NAMES.contains(&name) || name.ends_with(".yaml") || name.ends_with(".yml")
}

fn read(path: &Path) -> Option<String> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LARGEST).then(|| String::from_utf8(bytes).ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_of_hosts_are_found_and_others_links_giants_and_pipes_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (path, text) in [
            ("fly.toml", "app = 1"),
            ("apps/web/.vercel/project.json", "{}"),
            ("apps/web/node_modules/x/fly.toml", "app = 1"),
            (".git/fly.toml", ""),
            ("README.md", ""),
            ("a/b/c/d/e/f/fly.toml", "too deep"),
            ("k8s/web.yaml", "kind: Deployment"),
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), text).unwrap();
        }
        fs::write(root.join("netlify.toml"), vec![b' '; usize::try_from(LARGEST).unwrap() + 1]).unwrap();
        fs::write(root.join("render.yaml"), b"\xff\xfe").unwrap();
        symlink("/etc/passwd", root.join("railway.toml")).unwrap();
        symlink(root, root.join("loop")).unwrap();
        nix::unistd::mkfifo(&root.join("wrangler.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let found: Vec<_> = gather(root).into_iter().map(|file| file.path).collect();
        assert_eq!(found, ["apps/web/.vercel/project.json", "fly.toml", "k8s/web.yaml"]);
        assert!(gather(Path::new("/nowhere")).is_empty());
        assert_eq!(read(&root.join("railway.toml")), None);
    }
}
