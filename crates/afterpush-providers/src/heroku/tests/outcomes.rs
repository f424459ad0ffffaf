//! What each step becomes, with its reason and its log.

use super::*;

fn ours(seen: ProviderObservation) -> Observed {
    seen.deployment.unwrap()
}

#[test]
fn every_word_of_a_build_becomes_a_state() {
    let it = ours(observe(&mut following(), &[(BUILDS, ok(json!([build("pending"), old_build()])))]));
    assert_eq!((it.state, it.raw.as_str(), it.commit.relation), (State::Building, "build pending", Relation::Same));
    assert_eq!(it.url.unwrap(), format!("https://dashboard.heroku.com/apps/storefront/activity/builds/{BUILD}"));
    assert_eq!(it.site_url.as_deref(), Some("https://storefront-0123.herokuapp.com/"));
    let failed = [(BUILDS, ok(json!([build("failed")]))), (RELEASES, ok(json!([release(6, "succeeded", true)])))];
    let seen = observe(&mut following(), &failed);
    assert!(!seen.serving.as_ref().unwrap().is_later);
    let it = ours(seen);
    assert_eq!(
        (it.state, it.raw.as_str(), it.reason.as_deref()),
        (State::Failed, "build failed", Some("the build failed"))
    );
    let unknown = answer(200, json!([build("paus\u{1b}[31med")]).to_string());
    let it = ours(observe(&mut following(), &[(BUILDS, unknown), (RELEASES, ok(json!([])))]));
    assert_eq!((it.state, it.raw.as_str()), (State::Unknown, "build paused"));
}

#[test]
fn every_word_of_a_release_becomes_a_state() {
    let before = || release(6, "succeeded", true);
    for (word, state, told) in [
        ("pending", State::Deploying, "the release phase is running"),
        ("succeeded", State::Deploying, "waiting to become the current release"),
        ("failed", State::Failed, "the release phase failed, and the app stays at the release before"),
        ("expired", State::Failed, "the release expired"),
    ] {
        let it = ours(seen(&[release(7, word, false), before()], None));
        assert_eq!((it.state, it.raw), (state, format!("release {word}")));
        assert_eq!(it.progress.or(it.reason).as_deref(), Some(told));
    }
    let unknown = answer(200, json!([release(7, "dreaming", false), before()]).to_string());
    let script = [(BUILDS, ok(json!([build("succeeded")]))), (RELEASES, unknown)];
    let it = ours(observe(&mut following(), &script));
    assert_eq!((it.state, it.raw.as_str()), (State::Unknown, "release dreaming"));
}

#[test]
fn a_build_without_its_release_yet_is_deploying() {
    let built = any_build(BUILD, json!(COMMIT), "succeeded", "2026-01-02T03:04:05Z", None);
    let script = [(BUILDS, ok(json!([built]))), (RELEASES, ok(json!([release(6, "succeeded", true)])))];
    let it = ours(observe(&mut following(), &script));
    assert_eq!((it.state, it.progress.as_deref()), (State::Deploying, Some("waiting for its release")));
}

#[test]
fn live_is_the_current_release_that_the_dynos_run() {
    let current = || [release(7, "succeeded", true), release(6, "succeeded", false)];
    let it = ours(seen(&current(), Some(&[dyno("web.1", "up", 7)])));
    assert_eq!((it.state, it.raw.as_str(), it.reason), (State::Live, "release succeeded", None));
    let it = ours(seen(&current(), Some(&[dyno("web.1", "up", 6)])));
    assert_eq!((it.state, it.progress.as_deref()), (State::Deploying, Some("the dyno web.1 still runs release v6")));
    let it = ours(seen(&current(), Some(&[dyno("web.1", "up", 7), dyno("worker.1", "crashed", 7)])));
    assert_eq!((it.state, it.reason.as_deref()), (State::Live, Some("the dyno worker.1 has crashed")));
}

