//! What the simulated platform knows: apps, their deployments and how these go on. No HTTP.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{Fault, Request};

/// The leaves of the tree of steps, in their order: two of the build, four of the roll-out.
pub(super) const STEPS: usize = 6;

pub(super) struct Platform {
    /// The address of the archive of logs.
    pub(super) archive: String,
    pub(super) apps: Vec<App>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) refused: Vec<String>,
    pub(super) forbidden: Vec<String>,
    /// How many requests are answered within a second.
    pub(super) limit: Option<usize>,
    pub(super) requests: Vec<Request>,
    pub(super) downloads: Vec<Request>,
    pub(super) timelines: HashMap<String, Vec<(Duration, String)>>,
    ids: u64,
    clock: i64,
}

pub(super) struct App {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) repo: String,
    pub(super) branch: String,
    pub(super) live_url: String,
    pub(super) active: Option<String>,
    pub(super) pinned: Option<String>,
    pub(super) created_at: Timestamp,
    /// Newest first.
    pub(super) deployments: Vec<Deployment>,
}

pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) commit: Option<String>,
    pub(super) phase: String,
    pub(super) cause: String,
    /// The type among the details of its cause.
    pub(super) kind: &'static str,
    pub(super) cloned_from: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) created_at: Timestamp,
    /// How many of the steps succeeded.
    pub(super) done: usize,
    /// What the step after those does: nothing, RUNNING, or ERROR.
    pub(super) at_work: Option<&'static str>,
    /// Code and message of the step that failed.
    pub(super) reason: Option<(&'static str, &'static str)>,
    /// Archived logs by their type.
    pub(super) logs: BTreeMap<&'static str, String>,
    made: Instant,
    /// The phases still to come, each so long after it was made.
    timeline: VecDeque<(Duration, String)>,
}

impl Platform {
    pub(super) fn new(archive: String) -> Self {
        Self {
            archive,
            apps: Vec::new(),
            faults: VecDeque::new(),
            refused: Vec::new(),
            forbidden: Vec::new(),
            limit: None,
            requests: Vec::new(),
            downloads: Vec::new(),
            timelines: HashMap::new(),
            ids: 0,
            clock: 0,
        }
    }

    pub(super) fn add_app(&mut self, name: &str, repo: &str, branch: &str, live_url: &str) -> String {
        let id = self.next_id();
        let created_at = self.now();
        self.apps.push(App {
            id: id.clone(),
            name: name.to_owned(),
            repo: repo.to_owned(),
            branch: branch.to_owned(),
            live_url: live_url.to_owned(),
            active: None,
            pinned: None,
            created_at,
            deployments: Vec::new(),
        });
        id
    }

