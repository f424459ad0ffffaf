//! Heroku. The vendor's description is of another form, and this one is made of it mechanically.

use afterpush_core::observation::DeploymentState as State;
use serde_json::json;

use crate::{
    relay::LOG,
    walk::{COMMIT, Walk},
};

const APP: &str = "/apps/{app_identity}";
const BUILDS: &str = "/apps/{app_identity}/builds";
const BUILD: &str = "/apps/{app_identity}/builds/{build_identity}";
const RELEASES: &str = "/apps/{app_identity}/releases";
const RELEASE: &str = "/apps/{app_identity}/releases/{release_identity}";
const SLUG: &str = "/apps/{app_identity}/slugs/{slug_identity}";
const IMAGE: &str = "/apps/{app_identity}/oci-images/{oci_image_identity}";
const DYNOS: &str = "/apps/{app_identity}/dynos";
const LOG_SESSION: &str = "/apps/{app_identity}/log-sessions";
const ANOTHER: &str = "11111111-89ab-cdef-0123-456789abcdef";

#[tokio::test]
async fn builds_releases_and_dynos_are_followed_and_a_failure_is_explained() {
    let Some(walk) = Walk::of("heroku", "heroku/openapi-converted.json", "").await else { return };
    // The form that the vendor wants to be asked for was lost on the way.
    walk.relay.seen().added.push(("accept", "application/json"));
    let build = |status: &str| (BUILDS, vec![("/0/source_blob/version", json!(COMMIT)), ("/0/status", json!(status))]);
    let release = |status: &str| (RELEASES, vec![("/0/status", json!(status))]);
    let dyno = |state: &str| (DYNOS, vec![("/0/type", json!("web")), ("/0/state", json!(state))]);
    let output = |path| (path, vec![("/output_stream_url", json!(walk.relay.elsewhere()))]);

    let mut following = walk.follow("app = 'web'");
    walk.says(vec![build("pending")]);
    assert_eq!(following.state().await, State::Building);
    walk.says(vec![build("succeeded"), release("succeeded"), dyno("up")]);
    assert_eq!(following.state().await, State::Live);
    walk.says(vec![
        build("succeeded"),
        release("succeeded"),
        dyno("crashed"),
        (LOG_SESSION, vec![("/logplex_url", json!(walk.relay.elsewhere()))]),
    ]);
    assert_eq!(following.state().await, State::Deploying, "it is started again at once");
    assert_eq!(following.state().await, State::Failed);
    assert_eq!(following.log().await, LOG);

    let mut failing = walk.follow_at("https://git.heroku.com/web.git", "");
    walk.says(vec![build("failed"), output(BUILD)]);
    assert_eq!(failing.state().await, State::Failed);
    assert_eq!(failing.log().await, LOG);
    // Its release is not among the newest.
    let others = (
        RELEASES,
        vec![
            ("/0/id", json!(ANOTHER)),
            ("/0/slug/id", json!(ANOTHER)),
            ("/0/current", json!(false)),
            ("/0/artifacts", json!([])),
        ],
    );
    let not_current = ("/current", json!(false));
    let one = (
        RELEASE,
        vec![("/status", json!("failed")), not_current, ("/output_stream_url", json!(walk.relay.elsewhere()))],
    );
    walk.says(vec![build("succeeded"), others, one]);
    assert_eq!(failing.state().await, State::Failed);
    assert_eq!(failing.log().await, LOG);

    // What was promoted has no build here.
    let described = ("/0/description", json!("Promote web v8 c0ffee01"));
    for (path, slug, commit) in [(SLUG, json!({"id": ANOTHER}), "/commit"), (IMAGE, json!(null), "/0/commit")] {
        let mut promoted = walk.follow("app = 'web'");
        let release = vec![described.clone(), ("/0/status", json!("succeeded")), ("/0/slug", slug)];
        walk.says(vec![
            (BUILDS, vec![("", json!([]))]),
            (RELEASES, release),
            (path, vec![(commit, json!(COMMIT))]),
            dyno("up"),
        ]);
        assert_eq!(promoted.state().await, State::Live, "{path}");
    }
    walk.end(failing, &[APP, BUILDS, BUILD, RELEASES, RELEASE, SLUG, IMAGE, DYNOS, LOG_SESSION]).await;
}
