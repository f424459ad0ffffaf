//! `target.health`: one health check, or several with a name each.

mod check;
mod commit;
mod values;

use super::{
    ConfigError, HealthConfig,
    document::Entry,
    read::{Author, Reading},
};
use check::CheckLayer;

const MOST_CHECKS: usize = 20;

/// A target's health checks, as far as one file says.
#[derive(Debug, Clone)]
pub(super) struct HealthLayer(Vec<CheckLayer>);

impl HealthLayer {
    pub(super) fn read(entry: &Entry<'_>, target: &str, reading: &Reading<'_>) -> Result<Self, ConfigError> {
        const EXPECTED: &str = "a table, [target.health], or up to 20 of them, [[target.health]]";
        if !entry.value().is_array() {
            return Ok(Self(vec![CheckLayer::read(entry, target, reading)?]));
        }
        let items = entry.items(EXPECTED)?;
        if items.is_empty() || items.len() > MOST_CHECKS {
            return Err(entry.error(format_args!("has {} checks", items.len()), EXPECTED));
        }
        let mut checks: Vec<CheckLayer> = Vec::new();
        for item in &items {
            let check = CheckLayer::read(item, target, reading)?;
            if checks.iter().any(|other| other.name == check.name) {
                let problem = format!("has two checks of the name {:?}", check.name);
                return Err(item.error(problem, "a name of its own for each check (one without name is \"health\")"));
            }
            checks.push(check);
        }
        Ok(Self(checks))
    }

    /// Puts the user's layer over this one: checks of the same name key by key, further ones behind.
    pub(super) fn overlaid_by(mut self, upper: Self) -> Self {
        for check in upper.0 {
            match self.0.iter().position(|lower| lower.name == check.name) {
                Some(at) => {
                    let lower = self.0.remove(at);
                    self.0.insert(at, lower.overlaid_by(check));
                }
                None => self.0.push(check),
            }
        }
        self
    }

    /// The checks, without those whose only address is not trusted: a sentence says why.
    pub(super) fn finish(self, left_out: &mut Vec<String>) -> Result<Vec<HealthConfig>, ConfigError> {
        let finished: Result<Vec<_>, _> = self.0.into_iter().map(|check| check.finish(left_out)).collect();
        Ok(finished?.into_iter().flatten().collect())
    }
}
