//! A provider's side of a conversation, with the host's answers from the bytes.
//!
//! The answers are written as in HTTP, and stand between lines of `%%`: the status, headers, an empty line, the body. For a
//! program: its exit code, what it complained of, an empty line, what it printed. They are given over and over, so that a
//! provider that asks without end is seen.

use afterpush_core::{
    fault::Fault,
    id::{CommitId, MIN_PREFIX, RefName},
    observation::{DeploymentState, ProviderObservation},
    run::Relation,
    text::clean_line,
};
use afterpush_providers::{
    Fields, HttpRequest, HttpResponse, ProgramEnd, Question, Reply, Secret, Setup, Turn, reduce, registry,
};

use super::must_be_clean;

/// The pushed commit.
pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const API: &str = "https://api.example";
const TOKEN: &str = "token-5161";
/// More requests than these for one question would be without end.
const MOST_REQUESTS: usize = 2000;
/// More bytes than these are nothing that anybody reads in a status.
const LONGEST_TEXT: usize = 4000;

// Not by way of the test kit, all of which would have to be built for fuzzing then.
#[expect(unreachable_pub, reason = "it is a module of the test kit")]
#[path = "../../../crates/afterpush-testkit/src/settings.rs"]
mod settings;

/// Asks one kind of provider all questions, where the deployment stands twice.
pub(super) fn read(kind: &str, data: &[u8]) {
    converse(kind, &answers(data));
}

pub(super) fn answers(data: &[u8]) -> Vec<HttpResponse> {
    // The transport takes out of an answer what it was given for it.
    let text = String::from_utf8_lossy(data).replace(TOKEN, "");
    // Also where nobody sees what stands between its letters: no vendor repeats it so.
    let hidden = |line: &str| clean_line(line, usize::MAX).contains(TOKEN);
    let text = if text.lines().any(hidden) { String::new() } else { text };
    text.split("\n%%\n").map(answer).collect()
}

/// One answer of the bytes; what is not written as it should be is all body.
fn answer(text: &str) -> HttpResponse {
    let (head, body) = text.split_once("\n\n").unwrap_or(("200", text));
    let mut lines = head.lines();
    let status = lines.next().and_then(|status| status.trim().parse().ok()).unwrap_or(200);
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    HttpResponse { status, headers, body: body.as_bytes().to_vec() }
}

/// Asks all questions, and gives how each ended.
pub(super) fn converse(kind: &str, answers: &[HttpResponse]) -> Vec<Result<Reply, Fault>> {
    let setup = Setup {
        settings: settings::of_provider(kind, API).parse().expect("settings are TOML"),
        api_url: Some(API.to_owned()),
        commit: CommitId::parse(COMMIT).expect("an id"),
        ref_name: RefName::parse("refs/heads/main").expect("a ref"),
        remote_url: "https://github.com/acme/web-app".to_owned(),
        pushed_at: None,
        token: Some(Secret::new(TOKEN)),
    };
    let mut provider = registry::build(kind, setup).expect("sound settings");
    let named = answers.iter().any(names_the_commit);
    let mut answers = answers.iter().cycle();
    let mut endings = Vec::new();
    for question in [Question::Observe, Question::Observe, Question::FailureLog, Question::Credentials] {
        let mut turn = provider.start(question);
        let mut asked = 0;
        loop {
            assert!(asked < MOST_REQUESTS, "{question:?} has no end");
            asked += 1;
            turn = match turn {
                Turn::Ask(request) => {
                    must_be_proper(&request);
                    let answer = answers.next().expect("they are given over and over");
                    provider.next(&as_carried(answer, &request.fields))
                }
                Turn::Run(_) => provider.ended(&as_ended(answers.next().expect("they are given over and over"))),
                Turn::Reply(reply) => {
                    must_be_true(&reply, named);
                    break endings.push(Ok(reply));
                }
                Turn::Fault(fault) => {
                    must_be_fit_to_show(&fault);
                    break endings.push(Err(fault));
                }
            };
        }
    }
    endings
}

/// Whether an answer holds the commit, or what JSON may have made of it.
fn names_the_commit(answer: &HttpResponse) -> bool {
    let headers = answer.headers.iter().map(|(_, value)| value.as_str());
    let body = String::from_utf8_lossy(&answer.body);
    headers.chain([body.as_ref()]).any(|text| {
        let text = text.to_ascii_lowercase();
        text.contains(&COMMIT[..MIN_PREFIX]) || text.contains("\\u")
    })
}

/// The answer as the transport hands it over: of what is shared, only the fields that are read.
fn as_carried(answer: &HttpResponse, fields: &Fields) -> HttpResponse {
    let reduced = if fields.are_told() { reduce(&answer.body, fields) } else { None };
    HttpResponse { body: reduced.unwrap_or_else(|| answer.body.clone()), ..answer.clone() }
}

fn as_ended(answer: &HttpResponse) -> ProgramEnd {
    let complaint = answer.headers.first().map(|(name, value)| format!("{name}: {value}")).unwrap_or_default();
    // Most answers are written with the status 200; a program that succeeds ends with 0.
    let code = (answer.status != 137).then(|| i32::from(answer.status % 200));
    ProgramEnd { code, output: answer.body.clone(), complaint }
}

/// The credential goes to the API alone, and an answer cannot put lines into a request.
fn must_be_proper(request: &HttpRequest) {
    must_be_clean("an address", &request.url);
    assert!(request.credential.is_none() || request.url.starts_with(&format!("{API}/")), "{request:?}");
    request.headers.iter().for_each(|(_, value)| must_be_clean("a header", value));
    assert!(!format!("{request:?}").contains(TOKEN));
}

fn must_be_true(reply: &Reply, named: bool) {
    match reply {
        Reply::Observation(seen) => {
            if let Some(deployment) = &seen.deployment {
                let is_live = deployment.state == DeploymentState::Live;
                assert!(!is_live || deployment.commit.relation == Relation::Same, "{deployment:?}");
                assert!(!is_live || named, "live, and no answer names the commit: {deployment:?}");
            }
            for text in texts(seen) {
                must_be_clean("an observation", text);
                assert!(text.len() <= LONGEST_TEXT, "{} bytes: {text:?}", text.len());
            }
        }
        Reply::Credentials(text) => must_be_clean("what doctor says", text),
        // Whoever stores or shows it cleans it.
        Reply::Log(_) => {}
    }
}

fn must_be_fit_to_show(fault: &Fault) {
    must_be_clean("a fault", &fault.message);
    assert!(!fault.message.is_empty() && !fault.message.contains(TOKEN), "{fault:?}");
}

/// Everything of an observation that is stored and shown.
fn texts(seen: &ProviderObservation) -> Vec<&str> {
    let mut texts: Vec<&str> = seen.will_not_deploy.as_deref().into_iter().collect();
    if let Some(it) = &seen.deployment {
        texts.extend([it.id.as_str(), &it.raw, &it.commit.id]);
        texts.extend([&it.url, &it.site_url, &it.progress, &it.reason].into_iter().flatten().map(String::as_str));
    }
    if let Some(it) = &seen.serving {
        texts.push(&it.deployment_id);
        texts.extend(it.commit.iter().map(|commit| commit.id.as_str()));
        texts.extend(it.site_url.as_deref());
    }
    texts
}