    pub(super) fn app(&self, id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.id == id)
    }

    pub(super) fn app_mut(&mut self, id: &str) -> &mut App {
        self.apps.iter_mut().find(|app| app.id == id).expect("an app that was added")
    }

    pub(super) fn deployment_mut(&mut self, id: &str) -> &mut Deployment {
        self.apps
            .iter_mut()
            .flat_map(|app| &mut app.deployments)
            .find(|it| it.id == id)
            .expect("a deployment that was made")
    }

    fn app_of(&mut self, deployment: &str) -> &mut App {
        self.apps
            .iter_mut()
            .find(|app| app.deployments.iter().any(|it| it.id == deployment))
            .expect("a deployment that was made")
    }

    pub(super) fn newest_of(&self, app: &str, commit: &str) -> Option<String> {
        let app = self.app(app).expect("an app that was added");
        let of_commit = |it: &&Deployment| it.commit.as_deref() == Some(commit);
        app.deployments.iter().find(of_commit).map(|it| it.id.clone())
    }

    /// What a push of this commit makes.
    pub(super) fn push(&mut self, app: &str, commit: &str) -> String {
        let it = self.app_mut(app);
        assert!(it.pinned.is_none(), "a pinned app does not deploy pushes");
        let cause = format!("commit {} pushed to github.com/{}/tree/{}", &commit[..7], it.repo, it.branch);
        self.make(app, Some(commit), &cause, "DEPLOY_ON_PUSH")
    }

    pub(super) fn redeploy(&mut self, app: &str, commit: &str) -> String {
        self.make(app, Some(commit), "manual", "MANUAL")
    }

    fn make(&mut self, app: &str, commit: Option<&str>, cause: &str, kind: &'static str) -> String {
        let id = self.next_id();
        let created_at = self.now();
        let timeline = commit.and_then(|commit| self.timelines.get(commit));
        let timeline = timeline.cloned().unwrap_or_default().into();
        let app = self.app_mut(app);
        let it = Deployment {
            id: id.clone(),
            commit: commit.map(str::to_owned),
            phase: "PENDING_BUILD".to_owned(),
            cause: cause.to_owned(),
            kind,
            cloned_from: None,
            previous: app.active.clone(),
            created_at,
            done: 0,
            at_work: None,
            reason: None,
            logs: BTreeMap::new(),
            made: Instant::now(),
            timeline,
        };
        app.deployments.insert(0, it);
        id
    }

    /// Tells whether a request that comes now is one more than the limit allows.
    pub(super) fn is_over_limit(&self, now: Instant) -> bool {
        let in_this_second = |it: &&Request| now.duration_since(it.at) < Duration::from_secs(1);
        let answered = self.requests.iter().rev().take_while(in_this_second).filter(|it| !it.refused).count();
        self.limit.is_some_and(|limit| answered >= limit)
    }

    /// Carries out what the timelines have in store until now.
    pub(super) fn advance(&mut self) {
        let deployments = self.apps.iter_mut().flat_map(|app| &mut app.deployments);
        let mut due = Vec::new();
        for it in deployments {
            while let Some((after, phase)) = it.timeline.front()
                && it.made.elapsed() >= *after
            {
                due.push((it.made + *after, it.id.clone(), phase.clone()));
                it.timeline.pop_front();
            }
        }
        due.sort();
        for (_, id, phase) in due {
            self.set_phase(&id, &phase);
        }
    }

    pub(super) fn set_phase(&mut self, id: &str, phase: &str) {
        self.deployment_mut(id).set_phase(phase);
        if phase != "ACTIVE" {
            return;
        }
        let app = self.app_of(id);
        let before = app.active.replace(id.to_owned());
        if let Some(before) = before.filter(|before| before != id) {
            let it = self.deployment_mut(&before);
            it.phase = "SUPERSEDED".to_owned();
        }
    }

    pub(super) fn pin(&mut self, app: &str) {
        let served = match self.app_mut(app).active.clone() {
            Some(served) => served,
            None => {
                let id = self.make(app, Some(&"9".repeat(40)), "initial deployment", "MANUAL");
                self.set_phase(&id, "ACTIVE");
                id
            }
        };
        let id = self.make(app, None, "manual rollback", "MANUAL_ROLLBACK");
        self.deployment_mut(&id).cloned_from = Some(served);
        self.set_phase(&id, "ACTIVE");
        self.app_mut(app).pinned = Some(id);
    }

    pub(super) fn auto_rollback(&mut self, failed: &str) -> String {
        let app = self.app_of(failed);
        let (app_id, served) = (app.id.clone(), app.active.clone());
        let cause = format!("automated rollback after failed deployment of \"{failed}\"");
        let id = self.make(&app_id, None, &cause, "AUTO_ROLLBACK");
        let it = self.deployment_mut(&id);
        it.cloned_from = served;
        it.previous = Some(failed.to_owned());
        self.set_phase(&id, "ACTIVE");
        id
    }

    /// The time in whole seconds, as the vendor's, and later than every one before.
    fn now(&mut self) -> Timestamp {
        self.clock = Timestamp::now().as_second().max(self.clock + 1);
        Timestamp::from_second(self.clock).expect("a time of today")
    }

    fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", 0xd0_00_00_00_u64 + self.ids, self.ids)
    }
}

impl Deployment {
    fn set_phase(&mut self, phase: &str) {
        phase.clone_into(&mut self.phase);
        let (done, at_work) = match phase {
            "PENDING_BUILD" => (0, None),
            "BUILDING" => (1, Some("RUNNING")),
            "PENDING_DEPLOY" => (2, None),
            "DEPLOYING" => (3, Some("RUNNING")),
            "ACTIVE" => (STEPS, None),
            // Any other phase leaves the steps as they are.
            _ => return,
        };
        (self.done, self.at_work) = (done, at_work);
    }

    /// Ends it where it is.
    pub(super) fn stop(&mut self, phase: &str) {
        phase.clone_into(&mut self.phase);
        self.at_work = None;
        self.timeline.clear();
    }

    pub(super) fn fail_build(&mut self, log: &str) {
        self.fail(1, "BuildJobExitNonZero", "Your build job failed because it returned a non-zero exit code.");
        self.logs.insert("BUILD", log.to_owned());
    }

    pub(super) fn fail_health_check(&mut self, log: &str) {
        self.fail(
            4,
            "DeployContainerHealthChecksFailed",
            "Your deploy failed because your container did not respond to health checks.",
        );
        self.logs.insert("BUILD", "the build succeeded\n".to_owned());
        self.logs.insert("DEPLOY", log.to_owned());
    }

    fn fail(&mut self, done: usize, code: &'static str, message: &'static str) {
        self.stop("ERROR");
        (self.done, self.at_work) = (done, Some("ERROR"));
        self.reason = Some((code, message));
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase.as_str(), "ACTIVE" | "SUPERSEDED" | "ERROR" | "CANCELED")
    }
}
