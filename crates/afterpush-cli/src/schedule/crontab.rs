//! The schedule as one line of the user's crontab, for systems without a systemd user manager.
//!
//! Invariant: every byte of the table that is not our marked line stays as it is.

use super::{Job, Scheduled, ask, refused, text};
use crate::{
    error::{CommandError, ErrorKind},
    shim::quote,
};

/// What our line ends with; the shell takes it for a comment.
const MARK: &[u8] = b" # afterpush schedule\n";

pub(super) fn is_present() -> Result<bool, CommandError> {
    Ok(table()?.is_some_and(|table| lines(&table).any(is_ours)))
}

pub(super) fn look(job: &Job) -> Result<Scheduled, CommandError> {
    let Some(table) = table()? else { return Ok(Scheduled::No) };
    let wanted = line(job)?;
    let mut found = lines(&table).filter(|line| is_ours(line));
    Ok(match (found.next(), found.next()) {
        (None, _) => Scheduled::No,
        (Some(found), None) if found == wanted.as_bytes() => Scheduled::Yes("an entry in the crontab"),
        _ => Scheduled::Other("the crontab's entry is not for this program as it stands".to_owned()),
    })
}

pub(super) fn install(job: &Job) -> Result<String, CommandError> {
    let Some(table) = table()? else {
        let message = "there is neither a systemd user manager nor crontab to schedule with";
        return Err(CommandError::new(ErrorKind::Refused, message)
            .hint("install cron, or run `afterpush resume --all` by other means"));
    };
    if let Scheduled::Yes(_) = look(job)? {
        return Ok("already scheduled by an entry in the crontab\n".to_owned());
    }
    let mut new = without_ours(&table);
    if new.last().is_some_and(|byte| *byte != b'\n') {
        new.push(b'\n');
    }
    new.extend_from_slice(line(job)?.as_bytes());
    write(&new)?;
    Ok("scheduled by an entry in the crontab, every 15 minutes\n".to_owned())
}

pub(super) fn uninstall() -> Result<String, CommandError> {
    let rest = without_ours(&table()?.unwrap_or_default());
    if rest.is_empty() {
        let answer = ask("crontab", &["-r"], None)?;
        if !answer.as_ref().is_some_and(|answer| answer.status.success()) {
            return Err(refused("crontab", &["-r"], answer.as_ref()));
        }
    } else {
        write(&rest)?;
    }
    Ok("removed the schedule from the crontab\n".to_owned())
}

/// The user's table; `None` where there is no cron.
fn table() -> Result<Option<Vec<u8>>, CommandError> {
    let Some(answer) = ask("crontab", &["-l"], None)? else { return Ok(None) };
    if answer.status.success() {
        return Ok(Some(answer.stdout));
    }
    // Only this failure means an empty table. To take another one for it would cost the user's entries.
    let said = String::from_utf8_lossy(&answer.stderr);
    if said.contains("no crontab for") || said.contains("No such file or directory") {
        return Ok(Some(Vec::new()));
    }
    Err(refused("crontab", &["-l"], Some(&answer)).hint("nothing was changed"))
}

fn write(table: &[u8]) -> Result<(), CommandError> {
    let answer = ask("crontab", &["-"], Some(table))?;
    match &answer {
        Some(found) if found.status.success() => Ok(()),
        _ => Err(refused("crontab", &["-"], answer.as_ref()).hint("the crontab is as it was")),
    }
}

fn line(job: &Job) -> Result<String, CommandError> {
    let mut program = String::new();
    for (name, path) in &job.variables {
        text(path)?;
        program += &format!("{name}={} ", quote(path)?);
    }
    program += &quote(&job.program)?;
    let command = format!("{{ {program} resume --all && {program} cleanup --all; }} >/dev/null 2>&1");
    // cron ends the command at a percent sign.
    let command = command.replace('%', r"\%");
    Ok(format!("*/15 * * * * {command}{}", String::from_utf8_lossy(MARK)))
}

fn lines(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    table.split_inclusive(|byte| *byte == b'\n')
}

fn is_ours(line: &[u8]) -> bool {
    !line.starts_with(b"#") && (line.ends_with(MARK) || line.ends_with(MARK.trim_ascii_end()))
}

fn without_ours(table: &[u8]) -> Vec<u8> {
    lines(table).filter(|line| !is_ours(line)).flatten().copied().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_line_quotes_for_the_shell_and_for_cron() {
        let job = Job { program: "/a b/100%/afterpush".into(), variables: vec![("AFTERPUSH_CONFIG", "/it's".into())] };
        let program = r"AFTERPUSH_CONFIG='/it'\''s' '/a b/100\%/afterpush'";
        let wanted = format!(
            "*/15 * * * * {{ {program} resume --all && {program} cleanup --all; }} >/dev/null 2>&1 # afterpush schedule\n"
        );
        assert_eq!(line(&job).unwrap(), wanted);
    }

    #[test]
    fn only_the_marked_line_is_ours() {
        let table = b"# afterpush schedule\n# a # afterpush schedule\n\xff x\n1 2 3 4 5 y # afterpush schedule\n\nlast";
        assert_eq!(without_ours(table), b"# afterpush schedule\n# a # afterpush schedule\n\xff x\n\nlast");
    }
}
