//! When a push was seen, by two clocks: the wall's, which anybody may set, and the boot's, which nobody can.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment by the clock that counts from a boot and goes on in suspend (`CLOCK_BOOTTIME`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTime {
    /// Which boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Milliseconds since that boot.
    pub milliseconds: u64,
}

/// When a push was seen. The wall's time is for people; which of two pushes was the later one is told by the boot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushTime<'a> {
    /// By the wall's clock.
    pub wall: Timestamp,
    /// By the boot's clock, where somebody looked at it.
    pub boot: Option<&'a BootTime>,
}

impl PushTime<'_> {
    /// Tells whether this push was seen after the other one, read in the boot `this_boot`.
    ///
    /// In one boot its clock decides, and what is of this boot comes after what is of another. The wall's clock decides where
    /// that says nothing; then a clock that was set in between turns the two around.
    #[must_use]
    pub fn is_after(self, other: PushTime<'_>, this_boot: &str) -> bool {
        let by_wall = self.wall > other.wall;
        let (Some(ours), Some(theirs)) = (self.boot, other.boot) else { return by_wall };
        if ours.boot_id == theirs.boot_id {
            return (ours.milliseconds, self.wall) > (theirs.milliseconds, other.wall);
        }
        match (ours.boot_id == this_boot, theirs.boot_id == this_boot) {
            (true, _) => true,
            (_, true) => false,
            _ => by_wall,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn boot(id: &str, milliseconds: u64) -> BootTime {
        BootTime { boot_id: id.to_owned(), milliseconds }
    }

    fn is_after(ours: (i64, Option<&BootTime>), theirs: (i64, Option<&BootTime>)) -> bool {
        let time = |(second, boot)| PushTime { wall: Timestamp::from_second(second).unwrap(), boot };
        time(ours).is_after(time(theirs), "now")
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_turn_two_pushes_around() {
        let (early, late) = (boot("now", 1_000), boot("now", 2_000));
        assert!(is_after((100, Some(&late)), (400, Some(&early))));
        assert!(!is_after((400, Some(&early)), (100, Some(&late))));
    }

    #[test]
    fn what_is_of_this_boot_is_later_than_what_is_of_another() {
        let (now, before, long_before) = (boot("now", 5), boot("before", 9_000), boot("long before", 9_000));
        assert!(is_after((100, Some(&now)), (400, Some(&before))));
        assert!(!is_after((400, Some(&before)), (100, Some(&now))));
        assert!(is_after((400, Some(&before)), (100, Some(&long_before))));
        assert!(!is_after((100, Some(&before)), (400, Some(&long_before))));
    }

    #[test]
    fn the_wall_decides_where_the_boot_says_nothing() {
        let known = boot("now", 1_000);
        assert!(is_after((2, None), (1, None)) && !is_after((1, None), (1, None)));
        assert!(is_after((2, Some(&known)), (1, None)) && !is_after((1, None), (2, Some(&known))));
        assert!(is_after((2, Some(&known)), (1, Some(&known))) && !is_after((1, Some(&known)), (1, Some(&known))));
    }
}
