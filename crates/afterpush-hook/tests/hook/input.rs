//! Every standard input and every argument that git, hook managers and GUIs have been seen to give.

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use crate::fixture::{Fixture, files_with, said};

const ZERO: &str = "0000000000000000000000000000000000000000";

fn hook(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = fixture.command(fixture.hook());
    command.arg("pre-push").arg(std::process::id().to_string()).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the hook on a whole input; the exit code has to be 0.
fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.spawn().unwrap();
    // The hook may stop reading: that is no failure of the writer, as it is none of git.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    output
}

fn line(fixture: &Fixture, ref_name: &str) -> String {
    format!("refs/heads/x {} {ref_name} {ZERO}\n", fixture.resolve("HEAD"))
}

#[test]
fn t12_credentials_in_an_address_leave_no_trace() {
    let fixture = Fixture::new();
    let input = line(&fixture, "refs/heads/main");
    let address = "https://user:canary-word@host.invalid/shop.git";
    for arguments in [["origin", address], [address, address], ["https://host.invalid/shop.git", address]] {
        let output = run(hook(&fixture, &arguments), input.as_bytes());
        assert_eq!(said(&output).len(), 1, "{arguments:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("canary"));
    }
    let started = fixture.started(3);
    assert!(started.iter().all(|monitor| !monitor.read("arguments").contains("canary")));
    assert!(files_with(fixture.directory.path(), "canary").is_empty());
    assert!(
        !files_with(&fixture.path("state"), "https://host.invalid/shop.git").is_empty(),
        "the address itself stays"
    );
}

#[test]
fn t12_secrets_of_the_environment_reach_the_monitor_in_memory_only() {
    let fixture = Fixture::new();
    let mut command = hook(&fixture, &["origin", "x"]);
    command.env("DIGITALOCEAN_TOKEN", "canary-token");
    run(command, line(&fixture, "refs/heads/main").as_bytes());
    let started = fixture.started(1);
    assert!(!started[0].read("environ").contains("canary-token"));
    assert!(started[0].read("input").contains("canary-token"));
    assert!(files_with(&fixture.path("state"), "canary").is_empty());
}

#[test]
fn missing_arguments_are_borne() {
    let fixture = Fixture::new();
    let input = line(&fixture, "refs/heads/main");
    assert_eq!(said(&run(hook(&fixture, &[]), input.as_bytes())).len(), 1);
    assert!(fixture.run(&fixture.resolve("HEAD"), "refs/heads/main").request().unwrap().is_some(), "taken for origin");
    let mut bare = fixture.command(fixture.hook());
    bare.stdin(Stdio::piped()).stderr(Stdio::piped());
    assert_eq!(said(&run(bare, input.as_bytes())).len(), 1, "says who runs it");
}

#[test]
fn pre_commits_variables_stand_in_for_an_empty_input() {
    let fixture = Fixture::new();
    let commit = fixture.resolve("HEAD");
    let with_variables = || {
        let mut command = hook(&fixture, &[]);
        command
            .env("PRE_COMMIT_TO_REF", commit.as_str())
            .env("PRE_COMMIT_REMOTE_BRANCH", "refs/heads/main")
            .env("PRE_COMMIT_REMOTE_NAME", "upstream")
            .env("PRE_COMMIT_REMOTE_URL", "https://u:canary-word@host.invalid/x.git");
        command
    };
    assert_eq!(said(&run(with_variables(), b"")).len(), 1);
    let runs = fixture.store().runs_of(&commit).unwrap();
    let request = runs[0].request().unwrap().unwrap();
    assert_eq!((request.remote.as_str(), request.remote_url.as_str()), ("upstream", "https://host.invalid/x.git"));
    // Lines that are there count more than variables.
    assert!(said(&run(with_variables(), line(&fixture, "refs/heads/unknown").as_bytes())).is_empty());
}

#[test]
fn an_input_that_never_ends_is_left_after_a_second_with_what_has_come() {
    let fixture = Fixture::new();
    fixture.configure("[[target]]\nname = \"web\"\nref = \"refs/heads/*\"\nhealth = { path = \"/health\" }\n");
    let mut child = hook(&fixture, &["origin", "x"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line(&fixture, "refs/heads/main").as_bytes()).unwrap();
    // Half a line, which must not be taken for a whole one.
    stdin.write_all(line(&fixture, "refs/heads/main").trim_end().replace("main", "main2").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert!(said(&output).len() == 1 && said(&output)[0].contains("-> web"), "{:?}", said(&output));
    assert_eq!(fixture.store().runs().unwrap().len(), 1);
}

#[test]
fn a_terminal_is_not_read() {
    let fixture = Fixture::new();
    let mut command = fixture.command("script");
    let inner = format!("{} pre-push 1 origin x", fixture.hook().display());
    let mut child =
        command.args(["-qec", &inner, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // What a person types while the push runs is not ours, even if it looks like a ref line.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line(&fixture, "refs/heads/main").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    drop(stdin);
    fixture.assert_untouched();
}

#[test]
fn a_flood_is_cut_and_its_writer_is_not_held_up() {
    let fixture = Fixture::new();
    let mut input = line(&fixture, "refs/heads/main");
    let others = line(&fixture, "refs/heads/other");
    input.push_str(&others.repeat((3 << 20) / others.len()));
    assert_eq!(said(&run(hook(&fixture, &["origin", "x"]), input.as_bytes())).len(), 1);
    fixture.started(1);
}

#[test]
fn nonsense_is_silent() {
    let fixture = Fixture::new();
    for input in [&b""[..], b"\n\n\n", b"\xff\xfe\x00", b"refs/heads/x 123 refs/heads/main 456\n"] {
        assert!(said(&run(hook(&fixture, &["origin", "x"]), input)).is_empty(), "{input:?}");
    }
    fixture.assert_untouched();
}

#[test]
fn a_repository_that_vanished_or_broke_is_one_line() {
    let fixture = Fixture::new();
    fs::write(fixture.path("work/.git/HEAD2"), "").unwrap();
    fs::rename(fixture.path("work/.git/HEAD"), fixture.path("work/.git/HEAD3")).unwrap();
    let output = run(hook(&fixture, &["origin", "x"]), b"");
    assert!(said(&output).len() == 1 && said(&output)[0].contains("no git repository"), "{:?}", said(&output));
}
