//! Every word, and what it becomes beside what production points at.

use super::*;

fn our_production() -> Value {
    production("dpl_ours", COMMIT, PUSHED_AT)
}

fn later_production() -> Value {
    production("dpl_later", OLD_COMMIT, PUSHED_AT + 60_000)
}

fn detail(fields: &[(&str, Value)]) -> Value {
    let mut it = json!({"id": "dpl_ours", "env": [CANARY], "buildSkipped": false});
    for (key, value) in fields {
        it[*key] = value.clone();
    }
    it
}

#[test]
fn every_word_has_its_meaning() {
    for (word, state) in [
        ("QUEUED", State::Queued),
        ("INITIALIZING", State::Queued),
        ("BUILDING", State::Building),
        ("PONDERING\u{1b}[2J", State::Unknown),
    ] {
        let it = listed(&[ours(word)]);
        assert_eq!(it.state, state, "{word}");
        assert!(word.starts_with(&it.raw) && !it.raw.is_empty(), "{it:?}");
    }
    let old = with(with(ours(""), "readyState", Value::Null), "state", json!("BUILDING"));
    let script = [(LIST, answer(200, list(&[old]).to_string()))];
    assert_eq!(observe(&mut following(), &script).deployment.unwrap().state, State::Building);
}

#[test]
fn live_is_said_only_when_production_points_at_it() {
    let it = seen(&[served()], our_production());
    assert_eq!((it.state, it.site_url.as_deref()), (State::Live, Some("https://www.acme.test")));

    let unassigned = with(ours("READY"), "readySubstate", json!("STAGED"));
    for (deployment, production, state, text) in [
        (with(served(), "readySubstate", json!("STAGED")), old_production(), State::Blocked, "a person"),
        (with(served(), "readySubstate", json!("ROLLING")), our_production(), State::Deploying, "rolling out"),
        (unassigned.clone(), old_production(), State::Deploying, "waiting for its domains"),
        (with(unassigned.clone(), "checksState", json!("running")), our_production(), State::Deploying, "checks"),
        (with(ours("READY"), "aliasAssigned", json!(true)), old_production(), State::Deploying, "to point at it"),
        (with(ours("READY"), "aliasAssigned", json!(true)), Value::Null, State::Deploying, "to point at it"),
        (
            with(ours("READY"), "aliasAssigned", json!(false)),
            our_production(),
            State::Deploying,
            "waiting for its domains",
        ),
        (served(), later_production(), State::Replaced, "dpl_later serves instead"),
        (unassigned, later_production(), State::Superseded, "dpl_later serves instead"),
        (served(), old_production(), State::Replaced, "rolled back to deployment dpl_old"),
    ] {
        let script = [
            (LIST, ok(list(std::slice::from_ref(&deployment)))),
            (BY_ID, answer(200, project(production).to_string())),
        ];
        let it = observe(&mut following(), &script).deployment.unwrap();
        let told = it.reason.or(it.progress).unwrap_or_default();
        assert!(it.state == state && told.contains(text), "{:?} {told:?} {deployment}", it.state);
    }
}

#[test]
fn a_project_that_assigns_no_domains_waits_for_a_person() {
    let staged = with(ours("READY"), "readySubstate", json!("STAGED"));
    let project = with(project(old_production()), "autoAssignCustomDomains", json!(false));
    let script = [(LIST, ok(list(&[staged]))), (BY_ID, ok(project))];
    assert_eq!(observe(&mut following(), &script).deployment.unwrap().state, State::Blocked);
}

#[test]
fn what_took_its_place_is_told_as_later() {
    let script = [(LIST, ok(list(&[served()]))), (BY_ID, ok(project(later_production())))];
    let serving = observe(&mut following(), &script).serving.unwrap();
    assert!(serving.is_later && serving.commit.unwrap().relation == Relation::Other);
}

#[test]
fn domains_that_cannot_be_given_are_a_failure() {
    let error = json!({"code": "conflict", "message": "the domain\nis taken"});
    let it = seen(&[with(ours("READY"), "aliasError", error)], old_production());
    assert_eq!(it.state, State::Failed);
    assert_eq!(it.reason.as_deref(), Some("it could not be given its domains: the domain is taken"));
    let checks = json!({"deployment-alias": {"state": "failed", "startedAt": 1}});
    let it = seen(&[with(ours("READY"), "checks", checks)], old_production());
    assert!(it.state == State::Failed && it.reason.unwrap().contains("checks failed"));
}

