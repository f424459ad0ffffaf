//! Fly.io: follows the machines that run the image of one commit.
//!
//! Calls for one observation: the app's machines, with the labels of their images; and while there are none of the commit, or not
//! all of them are well, the app's releases, which are at another host of the vendor's.
//!
//! Source: the vendor's Machines API, and for the releases its GraphQL schema.

mod answer;
mod release;
mod standing;

#[cfg(test)]
mod tests;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{Deployment as Observed, DeploymentState, ProviderObservation, Serving},
    text::one_line,
};
use serde::Deserialize;
use serde_json::json;

use self::answer::{App, Machine, Release, Releases};
use crate::{
    Credential, Secret, Setup, SetupError,
    api::Api,
    conversation::{Conversation, Converse, Line},
    pushed::Pushed,
    registry::Entry,
    response::{self, Asked},
    settings::{Settings, wrong_address},
};

/// The vendor's own address.
const API: &str = "https://api.machines.dev/v1";

/// The vendor's other address, for its releases. Where the user names an address, both are there.
pub(crate) const OF_RELEASES: &str = "https://api.fly.io";

/// What the registry knows of it.
pub(crate) const ENTRY: Entry = Entry {
    kind: "fly",
    api_url: API,
    build: |setup| Ok(Box::new(Conversation::new(Fly::new(setup)?))),
    needs_token: true,
    credential_names: &["FLY_ACCESS_TOKEN", "FLY_API_TOKEN"],
    login_files: &["~/.fly/config.yml"],
    token_from_login_file: |text, _| token(text),
};

/// The longest output of a check that is told, in characters.
const LONGEST_OUTPUT: usize = 2000;

/// Follows one commit.
#[derive(Clone)]
struct Fly {
    api: Api,
    releases: Api,
    app: String,
    pushed: Pushed,
    /// The commit's release, once its machines were seen.
    seen: Option<Seen>,
    /// What is known of a failure.
    account: Option<String>,
}

/// The commit's release when it was seen last.
#[derive(Clone)]
struct Seen {
    release: i64,
    commit: String,
    was_live: bool,
}

impl Fly {
    /// Reads the setting `app`, which is needed: nothing at the vendor tells the repository.
    fn new(setup: Setup) -> Result<Self, SetupError> {
        let settings = Settings::new("fly", &setup.settings, &["app"])?;
        let credential = setup.token.as_ref().map(credential);
        let api = |own| Api::new(setup.api_url.as_deref().unwrap_or(own), credential.clone()).ok_or_else(wrong_address);
        Ok(Self {
            api: api(API)?,
            releases: api(OF_RELEASES)?,
            app: settings.needed("app")?,
            pushed: Pushed { commit: setup.commit, at: setup.pushed_at },
            seen: None,
            account: None,
        })
    }

