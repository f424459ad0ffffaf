#![allow(clippy::unwrap_used)]

use afterpush_core::{fault::FaultKind, id::RefName, observation::DeploymentState, run::Relation};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    Provider, Question, Reply, Secret, Turn,
    play::{self, COMMIT, OLD_COMMIT, Vendor, answer, ok},
};

const VENDOR: Vendor =
    Vendor { api: "https://ci.test", credential: || Some(Credential::Bearer(Secret::new("canary-token"))) };

const LIST: &str = r#"
    url = "https://ci.test/deployments"
    items = "/data"
    commit = "/source/sha"
    state = "/status"
    id = "/number"
    page = "/html"
    site = "/site"
    reason = "/error"
    progress = "/step"
    created = "/at"
    log = "/log"
    words = { live = ["Deployed"], failed = ["error"], deploying = ["running"], skipped = ["ignored"] }
"#;

fn setup(settings: &str) -> Setup {
    Setup {
        ref_name: RefName::parse("refs/heads/feature/a+b").unwrap(),
        pushed_at: Some("2026-01-01T12:00:00Z".parse().unwrap()),
        ..play::setup(settings, "git@github.com:acme/team/web.git", Some("canary-token"))
    }
}

fn provider(settings: &str) -> Conversation<Http> {
    Conversation::new(Http::new(setup(settings)).unwrap())
}

fn refusal(settings: &str) -> String {
    Http::new(setup(settings)).err().unwrap().to_string()
}

fn item(number: u32, sha: &str, status: &str, at: &str) -> Value {
    json!({"number": number, "source": {"sha": sha}, "status": status, "at": at, "env": {"KEY": "canary-value"}})
}

fn observed(items: Value) -> ProviderObservation {
    VENDOR.observe(&mut provider(LIST), &[("/deployments", ok(json!({"data": items})))])
}

const NOON: &str = "2026-01-01T12:00:05Z";

#[test]
fn every_word_means_what_the_configuration_says_and_no_other_word_means_anything() {
    for (key, state) in [
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
    ] {
        let live = if key == "live" { "" } else { "live = ['up'], " };
        let settings = format!(
            "url = 'https://ci.test/one'\ncommit = '/sha'\nstate = '/state'\nwords = {{ {live}{key} = ['The Word'] }}"
        );
        let body = ok(json!({"sha": COMMIT, "state": "the word"}));
        let seen = VENDOR.observe(&mut provider(&settings), &[("/one", body)]).deployment.unwrap();
        assert_eq!((seen.state, seen.raw.as_str()), (state, "the word"), "{key}");
        for (body, raw) in [(json!("words"), "words"), (json!(true), "true"), (json!(null), "(no state)")] {
            let body = ok(json!({"sha": COMMIT, "state": body}));
            let seen = VENDOR.observe(&mut provider(&settings), &[("/one", body)]).deployment.unwrap();
            assert_eq!((seen.state, seen.raw.as_str()), (DeploymentState::Unknown, raw));
        }
    }
}

#[test]
fn only_an_answer_that_names_the_commit_says_anything_about_it() {
    let settings = "url = 'https://ci.test/of/{commit}'\ncommit = '/sha'\nstate = '/state'\nwords = { live = ['up'] }";
    let path = format!("/of/{COMMIT}");
    let seen = |sha: Value| VENDOR.observe(&mut provider(settings), &[(&path, ok(json!({"sha": sha, "state": "up"})))]);
    assert_eq!(seen(json!(COMMIT)).deployment.unwrap().state, DeploymentState::Live);
    assert_eq!(seen(json!("0123456")).deployment.unwrap().commit.relation, Relation::Same);
    for other in [json!(OLD_COMMIT), json!("012345"), json!("main"), json!(123456)] {
        assert_eq!(seen(other.clone()), ProviderObservation::default(), "{other}");
    }
    // That the address names the commit does not count.
    let silent = ok(json!({"state": "up"}));
    let fault = VENDOR.fault(&mut provider(settings), &[(&path, silent)]);
    assert!(fault.kind == FaultKind::Malformed && fault.message.contains("no commit at /sha"), "{fault}");
    // Not known yet is not a trouble, where the address asks for the commit.
    assert_eq!(VENDOR.observe(&mut provider(settings), &[(&path, answer(404, ""))]), ProviderObservation::default());
}

#[test]
fn of_a_list_the_commits_own_newest_item_counts() {
    let seen = observed(json!([
        item(1, OLD_COMMIT, "Deployed", "2026-01-01T10:00:00Z"),
        item(2, COMMIT, "error", "2026-01-01T12:00:01Z"),
        item(3, COMMIT, "running", "2026-01-01T12:00:02Z"),
    ]));
    let ours = seen.deployment.unwrap();
    assert_eq!((ours.id.as_str(), ours.state), ("3", DeploymentState::Deploying));
    let serving = seen.serving.unwrap();
    assert_eq!((serving.deployment_id.as_str(), serving.is_later), ("1", false));
    assert_eq!(observed(json!([item(1, OLD_COMMIT, "Deployed", NOON)])).deployment, None);
    assert_eq!(observed(json!([])), ProviderObservation::default());
    assert_eq!(observed(json!(null)), ProviderObservation::default());
}

