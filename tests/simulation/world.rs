//! One simulated world: its time, its machine, who does what when, and the monitors that live in it.
//!
//! Invariant: everything depends on the seed alone. The clock is tokio's, paused; there is one thread; nothing iterates over
//! anything without an order; and no name that is random in the product (temporary files, requests of unseen pushes) gets into
//! the trace.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::{Future, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    pin::Pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use afterpush_core::{file::Request, id::CommitId, observation::ProviderObservation, policy::Policy};
use afterpush_monitor::{clock::Clocks, life};
use afterpush_store::{
    Environment, Liveness, Places, RunDirectory,
    disk::{self, Change},
};
use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    around::{Around, Counter},
    dice::Dice,
    disk::{Disk, Weather},
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

/// How a monitor's process ended.
enum End {
    Over(Result<(), String>),
    Died,
    Panicked(String),
}

/// What ends a process in the middle of a change.
struct Death;

/// Who is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Actor {
    Nobody,
    Monitor(u64),
    /// The hook or a command.
    Program(&'static str),
}

/// In [`Disk::fuses`]: of the hook or command that runs now.
const PROGRAM: u64 = u64::MAX;
/// More looks at the clock in one moment than any number of monitors has a reason for.
const MOST_LOOKS: u32 = 5_000;
/// The wall's clock when the world begins.
const EPOCH: &str = "2026-03-01T12:00:00Z";

