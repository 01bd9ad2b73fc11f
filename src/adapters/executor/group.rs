//! One program as the leader of its own process group: starting it, watching it, ending all of it.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{self as sys, Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitOptions};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::super::process::priority::{Raised, Session};
use super::super::process::{Command, Exit, ProcessError, Usage};
use super::aside::aside;
use super::control::ControlGroup;
use super::drafts::Draft;
use super::joining::Joining;
use super::mark::{self, Mark};
use super::stat::Stat;
use super::stopwatch::{Schedule, Start, Stopwatch, note};
use super::tasks::{Tree, Watch};
use super::walls::Walls;
use super::{orphans, reaping, spawner};

/// A started program. Dropping it kills its group.
pub struct Group {
    child: Child,
    pid: Pid,
    mark: Mark,
    watch: AsyncFd<OwnedFd>,
    began: Instant,
    ended: Option<Ended>,
    /// Where the command was to be metered.
    meters: Option<Meters>,
    /// Where the command was to be metered and the machine has them.
    control: Option<Arc<ControlGroup>>,
    walls: Option<Entered>,
}

/// A program's stay within walls, with the place for what it writes.
struct Entered {
    walls: Arc<Walls>,
    mark: Mark,
    _draft: Option<Draft>,
}

impl Entered {
    fn new(walls: &Arc<Walls>, mark: Mark, draft: Option<Draft>) -> Self {
        walls.enter(mark);
        Self { walls: Arc::clone(walls), mark, _draft: draft }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.walls.leave(self.mark);
    }
}

/// What looks at a metered program while it runs.
struct Meters {
    stopwatch: Stopwatch,
    /// Of what runs to its end; of a program that stays, its tasks are looked at when somebody asks.
    tasks: Option<Watch>,
    /// Raised until its end.
    _session: Session,
}

/// How a program ended and what it took.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// How.
    pub exit: Exit,
    /// Elapsed.
    pub wall: Duration,
    /// CPU time of the program and of what was waited for.
    cpu: Option<Duration>,
    /// What its tasks told of themselves, where somebody listened.
    told: Option<Schedule>,
}

impl Ended {
    /// What all of it took, with the CPU time of what outlived it.
    pub fn usage(&self, outlived: Duration) -> Usage {
        let waited = self.cpu.map(|cpu| cpu + outlived);
        match self.told {
            Some(told) => usage(waited.unwrap_or_default(), told),
            None => Usage { cpu: waited, ..Usage::default() },
        }
    }
}

/// By the CPU time of those that were waited for, and by what tasks told of themselves.
fn usage(waited: Duration, told: Schedule) -> Usage {
    // Whom nobody waited for is not in the first.
    Usage { cpu: Some(waited.max(told.run)), told: Some(told.run), waits: Some(told.delay) }
}

