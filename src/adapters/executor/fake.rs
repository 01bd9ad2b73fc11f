//! The fake: programs are closures by name. A program does all of its work when it starts, and then runs on for as long as
//! it says; what it leaves behind stays until it is settled or swept, as real daemons do.
//!
//! Of the shell there is what splits a line into words: no pipes, no variables but `"$@"`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::adapters::fake::Disk;
use crate::adapters::process::{
    Address, Command, Enclosure, Executor, Exit, FIRST, Finished, Order, ProcessError, Sandbox, SandboxError, Serving,
    Stop, Stray, Usage, Ways,
};

/// What a program is started with.
pub struct Given<'a> {
    /// Its arguments.
    pub args: &'a [String],
    /// All else: directory, environment, input.
    pub command: &'a Command,
    /// The disk that it reads and writes.
    pub disk: &'a Disk,
}

impl Given<'_> {
    /// A variable of its environment; empty where there is none.
    pub fn var(&self, name: &str) -> &str {
        self.command.env.get(name).map_or("", String::as_str)
    }

    /// Its working directory.
    pub fn dir(&self) -> &Path {
        &self.command.dir
    }
}

/// What a program does.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How it ends, unless it is stopped before.
    pub exit: Exit,
    /// What it prints.
    pub stdout: Vec<u8>,
    /// As `stdout`.
    pub stderr: Vec<u8>,
    /// For how long it runs.
    pub takes: Duration,
    /// The CPU time that it uses.
    pub cpu: Duration,
    /// The command lines of what it leaves running.
    pub leaves: Vec<String>,
}

impl Ran {
    /// Ends well at once, and prints this.
    pub fn well(stdout: impl Into<Vec<u8>>) -> Self {
        let (stdout, stderr, leaves) = (stdout.into(), Vec::new(), Vec::new());
        Self { exit: Exit::Code(0), stdout, stderr, takes: Duration::ZERO, cpu: Duration::ZERO, leaves }
    }

    /// Ends with this status, and prints that as its errors.
    pub fn badly(status: i32, stderr: impl Into<Vec<u8>>) -> Self {
        Self { exit: Exit::Code(status), stderr: stderr.into(), ..Self::well("") }
    }
}

