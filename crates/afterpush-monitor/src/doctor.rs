//! What only the monitor can check for `afterpush doctor`: credentials, and whether provider and database answer. Prints one JSON
//! document, in which no credential ever stands.

use std::time::Duration;

use afterpush_core::{
    config::{Config, DatabaseConfig, ProviderConfig},
    fault::{Fault, FaultKind, with_causes},
    id::{CommitId, RefName},
    redact,
};
use afterpush_probes::{DatabaseProbe, database::Connection};
use afterpush_providers::{Question, Reply, Setup};
use afterpush_store::{ConfigFiles, Environment, Repository};
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    credentials, database_address,
    secrets::PushEnvironment,
    sources::{ProviderSource, With, api_url},
};

/// How long a provider may take: all are asked at once, and `afterpush doctor` waits a little longer for the whole.
const LIMIT: Duration = Duration::from_secs(15);

/// Checks the targets of the repository in the current directory.
pub async fn examine(push: &PushEnvironment) -> Value {
    let checks = examine_all(push)
        .await
        .unwrap_or_else(|problem| vec![check("configuration", Err(&problem), "see docs/configuration.md")]);
    json!({ "checks": checks })
}

fn check(name: &str, result: Result<&str, &str>, hint: &str) -> Value {
    let (Ok(message) | Err(message)) = result;
    let hint = (result.is_err() && !hint.is_empty()).then_some(hint);
    json!({"name": name, "ok": result.is_ok(), "message": message, "hint": hint})
}

async fn examine_all(push: &PushEnvironment) -> Result<Vec<Value>, String> {
    let environment = Environment::read();
    let directory = std::env::current_dir().map_err(|error| error.to_string())?;
    let repository = Repository::locate(&directory, &environment).map_err(|error| with_causes(&error))?;
    let files = ConfigFiles::of_work_tree(&environment, Some(&repository)).map_err(|error| with_causes(&error))?;
    let config = files.combine().map_err(|error| error.to_string())?;
    let git = afterpush_git::Git::open(&repository.git_dir).ok();
    let remote_url = git.as_ref().and_then(|git| {
        let remotes = git.remotes().ok()?;
        let remote = remotes.iter().find(|(name, _)| name == "origin").or_else(|| remotes.first())?;
        Some(redact::remote_url(&remote.1))
    });
    let examination = Examination {
        config: &config,
        push,
        environment: &environment,
        remote_url: remote_url.unwrap_or_default(),
        // Neither the commit nor the branch matters for what is asked here.
        commit: CommitId::parse(&"1".repeat(40)).map_err(|error| with_causes(&error))?,
        ref_name: RefName::parse("refs/heads/main").map_err(|error| with_causes(&error))?,
    };
    let databases = config.targets.iter().filter_map(|target| Some((target.name.as_str(), target.database.as_ref()?)));
    let of_databases = join_all(databases.map(|(target, database)| examination.of_database(target, database)));
    let targets = config.targets.iter().filter_map(|target| Some((target.name.as_str(), target.provider.as_ref()?)));
    let of_targets = join_all(targets.map(|(target, provider)| examination.of_provider(target, provider)));
    let (of_databases, of_targets) = join(of_databases, of_targets).await;
    let of_trust = config.left_out.iter().map(|sentence| check("trust", Ok(sentence), ""));
    Ok(of_trust.chain(of_databases).chain(of_targets.into_iter().flatten()).collect())
}

/// What is at hand to examine providers and databases.
struct Examination<'a> {
    config: &'a Config,
    push: &'a PushEnvironment,
    environment: &'a Environment,
    remote_url: String,
    commit: CommitId,
    ref_name: RefName,
}

