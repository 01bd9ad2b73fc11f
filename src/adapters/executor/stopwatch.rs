//! When a program began and ended, however late we are to see it.
//!
//! On a busy machine whoever starts and awaits a program waits for a core too, before and after the
//! program. So the new process looks at the clock itself, last before it becomes the program, and
//! the end is seen by a thread that does nothing but wait: how long it then had no core is known
//! from the kernel.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::adapters::process::priority::go_first;

/// Longer than `/proc/self/schedstat` ever is, with the clock before it.
const NOTE: usize = 128;
/// The clock's part of a note.
const CLOCK: usize = 16;

/// What a thread had run, and had waited for a core; or what several had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schedule {
    /// Time on a core.
    pub run: Duration,
    /// Time in which it could have been on one.
    pub delay: Duration,
}

impl Schedule {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { run: self.run + other.run, delay: self.delay + other.delay }
    }

    /// What came after another.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let Self { run, delay } = before;
        Self { run: self.run.saturating_sub(run), delay: self.delay.saturating_sub(delay) }
    }

    /// Of a text such as `/proc/self/schedstat`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace().map(|field| field.parse().ok().map(Duration::from_nanos));
        Some(Self { run: fields.next()??, delay: fields.next()?? })
    }
}

/// Where a new process notes when it became its program.
pub struct Start {
    read: OwnedFd,
    write: OwnedFd,
}

impl Start {
    /// For one process.
    pub fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { read, write })
    }

    /// Where the new process notes it, as long as this lives.
    pub fn place(&self) -> RawFd {
        self.write.as_raw_fd()
    }

    /// When the process became its program, and what it had taken until then.
    fn noted(&self) -> Option<(Instant, Schedule)> {
        let mut bytes = [0; NOTE];
        let length = rustix::io::read(&self.read, &mut bytes).ok()?;
        let (clock, schedule) = bytes.get(..length)?.split_at_checked(CLOCK)?;
        let number = |at: usize| clock.get(at..at + 8)?.try_into().ok().map(i64::from_ne_bytes);
        let then = since_boot(Timespec { tv_sec: number(0)?, tv_nsec: number(8)? })?;
        let now = since_boot(clock_gettime(ClockId::Monotonic))?;
        let began = Instant::now().checked_sub(now.checked_sub(then)?)?;
        Some((began, Schedule::parse(std::str::from_utf8(schedule).ok()?)?))
    }
}

/// Notes the moment; only system calls that are safe between fork and exec.
pub fn note(place: RawFd) {
    #[expect(unsafe_code, reason = "a number is all that reaches the other side of the fork")]
    // SAFETY: whoever forks keeps the `Start`, and with it the descriptor, beyond the fork.
    let place = unsafe { BorrowedFd::borrow_raw(place) };
    let mut bytes = [0; NOTE];
    let Ok(file) = rustix::fs::open(c"/proc/self/schedstat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
        return;
    };
    let Ok(length) = rustix::io::read(&file, &mut bytes[CLOCK..]) else { return };
    let now = clock_gettime(ClockId::Monotonic);
    bytes[..8].copy_from_slice(&now.tv_sec.to_ne_bytes());
    bytes[8..CLOCK].copy_from_slice(&now.tv_nsec.to_ne_bytes());
    let _ = rustix::io::write(place, &bytes[..CLOCK + length]);
}

fn since_boot(time: Timespec) -> Option<Duration> {
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

/// Measures one program's elapsed time.
pub(super) struct Stopwatch {
    began: Instant,
    /// What the process had taken before it was the program.
    pub before: Schedule,
    watcher: Option<JoinHandle<Instant>>,
}

impl Stopwatch {
    /// For a program that has just begun and is not reaped before [`Stopwatch::stop`]. Where it noted nothing,
    /// `spawned` is when it began.
    pub fn start(start: &Start, spawned: Instant, pid: Pid) -> Self {
        let (began, before) = start.noted().unwrap_or((spawned, Schedule::default()));
        let watcher = std::thread::Builder::new().name("stopwatch".to_owned()).spawn(move || ended(pid)).ok();
        Self { began, before, watcher }
    }

    /// How long the program took; it must have ended, and was seen alive at that moment.
    pub fn stop(&mut self, alive: Option<Instant>) -> Duration {
        let ended = self.watcher.take().and_then(|watcher| watcher.join().ok()).unwrap_or_else(Instant::now);
        // A watcher that was kept from a core before it slept has waited at other times too.
        alive.map_or(ended, |alive| ended.max(alive)).saturating_duration_since(self.began)
    }
}

/// Waits for a process without reaping it, and says when it ended.
fn ended(pid: Pid) -> Instant {
    go_first();
    let before = waited();
    let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    let seen = Instant::now();
    // This thread slept until the end, so that all its waiting came after it.
    let late = waited().saturating_sub(before);
    seen.checked_sub(late).unwrap_or(seen)
}

/// How long this thread could have run and had no core.
fn waited() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Schedule::parse(&text).unwrap_or_default().delay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_timed_to_its_end_and_not_to_when_somebody_asks() {
        let start = Start::new().unwrap();
        let mut child = std::process::Command::new("sleep").arg("0.2").spawn().unwrap();
        let mut watch = Stopwatch::start(&start, Instant::now(), Pid::from_child(&child));
        std::thread::sleep(Duration::from_millis(600));
        let took = watch.stop(None);
        child.wait().unwrap();
        assert!((Duration::from_millis(150)..Duration::from_millis(590)).contains(&took), "{took:?}");
    }

    #[test]
    fn a_note_is_read_back_with_what_was_taken_until_then() {
        let start = Start::new().unwrap();
        assert_eq!(start.noted(), None);
        let before = Instant::now();
        note(start.place());
        let (noted, schedule) = start.noted().unwrap();
        assert!(noted >= before.checked_sub(Duration::from_millis(1)).unwrap() && noted <= Instant::now());
        assert!(schedule.run > Duration::ZERO);
    }
}
