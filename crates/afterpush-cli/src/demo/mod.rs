//! `afterpush demo`: the whole job on this machine, in a temporary directory, without an account and without a network.
//!
//! Invariant: nothing is pretended. The pushes are real pushes, the hook and the monitors are the installed binaries, the
//! application really starts or fails to; each verdict is checked, and the exit code is 0 only when all are as expected.

mod place;
pub(crate) mod server;

use std::time::Duration;

use place::Place;

use crate::{
    args::DemoArgs,
    context::{Context, beside},
    error::{CommandError, ErrorKind},
    interruption::Interruption,
    output::Output,
};

const CONFIGURATION: &str = "[[target]]\nname = \"web\"\nbranch = \"main\"\n";
const BUILD: &str = "# Nothing to build yet.\n";
const SLOW_BUILD: &str = "# A build that takes its time.\nsleep 4\n";
const START: &str = "exec \"$AFTERPUSH\" demo-server --port \"$PORT\" --commit-file commit --ready-file ready\n";
const BROKEN_START: &str = "# Says that it is ready, then reads its settings from a file that nobody has committed.\n\
    : >ready\n\
    . ./settings.sh\n\
    exec \"$AFTERPUSH\" demo-server --port \"$PORT\" --commit-file commit --ready-file ready\n";

/// How long a reader has between two parts.
const PAUSE: Duration = Duration::from_millis(1_500);

/// One verdict that was checked.
struct Checked {
    what: &'static str,
    expected: &'static str,
    found: String,
    as_expected: bool,
}

/// Runs the demo.
pub(crate) fn demo(_: &Context, args: &DemoArgs, output: &mut Output) -> Result<u8, CommandError> {
    beside("afterpush-hook")?;
    let interruption = Interruption::catch()?;
    let place = Place::make()?;
    let mut show = Show { place: &place, output, interruption, pause: !args.fast, checked: Vec::new() };
    let played = show.play();
    let checked = std::mem::take(&mut show.checked);
    // Cleaned up in any case; what went wrong first is what is told.
    let closed = place.close(args.keep, output);
    played?;
    closed?;
    summarise(&checked, output)
}

struct Show<'a> {
    place: &'a Place,
    output: &'a mut Output,
    interruption: Interruption,
    pause: bool,
    checked: Vec<Checked>,
}

