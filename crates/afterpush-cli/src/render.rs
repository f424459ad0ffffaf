//! From a run to the text that a person reads: one line that says it all, then the evidence. Pure: time comes in.
//!
//! Every word also reads well without colour. Text that strangers wrote was cleaned when it was stored, and is cleaned again
//! here, because this is where it meets a terminal.

use std::fmt::Write as _;

use afterpush_core::{
    file::{CheckReport, MigrationsReport, Report, StageReport, TargetReport},
    run::{OutcomeWord, Verdict},
    text::clean_line,
};
use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use crate::{
    age,
    run::{Run, State},
};

/// The longest text that is taken over from a report.
const LONGEST: usize = 500;

/// What became of a lost run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Restart {
    /// A monitor was started again.
    Done,
    /// It could not be; why.
    Failed(String),
}

/// Everything that a verdict shows.
#[derive(Debug)]
pub(crate) struct View<'a> {
    /// The run that gives the verdict.
    pub(crate) run: &'a Run,
    /// Further runs of the same commit.
    pub(crate) others: &'a [Run],
    /// What became of it, if it was lost.
    pub(crate) restart: Option<&'a Restart>,
    /// The log of a failure: whose it is, and its last lines.
    pub(crate) log: Option<&'a (String, Vec<String>)>,
    /// The time.
    pub(crate) now: Timestamp,
}

impl View<'_> {
    /// The whole text.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", headline(self.run, self.restart, self.now));
        self.write_facts(&mut text);
        if let Some(report) = self.run.report() {
            for target in &report.targets {
                write_target(&mut text, target);
            }
            for sentence in &report.left_out {
                line(&mut text, &format!("  note: {}", clean(sentence)));
            }
        }
        if let Some(page) = self.page() {
            line(&mut text, &format!("  see {}", clean(page)));
        }
        if let Some((name, lines)) = self.log {
            line(&mut text, &format!("  the last lines of {name}:"));
            for entry in lines {
                line(&mut text, &format!("  | {entry}"));
            }
        }
        for other in self.others {
            line(&mut text, &format!("  also {}", headline(other, None, self.now)));
        }
        text
    }

    fn write_facts(&self, text: &mut String) {
        let request = &self.run.request;
        let ago = age::for_people(age::between(request.pushed_at, self.now));
        let (name, remote) = (request.ref_name.short(), clean(&request.remote));
        line(text, &format!("  commit {} pushed to {name} at {remote} {ago} ago", request.commit));
        if let Some(proof) = self.run.report().and_then(|report| report.push_proof.as_deref()) {
            line(text, &format!("  the push landed: {}", clean(proof)));
        }
    }

    /// Where a person sees what failed.
    fn page(&self) -> Option<&str> {
        let report = self.run.report().filter(|_| self.run.is_finished() && self.run.exit_code() != 0)?;
        let not_live = |target: &&TargetReport| target.outcome.outcome.is_none_or(|word| !word.is_live());
        let mut stages = report.targets.iter().filter(not_live).flat_map(|target| &target.stages);
        stages.find_map(|stage| stage.deployment.as_ref()?.url.as_deref())
    }
}

/// The first line: the verdict in a word, then what it is about.
pub(crate) fn headline(run: &Run, restart: Option<&Restart>, now: Timestamp) -> String {
    let next = match &run.state {
        State::Running(Some(report)) => report.next_poll_at,
        _ => None,
    };
    let next = next.map(|next| format!(" (next look in {})", age::for_people(age::between(now, next))));
    format!("{}{}", state_line(run, restart), next.unwrap_or_default())
}

/// The first line without what changes by the mere passing of time.
pub(crate) fn state_line(run: &Run, restart: Option<&Restart>) -> String {
    let (color, word, rest) = match &run.state {
        State::Finished(report) => finished(run, report),
        State::Running(Some(report)) => (AnsiColor::Yellow, "in progress", progress(run, report)),
        State::Running(None) | State::Starting => {
            (AnsiColor::Yellow, "in progress", format!("{}; the monitor is starting", run.title()))
        }
        State::Queued(monitors) => {
            let noun = if *monitors == 1 { "monitor" } else { "monitors" };
            (AnsiColor::Yellow, "in progress", format!("{}; queued behind {monitors} {noun}", run.title()))
        }
        State::Lost(_) => {
            let fate = match restart {
                None => String::new(),
                Some(Restart::Done) => "; started again".to_owned(),
                Some(Restart::Failed(why)) => format!("; it could not be restarted: {why}"),
            };
            let rest = format!("the monitor of {} is gone (killed or rebooted){fate}", run.title());
            (AnsiColor::Red, "lost", rest)
        }
    };
    let style = Style::new().bold().fg_color(Some(color.into()));
    format!("{style}{word}:{style:#} {rest}")
}