#[test]
fn what_a_later_item_replaced_is_not_live() {
    let seen = observed(json!([
        item(5, OLD_COMMIT, "deployed", "2026-01-01T12:10:00Z"),
        item(4, COMMIT, "deployed", "2026-01-01T12:00:05Z"),
    ]));
    assert_eq!(seen.deployment.unwrap().state, DeploymentState::Replaced);
    let serving = seen.serving.unwrap();
    assert!(serving.is_later && serving.commit.unwrap().relation == Relation::Other);
}

#[test]
fn pointers_with_escapes_and_counts_read_what_is_left_of_a_shared_answer() {
    let settings =
        "url = 'https://ci.test/one'\nitems = '/0/a~1b'\ncommit = '/x~0y/0'\nstate = '/s'\nwords = { live = ['up'] }";
    let body = json!([{"a/b": [{"x~y": [COMMIT], "s": "up", "env": "canary"}], "env": "canary"}]);
    let mut provider = provider(settings);
    let Turn::Ask(request) = provider.start(Question::Observe) else { panic!() };
    let kept = crate::reduce(body.to_string().as_bytes(), &request.fields).unwrap();
    assert!(!String::from_utf8(kept).unwrap().contains("canary"));
    let seen = VENDOR.observe(&mut provider, &[("/one", ok(body))]);
    assert_eq!(seen.deployment.unwrap().state, DeploymentState::Live);
}

#[test]
fn what_ended_long_before_the_push_is_an_earlier_pushs() {
    for (at, found) in [
        (json!("2026-01-01T11:00:00Z"), false),
        (json!(1_767_265_200), false),
        (json!(1_767_265_200_000_u64), false),
        (json!(NOON), true),
        (json!(null), true),
    ] {
        let mut old = item(1, COMMIT, "error", "");
        old["at"] = at.clone();
        assert_eq!(observed(json!([old])).deployment.is_some(), found, "{at}");
    }
}

#[test]
fn what_people_want_to_know_is_cleaned_and_addresses_hold_no_credentials() {
    let mut failed = item(7, COMMIT, "error", NOON);
    failed["error"] = json!("exit\u{1b}[31m code 1\nat step 2");
    failed["step"] = json!("2 of 3");
    failed["html"] = json!("https://ci.test/7");
    failed["site"] = json!("https://user:canary@web.test/");
    let seen = observed(json!([failed])).deployment.unwrap();
    assert_eq!(seen.reason.as_deref(), Some("exit code 1 at step 2"));
    assert_eq!(seen.progress.as_deref(), Some("2 of 3"));
    assert_eq!(seen.url.as_deref(), Some("https://ci.test/7"));
    assert_eq!(seen.site_url, None);
    assert!(!format!("{seen:?}").contains("canary"));
}

#[test]
fn the_log_is_the_text_itself_or_is_fetched_and_only_the_service_gets_the_token() {
    let log_of = |log: &str, script: &[(&str, crate::HttpResponse)]| {
        let mut provider = provider(LIST);
        let mut failed = item(7, COMMIT, "error", NOON);
        failed["log"] = json!(log);
        VENDOR.observe(&mut provider, &[("/deployments", ok(json!({"data": [failed]})))]);
        VENDOR.play(&mut provider, Question::FailureLog, script)
    };
    let text = |text: &str| Turn::Reply(Reply::Log(text.to_owned()));
    assert_eq!(log_of("line 1\nline 2", &[]), text("line 1\nline 2"));
    assert_eq!(log_of("/logs/7", &[("/logs/7", answer(200, "boom"))]), text("boom"));
    assert_eq!(log_of("https://ci.test/logs/7", &[("/logs/7", answer(200, "boom"))]), text("boom"));
    let elsewhere = "https://logs.test/7?sig=1";
    assert_eq!(log_of(elsewhere, &[(elsewhere, answer(200, "boom"))]), text("boom"));
    let moved = crate::HttpResponse { headers: vec![("location".into(), elsewhere.into())], ..answer(302, "") };
    assert_eq!(log_of("/logs/7", &[("/logs/7", moved), (elsewhere, answer(200, "boom"))]), text("boom"));
    assert!(matches!(log_of("/logs/7", &[("/logs/7", answer(404, ""))]), Turn::Fault(_)));
    let none = VENDOR.play(&mut provider(LIST), Question::FailureLog, &[]);
    assert!(matches!(none, Turn::Fault(fault) if fault.kind == FaultKind::NotFound));
}

