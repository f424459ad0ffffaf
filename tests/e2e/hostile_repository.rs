//! A repository that means harm, cloned and pushed from without `trust`: no command of its runs, no host of its is asked, nothing is
//! written outside of the state directory, and nothing of its text acts on a terminal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use afterpush_core::text;
use afterpush_testkit::sandbox::{Project, Said, Sandbox, skipped, wait_until};
use serde_json::Value;

use crate::{
    scene::{SHORT, Scene, TARGET},
    strace::{self, STRACE},
};

/// A host that must not hear of us; it counts who comes.
struct OtherHost {
    port: u16,
    visits: Arc<AtomicUsize>,
}

impl OtherHost {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, visits) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&visits);
        thread::spawn(move || {
            for _ in listener.incoming() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { port, visits }
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }
}

/// Targets that together have every key by which a repository could reach a host, a database, a variable or a program.
fn everything_forbidden(port: u16, witness: &Path) -> [String; 4] {
    let run = format!("echo run >> {}", witness.display());
    [
        format!(
            "[[target]]\nname = \"command\"\n\
             provider = {{ kind = \"command\", command = [\"sh\", \"-c\", \"{run}\"], env = [\"MY_TOKEN\"] }}\n"
        ),
        format!(
            "[[target]]\nname = \"http\"\n[target.provider]\nkind = \"http\"\nurl = \"https://127.0.0.1:{port}/\"\n\
             token_env = \"MY_TOKEN\"\ncommit = \"/sha\"\nstate = \"/state\"\nwords = {{ live = [\"up\"] }}\n"
        ),
        format!(
            "[[target]]\nname = \"other\"\ndatabase = {{ env = \"PG\", kind = \"postgres\" }}\n\
             [[push.conflict]]\npaths = \"*\"\nresolve = \"theirs\"\nrun = \"{run}\"\n"
        ),
        format!(
            "[[target]]\nname = \"web\"\nbranch = \"main\"\n\
             provider = {{ kind = \"digitalocean\", app = \"storefront\", api_url = \"https://127.0.0.1:{port}\" }}\n\
             database = {{ url_env = \"MY_TOKEN\" }}\n\
             [[target.health]]\nname = \"url\"\nurl = \"https://localhost:{port}/health\"\n\
             [[target.health]]\nname = \"tcp\"\ntcp = \"localhost:{port}\"\n\
             [[target.health]]\nname = \"grpc\"\ngrpc = \"https://localhost:{port}\"\n"
        ),
    ]
}

/// The calls of a trace, each with its process; one that another process's came between stands in two lines.
fn calls(trace: &str) -> Vec<(&str, String)> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut calls = Vec::new();
    for (pid, call) in trace.lines().filter_map(|line| line.split_once(' ')) {
        let call = call.trim_start();
        if let Some(beginning) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, beginning);
        } else if let Some((_, end)) = call.split_once(" resumed>") {
            calls.push((pid, format!("{}{end}", begun.remove(pid).unwrap_or_default())));
        } else {
            calls.push((pid, call.to_owned()));
        }
    }
    calls
}

fn result_of(call: &str) -> &str {
    call.rsplit_once(" = ").map_or("", |(_, result)| result)
}

/// The programs that the hook started and what came of them: what ran, what was written, whom they connected to.
#[derive(Debug, Default)]
struct Doings {
    programs: BTreeSet<String>,
    written: BTreeSet<String>,
    connected: BTreeSet<String>,
}

