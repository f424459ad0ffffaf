//! `install --schedule` and `uninstall --schedule`: a systemd user timer, else a line in the crontab.
//!
//! The real `crontab` and `systemctl` would change the machine that runs the tests, whatever HOME says. Stand-ins in the
//! sandbox's path keep the table in a file, record what they are asked, and refuse on demand.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use afterpush_testkit::sandbox::{Said, Sandbox, skipped};

/// Knows `-l`, `-` and `-r`; the files `table` and `refuse` lie beside it.
const CRONTAB: &str = r#"#!/bin/sh
here=@HERE@
if [ -e "$here/refuse" ]; then echo "you are not allowed to use this program (crontab)" >&2; exit 1; fi
case "$1" in
-l) [ -e "$here/table" ] || { echo "no crontab for test" >&2; exit 1; }; cat "$here/table" ;;
-) if [ -e "$here/refuse-new" ]; then echo "the disk is full" >&2; exit 1; fi; cat >"$here/new"; mv "$here/new" "$here/table" ;;
-r) rm "$here/table" ;;
*) exit 2 ;;
esac
"#;

/// Records its calls in `calls`; a word in the file `refuse` makes the calls that contain it fail.
const SYSTEMCTL: &str = r#"#!/bin/sh
here=@HERE@
echo "$*" >>"$here/calls"
case "$*" in *"$(cat "$here/refuse" 2>/dev/null || echo nothing)"*) echo "Failed to do so: no" >&2; exit 1 ;; esac
case "$2" in
enable) : >"$here/enabled" ;;
disable) rm -f "$here/enabled" ;;
is-enabled|is-active) [ -e "$here/enabled" ] ;;
show|daemon-reload) ;;
*) exit 2 ;;
esac
"#;

struct Machine {
    sandbox: Sandbox,
    crontab: PathBuf,
    systemctl: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let [crontab, systemctl] = [("crontab", CRONTAB), ("systemctl", SYSTEMCTL)].map(|(name, script)| {
            let here = sandbox.path().join(name);
            fs::create_dir(&here).unwrap();
            let program = sandbox.path().join("path").join(name);
            fs::write(&program, script.replace("@HERE@", &format!("'{}'", here.display()))).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            here
        });
        Self { sandbox, crontab, systemctl }
    }

    /// One where systemd has no manager for this user.
    fn with_cron() -> Self {
        let machine = Self::new();
        fs::write(machine.systemctl.join("refuse"), "--user").unwrap();
        machine
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.sandbox.afterpush(self.sandbox.path(), arguments)
    }

    fn install(&self) -> Said {
        self.run(&["install", "--schedule"])
    }

    fn uninstall(&self) -> Said {
        self.run(&["uninstall", "--schedule"])
    }

    fn table(&self) -> Option<Vec<u8>> {
        fs::read(self.crontab.join("table")).ok()
    }

    fn units(&self) -> PathBuf {
        self.sandbox.path().join("home/.config/systemd/user")
    }

    fn calls(&self) -> String {
        let calls = fs::read_to_string(self.systemctl.join("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.systemctl.join("calls"));
        calls
    }

    /// What doctor says of the schedule.
    fn doctor(&self, work: &Path) -> (bool, String) {
        let said = self.sandbox.afterpush(work, &["doctor", "--json"]);
        let document = said.json();
        let checks = document["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == "schedule").unwrap_or_else(|| panic!("{said:?}"));
        (check["ok"].as_bool().unwrap(), check["message"].as_str().unwrap().to_owned())
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn without_systemd_one_line_of_the_crontab_is_added_and_removed() {
    let machine = Machine::with_cron();
    let before = b"# mine\nMAILTO=me\n\n0 5 * * * backup \xff\\%d\t\n".to_vec();
    fs::write(machine.crontab.join("table"), &before).unwrap();
    let said = machine.install();
    assert_eq!(said.code, Some(0), "{said:?}");
    let after = machine.table().unwrap();
    let line = String::from_utf8(after.strip_prefix(&before[..]).expect("the rest is kept").to_vec()).unwrap();
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    assert!(line.starts_with("*/15 * * * * ") && line.ends_with(" # afterpush schedule\n"), "{line}");
    let again = machine.install();
    assert!(again.code == Some(0) && again.stdout.contains("already"), "{again:?}");
    assert_eq!(machine.table().unwrap(), after, "twice is once");
    let said = machine.uninstall();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(machine.table().unwrap(), before);
    let said = machine.uninstall();
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "no schedule to remove\n"), "{said:?}");
    assert!(names(&machine.units()).is_empty(), "no unit files without a manager");
}

#[test]
fn the_scheduled_line_runs_from_anywhere_without_a_word_and_knows_the_state_directory() {
    let machine = Machine::with_cron();
    let project = machine.sandbox.project("[[target]]\nname = \"web\"\nbranch = \"main\"\n");
    assert_eq!(project.push(&["origin", "main"]).code, Some(0));
    let commit = project.head();
    let _ = project.result(&commit);
    // Resumed means: a push that only the reflog knows gets a run.
    let unseen = project.commit("unseen");
    assert_eq!(project.push(&["--no-verify", "origin", "main"]).code, Some(0));
    assert_eq!(machine.install().code, Some(0));
    let table = String::from_utf8(machine.table().unwrap()).unwrap();
    let command = table.trim_end().splitn(6, ' ').nth(5).unwrap().replace("\\%", "%");
    let mut cron = Command::new("/bin/sh");
    cron.args(["-c", &command]).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    cron.env("HOME", machine.sandbox.path().join("home"));
    let said = Said::of(&mut cron);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), "", ""), "{command}");
    assert_eq!(project.runs(&unseen).len(), 1, "the unseen push is watched");
    let _ = project.result(&unseen);
}

