//! What a database is asked: its deployments table, or the user's query, and the migrations of the pushed commit.

use afterpush_core::{
    config::{DatabaseConfig, MigrationsConfig},
    fault::{Fault, with_causes},
    id::CommitId,
    observation::{DatabaseAnswer, MigrationsObservation},
};
use afterpush_git::Git;
use afterpush_probes::{DatabaseProbe, MigrationsProbe, database::Address};

/// The probes of one database.
pub(crate) struct Database {
    records: Option<DatabaseProbe>,
    migrations: Option<Migrations>,
}

enum Migrations {
    Probe(Box<MigrationsProbe>),
    /// They cannot be told, for this reason.
    Unknown(String),
}

impl Database {
    /// Reads the migrations of the commit and sets the probes up. Without a repository only the records are asked.
    pub(crate) fn set_up(
        config: &DatabaseConfig,
        address: Address,
        wanted: &MigrationsConfig,
        commit: &CommitId,
        git: Option<&Git>,
    ) -> Self {
        let migrations = migrations(wanted, &address, commit, git);
        let records = config.records.then(|| DatabaseProbe::new(config.clone(), address, commit.clone()));
        Self { records, migrations }
    }

    /// Asks everything once.
    ///
    /// # Errors
    /// The first probe's fault: without an answer of each there is none.
    pub(crate) async fn ask(&self) -> Result<DatabaseAnswer, Fault> {
        let migrations = match &self.migrations {
            None => None,
            Some(Migrations::Unknown(reason)) => Some(MigrationsObservation::undecided(reason)),
            Some(Migrations::Probe(probe)) => probe.ask().await?,
        };
        let records = match &self.records {
            None => None,
            Some(probe) => Some(probe.ask().await?),
        };
        Ok(DatabaseAnswer { records, migrations })
    }
}

/// What is asked about the migrations. More than one set needs a word on which is this database's.
fn migrations(
    wanted: &MigrationsConfig,
    address: &Address,
    commit: &CommitId,
    git: Option<&Git>,
) -> Option<Migrations> {
    let is_wanted = matches!(wanted, MigrationsConfig::Wanted { .. });
    let Some(git) = git else {
        return is_wanted.then(|| Migrations::Unknown("the repository cannot be read".to_owned()));
    };
    match git.migrations(commit, wanted) {
        Ok(sets) if sets.len() > 1 => {
            let places: Vec<String> = sets.iter().map(|set| format!("{} in {:?}", set.tool.word(), set.path)).collect();
            let advice = "name one in database.migrations";
            Some(Migrations::Unknown(format!("there are several sets: {}; {advice}", places.join(", "))))
        }
        Ok(sets) => {
            let probe = |set| Migrations::Probe(Box::new(MigrationsProbe::new(set, is_wanted, address.clone())));
            sets.into_iter().next().map(probe)
        }
        // A commit whose files cannot be searched is told of only where somebody asked.
        Err(_) if !is_wanted => None,
        Err(error) => Some(Migrations::Unknown(with_causes(&error))),
    }
}
