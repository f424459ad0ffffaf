//! Several monitors of one user against one real server: who asks, who is served by another's answer, and who waits.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    net::TcpListener,
    time::{Duration, Instant},
};

use afterpush_core::{
    fault::{Fault, FaultKind},
    machine::Pace,
};
use afterpush_monitor::{sharing::Sharing, transport::Transport};
use afterpush_providers::{
    BodyLimit, Credential, Fields, HttpRequest, HttpResponse, Method, Provider, Question, Reply, Secret, Turn,
};
use afterpush_store::Environment;
use tempfile::TempDir;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, header, header_exists},
};

const BODY: &str = r#"{"app":{"id":"1","envs":[{"key":"K","value":"canary-secret"}]}}"#;
const LONG: Duration = Duration::from_secs(60);

/// Asks once, for fields that may be shared or not.
struct Once {
    url: String,
    token: &'static str,
    fields: &'static [&'static str],
}

impl Provider for Once {
    fn start(&mut self, _: Question) -> Turn {
        Turn::Ask(HttpRequest {
            method: Method::Get,
            url: self.url.clone(),
            headers: Vec::new(),
            credential: Some(Credential::Bearer(Secret::new(self.token))),
            body: None,
            limit: BodyLimit::AtMost(100_000),
            fields: match self.fields {
                [] => Fields::Untold,
                fields => Fields::Read(fields),
            },
        })
    }
    fn next(&mut self, response: &HttpResponse) -> Turn {
        Turn::Reply(Reply::Log(format!("{} {}", response.status, String::from_utf8_lossy(&response.body))))
    }
}

/// Asks the same, for a header of the answer.
struct OfHeader(Once, &'static str);

impl Provider for OfHeader {
    fn start(&mut self, question: Question) -> Turn {
        self.0.start(question)
    }
    fn next(&mut self, response: &HttpResponse) -> Turn {
        Turn::Reply(Reply::Log(response.header(self.1).unwrap_or_default().to_owned()))
    }
}

/// One user's state directory, and a server.
struct Scene {
    state: TempDir,
    server: MockServer,
}

impl Scene {
    async fn new(answer: ResponseTemplate) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        Self { state: tempfile::tempdir().unwrap(), server }
    }

    /// A monitor with its own random word, as every process has.
    fn monitor(&self) -> Transport {
        self.monitor_of(&self.server.uri())
    }

    fn monitor_of(&self, api: &str) -> Transport {
        let environment = Environment { state_dir: Some(self.state.path().to_owned()), ..Environment::default() };
        Transport::new(api).unwrap().sharing(Sharing::of_user(&environment).unwrap())
    }

    async fn ask_with(
        &self,
        monitor: &Transport,
        token: &'static str,
        fields: &'static [&'static str],
        fresh_for: Duration,
    ) -> Result<(String, Pace), Fault> {
        let mut once = self.once(token, fields);
        match monitor.converse(&mut once, Question::Observe, fresh_for).await? {
            (Reply::Log(text), pace) => Ok((text, pace)),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&self, monitor: &Transport, fresh_for: Duration) -> Result<(String, Pace), Fault> {
        self.ask_with(monitor, "canary-token", &["app", "id"], fresh_for).await
    }

    /// Asks as soon as the server has been called so often.
    async fn ask_when_called(&self, monitor: &Transport, times: usize) -> Result<(String, Pace), Fault> {
        while self.calls().await < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.ask(monitor, LONG).await
    }

    /// Asks, and gives the value of the answer's header.
    async fn ask_for_header(&self, monitor: &Transport, name: &'static str) -> String {
        let mut header = OfHeader(self.once("canary-token", &["app"]), name);
        match monitor.converse(&mut header, Question::Observe, LONG).await.unwrap().0 {
            Reply::Log(text) => text,
            other => panic!("{other:?}"),
        }
    }

    fn once(&self, token: &'static str, fields: &'static [&'static str]) -> Once {
        Once { url: format!("{}/app", self.server.uri()), token, fields }
    }

    async fn calls(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }
}

#[tokio::test]
async fn many_monitors_that_ask_at_once_make_one_call() {
    let scene =
        Scene::new(ResponseTemplate::new(200).set_body_string(BODY).set_delay(Duration::from_millis(200))).await;
    let monitors: Vec<_> = (0..50).map(|_| scene.monitor()).collect();
    let asked = monitors.iter().map(|monitor| scene.ask(monitor, LONG));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.unwrap().0, r#"200 {"app":{"id":"1"}}"#);
    }
    assert_eq!(scene.calls().await, 1);
}

