//! The command `deploy-status`: `afterpush status` under the name that people and agents type.

use std::process::ExitCode;

use afterpush_cli::{Program, run};

fn main() -> ExitCode {
    run(Program::DeployStatus)
}
