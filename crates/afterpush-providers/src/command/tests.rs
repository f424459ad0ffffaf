#![allow(clippy::unwrap_used)]

use afterpush_core::{observation::DeploymentState, run::Relation};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::play::{self, COMMIT, OLD_COMMIT};

fn command(settings: &str) -> Result<Command, SetupError> {
    Command::new(Setup {
        pushed_at: Some("2026-01-01T12:00:00Z".parse().unwrap()),
        ..play::setup(settings, "https://host/acme/web", None)
    })
}

fn program() -> Command {
    command("command = ['/opt/where-is', 'web']").unwrap()
}

fn end(code: i32, output: &str) -> ProgramEnd {
    ProgramEnd { code: Some(code), output: output.as_bytes().to_vec(), complaint: "no \u{1b}[31mroute".to_owned() }
}

fn ask(command: &mut Command, end: &ProgramEnd) -> Turn {
    assert!(matches!(command.start(Question::Observe), Turn::Run(_)));
    command.ended(end)
}

fn observed(output: &Value) -> ProviderObservation {
    match ask(&mut program(), &end(0, &output.to_string())) {
        Turn::Reply(Reply::Observation(observation)) => observation,
        turn => panic!("{turn:?}"),
    }
}

fn fault(end: &ProgramEnd) -> Fault {
    match ask(&mut program(), end) {
        Turn::Fault(fault) => fault,
        turn => panic!("{turn:?}"),
    }
}

#[test]
fn the_program_is_told_what_was_pushed() {
    let mut command = command("command = ['where-is', 'a b']\nenv = ['MY_TOKEN']\ntimeout = '20s'").unwrap();
    assert_eq!(command.carrier(), Carrier::Program { variables: vec!["MY_TOKEN".to_owned()] });
    let Turn::Run(request) = command.start(Question::Observe) else { panic!() };
    assert_eq!(request.argv, ["where-is", "a b"]);
    assert_eq!(request.time_limit, Duration::from_secs(20));
    assert_eq!(
        request.environment,
        [
            ("AFTERPUSH_COMMIT", COMMIT.to_owned()),
            ("AFTERPUSH_REF", "refs/heads/main".to_owned()),
            ("AFTERPUSH_BRANCH", "main".to_owned()),
            ("AFTERPUSH_REMOTE_URL", "https://host/acme/web".to_owned()),
            ("AFTERPUSH_PUSHED_AT", "2026-01-01T12:00:00Z".to_owned()),
        ]
    );
}

#[test]
fn every_word_is_a_state_and_any_other_is_unknown() {
    for (word, state) in [
        ("queued", DeploymentState::Queued),
        ("building", DeploymentState::Building),
        ("deploying", DeploymentState::Deploying),
        ("live", DeploymentState::Live),
        ("failed", DeploymentState::Failed),
        ("canceled", DeploymentState::Canceled),
        ("superseded", DeploymentState::Superseded),
        ("replaced", DeploymentState::Replaced),
        ("skipped", DeploymentState::Skipped),
        ("blocked", DeploymentState::Blocked),
        ("Live", DeploymentState::Unknown),
        ("", DeploymentState::Unknown),
    ] {
        let seen = observed(&json!({"deployment": {"commit": COMMIT, "state": word}})).deployment.unwrap();
        assert_eq!((seen.state, seen.raw.as_str()), (state, word));
    }
}

#[test]
fn everything_that_can_be_told_is_told_and_cleaned() {
    let seen = observed(&json!({
        "deployment": {
            "commit": "0123456", "state": "failed", "id": "17", "word": "ERR\u{1b}[0mOR", "url": "https://ci.test/17",
            "site_url": "https://user:pass@web.test", "progress": "2 of 3", "reason": "exit\ncode 1", "log": "boom",
        },
        "serving": {"commit": OLD_COMMIT, "id": "16", "site_url": "https://web.test", "is_later": true},
        "will_not_deploy": "pinned",
    }));
    let ours = seen.deployment.unwrap();
    assert_eq!((ours.id.as_str(), ours.raw.as_str(), ours.commit.relation), ("17", "ERROR", Relation::Same));
    assert_eq!((ours.url.as_deref(), ours.site_url.as_deref()), (Some("https://ci.test/17"), None));
    assert_eq!((ours.progress.as_deref(), ours.reason.as_deref()), (Some("2 of 3"), Some("exit code 1")));
    let serving = seen.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("16", true));
    assert_eq!(serving.commit.unwrap().relation, Relation::Other);
    assert_eq!(seen.will_not_deploy.as_deref(), Some("pinned"));
}