impl Show<'_> {
    fn play(&mut self) -> Result<(), CommandError> {
        self.say(&format!(
            "The whole job on this machine, in {}.\n\
             A bare repository deploys what is pushed to it: a small web server, and a row in a SQLite table.\n",
            self.place.root().display()
        ))?;
        self.part("A work tree with afterpush installed")?;
        self.run(&["git", "init", "--quiet", "."])?;
        self.run(&["git", "remote", "add", "origin", "../origin.git"])?;
        self.place.write("work/.afterpush.toml", CONFIGURATION)?;
        self.place.write("work/build.sh", BUILD)?;
        self.place.write("work/start.sh", START)?;
        self.run(&["afterpush", "install"])?;

        self.part("1. A good push")?;
        self.push("The first version")?;
        self.show(&["afterpush", "watch"])?;
        self.check("a good push", "live", &["live"])?;
        let first = self.head()?;

        self.part("2. A push that is deployed with success, and whose version never answers")?;
        self.place.write("work/start.sh", BROKEN_START)?;
        self.push("Read the settings from a file")?;
        self.show(&["afterpush", "watch"])?;
        self.check("a push whose version never answers", "timed_out", &["timed_out"])?;
        self.run(&["tail", "-n", "3", "../deploy.log"])?;
        let health = self.place.health()?;
        self.say(&format!("Meanwhile the application says {health}: healthy, but still the first version. The table's word alone would have been taken for a success.\n"))?;
        let found = if health.contains(&first) { "the old commit" } else { "another commit" };
        self.note("its health", "the old commit", found, &["the old commit"]);

        self.part("3. Two pushes, one right after the other")?;
        self.place.write("work/start.sh", START)?;
        self.place.write("work/build.sh", SLOW_BUILD)?;
        self.push("Do without the settings; build slowly")?;
        let first = self.head()?;
        self.place.write("work/build.sh", BUILD)?;
        self.push("Build quickly")?;
        self.show(&["deploy-status", "--wait", "30s"])?;
        self.check("the second of two pushes", "live", &["live"])?;
        self.show(&["deploy-status", "--wait", "30s", short(&first)])?;
        let expected = &["live_contained", "superseded"];
        self.check_commit("the first of two pushes", "live_contained or superseded", expected, &first)
    }

    /// Commits everything and pushes it; the push's own output is the person's to see.
    fn push(&mut self, message: &str) -> Result<(), CommandError> {
        self.run(&["git", "add", "."])?;
        self.run(&["git", "commit", "--quiet", "-m", message])?;
        self.run(&["git", "push", "origin", "HEAD:main"])
    }

    /// Runs a command that must succeed.
    fn run(&mut self, line: &[&str]) -> Result<(), CommandError> {
        match self.show(line)? {
            Some(0) => Ok(()),
            _ => Err(CommandError::new(ErrorKind::Refused, format!("`{}` failed in the demo", line.join(" ")))),
        }
    }

    fn show(&mut self, line: &[&str]) -> Result<Option<i32>, CommandError> {
        self.pause_for(Duration::ZERO)?;
        let code = self.place.shown(line, self.output)?;
        self.pause_for(Duration::ZERO)?;
        Ok(code)
    }

    fn check(&mut self, what: &'static str, expected: &'static str, outcomes: &[&str]) -> Result<(), CommandError> {
        let commit = self.head()?;
        self.check_commit(what, expected, outcomes, &commit)
    }

    fn check_commit(
        &mut self,
        what: &'static str,
        expected: &'static str,
        outcomes: &[&str],
        commit: &str,
    ) -> Result<(), CommandError> {
        let document = self.place.document(commit)?;
        let is_whole = document["commit"] == commit;
        let found = document["outcome"].as_str().or(document["state"].as_str()).filter(|_| is_whole);
        self.note(what, expected, found.unwrap_or("no answer"), outcomes);
        Ok(())
    }

    fn note(&mut self, what: &'static str, expected: &'static str, found: &str, right: &[&str]) {
        let as_expected = right.contains(&found);
        self.checked.push(Checked { what, expected, found: found.to_owned(), as_expected });
    }

    fn head(&self) -> Result<String, CommandError> {
        self.place.quiet(&["git", "rev-parse", "HEAD"])
    }

    fn part(&mut self, title: &str) -> Result<(), CommandError> {
        self.pause_for(if self.pause { PAUSE } else { Duration::ZERO })?;
        let style = anstyle::Style::new().bold().underline();
        self.say(&format!("\n{style}{title}{style:#}\n"))
    }

    fn say(&mut self, text: &str) -> Result<(), CommandError> {
        self.output.print(text)
    }

    fn pause_for(&mut self, time: Duration) -> Result<(), CommandError> {
        if self.interruption.came_within(time)? {
            return Err(CommandError::new(ErrorKind::Refused, "interrupted; everything was cleaned up"));
        }
        Ok(())
    }
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

fn summarise(checked: &[Checked], output: &mut Output) -> Result<u8, CommandError> {
    output.print("\nWhat was expected, and what came:\n")?;
    for check in checked {
        let mark = if check.as_expected { "ok     " } else { "problem" };
        output.print(&format!("  {mark}  {}: expected {}, found {}\n", check.what, check.expected, check.found))?;
    }
    if checked.iter().all(|check| check.as_expected) {
        output.print("Next: `afterpush init` in a repository of yours.\n")?;
        return Ok(0);
    }
    Ok(ErrorKind::Refused.code())
}
