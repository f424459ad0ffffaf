//! Writes one row into a deployments table, as a deployment script does: the demo deploys with it.

use std::str::FromStr;

use sqlx::{
    ConnectOptions, Connection,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};

/// Records the state of a commit's deployment in the SQLite database, which is created when it is missing.
///
/// # Errors
/// The database's error.
pub async fn write(database: &str, commit: &str, status: &str, error: Option<&str>) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::from_str(&format!("sqlite:{database}"))?.create_if_missing(true);
    let mut connection: SqliteConnection = options.connect().await?;
    sqlx::query(
        "create table if not exists deployments (id integer primary key, commit_sha text not null, status text not null, \
         error_message text, created_at text not null default current_timestamp)",
    )
    .execute(&mut connection)
    .await?;
    sqlx::query("insert into deployments (commit_sha, status, error_message) values (?1, ?2, ?3)")
        .bind(commit)
        .bind(status)
        .bind(error)
        .execute(&mut connection)
        .await?;
    connection.close().await
}