#[test]
fn a_deployment_of_another_commit_says_nothing_about_ours() {
    assert_eq!(observed(&json!({})), ProviderObservation::default());
    assert_eq!(observed(&json!({"deployment": null})), ProviderObservation::default());
    for commit in [OLD_COMMIT, "012345", "", "HEAD"] {
        let seen = observed(&json!({"deployment": {"commit": commit, "state": "live"}}));
        assert_eq!(seen, ProviderObservation::default(), "{commit}");
    }
}

#[test]
fn the_exit_code_is_the_kind_of_trouble_and_the_last_complaint_is_told() {
    for (code, kind) in [
        (Some(75), FaultKind::Transient),
        (Some(77), FaultKind::Unauthorized),
        (Some(1), FaultKind::Malformed),
        (Some(127), FaultKind::Malformed),
        (None, FaultKind::Transient),
    ] {
        let live = json!({"deployment": {"commit": COMMIT, "state": "live"}}).to_string();
        let fault = fault(&ProgramEnd { code, ..end(0, &live) });
        assert_eq!(fault.kind, kind);
        assert!(fault.message.starts_with("where-is ") && fault.message.ends_with(": no route"), "{fault}");
    }
}

#[test]
fn what_is_not_the_document_is_refused_and_not_quoted() {
    for (output, told) in [
        ("", "nothing"),
        (" \n", "nothing"),
        ("canary", "than a JSON object"),
        ("<html>canary", "than a JSON object"),
        ("{\"deployment\": {\"canary", "not JSON"),
        ("[]", "than a JSON object"),
        ("null", "than a JSON object"),
        ("{\"deployments\": {}}", "not known"),
        ("{\"deployment\": {\"commit\": \"canary\"}}", "missing"),
        ("{\"deployment\": {\"commit\": 5, \"state\": \"live\"}}", "wrong"),
        ("{\"deployment\": {\"commit\": \"a\", \"state\": \"live\", \"canary\": 1}}", "not known"),
        ("{} {}", "not JSON"),
    ] {
        let fault = fault(&end(0, output));
        assert!(fault.kind == FaultKind::Malformed && fault.message.contains(told), "{output}: {fault}");
        assert!(!fault.message.contains("canary"), "{fault}");
    }
}

#[test]
fn the_log_comes_with_the_answer() {
    let mut command = program();
    assert!(matches!(command.start(Question::FailureLog), Turn::Fault(fault) if fault.kind == FaultKind::NotFound));
    let failed = json!({"deployment": {"commit": COMMIT, "state": "failed", "log": "line 1\nline 2"}});
    ask(&mut command, &end(0, &failed.to_string()));
    assert_eq!(command.start(Question::FailureLog), Turn::Reply(Reply::Log("line 1\nline 2".to_owned())));
    assert!(matches!(command.ended(&end(0, "{}")), Turn::Fault(_)), "nothing was run");
}

#[test]
fn the_credentials_are_good_when_the_program_answers() {
    let mut command = program();
    assert!(matches!(command.start(Question::Credentials), Turn::Run(_)));
    assert_eq!(command.ended(&end(0, "{}")), Turn::Reply(Reply::Credentials("where-is answers".to_owned())));
    assert!(matches!(command.start(Question::Credentials), Turn::Run(_)));
    assert!(matches!(command.ended(&end(77, "")), Turn::Fault(fault) if fault.kind == FaultKind::Unauthorized));
}

#[test]
fn wrong_settings_are_named() {
    for (settings, told) in [
        ("", "afterpush trust"),
        ("command = []", "\"command\" is needed"),
        ("command = 'a b'", "list of texts"),
        ("command = ['bin/where']", "whole path"),
        ("command = ['a']\ntimeout = '51s'", "at most 50s"),
        ("command = ['a']\ntimeout = '10'", "at most 50s"),
        ("command = ['a']\nenv = 'A'", "list of texts"),
        ("command = ['a']\ncwd = '/'", "not known to command"),
    ] {
        let error = command(settings).err().unwrap().to_string();
        assert!(error.contains(told), "{settings}: {error}");
    }
}

proptest! {
    #[test]
    fn a_damaged_answer_is_never_a_panic_and_never_live(at in 0..100_usize, byte: u8) {
        let mut output = json!({"deployment": {"commit": OLD_COMMIT, "state": "live"}}).to_string().into_bytes();
        let at = at % output.len();
        output[at] = byte;
        let end = ProgramEnd { code: Some(0), output, complaint: String::new() };
        if let Turn::Reply(Reply::Observation(seen)) = ask(&mut program(), &end) {
            prop_assert_eq!(seen.deployment, None);
        }
    }
}
