//! What real servers say about migrations that a tool has begun: whether it is still at work is not the same as a failure.

use afterpush_core::migrations::{SourceFile, Standing, Tool, read};
use afterpush_probes::MigrationsProbe;
use afterpush_testkit::databases::shared;

use crate::databases::{Fresh, address};

/// What the table of golang-migrate says about three migrations.
async fn standing(fresh: &Fresh) -> Standing {
    let files = ["m/1_a.up.sql", "m/2_b.up.sql", "m/3_c.up.sql"];
    let files = files.map(|path| SourceFile { path: path.to_owned(), text: String::new() });
    let set = read(Tool::GolangMigrate, "m", &files).unwrap();
    let probe = MigrationsProbe::new(set, true, address(&fresh.server.admin_address(&fresh.name)));
    probe.ask().await.unwrap().unwrap().standing
}

#[tokio::test]
async fn what_is_marked_as_begun_has_failed_only_where_nothing_is_at_work() {
    for server in shared("what_is_marked_as_begun_has_failed_only_where_nothing_is_at_work") {
        let mut fresh = Fresh::new(server).await;
        fresh.run("CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)").await;
        fresh.run("INSERT INTO schema_migrations VALUES (2, true)").await;
        let begun = ["2_b.up.sql (begun and not ended)", "3_c.up.sql"];
        if !fresh.is_postgres {
            let seen = standing(&fresh).await;
            assert_eq!((seen.applied, seen.failed.len()), (1, 0), "nobody can tell: {seen:?}");
            assert_eq!(seen.pending, begun);
            continue;
        }
        // Another database's lock says nothing.
        let mut other = Fresh::new(server).await;
        other.run("SELECT pg_advisory_lock(7)").await;
        let failed = standing(&fresh).await;
        assert_eq!(
            (failed.failed[0].name.as_str(), failed.pending.as_slice()),
            ("2_b.up.sql", &["3_c.up.sql".to_owned()][..])
        );
        fresh.run("SELECT pg_advisory_lock(7)").await;
        let seen = standing(&fresh).await;
        assert_eq!((seen.failed.len(), seen.pending.as_slice()), (0, &begun.map(str::to_owned)[..]));
        fresh.run("UPDATE schema_migrations SET dirty = false; SELECT pg_advisory_unlock(7)").await;
        let seen = standing(&fresh).await;
        assert_eq!((seen.applied, seen.failed.len(), seen.pending), (2, 0, vec!["3_c.up.sql".to_owned()]));
    }
}
