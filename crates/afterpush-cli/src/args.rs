//! The command line: names, options and help texts. The reference, the completions and the manual page are made from it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// What the programs are for, in one line.
const ABOUT: &str = "Tells whether the commit that you pushed is live";

const EXIT_CODES: &str = "\
Exit codes of status, watch and deploy-status:
  0  live        the commit is live, proven by an answer that names it
  1  not live    it failed, or its being live cannot be proven; the reason is in the text and the JSON
  2  in progress
  3  not found   the commit is not watched

Every command: 64 usage, 65 unreadable state, 70 internal error, 78 configuration.";

const REVISION: &str = "Any revision of this repository, or an object id (4 digits or more) that is watched anywhere \
                        [default: HEAD]";

/// Follows a `git push` until its commit is live.
#[derive(Debug, Parser)]
#[command(name = "afterpush", version, about = ABOUT, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Afterpush {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Tells whether a pushed commit is live.
#[derive(Debug, Parser)]
#[command(name = "deploy-status", version, about = ABOUT, after_help = EXIT_CODES)]
pub(crate) struct DeployStatus {
    #[command(flatten)]
    pub(crate) status: StatusArgs,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Show the configuration on standard output and write nothing
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look for the provider's own files and write `.afterpush.toml`
    Init(InitArgs),
    /// Put the hook where this repository's hooks really run; keeps and runs a hook that is already there
    Install(InstallArgs),
    /// Remove the hook and restore what was there before
    Uninstall(UninstallArgs),
    /// Tell whether a pushed commit is live
    Status(StatusArgs),
    /// Show the same live, until the verdict; starts a monitor where there is none
    Watch(WatchArgs),
    /// List the active monitors
    List(ListArgs),
    /// Stop a monitor; its run ends as `stopped`
    Stop(StopArgs),
    /// Look for what would go wrong after the push
    #[command(subcommand)]
    Check(CheckCommand),
    /// Remove finished runs that are older than a limit
    Cleanup(CleanupArgs),
    /// Print the log of a run
    Logs(LogsArgs),
    /// Print the directory of a run
    Path(RevisionArgs),
    /// Run `git push`; when the remote has moved, take its commits in and push again
    Push(PushArgs),
    /// Restart lost monitors and watch pushes that no hook saw
    Resume(ResumeArgs),
    /// Allow this repository's privileged configuration, as it stands now
    Trust,
    /// Take that permission back
    Untrust,
    /// Check what is installed, configured and reachable
    Doctor(DoctorArgs),
    /// Show the whole job on this machine in a temporary directory; needs no account and no network
    Demo(DemoArgs),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
    /// The small web server of the demo
    #[command(hide = true)]
    DemoServer(DemoServerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RevisionArgs {
    #[arg(value_name = "COMMIT", help = REVISION)]
    pub(crate) commit: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Confirm this hooks directory outside the repository, which core.hooksPath names and other repositories may share
    #[arg(long, value_name = "DIR")]
    pub(crate) hooks_path: Option<PathBuf>,
    /// Have git run the hook by this repository's git configuration, beside the hooks directory (git 2.54 or newer)
    #[arg(long, conflicts_with = "hooks_path")]
    pub(crate) config_hook: bool,
    /// Have pushes with --no-verify watched at once as well, by a hook that slows down every change of refs
    #[arg(long)]
    pub(crate) strict: bool,
    /// Instead of the hook: have the system run `resume --all` and `cleanup --all` every 15 minutes, for all repositories
    #[arg(long, conflicts_with_all = ["hooks_path", "config_hook", "strict"])]
    pub(crate) schedule: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Remove only the hook of strict mode
    #[arg(long)]
    pub(crate) strict: bool,
    /// Instead of the hook: remove what `install --schedule` has set up
    #[arg(long, conflicts_with = "strict")]
    pub(crate) schedule: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[arg(value_name = "COMMIT", help = REVISION)]
    pub(crate) commit: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// Wait this long for the verdict, such as 30s or 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Print nothing; only the exit code tells
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[arg(value_name = "COMMIT", help = REVISION)]
    pub(crate) commit: Option<String>,
    /// Print one JSON document at the verdict
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Every repository of this user
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    #[arg(value_name = "COMMIT", help = REVISION, conflicts_with = "all")]
    pub(crate) commit: Option<String>,
    /// Every active monitor of this repository
    #[arg(long)]
    pub(crate) all: bool,
    /// Kill a monitor that does not end by itself
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CleanupArgs {
    /// Remove runs that finished longer ago than this, such as 12h or 7d
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "7d")]
    pub(crate) older_than: Duration,
    /// Every repository of this user
    #[arg(long)]
    pub(crate) all: bool,
    /// Remove nothing; say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// Look at a commit's database migrations beside its upstream's: duplicate, edited and out of order; 1 when there are any
    Migrations(CheckMigrationsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckMigrationsArgs {
    /// Any revision of this repository [default: HEAD]
    #[arg(value_name = "COMMIT")]
    pub(crate) commit: Option<String>,
    /// What it is to be pushed onto, instead of the branch's own upstream
    #[arg(long, value_name = "COMMIT")]
    pub(crate) upstream: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[arg(value_name = "COMMIT", help = REVISION)]
    pub(crate) commit: Option<String>,
    /// How many of the last lines
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 20)]
    pub(crate) lines: usize,
    /// Go on printing until the run has ended
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Wait for the verdict of the run, at most this long when a duration such as 10m follows; exit codes as of `status`
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = duration)]
    pub(crate) wait: Option<Option<Duration>>,
    /// When it cannot go on, leave everything where it stopped instead of as it was before
    #[arg(long)]
    pub(crate) keep: bool,
    /// As of git push: replace what the remote has, if that is what you know of it
    #[arg(long, value_name = "REF[:EXPECT]", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) force_with_lease: Vec<String>,
    /// As of git push: have the branch follow what it is pushed to
    #[arg(long, short = 'u')]
    pub(crate) set_upstream: bool,
    /// As of git push: a remote's name or address
    #[arg(value_name = "REMOTE")]
    pub(crate) remote: Option<String>,
    /// As of git push: what to push to where
    #[arg(value_name = "REFSPEC")]
    pub(crate) refspecs: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Every repository of this user
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the temporary directory and say where it is
    #[arg(long)]
    pub(crate) keep: bool,
    /// Without the pauses for reading
    #[arg(long)]
    pub(crate) fast: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoServerArgs {
    /// The port on 127.0.0.1
    #[arg(long)]
    pub(crate) port: u16,
    /// The file that holds the commit to report; the server ends when it is gone
    #[arg(long)]
    pub(crate) commit_file: PathBuf,
    /// The file to write once the server is ready to take the port over
    #[arg(long)]
    pub(crate) ready_file: PathBuf,
}

fn duration(text: &str) -> Result<Duration, String> {
    afterpush_core::duration::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Afterpush::command().debug_assert();
        DeployStatus::command().debug_assert();
    }

    #[test]
    fn deploy_status_takes_what_status_takes() {
        let line = ["x", "abc1234", "--wait", "90s", "--json"];
        let short = DeployStatus::try_parse_from(line).unwrap().status;
        let long = Afterpush::try_parse_from(["x", "status", "abc1234", "--wait", "90s", "--json"]).unwrap();
        let Command::Status(long) = long.command else { panic!("not status") };
        assert_eq!(format!("{short:?}"), format!("{long:?}"));
        assert_eq!(short.wait, Some(Duration::from_secs(90)));
    }
}
