//! `afterpush list`: the active monitors, which are those that run, those that are starting, those that
//! wait for a place, and those that are lost.

use afterpush_core::text::one_line;
use serde_json::{Value, json};

use crate::{
    age,
    args::ListArgs,
    context::{Context, now},
    error::CommandError,
    output::{Output, talk},
    run::{Run, State},
};

/// How much of a repository's place is shown: as long as the longest path of Linux.
const LONGEST_PLACE: usize = 4096;

/// Prints the active monitors, the newest push first.
pub(crate) fn list(context: &Context, args: &ListArgs, output: &mut Output) -> Result<u8, CommandError> {
    let mut active = Vec::new();
    for store in context.stores_in_scope(args.all)? {
        let repository = store.repository().ok().flatten();
        let place = repository.map(|known| known.work_tree.unwrap_or(known.common_dir).display().to_string());
        for directory in store.runs()?.into_iter().filter(|directory| !directory.is_finished()) {
            match Run::load(&directory, now()) {
                Ok(Some(run)) if !run.is_finished() => active.push((place.clone(), run)),
                Ok(_) => {}
                Err(error) => talk(&error.render()),
            }
        }
    }
    active.sort_by_key(|(_, run)| std::cmp::Reverse(run.request.pushed_at));
    if args.json {
        let runs: Vec<Value> = active.iter().map(|(place, run)| document(place.as_deref(), run)).collect();
        output.print_json(&json!({
            "schema": { "name": "afterpush.list", "major": 1, "minor": 0 },
            "runs": runs,
        }))?;
        return Ok(0);
    }
    if active.is_empty() {
        talk("no active monitors\n");
        return Ok(0);
    }
    let mut rows = vec![["COMMIT", "REF", "TARGET", "PHASE", "AGE", "NEXT LOOK"].map(str::to_owned).to_vec()];
    if args.all {
        rows[0].push("REPOSITORY".to_owned());
    }
    for (place, run) in &active {
        let mut row = row(run);
        if args.all {
            row.push(one_line(place.as_deref().unwrap_or_default(), LONGEST_PLACE));
        }
        rows.push(row);
    }
    output.print(&table(&rows))?;
    Ok(0)
}

fn row(run: &Run) -> Vec<String> {
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let next = run.report().filter(|_| !run.is_lost()).and_then(|report| report.next_poll_at);
    vec![
        run.request.commit.short().to_owned(),
        run.request.ref_name.short().to_owned(),
        or_dash(run.target_names()),
        phase(run),
        age::for_people(age::between(run.request.pushed_at, now())),
        next.map_or_else(|| "-".to_owned(), |next| age::for_people(age::between(now(), next))),
    ]
}

fn phase(run: &Run) -> String {
    match &run.state {
        State::Lost(_) => "lost".to_owned(),
        State::Queued(_) => "queued".to_owned(),
        State::Starting | State::Running(None) => "starting".to_owned(),
        State::Running(Some(report)) | State::Finished(report) => report.phase.to_string(),
    }
}

fn document(place: Option<&str>, run: &Run) -> Value {
    let report = run.report();
    json!({
        "commit": run.request.commit,
        "ref": run.request.ref_name,
        "remote": run.request.remote,
        "repository": place,
        "state": run.word(),
        "phase": phase(run),
        "targets": report.map(|report| report.targets.iter().map(|target| target.name.clone()).collect::<Vec<_>>()),
        "pushed_at": run.request.pushed_at,
        "next_poll_at": report.and_then(|report| report.next_poll_at),
        "run_directory": run.directory.path().display().to_string(),
    })
}

/// Columns as wide as their widest cell, two spaces apart.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["A".to_owned(), "B".to_owned()], vec!["long".to_owned(), "x".to_owned()]];
        assert_eq!(table(&rows), "A     B\nlong  x\n");
    }
}
