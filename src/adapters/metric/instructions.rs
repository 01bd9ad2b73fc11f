//! How many instructions a command executes, with all that it starts: a count of work that a busy machine does
//! not change. It says nothing of time: what waits for memory, a disk or a lock costs no instruction.
//!
//! Counted by valgrind's callgrind, which executes them itself, or by the processor where the machine
//! lets us. The command is run until two runs in a row agree, because the first may fill caches on disk.

use std::fs;
use std::str::FromStr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::asked::{Asked, Binding};
use super::slice::{self, no_scratch, said};
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot, Unready};
use crate::adapters::process::{
    Command, Environment, Exchange, Executor, Finished, ProcessError, Program, Stop, read_untrusted,
};
use crate::domain::instructions::{agree, spread};
use crate::domain::measurement::{MetricName, Reading, Timing};
use crate::domain::quantity::{Dimension, Quantity};
use crate::error::Error;

/// Runs at most, until two in a row agree.
const RUNS: usize = 5;
/// How long a look at what can count may take.
const LOOK: Duration = Duration::from_secs(30);
/// The first function of the C library that a child comes from: what was executed so far is written down there, so
/// that the child, which begins as a copy, does not count it again.
const FORKS: [&str; 3] = ["fork", "__libc_fork", "_Fork"];

/// The command and the metric that is its count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The metric's name in the blueprint.
    pub name: MetricName,
    /// What is counted.
    pub command: Program,
    /// By what.
    pub counter: Counter,
}

impl Binding for Settings {
    const KEYS: &'static [&'static str] = &["run", "counter"];

    fn read(asked: &Asked) -> Result<Self, Error> {
        Ok(Self { name: asked.name.clone(), command: asked.run()?, counter: asked.counter()? })
    }

    fn programs(&self) -> Vec<&Program> {
        vec![&self.command]
    }
}

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counter {
    /// The processor where it can, else callgrind.
    #[default]
    Auto,
    /// Valgrind's callgrind.
    Callgrind,
    /// The processor, by `perf stat`.
    Pmu,
}

impl FromStr for Counter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "callgrind" => Ok(Self::Callgrind),
            "pmu" => Ok(Self::Pmu),
            _ => Err(format!("`{text}` counts no instructions; known are auto, callgrind, pmu")),
        }
    }
}

/// What counts on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Callgrind,
    Pmu,
}

/// The source.
pub struct Instructions {
    name: String,
    settings: Settings,
    tool: OnceCell<Tool>,
}

impl Instructions {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { name: format!("instructions: {}", settings.command), settings, tool: OnceCell::new() }
    }

    /// The same for every contender: looked for once.
    async fn tool(&self, exec: &dyn Executor, env: &Environment) -> Result<Tool, Unready> {
        self.tool.get_or_try_init(|| find(self.settings.counter, exec, env)).await.copied()
    }
}

#[async_trait]
impl MetricSource for Instructions {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        vec![self.settings.name.clone()]
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        (*metric == self.settings.name).then_some(Dimension::Count)
    }

    /// Two runs that agree say all that there is to say.
    fn cadence(&self) -> Cadence {
        Cadence::Once
    }

    fn counts(&self) -> bool {
        true
    }

    async fn ready(&self, exec: &dyn Executor, env: &Environment) -> Result<(), Unready> {
        self.tool(exec, env).await.map(drop)
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        let missing = |unready: Unready| MetricError::Machine(format!("{}; {}", unready.what, unready.hint));
        let tool = self.tool(&*site.exec, &site.env).await.map_err(missing)?;
        Ok(Box::new(Runs { settings: self.settings.clone(), site: site.clone(), tool }))
    }
}

/// What can count here, of what the configuration allows.
async fn find(counter: Counter, exec: &dyn Executor, env: &Environment) -> Result<Tool, Unready> {
    if counter != Counter::Callgrind {
        match processor(exec, env).await {
            Ok(()) => return Ok(Tool::Pmu),
            Err(why) if counter == Counter::Pmu => {
                return Err(Unready {
                    what: format!("this processor's instructions can't be counted: {why}"),
                    hint: "say `counter: auto`, which takes callgrind then".to_owned(),
                });
            }
            Err(_) => {}
        }
    }
    let look = Command::new("valgrind", ["--version"], "/").env(env).limit(LOOK);
    match exec.run(look, &Stop::new()).await {
        Ok(finished) if finished.exit.success() => Ok(Tool::Callgrind),
        Ok(finished) => Err(Unready {
            what: format!("`valgrind --version`: {}{}", finished.exit, said(&finished)),
            hint: "install valgrind anew (apt-get install valgrind)".to_owned(),
        }),
        Err(why) => Err(Unready {
            what: format!("instructions are counted by valgrind: {why}"),
            hint: "install it (apt-get install valgrind, dnf install valgrind)".to_owned(),
        }),
    }
}