    /// What names the commit at a machine: its image's label in full, or where there is none, a word of its image's tag.
    fn named_by<'a>(&self, machine: &'a Machine) -> Option<&'a str> {
        match machine.commit() {
            Some(commit) => Some(commit).filter(|commit| self.pushed.is_in_full(commit)),
            None => self.named_by_tag(machine.tag()?),
        }
    }

    fn named_by_tag<'a>(&self, tag: &'a str) -> Option<&'a str> {
        tag.split(['-', '_', '.']).find(|word| self.pushed.is(word))
    }

    fn serving(&self, machines: &[&Machine], site_url: Option<String>) -> Option<Serving> {
        let newest = machines.iter().filter(|it| it.state == "started").max_by_key(|it| it.release())?;
        let release = newest.release()?;
        let commit = self.named_by(newest).or(newest.commit());
        Some(Serving {
            deployment_id: format!("v{release}"),
            commit: commit.map(|commit| self.pushed.seen(commit)),
            site_url,
            is_later: self.seen.as_ref().is_some_and(|seen| release > seen.release && self.named_by(newest).is_none()),
        })
    }

    fn observed(&self, release: Option<i64>, state: DeploymentState, raw: String, commit: &str) -> Observed {
        Observed {
            id: release.map_or_else(|| "machines".to_owned(), |release| format!("v{release}")),
            state,
            raw,
            commit: self.pushed.seen(commit),
            url: url::Url::parse(&format!("https://fly.io/apps/{}/monitoring", self.app)).ok().map(Into::into),
            site_url: None,
            progress: None,
            reason: None,
        }
    }

    fn observation(&mut self, machines: &[Machine]) -> ProviderObservation {
        let machines: Vec<&Machine> = machines.iter().filter(|it| it.runs_the_app()).collect();
        let (ours, others): (Vec<&Machine>, Vec<&Machine>) =
            machines.iter().partition(|it| self.named_by(it).is_some());
        let site_url = machines
            .iter()
            .any(|it| it.serves())
            .then(|| format!("https://{}.fly.dev", self.app))
            .filter(|url| crate::answer::is_web_address(url));
        let observed = |release, state, raw, commit: &str| Observed {
            site_url: site_url.clone(),
            ..self.observed(release, state, raw, commit)
        };
        let release = ours.iter().filter_map(|it| it.release()).max();
        let deployment = match ours.first().and_then(|it| self.named_by(it)) {
            Some(commit) => {
                let standing = standing::of(&ours, &others, release);
                let failed = standing.state == DeploymentState::Failed;
                // How an earlier push of the commit had failed says nothing about this one.
                let is_earlier = failed && ours.iter().all(|it| self.pushed.is_before(it.updated_at));
                let deployment = Observed {
                    progress: standing.progress,
                    reason: standing.reason.clone(),
                    ..observed(release, standing.state, standing.raw, commit)
                };
                self.account = failed.then(|| account(&ours, standing.reason.as_deref()));
                if let Some(release) = release {
                    let before = self.seen.as_ref().is_some_and(|it| it.release == release && it.was_live);
                    let was_live = before || standing.state == DeploymentState::Live;
                    self.seen = Some(Seen { release, commit: commit.to_owned(), was_live });
                }
                (!is_earlier).then_some(deployment)
            }
            None => {
                let newest = others.iter().filter_map(|it| it.release()).max();
                self.seen.as_ref().zip(newest).filter(|(seen, newest)| *newest > seen.release).map(|(seen, newest)| {
                    let state = if seen.was_live { DeploymentState::Replaced } else { DeploymentState::Superseded };
                    let gone = observed(Some(seen.release), state, "gone".to_owned(), &seen.commit);
                    Observed { reason: Some(format!("release v{newest} runs instead")), ..gone }
                })
            }
        };
        ProviderObservation { deployment, serving: self.serving(&machines, site_url), will_not_deploy: None }
    }
}

impl Fly {
    /// The newest releases. The machines are known without them: an answer that is none is no trouble.
    async fn read_releases(&self, line: &Line) -> Vec<Release> {
        let query = json!({"query": answer::RELEASES, "variables": {"app": self.app}});
        let response = line.ask(self.releases.post(&["graphql"], &query).reading(answer::OF_RELEASES)).await;
        response::json::<Releases>(&response, asked("the app's releases")).map(Releases::all).unwrap_or_default()
    }

    /// What the release of the commit's machines says of a rollout that goes on: how it ended, when it did.
    fn end_of_rollout(&mut self, deployment: Observed, releases: &[Release]) -> Observed {
        let ours = self.seen.as_ref().map(|it| it.release);
        let release = releases.iter().find(|it| Some(it.version) == ours);
        let ended = release.and_then(|it| Some((it, release::state(it).filter(|state| release::has_ended(*state))?)));
        let Some((release, state)) = ended else { return deployment };
        let why = deployment.progress.as_deref().or(Some(&release.description));
        let reason = release::told(release, why);
        self.account = Some(reason.clone());
        let raw = format!("release {}", one_line(&release.status, 40));
        Observed { state, raw, progress: None, reason: Some(reason), ..deployment }
    }