impl Doings {
    /// Reads a trace of strace's: what the hook does, and everything that it starts.
    fn read(trace: &str) -> Self {
        let calls = calls(trace);
        let is_hook = |call: &str| call.starts_with("execve(") && call.contains("/afterpush-hook\"");
        let mut ours: BTreeSet<&str> = calls.iter().filter(|(_, call)| is_hook(call)).map(|(pid, _)| *pid).collect();
        // A child's calls can stand before the line that tells of its birth.
        let births = calls.iter().filter(|(_, call)| ["clone", "fork", "vfork"].iter().any(|it| call.starts_with(it)));
        let births: Vec<(&str, &str)> = births.map(|(pid, call)| (*pid, result_of(call))).collect();
        while births.iter().any(|(parent, child)| ours.contains(parent) && ours.insert(child)) {}
        let mut doings = Self::default();
        for (_, call) in calls.iter().filter(|(pid, _)| ours.contains(pid)) {
            let quoted: Vec<&str> = call.split('"').skip(1).step_by(2).collect();
            let result = result_of(call);
            let name = call.split('(').next().unwrap_or_default();
            if name == "execve" {
                // To a remote on this machine git goes by way of a shell; what counts is what that was told.
                let is_shell = quoted.first().is_some_and(|program| program.ends_with("/sh"));
                let program = quoted.get(if is_shell { 3 } else { 0 }).map(|words| words.split(' ').next());
                doings.programs.extend(program.flatten().map(str::to_owned));
            } else if name == "connect" {
                doings.connected.insert(call.clone());
            } else if ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| call.contains(flag)) {
                // With -y the result names the file that was really opened.
                let opened = result.split_once('<').map(|(_, path)| path.trim_end_matches('>').to_owned());
                doings.written.extend(opened);
            } else if !name.starts_with("open") && result.starts_with('0') {
                let paths = quoted.iter().filter(|path| path.starts_with('/'));
                doings.written.extend(paths.map(|path| (*path).to_owned()));
            }
        }
        doings
    }

    /// Nothing ran but what belongs to afterpush, nothing was written but state, nobody was asked but the provider.
    fn are_ours(&self, state: &Path, provider: u16) {
        for program in &self.programs {
            let name = program.rsplit('/').next().unwrap_or_default();
            assert!(
                ["afterpush-hook", "afterpush-monitor", "git", "git-upload-pack"].contains(&name),
                "{program} ran: {self:#?}"
            );
        }
        assert!(self.programs.iter().any(|it| it.ends_with("/afterpush-monitor")), "{self:#?}");
        for path in &self.written {
            let is_expected = Path::new(path).starts_with(state) || path.starts_with("/dev/null");
            assert!(is_expected, "{path} was written: {self:#?}");
        }
        assert!(self.written.len() > 5, "{self:#?}");
        for call in self.connected.iter().filter(|call| call.contains("AF_INET")) {
            assert!(call.contains(&format!("htons({provider})")), "{call}");
        }
    }
}

#[test]
fn without_trust_no_command_runs_no_other_host_is_asked_and_nothing_else_is_written() {
    let test = "without_trust_no_command_runs";
    if !strace::is_usable(test) {
        return;
    }
    let scene = Scene::with_live_url("https://storefront.example.invalid", "");
    let (sandbox, other) = (&scene.sandbox, OtherHost::start());
    let witness = sandbox.path().join("witness");
    let project = sandbox.project(TARGET);
    let with_secrets = |command: &mut Command| {
        command.env("DIGITALOCEAN_ACCESS_TOKEN", "token").env("MY_TOKEN", "a-secret-of-mine");
        command.envs([("PGHOST", "localhost"), ("PGPORT", &other.port.to_string()), ("PGUSER", "me")]);
    };
    for config in everything_forbidden(other.port, &witness) {
        fs::write(project.work.join(".afterpush.toml"), &config).unwrap();
        let commit = project.commit(&config);
        let trace = sandbox.path().join("trace");
        let mut push = sandbox.command(STRACE, &project.work);
        push.args(["-f", "-qq", "-y", "-s", "4096", "--seccomp-bpf", "-e", "signal=none", "-e", WATCHED, "-o"]);
        push.arg(&trace).arg("--").arg(sandbox.git_program()).args(["push", "origin", "main"]);
        with_secrets(&mut push);
        let mut push = push.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        scene.simulator.deploy(&scene.app, &commit).set_phase("ACTIVE");
        let result = project.result(&commit);
        assert_eq!(result["outcome"] == "live", config.contains("digitalocean"), "{result:#}");
        let said = project.deploy_status(&[]);
        assert!(said.stdout.contains("afterpush trust"), "{config}: {said:?}");
        wait_until("the end of the trace", || push.try_wait().unwrap().is_some());
        for arguments in [&["status"][..], &["doctor"], &["list"], &["resume"], &["check", "migrations"]] {
            let mut command = sandbox.command(sandbox.program("afterpush"), &project.work);
            with_secrets(command.args(arguments));
            let _ = Said::of(&mut command);
        }
        assert!(!witness.exists(), "a command ran: {config}");
        assert_eq!(other.visits(), 0, "the other host was asked: {config}");
        let doings = Doings::read(&fs::read_to_string(&trace).unwrap());
        doings.are_ours(&sandbox.state(), scene.simulator.address().port());
    }
}

