//! The thin binary: everything is in the library.

use std::process::ExitCode;

use blueprint::cli::Cli;
use clap::Parser;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::from(blueprint::error::ExitCode::Machine as u8),
    };
    let code = runtime.block_on(cli.run());
    ExitCode::from(code as u8)
}
