//! The attempts of one push: push, and where the remote has moved, take its commits in and push again.
//!
//! Invariant: every way out goes through [`Attempt::carry_out`], which leaves the work tree as it was, or with everything in it.

use std::process::ExitStatus;

use afterpush_core::{
    config::Config,
    id::CommitId,
    integration::Integration,
    porcelain::{RefReport, Refusal, worth_another_attempt},
    text::clean_line,
};
use afterpush_store::random_name;

use super::{
    Stop, Wish,
    destination::{self, Destination, fetch},
    integrate::{Incoming, Manner, Obstacle, integrate},
    program::Program,
    record::{Record, operation_in},
    worktree::{Changes, WorkTree, tell_kept},
};
use crate::{
    context::Context,
    error::{CommandError, ErrorKind},
    output::talk,
};

/// The longest line that is told of what a remote says or has.
const WIDTH: usize = 500;

/// How it ended.
pub(super) enum Done {
    /// The remote has it: the commit of the first ref that was pushed.
    Pushed(Option<CommitId>),
    /// `git push` was refused, with this exit code, and everything was told.
    Refused(u8),
}

/// A push on its way.
pub(super) struct Attempt<'a> {
    context: &'a Context,
    config: &'a Config,
    program: &'a Program<'a>,
    wish: &'a Wish,
    record: Option<Record>,
    tree: Option<(WorkTree<'a>, Incoming)>,
    has_fetched: bool,
}

