//! Several targets of one push: each is followed on its own, the worst decides, and what the push does not touch is skipped.

use std::{fs, os::unix::fs::PermissionsExt};

use afterpush_testkit::sandbox::{Project, Said};
use serde_json::Value;

use crate::scene::{SHORT, Scene};

const TARGETS: &str = r#"
[[target]]
name = "web"
branch = "main"
paths = ["apps/web/**", "shared/**"]
provider = { kind = "digitalocean", app = "storefront" }

[[target]]
name = "api"
branch = "main"
paths = ["apps/api/**", "shared/**"]
provider = { kind = "digitalocean", app = "api" }

[[target]]
name = "docs"
branch = "main"
paths = ["docs/**", "*.md"]
"#;

fn push(project: &Project<'_>, changed: &[&str], arguments: &[&str]) -> String {
    for path in changed {
        let path = project.work.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, text + "more\n").unwrap();
    }
    if !changed.is_empty() {
        project.commit(&changed.join(" "));
    }
    let said = Said::of(project.push_command(&["origin", "main"]).args(arguments));
    assert_eq!(said.code, Some(0), "{said:?}");
    project.head()
}

fn outcomes(result: &Value) -> Vec<(&str, &str)> {
    let targets = result["targets"].as_array().unwrap();
    targets.iter().map(|it| (it["name"].as_str().unwrap(), it["outcome"].as_str().unwrap())).collect()
}

#[test]
fn of_several_targets_the_worst_decides_by_name_and_what_is_not_touched_is_skipped() {
    let scene = Scene::with_token(&format!("{SHORT}registration_deadline = \"2s\""));
    let api = scene.simulator.add_app("api", "acme/api", "main", "https://api.example.invalid");
    let program = scene.sandbox.path().join("docs-are-live");
    let script = "#!/bin/sh\nprintf '{\"deployment\":{\"commit\":\"%s\",\"state\":\"live\"}}' \"$AFTERPUSH_COMMIT\"\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    // The program is the user's own: a repository may not name one.
    let url = scene.simulator.url();
    scene.sandbox.user_config(&format!(
        "[[target]]\nname = \"docs\"\nprovider = {{ kind = \"command\", command = [{program:?}] }}\n\
         [provider.digitalocean]\napi_url = \"{url}\"\n[policy]\n{SHORT}registration_deadline = \"2s\"\n"
    ));
    let project = scene.sandbox.project(TARGETS);

    // A new branch whose past nobody knows touches everything.
    let first = project.head();
    for app in [&scene.app, &api] {
        scene.simulator.deploy(app, &first).set_phase("ACTIVE");
    }
    push(&project, &[], &[]);
    let result = project.result(&first);
    assert_eq!(outcomes(&result), [("web", "live"), ("api", "live"), ("docs", "live")], "{result:#}");

    // Two should deploy and one of them never does.
    let second = push(&project, &["apps/web/page", "apps/api/main"], &[]);
    scene.simulator.deploy(&scene.app, &second).set_phase("ACTIVE");
    let result = project.result(&second);
    assert_eq!(outcomes(&result), [("web", "live"), ("api", "no_deployment"), ("docs", "skipped")], "{result:#}");
    assert_eq!(result["outcome"], "no_deployment");
    assert!(result["reason"].as_str().unwrap().starts_with("api: "), "{result:#}");
    let reason = result["targets"][2]["reason"].as_str().unwrap();
    assert!(reason.contains("docs/**") && reason.contains(&first[..7]), "{reason}");
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.contains("api") && said.stdout.contains("no path that changed since"), "{said:?}");

    // Only what is touched is asked, and decides.
    let third = push(&project, &["docs/guide", "README.md"], &[]);
    let result = project.result(&third);
    assert_eq!(outcomes(&result), [("web", "skipped"), ("api", "skipped"), ("docs", "live")], "{result:#}");
    assert_eq!((&result["outcome"], project.deploy_status(&[]).code), (&"live".into(), Some(0)));

    // Nothing is touched: not live, and not failed either.
    let fourth = push(&project, &["elsewhere/file"], &[]);
    let result = project.result(&fourth);
    assert_eq!((&result["outcome"], project.deploy_status(&[]).code), (&"skipped".into(), Some(1)), "{result:#}");

    // Going back by force touches what differs, the other way round.
    project.git(&["reset", "-q", "--hard", &second]);
    project.git(&["commit", "-q", "--amend", "-m", "again"]);
    let fifth = push(&project, &[], &["--force"]);
    let result = project.result(&fifth);
    assert_eq!(outcomes(&result), [("web", "skipped"), ("api", "skipped"), ("docs", "live")], "{result:#}");

    // A new branch is compared with where it left the remote's default branch.
    project.git(&["remote", "set-head", "origin", "main"]);
    project.git(&["checkout", "-q", "-b", "topic"]);
    fs::write(project.work.join("README.md"), "topic").unwrap();
    project.commit("topic");
    let config = fs::read_to_string(project.work.join(".afterpush.toml")).unwrap().replace("branch = \"main\"\n", "");
    fs::write(project.work.join(".afterpush.toml"), config).unwrap();
    let sixth = project.commit("for every branch");
    let said = project.push(&["origin", "topic"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let result = project.result(&sixth);
    assert_eq!(outcomes(&result), [("web", "skipped"), ("api", "skipped"), ("docs", "live")], "{result:#}");
}
