//! What the program prints. A field that is not known is refused: a misspelt one would otherwise never be missed.

use afterpush_core::{
    observation::{Deployment, DeploymentState, ProviderObservation, Serving},
    text::one_line,
};
use serde::Deserialize;

use crate::{answer::is_web_address, pushed::Pushed};

/// The whole document.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Answer {
    deployment: Option<Told>,
    serving: Option<Served>,
    will_not_deploy: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    commit: String,
    state: String,
    id: Option<String>,
    word: Option<String>,
    url: Option<String>,
    site_url: Option<String>,
    progress: Option<String>,
    reason: Option<String>,
    log: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Served {
    commit: String,
    id: Option<String>,
    site_url: Option<String>,
    #[serde(default)]
    is_later: bool,
}

impl Answer {
    /// Reads what was printed.
    ///
    /// # Errors
    /// What was printed instead, without quoting it.
    pub(super) fn read(output: &[u8]) -> Result<Self, String> {
        match output.trim_ascii_start().first() {
            None => return Err("nothing; without a deployment it must print {}".to_owned()),
            Some(b'{') => {}
            Some(_) => return Err("something else than a JSON object".to_owned()),
        }
        serde_json::from_slice(output).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            if !error.is_data() {
                return format!("what is not JSON (line {line}, column {column})");
            }
            format!("a document with a field that is wrong, missing or not known (line {line}, column {column})")
        })
    }

    /// What it says about the commit, and the log.
    pub(super) fn observation(self, pushed: &Pushed) -> (ProviderObservation, Option<String>) {
        let mut log = None;
        let deployment = self.deployment.filter(|told| pushed.is(&told.commit)).map(|told| {
            log = told.log.clone();
            told.deployment(pushed)
        });
        let serving = self.serving.map(|served| Serving {
            deployment_id: short(served.id).unwrap_or_else(|| one_line(&served.commit, 80)),
            commit: Some(pushed.seen(&one_line(&served.commit, 80))),
            site_url: served.site_url.filter(|url| is_web_address(url)),
            is_later: served.is_later,
        });
        (ProviderObservation { deployment, serving, will_not_deploy: text(self.will_not_deploy) }, log)
    }
}

impl Told {
    fn deployment(self, pushed: &Pushed) -> Deployment {
        let word = one_line(&self.state, 80);
        Deployment {
            id: short(self.id).unwrap_or_else(|| one_line(&self.commit, 80)),
            state: state(&word),
            raw: short(self.word).unwrap_or(word),
            commit: pushed.seen(&self.commit),
            url: self.url.filter(|url| is_web_address(url)),
            site_url: self.site_url.filter(|url| is_web_address(url)),
            progress: text(self.progress),
            reason: text(self.reason),
        }
    }
}

fn state(word: &str) -> DeploymentState {
    match word {
        "queued" => DeploymentState::Queued,
        "building" => DeploymentState::Building,
        "deploying" => DeploymentState::Deploying,
        "live" => DeploymentState::Live,
        "failed" => DeploymentState::Failed,
        "canceled" => DeploymentState::Canceled,
        "superseded" => DeploymentState::Superseded,
        "replaced" => DeploymentState::Replaced,
        "skipped" => DeploymentState::Skipped,
        "blocked" => DeploymentState::Blocked,
        _ => DeploymentState::Unknown,
    }
}

fn text(text: Option<String>) -> Option<String> {
    text.map(|text| one_line(&text, 500)).filter(|text| !text.is_empty())
}

fn short(text: Option<String>) -> Option<String> {
    text.map(|text| one_line(&text, 80)).filter(|text| !text.is_empty())
}
