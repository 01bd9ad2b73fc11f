//! A program to run: what it is given, and what of it stays.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::Pulse;

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
    /// Whether it is measured: at the priority for that, what it uses is told as exactly as the machine can, and
    /// nothing of it outlives it.
    pub metered: bool,
    /// How much of what it writes stays, where it runs within the walls of a lease.
    pub stay: Stay,
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

/// How much of what a program writes into its lease stays there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stay {
    /// All of it: of agents, set-up, builds, migrations, tests.
    #[default]
    Lasting,
    /// Only what is written below [`Order::write`](super::Order::write), and there neither below [`Order::reset`](super::Order::reset) nor [`Order::bare`](super::Order::bare). Home,
    /// temporary files and tree are at each start as lasting programs left them.
    Fleeting,
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
            stay: Stay::Lasting,
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