#[test]
fn a_change_of_the_configuration_keeps_the_commit_live_and_other_code_replaces_it() {
    let config = [release_of(8, 7, "succeeded", true), release(7, "succeeded", false)];
    let seen_by_config = seen(&config, Some(&[dyno("web.1", "up", 8)]));
    let serving = seen_by_config.serving.clone().unwrap();
    assert_eq!((serving.is_later, serving.commit.unwrap().relation), (false, Relation::Same));
    assert_eq!(ours(seen_by_config).state, State::Live);

    let other = seen(&[release(8, "succeeded", true), release(7, "succeeded", false)], None);
    assert!(other.serving.as_ref().unwrap().is_later);
    let it = ours(other);
    assert_eq!((it.state, it.reason.as_deref()), (State::Replaced, Some("release v8 serves instead")));
    let it = ours(seen(&[release(8, "succeeded", true), release(7, "expired", false)], None));
    assert_eq!(it.state, State::Superseded);
    let it = ours(seen(&[release(8, "succeeded", true), release(7, "failed", false)], None));
    assert_eq!(it.state, State::Failed);
    // The failed release phase was run again.
    let again = [release_of(8, 7, "succeeded", true), release(7, "failed", false)];
    assert_eq!(ours(seen(&again, Some(&[dyno("web.1", "up", 8)]))).state, State::Live);
    // An image has no slug.
    let image = |version: u32, image: u32, current: bool| {
        let artifact = json!([{"type": "oci-image", "id": id('a', image)}]);
        with(with(release(version, "succeeded", current), "slug", Value::Null), "artifacts", artifact)
    };
    let it = ours(seen(&[image(8, 1, true), image(7, 1, false)], Some(&[])));
    assert_eq!(it.state, State::Live);
    assert_eq!(ours(seen(&[image(8, 2, true), image(7, 1, false)], None)).state, State::Replaced);
}

#[test]
fn a_release_beyond_the_first_page_is_asked_for() {
    let one = format!("{RELEASES}/{}", id('c', 7));
    let script = [
        (BUILDS, ok(json!([build("succeeded")]))),
        (RELEASES, ok(json!([release(40, "succeeded", true)]))),
        (one.as_str(), ok(release(7, "succeeded", false))),
    ];
    assert_eq!(ours(observe(&mut following(), &script)).state, State::Replaced);
}

#[test]
fn a_promotion_is_known_by_the_commit_of_its_code() {
    let promoted = with(release(7, "succeeded", true), "description", json!("Promote staging v12 01234567"));
    let slug = format!("/apps/{APP_ID}/slugs/{}", id('d', 7));
    let of_slug = |commit: &str| ok(json!({"id": id('d', 7), "commit": commit, "process_types": {"web": CANARY}}));
    let mut provider = new();
    let list = [(BUILDS, ok(json!([]))), (RELEASES, ok(json!([promoted])))];
    let dynos = (DYNOS, ok(json!([dyno("web.1", "up", 7)])));
    let script = [&[(APP, ok(app()))], &list[..], &[(slug.as_str(), of_slug(COMMIT)), dynos.clone()]].concat();
    let it = ours(observe(&mut provider, &script));
    assert_eq!((it.state, it.id.as_str(), it.commit.relation), (State::Live, id('c', 7).as_str(), Relation::Same));
    // The code is asked for once.
    assert_eq!(ours(observe(&mut provider, &[&list[..], &[dynos]].concat())).state, State::Live);
    let other = [&[(APP, ok(app()))], &list[..], &[(slug.as_str(), of_slug(OLD_COMMIT))]].concat();
    assert_eq!(observe(&mut new(), &other).deployment, None);

    let image = with(with(release(7, "pending", false), "slug", Value::Null), "description", json!("Deploy 0123456"));
    let image = with(image, "artifacts", json!([{"type": "oci-image", "id": id('a', 1)}]));
    let path = format!("/apps/{APP_ID}/oci-images/{}", id('a', 1));
    let of_image = answer(200, json!([{"id": id('a', 1), "commit": COMMIT}]).to_string());
    let script = [(APP, ok(app())), (BUILDS, ok(json!([]))), (RELEASES, ok(json!([image]))), (path.as_str(), of_image)];
    assert_eq!(ours(observe(&mut new(), &script)).state, State::Deploying);
}

