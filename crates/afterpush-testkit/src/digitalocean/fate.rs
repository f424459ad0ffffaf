//! How deployments end when many are under way at once: for tests that compare every verdict with what was done to its commit.

use super::Simulator;
use crate::sandbox::Project;

/// What becomes of the deployment of one commit, told by the outcome that its run must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The deployment of a later commit, which contains this one, overtakes it and goes live.
    Contained,
    /// The same, by a commit that does not contain this one.
    Superseded,
    /// It goes live.
    Live,
    /// Its build fails.
    Failed,
    /// Somebody cancels it.
    Canceled,
}

impl Fate {
    /// One of each, in the order in which their deployments have to be made: what overtakes comes after what is overtaken,
    /// and before what is not.
    pub const EACH: [Self; 5] = [Self::Contained, Self::Superseded, Self::Live, Self::Failed, Self::Canceled];

    /// A new commit for each, in this order, upon the one that is checked out.
    #[must_use]
    pub fn commits(project: &Project<'_>, name: &str) -> Vec<(String, Self)> {
        let root = project.head();
        let mut below = root.clone();
        let commit = |fate: Self| {
            let parent = if fate == Self::Live { &below } else { &root };
            let commit = project.commit_upon(parent, &format!("{name}: {}", fate.outcome()));
            if fate == Self::Contained {
                below.clone_from(&commit);
            }
            (commit, fate)
        };
        Self::EACH.into_iter().map(commit).collect()
    }

    /// The outcome of its run.
    #[must_use]
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Contained => "live_contained",
            Self::Superseded => "superseded",
            Self::Live => "live",
            Self::Failed => "deploy_failed",
            Self::Canceled => "canceled",
        }
    }
}

impl Simulator {
    /// Brings each commit's deployment to its end. The build of one that fails leaves its commit in its log.
    pub fn end(&self, app: &str, fates: &[(String, Fate)]) {
        // What serves is known before anybody can be told that it was overtaken.
        for (commit, _) in fates.iter().filter(|(_, fate)| *fate == Fate::Live) {
            self.deploy(app, commit).set_phase("ACTIVE");
        }
        for (commit, fate) in fates {
            match fate {
                Fate::Live => {}
                Fate::Contained | Fate::Superseded => self.supersede(app, commit),
                Fate::Failed => self.deploy(app, commit).fail_build(&format!("the build of {commit} failed\n")),
                Fate::Canceled => self.deploy(app, commit).cancel(),
            }
        }
    }
}
