//! The files of every version that was ever released load for ever, with all that stands in them; those of newer versions are
//! read, or refused with what to do.
//!
//! A new minor version gets a directory of its own beside `1.0`, written by that version; the old ones are never changed.

use std::{fs, path::PathBuf};

use afterpush_core::{
    fault::with_causes,
    file::{Head, HistoryLine, Schema},
    run::OutcomeWord,
};
use afterpush_store::RunDirectory;
use serde::Serialize;
use serde_json::Value;

use crate::fixture::{Fixture, full_run};

const VERSIONS: [&str; 2] = ["1.0", "1.1"];

fn frozen(version: &str, name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frozen").join(version).join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything that stands in the file was understood: it is written again as it was.
fn assert_same(read: &impl Serialize, version: &str, name: &str) {
    let before: Value = serde_json::from_slice(&frozen(version, name)).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), before, "{version}/{name}");
}

#[test]
fn the_files_of_every_version_load_with_all_that_stands_in_them() {
    for version in VERSIONS {
        let fixture = Fixture::new();
        let run = fixture.run('a');
        fs::create_dir_all(run.path()).unwrap();
        for name in ["request.json", "status.json", "result.json", "monitor.pid"] {
            fs::write(run.path().join(name), frozen(version, name)).unwrap();
        }
        fs::copy(run.path().join("request.json"), run.path().join("again.json")).unwrap();
        assert_same(&run.request().unwrap(), version, "request.json");
        assert_same(&run.again().unwrap(), version, "request.json");
        assert_same(&run.status().unwrap(), version, "status.json");
        assert_same(&run.result().unwrap(), version, "result.json");
        assert_same(&run.monitor().unwrap(), version, "monitor.pid");
        assert_eq!(run.result().unwrap().unwrap().outcome.outcome, Some(OutcomeWord::DeployFailed));
        fs::write(fixture.store.path().join("repo.json"), frozen(version, "repo.json")).unwrap();
        let repository = fixture.store.repository().unwrap().unwrap();
        assert_eq!(repository.git_dir, PathBuf::from("/home/person/web/.git"));
        assert_same(&serde_json::from_slice::<Head>(&frozen(version, "head.json")).unwrap(), version, "head.json");
        assert_same(
            &serde_json::from_slice::<HistoryLine>(&frozen(version, "history.jsonl")).unwrap(),
            version,
            "history.jsonl",
        );
    }
    let current = format!("{}.{}", Schema::MAJOR, Schema::MINOR);
    assert_eq!(VERSIONS.last(), Some(&current.as_str()), "the present version has no frozen files");
}

/// A result as a version of the same major may write it: fields that nobody knows yet, everywhere.
fn of_next_minor() -> Value {
    let mut result: Value = serde_json::from_slice(&frozen("1.0", "result.json")).unwrap();
    result["schema"]["minor"] = (Schema::MINOR + 1).into();
    result["new"] = serde_json::json!({"deep": [1, 2]});
    result["monitor"]["new"] = true.into();
    result["targets"][0]["new"] = "word".into();
    result["targets"][0]["stages"][0]["new"] = Value::Null;
    result
}

fn put(run: &RunDirectory, result: &Value) {
    fs::write(run.path().join("result.json"), result.to_string()).unwrap();
}

#[test]
fn a_newer_minor_version_is_read_and_a_word_that_only_it_knows_is_refused_with_what_to_do() {
    let fixture = Fixture::new();
    let run = full_run(&fixture);
    let mut newer = of_next_minor();
    put(&run, &newer);
    assert_eq!(run.result().unwrap().unwrap().outcome.outcome, Some(OutcomeWord::DeployFailed));
    newer["outcome"] = "hibernated".into();
    put(&run, &newer);
    let told = with_causes(&run.result().unwrap_err());
    for word in ["result.json", "format 1.1", "hibernated", "install the newer afterpush"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert_eq!(fs::read_to_string(run.path().join("result.json")).unwrap(), newer.to_string(), "left as it is");
    // The same word in a file of our own version is damage, and no reason to look for a newer program.
    newer["schema"]["minor"] = Schema::MINOR.into();
    put(&run, &newer);
    let told = with_causes(&run.result().unwrap_err());
    assert!(told.contains("not a readable") && !told.contains("install the newer"), "{told}");
}

#[test]
fn what_a_power_loss_has_emptied_counts_as_absent_where_it_was_not_synced_and_as_damage_where_it_was() {
    let fixture = Fixture::new();
    let run = full_run(&fixture);
    for emptied in [vec![], vec![0; 4096]] {
        for name in ["status.json", "monitor.pid", "result.json", "request.json"] {
            fs::write(run.path().join(name), &emptied).unwrap();
        }
        assert!(run.status().unwrap().is_none() && run.monitor().unwrap().is_none());
        assert!(run.result().is_err() && run.request().is_err());
    }
}
