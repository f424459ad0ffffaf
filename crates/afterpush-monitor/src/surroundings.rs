//! What a monitor finds around itself: clocks, processes, dice, the remote, and what its targets are asked through.
//!
//! Everything between this border and the files of the store is the same code on a real machine ([`crate::run`]) and in the
//! simulation of the tests: nothing above it reads a clock, starts a process or opens a socket by itself.

use std::{future::Future, io, pin::Pin, time::Duration};

use afterpush_core::{
    fault::Fault,
    file::{MonitorPid, Pusher, Request},
    id::CommitId,
    machine::{Answer, Pace, Plan},
    policy::Policy,
    run::StageKind,
};
use afterpush_git::Git;
use afterpush_store::RunDirectory;
use jiff::Timestamp;

use crate::{clock::Clocks, driver::Pending};

/// An answer that is under way.
pub type Answering<T> = Pin<Box<dyn Future<Output = T>>>;

/// The machine around a monitor.
pub trait Surroundings {
    /// The wall's clock, which is only shown and may be set at any time.
    fn now(&self) -> Timestamp;
    /// The clocks that nobody sets.
    fn clocks(&self) -> Clocks;
    /// A random number in 0..1.
    fn roll(&self) -> f64;
    /// How many monitors the user has at once.
    fn most_monitors(&self) -> u32;
    /// Which process this monitor is.
    ///
    /// # Errors
    /// When the process cannot be identified.
    fn identity(&self) -> io::Result<MonitorPid>;
    /// What ends as a request to stop: the signals.
    fn signals(&self) -> Vec<Pending>;
    /// Waits for a `git push` process, which is looked up at once.
    fn watch_pusher(&self, pusher: Pusher) -> Pending;
    /// Has `git ls-remote` say where the pushed ref is: its output, or why there is none.
    fn ask_remote(&self, request: &Request) -> Answering<Result<Vec<u8>, String>>;
    /// Sets up what the targets of a push are asked through. `commit` is the pushed commit, also where a tag object was pushed;
    /// `has_waited` tells that the run has waited for a place.
    ///
    /// # Errors
    /// Why nothing can be set up, in words for the result.
    fn prepare(
        &self,
        request: &Request,
        commit: &CommitId,
        git: Option<&Git>,
        has_waited: bool,
    ) -> Result<Prepared, String>;
    /// Gives a monitor to each of these runs, as the monitor of `own`. What cannot be started stays noted as waiting.
    fn start_waiting(&self, runs: &[RunDirectory], own: &RunDirectory);
}

/// What a run goes by.
pub struct Prepared {
    /// The waiting rules.
    pub policy: Policy,
    /// What was left out of the configuration.
    pub left_out: Vec<String>,
    /// What the machine follows.
    pub plan: Plan,
    /// What it is asked through.
    pub sources: Box<dyn Ask>,
}

/// Whatever answers the questions about the targets of a run.
pub trait Ask {
    /// Asks a stage of a target; `None` when it has nothing to be asked through. What another monitor knows serves when it is
    /// younger than `fresh_for`.
    fn ask(
        &self,
        target: usize,
        stage: StageKind,
        site_url: Option<String>,
        fresh_for: Duration,
    ) -> Option<Answering<(Result<Answer, Fault>, Pace)>>;
    /// Asks for the log of the failed deployment.
    fn failure_log(&self, target: usize) -> Option<Answering<Result<String, Fault>>>;
}
