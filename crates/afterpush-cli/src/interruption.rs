//! Ctrl-C and its relatives, received as data: no signal handler runs.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

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
    mask: SigSet,
    signals: SignalFd,
}

impl Interruption {
    /// Holds them back. Programs that are started afterwards get them as usual.
    pub(crate) fn catch() -> Result<Self, CommandError> {
        let refused = |error: Errno| CommandError::because(ErrorKind::Internal, "signals cannot be watched", &error);
        let mask: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        mask.thread_block().map_err(refused)?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(refused)?;
        Ok(Self { mask, signals })
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

    /// Waits until the process behind `pidfd` has ended, or one has come; tells whether one came first.
    pub(crate) fn came_before_end(&self, pidfd: BorrowedFd<'_>) -> Result<bool, CommandError> {
        loop {
            let mut wanted =
                [PollFd::new(pidfd, PollFlags::POLLIN), PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wanted, PollTimeout::NONE) {
                Ok(_) => return Ok(!wanted[0].any().unwrap_or(true)),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(CommandError::because(ErrorKind::Internal, "cannot wait", &error)),
            }
        }
    }

    /// Tells which one has come, and takes it: it does nothing any more.
    pub(crate) fn take(&self) -> Option<i32> {
        self.signals.read_signal().ok().flatten().and_then(|signal| i32::try_from(signal.ssi_signo).ok())
    }

    /// Lets them through again; one that has come meanwhile ends the program at once.
    pub(crate) fn release(self) {
        // It was the same call that held them back.
        let _ = self.mask.thread_unblock();
    }
}
