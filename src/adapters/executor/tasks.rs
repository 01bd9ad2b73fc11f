//! What all threads and processes of a program had run and had waited for a core.
//!
//! The kernel tells both for each task, as long as the task is there. So they are read again and again while
//! the program runs, and what a task said last stays with us when it is gone. What it did after that
//! is not known: the whole of the CPU time is, and so is the share that was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::reaping;
use super::stopwatch::Schedule;
use crate::adapters::process::priority::look_on;

/// Between two looks, at least and at most. In between it is a 64th of the time so far, so that
/// what is missed at the end of a task is little of the whole.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(4));
const SHARE: u32 = 64;
/// As many files are held open; those of further tasks are opened at each look.
const OPEN: usize = 256;
/// With more tasks than this, not each look asks all of them for children.
const FEW: usize = 8;
const SELDOM: u32 = 4;

/// The tasks below one process.
pub struct Tree {
    /// Processes that were there at the last look.
    processes: BTreeSet<u32>,
    /// Processes that were ever seen.
    known: BTreeSet<u32>,
    tasks: BTreeMap<(u32, u32), Task>,
    gone: Schedule,
    looks: u32,
    /// When the root was last known not to have ended.
    alive: Option<Instant>,
}

struct Task {
    file: Option<File>,
    last: Schedule,
    look: u32,
}

impl Tree {
    /// Below this process, itself included.
    pub fn of(root: u32) -> Self {
        let processes = BTreeSet::from([root]);
        let (known, tasks, gone) = (processes.clone(), BTreeMap::new(), Schedule::default());
        Self { processes, known, tasks, gone, looks: 0, alive: None }
    }

    /// Reads what there is to read now.
    pub fn look(&mut self) {
        self.looks += 1;
        let all = self.tasks.len() <= FEW || self.looks.is_multiple_of(SELDOM);
        let mut open: Vec<u32> = self.processes.iter().copied().collect();
        while let Some(pid) = open.pop() {
            let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
                self.processes.remove(&pid);
                continue;
            };
            for tid in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
                let new = self.read(pid, tid);
                if all || new || tid == pid {
                    for child in children(pid, tid).into_iter().filter(|child| self.processes.insert(*child)) {
                        self.known.insert(child);
                        open.push(child);
                    }
                }
            }
        }
        let (now, gone) = (self.looks, &mut self.gone);
        self.tasks.retain(|_, task| {
            let there = task.look == now;
            if !there {
                *gone = gone.plus(task.last);
            }
            there
        });
    }

    /// Reads one task; whether it is new.
    fn read(&mut self, pid: u32, tid: u32) -> bool {
        let held = self.tasks.len() < OPEN;
        let path = || format!("/proc/{pid}/task/{tid}/schedstat");
        let mut new = false;
        let task = self.tasks.entry((pid, tid)).or_insert_with(|| {
            new = true;
            let file = if held { File::open(path()).ok() } else { None };
            Task { file, last: Schedule::default(), look: 0 }
        });
        let text = match &task.file {
            Some(file) => reread(file),
            None => fs::read_to_string(path()),
        };
        if let Some(schedule) = text.ok().and_then(|text| Schedule::parse(&text)) {
            task.last = schedule;
        }
        task.look = self.looks;
        new
    }

    /// What all of them had run and waited, as far as it was seen.
    pub fn sum(&self) -> Schedule {
        self.tasks.values().fold(self.gone, |sum, task| sum.plus(task.last))
    }

    /// When the root was last known not to have ended, of a tree that is watched.
    pub fn alive(&self) -> Option<Instant> {
        self.alive
    }

    /// Whether a process was seen below the root.
    pub(super) fn knew(&self, pid: u32) -> bool {
        self.known.contains(&pid)
    }
}

fn reread(file: &File) -> io::Result<String> {
    let mut bytes = [0; 96];
    let length = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// The children that a task started, or that were handed to it.
pub fn children(pid: u32, tid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Looks at a program's tasks while it runs.
pub struct Watch {
    end: mpsc::Sender<()>,
    thread: JoinHandle<Tree>,
}

impl Watch {
    /// From now on, at the best usual priority: who comes late sees less. `None` where no thread can be had.
    pub fn start(root: u32) -> Option<Self> {
        let (end, ended) = mpsc::channel();
        let watch = move || watch(root, &ended);
        let thread = thread::Builder::new().name("tasks".to_owned()).spawn(watch).ok()?;
        Some(Self { end, thread })
    }

    /// What was seen until now; a root that ended must not have been reaped.
    pub fn stop(self) -> Option<Tree> {
        drop(self.end);
        self.thread.join().ok()
    }
}

fn watch(root: u32, ended: &mpsc::Receiver<()>) -> Tree {
    look_on();
    let (began, mut tree) = (Instant::now(), Tree::of(root));
    loop {
        let now = Instant::now();
        if reaping::used(root).is_none() {
            tree.alive = Some(now);
        }
        tree.look();
        let pause = (began.elapsed() / SHARE).clamp(PAUSE.0, PAUSE.1);
        if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            tree.look();
            return tree;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_and_children_did_is_known_after_they_are_gone() {
        let burn = "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done";
        let line = format!("sh -c '{burn}; true'; sh -c '{burn}; true'; sleep 0.05");
        let mut child = std::process::Command::new("sh").args(["-c", &line]).spawn().unwrap();
        let watch = Watch::start(child.id()).unwrap();
        thread::sleep(Duration::from_millis(1));
        child.wait().unwrap();
        let tree = watch.stop().unwrap();
        assert!(tree.tasks.is_empty() && tree.known.len() >= 3, "{:?}", tree.known);
        assert!(tree.sum().run > Duration::from_millis(40), "{:?}", tree.sum());
    }

    #[test]
    fn one_look_costs_little() {
        let mut tree = Tree::of(std::process::id());
        tree.look();
        // The quickest of many: others may have the core in the middle of any of them.
        let looks = (0..200).map(|_| {
            let began = Instant::now();
            tree.look();
            began.elapsed()
        });
        let quickest = looks.min().unwrap();
        assert!(quickest < Duration::from_millis(5), "{quickest:?}");
        assert!(tree.sum().run > Duration::ZERO);
    }
}