#[test]
fn how_an_earlier_push_of_the_commit_failed_is_not_this_pushs_end() {
    let mut provider = provider(Setup { pushed_at: Some("2026-01-03T00:00:00Z".parse().unwrap()), ..setup("") });
    let script = [(APP, ok(app())), (BUILDS, ok(json!([build("failed")]))), (RELEASES, ok(json!([])))];
    assert_eq!(observe(&mut provider, &script).deployment, None);
}

#[test]
fn a_dyno_that_stays_crashed_is_a_failure_with_the_apps_log() {
    let mut provider = following();
    let script = [
        (BUILDS, ok(json!([build("succeeded")]))),
        (RELEASES, ok(json!([release(7, "succeeded", true)]))),
        (DYNOS, ok(json!([dyno("web.1", "crashed", 7)]))),
    ];
    let it = ours(observe(&mut provider, &script));
    assert_eq!((it.state, it.progress.as_deref()), (State::Deploying, Some("the dyno web.1 has crashed once")));
    let it = ours(observe(&mut provider, &script));
    assert_eq!((it.state, it.raw.as_str()), (State::Failed, "dyno crashed"));
    assert_eq!(it.reason.as_deref(), Some("the dyno web.1 crashes"));
    let session = json!({"id": id('b', 1), "logplex_url": "https://logs.heroku.test/x?y=1", "created_at": "2026-01-01T00:00:00Z"});
    let path = format!("POST /apps/{APP_ID}/log-sessions");
    let made = HttpResponse { status: 201, ..ok(session) };
    let script = [(path.as_str(), made), ("https://logs.heroku.test/x?y=1", answer(200, "Error R10"))];
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &script);
    assert_eq!(turn, Turn::Reply(Reply::Log("Error R10".to_owned())));
}

#[test]
fn the_log_is_the_failed_steps_and_its_address_stays_secret() {
    let stream = "https://build-output.heroku.test/streams/1?signature=secret";
    let of_build = || {
        let mut provider = following();
        let failed = [(BUILDS, ok(json!([build("failed")]))), (RELEASES, ok(json!([])))];
        assert!(!format!("{:?}", observe(&mut provider, &failed)).contains("signature"));
        provider
    };
    let one = format!("{BUILDS}/{BUILD}");
    let log = |provider: &mut Box<dyn Provider>, script: &[(&str, HttpResponse)]| {
        VENDOR.play(provider.as_mut(), Question::FailureLog, script)
    };
    let turn = log(&mut of_build(), &[(&one, ok(build("failed"))), (stream, answer(200, "-----> npm error"))]);
    assert_eq!(turn, Turn::Reply(Reply::Log("-----> npm error".to_owned())));
    let turn = log(&mut of_build(), &[(&one, ok(build("failed"))), (stream, answer(404, "no-echo"))]);
    let Turn::Fault(fault) = turn else { panic!("{turn:?}") };
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Transient, "the build's log cannot be read (404)"));

    let mut of_release = following();
    let failed = [(BUILDS, ok(json!([build("succeeded")]))), (RELEASES, ok(json!([release(7, "failed", false)])))];
    observe(&mut of_release, &failed);
    let one = format!("{RELEASES}/{}", id('c', 7));
    let streaming = with(release(7, "failed", false), "output_stream_url", json!(stream));
    let turn = log(&mut of_release, &[(&one, ok(streaming)), (stream, answer(200, "migration failed"))]);
    assert_eq!(turn, Turn::Reply(Reply::Log("migration failed".to_owned())));
    let turn = log(&mut of_release, &[(&one, ok(release(7, "failed", false)))]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.message.contains("does not tell where")), "{turn:?}");
    let turn = log(&mut following(), &[]);
    assert!(matches!(&turn, Turn::Fault(fault) if fault.kind == FaultKind::NotFound), "{turn:?}");
}
