//! The suite port: running tests in a judged tree and reading what they report.
//!
//! A suite never turns trouble into a number. A report that is missing, malformed or empty is
//! an error with somebody to blame, not a pass and not a zero.

mod cargo;
mod command;
pub mod fake;
pub mod format;
mod gotest;
mod http;
mod javascript;
mod jest;
pub mod junit;
mod libtest;
mod output;
mod runner;
mod sentinel;
mod tap;

use async_trait::async_trait;

use super::process::ProcessError;
pub use super::process::Site;
use crate::domain::trial::TestReport;
pub use command::CommandSettings;
use command::CommandSuite;
pub use http::{HttpSettings, HttpSuite};
pub use runner::RUNNERS;

/// Makes the settings' enum and the constructor out of one line a suite.
macro_rules! suites {
    ($($(#[$doc:meta])* $kind:ident($settings:ident) => $suite:ident;)+) => {
        /// What the document and the configuration say about a suite.
        #[derive(Debug, Clone, PartialEq)]
        pub enum SuiteSettings {
            $($(#[$doc])* $kind($settings),)+
        }

        /// The suite that these settings describe.
        pub fn build(settings: SuiteSettings) -> Box<dyn Suite> {
            match settings {
                $(SuiteSettings::$kind(settings) => Box::new($suite::new(settings)),)+
            }
        }
    };
}

suites! {
    /// A program whose report is read, from a file or from what it prints, or else its exit status.
    Command(CommandSettings) => CommandSuite;
    /// Requests at a server, many at a time.
    Http(HttpSettings) => HttpSuite;
}

/// Why a suite has no report.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The tree's doing: no tests were found, the report is cut off, the server never answered.
    #[error("{0}")]
    Variant(String),
    /// The machine's doing.
    #[error("{0}")]
    Machine(String),
    /// What the document or the configuration asks for can't be done.
    #[error("{0}")]
    Refused(String),
    /// A program was missing or failed to start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The run is being stopped.
    #[error("stopped")]
    Stopped,
}

/// A set of tests that can be run in any contender's tree.
#[async_trait]
pub trait Suite: Send + Sync {
    /// The line of the document that it stands for.
    fn name(&self) -> &str;

    /// The program that it needs on this machine, where that is known without a shell.
    fn program(&self) -> Option<&str> {
        None
    }

    /// Whether selectors of work items mean anything to it. They are run with the first suite
    /// for which they do.
    fn takes_selectors(&self) -> bool;

    /// Runs all of it, and the selected tests in addition. A case that both runs report counts
    /// once, with the worse of the two results. A report always holds at least one case that
    /// was not skipped.
    async fn run(&self, site: &Site, selectors: &[String]) -> Result<TestReport, SuiteError>;
}
