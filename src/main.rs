//! The thin binary: `cli` does the work and says how it ended.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(blueprint::cli::main(std::env::args_os()))
}
