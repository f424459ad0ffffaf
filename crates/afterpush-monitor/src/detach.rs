//! Leaving the caller's world: after this, nothing of git's, of the terminal's or of the work tree's is held, and no other
//! user's process can read this one's memory or environment.

use std::{fs::OpenOptions, io};

use nix::{
    sys::{
        resource::{Resource, setrlimit},
        signal::{SigSet, Signal},
        stat::{Mode, umask},
    },
    unistd::{chdir, setsid},
};

/// Detaches this process. Standard input must have been read before: it becomes /dev/null.
///
/// # Errors
/// When /dev/null cannot be opened or put in place; everything else that fails leaves a monitor that works all the same.
pub fn detach() -> io::Result<()> {
    // Fails with EPERM when the hook has made the session already, which is as good.
    let _ = setsid();
    // The work tree must not be kept busy, and a relative path must not mean anything.
    let _ = chdir("/");
    umask(Mode::from_bits_truncate(0o077));
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Closes this process to others of the same user, and what it starts to core files: a program that was given a token must leave
/// none either. And has a limit on file
/// sizes end in an error of the write, which is survived, and not in the death of this process. Before any thread begins.
pub fn protect() {
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGXFSZ);
    let _ = blocked.thread_block();
    afterpush_store::process::close_to_others();
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}
