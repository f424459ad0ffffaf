//! One stored run as a command sees it: what was asked for, how far it is, and whether anybody is still watching.
//!
//! Invariant: "in progress" is only ever said of a run whose lock is held, or whose monitor was started a moment ago (T6).

use afterpush_core::{
    file::{Report, Request},
    run::OutcomeWord,
};
use afterpush_store::{Liveness, Places, RunDirectory};
use jiff::Timestamp;

use crate::error::CommandError;

/// One stored run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Where it is stored.
    pub(crate) directory: RunDirectory,
    /// What was pushed.
    pub(crate) request: Request,
    /// How far it is.
    pub(crate) state: State,
}

/// How far a run is.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// It has ended.
    Finished(Box<Report>),
    /// A monitor holds its lock; the report is absent until the first one is written.
    Running(Option<Box<Report>>),
    /// Its monitor was started a moment ago.
    Starting,
    /// It waits for a place among the user's monitors; how many there are.
    Queued(usize),
    /// Its monitor is gone without a result.
    Lost(Option<Box<Report>>),
}

/// The places that a run waits for. Only to look at: how many there may be does not matter there.
fn places(directory: &RunDirectory) -> Places {
    Places::of_run(directory, 0)
}

impl Run {
    /// Reads a stored run; `None` when nothing is stored there.
    pub(crate) fn load(directory: &RunDirectory, now: Timestamp) -> Result<Option<Self>, CommandError> {
        let again = directory.again()?;
        let has_newer = again.is_some();
        let Some(request) = (if has_newer { again } else { directory.request()? }) else { return Ok(None) };
        let finished = if has_newer { None } else { directory.result()? };
        // A report of an earlier push of the same commit says nothing about this one.
        let report = || Ok::<_, CommandError>(directory.status()?.filter(|report| report.request_id == request.id));
        let state = match finished {
            Some(result) => State::Finished(Box::new(result)),
            None => match directory.liveness(now)? {
                Liveness::Starting | Liveness::Lost if places(directory).is_waiting(&request) => {
                    State::Queued(places(directory).taken()?)
                }
                Liveness::Running => State::Running(report()?.map(Box::new)),
                Liveness::Starting => State::Starting,
                Liveness::Lost => State::Lost(report()?.map(Box::new)),
                Liveness::Absent => return Ok(None),
                // It finished between two looks.
                Liveness::Finished => match directory.result()? {
                    Some(result) => State::Finished(Box::new(result)),
                    None => return Ok(None),
                },
            },
        };
        Ok(Some(Self { directory: directory.clone(), request, state }))
    }

    /// The newest report, where there is one.
    pub(crate) fn report(&self) -> Option<&Report> {
        match &self.state {
            State::Finished(report) => Some(report),
            State::Running(report) | State::Lost(report) => report.as_deref(),
            State::Starting | State::Queued(_) => None,
        }
    }

    /// How it ended; `None` while it has not.
    pub(crate) fn outcome(&self) -> Option<OutcomeWord> {
        if let State::Finished(report) = &self.state { report.outcome.outcome } else { None }
    }

    /// Tells whether nobody watches it any more although it has not ended.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost(_))
    }

    /// Tells whether it waits for a place.
    pub(crate) fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued(_))
    }

    /// Tells whether it has ended.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished(_))
    }

    /// The word that the JSON calls its state by.
    pub(crate) fn word(&self) -> &'static str {
        match &self.state {
            State::Finished(_) if self.is_live() => "live",
            State::Finished(_) => "failed",
            State::Running(_) | State::Starting | State::Queued(_) => "in_progress",
            State::Lost(_) => "lost",
        }
    }

    /// The exit code that it gives: 0 live, 1 not live, 2 in progress.
    pub(crate) fn exit_code(&self) -> u8 {
        match &self.state {
            State::Finished(_) => u8::from(!self.is_live()),
            State::Running(_) | State::Starting | State::Queued(_) | State::Lost(_) => 2,
        }
    }

    fn is_live(&self) -> bool {
        self.outcome().is_some_and(OutcomeWord::is_live)
    }

    /// What it is about for people: `1234567 on main`.
    pub(crate) fn title(&self) -> String {
        format!("{} on {}", self.request.commit.short(), self.request.ref_name.short())
    }

    /// Its targets' names, as far as they are known.
    pub(crate) fn target_names(&self) -> String {
        let names = self.report().into_iter().flat_map(|report| &report.targets).map(|target| target.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    /// Its place among several runs of one commit: the smallest is the verdict. What went wrong comes first, the worst of it
    /// before the rest, then what is not decided, then what is live; a run that another push made pointless says nothing
    /// while there is another.
    pub(crate) fn rank(&self) -> (u8, u8) {
        match (&self.state, self.outcome()) {
            (State::Finished(_), Some(OutcomeWord::PushNotCompleted)) => (5, 0),
            (State::Finished(_), Some(OutcomeWord::Superseded)) => (4, 0),
            (State::Finished(_), Some(word)) if word.is_live() => (3, u8::MAX - word.severity()),
            (State::Finished(_), word) => (0, u8::MAX - word.map_or(u8::MAX, OutcomeWord::severity)),
            (State::Lost(_), _) => (1, 0),
            (State::Running(_) | State::Starting | State::Queued(_), _) => (2, 0),
        }
    }
}
