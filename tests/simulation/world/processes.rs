//! The processes of a world: how they begin, what they change, who comes in between, and how they end or die.

use std::{
    any::Any,
    collections::BTreeMap,
    future::{Future, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    pin::Pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use afterpush_monitor::life;
use afterpush_store::{Places, RunDirectory, disk::Change};
use futures_util::FutureExt;

use super::{Action, Actor, World};
use crate::around::Around;

/// How a monitor's process ended.
pub(super) enum End {
    Over(Result<(), String>),
    Died,
    Panicked(String),
}

/// What ends a process in the middle of a change.
pub(super) struct Death;

/// In [`Disk::fuses`]: of the hook or command that runs now.
const PROGRAM: u64 = u64::MAX;

pub(super) type Life = Pin<Box<dyn Future<Output = End>>>;

impl World {
    /// The process at work is about to change something on the disk.
    pub(super) fn changes(&self, change: Change<'_>, path: &Path) -> io::Result<()> {
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

    pub(super) fn begin(self: &Rc<Self>, run: RunDirectory, lives: &mut BTreeMap<u64, Life>) {
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

    pub(super) fn ended(&self, life: u64, end: End) {
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

    /// Lets the monitors live until one has ended, in an order that changes.
    pub(super) async fn live(&self, lives: &mut BTreeMap<u64, Life>) -> (u64, End) {
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
