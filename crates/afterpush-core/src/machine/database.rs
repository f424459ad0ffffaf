//! What the database's answer means: the row of the deployments table, and the migrations, both where they are asked.

use super::{event::Moment, target::Target};
use crate::{
    migrations::Standing,
    observation::{DatabaseAnswer, DatabaseObservation, MigrationsObservation, RowState},
    policy::Policy,
    run::{Outcome, StageKind, Verdict},
};

/// So many names stand in a sentence; the report has more.
const NAMED: usize = 5;

impl Target {
    pub(super) fn take_database(&mut self, policy: &Policy, moment: Moment, seen: DatabaseAnswer) {
        let before = std::mem::take(&mut self.database.summary);
        let decides = self.current() == Some(StageKind::Database);
        let has_records = seen.records.is_some();
        let mut said = Vec::new();
        let mut failure = None;
        let mut passes = true;
        self.row_in_progress = false;
        match seen.records {
            None => {}
            Some(DatabaseObservation::NoRow) => {
                passes = false;
                said.push("no row of this commit yet".to_owned());
            }
            Some(DatabaseObservation::Row(row)) => {
                said.push(format!("row says {}", row.raw));
                self.database.commit = Some(row.commit);
                self.row_in_progress = row.state == RowState::InProgress;
                passes = row.state == RowState::Success;
                if row.state == RowState::Failed {
                    failure = Some(row.error.unwrap_or_else(|| format!("the deployments table says {}", row.raw)));
                }
            }
        }
        let mut undecided = !has_records;
        if let Some(MigrationsObservation { standing, .. }) = &seen.migrations {
            said.push(summary(standing));
            passes &= standing.pending.is_empty() && standing.failed.is_empty();
            undecided &= standing.undecided.is_some();
            failure = failed(standing).or(failure);
        }
        self.migrations = seen.migrations;
        let summary = said.join("; ");
        self.database.answered(policy, moment, before != summary);
        if let Some(reason) = failure.filter(|_| decides) {
            self.database.decide(Verdict::Failed, summary);
            self.end(Outcome::DatabaseFailed, reason);
        } else if !passes {
            self.database.summary = summary;
        } else if undecided {
            // Neither a lack nor a proof: the next stage decides, as without a database.
            self.database.decide(Verdict::Unavailable, summary);
        } else {
            self.database.decide(Verdict::Passed, summary);
        }
    }

    /// Why the database failed when its time is over; `None` when it waited for something else than migrations.
    pub(super) fn lack_of_migrations(&self) -> Option<String> {
        let pending = &self.migrations.as_ref()?.standing.pending;
        let is_its_turn = self.current() == Some(StageKind::Database);
        (is_its_turn && !pending.is_empty())
            .then(|| format!("the deadline passed, and the database lacks {}", counted(pending, "migration")))
    }
}

fn failed(standing: &Standing) -> Option<String> {
    let first = standing.failed.first()?;
    Some(match &first.error {
        Some(error) => format!("migration {} failed: {error}", first.name),
        None => format!("migration {} failed, and its tool goes no further", first.name),
    })
}

fn summary(standing: &Standing) -> String {
    let mut said = Vec::new();
    if !standing.failed.is_empty() {
        let names: Vec<String> = standing.failed.iter().map(|failure| failure.name.clone()).collect();
        said.push(format!("failed: {}", counted(&names, "migration")));
    }
    if !standing.pending.is_empty() {
        said.push(format!("pending: {}", counted(&standing.pending, "migration")));
    }
    match &standing.undecided {
        Some(reason) => said.push(format!("the migrations cannot be told: {reason}")),
        None if said.is_empty() && standing.applied == 1 => said.push("the one migration is applied".to_owned()),
        None if said.is_empty() => said.push(format!("all {} migrations are applied", standing.applied)),
        None => {}
    }
    if !standing.unknown.is_empty() {
        let names = counted(&standing.unknown, "migration");
        said.push(format!("warning: the schema is ahead of this commit by {names}"));
    }
    said.join("; ")
}

/// `2 migrations (a, b)`, with some of the names.
fn counted(names: &[String], what: &str) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let s = if names.len() == 1 { "" } else { "s" };
    format!("{} {what}{s} ({shown}{rest})", names.len())
}