/// The three pipes of a started program.
pub struct Pipes {
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

/// Starts a program, by the thread that is there for it. What it inherits is that thread's, its priority too.
fn spawn(mut builder: std::process::Command, walls: Option<&Walls>, metered: bool) -> std::io::Result<Child> {
    let Some(walls) = walls else { return builder.spawn() };
    walls.start(move || {
        let _raised = metered.then(Raised::now);
        builder.spawn()
    })?
}

impl Group {
    /// Starts a program; one that stays is metered by a control group of its own, where there may be one.
    /// Entering it takes the kernel about 10 ms, which is too long for a slice.
    pub async fn start(
        command: &Command,
        stays: bool,
        walls: Option<&Arc<Walls>>,
    ) -> Result<(Self, Pipes), ProcessError> {
        let program = command.program.to_string_lossy().into_owned();
        let failed = |source| ProcessError::Start { program: program.clone(), source };
        if !command.dir.is_dir() {
            let message = format!("the directory {} does not exist", command.dir.display());
            return Err(failed(std::io::Error::other(message)));
        }
        orphans::adopt();
        let control = if command.metered && stays { ControlGroup::new().map(Arc::new) } else { None };
        let start = if command.metered { Some(Start::new().map_err(failed)?) } else { None };
        let mark = Mark::next(&command.env);
        let longest = walls.and_then(|walls| walls.ration().longest());
        let limits = Limits { mark: mark.limit(), longest, cpus: cpu_set(&command.cpus).map_err(failed)? };
        let (joining, draft) = match walls.map(|walls| walls.joining(command)).transpose() {
            Ok(made) => made.unzip(),
            Err(error) => return Err(failed(error)),
        };
        let builder = prepare(command, control.as_deref(), start.as_ref(), limits, joining);
        let place = walls.map(Arc::clone);
        let metered = command.metered;
        let walls = walls.map(|walls| Entered::new(walls, mark, draft.flatten()));
        let (reply, answer) = tokio::sync::oneshot::channel();
        let job = Box::new(move || {
            // What waits for the program's end is started from here too, and goes before it.
            let raised = start.is_some().then(|| (Session::raise(), Raised::now()));
            let began = Instant::now();
            let spawned = spawn(builder, place.as_deref(), metered);
            let meters = match (&spawned, start, raised) {
                (Ok(child), Some(start), Some((session, _raised))) => Some(Meters {
                    stopwatch: Stopwatch::start(&start, began, Pid::from_child(child)),
                    tasks: if stays { None } else { Watch::start(child.id()) },
                    _session: session,
                }),
                _ => None,
            };
            drop(reply.send((began, spawned, meters)));
        });
        let gone = || failed(std::io::Error::other("the thread that starts programs is gone"));
        spawner::send(job).map_err(failed)?;
        let (began, child, meters) = answer.await.map_err(|_| gone())?;
        let mut child = child.map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ProcessError::Missing { program: program.clone() },
            _ => failed(source),
        })?;
        let pipes = Pipes { stdin: child.stdin.take(), stdout: child.stdout.take(), stderr: child.stderr.take() };
        let pid = Pid::from_child(&child);
        match watch(pid) {
            Ok(watch) => Ok((Self { child, pid, mark, watch, began, ended: None, meters, control, walls }, pipes)),
            Err(source) => {
                let _ = sys::kill_process_group(pid, Signal::KILL);
                drop(child.wait());
                Err(failed(source))
            }
        }
    }

    /// The leader's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What tells its processes from others.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The walls that it is within.
    pub fn walls(&self) -> Option<&Walls> {
        self.walls.as_ref().map(|entered| &*entered.walls)
    }

    /// Tells what the program took so far, as long as this machine lets it.
    pub fn meter(&self) -> impl Fn() -> Usage + Send + Sync + use<> {
        let (pid, control) = (self.child.id(), self.control.clone());
        let tree = Mutex::new(Tree::of(pid));
        move || {
            let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
            tree.look();
            // The kernel tells a whole process in hundredths, and each task to the nanosecond.
            let cpu = control.as_deref().and_then(ControlGroup::cpu).or_else(|| Stat::of(pid).map(|stat| stat.cpu()));
            cpu.map_or_else(Usage::default, |cpu| usage(cpu, tree.sum()))
        }
    }

    /// Sends a signal to the whole group, unless its leader was reaped (its number may be reused).
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = sys::kill_process_group(self.pid, signal);
        }
    }

    /// Waits until the leader ended, without reaping it; safe to cancel.
    pub async fn ended(&self) {
        if self.ended.is_none() {
            // An error here means that the descriptor is unusable, and so does waiting again.
            drop(self.watch.readable().await);
        }
    }

    /// Kills what is left of the group, reaps the leader and says how it ended, with the tasks that were seen below
    /// it. Blocks only as long as a killed process needs to die.
    pub(super) fn reap(&mut self) -> (Ended, Option<Tree>) {
        if let Some(known) = self.ended {
            return (known, None);
        }
        // Wait without reaping first: the number stays taken, so that neither /proc nor the group
        // kill can meet a stranger.
        let exited = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = sys::waitid(WaitId::Pid(self.pid), exited);
        let (mut wall, mut before, mut tree) = (self.began.elapsed(), Schedule::default(), None);
        if let Some(Meters { mut stopwatch, tasks, .. }) = self.meters.take() {
            tree = tasks.and_then(Watch::stop);
            let alive = tree.as_ref().and_then(Tree::alive);
            (wall, before) = (stopwatch.stop(alive), stopwatch.before);
        }
        let cpu = reaping::used(self.child.id()).map(|cpu| cpu.saturating_sub(before.run));
        let told = tree.as_ref().map(|tree| tree.sum().since(before));
        let _ = sys::kill_process_group(self.pid, Signal::KILL);
        let exit = match self.child.wait() {
            Ok(status) => {
                use std::os::unix::process::ExitStatusExt;
                status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or(0)), Exit::Code)
            }
            Err(_) => Exit::Signal(0),
        };
        let ended = Ended { exit, wall, cpu, told };
        self.ended = Some(ended);
        (ended, tree)
    }

    /// TERM to the group, `grace` for it to end, then KILL.
    pub async fn stop(&mut self, grace: Duration) -> (Ended, Option<Tree>) {
        self.signal(Signal::TERM);
        drop(tokio::time::timeout(grace, self.ended()).await);
        self.signal(Signal::KILL);
        self.ended().await;
        self.reap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.signal(Signal::KILL);
            let pid = self.pid;
            // Not reaped, the number stays taken until then.
            aside(move || {
                let _ = sys::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
                let _ = sys::kill_process_group(pid, Signal::KILL);
                let _ = sys::waitpid(Some(pid), WaitOptions::empty());
            });
        }
    }
}