#[tokio::test]
async fn an_answer_serves_who_has_the_same_credential_and_until_it_is_too_old() {
    let scene = Scene::new(ResponseTemplate::new(200).set_body_string(BODY)).await;
    let (first, second) = (scene.monitor(), scene.monitor());
    assert_eq!(scene.ask(&first, LONG).await.unwrap().1.age, Duration::ZERO);
    scene.ask(&first, LONG).await.unwrap();
    let (_, pace) = scene.ask(&second, LONG).await.unwrap();
    assert!(!pace.age.is_zero());
    assert_eq!(scene.calls().await, 1);
    scene.ask_with(&second, "another-token", &["app", "id"], LONG).await.unwrap();
    assert_eq!(scene.calls().await, 2);
    // Too old for who wants it fresher than it is.
    assert_eq!(scene.ask(&second, Duration::from_nanos(1)).await.unwrap().1.age, Duration::ZERO);
    assert_eq!(scene.calls().await, 3);
}

#[tokio::test]
async fn who_asked_last_asks_again_a_little_before_its_own_answer_is_too_old() {
    let scene = Scene::new(ResponseTemplate::new(200).set_body_string(BODY)).await;
    let monitor = scene.monitor();
    scene.ask(&monitor, LONG).await.unwrap();
    let answered = Instant::now();
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Nine tenths of this interval have passed: less than the jitter makes of one.
    scene.ask(&monitor, answered.elapsed().mul_f64(10.0 / 9.0)).await.unwrap();
    assert_eq!(scene.calls().await, 2);
}

#[tokio::test]
async fn who_has_an_answer_does_not_wait_for_one_who_wants_a_newer_one() {
    let scene = Scene::new(ResponseTemplate::new(200).set_body_string(BODY).set_delay(LONG)).await;
    let at_once = ResponseTemplate::new(200).set_body_string(BODY);
    Mock::given(any()).respond_with(at_once).with_priority(1).up_to_n_times(1).mount(&scene.server).await;
    let (eager, content) = (scene.monitor(), scene.monitor());
    scene.ask(&eager, LONG).await.unwrap();
    tokio::select! {
        biased;
        _ = scene.ask(&eager, Duration::ZERO) => panic!("the delayed answer came first"),
        answer = scene.ask_when_called(&content, 2) => assert!(!answer.unwrap().1.age.is_zero()),
    }
}

#[tokio::test]
async fn what_names_no_fields_is_not_shared_and_of_the_rest_only_the_fields_are_kept() {
    let scene = Scene::new(ResponseTemplate::new(200).set_body_string(BODY)).await;
    let (first, second) = (scene.monitor(), scene.monitor());
    for monitor in [&first, &second] {
        let (text, _) = scene.ask_with(monitor, "canary-token", &[], LONG).await.unwrap();
        assert_eq!(text, format!("200 {BODY}"));
    }
    assert_eq!(scene.calls().await, 2);
    scene.ask(&first, LONG).await.unwrap();
    let mut files = 0;
    for entry in fs::read_dir(scene.state.path().join("answers")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("canary") && !path.display().to_string().contains("canary"), "{text}");
        files += 1;
    }
    assert!(files >= 3, "the answer, its lock and the budget");
}

#[tokio::test]
async fn an_unchanged_answer_is_not_sent_again() {
    let scene = Scene::new(ResponseTemplate::new(304)).await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_string(BODY).insert_header("etag", "\"1\""))
        .with_priority(1)
        .up_to_n_times(1)
        .mount(&scene.server)
        .await;
    let monitor = scene.monitor();
    let first = scene.ask(&monitor, Duration::ZERO).await.unwrap().0;
    let second = scene.ask(&monitor, Duration::ZERO).await.unwrap().0;
    assert_eq!(first, second);
    let received = scene.server.received_requests().await.unwrap();
    assert!(!received[0].headers.contains_key("if-none-match"));
    assert_eq!(received[1].headers["if-none-match"], "\"1\"");
}

#[tokio::test]
async fn a_refusal_for_the_rate_holds_every_monitor_back() {
    let scene = Scene::new(ResponseTemplate::new(429).insert_header("retry-after", "120")).await;
    let (first, second) = (scene.monitor(), scene.monitor());
    assert_eq!(scene.ask(&first, LONG).await.unwrap().0, "429 ");
    let fault = scene.ask(&second, LONG).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::RateLimited);
    assert!(fault.retry_after.unwrap() > Duration::from_secs(110), "{fault:?}");
    // A log is on the same budget.
    assert!(scene.ask_with(&second, "canary-token", &[], LONG).await.is_err());
    assert_eq!(scene.calls().await, 1);
    // Another credential has a budget of its own.
    scene.ask_with(&second, "another-token", &[], LONG).await.unwrap();
    assert_eq!(scene.calls().await, 2);
}

