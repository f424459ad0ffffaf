//! `[policy]`: how often to ask, how long to wait. A repository's file is kept within bounds, so that it can neither flood nor hang.

use std::time::Duration;

use super::{
    ConfigError,
    document::{Entry, Section},
    error::quoted,
    read::{Author, Reading},
};
use crate::policy::Policy;

const KEYS: [&str; 8] = [
    "first_interval",
    "slow_interval",
    "growth",
    "jitter",
    "registration_deadline",
    "deadline",
    "confirmation_deadline",
    "monitors",
];
/// How many monitors a user has at once, unless the user says otherwise. Each costs a few megabytes and calls of the provider.
pub(super) const MONITORS: u32 = 32;
const MOST_MONITORS: u32 = 10_000;
const SHORTEST: (Duration, &str) = (Duration::from_secs(1), "1s");
const LONGEST: (Duration, &str) = (Duration::from_secs(24 * 60 * 60), "24h");

/// The waiting rules, as far as one file says.
#[derive(Debug, Clone, Default)]
pub(super) struct PolicyLayer {
    first_interval: Option<Duration>,
    slow_interval: Option<Duration>,
    growth: Option<f64>,
    jitter: Option<f64>,
    registration_deadline: Option<Duration>,
    deadline: Option<Duration>,
    confirmation_deadline: Option<Duration>,
    monitors: Option<u32>,
}

impl PolicyLayer {
    pub(super) fn read(section: &Section<'_>, reading: &mut Reading<'_>) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for entry in section.entries() {
            let duration = match entry.key {
                "growth" => {
                    layer.growth = Some(entry.number(1.0..=10.0)?);
                    continue;
                }
                "jitter" => {
                    layer.jitter = Some(entry.number(0.0..=1.0)?);
                    continue;
                }
                "monitors" => {
                    let number = entry.whole_number(1..=MOST_MONITORS)?;
                    if reading.author == Author::User {
                        layer.monitors = Some(number);
                    } else {
                        let file = reading.file;
                        reading
                            .leave_out(format!("[policy] monitors in {file} is not used: only your own file sets it"));
                    }
                    continue;
                }
                "first_interval" => &mut layer.first_interval,
                "slow_interval" => &mut layer.slow_interval,
                "registration_deadline" => &mut layer.registration_deadline,
                "deadline" => &mut layer.deadline,
                "confirmation_deadline" => &mut layer.confirmation_deadline,
                _ => return Err(section.unknown_key(&entry, &KEYS)),
            };
            *duration = Some(within_bounds(&entry, "[policy]", reading)?);
        }
        Ok(layer)
    }

    /// Puts the user's layer over this one, key by key.
    pub(super) fn overlaid_by(self, upper: Self) -> Self {
        Self {
            first_interval: upper.first_interval.or(self.first_interval),
            slow_interval: upper.slow_interval.or(self.slow_interval),
            growth: upper.growth.or(self.growth),
            jitter: upper.jitter.or(self.jitter),
            registration_deadline: upper.registration_deadline.or(self.registration_deadline),
            deadline: upper.deadline.or(self.deadline),
            confirmation_deadline: upper.confirmation_deadline.or(self.confirmation_deadline),
            monitors: upper.monitors.or(self.monitors),
        }
    }

    /// How many monitors the user has at once.
    pub(super) fn monitors(&self) -> u32 {
        self.monitors.unwrap_or(MONITORS)
    }

    pub(super) fn finish(self) -> Policy {
        let default = Policy::default();
        Policy {
            first_interval: self.first_interval.unwrap_or(default.first_interval),
            slow_interval: self.slow_interval.unwrap_or(default.slow_interval),
            growth: self.growth.unwrap_or(default.growth),
            jitter: self.jitter.unwrap_or(default.jitter),
            registration_deadline: self.registration_deadline.unwrap_or(default.registration_deadline),
            deadline: self.deadline.unwrap_or(default.deadline),
            confirmation_deadline: self.confirmation_deadline.unwrap_or(default.confirmation_deadline),
            ..default
        }
    }
}

/// A duration of the table `title`, kept within bounds in a repository's file.
pub(super) fn within_bounds(
    entry: &Entry<'_>,
    title: &str,
    reading: &mut Reading<'_>,
) -> Result<Duration, ConfigError> {
    let duration = entry.duration()?;
    if reading.author == Author::User {
        return Ok(duration);
    }
    let (bound, used, extreme) = if duration < SHORTEST.0 {
        (SHORTEST.0, SHORTEST.1, "short")
    } else if duration > LONGEST.0 {
        (LONGEST.0, LONGEST.1, "long")
    } else {
        return Ok(duration);
    };
    reading.leave_out(format!(
        "{title} {} = {} in {} is too {extreme} for a repository's file; {used} is used",
        entry.key,
        quoted(entry.text("a duration")?),
        reading.file
    ));
    Ok(bound)
}
