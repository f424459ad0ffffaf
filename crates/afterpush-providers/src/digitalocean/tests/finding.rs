//! Finding the app, and the deployment of the commit.

use afterpush_core::{fault::FaultKind, run::Relation};

use super::*;

const APPS_PATH: &str = "/v2/apps?page=1&per_page=200";

fn apps(apps: &[Value]) -> Value {
    json!({"apps": apps, "links": {}, "meta": {"total": apps.len()}})
}

fn begun() -> Value {
    deployment(OURS, COMMIT, "BUILDING")
}

fn app_from(name: &str, id: &str, source: Value) -> Value {
    let mut component = source;
    component["name"] = json!("web");
    json!({"id": id, "spec": {"name": name, "workers": [component]}, "pending_deployment": begun()})
}

#[test]
fn an_app_told_by_its_id_costs_one_call_when_it_points_at_ours() {
    for pointer in ["pending_deployment", "in_progress_deployment"] {
        let seen = observe(&mut by_id(), &[(APP_PATH, ok(app_with(pointer, begun())))]);
        assert_eq!(seen.deployment.unwrap().id, OURS);
    }
}

#[test]
fn an_app_told_by_its_name_is_looked_for_on_every_page() {
    let first = json!({
        "apps": [app_from("other", OTHER, json!({}))],
        // Only the page's number counts: a link to elsewhere must not be followed.
        "links": {"pages": {"next": "https://elsewhere.test/v2/apps?page=2&per_page=1"}},
        "meta": {"total": 2},
    });
    let second = apps(&[app_from("web-app", APP, json!({}))]);
    let seen = observe(
        &mut provider("app = 'web-app'"),
        &[(APPS_PATH, ok(first)), ("/v2/apps?page=2&per_page=200", ok(second))],
    );
    let url = seen.deployment.unwrap().url.unwrap();
    assert_eq!(url, format!("https://cloud.digitalocean.com/apps/{APP}/deployments/{OURS}"));
}

#[test]
fn a_page_that_points_at_itself_is_not_read_twice() {
    let looping = json!({
        "apps": [],
        "links": {"pages": {"next": "https://api.digitalocean.com/v2/apps?page=1"}},
        "meta": {"total": 0},
    });
    let fault = fault(&mut provider("app = 'web-app'"), &[(APPS_PATH, ok(looping))]);
    assert_eq!(fault.kind, FaultKind::NotFound);
    assert!(fault.message.contains("\"web-app\""), "{fault}");
}

#[test]
fn without_a_setting_remote_and_branch_tell_the_app() {
    for source in [
        json!({"github": {"repo": "Acme/Web-App", "branch": "main"}}),
        json!({"git": {"repo_clone_url": "https://github.com/acme/web-app.git", "branch": "main"}}),
    ] {
        let answer = apps(&[
            app_from("gitlab", OTHER, json!({"gitlab": {"repo": "acme/web-app", "branch": "main"}})),
            app_from("branch", OTHER, json!({"github": {"repo": "acme/web-app", "branch": "next"}})),
            app_from("ours", APP, source),
            app_from("image", OTHER, json!({"image": {"repository": "acme/web-app"}})),
        ]);
        let seen = observe(&mut provider(""), &[(APPS_PATH, ok(answer))]);
        assert!(seen.deployment.unwrap().url.unwrap().contains(APP));
    }
}

#[test]
fn without_a_setting_the_component_narrows_the_search() {
    let source = json!({"github": {"repo": "acme/web-app", "branch": "main"}});
    let answer = apps(&[app_from("ours", APP, source)]);
    let seen = observe(&mut provider("component = 'web'"), &[(APPS_PATH, ok(answer.clone()))]);
    assert!(seen.deployment.is_some());
    let fault = fault(&mut provider("component = 'api'"), &[(APPS_PATH, ok(answer))]);
    assert_eq!(fault.kind, FaultKind::NotFound);
}

#[test]
fn several_apps_of_one_source_are_named_and_none_is_chosen() {
    let source = || json!({"github": {"repo": "acme/web-app", "branch": "main"}});
    let answer = apps(&[app_from("web-eu", APP, source()), app_from("web-us", OTHER, source())]);
    let fault = fault(&mut provider(""), &[(APPS_PATH, ok(answer))]);
    assert_eq!(fault.kind, FaultKind::NotFound);
    for text in ["2 apps", "web-eu", "web-us", "provider.app"] {
        assert!(fault.message.contains(text), "{fault}");
    }
}

#[test]
fn a_push_that_cannot_tell_an_app_asks_nobody() {
    let tag = Setup { ref_name: RefName::parse("refs/tags/v1").unwrap(), ..setup("") };
    let local = Setup { remote_url: "/srv/git/web.git".to_owned(), ..setup("") };
    for setup in [tag, local] {
        let fault = fault(&mut DigitalOcean::new(setup).unwrap(), &[]);
        assert_eq!(fault.kind, FaultKind::NotFound);
        assert!(fault.message.contains("set provider.app"), "{fault}");
    }
}