#[test]
fn a_failure_is_said_with_its_reason_and_its_log() {
    let error = json!("Command \"npm run build\"\u{1b}[31m exited\nwith 1");
    let mut provider = following();
    let failed = with(ours("ERROR"), "errorMessage", error);
    let it = observe(&mut provider, &[(LIST, ok(list(&[failed])))]).deployment.unwrap();
    assert_eq!(it.state, State::Failed);
    assert_eq!(it.reason.as_deref(), Some("Command \"npm run build\" exited with 1"));

    let line = |at: i64, text: &str| {
        json!({"created": at, "date": at, "deploymentId": "d", "id": "e", "serial": "s", "text": text, "type": "stdout",
            "info": {"type": "build", "name": "b"}})
    };
    let nested = json!({"type": "stderr", "created": 2, "payload": {"deploymentId": "d", "id": "e", "date": 2, "serial": "s", "text": "two"}});
    let events = json!([line(3, "three"), nested, null, line(1, "one")]);
    let path = "/v3/deployments/dpl_ours/events?builds=1&direction=backward&follow=0&limit=200";
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[(path, ok(events))]);
    assert_eq!(turn, Turn::Reply(Reply::Log("one\ntwo\nthree".to_owned())));
    let turn = VENDOR.play(provider.as_mut(), Question::FailureLog, &[(path, ok(json!([])))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::Transient));
    let turn = VENDOR.play(following().as_mut(), Question::FailureLog, &[(path, answer(403, "{}"))]);
    assert!(matches!(turn, Turn::Fault(fault) if fault.kind == FaultKind::Unauthorized));
}

#[test]
fn a_failure_without_a_text_is_looked_up_once() {
    let mut provider = following();
    let failed = list(&[ours("DEPLOYMENT_ERROR")]);
    let detail = detail(&[("errorStep", json!("buildStep")), ("errorMessage", json!("It broke"))]);
    let script = [(LIST, answer(200, failed.to_string())), (DETAIL, answer(200, detail.to_string()))];
    let it = observe(&mut provider, &script).deployment.unwrap();
    assert_eq!((it.state, it.reason.as_deref()), (State::Failed, Some("buildStep: It broke")));
    let again = observe(&mut provider, &script[..1]).deployment.unwrap();
    assert_eq!(again.reason.as_deref(), Some("buildStep: It broke"));
    // The failure stands, whatever becomes of the question why.
    let script = [(LIST, ok(list(&[ours("ERROR")]))), (DETAIL, answer(500, ""))];
    assert_eq!(observe(&mut following(), &script).deployment.unwrap().state, State::Failed);
}

#[test]
fn canceled_skipped_superseded_and_blocked_are_told_apart() {
    let later = deployment("dpl_later", OLD_COMMIT, "QUEUED", PUSHED_AT + 5);
    let ignored = json!(
        "The Deployment has been canceled as a result of running the command defined in the \"Ignored Build Step\" setting."
    );
    let link = json!("https://vercel.link/docs#ignored-build-step");
    for (deployments, detail, state) in [
        (vec![ours("CANCELED")], detail(&[("readyStateReason", json!("Canceled by acme"))]), State::Canceled),
        (vec![later, ours("CANCELED")], detail(&[]), State::Superseded),
        (vec![with(ours("CANCELED"), "errorMessage", ignored)], detail(&[]), State::Skipped),
        (vec![ours("CANCELED")], detail(&[("errorLink", link)]), State::Skipped),
        (vec![ours("CANCELED")], detail(&[("buildSkipped", json!(true))]), State::Skipped),
    ] {
        let script = [
            (LIST, ok(list(&deployments))),
            (DETAIL, answer(200, detail.to_string())),
            (BY_ID, ok(project(old_production()))),
        ];
        let it = observe(&mut following(), &script).deployment.unwrap();
        assert_eq!(it.state, state, "{deployments:?}");
        assert!(state != State::Canceled || it.reason.as_deref() == Some("Canceled by acme"));
    }
    let blocked = detail(&[("readyStateReason", json!("The author is no member of the team"))]);
    let script =
        [(LIST, answer(200, list(&[ours("BLOCKED")]).to_string())), (DETAIL, answer(200, blocked.to_string()))];
    let it = observe(&mut following(), &script).deployment.unwrap();
    assert_eq!((it.state, it.reason.as_deref()), (State::Blocked, Some("The author is no member of the team")));
    // Whether it was skipped or canceled is not guessed.
    let script = [(LIST, ok(list(&[ours("CANCELED")]))), (DETAIL, answer(500, ""))];
    assert_eq!(VENDOR.fault(following().as_mut(), &script).kind, FaultKind::Transient);
}

