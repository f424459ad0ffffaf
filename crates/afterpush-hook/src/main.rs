//! `afterpush-hook pre-push <pid of the shim's parent> [remote] [url]`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(afterpush_hook::run(std::env::args_os().skip(1)))
}