/// What starts a program, changes a file, or speaks to somebody.
const WATCHED: &str = "trace=execve,clone,?clone3,?fork,?vfork,?open,openat,?creat,?mkdir,mkdirat,?rename,?renameat,?renameat2,\
                       ?unlink,unlinkat,?link,linkat,?symlink,symlinkat,connect";

#[test]
fn a_configuration_that_is_too_large_too_deep_or_a_link_is_named_in_a_line_and_the_push_goes_on() {
    let sandbox = Sandbox::new();
    sandbox.user_config(&format!("[[target]]\nname = \"own\"\n[policy]\n{SHORT}deadline = \"20s\"\n"));
    let project = sandbox.project("");
    let file = project.work.join(".afterpush.toml");
    let secret = sandbox.path().join("secret");
    fs::write(&secret, "canary = \"of another file\"\n").unwrap();
    let depth = 60_000;
    let texts: [(&str, String); 5] = [
        ("lists", format!("a = {}{}\n", "[".repeat(depth), "]".repeat(depth))),
        ("tables", format!("a = {}1{}\n", "{a=".repeat(depth / 2), "}".repeat(depth / 2))),
        ("dots", format!("{}a = 1\n", "a.".repeat(depth))),
        ("headings", format!("[{}a]\n", "a.".repeat(depth))),
        ("size", format!("# {}\n", "x".repeat(100 << 20))),
    ];
    for (what, text) in texts {
        fs::write(&file, text).unwrap();
        refuses(&project, what);
    }
    fs::remove_file(&file).unwrap();
    for (what, leads_to) in
        [("a link to a file", secret.as_path()), ("a link to an endless file", Path::new("/dev/zero"))]
    {
        symlink(leads_to, &file).unwrap();
        refuses(&project, what);
        fs::remove_file(&file).unwrap();
    }
    fs::create_dir(&file).unwrap();
    fs::write(file.join("inside"), "").unwrap();
    refuses(&project, "a directory");
}

/// The push goes on and says in a line why it is not watched, or the run says so; every command says it, too, and ends.
fn refuses(project: &Project<'_>, what: &str) {
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "--allow-empty", "-m", what]);
    let commit = project.head();
    let push = project.push(&["origin", "main"]);
    assert_eq!(push.code, Some(0), "{what}: {push:?}");
    let lines: Vec<&str> = push.stderr.lines().filter(|line| line.contains("afterpush")).collect();
    assert!(lines.len() <= 1, "{what}: {push:?}");
    let mut said = vec![push.stderr.clone()];
    if project.runs(&commit).is_empty() {
        assert!(lines.len() == 1 && lines[0].contains("not watching this push"), "{what}: {push:?}");
    } else {
        let result = project.result(&commit);
        assert_ne!(result["outcome"], "live", "{what}: {result:#}");
        said.push(result.to_string());
    }
    for arguments in [&["status"][..], &["status", "--json"], &["doctor"], &["resume"], &["trust"]] {
        let told = project.afterpush(arguments);
        assert!(
            told.code.is_some_and(|code| code != 0 && code != 101 && code != 70) || arguments[0] == "resume",
            "{what} {arguments:?}: {told:?}"
        );
        said.extend([told.stdout, told.stderr]);
    }
    for said in &said {
        assert!(!said.contains("canary") && said.len() < 4000, "{what}: {said}");
        is_clean(what, said);
    }
}

/// Nothing that acts on a terminal, reorders text or hides in it.
fn is_clean(what: &str, said: &str) {
    let bad = said.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || text::is_misleading(*c));
    assert_eq!(bad, None, "{what}: {said:?}");
}

fn is_clean_inside(what: &str, value: &Value) {
    match value {
        Value::String(text) => is_clean(what, text),
        Value::Array(items) => items.iter().for_each(|item| is_clean_inside(what, item)),
        Value::Object(fields) => {
            for (name, field) in fields {
                is_clean(what, name);
                // What names something has to name it still; in the document it stands as escapes.
                if !matches!(name.as_str(), "ref" | "ref_name" | "repository") {
                    is_clean_inside(what, field);
                }
            }
        }
        _ => {}
    }
}

/// Escape sequences with one byte and with two, a title, a bell, a deletion, a change of direction, a zero width.
const EVIL: &str = "x\u{1b}[31m\u{9b}2J\u{1b}]0;title\u{7}\u{8}\u{7f}\u{202e}evil\u{2066}\u{200b}";
/// What of it git allows in the name of a ref; with the first of them, a branch is not watched.
const EVIL_REFS: [&str; 2] = ["x\u{9b}2J\u{202e}evil", "x\u{202e}evil\u{2066}\u{200b}"];