#[tokio::test]
async fn a_refusal_holds_back_who_waits_for_a_turn_as_well() {
    // Ten calls are left for ten seconds: the next two come one second after the other.
    let scene = Scene::new(ResponseTemplate::new(429).insert_header("retry-after", "120")).await;
    let few = ResponseTemplate::new(200)
        .insert_header("ratelimit-limit", "5000")
        .insert_header("ratelimit-remaining", "10")
        .insert_header("ratelimit-reset", "10");
    Mock::given(any()).respond_with(few).with_priority(1).up_to_n_times(1).mount(&scene.server).await;
    let monitors = [scene.monitor(), scene.monitor()];
    let ask = |monitor| scene.ask_with(monitor, "canary-token", &[], LONG);
    assert!(ask(&monitors[0]).await.is_ok());
    let asked = futures_util::future::join_all(monitors.iter().map(ask)).await;
    let refused = asked.iter().filter(|it| it.as_ref().is_ok_and(|(text, _)| text.starts_with("429"))).count();
    let held_back =
        asked.iter().filter(|it| it.as_ref().is_err_and(|fault| fault.kind == FaultKind::RateLimited)).count();
    assert_eq!((refused, held_back, scene.calls().await), (1, 1, 2));
}

#[tokio::test]
async fn the_silence_of_the_vendor_is_told_to_all_who_wait_for_it_at_once() {
    let answer = ResponseTemplate::new(500).set_delay(Duration::from_millis(300));
    let scene = Scene::new(answer).await;
    let monitors: Vec<_> = (0..20).map(|_| scene.monitor()).collect();
    let began = Instant::now();
    let asked = monitors.iter().map(|monitor| scene.ask(monitor, Duration::ZERO));
    for answer in futures_util::future::join_all(asked).await {
        assert!(answer.unwrap().0.starts_with("500"));
    }
    let calls = scene.calls().await;
    assert!(calls < 5, "{calls} calls in {:?}", began.elapsed());
    // Who comes later is told as well, for as long as an answer would serve: an outage is not asked after by everybody.
    let (text, pace) = scene.ask(&scene.monitor(), LONG).await.unwrap();
    assert!(text.starts_with("500") && !pace.age.is_zero(), "{text} {pace:?}");
    assert_eq!(scene.calls().await, calls);
    scene.ask(&scene.monitor(), Duration::ZERO).await.unwrap();
    assert_eq!(scene.calls().await, calls + 1);
}

#[tokio::test]
async fn the_wait_that_a_vendor_asks_for_while_it_is_down_is_told_to_all() {
    let answer = ResponseTemplate::new(503).insert_header("retry-after", "17");
    let scene = Scene::new(answer).await;
    for _ in 0..2 {
        assert_eq!(scene.ask_for_header(&scene.monitor(), "retry-after").await, "17");
    }
    assert_eq!(scene.calls().await, 1);
}

#[tokio::test]
async fn a_refusal_is_told_to_all_who_wait_for_it() {
    let scene = Scene::new(ResponseTemplate::new(404).set_delay(Duration::from_millis(300))).await;
    let monitors: Vec<_> = (0..20).map(|_| scene.monitor()).collect();
    let asked = monitors.iter().map(|monitor| scene.ask(monitor, LONG));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.unwrap().0, "404 ");
    }
    let calls = scene.calls().await;
    assert!(calls < 5, "{calls} calls");
}

