//! Usage, `init`, `trust`, `doctor`, and what is generated.

use std::fs;

use crate::place::Place;

#[test]
fn wrong_usage_is_64_and_help_is_0() {
    let place = Place::new();
    for arguments in
        [&["nonsense"][..], &[], &["status", "--wait", "30"], &["status", "--json", "--quiet"], &["stop", "x", "--all"]]
    {
        let told = place.afterpush(arguments).expect(64);
        assert!(!told.err.is_empty() && told.out.is_empty(), "{arguments:?}");
    }
    place.deploy_status(&["--nonsense"]).expect(64);
    for arguments in [&["--help"][..], &["--version"], &["status", "--help"], &["completions", "bash"], &["man"]] {
        let told = place.afterpush(arguments).expect(0);
        assert!(!told.out.is_empty() && told.err.is_empty(), "{arguments:?}");
    }
    assert!(place.deploy_status(&["--help"]).expect(0).out.contains("Usage: deploy-status "));
    let man = place.afterpush(&["man"]).expect(0).out;
    assert!(
        man.contains(".TH afterpush") && man.contains("\\-\\-older\\-than") && !man.contains("demo\\-server"),
        "{man}"
    );
}

#[test]
fn init_writes_what_it_found_and_never_overwrites() {
    let place = Place::new();
    let path = place.work.join(".afterpush.toml");
    let told = place.afterpush(&["init"]).expect(64);
    assert!(told.err.contains("is there already") && told.err.contains("hint: "), "{}", told.err);
    fs::remove_file(&path).unwrap();
    fs::create_dir(place.work.join(".do")).unwrap();
    fs::write(place.work.join(".do/app.yaml"), "name: storefront\n").unwrap();
    place.git(&["remote", "add", "origin", "https://user:secret@example.org/web.git"]);
    let told = place.afterpush(&["init"]).expect(0).out;
    assert!(told.contains("found .do/app.yaml") && told.contains("DIGITALOCEAN_ACCESS_TOKEN"), "{told}");
    assert!(told.contains("afterpush install") && !told.contains("secret"), "{told}");
    let written = fs::read_to_string(&path).unwrap();
    assert!(written.contains("app = \"storefront\"") && written.contains("branch = \"main\""), "{written}");
    fs::remove_file(&path).unwrap();
    fs::remove_dir_all(place.work.join(".do")).unwrap();
    assert!(place.afterpush(&["init"]).expect(0).out.contains("commented out"));
    place.deploy_status(&[]).expect(3);
}

#[test]
fn trust_is_pinned_to_the_content() {
    let place = Place::new();
    let path = place.work.join(".afterpush.toml");
    let text = "[[target]]\nname = \"web\"\nbranch = \"main\"\nhealth = { url = \"https://example.org/health\" }\n";
    fs::write(&path, text).unwrap();
    let trusted = |place: &Place| {
        let checks = place.afterpush(&["doctor", "--json"]).json();
        let checks = checks["checks"].as_array().unwrap().clone();
        let check = checks.into_iter().find(|check| check["name"] == "trust").unwrap();
        check["message"].as_str().unwrap().contains("is trusted")
    };
    assert!(!trusted(&place));
    let told = place.afterpush(&["trust"]).expect(0).out;
    assert!(told.contains("allowed now: target \"web\": health.url"), "{told}");
    assert!(trusted(&place));
    fs::write(&path, format!("{text}# edited\n")).unwrap();
    assert!(!trusted(&place));
    fs::write(&path, text).unwrap();
    place.afterpush(&["untrust"]).expect(0);
    assert!(!trusted(&place));
    assert_eq!(place.afterpush(&["untrust"]).expect(0).out, "nothing was trusted here\n");
}

#[test]
fn doctor_names_what_is_missing_and_passes_on_what_the_monitor_says() {
    let place = Place::new();
    place.script(
        "afterpush-monitor",
        "[ \"$1\" = doctor ] && echo '{\"checks\":[{\"name\":\"digitalocean credentials\",\"ok\":true,\"message\":\"found\"}]}'",
    );
    let told = place.afterpush(&["doctor"]).expect(1).out;
    assert!(told.contains("problem  hook: none at ") && told.contains("run `afterpush install`"), "{told}");
    place.afterpush(&["install"]).expect(0);
    let told = place.afterpush(&["doctor"]).expect(0).out;
    assert!(told.contains("ok       digitalocean credentials: found"), "{told}");
    assert!(!told.contains("problem"), "{told}");
    fs::write(place.work.join(".afterpush.toml"), "nonsense\n").unwrap();
    let told = place.afterpush(&["doctor"]).expect(78).out;
    assert!(told.contains("problem  configuration: .afterpush.toml:1: "), "{told}");
    fs::remove_file(place.root().join("bin/afterpush-monitor")).unwrap();
    assert!(place.afterpush(&["doctor"]).expect(78).out.contains("problem  monitor program: "));
}