impl Examination<'_> {
    /// Where its credentials are, and whether they work.
    async fn of_provider(&self, target: &str, provider: &ProviderConfig) -> Vec<Value> {
        let kind = provider.kind.as_str();
        let (credentials, answers) = (format!("{kind} credentials"), format!("{kind} answers"));
        let mut checks = Vec::new();
        let api_url = api_url(self.config, kind);
        let found = match credentials::find(provider, api_url.as_deref(), self.push, self.environment) {
            Ok(Some(found)) => {
                checks.push(check(&credentials, Ok(&format!("found in {}", found.place)), ""));
                Some(found)
            }
            Ok(None) if !credentials::needs_token(provider) => None,
            Ok(None) => return vec![check(&credentials, Err("none found"), &credentials::advice(provider))],
            Err(error) => return vec![check(&credentials, Err(&with_causes(&error)), "")],
        };
        let (token, login_url) = found.map(|found| (found.token, found.api_url)).unzip();
        let setup = Setup {
            settings: provider.settings.clone(),
            api_url: api_url.or(login_url.flatten()),
            commit: self.commit.clone(),
            ref_name: self.ref_name.clone(),
            remote_url: self.remote_url.clone(),
            pushed_at: None,
            token,
        };
        let source = match ProviderSource::new(target, kind, setup, self.push, self.environment, None) {
            Ok(source) => source,
            Err(error) => {
                checks.push(check(&answers, Err(&with_causes(&error)), &format!("see docs/providers/{kind}.md")));
                return checks;
            }
        };
        let with = match source.with().await {
            With::Nothing => None,
            With::Kubeconfig(files) => listed(files.iter().map(|file| file.display().to_string())),
            With::Variables(names) => self.places_of(&names),
        };
        checks.extend(with.map(|places| check(&credentials, Ok(&places), "")));
        let asked = timeout(LIMIT, source.ask(Question::Credentials, Duration::ZERO)).await;
        let answer = asked.map(|(answer, _)| answer).unwrap_or_else(|_| {
            Err(Fault::new(FaultKind::Transient, format!("no whole answer within {} s", LIMIT.as_secs())))
        });
        checks.push(match answer {
            Ok(Reply::Credentials(text)) => check(&answers, Ok(&text), ""),
            Ok(_) => check(&answers, Ok("yes"), ""),
            Err(fault) => check(&answers, Err(&format!("{}: {fault}", fault.kind)), &advice(kind, fault.kind)),
        });
        checks
    }

    /// Opens the database as a run does, and looks for the table of the deployments in it.
    async fn of_database(&self, target: &str, config: &DatabaseConfig) -> Value {
        let name = format!("database of {target}");
        let hint = "see docs/database.md";
        let address = match database_address::find(&config.address, self.push, self.environment) {
            Ok(address) => address,
            Err(why) => return check(&name, Err(&why), hint),
        };
        let read = async {
            let connection = Connection::open(&address).await?;
            let message = format!("{} can be read: {}", connection.place(), connection.security());
            connection.close().await;
            if config.records {
                DatabaseProbe::new(config.clone(), address, self.commit.clone()).ask().await?;
            }
            Ok::<_, Fault>(message)
        };
        match read.await {
            Ok(message) => check(&name, Ok(&message), ""),
            Err(fault) => check(&name, Err(&fault.message), hint),
        }
    }

    /// Where the variables for a program have their values. One without may not be needed: only the program knows.
    fn places_of(&self, names: &[String]) -> Option<String> {
        let find = |name: &String| credentials::find_variable(name, self.push, self.environment).ok().flatten();
        let (found, missing): (Vec<_>, Vec<_>) =
            names.iter().map(|name| (name, find(name))).partition(|it| it.1.is_some());
        let places = listed(found.iter().filter_map(|(name, found)| {
            let place = &found.as_ref()?.place;
            Some(if place.ends_with(*name) { place.clone() } else { format!("{place} ({name})") })
        }));
        let missing: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
        let missing = (!missing.is_empty()).then(|| format!("nothing sets {}", missing.join(", ")));
        let told: Vec<String> = places.into_iter().chain(missing).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// The places, in one line; nothing where there are none.
fn listed(places: impl Iterator<Item = String>) -> Option<String> {
    let places: Vec<String> = places.collect();
    (!places.is_empty()).then(|| format!("found in {}", places.join(", ")))
}

/// What a person can do about a fault.
fn advice(kind: &str, fault: FaultKind) -> String {
    match fault {
        FaultKind::Unauthorized => {
            "make a token with that scope at the provider, and put it where this one was found".to_owned()
        }
        FaultKind::Transient | FaultKind::RateLimited => {
            "try again later; nothing is known about the credentials yet".to_owned()
        }
        FaultKind::NotFound | FaultKind::Malformed => format!("compare the target with docs/providers/{kind}.md"),
    }
}
