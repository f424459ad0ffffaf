//! What git, or a hook manager in its stead, tells the hook: arguments, ref lines, `PRE_COMMIT_*` variables.
//!
//! Invariant: reading ends, with whatever has come by then: at the end of the input, at a size limit, at a deadline; it
//! does not begin on a terminal. No input makes it fail.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, IsTerminal},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use afterpush_core::{
    id::{CommitId, RefName},
    push::{RefLine, RefUpdate, parse_ref_line},
    redact,
};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{dup2_stdin, read},
};

/// Some hundred thousand refs.
const LONGEST_INPUT: usize = 16 << 20;
/// A ref name has at most 1,024 bytes, and there are two, and two object ids.
const LONGEST_LINE: usize = 4 << 10;
/// git has written all lines by the time the hook starts, or does so at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// The remote that git takes when none is named.
const DEFAULT_REMOTE: &str = "origin";

/// Where the push goes, without credentials.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The remote's name, or its URL when it has none.
    pub(crate) name: String,
    /// Its URL.
    pub(crate) url: String,
    /// Whether `name` is a name.
    pub(crate) is_named: bool,
}

impl Remote {
    /// Reads git's two arguments. Some programs run the hook without them; pre-commit puts them into variables.
    pub(crate) fn read(name: Option<OsString>, url: Option<OsString>) -> Self {
        let text = |value: Option<OsString>, variable: &str| {
            value
                .or_else(|| env::var_os(variable))
                .map(|value| value.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        Self::of(&text(name, "PRE_COMMIT_REMOTE_NAME"), &text(url, "PRE_COMMIT_REMOTE_URL"))
    }

    /// The same of two texts that are there.
    pub(crate) fn of(name: &str, url: &str) -> Self {
        let is_named = name != url && !name.contains("://");
        let clean = |text: &str| redact::remote_url(text);
        match (name, url) {
            ("", "") => Self { name: DEFAULT_REMOTE.into(), url: String::new(), is_named: true },
            ("", url) => Self { name: clean(url), url: clean(url), is_named: false },
            // A push to a bare address: git says it twice, or the second time with `url.<base>.insteadOf` applied.
            (name, url) => Self { name: clean(name), url: clean(url), is_named },
        }
    }
}

/// The ref updates of this push.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Updates {
    /// Those that somebody wants watched; deletions and what is not readable are left out.
    pub(crate) wanted: Vec<RefUpdate>,
    /// The input was longer than is ever read: there may be more.
    pub(crate) is_cut: bool,
}

/// Reads the ref updates of this push, and keeps those that are wanted.
pub(crate) fn updates(is_wanted: impl Fn(&RefUpdate) -> bool) -> Updates {
    let mut lines = Lines { is_wanted, part: Vec::new(), updates: Updates::default() };
    if read_standard_input(&mut lines) {
        lines.end();
        return lines.updates;
    }
    let told = from_pre_commit(|name| env::var(name).ok()).into_iter().filter(|update| (lines.is_wanted)(update));
    Updates { wanted: told.collect(), is_cut: false }
}

/// Takes lines as they come, so that a push of very many refs costs no more memory than the ones that are watched.
struct Lines<F> {
    is_wanted: F,
    /// The beginning of a line whose end has not come.
    part: Vec<u8>,
    updates: Updates,
}

impl<F: Fn(&RefUpdate) -> bool> Lines<F> {
    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.part.extend_from_slice(&rest[..end]);
            self.take_line();
            rest = &rest[end + 1..];
        }
        // What is longer than any line of git's is none; its rest will not be readable either.
        if self.part.len() <= LONGEST_LINE {
            self.part.extend_from_slice(rest);
        }
    }

    fn take_line(&mut self) {
        let line = std::mem::take(&mut self.part);
        if let Ok(line) = str::from_utf8(&line)
            && let RefLine::Update(update) = parse_ref_line(line)
            && (self.is_wanted)(&update)
        {
            self.updates.wanted.push(update);
        }
    }

    /// The input has ended; its last line need not have an end.
    fn end(&mut self) {
        if !self.updates.is_cut {
            self.take_line();
        }
    }
}

/// pre-commit and prek read the standard input themselves and tell of the first ref only, in variables.
fn from_pre_commit(variable: impl Fn(&str) -> Option<String>) -> Option<RefUpdate> {
    let commit = CommitId::parse(&variable("PRE_COMMIT_TO_REF")?).ok()?;
    let branch = variable("PRE_COMMIT_REMOTE_BRANCH")?;
    let ref_name = RefName::parse(&branch).or_else(|_| RefName::parse(&format!("refs/heads/{branch}"))).ok()?;
    let previous = variable("PRE_COMMIT_FROM_REF").and_then(|from| CommitId::parse(&from).ok());
    Some(RefUpdate { commit, ref_name, previous })
}