    /// The commit's release while it has no machines of the app: none yet, or none because it failed before. It is told by the tag
    /// of its image, or by the machine of its release command.
    fn before_machines(&mut self, machines: &[Machine], releases: &[Release]) -> Option<Observed> {
        let command = machines
            .iter()
            .filter(|it| it.runs_the_release_command() && it.release().is_some() && self.named_by(it).is_some())
            .max_by_key(|it| it.release());
        let by_command = |it: &Release| command.is_some_and(|command| command.release() == Some(it.version));
        let by_tag = |it: &Release| it.tag().is_some_and(|tag| self.named_by_tag(tag).is_some());
        let ours = releases.iter().filter(|it| by_command(it) || by_tag(it)).max_by_key(|it| it.version)?;
        let state = release::state(ours).filter(|_| !self.pushed.is_before(ours.created_at))?;
        let command = command.filter(|_| by_command(ours));
        let named = command.and_then(|it| self.named_by(it)).or_else(|| self.named_by_tag(ours.tag()?))?.to_owned();
        let raw = format!("release {}", one_line(&ours.status, 40));
        let mut deployment = self.observed(Some(ours.version), state, raw, &named);
        if release::has_ended(state) {
            let exit = command
                .and_then(Machine::crash)
                .map(|exit| format!("its release command {}", standing::in_words(exit)));
            let reason = release::told(ours, exit.as_deref().or(Some(&ours.description)));
            self.account = Some(reason.clone());
            deployment.reason = Some(reason);
        } else {
            deployment.progress = command.map(|_| "its release command runs".to_owned());
        }
        Some(deployment)
    }
}

/// What the machines tell about a failure, for want of their log.
fn account(machines: &[&Machine], reason: Option<&str>) -> String {
    let mut text = String::new();
    for machine in machines {
        text.push_str(&format!("machine {}: {}\n", machine.id.as_str(), one_line(&machine.state, 40)));
        for check in &machine.checks {
            let (name, status) = (one_line(&check.name, 40), one_line(&check.status, 20));
            let output: String = check.output.chars().take(LONGEST_OUTPUT).collect();
            text.push_str(&format!("  check {name}: {status}\n{output}\n"));
        }
    }
    text.push_str(reason.unwrap_or_default());
    text
}

impl Converse for Fly {
    async fn observe(&mut self, line: &Line) -> Result<ProviderObservation, Fault> {
        let request = self.api.get(&["apps", &self.app, "machines"], &[]).reading(answer::OF_MACHINES);
        let response = line.ask(request).await;
        if response.status == 404 {
            let app = one_line(&self.app, 64);
            let text = format!("Fly.io shows this token no app {app:?} (404); set provider.app");
            return Err(Fault::new(FaultKind::NotFound, text));
        }
        let machines: Vec<Machine> = response::json(&response, asked("the app's machines"))?;
        let mut observation = self.observation(&machines);
        match observation.deployment.take() {
            None => {
                let releases = self.read_releases(line).await;
                observation.deployment = self.before_machines(&machines, &releases);
            }
            Some(rollout) if rollout.state == DeploymentState::Deploying => {
                let releases = self.read_releases(line).await;
                observation.deployment = Some(self.end_of_rollout(rollout, &releases));
            }
            settled => observation.deployment = settled,
        }
        Ok(observation)
    }

    async fn failure_log(&mut self, _: &Line) -> Result<String, Fault> {
        self.account.clone().ok_or_else(|| {
            Fault::new(FaultKind::NotFound, "no machine of the commit has failed; see `fly logs` for its log")
        })
    }

    async fn credentials(&mut self, line: &Line) -> Result<String, Fault> {
        let response = line.ask(self.api.get(&["apps", &self.app], &[])).await;
        let app: App = response::json(&response, asked("the app"))?;
        Ok(format!("sees the app {:?}", one_line(&app.name, 60)))
    }
}

fn asked(what: &str) -> Asked<'_> {
    Asked { vendor: "Fly.io", what, scope: "of the app or its organization (`fly tokens create readonly`)" }
}

/// The newer kind of token has a scheme of its own, and may stand there with it already.
fn credential(token: &Secret) -> Credential {
    let text = token.expose();
    let bare = text.strip_prefix("FlyV1 ").unwrap_or(text).trim();
    let is_new = bare != text || ["fm1r_", "fm1a_", "fm2_"].iter().any(|prefix| bare.starts_with(prefix));
    match is_new {
        true => Credential::Header("authorization", Secret::new(&format!("FlyV1 {bare}"))),
        false => Credential::Bearer(token.clone()),
    }
}

/// The token in the vendor's `config.yml`.
fn token(text: &str) -> Option<Secret> {
    #[derive(Deserialize)]
    struct Config {
        access_token: String,
    }
    let config: Config = serde_saphyr::from_str(text).ok()?;
    Some(Secret::new(&config.access_token))
}