#[test]
fn an_app_that_is_not_there_is_not_found() {
    let fault = fault(&mut by_id(), &[(APP_PATH, refused(404, "not_found"))]);
    assert_eq!(fault.kind, FaultKind::NotFound);
    assert!(fault.message.contains(APP), "{fault}");
}

#[test]
fn the_first_look_reads_up_to_five_pages_and_later_looks_read_one() {
    let page = |number: u32| {
        let path = format!("{APP_PATH}/deployments?page={number}&per_page=20");
        let mut body = list(&[deployment(OTHER, OLD_COMMIT, "SUPERSEDED")]);
        let next = format!("https://api.digitalocean.com/x?page={}", number + 1);
        body["links"]["pages"]["next"] = json!(next);
        (path, ok(body))
    };
    let pages: Vec<_> = (1..=5).map(page).collect();
    let mut script = vec![(APP_PATH, ok(app_before()))];
    script.extend(pages.iter().map(|(path, body)| (path.as_str(), body.clone())));
    let mut absent = by_id();
    let seen = observe(&mut absent, &script);
    assert_eq!(seen.deployment, None);
    // Then the app and the list take turns.
    let seen = observe(&mut absent, &[(APP_PATH, ok(app_before()))]);
    assert_eq!(seen.serving.unwrap().deployment_id, OTHER);
    observe(&mut absent, &[(LIST_PATH, pages[0].1.clone())]);
    observe(&mut absent, &[(APP_PATH, ok(app_before()))]);

    let mut script: Vec<_> = script.into_iter().take(2).collect();
    let second = format!("{APP_PATH}/deployments?page=2&per_page=20");
    script.push((&second, ok(list(&[deployment(OURS, COMMIT, "DEPLOYING")]))));
    assert_eq!(ours(&mut by_id(), &script).raw, "DEPLOYING");
}

#[test]
fn t11_the_newest_deployment_is_not_ours() {
    let mut provider = by_id();
    let newest = deployment(OTHER, OLD_COMMIT, "BUILDING");
    let seen = observe(
        &mut provider,
        &[
            (APP_PATH, ok(app_with("in_progress_deployment", newest.clone()))),
            (LIST_PATH, ok(list(std::slice::from_ref(&newest)))),
        ],
    );
    assert_eq!(seen.deployment, None);
    observe(&mut provider, &[(APP_PATH, ok(app_before()))]);
    let both = [newest, deployment(OURS, COMMIT, "PENDING_BUILD")];
    assert_eq!(ours(&mut provider, &[(LIST_PATH, ok(list(&both)))]).id, OURS);
    // Once its id is known, it is taken wherever it is shown, and nothing else is.
    let newest = app_with("active_deployment", deployment(OTHER, OLD_COMMIT, "ACTIVE"));
    assert_eq!(ours(&mut provider, &[(APP_PATH, ok(newest)), (LIST_PATH, ok(list(&both)))]).id, OURS);
    let shown = app_with("in_progress_deployment", begun());
    assert_eq!(ours(&mut provider, &[(APP_PATH, ok(shown))]).id, OURS);
}

/// Observes an app whose list has just this deployment.
fn found(settings: &str, deployment: Value) -> Option<Observed> {
    let settings = format!("app = {APP:?}\n{settings}");
    let script = [(APP_PATH, ok(json!({"app": bare_app()}))), (LIST_PATH, ok(list(&[deployment])))];
    observe(&mut provider(&settings), &script).deployment
}

#[test]
fn any_component_of_any_kind_names_the_commit() {
    for kind in ["services", "workers", "jobs", "static_sites", "functions"] {
        let mut it = with(begun(), "cause", json!("app spec updated"));
        it["services"] = json!([{"name": "old", "source_commit_hash": OLD_COMMIT}, {"name": "image"}]);
        let upper = COMMIT.to_uppercase();
        let built = json!({"name": "new", "source_commit_hash": upper});
        it[kind] = match it[kind].as_array() {
            Some(others) => others.iter().cloned().chain([built]).collect(),
            None => json!([built]),
        };
        let commit = found("", it).unwrap().commit;
        assert_eq!((commit.id.as_str(), commit.relation), (COMMIT, Relation::Same));
    }
}

#[test]
fn without_components_the_push_or_the_cause_names_the_commit() {
    let bare = |cause: &str, details: Value| {
        let it = with(begun(), "cause", json!(cause));
        with(with(it, "services", json!([])), "cause_details", details)
    };
    let push = |commit: &str| json!({"type": "DEPLOY_ON_PUSH", "git_push": {"commit_sha": commit}});
    for (cause, details, expected) in [
        ("manual", push(COMMIT), true),
        ("manual", push(OLD_COMMIT), false),
        ("manual", push(&COMMIT[..12]), false),
        ("commit 0123456 pushed to github/acme/web-app", Value::Null, true),
        ("commit 0123456789 pushed to github/acme/web-app", Value::Null, true),
        ("commit 012345 pushed to github/acme/web-app", Value::Null, false),
        ("commit 0123457 pushed to github/acme/web-app", Value::Null, false),
        ("0123456", Value::Null, false),
        ("reverted commit 0123456 pushed to github", Value::Null, false),
        ("commit 0123456 reverted", Value::Null, false),
        ("", Value::Null, false),
    ] {
        let it = bare(cause, details.clone());
        assert_eq!(found("", it).is_some(), expected, "{cause} {details}");
    }
}

