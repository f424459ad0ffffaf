//! One simulated world: its time, its machine, who does what when, and the monitors that live in it.
//!
//! Invariant: everything depends on the seed alone. The clock is tokio's, paused; there is one thread; nothing iterates over
//! anything without an order; and no name that is random in the product (temporary files, requests of unseen pushes) gets into
//! the trace.

mod birth;
mod processes;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    panic::resume_unwind,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use afterpush_core::{
    file::{BootTime, Request},
    id::CommitId,
    observation::ProviderObservation,
    policy::Policy,
};
use afterpush_monitor::clock::Clocks;
use afterpush_store::{Environment, Liveness, RunDirectory, disk};
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

use self::processes::{Death, End, Life};
use crate::{
    around::Counter,
    dice::Dice,
    disk::Disk,
    forge::{Forge, seconds},
    oracle::Oracle,
    vendor::{App, Time},
};

/// What happens at a planned time.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Somebody pushes from this clone.
    Push(usize),
    /// The remote accepts a push, and the vendor hears of it later.
    Land(&'static str, CommitId),
    /// A successful `git push` notes it in its clone.
    Track(usize, &'static str, CommitId),
    /// The vendor begins a deployment.
    Deploy(usize, CommitId),
    /// A deployment takes a step.
    Advance(usize, usize, usize),
    /// Somebody takes an application back.
    RollBack(usize),
    /// A monitor's process begins.
    Begin(RunDirectory),
    /// A monitor's process is killed.
    Kill,
    /// The power fails, and the machine boots again.
    PowerLoss,
    /// The machine sleeps for so long.
    Suspend(Duration),
    /// Somebody sets the wall's clock, by so many seconds.
    SetClock(i64),
    /// `afterpush resume`, by cron.
    Resume(usize),
    /// `deploy-status`.
    Look,
    /// `afterpush stop`.
    Stop,
    /// `afterpush cleanup`, of this clone, of everything older than this.
    CleanUp(usize, Duration),
}

/// Who is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Actor {
    Nobody,
    Monitor(u64),
    /// The hook or a command.
    Program(&'static str),
}

/// More looks at the clock in one moment than any number of monitors has a reason for.
const MOST_LOOKS: u32 = 5_000;
/// The wall's clock when the world begins.
const EPOCH: &str = "2026-03-01T12:00:00Z";

/// By application, commit and push: when the provider said what.
type Shared = BTreeMap<(usize, CommitId, Time), (Time, ProviderObservation)>;

/// A world.
pub(crate) struct World {
    pub(crate) root: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) policy: Policy,
    pub(crate) limit: u32,
    pub(crate) dice: RefCell<Dice>,
    pub(crate) forge: RefCell<Forge>,
    pub(crate) apps: RefCell<Vec<App>>,
    pub(crate) disk: RefCell<Disk>,
    pub(crate) oracle: RefCell<Oracle>,
    /// By process id: when a `git push` ends, and its exit code where the kernel tells it.
    pub(crate) pushers: RefCell<BTreeMap<i32, (Time, Option<i32>)>>,
    /// The answers that monitors of one push share.
    pub(crate) shared: RefCell<Shared>,
    /// By request: when it was truly pushed.
    pub(crate) requests: RefCell<BTreeMap<String, Time>>,
    pub(crate) names: Counter,
    /// By run: when a monitor was last to be started.
    pub(crate) begun: RefCell<BTreeMap<PathBuf, Time>>,
    agenda: RefCell<BTreeMap<(Time, u64), Action>>,
    planned: Counter,
    /// Something was planned: it may be due before what the loop waits for.
    news: Notify,
    lives: Counter,
    pub(crate) chaos: Chaos,
    began: Instant,
    suspended: Cell<Duration>,
    booted: Cell<(Time, Duration)>,
    boots: Cell<u64>,
    wall_offset: Cell<i64>,
    actor: Cell<Actor>,
    depth: Cell<u32>,
    lines: RefCell<Vec<String>>,
    hash: Cell<u64>,
    steps: Cell<u64>,
    /// How often monitors have looked at the clock in which moment.
    looks: Cell<(Time, u32)>,
}

/// How bad this world is.
pub(crate) struct Chaos {
    pub(crate) calm_at: Time,
    pub(crate) trouble: f64,
    pub(crate) deaths: bool,
    pub(crate) interrupts: bool,
}