fn finished(run: &Run, report: &Report) -> (AnsiColor, &'static str, String) {
    let word = report.outcome.outcome.unwrap_or(OutcomeWord::Errored);
    let by = report.outcome.outcome_by.as_deref().map(|by| clean(by).chars().take(7).collect::<String>());
    let reason = report.reason.as_deref().map(clean);
    if word.is_live() {
        let took = report.finished_at.map(|end| age::for_people(age::between(report.pushed_at, end)));
        let proof = match by {
            Some(by) => Some(format!("contained in {by}, which is live")),
            None => deployment_id(report).map(|id| format!("deployment {id}")),
        };
        let facts: Vec<String> = proof.into_iter().chain(took.map(|took| format!("{took} after the push"))).collect();
        let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
        let names = run.target_names();
        let names = if names.is_empty() { names } else { format!(" -> {names}") };
        return (AnsiColor::Green, "live", format!("{}{names}{facts}", run.title()));
    }
    let (color, verdict) = match word {
        OutcomeWord::DeployFailed | OutcomeWord::DatabaseFailed | OutcomeWord::HealthFailed | OutcomeWord::Errored => {
            (AnsiColor::Red, "failed")
        }
        OutcomeWord::TimedOut | OutcomeWord::Unauthorized | OutcomeWord::Unverified => {
            (AnsiColor::Yellow, "not proven")
        }
        _ => (AnsiColor::Yellow, "not live"),
    };
    let mut rest = word.to_string();
    if let Some(by) = by {
        write!(rest, " by {by}").expect("a String takes every text");
    }
    if let Some(phase) = report.outcome.outcome_phase {
        write!(rest, " while {phase}").expect("a String takes every text");
    }
    let reason = reason.unwrap_or_else(|| "no reason is known".to_owned());
    (color, verdict, format!("{rest} — {reason} ({})", run.title()))
}

/// How far a run is: `1234567 on main deploying — web: 3 of 6 steps`.
fn progress(run: &Run, report: &Report) -> String {
    let mut text = format!("{} {}", run.title(), report.phase);
    let doing = report.targets.iter().filter(|target| target.outcome.outcome.is_none()).find_map(|target| {
        let stage = target.stages.iter().find(|stage| stage.verdict == Verdict::Pending)?;
        Some(format!("{}: {}", target.name, newest(stage)))
    });
    let waits = report.reason.as_deref().map(clean).filter(|reason| !reason.is_empty());
    if let Some(doing) = waits.or(doing) {
        write!(text, " — {doing}").expect("a String takes every text");
    }
    text
}

fn newest(stage: &StageReport) -> String {
    match &stage.trouble {
        Some(trouble) => format!("{} ({}, {} in a row)", clean(&trouble.message), trouble.kind, trouble.count),
        None => clean(&stage.summary),
    }
}

fn write_target(text: &mut String, target: &TargetReport) {
    let state = target.outcome.outcome.map_or_else(|| target.phase.to_string(), |word| word.to_string());
    let reason = target.reason.as_deref().map(|reason| format!(" — {}", clean(reason))).unwrap_or_default();
    line(text, &format!("  {}: {state}{reason}", target.name));
    for stage in &target.stages {
        let mut facts = vec![clean(&stage.summary)];
        if let Some(deployment) = &stage.deployment {
            facts.push(format!("deployment {} of {}", clean(&deployment.id), clean(&deployment.commit)));
        } else if let Some(commit) = &stage.commit {
            facts.push(format!("names {}", clean(commit)));
        }
        if stage.trouble.is_some() {
            facts.push(format!("trouble: {}", newest(stage)));
        }
        line(text, &format!("    {:<9} {:<11} {}", stage.stage.word(), stage.verdict.to_string(), facts.join("; ")));
        write_checks(text, &stage.checks);
        if let Some(migrations) = &stage.migrations {
            write_migrations(text, migrations);
        }
    }
    if let Some(site) = &target.site_url {
        line(text, &format!("    site      {}", clean(site)));
    }
}

/// The checks of a stage, where there are several, and whatever a check has to say beside its newest answer.
fn write_checks(text: &mut String, checks: &[CheckReport]) {
    for check in checks {
        if checks.len() > 1 {
            let said = clean(check.trouble.as_deref().unwrap_or(&check.summary));
            line(text, &format!("      {:<14} {:<8} {said}", clean(&check.name), check.verdict.to_string()));
        }
        for part in &check.sub_checks {
            let state = part.healthy.map_or("unknown", |healthy| if healthy { "ok" } else { "not ok" });
            line(text, &format!("        {:<12} {state:<8} {}", clean(&part.name), clean(&part.summary)));
        }
        if let Some(warning) = &check.warning {
            line(text, &format!("        warning: {}", clean(warning)));
        }
    }
}

/// What a person has to do something about, one line each.
fn write_migrations(text: &mut String, seen: &MigrationsReport) {
    const MOST: usize = 10;
    for failure in seen.failed.iter().take(MOST) {
        let error = failure.error.as_deref().map(|error| format!(": {}", clean(error))).unwrap_or_default();
        line(text, &format!("      failed migration  {}{error}", clean(&failure.name)));
    }
    for name in seen.pending.iter().take(MOST) {
        line(text, &format!("      pending migration {}", clean(name)));
    }
    let more = seen.pending_count.saturating_sub(MOST);
    if more > 0 {
        line(text, &format!("      and {more} more pending"));
    }
}

fn deployment_id(report: &Report) -> Option<String> {
    let mut stages = report.targets.iter().flat_map(|target| &target.stages);
    stages.find_map(|stage| Some(clean(&stage.deployment.as_ref()?.id)))
}

fn line(text: &mut String, content: &str) {
    text.push_str(content.trim_end());
    text.push('\n');
}

fn clean(text: &str) -> String {
    clean_line(text, LONGEST)
}
