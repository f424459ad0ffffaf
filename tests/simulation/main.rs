//! Deterministic simulation: the real monitor, machine and store in a world that is made from a seed and knows the truth.
//!
//! Real are the life of a monitor from its lock to its result, the machine, the recorder, the store with its locks, places and
//! cleanup, what `resume`, `stop` and `deploy-status` do with a run, and the reading of git. Simulated are time, network, vendor, disk and
//! the processes. A failing seed is printed and replays exactly.
//!
//! It is known to find: a lock that two can hold, more monitors than are allowed, a place that is given to nobody, a push of a run that
//! is never taken up, a result of an earlier push that stands for a later one, a request or a result that is announced before it is
//! synced, an emptied status that makes a run unreadable, a dead monitor that is taken for a living one, a proof that names another
//! commit, a push that is taken for containing another, an exit code that proves what it does not, a
//! failure by another's name, and a deadline that is not kept.
//!
//! `AFTERPUSH_SIMULATION_SEED=n` plays one world and prints its steps; `AFTERPUSH_SIMULATION_SECONDS=n` plays as many as fit.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; figures are printed"
)]

mod around;
mod dice;
mod disk;
mod forge;
mod oracle;
mod people;
mod vendor;
mod world;

use std::{
    collections::BTreeMap,
    env,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use world::{Story, play};

/// How many worlds each run of the tests plays.
const SEEDS: u64 = 200;
/// How many of a world's last lines are shown.
const SHOWN: usize = 60;

/// Plays a seed in a directory of its own, in memory where the machine has such a place.
fn story(seed: u64) -> Story {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory } else { Path::new("/tmp") };
    // The name has the same length every time; only its digits differ, and nothing sorts by them.
    let directory = TempDir::with_prefix_in("afterpush-simulation-", place).unwrap();
    play(seed, directory.path())
}

/// What all worlds together did.
#[derive(Default)]
struct Total {
    seeds: u64,
    steps: u64,
    checks: u64,
    lives: u64,
    refused: u64,
    outcomes: BTreeMap<&'static str, u64>,
    violated: Option<(u64, Story)>,
}

impl Total {
    fn add(&mut self, seed: u64, story: Story) {
        self.seeds += 1;
        self.steps += story.steps;
        self.checks += story.checks;
        self.lives += story.lives;
        self.refused += story.refused;
        for (outcome, count) in &story.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        if story.violation.is_some() {
            self.violated = Some((seed, story));
        }
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

fn last(story: &Story) -> String {
    story.lines[story.lines.len().saturating_sub(SHOWN)..].join("\n")
}

fn fail(seed: u64, story: &Story) -> ! {
    let why = story.violation.as_deref().unwrap_or_default();
    panic!(
        "seed {seed}, step {}: {why}\n\n{}\n\nreplay: AFTERPUSH_SIMULATION_SEED={seed} tests/run -p afterpush-tests --test simulation",
        story.steps,
        last(story)
    );
}

#[test]
fn no_seed_breaks_a_promise() {
    if let Some(seed) = number("AFTERPUSH_SIMULATION_SEED") {
        let story = story(seed);
        println!("{}\nseed {seed}: {} steps, hash {:016x}", story.lines.join("\n"), story.steps, story.hash);
        if story.violation.is_some() {
            fail(seed, &story);
        }
        return;
    }
    let (began, limit) = (Instant::now(), number("AFTERPUSH_SIMULATION_SECONDS").map(Duration::from_secs));
    let first = number("AFTERPUSH_SIMULATION_FIRST").unwrap_or(0);
    let (played, total) = (AtomicU64::new(0), Mutex::new(Total::default()));
    let play_some = || {
        loop {
            let number = played.fetch_add(1, Ordering::Relaxed);
            let is_more = limit.map_or(number < SEEDS, |limit| began.elapsed() < limit);
            // The first violation ends the others as well.
            if !is_more || total.lock().unwrap().violated.is_some() {
                return;
            }
            let story = story(first + number);
            total.lock().unwrap().add(first + number, story);
        }
    };
    // A world is one thread's; several are played side by side.
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(play_some);
        }
    });
    let Total { seeds, steps, checks, lives, refused, outcomes, violated } = total.into_inner().unwrap();
    if let Some((seed, story)) = violated {
        fail(seed, &story);
    }
    println!(
        "{seeds} seeds, 0 violations, {:.0} s: {steps} steps, {checks} checks, {lives} monitors, {refused} changes refused by the disk",
        began.elapsed().as_secs_f64()
    );
    println!("outcomes: {outcomes:?}");
    // A world in which nothing happens keeps every promise.
    for outcome in
        ["live", "live_contained", "deploy_failed", "superseded", "push_not_completed", "timed_out", "stopped"]
    {
        assert!(outcomes.contains_key(outcome), "no run ended {outcome}");
    }
    assert!(refused > 0, "the disk refused nothing");
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in [1, 7, 42, 1_000_003] {
        let (one, two) = (story(seed), story(seed));
        if let Some((one, two)) = one.lines.iter().zip(&two.lines).find(|(one, two)| one != two) {
            panic!("seed {seed} tells\n{one}\nand then\n{two}");
        }
        assert_eq!((one.hash, one.steps), (two.hash, two.steps), "seed {seed}");
    }
    assert_ne!(story(1).hash, story(2).hash);
}
