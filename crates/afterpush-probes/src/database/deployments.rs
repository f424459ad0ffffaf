//! The deployments table: which columns it has, and the newest row of one commit in it.

use afterpush_core::{
    config::{DatabaseConfig, DatabaseQuery},
    fault::{Fault, FaultKind},
    id::{CommitId, MIN_PREFIX},
};

use super::{
    StoredRow,
    connection::{Connection, Dialect, Table, transient},
    sqlite,
};

/// The newest row of `commit`; never simply the newest row of the table.
pub(super) async fn newest_row(
    connection: &mut Connection,
    config: &DatabaseConfig,
    commit: &CommitId,
) -> Result<Option<StoredRow>, Fault> {
    if let Some(query) = &config.query {
        return answer_of(connection, query, commit).await;
    }
    let table = Deployments::find(connection, config).await?;
    let sql = table.query(connection.dialect());
    let binds = [commit.as_str()];
    let mut rows = connection.rows(&sql, &binds).await?;
    let Some(row) = rows.pop() else { return Ok(None) };
    let mut cells = row.into_iter();
    let mut next = || cells.next().flatten();
    Ok(Some(StoredRow { commit: next().unwrap_or_default(), status: next(), error: next() }))
}

/// The first row of the user's own query.
async fn answer_of(
    connection: &mut Connection,
    query: &DatabaseQuery,
    commit: &CommitId,
) -> Result<Option<StoredRow>, Fault> {
    let dialect = connection.dialect();
    let sql = query.sql(|number| dialect.placeholder(number));
    let names = connection.names(&sql).await?;
    let index = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let place = connection.place();
    let missing = |name: &str| {
        let problem =
            format!("the query for {place} has no column {name}; it needs status and commit, and may have error");
        Fault::new(FaultKind::Malformed, problem)
    };
    let status = index("status").ok_or_else(|| missing("status"))?;
    let named = index("commit").ok_or_else(|| missing("commit"))?;
    let error = index("error");
    let binds = vec![commit.as_str(); query.binds()];
    let rows = connection.rows(&sql, &binds).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let cell = |index: usize| row.get(index).cloned().flatten();
    let commit_of_row = cell(named).unwrap_or_default().trim().to_owned();
    // A row of another commit says nothing about ours, whatever the query meant.
    if commit_of_row.len() < MIN_PREFIX || !commit.as_str().starts_with(&commit_of_row.to_ascii_lowercase()) {
        return Ok(None);
    }
    Ok(Some(StoredRow { commit: commit_of_row, status: cell(status), error: error.and_then(cell) }))
}

/// The deployments table, as it was found.
struct Deployments {
    table: Table,
    commit: String,
    status: String,
    error: Option<String>,
    /// By what the newest row is found, the strongest first; each as a statement writes it.
    order: Vec<String>,
}

impl Deployments {
    async fn find(connection: &mut Connection, config: &DatabaseConfig) -> Result<Self, Fault> {
        let dialect = connection.dialect();
        let place = connection.place().clone();
        let table = Table::parse(&config.deployments);
        let Some(columns) = connection.columns(&table).await? else {
            return Err(transient(format!("no such table: {} in {place}", config.deployments)));
        };
        let column = |chosen: Option<&String>, defaults: &[&str]| {
            // First as it is written: PostgreSQL tells "createdAt" from "createdat".
            let known = |wanted: &str| {
                let exact = columns.iter().find(|name| *name == wanted);
                exact.or_else(|| columns.iter().find(|name| name.eq_ignore_ascii_case(wanted))).cloned()
            };
            match chosen {
                Some(name) => known(name).ok_or_else(|| name.clone()),
                None => defaults.iter().find_map(|name| known(name)).ok_or_else(|| defaults.join(" or ")),
            }
        };
        let missing =
            |names: String| transient(format!("no such column: {names} in table {} of {place}", config.deployments));
        // A column that the configuration names has to be there; a default one may be left out where that does no harm.
        let optional = |chosen: Option<&String>, defaults: &[&str]| match column(chosen, defaults) {
            Ok(name) => Ok(Some(name)),
            Err(names) if chosen.is_some() => Err(missing(names)),
            Err(_) => Ok(None),
        };
        let names = &config.columns;
        let commit = column(names.commit.as_ref(), &["commitSha", "commit_sha"]).map_err(missing)?;
        let status = column(names.status.as_ref(), &["status"]).map_err(missing)?;
        let error = optional(names.error.as_ref(), &["errorMessage", "error_message"])?;
        let created_at = optional(names.created_at.as_ref(), &["createdAt", "created_at"])?;
        // Of two rows of the same moment the later one: SQLite numbers rows itself, elsewhere a table mostly does.
        let number = match dialect {
            Dialect::Sqlite if sqlite::has_rowid(connection, &table).await? => Some("d.rowid".to_owned()),
            Dialect::Sqlite => None,
            Dialect::Postgres | Dialect::Mysql => optional(None, &["id"])?.map(|name| qualified(dialect, &name)),
        };
        if created_at.is_none() && (number.is_none() || dialect != Dialect::Sqlite) {
            return Err(missing("createdAt or created_at".to_owned()));
        }
        let order = created_at.iter().map(|name| qualified(dialect, name)).chain(number).collect();
        Ok(Self { table, commit, status, error, order })
    }

    /// Rows whose commit is ours in full, or an abbreviation of it of at least seven digits.
    fn query(&self, dialect: Dialect) -> String {
        let text = |column: &str| match dialect {
            Dialect::Mysql => format!("CAST({column} AS CHAR)"),
            Dialect::Postgres | Dialect::Sqlite => format!("CAST({column} AS TEXT)"),
        };
        let commit = format!("trim({})", text(&qualified(dialect, &self.commit)));
        let status = text(&qualified(dialect, &self.status));
        let error = self.error.as_ref().map_or_else(|| "NULL".to_owned(), |name| text(&qualified(dialect, name)));
        // PostgreSQL alone counts NULL as the newest.
        let newest_first = if dialect == Dialect::Postgres { "DESC NULLS LAST" } else { "DESC" };
        let order: Vec<String> = self.order.iter().map(|term| format!("{term} {newest_first}")).collect();
        let length = if dialect == Dialect::Mysql { "char_length" } else { "length" };
        format!(
            "SELECT {commit} AS c, substr({status}, 1, 1000) AS s, substr({error}, 1, 4000) AS e \
             FROM {table} AS d \
             WHERE {length}({commit}) >= {MIN_PREFIX} AND lower({commit}) = substr({ours}, 1, {length}({commit})) \
             ORDER BY {order} LIMIT 1",
            table = self.table.quoted(dialect),
            ours = dialect.placeholder(1),
            order = order.join(", ")
        )
    }
}

/// With the table's name before it: SQLite takes a quoted name that it does not know for a text.
fn qualified(dialect: Dialect, column: &str) -> String {
    format!("d.{}", dialect.quoted(column))
}