#[tokio::test]
async fn that_nothing_answers_is_told_to_the_others_in_the_same_words() {
    let scene = Scene::new(ResponseTemplate::new(200)).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut once = Once { url: address.clone(), ..scene.once("canary-token", &["app"]) };
        told.push(scene.monitor_of(&address).converse(&mut once, Question::Observe, LONG).await.unwrap_err());
    }
    assert!(told[0].message.contains("127.0.0.1"), "{told:?}");
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn the_tag_of_a_failure_is_not_asked_with() {
    let scene = Scene::new(ResponseTemplate::new(500).insert_header("etag", "\"1\"")).await;
    let monitor = scene.monitor();
    scene.ask(&monitor, LONG).await.unwrap();
    scene.ask(&monitor, LONG).await.unwrap();
    let received = scene.server.received_requests().await.unwrap();
    assert_eq!(received.len(), 2);
    assert!(!received[1].headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn what_is_refused_is_asked_for_by_each_who_comes_later() {
    let scene = Scene::new(ResponseTemplate::new(404)).await;
    for _ in 0..2 {
        assert_eq!(scene.ask(&scene.monitor(), LONG).await.unwrap().0, "404 ");
    }
    assert_eq!(scene.calls().await, 2);
}

#[tokio::test]
async fn who_saw_the_vendor_down_finds_out_that_it_is_back() {
    let scene = Scene::new(ResponseTemplate::new(200).set_body_string(BODY)).await;
    let down = ResponseTemplate::new(500);
    Mock::given(any()).respond_with(down).with_priority(1).up_to_n_times(1).mount(&scene.server).await;
    let monitor = scene.monitor();
    assert!(scene.ask(&monitor, LONG).await.unwrap().0.starts_with("500"));
    assert!(scene.ask(&monitor, LONG).await.unwrap().0.starts_with("200"));
}

#[tokio::test]
async fn an_answer_that_is_no_json_goes_to_who_asked_and_keeps_the_others_from_asking() {
    let scene = Scene::new(ResponseTemplate::new(200).set_body_string("<html>canary</html>")).await;
    assert_eq!(scene.ask(&scene.monitor(), LONG).await.unwrap().0, "200 <html>canary</html>");
    let fault = scene.ask(&scene.monitor(), LONG).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient);
    assert!(fault.message.contains("127.0.0.1") && !fault.message.contains("canary"), "{fault}");
    assert_eq!(scene.calls().await, 1);
}

#[tokio::test]
async fn of_one_address_who_reads_other_fields_gets_an_answer_of_its_own() {
    let scene = Scene::new(ResponseTemplate::new(200).set_body_string(BODY)).await;
    scene.ask(&scene.monitor(), LONG).await.unwrap();
    let (text, _) = scene.ask_with(&scene.monitor(), "canary-token", &["app", "envs", "key"], LONG).await.unwrap();
    assert_eq!(text, r#"200 {"app":{"envs":[{"key":"K"}]}}"#);
    assert_eq!(scene.calls().await, 2);
}

#[tokio::test]
async fn a_budget_that_is_nearly_spent_is_warned_of_and_spread() {
    let answer = ResponseTemplate::new(200)
        .set_body_string(BODY)
        .insert_header("ratelimit-limit", "5000")
        .insert_header("ratelimit-remaining", "4")
        .insert_header("ratelimit-reset", "200");
    let scene = Scene::new(answer).await;
    let monitor = scene.monitor();
    let (_, pace) = scene.ask(&monitor, Duration::ZERO).await.unwrap();
    assert!(pace.warning.unwrap().contains("only 4 of 127.0.0.1's calls are left"));
    // Four calls for two hundred seconds: the next in fifty.
    let fault = scene.ask(&monitor, Duration::ZERO).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::RateLimited);
    let wait = fault.retry_after.unwrap();
    assert!(wait > Duration::from_secs(45) && wait < Duration::from_secs(55), "{wait:?}");
}

#[tokio::test]
async fn a_budget_with_room_neither_warns_nor_slows_down() {
    let answer = ResponseTemplate::new(200)
        .set_body_string(BODY)
        .insert_header("ratelimit-limit", "4")
        .insert_header("ratelimit-remaining", "1")
        .insert_header("ratelimit-reset", "3600");
    let scene = Scene::new(answer).await;
    let monitor = scene.monitor();
    for _ in 0..2 {
        let (_, pace) = scene.ask(&monitor, Duration::ZERO).await.unwrap();
        assert_eq!(pace.warning, None);
    }
}

#[tokio::test]
async fn a_monitor_that_died_while_it_asked_holds_nobody_up() {
    let scene = Scene::new(ResponseTemplate::new(200).set_body_string(BODY)).await;
    Mock::given(header("authorization", "Bearer canary-token"))
        .and(header_exists("authorization"))
        .respond_with(ResponseTemplate::new(200).set_body_string(BODY).set_delay(LONG))
        .with_priority(1)
        .up_to_n_times(1)
        .mount(&scene.server)
        .await;
    let (dying, waiting) = (scene.monitor(), scene.monitor());
    // Broken off in the middle of its call, as by a kill: its lock goes with it.
    let limit = Duration::from_millis(300);
    assert!(tokio::time::timeout(limit, scene.ask(&dying, LONG)).await.is_err());
    assert!(scene.ask(&waiting, LONG).await.unwrap().0.starts_with("200"));
}