type Body = dyn Fn(&Given<'_>) -> Ran + Send + Sync;

/// Something that runs though whoever started it may have ended.
#[derive(Debug, Clone)]
struct Process {
    stray: Stray,
    env: BTreeMap<String, String>,
    /// Whether it is a program that was started and has not ended.
    live: bool,
}

#[derive(Debug, Default)]
struct Table {
    running: Vec<Process>,
    started: Vec<Command>,
}

/// Runs programs that are closures.
#[derive(Clone)]
pub struct FakeExecutor {
    disk: Disk,
    programs: BTreeMap<String, Arc<Body>>,
    table: Arc<Mutex<Table>>,
    pids: Arc<AtomicU32>,
}

impl FakeExecutor {
    /// With this disk, and no program but `true` and `false`.
    pub fn on(disk: &Disk) -> Self {
        let bare = Self {
            disk: disk.clone(),
            programs: BTreeMap::new(),
            table: Arc::default(),
            pids: Arc::new(AtomicU32::new(1000)),
        };
        bare.program("true", |_| Ran::well("")).program("false", |_| Ran::badly(1, ""))
    }

    /// With one more program.
    #[must_use]
    pub fn program(mut self, name: &str, body: impl Fn(&Given<'_>) -> Ran + Send + Sync + 'static) -> Self {
        self.programs.insert(name.to_owned(), Arc::new(body));
        self
    }

    /// Everything that was started, in order.
    pub fn started(&self) -> Vec<Command> {
        self.table().started.clone()
    }

    /// The command lines of what runs now.
    pub fn running(&self) -> Vec<String> {
        self.table().running.iter().map(|process| process.stray.name.clone()).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, name: String, env: &BTreeMap<String, String>, live: bool) -> Stray {
        let stray = Stray { pid: self.pids.fetch_add(1, Ordering::Relaxed), name, cpu: Duration::ZERO };
        self.table().running.push(Process { stray: stray.clone(), env: env.clone(), live });
        stray
    }

    /// Kills those that this says; what they were.
    fn kill(&self, which: impl Fn(&Process) -> bool) -> Vec<Stray> {
        let mut table = self.table();
        let (killed, left) = std::mem::take(&mut table.running).into_iter().partition::<Vec<_>, _>(which);
        table.running = left;
        killed.into_iter().map(|process| process.stray).collect()
    }

    /// Lets a program do its work.
    fn start(&self, command: &Command) -> Result<Ran, ProcessError> {
        self.table().started.push(command.clone());
        let words: Vec<String> = std::iter::once(&command.program)
            .chain(&command.args)
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let words = match words.as_slice() {
            [sh, flag, line, more @ ..] if sh == "sh" && flag == "-c" => shell_line(line, more),
            words => words.to_vec(),
        };
        let (name, args) = words.split_first().map_or(("", &[][..]), |(name, args)| (name.as_str(), args));
        let Some(body) = self.programs.get(name) else {
            // A shell that does not find a program ends itself.
            let by_shell = command.program == "sh";
            let missing = ProcessError::Missing { program: name.to_owned() };
            return if by_shell { Ok(Ran::badly(127, format!("sh: {name}: not found\n"))) } else { Err(missing) };
        };
        let ran = body(&Given { args, command, disk: &self.disk });
        if let Some(log) = &command.log {
            let mut kept = self.disk.read(log).unwrap_or_default();
            kept.extend(ran.stdout.iter().chain(&ran.stderr));
            let program = command.program.to_string_lossy().into_owned();
            self.disk.write(log, kept).map_err(|source| ProcessError::Start { program, source })?;
        }
        Ok(ran)
    }
}

/// The words of a shell line, with more of them in the place of `"$@"`; the first of those is the shell's own name.
fn shell_line(line: &str, more: &[String]) -> Vec<String> {
    let words = shell_words::split(line.trim_start_matches("exec ")).unwrap_or_default();
    let more = more.get(1..).unwrap_or_default();
    words.into_iter().flat_map(|word| if word == "$@" { more.to_vec() } else { vec![word] }).collect()
}

fn end_of(bytes: &[u8], keep: usize) -> Vec<u8> {
    bytes[bytes.len().saturating_sub(keep)..].to_vec()
}

async fn passed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Takes a program out of those that run, however its future ends.
struct Running<'a>(&'a FakeExecutor, u32);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.kill(|process| process.stray.pid == self.1);
    }
}

#[async_trait]
impl Executor for FakeExecutor {
    async fn run(&self, command: Command, stop: &Stop) -> Result<Finished, ProcessError> {
        if stop.is_cancelled() {
            return Ok(Finished::of(Exit::Stopped, Vec::new(), Vec::new()));
        }
        let began = Instant::now();
        let ran = self.start(&command)?;
        let running = Running(self, self.enter(command.shown(), &command.env, true).pid);
        let exit = if ran.takes.is_zero() {
            ran.exit
        } else {
            tokio::select! {
                biased;
                () = stop.cancelled() => Exit::Stopped,
                () = passed(command.time_limit) => Exit::TimedOut,
                () = tokio::time::sleep(ran.takes) => ran.exit,
            }
        };
        drop(running);
        let left: Vec<Stray> = ran.leaves.iter().map(|name| self.enter(name.clone(), &command.env, false)).collect();
        // Of what is measured nothing goes on.
        let left = match command.metered {
            true => self.kill(|process| left.contains(&process.stray)),
            false => Vec::new(),
        };
        let usage = Usage { cpu: Some(ran.cpu), told: Some(ran.cpu), waits: Some(Duration::ZERO) };
        let finished = Finished::of(exit, end_of(&ran.stdout, command.keep), end_of(&ran.stderr, command.keep));
        let first = ran.stdout[..ran.stdout.len().min(FIRST)].to_vec();
        Ok(Finished { first, wall: began.elapsed(), usage, left, ..finished })
    }