#[test]
fn a_named_component_alone_decides() {
    let mut it = begun();
    it["services"] = json!([
        {"name": "web", "source_commit_hash": COMMIT},
        {"name": "api", "source_commit_hash": OLD_COMMIT},
        {"name": "fresh"},
    ]);
    assert!(found("component = 'web'", it.clone()).is_some());
    assert!(found("component = 'api'", it.clone()).is_none());
    // One without an id yet: then the cause counts.
    assert!(found("component = 'fresh'", it).is_some());
}

#[test]
fn of_several_deployments_of_the_commit_the_latest_counts_unless_it_is_the_platforms_rollback() {
    let at = |id: &str, time: &str| with(deployment(id, COMMIT, "BUILDING"), "created_at", json!(time));
    let first = at(OURS, "2026-01-02T03:00:00Z");
    let second = at(OTHER, "2026-01-02T03:00:00.5Z");
    let script = |all: &[Value]| [(APP_PATH, ok(json!({"app": bare_app()}))), (LIST_PATH, ok(list(all)))];
    let newest = [first.clone(), second.clone()];
    assert_eq!(ours(&mut by_id(), &script(&newest)).id, OTHER);
    for (key, value) in [
        ("cause_details", json!({"type": "AUTO_ROLLBACK"})),
        ("cause", json!("automated rollback after failed deployment of \"x\"")),
    ] {
        let rollback = with(second.clone(), key, value);
        assert_eq!(ours(&mut by_id(), &script(&[rollback, first.clone()])).id, OURS);
    }
    // A copy that names no commit of its own is nobody's.
    let mut copy = with(second, "cloned_from", json!(OURS));
    copy["services"] = json!([{"name": "web"}]);
    copy["cause"] = json!("manual rollback");
    assert_eq!(ours(&mut by_id(), &script(&[copy, first])).id, OURS);
}

#[test]
fn a_pinned_app_deploys_nothing_once_the_list_has_nothing_either() {
    let pinned = || ok(app_with("pinned_deployment", json!({"id": OTHER})));
    let mut it = by_id();
    let nothing = || ok(list(&[]));
    let seen = observe(&mut it, &[(APP_PATH, pinned()), (LIST_PATH, nothing())]);
    let why = seen.will_not_deploy.unwrap();
    assert!(why.contains(OTHER) && why.contains("pinned"), "{why}");

    // Pinned later: the look at the app sees it, and looks at the list as well.
    let mut later = by_id();
    let seen = observe(&mut later, &[(APP_PATH, ok(app_before())), (LIST_PATH, nothing())]);
    assert_eq!(seen.will_not_deploy, None);
    let seen = observe(&mut later, &[(APP_PATH, pinned()), (LIST_PATH, nothing())]);
    assert!(seen.will_not_deploy.is_some());

    // A deployment of ours from before the pin is followed all the same.
    let mut it = by_id();
    let listed = ok(list(&[begun()]));
    let seen = observe(&mut it, &[(APP_PATH, pinned()), (LIST_PATH, listed)]);
    assert_eq!(seen.will_not_deploy, None);
    assert!(seen.deployment.is_some());
}

#[test]
fn how_the_commit_ended_long_before_this_push_says_nothing_about_it() {
    let pushed_at = Some("2026-01-02T12:00:00Z".parse().unwrap());
    let look = |phase: &str, created_at: &str| {
        let mut provider = DigitalOcean::new(Setup { pushed_at, ..setup(&format!("app = {APP:?}")) }).unwrap();
        let old = with(deployment(OURS, COMMIT, phase), "created_at", json!(created_at));
        let turn = provider.start(Question::Observe);
        assert!(matches!(turn, Turn::Ask(_)));
        provider.next(&ok(json!({"app": bare_app()})));
        provider.next(&ok(list(&[old])))
    };
    let finds = |turn: Turn| match turn {
        // It asks on about what it has found, or tells it.
        Turn::Ask(_) => true,
        Turn::Reply(Reply::Observation(seen)) => seen.deployment.is_some(),
        other => panic!("{other:?}"),
    };
    for phase in ["ERROR", "CANCELED", "SUPERSEDED"] {
        assert!(!finds(look(phase, "2026-01-02T11:00:00Z")), "{phase} an hour before the push");
        assert!(finds(look(phase, "2026-01-02T11:58:00Z")), "{phase} within what clocks may differ");
        assert!(finds(look(phase, "2026-01-02T12:01:00Z")), "{phase} after the push");
    }
    assert!(finds(look("BUILDING", "2026-01-01T00:00:00Z")), "what still runs is followed");
}
