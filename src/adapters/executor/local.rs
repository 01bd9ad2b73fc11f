//! This machine, without a sandbox: process groups, time limits, captured output.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::capture::{Kept, Log, drain};
use super::control;
use super::group::{Group, Pipes};
use super::holders::{Pipe, holders};
use super::mark::Mark;
use super::orphans::{self, Settled};
use super::pulse::{self, Counter};
use super::stat::processes;
use super::tasks::Tree;
use super::walls::Walls;
use crate::adapters::process::{
    Command, Executor, Exit, Finished, ProcessError, Serving, Stop, Stray, Usage, lacked, priority,
};
use crate::domain::measurement::Priority;

/// How long output may still arrive after the group is dead before it is looked who holds it open.
const DRAIN: Duration = Duration::from_millis(500);
/// How long it may take to read what is still there, on a machine that is busy with other work.
const REST: Duration = Duration::from_secs(20);

/// Runs programs on this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

/// Runs a program to its end.
pub async fn run(command: Command, stop: &Stop, walls: Option<&Arc<Walls>>) -> Result<Finished, ProcessError> {
    // Whoever is to stop starts nothing, however quick it would be.
    if stop.is_cancelled() {
        return Ok(Finished::of(Exit::Stopped, Vec::new(), Vec::new()));
    }
    let log = open_log(&command)?;
    let (mut group, pipes) = Group::start(&command, false, walls).await?;
    tracing::trace!(program = %command.shown(), pid = group.pid(), dir = %command.dir.display(), "started");
    let mut output = attach(pipes, &command, log, group.pid())?;
    let limit = command.time_limit;
    let forced = tokio::select! {
        biased;
        () = group.ended() => None,
        () = stop.cancelled() => Some(Exit::Stopped),
        () = sleep_or_forever(limit) => Some(Exit::TimedOut),
    };
    let ((ended, tree), exit) = match forced {
        None => (group.reap(), None),
        Some(how) => (group.stop(command.grace).await, Some(how)),
    };
    let exit = exit.unwrap_or(ended.exit);
    if !exit.success()
        && exit != Exit::Stopped
        && let Some(full) = lacked(&command.env, &command.dir)
    {
        outlived(&group, tree.as_ref(), command.metered).await;
        return Err(ProcessError::Full { program: command.shown(), exit, full });
    }
    let Settled { left, cpu, lasted } = outlived(&group, tree.as_ref(), command.metered).await;
    let held = output.rest().await;
    tracing::debug!(program = %command.shown(), %exit, wall = ?ended.wall, "ended");
    // It has not ended before all that it started has: who leaves work to a child is not the faster for it.
    let (wall, usage) = (ended.wall + lasted, ended.usage(cpu));
    let finished = Finished::of(exit, output.stdout.bytes(), output.stderr.bytes());
    Ok(Finished { first: output.stdout.first(), wall, usage, left, held, ..finished })
}

/// Starts a program that stays.
pub async fn serve(command: Command, walls: Option<&Arc<Walls>>) -> Result<Box<dyn Serving>, ProcessError> {
    let log = open_log(&command)?;
    let (group, pipes) = Group::start(&command, true, walls).await?;
    let (pid, meter) = (group.pid(), group.meter());
    tracing::debug!(program = %command.shown(), pid, dir = %command.dir.display(), "serves");
    let output = attach(pipes, &command, log, group.pid())?;
    let (stdout, stderr) = (output.stdout.clone(), output.stderr.clone());
    let ask = Stop::new();
    let (tell, told) = watch::channel(None);
    let task = tokio::spawn(attend(group, output, (command.grace, command.metered), ask.clone(), tell));
    Ok(Box::new(Served {
        pid,
        meter: Box::new(meter),
        stdout,
        stderr,
        ask,
        told,
        task: Arc::new(Mutex::new(Some(task))),
    }))
}

#[async_trait]
impl Executor for Local {
    async fn run(&self, command: Command, stop: &Stop) -> Result<Finished, ProcessError> {
        run(command, stop, None).await
    }

    async fn serve(&self, command: Command) -> Result<Box<dyn Serving>, ProcessError> {
        serve(command, None).await
    }

    async fn sweep(&self, variable: &str, value: &str) -> usize {
        let marker = format!("{variable}={value}");
        let mut killed = 0;
        control::sweep();
        let carries = |pid| Mark::of(pid).is_some_and(|mark| mark.is_of(variable, value));
        for pid in marked(marker.as_bytes(), carries) {
            killed += usize::from(kill_process(pid, Signal::KILL).is_ok());
        }
        orphans::settle(carries).await;
        killed
    }

    async fn settle(&self, lease: &str) -> Vec<Stray> {
        orphans::settle(|pid| Mark::of(pid).is_some_and(|mark| mark.is_of("BLUEPRINT_LEASE", lease))).await.left
    }

    fn priority(&self) -> Priority {
        priority::measured()
    }
}

/// What a program that ended left: of one that was metered nothing may go on; of another, those that ended
/// too are reaped, and the rest may serve the next program until its lease is settled.
async fn outlived(group: &Group, tree: Option<&Tree>, metered: bool) -> Settled {
    if let Some(walls) = group.walls() {
        walls.leave(group.mark());
        if metered {
            return orphans::settle_in(walls, None).await;
        }
        orphans::bury_in(walls);
        return Settled::default();
    }
    let own = group.mark();
    let belongs = |pid| match Mark::of(pid) {
        Some(mark) => mark == own,
        None => tree.is_some_and(|tree| tree.knew(pid)),
    };
    if metered {
        return orphans::settle(belongs).await;
    }
    orphans::bury(belongs);
    Settled::default()
}