#[test]
fn a_deleted_deployment_was_replaced_if_it_was_ever_ready() {
    assert_eq!(seen(&[with(ours("DELETED"), "ready", json!(5))], old_production()).state, State::Replaced);
    assert_eq!(seen(&[ours("DELETED")], old_production()).state, State::Canceled);
}

#[test]
fn what_had_ended_long_before_the_push_is_an_earlier_ones() {
    let pushed_at = Some(jiff::Timestamp::from_millisecond(PUSHED_AT + 3_600_000).unwrap());
    let late = || {
        let mut provider = provider(Setup { pushed_at, ..setup("project = 'web'") });
        observe(&mut provider, &[(BY_NAME, ok(project(old_production()))), (LIST, ok(list(&[])))]);
        provider
    };
    let script = [(LIST, ok(list(&[ours("ERROR")]))), (BY_ID, ok(project(old_production())))];
    assert_eq!(observe(&mut late(), &script).deployment, None);
    let script = [(LIST, ok(list(&[served()]))), (BY_ID, ok(project(later_production())))];
    assert_eq!(observe(&mut late(), &script).deployment, None);
    // What serves is taken for ours.
    let script = [(LIST, ok(list(&[served()]))), (BY_ID, ok(project(our_production())))];
    assert_eq!(observe(&mut late(), &script).deployment.unwrap().state, State::Live);
    // A newer one of the same commit, as after a redeploy, takes its place.
    let newer = deployment("dpl_again", COMMIT, "BUILDING", PUSHED_AT + 9);
    assert_eq!(listed(&[ours("ERROR"), newer]).id, "dpl_again");
}

#[test]
fn a_preview_is_live_at_its_own_address_until_a_later_one_is() {
    let topic = Setup { ref_name: RefName::parse("refs/heads/topic").unwrap(), ..setup("project = 'web'") };
    let path = LIST.replace("main", "topic");
    let look = |deployments: &[Value]| {
        let script = [(BY_NAME, ok(project(old_production()))), (path.as_str(), ok(list(deployments)))];
        observe(&mut provider(topic.clone()), &script)
    };
    let live = look(&[preview(served())]);
    let it = live.deployment.unwrap();
    assert_eq!((it.state, it.site_url.as_deref()), (State::Live, Some("https://dpl-ours.vercel.app")));
    assert_eq!(live.serving.unwrap().deployment_id, "dpl_ours");
    let waiting = look(&[preview(ours("READY"))]).deployment.unwrap();
    assert_eq!(waiting.state, State::Deploying);

    let later = |state: &str| {
        let it = deployment("dpl_later", OLD_COMMIT, state, PUSHED_AT + 5);
        preview(with(it, "aliasAssigned", json!(1)))
    };
    assert_eq!(look(&[later("BUILDING"), preview(served())]).deployment.unwrap().state, State::Live);
    let replaced = look(&[later("READY"), preview(served())]);
    assert_eq!(replaced.deployment.unwrap().state, State::Replaced);
    assert!(replaced.serving.unwrap().is_later);
    // Without one of ours, what serves is told without a claim to be later.
    assert!(!look(&[later("READY")]).serving.unwrap().is_later);
}

#[test]
fn a_preview_of_the_production_branch_is_not_what_a_push_of_it_means() {
    let mut by_hand = with(served(), "target", Value::Null);
    by_hand["uid"] = json!("dpl_hand");
    let script = [(LIST, ok(list(std::slice::from_ref(&by_hand)))), (BY_ID, ok(project(old_production())))];
    assert_eq!(observe(&mut following(), &script).deployment, None);
    by_hand["created"] = json!(PUSHED_AT + 9);
    assert_eq!(listed(&[by_hand, building()]).id, "dpl_ours");

    let topic = Setup { ref_name: RefName::parse("refs/heads/topic").unwrap(), ..setup("project = 'web'") };
    let promoted = with(preview(served()), "target", json!("production"));
    let path = LIST.replace("main", "topic");
    let script = [(BY_NAME, ok(project(our_production()))), (path.as_str(), ok(list(&[promoted])))];
    assert_eq!(observe(&mut provider(topic), &script).deployment, None);
}
