//! The words are the same in files and for people, and each has its own.
#![allow(clippy::unwrap_used)]

use std::fmt::Display;

use super::*;

const OURS: &str = "1111111111111111111111111111111111111111";
const LATER: &str = "2222222222222222222222222222222222222222";

/// Asserts that the word of each is the same where it is shown and where it is written.
#[track_caller]
fn shown_as_written<T: Display + Serialize>(all: &[T], words: &[&str]) {
    let shown: Vec<String> = all.iter().map(T::to_string).collect();
    assert_eq!(shown, words);
    assert_eq!(serde_json::to_value(all).unwrap(), serde_json::json!(words));
}

#[test]
fn words_are_shown_as_they_are_written() {
    shown_as_written(
        &[Phase::ConfirmingPush, Phase::AwaitingDeployment, Phase::Deploying, Phase::Verifying, Phase::Finished],
        &["confirming_push", "awaiting_deployment", "deploying", "verifying", "finished"],
    );
    shown_as_written(&StageKind::ALL, &["provider", "database", "health"]);
    shown_as_written(
        &[Verdict::Pending, Verdict::Passed, Verdict::Failed, Verdict::Unavailable],
        &["pending", "passed", "failed", "unavailable"],
    );
    shown_as_written(
        &OutcomeWord::ALL,
        &[
            "live",
            "live_contained",
            "skipped",
            "unverified",
            "superseded",
            "push_not_completed",
            "stopped",
            "canceled",
            "no_deployment",
            "blocked",
            "timed_out",
            "unauthorized",
            "errored",
            "database_failed",
            "health_failed",
            "deploy_failed",
        ],
    );
}

#[test]
fn outcomes_grow_worse_and_two_of_them_are_live() {
    let severities: Vec<u8> = OutcomeWord::ALL.iter().map(|word| word.severity()).collect();
    assert_eq!(severities, (0..16).collect::<Vec<u8>>());
    let live: Vec<OutcomeWord> = OutcomeWord::ALL.into_iter().filter(|word| word.is_live()).collect();
    assert_eq!(live, [OutcomeWord::Live, OutcomeWord::LiveContained]);
}

#[test]
fn an_outcome_says_what_it_knows_beside_its_word() {
    for (outcome, shown, by, phase) in [
        (Outcome::Live, "live", None, None),
        (Outcome::LiveContained { by: LATER.to_owned() }, "live_contained by 2222222", Some(LATER), None),
        (Outcome::Superseded { by: Some(LATER.to_owned()) }, "superseded by 2222222", Some(LATER), None),
        (Outcome::Superseded { by: None }, "superseded", None, None),
        (Outcome::TimedOut { phase: Phase::Deploying }, "timed_out while deploying", None, Some(Phase::Deploying)),
    ] {
        assert_eq!((outcome.to_string().as_str(), outcome.by(), outcome.phase()), (shown, by, phase));
    }
}

#[test]
fn a_reported_id_is_compared_in_any_case_and_with_spaces_around() {
    let pushed = CommitId::parse(OURS).unwrap();
    let seen = |id: &str, relation| SeenCommit { id: id.to_owned(), relation };
    assert_eq!(SeenCommit::compare(" 1111111\n", &pushed), seen("1111111", Relation::Same));
    assert_eq!(SeenCommit::compare("ABCDEF0", &pushed), seen("abcdef0", Relation::Other));
}

#[test]
fn what_is_reported_as_a_commit_is_kept_clean_and_short() {
    let pushed = CommitId::parse(OURS).unwrap();
    let kept = |reported: &str| SeenCommit::compare(reported, &pushed);
    assert_eq!(
        kept("abc\u{1b}[31mdef\u{7f}\u{202e}0"),
        SeenCommit { id: "abcdef0…".into(), relation: Relation::Other }
    );
    // What is only the same once it was cleaned is not the same.
    let hidden = format!("{}\u{200b}{}", &OURS[..9], &OURS[9..]);
    assert_eq!(kept(&hidden), SeenCommit { id: format!("{OURS}…"), relation: Relation::Other });
    assert!(!pushed.is_named_by(&kept(&hidden).id));
    assert_eq!(kept("1111111…"), SeenCommit { id: "1111111…".into(), relation: Relation::Other });
    assert_eq!(kept(&"a".repeat(500)).id.chars().count(), 80);
}
