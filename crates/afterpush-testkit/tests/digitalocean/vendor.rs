//! What the vendor refuses, the simulator refuses; how a deployment goes on.

use std::time::{Duration, Instant};

use afterpush_testkit::digitalocean::{Fault, Simulator};

use crate::{
    COMMIT, LATER,
    client::{ask, get},
};

#[test]
fn without_a_good_token_nothing_is_told() {
    let simulator = Simulator::start();
    simulator.refuse("bad");
    simulator.forbid("poor");
    let url = simulator.url() + "/v2/apps";
    for (token, status, id) in
        [(None, 401, "unauthorized"), (Some("bad"), 401, "unauthorized"), (Some("poor"), 403, "forbidden")]
    {
        let answer = ask(&url, token).unwrap();
        assert_eq!((answer.status, &answer.json()["id"]), (status, &id.into()));
    }
    assert_eq!(get(&url).status, 200);
    let authorised: Vec<bool> = simulator.requests().iter().map(|it| it.authorised).collect();
    assert_eq!(authorised, [false, true, true, true]);
}

#[test]
fn questions_that_are_wrong_are_refused() {
    let simulator = Simulator::start();
    let app = simulator.add_app("web", "acme/web", "main", "");
    let deployment = simulator.deploy(&app, COMMIT);
    let one = format!("/v2/apps/{app}/deployments/{}", deployment.id());
    for (path, status) in [
        ("/v2/apps?per_page=0".to_owned(), 400),
        ("/v2/apps?per_page=201".to_owned(), 400),
        ("/v2/apps?page=0".to_owned(), 400),
        ("/v2/apps?page=x".to_owned(), 400),
        ("/v2/apps/nothing".to_owned(), 404),
        ("/v2/droplets".to_owned(), 404),
        (format!("/v2/apps/{app}/deployments?deployment_types=NEW"), 400),
        (format!("/v2/apps/{app}/deployments/nothing"), 404),
        (format!("{one}/logs"), 400),
        (format!("{one}/logs?type=BUILDING"), 400),
        (format!("{one}/logs?type=BUILD&follow=no"), 400),
        (format!("{one}/logs?type=BUILD&tail_lines=all"), 400),
        (format!("{one}/components/web/logs?type=BUILD"), 200),
        (format!("{one}/logs?type=BUILD&follow=false&tail_lines=200"), 200),
        (one, 200),
        (format!("/v2/apps/{app}/health"), 200),
    ] {
        assert_eq!(get(&(simulator.url() + &path)).status, status, "{path}");
    }
}

#[test]
fn lists_come_in_pages_with_the_newest_first_and_can_be_narrowed() {
    let simulator = Simulator::start();
    let app = simulator.add_app("web", "acme/web", "main", "");
    let first = simulator.deploy(&app, COMMIT);
    let again = simulator.redeploy(&app, COMMIT);
    assert_eq!(simulator.deploy(&app, COMMIT).id(), again.id());
    let url = |query: &str| simulator.url() + &format!("/v2/apps/{app}/deployments{query}");
    let page = get(&url("?per_page=1")).json();
    assert_eq!(page["deployments"][0]["id"], again.id());
    assert_eq!(page["meta"]["total"], 2);
    assert!(page["links"]["pages"]["next"].as_str().unwrap().contains("page=2"));
    let page = get(&url("?per_page=1&page=2")).json();
    assert_eq!(page["deployments"][0]["id"], first.id());
    assert!(page["links"]["pages"]["next"].is_null());
    let narrowed = get(&url("?deployment_types=MANUAL&deployment_types=AUTOSCALED")).json();
    assert_eq!(narrowed["meta"]["total"], 1);
}

