//! status.json and result.json: what people and agents read. They hold no secret by construction: only fields that are
//! named here are ever written, and each text was cleaned before it got here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Schema, SchemaName};
use crate::{
    fault::FaultKind,
    id::{CommitId, RefName},
    observation::MigrationsObservation,
    run::{Outcome, OutcomeWord, Phase, StageKind, SubCheck, Verdict},
};

/// The state of one run: the body of status.json and of result.json.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// `afterpush.status` or `afterpush.result`, with its version.
    pub schema: Schema,
    /// The request that this report is about.
    pub request_id: String,
    /// The pushed commit, in full.
    pub commit: CommitId,
    /// The ref on the remote.
    #[serde(rename = "ref")]
    pub ref_name: RefName,
    /// The remote's name, or its URL without credentials.
    pub remote: String,
    /// Where the run is.
    pub phase: Phase,
    /// How it ended; null while it runs.
    #[serde(flatten)]
    pub outcome: OutcomeFields,
    /// Why it ended so, or what it waits for, in one sentence.
    pub reason: Option<String>,
    /// How the push was proven to have landed; null while it is not.
    pub push_proof: Option<String>,
    /// What this push deploys to.
    pub targets: Vec<TargetReport>,
    /// Parts of the repository's configuration that were left out because it is not trusted, one sentence each.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// The process that watches.
    pub monitor: MonitorInfo,
    /// Grows by one at each write.
    pub seq: u64,
    /// When the push was seen.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub pushed_at: Timestamp,
    /// When this report was written.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub updated_at: Timestamp,
    /// When the next question is asked; null when the run is finished.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub next_poll_at: Option<Timestamp>,
    /// When the run ends at the latest.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub deadline_at: Timestamp,
    /// When the run ended; null while it runs.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub finished_at: Option<Timestamp>,
}

/// Which of the two documents a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// status.json
    Status,
    /// result.json
    Result,
}

impl Document {
    /// The schema that the document carries.
    #[must_use]
    pub fn schema(self) -> Schema {
        Schema::current(match self {
            Self::Status => SchemaName::Status,
            Self::Result => SchemaName::Result,
        })
    }
}

/// An outcome, flat: a bare word that any reader can compare, with its details beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutcomeFields {
    /// The word; null while it is not known.
    pub outcome: Option<OutcomeWord>,
    /// For `live_contained` and `superseded`: the commit that is live, or that replaced ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_by: Option<String>,
    /// For `timed_out`: the phase in which the deadline passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_phase: Option<Phase>,
}

impl From<Option<&Outcome>> for OutcomeFields {
    fn from(outcome: Option<&Outcome>) -> Self {
        Self {
            outcome: outcome.map(Outcome::word),
            outcome_by: outcome.and_then(Outcome::by).map(str::to_owned),
            outcome_phase: outcome.and_then(Outcome::phase),
        }
    }
}

/// One target of the push.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TargetReport {
    /// The target's name in the configuration.
    pub name: String,
    /// Where it is.
    pub phase: Phase,
    /// How it ended; null while it is not known.
    #[serde(flatten)]
    pub outcome: OutcomeFields,
    /// Why, in one sentence.
    pub reason: Option<String>,
    /// Its stages in the order of proof, also those that are not configured.
    pub stages: Vec<StageReport>,
    /// Where the application answers, once it is known.
    pub site_url: Option<String>,
}

impl TargetReport {
    /// The provider's ids of the deployments that its stages speak of.
    pub fn deployments(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().filter_map(|stage| Some(stage.deployment.as_ref()?.id.as_str()))
    }
}

/// One stage of one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StageReport {
    /// Which stage.
    pub stage: StageKind,
    /// What it says.
    pub verdict: Verdict,
    /// Its newest answer, or why it is unavailable, in a few words.
    pub summary: String,
    /// The commit that it named last, as it named it.
    pub commit: Option<String>,
    /// The deployment that it speaks of (provider only).
    pub deployment: Option<DeploymentEvidence>,
    /// Its checks one by one (health only); since minor version 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckReport>,
    /// What the database has of the commit's migrations (database only); since minor version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrations: Option<MigrationsReport>,
    /// How often it was asked.
    pub asked: u32,
    /// The newest trouble, while no answer has come since.
    pub trouble: Option<Trouble>,
    /// When it answered last.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub observed_at: Option<Timestamp>,
}

/// One health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckReport {
    /// Its name in the configuration.
    pub name: String,
    /// What it says.
    pub verdict: Verdict,
    /// Its newest answer, in a few words.
    pub summary: String,
    /// The commit that it named last, as it named it.
    pub commit: Option<String>,
    /// How many passes it has in a row.
    pub passes: u32,
    /// How many it needs.
    pub passes_needed: u32,
    /// The parts that its newest answer reported.
    #[serde(default)]
    pub sub_checks: Vec<SubCheck>,
    /// What is well now and will not stay so.
    pub warning: Option<String>,
    /// Why it could not be asked last; null once it has answered.
    pub trouble: Option<String>,
}

/// What names the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeploymentEvidence {
    /// The provider's id.
    pub id: String,
    /// The page where a person sees it.
    pub url: Option<String>,
    /// The commit that it deploys, as the provider reported it.
    pub commit: String,
    /// The provider's own word for its state.
    pub raw: String,
}

