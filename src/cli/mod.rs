//! The command line: one file a command; parsing and composing, no decisions.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::error::{ExitCode, Result};
use crate::ui::Printer;

mod approve;
mod check;
mod demo;
mod gc;
mod init;
mod new;
mod plan;
mod report;
mod resume;
mod run;
mod status;

/// Turns a written change into competing implementations, measures them, and lands the one that wins.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "Exit codes: 0 done, 1 machine, 2 usage or invalid document, 3 no winner, 4 refused, 5 budget, \
                        6 landing blocked, 130/143 interrupted. More: docs/exit-codes.md")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Colour what is printed.
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    color: When,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check documents: what is wrong, where, and what to do.
    Check(check::Args),
    /// Show what a run would do, and do nothing.
    Plan(plan::Args),
    /// Approve a document as it is now.
    Approve(approve::Args),
    /// Carry out approved documents: implement, judge, measure, land.
    Run(run::Args),
    /// Go on with a run that was interrupted.
    Resume(resume::Args),
    /// Show the runs of this repository.
    Status(status::Args),
    /// Show what a run measured and concluded.
    Report(report::Args),
    /// Remove what killed runs left behind; commits are kept.
    Gc(gc::Args),
    /// Write a new document from the template.
    New(new::Args),
    /// Write a configuration for this repository.
    Init(init::Args),
    /// Try it: a small repository, three variants, a real run, in under a minute.
    Demo(demo::Args),
}

impl Cli {
    /// Carries out the command.
    pub async fn run(self) -> ExitCode {
        let printer = Printer::new(self.color);
        match self.dispatch(&printer).await {
            Ok(code) => code,
            Err(error) => {
                printer.error(&error);
                error.kind
            }
        }
    }

    async fn dispatch(self, printer: &Printer) -> Result<ExitCode> {
        match self.command {
            Command::Check(args) => check::run(&args, printer).await,
            Command::Plan(args) => plan::run(&args, printer).await,
            Command::Approve(args) => approve::run(&args, printer).await,
            Command::Run(args) => run::run(&args, printer).await,
            Command::Resume(args) => resume::run(&args, printer).await,
            Command::Status(args) => status::run(&args, printer).await,
            Command::Report(args) => report::run(&args, printer).await,
            Command::Gc(args) => gc::run(&args, printer).await,
            Command::New(args) => new::run(&args, printer).await,
            Command::Init(args) => init::run(&args, printer).await,
            Command::Demo(args) => demo::run(&args, printer).await,
        }
    }
}

/// Where the user stands.
fn here() -> Result<PathBuf> {
    std::env::current_dir().map_err(|error| crate::error::Error::machine("the current directory can't be read").because(error))
}
