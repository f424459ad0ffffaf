//! The environment, read once: the only place of this crate that asks for variables or for the user's directories.

use std::{env, ffi::OsStr, path::PathBuf};

use directories::BaseDirs;

/// What the environment says that matters here. Tests build one by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `AFTERPUSH_STATE_DIR`: where state goes instead of the user's state directory.
    pub state_dir: Option<PathBuf>,
    /// `AFTERPUSH_CONFIG`: the user's configuration file.
    pub config: Option<PathBuf>,
    /// `GIT_DIR`, which git sets for hooks of linked work trees, submodules and bare repositories.
    pub git_dir: Option<PathBuf>,
    /// `GIT_WORK_TREE`.
    pub git_work_tree: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The user's state directory: `$XDG_STATE_HOME` or `~/.local/state`.
    pub state_home: Option<PathBuf>,
    /// The user's configuration directory: `$XDG_CONFIG_HOME` or `~/.config`.
    pub config_home: Option<PathBuf>,
    /// `CI` is set, and not to `false` or `0`.
    pub ci: bool,
    /// `AFTERPUSH_CI` is set: watch pushes although this is a CI job.
    pub watch_in_ci: bool,
    /// `AFTERPUSH_SKIP` is set: do not watch this push.
    pub skip: bool,
}

impl Environment {
    /// Reads the process's environment.
    #[must_use]
    pub fn read() -> Self {
        let path = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let flag = |name: &str| env::var_os(name).is_some_and(|value| is_on(&value));
        let base = BaseDirs::new();
        let base = base.as_ref();
        Self {
            state_dir: path("AFTERPUSH_STATE_DIR"),
            config: path("AFTERPUSH_CONFIG"),
            git_dir: path("GIT_DIR"),
            git_work_tree: path("GIT_WORK_TREE"),
            home: base.map(|base| base.home_dir().to_owned()),
            // Only Linux has a state directory; elsewhere local data is the nearest thing.
            state_home: base.map(|base| base.state_dir().unwrap_or_else(|| base.data_local_dir()).to_owned()),
            config_home: base.map(|base| base.config_dir().to_owned()),
            ci: flag("CI"),
            watch_in_ci: flag("AFTERPUSH_CI"),
            skip: flag("AFTERPUSH_SKIP"),
        }
    }

    /// Tells whether pushes are to go unwatched: asked for by `AFTERPUSH_SKIP`, or because this is a CI job, whose
    /// background processes are killed at its end.
    #[must_use]
    pub fn wants_no_monitor(&self) -> bool {
        self.skip || (self.ci && !self.watch_in_ci)
    }
}

fn is_on(value: &OsStr) -> bool {
    !value.is_empty() && value != "0" && !value.eq_ignore_ascii_case("false")
}

/// The user's configuration file: `$AFTERPUSH_CONFIG`, else `afterpush/config.toml` in the user's configuration directory.
#[must_use]
pub fn user_config_path(environment: &Environment) -> Option<PathBuf> {
    environment.config.clone().or_else(|| Some(environment.config_home.as_ref()?.join("afterpush/config.toml")))
}

/// The user's credentials file: `credentials.toml` beside the user's configuration file.
#[must_use]
pub fn credentials_path(environment: &Environment) -> Option<PathBuf> {
    Some(user_config_path(environment)?.with_file_name("credentials.toml"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_configuration_file_can_be_moved_and_takes_the_credentials_with_it() {
        let mut environment = Environment { config_home: Some("/home/u/.config".into()), ..Environment::default() };
        assert_eq!(user_config_path(&environment).unwrap(), PathBuf::from("/home/u/.config/afterpush/config.toml"));
        assert_eq!(
            credentials_path(&environment).unwrap(),
            PathBuf::from("/home/u/.config/afterpush/credentials.toml")
        );
        environment.config = Some("/elsewhere/mine.toml".into());
        assert_eq!(user_config_path(&environment).unwrap(), PathBuf::from("/elsewhere/mine.toml"));
        assert_eq!(credentials_path(&environment).unwrap(), PathBuf::from("/elsewhere/credentials.toml"));
        assert_eq!(user_config_path(&Environment::default()), None);
    }

    #[test]
    fn a_ci_job_is_watched_only_on_request() {
        for (ci, watch_in_ci, skip, quiet) in [
            (false, false, false, false),
            (true, false, false, true),
            (true, true, false, false),
            (true, true, true, true),
            (false, false, true, true),
        ] {
            let environment = Environment { ci, watch_in_ci, skip, ..Environment::default() };
            assert_eq!(environment.wants_no_monitor(), quiet, "{environment:?}");
        }
        for (value, on) in [("", false), ("0", false), ("false", false), ("FALSE", false), ("1", true), ("true", true)]
        {
            assert_eq!(is_on(OsStr::new(value)), on, "{value:?}");
        }
    }
}
