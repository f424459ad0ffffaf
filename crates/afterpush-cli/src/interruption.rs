//! Ctrl-C and its relatives, received as data: no signal handler runs.

use std::{os::fd::AsFd, time::Duration};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};

use crate::error::{CommandError, ErrorKind};

/// The signals that end a program, held back from now on.
pub(crate) struct Interruption {
    signals: SignalFd,
}

impl Interruption {
    /// Holds them back. Programs that are started afterwards get them as usual.
    pub(crate) fn catch() -> Result<Self, CommandError> {
        let refused = |error: Errno| CommandError::because(ErrorKind::Internal, "signals cannot be watched", &error);
        let mask: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        mask.thread_block().map_err(refused)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(refused)?;
        Ok(Self { signals })
    }

    /// Waits so long, or until one has come; tells whether one has.
    pub(crate) fn came_within(&self, time: Duration) -> Result<bool, CommandError> {
        let mut wanted = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
        match poll(&mut wanted, patience) {
            Ok(count) => Ok(count > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(CommandError::because(ErrorKind::Internal, "cannot wait", &error)),
        }
    }
}
