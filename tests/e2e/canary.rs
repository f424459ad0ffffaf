//! A secret of every source, followed through every way that a run can go: it is found where it came from and nowhere else.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use afterpush_testkit::{
    canary::holds,
    digitalocean::{PLAIN_SECRET, Simulator},
    git_server::GitServer,
    health::App,
    line::{Line, Proxy},
    sandbox::{Project, Said, Sandbox, skipped, wait_until},
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    scene::{SHORT, TARGET, end_monitor, has_ended, monitor_of},
    strace::{self, STRACE},
};

const HOST: &str = "api.vendor.invalid";

/// Where the secrets of one run come from. Together the three have every source there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sources {
    /// The environment; a remote's address.
    Environment,
    /// The credentials file; `http.extraHeader`.
    CredentialsFile,
    /// The vendor's own login file; `insteadOf`; the address of a proxy.
    LoginFile,
}

/// How the run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Success,
    Failure,
    /// A failure, with everything in the log.
    DebugLog,
    /// Killed by each of the signals that leave a core file.
    Crash,
    Panic,
}

/// Secrets, ways and places that were looked at, and how many secrets were found there.
#[derive(Default)]
struct Tally {
    searches: AtomicUsize,
    leaks: AtomicUsize,
}

/// One run with its secrets.
struct Run<'a> {
    sources: Sources,
    way: Way,
    tally: &'a Tally,
    simulator: Simulator,
    app: String,
    line: Line,
    proxy: Proxy,
    health: App,
    git: GitServer,
    sandbox: Sandbox,
    secrets: Vec<Secret>,
}

struct Secret {
    of: &'static str,
    word: String,
    /// The word itself, and in Base64, alone and after a user's name.
    forms: Vec<String>,
}

