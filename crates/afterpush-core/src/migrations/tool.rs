//! The migration tools that are known, and where each writes down what it has applied.

/// A migration tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the tool of its name")]
pub enum Tool {
    Alembic,
    Dbmate,
    Diesel,
    Django,
    Drizzle,
    Ecto,
    Flyway,
    GolangMigrate,
    Goose,
    Knex,
    Laravel,
    Liquibase,
    Prisma,
    Rails,
    Sequelize,
    Sqlx,
    Typeorm,
}

/// A tool's own table of applied migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    /// Its names, with a schema where the tool uses one; the first that exists counts.
    pub tables: &'static [&'static str],
    /// The columns that are read, in the order in which [`super::compare`] takes them. Letter case differs between databases.
    pub columns: &'static [&'static str],
}

impl Tool {
    /// All of them, in the order of their words.
    pub const ALL: [Self; 17] = [
        Self::Alembic,
        Self::Dbmate,
        Self::Diesel,
        Self::Django,
        Self::Drizzle,
        Self::Ecto,
        Self::Flyway,
        Self::GolangMigrate,
        Self::Goose,
        Self::Knex,
        Self::Laravel,
        Self::Liquibase,
        Self::Prisma,
        Self::Rails,
        Self::Sequelize,
        Self::Sqlx,
        Self::Typeorm,
    ];

    /// The tool's word in configuration, files and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Alembic => "alembic",
            Self::Dbmate => "dbmate",
            Self::Diesel => "diesel",
            Self::Django => "django",
            Self::Drizzle => "drizzle",
            Self::Ecto => "ecto",
            Self::Flyway => "flyway",
            Self::GolangMigrate => "golang-migrate",
            Self::Goose => "goose",
            Self::Knex => "knex",
            Self::Laravel => "laravel",
            Self::Liquibase => "liquibase",
            Self::Prisma => "prisma",
            Self::Rails => "rails",
            Self::Sequelize => "sequelize",
            Self::Sqlx => "sqlx",
            Self::Typeorm => "typeorm",
        }
    }

    /// The tool of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.word() == word)
    }

    /// Whether it marks a migration before it runs, and takes the mark away only when all went well: golang-migrate's dirty mark,
    /// and the row of sqlx on MySQL. Then the mark of one that failed also stands while one runs.
    #[must_use]
    pub fn marks_what_it_has_begun(self) -> bool {
        matches!(self, Self::GolangMigrate | Self::Sqlx)
    }

    /// Where it writes down what it has applied, unless its own settings say otherwise.
    #[must_use]
    pub fn ledger(self) -> Ledger {
        const VERSIONS: &[&str] = &["schema_migrations"];
        let (tables, columns): (&[&str], &[&str]) = match self {
            Self::Alembic => (&["alembic_version"], &["version_num"]),
            Self::Dbmate | Self::Ecto | Self::Rails => (VERSIONS, &["version"]),
            Self::Diesel => (&["__diesel_schema_migrations"], &["version"]),
            Self::Django => (&["django_migrations"], &["app", "name"]),
            Self::Drizzle => (&["drizzle.__drizzle_migrations", "__drizzle_migrations"], &["created_at"]),
            Self::Flyway => {
                (&["flyway_schema_history"], &["installed_rank", "version", "description", "type", "script", "success"])
            }
            Self::GolangMigrate => (VERSIONS, &["version", "dirty"]),
            Self::Goose => (&["goose_db_version"], &["id", "version_id", "is_applied"]),
            Self::Knex => (&["knex_migrations"], &["name"]),
            Self::Laravel => (&["migrations"], &["migration"]),
            Self::Liquibase => (&["databasechangelog", "DATABASECHANGELOG"], &["id", "author", "filename", "exectype"]),
            Self::Prisma => (&["_prisma_migrations"], &["migration_name", "finished_at", "rolled_back_at", "logs"]),
            Self::Sequelize => (&["SequelizeMeta"], &["name"]),
            Self::Sqlx => (&["_sqlx_migrations"], &["version", "success"]),
            Self::Typeorm => (&["migrations"], &["timestamp", "name"]),
        };
        Ledger { tables, columns }
    }
}
