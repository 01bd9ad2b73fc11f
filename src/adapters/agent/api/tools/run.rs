//! Running: a shell command in the worktree, with the lease's environment and within limits.

use std::time::Duration;

use super::super::super::AgentError;
use super::super::Halt;
use super::super::snapshot::Snapshot;
use super::output::{ends, plain};
use super::{Arguments, Field, Hands, Kind, Outcome, Tool};
use crate::adapters::process::{Command, Exchange, Exit};
use crate::domain::quantity::show_duration;

/// How long a command may take unless the model says.
const LIMIT: Duration = Duration::from_secs(120);
/// How long it may take whatever the model says.
const MOST: Duration = Duration::from_secs(600);
/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How much of its output the model is shown.
const SHOWN: usize = 16 << 10;

/// What the model is told of it.
pub(super) const TOOL: Tool = Tool {
    name: "run",
    about: "Runs `sh -c` in the working directory without input, and tells exit status, time and output (at most its \
            first and last 8 KiB). What it leaves running is stopped.",
    fields: &[
        Field { name: "command", kind: Kind::Text, required: true, about: "The command." },
        Field {
            name: "seconds",
            kind: Kind::Count,
            required: false,
            about: "After how long it is stopped; 120 by default, 600 at the most.",
        },
    ],
};

impl Hands<'_> {
    /// Carries out a call.
    pub(super) async fn run(&self, arguments: &Arguments) -> Result<Outcome, Halt> {
        let scratch = |source| AgentError::Io { what: self.task.scratch.display().to_string(), source };
        let line = arguments.text("command").replace('\0', "");
        let asked = arguments.count("seconds").map_or(LIMIT, |seconds| Duration::from_secs(seconds as u64));
        let limit = self.time(asked.min(MOST));
        // Both streams, in the order in which they came, and more of them than a program's end.
        let log = Exchange::new(self.task.scratch, "output").map_err(scratch)?;
        let mut command = Command::new("sh", ["-c", &line], self.task.worktree).env(self.task.env).limit(limit);
        command.grace = GRACE;
        command.log = Some(log.path().to_owned());
        let before = Snapshot::of(self.task.worktree).await;
        let finished = self.exec.run(command, self.task.stop).await.map_err(AgentError::from)?;
        let changed = Snapshot::of(self.task.worktree).await != before;
        let output = log.read().map_err(scratch)?.unwrap_or_default();
        let how = match finished.exit {
            Exit::TimedOut => format!("stopped after {}, which is its time limit", show_duration(limit)),
            exit => format!("{exit} after {}", show_duration(finished.wall)),
        };
        let output = ends(plain(&output).trim_end(), SHOWN);
        let text = if output.is_empty() { format!("{how}, no output") } else { format!("{how}\n{output}") };
        Ok(Outcome { text, failed: !finished.exit.success(), changed, finish: None })
    }
}
