//! Following runs until there is a verdict: what `status --wait` and `watch` have in common.

use std::time::{Duration, Instant};

use afterpush_store::RepositoryStore;

use crate::{
    context::{Context, now},
    error::CommandError,
    render::Restart,
    run::Run,
};

/// How often the files are looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// How long a monitor that was started again may take to show itself.
const START: Duration = Duration::from_secs(10);

/// The runs of one commit as they were at the last look, the one that gives the verdict first.
pub(crate) struct Following<'a> {
    context: &'a Context,
    /// The runs.
    pub(crate) runs: Vec<Run>,
    /// What became of those that were lost.
    pub(crate) restart: Option<Restart>,
    restarted: Instant,
}

impl<'a> Following<'a> {
    /// Takes up the runs and starts a monitor for each lost one.
    pub(crate) fn begin(context: &'a Context, runs: Vec<Run>) -> Self {
        let mut following = Self { context, runs, restart: None, restarted: Instant::now() };
        following.restart_lost();
        following
    }

    /// Looks at the files again.
    pub(crate) fn look(&mut self) -> Result<(), CommandError> {
        let mut newer = Vec::new();
        for run in &self.runs {
            newer.extend(Run::load(&run.directory, now())?);
        }
        newer.sort_by_key(Run::rank);
        self.runs = newer;
        match self.restart {
            None => self.restart_lost(),
            // A monitor that was started again and is lost again has something to say in its log; it is not started a
            // third time.
            Some(Restart::Done) if self.is_lost() && self.restarted.elapsed() >= START => {
                let why = "its monitor ended again without a result; `afterpush logs` tells more";
                self.restart = Some(Restart::Failed(why.to_owned()));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Tells whether looking again would change nothing.
    pub(crate) fn is_over(&self) -> bool {
        let is_settled = self.runs.first().is_none_or(Run::is_finished);
        is_settled || (self.is_lost() && matches!(self.restart, Some(Restart::Failed(_))))
    }

    fn is_lost(&self) -> bool {
        self.runs.first().is_some_and(Run::is_lost)
    }

    /// Starts a monitor for each lost run; a failure is what is told. Also for those that wait while there is a place: when
    /// all monitors were killed, nobody else does.
    fn restart_lost(&mut self) {
        if let Some(run) = self.runs.iter().find(|run| run.is_queued()) {
            // A sandbox that may only read the state says "queued", which is true.
            let _ = self.context.start_waiting(&RepositoryStore::of_run(&run.directory));
        }
        for run in self.runs.iter().filter(|run| run.is_lost()) {
            match self.context.start(&run.directory) {
                Ok(()) => self.restart = self.restart.take().or(Some(Restart::Done)),
                Err(error) => self.restart = Some(Restart::Failed(error.message)),
            }
            self.restarted = Instant::now();
        }
    }
}