impl<'a> Run<'a> {
    fn prepare(sources: Sources, way: Way, tally: &'a Tally) -> Self {
        let simulator = Simulator::start();
        let health = App::start();
        let app = simulator.add_app("storefront", "acme/storefront", "main", &health.url());
        let line = Line::start("127.0.0.1:0", HOST, simulator.address());
        let secret = |of: &'static str| {
            let word = format!("canary-{}-{sources:?}-{way:?}", of.replace(' ', "-"));
            let forms = vec![word.clone(), STANDARD_NO_PAD.encode(&word), STANDARD_NO_PAD.encode(format!("me:{word}"))];
            Secret { of, word, forms }
        };
        let (token, remote) = match sources {
            Sources::Environment => ("environment", "remote url"),
            Sources::CredentialsFile => ("credentials file", "extra header"),
            Sources::LoginFile => ("login file", "instead of"),
        };
        let mut secrets = vec![secret(token), secret(remote), secret("database address")];
        if sources == Sources::LoginFile {
            secrets.push(secret("proxy"));
        }
        let sandbox = Sandbox::new();
        let git = GitServer::start(
            sandbox.git_program().to_owned(),
            sandbox.path().to_owned(),
            &padded(&format!("me:{}", secrets[1].word)),
        );
        let login = secrets.get(3).map_or_else(String::new, |proxy| padded(&format!("me:{}", proxy.word)));
        let proxy = Proxy::start(line.address(), Some(&login));
        let run = Self { sources, way, tally, simulator, app, line, proxy, health, git, sandbox, secrets };
        run.configure();
        run
    }

    fn configure(&self) {
        let api = match self.sources {
            Sources::LoginFile => format!("https://{HOST}"),
            _ => self.simulator.url(),
        };
        let port = self.health.url().rsplit_once(':').unwrap().1.to_owned();
        self.sandbox.user_config(&format!(
            "[provider.digitalocean]\napi_url = \"{api}\"\n[[target]]\nname = \"web\"\n\
             database = {{ url_env = \"DATABASE_URL\" }}\n\
             health = {{ url = \"http://localhost:{port}/health\", commit = \"/commit\", passes = 1 }}\n[policy]\n{SHORT}"
        ));
        fs::write(self.sandbox.path().join("authority.pem"), &self.line.authority).unwrap();
        let token = &self.secrets[0].word;
        match self.sources {
            Sources::Environment => {}
            Sources::CredentialsFile => self.sandbox.credentials(&format!(
                "DATABASE_URL = \"{}\"\n[digitalocean]\ntoken = \"{token}\"\n",
                self.database_address()
            )),
            Sources::LoginFile => {
                let directory = self.sandbox.path().join("home/.config/doctl");
                fs::create_dir_all(&directory).unwrap();
                fs::write(directory.join("config.yaml"), format!("access-token: {token}\ncontext: default\n")).unwrap();
            }
        }
    }

    /// A database that is there, or one that nobody serves.
    fn database_address(&self) -> String {
        let word = &self.secrets[2].word;
        match self.way {
            Way::Success => format!("sqlite:{}", self.database_file().display()),
            _ => format!("postgres://me:{word}@127.0.0.1:1/{word}"),
        }
    }

    fn database_file(&self) -> PathBuf {
        let directory = self.sandbox.path().join(&self.secrets[2].word);
        fs::create_dir_all(&directory).unwrap();
        directory.join("app.db")
    }

    /// A project whose remote wants a password, and whose pushes are proved by asking the remote, for want of a tracking ref.
    fn project(&self) -> Project<'_> {
        let project = self.sandbox.project(TARGET);
        let (word, at) = (&self.secrets[1].word, self.git.address());
        let url = match self.sources {
            Sources::Environment => format!("http://me:{word}@{at}/web.git"),
            Sources::CredentialsFile => {
                let header = format!("Authorization: Basic {}", padded(&format!("me:{word}")));
                project.git(&["config", "http.extraHeader", &header]);
                format!("http://{at}/web.git")
            }
            Sources::LoginFile => {
                project.git(&["config", &format!("url.http://me:{word}@{at}/.insteadOf"), "short:"]);
                "short:web.git".to_owned()
            }
        };
        project.git(&["remote", "set-url", "origin", &url]);
        // Where no process can be started, the reflog has to prove it.
        if self.way != Way::Panic {
            project.git(&["config", "--unset-all", "remote.origin.fetch"]);
        }
        project
    }

    /// Adds what is secret in the environment, if anything is.
    fn with_secrets<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("SSL_CERT_FILE", self.sandbox.path().join("authority.pem")).env("NO_PROXY", "127.0.0.1");
        if self.way == Way::DebugLog {
            command.env("AFTERPUSH_LOG", "debug");
        }
        if self.sources != Sources::CredentialsFile {
            command.env("DATABASE_URL", self.database_address());
        }
        if self.sources == Sources::Environment {
            command.env("DIGITALOCEAN_ACCESS_TOKEN", &self.secrets[0].word);
        }
        if let Some(proxy) = self.secrets.get(3) {
            command.env("HTTPS_PROXY", format!("http://me:{}@{}", proxy.word, self.proxy.address()));
        }
        command
    }

    /// Looks for every secret in a place.
    fn search(&self, place: &str, text: &[u8]) {
        for secret in &self.secrets {
            self.tally.searches.fetch_add(1, Ordering::Relaxed);
            for form in &secret.forms {
                if holds(text, form) {
                    self.tally.leaks.fetch_add(1, Ordering::Relaxed);
                    let shown = String::from_utf8_lossy(text);
                    let at = shown.find(form.as_str()).unwrap_or_default();
                    let around: String =
                        shown[..at].chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
                    eprintln!(
                        "LEAK of {} ({:?}, {:?}) in {place}: ...{around}{form}",
                        secret.of, self.sources, self.way
                    );
                }
            }
        }
    }

    /// Runs a command that a person may give, and looks through what it says.
    fn say(&self, project: &Project<'_>, arguments: &[&str]) -> Said {
        let mut command = self.sandbox.command(self.sandbox.program("afterpush"), &project.work);
        let said = Said::of(self.with_secrets(command.args(arguments)));
        self.search(&format!("the output of {arguments:?}"), format!("{}{}", said.stdout, said.stderr).as_bytes());
        said
    }

    /// The run, from the push to the last look.
    fn go(&self) {
        let project = self.project();
        let commit = project.head();
        let trace = self.sandbox.path().join("trace");
        let pushing = self.push(&project, &trace);
        project.status(&commit, "a proof of the push", |status| status["push_proof"].is_string());
        match self.way {
            Way::Success => {
                self.health.serve(&commit);
                let mut row = self.sandbox.command(self.sandbox.program("afterpush-monitor"), &project.work);
                let said = Said::of(row.arg("demo-row").arg(self.database_file()).args([&commit, "success"]));
                assert_eq!(said.code, Some(0), "{said:?}");
                self.simulator.deploy(&self.app, &commit).set_phase("ACTIVE");
                assert_eq!(project.result(&commit)["outcome"], "live");
            }
            Way::Failure | Way::DebugLog => {
                self.look_at_monitor();
                self.simulator.deploy(&self.app, &commit).fail_build("web 2026-01-02T03:04:05Z error: no\n");
                assert_eq!(project.result(&commit)["outcome"], "deploy_failed");
            }
            Way::Crash => self.crash(&project, &commit),
            Way::Panic => self.panic(&project, &commit),
        }
        for arguments in
            [&["status"][..], &["status", "--json"], &["list", "--all"], &["logs", "-n", "1000"], &["doctor"]]
        {
            self.say(&project, arguments);
        }
        wait_until("the monitors' end", || self.sandbox.monitors().is_empty());
        self.read_trace(pushing, &trace);
        self.search_files(self.sandbox.path());
        self.search_requests();
    }

    /// Pushes, and has every program that is started written down with its arguments and its environment.
    fn push(&self, project: &Project<'_>, trace: &Path) -> Child {
        let mut push = self.sandbox.command("/bin/sh", &project.work);
        push.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh", STRACE, "-f", "-qq", "-v", "-s", "100000"]);
        // No kernel tells the push's exit code then, and the remote has to be asked, with the password that is in its address.
        push.args([
            "--seccomp-bpf",
            "-e",
            "trace=execve,ioctl",
            "--inject=ioctl:error=ENOTTY",
            "-e",
            "signal=none",
            "-o",
        ])
        .arg(trace)
        .arg("--");
        push.arg(self.sandbox.git_program()).args(["push", "origin", "main"]);
        self.with_secrets(&mut push).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// What root can see of the monitor; everybody else sees less.
    fn look_at_monitor(&self) {
        let pid = monitor_of(&self.sandbox);
        for file in ["environ", "cmdline"] {
            self.search(&format!("the monitor's {file}"), &fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default());
        }
        // One that has just been started closes itself first of all.
        wait_until("a monitor that can leave no core file", || {
            let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            core.split_whitespace().nth(4) == Some("0")
        });
    }

    /// Each signal that leaves a core file, to one monitor after the other.
    fn crash(&self, project: &Project<'_>, commit: &str) {
        for signal in [Signal::SIGSEGV, Signal::SIGABRT, Signal::SIGBUS, Signal::SIGILL, Signal::SIGKILL] {
            self.look_at_monitor();
            let pid = monitor_of(&self.sandbox);
            // Of a fault that it did not make, Rust's own handler takes the first for one that comes again.
            wait_until("the monitor's end", || {
                let _ = kill(Pid::from_raw(pid), signal);
                has_ended(pid)
            });
            // Threads of the dead one may hold its lock for a moment; until they have gone, nobody takes its place.
            wait_until("a monitor in its place", || {
                let mut resume = self.sandbox.command("/bin/sh", &project.work);
                resume.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]);
                let said = Said::of(self.with_secrets(resume.arg(self.sandbox.program("afterpush")).arg("resume")));
                assert_eq!(said.code, Some(0), "{said:?}");
                self.search("the output of resume", format!("{}{}", said.stdout, said.stderr).as_bytes());
                !self.sandbox.monitors().is_empty()
            });
        }
        monitor_of(&self.sandbox);
        self.simulator.deploy(&self.app, commit).fail_build("error: no\n");
        assert_eq!(project.result(commit)["outcome"], "deploy_failed");
        // The hook, which has the environment as it is, at its first write.
        let mut hook = self.sandbox.command("/bin/sh", &project.work);
        hook.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh", STRACE, "-f", "-qq", "-o", "/dev/null"]);
        hook.args(["--inject=write:signal=ABRT:when=1", "--"]).arg(self.sandbox.program("afterpush-hook"));
        hook.args(["pre-push", "1", "origin", "x"]).stdin(self.pushed_line(commit));
        assert_ne!(Said::of(self.with_secrets(&mut hook)).code, Some(0), "it did not crash");
    }

    fn pushed_line(&self, commit: &str) -> fs::File {
        let file = self.sandbox.path().join("lines");
        fs::write(&file, format!("refs/heads/main {commit} refs/heads/main {}\n", "0".repeat(40))).unwrap();
        fs::File::open(file).unwrap()
    }

    /// A monitor that cannot have another thread when it looks a name up.
    fn panic(&self, project: &Project<'_>, commit: &str) {
        end_monitor(&self.sandbox, Signal::SIGKILL);
        let variables = self.sandbox.path().join("variables");
        let mut given = Command::new("true");
        self.with_secrets(&mut given);
        let text = |it: &OsStr| it.to_str().unwrap().to_owned();
        let map: serde_json::Map<_, _> =
            given.get_envs().map(|(name, value)| (text(name), text(value.unwrap()).into())).collect();
        fs::write(&variables, serde_json::Value::from(map).to_string()).unwrap();
        let mut monitor = self.sandbox.command(STRACE, &project.work);
        monitor.args(["-qq", "-o", "/dev/null", "--inject=?clone,?clone3:error=EAGAIN", "--"]);
        monitor.arg(self.sandbox.program("afterpush-monitor")).arg("run").arg(&project.runs(commit)[0]);
        let said = Said::of(monitor.stdin(fs::File::open(&variables).unwrap()));
        fs::remove_file(variables).unwrap();
        assert_eq!(said.code, Some(101), "it did not panic: {said:?}");
        self.search("what a panic says", format!("{}{}", said.stdout, said.stderr).as_bytes());
        let said = self.say(project, &["stop"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    /// Every program that the monitors have started, and the monitors. Not those before: git itself hands its hook, and its own
    /// helper, the remote's address as an argument.
    fn read_trace(&self, mut pushing: Child, trace: &Path) {
        wait_until("the end of the trace", || pushing.try_wait().unwrap().is_some());
        let text = fs::read_to_string(trace).unwrap();
        fs::remove_file(trace).unwrap();
        let mut seen = Vec::new();
        // Of the push's own environment nothing of git's is handed on.
        for line in text.lines().filter(|line| line.contains("execve(") && !line.contains("\"GIT_AUTHOR_NAME=Test\"")) {
            let (argv, environ) = line.split_once("], [").unwrap_or((line, ""));
            let program = argv.split('"').nth(1).unwrap_or_default();
            seen.push(program.rsplit('/').next().unwrap_or_default().to_owned());
            self.search(&format!("the arguments of {program}"), argv.as_bytes());
            // git has to log in at the remote, and to find the way there, as in the push.
            let own = environ
                .split("\", \"")
                .filter(|it| !it.contains("_PROXY=") && !it.contains("AFTERPUSH_REMOTE_PASSWORD="));
            let environ: Vec<&str> = if seen.last().is_some_and(|name| name == "afterpush-monitor") {
                environ.split("\", \"").collect()
            } else {
                own.collect()
            };
            self.search(&format!("the environment of {program}"), environ.join("\n").as_bytes());
        }
        assert!(seen.iter().any(|name| name == "afterpush-monitor"), "{seen:?}");
        let is_asked = seen.iter().any(|name| name == "git-remote-http");
        assert!(is_asked || self.way == Way::Panic, "the remote was not asked: {seen:?}");
    }

    fn search_files(&self, directory: &Path) {
        // Where the secrets come from.
        let own = ["home/.config/afterpush/credentials.toml", "home/.config/doctl/config.yaml", "web/.git/config"];
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if own.iter().any(|it| path == self.sandbox.path().join(it)) || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                self.search_files(&path);
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy();
            assert!(!name.starts_with("core"), "{} is a core file", path.display());
            let text = fs::read(&path).unwrap_or_default();
            self.search(&path.display().to_string(), &text);
            assert!(!holds(&text, PLAIN_SECRET), "the app's environment stands in {}", path.display());
        }
    }

    /// Everybody has heard of their own secret, and of no other.
    fn search_requests(&self) {
        let heads = |heads: Vec<String>| heads.join("\n");
        let to_api = heads(self.simulator.requests().into_iter().map(|it| it.headers).collect());
        let to_archive = heads(self.simulator.log_downloads().into_iter().map(|it| it.headers).collect());
        let to_git = heads(self.git.heads());
        let to_proxy = heads(self.proxy.asked().into_iter().map(|it| it.head).collect());
        let meant: [(&str, &str, Option<usize>); 4] = [
            ("the API", &to_api, Some(0)),
            ("the archive", &to_archive, None),
            ("the remote", &to_git, Some(1)),
            ("the proxy", &to_proxy, Some(3)),
        ];
        for (host, text, own) in meant {
            let mut text = text.to_owned();
            if let Some(secret) = own.and_then(|at| self.secrets.get(at)) {
                assert!(secret.forms.iter().any(|form| text.contains(form)), "{} was not used: {text}", secret.of);
                for form in secret.forms.iter().rev() {
                    text = text.replace(form, "");
                }
            }
            self.search(&format!("the requests to {host}"), text.as_bytes());
        }
        let known = ["accept", "cache-control", "host", "user-agent"];
        let names = self.health.headers_seen();
        assert!(names.iter().all(|name| known.contains(&name.as_str())), "the application was told more: {names:?}");
        assert!(!names.is_empty() || self.way != Way::Success);
    }
}

fn padded(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn a_secret_of_each_source_is_found_nowhere_whatever_becomes_of_the_run() {
    let test = "a_secret_of_each_source_is_found_nowhere";
    if !strace::is_usable(test) {
        return;
    }
    if !leaves_core_files() {
        skipped(test, "no core file to look for: this machine writes them elsewhere, or none");
    }
    let tally = Tally::default();
    let sources = [Sources::Environment, Sources::CredentialsFile, Sources::LoginFile];
    let ways = [Way::Success, Way::Failure, Way::DebugLog, Way::Crash, Way::Panic];
    thread::scope(|scope| {
        for way in ways {
            let tally = &tally;
            scope.spawn(move || {
                for sources in sources {
                    Run::prepare(sources, way, tally).go();
                }
            });
        }
    });
    let (searches, leaks) = (tally.searches.into_inner(), tally.leaks.into_inner());
    eprintln!("canaries: 8 sources, {} ways, {searches} searches of a place for a secret, {leaks} leaks", ways.len());
    assert_eq!(leaks, 0);
}

/// Tells whether a program that crashes here leaves a core file where it stands.
fn leaves_core_files() -> bool {
    let sandbox = Sandbox::new();
    let mut crash = sandbox.command("/bin/sh", sandbox.path());
    let _ = Said::of(crash.args(["-c", "ulimit -c unlimited; exec sh -c 'kill -SEGV $$'"]));
    let names = fs::read_dir(sandbox.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with("core"))
}
