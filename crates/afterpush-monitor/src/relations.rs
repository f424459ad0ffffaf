//! What a commit that somebody reports says about a push: that it is the pushed one, that it came later and contains it, or nothing.
//!
//! Invariant: what the ref had before the push proves nothing. Whatever contains a commit that is new to its ref came after it.
//! A push that moves a branch back, or pushes once more what was replaced, finds its commit also in what it takes away; there only
//! a push that is known to be a later one counts. Whoever asks for a commit to be watched speaks of the push that there was.

use std::rc::Rc;

use afterpush_core::{
    file::{PushSource, Request},
    id::CommitId,
    machine::RemoteLook,
    run::Relation,
};
use afterpush_git::Git;
use afterpush_store::RepositoryStore;

/// The pushed commit among others.
#[derive(Clone)]
pub(crate) struct Relations {
    git: Rc<Option<Git>>,
    store: RepositoryStore,
    /// What is deployed: of an annotated tag the commit that it stands for.
    commit: CommitId,
    request: Request,
    this_boot: String,
    is_new: bool,
}

impl Relations {
    /// Those of one push. `is_repeated` tells that the same commit has been at the same ref before, as far as the run's files know.
    pub(crate) fn of(
        git: Option<Git>,
        store: RepositoryStore,
        commit: CommitId,
        request: Request,
        this_boot: String,
        is_repeated: bool,
    ) -> Self {
        let mut relations = Self { git: Rc::new(git), store, commit, request, this_boot, is_new: true };
        relations.is_new =
            relations.request.source == PushSource::Person || !(is_repeated || relations.was_there_before());
        relations
    }

    /// The repository, unless it is gone.
    pub(crate) fn git(&self) -> Option<&Git> {
        (*self.git).as_ref()
    }

    /// Whether the ref had the commit before this push.
    pub(crate) fn is_repeated(&self) -> bool {
        !self.is_new
    }

    /// The same commit is pushed once more, by this request.
    pub(crate) fn repeat(&self, request: Request) -> Self {
        let is_new = self.is_new && request.source == PushSource::Person;
        Self { request, is_new, ..self.clone() }
    }

    /// How a commit that is reported in full or by its first digits relates to the pushed one.
    pub(crate) fn relation(&self, seen: &str) -> Relation {
        match self.by_history(seen) {
            Relation::Contains if !self.is_new && !self.was_pushed_later(seen) => Relation::Other,
            relation => relation,
        }
    }

    /// What it says about the push that the remote has the ref at this commit now.
    pub(crate) fn judge_head(&self, there: &CommitId) -> RemoteLook {
        if *there == self.request.commit {
            return RemoteLook::Landed;
        }
        // Where it was: nothing has come since.
        if self.request.previous.as_ref() == Some(there) {
            return RemoteLook::Elsewhere;
        }
        match self.relation(there.as_str()) {
            Relation::Same => RemoteLook::Landed,
            Relation::Contains => RemoteLook::Contains,
            Relation::Other if self.by_history(there.as_str()) == Relation::Contains => RemoteLook::Unclear(
                "it has moved on to a commit that contains this one, and may have been there before the push",
            ),
            Relation::Other if self.git().is_some_and(|git| git.peel(there).is_some()) => RemoteLook::Elsewhere,
            // Somebody may have pushed on top of ours at once.
            Relation::Other => RemoteLook::Unclear("it has the ref at a commit that is not in this repository"),
        }
    }

    fn by_history(&self, seen: &str) -> Relation {
        self.git().map_or(Relation::Other, |git| git.relation(seen, &self.commit))
    }

    /// Whether the ref had the commit before: the ref's state before the push contains it, or an earlier push of it was noted.
    fn was_there_before(&self) -> bool {
        let Some(git) = self.git() else { return false };
        let request = &self.request;
        let was_within = request.previous.as_ref().is_some_and(|id| self.by_history(id.as_str()) != Relation::Other);
        // The line of this very push may stand there by now.
        let long_before = 0..=request.pushed_at.as_second() - 2;
        let was_pushed = || {
            let tracking = git.tracking_ref(&request.remote, &request.ref_name)?;
            git.pushed_in_reflog(&tracking, &request.commit, long_before).ok()
        };
        was_within || was_pushed() == Some(true)
    }

    /// Whether a commit was pushed to the same ref after this push.
    fn was_pushed_later(&self, seen: &str) -> bool {
        let is_later = |commit: CommitId| {
            let run = self.store.run(&commit, &self.request.remote, &self.request.ref_name);
            let newest = run.again().ok().flatten().or_else(|| run.request().ok().flatten());
            newest.is_some_and(|newest| newest.time().is_after(self.request.time(), &self.this_boot))
        };
        self.store.commits_named(seen.trim()).is_ok_and(|commits| commits.into_iter().any(is_later))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use afterpush_core::{
        file::{PushSource, RepositoryFacts},
        id::RefName,
    };
    use afterpush_store::{Environment, Repository, StateRoot};
    use afterpush_testkit::sandbox::{Project, Sandbox};
    use jiff::Timestamp;

    use super::*;

    /// A clone with a history, and the store of its pushes.
    struct Clone<'a> {
        project: &'a Project<'a>,
        store: RepositoryStore,
    }

    impl<'a> Clone<'a> {
        fn new(project: &'a Project<'a>, sandbox: &Sandbox) -> Self {
            let environment = Environment { state_dir: Some(sandbox.state()), ..Environment::default() };
            let repository = Repository::locate(&project.work, &environment).unwrap();
            let root = StateRoot::for_writing(&environment, &repository).unwrap();
            let store = root.repository(&repository);
            store.record_repository(&repository, &[]).unwrap();
            Self { project, store }
        }

