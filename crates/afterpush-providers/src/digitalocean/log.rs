//! The walk to a failed deployment's log: for each kind of log ask where its archive is, then read the archive.
//!
//! Invariant: the archives' addresses are signed and on hosts of others. They are asked for without the token, and they
//! never stand in a fault.

use std::collections::VecDeque;

use afterpush_core::fault::{Fault, FaultKind};
use url::Url;

use crate::{HttpRequest, HttpResponse, api::log_elsewhere, response};

use super::{answer::Logs, asked};

/// Of every archive, and of them all together, this much of the end is kept.
const KEEP: usize = 512 * 1024;

/// More archives than these are not read.
const MOST_ARCHIVES: usize = 8;

/// A kind of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Build,
    Deploy,
    Run,
    RunRestarted,
}

impl Kind {
    /// The vendor's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Build => "BUILD",
            Self::Deploy => "DEPLOY",
            Self::Run => "RUN",
            Self::RunRestarted => "RUN_RESTARTED",
        }
    }
}

/// What is still to be asked, and the text so far.
#[derive(Debug)]
pub(super) struct Walk {
    kinds: VecDeque<Kind>,
    archives: VecDeque<Url>,
    archives_left: usize,
    reads_archive: bool,
    kinds_asked: usize,
    decisive: String,
    extras: String,
    trouble: Option<Fault>,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Next {
    /// Ask where the archives of this kind of log are.
    Links(Kind),
    /// Read this archive.
    Read(HttpRequest),
    /// Nothing: this is the log, or why there is none.
    End(Result<String, Fault>),
}

impl Walk {
    /// Begins with the logs of what failed; where the steps do not tell what that was, with all that there can be.
    ///
    /// The decisive log is asked for first and put last, because its end is what people see: the output of a crashed
    /// instance stands before the platform's own account of the roll-out.
    pub(super) fn new(failed_in_build: Option<bool>) -> Self {
        let kinds: &[Kind] = match failed_in_build {
            Some(true) => &[Kind::Build],
            Some(false) => &[Kind::Deploy, Kind::RunRestarted, Kind::Run],
            None => &[Kind::Deploy, Kind::Build],
        };
        Self {
            kinds: kinds.iter().copied().collect(),
            archives: VecDeque::new(),
            archives_left: MOST_ARCHIVES,
            reads_archive: false,
            kinds_asked: 0,
            decisive: String::new(),
            extras: String::new(),
            trouble: None,
        }
    }

    /// The first move.
    pub(super) fn begin(&mut self) -> Next {
        self.go_on()
    }

    /// Takes in the response to the last move. Trouble with one part does not lose the others.
    pub(super) fn take(&mut self, response: &HttpResponse) -> Next {
        if self.reads_archive {
            if (200..300).contains(&response.status) {
                let text = if self.kinds_asked == 1 { &mut self.decisive } else { &mut self.extras };
                append(text, &String::from_utf8_lossy(&response.body));
            } else {
                // Whatever it is, the token is not to blame: it was not sent.
                let message = format!("the archived log cannot be read ({})", response.status);
                self.trouble = Some(Fault::new(FaultKind::Transient, message));
            }
            return self.go_on();
        }
        // 400 and 404: that part of the deployment never ran, or its log is cleaned up already.
        if !matches!(response.status, 400 | 404) {
            match response::json::<Logs>(response, asked("the deployment's log")) {
                Ok(logs) => self.archives.extend(logs.historic_urls.iter().filter_map(|url| safe_address(url))),
                Err(fault) => {
                    if matches!(fault.kind, FaultKind::RateLimited | FaultKind::Unauthorized) {
                        self.kinds.clear();
                    }
                    self.trouble = Some(fault);
                }
            }
        }
        self.go_on()
    }

    fn go_on(&mut self) -> Next {
        if self.archives_left > 0
            && let Some(url) = self.archives.pop_front()
        {
            self.archives_left -= 1;
            self.reads_archive = true;
            return Next::Read(log_elsewhere(&url));
        }
        self.archives.clear();
        self.reads_archive = false;
        if self.archives_left > 0
            && let Some(kind) = self.kinds.pop_front()
        {
            self.kinds_asked += 1;
            return Next::Links(kind);
        }
        Next::End(self.end())
    }

    fn end(&mut self) -> Result<String, Fault> {
        let mut text = std::mem::take(&mut self.extras);
        append(&mut text, &self.decisive);
        if !text.is_empty() {
            return Ok(text);
        }
        Err(self.trouble.take().unwrap_or_else(|| {
            Fault::new(FaultKind::Transient, "DigitalOcean has no archived log of the deployment yet")
        }))
    }
}

/// Adds a text on a line of its own, and keeps the end of the whole.
fn append(text: &mut String, more: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(more);
    let mut cut = text.len().saturating_sub(KEEP);
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    text.drain(..cut);
}

/// The address of an archive, where it may be asked for: https, or http on this machine, which the transport allows only beside an
/// API on this machine.
fn safe_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        _ => false,
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    (scheme && url.has_host() && url.username().is_empty() && url.password().is_none()).then_some(url)
}