#[test]
fn an_empty_crontab_is_none_again_afterwards() {
    let machine = Machine::with_cron();
    assert_eq!(machine.install().code, Some(0));
    assert!(machine.table().is_some());
    assert_eq!(machine.uninstall().code, Some(0));
    assert_eq!(machine.table(), None);
}

#[test]
fn a_crontab_that_refuses_is_told_and_stays() {
    let machine = Machine::with_cron();
    fs::write(machine.crontab.join("table"), "0 5 * * * backup\n").unwrap();
    for (switch, why) in [("refuse", "you are not allowed"), ("refuse-new", "the disk is full")] {
        fs::write(machine.crontab.join(switch), "").unwrap();
        let said = machine.install();
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("`crontab -") && said.stderr.contains(why), "{said:?}");
        fs::remove_file(machine.crontab.join(switch)).unwrap();
        assert_eq!(machine.table().unwrap(), b"0 5 * * * backup\n", "{switch}");
    }
}

#[test]
fn with_systemd_a_user_timer_is_enabled_and_removed() {
    let machine = Machine::new();
    let said = machine.install();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(names(&machine.units()), ["afterpush.service", "afterpush.timer"]);
    assert!(machine.calls().ends_with("--user daemon-reload\n--user enable --now afterpush.timer\n"));
    assert_eq!(machine.table(), None, "one schedule is enough");
    let service = fs::read_to_string(machine.units().join("afterpush.service")).unwrap();
    let program = machine.sandbox.program("afterpush").canonicalize().unwrap();
    assert!(service.contains(&format!("ExecStart=\"{}\" resume --all\n", program.display())), "{service}");
    assert!(service.contains("KillMode=process\n"), "the monitors that it starts outlive it");
    let again = machine.install();
    assert!(again.code == Some(0) && again.stdout.contains("already"), "{again:?}");
    assert!(!machine.calls().contains(" enable"), "twice is once");
    let said = machine.uninstall();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(machine.calls().contains("--user disable --now afterpush.timer\n"));
    assert!(names(&machine.units()).is_empty());
    assert_eq!(machine.uninstall().stdout, "no schedule to remove\n");
}

#[test]
fn a_systemd_that_refuses_is_told_and_nothing_is_left_half() {
    let machine = Machine::new();
    for step in ["daemon-reload", "enable --now"] {
        fs::write(machine.systemctl.join("refuse"), step).unwrap();
        let said = machine.install();
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains(step) && said.stderr.contains("Failed to do so: no"), "{said:?}");
        assert!(names(&machine.units()).is_empty(), "{step}");
    }
    fs::remove_file(machine.systemctl.join("refuse")).unwrap();
    assert_eq!(machine.install().code, Some(0));
    fs::write(machine.systemctl.join("refuse"), "disable").unwrap();
    let said = machine.uninstall();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(names(&machine.units()).len(), 2, "a timer that could not be stopped keeps its files");
}

#[test]
fn a_unit_file_of_somebody_else_is_left_alone() {
    let machine = Machine::new();
    fs::create_dir_all(machine.units()).unwrap();
    let theirs = machine.units().join("afterpush.service");
    fs::write(&theirs, "[Service]\nExecStart=/bin/true\n").unwrap();
    let said = machine.install();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("was not written by afterpush"), "{said:?}");
    assert_eq!(machine.uninstall().stdout, "no schedule to remove\n");
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "[Service]\nExecStart=/bin/true\n");
    assert_eq!(names(&machine.units()), ["afterpush.service"]);
}

#[test]
fn doctor_tells_the_schedule_and_nothing_is_scheduled_unasked() {
    for (machine, kind) in [(Machine::with_cron(), "crontab"), (Machine::new(), "systemd user timer")] {
        let project = machine.sandbox.project("[[target]]\nname = \"web\"\nbranch = \"main\"\n");
        let (ok, message) = machine.doctor(&project.work);
        assert!(ok && message.starts_with("none"), "{message}");
        assert!(machine.table().is_none() && names(&machine.units()).is_empty());
        assert_eq!(machine.install().code, Some(0));
        let (ok, message) = machine.doctor(&project.work);
        assert!(ok && message.contains(kind), "{message}");
        // The program has moved since, or the timer was switched off by hand.
        if kind == "crontab" {
            let table = String::from_utf8(machine.table().unwrap()).unwrap();
            fs::write(machine.crontab.join("table"), table.replace("/afterpush' ", "/elsewhere' ")).unwrap();
        } else {
            fs::remove_file(machine.systemctl.join("enabled")).unwrap();
        }
        assert!(!machine.doctor(&project.work).0);
        assert_eq!(machine.install().code, Some(0));
        assert!(machine.doctor(&project.work).0, "installing again repairs it");
    }
}

#[test]
fn the_unit_files_are_what_systemd_expects() {
    let Ok(verifier) = fs::canonicalize("/usr/bin/systemd-analyze") else {
        return skipped("the_unit_files_are_what_systemd_expects", "there is no /usr/bin/systemd-analyze");
    };
    let machine = Machine::new();
    assert_eq!(machine.install().code, Some(0));
    let mut verify = machine.sandbox.command(verifier, machine.sandbox.path());
    verify.args(["verify", "--user", "--man=no"]);
    verify.args(["afterpush.service", "afterpush.timer"].map(|name| machine.units().join(name)));
    verify.env("XDG_RUNTIME_DIR", machine.sandbox.path());
    let said = Said::of(&mut verify);
    assert_eq!((said.code, said.stderr.contains("afterpush")), (Some(0), false), "{said:?}");
}
