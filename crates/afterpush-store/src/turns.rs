//! When calls with one credential may be made: the arithmetic of it, without clock or file. Times are milliseconds of whatever
//! clock the caller has.
//!
//! Invariants: two calls are never closer than the gap, a few after a silence aside; nothing is reserved within a time in which
//! the vendor wants no call; what a nearly spent budget has slowed down is quick again when the budget is full.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time between two calls with one credential to one host, where no answer has told otherwise.
const SHORTEST_GAP: u64 = 100;
/// So many calls may be made at once after a time of silence.
const BURST: u64 = 10;
/// The longest that refused calls make the gap.
const LONGEST_GAP: u64 = 2000;

/// What came of the wish to make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It may be made after this wait.
    In(Duration),
    /// The wait would be longer than the caller's patience; nothing was reserved.
    TooFar(Duration),
    /// Others are just taking their turns: try again.
    Busy,
}

/// The turns with one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turns {
    /// The next call's time.
    next: u64,
    /// From one call to the next.
    gap: u64,
    /// The same while a budget is nearly spent.
    spread: u64,
    /// Until then it is.
    spread_until: u64,
    /// Until then the vendor wants no call.
    held_until: u64,
}

impl Default for Turns {
    fn default() -> Self {
        Self { next: 0, gap: SHORTEST_GAP, spread: 0, spread_until: 0, held_until: 0 }
    }
}

impl Turns {
    /// Reserves the next call.
    pub(crate) fn take(&mut self, now: u64, patience: Duration) -> Turn {
        // Who was silent for a while may make a few calls at once.
        let next = self.next.max(now.saturating_sub(BURST * self.gap_at(now)));
        let wait = Duration::from_millis(next.saturating_sub(now));
        if wait > patience {
            return Turn::TooFar(wait);
        }
        self.next = next + self.gap_at(next);
        if next < self.spread_until {
            self.next = self.next.min(self.spread_until.max(next + self.gap));
        }
        // What refusals have slowed down gets quicker again, call by call.
        self.gap = (self.gap - self.gap / 64).max(SHORTEST_GAP);
        Turn::In(wait)
    }

    /// The vendor has refused a call for its rate: none is made for so long, and then half as many. Refusals of calls that were
    /// under way by then are the same refusal.
    pub(crate) fn hold_back(&mut self, now: u64, wait: Duration) {
        if !self.are_held_back(now) {
            self.gap = (self.gap * 2).min(LONGEST_GAP);
        }
        self.held_until = self.held_until.max(now + millis(wait));
        self.next = self.next.max(self.held_until);
    }

    /// Tells whether the vendor wants no call now: what was reserved before is void then.
    pub(crate) fn are_held_back(&self, now: u64) -> bool {
        now < self.held_until
    }

    /// So many calls are left for so long.
    pub(crate) fn spread(&mut self, now: u64, remaining: u64, over: Duration) {
        let over = millis(over);
        self.spread = over / remaining.max(1);
        self.spread_until = now + over;
        if self.spread > self.gap {
            self.next = self.next.max(now + self.spread);
        }
    }

    fn gap_at(&self, time: u64) -> u64 {
        if time < self.spread_until { self.gap.max(self.spread) } else { self.gap }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any time.
    const NOW: u64 = 1_000_000;
    const PATIENCE: Duration = Duration::from_secs(30);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The waits of so many calls that are wished for at one moment.
    fn waits(turns: &mut Turns, now: u64, calls: usize) -> Vec<u128> {
        let wait = |turn| match turn {
            Turn::In(wait) => wait.as_millis(),
            turn => panic!("{turn:?}"),
        };
        (0..calls).map(|_| wait(turns.take(now, PATIENCE))).collect()
    }

    #[test]
    fn a_few_calls_go_at_once_and_the_others_in_turn() {
        let mut turns = Turns::default();
        let first = waits(&mut turns, NOW, 14);
        assert!(first[..11].iter().all(|wait| *wait == 0), "{first:?}");
        assert_eq!(first[11..], [100, 200, 300]);
        // A silence of half the burst's length allows half of it.
        assert_eq!(waits(&mut turns, NOW + 300 + 600, 8), [0, 0, 0, 0, 0, 0, 100, 200]);
    }

    #[test]
    fn whose_patience_is_too_short_reserves_nothing() {
        let mut turns = Turns::default();
        let _ = waits(&mut turns, NOW, 11 + 300);
        let before = turns.clone();
        assert_eq!(turns.take(NOW, PATIENCE), Turn::TooFar(Duration::from_millis(30_100)));
        assert_eq!(turns, before);
        assert_eq!(turns.take(NOW + 100, PATIENCE), Turn::In(PATIENCE));
    }

    #[test]
    fn a_refusal_is_waited_out_and_slows_down_until_many_calls_were_answered() {
        let mut turns = Turns::default();
        turns.hold_back(NOW, seconds(5));
        assert!(turns.are_held_back(NOW + 4999) && !turns.are_held_back(NOW + 5000));
        assert_eq!(waits(&mut turns, NOW, 3), [5000, 5200, 5397]);
        // Quick again after some calls, and never quicker than in the beginning.
        let late = waits(&mut turns, NOW + 10_000_000, 100);
        assert_eq!(late[99] - late[98], 100);
    }

    #[test]
    fn refusals_of_calls_that_were_under_way_are_one_refusal() {
        let (mut once, mut often) = (Turns::default(), Turns::default());
        once.hold_back(NOW, seconds(5));
        for later in [0, 1, 2, 3] {
            often.hold_back(NOW + later, seconds(5) - Duration::from_millis(later));
        }
        assert_eq!(once, often);
        // A shorter wait does not end a longer one; a longer one counts.
        often.hold_back(NOW + 10, seconds(1));
        assert!(often.are_held_back(NOW + 4999));
        often.hold_back(NOW + 10, seconds(9));
        assert!(often.are_held_back(NOW + 9009));
    }

    #[test]
    fn refusals_one_after_the_other_slow_down_to_a_limit() {
        let mut turns = Turns::default();
        let mut now = NOW;
        for _ in 0..20 {
            turns.hold_back(now, seconds(1));
            now += 1000;
        }
        assert_eq!(waits(&mut turns, now, 2), [0, 2000]);
    }

    #[test]
    fn the_last_calls_of_a_budget_are_spread_until_it_is_full_again() {
        let mut turns = Turns::default();
        turns.spread(NOW, 4, seconds(20));
        assert_eq!(waits(&mut turns, NOW, 6), [5000, 10_000, 15_000, 20_000, 20_100, 20_200]);
        let mut turns = Turns::default();
        turns.spread(NOW, 3, seconds(20));
        assert_eq!(waits(&mut turns, NOW, 5), [6666, 13_332, 19_998, 20_098, 20_198]);
        // None left: nothing until then.
        let mut turns = Turns::default();
        turns.spread(NOW, 0, seconds(20));
        assert_eq!(waits(&mut turns, NOW, 2), [20_000, 20_100]);
    }

    #[test]
    fn a_budget_that_has_room_slows_nothing_down() {
        let mut turns = Turns::default();
        turns.spread(NOW, 1000, seconds(20));
        assert_eq!(waits(&mut turns, NOW, 13)[10..], [0, 100, 200]);
    }

    #[test]
    fn a_refusal_within_a_spread_does_not_make_it_quicker() {
        let mut turns = Turns::default();
        turns.spread(NOW, 2, seconds(28));
        turns.hold_back(NOW, seconds(1));
        assert_eq!(waits(&mut turns, NOW, 2), [14_000, 28_000]);
    }
}
