//! The port through which programs run, and the one place that starts them.
//!
//! A program gets an argument vector, a directory, an environment that starts empty, and limits.
//! It leads its own process group; a stop reaches the whole group: TERM, grace, KILL.

mod address;
mod command;
mod enclosure;
mod exchange;
mod limits;
pub mod priority;
mod program;
mod pulse;
mod redact;
mod room;
mod secret;
mod site;
mod socket;

use std::os::fd::OwnedFd;
use std::time::Duration;

use async_trait::async_trait;
use rustix::net::{AddressFamily, SocketType};
pub use tokio_util::sync::CancellationToken as Stop;

use crate::domain::measurement::Priority;
use crate::domain::quantity::show_duration;

pub use address::Address;
pub use command::{Command, Environment, Stay, User};
pub use enclosure::{Egress, Enclosure, Network, Order, Sandbox, SandboxError, Ways};
pub use exchange::{Exchange, PREFIX};
pub(crate) use exchange::{REPORT_LIMIT, read_inside, read_untrusted, temporary_beside};
pub use limits::{Excess, Limits};
pub use program::{Program, installed};
pub use pulse::{Pulse, Vital};
pub use redact::Redactor;
pub(crate) use room::lacked;
pub use room::{Left, full};
pub use secret::{nonce, secret};
pub use site::Site;
pub(crate) use socket::{sockets, take_all};

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
    /// Killed with all that runs in its lease, which used more than it may.
    Beyond(Excess),
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
            Self::TimedOut | Self::Stopped | Self::Beyond(_) => format!("was {self}"),
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
            Self::Beyond(excess) => write!(f, "killed: {excess}"),
        }
    }
}

/// How much is kept of the beginning of standard output.
pub const FIRST: usize = 1 << 10;

/// A program that ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How.
    pub exit: Exit,
    /// The first KiB of standard output.
    pub first: Vec<u8>,
    /// The end of each stream, as much as [`Command::keep`] says; it is read to its end whatever its length.
    pub stdout: Vec<u8>,
    /// As `stdout`.
    pub stderr: Vec<u8>,
    /// Elapsed.
    pub wall: Duration,
    /// What it took, with what outlived it.
    pub usage: Usage,
    /// What did not end with it and was killed; of a program that is not metered nothing is said.
    pub left: Vec<Stray>,
    /// What went on and kept its output open, so that nobody knows whether more would have come.
    pub held: Vec<Stray>,
}

/// A process that went on when the program that started it had ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Its process id.
    pub pid: u32,
    /// Its command line, cut short.
    pub name: String,
    /// User and system time, with that of the children that it waited for.
    pub cpu: Duration,
}

impl std::fmt::Display for Stray {
    /// Such as `./worker --poll` (pid 712, 1.2 s of CPU time).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` (pid {}, {} of CPU time)", self.name, self.pid, show_duration(self.cpu))
    }
}

/// What a program took of the machine's cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// User and system time of the program and what it started. Of a program that stays, on a machine without control
    /// groups, only of those that were waited for.
    pub cpu: Option<Duration>,
    /// How much of that is the CPU time of threads and processes that told of themselves.
    pub told: Option<Duration>,
    /// How long those could run and had no core, all together.
    pub waits: Option<Duration>,
}

/// How much of the CPU time must be that of those who told of themselves, for the waits to be the program's.
const COVERED: f64 = 0.95;
/// Or so much, where the waits that are not told can't be more than this share of the elapsed time.
const SMALL: (f64, f64) = (0.8, 0.01);

impl Usage {
    /// How long all threads and processes could run and had no core, within this elapsed time. What did not tell of
    /// itself is taken to have waited as much for its CPU time; where it is more than a little, nothing is known.
    pub fn delay(self, wall: Duration) -> Option<Duration> {
        let (cpu, told, waits) = (self.cpu?.as_secs_f64(), self.told?.as_secs_f64(), self.waits?);
        let covered = if cpu > 0.0 { (told / cpu).min(1.0) } else { 1.0 };
        let guessed = waits.as_secs_f64() * (1.0 / covered - 1.0);
        let small = covered >= SMALL.0 && guessed <= SMALL.1 * wall.as_secs_f64();
        (covered >= COVERED || small).then(|| waits.div_f64(covered))
    }