/// Processes of this machine, ourselves excepted, whose environment holds the marker or that carry it otherwise.
fn marked(marker: &[u8], carries: impl Fn(u32) -> bool) -> Vec<Pid> {
    let own = std::process::id();
    let holds = |pid: &u32| {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|env| env.split(|b| *b == 0).any(|entry| entry == marker))
            || carries(*pid)
    };
    let others = processes().filter(|pid| *pid != own).filter(holds);
    others.filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).collect()
}

async fn sleep_or_forever(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// What keeps a program from being started, or from being listened to.
fn failed(command: &Command) -> impl Fn(std::io::Error) -> ProcessError {
    let program = command.program.to_string_lossy().into_owned();
    move |source| ProcessError::Start { program: program.clone(), source }
}

/// Opens a program's log before it runs: once it does, it may put something else in the place of the folder.
fn open_log(command: &Command) -> Result<Option<Log>, ProcessError> {
    command.log.as_deref().map(Log::open).transpose().map_err(failed(command))
}

/// What a program prints, as it is read. Reading and writing end when this is dropped.
struct Output {
    readers: JoinSet<()>,
    /// Writes its input: where it does not read that, it is its own business.
    _writer: JoinSet<()>,
    pipes: Vec<Pipe>,
    stdout: Kept,
    stderr: Kept,
}

impl Output {
    /// Reads the rest of what a program printed that ended; who keeps it open.
    async fn rest(&mut self) -> Vec<Stray> {
        let began = Instant::now();
        loop {
            let rest = async { while self.readers.join_next().await.is_some() {} };
            if tokio::time::timeout(DRAIN, rest).await.is_ok() || began.elapsed() > REST {
                return Vec::new();
            }
            let held = holders(&self.pipes);
            if !held.is_empty() {
                return held;
            }
        }
    }
}

/// Starts reading a program's output and writing its input.
fn attach(pipes: Pipes, command: &Command, log: Option<Log>, leader: u32) -> Result<Output, ProcessError> {
    let failed = failed(command);
    let counter = Counter::default();
    if let Some(pulse) = &command.pulse {
        pulse::connect(pulse, leader, counter.clone());
    }
    let (mut readers, mut writer) = (JoinSet::new(), JoinSet::new());
    let ends = [pipes.stdout.as_ref().map(AsFd::as_fd), pipes.stderr.as_ref().map(AsFd::as_fd)];
    let ends = ends.into_iter().flatten().filter_map(Pipe::of).collect();
    let (stdout, stderr) = (Kept::new(command.keep), Kept::new(command.keep));
    if let Some(stream) = pipes.stdout {
        let stream = pipe::Receiver::from_owned_fd(OwnedFd::from(stream)).map_err(&failed)?;
        readers.spawn(drain(stream, stdout.clone(), log.clone(), counter.clone()));
    }
    if let Some(stream) = pipes.stderr {
        let stream = pipe::Receiver::from_owned_fd(OwnedFd::from(stream)).map_err(&failed)?;
        readers.spawn(drain(stream, stderr.clone(), log, counter));
    }
    if let (Some(stream), Some(bytes)) = (pipes.stdin, command.stdin.clone()) {
        let mut stream = pipe::Sender::from_owned_fd(OwnedFd::from(stream)).map_err(&failed)?;
        writer.spawn(async move { drop(stream.write_all(&bytes).await) });
    }
    Ok(Output { readers, _writer: writer, pipes: ends, stdout, stderr })
}

/// Stays with a service until it ends or is asked to; a dropped handle counts as asking.
async fn attend(
    mut group: Group,
    mut output: Output,
    (grace, metered): (Duration, bool),
    asked: Stop,
    tell: watch::Sender<Option<Exit>>,
) {
    let own = group.mark();
    let exit = tokio::select! {
        biased;
        () = asked.cancelled() => {
            group.stop(grace).await;
            Exit::Stopped
        }
        () = group.ended() => group.reap().0.exit,
    };
    match group.walls() {
        None => drop(orphans::settle(|pid| Mark::of(pid) == Some(own)).await),
        Some(walls) => {
            walls.leave(own);
            drop(orphans::settle_in(walls, (!metered).then_some(own)).await);
        }
    }
    drop(output.rest().await);
    let _ = tell.send(Some(exit));
}

struct Served {
    pid: u32,
    meter: Box<dyn Fn() -> Usage + Send + Sync>,
    stdout: Kept,
    stderr: Kept,
    ask: Stop,
    told: watch::Receiver<Option<Exit>>,
    task: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>>,
}

#[async_trait]
impl Serving for Served {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn usage(&self) -> Usage {
        // The number of one that ended may be somebody else's by now.
        if self.told.borrow().is_some() { Usage::default() } else { (self.meter)() }
    }

    fn ended(&mut self) -> Option<Exit> {
        *self.told.borrow()
    }

    fn tail(&self, lines: usize) -> String {
        Finished::of(Exit::Stopped, self.stdout.bytes(), self.stderr.bytes()).tail(lines)
    }

    async fn stop(&mut self) -> Exit {
        self.ask.cancel();
        let told = self.told.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
        told.unwrap_or(Exit::Stopped)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Aborting the task drops the group, and with it everything in it is killed at once.
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests;
