//! The provider's code and the simulator, over HTTP: what the monitor's transport does, in its simplest form.

use afterpush_core::{
    fault::{Fault, FaultKind},
    id::{CommitId, RefName},
    observation::{DeploymentState as State, ProviderObservation},
};
use afterpush_providers::{Credential, HttpResponse, Provider, Question, Reply, Secret, Setup, Turn, registry};
use afterpush_testkit::digitalocean::{self as simulated, PLAIN_SECRET, Simulator};

use crate::{COMMIT, LATER, client};

/// A provider at a simulator, and how many calls its questions cost.
struct Scene {
    simulator: Simulator,
    app: String,
    provider: Box<dyn Provider>,
}

impl Scene {
    fn new(settings: &str) -> Self {
        let simulator = Simulator::start();
        let app = simulator.add_app("web", "acme/web", "main", "https://web.test");
        let setup = Setup {
            settings: settings.replace("APP", &app).parse().unwrap(),
            api_url: Some(simulator.url()),
            commit: CommitId::parse(COMMIT).unwrap(),
            ref_name: RefName::parse("refs/heads/main").unwrap(),
            remote_url: "git@github.com:acme/web.git".to_owned(),
            pushed_at: None,
            token: Some(Secret::new("token")),
        };
        let provider = registry::build("digitalocean", setup).unwrap();
        Self { simulator, app, provider }
    }

    /// One that knows its app, and follows a deployment.
    fn following() -> (Self, simulated::Deployment) {
        let mut scene = Self::new("app = 'APP'");
        let deployment = scene.simulator.deploy(&scene.app, COMMIT);
        assert_eq!(scene.see().deployment.unwrap().state, State::Queued);
        (scene, deployment)
    }

    fn ask(&mut self, question: Question) -> Result<Reply, Fault> {
        let mut turn = self.provider.start(question);
        loop {
            match turn {
                Turn::Ask(request) => {
                    let token = request.credential.as_ref().map(|credential| match credential {
                        Credential::Bearer(token) | Credential::Header(_, token) => token.expose(),
                    });
                    let answer = client::ask(&request.url, token).unwrap();
                    turn = self.provider.next(&HttpResponse {
                        status: answer.status,
                        headers: answer.headers,
                        body: answer.body,
                    });
                }
                Turn::Run(program) => panic!("{program:?}"),
                Turn::Reply(reply) => return Ok(reply),
                Turn::Fault(fault) => return Err(fault),
            }
        }
    }

    fn see(&mut self) -> ProviderObservation {
        match self.ask(Question::Observe) {
            Ok(Reply::Observation(seen)) => {
                assert!(!format!("{seen:?}").contains(PLAIN_SECRET));
                seen
            }
            other => panic!("{other:?}"),
        }
    }

    /// The state of our deployment, and what it cost to know it.
    fn state(&mut self) -> (State, usize) {
        let before = self.simulator.requests().len();
        let state = self.see().deployment.unwrap().state;
        (state, self.simulator.requests().len() - before)
    }
}

#[test]
fn a_deployment_is_followed_from_its_beginning_to_live() {
    for settings in ["", "app = 'web'", "app = 'APP'"] {
        let mut scene = Scene::new(settings);
        scene.simulator.deploy(&scene.app, LATER).set_phase("ACTIVE");
        assert_eq!(scene.see().deployment, None);
        let deployment = scene.simulator.deploy(&scene.app, COMMIT);
        for (phase, expected) in [
            ("PENDING_BUILD", State::Queued),
            ("BUILDING", State::Building),
            ("PENDING_DEPLOY", State::Deploying),
            ("DEPLOYING", State::Deploying),
        ] {
            deployment.set_phase(phase);
            assert_eq!(scene.state(), (expected, 1), "{settings} {phase}");
        }
        let seen = scene.see().deployment.unwrap();
        assert_eq!(seen.progress.as_deref(), Some("3 of 6 steps: Deploying service web"));
        assert_eq!(seen.site_url.as_deref(), Some("https://web.test"));
        deployment.set_phase("ACTIVE");
        assert_eq!(scene.state(), (State::Live, 1));
        assert!(scene.simulator.log_downloads().is_empty());
    }
}