#[test]
fn trouble_is_told_by_its_kind_and_never_quotes_the_body() {
    for (response, kind) in [
        (answer(401, "canary"), FaultKind::Unauthorized),
        (answer(403, "canary"), FaultKind::Unauthorized),
        (answer(404, "canary"), FaultKind::NotFound),
        (answer(429, "canary"), FaultKind::RateLimited),
        (answer(500, "canary"), FaultKind::Transient),
        (answer(200, "<html>canary"), FaultKind::Malformed),
        (answer(200, "{\"data\": [\"canary"), FaultKind::Malformed),
        (answer(200, "{\"data\": {\"canary\": 1}}"), FaultKind::Malformed),
        (answer(200, "{\"data\": [null, \"canary\", 5]}"), FaultKind::Malformed),
        (answer(200, "[\"canary\"]"), FaultKind::Malformed),
    ] {
        let status = response.status;
        let fault = VENDOR.fault(&mut provider(LIST), &[("/deployments", response)]);
        assert_eq!(fault.kind, kind, "{status}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault}");
    }
    let headers = vec![("retry-after".to_owned(), "17".to_owned())];
    let limited = crate::HttpResponse { headers, ..answer(429, "") };
    let fault = VENDOR.fault(&mut provider(LIST), &[("/deployments", limited)]);
    assert_eq!(fault.retry_after, Some(std::time::Duration::from_secs(17)));
}

#[test]
fn placeholders_are_escaped_and_never_choose_the_host() {
    let rest = "\ncommit = '/a'\nstate = '/b'\nwords = { live = ['c'] }";
    let url = |url: &str| Http::new(setup(&format!("url = '{url}'{rest}"))).map(|it| it.url.to_string());
    assert_eq!(
        url("https://ci.test/{owner}/{name}/{branch}?r={repository}&c={commit}&s={short}&f={ref}").unwrap(),
        format!(
            "https://ci.test/acme%2Fteam/web/feature%2Fa%2Bb?r=acme%2Fteam%2Fweb&c={COMMIT}&s=0123456&f=refs%2Fheads%2Ffeature%2Fa%2Bb"
        )
    );
    for (bad, told) in [
        ("https://{name}.ci.test/", "after the host"),
        ("https://ci.test:{short}/", "after the host"),
        ("{name}://ci.test/", "after the host"),
        ("https://ci.test/{nothing}", "{nothing}"),
        ("https://ci.test/{commit", "without its }"),
        ("https://user:pass@ci.test/", "without user name"),
        ("ftp://ci.test/", "must be https"),
        ("ci.test/{commit}", "such as https://"),
    ] {
        let error = url(bad).unwrap_err().to_string();
        assert!(error.contains(told), "{bad}: {error}");
    }
    let mut tag = setup(&format!("url = 'https://ci.test/{{branch}}'{rest}"));
    tag.ref_name = RefName::parse("refs/tags/v1").unwrap();
    assert!(Http::new(tag).unwrap_err().to_string().contains("cannot be filled in"));
    let mut upwards = setup(&format!("url = 'https://ci.test/{{owner}}/x'{rest}"));
    upwards.remote_url = "git@host:../web".to_owned();
    assert!(Http::new(upwards).unwrap_err().to_string().contains("cannot be filled in"));
}

#[test]
fn wrong_settings_are_named() {
    let with = |line: &str| format!("url = 'https://ci.test/'\n{line}");
    for (settings, told) in [
        ("commit = '/a'".to_owned(), "afterpush trust"),
        (with("state = '/b'"), "\"commit\" is needed"),
        (with("commit = 'a'"), "JSON pointer"),
        (with("commit = '/a'"), "\"state\" is needed"),
        (with("commit = '/a'\nstate = '/b'"), "\"words\" is needed"),
        (with("commit = '/a'\nstate = '/b'\nwords = { failed = ['x'] }"), "\"words\" is needed"),
        (with("commit = '/a'\nstate = '/b'\nwords = { live = ['x'], dead = ['y'] }"), "\"dead\""),
        (with("commit = '/a'\nstate = '/b'\nwords = { live = ['x'], failed = ['X'] }"), "twice"),
        (with("commit = '/a'\nstate = '/b'\nwords = { live = 'x' }"), "list of texts"),
        (with("commit = '/a'\nstate = '/b'\nwords = 'x'"), "must be a table"),
        (with("commits = '/a'"), "not known to http"),
    ] {
        let error = refusal(&settings);
        assert!(error.contains(told), "{settings}: {error}");
    }
}

#[test]
fn the_credentials_are_tried_by_the_same_call_and_requests_go_to_the_addresss_own_origin() {
    let mut provider = provider(LIST);
    let body = ok(json!({"data": [item(1, OLD_COMMIT, "running", NOON)]}));
    let reply = VENDOR.play(&mut provider, Question::Credentials, &[("/deployments", body)]);
    assert_eq!(reply, Turn::Reply(Reply::Credentials("answers with 1 deployments".to_owned())));
    assert_eq!(provider.carrier(), Carrier::Web("https://ci.test".to_owned()));
}

proptest! {
    #[test]
    fn a_damaged_answer_is_never_a_panic_and_never_a_verdict_without_the_commit(cut in 0..400_usize, byte: u8) {
        let mut body = json!({"data": [item(1, OLD_COMMIT, "Deployed", NOON), item(2, "", "error", NOON)]}).to_string().into_bytes();
        let at = cut % body.len();
        body[at] = byte;
        let mut provider = provider(LIST);
        if let Turn::Reply(Reply::Observation(seen)) =
            VENDOR.play(&mut provider, Question::Observe, &[("/deployments", answer(200, body))])
        {
            prop_assert_eq!(seen.deployment, None);
        }
    }
}