/// What came of a world.
pub(crate) struct Story {
    pub(crate) violation: Option<String>,
    pub(crate) hash: u64,
    pub(crate) steps: u64,
    pub(crate) checks: u64,
    pub(crate) lives: u64,
    pub(crate) refused: u64,
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    pub(crate) lines: Vec<String>,
}

/// Plays the world of a seed to its end, with its files below `root`.
pub(crate) fn play(seed: u64, root: &Path) -> Story {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let story = runtime.block_on(async {
        let world = World::new(seed, root);
        let watched = Rc::clone(&world);
        disk::watch(Some(Rc::new(move |change, path| watched.changes(change, path))));
        world.play().await;
        disk::watch(None);
        world.story()
    });
    drop(runtime);
    story
}

impl World {
    /// The time since the world began.
    pub(crate) fn time(&self) -> Time {
        self.began.elapsed() + self.suspended.get()
    }

    pub(crate) fn wall(&self) -> Timestamp {
        let epoch: Timestamp = EPOCH.parse().expect("it is written above");
        let now = i64::try_from(self.time().as_millis()).unwrap_or(i64::MAX) + self.wall_offset.get() * 1000;
        Timestamp::from_millisecond(epoch.as_millisecond() + now).expect("the world is short")
    }

    pub(crate) fn clocks(&self) -> Clocks {
        self.notice_spinning();
        let (booted, awake) = self.booted.get();
        Clocks { boot: self.time() - booted, awake: self.began.elapsed() - awake }
    }

    /// A monitor that looks at the clock again and again in the same moment would keep a processor busy for nothing.
    fn notice_spinning(&self) {
        let (moment, looks) = self.looks.get();
        let now = self.time();
        let looks = if moment == now { looks + 1 } else { 0 };
        self.looks.set((now, looks));
        if looks == MOST_LOOKS {
            self.oracle.borrow_mut().violated("a monitor does not wait for anything".to_owned());
            resume_unwind(Box::new(Death));
        }
    }

    pub(crate) fn boot_id(&self) -> String {
        format!("boot-{}", self.boots.get())
    }

    pub(crate) fn boot_time(&self) -> BootTime {
        let milliseconds = u64::try_from((self.time() - self.booted.get().0).as_millis()).unwrap_or(u64::MAX);
        BootTime { boot_id: self.boot_id(), milliseconds }
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.time() >= self.chaos.calm_at
    }

    /// The share of questions that come to grief.
    pub(crate) fn trouble(&self) -> f64 {
        if self.is_calm() { 0.01 } else { self.chaos.trouble }
    }

    pub(crate) fn plan(&self, at: Time, action: Action) {
        self.agenda.borrow_mut().insert((at, self.planned.next()), action);
        self.news.notify_one();
    }

    /// When a request's push truly began.
    pub(crate) fn pushed_at(&self, request: &Request) -> Time {
        let known = self.requests.borrow().get(&request.id).copied();
        let found =
            || self.forge.borrow().newest_push(request.ref_name.as_str(), &request.commit).map(|push| push.began);
        known.or_else(found).unwrap_or_default()
    }

    /// A check within a step sees what another process would see between two changes of the one that is at work.
    pub(crate) fn is_within_step(&self) -> bool {
        self.actor.get() != Actor::Nobody
    }

    pub(crate) fn trace(&self, who: &str, what: &str) {
        let line = format!("{:>10.3} {who}: {what}", self.time().as_secs_f64());
        // FNV-1a: two worlds are the same when every line was.
        let hash =
            line.bytes().fold(self.hash.get(), |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        self.hash.set(hash);
        self.steps.set(self.steps.get() + 1);
        self.lines.borrow_mut().push(line);
    }

    /// A monitor has the run's lock, and a place.
    pub(crate) fn watches(&self, life: u64, run: &RunDirectory) {
        let watching = self.oracle.borrow_mut().watches(life, run);
        // A disk that refuses may leave a monitor without a place, not without work.
        if watching > self.limit as usize && self.disk.borrow().refused == 0 {
            self.oracle.borrow_mut().violated(format!("{watching} monitors, and {} are allowed", self.limit));
        }
        self.trace(&format!("monitor {life}"), "watches");
    }

    /// A path of the state directory without what is random in it.
    pub(crate) fn name_of(&self, path: &Path) -> String {
        let name = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned();
        // A store's name ends with a hash of where the clone is.
        let name = match name.strip_prefix("state/repos/").map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
            Some((store, rest)) => format!("{}/{rest}", store.split('-').next().unwrap_or_default()),
            None => name,
        };
        match name.rsplit_once('/') {
            Some((above, last)) if last.starts_with('.') && last.ends_with(".tmp") => {
                let shown = last.split(['.', '-']).nth(1).unwrap_or_default();
                if above.ends_with("waiting") { format!("{above}/(a note)") } else { format!("{above}/(new {shown})") }
            }
            Some((above, _)) if above.ends_with("waiting") => format!("{above}/(a note)"),
            _ => name,
        }
    }

