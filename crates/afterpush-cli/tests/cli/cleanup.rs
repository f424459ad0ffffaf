//! `cleanup`.

use crate::place::Place;

const DAY: i64 = 24 * 3600;

#[test]
fn only_old_finished_runs_are_removed_and_a_dry_run_removes_nothing() {
    let place = Place::new();
    let old = place.ended(&place.head(), "refs/heads/main", "live", 8 * DAY);
    let young = place.ended(&place.commit("second"), "refs/heads/main", "live", DAY);
    let lost = place.request(&place.commit("third"), "refs/heads/main", 9 * DAY);
    let told = place.afterpush(&["cleanup", "--dry-run"]).expect(0).out;
    assert!(told.starts_with("would remove 1 finished run ("), "{told}");
    assert!(old.path().exists());
    let told = place.afterpush_in(&place.root(), &["cleanup", "--all"]).expect(0).out;
    assert!(told.starts_with("removed 1 finished run (") && !told.contains("(0 B)"), "{told}");
    assert!(!old.path().exists() && young.path().exists() && lost.path().exists());
    assert_eq!(place.afterpush(&["cleanup"]).expect(0).out, "removed 0 finished runs (0 B)\n");
    let told = place.afterpush(&["cleanup", "--older-than", "2h"]).expect(0).out;
    assert!(told.starts_with("removed 1 "), "{told}");
}
