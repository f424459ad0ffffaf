//! Every word, and what it becomes beside what the site has published.

use super::*;

#[test]
fn every_word_has_its_meaning() {
    for (word, state) in [
        ("new", State::Queued),
        ("accepted", State::Queued),
        ("enqueued", State::Queued),
        ("retrying", State::Queued),
        ("pending_review", State::Blocked),
        ("building", State::Building),
        ("uploading", State::Deploying),
        ("uploaded", State::Deploying),
        ("preparing", State::Deploying),
        ("prepared", State::Deploying),
        ("processing", State::Deploying),
        ("processed", State::Deploying),
        ("error", State::Failed),
        ("rejected", State::Failed),
        ("pondering\u{1b}[2J", State::Unknown),
        ("", State::Unknown),
    ] {
        let it = listed(&[ours(word)]);
        assert_eq!(it.state, state, "{word}");
        assert!(word.starts_with(&it.raw), "{it:?}");
    }
}

#[test]
fn live_is_said_only_when_the_site_has_published_it() {
    let it = seen(&[published()], published());
    assert_eq!((it.state, it.site_url.as_deref()), (State::Live, Some("https://www.acme.test")));
    for (deploy, serves, state, text) in [
        (ours("ready"), old(), State::Deploying, "waiting for the site"),
        (ours("ready"), json!({"id": "4a"}), State::Deploying, "waiting for the site"),
        (ours("ready"), with(old(), "locked", json!(true)), State::Blocked, "locked to deploy 4a"),
        (published(), old(), State::Replaced, "rolled back to deploy 4a"),
        (published(), later(), State::Replaced, "deploy 6a serves instead"),
        (ours("ready"), later(), State::Superseded, "deploy 6a serves instead"),
    ] {
        let it = seen(&[deploy], serves);
        let told = it.reason.or(it.progress).unwrap_or_default();
        assert!(it.state == state && told.contains(text), "{:?} {told:?}", it.state);
    }
    let none = with(site(old()), "published_deploy", Value::Null);
    let script = [(LIST, ok(json!([ours("ready")]))), (BY_ID, answer(200, none.to_string()))];
    assert_eq!(observe(&mut following(), &script).deployment.unwrap().state, State::Deploying);
}

#[test]
fn what_took_its_place_is_told_as_later() {
    let script = [(LIST, ok(json!([later(), published()]))), (BY_ID, ok(site(later())))];
    let serving = observe(&mut following(), &script).serving.unwrap();
    assert!(serving.is_later && serving.commit.unwrap().relation == Relation::Other);
}

#[test]
fn a_failure_is_said_with_its_reason_and_its_log() {
    let mut provider = following();
    let failed = error("Build script returned\u{1b}[31m non-zero\nexit code: 2");
    let it = observe(&mut provider, &[(LIST, ok(json!([failed])))]).deployment.unwrap();
    assert_eq!(it.state, State::Failed);
    assert_eq!(it.reason.as_deref(), Some("Build script returned non-zero exit code: 2"));
    assert_eq!(it.url.as_deref(), Some("https://app.netlify.com/sites/web/deploys/5a"));

    let lines = json!([
        {"ts": BEFORE, "log": "one", "section": "building"}, null, {"ts": AFTER, "message": "two", "level": "ERROR"},
    ]);
    let path = "/deploys/5a/log";
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[(path, ok(lines))]);
    assert_eq!(turn, Turn::Reply(Reply::Log("one\ntwo".to_owned())));
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[(path, ok(json!([])))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::Transient));
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[(path, answer(403, ""))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::Unauthorized));
    let turn = VENDOR.play(by_name().as_mut(), Question::FailureLog, &[]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::NotFound));
    assert!(listed(&[ours("rejected")]).reason.unwrap().contains("a person rejected"));
}

#[test]
fn skipped_canceled_and_superseded_are_told_apart_from_a_failure() {
    let skipped = with(error("Checking found nothing to do"), "skipped", json!(true));
    let queued = deploy("6a", OLD_COMMIT, "enqueued", AFTER);
    for (deploys, state) in [
        (vec![error("Canceled build due to no content change")], State::Skipped),
        (vec![error("Skipped")], State::Skipped),
        (vec![skipped], State::Skipped),
        (vec![ours("skipped")], State::Skipped),
        (vec![error("Canceled build")], State::Canceled),
        (vec![error("Build canceled by acme")], State::Canceled),
        (vec![with(error("Canceled build"), "skipped", json!(true))], State::Canceled),
        (vec![queued, error("Canceled build")], State::Superseded),
    ] {
        let it = seen(&deploys, old());
        assert_eq!(it.state, state, "{deploys:?}");
        assert!(it.reason.is_some() || deploys[0]["state"] == "skipped");
    }
    for failed in ["Failed during stage 'building site': it was canceled", "Deploy did not succeed"] {
        assert_eq!(listed(&[error(failed)]).state, State::Failed, "{failed}");
    }
}