#[test]
fn what_becomes_active_supersedes_what_was() {
    let simulator = Simulator::start();
    let app = simulator.add_app("web", "acme/web", "main", "https://web.test");
    let first = simulator.deploy(&app, COMMIT);
    first.set_phase("ACTIVE");
    let second = simulator.deploy(&app, LATER);
    second.set_phase("BUILDING");
    let url = simulator.url() + &format!("/v2/apps/{app}");
    let seen = get(&url).json();
    assert_eq!(seen["app"]["active_deployment"]["id"], first.id());
    assert_eq!(seen["app"]["in_progress_deployment"]["id"], second.id());
    assert!(seen["app"]["pending_deployment"].is_null());
    second.set_phase("ACTIVE");
    assert_eq!(first.phase(), "SUPERSEDED");
    let seen = get(&url).json();
    assert_eq!(seen["app"]["active_deployment"]["id"], second.id());
    // Zero counters are left out.
    let progress = &seen["app"]["active_deployment"]["progress"];
    assert_eq!((&progress["success_steps"], &progress["running_steps"]), (&6.into(), &().into()));
}

#[test]
fn a_timeline_begins_with_the_push_of_its_commit() {
    let simulator = Simulator::start();
    let app = simulator.add_app("web", "acme/web", "main", "");
    let soon = Duration::from_millis(100);
    simulator.timeline(COMMIT, &[(Duration::ZERO, "BUILDING"), (soon, "ACTIVE")]);
    let begun = Instant::now();
    let deployment = simulator.deploy(&app, COMMIT);
    while deployment.phase() != "ACTIVE" {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::yield_now();
    }
    assert!(begun.elapsed() >= soon);
}

#[test]
fn archived_logs_want_their_signature_and_nothing_else() {
    let simulator = Simulator::start();
    let app = simulator.add_app("web", "acme/web", "main", "");
    let deployment = simulator.deploy(&app, COMMIT);
    deployment.fail_build("web 2026 broken\n");
    let logs = simulator.url() + &format!("/v2/apps/{app}/deployments/{}/logs?type=", deployment.id());
    assert_eq!(get(&(logs.clone() + "DEPLOY")).status, 400);
    let links = get(&(logs + "BUILD")).json();
    let url = links["historic_urls"][0].as_str().unwrap();
    assert!(!url.starts_with(&simulator.url()), "the archive is another host");
    assert_eq!(ask(url, Some("token")).unwrap().status, 400);
    assert_eq!(ask(url.split('?').next().unwrap(), None).unwrap().status, 403);
    let log = ask(url, None).unwrap();
    assert_eq!((log.status, log.body.as_slice()), (200, &b"web 2026 broken\n"[..]));
    let authorised: Vec<bool> = simulator.log_downloads().iter().map(|it| it.authorised).collect();
    assert_eq!(authorised, [true, false, false]);
}

#[test]
fn faults_meet_one_request_each() {
    let simulator = Simulator::start();
    let app = simulator.add_app("web", "acme/web", "main", "");
    let url = simulator.url() + &format!("/v2/apps/{app}");
    let sound = get(&url).body;
    simulator.faults([
        Fault::RateLimited { retry_after: 7 },
        Fault::Status(503),
        Fault::Html,
        Fault::Truncated,
        Fault::Empty,
        Fault::Nulls,
        Fault::Huge,
        Fault::Broken,
        Fault::Slow(Duration::from_millis(50)),
    ]);
    let limited = get(&url);
    assert_eq!(limited.status, 429);
    assert!(limited.headers.contains(&("retry-after".to_owned(), "7".to_owned())));
    assert_eq!(get(&url).status, 503);
    assert!(get(&url).body.starts_with(b"<!DOCTYPE"));
    assert_eq!(get(&url).body, sound[..sound.len() / 2]);
    assert!(get(&url).body.is_empty());
    assert!(get(&url).json()["app"]["id"].is_null());
    assert!(get(&url).body.len() > 40 * 1024 * 1024);
    assert!(ask(&url, Some("token")).is_err());
    let begun = Instant::now();
    assert_eq!(get(&url).body, sound);
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert_eq!(get(&url).body, sound);
}