    /// Of both together; what one of them does not tell, both do not.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, |one, two| one + two)
    }

    /// What was added since an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.each(earlier, Duration::saturating_sub)
    }

    fn each(self, other: Self, of: impl Fn(Duration, Duration) -> Duration) -> Self {
        let both = |one: Option<Duration>, two: Option<Duration>| Some(of(one?, two?));
        Self { cpu: both(self.cpu, other.cpu), told: both(self.told, other.told), waits: both(self.waits, other.waits) }
    }
}

impl Finished {
    /// One that took nothing.
    pub fn of(exit: Exit, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        let first = stdout[..stdout.len().min(FIRST)].to_vec();
        let (left, held) = (Vec::new(), Vec::new());
        Self { exit, first, stdout, stderr, wall: Duration::ZERO, usage: Usage::default(), left, held }
    }

    /// Standard output as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// That it left something which kept its output open, in words; `None` where nothing did.
    pub fn leak(&self, program: &str) -> Option<String> {
        let names: Vec<_> = self.held.iter().map(|stray| format!("`{}`", stray.name)).collect();
        let what = if names.len() == 1 { "which keeps" } else { "which keep" };
        let text = format!("`{program}` left {} running, {what} its output open", names.join(", "));
        (!names.is_empty()).then_some(text)
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
    /// It failed where there was no room for what it writes.
    #[error("`{program}` {}: {full}", .exit.ending())]
    Full {
        /// As a reader would type it.
        program: String,
        /// How it ended.
        exit: Exit,
        /// Which file system, in words.
        full: String,
    },
}

/// Runs programs. The engine and the other adapters see only this.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Runs a program to its end, its limit or a stop; its whole group is dead afterwards.
    async fn run(&self, command: Command, stop: &Stop) -> Result<Finished, ProcessError>;

    /// Starts a program that stays; its group is killed when the service is dropped.
    async fn serve(&self, command: Command) -> Result<Box<dyn Serving>, ProcessError>;

    /// Kills whatever was started with `variable=value` in its environment, such as a daemon that left its
    /// group. Returns how many were killed.
    async fn sweep(&self, variable: &str, value: &str) -> usize;

    /// Kills what programs with this `BLUEPRINT_LEASE` left running when they ended, and returns when it is
    /// dead. What has not ended is not touched.
    async fn settle(&self, _lease: &str) -> Vec<Stray> {
        Vec::new()
    }

    /// So many sockets for TCP over IPv4 in the network where its programs are, connected to nothing; they don't block.
    fn sockets(&self, count: usize) -> std::io::Result<Vec<OwnedFd>> {
        sockets(AddressFamily::INET, SocketType::STREAM, count)
    }

    /// The priority at which metered programs run.
    fn priority(&self) -> Priority {
        Priority::Usual
    }
}

/// A program that stays until stopped.
#[async_trait]
pub trait Serving: Send + Sync {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(cpu: u64, told: u64, waits: u64) -> Usage {
        let ms = |n| Some(Duration::from_millis(n));
        Usage { cpu: ms(cpu), told: ms(told), waits: ms(waits) }
    }

    #[test]
    fn waits_are_known_where_those_that_told_them_did_nearly_all_of_the_work() {
        let of = |cpu, told, waits| usage(cpu, told, waits).delay(Duration::from_secs(1));
        let ms = Duration::from_millis;
        assert_eq!(of(200, 200, 50), Some(ms(50)));
        assert_eq!(of(200, 190, 95), Some(ms(100)), "the rest waited as much for its CPU time");
        assert_eq!(of(200, 180, 500), None);
        assert_eq!(of(200, 180, 9), Some(ms(10)), "what is not told can't matter");
        assert_eq!((of(200, 100, 0), of(200, 0, 0), of(0, 0, 0)), (None, None, Some(ms(0))));
        assert_eq!(Usage { told: None, ..usage(1, 1, 1) }.delay(ms(1)), None);
    }

    #[test]
    fn what_one_does_not_tell_both_do_not() {
        let sum = usage(3, 2, 1).plus(usage(3, 2, 1));
        assert_eq!((sum, sum.since(usage(3, 2, 1))), (usage(6, 4, 2), usage(3, 2, 1)));
        assert_eq!(sum.plus(Usage { waits: None, ..sum }).waits, None);
        assert_eq!(Usage::default().plus(sum), Usage::default());
    }
}
