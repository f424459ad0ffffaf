//! What `--json` prints: one `afterpush.status` document, the stored report with the verdict beside it.

use afterpush_core::{
    file::{Document, Request},
    id::CommitId,
    run::Phase,
};
use serde_json::{Map, Value, json};

use crate::{
    error::{CommandError, ErrorKind},
    render::{Restart, View},
    run::Run,
};

/// The document of a watched commit.
pub(crate) fn watched(view: &View<'_>, exit_code: u8) -> Result<Value, CommandError> {
    let mut document = match view.run.report() {
        Some(report) => object(serde_json::to_value(report).map_err(unwritable)?),
        None => of_request(&view.run.request),
    };
    document.insert("schema".into(), serde_json::to_value(Document::Status.schema()).map_err(unwritable)?);
    document.insert("state".into(), view.run.word().into());
    document.insert("exit_code".into(), exit_code.into());
    if let Some((_, lines)) = view.log {
        document.insert("log".into(), lines.clone().into());
    }
    match view.restart {
        Some(Restart::Done) => {
            document.insert("resumed".into(), true.into());
        }
        Some(Restart::Failed(why)) => {
            document.insert("resumed".into(), false.into());
            document.insert("problem".into(), why.clone().into());
        }
        None => {}
    }
    document.insert("run_directory".into(), view.run.directory.path().display().to_string().into());
    if !view.others.is_empty() {
        document.insert("other_runs".into(), view.others.iter().map(brief).collect());
    }
    Ok(Value::Object(document))
}

/// The document of a commit that nobody watches.
pub(crate) fn unwatched(
    asked: &str,
    commit: Option<&CommitId>,
    nearest: &[(usize, Run)],
    exit_code: u8,
) -> Result<Value, CommandError> {
    let nearest: Vec<Value> = nearest
        .iter()
        .map(|(distance, run)| {
            let mut run = object(brief(run));
            run.insert("commits_before".into(), (*distance).into());
            Value::Object(run)
        })
        .collect();
    Ok(json!({
        "schema": serde_json::to_value(Document::Status.schema()).map_err(unwritable)?,
        "state": "not_found",
        "exit_code": exit_code,
        "asked": asked,
        "commit": commit,
        "nearest": nearest,
    }))
}

/// A run in a few fields.
fn brief(run: &Run) -> Value {
    json!({
        "commit": run.request.commit,
        "remote": run.request.remote,
        "ref": run.request.ref_name,
        "state": run.word(),
        "outcome": run.outcome(),
    })
}

/// A run that has no report yet, with the fields that a report would have.
fn of_request(request: &Request) -> Map<String, Value> {
    object(json!({
        "request_id": request.id,
        "commit": request.commit,
        "ref": request.ref_name,
        "remote": request.remote,
        "phase": Phase::ConfirmingPush,
        "outcome": null,
        "reason": null,
        "push_proof": null,
        "targets": [],
        "left_out": [],
        "pushed_at": request.pushed_at,
        "finished_at": null,
    }))
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(fields) = value { fields } else { Map::new() }
}

fn unwritable(error: serde_json::Error) -> CommandError {
    CommandError::because(ErrorKind::Internal, "cannot write the document", &error)
}
