//! The command line: what can be asked for, and which file answers. Parsing only.

mod approve;
mod check;
mod demo;
mod doctor;
mod documents;
mod gc;
mod init;
mod noise;
mod plan;
mod report;
mod resume;
mod retry;
mod run;
mod schema;
mod signals;
mod status;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::adapters::journal::JournalError;
use crate::error::{Error, ExitCode};
use crate::project;
use crate::ui::{Colour, Surroundings, Terminal};

/// Turns a written change into competing implementations, measures them, and lands the one that wins.
#[derive(Debug, Parser)]
#[command(name = "blueprint", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    /// When to colour what is printed.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
    /// Work in this directory instead of the current one.
    #[arg(short = 'C', long = "directory", global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Land a winner in a sample project, to see the whole loop in a minute.
    Demo(demo::Args),
    /// Write a `blueprint.yaml` to start from.
    Init(init::Args),
    /// Write a document to start from.
    New(init::NewArgs),
    /// Read documents and say what is wrong with them.
    Check(check::Args),
    /// Show what `run` would do, without doing it.
    Plan(plan::Args),
    /// Write the approval of what a document says now into it.
    Approve(approve::Args),
    /// Carry documents out: implement, test, measure, land.
    Run(run::Args),
    /// Go on with a run that was interrupted.
    Resume(resume::Args),
    /// Carry a run's document out again from where the target is now, with what its agents wrote.
    Retry(retry::Args),
    /// List the runs of this repository.
    Status(status::Args),
    /// Show what a run came to.
    Report(report::Args),
    /// Remove what interrupted runs left behind. Commits are kept.
    Gc(gc::Args),
    /// Record what this machine does to measurements, and decide on such a recording.
    Noise(noise::Args),
    /// Say what this machine has of what a run may need, the configured agent first.
    Doctor(doctor::Args),
    /// Print the JSON schema of `blueprint.yaml`, for editors.
    Schema,
}

/// What a command works with.
struct Context {
    out: Arc<Terminal>,
    directory: PathBuf,
}

/// How a command ends early: with an error, or with one that was already told.
enum Failure {
    Error(Error),
    Told(ExitCode),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Error(error.into())
    }
}

type Outcome = Result<ExitCode, Failure>;

/// Runs one command line; the number is the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return said(&error),
    };
    let out = Arc::new(Terminal::stdio(cli.color, Surroundings::of(&project::variables())));
    let directory = cli.directory.unwrap_or_else(|| PathBuf::from("."));
    let context = Context { out: Arc::clone(&out), directory };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out.error(&Error::machine("the program could not start its threads").because(error));
            return ExitCode::Machine as u8;
        }
    };
    let code = match runtime.block_on(dispatch(cli.command, &context)) {
        Ok(code) | Err(Failure::Told(code)) => code,
        Err(Failure::Error(error)) => {
            out.error(&error);
            error.kind
        }
    };
    match out.finish() {
        Ok(()) => code as u8,
        Err(error) => {
            out.error(&error);
            code.max(error.kind) as u8
        }
    }
}

/// Help and version are results; anything else that clap says is a usage error.
fn said(error: &clap::Error) -> u8 {
    // A reader that went away is no reason to fail.
    drop(error.print());
    u8::try_from(error.exit_code()).unwrap_or(ExitCode::Usage as u8)
}

async fn dispatch(command: Command, context: &Context) -> Outcome {
    match command {
        Command::Demo(args) => demo::main(&args, context).await,
        Command::Init(args) => init::main(&args, context),
        Command::New(args) => init::new(&args, context),
        Command::Check(args) => check::main(&args, context),
        Command::Plan(args) => plan::main(&args, context).await,
        Command::Approve(args) => approve::main(&args, context),
        Command::Run(args) => run::main(&args, context).await,
        Command::Resume(args) => resume::main(&args, context).await,
        Command::Retry(args) => retry::main(&args, context).await,
        Command::Status(args) => status::main(&args, context).await,
        Command::Report(args) => report::main(&args, context).await,
        Command::Gc(args) => gc::main(&args, context).await,
        Command::Noise(args) => noise::main(&args, context).await,
        Command::Doctor(args) => doctor::main(&args, context).await,
        Command::Schema => schema::main(context),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound_and_no_argument_shares_its_name_with_a_global_one() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        let globals: Vec<_> =
            command.get_arguments().filter(|a| a.is_global_set()).map(|a| a.get_id().clone()).collect();
        for inner in command.get_subcommands() {
            let own = inner.get_arguments().filter(|a| !a.is_global_set());
            for argument in own {
                assert!(!globals.contains(argument.get_id()), "{}: {}", inner.get_name(), argument.get_id());
            }
        }
    }
}
