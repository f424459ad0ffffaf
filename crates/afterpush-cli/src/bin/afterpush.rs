//! The command `afterpush`.

use std::process::ExitCode;

use afterpush_cli::{Program, run};

fn main() -> ExitCode {
    run(Program::Afterpush)
}