/// What one `git push` came to.
struct Answer {
    status: ExitStatus,
    reports: Vec<RefReport>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        context: &'a Context,
        config: &'a Config,
        program: &'a Program<'a>,
        wish: &'a Wish,
        record: Record,
    ) -> Self {
        Self { context, config, program, wish, record: Some(record), tree: None, has_fetched: false }
    }

    /// Pushes until the remote has it or nothing more can be done, and leaves the work tree in order.
    pub(super) fn carry_out(mut self) -> Result<Done, Stop> {
        let ended = self.until_accepted();
        self.tidy_up(ended)
    }

    fn until_accepted(&mut self) -> Result<Done, Stop> {
        let mut number = 0;
        loop {
            let answer = self.push_once()?;
            if answer.status.success() {
                return Ok(Done::Pushed(self.pushed_commit(&answer.reports)));
            }
            let code = exit_code(answer.status);
            let refused = worth_another_attempt(&answer.reports);
            let Some((report, refusal)) = refused.first() else {
                self.hint_about_refusal(&answer);
                return Ok(Done::Refused(code));
            };
            number += 1;
            let rules = &self.config.push;
            if number > rules.attempts {
                let times = match rules.attempts {
                    0 => "the remote has moved".to_owned(),
                    times => format!("the remote has moved again, {} times in all", times + 1),
                };
                return self
                    .stop(code, CommandError::new(ErrorKind::Refused, times).hint("`afterpush push` tries again"));
            }
            if refused.len() > 1 {
                let message =
                    "the remote has moved on several refs, and only the branch that is checked out can be integrated";
                return self.stop(code, CommandError::new(ErrorKind::Refused, message).hint("push them one by one"));
            }
            let wait = self.config.policy.jittered(rules.wait(number), roll()?);
            talk(&format!(
                "afterpush: the remote has moved; attempt {number} of {} in {:.1} s\n",
                rules.attempts,
                wait.as_secs_f64()
            ));
            self.program.pause(wait)?;
            if let Err(error) = self.take_in(report, *refusal)? {
                return self.stop(code, error);
            }
        }
    }

    fn push_once(&self) -> Result<Answer, Stop> {
        let mut command = self.program.here();
        command.args(["push", "--porcelain"]);
        if self.wish.set_upstream {
            command.arg("--set-upstream");
        }
        // What was integrated contains what the remote had: from then on nothing is to be overwritten.
        for lease in self.wish.leases.iter().filter(|_| self.tree.is_none()) {
            let value = if lease.is_empty() { String::new() } else { format!("={lease}") };
            command.arg(format!("--force-with-lease{value}"));
        }
        command.args(self.wish.remote.iter().chain(&self.wish.refspecs));
        let (status, text) = self.program.show(&mut command)?;
        let mut reports = Vec::new();
        for line in text.lines().filter(|line| *line != "Done") {
            match RefReport::read(line) {
                Some(report) => {
                    if report.flag != '=' {
                        tell_line(&report.for_people());
                    }
                    reports.push(report);
                }
                None => tell_line(line),
            }
        }
        if status.success() && reports.iter().all(|report| report.flag == '=') {
            talk("Everything up-to-date\n");
        }
        Ok(Answer { status, reports })
    }

    /// Takes in what the remote has; the inner error is why that cannot be.
    fn take_in(&mut self, report: &RefReport, refusal: Refusal) -> Result<Result<(), CommandError>, Stop> {
        let program = self.program;
        let place = match Destination::of(self.context, program, self.wish.remote.as_deref(), report) {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        if refusal == Refusal::Stale && self.wish.leases.iter().any(|lease| lease.contains(':')) {
            let message = "the remote is not where --force-with-lease expects it";
            return Ok(Err(CommandError::new(ErrorKind::Refused, message)
                .hint(format!("look at what it has: `git fetch {}`", place.remote))));
        }
        let head = program.line(&["rev-parse", "--verify", "HEAD^{commit}"])?;
        self.has_fetched = true;
        let incoming = match fetch(program, &place, &head)? {
            Ok(Some(incoming)) => incoming,
            // Ours contains what it has; the refusal was about a moment that has passed.
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        };
        let manner = Manner::of(program, &self.config.push, place.branch_name());
        let overwritten = WorkTree::overwritten_by(program, &head, &incoming.commit)?;
        if let Some(path) = overwritten.first() {
            let message =
                format!("the remote has {path:?}, which is here as a file that git ignores and would be overwritten");
            return Ok(Err(CommandError::new(ErrorKind::Refused, message).hint("move it away, then `afterpush push`")));
        }
        let mut tree = match self.tree.take() {
            Some((tree, _)) => tree,
            None => {
                let record = self.record.take().expect("the record is there until the work tree has it");
                let git_dir = self.context.repository()?.git_dir.clone();
                WorkTree::put_away(program, git_dir, record, &place.branch, &head)?
            }
        };
        talk(&format!(
            "afterpush: {} {}\n",
            match manner.integration {
                Integration::Rebase => "rebasing onto",
                Integration::Merge => "merging",
            },
            incoming.name
        ));
        let obstacle = integrate(program, &mut tree, &self.config.push, manner, &incoming);
        self.tree = Some((tree, incoming.clone()));
        match obstacle {
            Ok(None) => Ok(Ok(())),
            Ok(Some(obstacle)) => Ok(Err(self.explain(&obstacle, &incoming, manner))),
            Err(Stop::Failed(error)) => Ok(Err(error)),
            Err(interrupted) => Err(interrupted),
        }
    }

    fn explain(&self, obstacle: &Obstacle, incoming: &Incoming, manner: Manner) -> CommandError {
        let verb = match manner.integration {
            Integration::Rebase => "rebased onto",
            Integration::Merge => "merged with",
        };
        match obstacle {
            Obstacle::Refused(said) => CommandError::new(
                ErrorKind::Refused,
                format!("the branch could not be {verb} {}: {said}", incoming.name),
            ),
            Obstacle::Conflicts(files) => {
                let mut message = format!("the branch conflicts with {}:", incoming.name);
                for file in files {
                    let path = clean_line(&file.path.to_string_lossy(), WIDTH);
                    message.push_str(&format!("\n  {path}: {}", file.why));
                }
                for sentence in self.config.left_out.iter().filter(|sentence| sentence.starts_with("[push]")) {
                    message.push_str(&format!("\n  note: {sentence}"));
                }
                CommandError::new(ErrorKind::Refused, message)
            }
        }
    }

    /// Ends it after a refusal, with everything as before, or as it stands.
    fn stop(&mut self, code: u8, error: CommandError) -> Result<Done, Stop> {
        let mut error = error;
        match self.tree.take() {
            None => {}
            Some((tree, incoming)) if !self.wish.keep => {
                tree.put_back(Some(&incoming.commit))?;
                error =
                    error.hint("everything is as it was before; `afterpush push --keep` stops there, for you to go on");
            }
            Some((tree, _)) => {
                let operation = operation_in(tree.git_dir());
                match operation {
                    Some(operation) => {
                        let stash = tree.leave()?;
                        error = error.hint(format!(
                            "resolve the conflicts, `git add` the files, then `{}` (or go back with `{}`)",
                            operation.go_on, operation.give_up
                        ));
                        if let Some(stash) = stash {
                            error = error.hint(format!(
                                "then bring your uncommitted changes back: `git stash pop --index {stash}`"
                            ));
                        }
                        error = error.hint("then `afterpush push`");
                    }
                    None => bring_back(tree)?,
                }
            }
        }
        talk(&error.render());
        Ok(Done::Refused(code))
    }

    /// Puts the work tree in order, whatever came before.
    fn tidy_up(&mut self, ended: Result<Done, Stop>) -> Result<Done, Stop> {
        let tidied = match (&ended, self.tree.take()) {
            (_, None) => Ok(()),
            (Ok(Done::Pushed(_)), Some((tree, _))) => bring_back(tree),
            (Ok(Done::Refused(_)), Some((tree, _))) if self.wish.keep && !tree.is_in_operation() => bring_back(tree),
            (_, Some((tree, incoming))) => tree.put_back(Some(&incoming.commit)),
        };
        if self.has_fetched {
            destination::forget(self.program);
        }
        match tidied {
            Ok(()) => ended,
            Err(error) => {
                if let Err(Stop::Failed(first)) = ended {
                    talk(&first.render());
                }
                Err(Stop::Failed(error))
            }
        }
    }

    /// The commit that the remote has now: of the branch that is checked out, else of the first ref that was pushed.
    fn pushed_commit(&self, reports: &[RefReport]) -> Option<CommitId> {
        let branch = self.program.line_if_any(&["symbolic-ref", "--quiet", "HEAD"]);
        let has_commit = |report: &&RefReport| !report.from.is_empty();
        let is_here = |report: &&RefReport| report.from == "HEAD" || Some(&report.from) == branch.as_ref();
        let mut pushed = reports.iter().filter(has_commit);
        let report = pushed.clone().find(is_here).or_else(|| pushed.clone().find(|report| report.flag != '='));
        let report = report.or_else(|| pushed.next())?;
        // As the hook tells it: of an annotated tag the tag's own id.
        let id = self.program.line_if_any(&["rev-parse", "--verify", "--quiet", &report.from])?;
        CommitId::parse(&id).ok()
    }

    /// Says what to do about a push that git refused before it came to the remote.
    fn hint_about_refusal(&self, answer: &Answer) {
        let program = self.program;
        let is_there = |name: &str| program.is_true(&["rev-parse", "--verify", "--quiet", name]);
        if !answer.reports.is_empty() || !self.wish.refspecs.is_empty() || !is_there("HEAD") {
            return;
        }
        let needs_upstream = match program.line_if_any(&["config", "--get", "push.default"]).as_deref() {
            None | Some("simple") => self.wish.remote.is_none(),
            other => other == Some("upstream"),
        };
        match program.line_if_any(&["symbolic-ref", "--quiet", "--short", "HEAD"]) {
            None => talk(
                "\nhint: `git switch -c <name>` gives these commits a branch; \
                 `afterpush push origin HEAD:refs/heads/<name>` pushes them without one\n",
            ),
            Some(branch) if needs_upstream && !is_there("@{upstream}") => {
                let remote = self.wish.remote.as_deref().unwrap_or("origin");
                talk(&format!("\nhint: `afterpush push -u {remote} {branch}`\n"));
            }
            Some(_) => {}
        }
    }
}

fn bring_back(tree: WorkTree<'_>) -> Result<(), CommandError> {
    if let Changes::Kept(entry) = tree.finish()? {
        tell_kept(&entry);
    }
    Ok(())
}

/// The exit code of `git push`, as a shell would tell it.
fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(ErrorKind::Refused.code())
}

/// A random number from 0 to 1.
fn roll() -> Result<f64, CommandError> {
    let name =
        random_name().map_err(|error| CommandError::because(ErrorKind::Internal, "no random numbers", &error))?;
    let digits = name.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default();
    Ok(f64::from(digits) / f64::from(u32::MAX))
}

/// Tells a line that may come from a remote.
fn tell_line(line: &str) {
    talk(&format!("{}\n", clean_line(line, WIDTH)));
}
