//! `afterpush logs`: the provider's log of a failed run, else the monitor's own.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    thread,
    time::Duration,
};

use afterpush_core::text::clean_log;

use crate::{
    args::LogsArgs,
    context::{Context, now},
    error::{CommandError, ErrorKind},
    output::{Output, talk},
    run::Run,
    selection::select_watched,
};

/// How often a log that grows is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How much of a file's end is read.
const END: u64 = 1 << 20;
/// The longest line that is shown.
const WIDTH: usize = 2_000;

/// Prints the last lines of the log, and with `--follow` those that come.
pub(crate) fn logs(context: &Context, args: &LogsArgs, output: &mut Output) -> Result<u8, CommandError> {
    let mut runs = select_watched(context, args.commit.as_deref())?;
    let run = runs.swap_remove(0);
    if args.follow && !run.is_finished() {
        follow(run, args.lines, output)?;
        return Ok(0);
    }
    if let Some(text) = run.directory.provider_log()? {
        return print_lines("the provider's log", &run, &clean_log(&text, args.lines, WIDTH), output);
    }
    let lines = tail(&run.directory.monitor_log_path(), args.lines).map_err(|error| unreadable(&run, &error))?;
    print_lines("the monitor's log", &run, &lines, output)
}

fn print_lines(name: &str, run: &Run, lines: &[String], output: &mut Output) -> Result<u8, CommandError> {
    talk(&format!("afterpush: {name} of {}\n", run.title()));
    for line in lines {
        output.print(&format!("{line}\n"))?;
    }
    Ok(0)
}

/// Prints the monitor's log as it grows until nobody writes to it any more, then the provider's log if the run left one.
fn follow(mut run: Run, lines: usize, output: &mut Output) -> Result<(), CommandError> {
    talk(&format!("afterpush: the monitor's log of {}\n", run.title()));
    let path = run.directory.monitor_log_path();
    let mut shown = 0;
    let mut is_first = true;
    loop {
        // Asked before reading, so that the last lines before the end are not missed.
        let is_over = run.is_finished() || run.is_lost();
        let mut bytes = read_from(&path, shown).map_err(|error| unreadable(&run, &error))?;
        if !is_over {
            // A line that is still being written is left for the next look.
            bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        }
        shown += bytes.len() as u64;
        let limit = if is_first { lines } else { usize::MAX };
        for line in clean_log(&String::from_utf8_lossy(&bytes), limit, WIDTH) {
            output.print(&format!("{line}\n"))?;
        }
        is_first &= bytes.is_empty();
        if output.is_closed() {
            return Ok(());
        }
        if is_over {
            break;
        }
        thread::sleep(LOOK);
        match Run::load(&run.directory, now())? {
            Some(newer) => run = newer,
            None => break,
        }
    }
    if let Some(text) = run.directory.provider_log()? {
        print_lines("the provider's log", &run, &clean_log(&text, lines, WIDTH), output)?;
    }
    Ok(())
}

/// The last lines of a log file, cleaned; none when there is no such file.
pub(crate) fn tail(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    let length = match path.metadata() {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let bytes = read_from(path, length.saturating_sub(END))?;
    Ok(clean_log(&String::from_utf8_lossy(&bytes), lines, WIDTH))
}

/// The bytes of a file from a place on; none when there is no such file.
fn read_from(path: &Path, start: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(run: &Run, error: &io::Error) -> CommandError {
    let what = format!("cannot read {}", run.directory.monitor_log_path().display());
    CommandError::because(ErrorKind::State, &what, error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_shown_and_a_missing_log_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert!(tail(&path, 3).unwrap().is_empty());
        std::fs::write(&path, "one\ntwo\nthree\nfour\n").unwrap();
        assert_eq!(tail(&path, 2).unwrap(), ["three", "four"]);
    }
}
