//! Reads reflog files. libgit2's own reader creates a reflog that does not exist, and we change nothing.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use afterpush_core::id::CommitId;

/// What git writes when it moves a remote-tracking ref after a push.
pub(crate) const BY_PUSH: &str = "update by push";

/// How much of a reflog is read, from its end: some thousand entries.
const TAIL: u64 = 1 << 20;

/// One entry of a reflog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) commit: CommitId,
    pub(crate) at: i64,
    pub(crate) message: String,
}

impl Entry {
    pub(crate) fn is_push(&self) -> bool {
        self.message == BY_PUSH
    }
}

/// The entries of a reflog file, the newest first. A file that does not exist has none; a line that is not of git's form,
/// such as the rest of a line that was cut, is left out.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        // The directory of a longer name, such as logs/refs/remotes/origin/feature beside feature/x.
        return Ok(Vec::new());
    }
    let skipped = metadata.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(skipped))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.split('\n');
    if skipped > 0 {
        lines.next();
    }
    let mut entries: Vec<Entry> = lines.filter_map(entry).collect();
    entries.reverse();
    Ok(entries)
}

/// `<old id> <new id> <name> <<email>> <seconds> <zone>\t<message>`
fn entry(line: &str) -> Option<Entry> {
    let (who, message) = line.split_once('\t').unwrap_or((line, ""));
    let commit = CommitId::parse(who.split(' ').nth(1)?).ok()?;
    let at = who.rsplit(' ').nth(1)?.parse().ok()?;
    Some(Entry { commit, at, message: message.trim_end().to_owned() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn entries_come_newest_first_and_broken_lines_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("main");
        let lines = [
            format!("{ZERO} {A} A B <a@b> 100 +0200\tupdate by push"),
            format!("{A} {A} A B <a@b> 200 -0700\tfetch: fast-forward"),
            format!("{A} {ZERO} A B <a@b> 300 +0000\t"),
            "not a reflog line".to_owned(),
            String::new(),
        ];
        fs::write(&path, lines.join("\n")).unwrap();
        let entries = read(&path).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.at).collect::<Vec<_>>(), [200, 100]);
        assert!(!entries[0].is_push() && entries[1].is_push());
    }

    #[test]
    fn a_missing_reflog_is_empty_and_is_not_created() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("main");
        assert_eq!(read(&path).unwrap(), []);
        assert_eq!(read(&path.join("below")).unwrap(), []);
        assert_eq!(read(dir.path()).unwrap(), []);
        assert!(!path.exists());
    }

    #[test]
    fn of_a_huge_reflog_the_newest_entries_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("main");
        let mut text = String::new();
        for second in 0..20_000 {
            text.push_str(&format!("{A} {A} A B <a@b> {second} +0000\tupdate by push\n"));
        }
        fs::write(&path, &text).unwrap();
        let entries = read(&path).unwrap();
        assert!(text.len() as u64 > TAIL);
        assert_eq!(entries.first().unwrap().at, 19_999);
        assert!(entries.windows(2).all(|pair| pair[0].at == pair[1].at + 1));
    }
}