        fn commit(&self, name: &str) -> CommitId {
            CommitId::parse(&self.project.commit(name)).unwrap()
        }

        fn request(commit: &CommitId, previous: Option<&CommitId>, second: i64) -> Request {
            Request {
                schema: Request::schema(),
                id: second.to_string(),
                commit: commit.clone(),
                ref_name: RefName::parse("refs/heads/main").unwrap(),
                remote: "origin".to_owned(),
                remote_url: String::new(),
                previous: previous.cloned(),
                pushed_at: Timestamp::from_second(second).unwrap(),
                boot_time: None,
                source: PushSource::Hook,
                pusher: None,
                repository: RepositoryFacts { common_dir: String::new(), git_dir: String::new(), work_tree: None },
            }
        }

        fn relations(&self, commit: &CommitId, previous: Option<&CommitId>, is_repeated: bool) -> Relations {
            let git = Git::open(&self.project.work.join(".git")).unwrap();
            let request = Self::request(commit, previous, 1_000);
            Relations::of(Some(git), self.store.clone(), commit.clone(), request, "boot".to_owned(), is_repeated)
        }

        fn note(&self, commit: &CommitId, second: i64) {
            let request = Self::request(commit, None, second);
            let run = self.store.run(commit, "origin", &request.ref_name);
            run.write_request(&request).unwrap();
        }
    }

    #[test]
    fn what_the_ref_had_before_the_push_proves_nothing() {
        let sandbox = Sandbox::new();
        let project = sandbox.project("");
        let clone = Clone::new(&project, &sandbox);
        let (first, second, third) = (clone.commit("first"), clone.commit("second"), clone.commit("third"));
        let say = |previous, is_repeated, seen: &CommitId| {
            clone.relations(&first, previous, is_repeated).relation(seen.as_str())
        };
        assert_eq!(say(None, false, &first), Relation::Same);
        assert_eq!(say(None, false, &third), Relation::Contains);
        // Moved back from the third, or pushed once more: either may be what was there.
        for (previous, is_repeated) in [(Some(&third), false), (None, true)] {
            assert_eq!(say(previous, is_repeated, &second), Relation::Other);
            assert_eq!(say(previous, is_repeated, &first), Relation::Same);
        }
        clone.note(&second, 999);
        assert_eq!(say(None, true, &second), Relation::Other);
        clone.note(&third, 1_001);
        assert_eq!(say(None, true, &third), Relation::Contains, "pushed later");
        let digits = &third.as_str()[..9];
        assert_eq!(clone.relations(&first, None, true).relation(digits), Relation::Contains);
        let repeated = clone.relations(&first, None, false).repeat(Clone::request(&first, None, 1_002));
        assert_eq!(
            repeated.relation(third.as_str()),
            Relation::Other,
            "pushed later than the first time, and not than the second"
        );
    }

    #[test]
    fn a_push_that_was_noted_before_is_a_repeated_one() {
        let sandbox = Sandbox::new();
        let project = sandbox.project("");
        let clone = Clone::new(&project, &sandbox);
        let first = clone.commit("first");
        project.git(&["push", "--no-verify", "--quiet", "origin", "main"]);
        let second = clone.commit("second");
        let git = || Git::open(&project.work.join(".git")).unwrap();
        let say = |pushed_at: i64, source| {
            let request = Request { source, ..Clone::request(&first, None, pushed_at) };
            Relations::of(Some(git()), clone.store.clone(), first.clone(), request, "boot".to_owned(), false)
                .relation(second.as_str())
        };
        let now = Timestamp::now().as_second();
        assert_eq!(say(now, PushSource::Hook), Relation::Contains, "the line is this push's own");
        assert_eq!(say(now + 60, PushSource::Hook), Relation::Other, "the line is an earlier push's");
        assert_eq!(say(now + 60, PushSource::Person), Relation::Contains, "the line is of the push that is meant");
    }

    #[test]
    fn where_the_ref_is_now_says_about_a_push_no_more_than_it_can() {
        let sandbox = Sandbox::new();
        let project = sandbox.project("");
        let clone = Clone::new(&project, &sandbox);
        let (first, second, third) = (clone.commit("first"), clone.commit("second"), clone.commit("third"));
        project.git(&["checkout", "--quiet", "-b", "beside", first.as_str()]);
        let beside = clone.commit("beside");
        let stranger = CommitId::parse(&"a".repeat(40)).unwrap();
        let say = |previous: Option<&CommitId>, pushed: &CommitId, there: &CommitId| {
            clone.relations(pushed, previous, false).judge_head(there)
        };
        assert_eq!(say(Some(&first), &second, &second), RemoteLook::Landed);
        assert_eq!(say(Some(&first), &second, &third), RemoteLook::Contains);
        assert_eq!(say(None, &second, &third), RemoteLook::Contains);
        // Where it was before, also when that contains the commit: the push moves it back.
        assert_eq!(say(Some(&first), &second, &first), RemoteLook::Elsewhere);
        assert_eq!(say(Some(&second), &first, &second), RemoteLook::Elsewhere);
        assert_eq!(say(Some(&first), &second, &beside), RemoteLook::Elsewhere);
        // Moved back by the push, and on by another one? Or refused, and moved on?
        assert!(matches!(say(Some(&second), &first, &third), RemoteLook::Unclear(why) if why.contains("moved on")));
        assert!(
            matches!(say(Some(&first), &second, &stranger), RemoteLook::Unclear(why) if why.contains("not in this"))
        );
    }
}