/// Reads within the limits, then lets go of the pipe: a writer of more must not wait for us. `false`: nothing came.
fn read_standard_input<F: Fn(&RefUpdate) -> bool>(lines: &mut Lines<F>) -> bool {
    let stdin = io::stdin();
    // Some hook managers hand over a terminal that never ends.
    if stdin.is_terminal() {
        return false;
    }
    let deadline = Instant::now() + PATIENCE;
    let mut chunk = [0; 64 << 10];
    let mut size = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)], wait) {
            // Nothing more comes. Half a line could name another ref: it is dropped with the rest.
            Ok(0) => {
                lines.part.clear();
                break;
            }
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) if !left.is_zero() => continue,
            Err(_) => break,
        }
        if size >= LONGEST_INPUT || (left.is_zero() && size > 0) {
            lines.updates.is_cut = true;
            break;
        }
        match read(stdin.as_fd(), &mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                size += count;
                lines.take(&chunk[..count]);
            }
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) if !left.is_zero() => {}
            Err(_) => break,
        }
    }
    if let Ok(null) = File::open("/dev/null") {
        let _ = dup2_stdin(null);
    }
    size > 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn read_in_parts(input: &[u8], part: usize) -> Vec<String> {
        let mut lines = Lines { is_wanted: |_: &RefUpdate| true, part: Vec::new(), updates: Updates::default() };
        input.chunks(part).for_each(|bytes| lines.take(bytes));
        lines.end();
        lines.updates.wanted.iter().map(|update| update.ref_name.as_str().to_owned()).collect()
    }

    #[test]
    fn lines_that_are_no_text_are_left_out_and_the_others_count_however_they_arrive() {
        let mut input = format!("HEAD {A} refs/heads/main {B}\n").into_bytes();
        input.extend_from_slice(b"\xff\xfe\n\nnonsense\n");
        input.extend_from_slice(&vec![b'x'; 100_000]);
        input.extend_from_slice(format!("\nHEAD {B} refs/heads/other {A}").as_bytes());
        for part in [1, 7, 4096, input.len()] {
            assert_eq!(read_in_parts(&input, part), ["refs/heads/main", "refs/heads/other"], "{part}");
        }
        assert!(read_in_parts(b"", 1).is_empty());
    }

    #[test]
    fn the_remote_never_keeps_credentials() {
        let named = Remote::of("origin", "https://user:canary@host/x.git");
        assert_eq!((named.name.as_str(), named.url.as_str(), named.is_named), ("origin", "https://host/x.git", true));
        let bare = Remote::of("https://user:canary@host/x.git", "https://user:canary@host/x.git");
        assert_eq!((bare.name.as_str(), bare.is_named), ("https://host/x.git", false));
        let rewritten = Remote::of("https://host/x.git", "https://user:canary@mirror/x.git");
        assert_eq!((rewritten.url.as_str(), rewritten.is_named), ("https://mirror/x.git", false));
        assert_eq!(Remote::of("", "").name, "origin");
        assert_eq!(Remote::of("", "/srv/x.git").name, "/srv/x.git");
    }

    #[test]
    fn pre_commits_variables_make_one_update() {
        let variables = |pairs: &'static [(&'static str, &'static str)]| {
            move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let update = from_pre_commit(variables(&[
            ("PRE_COMMIT_TO_REF", A),
            ("PRE_COMMIT_FROM_REF", B),
            ("PRE_COMMIT_REMOTE_BRANCH", "refs/heads/main"),
        ]));
        let update = update.unwrap();
        assert_eq!((update.commit.as_str(), update.ref_name.as_str()), (A, "refs/heads/main"));
        assert_eq!(update.previous.unwrap().as_str(), B);
        let short = from_pre_commit(variables(&[("PRE_COMMIT_TO_REF", A), ("PRE_COMMIT_REMOTE_BRANCH", "main")]));
        assert_eq!(short.unwrap().ref_name.as_str(), "refs/heads/main");
        // On the first push of a root commit there is no commit to be told.
        assert!(from_pre_commit(variables(&[("PRE_COMMIT_REMOTE_BRANCH", "main")])).is_none());
        assert!(from_pre_commit(|_| None).is_none());
    }
}