/// Whether the processor counts: many virtual machines do not let it.
async fn processor(exec: &dyn Executor, env: &Environment) -> Result<(), String> {
    let look = Command::new("perf", PERF.iter().copied().chain(["--", "true"]), "/").env(env).limit(LOOK);
    match exec.run(look, &Stop::new()).await {
        Ok(finished) => counted_by_perf(&String::from_utf8_lossy(&finished.stderr)).map(drop),
        Err(ProcessError::Missing { .. }) => Err("`perf` was not found".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// What a program executes outside of the kernel, with all that it starts, as one line a kind of core.
const PERF: [&str; 5] = ["stat", "-x", ",", "-e", "instructions:u"];

/// The sum over the kinds of cores; those that the program never ran on are not counted.
fn counted_by_perf(report: &str) -> Result<u64, String> {
    let mut sum = None;
    for line in report.lines().filter(|line| line.contains("instructions")) {
        let mut fields = line.split(',');
        match fields.next().map(str::trim) {
            Some("<not counted>") => {}
            Some(number) => {
                let number: u64 = number.parse().map_err(|_| format!("`perf stat` says {}", line.trim()))?;
                sum = Some(sum.unwrap_or(0) + number);
            }
            None => {}
        }
    }
    sum.filter(|sum| *sum > 0).ok_or_else(|| "`perf stat` told no number".to_owned())
}

struct Runs {
    settings: Settings,
    site: Site,
    tool: Tool,
}

#[async_trait]
impl Meter for Runs {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        let started = Instant::now();
        let mut counts: Vec<u64> = Vec::new();
        loop {
            let left = slot.limit.map(|limit| limit.saturating_sub(started.elapsed()));
            let count = self.count(Slot { limit: left, ..slot }).await?;
            let before = counts.last().copied();
            counts.push(count);
            if before.is_some_and(|before| agree(before, count)) {
                break;
            }
            if counts.len() >= RUNS {
                return Err(self.differ(&counts));
            }
        }
        let last = counts.last().copied().unwrap_or_default();
        let value = Quantity::new(last as f64, Dimension::Count)
            .ok_or_else(|| MetricError::Variant(format!("{}: {last} is no count", self.settings.name)))?;
        let reading =
            Reading { metric: self.settings.name.clone(), value, observations: counts.len() as u64, account: None };
        let timing = Timing { wall: started.elapsed(), ..Timing::default() };
        Ok(Sample { readings: vec![reading], timing, own: None, output: None })
    }

    async fn close(&mut self) {}
}

impl Runs {
    /// One run's instructions.
    async fn count(&self, slot: Slot) -> Result<u64, MetricError> {
        let exchange = Exchange::new(&self.site.scratch, "count").map_err(no_scratch)?;
        let run = slice::finish(&self.site, &self.settings.command, self.command(slot, &exchange));
        let finished = run.await.map_err(|error| self.failed(error, &exchange))?;
        let counted = match self.tool {
            Tool::Callgrind => counted_by_callgrind(&exchange),
            Tool::Pmu => match exchange.read() {
                Ok(Some(bytes)) => counted_by_perf(&String::from_utf8_lossy(&bytes)),
                Ok(None) => Err("`perf stat` wrote no count".to_owned()),
                Err(why) => Err(format!("what `perf stat` wrote can't be read: {why}")),
            },
        };
        counted.map_err(|why| self.uncounted(&why, &finished))
    }

    /// A failure with what valgrind itself had to say of it.
    fn failed(&self, error: MetricError, exchange: &Exchange) -> MetricError {
        match error {
            MetricError::Variant(why) => MetricError::Variant(format!("{why}{}", self.log(exchange))),
            other => other,
        }
    }

    fn uncounted(&self, why: &str, finished: &Finished) -> MetricError {
        MetricError::Variant(format!("`{}`: {why}{}", self.settings.command, said(finished)))
    }

    /// The command behind what counts. A single program is started without a shell: one start less to count.
    fn command(&self, slot: Slot, exchange: &Exchange) -> Command {
        // Where a table of hashes is laid out by chance, the chance is the same for everyone.
        let chance = (slot.seed % u64::from(u32::MAX)).to_string();
        let vars =
            [("BLUEPRINT_SEED", slot.seed.to_string()), ("PYTHONHASHSEED", chance.clone()), ("PERL_HASH_SEED", chance)];
        let program = &self.settings.command;
        let words = program.words().filter(|words| words.first().is_some_and(|first| first.contains('/')));
        let direct = words.map(Program::Argv);
        let inner = direct.as_ref().unwrap_or(program);
        let mut command = self.site.command(inner, &[], &vars, slot.limit, Some("metrics.log"));
        let file = exchange.shown();
        let (counter, options) = match self.tool {
            Tool::Callgrind => ("valgrind", callgrind(&file)),
            Tool::Pmu => {
                let options = PERF.iter().map(|word| (*word).to_owned());
                ("perf", options.chain(["-o".to_owned(), file, "--".to_owned()]).collect::<Vec<_>>())
            }
        };
        let own = std::mem::replace(&mut command.program, counter.into());
        let args = std::mem::take(&mut command.args);
        command.args = options.into_iter().map(Into::into).chain([own]).chain(args).collect();
        command.metered = true;
        command
    }

    /// What valgrind itself had to say, as the end of a message.
    fn log(&self, exchange: &Exchange) -> String {
        let mut out = String::new();
        for (_, text) in written(exchange, "log.") {
            let lines =
                text.lines().map(|line| line.trim_start_matches(|c: char| c == '=' || c.is_ascii_digit()).trim());
            for line in lines.filter(|line| !line.is_empty()).take(8) {
                out.push('\n');
                out.push_str(line);
            }
        }
        out
    }

    fn differ(&self, counts: &[u64]) -> MetricError {
        let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
        MetricError::Variant(format!(
            "`{}` executes another number of instructions in each run, {least} to {most} in {} ({:.1} % apart): what it does \
             depends on chance or time, so measure its time instead (`from: time`)",
            self.settings.command,
            counts.len(),
            100.0 * spread(least, most)
        ))
    }
}

fn callgrind(file: &str) -> Vec<String> {
    let mut options = vec![
        "--tool=callgrind".to_owned(),
        "--quiet".to_owned(),
        "--trace-children=yes".to_owned(),
        format!("--callgrind-out-file={file}.out.%p"),
        format!("--log-file={file}.log.%p"),
    ];
    options.extend(FORKS.map(|function| format!("--dump-before={function}")));
    options
}

/// What processes wrote beside the exchange's file, by the rest of the names.
fn written(exchange: &Exchange, kind: &str) -> Vec<(String, String)> {
    let start = format!("count.{kind}");
    let entries = exchange.path().parent().and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let rest = entry.file_name().to_str()?.strip_prefix(&start)?.to_owned();
        let bytes = read_untrusted(&entry.path(), 0).ok()??;
        Some((rest, String::from_utf8_lossy(&bytes).into_owned()))
    });
    let mut all: Vec<_> = named.collect();
    all.sort();
    all
}

