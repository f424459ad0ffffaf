//! Standard output and standard error of a command: data on the one, talk on the other.
//!
//! Invariants: a reader that has gone away (`| head`, `| true`) is no error and says nothing; the exit code stays the verdict's.
//! No name of a stranger's acts on a terminal.

use std::io::{self, IsTerminal, Write};

use afterpush_core::text::{plain_json, showable};
use serde::Serialize;

use crate::error::{CommandError, ErrorKind};

/// Where a command writes.
#[derive(Debug, Default)]
pub(crate) struct Output {
    closed: bool,
}

impl Output {
    /// Writes data: styles are kept on a terminal and removed elsewhere, and where `NO_COLOR` is set.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), CommandError> {
        self.write(anstream::stdout().lock(), text)
    }

    /// Writes text as it is: what moves the cursor of a terminal is not colour, and `NO_COLOR` must not take it away.
    pub(crate) fn print_raw(&mut self, text: &str) -> Result<(), CommandError> {
        self.write(io::stdout().lock(), text)
    }

    fn write(&mut self, mut stream: impl Write, text: &str) -> Result<(), CommandError> {
        if self.closed {
            return Ok(());
        }
        match stream.write_all(showable(text).as_bytes()).and_then(|()| stream.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(CommandError::from),
        }
    }

    /// Writes one JSON document.
    pub(crate) fn print_json(&mut self, document: &impl Serialize) -> Result<(), CommandError> {
        let mut text = serde_json::to_string_pretty(document)
            .map_err(|error| CommandError::because(ErrorKind::Internal, "cannot write the document", &error))?;
        text.push('\n');
        self.print(&plain_json(&text))
    }

    /// Tells whether the reader has gone away.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Tells whether standard output is a terminal that can rewrite a line.
    pub(crate) fn is_live_terminal() -> bool {
        io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// The width of the terminal on standard output.
    pub(crate) fn width() -> usize {
        rustix::termios::tcgetwinsize(io::stdout()).map_or(80, |size| usize::from(size.ws_col).max(20))
    }
}

/// Writes talk to standard error; nobody is told when that fails, because there is nowhere left to tell it.
pub(crate) fn talk(text: &str) {
    let _ = anstream::stderr().lock().write_all(showable(text).as_bytes());
}