#[test]
fn what_had_ended_long_before_the_push_is_an_earlier_ones() {
    let late = || {
        let pushed_at = Some("2026-01-02T04:00:00Z".parse().unwrap());
        let mut provider = provider(Setup { pushed_at, ..setup("site = 'web'") });
        observe(&mut provider, &[(BY_NAME, ok(site(old()))), (LIST, ok(json!([])))]);
        provider
    };
    for (deploy, serves) in [(error("It broke"), old()), (published(), later())] {
        let script = [(LIST, ok(json!([deploy]))), (BY_ID, ok(site(serves)))];
        assert_eq!(observe(&mut late(), &script).deployment, None);
    }
    let script = [(LIST, ok(json!([published()]))), (BY_ID, ok(site(published())))];
    assert_eq!(observe(&mut late(), &script).deployment.unwrap().state, State::Live);
    // A newer one of the same commit, as after a retry, takes its place.
    assert_eq!(listed(&[error("It broke"), deploy("6a", COMMIT, "building", AFTER)]).id, "6a");
}

#[test]
fn what_a_push_means_comes_before_a_pull_requests_preview() {
    let on = |deploy: Value, branch: &str, context: &str| {
        with(with(deploy, "branch", json!(branch)), "context", json!(context))
    };
    let preview =
        |branch: &str| with(on(deploy("7a", COMMIT, "ready", AFTER), branch, "deploy-preview"), "review_id", json!(7));
    // A push of production's branch means production alone.
    let script = [(LIST, ok(json!([preview("main")]))), (BY_ID, ok(site(old())))];
    assert_eq!(observe(&mut following(), &script).deployment, None);
    assert_eq!(listed(&[preview("main"), ours("building")]).id, "5a");

    let topic = Setup { ref_name: RefName::parse("refs/heads/topic").unwrap(), ..setup("site = 'web'") };
    let path = LIST.replace("main", "topic");
    let look = |deploys: &[Value]| {
        let script = [(BY_NAME, ok(site(old()))), (path.as_str(), ok(json!(deploys)))];
        observe(&mut provider(topic.clone()), &script).deployment.unwrap()
    };
    let preview = preview("topic");
    assert_eq!(look(&[preview.clone(), on(ours("building"), "topic", "branch-deploy")]).id, "5a");
    let alone = look(std::slice::from_ref(&preview));
    assert_eq!((alone.state, alone.site_url.as_deref()), (State::Live, Some("https://7a--web.netlify.app")));
    let next = |review: i64| {
        let next = deploy("8a", OLD_COMMIT, "ready", "2026-01-02T03:06:00Z");
        with(on(next, "topic", "deploy-preview"), "review_id", json!(review))
    };
    assert_eq!(look(&[next(7), preview.clone()]).state, State::Replaced);
    assert_eq!(look(&[next(8), preview]).state, State::Live);
}

#[test]
fn a_branch_deploy_is_live_at_its_own_address_until_a_later_one_is() {
    let topic = Setup { ref_name: RefName::parse("refs/heads/topic").unwrap(), ..setup("site = 'web'") };
    let path = LIST.replace("main", "topic");
    let branch = |deploy: Value| with(with(deploy, "context", json!("branch-deploy")), "branch", json!("topic"));
    let look = |deploys: &[Value]| {
        let script = [(BY_NAME, ok(site(old()))), (path.as_str(), ok(json!(deploys)))];
        observe(&mut provider(topic.clone()), &script)
    };
    let live = look(&[branch(ours("ready"))]);
    assert_eq!(live.deployment.unwrap().site_url.as_deref(), Some("https://5a--web.netlify.app"));
    assert_eq!(live.serving.unwrap().deployment_id, "5a");
    let building = deploy("6a", OLD_COMMIT, "building", AFTER);
    assert_eq!(look(&[branch(building), branch(ours("ready"))]).deployment.unwrap().state, State::Live);
    let replaced = look(&[branch(later()), branch(ours("ready"))]);
    assert_eq!(replaced.deployment.unwrap().state, State::Replaced);
    assert!(replaced.serving.unwrap().is_later);
    assert!(!look(&[branch(later())]).serving.unwrap().is_later);
}