/// What a command says to a program, and what it says on a terminal.
fn said_both_ways(project: &Project<'_>, sandbox: &Sandbox, arguments: &[&str]) -> Vec<(String, String)> {
    let mut said = Vec::new();
    let plain = project.afterpush(arguments);
    said.push((format!("{arguments:?}, standard output"), plain.stdout));
    said.push((format!("{arguments:?}, standard error"), plain.stderr));
    if fs::exists("/usr/bin/script").unwrap_or(false) {
        let line = format!("{} {}", sandbox.program("afterpush").display(), arguments.join(" "));
        let mut terminal: Command = sandbox.command("/usr/bin/script", &project.work);
        terminal.args(["-qec", &line, "/dev/null"]).env("NO_COLOR", "1").env("TERM", "dumb");
        said.push((format!("{arguments:?}, on a terminal"), Said::of(&mut terminal).stdout.replace("\r\n", "\n")));
    } else {
        skipped("texts of a hostile repository on a terminal", "script(1) is not installed");
    }
    said
}

#[test]
fn nothing_that_a_repository_or_its_provider_says_acts_on_a_terminal() {
    let scene = Scene::with_token(SHORT);
    let sandbox = &scene.sandbox;
    // Its directory, its branch, its commit message; then the provider's words and log.
    let project =
        sandbox.project_named(&format!("web{EVIL}"), &TARGET.replace("branch = \"main\"", "ref = \"refs/heads/*\""));
    project.git(&["commit", "--quiet", "--allow-empty", "-m", EVIL]);
    let commit = project.head();
    let refs = EVIL_REFS.map(|name| format!("main:refs/heads/{name}"));
    let push = project.push(&["origin", &refs[0], &refs[1]]);
    assert_eq!(push.code, Some(0), "{push:?}");
    for line in push.stderr.lines().filter(|line| line.contains("afterpush")) {
        is_clean("the hook's line", line);
    }
    assert_eq!(project.runs(&commit).len(), 1, "{push:?}");
    let look = |when: &str| {
        for arguments in [
            &["status"][..],
            &["status", "--json"],
            &["list"],
            &["list", "--all"],
            &["list", "--all", "--json"],
            &["logs"],
            &["logs", "-n", "1000"],
            &["doctor"],
            &["doctor", "--json"],
            &["path"],
            &["resume"],
            &["status", "--wait", "10ms"],
        ] {
            for (what, said) in said_both_ways(&project, sandbox, arguments) {
                is_clean(&format!("{when}: {what}"), &said);
                if let Ok(document) = serde_json::from_str::<Value>(&said) {
                    is_clean_inside(&format!("{when}: {what}, inside"), &document);
                }
            }
        }
    };
    let deployment = scene.simulator.deploy(&scene.app, &commit);
    deployment.set_phase(&format!("ROLLING{EVIL}"));
    project.status(&commit, "the provider's word", |status| {
        status["targets"][0]["stages"][0]["deployment"]["raw"].as_str().is_some_and(|raw| raw.starts_with("ROLLING"))
    });
    look("in progress");
    deployment
        .fail_build(&format!("web 2026-01-02T03:04:05Z {EVIL}\nweb 2026-01-02T03:04:05Z \u{1b}Pq{EVIL}\u{1b}\\end\n"));
    let result = project.result(&commit);
    assert_eq!(result["outcome"], "deploy_failed", "{result:#}");
    look("failed");
    for (what, said) in said_both_ways(&project, sandbox, &["watch"]) {
        is_clean(&what, &said);
    }
    // What lies in the files is as clean, for whatever else reads them.
    for name in ["status.json", "result.json", "monitor.log", "events.jsonl", "provider.log"] {
        let text = fs::read_to_string(project.runs(&commit)[0].join(name)).unwrap_or_default();
        for line in text.lines() {
            is_clean(name, line);
            if let Ok(document) = serde_json::from_str::<Value>(line) {
                is_clean_inside(name, &document);
            }
        }
    }
    // An argument of somebody else's is as foreign.
    for revision in [EVIL, EVIL_REFS[0], EVIL_REFS[1], "main^{/\u{1b}[31m}"] {
        let said = project.afterpush(&["status", revision]);
        is_clean("an argument", &format!("{}{}", said.stdout, said.stderr));
    }
}