#[test]
fn a_failed_build_has_a_reason_and_a_log() {
    let (mut scene, deployment) = Scene::following();
    deployment.fail_build("web 2026 it broke\n");
    let seen = scene.see().deployment.unwrap();
    assert_eq!(seen.state, State::Failed);
    assert!(seen.reason.unwrap().starts_with("BuildJobExitNonZero: "));
    let log = scene.ask(Question::FailureLog).unwrap();
    assert_eq!(log, Reply::Log("web 2026 it broke\n".to_owned()));
    let downloads = scene.simulator.log_downloads();
    assert_eq!(downloads.len(), 1);
    assert!(!downloads[0].authorised);
}

#[test]
fn a_failed_health_check_has_the_rollback_in_its_reason_and_the_crash_in_its_log() {
    let (mut scene, deployment) = Scene::following();
    deployment.fail_health_check("web 2026 no answer\n");
    deployment.crash_log("web 2026 panic\n");
    let rollback = deployment.auto_rollback();
    let seen = scene.see().deployment.unwrap();
    assert_eq!(seen.state, State::Failed);
    let reason = seen.reason.unwrap();
    assert!(reason.contains("DeployContainerHealthChecksFailed") && reason.contains(rollback.id()), "{reason}");
    let log = scene.ask(Question::FailureLog).unwrap();
    assert_eq!(log, Reply::Log("web 2026 panic\nweb 2026 no answer\n".to_owned()));
}

#[test]
fn t11_other_ends_are_told_apart() {
    let (mut scene, deployment) = Scene::following();
    deployment.cancel();
    assert_eq!(scene.state(), (State::Canceled, 2));

    let (mut scene, deployment) = Scene::following();
    deployment.set_phase("BUILDING");
    scene.simulator.supersede(&scene.app, COMMIT);
    assert_eq!(scene.state(), (State::Superseded, 2));
    scene.simulator.deploy(&scene.app, LATER).set_phase("ACTIVE");
    assert_eq!(scene.state(), (State::Superseded, 1));
    assert_eq!(scene.see().serving.unwrap().commit.unwrap().id, LATER);
    let again = scene.simulator.redeploy(&scene.app, COMMIT);
    again.set_phase("ACTIVE");
    assert_eq!(scene.see().deployment.unwrap().id, again.id());

    let (mut scene, deployment) = Scene::following();
    deployment.set_phase("ACTIVE");
    scene.simulator.deploy(&scene.app, LATER).set_phase("ACTIVE");
    assert_eq!(scene.state(), (State::Replaced, 2));

    let mut scene = Scene::new("app = 'web'");
    scene.simulator.pin(&scene.app);
    assert!(scene.see().will_not_deploy.unwrap().contains("pinned"));
}

#[test]
fn trouble_is_trouble() {
    let (mut scene, deployment) = Scene::following();
    deployment.set_phase("ACTIVE");
    for (fault, kind) in [
        (simulated::Fault::RateLimited { retry_after: 1 }, FaultKind::RateLimited),
        (simulated::Fault::Status(500), FaultKind::Transient),
        (simulated::Fault::Html, FaultKind::Malformed),
        (simulated::Fault::Truncated, FaultKind::Malformed),
        (simulated::Fault::Empty, FaultKind::Malformed),
        (simulated::Fault::Nulls, FaultKind::Malformed),
    ] {
        scene.simulator.faults([fault]);
        assert_eq!(scene.ask(Question::Observe).unwrap_err().kind, kind, "{fault:?}");
    }
    assert_eq!(scene.state().0, State::Live);
    assert_eq!(scene.ask(Question::Credentials).unwrap(), Reply::Credentials("sees 1 app".to_owned()));
    scene.simulator.refuse("token");
    let fault = scene.ask(Question::Observe).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
}
