//! Migrations in the database stage.

use super::*;
use crate::{
    migrations::{Failure, Standing, Tool},
    observation::MigrationsObservation,
};

fn migrations(records: Option<DatabaseObservation>, standing: Standing) -> Answer {
    let seen = MigrationsObservation { tool: Some(Tool::Prisma), path: "prisma/migrations".to_owned(), standing };
    Answer::Database(DatabaseAnswer { records, migrations: Some(seen) })
}

fn pending() -> Standing {
    Standing { applied: 1, pending: vec!["2_more".to_owned()], ..Standing::default() }
}

fn applied() -> Standing {
    Standing { applied: 2, ..Standing::default() }
}

fn broken() -> Standing {
    let failure = Failure { name: "2_more".to_owned(), error: Some("no such column".to_owned()) };
    Standing { applied: 1, failed: vec![failure], ..Standing::default() }
}

fn success() -> Option<DatabaseObservation> {
    let row = DeploymentRow {
        state: RowState::Success,
        raw: "success".to_owned(),
        commit: seen(OURS, Relation::Same),
        error: None,
    };
    Some(DatabaseObservation::Row(row))
}

/// A world whose provider says live, at the database's turn.
fn live_by_provider() -> World {
    let mut world = World::landed(vec![TargetPlan { database: StagePlan::Ask, ..target() }]);
    world.until_asked(StageKind::Provider);
    world.provider(deployment(DeploymentState::Live));
    world.until_asked(StageKind::Database);
    world
}

fn reason(world: &World) -> String {
    world.state.reason().unwrap_or_default().to_owned()
}

#[test]
fn what_the_provider_calls_live_fails_at_the_deadline_while_a_migration_is_pending() {
    let mut world = World::landed(vec![TargetPlan { database: StagePlan::Ask, ..target() }]);
    let outcome = world.run(|_, stage| match stage {
        StageKind::Provider => Ok(Answer::Provider(deployment(DeploymentState::Live))),
        _ => Ok(migrations(None, pending())),
    });
    assert_eq!(outcome, Outcome::DatabaseFailed);
    assert!(reason(&world).contains("lacks 1 migration (2_more)"), "{}", reason(&world));
    assert!(world.now >= world.policy.deadline, "not before its time: {:?}", world.now);
}

#[test]
fn a_migration_that_is_applied_in_time_lets_the_provider_prove_the_commit() {
    let mut world = live_by_provider();
    world.answer(StageKind::Database, migrations(None, pending()));
    assert_eq!(world.outcome(), None);
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, migrations(None, applied()));
    assert_eq!(world.outcome(), Some(OutcomeWord::Live));
    assert!(reason(&world).contains("provider"), "{}", reason(&world));
}

#[test]
fn a_failed_migration_fails_at_once_in_its_turn_and_not_before() {
    let mut world = live_by_provider();
    world.answer(StageKind::Database, migrations(success(), broken()));
    assert_eq!(world.outcome(), Some(OutcomeWord::DatabaseFailed));
    assert_eq!(reason(&world), "migration 2_more failed: no such column");

    let mut world = World::landed(vec![TargetPlan { database: StagePlan::Ask, ..target() }]);
    world.until_asked(StageKind::Database);
    world.answer(StageKind::Database, migrations(success(), broken()));
    assert_eq!(world.outcome(), None, "an earlier deployment's failure must not fail one that may yet begin");
}

#[test]
fn applied_migrations_alone_prove_nothing_and_a_row_does_only_beside_them() {
    let unavailable = StagePlan::Unavailable("not configured".to_owned());
    let plan = TargetPlan { provider: unavailable, database: StagePlan::Ask, ..target() };
    for (records, standing, outcome) in [
        (None, applied(), Some(OutcomeWord::Unverified)),
        (success(), applied(), Some(OutcomeWord::Live)),
        (success(), pending(), None),
        (Some(DatabaseObservation::NoRow), applied(), None),
        (
            success(),
            Standing { undecided: Some("no such revision".to_owned()), ..Standing::default() },
            Some(OutcomeWord::Live),
        ),
        (
            None,
            Standing { undecided: Some("no such revision".to_owned()), ..Standing::default() },
            Some(OutcomeWord::Unverified),
        ),
    ] {
        let mut world = World::landed(vec![plan.clone()]);
        world.until_asked(StageKind::Database);
        world.answer(StageKind::Database, migrations(records.clone(), standing.clone()));
        assert_eq!(world.outcome(), outcome, "{records:?} {standing:?}");
    }
}

#[test]
fn the_report_names_what_is_pending_and_what_is_ahead() {
    let mut world = live_by_provider();
    let names = (0..60).map(|number| format!("{number}_x")).collect();
    let standing = Standing { pending: names, unknown: vec!["9_later".to_owned()], ..Standing::default() };
    world.answer(StageKind::Database, migrations(None, standing));
    let report = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH);
    let stage = &report[0].stages[1];
    assert_eq!(
        stage.summary,
        "pending: 60 migrations (0_x, 1_x, 2_x, 3_x, 4_x and 55 more); \
         warning: the schema is ahead of this commit by 1 migration (9_later)"
    );
    let shown = stage.migrations.as_ref().unwrap();
    assert_eq!((shown.pending_count, shown.pending.len(), shown.unknown_count), (60, 50, 1));
    assert_eq!(shown.tool.as_deref(), Some("prisma"));
    assert!(report[0].stages[0].migrations.is_none());
}

