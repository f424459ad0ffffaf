//! The later push of the same ref: whether one has landed, and how its run ends.

use afterpush_core::{
    file::Request,
    id::CommitId,
    machine::Newer,
    run::{OutcomeWord, Relation},
};
use afterpush_git::Git;
use afterpush_store::{HeadMark, RepositoryStore};

/// Watches the newest landed push of the run's ref.
#[derive(Debug, Default)]
pub(crate) struct Successor {
    told: Option<Newer>,
    relation: Option<(CommitId, Relation)>,
    /// The head that was no later push's when it was read.
    own: Option<HeadMark>,
}

impl Successor {
    /// What is new about a later push since the last call. `this_boot` is the id of the boot that this runs in.
    pub(crate) fn news(
        &mut self,
        store: &RepositoryStore,
        request: &Request,
        git: Option<&Git>,
        this_boot: &str,
    ) -> Option<Newer> {
        // Taken before the head is read: one that comes in between has another mark at the next look.
        let mark = store.head_mark(&request.remote, &request.ref_name)?;
        if self.own == Some(mark) {
            return None;
        }
        let head = store.head(&request.remote, &request.ref_name).ok()??;
        if head.commit == request.commit || !head.time().is_after(request.time(), this_boot) {
            self.own = Some(mark);
            return None;
        }
        let relation = match &self.relation {
            Some((commit, relation)) if *commit == head.commit => *relation,
            _ => {
                let relation = git.map_or(Relation::Other, |git| git.relation(head.commit.as_str(), &request.commit));
                self.relation = Some((head.commit.clone(), relation));
                relation
            }
        };
        let newer = Newer {
            commit: head.commit.to_string(),
            contains: relation != Relation::Other,
            outcome: self.outcome_of(store, request, &head.commit),
        };
        if self.told.as_ref() == Some(&newer) {
            return None;
        }
        self.told = Some(newer.clone());
        Some(newer)
    }

    fn outcome_of(&self, store: &RepositoryStore, request: &Request, commit: &CommitId) -> Option<OutcomeWord> {
        let run = store.run(commit, &request.remote, &request.ref_name);
        let result = run.result().ok().flatten()?;
        let word = result.outcome.outcome?;
        // What the later push was not for has not gone live with it: our own answers decide about that target.
        let is_partial = result.targets.iter().any(|target| target.outcome.outcome == Some(OutcomeWord::Skipped));
        (!(word.is_live() && is_partial)).then_some(word)
    }
}
