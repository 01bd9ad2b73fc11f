//! The port through which programs run, and the one place that starts them.
//!
//! A program gets an argument vector, a directory, an environment that starts empty, and limits.
//! It leads its own process group; a stop reaches the whole group: TERM, grace, KILL.

mod exchange;
mod program;
mod pulse;
mod secret;
mod site;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
pub use tokio_util::sync::CancellationToken as Stop;

pub use exchange::{Exchange, REPORT_LIMIT, read_inside, read_untrusted};
pub use program::{Program, installed};
pub use pulse::{Pulse, Vital};
pub use secret::secret;
pub use site::Site;

/// The complete environment of a program.
pub type Environment = BTreeMap<String, String>;

/// A program to run.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program; looked up in the `PATH` of `env` where it has no `/`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working directory.
    pub dir: PathBuf,
    /// Its environment, whole.
    pub env: Environment,
    /// What it reads; nothing where absent.
    pub stdin: Option<Vec<u8>>,
    /// After this it is stopped; never where absent.
    pub time_limit: Option<Duration>,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// The CPUs that it and all that it starts may run on; anywhere where empty.
    pub cpus: Vec<usize>,
    /// The ordinary user to run as; only root can ask for one.
    pub user: Option<User>,
    /// Whether it goes on when we are killed: only for what is short and must not be left half done.
    pub outlives: bool,
    /// Both streams also go to this file, whole up to 64 MiB, created or appended to.
    pub log: Option<PathBuf>,
    /// Whether what it uses is to be told as exactly as the machine can.
    pub metered: bool,
    /// How many bytes of each stream are kept, counted from its end: enough for messages unless
    /// a report is to be read from it.
    pub keep: usize,
    /// Tells signs of life while it runs, where somebody wants to know.
    pub pulse: Option<Pulse>,
}

/// An ordinary user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Command {
    /// A program with arguments in a directory; empty environment, no time limit, 5 s of grace, 1 MiB kept.
    pub fn new<A: Into<OsString>>(
        program: impl Into<OsString>,
        args: impl IntoIterator<Item = A>,
        dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            dir: dir.into(),
            env: Environment::new(),
            stdin: None,
            time_limit: None,
            grace: Duration::from_secs(5),
            cpus: Vec::new(),
            user: None,
            outlives: false,
            log: None,
            metered: false,
            keep: 1 << 20,
            pulse: None,
        }
    }

    /// A line for `sh -c`; only for text that the user's configuration holds.
    pub fn shell(line: &str, dir: impl Into<PathBuf>) -> Self {
        Self::new("sh", ["-c", line], dir)
    }

    /// With this environment.
    #[must_use]
    pub fn env(mut self, env: &Environment) -> Self {
        self.env = env.clone();
        self
    }

    /// With this time limit.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.time_limit = limit.into();
        self
    }

    /// As a reader would type it; for messages, never for a shell.
    pub fn shown(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args).map(|w| w.to_string_lossy());
        shell_words::join(words.map(|w| w.into_owned()))
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By a signal that we did not send.
    Signal(i32),
    /// Stopped at its time limit.
    TimedOut,
    /// Stopped because the caller asked.
    Stopped,
}

impl Exit {
    /// Whether it ended by itself with status 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// What became of a program, behind its name: `ended with exit status 2`.
    pub fn ending(self) -> String {
        match self {
            Self::Code(_) => format!("ended with {self}"),
            Self::Signal(_) => format!("was ended by {self}"),
            Self::TimedOut | Self::Stopped => format!("was {self}"),
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => f.write_str("stopped at its time limit"),
            Self::Stopped => f.write_str("stopped on request"),
        }
    }
}

/// A program that ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How.
    pub exit: Exit,
    /// The end of each stream, as much as [`Command::keep`] says; it is read to its end whatever its length.
    pub stdout: Vec<u8>,
    /// As `stdout`.
    pub stderr: Vec<u8>,
    /// Elapsed.
    pub wall: Duration,
    /// What it took.
    pub usage: Usage,
}

/// What a program took of the machine's cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// User and system time of the program and what it started. Of a program that is not metered,
    /// or on a machine without control groups, only of those that were waited for.
    pub cpu: Option<Duration>,
    /// How long it could run and had no core. Known where its first thread did nearly all of the work.
    pub delay: Option<Duration>,
}

impl Finished {
    /// Standard output as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last lines of both streams, for messages: at most `lines` of each.
    pub fn tail(&self, lines: usize) -> String {
        let mut out = String::new();
        for stream in [&self.stdout, &self.stderr] {
            let text = String::from_utf8_lossy(stream);
            let all: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
            for line in &all[all.len().saturating_sub(lines)..] {
                out.push_str(line);
                out.push('\n');
            }
        }
        out.truncate(out.trim_end().len());
        out
    }
}

/// Why a program could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No such program.
    #[error("the program `{program}` was not found")]
    Missing {
        /// As asked for.
        program: String,
    },
    /// Anything else that kept it from starting.
    #[error("`{program}` could not be started")]
    Start {
        /// As asked for.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs programs. The engine and the other adapters see only this.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Runs a program to its end, its limit or a stop; its whole group is dead afterwards.
    async fn run(&self, command: Command, stop: &Stop) -> Result<Finished, ProcessError>;

    /// Starts a program that stays; its group is killed when the service is dropped.
    async fn serve(&self, command: Command) -> Result<Box<dyn Service>, ProcessError>;

    /// Kills whatever carries `variable=value` in its environment, such as a daemon that left its
    /// group. Returns how many were killed.
    async fn sweep(&self, variable: &str, value: &str) -> usize;
}

/// A program that stays until stopped.
#[async_trait]
pub trait Service: Send + Sync {
    /// The process id of the group's leader.
    fn pid(&self) -> u32;

    /// What it and all that it started took so far.
    fn usage(&self) -> Usage;

    /// How it ended, if it did.
    fn ended(&mut self) -> Option<Exit>;

    /// The last lines of what it printed.
    fn tail(&self, lines: usize) -> String;

    /// Stops the group: TERM, grace, KILL. Returns when it is dead.
    async fn stop(&mut self) -> Exit;
}