#[test]
fn migrations_are_summed_up_in_a_sentence() {
    let failure = |name: &str| Failure { name: name.to_owned(), error: None };
    for (standing, summary) in [
        (Standing { applied: 1, ..Standing::default() }, "the one migration is applied"),
        (applied(), "all 2 migrations are applied"),
        (Standing::default(), "all 0 migrations are applied"),
        (
            Standing {
                applied: 1,
                failed: vec![failure("2_a")],
                pending: vec!["3_b".to_owned()],
                ..Standing::default()
            },
            "failed: 1 migration (2_a); pending: 1 migration (3_b)",
        ),
        (
            Standing { applied: 1, failed: vec![failure("2_a"), failure("3_b")], ..Standing::default() },
            "failed: 2 migrations (2_a, 3_b)",
        ),
        (
            Standing { undecided: Some("no such revision".to_owned()), ..Standing::default() },
            "the migrations cannot be told: no such revision",
        ),
        (
            Standing { applied: 1, unknown: vec!["2_later".to_owned()], ..Standing::default() },
            "the one migration is applied; warning: the schema is ahead of this commit by 1 migration (2_later)",
        ),
    ] {
        let mut world = World::landed(vec![TargetPlan { database: StagePlan::Ask, ..target() }]);
        world.until_asked(StageKind::Database);
        world.answer(StageKind::Database, migrations(Some(DatabaseObservation::NoRow), standing));
        let report = world.state.target_reports(|_| jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(report[0].stages[1].summary, format!("no row of this commit yet; {summary}"));
    }
}

#[test]
fn five_names_stand_in_a_sentence() {
    let names: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
    for (count, shown) in [(5, "5 migrations (a, b, c, d, e)"), (6, "6 migrations (a, b, c, d, e and 1 more)")] {
        let mut world = live_by_provider();
        let standing = Standing { pending: names[..count].to_vec(), ..Standing::default() };
        world.answer(StageKind::Database, migrations(None, standing));
        assert_eq!(world.state.waits_for().unwrap(), format!("database: pending: {shown}"));
    }
}

#[test]
fn a_lack_of_migrations_is_the_end_only_where_the_run_waited_for_them() {
    // The database lacks one because the deployment that applies it has not come so far.
    let mut world = World::landed(vec![TargetPlan { database: StagePlan::Ask, ..target() }]);
    let outcome = world.run(|_, stage| match stage {
        StageKind::Provider => Ok(Answer::Provider(deployment(DeploymentState::Building))),
        _ => Ok(migrations(None, pending())),
    });
    assert_eq!(outcome, Outcome::TimedOut { phase: Phase::Deploying });
    // It has them all, and no row says that the deployment succeeded.
    let unavailable = StagePlan::Unavailable("not configured".to_owned());
    let mut world = World::landed(vec![TargetPlan { provider: unavailable, database: StagePlan::Ask, ..target() }]);
    let outcome = world.run(|_, _| Ok(migrations(Some(DatabaseObservation::NoRow), applied())));
    assert_eq!(outcome, Outcome::TimedOut { phase: Phase::AwaitingDeployment });
}

#[test]
fn a_migration_or_a_row_without_an_error_fails_with_what_is_known() {
    let failure = Failure { name: "2_more".to_owned(), error: None };
    let mut world = live_by_provider();
    world.answer(StageKind::Database, migrations(None, Standing { failed: vec![failure], ..Standing::default() }));
    assert_eq!(reason(&world), "migration 2_more failed, and its tool goes no further");
    for (error, expected) in [(None, "the deployments table says Failed"), (Some("no space"), "no space")] {
        let mut world = live_by_provider();
        let commit = seen(OURS, Relation::Same);
        let row = DeploymentRow {
            state: RowState::Failed,
            raw: "Failed".to_owned(),
            commit,
            error: error.map(str::to_owned),
        };
        world.answer(StageKind::Database, Answer::Database(DatabaseObservation::Row(row).into()));
        assert_eq!(reason(&world), expected);
    }
}

#[test]
fn the_database_is_asked_quickly_again_when_it_says_something_else() {
    let mut world = live_by_provider();
    let mut answer = |answer: Answer| {
        world.until_asked(StageKind::Database);
        world.answer(StageKind::Database, answer);
        world.state.interval(0, StageKind::Database).as_millis()
    };
    let no_row = || Answer::Database(DatabaseObservation::NoRow.into());
    assert_eq!(answer(no_row()), 5000);
    assert_eq!((answer(no_row()), answer(no_row())), (6500, 8450));
    assert_eq!(answer(row(RowState::InProgress)), 5000);
    assert_eq!(answer(row(RowState::InProgress)), 6500);
}
