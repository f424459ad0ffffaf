//! Database migrations: which ones a commit contains, which ones a database has, and what the difference means.
//!
//! Pure: the files of the commit come in as paths and texts, what the database has comes in as rows. Invariant: a file or a
//! row that is not understood is never taken for an applied migration.

mod alembic;
mod compare;
mod detect;
mod django;
mod flyway;
mod liquibase;
mod python;
mod read;
mod review;
mod tool;
mod version;

#[cfg(test)]
mod tests;

pub use compare::{Failure, Row, Standing, compare, compare_at_work};
pub use detect::{Found, detect};
pub use read::{Migration, MigrationSet, SourceFile, read};
pub use review::{Finding, FindingKind, Upstream, review};
pub use tool::{Ledger, Tool};