    async fn serve(&self, command: Command) -> Result<Box<dyn Serving>, ProcessError> {
        let ran = self.start(&command)?;
        let pid = self.enter(command.shown(), &command.env, true).pid;
        Ok(Box::new(FakeServing { exec: self.clone(), pid, ran, ends: None, began: Instant::now() }))
    }

    async fn sweep(&self, variable: &str, value: &str) -> usize {
        self.kill(|process| process.env.get(variable).is_some_and(|own| own == value)).len()
    }

    async fn settle(&self, lease: &str) -> Vec<Stray> {
        let of = |process: &Process| process.env.get("BLUEPRINT_LEASE").is_some_and(|own| own == lease);
        self.kill(|process| !process.live && of(process))
    }
}

/// A program that stays for as long as it takes.
struct FakeServing {
    exec: FakeExecutor,
    pid: u32,
    ran: Ran,
    ends: Option<Exit>,
    began: Instant,
}

#[async_trait]
impl Serving for FakeServing {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn usage(&self) -> Usage {
        Usage { cpu: Some(self.ran.cpu), ..Usage::default() }
    }

    fn ended(&mut self) -> Option<Exit> {
        let killed = !self.exec.table().running.iter().any(|process| process.stray.pid == self.pid);
        if self.ends.is_none() && self.began.elapsed() >= self.ran.takes {
            self.ends = Some(self.ran.exit);
        } else if self.ends.is_none() && killed {
            self.ends = Some(Exit::Signal(9));
        }
        if self.ends.is_some() {
            self.exec.kill(|process| process.stray.pid == self.pid);
        }
        self.ends
    }

    fn tail(&self, lines: usize) -> String {
        Finished::of(self.ran.exit, self.ran.stdout.clone(), self.ran.stderr.clone()).tail(lines)
    }

    async fn stop(&mut self) -> Exit {
        let ended = self.ended().unwrap_or(Exit::Stopped);
        self.ends = Some(ended);
        self.exec.kill(|process| process.stray.pid == self.pid);
        ended
    }
}

impl Drop for FakeServing {
    fn drop(&mut self) {
        self.exec.kill(|process| process.stray.pid == self.pid);
    }
}

/// Walls that keep nothing in, but tell what was ordered, and let nothing that ran within them go on when they are closed.
#[derive(Clone)]
pub struct FakeSandbox {
    exec: FakeExecutor,
    opened: Arc<Mutex<Vec<Order>>>,
}

impl FakeSandbox {
    /// Around the programs of this executor.
    pub fn around(exec: &FakeExecutor) -> Self {
        Self { exec: exec.clone(), opened: Arc::default() }
    }

    /// What walls were ordered, in order.
    pub fn opened(&self) -> Vec<Order> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Sandbox for FakeSandbox {
    async fn open(&self, order: &Order) -> Result<Arc<dyn Enclosure>, SandboxError> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(order.clone());
        // The same programs on the same disk, with a table of their own.
        Ok(Arc::new(FakeEnclosure(FakeExecutor { table: Arc::default(), ..self.exec.clone() })))
    }
}

struct FakeEnclosure(FakeExecutor);

struct NoWays;

impl Ways for NoWays {
    fn used(&self) -> Vec<(Address, u64)> {
        Vec::new()
    }
}

#[async_trait]
impl Enclosure for FakeEnclosure {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(self.0.clone())
    }

    async fn reach(&self) -> Result<Box<dyn Ways>, SandboxError> {
        Ok(Box::new(NoWays))
    }

    fn missed(&self) -> Vec<String> {
        Vec::new()
    }

    async fn close(&self) {
        self.0.kill(|_| true);
    }
}