/// By application, commit and push: when the provider said what.
type Shared = BTreeMap<(usize, CommitId, Time), (Time, ProviderObservation)>;
type Life = Pin<Box<dyn Future<Output = End>>>;

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

    pub(crate) fn is_calm(&self) -> bool {
        self.time() >= self.chaos.calm_at
    }

    /// The share of questions that come to grief.
    pub(crate) fn trouble(&self) -> f64 {
        if self.is_calm() { 0.01 } else { self.chaos.trouble }
    }

    pub(crate) fn plan(&self, at: Time, action: Action) {
        self.agenda.borrow_mut().insert((at, self.planned.next()), action);
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

    /// The process at work is about to change something on the disk.
    fn changes(&self, change: Change<'_>, path: &Path) -> io::Result<()> {
        if std::thread::panicking() {
            return Err(io::Error::other("a dead process changes nothing"));
        }
        if self.actor.get() == Actor::Nobody {
            return Ok(());
        }
        self.check();
        let (who, life) = match self.actor.get() {
            Actor::Monitor(life) => (format!("monitor {life}"), life),
            Actor::Program(name) => (name.to_owned(), PROGRAM),
            Actor::Nobody => return Ok(()),
        };
        let name = self.name_of(path);
        if self.disk.borrow_mut().kills(life) {
            self.trace(&who, &format!("dies before {} {name}", verb(change)));
            resume_unwind(Box::new(Death));
        }
        let now = self.time();
        let refusal = self.disk.borrow_mut().refusal(change, now, &mut self.dice.borrow_mut());
        if let Some(refusal) = refusal {
            self.trace(&who, &format!("may not {} {name}: {}", verb(change), refusal.kind()));
            return Err(refusal);
        }
        if !matches!(change, Change::Create | Change::Write | Change::Append | Change::Sync) {
            self.trace(&who, &format!("{} {name}", verb(change)));
        }
        self.interrupt(path);
        self.disk.borrow_mut().note(change, path, now);
        let mut oracle = self.oracle.borrow_mut();
        match change {
            Change::Rename(to) | Change::Link(to) => {
                oracle.touched(path);
                oracle.touched(to);
            }
            Change::Remove | Change::RemoveDirectory => oracle.touched(path),
            _ => {}
        }
        Ok(())
    }

    /// Between two changes of a monitor, other processes may come to work on the same run.
    fn interrupt(&self, path: &Path) {
        let is_apt = self.chaos.interrupts && self.depth.get() == 0 && !self.is_calm();
        // Nobody comes in where the one at work holds a lock that the other would wait for.
        let is_run = path.components().any(|part| part.as_os_str() == "runs");
        if !is_apt || !is_run || !matches!(self.actor.get(), Actor::Monitor(_)) || !self.dice.borrow_mut().chance(0.004)
        {
            return;
        }
        let action = match self.dice.borrow_mut().below(4) {
            0 => Action::Look,
            1 => Action::Stop,
            2 => Action::CleanUp(0, Duration::ZERO),
            _ => Action::Push(0),
        };
        let (actor, depth) = (self.actor.get(), self.depth.get());
        self.depth.set(depth + 1);
        self.act(action);
        self.depth.set(depth);
        self.actor.set(actor);
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

    /// Runs a hook or a command, which may die at any of its changes.
    pub(crate) fn program(&self, name: &'static str, work: impl FnOnce()) {
        let actor = self.actor.replace(Actor::Program(name));
        let dies = self.chaos.deaths && !self.is_calm() && self.dice.borrow_mut().chance(0.1);
        if dies {
            let fuse = 1 + self.dice.borrow_mut().below(15);
            self.disk.borrow_mut().fuses.insert(PROGRAM, fuse);
        }
        self.trace(name, "runs");
        if let Err(cause) = catch_unwind(AssertUnwindSafe(work))
            && let Some(text) = panicked(cause)
        {
            self.oracle.borrow_mut().violated(format!("{name} panicked: {text}"));
        }
        self.disk.borrow_mut().fuses.remove(&PROGRAM);
        self.actor.set(actor);
    }

    fn begin(self: &Rc<Self>, run: RunDirectory, lives: &mut BTreeMap<u64, Life>) {
        let life = self.lives.next();
        if self.chaos.deaths && !self.is_calm() && self.dice.borrow_mut().chance(0.35) {
            let fuse = 1 + self.dice.borrow_mut().below(120);
            self.disk.borrow_mut().fuses.insert(life, fuse);
        }
        self.trace(&format!("monitor {life}"), &format!("begins with {}", self.name_of(run.path())));
        let around = Around { world: Rc::clone(self), life, run: run.clone() };
        lives.insert(
            life,
            Box::pin(async move {
                let following = AssertUnwindSafe(life::follow(&run, &around)).catch_unwind().await;
                match following {
                    Ok(over) => End::Over(over.map_err(|error| afterpush_core::fault::with_causes(&error))),
                    Err(cause) => panicked(cause).map_or(End::Died, End::Panicked),
                }
            }),
        );
    }

    fn ended(&self, life: u64, end: End) {
        self.disk.borrow_mut().fuses.remove(&life);
        let watched = self.oracle.borrow().watched_by(life);
        self.oracle.borrow_mut().gone(life, matches!(end, End::Died));
        let text = match end {
            End::Over(Ok(())) => {
                self.leaves_nothing(&watched);
                "has ended".to_owned()
            }
            End::Over(Err(why)) => format!("has given up: {}", why.replace(self.root.to_str().unwrap_or(""), "").len()),
            End::Died => "is dead".to_owned(),
            End::Panicked(text) => {
                self.oracle.borrow_mut().violated(format!("a monitor panicked: {text}"));
                "has panicked".to_owned()
            }
        };
        self.trace(&format!("monitor {life}"), &text);
    }

    /// A monitor that ends in peace leaves no push behind that it should have taken up, and no run waiting for its place.
    fn leaves_nothing(&self, watched: &[RunDirectory]) {
        if self.disk.borrow().refused > 0 {
            return;
        }
        for run in watched {
            if let Ok(Some(_)) = run.again() {
                self.oracle.borrow_mut().violated("a monitor left a push of its run to nobody".to_owned());
            }
            let owed = Places::of_run(run, self.limit).next().unwrap_or_default();
            let begun = self.begun.borrow();
            if owed.iter().any(|run| begun.get(run.path()) != Some(&self.time())) {
                self.oracle.borrow_mut().violated("a monitor gave its place to nobody".to_owned());
            }
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
                () = tokio::time::sleep(wait) => None,
            };
            if let Some((life, end)) = ended {
                lives.remove(&life);
                self.ended(life, end);
            }
        }
        drop(lives);
    }

    /// Lets the monitors live until one has ended, in an order that changes.
    async fn live(&self, lives: &mut BTreeMap<u64, Life>) -> (u64, End) {
        poll_fn(|context| {
            let ids: Vec<u64> = lives.keys().copied().collect();
            let first = usize::try_from(self.steps.get()).unwrap_or(0) % ids.len();
            for life in ids.iter().cycle().skip(first).take(ids.len()) {
                self.actor.set(Actor::Monitor(*life));
                let polled = lives.get_mut(life).map(|it| it.as_mut().poll(context));
                self.actor.set(Actor::Nobody);
                self.check();
                if let Some(Poll::Ready(end)) = polled {
                    return Poll::Ready((*life, end));
                }
            }
            Poll::Pending
        })
        .await
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

    fn new(seed: u64, root: &Path) -> Rc<Self> {
        let mut dice = Dice::new(seed);
        let limit = dice.one_of(&[1, 2, 3, 32]);
        let policy = Policy {
            registration_deadline: seconds(dice.one_of(&[60, 120, 300])),
            deadline: seconds(dice.one_of(&[150, 300, 600, 1800])),
            ..Policy::default()
        };
        let calm_at = seconds(dice.one_of(&[240, 420, 600]));
        let chaos = Chaos {
            calm_at,
            trouble: dice.one_of(&[0.0, 0.02, 0.1, 0.3]),
            deaths: dice.chance(0.6),
            interrupts: dice.chance(0.5),
        };
        let span = |dice: &mut Dice, longest: u64| {
            let from = dice.millis(1_000, u64::try_from(calm_at.as_millis()).unwrap_or(1_000));
            (from, (from + dice.millis(500, longest)).min(calm_at))
        };
        let apps: Vec<App> = (0..1 + dice.index(3))
            .map(|number| App {
                name: format!("app{number}"),
                ref_name: if number == 0 || dice.chance(0.6) { MAIN } else { RELEASE },
                has_provider: dice.chance(0.9),
                has_database: dice.chance(0.3),
                has_health: dice.chance(0.5),
                tells_serving: dice.chance(0.7),
                sick: dice.chance(0.15).then(|| span(&mut dice, 120_000)),
                refused: dice.chance(0.05).then(|| span(&mut dice, 30_000)),
                denials: 0,
                deployments: Vec::new(),
                serving: Vec::new(),
            })
            .collect();
        let mut disk = Disk::default();
        if dice.chance(0.35) {
            for _ in 0..1 + dice.index(3) {
                let weather = dice.one_of(&[Weather::Full, Weather::ReadOnly, Weather::Flaky, Weather::Flaky]);
                disk.weather.push((span(&mut dice, 60_000), weather));
            }
        }
        let config: String = apps.iter().map(target).collect();
        let clones = 1 + dice.index(2);
        let forge = Forge::new(root, clones, &config);
        let user = root.join("config.toml");
        std::fs::write(&user, format!("[policy]\nmonitors = {limit}\n")).unwrap();
        let environment =
            Environment { state_dir: Some(root.join("state")), config: Some(user), ..Environment::default() };
        Rc::new(Self {
            root: root.to_owned(),
            environment,
            policy,
            limit,
            dice: RefCell::new(dice),
            forge: RefCell::new(forge),
            apps: RefCell::new(apps),
            disk: RefCell::new(disk),
            oracle: RefCell::default(),
            pushers: RefCell::default(),
            shared: RefCell::default(),
            requests: RefCell::default(),
            names: Counter::default(),
            begun: RefCell::default(),
            agenda: RefCell::default(),
            planned: Counter::default(),
            lives: Counter::default(),
            chaos,
            began: Instant::now(),
            suspended: Cell::default(),
            booted: Cell::default(),
            boots: Cell::new(1),
            wall_offset: Cell::default(),
            actor: Cell::new(Actor::Nobody),
            depth: Cell::default(),
            lines: RefCell::default(),
            hash: Cell::new(0xcbf2_9ce4_8422_2325),
            steps: Cell::default(),
            looks: Cell::default(),
        })
    }
}

pub(crate) const MAIN: &str = "refs/heads/main";
pub(crate) const RELEASE: &str = "refs/heads/release";

fn target(app: &App) -> String {
    let branch = app.ref_name.trim_start_matches("refs/heads/");
    let name = &app.name;
    format!(
        "[[target]]\nname = \"{name}\"\nbranch = \"{branch}\"\nprovider = {{ kind = \"digitalocean\", app = \"{name}\" }}\n"
    )
}

fn verb(change: Change<'_>) -> &'static str {
    match change {
        Change::Create => "create",
        Change::Write => "write",
        Change::Append => "append to",
        Change::Sync => "sync",
        Change::Rename(_) => "rename",
        Change::Link(_) => "link",
        Change::SyncDirectory => "sync directory",
        Change::Remove => "remove",
        Change::CreateDirectory => "make directory",
        Change::RemoveDirectory => "remove directory",
    }
}

/// What a panic said; `None` when it was a simulated death.
fn panicked(cause: Box<dyn Any + Send>) -> Option<String> {
    if cause.is::<Death>() {
        return None;
    }
    let text = cause.downcast_ref::<String>().cloned();
    Some(text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}