/// What a database has of a commit's migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MigrationsReport {
    /// The migration tool; null where it could not be told.
    pub tool: Option<String>,
    /// The directory of the migrations in the commit's tree.
    pub path: String,
    /// How many of the commit's migrations are applied.
    pub applied: usize,
    /// How many are not.
    pub pending_count: usize,
    /// Those that are not; at most 50 of them.
    pub pending: Vec<String>,
    /// Those that failed or were left half done; at most 50.
    pub failed: Vec<FailedMigration>,
    /// How many are applied that the commit does not have: the schema is ahead of it.
    pub unknown_count: usize,
    /// Those; at most 50 of them.
    pub unknown: Vec<String>,
    /// Why the migrations cannot be told, when they cannot.
    pub undecided: Option<String>,
}

/// A migration that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailedMigration {
    /// Its name.
    pub name: String,
    /// The error that its tool has stored.
    pub error: Option<String>,
}

impl From<&MigrationsObservation> for MigrationsReport {
    fn from(seen: &MigrationsObservation) -> Self {
        const MOST: usize = 50;
        let standing = &seen.standing;
        let some = |names: &[String]| names.iter().take(MOST).cloned().collect();
        Self {
            tool: seen.tool.map(|tool| tool.word().to_owned()),
            path: seen.path.clone(),
            applied: standing.applied,
            pending_count: standing.pending.len(),
            pending: some(&standing.pending),
            failed: standing
                .failed
                .iter()
                .take(MOST)
                .map(|it| FailedMigration { name: it.name.clone(), error: it.error.clone() })
                .collect(),
            unknown_count: standing.unknown.len(),
            unknown: some(&standing.unknown),
            undecided: standing.undecided.clone(),
        }
    }
}

/// Trouble with asking, which is not an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trouble {
    /// Its kind.
    pub kind: FaultKind,
    /// What failed and why.
    pub message: String,
    /// How many times in a row.
    pub count: u32,
}

/// The process that watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MonitorInfo {
    /// Its process id; for showing only.
    pub pid: i32,
    /// Its machine.
    pub host: String,
    /// When it started.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub started_at: Timestamp,
}

/// The JSON Schema of status.json and result.json.
#[cfg(feature = "schema")]
#[must_use]
pub fn report_schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{
        file::Request,
        migrations::{Failure, Standing, Tool},
    };

    #[test]
    fn an_outcome_is_flat_in_files() {
        let fields = |outcome: Option<&Outcome>| serde_json::to_value(OutcomeFields::from(outcome)).unwrap();
        assert_eq!(fields(None), serde_json::json!({ "outcome": null }));
        assert_eq!(fields(Some(&Outcome::Live)), serde_json::json!({ "outcome": "live" }));
        let contained = Outcome::LiveContained { by: "2222222".to_owned() };
        assert_eq!(
            fields(Some(&contained)),
            serde_json::json!({ "outcome": "live_contained", "outcome_by": "2222222" })
        );
        let late = Outcome::TimedOut { phase: Phase::Verifying };
        assert_eq!(fields(Some(&late)), serde_json::json!({ "outcome": "timed_out", "outcome_phase": "verifying" }));
    }

    #[test]
    fn each_document_carries_its_own_schema() {
        let schemas = [Document::Status.schema(), Document::Result.schema(), Request::schema()];
        let names = schemas.map(|schema| (schema.name, schema.major, schema.minor));
        assert_eq!(names, [SchemaName::Status, SchemaName::Result, SchemaName::Request].map(|name| (name, 1, 1)));
    }

    #[test]
    fn a_target_names_the_deployments_that_its_stages_speak_of() {
        let stage = |id: Option<&str>| {
            let deployment = id.map(|id| serde_json::json!({ "id": id, "raw": "x", "commit": "c", "url": null }));
            serde_json::json!({
                "stage": "provider", "verdict": "pending", "summary": "", "commit": null, "deployment": deployment,
                "asked": 1, "trouble": null, "observed_at": null,
            })
        };
        let stages = [stage(Some("1")), stage(None), stage(Some("2"))];
        let target: TargetReport = serde_json::from_value(serde_json::json!({
            "name": "web", "phase": "finished", "outcome": null, "reason": null, "stages": stages, "site_url": null,
        }))
        .unwrap();
        assert_eq!(target.deployments().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_report_counts_all_migrations_and_names_at_most_fifty_of_a_kind() {
        let names = |count: usize| (0..count).map(|it| it.to_string()).collect::<Vec<_>>();
        let failed = names(52).into_iter().map(|name| Failure { name, error: Some("broken".to_owned()) }).collect();
        let standing =
            Standing { applied: 3, pending: names(51), failed, unknown: names(60), undecided: Some("why".to_owned()) };
        let seen = MigrationsObservation { tool: Some(Tool::GolangMigrate), path: "db".to_owned(), standing };
        let report = MigrationsReport::from(&seen);
        assert_eq!((report.tool.as_deref(), report.path.as_str(), report.applied), (Some("golang-migrate"), "db", 3));
        assert_eq!((report.pending_count, report.unknown_count, report.undecided.as_deref()), (51, 60, Some("why")));
        assert_eq!((report.pending.as_slice(), report.unknown.as_slice()), (&names(50)[..], &names(50)[..]));
        assert_eq!((report.failed.len(), report.failed[49].name.as_str()), (50, "49"));
        assert_eq!(report.failed[0].error.as_deref(), Some("broken"));
    }
}