    /// The world's own loop: what is planned happens, and the monitors live.
    async fn play(self: &Rc<Self>) {
        let mut lives: BTreeMap<u64, Life> = BTreeMap::new();
        self.set_up();
        // Runs that wait for one another's places take their deadlines one after the other.
        let patience = (self.policy.deadline + seconds(600)) * 14;
        loop {
            while let Some(action) = self.next_due() {
                match action {
                    Action::Begin(run) => self.begin(run, &mut lives),
                    Action::Kill if !lives.is_empty() => {
                        let victim = self.dice.borrow_mut().index(lives.len());
                        if let Some(life) = lives.keys().nth(victim).copied() {
                            drop(lives.remove(&life));
                            self.ended(life, End::Died);
                        }
                    }
                    Action::Kill => {}
                    Action::PowerLoss => {
                        for life in std::mem::take(&mut lives).into_keys() {
                            self.ended(life, End::Died);
                        }
                        self.lose_power();
                    }
                    other => self.act(other),
                }
            }
            self.check();
            let (is_over, now) = (self.is_over(&lives), self.time());
            if is_over || self.oracle.borrow().violation.is_some() {
                break;
            }
            if now > self.chaos.calm_at + patience {
                self.oracle.borrow_mut().violated("runs do not end".to_owned());
                break;
            }
            let due = self.agenda.borrow().keys().next().map_or(now + seconds(60), |(at, _)| *at);
            let wait = due.saturating_sub(now);
            let ended = tokio::select! {
                biased;
                ended = self.live(&mut lives), if !lives.is_empty() => Some(ended),
                () = self.news.notified() => None,
                () = tokio::time::sleep(wait) => None,
            };
            if let Some((life, end)) = ended {
                lives.remove(&life);
                self.ended(life, end);
            }
        }
        drop(lives);
    }

    fn next_due(&self) -> Option<Action> {
        let mut agenda = self.agenda.borrow_mut();
        let first = agenda.first_entry().filter(|first| first.key().0 <= self.time())?;
        Some(first.remove())
    }

    /// Nothing is left to happen but cron, and every run has ended.
    fn is_over(&self, lives: &BTreeMap<u64, Life>) -> bool {
        let only_cron = self.agenda.borrow().values().all(|action| matches!(action, Action::Resume(_)));
        if !lives.is_empty() || !only_cron || !self.is_calm() {
            return false;
        }
        let runs = self.oracle.borrow().runs();
        runs.iter().all(|run| matches!(run.liveness(self.wall()), Ok(Liveness::Finished | Liveness::Absent)))
    }

    fn lose_power(&self) {
        self.trace("the machine", "loses its power and boots again");
        self.disk.borrow_mut().lose_power(self.time(), &mut self.dice.borrow_mut());
        self.boots.set(self.boots.get() + 1);
        self.booted.set((self.time(), self.began.elapsed()));
        self.pushers.borrow_mut().clear();
        // What was about to be started is forgotten; pushes that were under way end without an end.
        self.agenda.borrow_mut().retain(|_, action| !matches!(action, Action::Begin(_) | Action::Track(..)));
        self.oracle.borrow_mut().touch_all();
    }

    pub(crate) fn suspend(&self, span: Duration) {
        self.suspended.set(self.suspended.get() + span);
    }

    pub(crate) fn set_clock(&self, seconds: i64) {
        self.wall_offset.set(self.wall_offset.get() + seconds);
    }

    fn story(&self) -> Story {
        let oracle = self.oracle.borrow();
        Story {
            violation: oracle.violation.clone(),
            hash: self.hash.get(),
            steps: self.steps.get(),
            checks: oracle.checks,
            lives: self.lives.next() - 1,
            refused: self.disk.borrow().refused,
            outcomes: oracle.outcomes.clone(),
            lines: self.lines.take(),
        }
    }
}

pub(crate) const MAIN: &str = "refs/heads/main";
pub(crate) const RELEASE: &str = "refs/heads/release";
