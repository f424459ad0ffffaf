//! The providers for every other host, with real parts: a program of the user's own, and a server that answers JSON.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use afterpush_testkit::sandbox::{Said, Sandbox, wait_until};
use serde_json::json;

use crate::scene::SHORT;

const SECRET: &str = "canary-secret-19ac";

/// Every file below a directory, as text.
fn all_text(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&all_text(&path));
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()));
        }
    }
    text
}

#[test]
fn what_a_program_of_the_users_own_prints_is_followed_to_the_verdict() {
    let sandbox = Sandbox::new();
    let answer = sandbox.path().join("answer");
    fs::write(&answer, "{}").unwrap();
    let program = sandbox.path().join("where-is");
    // It is given what was pushed and what is named, and nothing else; what it was given must not be told.
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = web ] && [ \"$MY_TOKEN\" = {SECRET} ] && [ -z \"$OTHER\" ] || exit 1\n\
         sed \"s/COMMIT/$AFTERPUSH_COMMIT/; s/TOKEN/$MY_TOKEN/\" {}\n",
        answer.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let target = format!(
        "[[target]]\nname = \"web\"\nbranch = \"main\"\n\
         provider = {{ kind = \"command\", command = [{program:?}, \"web\"], env = [\"MY_TOKEN\"] }}\n[policy]\n{SHORT}"
    );
    sandbox.user_config(&target);
    let project = sandbox.project("");
    let tell = |document: serde_json::Value| {
        let new = sandbox.path().join("answer.new");
        fs::write(&new, document.to_string()).unwrap();
        fs::rename(new, &answer).unwrap();
    };
    let push = || {
        let mut command = project.push_command(&["origin", "main"]);
        let said = Said::of(command.env("MY_TOKEN", SECRET).env("OTHER", "other"));
        assert_eq!(said.code, Some(0), "{said:?}");
        project.head()
    };
    let commit = push();
    let raw = |word: &'static str| {
        move |status: &serde_json::Value| status["targets"][0]["stages"][0]["deployment"]["raw"] == word
    };
    tell(json!({"deployment": {"commit": "COMMIT", "state": "deploying", "word": "ROLLING"}}));
    project.status(&commit, "ROLLING", raw("ROLLING"));
    assert_eq!(project.deploy_status(&[]).code, Some(2));
    tell(json!({"deployment": {"commit": "COMMIT", "state": "live"}}));
    assert_eq!(project.result(&commit)["outcome"], "live");
    assert_eq!(project.deploy_status(&[]).code, Some(0));

    project.commit("second");
    tell(json!({"deployment": {"commit": commit, "state": "live"}}));
    let second = push();
    // Another commit's is not ours.
    project.status(&second, "no deployment yet", |status| {
        status["targets"][0]["stages"][0]["summary"]
            .as_str()
            .is_some_and(|text| text.starts_with("no deployment of this"))
    });
    tell(json!({"deployment": {"commit": "COMMIT", "state": "failed", "reason": "no TOKEN", "log": "the last line"}}));
    assert_eq!(project.result(&second)["outcome"], "deploy_failed");
    let said = project.deploy_status(&[]);
    assert_eq!(said.code, Some(1));
    assert!(said.stdout.contains("no ***") && said.stdout.contains("the last line"), "{said:?}");
    assert!(!all_text(&sandbox.state()).contains(SECRET));
}

#[test]
fn a_command_of_a_repository_that_is_not_trusted_is_not_run() {
    let sandbox = Sandbox::new();
    let witness = sandbox.path().join("witness");
    sandbox.user_config(&format!("[policy]\n{SHORT}"));
    let project = sandbox.project(&format!(
        "[[target]]\nname = \"web\"\nbranch = \"main\"\n\
         provider = {{ kind = \"command\", command = [\"sh\", \"-c\", \"echo run >> {}; echo {{}}\"] }}\n",
        witness.display()
    ));
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let result = project.result(&project.head());
    assert_eq!(result["outcome"], "errored", "{result:#}");
    assert!(project.deploy_status(&[]).stdout.contains("afterpush trust"));
    assert!(!witness.exists());
    // Trusted, it is.
    assert_eq!(project.afterpush(&["trust"]).code, Some(0));
    project.commit("second");
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    wait_until("the program", || witness.exists());
    assert_eq!(project.afterpush(&["stop"]).code, Some(0));
}

#[test]
fn a_host_that_answers_json_is_followed_by_pointers_and_words() {
    let sandbox = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let deployments = Arc::new(Mutex::new(json!([])));
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let (told, seen) = (deployments.clone(), heads.clone());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            seen.lock().unwrap().push(head.join("\n"));
            let body = json!({"data": *told.lock().unwrap()}).to_string();
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        }
    });
    sandbox.user_config(&format!(
        "[[target]]\nname = \"web\"\nbranch = \"main\"\n[target.provider]\nkind = \"http\"\n\
         url = \"http://{address}/of/{{branch}}\"\ntoken_env = \"MY_TOKEN\"\nitems = \"/data\"\ncommit = \"/sha\"\n\
         state = \"/state\"\nwords = {{ live = [\"up\"], failed = [\"down\"] }}\n[policy]\n{SHORT}"
    ));
    sandbox.credentials(&format!("MY_TOKEN = \"{SECRET}\"\n"));
    let project = sandbox.project("");
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    *deployments.lock().unwrap() = json!([{"sha": commit, "state": "warming"}]);
    project.status(&commit, "warming", |status| status["targets"][0]["stages"][0]["deployment"]["raw"] == "warming");
    *deployments.lock().unwrap() = json!([{"sha": commit, "state": "up"}]);
    assert_eq!(project.result(&commit)["outcome"], "live");
    let heads = heads.lock().unwrap();
    assert!(heads[0].starts_with("GET /of/main HTTP/1.1"), "{heads:?}");
    assert!(heads.iter().all(|head| head.contains(&format!("authorization: Bearer {SECRET}"))), "{heads:?}");
    assert!(!all_text(&sandbox.state()).contains(SECRET));
}