/// The sum over all processes, each with what it executed before every child that it made.
fn counted_by_callgrind(exchange: &Exchange) -> Result<u64, String> {
    let files = written(exchange, "out.");
    if files.is_empty() {
        return Err("valgrind wrote no count".to_owned());
    }
    files.iter().map(|(name, text)| total(text).ok_or_else(|| format!("valgrind's count {name} is cut off"))).sum()
}

/// What one dump of callgrind holds: its last line says so.
fn total(dump: &str) -> Option<u64> {
    dump.lines().rev().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_from_every_kind_of_core_and_from_none_that_was_not_used() {
        let hybrid = "# started on Fri\n\n1000,,cpu_core/instructions/u,1,100.00,,\n<not counted>,,cpu_atom/instructions/u,0,0.00,,\n";
        assert_eq!(counted_by_perf(hybrid), Ok(1000));
        assert_eq!(counted_by_perf("7,,cpu_core/instructions/u,1,1,,\n8,,cpu_atom/instructions/u,1,1,,"), Ok(15));
        assert_eq!(counted_by_perf("728090,,instructions:u,1000,100.00,,"), Ok(728_090));
        for none in ["<not supported>,,instructions:u,0,100.00,,", "", "0,,instructions:u,0,1,,", "Access denied"] {
            counted_by_perf(none).unwrap_err();
        }
    }

    #[test]
    fn a_dump_that_is_cut_off_has_no_total() {
        assert_eq!(total("events: Ir\nsummary: 7\n\nfn=(1) main\n1 7\n\ntotals: 7\n"), Some(7));
        assert_eq!(total("events: Ir\nsummary: 7\n\nfn=(1) main\n"), None);
    }
}