/// A descriptor that becomes readable when the process ends.
fn watch(pid: Pid) -> std::io::Result<AsyncFd<OwnedFd>> {
    let fd = sys::pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    #[expect(unsafe_code, reason = "the only way to wait for a pidfd with the runtime")]
    // SAFETY: the descriptor is owned by the `AsyncFd`, which leaves the reactor before closing it.
    let watch = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    watch.map_err(std::io::Error::from)
}

/// CPUs as the system takes them; none where a program may run anywhere.
fn cpu_set(cpus: &[usize]) -> std::io::Result<Option<CpuSet>> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        if *cpu >= CpuSet::MAX_CPU {
            return Err(std::io::Error::other(format!("nothing can be pinned to CPU {cpu}")));
        }
        set.set(*cpu);
    }
    Ok((!cpus.is_empty()).then_some(set))
}

/// What a program and all that descend from it keep.
struct Limits {
    mark: Option<Rlimit>,
    /// How many bytes a file may have.
    longest: Option<u64>,
    cpus: Option<CpuSet>,
}

fn prepare(
    command: &Command,
    control: Option<&ControlGroup>,
    start: Option<&Start>,
    limits: Limits,
    joining: Option<Joining>,
) -> std::process::Command {
    let walled = joining.is_some();
    let mut builder = std::process::Command::new(&command.program);
    builder
        .args(&command.args)
        .current_dir(&command.dir)
        .env_clear()
        .envs(&command.env)
        .stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    match joining {
        // Before everything else: what follows needs none of the rights that are given away.
        Some(joining) => enter(&mut builder, joining),
        None => {
            builder.process_group(0);
            if let Some(user) = command.user {
                builder.uid(user.uid).gid(user.gid);
            }
        }
    }
    if let Some(entrance) = control.map(ControlGroup::entrance) {
        let enter = move || {
            #[expect(unsafe_code, reason = "a number is all that reaches the other side of the fork")]
            // SAFETY: `Group::start` keeps the control group, and with it the descriptor, beyond the fork.
            let entrance = unsafe { std::os::fd::BorrowedFd::borrow_raw(entrance) };
            // Who may not enter runs all the same; it is only not metered as well.
            let _ = rustix::io::write(entrance, b"0");
            Ok(())
        };
        #[expect(unsafe_code, reason = "only one system call that is safe between fork and exec")]
        // SAFETY: the closure allocates nothing and takes no lock; write is async-signal-safe.
        unsafe {
            builder.pre_exec(enter);
        }
    }
    let limit = move || {
        if let Some(mark) = &limits.mark {
            mark::put_on(mark);
        }
        if let Some(longest) = limits.longest {
            // A lower limit of ours is theirs too.
            let _ = sys::setrlimit(Resource::Fsize, Rlimit { current: Some(longest), maximum: Some(longest) });
        }
        if let Some(cpus) = &limits.cpus {
            sched_setaffinity(None, cpus)?;
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "only system calls that are safe between fork and exec")]
    // SAFETY: the closure allocates nothing and takes no lock; it makes system calls on copies of its own.
    unsafe {
        builder.pre_exec(limit);
    }
    if command.outlives {
        return builder;
    }
    let parent = sys::getpid();
    let place = start.map(Start::place);
    let last = move || {
        sys::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the line above; within walls it is not seen, and the keeper dies with it.
        if !walled && sys::getppid() != Some(parent) {
            return Err(std::io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
        }
        if let Some(place) = place {
            note(place);
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "only system calls that are safe between fork and exec")]
    // SAFETY: the closure allocates nothing and takes no lock; what it calls is async-signal-safe.
    unsafe {
        builder.pre_exec(last);
    }
    builder
}

/// Lets a program join the namespaces of its lease, as the leader of a session: no terminal of ours is its own.
fn enter(builder: &mut std::process::Command, joining: Joining) {
    let join = move || {
        sys::setsid()?;
        joining.join()
    };
    #[expect(unsafe_code, reason = "only system calls that are safe between fork and exec")]
    // SAFETY: everything that needs memory was prepared before the fork; the closure takes no lock.
    unsafe {
        builder.pre_exec(join);
    }
}
