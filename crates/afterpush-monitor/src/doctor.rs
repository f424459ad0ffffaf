//! What only the monitor can check for `afterpush doctor`: credentials, and whether the provider answers. Prints one JSON
//! document, in which no credential ever stands.

use std::time::Duration;

use afterpush_core::{
    fault::with_causes,
    id::{CommitId, RefName},
    redact,
};
use afterpush_providers::{Question, Reply, Setup};
use afterpush_store::{ConfigFiles, Environment, Repository};
use serde_json::{Value, json};

use crate::{
    credentials,
    secrets::PushEnvironment,
    sources::{ProviderSource, api_url},
};

/// Checks the targets of the repository in the current directory.
pub async fn examine(push: &PushEnvironment) -> Value {
    let mut checks = Vec::new();
    if let Err(problem) = examine_into(push, &mut checks).await {
        checks.push(check("configuration", false, &problem, "see docs/configuration.md"));
    }
    json!({ "checks": checks })
}

fn check(name: &str, ok: bool, message: &str, hint: &str) -> Value {
    let hint = (!ok && !hint.is_empty()).then_some(hint);
    json!({"name": name, "ok": ok, "message": message, "hint": hint})
}

async fn examine_into(push: &PushEnvironment, checks: &mut Vec<Value>) -> Result<(), String> {
    let environment = Environment::read();
    let directory = std::env::current_dir().map_err(|error| error.to_string())?;
    let repository = Repository::locate(&directory, &environment).map_err(|error| with_causes(&error))?;
    let files = ConfigFiles::of_work_tree(&environment, Some(&repository)).map_err(|error| with_causes(&error))?;
    let config = files.combine().map_err(|error| error.to_string())?;
    for sentence in &config.left_out {
        checks.push(check("trust", true, sentence, ""));
    }
    let git = afterpush_git::Git::open(&repository.git_dir).ok();
    let remote_url = git.as_ref().and_then(|git| {
        let remotes = git.remotes().ok()?;
        let remote = remotes.iter().find(|(name, _)| name == "origin").or_else(|| remotes.first())?;
        Some(redact::remote_url(&remote.1))
    });
    for target in &config.targets {
        let Some(provider) = &target.provider else { continue };
        let name = format!("{} credentials", provider.kind);
        let api_url = api_url(&config, &provider.kind);
        let found = match credentials::find(provider, api_url.as_deref(), push, &environment) {
            Ok(Some(found)) => {
                checks.push(check(&name, true, &format!("found in {}", found.place), ""));
                Some(found)
            }
            Ok(None) if !credentials::needs_token(provider) => None,
            Ok(None) => {
                checks.push(check(&name, false, "none found", &credentials::advice(provider)));
                continue;
            }
            Err(error) => {
                checks.push(check(&name, false, &with_causes(&error), ""));
                continue;
            }
        };
        // The commit and the branch do not matter for this question.
        let (Ok(commit), Ok(ref_name)) = (CommitId::parse(&"1".repeat(40)), RefName::parse("refs/heads/main")) else {
            continue;
        };
        let (token, login_url) = found.map(|found| (found.token, found.api_url)).unzip();
        let setup = Setup {
            settings: provider.settings.clone(),
            api_url: api_url.or(login_url.flatten()),
            commit,
            ref_name,
            remote_url: remote_url.clone().unwrap_or_default(),
            pushed_at: None,
            token,
        };
        let name = format!("{} answers", provider.kind);
        let answer = match ProviderSource::new(&target.name, &provider.kind, setup, push, &environment, None) {
            Err(error) => Err(with_causes(&error)),
            Ok(source) => {
                let (answer, _) = source.ask(Question::Credentials, Duration::ZERO).await;
                answer.map_err(|fault| format!("{}: {fault}", fault.kind))
            }
        };
        checks.push(match answer {
            Ok(Reply::Credentials(text)) => check(&name, true, &text, ""),
            Ok(_) => check(&name, true, "yes", ""),
            Err(problem) => check(&name, false, &problem, "check the token and its scopes at the provider"),
        });
    }
    Ok(())
}
