//! Configuration: `.afterpush.toml` of the pushed commit and the user's own file, combined with the user's winning.
//!
//! A cloned repository is not trusted: its file's privileged keys count only when the caller says that the user trusts
//! exactly this content. Pure: texts in, a [`Config`] or a [`ConfigError`] out.

mod address;
mod before_push;
mod database;
mod document;
mod error;
mod health;
mod migrations;
mod model;
mod provider;
mod push;
mod query;
mod read;
mod target;
mod waiting;

pub use before_push::{BeforePush, Reaction};
pub use error::ConfigError;
pub use migrations::MigrationsConfig;
pub use model::{
    CommitAssertion, Config, DatabaseAddress, DatabaseColumns, DatabaseConfig, DatabaseKind, DatabaseWords,
    HealthAddress, HealthConfig, HealthMethod, PROVIDER_KINDS, ProviderConfig, ProviderSettings, RefPattern, Target,
};
pub use query::DatabaseQuery;
pub use read::{Source, combine};
