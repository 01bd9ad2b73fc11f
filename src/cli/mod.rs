//! The command line: what can be asked for, and which file answers. Parsing only.

mod approve;
mod check;
mod demo;
mod doctor;
mod documents;
mod gc;
mod init;
mod look;
mod noise;
mod outcome;
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
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::adapters::executor::{keeper, ordinary};
use crate::error::{self, Error, ExitCode};
use crate::project;
use crate::ui::{Colour, LOG_VARIABLE, Log, LogSettings, Surroundings, Terminal};
use outcome::{Context, Failure, Outcome};

/// Implement competing variants of a change and land the best.
#[derive(Debug, Parser)]
#[command(
    name = "blueprint",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Example:\n  blueprint run docs/blueprints/faster-listing.md"
)]
struct Cli {
    /// When to use color.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
    /// Work in this directory instead of the current one.
    #[arg(short = 'C', long = "directory", global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Log what is done on standard error: -v steps, -vv programs too, -vvv everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Write the log to this file instead.
    #[arg(long = "log", global = true, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole loop on a sample project.
    Demo(demo::Args),
    /// Create a starter `blueprint.yaml` from what the repository holds.
    Init(init::Args),
    /// Create a starter document.
    New(init::NewArgs),
    /// Validate documents and report problems.
    Check(check::Args),
    /// Show what `run` would do, without doing it.
    Plan(plan::Args),
    /// Approve a document as it is now.
    Approve(approve::Args),
    /// Run documents: implement, test, measure, land.
    Run(run::Args),
    /// Resume an interrupted run.
    Resume(resume::Args),
    /// Run a document again on the target as it is now, with what an earlier run's agents wrote.
    Retry(retry::Args),
    /// List the runs of this repository.
    Status(status::Args),
    /// Show the result of a run.
    Report(report::Args),
    /// Remove leftovers of interrupted runs, but no commits.
    Gc(gc::Args),
    /// Record and replay measurement noise.
    Noise(noise::Args),
    /// Check agents, API keys and tools.
    Doctor(doctor::Args),
    /// Print the JSON schema of `blueprint.yaml`, for editors.
    #[command(after_help = "Example:\n  blueprint schema > blueprint.schema.json")]
    Schema,
}

impl Command {
    /// Whether programs that are not ours may run, or it is told how they would.
    fn runs_programs(&self) -> bool {
        matches!(
            self,
            Self::Demo(_) | Self::Plan(_) | Self::Run(_) | Self::Resume(_) | Self::Retry(_) | Self::Doctor(_)
        )
    }
}

/// Runs one command line; the number is the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    // What runs in a lease begins with a process of ours, which is nobody's to ask for.
    match args.get(1) {
        Some(word) if word == keeper::WORD => return keeper::main(),
        Some(word) if word == ordinary::WORD => return ordinary::main(),
        _ => {}
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return said(&error),
    };
    if cli.command.runs_programs() {
        ordinary::prepare();
    }
    let variables = project::variables();
    let filter = variables.get(LOG_VARIABLE).filter(|filter| !filter.is_empty()).cloned();
    let terminal = Terminal::stdio(cli.color, Surroundings::of(&variables));
    let on_the_terminal = cli.log.is_none() && (cli.verbose > 0 || filter.is_some());
    let out = Arc::new(if on_the_terminal { terminal.undrawn() } else { terminal });
    let log = match begin_log(cli.verbose, filter, cli.log.as_deref(), &out) {
        Ok(log) => log,
        Err(error) => {
            out.error(&error);
            return error.kind as u8;
        }
    };
    let directory = cli.directory.unwrap_or_else(|| PathBuf::from("."));
    let context = Context { out: Arc::clone(&out), log, directory };
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

fn begin_log(verbosity: u8, filter: Option<String>, file: Option<&Path>, out: &Arc<Terminal>) -> error::Result<Log> {
    let file = file.map(project::open_log).transpose()?;
    let file = file.map(|file| Box::new(file) as Box<dyn Write + Send>);
    Log::start(LogSettings { verbosity, filter, file }, out)
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
        Command::Init(args) => init::main(&args, context).await,
        Command::New(args) => init::new(&args, context).await,
        Command::Check(args) => check::main(&args, context).await,
        Command::Plan(args) => plan::main(&args, context).await,
        Command::Approve(args) => approve::main(&args, context).await,
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
    use clap::{CommandFactory, Parser};

    use super::Cli;

    #[test]
    fn every_command_has_an_example_that_it_understands() {
        let command = Cli::command();
        let check = |command: &clap::Command| {
            let help = command.clone().render_help().to_string();
            let (_, example) =
                help.split_once("Example:\n").unwrap_or_else(|| panic!("{}: no example", command.get_name()));
            let line = example.trim().lines().next().unwrap();
            let words = shell_words::split(line.split(" > ").next().unwrap()).unwrap();
            assert!(Cli::try_parse_from(&words).is_ok(), "{line}");
        };
        check(&command);
        command.get_subcommands().for_each(check);
    }

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
