//! What a program left running: it is handed to us when its parent ends, and goes no further.
//!
//! We are the subreaper of all that we start. An orphan among our children is somebody's daemon, or
//! something that is just ending; whose it is, its mark tells, or who saw it while its program ran. What is not known to
//! be a program's of ours is left alone.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

use super::mark::Mark;
use super::reaping;
use super::stat::Stat;
use super::stopwatch::Schedule;
use super::tasks::children;
use super::walls::Walls;
use crate::adapters::process::Stray;

/// How long what outlives its program may take to end by itself, not counting what it waits for a core: who is still there
/// then is accused.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// What it may wait for a core besides.
const BUSY: Duration = Duration::from_secs(30);
/// How long something that was killed may take to be gone.
const DEATH: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// Lets all that we start from now on be handed to us when its parent ends.
pub(super) fn adopt() {
    static ADOPTED: OnceLock<()> = OnceLock::new();
    // Without it orphans go to the init process, as they do everywhere.
    ADOPTED.get_or_init(|| set_child_subreaper(Some(getpid())).unwrap_or_default());
}

/// What was handed to us, dead or alive. The kernel gives it to our first thread, and programs are started
/// by another one.
fn handed() -> Vec<u32> {
    let own = std::process::id();
    children(own, own)
}

/// What became of those that were left.
#[derive(Debug, Default)]
pub struct Settled {
    /// Those that did not end by themselves.
    pub left: Vec<Stray>,
    /// CPU time of all, also of those that did.
    pub cpu: Duration,
    /// For how long any of them went on by itself.
    pub lasted: Duration,
}

/// Waits until nothing is left of those that belong to somebody: what does not end at once is killed.
pub async fn settle(belongs: impl Fn(u32) -> bool) -> Settled {
    settle_of(handed, reaping::reap, belongs).await
}

/// Waits until nothing is left within walls but programs that have not ended and what they started; or, where one is
/// named, until nothing is left of that program.
pub(super) async fn settle_in(walls: &Walls, only: Option<Mark>) -> Settled {
    let belongs = |pid| only.map_or_else(|| !walls.is_live(pid), |mark| Mark::of(pid) == Some(mark));
    settle_of(|| walls.handed(), |pid| walls.reap(pid), belongs).await
}

async fn settle_of(
    handed: impl Fn() -> Vec<u32>,
    reap: impl Fn(u32) -> Option<Duration>,
    belongs: impl Fn(u32) -> bool,
) -> Settled {
    let began = Instant::now();
    let mut left: BTreeMap<u32, Stray> = BTreeMap::new();
    let mut used: BTreeMap<u32, Used> = BTreeMap::new();
    let (mut all, mut lasted) = (Duration::ZERO, Duration::ZERO);
    loop {
        let (mut alive, now) = (false, began.elapsed());
        for pid in handed() {
            if !left.contains_key(&pid) && !belongs(pid) {
                continue;
            }
            if let Some(cpu) = reap(pid) {
                all += cpu;
                if let Some(stray) = left.get_mut(&pid) {
                    stray.cpu = cpu;
                }
                continue;
            }
            alive = true;
            lasted = now;
            if used.entry(pid).or_insert_with(|| Used::from(pid, now)).look(pid, now) >= GRACE || now >= GRACE + BUSY {
                left.entry(pid).or_insert_with(|| Stray { pid, name: name(pid), cpu: Duration::ZERO });
                kill(pid);
            }
        }
        if !alive || now > GRACE + BUSY + DEATH {
            return Settled { left: left.into_values().collect(), cpu: all, lasted };
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Reaps those that ended, and says nothing of the others.
pub(super) fn bury(belongs: impl Fn(u32) -> bool) {
    for pid in handed().into_iter().filter(|pid| belongs(*pid)) {
        reaping::reap(pid);
    }
}

/// The same within walls.
pub(super) fn bury_in(walls: &Walls) {
    for pid in walls.handed().into_iter().filter(|pid| !walls.is_live(*pid)) {
        walls.reap(pid);
    }
}

/// How much of its time a process that ends has used: what it ran, and while it did not want to run. The kernel counts waits for
/// a core only when they are over.
struct Used {
    looked: Duration,
    run: Duration,
    sum: Duration,
}

impl Used {
    fn from(pid: u32, now: Duration) -> Self {
        Self { looked: now, run: run(pid), sum: Duration::ZERO }
    }

    fn look(&mut self, pid: u32, now: Duration) -> Duration {
        let ran = run(pid);
        let wants = Stat::of(pid).is_some_and(|stat| stat.runs);
        self.sum += if wants { ran.saturating_sub(self.run) } else { now.saturating_sub(self.looked) };
        (self.looked, self.run) = (now, ran);
        self.sum
    }
}

/// The CPU time of a process' first thread.
fn run(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    Schedule::parse(&text).unwrap_or_default().run
}

fn kill(pid: u32) {
    // It is our child, or the keeper's who reaps when we ask, and not reaped, so that its number is its own.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// The command line of a process, cut short.
pub fn name(pid: u32) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = read("cmdline").split('\0').collect::<Vec<_>>().join(" ");
    let line = if line.trim().is_empty() { read("comm") } else { line };
    line.trim().chars().take(80).collect()
}
